"""The ends of many events at once: all that have one layout are read together.

Each layout is learnt from one event (tails.py). The others of its length are gathered into a
matrix. What any of them differs in follows from the AND and the OR of all, two passes over plain
memory; where that touches nothing that the layout's mask holds as structure, all are well-formed.
Their numbers are then read column by column, those that differ at all.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from headwater.schemas.arrow import Bytes, Flags, Whole, Words
from headwater.schemas.columns_cursor import Malformed, squeeze, unzigzag
from headwater.schemas.errors import EventUnreadable
from headwater.schemas.tails import NUMBERS, Layout, layout_of, read_tail

_MOST_LAYOUTS: Final = 24  # what has none of these is read one by one
_ROWS: Final = 4096  # compared at a time, to stay in the cache
_LONGEST: Final = 4096  # longer tails are read one by one
# Rows that AND and OR take side by side: long runs of memory, not one short tail after another.
_ABREAST: Final = 32

_U8 = np.uint8
_U32 = np.uint32
_U64 = np.uint64


class Tails(NamedTuple):
    """A row for each of NUMBERS, zeros for one that was not wanted, and the ops."""

    numbers: Whole
    ops: Bytes


def read_tails(
    data: Bytes, starts: Whole, ends: Whole, wanted: frozenset[str] | None = None
) -> Tails:
    """The wanted numbers of each event's end (None: all of them), and its op.

    `data` is padded as columns_cursor.PADDING says; starts are at most ends.

    Raises:
        Malformed: one is no end of an event.
    """
    found = Tails(np.zeros((len(NUMBERS), len(starts)), np.int64), np.zeros(len(starts), _U8))
    asked = [wanted is None or name in wanted for name in NUMBERS]
    sizes = ends - starts
    left = np.arange(len(starts))
    for _ in range(_MOST_LAYOUTS):
        if not len(left) or sizes[left[0]] > _LONGEST:
            break
        first = int(left[0])
        layout = _learnt(data, int(starts[first]), int(ends[first]), first)
        same = sizes[left] == layout.length
        alike, left = left[same], left[~same]
        missed = [
            _read_alike((layout, asked), data, starts, part, found)
            for part in _cut(alike, whole=len(alike) == len(starts))
        ]
        left = np.sort(np.concatenate([left, *missed]))
    for row in left.tolist():
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


def _read_one(data: Bytes, start: int, end: int, row: int, found: Tails) -> None:
    try:
        *numbers, op = read_tail(data[start:end].tobytes())
    except EventUnreadable as error:
        raise Malformed(error.why, row) from None
    found.numbers[:, row], found.ops[row] = numbers, op


def _read_alike(
    how: tuple[Layout, list[bool]],
    data: Bytes,
    starts: Whole,
    rows: "Whole | slice[int, int]",
    found: Tails,
) -> Whole:
    """Fills in the asked numbers of those rows that have the layout; returns the others."""
    layout, asked = how
    width = (layout.length + 7) // 8 * 8
    lines = np.ndarray((len(data) - width + 1,), f"V{width}", data, strides=(1,))
    tails = lines[starts[rows]].view(_U64).reshape(-1, width // 8)
    mask, sample = _line(layout.mask, width), _line(layout.sample, width)
    changed = _changed(tails, sample)
    missed = np.zeros(0, np.int64)
    if bool((changed & mask).any()):
        alike: Flags = ~(((tails ^ sample) & mask) != 0).any(axis=1)
        numbered = np.arange(len(starts))[rows]
        missed, rows, tails = numbered[~alike], numbered[alike], tails[alike]
    held, varies = tails.view(_U8), changed.view(_U8)
    for number, span in enumerate(layout.spans):
        if not asked[number]:
            continue
        if span is None or not bool(varies[span[0] : span[1]].any()):
            found.numbers[number, rows] = layout.numbers[number]
        else:
            found.numbers[number, rows] = _longs(held, span)
    found.ops[rows] = held[:, layout.op]
    return missed


def _changed(tails: Words, sample: Words) -> Words:
    """The bits in which any of the tails is unlike the sample."""
    every, some = sample, sample
    abreast = len(tails) // _ABREAST * _ABREAST
    width = tails.shape[1]
    if abreast:
        block = tails[:abreast].reshape(-1, _ABREAST * width)
        together = np.bitwise_and.reduce(block, axis=0).reshape(_ABREAST, width)
        every = every & np.bitwise_and.reduce(together, axis=0)
        together = np.bitwise_or.reduce(block, axis=0).reshape(_ABREAST, width)
        some = some | np.bitwise_or.reduce(together, axis=0)
    rest = tails[abreast:]
    if len(rest):
        every = every & np.bitwise_and.reduce(rest, axis=0)
        some = some | np.bitwise_or.reduce(rest, axis=0)
    return every ^ some


def _line(held: bytes, width: int) -> Words:
    return np.frombuffer(held.ljust(width, b"\0"), _U64)


def _longs(tails: Bytes, span: tuple[int, int]) -> Whole:
    """The Avro longs at one place of each line; their lengths are known to be right."""
    start, end = span
    if end - start <= 4:
        z = np.zeros(len(tails), _U32)
        for i in range(start, end):
            z |= (tails[:, i] & _U8(127)).astype(_U32) << _U32(7 * (i - start))
        small = (z >> _U32(1)).view(np.int32) ^ -(z & _U32(1)).view(np.int32)
        return small.astype(np.int64)
    size = min(end - start, 8)
    words = np.zeros((len(tails), 8), _U8)
    words[:, :size] = tails[:, start : start + size]
    wide = squeeze(words.view(_U64).reshape(-1))
    for i in range(8, end - start):
        wide |= (tails[:, start + i].astype(_U64) & _U64(127)) << _U64(7 * i)
    return unzigzag(wide)
