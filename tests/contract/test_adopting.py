"""Adopted tables on every log: whole batches, positions in the same commit, nothing done twice."""

import json
from collections.abc import Mapping

import pytest
from support_producer import committing, current, spec

from headwater.log_store.catalog import TableObject
from headwater.log_store.errors import WriteConflict
from headwater.log_store.port import Log
from headwater.log_store.source import Fetched, SourceRecord
from headwater.producer import ddl
from headwater.producer.adopting import AdoptionSpec, Place, adopt_batch, adopt_table, places
from headwater.producer.adoption import Adopted
from headwater.producer.errors import TableReadOnly
from headwater.producer.names import find_table
from headwater.producer.transaction import Transaction
from headwater.schemas.delivery import Delivered
from headwater.schemas.errors import SchemaInvalid
from headwater.schemas.foreign_reader import ForeignReader
from headwater.schemas.types import SqlType

DECLARED = {"id": SqlType.parse("INT"), "name": SqlType.parse("VARCHAR")}


@pytest.fixture
def table(log: Log) -> TableObject:
    """Adopted from two partitions, from their offsets 5 and 0 on."""
    columns = (spec("id", "INT", nullable=False), spec("name", "VARCHAR"))
    asked = AdoptionSpec(topic="server1.public.t", columns=columns, key=("id",), declared=True)
    with committing(log) as tx:
        made = adopt_table(tx, "t", asked, {0: 5, 1: 0})
    return current(log, made)


def message(op: str, row: Mapping[str, object], sequence: tuple[int, int] | None = None) -> bytes:
    source: dict[str, object] = {"connector": "postgresql"}
    if sequence is not None:
        source["sequence"] = json.dumps([str(part) for part in sequence])
    image = "before" if op == "d" else "after"
    return json.dumps({"op": op, image: row, "source": source}).encode()


def record(offset: int, value: bytes | None, *, partition: int = 0) -> SourceRecord:
    return SourceRecord(partition, offset, None, value, 1_700_000_000_000)


def feed(log: Log, table: TableObject, *records: SourceRecord) -> Adopted:
    reader = ForeignReader(None, DECLARED)
    ends = {one.partition: one.offset + 1 for one in records}
    with committing(log) as tx:
        return adopt_batch(tx, table, reader, Fetched(records, ends))


def names(log: Log, table: TableObject) -> list[object]:
    with committing(log) as tx:
        return [row["name"] for row in tx.scan(current(log, table)).data.to_pylist()]


def standing(log: Log, table: TableObject) -> dict[int, Place]:
    with committing(log) as tx:
        return places(tx, table)


def test_rows_and_positions_land_in_one_commit(log: Log, table: TableObject) -> None:
    with log.view() as view:
        before = view.sequence
    feed(
        log,
        table,
        record(5, message("c", {"id": 1, "name": "a"})),
        record(0, message("c", {"id": 2, "name": "b"}), partition=1),
    )

    assert names(log, table) == ["a", "b"]
    assert standing(log, table) == {0: Place(6, None), 1: Place(1, None)}
    with log.view() as view:
        assert view.sequence == before + 1


def test_records_that_were_read_before_do_nothing(log: Log, table: TableObject) -> None:
    feed(log, table, record(5, message("c", {"id": 1, "name": "a"})))
    feed(
        log,
        table,
        record(5, message("c", {"id": 1, "name": "again"})),
        record(6, message("u", {"id": 1, "name": "b"})),
    )

    assert names(log, table) == ["b"]
    with log.view() as view:
        assert view.head(table.id).counts.changes == 2


def test_changes_that_a_connector_sends_again_do_nothing(log: Log, table: TableObject) -> None:
    feed(
        log,
        table,
        record(5, message("c", {"id": 1, "name": "a"}, (10, 11))),
        record(6, message("u", {"id": 1, "name": "b"}, (10, 12))),
    )
    feed(
        log,
        table,
        record(7, message("c", {"id": 1, "name": "a"}, (10, 11))),
        record(8, message("u", {"id": 1, "name": "b"}, (10, 12))),
        record(9, message("u", {"id": 1, "name": "c"}, (12, 13))),
    )

    assert names(log, table) == ["c"]
    assert standing(log, table)[0] == Place(10, Delivered("postgresql", (12, 13)))
    with log.view() as view:
        assert view.head(table.id).counts.changes == 3


def test_a_message_that_cannot_be_read_is_kept_and_stops_nothing(
    log: Log, table: TableObject
) -> None:
    done = feed(
        log,
        table,
        record(5, b"\x01nonsense"),
        record(6, message("c", {"id": "x", "name": "a"})),
        record(7, None),
        record(8, message("c", {"id": 3, "name": "c"})),
    )

    assert names(log, table) == ["c"]
    assert len(done.set_aside) == 2
    with committing(log) as tx:
        kept = tx.scan(find_table(tx.catalog, "t__set_aside")).data.to_pylist()
    assert [(row["offset"], row["message"]) for row in kept] == [
        (5, b"\x01nonsense"),
        (6, message("c", {"id": "x", "name": "a"})),
    ]
    assert "no JSON" in str(kept[0]["why"])
    assert standing(log, table)[0].offset == 9


def test_an_end_behind_markers_moves_the_position_without_a_record(
    log: Log, table: TableObject
) -> None:
    with committing(log) as tx:
        adopt_batch(tx, table, ForeignReader(None, DECLARED), Fetched((), {0: 7, 2: 1}))

    assert standing(log, table) == {0: Place(7, None), 1: Place(0, None), 2: Place(1, None)}


def test_only_its_topic_writes_it(log: Log, table: TableObject) -> None:
    with committing(log) as tx, pytest.raises(TableReadOnly, match=r"server1\.public\.t"):
        tx.insert(table, [(9, "mine")])

    assert names(log, table) == []


def test_a_new_column_of_the_topic_becomes_one_of_the_table(log: Log, table: TableObject) -> None:
    reader = ForeignReader(None, DECLARED | {"more": SqlType.parse("INT")})
    value = message("c", {"id": 1, "name": "a", "more": 7})
    with committing(log) as tx:
        adopt_batch(tx, table, reader, Fetched((record(5, value),), {0: 6}))

    with committing(log) as tx:
        assert tx.scan(current(log, table)).data.to_pylist() == [{"id": 1, "name": "a", "more": 7}]


def test_two_readers_of_one_topic_do_not_both_win(log: Log, table: TableObject) -> None:
    fetched = Fetched((record(5, message("c", {"id": 1, "name": "a"})),), {0: 6})
    slow = Transaction(log)
    adopt_batch(slow, table, ForeignReader(None, DECLARED), fetched)
    feed(log, table, *fetched.records)
    with pytest.raises(WriteConflict):
        slow.commit()

    with log.view() as view:
        assert view.head(table.id).version == 1


def test_a_topic_without_a_key_is_refused(log: Log) -> None:
    asked = AdoptionSpec(topic="x", columns=(spec("id", "INT"),), key=())
    with committing(log) as tx, pytest.raises(SchemaInvalid, match="PRIMARY KEY"):
        adopt_table(tx, "x", asked, {0: 0})


def test_other_ddl_leaves_it_as_it_is(log: Log, table: TableObject) -> None:
    with committing(log) as tx:
        ddl.rename_table(tx, table, "renamed")
    feed(log, table, record(5, message("c", {"id": 1, "name": "a"})))

    assert current(log, table).adopted == table.adopted
    assert names(log, table) == ["a"]
