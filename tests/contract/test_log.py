"""What every adapter of the log must do, in sentences."""

import threading
from dataclasses import replace

import pytest
from support_log import (
    batch,
    changes,
    delete,
    insert,
    make_consumer,
    make_table,
    table_events,
    update,
    write,
)

from headwater.log_store.catalog import CatalogEvent, TableObject
from headwater.log_store.errors import IdempotencyMismatch, StoreUnavailable, WriteConflict
from headwater.log_store.port import Log
from headwater.log_store.records import INITIAL, Counts, Idempotency, Move
from headwater.schemas.events import read_events
from headwater.schemas.images import codec


def test_an_empty_store_stands_at_place_zero(log: Log) -> None:
    with log.view() as view:
        assert (view.sequence, view.time_us, view.catalog.tables()) == (0, 0, [])


def test_a_table_starts_at_v0_without_rows(log: Log) -> None:
    table = make_table(log)
    with log.view() as view:
        head = view.head(table.id)
        assert (head.version, head.counts, view.row_count(table.id)) == (0, Counts(), 0)


def test_each_commit_that_changes_a_table_makes_the_next_version(log: Log) -> None:
    table = make_table(log)
    assert write(log, table, insert(table, 1, (1, "a"))).versions == {table.id: 1}
    assert write(log, table, insert(table, 2, (2, "b"))).versions == {table.id: 2}


def test_a_batch_that_changes_nothing_writes_nothing(log: Log) -> None:
    table = make_table(log)
    before = log.view().sequence
    committed = log.commit(batch(tables=changes(table)))
    assert (committed.sequence, committed.versions) == (before, {})
    assert log.view().sequence == before


def test_a_current_row_is_found_by_id_and_by_key(log: Log) -> None:
    table = make_table(log)
    write(log, table, insert(table, 7, (1, "a")))
    images = codec(table.schema)
    with log.view() as view:
        stored = view.row(table.id, 7)
        assert stored is not None and images.decode(stored.image) == (1, "a")
        assert view.row_id(table.id, images.key((1, "a"))) == 7
        assert view.row_ids(table.id, [images.key((2, "")), images.key((1, ""))]) == [None, 7]
        assert view.rows(table.id, [8, 7]) == [None, stored]


def test_a_deleted_row_is_gone_with_its_key(log: Log) -> None:
    table = make_table(log)
    write(log, table, insert(table, 1, (1, "a")))
    write(log, table, delete(table, 1, (1, "a"), seen=1))
    with log.view() as view:
        assert view.row(table.id, 1) is None
        assert view.row_id(table.id, codec(table.schema).key((1, ""))) is None
        assert list(view.scan(table.id)) == []
        assert view.head(table.id).counts[:3] == (1, 0, 1)


def test_a_view_stays_where_it_was_taken(log: Log) -> None:
    table = make_table(log)
    write(log, table, insert(table, 1, (1, "a")))
    with log.view() as old:
        write(log, table, update(table, 1, (1, "a"), (1, "b"), seen=1))
        make_table(log, "later")
        stored = old.row(table.id, 1)
        assert stored is not None and codec(table.schema).decode(stored.image) == (1, "a")
        assert old.head(table.id).version == 1
        assert [t.name for t in old.catalog.tables()] == ["orders"]
        assert len(list(old.blocks(table.id, 0, 99))) == 1


def test_a_window_leaves_out_its_start_and_keeps_its_end(log: Log) -> None:
    table = make_table(log)
    for number in (1, 2, 3):
        write(log, table, insert(table, number, (number, "x")))
    with log.view() as view:
        assert [block.version for block in view.blocks(table.id, 1, 2)] == [2]
        assert [row.version for row in view.versions(table.id, 1, 3)] == [2, 3]
        assert list(view.blocks(table.id, 3, 3)) == []


def test_events_carry_their_place_and_rise_by_one(log: Log) -> None:
    table = make_table(log)
    write(log, table, insert(table, 1, (1, "a")), insert(table, 2, (2, "b")))
    write(log, table, update(table, 1, (1, "a"), (1, "c"), seen=1))
    with log.view() as view:
        found = [
            read_events(table.schema, block.data, block.offsets)
            for block in view.blocks(table.id, 0, 2)
        ]
        assert [e.event_seqs.tolist() for e in found] == [[1, 2], [3]]
        assert [e.sequences.tolist() for e in found] == [[2, 2], [3]]
        assert found[1].times_us.tolist() == [view.time_us]
        assert view.head(table.id).event_seq == 3


def test_the_first_committer_of_a_row_wins(log: Log) -> None:
    table = make_table(log)
    write(log, table, insert(table, 1, (1, "a")))
    write(log, table, update(table, 1, (1, "a"), (1, "b"), seen=1))
    with pytest.raises(WriteConflict) as refused:
        write(log, table, update(table, 1, (1, "a"), (1, "c"), seen=1))
    assert (refused.value.what, refused.value.retryable) == ("row", True)
    assert log.view().head(table.id).version == 2


def test_the_first_committer_of_a_key_wins(log: Log) -> None:
    table = make_table(log)
    write(log, table, insert(table, 1, (1, "a")))
    with pytest.raises(WriteConflict, match="key"):
        write(log, table, insert(table, 2, (1, "b")))


def test_a_key_freed_in_the_same_commit_can_be_taken(log: Log) -> None:
    table = make_table(log)
    write(log, table, insert(table, 1, (1, "a")))
    write(log, table, delete(table, 1, (1, "a"), seen=1), insert(table, 2, (1, "b")))
    with log.view() as view:
        assert view.row_id(table.id, codec(table.schema).key((1, ""))) == 2


def test_writers_of_different_rows_do_not_conflict(log: Log) -> None:
    table = make_table(log)
    write(log, table, insert(table, 1, (1, "a")), insert(table, 2, (2, "b")))
    write(log, table, update(table, 1, (1, "a"), (1, "x"), seen=1))
    write(log, table, update(table, 2, (2, "b"), (2, "y"), seen=1))
    assert log.view().head(table.id).version == 3


def test_a_table_that_had_to_stand_still_refuses_the_batch(log: Log) -> None:
    table = make_table(log)
    write(log, table, insert(table, 1, (1, "a")))
    other = make_table(log, "other")
    with pytest.raises(WriteConflict, match="orders moved from v0 to v1"):
        log.commit(batch(unmoved={table.id: 0}, tables=changes(other, insert(other, 1, (1, "z")))))
    assert log.view().head(other.id).version == 0


def test_a_changed_definition_refuses_the_batch(log: Log) -> None:
    table = make_table(log)
    with pytest.raises(WriteConflict, match="definition"):
        log.commit(
            batch(
                objects={("table", table.id): table.changed_at - 1},
                tables=changes(table, insert(table, 1, (1, "a"))),
            )
        )


def test_a_name_is_given_to_the_first_who_asks(log: Log) -> None:
    first, second = table_events(log, "orders"), table_events(log, "ORDERS")
    log.commit(batch(catalog=first))
    with pytest.raises(WriteConflict, match="ORDERS"):
        log.commit(batch(catalog=second))


def test_a_topic_is_given_to_the_first_who_asks(log: Log) -> None:
    first, second = table_events(log, "orders"), table_events(log, "orders")
    log.commit(batch(catalog=first))
    made = log.view().catalog.tables()[0]
    log.commit(batch(catalog=[CatalogEvent(replace(made, name="renamed"))]))
    with pytest.raises(WriteConflict, match="topic"):
        log.commit(batch(catalog=second))


def test_a_commit_over_two_tables_lands_whole_or_not_at_all(log: Log) -> None:
    a, b = make_table(log, "a"), make_table(log, "b")
    write(log, b, insert(b, 1, (1, "x")))
    both = {**changes(a, insert(a, 1, (1, "y"))), **changes(b, insert(b, 2, (1, "clash")))}
    with pytest.raises(WriteConflict):
        log.commit(batch(tables=both))
    assert log.view().head(a.id).version == 0
    both = {**changes(a, insert(a, 1, (1, "y"))), **changes(b, insert(b, 2, (2, "fine")))}
    assert log.commit(batch(tables=both)).versions == {a.id: 1, b.id: 2}


def test_a_watermark_moves_with_the_effect_in_one_commit(log: Log) -> None:
    source, target = make_table(log, "source"), make_table(log, "target")
    consumer = make_consumer(log, source, target.id)
    write(log, source, insert(source, 1, (1, "a")))
    log.commit(
        batch(
            tables=changes(target, insert(target, 1, (1, "a"))),
            moves=[Move(consumer.id, 0, 1, "consume", target.id)],
        )
    )
    with log.view() as view:
        mark = view.watermark(consumer.id)
        assert mark is not None
        assert (mark.position, mark.sequence, mark.target_version) == (1, view.sequence, 1)
        history = [(m.move.why, m.move.end, m.target_version) for _, m in view.moves(consumer.id)]
        assert history == [("register", 0, 0), ("consume", 1, 1)]


def test_of_two_moves_from_one_place_one_wins(log: Log) -> None:
    source = make_table(log)
    consumer = make_consumer(log, source)
    write(log, source, insert(source, 1, (1, "a")))
    log.commit(batch(moves=[Move(consumer.id, 0, 1, "consume")]))
    with pytest.raises(WriteConflict, match="from v0 to v1"):
        log.commit(batch(moves=[Move(consumer.id, 0, 1, "consume")]))


def test_a_plain_rewind_records_no_boundary(log: Log) -> None:
    source, target = make_table(log, "source"), make_table(log, "target")
    consumer = make_consumer(log, source, target.id)
    log.commit(batch(moves=[Move(consumer.id, 0, INITIAL, "rewind", target.id)]))
    with log.view() as view:
        mark = view.watermark(consumer.id)
        assert mark is not None and (mark.position, mark.target_version) == (INITIAL, None)


def test_an_idempotency_key_returns_the_first_result(log: Log) -> None:
    table = make_table(log)
    asked = Idempotency("k1", b"digest")
    first = log.commit(
        batch(
            tables=changes(table, insert(table, 1, (1, "a"))), idempotency=asked, result='{"n":1}'
        )
    )
    # The same rows again would conflict: the key is looked up first.
    again = log.commit(batch(tables=changes(table, insert(table, 1, (1, "a"))), idempotency=asked))
    assert (again.repeated, again.sequence, again.result) == (True, first.sequence, '{"n":1}')
    assert log.view().head(table.id).version == 1
    with pytest.raises(IdempotencyMismatch):
        log.commit(batch(idempotency=Idempotency("k1", b"other")))


def test_commit_times_rise_and_name_one_state(log: Log) -> None:
    table = make_table(log)
    times = [write(log, table, insert(table, n, (n, "x"))).time_us for n in range(1, 6)]
    assert times == sorted(set(times))
    with log.view() as view:
        assert [view.sequence_at(t) for t in times] == [2, 3, 4, 5, 6]
        assert view.sequence_at(times[0] - 1) == 1
        assert [view.version_at(table.id, n) for n in (0, 1, 2, 6, 99)] == [-1, 0, 1, 5, 5]


def test_commits_are_found_by_place_and_by_id(log: Log) -> None:
    table = make_table(log)
    made = log.commit(
        batch(
            actor="ann",
            statements=["x:1"],
            tables=changes(table, insert(table, 1, (1, "a"))),
            audit=[("test", "{}")],
        )
    )
    with log.view() as view:
        row = view.commit(made.sequence)
        assert row is not None and row == view.find_commit(made.commit_id)
        assert (row.actor, row.statements, row.versions) == ("ann", ("x:1",), {table.id: 1})
        assert [r.sequence for r in view.commits(0, 99)] == [1, 2]
        assert [(a.sequence, a.actor, a.what) for a in view.audit()] == [(2, "ann", "test")]
        assert view.commit(3) is None and view.find_commit("nobody") is None


def test_reserved_ids_are_never_given_twice(log: Log) -> None:
    table = make_table(log)
    first = log.reserve_row_ids(table.id, 3)
    assert log.reserve_row_ids(table.id, 1) == first + 3
    write(log, table, insert(table, 50, (1, "a")))
    assert log.reserve_row_ids(table.id, 1) == 51
    assert log.reserve_object_ids(2) + 2 == log.reserve_object_ids(1)
    assert [log.reserve_numbers(table.id, 1, 5), log.reserve_numbers(table.id, 1, 1)] == [0, 5]


def test_the_version_index_counts_changes_and_chains_digests(log: Log) -> None:
    table = make_table(log)
    write(log, table, insert(table, 1, (1, "a")), insert(table, 2, (2, "b")))
    write(log, table, update(table, 1, (1, "a"), (1, "c"), seen=1))
    with log.view() as view:
        rows = list(view.versions(table.id, 0, 2))
        assert [row.counts[:3] for row in rows] == [(2, 0, 0), (2, 1, 0)]
        assert rows[0].digest != rows[1].digest and len(rows[1].digest) == 32
        sizes = [len(block.data) for block in view.blocks(table.id, 0, 2)]
        assert rows[1].counts.bytes == sum(sizes)


def test_sixty_four_writers_make_sixty_four_versions(log: Log) -> None:
    table = make_table(log)

    def one(number: int) -> None:
        write(log, table, insert(table, number, (number, "x")))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(1, 65)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with log.view() as view:
        assert view.head(table.id).version == 64
        assert sorted(i for block in view.scan(table.id) for i in block.row_ids) == list(
            range(1, 65)
        )


def test_of_racing_writers_of_one_row_one_wins_each_round(log: Log) -> None:
    table = make_table(log)
    write(log, table, insert(table, 1, (1, "a")))
    wins: list[int] = []

    def one(number: int) -> None:
        try:
            write(log, table, update(table, 1, (1, "a"), (1, str(number)), seen=1))
            wins.append(number)
        except WriteConflict:
            pass

    threads = [threading.Thread(target=one, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wins) == 1


def test_waiting_ends_with_the_next_commit(log: Log) -> None:
    table = make_table(log)
    at = log.view().sequence
    assert log.wait(at, 0.01) == at
    later = threading.Timer(0.05, lambda: write(log, table, insert(table, 1, (1, "a"))))
    later.start()
    assert log.wait(at, 10) == at + 1
    later.join()


def test_a_closed_store_says_so(log: Log) -> None:
    table = make_table(log)
    log.close()
    log.close()
    with pytest.raises(StoreUnavailable):
        write(log, table, insert(table, 1, (1, "a")))
    with pytest.raises(StoreUnavailable):
        log.view()


def test_a_dropped_table_stays_readable(log: Log) -> None:
    table = make_table(log)
    write(log, table, insert(table, 1, (1, "a")))
    log.commit(batch(catalog=[CatalogEvent(replace(table, dropped_at=0))]))
    with log.view() as view:
        dropped = view.catalog.table(table.id)
        assert isinstance(dropped, TableObject) and dropped.dropped_at == view.sequence
        assert view.catalog.find("table", table.namespace, "orders") is None
        assert view.row(table.id, 1) is not None
