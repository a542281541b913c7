"""A whole table as a transaction sees it: the view's snapshot under its own writes."""

import numpy as np
import pyarrow as pa

from headwater.log_store.snapshots import Snapshot, SnapshotCache, empty_table
from headwater.log_store.state import snapshot
from headwater.producer.keyhash import I64
from headwater.producer.overlay import Overlay
from headwater.producer.sweep import own_parts


def merged(overlay: Overlay, cache: SnapshotCache | None = None) -> Snapshot:
    """All rows in row id order, in the current generation, own writes included."""
    base = None
    if not overlay.hidden:
        base = snapshot(overlay.view, overlay.table.id, cache=cache).in_schema(overlay.schema)
        if overlay.pristine:
            return base
    ids: list[I64] = []
    parts: list[pa.Table] = [empty_table(overlay.schema)]
    if base is not None:
        kept = np.flatnonzero(~overlay.touched_of(base.row_ids))
        ids.append(base.row_ids[kept])
        parts.append(base.data.take(kept))
    for part in own_parts(overlay):
        ids.append(part.row_ids)
        parts.append(overlay.codec.decode_columns(part.images))
    row_ids = np.concatenate([np.empty(0, np.int64), *ids])
    data = pa.concat_tables(parts)
    order = np.argsort(row_ids, kind="stable")
    if len(order) and bool((np.diff(order) != 1).any()):
        row_ids, data = row_ids[order], data.take(order)
    head = max(overlay.head, 0)
    return Snapshot(overlay.table.id, head, overlay.schema, row_ids, data.combine_chunks(), None)
