"""A transaction's reads and writes: its snapshot, its own writes, conflicts, statements."""

import pytest
from support_producer import (
    committing,
    create,
    current,
    events_of,
    ids_of,
    insert,
    rows_of,
    seen_by,
    spec,
)

from headwater.log_store.errors import IdempotencyMismatch, WriteConflict
from headwater.log_store.port import Log
from headwater.log_store.records import Idempotency
from headwater.producer import ddl
from headwater.producer.errors import (
    DuplicateKey,
    NotFound,
    RowExists,
    RowNotFound,
    RowTwice,
    TransactionClosed,
)
from headwater.producer.retry import retry
from headwater.producer.transaction import Transaction


def test_a_transaction_sees_its_own_writes_before_anybody_else(log: Log) -> None:
    orders = create(log)
    tx = Transaction(log)
    tx.insert(orders, [(1, "a"), (2, "b")])
    tx.update(orders, [(2, (2, "B"))])
    assert seen_by(tx, orders) == [(1, "a"), (2, "B")]
    assert tx.row_by_key(orders, (2,)) == (2, (2, "B"))
    assert tx.row(orders, 1) == (1, "a")
    assert rows_of(log, orders) == []
    tx.commit()
    assert rows_of(log, orders) == [(1, "a"), (2, "B")]


def test_a_transaction_keeps_the_snapshot_of_its_begin(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"))
    tx = Transaction(log)
    insert(log, orders, (2, "b"))
    assert seen_by(tx, orders) == [(1, "a")]
    assert tx.row_by_key(orders, (2,)) is None
    tx.rollback()


def test_the_first_of_two_updates_of_one_row_wins(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"))
    first, second = Transaction(log), Transaction(log)
    first.update(orders, [(1, (1, "first"))])
    second.update(orders, [(1, (1, "second"))])
    first.commit()
    with pytest.raises(WriteConflict) as refused:
        second.commit()
    assert refused.value.retryable
    assert rows_of(log, orders) == [(1, "first")]


def test_updates_of_different_rows_do_not_conflict(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"), (2, "b"))
    first, second = Transaction(log), Transaction(log)
    first.update(orders, [(1, (1, "A"))])
    second.update(orders, [(2, (2, "B"))])
    first.commit()
    second.commit()
    assert rows_of(log, orders) == [(1, "A"), (2, "B")]


def test_the_first_of_two_inserts_of_one_key_wins(log: Log) -> None:
    orders = create(log)
    first, second = Transaction(log), Transaction(log)
    first.insert(orders, [(1, "first")])
    second.insert(orders, [(1, "second")])
    first.commit()
    with pytest.raises(WriteConflict):
        second.commit()
    assert rows_of(log, orders) == [(1, "first")]


def test_a_key_that_the_transaction_itself_freed_is_no_conflict(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"))
    tx = Transaction(log)
    tx.delete(orders, [1])
    tx.insert(orders, [(1, "again")])
    insert(log, orders, (9, "meanwhile"))
    tx.commit()
    assert sorted(rows_of(log, orders)) == [(1, "again"), (9, "meanwhile")]


def test_delete_and_insert_of_a_key_makes_a_new_row_id(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"))
    with committing(log) as tx:
        tx.delete(orders, [1])
        tx.insert(orders, [(1, "b")])
        assert ids_of(tx, orders) == [2]


def test_a_duplicate_key_is_refused_by_table_column_and_value(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (7, "a"))
    tx = Transaction(log)
    with pytest.raises(DuplicateKey, match="table orders: another row has id = 7"):
        tx.insert(orders, [(7, "b")])
    with pytest.raises(DuplicateKey, match="table orders, row 1: another row has id = 8"):
        tx.insert(orders, [(8, "b"), (8, "c")])
    assert tx.written_tables() == []
    assert seen_by(tx, orders) == [(7, "a")]
    tx.rollback()


def test_an_update_to_a_taken_key_is_refused(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"), (2, "b"))
    tx = Transaction(log)
    with pytest.raises(DuplicateKey, match="id = 2"):
        tx.update(orders, [(1, (2, "a"))])
    tx.rollback()


def test_two_rows_may_swap_their_keys_in_one_statement(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"), (2, "b"))
    with committing(log) as tx:
        tx.update(orders, [(1, (2, "a")), (2, (1, "b"))])
        assert tx.row_by_key(orders, (1,)) == (2, (1, "b"))
        assert tx.row_by_key(orders, (2,)) == (1, (2, "a"))
    assert rows_of(log, orders) == [(2, "a"), (1, "b")]
    assert events_of(log, orders, 2) == [("d", 1, 2), ("d", 2, 2), ("c", 1, -2), ("c", 2, -2)]


def test_key_changes_and_plain_updates_keep_their_order_and_pairs(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"), (2, "b"), (3, "c"))
    with committing(log) as tx:
        tx.update(orders, [(2, (2, "B")), (1, (11, "a")), (3, (13, "c"))])
    expected = [("d", 1, 3), ("d", 3, 3), ("u", 2, 0), ("c", 1, -3), ("c", 3, -3)]
    assert events_of(log, orders, 2) == expected
    with log.view() as view:
        assert view.head(orders.id).counts[:3] == (3, 3, 0)


def test_a_statement_may_free_a_key_and_take_it(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"), (2, "b"), (3, "c"))
    with committing(log) as tx:
        tx.apply(orders, inserts=[(None, (1, "new"))], updates=[(3, (2, "moved"))], deletes=[1, 2])
    assert rows_of(log, orders) == [(2, "moved"), (1, "new")]


def test_a_row_changed_twice_by_one_statement_is_refused(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"))
    tx = Transaction(log)
    with pytest.raises(RowTwice):
        tx.update(orders, [(1, (1, "b")), (1, (1, "c"))])
    with pytest.raises(RowTwice):
        tx.delete(orders, [1, 1])
    tx.rollback()


def test_a_row_that_is_not_there_cannot_be_changed(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"))
    tx = Transaction(log)
    tx.delete(orders, [1])
    with pytest.raises(RowNotFound, match="no row 1"):
        tx.update(orders, [(1, (1, "b"))])
    with pytest.raises(RowNotFound, match="no row 99"):
        tx.delete(orders, [99])
    tx.rollback()


def test_every_step_of_a_row_of_ones_own_is_an_event(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        tx.insert(orders, [(1, "a")])
        tx.update(orders, [(1, (1, "b"))])
        tx.delete(orders, [1])
    assert events_of(log, orders, 1) == [("c", 1, 0), ("u", 1, 0), ("d", 1, 0)]


def test_an_update_that_changes_no_value_is_a_change(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"))
    with committing(log) as tx:
        assert tx.update(orders, [(1, (1, "a"))]) == 1
    assert events_of(log, orders, 2) == [("u", 1, 0)]


def test_rows_are_put_back_under_their_old_ids(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"), (2, "b"))
    with committing(log) as tx:
        tx.delete(orders, [1])
    with committing(log) as tx:
        tx.apply(orders, inserts=[(1, (1, "back"))])
        assert ids_of(tx, orders) == [1, 2]
        with pytest.raises(RowExists):
            tx.apply(orders, inserts=[(2, (22, "no"))])
    assert rows_of(log, orders) == [(1, "back"), (2, "b")]


def test_a_failed_statement_undoes_itself_alone(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"), (2, "b"))
    tx = Transaction(log)
    with tx.statement("update"):
        tx.update(orders, [(1, (1, "kept"))])
    with pytest.raises(DuplicateKey), tx.statement("several"):
        tx.insert(orders, [(3, "c")])
        tx.update(orders, [(1, (10, "lost"))])
        tx.delete(orders, [2])
        tx.stage_audit("note", "{}")
        tx.insert(orders, [(3, "twice")])
    assert seen_by(tx, orders) == [(1, "kept"), (2, "b")]
    assert tx.row_by_key(orders, (10,)) is None
    assert tx.row_by_key(orders, (1,)) == (1, (1, "kept"))
    tx.commit()
    assert events_of(log, orders, 2) == [("u", 1, 0)]
    with log.view() as view:
        assert all(row.what != "note" for row in view.audit())


def test_statements_are_numbered_under_the_commit_and_keep_their_text(log: Log) -> None:
    orders = create(log)
    tx = Transaction(log)
    with tx.statement("one") as first:
        tx.insert(orders, [(1, "a")])
        with tx.statement("within") as inner:
            assert inner == first
    with pytest.raises(RowNotFound), tx.statement("fails"):
        tx.delete(orders, [5])
    with tx.statement("three") as third:
        tx.insert(orders, [(2, "b")])
    assert (first, third) == (f"{tx.commit_id}:1", f"{tx.commit_id}:3")
    done = tx.commit()
    with log.view() as view:
        row = view.commit(done.sequence)
        assert row is not None and row.statements == ("one", "fails", "three")


def test_an_empty_commit_writes_nothing(log: Log) -> None:
    orders = create(log)
    tx = Transaction(log)
    assert seen_by(tx, orders) == []
    tx.insert(orders, [])
    tx.update(orders, [])
    done = tx.commit()
    assert done.versions == {}
    with log.view() as view:
        assert view.sequence == done.sequence == 1


def test_a_transaction_ends_once(log: Log) -> None:
    orders = create(log)
    tx = Transaction(log)
    tx.commit()
    tx.rollback()
    for call in (
        lambda: tx.insert(orders, [(1, "a")]),
        lambda: tx.row(orders, 1),
        lambda: tx.commit(),
    ):
        with pytest.raises(TransactionClosed):
            call()


def test_the_same_request_again_gets_the_first_answer_before_any_conflict(log: Log) -> None:
    orders = create(log)
    key = Idempotency("k1", b"digest")
    first = Transaction(log, idempotency=key)
    first.insert(orders, [(1, "a")])
    done = first.commit('{"rows": 1}')
    again = Transaction(log, idempotency=key)
    again.truncate(orders)
    insert(log, orders, (2, "b"))
    repeated = again.commit("ignored")
    assert repeated.repeated and repeated.sequence == done.sequence
    assert repeated.result == '{"rows": 1}'
    other = Transaction(log, idempotency=Idempotency("k1", b"another"))
    other.insert(orders, [(3, "c")])
    with pytest.raises(IdempotencyMismatch):
        other.commit()
    assert rows_of(log, orders) == [(1, "a"), (2, "b")]


def test_a_commit_covers_several_tables_or_none(log: Log) -> None:
    orders, items = create(log), create(log, "items")
    insert(log, orders, (1, "a"))
    tx = Transaction(log)
    tx.insert(items, [(1, "x")])
    tx.update(orders, [(1, (1, "b"))])
    with committing(log) as other:
        other.delete(orders, [1])
    with pytest.raises(WriteConflict):
        tx.commit()
    assert rows_of(log, items) == []


def test_a_table_without_a_key_holds_equal_rows(log: Log) -> None:
    notes = create(log, "notes", [spec("text", "VARCHAR")], ())
    with committing(log) as tx:
        tx.insert(notes, [("same",), ("same",)])
        tx.update(notes, [(1, ("other",))])
    assert rows_of(log, notes) == [("other",), ("same",)]


def test_dml_conflicts_with_a_definition_made_meanwhile(log: Log) -> None:
    orders = create(log)
    tx = Transaction(log)
    tx.insert(orders, [(1, "a")])
    with committing(log) as other:
        ddl.add_column(other, orders, spec("more", "INT"))
    with pytest.raises(WriteConflict):
        tx.commit()


def test_dml_on_a_dropped_table_is_refused(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        ddl.drop_table(tx, orders)
    tx = Transaction(log)
    with pytest.raises(NotFound, match="it was dropped"):
        tx.insert(orders, [(1, "a")])
    tx.rollback()


def test_rows_older_than_a_new_column_are_changed_in_the_new_schema(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"), (2, "b"), (3, "c"))
    with committing(log) as tx:
        ddl.add_column(tx, orders, spec("stock", "INT", default=5))
    orders = current(log, orders)
    with committing(log) as tx:
        assert tx.row(orders, 1) == (1, "a", 5)
        tx.update(orders, [(1, (1, "A", 6))])
        tx.delete(orders, [2])
    with committing(log) as tx:
        assert tx.truncate(orders) == 2
    assert events_of(log, orders, 2) == [("u", 1, 0), ("d", 2, 0)]
    assert rows_of(log, orders) == []


def test_a_retryable_error_runs_the_unit_again(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"))
    tries: list[int] = []
    waits: list[int] = []

    def unit() -> int:
        tries.append(1)
        tx = Transaction(log)
        tx.update(orders, [(1, (1, f"try {len(tries)}"))])
        if len(tries) < 3:
            with committing(log) as other:
                other.update(orders, [(1, (1, "in between"))])
        return tx.commit().versions[orders.id]

    assert retry(unit, pause=waits.append) == 4
    assert waits == [1, 2]
    assert rows_of(log, orders) == [(1, "try 3")]


def test_an_error_that_is_not_retryable_comes_through_at_once(log: Log) -> None:
    orders = create(log)
    tries: list[int] = []

    def unit() -> None:
        tries.append(1)
        with committing(log) as tx:
            tx.delete(orders, [1])

    with pytest.raises(RowNotFound):
        retry(unit)
    assert len(tries) == 1


def test_retrying_ends_with_the_last_error(log: Log) -> None:
    def unit() -> None:
        raise WriteConflict("row", "1", "was changed")

    with pytest.raises(WriteConflict):
        retry(unit, attempts=3)
