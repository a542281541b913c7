"""What a statement gives: columns, rows as Arrow, a row count, notices."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import pyarrow as pa

from headwater.schemas.types import SqlType


@dataclass(frozen=True, slots=True)
class OutColumn:
    """A column of a result, by the name it is shown under; types are as they are declared."""

    name: str
    type: SqlType
    nullable: bool = True


@dataclass(slots=True, eq=False)
class Result:
    """The outcome of one statement.

    `kind` is the statement's verb, such as SELECT, INSERT, CREATE TABLE. `columns` describe
    `batches`, tables in the inner Arrow types of the columns (see schemas.types), which can be taken
    once; a statement that has no rows to give answers with one row of counts or a status, as
    Snowflake does. `rowcount` is how many rows it wrote, or has to give; -1 where that is not
    known before the last one is taken.
    """

    kind: str
    columns: tuple[OutColumn, ...]
    batches: Iterator[pa.Table]
    rowcount: int = -1
    query_id: str = ""
    notices: list[str] = field(default_factory=list[str])

    def table(self) -> pa.Table:
        """All rows in one table of inner types; takes the batches."""
        shape = pa.schema([(c.name, c.type.arrow) for c in self.columns])
        parts = [part.rename_columns(shape.names) for part in self.batches]
        return pa.concat_tables([shape.empty_table(), *parts])

    def close(self) -> None:
        """Let go of rows that were not taken. A second call does nothing."""
        close = getattr(self.batches, "close", None)
        self.batches = iter(())
        if callable(close):
            close()


_STATUS = (OutColumn("status", SqlType.parse("VARCHAR"), nullable=False),)


def status(kind: str, text: str) -> Result:
    """The answer of a statement that has none but that it was done."""
    rows = pa.table({"status": pa.array([text], pa.string())})
    return Result(kind, _STATUS, iter([rows]), rowcount=0)


def counts(kind: str, **numbers: int) -> Result:
    """The answer of DML: one row, a column per count, named as Snowflake names them.

    `rows_inserted=3` is shown as `number of rows inserted`; `rowcount` is the sum of all counts
    but `multi_joined_rows_updated`.
    """
    columns, rows, written = _counted(tuple(numbers.items()))
    return Result(kind, columns, iter((rows,)), rowcount=written)


@lru_cache(maxsize=256)
def _counted(
    numbers: tuple[tuple[str, int], ...],
) -> tuple[tuple[OutColumn, ...], pa.Table, int]:
    """The columns, the row and the sum of some counts; the same few are asked for again."""
    names = [f"number of {name.replace('_', ' ')}" for name, _ in numbers]
    columns = tuple(OutColumn(name, SqlType.parse("INT"), nullable=False) for name in names)
    cells = {name: pa.array([n], pa.int64()) for name, (_, n) in zip(names, numbers, strict=True)}
    written = sum(n for name, n in numbers if name != "multi_joined_rows_updated")
    return columns, pa.table(cells), written
