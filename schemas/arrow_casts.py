"""Assignment casts over whole Arrow columns: the same results as casts.py, without its loop.

`cast_column` answers only where it is sure: None sends the column through casts.py value by
value, which also finds the value at fault.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headwater.schemas.arrow_plain import whole_type
from headwater.schemas.casts import scaled, timespec
from headwater.schemas.types import JSON_KINDS, Kind, SqlType
from headwater.schemas.wire import bounds_of

Whole = npt.NDArray[np.int64]

_PER_SECOND: Final = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}
_DAY_US = 86_400_000_000
_FRACTIONS: Final = {"seconds": "", "milliseconds": r"\.\d{3}", "microseconds": r"\.\d{6}"}


def cast_column(type_: SqlType, column: pa.Array) -> pa.Array | None:
    """The column in the inner Arrow type, None where value by value must decide."""
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), type_.arrow)
    try:
        return _BY_KIND[type_.kind](type_, column)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError):
        return None


def plain_arrow(column: pa.Array) -> pa.Array:
    """The same values in one of the layouts that the casts know: no dictionary, no 64-bit offsets.

    Nanoseconds are cut to microseconds, which is all that is kept.
    """
    type_ = column.type
    if isinstance(type_, pa.BaseExtensionType):
        return plain_arrow(cast(pa.ExtensionArray, column).storage)
    if isinstance(type_, pa.DictionaryType):
        return plain_arrow(cast(pa.DictionaryArray, column).dictionary_decode())
    if pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return column.cast(pa.string())
    if (
        pa.types.is_large_binary(type_)
        or pa.types.is_fixed_size_binary(type_)
        or pa.types.is_binary_view(type_)
    ):
        return column.cast(pa.binary())
    if isinstance(type_, (pa.TimestampType, pa.Time64Type)) and type_.unit == "ns":
        micros = np.floor_divide(_int64(column), 1000)
        unit = (
            pa.timestamp("us", type_.tz) if isinstance(type_, pa.TimestampType) else pa.time64("us")
        )
        return _whole(micros, column, pa.int64()).view(unit)
    return column


def _int64(column: pa.Array) -> Whole:
    """A date, time or timestamp column's numbers; nulls are 0."""
    narrow = column.type.bit_width == 32
    numbers = column.view(pa.int32() if narrow else pa.int64())
    return numbers.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)


def _whole(numbers: Whole, like: pa.Array, type_: pa.DataType) -> pa.Array:
    """Numbers as an Arrow array, null where `like` is."""
    mask = like.is_null().to_numpy(zero_copy_only=False) if like.null_count else None
    return pa.array(numbers, pa.int64(), mask=mask).cast(type_)


def _int(type_: SqlType, column: pa.Array) -> pa.Array | None:
    t = column.type
    if pa.types.is_integer(t):
        return column.cast(pa.int64())
    if pa.types.is_floating(t) or pa.types.is_decimal(t):
        wide = column.cast(pa.float64()) if pa.types.is_floating(t) else column
        return pc.round(wide, 0, round_mode="half_towards_infinity").cast(pa.int64())
    return None


def _decimal(type_: SqlType, column: pa.Array) -> pa.Array | None:
    t, scale = column.type, type_.scale or 0
    if t == type_.arrow:
        return column if _digits_fit(column) else None
    if pa.types.is_decimal(t):
        rounded = pc.round(column, scale, round_mode="half_towards_infinity")
        return rounded.cast(type_.arrow)
    if pa.types.is_integer(t):
        numbers = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        most = max(abs(int(numbers.min())), int(numbers.max())) if len(numbers) else 0
        if most * 10**scale > min(bounds_of(type_)[1], (1 << 63) - 1):
            return None
        return decimals(type_, numbers * 10**scale, column)
    if pa.types.is_floating(t):
        return _decimal_of_floats(type_, column)
    return None


def _digits_fit(column: pa.Array) -> bool:
    column.validate(full=True)
    return True


def decimals(type_: SqlType, unscaled: Whole, like: pa.Array | None = None) -> pa.Array:
    """Unscaled numbers as decimals, null where `like` is."""
    words = np.empty((len(unscaled), 2), np.int64)
    words[:, 0] = unscaled
    words[:, 1] = unscaled >> 63
    valid = None
    if like is not None and like.null_count:
        bits = like.is_valid().to_numpy(zero_copy_only=False)
        valid = pa.py_buffer(np.packbits(bits, bitorder="little"))
    return pa.Array.from_buffers(type_.arrow, len(words), [valid, pa.py_buffer(words)])


def _decimal_of_floats(type_: SqlType, column: pa.Array) -> pa.Array | None:
    """Floats by their shortest text, which only matters near a tie: those go one by one."""
    floats = column.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False)
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
    return decimals(type_, unscaled, column)


def _float(type_: SqlType, column: pa.Array) -> pa.Array | None:
    if pa.types.is_floating(column.type):
        return column.cast(pa.float64())
    if pa.types.is_integer(column.type):
        return column.cast(pa.float64(), safe=False)
    return None


def _boolean(type_: SqlType, column: pa.Array) -> pa.Array | None:
    if pa.types.is_boolean(column.type):
        return column
    if pa.types.is_integer(column.type):
        return pc.not_equal(column, pa.scalar(0, column.type))
    return None


def _varchar(type_: SqlType, column: pa.Array) -> pa.Array | None:
    if pa.types.is_integer(column.type):
        column = column.cast(pa.string())
    if not pa.types.is_string(column.type):
        return None
    column.validate(full=True)
    if type_.length is not None and len(column):
        longest = cast(int | None, pc.max(pc.utf8_length(column)).as_py())
        if longest is not None and longest > type_.length:
            return None
    return column


def _binary(type_: SqlType, column: pa.Array) -> pa.Array | None:
    if not pa.types.is_binary(column.type):
        return None
    if type_.length is not None and len(column):
        longest = cast(int | None, pc.max(pc.binary_length(column)).as_py())
        if longest is not None and longest > type_.length:
            return None
    return column


def _wall_micros(column: pa.Array) -> Whole | None:
    """Microseconds since 1970 on the wall clock, of dates and timestamps."""
    t = column.type
    if pa.types.is_date32(t):
        return _times(_int64(column), _DAY_US)
    if pa.types.is_date64(t):
        return np.floor_divide(_int64(column), 86_400_000) * _DAY_US
    if not isinstance(t, pa.TimestampType):
        return None
    if t.tz is not None:
        column = pc.local_timestamp(column)
    return _times(_int64(column), 1_000_000 // _PER_SECOND[t.unit])


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


def _within(type_: SqlType, numbers: Whole, like: pa.Array) -> pa.Array | None:
    """Numbers as the column's Arrow type, None if one is out of its range."""
    low, high = bounds_of(type_)
    if len(numbers) and not low <= int(numbers.min()) <= int(numbers.max()) <= high:
        return None
    return _whole(numbers, like, cast(pa.DataType, whole_type(type_))).view(type_.arrow)


def _date(type_: SqlType, column: pa.Array) -> pa.Array | None:
    micros = _wall_micros(column)
    return None if micros is None else _within(type_, np.floor_divide(micros, _DAY_US), column)


def _time(type_: SqlType, column: pa.Array) -> pa.Array | None:
    t = column.type
    if isinstance(t, (pa.Time32Type, pa.Time64Type)):
        micros = _int64(column) * (1_000_000 // _PER_SECOND[t.unit])
        return _within(type_, _cut(type_, micros), column)
    if isinstance(t, pa.TimestampType):
        wall = cast(Whole, _wall_micros(column))
        return _within(type_, _cut(type_, np.mod(wall, _DAY_US)), column)
    return None


def _ntz(type_: SqlType, column: pa.Array) -> pa.Array | None:
    micros = _wall_micros(column)
    return None if micros is None else _within(type_, _cut(type_, micros), column)


def _utc_micros(column: pa.Array) -> Whole | None:
    """Microseconds since 1970 in UTC; what has no zone is taken to be in UTC."""
    if isinstance(column.type, pa.TimestampType):
        naive = column.cast(pa.timestamp(column.type.unit))
        return _wall_micros(naive)
    return _wall_micros(column)


def _ltz(type_: SqlType, column: pa.Array) -> pa.Array | None:
    if pa.types.is_string(column.type):
        return column if _is_written(type_, column, "Z") else None
    micros = _utc_micros(column)
    return None if micros is None else _texts(type_, micros, column, None)


def _tz(type_: SqlType, column: pa.Array) -> pa.Array | None:
    if pa.types.is_string(column.type):
        return column if _is_written(type_, column, r"[+-]\d\d:\d\d") else None
    utc, wall = _utc_micros(column), _wall_micros(column)
    if utc is None or wall is None:
        return None
    return _texts(type_, wall, column, wall - utc)


def _is_written(type_: SqlType, column: pa.Array, zone: str) -> bool:
    """Whether every text is a timestamp just as this column writes it."""
    form = rf"^\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d{_FRACTIONS[timespec(type_)]}{zone}$"
    if not cast(bool | None, pc.all(pc.match_substring_regex(column, form)).as_py()):
        return column.null_count == len(column)
    if type_.precision in (1, 2, 4, 5):
        return False  # digits beyond the precision have to be looked at
    parsed = cast(
        Whole, _wall_micros(column.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us")))
    )
    return _in_years(parsed)


def _in_years(micros: Whole) -> bool:
    low, high = bounds_of(SqlType(Kind.TIMESTAMP_NTZ, "TIMESTAMP", precision=6))
    return not len(micros) or low <= int(micros.min()) <= int(micros.max()) <= high


def _texts(type_: SqlType, wall: Whole, like: pa.Array, offset: Whole | None) -> pa.Array | None:
    """ISO 8601 of wall-clock times, in UTC with Z, or with each time's own offset."""
    minutes = None if offset is None else np.floor_divide(offset, 60_000_000)
    if not _in_years(wall) or (
        offset is not None and minutes is not None and bool((minutes * 60_000_000 != offset).any())
    ):
        return None
    cut = _cut(SqlType(Kind.TIMESTAMP_NTZ, type_.name, precision=type_.precision), wall)
    unit = "ms" if type_.in_millis else "us"
    spec = {"seconds": "s", "milliseconds": "ms", "microseconds": "us"}[timespec(type_)]
    text = np.datetime_as_string(cut.view(f"datetime64[{unit}]"), unit=spec)
    texts = pa.array(text.astype(f"S{text.dtype.itemsize // 4}"), pa.binary()).cast(pa.string())
    ends = pa.scalar("Z") if minutes is None else _offsets(minutes)
    joined = pc.binary_join_element_wise(texts, ends, "")
    return (
        pc.if_else(like.is_null(), pa.scalar(None, pa.string()), joined)
        if like.null_count
        else joined
    )


def _offsets(minutes: Whole) -> pa.Array:
    distinct, which = np.unique(minutes, return_inverse=True)
    names = [
        f"{'-' if m < 0 else '+'}{abs(m) // 60:02}:{abs(m) % 60:02}" for m in distinct.tolist()
    ]
    return pa.array(names, pa.string()).take(pa.array(which))


def _row_by_row(type_: SqlType, column: pa.Array) -> None:
    return None


_BY_KIND: dict[Kind, Callable[[SqlType, pa.Array], pa.Array | None]] = {
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
