"""Rows that a transaction wrote in bulk, findable by row id and by key without a dict of them."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.log_store.changes import Columns
from headwater.producer.keyhash import I64, HashIndex
from headwater.producer.spool import Entry, Spool


class RowIds:
    """Row ids by position: a dense range, or any ids with an index sorted at first use."""

    __slots__ = ("_ids", "_order", "_sorted", "count", "first")

    def __init__(self, first: int, count: int, ids: I64 | None = None) -> None:
        self.first, self.count, self._ids = first, count, ids
        self._sorted: I64 | None = None
        self._order: npt.NDArray[np.intp] | None = None

    def find(self, row_id: int) -> int | None:
        """The position of a row id."""
        if self._ids is None:
            at = row_id - self.first
            return at if 0 <= at < self.count else None
        ordered, order = self._index(self._ids)
        at = int(np.searchsorted(ordered, row_id))
        return int(order[at]) if at < len(ordered) and ordered[at] == row_id else None

    def contains(self, row_ids: I64) -> npt.NDArray[np.bool_]:
        """Which of these row ids are here."""
        if self._ids is None:
            return (row_ids >= self.first) & (row_ids < self.first + self.count)
        ordered, _ = self._index(self._ids)
        if not len(ordered):
            return np.zeros(len(row_ids), np.bool_)
        at = np.minimum(np.searchsorted(ordered, row_ids), len(ordered) - 1)
        found: npt.NDArray[np.bool_] = ordered[at] == row_ids
        return found

    def slice(self, start: int, count: int) -> I64:
        """The ids of some positions."""
        if self._ids is None:
            return np.arange(self.first + start, self.first + start + count, dtype=np.int64)
        return self._ids[start : start + count]

    def at(self, position: int) -> int:
        """The id at a position."""
        return self.first + position if self._ids is None else int(self._ids[position])

    def _index(self, ids: I64) -> tuple[I64, npt.NDArray[np.intp]]:
        if self._sorted is None or self._order is None:
            self._order = np.argsort(ids, kind="stable")
            self._sorted = ids[self._order]
        return self._sorted, self._order


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Rows after one bulk statement: their ids, and where their images lie in the spool.

    Without `entries` the statement deleted them.
    `taken` are hashes of the keys the rows have, by position. A row that a later write touched
    is still listed here: whoever asks looks at the later writes first.
    """

    row_ids: RowIds
    entries: tuple[Entry, ...]
    ends: tuple[int, ...]
    taken: HashIndex | None

    @classmethod
    def of(cls, row_ids: RowIds, entries: Sequence[Entry], taken: HashIndex | None) -> "Run":
        """Rows that stand in whole segments, in their order."""
        ends = tuple(accumulate(entry.count for entry in entries))
        return cls(row_ids, tuple(entries), ends, taken)

    @property
    def alive(self) -> bool:
        """Whether the rows are there, and not deleted."""
        return bool(self.entries)

    def image(self, spool: Spool, position: int) -> bytes:
        """The image of one row as this run left it."""
        segment, at = self._segment(spool, position)
        image = segment.after
        assert image is not None
        return image[at].as_py()

    def new_key(self, spool: Spool, position: int) -> bytes:
        """The key of one row as this run left it."""
        segment, at = self._segment(spool, position)
        assert segment.new_keys is not None
        return segment.new_keys[at].as_py()

    def images(self, spool: Spool) -> Iterator[tuple[I64, pa.BinaryArray, pa.BinaryArray | None]]:
        """Row ids, images and keys of the rows this run left, segment by segment."""
        start = 0
        for entry in self.entries:
            segment = spool.get(entry)
            assert isinstance(segment, Columns) and segment.after is not None
            yield self.row_ids.slice(start, len(segment)), segment.after, segment.new_keys
            start += len(segment)

    def _segment(self, spool: Spool, position: int) -> tuple[Columns, int]:
        at = bisect_right(self.ends, position)
        segment = spool.get(self.entries[at])
        assert isinstance(segment, Columns)
        return segment, position - (self.ends[at - 1] if at else 0)
