"""Kafka groups beside a store: plain consumers that are registered, and offsets moved from outside.

The consumers are confluent_kafka's own, with nothing of Headwater in them.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message
from support_clock import Clock
from support_kafka import Broker
from support_rebuild import assert_rebuilt

import headwater
from headwater.consumers.errors import ConsumerRefused, RewindRefused
from headwater.consumers.group_verdicts import DAY_US
from headwater.consumers.group_watch import GroupWatch
from headwater.log_store.kafka_admin import Admin
from headwater.log_store.kafka_client import Cluster
from headwater.log_store.kafka_node import KafkaNode
from headwater.log_store.kafka_records import Position
from headwater.ops.api import Database
from headwater.ops.api_streams import Stream
from headwater.ops.cli_context import position_shown
from headwater.producer.transaction import Transaction


@pytest.fixture
def clock() -> Clock:
    return Clock(step_us=1000)


@pytest.fixture
def db(kafka: Broker, prefix: str, tmp_path: Path, clock: Clock) -> Iterator[Database]:
    """A store with a table of three versions: five rows, an update with a delete, ten rows."""
    target = f"kafka://{kafka.bootstrap}/{prefix}?dir={tmp_path / 'shop'}"
    with headwater.connect(target, clock=clock, actor="ann") as opened:
        orders = opened.create_table("orders", {"id": "INT", "name": "VARCHAR"}, key="id")
        orders.insert([{"id": at, "name": "a"} for at in range(5)])
        with opened.transaction() as tx:
            tx.update("orders", [{"id": 1, "name": "b"}])
            tx.delete("orders", key=2)
        orders.insert([{"id": at, "name": "c"} for at in range(10, 20)])
        yield opened
        assert_rebuilt(opened)


def look(db: Database, clock: Clock) -> None:
    """What the writer's thread does every few seconds."""
    log = db.session.log
    GroupWatch(log, lambda: Transaction(log, actor="kafka"), clock).look()


def topic(db: Database) -> str:
    return f"{db.session.log.name}.public.orders"


def brokers(db: Database) -> str:
    log = db.session.log
    assert isinstance(log, KafkaNode)
    return log.cluster.brokers


def group(db: Database, stream: str = "s", consumer: str = "g") -> str:
    return f"{db.session.log.name}.public.{stream}.{consumer}"


def plain(db: Database, name: str, reset: str = "error") -> Consumer:
    """A consumer of the group as anybody would write one."""
    made = Consumer(
        {
            "bootstrap.servers": brokers(db),
            "group.id": name,
            "enable.auto.commit": False,
            "auto.offset.reset": reset,
            "isolation.level": "read_committed",
            "session.timeout.ms": 6000,
            "client.id": "plain",
        }
    )
    made.subscribe([topic(db)])
    return made


def take(consumer: Consumer, count: int) -> list[Message]:
    """So many messages, tombstones left out."""
    found: list[Message] = []
    for _ in range(600):
        message = consumer.poll(0.1)
        if message is not None:
            assert message.error() is None, message.error()
            if message.value() is not None:
                found.append(message)
        if len(found) == count:
            return found
    raise AssertionError(f"{len(found)} of {count} messages came")


def nothing_more(consumer: Consumer) -> bool:
    return all(
        message is None or message.value() is None
        for message in (consumer.poll(0.1) for _ in range(5))
    )


def stands(db: Database, name: str) -> tuple[int, str]:
    found = Admin(Cluster(brokers=brokers(db))).group_offset(name, topic(db))
    assert found is not None
    return found.offset, found.metadata


def tool_lag(db: Database, name: str) -> int:
    """The LAG that kafka-consumer-groups shows: the topic's end less the group's offset."""
    return Admin(Cluster(brokers=brokers(db))).ends([topic(db)])[topic(db)] - stands(db, name)[0]


def move(db: Database, name: str, offset: int) -> None:
    """What kafka-consumer-groups --reset-offsets does: an offset without metadata."""
    Admin(Cluster(brokers=brokers(db))).set_group_offset(name, Position(topic(db), offset, ""))


def offsets(messages: Sequence[Message]) -> list[int]:
    return [message.offset() or 0 for message in messages]


def audited(db: Database, what: str) -> list[dict[str, object]]:
    return [json.loads(entry.detail) for entry in db.audit() if entry.what == what]


def test_a_plain_consumer_starts_exactly_at_its_base_and_goes_on_where_it_died(
    db: Database, clock: Clock
) -> None:
    stream = db.create_stream("s", on="orders", at=1)
    (row,) = [stream.add_consumer("g", kind="GROUP")]
    assert (row.kind, row.watermark, row.group) == ("GROUP", 1, group(db))
    with pytest.raises(ConsumerRefused, match="only through its Kafka group"), stream.consumer("g"):
        pass
    first = plain(db, row.group)
    half = take(first, 5)
    # Update and delete of v2, then three rows of the ten of v3.
    first.commit(message=half[-1], asynchronous=False)
    first.unsubscribe()
    first.close()
    look(db, clock)
    (row,) = stream.consumers()
    assert (row.watermark, row.inside, row.records) == (2, 3, 10)
    assert row.lag is not None and row.lag.versions == 1 and row.lag.changes == 10
    assert stream.has_data("g") and [one.version for one in stream.backlog("g")] == [3]
    assert tool_lag(db, row.group) == 7 + 1
    told = db.execute(
        "SELECT KIND, WATERMARK, GROUP_ID, WITHIN_NEXT FROM INFORMATION_SCHEMA.STREAM_CONSUMERS"
    )
    assert told.fetchall() == [("GROUP", 2, row.group, "3/10")]
    assert position_shown(row.watermark, row.shown_inside) == "2 + 3/10"
    second = plain(db, row.group)
    rest = take(second, 7)
    assert offsets(rest) == list(range(offsets(half)[-1] + 1, offsets(half)[-1] + 8))
    assert nothing_more(second)
    second.commit(message=rest[-1], asynchronous=False)
    second.close()
    look(db, clock)
    (row,) = stream.consumers()
    assert (row.watermark, row.inside) == (3, 0)
    assert tool_lag(db, row.group) == 1  # the marker behind the last record
    assert not stream.has_data("g") and row.lag is not None and row.lag.changes == 0
    assert [(one.why, one.start, one.end) for one in stream.history("g")] == [
        ("register", None, 1),
        ("consume", 1, 2),
        ("consume", 2, 3),
    ]


def test_a_rewind_of_a_group_is_refused_while_it_is_active_and_then_replays_the_window(
    db: Database, clock: Clock
) -> None:
    stream = db.create_stream("s", on="orders", at=1)
    name = stream.add_consumer("g", kind="GROUP").group
    reader = plain(db, name)
    everything = take(reader, 12)
    reader.commit(message=everything[-1], asynchronous=False)
    look(db, clock)
    plan = stream.rewind("g", to=2)
    assert plan.changes == 10 and "plain@" in plan.refusals[0]
    with pytest.raises(RewindRefused, match="is active .plain@.*stop its members") as refused:
        plan.execute()
    assert refused.value.reason == "GROUP_ACTIVE"
    assert stream.consumers()[0].watermark == 3
    reader.close()
    with pytest.raises(RewindRefused, match="no table to put back"):
        stream.rewind("g", to=2, restore=True).execute()
    assert stream.rewind("g", to=2).execute() is not None
    assert stream.consumers()[0].watermark == 2
    look(db, clock)
    assert [one.why for one in stream.history("g")] == ["register", "consume", "rewind"]
    again = plain(db, name)
    assert offsets(take(again, 10)) == offsets(everything)[2:]
    assert nothing_more(again)
    again.close()
    stream.undo("g").execute()
    look(db, clock)
    assert stream.consumers()[0].watermark == 3
    assert [one.why for one in stream.history("g")][-1] == "undo"
    third = plain(db, name)
    assert nothing_more(third)
    third.close()
    assert [entry["moves"] for entry in audited(db, "rewind")] == [
        [{"consumer": "g", "stream": "s", "from": 3, "to": 2}]
    ]


def test_a_group_that_is_active_cannot_be_registered_and_nothing_is_left(db: Database) -> None:
    stream = db.create_stream("s", on="orders")
    reader = plain(db, group(db), reset="earliest")
    take(reader, 1)
    with pytest.raises(ConsumerRefused, match="is active .plain@") as refused:
        stream.add_consumer("g", kind="GROUP")
    assert refused.value.name == "g"
    assert stream.consumers() == []
    reader.close()
    assert stream.add_consumer("g", kind="GROUP").group == group(db)
    fresh = plain(db, group(db))
    assert nothing_more(fresh)
    fresh.close()


def test_a_registration_that_is_rolled_back_leaves_no_offset(db: Database) -> None:
    db.create_stream("s", on="orders")
    db.execute("BEGIN")
    db.execute("ALTER STREAM s ADD CONSUMER g AS GROUP AT HEAD")
    assert stands(db, group(db))[0] > 0
    db.execute("ROLLBACK")
    assert Admin(Cluster(brokers=brokers(db))).group_offset(group(db), topic(db)) is None


@pytest.mark.parametrize(
    ("options", "why"),
    [({"capture": "NET"}, "captures NET"), ({"initial_rows": True}, "shows initial rows")],
)
def test_a_group_needs_a_stream_that_shows_the_topic_as_it_is(
    db: Database, options: dict[str, object], why: str
) -> None:
    db.create_stream("other", on="orders", **options)  # type: ignore[arg-type]
    with pytest.raises(ConsumerRefused, match=why):
        db.stream("other").add_consumer("g", kind="GROUP")
    stream = db.create_stream("s", on="orders")
    stream.add_consumer("g", kind="GROUP")
    with pytest.raises(ConsumerRefused, match=why):
        stream.alter(**options)  # type: ignore[arg-type]


def test_names_that_give_one_group_id_get_two_groups(db: Database) -> None:
    stream = db.create_stream("s", on="orders", at=0)
    first = stream.add_consumer("a b", kind="GROUP")
    second = stream.add_consumer("a_b", kind="GROUP", at="head")
    assert (first.group, second.group) == (group(db, "s", "a_b"), group(db, "s", "a_b.2"))
    assert stands(db, first.group)[0] == 0 < stands(db, second.group)[0]


def mirrored(db: Database, policy: str = "ALLOW") -> Stream:
    """A stream with a CLIENT consumer that has read everything."""
    stream = db.create_stream("s", on="orders", at=0, policy=policy)
    with stream.consumer("c") as window:
        assert len(list(window)) == 18
    return stream


def test_an_offset_moved_from_outside_is_a_rewind_on_record(db: Database, clock: Clock) -> None:
    stream, name = mirrored(db), group(db, "s", "c")
    start, _ = stands(db, name)
    # Into the middle of the ten rows of v3: they are all read again.
    move(db, name, start - 4)
    look(db, clock)
    assert [(one.why, one.start, one.end) for one in stream.history("c")][-1] == ("rewind", 3, 2)
    assert "moved to offset" in stream.history("c")[-1].reason
    (entry,) = audited(db, "rewind")
    assert entry["moves"] == [{"consumer": "c", "stream": "s", "from": 3, "to": 2}]
    wait_for_groups(db)
    offset, metadata = stands(db, name)
    assert metadata.startswith("v=2;seq=") and offset == start - 10
    move(db, name, start)
    look(db, clock)
    assert [(one.why, one.start, one.end) for one in stream.history("c")][-1] == ("advance", 2, 3)
    look(db, clock)
    assert len(stream.history("c")) == 4
    stream.rewind("c", to=1).execute()
    look(db, clock)
    assert stream.consumers()[0].watermark == 1


def wait_for_groups(db: Database) -> None:
    log = db.session.log
    assert isinstance(log, KafkaNode) and log.mirrors.wait_empty(20)


@pytest.mark.parametrize("policy", ["REQUIRE_REASON", "FORBID"])
def test_a_policy_puts_an_offset_back_on_record(db: Database, clock: Clock, policy: str) -> None:
    stream, name = mirrored(db, policy), group(db, "s", "c")
    wanted = stands(db, name)
    for offset in (0, wanted[0] - 4):
        move(db, name, offset)
        look(db, clock)
        wait_for_groups(db)
        assert stands(db, name) == wanted
    assert [one.why for one in stream.history("c")] == ["register", "consume"]
    refused = audited(db, "outside move refused")
    assert {entry["refused"] for entry in refused} == {policy}
    assert refused[0]["offset"] == 0 and refused[0]["version"] == 0


def test_an_offset_out_of_history_is_refused_and_put_back(db: Database, clock: Clock) -> None:
    stream = db.create_stream("s", on="orders", at=2)
    stream.add_consumer("c", at="head")
    name = group(db, "s", "c")
    wanted = stands(db, name)
    for offset, why in ((0, "BELOW_BASE"), (100_000, "BEHIND_THE_END")):
        clock.now_us += 61_000_000
        move(db, name, offset)
        look(db, clock)
        wait_for_groups(db)
        assert stands(db, name) == wanted
        assert why in [entry["refused"] for entry in audited(db, "outside move refused")]
    assert [one.watermark for one in stream.consumers()] == [3]


def test_an_offset_that_expired_or_is_an_old_one_of_ours_is_written_again(
    db: Database, clock: Clock
) -> None:
    stream, name = mirrored(db), group(db, "s", "c")
    wanted = stands(db, name)
    admin = Admin(Cluster(brokers=brokers(db)))
    admin.forget_group(name)
    look(db, clock)
    wait_for_groups(db)
    assert stands(db, name) == wanted
    admin.set_group_offset(name, Position(topic(db), 0, "v=0;seq=3"))
    look(db, clock)
    wait_for_groups(db)
    assert stands(db, name) == wanted
    assert [one.why for one in stream.history("c")] == ["register", "consume"]


def test_a_groups_offset_that_expired_is_written_again_where_it_was(
    db: Database, clock: Clock
) -> None:
    stream = db.create_stream("s", on="orders", at=0)
    name = stream.add_consumer("g", kind="GROUP").group
    reader = plain(db, name)
    some = take(reader, 9)
    reader.commit(message=some[-1], asynchronous=False)
    reader.close()
    look(db, clock)
    Admin(Cluster(brokers=brokers(db))).forget_group(name)
    look(db, clock)
    assert stands(db, name)[0] == offsets(some)[-1] + 1
    assert [one.why for one in stream.history("g")] == ["register", "consume"]


def test_offsets_are_written_again_each_day(db: Database, clock: Clock) -> None:
    stream = db.create_stream("s", on="orders", at=0)
    name = stream.add_consumer("g", kind="GROUP").group
    log = db.session.log
    watch = GroupWatch(log, lambda: Transaction(log, actor="kafka"), clock)
    watch.look()
    # A mark of its own shows whether the offset is written once more.
    move(db, name, 0)
    watch.look()
    assert stands(db, name) == (0, "")
    clock.now_us += DAY_US
    watch.look()
    offset, metadata = stands(db, name)
    assert offset == 0 and metadata.startswith("v=0;seq=")
    assert [one.why for one in stream.history("g")] == ["register"]


def test_a_groups_move_back_from_outside_is_taken_over_and_audited(
    db: Database, clock: Clock
) -> None:
    stream = db.create_stream("s", on="orders", at=0, policy="FORBID")
    name = stream.add_consumer("g", kind="GROUP", at="head").group
    move(db, name, 0)
    look(db, clock)
    assert stands(db, name) == (0, "") and stream.consumers()[0].watermark == 0
    assert [(one.why, one.start, one.end) for one in stream.history("g")][1:] == [("outside", 3, 0)]
    (entry,) = audited(db, "outside")
    assert (entry["consumer"], entry["from"], entry["to"]) == ("g", 3, 0)


def test_the_writer_notices_by_itself_within_seconds(db: Database) -> None:
    mirrored(db)
    with db.session.view() as view:
        at = view.sequence
    move(db, group(db, "s", "c"), 0)
    assert db.session.log.wait(at, 30) > at
    assert [one.end for one in db.stream("s").history("c")][-1] == 0


def test_a_clone_has_groups_of_its_own(db: Database) -> None:
    stream = db.create_stream("s", on="orders", at=0)
    stream.add_consumer("g", kind="GROUP", at=1)
    db.clone_stream("twin", "s")
    (row,) = db.stream("twin").consumers()
    assert (row.group, row.watermark) == (group(db, "twin"), 1)
    assert stands(db, row.group)[0] == stands(db, group(db))[0]
