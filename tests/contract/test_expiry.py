"""History that is let go: what stays, what is refused, and that all that stays still holds."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from checker import check_store
from support_clock import Clock
from support_producer import ORDERS, committing, create, current, insert, rows_of

from headwater.consumers.positions import AtTime, AtVersion, Mark, horizon, version_of
from headwater.log_store.catalog import TableObject
from headwater.log_store.errors import OutsideHistory
from headwater.log_store.port import Log, View
from headwater.log_store.reader import read_window
from headwater.log_store.rocks import RocksLog, RocksOptions
from headwater.log_store.snapshots import Snapshot, SnapshotCache
from headwater.log_store.state import diff, snapshot
from headwater.ops.doctor import examine, examine_bytes
from headwater.producer import ddl
from headwater.producer.ddl_clone import clone_table
from headwater.producer.errors import DuplicateKey
from headwater.schemas.tables import ColumnSpec
from headwater.schemas.types import SqlType

Rows = dict[int, tuple[object, ...]]


def busy(log: Log, name: str = "orders") -> TableObject:
    """Seven versions: inserts, an update, a key change, a delete, and a row put in again."""
    orders = create(log, name)
    insert(log, orders, (1, "a"), (2, "b"), (3, "c"))
    with committing(log) as tx:
        tx.update(orders, [(1, (1, "A"))])
    with committing(log) as tx:
        tx.update(orders, [(2, (20, "b"))])
    with committing(log) as tx:
        tx.delete(orders, [3])
    insert(log, orders, (3, "again"))
    with committing(log) as tx:
        tx.update(orders, [(2, (21, "B"))])
    insert(log, orders, (7, "g"))
    return current(log, orders)


def held(of: Snapshot) -> Rows:
    rows = zip(*(column.to_pylist() for column in of.data.columns), strict=True)
    return dict(zip(of.row_ids.tolist(), rows, strict=True))


def at(view: View, table: TableObject, version: int) -> Rows:
    return held(snapshot(view, table.id, version))


def whole(log: Log) -> None:
    """Nothing in the store contradicts anything else."""
    check_store(log)
    with log.view() as view:
        found = [*examine_bytes(log), *examine(view)]
    assert [one.fault for one in found if one.fault] == []


def test_every_version_from_the_horizon_on_reads_as_before(log: Log) -> None:
    orders = busy(log)
    with log.view() as view:
        before = {version: at(view, orders, version) for version in range(8)}
    assert log.expire(orders.id, 4) == 4
    with log.view() as view:
        assert horizon(view, orders.id) == 4
        assert {version: at(view, orders, version) for version in range(4, 8)} == {
            version: before[version] for version in range(4, 8)
        }
        assert [row.version for row in view.versions(orders.id, -1, 7)] == [4, 5, 6, 7]
        assert [e.versions.tolist() for e in read_window(view, orders.id, 4, 7)] == [[5, 6, 6, 7]]
        base = [row for block in view.base(orders.id) for row in block.row_ids]
        assert base == sorted(before[4])
        changed = diff(view, orders.id, 7, 4)
        assert changed.row_ids.tolist() == [2, 4, 5]
    whole(log)


def test_what_lies_below_is_refused_with_the_earliest_that_is_there(log: Log) -> None:
    orders = busy(log)
    with log.view() as view:
        early = view.versions(orders.id, 0, 1)
        time_us = next(early).time_us
    log.expire(orders.id, 4)
    with log.view() as view:
        assert view.version(orders.id, 3) is None
        for version in (0, 3):
            with pytest.raises(OutsideHistory, match="it has 4 to 7"):
                snapshot(view, orders.id, version)
            with pytest.raises(OutsideHistory, match="kept from v4"):
                version_of(view, orders, AtVersion(version))
        with pytest.raises(OutsideHistory, match="kept from v4"):
            version_of(view, orders, AtTime(time_us))
        assert version_of(view, orders, Mark.HORIZON) == 4
        for after in (0, 3):
            with pytest.raises(OutsideHistory, match="no longer kept"):
                list(view.blocks(orders.id, after, 6))
        with pytest.raises(OutsideHistory):
            diff(view, orders.id, 2, 7)


def test_an_expired_cache_shows_nothing_below(log: Log) -> None:
    orders, cache = busy(log), SnapshotCache(keep=log.keep_snapshot)
    with log.view() as view:
        for version in range(8):
            cache.put(snapshot(view, orders.id, version))
        held_three = snapshot(view, orders.id, 4)
    cache.keep(held_three)
    log.expire(orders.id, 4)
    with log.view() as view:
        with pytest.raises(OutsideHistory):
            snapshot(view, orders.id, 3, cache=cache)
        assert held(snapshot(view, orders.id, 5, cache=cache)) == at(view, orders, 5)
        assert [v for v in view.snapshot_versions(orders.id) if v < 4] == []


def test_the_horizon_never_falls_and_never_passes_the_head(log: Log) -> None:
    orders = busy(log)
    assert log.expire(orders.id, 4) == 4
    assert log.expire(orders.id, 4) == 4
    assert log.expire(orders.id, 0) == 4
    with pytest.raises(OutsideHistory, match="no version 8"):
        log.expire(orders.id, 8)
    assert log.expire(orders.id, 7) == 7
    with log.view() as view:
        assert at(view, orders, 7) == {1: (1, "A"), 2: (21, "B"), 4: (3, "again"), 5: (7, "g")}
        assert list(view.blocks(orders.id, 7, 7)) == []
    whole(log)


def test_commits_go_on_and_history_is_let_go_again_and_again(log: Log) -> None:
    orders = busy(log)
    for version in (2, 5, 9, 10):
        insert(log, orders, (100 + version, "x"))
        with committing(log) as tx:
            tx.update(orders, [(1, (1, f"v{version}"))])
            with pytest.raises(DuplicateKey):
                tx.insert(orders, [(100 + version, "y")])
        log.expire(orders.id, version)
        whole(log)
    with log.view() as view:
        assert view.head(orders.id).version == 15
        assert at(view, orders, 10)[1] == (1, "v2")
    assert len(rows_of(log, orders)) == 8


def test_a_base_may_be_empty(log: Log) -> None:
    orders = busy(log)
    with committing(log) as tx:
        tx.truncate(orders)
    log.expire(orders.id, 8)
    with log.view() as view:
        assert at(view, orders, 8) == {} and list(view.base(orders.id)) == []
    insert(log, orders, (1, "new"))
    assert rows_of(log, orders) == [(1, "new")]
    whole(log)


def test_rows_of_older_schemas_stay_readable_in_the_base(log: Log) -> None:
    orders = busy(log)
    with committing(log) as tx:
        ddl.add_column(tx, orders, ColumnSpec("more", SqlType.parse("INT"), default=9))
    orders = current(log, orders)
    insert(log, orders, (8, "h", 1))
    log.expire(orders.id, 8)
    with committing(log) as tx:
        ddl.drop_column(tx, current(log, orders), "name")
    orders = current(log, orders)
    with log.view() as view:
        assert at(view, orders, 8) == {1: (1, 9), 2: (21, 9), 4: (3, 9), 5: (7, 9), 6: (8, 1)}
    whole(log)


def test_other_tables_and_clones_keep_theirs(log: Log) -> None:
    orders, other = busy(log), busy(log, "other")
    with committing(log) as tx:
        clone = clone_table(tx, "clone", current(log, orders))
    log.expire(orders.id, 7)
    with log.view() as view:
        assert horizon(view, other.id) == 0
        assert at(view, other, 1) == {1: (1, "a"), 2: (2, "b"), 3: (3, "c")}
        assert len(at(view, current(log, clone), 1)) == 4
    log.expire(clone.id, 1)
    whole(log)


def test_a_view_that_is_older_than_what_is_kept_says_so(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"))
    with log.view() as old:
        insert(log, orders, (2, "b"))
        insert(log, orders, (3, "c"))
        log.expire(orders.id, 3)
        with pytest.raises(OutsideHistory, match="older than what is kept"):
            old.head(orders.id)
    whole(log)


def test_a_reader_whose_events_go_meanwhile_is_told_so(log: Log) -> None:
    orders = create(log)
    for number in range(30):
        insert(log, orders, (number, "x"))
    with log.view() as view:
        blocks = view.blocks(orders.id, 0, 30)
        assert next(blocks).version == 1
        log.expire(orders.id, 29)
        # What was fetched ahead may still come; never a false alarm, never a gap.
        try:
            versions = [block.version for block in blocks]
        except OutsideHistory:
            return
        assert versions == list(range(2, 31))


def test_many_rows_are_let_go_in_bounded_blocks(log: Log) -> None:
    orders = create(log, specs=ORDERS)
    ids = np.arange(50_000, dtype=np.int64)
    with committing(log) as tx:
        tx.insert_columns(
            orders, pa.table({"id": pa.array(ids), "name": pa.array(["x" * 50] * len(ids))})
        )
    with committing(log) as tx:
        held_now = tx.scan(orders)
        tx.update_columns(orders, [(held_now.row_ids[::2], held_now.data.take(ids[::2]))])
    log.expire(orders.id, 2)
    with log.view() as view:
        blocks = list(view.base(orders.id))
        assert sum(len(block.row_ids) for block in blocks) == 50_000
        assert len(blocks) > 2
        versions = [stored.version for block in blocks for stored in block.stored]
        assert versions == [2, 1] * 25_000
        assert snapshot(view, orders.id, 2).data.num_rows == 50_000


def test_what_is_let_go_stays_gone_after_a_reopening(tmp_path: Path) -> None:
    options = RocksOptions(path=tmp_path / "shop", name="shop", clock=Clock())
    with RocksLog(options) as log:
        orders = busy(log)
        log.expire(orders.id, 4)
        with log.view() as view:
            wanted = {version: at(view, orders, version) for version in range(4, 8)}
    with RocksLog(options) as log:
        with log.view() as view:
            assert horizon(view, orders.id) == 4
            assert {version: at(view, orders, version) for version in range(4, 8)} == wanted
        insert(log, orders, (9, "i"))
        assert log.expire(orders.id, 8) == 8
        whole(log)
