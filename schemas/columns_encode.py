"""Many rows to Avro records at once: each column to byte strings, then row by row joined.

A column becomes one or two `Column`s of byte strings, its *pieces*: numbers with their union branch
in front, or a text's length and the text itself. Arrow joins the pieces of a row in one pass.
"""

from collections.abc import Sequence
from typing import Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.schemas import arrow
from headwater.schemas.arrow import Bytes, Column, Flags, Value, Whole, Words
from headwater.schemas.arrow_plain import to_plains, whole_type
from headwater.schemas.errors import ValueRefused
from headwater.schemas.varints import bounded_decimal
from headwater.schemas.wire import Form, WireField

_JOIN: Final = pc.JoinOptions(null_handling="replace", null_replacement="")
_BRANCH: Final = 2  # the union branch of a value, as its zigzag byte
_BATCH: Final = 16384  # rows at a time: their pieces stay in the cache

Piece = Column | Value


def join(pieces: Sequence[Piece]) -> pa.BinaryArray:
    """Row by row, the pieces one after another; null counts as nothing."""
    made = arrow.kernel("binary_join_element_wise", *pieces, arrow.NOTHING, options=_JOIN)
    return cast(pa.BinaryArray, made)


def encode_table(
    fields: Sequence[WireField], data: pa.Table, *, key: bool = False
) -> pa.BinaryArray:
    """The records of these columns, row by row; one field for each column.

    With `key`, floats that are equal give equal bytes.

    Raises:
        ValueRefused: a value out of its field's range, or null where none is allowed.
        OverflowError: more than 2 GB of records.
    """
    made: list[Column] = []
    row = 0
    rows = _BATCH if data.nbytes < 1 << 30 else _BATCH // 64
    for batch in data.to_batches(max_chunksize=rows):
        pieces: list[Piece] = []
        for field, column in zip(fields, arrow.columns_of(batch), strict=True):
            pieces += _pieces(field, column, row, key)
        made.append(join(pieces))
        row += batch.num_rows
    if sum(part.nbytes for part in made) > 2_000_000_000:
        raise OverflowError("more than 2 GB of records in one call")
    return cast(pa.BinaryArray, arrow.joined(made, arrow.BINARY))


def _pieces(field: WireField, column: Column, row: int, key: bool) -> list[Piece]:
    valid = None
    if column.null_count:
        valid = arrow.valid(column)
        if not field.optional:
            first = row + int(np.argmin(valid))
            raise ValueRefused(field.name, None, "is not allowed in a key", row=first)
    match field.form:
        case Form.LONG:
            return [_longs(field, column, valid, row)]
        case Form.DECIMAL:
            return [_decimals(field, column, valid, row)]
        case Form.DOUBLE:
            return [_doubles(field, column, valid, key)]
        case Form.BOOLEAN:
            return [_booleans(field, column, valid)]
        case Form.STRING | Form.BYTES:
            return _texts(field, column, valid, row)


def varints(z: Words) -> tuple[Whole, Bytes]:
    """Lengths of unsigned varints, and their bytes in rows as long as the longest."""
    width = max(1, (int(z.max()).bit_length() + 6) // 7) if len(z) else 1
    lengths = np.ones(len(z), np.int64)
    data = np.empty((len(z), width), np.uint8)
    for i in range(width):
        rest = z >> np.uint64(7)
        more = rest != 0
        data[:, i] = (z & np.uint64(127)).astype(np.uint8) | (more.astype(np.uint8) << 7)
        if i + 1 < width:
            lengths += more
        z = rest
    return lengths, data


def zigzag(numbers: Whole) -> Words:
    """Signed numbers as Avro's unsigned ones."""
    return ((numbers << 1) ^ (numbers >> 63)).view(np.uint64)


def ragged(lengths: Whole, data: Bytes) -> pa.BinaryArray:
    """The first bytes of each row, as many as its length says."""
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    width = data.shape[1]
    if offsets[-1] == data.size:
        return arrow.binary(offsets, np.ascontiguousarray(data).reshape(-1))
    return arrow.binary(offsets, data[np.arange(width) < lengths[:, None]])


def long_pieces(numbers: Whole) -> pa.BinaryArray:
    """Bare Avro longs."""
    return ragged(*varints(zigzag(numbers)))


def _branched(field: WireField, lengths: Whole, data: Bytes, valid: Flags | None) -> pa.BinaryArray:
    """Values with their union branch in front, where the field is optional."""
    if not field.optional:
        return ragged(lengths, data)
    tagged = np.empty((len(lengths), data.shape[1] + 1), np.uint8)
    tagged[:, 1:] = data
    if valid is None:
        tagged[:, 0] = _BRANCH
        return ragged(lengths + 1, tagged)
    tagged[:, 0] = np.where(valid, _BRANCH, 0)
    return ragged(np.where(valid, lengths + 1, 1), tagged)


def _check_range(field: WireField, numbers: Whole, row: int) -> None:
    if not len(numbers) or field.low <= int(numbers.min()) <= int(numbers.max()) <= field.high:
        return
    first = int(np.argmax((numbers < field.low) | (numbers > field.high)))
    why = f"is out of range of {field.type}"
    raise ValueRefused(field.name, int(numbers[first]), why, row=row + first)


def _longs(field: WireField, column: Column, valid: Flags | None, row: int) -> pa.BinaryArray:
    inner = whole_type(field.type)
    numbers = arrow.whole(column if inner is None else arrow.view(column, inner))
    _check_range(field, numbers, row)
    return _branched(field, *varints(zigzag(numbers)), valid)


def _decimals(field: WireField, column: Column, valid: Flags | None, row: int) -> pa.BinaryArray:
    pairs = arrow.words(column)
    if valid is not None:
        pairs = np.where(valid[:, None], pairs, 0)
    low, high = pairs[:, 0], pairs[:, 1]
    if bool((high != low >> 63).any()) or bool((low == -(1 << 63)).any()):
        return _long_decimals(field, column, row)
    if field.high < 1 << 63:
        _check_range(field, low, row)
    size = np.abs(low).view(np.uint64)
    most = int(size.max()) if len(size) else 0
    lengths = np.ones(len(low), np.int64)
    for i in range(1, most.bit_length() // 8 + 1):
        lengths += size >= np.uint64(1 << (8 * i - 1))
    # The value's bytes, big-endian, moved to the front of its eight.
    moved = low << (64 - 8 * lengths)
    data = np.empty((len(low), 1 + most.bit_length() // 8 + 1), np.uint8)
    data[:, 0] = lengths << 1
    data[:, 1:] = moved.byteswap().view(np.uint8).reshape(-1, 8)[:, : data.shape[1] - 1]
    return _branched(field, lengths + 1, data, valid)


def _long_decimals(field: WireField, column: Column, row: int) -> pa.BinaryArray:
    """Decimals of which some have more than 64 bits, one by one."""
    encode = bounded_decimal(field.low, field.high)
    branch = b"\x02" if field.optional else b""
    made: list[bytes] = []
    for i, value in enumerate(to_plains(field.type, column)):
        try:
            made.append(b"\x00" if value is None else branch + encode(cast(int, value)))
        except OverflowError:
            why = f"is out of range of {field.type}"
            raise ValueRefused(field.name, value, why, row=row + i) from None
    return cast(pa.BinaryArray, arrow.array(made, arrow.BINARY))


def _doubles(field: WireField, column: Column, valid: Flags | None, key: bool) -> pa.BinaryArray:
    numbers = arrow.floats(column)
    if key:
        numbers = np.where(np.isnan(numbers), np.nan, numbers + 0.0)
    data = np.ascontiguousarray(numbers).astype("<f8", copy=False).view(np.uint8).reshape(-1, 8)
    return _branched(field, np.full(len(data), 8, np.int64), data, valid)


def _booleans(field: WireField, column: Column, valid: Flags | None) -> pa.BinaryArray:
    data = arrow.whole(arrow.convert(column, pa.uint8())).astype(np.uint8).reshape(-1, 1)
    return _branched(field, np.ones(len(data), np.int64), data, valid)


def _texts(field: WireField, column: Column, valid: Flags | None, row: int) -> list[Piece]:
    try:
        arrow.check(column)
    except pa.ArrowInvalid as error:
        raise ValueRefused(field.name, str(error), "is no UTF-8", row=row) from None
    sizes = arrow.whole(arrow.kernel("binary_length", column))
    head = _branched(field, *varints(zigzag(sizes)), valid)
    body = arrow.view(column, arrow.BINARY) if field.form is Form.STRING else column
    return [head, body]
