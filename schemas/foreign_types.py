"""Kafka Connect's types and Debezium's names for them, as column types and values here.

Connect type, name                             column             value
int8 .. int64                                  INT                int
float, double                                  FLOAT              float
boolean, string, bytes                         BOOLEAN, VARCHAR, BINARY
connect.data.Decimal                           DECIMAL(p,s)       Decimal
debezium.data.VariableScaleDecimal             VARCHAR            every digit as text
connect.data.Date, debezium.time.Date          DATE
connect.data.Time, debezium.time.Time          TIME(3)            milliseconds
debezium.time.MicroTime, NanoTime              TIME               microseconds; finer is cut
connect.data.Timestamp, debezium.time.Timestamp  TIMESTAMP_NTZ(3)
debezium.time.MicroTimestamp, NanoTimestamp    TIMESTAMP_NTZ      finer than microseconds is cut
debezium.time.ZonedTimestamp                   TIMESTAMP_TZ
debezium.data.Json                             VARIANT
struct, map; array                             OBJECT; ARRAY      as JSON
any other name                                 as its plain type  (Uuid, Xml, Enum, ..: text)
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from typing import Final, cast

from headwater.schemas.errors import EventUnreadable
from headwater.schemas.foreign import PLACEHOLDER, UNAVAILABLE
from headwater.schemas.types import Kind, SqlType

Convert = Callable[[object], object]

_WIDE: Final = Context(prec=3000)
_EPOCH: Final = datetime(1970, 1, 1)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_PLAIN: Final = {
    **dict.fromkeys(("int8", "int16", "int32", "int64"), "INT"),
    **dict.fromkeys(("float", "float32", "double", "float64"), "FLOAT"),
    "boolean": "BOOLEAN",
    "string": "VARCHAR",
    "bytes": "BINARY",
    "struct": "OBJECT",
    "map": "OBJECT",
    "array": "ARRAY",
}


def column_of(
    type_: str, name: str | None, parameters: Mapping[str, str]
) -> tuple[SqlType, Convert]:
    """The column type of a Connect type, and what makes its values from those in JSON or Avro.

    Raises:
        EventUnreadable: a type that Connect has not.
    """
    short = (name or "").removeprefix("org.apache.kafka.connect.data.").removeprefix("io.debezium.")
    if short == "Decimal":
        return _decimal(parameters)
    if short in _NAMED:
        declared, convert = _NAMED[short]
        return SqlType.parse(declared), _keeping_none(convert)
    if type_ not in _PLAIN:
        raise EventUnreadable(f"Connect type {type_!r} is not known")
    convert = _bytes if type_ == "bytes" else _as_it_is
    return SqlType.parse(_PLAIN[type_]), _keeping_none(convert)


def _decimal(parameters: Mapping[str, str]) -> tuple[SqlType, Convert]:
    try:
        scale = int(parameters.get("scale", "0"))
        precision = int(parameters.get("connect.decimal.precision", "38"))
    except ValueError:
        raise EventUnreadable(f"a Decimal with parameters {dict(parameters)}") from None
    if not 0 <= scale <= 38 or precision < 1:
        # A negative scale, or more digits than a column holds: every digit as text.
        return SqlType.parse("VARCHAR"), _keeping_none(lambda value: _text(_scaled(value, scale)))
    declared = SqlType.parse(f"DECIMAL({max(min(precision, 38), scale, 1)},{scale})")
    return declared, _keeping_none(lambda value: _scaled(value, scale))


def _keeping_none(convert: Convert) -> Convert:
    def keep(value: object) -> object:
        if value is None:
            return None
        if value == PLACEHOLDER or value == PLACEHOLDER.encode():
            return UNAVAILABLE
        return convert(value)

    return keep


def _as_it_is(value: object) -> object:
    return value


def _bytes(value: object) -> object:
    """Bytes: as they are in Avro, in base 64 in JSON."""
    if not isinstance(value, str):
        return value
    try:
        data = base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        raise EventUnreadable("bytes that are no base 64") from None
    return UNAVAILABLE if data == PLACEHOLDER.encode() else data


def _scaled(value: object, scale: int) -> Decimal:
    """A number from its unscaled bytes, big-endian two's complement, or from the number itself."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Decimal(repr(value))
    data = _bytes(value)
    if not isinstance(data, bytes) or len(data) > 1000:
        raise EventUnreadable("a Decimal that is no bytes")
    return Decimal(int.from_bytes(data, "big", signed=True)).scaleb(-scale, _WIDE)


def _text(number: Decimal) -> str:
    return format(number, "f")


def _variable(value: object) -> object:
    """Debezium's number with a scale of its own."""
    if not isinstance(value, Mapping):
        raise EventUnreadable("a VariableScaleDecimal that is no struct")
    parts = cast("Mapping[str, object]", value)
    scale = parts.get("scale")
    if not isinstance(scale, int) or abs(scale) > 1000:
        raise EventUnreadable("a VariableScaleDecimal without a scale")
    return _text(_scaled(parts.get("value"), scale))


def _whole(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise EventUnreadable(f"a {what} that is no whole number")
    return value


def _date(value: object) -> object:
    if isinstance(value, date):
        return value
    try:
        return date.fromordinal(_EPOCH_DAY + _whole(value, "date"))
    except (ValueError, OverflowError):
        raise EventUnreadable("a date outside the years 1 to 9999") from None


def _moment(per_second: int) -> Convert:
    """Counts since 1970, so many a second, as wall-clock timestamps."""

    def convert(value: object) -> object:
        if isinstance(value, datetime):
            return value.replace(tzinfo=None)
        count = _whole(value, "timestamp")
        try:
            return _EPOCH + timedelta(microseconds=count * 1_000_000 // per_second)
        except OverflowError:
            raise EventUnreadable("a timestamp outside the years 1 to 9999") from None

    return convert


def _clock(per_second: int) -> Convert:
    """Counts since midnight, so many a second, as times of day."""

    def convert(value: object) -> object:
        if not isinstance(value, int):
            return value  # an Avro reader has made a time of it
        micros = _whole(value, "time") * 1_000_000 // per_second
        if not 0 <= micros < 86_400_000_000:
            raise EventUnreadable("a time outside the day")
        return (_EPOCH + timedelta(microseconds=micros)).time()

    return convert


_NAMED: Final[dict[str, tuple[str, Convert]]] = {
    "Date": ("DATE", _date),
    "time.Date": ("DATE", _date),
    "Time": ("TIME(3)", _clock(1000)),
    "time.Time": ("TIME(3)", _clock(1000)),
    "time.MicroTime": ("TIME", _clock(1_000_000)),
    "time.NanoTime": ("TIME", _clock(1_000_000_000)),
    "Timestamp": ("TIMESTAMP_NTZ(3)", _moment(1000)),
    "time.Timestamp": ("TIMESTAMP_NTZ(3)", _moment(1000)),
    "time.MicroTimestamp": ("TIMESTAMP_NTZ", _moment(1_000_000)),
    "time.NanoTimestamp": ("TIMESTAMP_NTZ", _moment(1_000_000_000)),
    "time.ZonedTimestamp": ("TIMESTAMP_TZ", _as_it_is),
    "data.Json": ("VARIANT", _as_it_is),
    "data.VariableScaleDecimal": ("VARCHAR", _variable),
}


def declared_convert(type_: SqlType) -> Convert:
    """What makes values of a declared type from JSON that comes without a schema.

    Whole numbers are days for a DATE, and what Debezium's precision for the column is for times:
    milliseconds up to (3), microseconds beyond. Text is read as the type's own; BINARY in base 64.
    """
    match type_.kind:
        case Kind.DATE:
            return _keeping_none(_whole_or(_date))
        case Kind.TIME:
            return _keeping_none(_whole_or(_clock(1000 if type_.in_millis else 1_000_000)))
        case Kind.TIMESTAMP_NTZ:
            return _keeping_none(_whole_or(_moment(1000 if type_.in_millis else 1_000_000)))
        case Kind.BINARY:
            return _keeping_none(_bytes)
        case _:
            return _keeping_none(_as_it_is)


def _whole_or(convert: Convert) -> Convert:
    """The conversion for whole numbers; anything else as it is."""
    return lambda value: convert(value) if isinstance(value, int) else value
