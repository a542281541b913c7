"""A stream on a view: changes of the table as they are seen through a filter and a projection. Pure.

What a view's text means is not known here: a `Lens` says which images pass, and what of them is
shown. A row that enters the filter is an INSERT, one that leaves it a DELETE, inside it a change
is the pair that it was; what stays outside is not seen. NET nets what is seen.
"""

from typing import Protocol

import numpy as np
import pyarrow as pa

from headwater.consumers.captures import Changes
from headwater.consumers.netting import only_used
from headwater.log_store.catalog import Catalog, ViewObject
from headwater.log_store.replay import I64, Mask


class Lens(Protocol):
    """The filter and projection of a view of one table."""

    def apply(self, images: pa.Table) -> tuple[Mask, pa.Table]:
        """Which images pass, and the view's columns of those that do, in the order given.

        Images have the columns of the table in their inner types, the view's columns theirs.
        Equal images give equal results, in every call.
        """
        ...


class Lenses(Protocol):
    """What can look through views: it knows the language they are written in."""

    def __call__(self, catalog: Catalog, view: ViewObject) -> Lens:
        """The lens of a view of one table, over that table's columns as they are in `catalog`.

        Raises:
            StreamInvalid: the text does not fit the table any more.
        """
        ...


class Glass:
    """A lens over the batches of one window; `empty` is a table of no rows of the images."""

    def __init__(self, lens: Lens, empty: pa.Table) -> None:
        self._lens = lens
        self._nothing = np.empty(0, dtype=np.bool_)
        # No images, no call: half of a window's tables are empty in a history of inserts.
        self.empty = lens.apply(empty)[1].slice(0, 0)

    def seen(self, changes: Changes) -> Changes:
        """The changes as the view shows them; those it does not show are gone."""
        used = only_used(changes)
        before_at, before = self._through(used.before_at, used.before)
        after_at, after = self._through(used.after_at, used.after)
        kept = np.flatnonzero((before_at >= 0) | (after_at >= 0))
        return Changes(
            used.row_ids[kept],
            before_at[kept],
            after_at[kept],
            used.versions[kept],
            used.sequences[kept],
            used.times_us[kept],
            before,
            after,
        )

    def _through(self, at: I64, images: pa.Table) -> tuple[I64, pa.Table]:
        """Where the images that pass stand among those, -1 for no image and for one that fails."""
        if not images.num_rows:
            return at, self.empty
        passes, shown = self._lens.apply(images)
        places = np.where(passes, np.cumsum(passes) - 1, -1)
        there = at >= 0
        found = np.full(len(at), -1, dtype=np.int64)
        found[there] = places[at[there]]
        return found, shown
