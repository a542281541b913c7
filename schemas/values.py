"""The edge: what users send and see, against the plain values of types.py.

Assignments cast as Snowflake's do: numbers round half away from zero to the column's scale, text
parses, fractions of a second beyond the column's precision are cut off. What has no sound meaning
(a boolean for a number, a number for a date) is refused, never guessed.
"""

import json
import math
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from functools import lru_cache, partial
from typing import Final, Protocol, cast

import numpy as np
import pyarrow as pa

from headwater.schemas import arrow
from headwater.schemas.arrow import Chunks
from headwater.schemas.arrow_casts import cast_column, plain_arrow
from headwater.schemas.arrow_plain import arrow_schema, to_array
from headwater.schemas.casts import ASSIGN, Unfit
from headwater.schemas.errors import EventUnreadable, SchemaInvalid, ValueRefused
from headwater.schemas.tables import Column, TableSchema
from headwater.schemas.types import JSON_KINDS, Kind, Plain, SqlType
from headwater.schemas.wire import INT64_HIGH, INT64_LOW

_WIDE = Context(prec=40)  # the default one rounds to 28 digits
_EPOCH = datetime(1970, 1, 1)
_EPOCH_DAY = date(1970, 1, 1)
# Cells of data frames that stand for NULL and are no None.
_NULLS = frozenset({"NAType", "NaTType"})


# Most values are of these: they need no closer look.
_PYTHON: Final = frozenset(
    {type(None), int, str, float, bool, bytes, Decimal, date, datetime, dict}
)


class _NumpyScalar(Protocol):
    def item(self) -> object: ...


def to_plain(column: Column, value: object, *, row: int | None = None) -> Plain:
    """The plain value that a column stores for a user's value.

    None, and the missing values of data frames, are NULL. `row` goes into the error only.

    Raises:
        ValueRefused: NULL in a NOT NULL column, a value of the wrong sort, out of range, too long.
    """
    if type(value) not in _PYTHON:
        if type(value).__module__ == "numpy" and hasattr(value, "item"):
            value = cast(_NumpyScalar, value).item()
        elif type(value).__name__ in _NULLS:
            value = None
    if value is None:
        if column.nullable:
            return None
        raise ValueRefused(column.name, None, "is not allowed: the column is NOT NULL", row=row)
    try:
        return ASSIGN[column.type.kind](column.type, value)
    except Unfit as refused:
        raise ValueRefused(column.name, value, str(refused), row=row) from None


Assign = Callable[[object], Plain]


@lru_cache(maxsize=512)
def assigners(schema: TableSchema) -> tuple[Assign, ...]:
    """For each column what `to_plain` does with a value, made once; errors name no row."""
    return tuple(map(_assigner, schema.columns))


def _assigner(column: Column) -> Assign:
    # What most values of these kinds are needs one look; all else is `to_plain`'s.
    longest = math.inf if column.type.length is None else column.type.length
    match column.type.kind:
        case Kind.INT:

            def assign_int(value: object) -> Plain:
                if type(value) is int and INT64_LOW <= value <= INT64_HIGH:
                    return value
                return to_plain(column, value)

            return assign_int
        case Kind.VARCHAR:

            def assign_text(value: object) -> Plain:
                if type(value) is str and value.isascii() and len(value) <= longest:
                    return value
                return to_plain(column, value)

            return assign_text
        case _:
            return partial(to_plain, column)


# What DECIMAL without parameters is; its values are shown without trailing zeros.
PLAIN_DECIMAL: Final = (38, 9)


def trimmed(number: Decimal) -> Decimal:
    """The same number without zeros at the end of its fraction."""
    whole = number.to_integral_value()
    return whole if whole == number else number.normalize(_WIDE)


def from_plain(type_: SqlType, value: Plain) -> object:
    """What users see for a plain value: Decimal, date, time, datetime, parsed JSON, or itself.

    A TIMESTAMP_LTZ is an aware datetime in UTC, a TIMESTAMP_TZ one with its own offset.

    Raises:
        EventUnreadable: the text on the log is no timestamp or JSON. Headwater writes none such.
    """
    if value is None:
        return None
    match type_.kind:
        case Kind.DECIMAL if isinstance(value, int):
            shown = Decimal(value).scaleb(-(type_.scale or 0), _WIDE)
            return trimmed(shown) if (type_.precision, type_.scale) == PLAIN_DECIMAL else shown
        case Kind.DATE if isinstance(value, int):
            return _EPOCH_DAY + timedelta(days=value)
        case Kind.TIME if isinstance(value, int):
            return (_EPOCH + _span(type_, value)).time()
        case Kind.TIMESTAMP_NTZ if isinstance(value, int):
            return _EPOCH + _span(type_, value)
        case Kind.TIMESTAMP_LTZ | Kind.TIMESTAMP_TZ if isinstance(value, str):
            return _zoned(type_, value)
        case kind if kind in JSON_KINDS and isinstance(value, str):
            return _json(value)
        case _:
            return value


def _span(type_: SqlType, units: int) -> timedelta:
    return timedelta(milliseconds=units) if type_.in_millis else timedelta(microseconds=units)


def _zoned(type_: SqlType, text: str) -> datetime:
    try:
        value = datetime.fromisoformat(text)
        if type_.kind is Kind.TIMESTAMP_LTZ:
            return value.astimezone(UTC)
    except (ValueError, OverflowError):
        raise EventUnreadable(f"{text[:40]!r} is no timestamp") from None
    return value


def _json(text: str) -> object:
    try:
        return cast(object, json.loads(text))
    except (ValueError, RecursionError):
        raise EventUnreadable(f"{text[:40]!r} is no JSON") from None


def to_inner(schema: TableSchema, data: pa.Table, *, first_row: int = 0) -> pa.Table:
    """Any Arrow table with these column names as inner columns in schema order.

    A column that is missing takes its default, else NULL; one that has a default of the commit's
    clock or AUTOINCREMENT stays NULL for the caller to fill. `first_row` is added to the rows that
    errors name.

    Raises:
        SchemaInvalid: a column twice, or one that the table has not.
        ValueRefused: as `to_plain`, with row and column.
    """
    given: dict[int, Chunks] = {}
    for name, values in zip(data.column_names, data.columns, strict=True):
        position = schema.position(name)
        if position is None:
            raise SchemaInvalid(f"there is no column {name}; there are {', '.join(schema.names)}")
        if position in given:
            raise SchemaInvalid(f"column {name} is given twice")
        given[position] = values
    columns: list[Chunks] = []
    for position, column in enumerate(schema.columns):
        if position in given:
            columns.append(assigned(column, given[position], first_row))
        else:
            columns.append(_default(column, data.num_rows, first_row))
    return arrow.table(columns, arrow_schema(schema))


def assigned(column: Column, values: Chunks, row: int) -> Chunks:
    """Any Arrow values as the inner ones of a column; `row` is the first one's, for errors.

    Raises:
        ValueRefused: as `to_plain`, with row and column.
    """
    chunks: list[arrow.Column] = []
    for chunk in arrow.chunks_of(values):
        chunks.append(_assigned_chunk(column, chunk, row))
        row += len(chunk)
    return arrow.chunked(chunks, column.type.arrow)


def _assigned_chunk(column: Column, chunk: arrow.Column, row: int) -> arrow.Column:
    values = plain_arrow(chunk)
    made = cast_column(column.type, values)
    if made is None:
        made = to_array(column.type, _one_by_one(column, values, row))
    if made.null_count and not column.nullable:
        to_plain(column, None, row=row + int(np.argmin(arrow.valid(made))))
    return made


def _one_by_one(column: Column, values: arrow.Column, row: int) -> list[Plain]:
    plains: list[Plain] = []
    for i in range(len(values)):
        try:
            value: object = values[i].as_py()
        except (ValueError, OverflowError):
            why = f"is no {column.type}"
            raise ValueRefused(column.name, values[i], why, row=row + i) from None
        plains.append(None if value is None else to_plain(column, value, row=row + i))
    return plains


def _default(column: Column, count: int, row: int) -> Chunks:
    filled_later = column.default_call is not None or column.auto is not None
    if column.default is None and not (column.nullable or filled_later) and count:
        to_plain(column, None, row=row)
    made = arrow.repeat(to_array(column.type, [column.default]), count)
    return arrow.chunked([made], column.type.arrow)


def to_outer(schema: TableSchema | Sequence[SqlType], data: pa.Table) -> pa.Table:
    """Inner columns as users see them: TIMESTAMP_LTZ is timestamp[us, UTC], the rest unchanged.

    Raises:
        EventUnreadable: a text on the log is no timestamp. Headwater writes none such.
    """
    types = [c.type for c in schema.columns] if isinstance(schema, TableSchema) else schema
    seen = pa.timestamp("us", "UTC")
    for i, type_ in enumerate(types):
        if type_.kind is Kind.TIMESTAMP_LTZ:
            chunks = arrow.chunks_of(data.columns[i])
            try:
                made = arrow.chunked([arrow.convert(chunk, seen) for chunk in chunks], seen)
            except pa.ArrowInvalid as error:
                raise EventUnreadable(f"a text is no timestamp: {error}") from None
            data = data.set_column(i, data.column_names[i], made)
    return data
