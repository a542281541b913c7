"""Lenses for tests: a view's text is the column that it filters by, the least value that passes,
and the columns it shows: `v >= 3: id, v`. What the table lacks is NULL, and passes no filter.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headwater.consumers.lens import Lens
from headwater.log_store.catalog import Catalog, ViewColumn, ViewObject
from headwater.log_store.replay import Mask
from headwater.producer.ddl_views import ViewSpec
from headwater.schemas.types import SqlType


@dataclass(frozen=True)
class LeastLens:
    """Passes images whose column holds at least a value, and shows some columns of them."""

    column: str
    least: int
    shows: tuple[str, ...]

    def apply(self, images: pa.Table) -> tuple[Mask, pa.Table]:
        values = self._values(images, self.column)
        passes = np.array([value is not None and value >= self.least for value in values], np.bool_)
        at = np.flatnonzero(passes)
        shown = [
            pa.array([self._values(images, name)[i] for i in at], pa.int64()) for name in self.shows
        ]
        return passes, pa.table(shown, names=list(self.shows))

    @staticmethod
    def _values(images: pa.Table, name: str) -> list[int | None]:
        if name not in images.column_names:
            return [None] * images.num_rows
        return [None if value is None else int(value) for value in images.column(name).to_pylist()]


def least_lens(catalog: Catalog, view: ViewObject) -> Lens:
    """The lens of a view made by `least_view`."""
    del catalog
    condition, _, shows = view.text.partition(": ")
    column, _, least = condition.partition(" >= ")
    return LeastLens(column, int(least), tuple(shows.split(", ")))


def least_view(table: int | None, column: str, least: int, shows: Sequence[str]) -> ViewSpec:
    """A view of a table that such a lens looks through."""
    columns = [ViewColumn(name, SqlType.parse("INT")) for name in shows]
    return ViewSpec(text=f"{column} >= {least}: {', '.join(shows)}", columns=columns, table=table)
