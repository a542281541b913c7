"""The edge: what users send and see, against the plain values of types.py.

Assignments cast as Snowflake's do: numbers round half away from zero to the column's scale, text
parses, fractions of a second beyond the column's precision are cut off. What has no sound meaning
(a boolean for a number, a number for a date) is refused, never guessed.
"""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal

from headwater.schemas.casts import ASSIGN, Unfit
from headwater.schemas.errors import EventUnreadable, ValueRefused
from headwater.schemas.tables import Column
from headwater.schemas.types import JSON_KINDS, Kind, Plain, SqlType

_WIDE = Context(prec=40)  # the default one rounds to 28 digits
_EPOCH = datetime(1970, 1, 1)
_EPOCH_DAY = date(1970, 1, 1)
# Cells of data frames that stand for NULL and are no None.
_NULLS = frozenset({"NAType", "NaTType"})


def to_plain(column: Column, value: object, *, row: int | None = None) -> Plain:
    """The plain value that a column stores for a user's value.

    None, and the missing values of data frames, are NULL. `row` goes into the error only.

    Raises:
        ValueRefused: NULL in a NOT NULL column, a value of the wrong sort, out of range, too long.
    """
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        value = value.item()
    if value is None or type(value).__name__ in _NULLS:
        if column.nullable:
            return None
        raise ValueRefused(column.name, None, "is not allowed: the column is NOT NULL", row=row)
    try:
        return ASSIGN[column.type.kind](column.type, value)
    except Unfit as refused:
        raise ValueRefused(column.name, value, str(refused), row=row) from None


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
            return Decimal(value).scaleb(-(type_.scale or 0), _WIDE)
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
        return json.loads(text)
    except (ValueError, RecursionError):
        raise EventUnreadable(f"{text[:40]!r} is no JSON") from None
