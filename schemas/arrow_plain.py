"""Plain values to inner Arrow arrays and back, column by column; the types' table is in types.py."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.schemas.tables import TableSchema
from headwater.schemas.types import Kind, Plain, Row, SqlType

_WHOLE_KINDS = frozenset({Kind.DATE, Kind.TIME, Kind.TIMESTAMP_NTZ})


def arrow_schema(schema: TableSchema) -> pa.Schema:
    """The inner Arrow schema of a table's rows; every field may be null, as in Avro."""
    return pa.schema([pa.field(c.name, c.type.arrow) for c in schema.columns])


def whole_type(type_: SqlType) -> pa.DataType | None:
    """The Arrow integer that a DATE, TIME or TIMESTAMP_NTZ column can be seen as; else None."""
    if type_.kind not in _WHOLE_KINDS:
        return None
    narrow = type_.kind is Kind.DATE or (type_.kind is Kind.TIME and type_.in_millis)
    return pa.int32() if narrow else pa.int64()


def single_chunk(column: "pa.ChunkedArray | pa.Array") -> pa.Array:
    """A column as one array; copies only where there are several chunks."""
    if isinstance(column, pa.ChunkedArray):
        if column.num_chunks == 1:
            return column.chunk(0)
        whole = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        return cast(pa.Array, whole)
    return column


def to_array(type_: SqlType, values: Sequence[Plain]) -> pa.Array:
    """Plain values as one inner Arrow array."""
    if type_.kind is Kind.DECIMAL:
        return _decimals(type_, values)
    whole = whole_type(type_)
    if whole is not None:
        return cast(pa.Array, pa.array(values, whole).view(type_.arrow))
    return cast(pa.Array, pa.array(values, type_.arrow))


def _decimals(type_: SqlType, values: Sequence[Plain]) -> pa.Array:
    data = b"".join(
        b"\0" * 16 if v is None else int(v).to_bytes(16, "little", signed=True) for v in values
    )
    valid = None
    if None in values:
        bits = np.array([v is not None for v in values], np.bool_)
        valid = pa.py_buffer(np.packbits(bits, bitorder="little").tobytes())
    made = pa.Array.from_buffers(type_.arrow, len(values), [valid, pa.py_buffer(data)])
    return cast(pa.Array, made)


def to_plains(type_: SqlType, column: "pa.ChunkedArray | pa.Array") -> list[Plain]:
    """An inner Arrow column as plain values."""
    array = single_chunk(column)
    if type_.kind is Kind.DECIMAL:
        return _unscaled(array)
    whole = whole_type(type_)
    if whole is not None:
        array = cast(pa.Array, array.view(whole))
    return cast(list[Plain], array.to_pylist())


def decimal_words(array: pa.Array) -> npt.NDArray[np.int64]:
    """The 128-bit unscaled numbers of a decimal array as (n, 2) words, low first; nulls are junk."""
    buffer = array.buffers()[1]
    if buffer is None or not len(array):
        return np.zeros((len(array), 2), np.int64)
    words = np.frombuffer(buffer, np.int64).reshape(-1, 2)
    return words[array.offset : array.offset + len(array)]


def _unscaled(array: pa.Array) -> list[Plain]:
    words = decimal_words(array)
    low, high = words[:, 0], words[:, 1]
    if bool((high == low >> 63).all()):
        numbers = cast(list[Plain], low.tolist())
    else:
        pairs = zip(low.view(np.uint64).tolist(), high.tolist(), strict=True)
        numbers = [(h << 64) + lo for lo, h in pairs]
    if array.null_count:
        valid = cast(list[bool], array.is_valid().to_pylist())
        return [n if v else None for n, v in zip(numbers, valid, strict=True)]
    return numbers


def to_table(schema: TableSchema, rows: Sequence[Row]) -> pa.Table:
    """Plain rows as an inner Arrow table, columns in schema order."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema.columns)
    arrays = [to_array(c.type, v) for c, v in zip(schema.columns, columns, strict=True)]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(schema))


def to_rows(schema: TableSchema, data: pa.Table) -> list[Row]:
    """The rows of an inner Arrow table as plain tuples."""
    pairs = zip(schema.columns, data.columns, strict=True)
    return list(zip(*(to_plains(column.type, values) for column, values in pairs), strict=True))
