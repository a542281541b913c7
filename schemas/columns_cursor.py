"""Read positions of many Avro records at once: one vector of places, moved over all rows together.

Nothing here trusts the bytes. Every move is held against the record's own end, and nothing is read
further than `PADDING` from a place that was; so hostile bytes cost no more memory than they have.

What is short is read byte by byte: numpy picks single bytes from anywhere several times faster than
it picks words that are not aligned.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from headwater.schemas.arrow import Bytes, Flags, Small, Whole, Words

PADDING: Final = 32  # bytes of any value that follow the data

# A mask of values that are there: 255 or 0 for each; None for all.
Mask = Bytes | None

_U8 = np.uint8
_U32 = np.uint32
_U64 = np.uint64
_TOPS = _U64(0x8080808080808080)
_LOWS = _U64(0x7F7F7F7F7F7F7F7F)
_SHORT: Final = 4  # bytes of a varint that are read one by one


class Malformed(Exception):
    """Bytes that are no such record: why, and in which of the rows being read."""

    def __init__(self, why: str, row: int) -> None:
        super().__init__(why)
        self.why, self.row = why, row


def padded(data: "bytes | memoryview", start: int, end: int) -> Bytes:
    """The bytes between two places and the padding behind them, copied only at the data's end."""
    if end + PADDING <= len(data):
        return np.frombuffer(data, _U8)[start : end + PADDING]
    made = np.empty(end - start + PADDING, _U8)
    made[: end - start] = np.frombuffer(data, _U8)[start:end]
    made[end - start :] = 0
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


def _narrow(z: "npt.NDArray[np.uint32]") -> Small:
    """Avro's unsigned numbers as signed ones."""
    return (z >> _U32(1)).view(np.int32) ^ -(z & _U32(1)).view(np.int32)


def mask_of(flags: Flags) -> Bytes:
    """255 where it is true, 0 where not."""
    return np.negative(flags.view(_U8))


class Cursor:
    """Where many records are read in padded bytes, each before its own end."""

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

    def move(self, sizes: "int | Bytes | Whole") -> None:
        """So many bytes on. Raises Malformed where that is behind the record's end."""
        self.at = self.at + sizes
        self.fail(self.at > self.ends, "the bytes end too soon")

    def byte(self, after: int = 0) -> Bytes:
        """A byte of each, so many after its place; less than `PADDING`."""
        return self.data[after:].take(self.at)

    def eights(self, after: int = 0) -> Words:
        """Eight bytes of each, little-endian, so many after its place."""
        return self._eights[self.at + after if after else self.at]

    def present(self) -> Flags:
        """Whether each has a value in the union with null that stands at its place."""
        found = self.byte()
        present: Flags = found == 2
        if not bool(present.all()):
            self.fail(~present & (found != 0), "no such union branch")
        return present

    def longs(self, after: int = 0, mask: Mask = None) -> "tuple[Whole | Small, Bytes]":
        """The Avro longs so many bytes on, and their lengths; both 0 where the mask is."""
        found = self.byte(after)
        if mask is not None:
            found &= mask
        more: Flags = found > 127
        sizes: Bytes = np.ones(len(found), _U8) if mask is None else mask & _U8(1)
        if not bool(more.any()):
            return _narrow(found.astype(_U32)), sizes
        z = (found & _U8(127)).astype(_U32)
        for i in range(1, _SHORT):
            sizes = sizes + more.view(_U8)
            found = self.byte(after + i) & mask_of(more)
            z |= (found & _U8(127)).astype(_U32) << _U32(7 * i)
            more = found > 127
            if not bool(more.any()):
                return _narrow(z), sizes
        words = z.astype(_U64)
        self._long_longs(np.flatnonzero(more), after, words, sizes)
        return unzigzag(words), sizes

    def _long_longs(self, rows: Whole, after: int, z: Words, sizes: Bytes) -> None:
        """The varints of more than four bytes, written into z and sizes."""
        at = self.at[rows] + after
        word = self._eights[at]
        stop = ~word & _TOPS
        low = stop & (~stop + _U64(1))
        keep = low ^ (low - _U64(1))
        value = squeeze(word & keep)
        taken = np.bitwise_count(keep) >> 3
        longer = np.flatnonzero(stop == 0)
        if len(longer):
            self._longest_longs(rows[longer], at[longer], longer, value)
            taken[longer] = np.where(self.data[at[longer] + 8] > 127, 10, 9)
        z[rows], sizes[rows] = value, taken

    def _longest_longs(self, rows: Whole, at: Whole, spots: Whole, value: Words) -> None:
        """The varints of nine and ten bytes, written into `value` at their spots."""
        ninth, tenth = self.data[at + 8].astype(_U64), self.data[at + 9].astype(_U64)
        ten = ninth > 127
        numbers = rows if self.rows is None else self.rows[rows]
        fail(ten & (tenth > 127), "a varint is longer than 10 bytes", numbers)
        fail(ten & (tenth > 1), "a varint has more than 64 bits", numbers)
        short = squeeze(self._eights[at]) | (ninth & _U64(127)) << _U64(56)
        value[spots] = np.where(ten, short | tenth << _U64(63), short)

    def spans(self, after: int = 0, mask: Mask = None) -> tuple[Whole, "Bytes | Whole"]:
        """Where the length-prefixed bytes of each start, so many on, and their lengths.

        Moves behind them; where the mask is 0 there are none.
        """
        found = self.byte(after)
        if mask is not None:
            found &= mask
        if bool((found & 129).any()):
            return self._long_spans(after, mask)
        sizes = found >> 1
        starts = self.at + (after + 1 if mask is None else after + (mask & 1))
        self.at = starts + sizes
        self.fail(self.at > self.ends, "a length is past the end")
        return starts, sizes

    def _long_spans(self, after: int, mask: Mask) -> tuple[Whole, Whole]:
        """`spans` where a length takes several bytes, or is none."""
        lengths, widths = self.longs(after, mask)
        sizes = lengths.astype(np.int64)
        starts = self.at + (widths + _U8(after))
        self.fail((sizes < 0) | (sizes > self.ends - starts), "a length is past the end")
        self.at = starts + sizes
        return starts, sizes

    def wholes_at(self, starts: Whole, sizes: "Bytes | Whole") -> "Whole | Small":
        """Big-endian signed numbers of up to eight bytes at places that `spans` gave."""
        most = int(sizes.max()) if len(sizes) else 0
        if most > _SHORT:
            words = self._eights[starts].byteswap().view(np.int64)
            return words >> (64 - (sizes.astype(np.int64) << 3))
        z = np.zeros(len(starts), _U32)
        for i in range(most):
            z |= self.data[i:].take(starts).astype(_U32) << _U32(24 - 8 * i)
        return z.view(np.int32) >> (32 - (sizes.astype(np.int32) << 3))
