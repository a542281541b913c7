"""PEP 249: statements as SQL text, their results row by row, as Arrow or as a DataFrame."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

import pyarrow as pa

from headwater.ops.present import row_values, to_pandas, to_polars
from headwater.schemas.types import Kind, SqlType
from headwater.schemas.values import to_outer
from headwater.sql.errors import InterfaceError
from headwater.sql.results import Result

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from headwater.sql.context import Binds
    from headwater.sql.session import SqlSession


class Described(NamedTuple):
    """A column of a result as PEP 249 describes it; `type_code` is the column's SqlType."""

    name: str
    type_code: SqlType
    display_size: int | None
    internal_size: int | None
    precision: int | None
    scale: int | None
    null_ok: bool


Row = tuple[object, ...]


class Cursor:
    """One statement's result at a time. Its rows come batch by batch, in bounded memory.

    After a text of several statements it holds the last one's result.
    """

    arraysize = 1

    def __init__(self, session: "SqlSession") -> None:
        self._session = session
        self._result: Result | None = None
        self._rows: Iterator[Row] = iter(())
        self._closed = False

    # Statements.

    def execute(
        self, sql: str, params: "Binds | None" = None, *, idempotency_key: str | None = None
    ) -> Self:
        """Run a text; `params` are values for `?`, `%s`, `:name` or `%(name)s` in it.

        With an idempotency key, the same text and values sent again change nothing and give the
        first results.

        Raises:
            Error: the statement failed and undid itself; see `headwater.sql.errors`.
        """
        self._begin()
        binds = () if params is None else params
        for result in self._session.run(sql, binds, idempotency_key=idempotency_key):
            self._take(result)
        return self

    def executemany(self, sql: str, rows: "Iterable[Binds]") -> Self:
        """Run one INSERT, UPDATE, DELETE or MERGE for each row of values, all of them or none.

        An INSERT .. VALUES goes in column by column, as a bulk load.
        """
        self._begin()
        self._take(self._session.run_many(sql, rows))
        return self

    def _begin(self) -> None:
        if self._closed:
            raise InterfaceError("the cursor is closed: open another", code="E_SQL_CLOSED")
        self._take(None)

    def _take(self, result: Result | None) -> None:
        if self._result is not None:
            self._result.close()
        self._result = result
        self._rows = iter(()) if result is None else _rows(result)

    # What came of it.

    @property
    def description(self) -> list[Described] | None:
        """The columns of the result; None before the first statement."""
        if self._result is None:
            return None
        return [_described(c.name, c.type, null_ok=c.nullable) for c in self._result.columns]

    @property
    def rowcount(self) -> int:
        """How many rows were written, or are there; -1 where that is not known yet."""
        return -1 if self._result is None else self._result.rowcount

    @property
    def query_id(self) -> str | None:
        """The statement's id, which `AT (STATEMENT => ..)` takes."""
        return None if self._result is None else self._result.query_id

    @property
    def notices(self) -> list[str]:
        """What was said beside the result."""
        return [] if self._result is None else list(self._result.notices)

    # Rows.

    def fetchone(self) -> Row | None:
        """The next row; None behind the last one."""
        self._given()
        return next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """The next rows, at most `size` or `arraysize`."""
        self._given()
        return list(islice(self._rows, self.arraysize if size is None else size))

    def fetchall(self) -> list[Row]:
        """All rows that are left."""
        self._given()
        return list(self._rows)

    def __iter__(self) -> Iterator[Row]:
        self._given()
        return self._rows

    def __next__(self) -> Row:
        return next(self._rows)

    def arrow(self) -> pa.Table:
        """The result as an Arrow table; takes the rows that no fetch has begun on."""
        result = self._given()
        return to_outer([column.type for column in result.columns], result.table())

    def batches(self) -> Iterator[pa.Table]:
        """The result as Arrow tables, one at a time, in bounded memory."""
        result = self._given()
        types = [column.type for column in result.columns]
        names = [column.name for column in result.columns]
        for part in result.batches:
            yield to_outer(types, part.rename_columns(names))

    def df(self) -> "pd.DataFrame":
        """The result as a pandas DataFrame; needs the `frames` extra."""
        return to_pandas(self.arrow())

    def pl(self) -> "pl.DataFrame":
        """The result as a polars DataFrame; needs the `frames` extra."""
        return to_polars(self.arrow())

    def _given(self) -> Result:
        if self._closed or self._result is None:
            why = "the cursor is closed" if self._closed else "nothing was executed"
            raise InterfaceError(f"there is no result: {why}", code="E_SQL_NO_RESULT")
        return self._result

    # What PEP 249 asks for beside it.

    def nextset(self) -> None:
        """None: a cursor keeps the last result of a text only."""
        return

    def setinputsizes(self, sizes: Sequence[object]) -> None:
        """Does nothing, as PEP 249 allows."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Does nothing, as PEP 249 allows."""

    def close(self) -> None:
        """Let the result go. A second call does nothing."""
        self._take(None)
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


def _described(name: str, type_: SqlType, *, null_ok: bool) -> Described:
    scale = 0 if type_.kind is Kind.INT else type_.scale
    precision = 38 if type_.kind is Kind.INT else type_.precision
    return Described(name, type_, None, type_.length, precision, scale, null_ok)


def _rows(result: Result) -> Iterator[Row]:
    shown: Callable[[pa.Table], Iterator[Row]] = row_values(
        [column.type for column in result.columns]
    )
    for part in result.batches:
        yield from shown(part)
