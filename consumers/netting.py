"""NET capture: many changes of a row become the difference they add up to. Pure, in numpy.

First image against last image of each row in the window, by row id, also across key changes: both
there and different is one pair, both there and alike is nothing, and so is neither. A row's change
stands where its last change stood.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.consumers.captures import Changes
from headwater.log_store.replay import I64, is_range, same_rows

# Changes held beyond what the last netting left; below this another one is not worth its cost.
_SLACK = 262_144
# Row ids may spread over this many times their number before they are renumbered.
_SPARSE = 8


def net(changes: Changes) -> Changes:
    """The net of changes that are in commit order; images in one schema.

    Netting again, or netting parts first, gives the same.
    """
    if not len(changes):
        return changes
    first, last = _first_and_last(changes.row_ids)
    before_at, after_at = changes.before_at[first], changes.after_at[last]
    kept = (before_at >= 0) | (after_at >= 0)
    both = np.flatnonzero((before_at >= 0) & (after_at >= 0))
    if len(both):
        old = _rows(changes.before, before_at[both])
        new = _rows(changes.after, after_at[both])
        kept[both] = ~same_rows(old, new)
    at = last[kept]
    return Changes(
        changes.row_ids[at],
        before_at[kept],
        after_at[kept],
        changes.versions[at],
        changes.sequences[at],
        changes.times_us[at],
        changes.before,
        changes.after,
    )


def _first_and_last(row_ids: I64) -> tuple[I64, I64]:
    """For each row, in the order of its last change: where its first and last change stand."""
    count = len(row_ids)
    places = np.arange(count, dtype=np.int64)
    low = int(row_ids.min())
    span = int(row_ids.max()) - low + 1
    if span <= _SPARSE * count + 1024:
        slots: npt.NDArray[np.int64] = row_ids - low
    else:
        found, slots = np.unique(row_ids, return_inverse=True)
        span, slots = len(found), slots.reshape(-1)
    # Assignment by index keeps the last value given for a slot.
    at = np.empty(span, dtype=np.int64)
    at[slots] = places
    last = np.flatnonzero(at[slots] == places)
    if len(last) == count:
        return places, places
    at[slots[::-1]] = places[::-1]
    return at[slots[last]], last


def _rows(images: pa.Table, at: I64) -> pa.Table:
    if len(at) == images.num_rows and is_range(at):
        return images
    return images.take(at)


class Netting:
    """The net of a window given batch by batch; memory for the rows touched, not the changes.

    `empty` is a table of no rows with the columns of the images.
    """

    def __init__(self, empty: pa.Table) -> None:
        self._empty = empty
        self._parts: list[Changes] = []
        self._held = 0
        self._settled = 0

    @property
    def held(self) -> int:
        """How many changes are held now."""
        return self._held

    def add(self, changes: Changes) -> None:
        """Take in the next changes of the window."""
        if len(changes):
            self._parts.append(changes)
            self._held += len(changes)
            if self._held > 2 * self._settled + _SLACK:
                self._settle()

    def batches(self, rows: int) -> Iterator[Changes]:
        """The net changes, so many at a time."""
        self._settle()
        whole = self._parts[0]
        for start in range(0, len(whole), rows):
            part = np.arange(start, min(start + rows, len(whole)), dtype=np.int64)
            yield only_used(whole.pick(part))

    def _settle(self) -> None:
        self._parts = [only_used(net(joined(self._parts, self._empty)))]
        self._held = self._settled = len(self._parts[0])


def joined(parts: Sequence[Changes], empty: pa.Table) -> Changes:
    """Changes one after the other, their images in one table each."""
    if len(parts) == 1:
        return parts[0]
    nothing = np.empty(0, dtype=np.int64)
    before_starts = np.cumsum([0, *(part.before.num_rows for part in parts)])
    after_starts = np.cumsum([0, *(part.after.num_rows for part in parts)])
    before = _one([part.before for part in parts], empty)
    shared = all(part.before is part.after for part in parts)
    after = before if shared else _one([part.after for part in parts], empty)
    before_at = [_shifted(p.before_at, s) for p, s in zip(parts, before_starts, strict=False)]
    after_at = [_shifted(p.after_at, s) for p, s in zip(parts, after_starts, strict=False)]
    return Changes(
        np.concatenate([nothing, *(part.row_ids for part in parts)]),
        np.concatenate([nothing, *before_at]),
        np.concatenate([nothing, *after_at]),
        np.concatenate([nothing, *(part.versions for part in parts)]),
        np.concatenate([nothing, *(part.sequences for part in parts)]),
        np.concatenate([nothing, *(part.times_us for part in parts)]),
        before,
        after,
    )


def _one(images: Sequence[pa.Table], empty: pa.Table) -> pa.Table:
    return pa.concat_tables([empty, *images]).combine_chunks()


def _shifted(at: I64, start: int) -> I64:
    return np.where(at < 0, at, at + start)


def only_used(changes: Changes) -> Changes:
    """The same changes without the images that none of them uses."""
    before_at, before = _compact(changes.before_at, changes.before)
    after_at, after = _compact(changes.after_at, changes.after)
    return Changes(
        changes.row_ids,
        before_at,
        after_at,
        changes.versions,
        changes.sequences,
        changes.times_us,
        before,
        after,
    )


def _compact(at: I64, images: pa.Table) -> tuple[I64, pa.Table]:
    there = at >= 0
    used = at[there]
    if len(used) == images.num_rows and is_range(used):
        return at, images
    renumbered = np.full(len(at), -1, dtype=np.int64)
    renumbered[there] = np.arange(len(used), dtype=np.int64)
    return renumbered, images.take(used)
