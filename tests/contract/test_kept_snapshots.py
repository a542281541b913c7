"""Snapshots kept beside the log: they are compared with it, whatever is wrong with them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from checker import Derives
from support_clock import Clock
from support_producer import committing, create, current, insert

from headwater.log_store.catalog import TableObject
from headwater.log_store.memory import MemoryLog
from headwater.log_store.port import Log
from headwater.log_store.rocks import RocksLog, RocksOptions
from headwater.log_store.snapshots import Snapshot, kept_batches
from headwater.log_store.state import snapshot
from headwater.producer import ddl
from headwater.schemas.tables import ColumnSpec
from headwater.schemas.types import SqlType


@pytest.fixture(params=["memory", "rocks"])
def alone(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    """A store that nobody looks over when the test is done with it."""
    if request.param == "memory":
        opened: Log = MemoryLog("shop", clock=Clock())
    else:
        opened = RocksLog(RocksOptions(path=tmp_path / "shop", name="shop", clock=Clock()))
    yield opened
    opened.close()


def busy(log: Log) -> TableObject:
    """Three versions: inserts, an update, a delete."""
    orders = create(log)
    insert(log, orders, (1, "a"), (2, "b"), (3, None))
    with committing(log) as tx:
        tx.update(orders, [(1, (1, "A"))])
    with committing(log) as tx:
        tx.delete(orders, [2])
    return orders


def found(log: Log, table: TableObject, version: int) -> Snapshot:
    """A version, replayed from the beginning, so that it knows who wrote each row."""
    with log.view() as view:
        return snapshot(view, table.id, version)


def keep(log: Log, kept: Snapshot) -> None:
    versions = kept.versions
    if versions is None:
        versions = np.full(len(kept), kept.version)
    known = replace(kept, versions=versions)
    log.keep_snapshot(kept.table, kept.version, kept_batches(known))


def differences(log: Log) -> list[str]:
    assert isinstance(log, Derives)
    return log.verify_derived()


def test_snapshots_that_hold_are_passed_in_older_columns_too(log: Log) -> None:
    orders = busy(log)
    for version in (1, 3):
        keep(log, found(log, orders, version))
    with committing(log) as tx:
        ddl.add_column(tx, orders, ColumnSpec("more", SqlType.parse("INT"), default=9))
    insert(log, current(log, orders), (4, "d", 1))
    keep(log, found(log, current(log, orders), 4))
    with log.view() as view:
        assert view.snapshot_versions(orders.id) == [1, 3, 4]
    assert differences(log) == []


def other_value(kept: Snapshot) -> Snapshot:
    names = pa.array(["a", "B", None])
    return replace(kept, data=kept.data.set_column(1, "name", names))


def other_null(kept: Snapshot) -> Snapshot:
    names = pa.array(["a", "b", "c"])
    return replace(kept, data=kept.data.set_column(1, "name", names))


def lost_row(kept: Snapshot) -> Snapshot:
    return replace(
        kept,
        row_ids=kept.row_ids[:2],
        data=kept.data.slice(0, 2),
        versions=None if kept.versions is None else kept.versions[:2],
    )


def other_writer(kept: Snapshot) -> Snapshot:
    return replace(kept, versions=np.array([1, 1, 0]))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (other_value, "row 2 has other values"),
        (other_null, "row 3 has other values"),
        (lost_row, "other rows than the log, row 3"),
        (other_writer, "row 3 was written by another version"),
    ],
)
def test_a_snapshot_that_differs_from_the_log_is_found(
    alone: Log, damage: Callable[[Snapshot], Snapshot], says: str
) -> None:
    orders = busy(alone)
    first, last = found(alone, orders, 1), found(alone, orders, 3)
    keep(alone, damage(first))
    keep(alone, last)
    (told,) = differences(alone)
    assert told.startswith("snapshot v1 of table orders: ") and says in told
