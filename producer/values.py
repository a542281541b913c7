"""Completing rows: casts, then DEFAULT, AUTOINCREMENT and the clock where a column is left out."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa

from headwater.log_store.catalog import TableObject
from headwater.producer.transaction import Transaction
from headwater.schemas import arrow
from headwater.schemas.arrow import Chunks
from headwater.schemas.arrow_casts import cast_column
from headwater.schemas.arrow_plain import arrow_schema, to_array
from headwater.schemas.tables import Column
from headwater.schemas.types import Plain, Row
from headwater.schemas.values import assigners, to_inner, to_plain

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def complete_rows(
    tx: Transaction,
    of: TableObject,
    rows: Sequence[Mapping[int, object]],
    *,
    first_row: int | None = None,
) -> list[Row]:
    """Whole plain rows in schema order from values by column position.

    `first_row` is added to the rows that errors name; without it a single row has no number.

    Raises:
        ValueRefused: a value that its column cannot hold, or none where it needs one; names row
            and column. Numbers may have been given out.
    """
    columns = of.schema.columns
    if len(rows) == 1 and first_row is None:
        return [complete_row(tx, of, rows[0])]
    missing = [at for at in range(len(columns)) if any(at not in row for row in rows)]
    fills = {at: _fill(tx, of, at, rows) for at in missing}
    start = first_row or 0
    return [_whole(columns, row, fills, number, start + number) for number, row in enumerate(rows)]


def complete_row(tx: Transaction, of: TableObject, row: Mapping[int, object]) -> Row:
    """One whole plain row, of no number; see `complete_rows`."""
    columns = of.schema.columns
    if len(row) == len(columns):
        assign = assigners(of.schema)
        return tuple([assign[at](row[at]) for at in range(len(columns))])
    left_out = [at for at in range(len(columns)) if at not in row]
    return _whole(columns, row, {at: _fill(tx, of, at, (row,)) for at in left_out}, 0, None)


def _whole(
    columns: Sequence[Column],
    row: Mapping[int, object],
    fills: Mapping[int, "Plain | range"],
    number: int,
    shown: int | None,
) -> Row:
    values: list[Plain] = []
    for at, column in enumerate(columns):
        if at in row:
            values.append(to_plain(column, row[at], row=shown))
            continue
        fill = fills[at]
        value = fill[number] if isinstance(fill, range) else fill
        # What is left out and has no default is NULL, which the column may refuse.
        values.append(to_plain(column, None, row=shown) if value is None else value)
    return tuple(values)


def _fill(
    tx: Transaction, of: TableObject, at: int, rows: Sequence[Mapping[int, object]]
) -> "Plain | range":
    """What rows without that column get: one value, or for AUTOINCREMENT one each."""
    column = of.schema.columns[at]
    if column.auto is not None:
        # A number for every row, needed or not: gaps are allowed, and positions stay simple.
        first = tx.reserve_numbers(of, column.id, len(rows))
        start, step = column.auto.start, column.auto.step
        return range(start + first * step, start + (first + len(rows)) * step, step)
    if column.default_call is not None:
        return to_plain(column, _now(tx, column.default_call))
    return column.default


def complete_columns(
    tx: Transaction, of: TableObject, data: pa.Table, *, first_row: int = 0
) -> pa.Table:
    """Inner Arrow columns in schema order from any Arrow columns with these names.

    Raises:
        SchemaInvalid: a column that the table has not, or one twice.
        ValueRefused: a value that its column cannot hold, or none where it needs one; names row
            and column.
    """
    given = {name.lower() for name in data.column_names}
    for column in of.schema.columns:
        if column.name.lower() in given:
            continue
        if column.auto is not None:
            first = tx.reserve_numbers(of, column.id, data.num_rows)
            numbers = np.arange(first, first + data.num_rows, dtype=np.int64)
            values = numbers * column.auto.step + column.auto.start
            data = data.append_column(column.name, pa.array(values, pa.int64()))
        elif column.default_call is not None:
            now = pa.scalar(_now(tx, column.default_call))
            data = data.append_column(column.name, pa.repeat(now, data.num_rows))
    return to_inner(of.schema, data, first_row=first_row)


def complete_inner(
    tx: Transaction,
    of: TableObject,
    given: Mapping[int, Chunks],
    count: int,
    *,
    first_row: int = 0,
) -> pa.Table:
    """Whole rows from some columns, by position, that are in their inner types already.

    Raises:
        ValueRefused: NULL in a NOT NULL column; names row and column.
    """
    columns: list[Chunks] = []
    for at, column in enumerate(of.schema.columns):
        values = given[at] if at in given else default_column(tx, of, at, count)
        if values.null_count and not column.nullable:
            missing = arrow.valid(arrow.single_chunk(values))
            to_plain(column, None, row=first_row + int(np.argmin(missing)))
        columns.append(values)
    return arrow.table(columns, arrow_schema(of.schema))


def default_column(tx: Transaction, of: TableObject, at: int, count: int) -> Chunks:
    """What so many rows get in a column that is left out: numbers, the clock, its default, NULL."""
    column = of.schema.columns[at]
    if column.auto is not None:
        first = tx.reserve_numbers(of, column.id, count)
        numbers = np.arange(first, first + count, dtype=np.int64)
        values = numbers * column.auto.step + column.auto.start
        plain = arrow.array(values, pa.int64())
        made = cast_column(column.type, plain)
        assert made is not None, "AUTOINCREMENT columns are numbers"
    else:
        default = column.default
        if column.default_call is not None:
            default = to_plain(column, _now(tx, column.default_call))
        made = arrow.repeat(to_array(column.type, [default]), count)
    return arrow.chunked([made], column.type.arrow)


def _now(tx: Transaction, call: str) -> datetime | date:
    now = _EPOCH + timedelta(microseconds=tx.now_us)
    return now.date() if call == "CURRENT_DATE" else now
