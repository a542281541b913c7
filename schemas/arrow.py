"""Arrow as this room uses it: few calls, whose types say what comes back.

pyarrow's stubs tell a column's type by generic scalars, which code over columns of any type cannot
name. Here a column is a `Column`; the casts that this needs stand in this module only.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:  # pyarrow's own classes take no parameters
    Value = pa.Scalar[pa.DataType]
    Column = pa.Array[Value]
    Chunks = pa.ChunkedArray[Value]
else:
    Value, Column, Chunks = pa.Scalar, pa.Array, pa.ChunkedArray

Whole = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]
Small = npt.NDArray[np.int32]

# The stubs name each type of column apart; these take and give any.
_buffer = cast("Callable[[object], pa.Buffer]", pa.py_buffer)
_from_buffers = cast(
    "Callable[[pa.DataType, int, Sequence[pa.Buffer | None]], Column]", pa.Array.from_buffers
)
_array = cast("Callable[[object, pa.DataType], Column]", pa.array)
_guess = cast("Callable[[object], Column]", pa.array)
_indexes = cast("Callable[[Whole | Small, pa.DataType, Flags | None], pa.Int64Array]", pa.array)
_nulls = cast("Callable[[int, pa.DataType], Column]", pa.nulls)
_repeat = cast("Callable[[Value, int], Column]", pa.repeat)
_chunked = cast("Callable[[list[Column], pa.DataType], Chunks]", pa.chunked_array)

_call = cast(
    "Callable[[str, Sequence[object], pc.FunctionOptions | None], object]", pc.call_function
)

INT32 = pa.int32()
INT64 = pa.int64()
BINARY = pa.binary()
STRING = pa.string()
NOTHING = pa.scalar(b"", BINARY)


def kernel(name: str, *arguments: object, options: pc.FunctionOptions | None = None) -> Column:
    """The column that a compute kernel makes of columns and scalars."""
    return cast(Column, _call(name, arguments, options))


def aggregate(name: str, column: Column) -> object:
    """The Python value that an aggregation kernel makes of a column; None for none."""
    return cast(Value, _call(name, [column], None)).as_py()


def from_buffers(
    type_: pa.DataType, length: int, buffers: Sequence["Bytes | Whole | Small | bytes | None"]
) -> Column:
    """A column around memory that numpy or Python owns; None for no validity bitmap."""
    held = [None if b is None else _buffer(b) for b in buffers]
    return _from_buffers(type_, length, held)


def binary(offsets: "Whole | Small", data: "Bytes | bytes") -> pa.BinaryArray:
    """The byte strings between offsets, which are cut to 32 bits: at most 2 GB."""
    places = offsets.astype(np.int32, copy=False)
    return cast(pa.BinaryArray, from_buffers(BINARY, len(places) - 1, [None, places, data]))


def bits(flags: Flags) -> Bytes:
    """A validity bitmap."""
    return np.packbits(flags, bitorder="little")


def view(column: Column, type_: pa.DataType) -> Column:
    """The same memory as another type."""
    return column.view(type_)


def convert(column: Column, type_: pa.DataType, *, safe: bool = True) -> Column:
    """The same values in another type; pa.ArrowInvalid where one does not fit."""
    return column.cast(type_, safe=safe)


def check(column: Column) -> None:
    """Nothing if the column's memory is sound, its text UTF-8; pa.ArrowInvalid if not."""
    column.validate(full=True)


def valid(column: Column) -> Flags:
    """Which values are not null."""
    flags = column.is_valid().to_numpy(zero_copy_only=False)
    return cast(Flags, flags)


def whole(column: Column) -> Whole:
    """The numbers of an integer column; nulls are 0."""
    filled = kernel("coalesce", column, pa.scalar(0, column.type)) if column.null_count else column
    numbers = cast("npt.NDArray[np.integer]", filled.to_numpy(zero_copy_only=False))
    return numbers.astype(np.int64, copy=False)


def floats(column: Column) -> npt.NDArray[np.float64]:
    """The numbers of a float column; nulls are 0."""
    filled = kernel("coalesce", column, pa.scalar(0.0)) if column.null_count else column
    return cast("npt.NDArray[np.float64]", filled.to_numpy(zero_copy_only=False))


def from_whole(numbers: "Whole | Small", type_: pa.DataType, null: Flags | None = None) -> Column:
    """Numbers as a column of an integer type, or of one that is an integer inside."""
    narrow = type_.bit_width == 32
    data: Whole | Small = (
        np.ascontiguousarray(numbers, np.int32)
        if narrow
        else np.ascontiguousarray(numbers, np.int64)
    )
    return from_buffers(type_, len(data), [None if null is None else bits(~null), data])


def array(values: object, type_: pa.DataType) -> Column:
    """Python values as a column."""
    return _array(values, type_)


def guessed(values: object) -> Column:
    """Python values of one sort as a column of the type that fits them."""
    return _guess(values)


def nulls(count: int, type_: pa.DataType) -> Column:
    """So many nulls."""
    return _nulls(count, type_)


def repeat(one: Column, count: int) -> Column:
    """The only value of a column so many times."""
    if one.null_count:
        return nulls(count, one.type)
    return _repeat(one[0], count)


def _index_type(rows: "Whole | Small") -> pa.DataType:
    return INT32 if rows.dtype == np.int32 else INT64


def take(column: Column, rows: "Whole | Small") -> Column:
    """The values at those rows."""
    return column.take(_indexes(rows, _index_type(rows), None))


def chunked(chunks: Sequence[Column], type_: pa.DataType) -> Chunks:
    """Chunks of one column."""
    return _chunked(list(chunks), type_)


def joined(chunks: Sequence[Column], type_: pa.DataType) -> Column:
    """Chunks of one column in one piece; pa.ArrowInvalid above 2 GB of bytes."""
    if len(chunks) == 1:
        return chunks[0]
    return pa.concat_arrays(list(chunks)) if chunks else array([], type_)


def chunks_of(column: Chunks) -> list[Column]:
    """The chunks of a column."""
    return list(column.chunks)


def single_chunk(column: "Chunks | Column") -> Column:
    """A column in one piece; copies only where there are several chunks."""
    if isinstance(column, pa.ChunkedArray):
        return joined(chunks_of(column), column.type)
    return column


def table(columns: "Sequence[Column] | Sequence[Chunks]", schema: pa.Schema) -> pa.Table:
    """A table of columns, each of its field's type."""
    return pa.Table.from_arrays(cast("list[Column]", list(columns)), schema=schema)


def columns_of(data: "pa.Table | pa.RecordBatch") -> list[Column]:
    """A table's columns, each in one piece."""
    return [single_chunk(column) for column in cast("list[Chunks | Column]", data.columns)]


def words(column: Column) -> Whole:
    """The 128-bit unscaled numbers of a decimal128 column as (n, 2) words, low first; nulls are junk."""
    buffer = column.buffers()[1]
    if buffer is None or not len(column):
        return np.zeros((len(column), 2), np.int64)
    numbers = np.frombuffer(memoryview(cast(bytes, buffer)), np.int64).reshape(-1, 2)
    return numbers[column.offset : column.offset + len(column)]


def decimals(type_: pa.DataType, unscaled: "Whole | Small", null: Flags | None = None) -> Column:
    """64-bit unscaled numbers as decimals."""
    pairs = np.empty((len(unscaled), 2), np.int64)
    pairs[:, 0] = unscaled
    pairs[:, 1] = unscaled >> (8 * unscaled.itemsize - 1)
    return from_buffers(type_, len(pairs), [None if null is None else bits(~null), pairs])


def sizes(strings: pa.BinaryArray) -> Whole:
    """The length of each byte string; null counts 0."""
    return whole(kernel("binary_length", strings))


def contents(strings: pa.BinaryArray) -> memoryview:
    """The bytes of all strings, one after another; nulls have none."""
    _, places, data = strings.buffers()
    if places is None or data is None or not len(strings):
        return memoryview(b"")
    offsets = np.frombuffer(memoryview(cast(bytes, places)), np.int32)
    start, end = offsets[strings.offset], offsets[strings.offset + len(strings)]
    return memoryview(cast(bytes, data))[int(start) : int(end)]


def is_ascii(strings: pa.BinaryArray) -> bool:
    """Whether none of the bytes is of a longer character."""
    held = contents(strings)
    return not len(held) or int(np.frombuffer(held, np.uint8).max()) < 128


def with_nulls(strings: Column, null: Flags) -> Column:
    """Byte strings, null where it says so; the column must be a whole one of its own."""
    _, places, data = strings.buffers()
    return _from_buffers(strings.type, len(strings), [_buffer(bits(~null)), places, data])


def offsets(strings: pa.BinaryArray) -> Whole:
    """Where each byte string starts within `contents`, and behind the last where it ends."""
    _, places, _ = strings.buffers()
    if places is None or not len(strings):
        return np.zeros(1, np.int64)
    found = np.frombuffer(memoryview(cast(bytes, places)), np.int32)
    found = found[strings.offset : strings.offset + len(strings) + 1]
    return found.astype(np.int64) - int(found[0])


def take_or_null(column: Column, rows: Whole, null: Flags) -> Column:
    """The values at those rows, null where it says so."""
    return column.take(_indexes(rows, INT64, null))


def storage(column: Column) -> Column:
    """What an extension column holds."""
    return cast(_Extension, column).storage


class _Extension(Protocol):
    @property
    def storage(self) -> Column: ...


def values(column: Column) -> list[object]:
    """The column's values as Python's."""
    return cast(_Listed, column).to_pylist()


class _Listed(Protocol):
    def to_pylist(self) -> list[object]: ...


class _Clock(Protocol):
    @property
    def unit(self) -> str: ...


class _Zoned(Protocol):
    @property
    def tz(self) -> str | None: ...


def unit_of(type_: pa.DataType) -> str:
    """The unit of a time or timestamp type: s, ms, us or ns."""
    return cast(_Clock, type_).unit


def zone_of(type_: pa.DataType) -> str | None:
    """The time zone of a timestamp type, None without one."""
    return cast(_Zoned, type_).tz


def timestamp_us(zone: str | None) -> pa.DataType:
    """The type of microseconds in a time zone, or without one."""
    return cast("Callable[[str, str | None], pa.DataType]", pa.timestamp)("us", zone)


class _Coded(Protocol):
    @property
    def value_type(self) -> pa.DataType: ...


def value_type_of(type_: pa.DataType) -> pa.DataType:
    """The type of a dictionary type's values."""
    return cast(_Coded, type_).value_type
