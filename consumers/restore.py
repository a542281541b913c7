"""Putting tables back: the inverse of what was done, as ordinary changes of one commit.

Restored rows keep their row ids and come in today's schema.
"""

import numpy as np
import pyarrow as pa

from headwater.consumers.rewind_plan import PlannedTarget
from headwater.log_store.replay import I64
from headwater.log_store.state import Diff, diff
from headwater.producer.transaction import Transaction

_PART = 65_536


def put_back(tx: Transaction, target: PlannedTarget) -> int:
    """Stage what turns a table at its planned head into what it was; returns the rows changed.

    The commit is refused if anybody changes the table before it.
    """
    assert target.back_to is not None, "a plain rewind puts no table back"
    table = tx.catalog.table(target.table)
    tx.expect_unmoved(table.id, target.head)
    found = diff(tx.view, table.id, target.head, target.back_to)
    there, then = found.before_at >= 0, found.after_at >= 0
    gone = np.flatnonzero(there & ~then)
    # In this order every step's keys are unique, whatever keys the rows exchange.
    if len(gone):
        tx.delete(table, found.row_ids[gone].tolist())
    changed = np.flatnonzero(there & then)
    if len(changed):
        tx.update_columns(table, [(found.row_ids[changed], _images(found, changed))])
    back = np.flatnonzero(then & ~there)
    for start in range(0, len(back), _PART):
        part = back[start : start + _PART]
        tx.insert_columns(table, _images(found, part), row_ids=found.row_ids[part])
    return len(found)


def _images(found: Diff, which: I64) -> pa.Table:
    """The rows as they were, for those entries."""
    return found.after.take(found.after_at[which])
