"""From events to rows, in numpy and Arrow: who was touched, and what each row was before or after.

Events hold both images, so a run of them can be replayed either way. Forward, a row's last `after`
wins; backward, its first `before`. Images are dropped as soon as a later (or earlier) one is known
to win, so a run of any length needs memory only for the rows it touched. Pure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

# The stubs leave the element types of Arrow's functions open; those used here give booleans.
_call = cast(Callable[[str, list[object]], pa.BooleanArray], pyarrow.compute.call_function)
# Images held beyond what the last clean-up left; below this a clean-up is not worth its cost.
_SLACK_ROWS = 262_144
_MOST_CHUNKS = 64
# Row ids may spread over this many times their number before they are sorted instead.
_SPARSE = 8


@dataclass(frozen=True, slots=True)
class Images:
    """An image, or none, for each of n events or rows.

    `at` is the image's place in `data`, -1 where there is none; `versions` is the version of the
    event it comes from. What a `Fold` gives has each row once, row ids rising.
    """

    row_ids: I64
    at: I64
    versions: I64
    data: pa.Table

    def __len__(self) -> int:
        return len(self.row_ids)

    def pick(self, which: I64) -> "Images":
        """The chosen entries in the order given, with no image that none of them uses."""
        at = self.at[which]
        there = at >= 0
        used = at[there]
        data = self.data
        if len(used) != data.num_rows or not is_range(used):
            data = data.take(used)
        renumbered = np.full(len(at), -1, dtype=np.int64)
        renumbered[there] = np.arange(len(used), dtype=np.int64)
        return Images(self.row_ids[which], renumbered, self.versions[which], data)


class Fold:
    """The last image of each row over a run of events, or the first, in bounded memory.

    Give it the events in order. `empty` is a table of no rows with the columns of the images.
    """

    def __init__(self, empty: pa.Table, *, last: bool) -> None:
        self._last = last
        self._empty = empty
        self._parts: list[Images] = []
        self._held = 0
        self._settled: Images | None = None

    def add(self, images: Images) -> None:
        """Take in the next events."""
        which = self._one_each(images.row_ids)
        # Copying the winners out pays only where it lets most images go; else they wait.
        if 2 * len(which) <= max(len(images), images.data.num_rows):
            images = images.pick(which)
        self._parts.append(images)
        self._held += len(images)
        if self._held > 2 * len(self._settled or ()) + _SLACK_ROWS:
            self.images()

    def images(self) -> Images:
        """What is left: each touched row once, row ids rising."""
        if self._settled is None or self._parts:
            before = [] if self._settled is None else [self._settled]
            every = _joined([*before, *self._parts], self._empty)
            self._settled = every.pick(self._one_each(every.row_ids))
            self._parts, self._held = [], 0
        return self._settled

    def _one_each(self, row_ids: I64) -> I64:
        return last_of_each(row_ids) if self._last else first_of_each(row_ids)


def is_range(numbers: I64) -> bool:
    """Whether the numbers are 0, 1, 2, .."""
    return bool(np.array_equal(numbers, np.arange(len(numbers), dtype=np.int64)))


def first_of_each(row_ids: I64) -> I64:
    """Where each row id stands first, by rising row id."""
    count = len(row_ids)
    if _rises(row_ids):
        return np.arange(count, dtype=np.int64)
    low = int(row_ids.min())
    span = int(row_ids.max()) - low + 1
    if span > _SPARSE * count:
        return np.unique(row_ids, return_index=True)[1].astype(np.int64, copy=False)
    # A slot per row id, no sort; of several places assigned to one slot the last one stays.
    places = np.full(span, -1, dtype=np.int64)
    places[row_ids[::-1] - low] = np.arange(count - 1, -1, -1, dtype=np.int64)
    return places[places >= 0]


def last_of_each(row_ids: I64) -> I64:
    """Where each row id stands last, by rising row id."""
    if _rises(row_ids):
        return np.arange(len(row_ids), dtype=np.int64)
    return len(row_ids) - 1 - first_of_each(row_ids[::-1])


def overlaid(row_ids: I64, data: pa.Table, images: Images) -> tuple[I64, pa.Table, I64, Mask]:
    """Rows with images laid over them: an image replaces or adds its row, none removes it.

    `row_ids` rise, and so do those of `images`. Returns the new row ids, their columns, and for
    each new row its place in the old rows or, where the mask says so, in `images`.
    """
    spot = np.searchsorted(row_ids, images.row_ids)
    hit = spot < len(row_ids)
    hit[hit] = row_ids[spot[hit]] == images.row_ids[hit]
    keep = np.ones(len(row_ids), dtype=np.bool_)
    keep[spot[hit]] = False
    kept = np.flatnonzero(keep)
    added = np.flatnonzero(images.at >= 0)

    ids = np.concatenate([row_ids[kept], images.row_ids[added]])
    origin = np.concatenate([kept, added])
    new = np.zeros(len(ids), dtype=np.bool_)
    new[len(kept) :] = True
    rows = np.concatenate([kept, data.num_rows + images.at[added]])
    if not _rises(ids):
        order = np.argsort(ids, kind="stable")
        ids, origin, new, rows = ids[order], origin[order], new[order], rows[order]
    both = pa.concat_tables([data, images.data])
    if not (len(rows) == both.num_rows and is_range(rows)):
        both = both.combine_chunks().take(rows)
    elif both.column(0).num_chunks > _MOST_CHUNKS:
        # Rows were only added, which copies nothing, until reads would pay for it.
        both = both.combine_chunks()
    return ids, both, origin, new


def same_rows(left: pa.Table, right: pa.Table) -> Mask:
    """Which rows hold the same values; NULL equals NULL and NaN equals NaN.

    Both tables have the same columns in the same order and equally many rows.
    """
    same = np.ones(left.num_rows, dtype=np.bool_)
    for a, b in zip(left.columns, right.columns, strict=True):
        equal = _mask("equal", a, b)
        equal |= _mask("is_null", a) & _mask("is_null", b)
        if pa.types.is_floating(a.type):
            equal |= _mask("is_nan", a) & _mask("is_nan", b)
        same &= equal
    return same


def _mask(function: str, *columns: object) -> Mask:
    """A true-or-false function of Arrow over columns, as numpy; NULL is false."""
    return np.array(_call(function, [*columns]).fill_null(False), dtype=np.bool_)


def _joined(parts: Sequence[Images], empty: pa.Table) -> Images:
    """Parts one after the other, their images in one table."""
    nothing = np.empty(0, dtype=np.int64)
    starts = np.cumsum([0, *(part.data.num_rows for part in parts)])
    at = [np.where(p.at < 0, -1, p.at + s) for p, s in zip(parts, starts, strict=False)]
    return Images(
        np.concatenate([nothing, *(part.row_ids for part in parts)]),
        np.concatenate([nothing, *at]),
        np.concatenate([nothing, *(part.versions for part in parts)]),
        pa.concat_tables([empty, *(part.data for part in parts)]).combine_chunks(),
    )


def _rises(numbers: I64) -> bool:
    """Whether the numbers rise strictly."""
    return bool((numbers[1:] > numbers[:-1]).all())
