"""Whether kept snapshots are what the log says: each is compared with a replay up to its version."""

from collections.abc import Iterator

import numpy as np

from headwater.log_store.catalog import TableObject
from headwater.log_store.errors import LogError
from headwater.log_store.port import View
from headwater.log_store.replay import same_rows
from headwater.log_store.snapshots import Snapshot, kept_snapshot, no_rows
from headwater.log_store.state import horizon_rows, replayed
from headwater.schemas.errors import SchemaError


def kept_differences(view: View) -> Iterator[str]:
    """Where kept snapshots differ from the log, in words: the first difference of each.

    The log of each table that has any is read once; memory for two snapshots.
    """
    for table in view.catalog.all("table"):
        if isinstance(table, TableObject):
            yield from table_differences(view, table)


def table_differences(view: View, of: TableObject) -> Iterator[str]:
    """The same for one table."""
    versions = view.snapshot_versions(of.id)
    if not versions:
        return
    begun = view.version(of.id, 0) is not None
    told = no_rows(of.id, 0, of.schema) if begun else horizon_rows(view, of)
    for version in versions:
        told = replayed(view, told, version)
        try:
            kept = kept_snapshot(of, version, view.snapshot(of.id, version))
            why = _difference(told, kept)
        except (LogError, SchemaError) as error:
            why = str(error)
        if why:
            yield f"snapshot v{version} of table {of.name}: {why}"


def _difference(told: Snapshot, kept: Snapshot) -> str:
    """How a kept snapshot differs from what the log tells; empty if it does not."""
    if not np.array_equal(told.row_ids, kept.row_ids):
        other = np.setxor1d(told.row_ids, kept.row_ids)
        return f"it has other rows than the log, row {other[0] if len(other) else 'order'} first"
    if told.versions is not None and kept.versions is not None:
        wrong = np.flatnonzero(told.versions != kept.versions)
        if len(wrong):
            row = told.row_ids[wrong[0]]
            return f"row {row} was written by another version than it says"
    same = same_rows(told.data, kept.data)
    return "" if same.all() else f"row {told.row_ids[~same][0]} has other values than the log"
