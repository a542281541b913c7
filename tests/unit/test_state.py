"""Snapshots as of any version, and what changed between two of them."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from support_history import History, contents, history

from headwater.log_store import snapshots, state
from headwater.log_store.errors import LogDamaged, OutsideHistory, StoreUnavailable
from headwater.log_store.port import Log, View
from headwater.log_store.snapshots import Snapshot, SnapshotCache, kept_batches, kept_snapshot
from headwater.log_store.state import diff, snapshot
from headwater.schemas.evolve import add_column, drop_column, rename_column
from headwater.schemas.tables import ColumnSpec
from headwater.schemas.types import SqlType


@pytest.fixture
def orders(log: Log) -> History:
    """v1: rows 1, 2, 3; v2: 2 changed; v3: 1 gone, 4 new; v4: 3 under another key; v5: 1 back."""
    of = history(log)
    for n in (1, 2, 3):
        of.insert((n, f"a{n}"))
    of.commit()
    of.update(2, (2, "b2"))
    of.commit()
    of.delete(1)
    of.insert((4, "a4"))
    of.commit()
    of.rekey(3, (30, "a3"))
    of.commit()
    of.insert((1, "a1"), row_id=1)
    of.commit()
    return of


def test_every_version_is_what_it_was(orders: History) -> None:
    with orders.log.view() as view:
        for version in range(6):
            taken = snapshot(view, orders.table.id, version)
            assert contents(taken) == orders.expected(version)
            assert list(contents(taken)) == sorted(contents(taken))
            assert taken.version == version


def test_the_head_is_the_default_and_knows_who_wrote_each_row(orders: History) -> None:
    with orders.log.view() as view:
        head = snapshot(view, orders.table.id)

    assert head.version == 5
    assert head.versions is not None
    assert dict(zip(head.row_ids.tolist(), head.versions.tolist(), strict=True)) == orders.written


def test_a_table_without_rows_has_its_columns(log: Log) -> None:
    of = history(log)
    with log.view() as view:
        taken = snapshot(view, of.table.id)

    assert len(taken) == 0
    assert taken.data.column_names == ["id", "name"]
    assert str(taken.data.schema) == "id: int64\nname: string"


def test_a_view_shows_its_own_head_whatever_came_later(orders: History) -> None:
    with orders.log.view() as view:
        orders.delete(4)
        orders.commit()

        assert contents(snapshot(view, orders.table.id)) == orders.expected(5)
        with pytest.raises(OutsideHistory):
            snapshot(view, orders.table.id, 6)


@pytest.mark.parametrize("version", [-1, 6, 99])
def test_a_version_that_does_not_exist_is_refused_with_those_that_do(
    orders: History, version: int
) -> None:
    with orders.log.view() as view, pytest.raises(OutsideHistory, match="it has 0 to 5"):
        snapshot(view, orders.table.id, version)


def test_the_past_comes_in_todays_schema(orders: History) -> None:
    size = replace(ColumnSpec("size", SqlType.parse("INT")), default=7)
    orders.alter(add_column(orders.schema, size))
    orders.update(2, (2, "b2", 8))
    orders.commit()
    orders.alter(rename_column(orders.schema, "size", "amount"))
    orders.alter(drop_column(orders.schema, "name"))

    with orders.log.view() as view:
        for version in range(7):
            taken = snapshot(view, orders.table.id, version)
            assert contents(taken) == orders.expected(version)
            assert taken.data.column_names == ["id", "amount"]


def forbidden(*_: object) -> Snapshot:
    raise AssertionError("not the way that was asked for")


def test_a_cached_snapshot_is_given_again(orders: History) -> None:
    cache = SnapshotCache()
    with orders.log.view() as view:
        first = snapshot(view, orders.table.id, 3, cache=cache)

        assert snapshot(view, orders.table.id, 3, cache=cache) is first


@pytest.mark.parametrize("start", range(6))
@pytest.mark.parametrize("wanted", range(6))
def test_any_cached_version_leads_to_any_other(
    orders: History, monkeypatch: pytest.MonkeyPatch, start: int, wanted: int
) -> None:
    cache = SnapshotCache()
    with orders.log.view() as view:
        snapshot(view, orders.table.id, start, cache=cache)
        # So that the cache is the cheapest start by far.
        monkeypatch.setattr(state, "_EVENT", 0.0)
        monkeypatch.setattr(state, "_CACHED_ROW", -1.0)

        taken = snapshot(view, orders.table.id, wanted, cache=cache)

    assert contents(taken) == orders.expected(wanted)
    if taken.versions is not None and wanted == 5:
        known = dict(zip(taken.row_ids.tolist(), taken.versions.tolist(), strict=True))
        assert known == orders.written


def test_a_cache_made_before_a_schema_change_serves_after_it(orders: History) -> None:
    cache = SnapshotCache()
    with orders.log.view() as old:
        for version in range(6):
            snapshot(old, orders.table.id, version, cache=cache)
        orders.alter(rename_column(orders.schema, "name", "title"))
        with orders.log.view() as view:
            for version in range(6):
                taken = snapshot(view, orders.table.id, version, cache=cache)
                assert contents(taken) == orders.expected(version)
                assert taken.data.column_names == ["id", "title"]
        assert snapshot(old, orders.table.id, 5, cache=cache).data.column_names == ["id", "name"]


def test_a_cache_made_after_a_schema_change_does_not_serve_a_view_from_before(
    orders: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "_CACHED_ROW", -1000.0)
    cache = SnapshotCache()
    with orders.log.view() as old:
        expected = {version: orders.expected(version) for version in (4, 5)}
        orders.alter(drop_column(orders.schema, "name"))
        with orders.log.view() as view:
            snapshot(view, orders.table.id, 5, cache=cache)

        for version in (4, 5):
            taken = snapshot(old, orders.table.id, version, cache=cache)
            assert contents(taken) == expected[version]


def test_the_head_does_not_start_from_what_lost_its_rows_versions(
    orders: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "_CACHED_ROW", -1000.0)
    cache = SnapshotCache()
    with orders.log.view() as view:
        cache.put(replace(snapshot(view, orders.table.id, 3), versions=None))

        head = snapshot(view, orders.table.id, cache=cache)

    assert head.versions is not None


def test_the_cache_lets_go_of_what_was_used_longest_ago(orders: History) -> None:
    with orders.log.view() as view:
        some = [snapshot(view, orders.table.id, version) for version in (1, 2, 3)]
    cache = SnapshotCache(limit_bytes=some[1].nbytes + some[2].nbytes + 8)
    for one in some[:2]:
        cache.put(one)
    cache.get(orders.table.id, 1, orders.schema)
    cache.put(some[2])

    held = [cache.get(orders.table.id, version, orders.schema) for version in (1, 2, 3)]
    assert held == [some[0], None, some[2]]
    assert cache.nbytes == some[0].nbytes + some[2].nbytes


def test_a_snapshot_larger_than_the_cache_is_not_held(orders: History) -> None:
    cache = SnapshotCache(limit_bytes=10)
    with orders.log.view() as view:
        taken = snapshot(view, orders.table.id, 1, cache=cache)

    assert contents(taken) == orders.expected(1)
    assert cache.nbytes == 0


def keep(orders: History, version: int) -> None:
    cache = SnapshotCache(keep=orders.log.keep_snapshot)
    with orders.log.view() as view:
        cache.keep(forward(view, orders.table.id, version))


def forward(view: View, table: int, version: int) -> Snapshot:
    """A snapshot that knows its rows' versions: folded from the start of the log."""
    starts = state.starts(view, view.catalog.table(table), version, None)
    base = next(s for s in (start.load() for start in starts) if s.version == 0)
    return state.replayed(view, base, version)


@pytest.mark.parametrize("wanted", range(6))
def test_a_kept_snapshot_leads_to_any_version(
    orders: History, monkeypatch: pytest.MonkeyPatch, wanted: int
) -> None:
    keep(orders, 3)
    monkeypatch.setattr(state, "_EVENT", 0.0)
    monkeypatch.setattr(state, "_KEPT_ROW", -1.0)

    with orders.log.view() as view:
        assert view.snapshot_versions(orders.table.id) == [3]
        assert contents(snapshot(view, orders.table.id, wanted)) == orders.expected(wanted)


def test_a_kept_snapshot_that_is_damaged_is_passed_over(
    orders: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(orders, 3)
    monkeypatch.setattr(state, "_KEPT_ROW", -1.0)
    with orders.log.view() as view:
        (batch,) = view.snapshot(orders.table.id, 3)
        strange = batch.replace_schema_metadata({"headwater.generation": "9"})

        def damaged(*_: object) -> Iterator[pa.RecordBatch]:
            yield strange

        monkeypatch.setattr(type(view), "snapshot", damaged)

        with pytest.raises(LogDamaged, match="generation '9'"):
            kept_snapshot(orders.table, 3, view.snapshot(orders.table.id, 3))
        assert contents(snapshot(view, orders.table.id, 3)) == orders.expected(3)


def test_a_long_replay_is_kept_for_the_next_one(
    orders: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "_KEEP_LEAST", 0)
    monkeypatch.setattr(state, "_SCAN_ROW", 1000.0)
    cache = SnapshotCache(keep=orders.log.keep_snapshot)
    with orders.log.view() as view:
        snapshot(view, orders.table.id, 2, cache=cache)
    with orders.log.view() as view:
        assert view.snapshot_versions(orders.table.id) == [2]


def test_a_store_that_cannot_keep_a_snapshot_still_gives_it(
    orders: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "_KEEP_LEAST", 0)

    def full(*_: object) -> None:
        raise StoreUnavailable("no space left")

    with orders.log.view() as view:
        taken = snapshot(view, orders.table.id, 2, cache=SnapshotCache(keep=full))

    assert contents(taken) == orders.expected(2)


def test_kept_batches_are_the_same_where_no_row_changed(
    orders: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "_BATCH_ROWS", 4)
    for n in range(100, 130):
        orders.insert((n, "x"))
    before = orders.commit()
    orders.update(12, (107, "y"))
    orders.delete(21)
    after = orders.commit()

    with orders.log.view() as view:
        old, new = (
            list(kept_batches(forward(view, orders.table.id, version)))
            for version in (before, after)
        )

    assert len(old) == len(new) == 9
    changed = [n for n, (a, b) in enumerate(zip(old, new, strict=True)) if not a.equals(b)]
    assert changed == [12 // 4, 21 // 4]
    assert sum(batch.num_rows for batch in new) == len(orders.rows)


@pytest.mark.parametrize("ids", [[], [1], [65_536], [65_535, 65_536], [10**12, 10**12 + 1]])
def test_no_kept_batch_is_lost_or_empty(orders: History, ids: list[int]) -> None:
    with orders.log.view() as view:
        some = snapshot(view, orders.table.id)
    row_ids = np.array(ids, dtype=np.int64)
    data = some.data.take(np.zeros(len(ids), dtype=np.int64))
    kept = replace(some, row_ids=row_ids, data=data, versions=row_ids)

    batches = list(kept_batches(kept))

    back = kept_snapshot(orders.table, 5, iter(batches))
    assert back.row_ids.tolist() == ids
    assert all(batch.num_rows for batch in batches)


def test_only_a_snapshot_that_knows_its_rows_versions_is_kept(orders: History) -> None:
    with orders.log.view() as view:
        unknown = replace(snapshot(view, orders.table.id, 1), versions=None)

    with pytest.raises(ValueError, match="versions"):
        list(kept_batches(unknown))


def test_a_diff_names_what_came_went_and_changed(orders: History) -> None:
    with orders.log.view() as view:
        changes = diff(view, orders.table.id, 1, 4)

    assert named(changes) == [
        (1, "a1", None),
        (2, "a2", "b2"),
        (3, "a3", "a3"),
        (4, None, "a4"),
    ]


def named(changes: state.Diff) -> list[tuple[int, object, object]]:
    """Each row id with its name before and after."""
    before = changes.before.column("name").to_pylist()
    after = changes.after.column("name").to_pylist()
    ids, old, new = (a.tolist() for a in (changes.row_ids, changes.before_at, changes.after_at))
    return [
        (row_id, before[b] if b >= 0 else None, after[a] if a >= 0 else None)
        for row_id, b, a in zip(ids, old, new, strict=True)
    ]


def test_a_diff_leaves_out_what_ended_as_it_began(orders: History) -> None:
    orders.update(2, (2, "other"))
    orders.commit()
    orders.update(2, (2, "b2"))
    orders.insert((9, "short"))
    orders.delete(orders.next_id - 1)
    orders.commit()

    with orders.log.view() as view:
        assert len(diff(view, orders.table.id, 5, 7)) == 0
        # Row 1 went at v3 and came back the same at v5.
        assert diff(view, orders.table.id, 2, 5).row_ids.tolist() == [3, 4]
        assert len(diff(view, orders.table.id, 3, 3)) == 0


def test_a_diff_the_other_way_round_swaps_its_images(orders: History) -> None:
    with orders.log.view() as view:
        there, back = diff(view, orders.table.id, 1, 5), diff(view, orders.table.id, 5, 1)

    assert there.row_ids.tolist() == back.row_ids.tolist()
    assert there.after.equals(back.before) and there.before.equals(back.after)
    assert there.after_at.tolist() == back.before_at.tolist()
