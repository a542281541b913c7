"""Many Avro records to columns at once: one vector of positions, moved over all rows field by field.

Nothing here trusts the bytes. Positions only rise, lengths are held against the end of their own
message before anything is copied, and whoever reads the last field compares the positions with
the ends; so hostile bytes cost no more memory than they have themselves.
"""

from collections.abc import Sequence
from typing import Final, cast

import numpy as np
import pyarrow as pa

from headwater.schemas import arrow
from headwater.schemas.arrow import Bytes, Column, Flags, Whole, Words
from headwater.schemas.arrow_plain import to_array
from headwater.schemas.wire import INT64_HIGH, INT64_LOW, Form, WireField

PADDING: Final = 16  # bytes of any value that follow the data, so that eight can be read anywhere

_U64 = np.uint64
_TOPS = _U64(0x8080808080808080)
_LOWS = _U64(0x7F7F7F7F7F7F7F7F)


class Malformed(Exception):
    """Bytes that are no such record: why, and in which of the rows being read."""

    def __init__(self, why: str, row: int) -> None:
        super().__init__(why)
        self.why, self.row = why, row


def padded(data: "bytes | memoryview", start: int, end: int) -> Bytes:
    """The bytes between two places and the padding behind them, copied only at the data's end."""
    if end + PADDING <= len(data):
        return np.frombuffer(data, np.uint8)[start : end + PADDING]
    made = np.zeros(end - start + PADDING, np.uint8)
    made[: end - start] = np.frombuffer(data, np.uint8)[start:end]
    return made


def fail(wrong: Flags, why: str, rows: Whole | None = None) -> None:
    """Raises Malformed for the first row that is wrong, if any is; `rows` numbers them."""
    if bool(wrong.any()):
        first = int(np.argmax(wrong))
        raise Malformed(why, first if rows is None else int(rows[first]))


def squeeze(x: Words) -> Words:
    """The seven low bits of each byte, side by side."""
    y = x & _LOWS
    y = (y & _U64(0x007F007F007F007F)) | ((y & _U64(0x7F007F007F007F00)) >> _U64(1))
    y = (y & _U64(0x00003FFF00003FFF)) | ((y & _U64(0x3FFF00003FFF0000)) >> _U64(2))
    return (y & _U64(0x0FFFFFFF)) | ((y & _U64(0x0FFFFFFF00000000)) >> _U64(4))


def unzigzag(z: Words) -> Whole:
    """Avro's unsigned numbers as signed ones."""
    return (z >> _U64(1)).view(np.int64) ^ -(z & _U64(1)).view(np.int64)


class Cursor:
    """Read positions of many records in padded bytes, each before its own end."""

    def __init__(self, data: Bytes, at: Whole, ends: Whole, rows: Whole | None = None) -> None:
        self.data: Final = data
        self.at = at
        self.ends: Final = ends
        self.rows: Final = rows  # what the records are called in errors
        self._eights: Final = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))

    def __len__(self) -> int:
        return len(self.at)

    def part(self, chosen: Whole) -> "Cursor":
        """A cursor over some of the records."""
        rows = chosen if self.rows is None else self.rows[chosen]
        return Cursor(self.data, self.at[chosen], self.ends[chosen], rows)

    def fail(self, wrong: Flags, why: str) -> None:
        """Raises Malformed for the first record that is wrong, if any is."""
        fail(wrong, why, self.rows)

    def bytes(self) -> Bytes:
        """One byte of each."""
        self.fail(self.at >= self.ends, "the bytes end too soon")
        found = self.data[self.at]
        self.at = self.at + 1
        return found

    def eights(self) -> Words:
        """The next eight bytes of each, little-endian, without moving; padding behind the end."""
        self.fail(self.at >= self.ends, "the bytes end too soon")
        return self._eights[self.at]

    def longs(self) -> Whole:
        """An Avro long of each."""
        word = self.eights()
        short = word & _U64(0xFF)
        if not bool((short & _U64(0x80)).any()):
            self.at = self.at + 1
            return unzigzag(short)
        stop = ~word & _TOPS
        low = stop & (~stop + _U64(1))
        keep = low ^ (low - _U64(1))
        z = squeeze(word & keep)
        sizes = (np.bitwise_count(keep) >> 3).astype(np.int64)
        if not bool(stop.all()):
            self._long_longs(np.flatnonzero(stop == 0), z, sizes)
        self.at = self.at + sizes
        self.fail(self.at > self.ends, "the bytes end too soon")
        return unzigzag(z)

    def skip(self, size: int) -> None:
        """So many bytes of each."""
        self.fail(self.ends - self.at < size, "the bytes end too soon")
        self.at = self.at + size

    def skip_longs(self) -> None:
        """An Avro long of each, of which only the length is looked at."""
        stop = ~self.eights() & _TOPS
        low = stop & (~stop + _U64(1))
        sizes = (np.bitwise_count(low ^ (low - _U64(1))) >> 3).astype(np.int64)
        if not bool(stop.all()):
            self._long_longs(np.flatnonzero(stop == 0), np.zeros(len(sizes), np.uint64), sizes)
        self.at = self.at + sizes
        self.fail(self.at > self.ends, "the bytes end too soon")

    def _long_longs(self, rows: Whole, z: Words, sizes: Whole) -> None:
        """The varints of nine and ten bytes, written into z and sizes."""
        at = self.at[rows]
        ninth, tenth = self.data[at + 8].astype(_U64), self.data[at + 9].astype(_U64)
        ten = ninth > 127
        wrong = np.zeros(len(self.at), np.bool_)
        wrong[rows] = ten & (tenth > 127)
        self.fail(wrong, "a varint is longer than 10 bytes")
        wrong[rows] = ten & (tenth > 1)
        self.fail(wrong, "a varint has more than 64 bits")
        value = squeeze(self._eights[at]) | (ninth & _U64(127)) << _U64(56)
        z[rows] = np.where(ten, value | tenth << _U64(63), value)
        sizes[rows] = np.where(ten, 10, 9)

    def spans(self) -> tuple[Whole, Whole]:
        """Start and end of the length-prefixed bytes of each."""
        sizes = self.longs()
        starts = self.at
        self.fail((sizes < 0) | (sizes > self.ends - starts), "a length is past the end")
        self.at = starts + sizes
        return starts, self.at

    def wholes_at(self, starts: Whole, sizes: Whole) -> Whole:
        """Big-endian signed numbers of one to eight bytes at places that `spans` gave."""
        words = self._eights[starts].byteswap().view(np.int64)
        return words >> (64 - 8 * sizes)

    def branches(self) -> Flags:
        """Whether each has a value in a union with null."""
        found = self.bytes()
        present: Flags = found == 2
        self.fail(~present & (found != 0), "no such union branch")
        return present


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
        if wanted is None or wanted[at]:
            columns.append(_read(field, cursor))
        else:
            _pass(field, cursor)
    return columns


def _pass(field: WireField, cursor: Cursor) -> None:
    """Moves a cursor behind a field, whatever its value."""
    present = cursor.branches() if field.optional else None
    part, chosen = _some(cursor, None if present is None or bool(present.all()) else present)
    if len(part):
        match field.form:
            case Form.LONG:
                part.skip_longs()
            case Form.DOUBLE:
                part.skip(8)
            case Form.BOOLEAN:
                part.skip(1)
            case Form.STRING | Form.BYTES | Form.DECIMAL:
                part.spans()
    _back(cursor, part, chosen)


def _read(field: WireField, cursor: Cursor) -> Column:
    if not field.optional:
        return _READ[field.form](field, cursor, None)
    present = cursor.branches()
    if bool(present.all()):
        return _READ[field.form](field, cursor, None)
    return _READ[field.form](field, cursor, present)


def _some(cursor: Cursor, present: Flags | None) -> tuple[Cursor, Whole | None]:
    """A cursor over the records that have the value, and which those are; None for all."""
    if present is None:
        return cursor, None
    chosen = np.flatnonzero(present)
    return cursor.part(chosen), chosen


def _back(cursor: Cursor, part: Cursor, chosen: Whole | None) -> None:
    """Moves a cursor on to where its part has come."""
    if chosen is not None:
        at = cursor.at.copy()
        at[chosen] = part.at
        cursor.at = at


def _spread(values: Whole, chosen: Whole | None, count: int) -> Whole:
    if chosen is None:
        return values
    full = np.zeros(count, values.dtype)
    full[chosen] = values
    return full


def _absent(present: Flags | None) -> Flags | None:
    return None if present is None else ~present


def _read_longs(field: WireField, cursor: Cursor, present: Flags | None) -> Column:
    part, chosen = _some(cursor, present)
    numbers = part.longs() if len(part) else np.zeros(0, np.int64)
    if (field.low, field.high) != (INT64_LOW, INT64_HIGH):
        part.fail((numbers < field.low) | (numbers > field.high), "out of range")
    _back(cursor, part, chosen)
    full = _spread(numbers, chosen, len(cursor))
    return arrow.from_whole(full, field.type.arrow, _absent(present))


def _read_decimals(field: WireField, cursor: Cursor, present: Flags | None) -> Column:
    part, chosen = _some(cursor, present)
    starts, ends = part.spans() if len(part) else (part.at, part.at)
    sizes = ends - starts
    part.fail((sizes < 1) | (sizes > 16), "no such decimal")
    _back(cursor, part, chosen)
    if bool((sizes > 8).any()):
        return _read_long_decimals(field, part, (starts, ends), present)
    numbers = part.wholes_at(starts, sizes)
    low, high = max(field.low, INT64_LOW), min(field.high, INT64_HIGH)
    part.fail((numbers < low) | (numbers > high), "out of range")
    full = _spread(numbers, chosen, len(cursor))
    return arrow.decimals(field.type.arrow, full, _absent(present))


def _read_long_decimals(
    field: WireField, part: Cursor, spans: tuple[Whole, Whole], present: Flags | None
) -> Column:
    """Decimals of which some have more than 64 bits, one by one."""
    held = part.data.tobytes()
    numbers: list[int] = []
    for row, (start, end) in enumerate(zip(spans[0].tolist(), spans[1].tolist(), strict=True)):
        number = int.from_bytes(held[start:end], "big", signed=True)
        if not field.low <= number <= field.high:
            raise Malformed("out of range", row if part.rows is None else int(part.rows[row]))
        numbers.append(number)
    if present is None:
        return to_array(field.type, numbers)
    rest = iter(numbers)
    return to_array(field.type, [next(rest) if there else None for there in present.tolist()])


def _read_doubles(field: WireField, cursor: Cursor, present: Flags | None) -> Column:
    part, chosen = _some(cursor, present)
    part.fail(part.ends - part.at < 8, "the bytes end too soon")
    numbers = part.eights().view(np.int64) if len(part) else np.zeros(0, np.int64)
    part.at = part.at + 8
    _back(cursor, part, chosen)
    full = _spread(numbers, chosen, len(cursor))
    return arrow.from_whole(full, field.type.arrow, _absent(present))


def _read_booleans(field: WireField, cursor: Cursor, present: Flags | None) -> Column:
    part, chosen = _some(cursor, present)
    found = part.bytes()
    part.fail(found > 1, "no such boolean")
    _back(cursor, part, chosen)
    full = np.zeros(len(cursor), np.bool_)
    full[... if chosen is None else chosen] = found == 1
    valid = None if present is None else arrow.bits(present)
    return arrow.from_buffers(field.type.arrow, len(full), [valid, arrow.bits(full)])


def _read_texts(field: WireField, cursor: Cursor, present: Flags | None) -> Column:
    part, chosen = _some(cursor, present)
    starts, ends = part.spans() if len(part) else (part.at, part.at)
    _back(cursor, part, chosen)
    if chosen is not None:
        # An absent text is an empty one at its place, so that places still rise.
        full_starts, full_ends = cursor.at.copy(), cursor.at.copy()
        full_starts[chosen], full_ends[chosen] = starts, ends
        starts, ends = full_starts, full_ends
    found = gather(cursor.data, starts, ends, _absent(present))
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
