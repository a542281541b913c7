"""The embedded log: what it keeps over a reopening, and what it says when it cannot go on."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from support_clock import Clock
from support_log import (
    batch,
    changes,
    delete,
    insert,
    make_consumer,
    make_table,
    update,
    write,
)
from support_rocks import contents, load, many, opened, options, spread, table_of

from headwater.log_store import rocks_commit
from headwater.log_store.catalog import TableObject
from headwater.log_store.errors import (
    DirectoryInUse,
    Fenced,
    FormatNotKnown,
    OutcomeUnknown,
    StoreUnavailable,
    WriteConflict,
)
from headwater.log_store.failpoints import NAMES, arm, watch
from headwater.log_store.lock import NAME as OWNER
from headwater.log_store.lock import DirectoryLock
from headwater.log_store.port import View
from headwater.log_store.records import INITIAL, Idempotency, Move
from headwater.log_store.rocks import RocksLog
from headwater.log_store.rocks_readonly import open_read_only


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    arm("")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop"


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits above a few rows take the way of large ones."""
    monkeypatch.setattr(rocks_commit, "LARGE_BYTES", 2000)


def test_everything_is_there_after_reopening(path: Path) -> None:
    with opened(path) as log:
        table, other = make_table(log), make_table(log, "other")
        consumer = make_consumer(log, table, other.id)
        write(log, table, insert(table, 1, (1, "a")), insert(table, 2, (2, "b")))
        write(log, table, update(table, 1, (1, "a"), (1, "c"), seen=1))
        made = log.commit(
            batch(
                actor="ann",
                statements=["q:1"],
                result="{}",
                idempotency=Idempotency("k", b"d"),
                audit=[("test", "{}")],
                tables=changes(other, insert(other, 1, (1, "z"))),
                moves=[Move(consumer.id, 0, 2, "consume", other.id, reason="why", note={"n": 1})],
            )
        )
        with log.view() as view:
            before = state_of(view, table, consumer.id)
    with opened(path) as log:
        with log.view() as view:
            assert state_of(view, table, consumer.id) == before
            assert view.find_commit(made.commit_id) == view.commit(made.sequence)
        again = log.commit(batch(idempotency=Idempotency("k", b"d")))
        assert (again.repeated, again.sequence) == (True, made.sequence)
        assert log.verify() == made.sequence
        assert log.verify_derived() == []


def state_of(view: View, table: TableObject, consumer: int) -> list[object]:
    return [
        view.sequence,
        view.time_us,
        dict(view.catalog.objects),
        contents(view, table),
        list(view.versions(table.id, -1, 99)),
        list(view.commits(0, 99)),
        list(view.blocks(table.id, 0, 99)),
        view.watermark(consumer),
        list(view.moves(consumer)),
        list(view.audit()),
    ]


def test_numbers_go_on_where_they_were_after_reopening(path: Path) -> None:
    with opened(path) as log:
        table = make_table(log)
        part = replace(changes(table, insert(table, 41, (1, "a")))[table.id], autos={1: 30})
        log.commit(batch(tables={table.id: part}))
        highest = log.reserve_object_ids(1)
    with opened(path) as log:
        assert log.reserve_row_ids(table.id, 2) == 42
        assert log.reserve_numbers(table.id, 1, 1) == 30
        assert table.id < log.reserve_object_ids(1) <= highest


def test_commit_times_rise_although_the_clock_falls_back_between_two_lives(path: Path) -> None:
    with opened(path, clock=Clock(2_000_000_000_000_000)) as log:
        table = make_table(log)
        last = write(log, table, insert(table, 1, (1, "a"))).time_us
    with opened(path, clock=Clock(1_000, 0)) as log:
        times = [write(log, table, insert(table, n, (n, "x"))).time_us for n in (2, 3)]
    assert times == [last + 1, last + 2]


def test_each_life_has_a_higher_epoch_and_the_store_keeps_its_name(path: Path) -> None:
    epochs: list[int] = []
    for name in ("shop", "renamed"):
        with opened(path, name=name) as log:
            epochs.append(log.epoch)
            assert log.name == "shop"
    assert epochs == [1, 2]
    (path / OWNER).unlink()
    with opened(path) as log:
        assert log.epoch == 3


def test_the_directory_is_for_its_owner_only(path: Path) -> None:
    with opened(path):
        assert path.stat().st_mode & 0o777 == 0o700


def test_a_second_opener_is_told_who_has_the_store(path: Path) -> None:
    with opened(path), pytest.raises(DirectoryInUse, match=r"process \d+ on"):
        RocksLog(options(path))
    with opened(path):
        pass


def test_a_directory_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FormatNotKnown, match="no Headwater store"):
        RocksLog(options(tmp_path))
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("text", ["headwater 2\n", "headwater x\n", "", "é"])
def test_a_format_of_another_release_is_refused(path: Path, text: str) -> None:
    with opened(path):
        pass
    (path / "FORMAT").write_text(text, encoding="utf-8")
    for opener in (lambda: RocksLog(options(path)), lambda: open_read_only(path)):
        with pytest.raises(FormatNotKnown):
            opener()


def test_views_and_scans_end_with_the_log_and_do_not_hold_its_files(path: Path) -> None:
    log = RocksLog(options(path))
    table = make_table(log)
    load(log, table, 1, 20_000)
    view = log.view()
    scan, blocks = view.scan(table.id), view.blocks(table.id, 0, 1)
    assert next(scan) and next(blocks)
    log.close()
    with pytest.raises(StoreUnavailable):
        next(scan)
    with pytest.raises(StoreUnavailable):
        view.row(table.id, 1)
    view.close()
    with pytest.raises(StoreUnavailable):
        view.row(table.id, 1)
    with opened(path):
        pass


def test_a_scan_shows_its_view_while_rows_are_written(path: Path) -> None:
    with opened(path) as log:
        table = make_table(log)
        load(log, table, 1, 9_000)
        with log.view() as view:
            scan = view.scan(table.id)
            first = next(scan)
            write(log, table, delete(table, 9_000, (9_000, "00009000"), seen=1))
            load(log, table, 10_000, 10)
            ids = [*first.row_ids, *(i for block in scan for i in block.row_ids)]
        assert ids == list(range(1, 9_001))


@pytest.mark.parametrize("point", ["commit.after_append", "commit.after_sync"])
def test_a_failure_after_the_write_is_unknown_and_ends_the_log(path: Path, point: str) -> None:
    with opened(path) as log:
        table = make_table(log)
        arm(f"{point}=error@1")
        with pytest.raises(OutcomeUnknown) as unknown:
            write(log, table, insert(table, 1, (1, "a")))
        with pytest.raises(StoreUnavailable, match="stopped writing"):
            write(log, table, insert(table, 2, (2, "a")))
        with log.view() as view:
            assert view.head(table.id).version == 0
    with opened(path) as log, log.view() as view:
        # This one was written; after a real failure either answer would do.
        assert view.find_commit(unknown.value.commit_id) is not None
        assert view.row_count(table.id) == 1


def test_a_failure_before_the_write_is_the_callers_own(path: Path) -> None:
    with opened(path) as log:
        table = make_table(log)
        arm("commit.before_append=enospc@1")
        with pytest.raises(StoreUnavailable, match="before_append"):
            write(log, table, insert(table, 1, (1, "a")))
        assert write(log, table, insert(table, 1, (1, "a"))).versions == {table.id: 1}


def test_an_interrupted_commit_is_settled_and_the_log_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(path) as log:
        table = make_table(log)
        live = log._live  # pyright: ignore[reportPrivateUsage]
        advance = live.advance

        def interrupted(*_: object) -> None:
            monkeypatch.setattr(live, "advance", advance)
            raise KeyboardInterrupt

        monkeypatch.setattr(live, "advance", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write(log, table, insert(table, 1, (1, "a")))
        assert write(log, table, insert(table, 2, (2, "b"))).versions == {table.id: 2}
        with log.view() as view:
            assert sorted(contents(view, table)) == [1, 2]
        assert log.verify_derived() == []


def test_an_owner_that_was_taken_over_writes_nothing_more(path: Path) -> None:
    log = RocksLog(options(path))
    table = make_table(log)
    (path / OWNER).unlink()
    taker = DirectoryLock(path)
    taker.take(9)
    time.sleep(0.01)  # right after a write the owner does not look before the next one, only after
    with pytest.raises(Fenced):
        write(log, table, insert(table, 1, (1, "a")))
    with pytest.raises(StoreUnavailable):
        write(log, table, insert(table, 1, (1, "a")))
    taker.release()
    log.close()


def test_a_takeover_between_write_and_answer_leaves_the_outcome_unknown(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RocksLog(options(path))
    table = make_table(log)
    sync = log._store.sync  # pyright: ignore[reportPrivateUsage]

    def taken_over() -> None:
        sync()
        (path / OWNER).unlink()

    monkeypatch.setattr(log._store, "sync", taken_over)  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(OutcomeUnknown):
        write(log, table, insert(table, 1, (1, "a")))
    with log.view() as view:
        assert view.head(table.id).version == 0
    log.close()


def test_nothing_is_visible_before_it_is_flushed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(path) as log:
        table = make_table(log)
        seen: list[int] = []
        sync = log._store.sync  # pyright: ignore[reportPrivateUsage]

        def looking() -> None:
            with log.view() as view:
                seen.append(view.head(table.id).version)
            sync()

        monkeypatch.setattr(log._store, "sync", looking)  # pyright: ignore[reportPrivateUsage]
        write(log, table, insert(table, 1, (1, "a")))
        assert seen == [0]
        with log.view() as view:
            assert view.head(table.id).version == 1


def test_a_group_checks_its_batches_against_each_other_and_flushes_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(path) as log:
        table = make_table(log)
        syncs = slow_down(log, monkeypatch)
        outcomes: list[str] = []

        def one(number: int) -> None:
            try:
                write(log, table, insert(table, number, (7, str(number))))
                outcomes.append("made")
            except WriteConflict as conflict:
                outcomes.append(conflict.what)

        run(one, 12)
        assert sorted(outcomes) == ["key"] * 11 + ["made"]
        run(lambda n: write(log, table, insert(table, n + 100, (n + 100, "x"))), 40)
        assert len(syncs) < 30
        assert log.verify_derived() == []


def slow_down(log: RocksLog, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Flushes take 20 ms, so that groups form; returns one entry per flush."""
    syncs: list[None] = []
    sync = log._store.sync  # pyright: ignore[reportPrivateUsage]

    def slow() -> None:
        syncs.append(None)
        time.sleep(0.02)
        sync()

    monkeypatch.setattr(log._store, "sync", slow)  # pyright: ignore[reportPrivateUsage]
    return syncs


def run(one: Callable[[int], object], count: int) -> None:
    threads = [threading.Thread(target=one, args=(n,)) for n in range(1, count + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_a_group_that_fails_tells_every_caller(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(path) as log:
        table = make_table(log)
        slow_down(log, monkeypatch)
        arm("commit.after_sync=error@2")
        said: list[str] = []

        def one(number: int) -> None:
            try:
                write(log, table, insert(table, number, (number, "x")))
                said.append("made")
            except (OutcomeUnknown, StoreUnavailable) as error:
                said.append(type(error).__name__)

        run(one, 16)
        assert len(said) == 16 and said.count("made") == 1
        assert "OutcomeUnknown" in said
    with opened(path) as log, log.view() as view:
        assert view.head(table.id).version >= 1


def test_closing_finishes_what_has_queued_up_and_refuses_the_rest(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RocksLog(options(path))
    table = make_table(log)
    slow_down(log, monkeypatch)
    said: list[str] = []

    def one(number: int) -> None:
        try:
            write(log, table, insert(table, number, (number, "x")))
            said.append("made")
        except StoreUnavailable:
            said.append("refused")

    threads = [threading.Thread(target=one, args=(n,)) for n in range(1, 21)]
    for thread in threads:
        thread.start()
    time.sleep(0.03)
    log.close()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    with opened(path) as log, log.view() as view:
        assert len(said) == 20 and said.count("made") == view.row_count(table.id)


def test_without_fsync_nothing_is_flushed_and_a_kill_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(path, fsync=False) as log:
        table = make_table(log)
        syncs = slow_down(log, monkeypatch)
        write(log, table, insert(table, 1, (1, "a")))
        assert syncs == []
    with opened(path) as log, log.view() as view:
        assert view.row_count(table.id) == 1


@pytest.mark.usefixtures("small_batches")
def test_a_large_commit_lands_as_a_small_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "large") as large, opened(tmp_path / "small") as small:
        for log in (large, small):
            table, other = make_table(log), make_table(log, "other")
            write(log, table, insert(table, 1, (1, "a")))
            rows = [
                *many(table, 10, 300),
                update(table, 1, (1, "a"), (1, "b"), seen=1),
                delete(table, 10, (10, "00000010"), seen=0),
            ]
            tables = {
                table.id: spread(table, rows, 50),
                other.id: spread(other, many(other, 1, 40), 7),
            }
            if log is small:
                monkeypatch.setattr(rocks_commit, "LARGE_BYTES", 16 << 20)
            log.commit(batch(commit_id="big", tables=tables, audit=[("load", "{}")]))
        with large.view() as one, small.view() as two:
            assert contents(one, table) == contents(two, table)
            # Commit ids differ, and with them the events; what they count does not.
            assert one.head(table.id).counts[:3] == two.head(table.id).counts[:3] == (301, 1, 1)
            assert one.commit(4) == two.commit(4)
        assert large.verify() == small.verify() == 4
        assert large.verify_derived() == small.verify_derived() == []


@pytest.mark.usefixtures("small_batches")
def test_a_large_commit_that_fails_while_it_is_staged_leaves_nothing(path: Path) -> None:
    with opened(path) as log:
        table = make_table(log)
        arm("large.staged=error@1")
        with pytest.raises(OSError, match=r"large\.staged"):
            load(log, table, 1, 100)
        assert write(log, table, insert(table, 1, (1, "a"))).versions == {table.id: 1}
        load(log, table, 10, 100)
        with log.view() as view:
            assert view.row_count(table.id) == len(contents(view, table)) == 101
            assert len(list(view.blocks(table.id, 0, 2))) == 2
        assert log.verify_derived() == []


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("point", ["large.published", "large.mid_redo", "large.redone"])
def test_a_large_commit_that_was_cut_off_is_finished_at_the_next_open(
    path: Path, point: str
) -> None:
    with opened(path) as log:
        table = make_table(log)
        write(log, table, insert(table, 1, (1, "a")))
        arm(f"{point}=error@1")
        with pytest.raises(OutcomeUnknown):
            load(log, table, 10, 100)
        with log.view() as view:
            assert view.row_count(table.id) == 1 and sorted(contents(view, table)) == [1]
    with opened(path) as log:
        with log.view() as view:
            assert view.row_count(table.id) == len(contents(view, table)) == 101
        assert log.verify_derived() == []


def test_autos_of_a_version_are_kept(path: Path) -> None:
    with opened(path) as log:
        table = make_table(log)
        part = replace(changes(table, insert(table, 1, (1, "a")))[table.id], autos={1: 9})
        log.commit(batch(tables={table.id: part}))
        with log.view() as view:
            assert view.head(table.id).autos == ((1, 9),)
        assert log.verify_derived() == []


def test_a_lost_current_row_is_found(path: Path) -> None:
    with opened(path) as log:
        table = make_table(log)
        write(log, table, insert(table, 1, (1, "a")), insert(table, 2, (2, "b")))
        store = log._store  # pyright: ignore[reportPrivateUsage]
        lost = store.batch()
        lost.delete_range("cur", b"", b"\xff")
        store.write(lost)
        assert len(log.verify_derived()) == 1


def test_a_kept_snapshot_comes_back_and_shares_chunks_with_the_next(path: Path) -> None:
    def some(*numbers: int) -> Iterator[pa.RecordBatch]:
        for number in numbers:
            yield pa.record_batch({"n": list(range(number, number + 1000))})

    with opened(path) as log:
        table = make_table(log)
        for number in range(1, 4):
            write(log, table, insert(table, number, (number, "x")))
        log.keep_snapshot(table.id, 1, some(1, 5000, 9000))
        log.keep_snapshot(table.id, 3, some(1, 5000, 7000))
        with log.view() as view:
            assert view.snapshot_versions(table.id) == [1, 3]
            for version, numbers in ((1, (1, 5000, 9000)), (3, (1, 5000, 7000))):
                assert list(view.snapshot(table.id, version)) == list(some(*numbers))
        store = log._store  # pyright: ignore[reportPrivateUsage]
        chunks = [key for c in store.chunks("snap", b"\x00", b"\x01") for key, _ in c]
        assert len(chunks) == 4
    with opened(path) as log, log.view() as view:
        assert list(view.snapshot(table.id, 3)) == list(some(1, 5000, 7000))


def test_a_snapshot_that_was_not_listed_is_dropped_at_the_next_open(path: Path) -> None:
    with opened(path) as log:
        table = table_of(log)
        arm("snapshot.before_swap=error@1")
        with pytest.raises(OSError, match="snapshot"):
            log.keep_snapshot(table.id, 0, iter([pa.record_batch({"n": [1]})]))
    with opened(path) as log:
        store = log._store  # pyright: ignore[reportPrivateUsage]
        assert list(store.chunks("snap", b"", b"\xff")) == []


def test_old_snapshots_are_thinned_out_and_the_kept_ones_stay_whole(path: Path) -> None:
    with opened(path) as log:
        table = make_table(log)
        for number in range(1, 25):
            write(log, table, insert(table, number, (number, "x")))
            log.keep_snapshot(table.id, number, iter([pa.record_batch({"n": [1]})]))
        with log.view() as view:
            kept = view.snapshot_versions(table.id)
            assert len(kept) == 16 and {1, 24} <= set(kept)
            assert all(next(iter(view.snapshot(table.id, v))).num_rows == 1 for v in kept)


def test_a_reader_beside_the_owner_sees_what_was_published(path: Path) -> None:
    with opened(path) as log:
        table = make_table(log)
        write(log, table, insert(table, 1, (1, "a")))
        with open_read_only(path) as reader:
            with reader.view() as view:
                assert sorted(contents(view, table)) == [1]
                write(log, table, insert(table, 2, (2, "b")))
                assert sorted(contents(view, table)) == [1]
                with reader.view() as same:
                    assert same.sequence == view.sequence
            assert reader.wait(view.sequence, 5) == 3
            with reader.view() as view:
                assert sorted(contents(view, table)) == [1, 2]
            assert (reader.verify(), reader.verify_derived(), reader.name) == (3, [], "shop")
            for refused in (
                lambda: reader.commit(batch()),
                lambda: reader.reserve_object_ids(1),
                lambda: reader.reserve_row_ids(1, 1),
                lambda: reader.reserve_numbers(1, 1, 1),
            ):
                with pytest.raises(StoreUnavailable, match="for reading"):
                    refused()
        with pytest.raises(StoreUnavailable):
            reader.view()


@pytest.mark.usefixtures("small_batches")
def test_a_reader_never_sees_half_of_a_large_commit(path: Path) -> None:
    log = RocksLog(options(path))
    table, target = make_table(log), make_table(log, "target")
    consumer = make_consumer(log, table, target.id)
    write(log, table, *many(table, 1, 3))
    log.commit(batch(moves=[Move(consumer.id, 0, INITIAL, "rewind", target.id)]))
    with log.view() as view:
        before, sequence = contents(view, table), view.sequence
    rows = [
        delete(table, 1, (1, "00000001"), seen=1),
        update(table, 2, (2, "00000002"), (2, "new"), seen=1),
        *many(table, 4, 60),
    ]
    arm("large.redone=error@1")
    with pytest.raises(OutcomeUnknown):
        log.commit(
            batch(
                tables={table.id: spread(table, rows)},
                moves=[Move(consumer.id, INITIAL, 1, "consume", target.id)],
            )
        )
    with open_read_only(path) as reader, reader.view() as view:
        assert view.sequence == sequence
        assert contents(view, table) == before
        assert [view.row(table.id, n) is None for n in (1, 2, 4)] == [False, False, True]
        rows_by_key = view.row_ids(table.id, [row.new_key or row.old_key for row in rows[:3]])
        assert rows_by_key == [1, 2, None]
        assert view.head(table.id).version == 1 and view.version(table.id, 2) is None
        mark = view.watermark(consumer.id)
        assert mark is not None and mark.position == INITIAL
        assert [m.move.why for _, m in view.moves(consumer.id)] == ["register", "rewind"]
    log.close()


def test_every_failpoint_of_the_log_is_passed(path: Path, small_batches: None) -> None:
    seen = watch()
    with opened(path) as log:
        table = make_table(log)
        load(log, table, 1, 100)
        log.keep_snapshot(table.id, 1, iter([pa.record_batch({"n": [1]})]))
        log.expire(table.id, 1)
        arm("large.redone=error@1")
        with pytest.raises(OutcomeUnknown):
            load(log, table, 1000, 100)
    arm("")
    with opened(path):
        pass
    others = ("kafka.", "copy.")  # of what stands around a log
    assert seen == {name for name in NAMES if not name.startswith(others)}
