"""Assignment casts over whole Arrow columns: the same results as casts.py, without its loop.

`cast_column` answers only where it is sure: None sends the column through casts.py value by
value, which also finds the value at fault.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final, Literal, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.schemas import arrow
from headwater.schemas.arrow import Column, Whole
from headwater.schemas.casts import scaled, timespec
from headwater.schemas.types import JSON_KINDS, Kind, SqlType
from headwater.schemas.wire import bounds_of

_PER_SECOND: Final = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}
_DAY_US = 86_400_000_000
_OFFSET: Final = r"(\+(0\d|1\d|2[0-3]):[0-5]\d|-(0[1-9]|1\d|2[0-3]):[0-5]\d)"
_UNITS: Final[dict[str, Literal["s", "ms", "us"]]] = {
    "seconds": "s",
    "milliseconds": "ms",
    "microseconds": "us",
}
_FRACTIONS: Final = {"seconds": "", "milliseconds": r"\.\d{3}", "microseconds": r"\.\d{6}"}


def cast_column(type_: SqlType, column: Column) -> Column | None:
    """The column in the inner Arrow type, None where value by value must decide."""
    if pa.types.is_null(column.type):
        return arrow.nulls(len(column), type_.arrow)
    try:
        return _BY_KIND[type_.kind](type_, column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError):
        return None


def plain_arrow(column: Column) -> Column:
    """The same values in one of the layouts that the casts know: no dictionary, no 64-bit offsets.

    Nanoseconds are cut to microseconds, which is all that is kept.
    """
    type_ = column.type
    if isinstance(type_, pa.BaseExtensionType):
        return plain_arrow(arrow.storage(column))
    if pa.types.is_dictionary(type_):
        return plain_arrow(arrow.convert(column, arrow.value_type_of(type_)))
    if pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return arrow.convert(column, arrow.STRING)
    if (
        pa.types.is_large_binary(type_)
        or pa.types.is_fixed_size_binary(type_)
        or pa.types.is_binary_view(type_)
    ):
        return arrow.convert(column, arrow.BINARY)
    if (pa.types.is_timestamp(type_) or pa.types.is_time64(type_)) and _unit(type_) == "ns":
        micros = np.floor_divide(_int64(column), 1000)
        if pa.types.is_timestamp(type_):
            return _whole(micros, column, arrow.timestamp_us(arrow.zone_of(type_)))
        return _whole(micros, column, pa.time64("us"))
    return column


def _unit(type_: pa.DataType) -> str:
    return arrow.unit_of(type_)


def _int64(column: Column) -> Whole:
    """A date, time or timestamp column's numbers; nulls are 0."""
    narrow = column.type.bit_width == 32
    return arrow.whole(arrow.view(column, arrow.INT32 if narrow else arrow.INT64))


def _whole(numbers: Whole, like: Column, type_: pa.DataType) -> Column:
    """Numbers as a column of a type that is an integer inside, null where `like` is."""
    return arrow.from_whole(numbers, type_, ~arrow.valid(like) if like.null_count else None)


def _rounded(column: Column, digits: int) -> Column:
    options = pc.RoundOptions(digits, round_mode="half_towards_infinity")
    return arrow.kernel("round", column, options=options)


def _int(type_: SqlType, column: Column) -> Column | None:
    t = column.type
    if pa.types.is_integer(t):
        return arrow.convert(column, arrow.INT64)
    if pa.types.is_floating(t) or pa.types.is_decimal(t):
        wide = arrow.convert(column, pa.float64()) if pa.types.is_floating(t) else column
        return arrow.convert(_rounded(wide, 0), arrow.INT64)
    return None


def _decimal(type_: SqlType, column: Column) -> Column | None:
    t, scale = column.type, type_.scale or 0
    if t == type_.arrow:
        return column if _digits_fit(column) else None
    if pa.types.is_decimal(t):
        return arrow.convert(_rounded(column, scale), type_.arrow)
    if pa.types.is_integer(t):
        numbers = arrow.whole(arrow.convert(column, arrow.INT64))
        most = max(abs(int(numbers.min())), int(numbers.max())) if len(numbers) else 0
        if most * 10**scale > min(bounds_of(type_)[1], (1 << 63) - 1):
            return None
        return _decimals(type_, numbers * 10**scale, column)
    if pa.types.is_floating(t):
        return _decimal_of_floats(type_, column)
    return None


def _digits_fit(column: Column) -> bool:
    arrow.check(column)
    return True


def _decimals(type_: SqlType, unscaled: Whole, like: Column) -> Column:
    null = ~arrow.valid(like) if like.null_count else None
    return arrow.decimals(type_.arrow, unscaled, null)


def _decimal_of_floats(type_: SqlType, column: Column) -> Column | None:
    """Floats by their shortest text, which only matters near a tie: those go one by one."""
    floats = arrow.floats(arrow.convert(column, pa.float64()))
    scale = type_.scale or 0
    with np.errstate(over="ignore", invalid="ignore"):
        shifted = np.abs(floats * 10.0**scale)
        low = np.floor(shifted)
        fits = shifted < min(1e15, float(bounds_of(type_)[1]))
        if not bool(fits.all()):
            return None
        rounded = low + (shifted - low >= 0.5)
    unscaled = np.where(np.signbit(floats), -rounded, rounded).astype(np.int64)
    close = np.abs(shifted - low - 0.5) <= shifted * 2.0**-49 + 2.0**-60
    for i in np.flatnonzero(close).tolist():
        unscaled[i] = scaled(Decimal(repr(float(floats[i]))), scale, str(type_))
    return _decimals(type_, unscaled, column)


def _float(type_: SqlType, column: Column) -> Column | None:
    if pa.types.is_floating(column.type):
        return arrow.convert(column, pa.float64())
    if pa.types.is_integer(column.type):
        return arrow.convert(column, pa.float64(), safe=False)
    return None


def _boolean(type_: SqlType, column: Column) -> Column | None:
    if pa.types.is_boolean(column.type):
        return column
    if pa.types.is_integer(column.type):
        return arrow.kernel("not_equal", column, pa.scalar(0, column.type))
    return None


def _varchar(type_: SqlType, column: Column) -> Column | None:
    if pa.types.is_integer(column.type):
        column = arrow.convert(column, arrow.STRING)
    if not pa.types.is_string(column.type):
        return None
    arrow.check(column)
    if type_.length is not None and len(column):
        longest = arrow.whole(arrow.kernel("utf8_length", column)).max()
        if longest > type_.length:
            return None
    return column


def _binary(type_: SqlType, column: Column) -> Column | None:
    if not pa.types.is_binary(column.type):
        return None
    if type_.length is not None and len(column):
        longest = arrow.whole(arrow.kernel("binary_length", column)).max()
        if longest > type_.length:
            return None
    return column


def _wall_micros(column: Column) -> Whole | None:
    """Microseconds since 1970 on the wall clock, of dates and timestamps."""
    t = column.type
    if pa.types.is_date32(t):
        return _times(_int64(column), _DAY_US)
    if pa.types.is_date64(t):
        return np.floor_divide(_int64(column), 86_400_000) * _DAY_US
    if not pa.types.is_timestamp(t):
        return None
    if arrow.zone_of(t) is not None:
        column = arrow.kernel("local_timestamp", column)
    return _times(_int64(column), 1_000_000 // _PER_SECOND[_unit(t)])


def _times(numbers: Whole, factor: int) -> Whole:
    """The product; OverflowError where it has more than 64 bits."""
    most = max(abs(int(numbers.min())), int(numbers.max())) if len(numbers) else 0
    if most * factor >= 1 << 63:
        raise OverflowError
    return numbers * factor


def _cut(type_: SqlType, micros: Whole) -> Whole:
    """Microseconds cut to the column's precision, in its unit."""
    digits = min(6 if type_.precision is None else type_.precision, 6)
    step: int = 10 ** (6 - digits)
    cut = np.floor_divide(micros, step) * step if step > 1 else micros
    return np.floor_divide(cut, 1000) if type_.in_millis else cut


def _within(type_: SqlType, numbers: Whole, like: Column) -> Column | None:
    """Numbers as the column's Arrow type, None if one is out of its range."""
    low, high = bounds_of(type_)
    if len(numbers) and not low <= int(numbers.min()) <= int(numbers.max()) <= high:
        return None
    return _whole(numbers, like, type_.arrow)


def _date(type_: SqlType, column: Column) -> Column | None:
    micros = _wall_micros(column)
    return None if micros is None else _within(type_, np.floor_divide(micros, _DAY_US), column)


def _time(type_: SqlType, column: Column) -> Column | None:
    t = column.type
    if pa.types.is_time(t):
        micros = _int64(column) * (1_000_000 // _PER_SECOND[_unit(t)])
        return _within(type_, _cut(type_, micros), column)
    if pa.types.is_timestamp(t):
        wall = cast(Whole, _wall_micros(column))
        return _within(type_, _cut(type_, np.mod(wall, _DAY_US)), column)
    return None


def _ntz(type_: SqlType, column: Column) -> Column | None:
    micros = _wall_micros(column)
    return None if micros is None else _within(type_, _cut(type_, micros), column)


def _utc_micros(column: Column) -> Whole | None:
    """Microseconds since 1970 in UTC; what has no zone is taken to be in UTC."""
    if pa.types.is_timestamp(column.type):
        return _times(_int64(column), 1_000_000 // _PER_SECOND[_unit(column.type)])
    return _wall_micros(column)


def _ltz(type_: SqlType, column: Column) -> Column | None:
    if pa.types.is_string(column.type):
        return column if _is_written(type_, column, "Z") else None
    micros = _utc_micros(column)
    if micros is None or not _in_years(micros):
        return None
    return _texts(
        type_, micros, column, arrow.repeat(arrow.array(["Z"], arrow.STRING), len(column))
    )


def _tz(type_: SqlType, column: Column) -> Column | None:
    if pa.types.is_string(column.type):
        return column if _is_written(type_, column, _OFFSET) else None
    utc, wall = _utc_micros(column), _wall_micros(column)
    if utc is None or wall is None or not (_in_years(utc) and _in_years(wall)):
        return None
    ends = _offsets(wall - utc)
    return None if ends is None else _texts(type_, wall, column, ends)


def _is_written(type_: SqlType, column: Column, zone: str) -> bool:
    """Whether every text is a timestamp just as this column writes it."""
    form = rf"^\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d{_FRACTIONS[timespec(type_)]}{zone}$"
    if type_.precision in (1, 2, 4, 5) or not _all_match(column, form):
        return False  # digits beyond the precision have to be looked at
    parsed = arrow.convert(column, pa.timestamp("us", "UTC"))
    return _in_years(_int64(parsed))


def _all_match(column: Column, form: str) -> bool:
    options = pc.MatchSubstringOptions(form)
    found = arrow.kernel("match_substring_regex", column, options=options)
    return arrow.aggregate("all", found) in (True, None)


def _in_years(micros: Whole) -> bool:
    low, high = bounds_of(SqlType(Kind.TIMESTAMP_NTZ, "TIMESTAMP", precision=6))
    return not len(micros) or low <= int(micros.min()) <= int(micros.max()) <= high


def _texts(type_: SqlType, wall: Whole, like: Column, ends: Column) -> Column:
    """ISO 8601 of wall-clock times, each with its end."""
    cut = _cut(SqlType(Kind.TIMESTAMP_NTZ, type_.name, precision=type_.precision), wall)
    times = cut.view("M8[ms]") if type_.in_millis else cut.view("M8[us]")
    text = np.datetime_as_string(times, unit=_UNITS[timespec(type_)])
    texts = arrow.convert(arrow.array(text.astype("S26"), arrow.BINARY), arrow.STRING)
    joined = arrow.kernel("binary_join_element_wise", texts, ends, pa.scalar(""))
    return arrow.with_nulls(joined, ~arrow.valid(like)) if like.null_count else joined


def _offsets(spans: Whole) -> Column | None:
    """Offsets from UTC in microseconds as text; None if one is no whole number of minutes."""
    minutes = np.floor_divide(spans, 60_000_000)
    if bool((minutes * 60_000_000 != spans).any()):
        return None
    distinct, which = np.unique(minutes, return_inverse=True)
    names = [
        f"{'-' if m < 0 else '+'}{abs(m) // 60:02}:{abs(m) % 60:02}" for m in distinct.tolist()
    ]
    return arrow.take(arrow.array(names, arrow.STRING), which)


def _row_by_row(type_: SqlType, column: Column) -> None:
    return None


_BY_KIND: dict[Kind, Callable[[SqlType, Column], Column | None]] = {
    Kind.INT: _int,
    Kind.DECIMAL: _decimal,
    Kind.FLOAT: _float,
    Kind.BOOLEAN: _boolean,
    Kind.VARCHAR: _varchar,
    Kind.BINARY: _binary,
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.TIMESTAMP_NTZ: _ntz,
    Kind.TIMESTAMP_LTZ: _ltz,
    Kind.TIMESTAMP_TZ: _tz,
    **dict.fromkeys(JSON_KINDS, _row_by_row),
}
