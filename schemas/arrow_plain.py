"""Plain values to inner Arrow arrays and back, column by column; the types' table is in types.py."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import pyarrow as pa

from headwater.schemas import arrow
from headwater.schemas.arrow import Chunks, Column
from headwater.schemas.tables import Column as TableColumn
from headwater.schemas.tables import TableSchema
from headwater.schemas.types import Kind, Plain, Row, SqlType

_WHOLE_KINDS = frozenset({Kind.DATE, Kind.TIME, Kind.TIMESTAMP_NTZ})


def arrow_schema(schema: TableSchema) -> pa.Schema:
    """The inner Arrow schema of a table's rows; every field may be null, as in Avro."""
    return arrow_schema_of(schema.columns)


def arrow_schema_of(columns: Sequence[TableColumn]) -> pa.Schema:
    """The inner Arrow schema of some columns."""
    return pa.schema([pa.field(c.name, c.type.arrow) for c in columns])


def whole_type(type_: SqlType) -> pa.DataType | None:
    """The Arrow integer that a DATE, TIME or TIMESTAMP_NTZ column can be seen as; else None."""
    if type_.kind not in _WHOLE_KINDS:
        return None
    narrow = type_.kind is Kind.DATE or (type_.kind is Kind.TIME and type_.in_millis)
    return pa.int32() if narrow else pa.int64()


def to_array(type_: SqlType, values: Sequence[Plain]) -> Column:
    """Plain values as one inner Arrow array."""
    if type_.kind is Kind.DECIMAL:
        return _decimals(type_, values)
    whole = whole_type(type_)
    if whole is not None:
        return arrow.view(arrow.array(values, whole), type_.arrow)
    return arrow.array(values, type_.arrow)


def _decimals(type_: SqlType, values: Sequence[Plain]) -> Column:
    data = b"".join(
        b"\0" * 16 if v is None else int(v).to_bytes(16, "little", signed=True) for v in values
    )
    valid = None
    if None in values:
        valid = arrow.bits(np.array([v is not None for v in values], np.bool_))
    return arrow.from_buffers(type_.arrow, len(values), [valid, data])


def to_plains(type_: SqlType, column: "Chunks | Column") -> list[Plain]:
    """An inner Arrow column as plain values."""
    whole = arrow.single_chunk(column)
    if type_.kind is Kind.DECIMAL:
        return _unscaled(whole)
    inner = whole_type(type_)
    if inner is not None:
        whole = arrow.view(whole, inner)
    return cast("list[Plain]", arrow.values(whole))


def _unscaled(column: Column) -> list[Plain]:
    words = arrow.words(column)
    low, high = words[:, 0], words[:, 1]
    if bool((high == low >> 63).all()):
        numbers = low.tolist()
    else:
        pairs = zip(low.view(np.uint64).tolist(), high.tolist(), strict=True)
        numbers = [(h << 64) + lo for lo, h in pairs]
    if column.null_count:
        there = arrow.valid(column).tolist()
        return [n if t else None for n, t in zip(numbers, there, strict=True)]
    return list(numbers)


def to_table(schema: TableSchema, rows: Sequence[Row]) -> pa.Table:
    """Plain rows as an inner Arrow table, columns in schema order."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema.columns)
    arrays = [to_array(c.type, v) for c, v in zip(schema.columns, columns, strict=True)]
    return arrow.table(arrays, arrow_schema(schema))


def to_rows(schema: TableSchema, data: pa.Table) -> list[Row]:
    """The rows of an inner Arrow table as plain tuples."""
    pairs = zip(schema.columns, arrow.columns_of(data), strict=True)
    return list(zip(*(to_plains(column.type, values) for column, values in pairs), strict=True))
