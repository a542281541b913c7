"""Requests sent again under an idempotency key, and calls whose input can be read only once."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from support_clock import Clock

import headwater
from headwater.log_store.errors import IdempotencyMismatch, WriteConflict
from headwater.ops.api import Database
from headwater.ops.api_transaction import Tx
from headwater.producer.errors import DuplicateKey
from headwater.schemas.errors import ValueRefused

COLUMNS = {"id": "INT", "v": "VARCHAR"}


@pytest.fixture
def db(target: str | Path) -> Iterator[Database]:
    """A store of each kind with an empty table t."""
    with headwater.connect(target, clock=Clock(), actor="ann") as opened:
        opened.create_table("t", COLUMNS, key="id")
        yield opened


def send(db: Database) -> int:
    with db.transaction(idempotency_key="k") as tx:
        return tx.insert("t", {"id": 1})


def test_a_repetition_is_answered_though_its_table_is_gone_or_another(db: Database) -> None:
    assert send(db) == 1
    db.drop_table("t")
    assert send(db) == 1
    db.create_table("t", COLUMNS, key="id")
    assert send(db) == 1
    assert db.table("t").count() == 0


def test_a_failure_that_was_caught_the_first_time_is_told_again(db: Database) -> None:
    db.table("t").insert({"id": 1})

    def request() -> tuple[str, tuple[object, ...], int]:
        with db.transaction(idempotency_key="k") as tx:
            with pytest.raises(DuplicateKey) as refused:
                tx.insert("t", [{"id": 2}, {"id": 1}])
            told = str(refused.value), (refused.value.table, refused.value.row)
            return *told, tx.insert("t", [{"id": 2}, {"id": 3}])

    first = request()
    db.table("t").delete(key=1)

    assert request() == first
    assert first[2] == 2
    assert db.table("t").count() == 2


def test_windows_of_several_consumers_come_back_as_they_were(db: Database) -> None:
    db.create_stream("s", on="t")
    for name in ("a", "b"):
        db.create_table(name, COLUMNS, key="id")
    db.table("t").insert({"id": 1})
    with db.stream("s").consume(into="a") as window:
        window.insert()
    db.table("t").insert({"id": 2})

    def request() -> list[tuple[str, int]]:
        with db.transaction(idempotency_key="k") as tx:
            windows = [tx.consume("s", into="a"), tx.consume("s", into="b")]
            return [(window.versions, window.insert()) for window in windows]

    first = request()
    db.table("t").insert({"id": 3})
    assert request() == first == [("(v1, v2]", 1), ("(v0, v2]", 2)]
    db.drop_stream("s")
    assert request() == first
    assert (db.table("a").count(), db.table("b").count()) == (2, 2)


def test_another_operation_under_the_key_is_refused_at_once(db: Database) -> None:
    send(db)
    with (
        pytest.raises(IdempotencyMismatch),  # the commit's
        db.transaction(idempotency_key="k") as tx,
        pytest.raises(IdempotencyMismatch),  # the operation's
    ):
        tx.delete("t", key=1)
    with pytest.raises(IdempotencyMismatch), db.transaction(idempotency_key="k") as tx:
        tx.insert("t", {"id": 1})
        tx.insert("t", {"id": 2})
    with pytest.raises(IdempotencyMismatch), db.transaction(idempotency_key="k"):
        pass
    assert db.table("t").count() == 1


def test_a_request_that_lost_a_conflict_leaves_its_key_free(db: Database) -> None:
    table = db.table("t")
    table.insert({"id": 1, "v": "a"})

    def request(meanwhile: str = "") -> int:
        with db.transaction(idempotency_key="k") as tx:
            done = tx.update("t", key=1, set={"v": "mine"})
            if meanwhile:
                table.update(key=1, set={"v": meanwhile})
            return done

    with pytest.raises(WriteConflict):
        request("theirs")
    assert request() == 1
    table.update(key=1, set={"v": "later"})
    assert request() == 1
    assert table.rows() == [{"id": 1, "v": "later"}]


def rows_once() -> Iterator[dict[str, object]]:
    return ({"id": number} for number in range(3))


def arrow_once() -> pa.RecordBatchReader:
    return pa.table({"id": [0, 1, 2]}).to_reader()


@pytest.mark.parametrize("make", [rows_once, arrow_once])
def test_rows_that_can_be_read_once_are_compared_and_written(
    db: Database, make: Callable[[], object]
) -> None:
    for _ in range(2):
        with db.transaction(idempotency_key="k") as tx:
            assert tx.insert("t", make()) == 3
    assert db.table("t").count() == 3


def test_rows_from_an_iterator_are_all_there_when_the_call_tries_again(db: Database) -> None:
    table = db.table("t")

    def rows() -> Iterator[dict[str, object]]:
        yield {"id": 1}
        # Another writer takes the second key while the rows are read.
        if table.get(2) is None:
            table.insert({"id": 2, "v": "theirs"})
        yield {"id": 2}

    with pytest.raises(DuplicateKey):
        table.insert(rows())
    assert table.rows() == [{"id": 2, "v": "theirs"}]


def test_arrow_that_can_be_read_once_is_not_tried_again(db: Database) -> None:
    table = db.table("t")
    schema = pa.schema([("id", pa.int64())])

    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"id": [1]}, schema=schema)
        table.insert({"id": 2, "v": "theirs"})
        yield pa.record_batch({"id": [2]}, schema=schema)

    with pytest.raises(WriteConflict):
        table.insert(pa.RecordBatchReader.from_batches(schema, batches()))
    assert table.rows() == [{"id": 2, "v": "theirs"}]


def test_a_windows_own_rows_are_one_statement(db: Database) -> None:
    db.create_stream("s", on="t")
    db.create_table("copy", {"id": "INT", "v": "VARCHAR(1)"}, key="id")
    db.table("t").insert([{"id": 1, "v": "a"}, {"id": 2, "v": "long"}])

    def take(tx: Tx) -> int:
        window = tx.consume("s", into="copy")
        with pytest.raises(ValueRefused):
            window.insert()
        return tx.table("copy").count()

    with db.transaction() as tx:
        assert take(tx) == 0
    assert db.table("copy").count() == 0
