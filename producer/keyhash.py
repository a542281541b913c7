"""Finding keys among millions of them in little memory: 64 bits of hash per key.

A hash only ever says where to look; whoever finds equal hashes compares the keys themselves.
"""

from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]

_ODD = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)


def hash_keys(keys: pa.BinaryArray) -> U64:
    """A 64-bit hash of each key."""
    count = len(keys)
    _, offset_buffer, data_buffer = keys.buffers()
    if count == 0 or offset_buffer is None:
        return np.empty(0, np.uint64)
    offsets = np.frombuffer(cast(memoryview, offset_buffer), np.int32)
    offsets = offsets[keys.offset : keys.offset + count + 1].astype(np.int64)
    start, end = int(offsets[0]), int(offsets[-1])
    data = np.zeros(end - start + 8, np.uint8)
    if data_buffer is not None:
        data[: end - start] = np.frombuffer(cast(memoryview, data_buffer), np.uint8)[start:end]
    # Every 8 bytes that start anywhere, as one little-endian number.
    words = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))
    starts, lengths = offsets[:-1] - start, np.diff(offsets)
    hashes = lengths.astype(np.uint64) * _ODD
    for at in range(0, int(lengths.max()), 8):
        live = np.flatnonzero(lengths > at) if at else np.flatnonzero(lengths)
        left = lengths[live] - at
        short = (np.uint64(1) << (np.minimum(left, 7) * 8).astype(np.uint64)) - np.uint64(1)
        mask = np.where(left >= 8, np.uint64(0xFFFFFFFFFFFFFFFF), short)
        hashes[live] = _mixed(hashes[live] ^ (words[starts[live] + at] & mask))
    return hashes


def _mixed(hashes: U64) -> U64:
    hashes = (hashes ^ (hashes >> _HALF)) * _MIX
    hashes = (hashes ^ (hashes >> _HALF)) * _ODD
    return hashes ^ (hashes >> _HALF)


def repeated(hashes: U64) -> U64:
    """The hashes that occur more than once."""
    ordered = np.sort(hashes)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


class HashIndex:
    """Where hashes stand in a long list of them; sorted at first use."""

    __slots__ = ("_hashes", "_order", "_sorted")

    def __init__(self, hashes: U64) -> None:
        self._hashes = hashes
        self._sorted: U64 | None = None
        self._order: npt.NDArray[np.intp] | None = None

    def contains(self, hashes: U64) -> npt.NDArray[np.bool_]:
        """Which of these are in the list."""
        ordered, _ = self._index()
        if not len(ordered):
            return np.zeros(len(hashes), np.bool_)
        at = np.minimum(np.searchsorted(ordered, hashes), len(ordered) - 1)
        found: npt.NDArray[np.bool_] = ordered[at] == hashes
        return found

    def find(self, value: np.uint64) -> list[int]:
        """The positions of one hash, rising."""
        ordered, order = self._index()
        low = int(np.searchsorted(ordered, value, "left"))
        high = int(np.searchsorted(ordered, value, "right"))
        return sorted(order[low:high].tolist())

    def _index(self) -> tuple[U64, npt.NDArray[np.intp]]:
        if self._sorted is None or self._order is None:
            self._order = np.argsort(self._hashes, kind="stable")
            self._sorted = self._hashes[self._order]
        return self._sorted, self._order
