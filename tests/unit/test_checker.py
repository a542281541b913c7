"""Who checks the checker: a sound store passes, and each kind of lie about it is found."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Self, cast

import pytest
from checker import Expected, check_store
from checker_streams import copies
from support_clock import Clock
from support_history import history
from support_log import batch, make_consumer

from headwater.log_store.catalog import ConsumerObject, TableObject
from headwater.log_store.memory import MemoryLog
from headwater.log_store.port import Log, View
from headwater.log_store.records import Block, CommitRow, Move, Moved, ScanBlock, VersionRow


class Lies:
    """A log whose view answers truly but for what is given."""

    def __init__(self, log: Log, **answers: object) -> None:
        self.log, self.answers = log, answers

    def view(self) -> View:
        return cast(View, LyingView(self.log.view(), self.answers))


class LyingView:
    def __init__(self, view: View, answers: dict[str, object]) -> None:
        self.view, self.answers = view, answers

    def __getattr__(self, name: str) -> object:
        return self.answers[name] if name in self.answers else getattr(self.view, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.view.close()


Store = tuple[MemoryLog, TableObject, ConsumerObject]


@pytest.fixture
def store() -> Store:
    """Inserts, updates, a key change, deletes, and a consumer that has been back once."""
    log = MemoryLog("shop", clock=Clock())
    kept = history(log)
    first = kept.insert((1, "a"))
    second = kept.insert((2, "b"))
    kept.commit()
    kept.update(first, (1, "c"))
    kept.rekey(second, (7, "b"))
    kept.commit()
    kept.delete(first)
    kept.commit()
    consumer = make_consumer(log, kept.table)
    log.commit(batch(moves=[Move(consumer.id, 0, 3, "consume")]))
    log.commit(batch(moves=[Move(consumer.id, 3, 1, "rewind")], audit=[("rewind", "{}")]))
    return log, kept.table, consumer


def found(log: object) -> str:
    with pytest.raises(AssertionError) as error:
        check_store(cast(Log, log))
    return str(error.value)


def test_a_sound_store_passes(store: Store) -> None:
    log, _, _ = store
    with log.view() as view:
        ids = [commit.commit_id for commit in view.commits(0, view.sequence)]
        check_store(log, Expected(acked=ids, refused=["never"], prefix=list(view.commits(0, 3))))


def test_a_lost_commit_and_a_refused_one_that_is_there_are_found(store: Store) -> None:
    log, _, _ = store
    with log.view() as view:
        some = next(view.commits(1, 2)).commit_id
    with pytest.raises(AssertionError, match="I7"):
        check_store(log, Expected(acked=[some, "lost"]))
    with pytest.raises(AssertionError, match="I3"):
        check_store(log, Expected(refused=[some]))


def test_times_that_do_not_rise_are_found(store: Store) -> None:
    log, _, _ = store

    def commits(after: int, upto: int) -> Iterator[CommitRow]:
        return (row._replace(time_us=5) for row in log.view().commits(after, upto))

    assert "I8" in found(Lies(log, commits=commits))


def test_a_version_that_is_missing_or_has_other_bytes_is_found(store: Store) -> None:
    log, _, _ = store

    def versions(table: int, after: int, upto: int) -> Iterator[VersionRow]:
        return (row for row in log.view().versions(table, after, upto) if row.version != 2)

    def digests(table: int, after: int, upto: int) -> Iterator[VersionRow]:
        rows = log.view().versions(table, after, upto)
        return (row._replace(digest=bytes(32)) if row.version == 2 else row for row in rows)

    def digest(table: int, version: int) -> VersionRow | None:
        return next(digests(table, version - 1, version), None)

    assert "I4" in found(Lies(log, versions=versions))
    assert "I4" in found(Lies(log, versions=digests))
    assert "I6" in found(Lies(log, versions=digests, version=digest))


def test_a_torn_version_is_found(store: Store) -> None:
    log, _, _ = store

    def blocks(table: int, after: int, upto: int) -> Iterator[Block]:
        for block in log.view().blocks(table, after, upto):
            yield replace(block, offsets=bytes(block.offsets)[:16])

    assert "I5" in found(Lies(log, blocks=blocks))


def test_current_rows_and_keys_that_are_not_the_fold_are_found(store: Store) -> None:
    log, _, _ = store

    def scan(table: int) -> Iterator[ScanBlock]:
        return iter([])

    def row_id(table: int, key: bytes) -> int | None:
        return None

    assert "I9" in found(Lies(log, scan=scan))
    assert "I12" in found(Lies(log, row_id=row_id))


def test_a_rewind_without_an_audit_row_and_a_gap_between_windows_are_found(store: Store) -> None:
    log, table, consumer = store
    assert "I15" in found(Lies(log, audit=lambda after=0: iter([])))
    log.commit(batch(moves=[Move(consumer.id, 1, 2, "consume")]))

    def skip(which: int) -> Iterator[tuple[CommitRow, Moved]]:
        return iter(list(log.view().moves(which))[:-1])

    assert "I15" in found(Lies(log, moves=skip))
    log.commit(batch(moves=[Move(consumer.id, 2, 1, "consume")]))
    assert "I14" in found(log) or "I15" in found(log)
    assert table.id


def test_a_target_that_is_not_the_fold_of_its_source_is_found(store: Store) -> None:
    log, table, consumer = store
    with pytest.raises(AssertionError, match="I13"):
        check_store(log, Expected(laws=[copies(table.id, table.id, consumer.id)]))
