"""Several nodes of one prefix: who writes, who follows, what a commit sent to another node becomes."""

import json
import signal
import threading
import time

import pyarrow as pa
import pytest
from support_kafka_log import assert_topics_give
from support_nodes import NodeRefused, Nodes, await_role, node_of
from support_rebuild import assert_rebuilt

from headwater.log_store.errors import IdempotencyMismatch, WriteConflict
from headwater.log_store.kafka_node import NotTheWriter
from headwater.log_store.kafka_role import Role
from headwater.ops.api import Database
from headwater.ops.api_transaction import Tx
from headwater.ops.cli import run
from headwater.ops.errors import NotVisible
from headwater.producer.errors import DuplicateKey

COLUMNS = {"id": "INT", "v": "VARCHAR"}


def pair(nodes: Nodes) -> tuple[Database, Database]:
    """A writer with a table t, and a replica that shows it."""
    writer = nodes.connect("one")
    writer.create_table("t", COLUMNS, key="id")
    other = nodes.connect("two")
    assert node_of(writer).role is Role.WRITER
    assert node_of(other).role is Role.REPLICA
    return writer, other


def ids(db: Database, table: str = "t") -> list[int]:
    return sorted(int(str(row["id"])) for row in db.table(table).rows())


def all_agree(nodes: Nodes, *dbs: Database) -> None:
    """Every node shows the same, and so does one that has nothing but the topics."""
    head = max(db.sequence for db in dbs)
    for db in dbs:
        db.wait_for(head, 30)
        assert node_of(db).verify_derived() == []
    paths = [node_of(db).path for db in dbs]
    for db in dbs:
        db.close()
    for path in paths:
        assert_topics_give(path, nodes.bootstrap, nodes.prefix)


def test_the_first_node_writes_and_another_one_follows(nodes: Nodes) -> None:
    writer, other = pair(nodes)
    writer.create_stream("s", on="t")
    writer.table("t").insert([{"id": 1, "v": "a"}, {"id": 2, "v": "b"}])
    writer.table("t").delete(key=1)
    other.wait_for(writer.sequence, 30)
    assert ids(other) == [2]
    assert other.table("t").at(version=1).count() == 2
    here, there = writer.stream("s"), other.stream("s")
    assert there.has_data() and there.lag() == here.lag()
    assert there.arrow() == here.arrow()
    all_agree(nodes, writer, other)


def test_what_a_replica_is_told_to_write_is_written_and_seen_by_it(nodes: Nodes) -> None:
    writer, other = pair(nodes)
    for number in range(5):
        other.table("t").insert({"id": number, "v": "there"})
        assert number in ids(other)
    other.table("t").update(key=3, set={"v": "changed"})
    other.table("t").delete(key=4)
    writer.wait_for(other.sequence, 30)
    assert ids(writer) == [0, 1, 2, 3]
    with pytest.raises(DuplicateKey):
        other.table("t").insert({"id": 1})
    all_agree(nodes, writer, other)


def test_definitions_are_made_on_any_node(nodes: Nodes) -> None:
    writer, other = pair(nodes)
    other.execute("create table u (id int autoincrement, v varchar)")
    other.create_stream("us", on="u")
    other.execute("alter table u add column w int default 7")
    other.execute("insert into u (v) values ('a'), ('b')")
    writer.execute("insert into u (v) values ('c')")
    other.wait_for(writer.sequence, 30)
    other.execute("insert into u (v) select v from us consumer c")
    numbers = [row["id"] for row in other.table("u").rows()]
    assert len(set(numbers)) == len(numbers) == 6, numbers
    (consumer,) = other.stream("us").consumers("c")
    assert consumer.watermark == consumer.head - 1
    all_agree(nodes, writer, other)


def test_rows_without_a_key_never_share_an_id_whatever_node_makes_them(nodes: Nodes) -> None:
    writer, other = pair(nodes)
    writer.create_table("bare", {"id": "INT"})
    other.wait_for(writer.sequence, 30)
    for number in range(10):
        (writer if number % 2 else other).table("bare").insert({"id": number})
    writer.wait_for(other.sequence, 30)
    assert ids(writer, "bare") == list(range(10))
    all_agree(nodes, writer, other)


def test_of_two_nodes_that_change_a_row_one_is_refused(nodes: Nodes) -> None:
    writer, other = pair(nodes)
    writer.table("t").insert({"id": 1, "v": "a"})
    other.wait_for(writer.sequence, 30)
    inner = other.session.begin()
    Tx(other.session, inner).update("t", key=1, set={"v": "late"})
    writer.table("t").update(key=1, set={"v": "first"})
    with pytest.raises(WriteConflict) as refused:
        inner.commit()
    assert refused.value.what == "row" and refused.value.retryable
    all_agree(nodes, writer, other)


def test_an_idempotency_key_is_known_on_every_node(nodes: Nodes) -> None:
    writer, other = pair(nodes)

    def send(db: Database, number: int) -> int:
        with db.transaction(idempotency_key="k") as tx:
            return tx.insert("t", {"id": number})

    told = list[int]()
    with node_of(other).paused():
        assert send(writer, 1) == 1
        # The replica does not know of it yet: the writer says so.
        thread = threading.Thread(target=lambda: told.append(send(other, 1)))
        thread.start()
        assert node_of(other).asked(30)
    thread.join(60)
    assert told == [1]
    assert send(other, 1) == 1
    with pytest.raises(IdempotencyMismatch):
        send(other, 2)
    assert ids(other) == [1]
    all_agree(nodes, writer, other)


def test_a_commit_larger_than_a_message_goes_to_the_writer_in_pieces(nodes: Nodes) -> None:
    writer, other = pair(nodes)
    rows = pa.table({"id": pa.array(range(60_000), pa.int64()), "v": pa.array(["x" * 40] * 60_000)})
    assert other.table("t").insert(rows) == 60_000
    assert other.table("t").count() == 60_000
    assert other.table("t").delete(where={"v": "x" * 40}) == 60_000
    writer.wait_for(other.sequence, 30)
    assert writer.table("t").count() == 0
    all_agree(nodes, writer, other)


def test_a_read_waits_for_the_commit_that_it_names(nodes: Nodes) -> None:
    writer, other = pair(nodes)
    with node_of(other).paused():
        writer.table("t").insert({"id": 1})
        named = writer.sequence
        with pytest.raises(NotVisible) as refused:
            other.wait_for(named, 0.05)
        assert refused.value.sequence == named and refused.value.newest < named
    assert other.wait_for(named, 30) >= named
    assert ids(other) == [1]
    all_agree(nodes, writer, other)


def test_a_writer_that_closes_hands_over(nodes: Nodes) -> None:
    writer, other = pair(nodes)
    writer.table("t").insert({"id": 1})
    other.wait_for(writer.sequence, 30)
    inner = other.session.begin()
    Tx(other.session, inner).insert("t", {"id": 7})
    writer.close()
    await_role(other, Role.WRITER)
    # Its row id was given by a writer that is none any more.
    with pytest.raises(WriteConflict, match="replaced"):
        inner.commit()
    other.table("t").insert({"id": 2})
    again = nodes.connect("one")
    assert node_of(again).role is Role.REPLICA
    again.table("t").insert({"id": 3})
    assert ids(again) == [1, 2, 3]
    all_agree(nodes, other, again)


def test_a_node_that_may_not_write_never_takes_over(nodes: Nodes) -> None:
    writer = nodes.connect("one")
    writer.create_table("t", COLUMNS, key="id")
    replica = nodes.connect("two", "replica")
    with pytest.raises(NotTheWriter, match="is written by"):
        # It has the time of a commit to become the writer, and is not let.
        nodes.connect("three", "writer")
    replica.table("t").insert({"id": 1})
    writer.wait_for(replica.sequence, 30)
    writer.close()
    # The next that may write finds nobody beside itself, and need not wait.
    heir = nodes.connect("four")
    assert node_of(heir).role is Role.WRITER
    assert node_of(replica).role is Role.REPLICA
    replica.table("t").insert({"id": 2})
    assert ids(replica) == [1, 2]
    all_agree(nodes, heir, replica)


def test_the_nodes_are_listed_with_what_they_are(
    nodes: Nodes, capsys: pytest.CaptureFixture[str]
) -> None:
    writer, other = pair(nodes)
    replica = nodes.connect("three", "replica")
    writer.table("t").insert({"id": 1})
    for db in (other, replica):
        db.wait_for(writer.sequence, 30)
    found = {one.node: one for one in replica.nodes()}
    assert found[node_of(writer).node].role == "writer"
    assert found[node_of(other).node].role == "standby"
    assert found[node_of(replica).node].role == "replica"
    target = f"kafka://{nodes.bootstrap}/{nodes.prefix}"
    # How far each is, is what it said last: within some heartbeats all have said the newest.
    until = time.monotonic() + 30
    while True:
        assert run(["nodes", target, "--format", "json"]) == 0
        told = json.loads(capsys.readouterr().out)
        if time.monotonic() > until or not any(one["behind"] for one in told):
            break
    assert {one["node"] for one in told} == found.keys()
    assert told[0]["role"] == "writer" and not told[0]["silent"]
    assert [one["behind"] for one in told] == [0, 0, 0]
    all_agree(nodes, writer, other, replica)


@pytest.mark.crash
def test_a_standby_takes_over_from_a_writer_that_was_killed(nodes: Nodes) -> None:
    writer = nodes.connect("setup")
    writer.create_table("t", COLUMNS, key="id")
    writer.close()
    dead = nodes.process("one")
    assert dead.do("role") == "writer"
    standby = nodes.connect("two")
    for number in range(10):
        dead.do("insert", number)
    dead.ask("many", 10, 100_000)
    standby.wait_for(standby.sequence + 20, 30)
    dead.kill()
    # Sent to a writer that is gone, it is taken by the next.
    standby.table("t").insert({"id": -1})
    await_role(standby, Role.WRITER)
    assert set(range(10)) < set(ids(standby))
    assert -1 in ids(standby)
    with standby.session.view() as view:
        assert {row.epoch for row in view.commits(0, view.sequence)} == {1, 2, 3}
    again = nodes.process("one")
    assert again.do("role") == "replica"
    again.do("insert", -2)
    again.do("close")
    standby.wait_for(standby.sequence, 1)
    assert -2 in ids(standby)
    path = node_of(standby).path
    assert_rebuilt(standby)
    assert_topics_give(nodes.folder / "one", nodes.bootstrap, nodes.prefix)
    assert path.is_dir()


@pytest.mark.crash
def test_a_writer_that_was_stopped_is_refused_when_it_wakes_and_follows(nodes: Nodes) -> None:
    writer = nodes.connect("setup")
    writer.create_table("t", COLUMNS, key="id")
    writer.close()
    zombie = nodes.process("one")
    zombie.do("insert", 1)
    standby = nodes.connect("two")
    zombie.do("begin", 7)
    zombie.signal(signal.SIGSTOP)
    # It stands still, and what it is told meets it when it wakes.
    zombie.ask("commit")
    standby.table("t").insert({"id": 2})
    assert node_of(standby).role is Role.WRITER
    zombie.signal(signal.SIGCONT)
    with pytest.raises(NodeRefused, match="replaced") as refused:
        zombie.answer()
    assert refused.value.code == WriteConflict.code
    zombie.do("insert", 3)
    assert zombie.do("role") == "replica"
    standby.wait_for(standby.sequence, 1)
    assert ids(standby) == [1, 2, 3]
    zombie.do("close")
    assert_rebuilt(standby)
    assert_topics_give(nodes.folder / "one", nodes.bootstrap, nodes.prefix)


@pytest.mark.crash
def test_no_commit_of_a_replica_is_lost_or_doubled_by_a_takeover(nodes: Nodes) -> None:
    writer = nodes.connect("setup")
    writer.create_table("t", COLUMNS, key="id")
    writer.create_table("bare", {"id": "INT"})
    writer.close()
    dead = nodes.process("one")
    standby = nodes.connect("two")
    client = nodes.connect("three", "replica")
    done = list[int]()
    stop = threading.Event()

    def work(first: int) -> None:
        number = first
        while not stop.is_set():
            with client.transaction() as tx:
                tx.insert("t", {"id": number})
                tx.insert("bare", {"id": number})
            done.append(number)
            number += 4

    def patiently(first: int) -> None:
        while not stop.is_set():
            try:
                work(max([n for n in done if n % 4 == first], default=first - 4) + 4)
            except WriteConflict:
                continue

    threads = [threading.Thread(target=patiently, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    client.wait_for(client.sequence + 20, 60)
    dead.kill()
    await_role(standby, Role.WRITER)
    client.wait_for(client.sequence + 20, 60)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert ids(client) == sorted(done) == ids(client, "bare")
    with client.session.view() as view:
        commits = [row.commit_id for row in view.commits(0, view.sequence)]
    assert len(set(commits)) == len(commits)
    all_agree(nodes, standby, client)
