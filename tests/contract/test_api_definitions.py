"""Definitions within a transaction of the Python API, on every store: all of it, or nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support_clock import Clock
from support_rebuild import assert_rebuilt

import headwater
from headwater.log_store.errors import IdempotencyMismatch, WriteConflict
from headwater.ops.api import Database
from headwater.ops.api_transaction import Tx
from headwater.producer.errors import AlterAfterWrite, NameTaken, NotFound
from headwater.schemas.errors import ValueRefused

COLUMNS = {"id": "INT", "v": "VARCHAR"}


@pytest.fixture
def db(target: str | Path) -> Iterator[Database]:
    """A store of each kind with a table t of two rows."""
    with headwater.connect(target, clock=Clock(), actor="ann") as opened:
        opened.create_table("t", COLUMNS, key="id").insert([{"id": 1}, {"id": 2}])
        yield opened
        assert_rebuilt(opened)


def names(db: Database) -> list[str]:
    return [table.name for table in db.tables()]


def test_a_table_is_made_filled_and_read_by_a_stream_in_one_commit(db: Database) -> None:
    before = db.sequence
    with db.transaction() as tx:
        made = tx.create_table("copy", COLUMNS, key="id")
        stream = tx.create_stream("s", on=made, capture="NET")
        assert tx.insert(made, tx.table("t").arrow()) == 2
        assert (made.count(), made.schema.names) == (2, ["id", "v"])
        assert names(db) == ["t"]
    assert db.sequence == before + 1
    assert db.stream("s").id == stream.id
    assert [change["id"] for change in db.stream("s").rows()] == [1, 2]
    assert db.table("copy").head == 1


def test_an_exception_takes_every_definition_back(db: Database) -> None:
    before = db.sequence
    with pytest.raises(ZeroDivisionError), db.transaction() as tx:
        tx.create_schema("aside")
        tx.create_table("aside.other", COLUMNS)
        tx.rename_table("t", "u")
        tx.add_column("u", "more", "INT", default=1)
        tx.create_stream("s", on="u")
        tx.add_consumer("s", "mailer", at="head")
        raise ZeroDivisionError
    assert (db.sequence, names(db), db.streams()) == (before, ["t"], [])
    assert db.table("t").schema.names == ["id", "v"]


def test_each_definition_sees_those_before_it(db: Database) -> None:
    with db.transaction() as tx:
        tx.rename_table("t", "u")
        tx.add_column("u", "more", "INT", default=7)
        tx.rename_column("u", "v", "w")
        tx.drop_column("u", "w")
        tx.widen_column("u", "id", "BIGINT")
        other = tx.create_table("other", COLUMNS)
        tx.swap_tables("u", "other")
        assert other.name == "u"
        tx.drop_table("other")
        tx.drop_table("other", if_exists=True)
        assert tx.undrop_table("other").rows() == [{"id": 1, "more": 7}, {"id": 2, "more": 7}]
        assert tx.clone_table("clone", "other").count() == 2
    assert names(db) == ["other", "u", "clone"]
    assert db.table("clone").rows() == db.table("other").rows()


def test_streams_and_consumers_change_with_the_rows(db: Database) -> None:
    db.create_stream("s", on="t")
    with db.transaction() as tx:
        tx.alter_stream("s", policy="FORBID", comment="ours")
        tx.add_consumer("s", "mailer")
        tx.add_consumer("s", "gone", at="head")
        tx.drop_consumer("s", "gone")
        tx.clone_stream("s2", "s")
        tx.drop_stream("none", if_exists=True)
        tx.insert("t", {"id": 3})
    assert [one.consumer for one in db.stream("s2").consumers()] == ["mailer"]
    assert db.stream("s").definition.policy.value == "FORBID"
    with db.transaction() as tx:
        tx.drop_stream("s")
    assert [stream.name for stream in db.streams()] == ["s2"]


def test_a_definition_that_fails_leaves_the_transaction_open(db: Database) -> None:
    with db.transaction() as tx:
        tx.insert("t", {"id": 3})
        with pytest.raises(NameTaken):
            tx.create_table("t", COLUMNS)
        with pytest.raises(NotFound):
            tx.drop_table("nowhere")
        with pytest.raises(AlterAfterWrite):
            tx.add_column("t", "more", "INT")
        tx.create_table("other", COLUMNS)
    assert (names(db), db.table("t").count()) == (["t", "other"], 3)


def test_a_definition_conflicts_with_a_commit_to_its_table_meanwhile(db: Database) -> None:
    with pytest.raises(WriteConflict), db.transaction() as tx:
        tx.add_column("t", "more", "INT")
        db.table("t").insert({"id": 3})
    assert db.table("t").schema.names == ["id", "v"]


def test_of_two_that_take_a_name_one_conflicts(db: Database) -> None:
    with pytest.raises((WriteConflict, NameTaken)), db.transaction() as tx:
        tx.create_table("new", COLUMNS)
        db.create_table("new", {"other": "INT"})
    assert db.table("new").schema.names == ["other"]


def test_definitions_are_part_of_a_request(db: Database) -> None:
    def send(second: str = "v") -> int:
        with db.transaction(idempotency_key="k") as tx:
            made = tx.create_table("made", {"id": "INT", second: "VARCHAR"}, key="id")
            tx.create_stream("s", on=made)
            return tx.insert(made, {"id": 1})

    assert send() == send() == 1
    assert db.table("made").count() == 1
    with pytest.raises(IdempotencyMismatch):
        send("w")


def test_a_value_refused_for_a_new_table_names_it(db: Database) -> None:
    def fill(tx: Tx) -> None:
        tx.insert(tx.create_table("made", COLUMNS, key="id"), {"id": "x"})

    with pytest.raises(ValueRefused, match="made"), db.transaction() as tx:
        fill(tx)
    assert names(db) == ["t"]
