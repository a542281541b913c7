"""TEMPORARY tables: a session's own rows that follow its transactions and never reach the log."""

from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pytest
from support_producer import ORDERS, Shown, create, insert, seen_by, spec

from headwater.consumers.consume import consume
from headwater.consumers.errors import ConsumerRefused
from headwater.consumers.registration import position, registered
from headwater.consumers.streams import StreamOptions, create_stream
from headwater.log_store.catalog import Sharing, TableObject
from headwater.log_store.errors import WriteConflict
from headwater.log_store.port import Log
from headwater.producer.errors import DuplicateKey, NameTaken, NotFound
from headwater.producer.temporary import TemporaryTables
from headwater.producer.transaction import Transaction
from headwater.schemas import evolve
from headwater.schemas.tables import AutoIncrement, ColumnSpec
from headwater.schemas.types import SqlType

SCHEMA = evolve.new_schema(ORDERS, ["id"])


class Session:
    """A log and the TEMPORARY tables of one session."""

    def __init__(self, log: Log) -> None:
        self.log, self.own = log, TemporaryTables()

    @contextmanager
    def transaction(self) -> Generator[Transaction]:
        tx = Transaction(self.log)
        self.own.join(tx)
        try:
            yield tx
            tx.commit()
        finally:
            tx.rollback()

    def create(self, name: str = "t") -> TableObject:
        with self.transaction() as tx:
            return self.own.create(tx, name, SCHEMA)

    def rows(self, table: TableObject) -> list[Shown]:
        with self.transaction() as tx:
            return seen_by(tx, table)


@pytest.fixture
def session(log: Log) -> Session:
    return Session(log)


def test_rows_last_from_one_transaction_to_the_next_and_make_no_commit(session: Session) -> None:
    table = session.create()
    with session.transaction() as tx:
        tx.insert(table, [(1, "a"), (2, "b")])
    with session.transaction() as tx:
        found = tx.row_by_key(table, (1,))
        assert found is not None
        tx.update(table, [(found[0], (1, "A"))])
        tx.insert(table, [(3, "c")])
        tx.delete(table, [2])
    assert session.rows(table) == [(1, "A"), (3, "c")]
    assert table.id < 0
    with session.log.view() as view:
        assert view.sequence == 0 and view.catalog.tables() == []


def test_a_rollback_takes_back_rows_tables_and_drops(session: Session) -> None:
    table = session.create()
    with session.transaction() as tx:
        tx.insert(table, [(1, "a")])
    with pytest.raises(RuntimeError), session.transaction() as tx:
        with tx.statement():
            tx.insert(table, [(2, "b")])
        with tx.statement():
            tx.truncate(table)
        with tx.statement():
            tx.insert(table, [(5, "e")])
        session.own.drop(tx, table)
        other = session.own.create(tx, "other", SCHEMA)
        tx.insert(other, [(1, "x")])
        raise RuntimeError
    assert session.rows(table) == [(1, "a")]
    assert [one.name for one in session.own.tables()] == ["t"]
    with session.transaction() as tx:
        tx.insert(table, [(2, "b")])
        assert tx.row_ids(table, []) == []
    assert session.rows(table) == [(1, "a"), (2, "b")]


def test_a_failed_statement_takes_back_its_own_part(session: Session) -> None:
    table = session.create()
    with session.transaction() as tx:
        with tx.statement():
            tx.insert(table, [(1, "a")])
        with pytest.raises(DuplicateKey), tx.statement():
            tx.insert(table, [(2, "b")])
            tx.insert(table, [(1, "again")])
        with pytest.raises(RuntimeError), tx.statement():
            session.own.drop(tx, table)
            tx.insert(session.own.create(tx, "t", SCHEMA), [(9, "z")])
            raise RuntimeError
        assert seen_by(tx, table) == [(1, "a")]
    assert session.own.find("t") == table
    assert session.rows(table) == [(1, "a")]


def test_keys_are_unique_across_transactions(session: Session) -> None:
    table = session.create()
    with session.transaction() as tx:
        tx.insert(table, [(1, "a")])
    with pytest.raises(DuplicateKey), session.transaction() as tx:
        tx.insert(table, [(1, "b")])
    many = pa.table({"id": pa.array(range(1000), pa.int64()), "name": ["x"] * 1000})
    with pytest.raises(DuplicateKey), session.transaction() as tx:
        tx.insert_columns(table, many)
    assert session.rows(table) == [(1, "a")]


def test_many_rows_come_and_go(session: Session) -> None:
    table = session.create()
    ids = np.arange(30_000, dtype=np.int64)
    rows = pa.table({"id": pa.array(ids), "name": pa.array(["x"] * len(ids))})
    with session.transaction() as tx:
        tx.insert_columns(table, rows)
    for _ in range(3):
        with session.transaction() as tx:
            held = tx.scan(table)
            tx.update_columns(table, [(held.row_ids, held.data)])
    with session.transaction() as tx:
        tx.delete(table, tx.scan(table).row_ids[10:].tolist())
    assert session.rows(table) == [(at, "x") for at in range(10)]
    (overlay,) = session.own.overlays()
    assert overlay.count == 10, "150,010 changes of 10 rows are written out anew"
    with session.transaction() as tx:
        tx.insert(table, [(77, "new")])
        assert tx.scan(table).row_ids.tolist()[-1] == 30_001


def test_numbers_go_on_where_the_last_transaction_stopped(session: Session) -> None:
    made = ColumnSpec("n", SqlType.parse("INT"), auto=AutoIncrement(1, 1))
    schema = evolve.new_schema([made, spec("v", "INT")], [])
    with session.transaction() as tx:
        table = session.own.create(tx, "t", schema)
        assert tx.reserve_numbers(table, 1, 3) == 0
        tx.insert(table, [(1, 1), (2, 2), (3, 3)])
    with session.transaction() as tx:
        assert tx.reserve_numbers(table, 1, 2) == 3


def test_names_are_the_sessions_own_and_hide_tables(session: Session) -> None:
    create(session.log, "t")
    table = session.create("T")
    assert session.own.find("t") == session.own.find("public.t") == session.own.find('"T"') == table
    assert session.own.find('"t"') is None and session.own.find("sales.t") is None
    with session.transaction() as tx:
        with pytest.raises(NameTaken, match="temporary table t exists"):
            session.own.create(tx, "t", SCHEMA)
        new = session.own.create(tx, "t", SCHEMA, or_replace=True)
        with pytest.raises(NotFound, match="temporary table T"):
            session.own.drop(tx, table)
    assert session.own.tables() == [new]
    assert Session(session.log).own.find("t") is None


def test_a_transaction_commits_its_tables_and_keeps_the_temporary_ones(session: Session) -> None:
    orders, table = create(session.log), session.create()
    with session.transaction() as tx:
        tx.insert(orders, [(1, "a")])
        tx.insert(table, [(1, "a")])
        assert tx.written_tables() == [orders.id]
    with session.log.view() as view:
        assert view.row_count(orders.id) == 1
        assert view.commit(view.sequence) is not None
    assert session.rows(table) == [(1, "a")]


def test_what_fails_to_commit_is_taken_back_here_too(session: Session) -> None:
    orders, table = create(session.log), session.create()
    with pytest.raises(WriteConflict), session.transaction() as tx:
        tx.insert(orders, [(1, "mine")])
        tx.insert(table, [(1, "mine")])
        insert(session.log, orders, (1, "theirs"))
        tx.commit()
    assert session.rows(table) == []


def test_a_shared_stream_moves_with_what_a_temporary_table_takes(session: Session) -> None:
    orders, table = create(session.log), session.create()
    with session.transaction() as tx:
        shared = StreamOptions(sharing=Sharing.SHARED)
        stream = create_stream(tx, "s", orders, shared)
        alone = create_stream(tx, "alone", orders)
    insert(session.log, orders, (1, "a"), (2, "b"))
    with pytest.raises(RuntimeError), session.transaction() as tx:
        tx.insert_columns(table, consume(tx, stream, table).table().select(["id", "name"]))
        raise RuntimeError
    with session.log.view() as view:
        assert registered(view.catalog, stream) == []
    with session.transaction() as tx:
        tx.insert_columns(table, consume(tx, stream, table).table().select(["id", "name"]))
        with pytest.raises(ConsumerRefused, match="consumer t of stream alone is TEMPORARY"):
            consume(tx, alone, table)
    assert session.rows(table) == [(1, "a"), (2, "b")]
    with session.log.view() as view:
        (one,) = registered(view.catalog, stream)
        assert position(view, one) == 1


def test_a_closed_session_holds_nothing(session: Session) -> None:
    session.create()
    session.own.close()
    assert session.own.tables() == [] and session.own.overlays() == []
