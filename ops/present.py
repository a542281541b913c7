"""From what the rooms hold to what a Python user holds: dicts, Arrow, DataFrames, changes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, cast

import pyarrow as pa

from headwater.schemas.tables import TableSchema
from headwater.schemas.types import Kind, SqlType
from headwater.schemas.values import PLAIN_DECIMAL, from_plain, to_outer, trimmed

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

ACTION, IS_UPDATE, ROW_ID = "METADATA$ACTION", "METADATA$ISUPDATE", "METADATA$ROW_ID"
VERSION = "METADATA$VERSION"
COMMIT_TIMESTAMP = "METADATA$COMMIT_TIMESTAMP"
TRANSACTION_ID = "METADATA$TRANSACTION_ID"
METADATA = frozenset({ACTION, IS_UPDATE, ROW_ID, VERSION, COMMIT_TIMESTAMP, TRANSACTION_ID})


def from_us(time_us: int) -> datetime:
    """A point in time, microseconds since 1970, as an aware datetime in UTC."""
    seconds, rest = divmod(time_us, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)


def row_dict(schema: TableSchema, row: Sequence[object]) -> dict[str, object]:
    """One plain row by column name, in Python's own types."""
    return {
        column.name: from_plain(column.type, cast("int | float | bool | str | bytes | None", value))
        for column, value in zip(schema.columns, row, strict=True)
    }


def to_pandas(data: pa.Table) -> "pd.DataFrame":
    """A pandas DataFrame; needs the `frames` extra."""
    # The stubs leave some of its options open.
    return data.to_pandas()  # pyright: ignore[reportUnknownMemberType]


def to_polars(data: pa.Table) -> "pl.DataFrame":
    """A polars DataFrame; needs the `frames` extra."""
    import polars

    # A Table makes a DataFrame, never a Series; the stubs leave arrays open.
    return cast("pl.DataFrame", polars.from_arrow(data))  # pyright: ignore[reportUnknownMemberType]


def row_dicts(data: pa.Table) -> list[dict[str, object]]:
    """Rows by column name, in Python's own types."""
    rows = cast("list[dict[str, object]]", data.to_pylist())
    fields = cast("list[pa.Field[pa.DataType]]", list(data.schema))
    plain = [field.name for field in fields if field.type == pa.decimal128(*PLAIN_DECIMAL)]
    for name in plain:
        for row in rows:
            number = row[name]
            row[name] = trimmed(number) if isinstance(number, Decimal) else number
    return rows


class Reads:
    """The shapes every result can be taken in; a subclass supplies `arrow`."""

    def arrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        raise TypeError(f"{type(self).__name__} has no rows")

    def rows(self) -> list[dict[str, object]]:
        """All rows as dicts by column name, in Python's own types."""
        return row_dicts(self.arrow())

    def df(self) -> "pd.DataFrame":
        """All rows as a pandas DataFrame; needs the `frames` extra."""
        return to_pandas(self.arrow())

    def pl(self) -> "pl.DataFrame":
        """All rows as a polars DataFrame; needs the `frames` extra."""
        return to_polars(self.arrow())

    def __iter__(self) -> Iterator[dict[str, object]]:
        return iter(self.rows())


def outer(schema: TableSchema | Sequence[SqlType], data: pa.Table) -> pa.Table:
    """Rows as users see them, by the schema or the types of their columns."""
    return to_outer(schema, data)


@dataclass(frozen=True, slots=True)
class Change:
    """One row of a stream: a row that came (INSERT) or went (DELETE).

    An update is a DELETE with the old values followed by an INSERT with the new ones, both with
    `is_update`. `id` is the same each time this change is read: what a receiver outside the store
    needs to drop what it has seen.
    """

    action: str
    is_update: bool
    row_id: str
    version: int
    time: datetime
    transaction_id: str
    values: dict[str, object]
    id: str

    def __getitem__(self, column: str) -> object:
        return self.values[column]


def changes_of(stream: str, data: pa.Table, names: Sequence[str]) -> Iterator[Change]:
    """The changes in a run of stream rows, whole commits, with all METADATA$ columns."""
    seen: dict[tuple[int, str, str], int] = {}
    for row in row_dicts(data):
        values = {name: row[name] for name in names}
        action, version = str(row[ACTION]), cast(int, row[VERSION])
        # A row can change several times in one commit: the count makes its ids differ.
        touched = (version, str(row[ROW_ID]), action)
        nth = seen[touched] = seen.get(touched, 0) + 1
        yield Change(
            action,
            bool(row[IS_UPDATE]),
            str(row[ROW_ID]),
            version,
            cast(datetime, row[COMMIT_TIMESTAMP]),
            str(row[TRANSACTION_ID]),
            values,
            f"{stream}:{version}:{row[ROW_ID]}:{action[0]}{nth}",
        )


def row_values(types: Sequence[SqlType]) -> Callable[[pa.Table], Iterator[tuple[object, ...]]]:
    """What turns rows of inner Arrow columns into tuples of Python's own values.

    VARIANT, OBJECT and ARRAY stay JSON text; a TIMESTAMP_TZ has its own offset.
    """

    def rows(data: pa.Table) -> Iterator[tuple[object, ...]]:
        seen = to_outer(types, data)
        columns = [
            _column_values(type_, cast("list[object]", column.to_pylist()))
            for type_, column in zip(types, seen.columns, strict=True)
        ]
        return zip(*columns, strict=True) if columns else iter([()] * data.num_rows)

    return rows


def _column_values(type_: SqlType, values: list[object]) -> list[object]:
    if type_.kind is Kind.DECIMAL and (type_.precision, type_.scale) == PLAIN_DECIMAL:
        return [trimmed(one) if isinstance(one, Decimal) else one for one in values]
    if type_.kind is Kind.TIMESTAMP_TZ:
        return [datetime.fromisoformat(one) if isinstance(one, str) else one for one in values]
    return values
