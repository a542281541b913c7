"""Assignment casts, one function per kind of column: a user's value to its plain value.

Each raises `Unfit` with the reason as the end of a sentence ("is longer than 10 characters").
"""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from functools import lru_cache
from typing import cast

from headwater.schemas.types import Kind, Plain, SqlType
from headwater.schemas.wire import INT64_HIGH, INT64_LOW


class Unfit(Exception):
    """A value that its column cannot hold; the text says why."""


Assign = Callable[[SqlType, object], Plain]

_NUMBER = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,9})?\s*")
# Plain digits with a point at most: what needs no decimal arithmetic.
_SIMPLE = re.compile(r"(-?[0-9]{1,18})(?:\.([0-9]{1,18}))?")
_DAY_LENGTH = len("2024-02-29")
_NOT_FINITE = re.compile(r"\s*[+-]?(nan|inf|infinity)\s*", re.IGNORECASE)
_WIDE = Context(prec=2000, rounding=ROUND_HALF_UP)
_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})


def _number(value: object, what: object) -> int | Decimal:
    """An exact number; floats by their shortest text, so 0.1 is a tenth."""
    if isinstance(value, bool):
        raise Unfit(f"is a boolean, the column is {what}")
    if isinstance(value, (int, Decimal)):
        number = value
    elif isinstance(value, float):
        number = Decimal(repr(value))
    elif isinstance(value, str):
        if len(value) > 1000 or _NUMBER.fullmatch(value) is None:
            raise Unfit(f"is no {what}")
        number = Decimal(value.strip())
    else:
        raise Unfit(f"is no {what}")
    if isinstance(number, Decimal) and not number.is_finite():
        raise Unfit(f"is no {what}")
    return number


def scaled(number: int | Decimal, scale: int, what: object) -> int:
    """The unscaled int, rounded half away from zero. Never builds a number of silly length."""
    if isinstance(number, int):
        if number.bit_length() > 140:
            raise Unfit(f"is out of range of {what}")
        return int(number * 10**scale)
    if not number or number.adjusted() < -60:
        return 0
    if number.adjusted() > 40:
        raise Unfit(f"is out of range of {what}")
    try:
        return int(number.scaleb(scale, _WIDE).to_integral_value(ROUND_HALF_UP, _WIDE))
    except InvalidOperation:
        raise Unfit(f"is out of range of {what}") from None


def to_int(type_: SqlType, value: object) -> Plain:
    """A 64-bit int."""
    if type(value) is int:
        number = value
    else:
        number = scaled(_number(value, type_), 0, type_)
    if not INT64_LOW <= number <= INT64_HIGH:
        raise Unfit(f"is out of range of {type_} (64 bits)")
    return number


def to_decimal(type_: SqlType, value: object) -> Plain:
    """An unscaled int of at most the column's precision."""
    scale = type_.scale or 0
    if type(value) is str and (m := _SIMPLE.fullmatch(value)) is not None:
        fraction = m[2] or ""
        if len(fraction) <= scale:
            number = int(m[1] + fraction.ljust(scale, "0"))
            if abs(number) >= 10 ** (type_.precision or 38):
                raise Unfit(f"is out of range of {type_}")
            return number
    number = scaled(_number(value, type_), type_.scale or 0, type_)
    if abs(number) >= 10 ** (type_.precision or 38):
        raise Unfit(f"is out of range of {type_}")
    return number


def to_float(type_: SqlType, value: object) -> Plain:
    """A double; text may say nan or inf."""
    if type(value) is float:
        return value
    if isinstance(value, str) and _NOT_FINITE.fullmatch(value):
        return float(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Decimal) and not value.is_finite():
        return math.nan if value.is_nan() else float(value)
    try:
        number = float(_number(value, type_))
    except OverflowError:
        raise Unfit(f"is out of range of {type_}") from None
    if math.isinf(number):
        raise Unfit(f"is out of range of {type_}")
    return number


def to_boolean(type_: SqlType, value: object) -> Plain:
    """A boolean; numbers are true unless zero, text as Snowflake reads it."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
    elif isinstance(value, (int, float, Decimal)) and not math.isnan(value):
        return value != 0
    raise Unfit(f"is no {type_}")


def to_varchar(type_: SqlType, value: object) -> Plain:
    """Text; numbers, booleans and times by how they are written."""
    text = value if type(value) is str else _text(type_, value)
    if type_.length is not None and len(text) > type_.length:
        raise Unfit(f"is longer than {type_.length} characters")
    if not text.isascii():
        _check_unicode(text)
    return text


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unfit("holds half a surrogate pair, which no UTF-8 can") from None


def _text(type_: SqlType, value: object) -> str:
    match value:
        case str():
            return str(value)
        case bool():
            return "true" if value else "false"
        case int():
            return str(value) if value.bit_length() < 4096 else _unfit(type_)
        case float():
            return repr(value).removesuffix(".0")
        case Decimal() if value.adjusted() < 1000 and value.is_finite():
            return format(value, "f")
        case datetime():
            return value.isoformat(sep=" ")
        case date() | time():
            return value.isoformat()
        case _:
            return _unfit(type_)


def _unfit(type_: SqlType) -> str:
    raise Unfit(f"is no {type_}")


def to_binary(type_: SqlType, value: object) -> Plain:
    """Bytes; text is hexadecimal."""
    if isinstance(value, str):
        try:
            data = bytes.fromhex(value)
        except ValueError:
            raise Unfit(f"is no {type_}: text for it is hexadecimal") from None
    elif isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(cast(bytes, value))
    else:
        raise Unfit(f"is no {type_}")
    if type_.length is not None and len(data) > type_.length:
        raise Unfit(f"is longer than {type_.length} bytes")
    return data


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?"
_ZONE = r"\s*(?:(Z|z|UTC)|([+-])(\d{2}):?(\d{2})?)?"
_STAMP = re.compile(rf"\s*(\d{{4}})[-/](\d{{1,2}})[-/](\d{{1,2}})(?:[T ]\s*{_CLOCK}{_ZONE})?\s*")
_US_DATE = re.compile(r"\s*(\d{1,2})/(\d{1,2})/(\d{4})\s*")
_WORD_DATE = re.compile(r"\s*(\d{1,2})-([A-Za-z]{3})-(\d{4})\s*")
_TIME = re.compile(rf"\s*{_CLOCK}\s*")


def _clock(hour: str, minute: str, second: str | None, fraction: str | None) -> time:
    micros = int((fraction or "0").ljust(6, "0")[:6])
    return time(int(hour), int(minute), int(second or 0), micros)


def _zone(sign: str, hours: str, minutes: str | None) -> timedelta:
    span = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return -span if sign == "-" else span


def _parse(text: str) -> date | datetime:
    """A date or timestamp in one of the forms read; ValueError for any other text."""
    if (m := _STAMP.fullmatch(text)) is not None:
        day = date(int(m[1]), int(m[2]), int(m[3]))
        if m[4] is None:
            return day
        stamp = datetime.combine(day, _clock(m[4], m[5], m[6], m[7]))
        if m[8] is not None:
            return stamp.replace(tzinfo=UTC)
        if m[9] is not None:
            return stamp.replace(tzinfo=timezone(_zone(m[9], m[10], m[11])))
        return stamp
    if (m := _US_DATE.fullmatch(text)) is not None:
        return date(int(m[3]), int(m[1]), int(m[2]))
    if (m := _WORD_DATE.fullmatch(text)) is not None and m[2].lower() in _MONTHS:
        return date(int(m[3]), _MONTHS.index(m[2].lower()) + 1, int(m[1]))
    raise ValueError(text)


def _moment(type_: SqlType, value: object) -> datetime:
    """The date and time a value stands for: a date is its midnight."""
    if isinstance(value, str):
        try:
            value = _parse(value)
        except (ValueError, OverflowError):
            raise Unfit(f"is no {type_}") from None
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    raise Unfit(f"is no {type_}")


def to_date(type_: SqlType, value: object) -> Plain:
    """Days since 1970; of a timestamp its date."""
    if type(value) is date:
        return value.toordinal() - 719163
    if type(value) is str and len(value) == _DAY_LENGTH:
        try:
            return _day_of(value)
        except (ValueError, OverflowError):
            raise Unfit(f"is no {type_}") from None
    return _moment(type_, value).toordinal() - 719163


@lru_cache(maxsize=4096)
def _day_of(text: str) -> int:
    """The day of a text, in days since 1970; the same few days come in again and again."""
    return _parse(text).toordinal() - 719163


def _micros(value: datetime | time) -> int:
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond


def _units(type_: SqlType, micros: int) -> int:
    """Microseconds cut to the column's precision, in its unit."""
    digits = min(6 if type_.precision is None else type_.precision, 6)
    step: int = 10 ** (6 - digits)
    return micros // step * step // (1000 if type_.in_millis else 1)


def to_time(type_: SqlType, value: object) -> Plain:
    """Milli- or microseconds since midnight; of a timestamp its time of day."""
    if isinstance(value, str):
        value = _parse_time(type_, value)
    if isinstance(value, (time, datetime)):
        return _units(type_, _micros(value))
    raise Unfit(f"is no {type_}")


def _parse_time(type_: SqlType, text: str) -> time | datetime:
    m = _TIME.fullmatch(text)
    if m is None:
        return _moment(type_, text)
    try:
        return _clock(m[1], m[2], m[3], m[4])
    except ValueError:
        raise Unfit(f"is no {type_}") from None


def to_ntz(type_: SqlType, value: object) -> Plain:
    """Milli- or microseconds since 1970 of the wall clock; an offset is dropped."""
    moment = _moment(type_, value)
    days = moment.toordinal() - 719163
    return _units(type_, days * 86_400_000_000 + _micros(moment))


def _isoformat(type_: SqlType, moment: datetime) -> str:
    """Fixed width for one column, so that texts in one zone sort as their times."""
    digits = 6 if type_.precision is None else min(type_.precision, 6)
    step: int = 10 ** (6 - digits)
    moment = moment.replace(microsecond=moment.microsecond // step * step)
    return moment.isoformat(timespec=timespec(type_))


def timespec(type_: SqlType) -> str:
    """How fine a zoned column's text is: whole seconds, milli- or microseconds."""
    if type_.precision == 0:
        return "seconds"
    return "milliseconds" if type_.in_millis else "microseconds"


def to_ltz(type_: SqlType, value: object) -> Plain:
    """ISO 8601 in UTC; without an offset the value is taken to be in UTC."""
    moment = _moment(type_, value)
    try:
        if moment.utcoffset() is not None:
            moment = moment.astimezone(UTC)
    except OverflowError:
        raise Unfit(f"is out of range of {type_}") from None
    return _isoformat(type_, moment.replace(tzinfo=None)) + "Z"


def to_tz(type_: SqlType, value: object) -> Plain:
    """ISO 8601 with its offset in whole minutes; without one the value is taken to be in UTC."""
    moment = _moment(type_, value)
    offset = moment.utcoffset()
    try:
        if offset is None:
            moment = moment.replace(tzinfo=UTC)
        else:
            zone = timezone(timedelta(minutes=offset // timedelta(minutes=1)))
            moment = moment.astimezone(zone)
            moment.astimezone(UTC)
    except OverflowError:
        raise Unfit(f"is out of range of {type_}") from None
    return _isoformat(type_, moment)


_JSON_TYPES = {Kind.OBJECT: (dict, "an object"), Kind.ARRAY: (list, "an array")}


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def to_json(type_: SqlType, value: object) -> Plain:
    """JSON text: text is checked and kept, anything else is written compactly, keys in order."""
    try:
        if isinstance(value, str):
            text, parsed = value, cast(object, json.loads(value, parse_constant=_refuse_constant))
        else:
            parsed = list(cast(tuple[object, ...], value)) if isinstance(value, tuple) else value
            text = json.dumps(
                parsed,
                separators=(",", ":"),
                ensure_ascii=False,
                allow_nan=False,
                sort_keys=True,
                default=_json_cell,
            )
    except (ValueError, TypeError, RecursionError):
        hint = ": text for it is JSON" if isinstance(value, str) else ""
        raise Unfit(f"is no {type_}{hint}") from None
    wanted = _JSON_TYPES.get(type_.kind)
    if wanted is not None and not isinstance(parsed, wanted[0]):
        raise Unfit(f"is not {wanted[1]}, the column is {type_}")
    if not text.isascii():
        _check_unicode(text)
    return text


def _json_cell(value: object) -> object:
    """What JSON has no form for, as Snowflake's VARIANT shows it."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")


ASSIGN: dict[Kind, Assign] = {
    Kind.INT: to_int,
    Kind.DECIMAL: to_decimal,
    Kind.FLOAT: to_float,
    Kind.BOOLEAN: to_boolean,
    Kind.VARCHAR: to_varchar,
    Kind.BINARY: to_binary,
    Kind.DATE: to_date,
    Kind.TIME: to_time,
    Kind.TIMESTAMP_NTZ: to_ntz,
    Kind.TIMESTAMP_LTZ: to_ltz,
    Kind.TIMESTAMP_TZ: to_tz,
    Kind.VARIANT: to_json,
    Kind.OBJECT: to_json,
    Kind.ARRAY: to_json,
}
