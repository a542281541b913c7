"""Many Avro records to columns at once, field by field over all rows.

Each field is read at its place of every record, a value that is absent as one of no length, and
moves the cursor on. Who reads the last field compares the places with the ends.
"""

from collections.abc import Sequence
from typing import Final, cast

import numpy as np
import pyarrow as pa

from headwater.schemas import arrow
from headwater.schemas.arrow import Bytes, Column, Flags, Small, Whole
from headwater.schemas.arrow_plain import to_array
from headwater.schemas.columns_cursor import Cursor, Malformed, mask_of
from headwater.schemas.wire import INT64_HIGH, INT64_LOW, Form, WireField


def read_columns(
    fields: Sequence[WireField], cursor: Cursor, wanted: Sequence[bool] | None = None
) -> list[Column]:
    """The columns of records, the cursor left behind them; only those `wanted`, if it is given.

    Raises:
        Malformed: a record is not of these fields. Of a field that is not wanted only the lengths
            are looked at.
    """
    columns: list[Column] = []
    for at, field in enumerate(fields):
        # Where there is a union branch before the value, and which of them say null.
        after, present = 0, None
        if field.optional:
            found = cursor.present()
            after, present = 1, None if bool(found.all()) else found
        if wanted is None or wanted[at]:
            columns.append(_READ[field.form](field, cursor, after, present))
        else:
            _pass(field, cursor, after, present)
    return columns


def _pass(field: WireField, cursor: Cursor, after: int, present: Flags | None) -> None:
    """Moves a cursor behind a field, whatever its value."""
    mask = None if present is None else mask_of(present)
    match field.form:
        case Form.LONG:
            cursor.move(cursor.longs(after, mask)[1] + np.uint8(after))
        case Form.DOUBLE:
            _move(cursor, after, 8, mask)
        case Form.BOOLEAN:
            _move(cursor, after, 1, mask)
        case Form.STRING | Form.BYTES | Form.DECIMAL:
            cursor.spans(after, mask)


def _move(cursor: Cursor, after: int, size: int, mask: Bytes | None) -> None:
    """Behind a value of that size, where there is one."""
    cursor.move(after + size if mask is None else (mask & np.uint8(size)) + np.uint8(after))


def _absent(present: Flags | None) -> Flags | None:
    return None if present is None else ~present


def _check_range(
    field: WireField, cursor: Cursor, numbers: "Whole | Small", bounds: tuple[int, int]
) -> None:
    """Raises Malformed for a number out of a field's bounds; 0, of an absent one, is in all."""
    low, high = bounds
    if len(numbers) and (int(numbers.min()) < low or int(numbers.max()) > high):
        wide = numbers.astype(np.int64)
        cursor.fail((wide < low) | (wide > high), f"{field.name} is out of range")


def _read_longs(field: WireField, cursor: Cursor, after: int, present: Flags | None) -> Column:
    numbers, sizes = cursor.longs(after, None if present is None else mask_of(present))
    cursor.move(sizes + np.uint8(after))
    if (field.low, field.high) != (INT64_LOW, INT64_HIGH):
        _check_range(field, cursor, numbers, (field.low, field.high))
    return arrow.from_whole(numbers, field.type.arrow, _absent(present))


def _read_decimals(field: WireField, cursor: Cursor, after: int, present: Flags | None) -> Column:
    mask = None if present is None else mask_of(present)
    starts, sizes = cursor.spans(after, mask)
    wrong = (sizes < 1) if present is None else (sizes < 1) & present
    cursor.fail(wrong | (sizes > 16), "no such decimal")
    if bool((sizes > 8).any()):
        return _read_long_decimals(field, cursor, (starts, sizes), present)
    numbers = cursor.wholes_at(starts, sizes)
    if present is not None:
        numbers = np.where(present, numbers, np.int32(0))
    bounds = max(field.low, INT64_LOW), min(field.high, INT64_HIGH)
    _check_range(field, cursor, numbers, bounds)
    return arrow.decimals(field.type.arrow, numbers, _absent(present))


def _read_long_decimals(
    field: WireField,
    cursor: Cursor,
    spans: "tuple[Whole, Bytes | Whole]",
    present: Flags | None,
) -> Column:
    """Decimals of which some have more than 64 bits, one by one."""
    held = cursor.data.tobytes()
    numbers: list[int | None] = []
    there = [True] * len(cursor) if present is None else present.tolist()
    for row, (start, size) in enumerate(zip(spans[0].tolist(), spans[1].tolist(), strict=True)):
        if not there[row]:
            numbers.append(None)
            continue
        number = int.from_bytes(held[start : start + size], "big", signed=True)
        if not field.low <= number <= field.high:
            at = row if cursor.rows is None else int(cursor.rows[row])
            raise Malformed(f"{field.name} is out of range", at)
        numbers.append(number)
    return to_array(field.type, numbers)


def _read_doubles(field: WireField, cursor: Cursor, after: int, present: Flags | None) -> Column:
    numbers = cursor.eights(after).view(np.int64)
    mask = None
    if present is not None:
        numbers, mask = np.where(present, numbers, 0), mask_of(present)
    _move(cursor, after, 8, mask)
    return arrow.from_whole(numbers, field.type.arrow, _absent(present))


def _read_booleans(field: WireField, cursor: Cursor, after: int, present: Flags | None) -> Column:
    found, mask = cursor.byte(after), None
    if present is not None:
        mask = mask_of(present)
        found &= mask
    _move(cursor, after, 1, mask)
    cursor.fail(found > 1, "no such boolean")
    valid = None if present is None else arrow.bits(present)
    return arrow.from_buffers(
        field.type.arrow, len(found), [valid, arrow.bits(found.view(np.bool_))]
    )


def _read_texts(field: WireField, cursor: Cursor, after: int, present: Flags | None) -> Column:
    mask = None if present is None else mask_of(present)
    starts, _ = cursor.spans(after, mask)
    found = gather(cursor.data, starts, cursor.at, _absent(present))
    return found if field.form is Form.BYTES else _utf8(found, cursor)


def gather(data: Bytes, starts: Whole, ends: Whole, null: Flags | None) -> Column:
    """The bytes between places that rise, as one column of byte strings."""
    if not len(starts):
        return arrow.array([], arrow.BINARY)
    places = np.empty(2 * len(starts), np.int32)
    places[0::2], places[1::2] = starts, ends
    # Every second string between those places is one that is wanted; Arrow copies them out.
    between = arrow.from_buffers(arrow.BINARY, len(places) - 1, [None, places, data])
    found = arrow.take(between, np.arange(0, len(places), 2, dtype=np.int32))
    return found if null is None else arrow.with_nulls(found, null)


def _utf8(found: Column, cursor: Cursor) -> Column:
    if arrow.is_ascii(cast(pa.BinaryArray, found)):
        return arrow.view(found, arrow.STRING)
    try:
        return arrow.convert(found, arrow.STRING)
    except pa.ArrowInvalid:
        pass
    for row, text in enumerate(cast("list[bytes | None]", arrow.values(found))):
        try:
            str(text or b"", "utf-8")
        except UnicodeDecodeError as error:
            at = row if cursor.rows is None else int(cursor.rows[row])
            raise Malformed(str(error), at) from None
    raise AssertionError("Arrow and Python agree on what UTF-8 is")


_READ: Final = {
    Form.LONG: _read_longs,
    Form.DECIMAL: _read_decimals,
    Form.DOUBLE: _read_doubles,
    Form.BOOLEAN: _read_booleans,
    Form.STRING: _read_texts,
    Form.BYTES: _read_texts,
}
