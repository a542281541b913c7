"""Row images and keys: a row's columns as one bare Avro record, and back.

Many rows go column by column through numpy and Arrow, few go row by row through generated
Python; both write the same bytes.
"""

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, cast

import numpy as np
import pyarrow as pa

from headwater.schemas import arrow
from headwater.schemas.arrow import Column, Whole
from headwater.schemas.arrow_plain import arrow_schema_of, to_rows, to_table
from headwater.schemas.asked import EVERYTHING, Asked
from headwater.schemas.columns_cursor import Cursor, Malformed, padded
from headwater.schemas.columns_decode import read_columns
from headwater.schemas.columns_encode import encode_table
from headwater.schemas.errors import EventUnreadable, SchemaInvalid, ValueRefused
from headwater.schemas.rows_codec import (
    DECODE_ERRORS,
    ENCODE_ERRORS,
    RowDecoder,
    compile_decoder,
    compile_encoder,
)
from headwater.schemas.tables import TableSchema
from headwater.schemas.types import Row
from headwater.schemas.wire import WireField, key_fields, value_fields

FEW: Final = 128  # below this many, reading row by row is faster than column by column
_FEW_WRITTEN: Final = 256  # the same for writing
_BATCH: Final = 16384
_BATCH_BYTES: Final = 64 << 20


class ImageCodec:
    """Images and keys of one generation of one table. Made by `codec`, holds no state."""

    def __init__(self, schema: TableSchema) -> None:
        self.schema: Final = schema
        self.fields: Final = value_fields(schema)
        self._key_fields = key_fields(schema)
        self._encode = compile_encoder(self.fields, range(len(self.fields)))
        self._key = compile_encoder(self._key_fields, schema.key_positions, key=True)
        self._key_of = compile_encoder(self._key_fields, range(len(self._key_fields)), key=True)
        self._key_values = compile_decoder(self._key_fields)
        self.read_at: Final = compile_decoder(self.fields)
        """(bytes, place) -> (row, place behind it); raises rows_codec.DECODE_ERRORS."""

    def encode(self, row: Row) -> bytes:
        """The image of a row of plain values in schema order.

        Raises:
            ValueRefused: a value is not of its column's plain type, or NULL in a key column.
        """
        if len(row) != len(self.fields):
            raise SchemaInvalid(
                f"a row has {len(row)} values, its table {len(self.fields)} columns"
            )
        try:
            return self._encode(row)
        except ENCODE_ERRORS:
            raise _refusal(self.fields, row) from None

    def key(self, row: Row) -> bytes:
        """The key record of a whole row; empty for a table without a key.

        Floats that are equal make equal keys: -0.0 is written as 0.0, any NaN as one.
        """
        try:
            return self._key(row)
        except ENCODE_ERRORS:
            raise _refusal(self.fields, row) from None

    def key_of(self, values: Row) -> bytes:
        """The key record of the key columns' values alone, in key order."""
        try:
            return self._key_of(values)
        except ENCODE_ERRORS:
            raise _refusal(self._key_fields, values) from None

    def decode(self, image: bytes) -> Row:
        """The row of an image.

        Raises:
            EventUnreadable: the bytes are no image of this schema.
        """
        return _decoded(self.read_at, image)

    def decode_key(self, key: bytes) -> Row:
        """The values of a key record, in key order.

        Raises:
            EventUnreadable: the bytes are no key of this schema.
        """
        return _decoded(self._key_values, key)

    def encode_columns(self, data: pa.Table) -> pa.BinaryArray:
        """The images of a table of inner Arrow columns in schema order.

        Raises:
            ValueRefused: a value is out of its column's range, or NULL in a key column.
        """
        if data.num_rows < _FEW_WRITTEN:
            try:
                images = [self.encode(row) for row in to_rows(self.schema, data)]
            except ValueRefused:
                return self.encode_by_columns(data)  # refuses it too, and names the row
            return cast(pa.BinaryArray, arrow.array(images, arrow.BINARY))
        return self.encode_by_columns(data)

    def encode_by_columns(self, data: pa.Table) -> pa.BinaryArray:
        """`encode_columns` through numpy however few rows there are."""
        return encode_table(self.fields, data)

    def keys_columns(self, data: pa.Table) -> pa.BinaryArray | None:
        """The keys of the same table's rows; None for a table without a key."""
        if not self.schema.key:
            return None
        keyed = data.select(list(self.schema.key_positions))
        return encode_table(self._key_fields, keyed, key=True)

    def decode_columns(self, images: pa.BinaryArray) -> pa.Table:
        """The rows of many images as inner Arrow columns.

        Raises:
            EventUnreadable: an image is null, or no image of this schema.
        """
        if images.null_count:
            raise EventUnreadable("there is no image")
        if len(images) < FEW:
            rows = [self.decode(cast(bytes, image)) for image in images.to_pylist()]
            return to_table(self.schema, rows)
        return self.decode_by_columns(images)

    def decode_by_columns(self, images: pa.BinaryArray) -> pa.Table:
        """`decode_columns` of images that are not null, through numpy however few they are."""
        places, data = arrow.offsets(images), arrow.contents(images)
        parts = [self._decoded(places[i : j + 1], data) for i, j in batches(places)]
        return table_of(self.schema, parts)

    def _decoded(self, places: Whole, data: memoryview) -> list[Column]:
        """The columns of the images between these places."""
        base = int(places[0])
        part = padded(data, base, int(places[-1]))
        cursor = Cursor(part, places[:-1] - base, places[1:] - base)
        try:
            columns = read_columns(self.fields, cursor)
            cursor.fail(cursor.at != cursor.ends, "bytes are left over")
        except Malformed as error:
            raise EventUnreadable(error.why, position=int(places[error.row])) from None
        return columns


def batches(places: Whole) -> Iterator[tuple[int, int]]:
    """Runs of byte strings to decode at a time, as (first, behind the last): small enough to cache.

    A run holds at most 64 MB, or one string.
    """
    first, count = 0, len(places) - 1
    while first < count:
        behind = min(first + _BATCH, count)
        if places[behind] - places[first] > _BATCH_BYTES:
            limit = int(places[first]) + _BATCH_BYTES
            room = int(np.searchsorted(places, limit, "right")) - 1
            behind = max(first + 1, min(room, behind))
        yield first, behind
        first = behind


def table_of(
    schema: TableSchema, parts: Sequence[Sequence[Column]], asked: Asked = EVERYTHING
) -> pa.Table:
    """The table of columns decoded part by part: those asked for."""
    wanted = asked.of(schema)
    if not parts:
        return arrow_schema_of(wanted).empty_table()
    columns = [
        arrow.joined(chunks, column.type.arrow)
        for chunks, column in zip(zip(*parts, strict=True), wanted, strict=True)
    ]
    return arrow.table(columns, arrow_schema_of(wanted))


@lru_cache(maxsize=512)
def codec(schema: TableSchema) -> ImageCodec:
    """The codec of a schema, compiled once and kept."""
    return ImageCodec(schema)


def _decoded(read: RowDecoder, data: bytes) -> Row:
    try:
        row, end = read(data, 0)
    except DECODE_ERRORS as error:
        raise EventUnreadable(words_of(error)) from None
    if end != len(data):
        raise EventUnreadable(f"{len(data) - end} bytes are left over", position=end)
    return row


def words_of(error: Exception) -> str:
    """What was wrong with bytes that a generated decoder refused."""
    return "the bytes end too soon" if isinstance(error, (IndexError, struct.error)) else str(error)


def _refusal(fields: Sequence[WireField], row: Row) -> ValueRefused:
    """Which value an encoder stumbled over; it said only that one was wrong."""
    for i, field in enumerate(fields):
        value = row[i]
        try:
            compile_encoder([field], [i])(row)
        except OverflowError:
            return ValueRefused(field.name, value, f"is out of range of {field.type}")
        except ENCODE_ERRORS:
            why = "is not allowed in a key" if value is None else f"is no plain {field.type}"
            return ValueRefused(field.name, value, why)
    raise AssertionError("a row that cannot be encoded holds a value that cannot")
