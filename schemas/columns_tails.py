"""The ends of many events at once: all that have one layout are read together.

Each layout is learnt from one event (tails.py). The others of its length are gathered into a
matrix and compared under the layout's mask, eight bytes at a time; the rows that agree are
well-formed, and their numbers are read column by column.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from headwater.schemas.arrow import Bytes, Flags, Whole, Words
from headwater.schemas.columns_decode import Malformed, squeeze, unzigzag
from headwater.schemas.errors import EventUnreadable
from headwater.schemas.tails import NUMBERS, Layout, layout_of, read_tail

_MOST_LAYOUTS: Final = 24  # what has none of these is read one by one
_ROWS: Final = 4096  # compared at a time, to stay in the cache
_LONGEST: Final = 4096  # longer tails are read one by one
OP: Final = len(NUMBERS)  # the row of `Tails` that holds the ops

_U64 = np.uint64


def read_tails(data: Bytes, starts: Whole, ends: Whole) -> Whole:
    """The numbers of each event's end: a row for each of NUMBERS, and one for the ops.

    `data` is padded as columns_decode.PADDING says; starts are at most ends.

    Raises:
        Malformed: one is no end of an event.
    """
    found = np.empty((len(NUMBERS) + 1, len(starts)), np.int64)
    sizes = ends - starts
    done = np.zeros(len(starts), np.bool_)
    for _ in range(_MOST_LAYOUTS):
        left = np.flatnonzero(~done)
        if not len(left) or sizes[left[0]] > _LONGEST:
            break
        first = int(left[0])
        layout = _learnt(data, int(starts[first]), int(ends[first]), first)
        alike = left[sizes[left] == layout.length]
        done[alike] = True
        for part in _cut(alike, whole=len(alike) == len(starts)):
            done[_read_alike(layout, data, starts, part, found)] = False
    rows = np.flatnonzero(~done)
    for row in rows.tolist():
        _read_one(data, int(starts[row]), int(ends[row]), row, found)
    return found


def _cut(rows: Whole, *, whole: bool) -> "Iterator[Whole | slice[int, int]]":
    """Rows in parts; as slices, which cost less, where they are all there are."""
    for i in range(0, len(rows), _ROWS):
        end = min(i + _ROWS, len(rows))
        yield slice(i, end) if whole else rows[i:end]


def _learnt(data: Bytes, start: int, end: int, row: int) -> Layout:
    try:
        return layout_of(data[start:end].tobytes())
    except EventUnreadable as error:
        raise Malformed(error.why, row) from None


def _read_one(data: Bytes, start: int, end: int, row: int, found: Whole) -> None:
    try:
        tail = read_tail(data[start:end].tobytes())
    except EventUnreadable as error:
        raise Malformed(error.why, row) from None
    found[:, row] = tail


def _read_alike(
    layout: Layout, data: Bytes, starts: Whole, rows: "Whole | slice[int, int]", found: Whole
) -> Whole:
    """Fills in the numbers of those rows that have the layout; returns the others."""
    width = (layout.length + 7) // 8 * 8
    lines = np.ndarray((len(data) - width + 1,), f"V{width}", data, strides=(1,))
    tails = lines[starts[rows]].view(np.uint8).reshape(-1, width)
    mask = _line(layout.mask, width)
    # What differs from the event that the layout was learnt from: nothing that makes structure.
    change = tails.view(_U64).reshape(-1, width // 8) ^ _line(layout.sample, width)
    changed = np.bitwise_or.reduce(change, axis=0)
    missed = np.zeros(0, np.int64)
    if bool((changed & mask).any()):
        alike: Flags = ~((change & mask) != 0).any(axis=1)
        numbered = np.arange(len(starts))[rows]
        missed, rows, tails = numbered[~alike], numbered[alike], tails[alike]
    varies = changed.view(np.uint8)
    for number, span in enumerate(layout.spans):
        if span is None or not bool(varies[span[0] : span[1]].any()):
            found[number, rows] = layout.numbers[number]
        else:
            found[number, rows] = _longs(tails, span)
    found[OP, rows] = tails[:, layout.op]
    return missed


def _line(held: bytes, width: int) -> Words:
    return np.frombuffer(held.ljust(width, b"\0"), _U64)


def _longs(tails: Bytes, span: tuple[int, int]) -> Whole:
    """The Avro longs at one place of each line; their lengths are known to be right."""
    start, end = span
    size = min(end - start, 8)
    words = np.zeros((len(tails), 8), np.uint8)
    words[:, :size] = tails[:, start : start + size]
    z = squeeze(words.view(_U64).reshape(-1))
    for i in range(8, end - start):
        z |= (tails[:, start + i].astype(_U64) & _U64(127)) << _U64(7 * i)
    return unzigzag(z)
