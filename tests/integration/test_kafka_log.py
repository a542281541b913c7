"""What only a log on Kafka promises: who may write, whose replica it is, where groups stand."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from confluent_kafka import Consumer, Producer
from support_kafka import Broker
from support_kafka_log import assert_rebuilt_from_topics, assert_topics_give, open_kafka
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
from support_topics import committed, create_topic

import headwater
from headwater.log_store import failpoints
from headwater.log_store.errors import Fenced, FormatNotKnown, StoreUnavailable, WriteConflict
from headwater.log_store.kafka import KafkaLog
from headwater.log_store.kafka_admin import Admin
from headwater.log_store.kafka_producer import ProducerSettings, TransactionalProducer
from headwater.log_store.kafka_settle import settle, stuck_topics
from headwater.log_store.kafka_topics import PrefixMissing, ReplicaMismatch
from headwater.log_store.records import Move


@pytest.fixture
def log(kafka: Broker, prefix: str, tmp_path: Path) -> Iterator[KafkaLog]:
    """A store on Kafka; what the test leaves is compared with what the topics alone give."""
    opened = open_kafka(tmp_path / "one", kafka.bootstrap, prefix)
    yield opened
    failpoints.arm("")
    assert_rebuilt_from_topics(opened)


def test_a_writer_that_was_replaced_is_refused_and_has_written_nothing(
    kafka: Broker, prefix: str, tmp_path: Path
) -> None:
    old = open_kafka(tmp_path / "old", kafka.bootstrap, prefix)
    table = make_table(old)
    write(old, table, insert(table, 1, (1, "a")))
    new = open_kafka(tmp_path / "new", kafka.bootstrap, prefix)
    for _ in range(2):
        with pytest.raises(Fenced) as refused:
            write(old, table, insert(table, 2, (2, "old")))
        assert not refused.value.retryable
    with old.view() as view:
        assert view.row(table.id, 1) is not None and view.row(table.id, 2) is None
    write(new, table, insert(table, 2, (2, "new")))
    with new.view() as view:
        assert view.head(table.id).version == 2
        commit = view.commit(view.sequence)
        assert commit is not None and commit.epoch == old.epoch + 1
    old.close()
    assert_rebuilt_from_topics(new)


@pytest.mark.parametrize("place", ["kafka.committed", "kafka.applied"])
def test_a_commit_whose_outcome_was_in_doubt_is_found_and_answered(
    log: KafkaLog, place: str
) -> None:
    table = make_table(log)
    failpoints.arm(f"{place}=error@1")
    made = write(log, table, insert(table, 1, (1, "a")))
    with log.view() as view:
        row = view.commit(made.sequence)
        assert row is not None and row.commit_id == made.commit_id
        assert view.head(table.id).version == 1
    write(log, table, insert(table, 2, (2, "b")))


def test_what_fails_before_the_end_is_nowhere(log: KafkaLog) -> None:
    table = make_table(log)
    failpoints.arm("kafka.before_commit=error@1")
    with pytest.raises(StoreUnavailable):
        write(log, table, insert(table, 1, (1, "a")))
    made = write(log, table, insert(table, 1, (1, "b")))
    assert made.versions == {table.id: 1}
    topic = table.topic
    assert len(committed(log.cluster.brokers, topic)) == 1


def test_a_conflict_in_a_group_is_told_after_the_group_and_the_others_land(log: KafkaLog) -> None:
    table = make_table(log)
    write(log, table, insert(table, 1, (1, "a")))
    told: list[str] = []

    def change(number: int) -> None:
        try:
            write(log, table, update(table, 1, (1, "a"), (1, f"{number}"), seen=1))
            told.append("won")
        except WriteConflict:
            told.append("lost")

    threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["lost"] * 7 + ["won"]


def test_a_replica_that_is_gone_or_damaged_is_built_anew(
    kafka: Broker, prefix: str, tmp_path: Path
) -> None:
    log = open_kafka(tmp_path / "one", kafka.bootstrap, prefix)
    table = make_table(log)
    for number in range(1, 20):
        write(log, table, insert(table, number, (number, "a")))
    write(log, table, delete(table, 3, (3, "a"), seen=3))
    log.close()
    shutil.rmtree(tmp_path / "one" / "store")
    log = open_kafka(tmp_path / "one", kafka.bootstrap, prefix)
    assert log.view().row_count(table.id) == 18
    log.close()
    for file in (tmp_path / "one" / "store").glob("MANIFEST-*"):
        file.write_bytes(b"no manifest")
    log = open_kafka(tmp_path / "one", kafka.bootstrap, prefix)
    assert log.view().row_count(table.id) == 18
    assert_rebuilt_from_topics(log)


def test_a_replica_of_topics_that_were_made_anew_is_refused(
    kafka: Broker, prefix: str, tmp_path: Path
) -> None:
    log = open_kafka(tmp_path / "one", kafka.bootstrap, prefix)
    table = make_table(log)
    write(log, table, insert(table, 1, (1, "a")))
    log.close()
    Admin(log.cluster).delete(table.topic)
    with pytest.raises(ReplicaMismatch, match="gone|anew"):
        open_kafka(tmp_path / "one", kafka.bootstrap, prefix)
    create_topic(kafka.bootstrap, table.topic)
    with pytest.raises(ReplicaMismatch, match="anew") as refused:
        open_kafka(tmp_path / "one", kafka.bootstrap, prefix)
    assert refused.value.topic == table.topic


def test_a_directory_is_the_replica_of_one_prefix(
    kafka: Broker, prefix: str, tmp_path: Path
) -> None:
    open_kafka(tmp_path / "one", kafka.bootstrap, prefix).close()
    with pytest.raises(FormatNotKnown, match=prefix):
        open_kafka(tmp_path / "one", kafka.bootstrap, f"{prefix}x")


def test_a_prefix_is_made_only_where_that_is_wanted(
    kafka: Broker, prefix: str, tmp_path: Path
) -> None:
    with pytest.raises(PrefixMissing, match=prefix):
        open_kafka(tmp_path / "one", kafka.bootstrap, prefix, create=False)


def test_a_topic_that_is_somebody_elses_is_not_taken(log: KafkaLog) -> None:
    taken = f"{log.name}.public.orders"
    create_topic(log.cluster.brokers, taken)
    assert taken in Admin(log.cluster).await_topics([taken])
    assert not log.topic_is_free(taken)
    assert log.topic_is_free(f"{taken}.2")
    with pytest.raises(WriteConflict, match=taken):
        log.commit(batch(catalog=table_events(log, "orders")))
    assert committed(log.cluster.brokers, taken) == []


def test_a_topic_of_a_table_that_was_never_committed_is_taken_away(
    kafka: Broker, prefix: str, tmp_path: Path
) -> None:
    log = open_kafka(tmp_path / "one", kafka.bootstrap, prefix)
    failpoints.arm("kafka.topic_made=error@1")
    with pytest.raises(StoreUnavailable):
        make_table(log, "lost")
    failpoints.arm("")
    log.close()
    log = open_kafka(tmp_path / "one", kafka.bootstrap, prefix)
    assert log.topic_is_free(f"{prefix}.public.lost")
    make_table(log, "lost")
    assert_rebuilt_from_topics(log)


def group_stands(log: KafkaLog, group: str, topic: str) -> tuple[int, str]:
    """A group's committed offset as Kafka's own tools see it."""
    found = Admin(log.cluster).group_offset(group, topic)
    assert found is not None, f"group {group} has no offset"
    return found.offset, found.metadata


def test_a_watermark_and_its_groups_offset_move_together(log: KafkaLog) -> None:
    table = make_table(log)
    consumer = make_consumer(log, table, group=f"{log.name}.public.s.c")
    assert group_stands(log, consumer.group, table.topic) == (0, "v=0;seq=2")
    write(log, table, insert(table, 1, (1, "a")), insert(table, 2, (2, "b")))
    write(log, table, delete(table, 1, (1, "a"), seen=1))
    write(log, table, insert(table, 3, (3, "c")))
    log.commit(batch(moves=[Move(consumer.id, 0, 1, "consume")]))
    offset, told = group_stands(log, consumer.group, table.topic)
    # Two events and the marker of their transaction stand before the next version.
    assert (offset, told) == (3, "v=1;seq=6")
    log.commit(batch(moves=[Move(consumer.id, 1, 3, "consume")]))
    offset, told = group_stands(log, consumer.group, table.topic)
    # A d, its tombstone and a marker, then a c: behind that one.
    assert (offset, told) == (7, "v=3;seq=7")
    log.commit(batch(moves=[Move(consumer.id, 3, 0, "rewind")]))
    assert group_stands(log, consumer.group, table.topic) == (0, "v=0;seq=8")


def member_of(log: KafkaLog, group: str, topic: str) -> Consumer:
    """A program of somebody else's that sits in a group."""
    foreign = Consumer(
        {
            "bootstrap.servers": log.cluster.brokers,
            "group.id": group,
            "group.protocol": "consumer",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    foreign.subscribe([topic])
    assert foreign.poll(30) is not None
    return foreign


def test_a_member_of_somebody_else_does_not_stop_the_commit(log: KafkaLog) -> None:
    table = make_table(log)
    consumer = make_consumer(log, table, group=f"{log.name}.public.s.c")
    write(log, table, insert(table, 1, (1, "a")))
    foreign = member_of(log, consumer.group, table.topic)
    log.commit(batch(moves=[Move(consumer.id, 0, 1, "consume")]))
    with log.view() as view:
        mark = view.watermark(consumer.id)
        assert mark is not None and mark.position == 1
    assert log.mirrors.wait_empty(30)
    foreign.close()
    assert group_stands(log, consumer.group, table.topic) == (1, "v=1;seq=4")


def test_an_offset_that_follows_the_commit_waits_until_the_group_is_free(
    kafka: Broker, prefix: str, tmp_path: Path
) -> None:
    log = open_kafka(tmp_path / "one", kafka.bootstrap, prefix, groups_within=0)
    table = make_table(log)
    consumer = make_consumer(log, table, group=f"{log.name}.public.s.c")
    assert log.mirrors.wait_empty(30)
    assert group_stands(log, consumer.group, table.topic) == (0, "v=0;seq=2")
    write(log, table, insert(table, 1, (1, "a")))
    foreign = member_of(log, consumer.group, table.topic)
    log.commit(batch(moves=[Move(consumer.id, 0, 1, "consume")]))
    assert not log.mirrors.wait_empty(1.5)
    assert "member" in log.mirrors.waiting()[consumer.group]
    assert group_stands(log, consumer.group, table.topic)[1] == "v=0;seq=2"
    foreign.close()
    assert log.mirrors.wait_empty(30)
    assert group_stands(log, consumer.group, table.topic) == (1, "v=1;seq=4")
    assert_rebuilt_from_topics(log)


def test_a_record_of_somebody_else_in_the_state_stops_nobody(log: KafkaLog) -> None:
    table = make_table(log)
    stranger = Producer({"bootstrap.servers": log.cluster.brokers})
    stranger.produce(f"{log.name}.state", b"what", b"unknown")
    assert stranger.flush(30) == 0
    log.commit(batch(tables=changes(table, insert(table, 1, (1, "a")))))


def test_a_long_history_is_rebuilt_without_a_log_and_begun_anew_if_cut_off(
    kafka: Broker, prefix: str, tmp_path: Path
) -> None:
    target = f"kafka://{kafka.bootstrap}/{prefix}?dir={tmp_path / 'one'}"
    with headwater.connect(target) as db:
        table = db.create_table("t", {"id": "INT", "v": "VARCHAR"}, key="id")
        rows = pa.table({"id": pa.array(range(110_000), pa.int64())})
        table.insert(rows.append_column("v", pa.array(["x"] * 110_000)))
        table.update(key=5, set={"v": "y"})
        table.delete(key=6)
    other = tmp_path / "other"
    failpoints.arm("kafka.rebuilding=error@1")
    with pytest.raises(OSError, match="rebuilding"):
        open_kafka(other, kafka.bootstrap, prefix)
    failpoints.arm("")
    log = open_kafka(other, kafka.bootstrap, prefix)
    with log.view() as view:
        (of,) = view.catalog.tables()
        assert view.row_count(of.id) == 109_999
    log.close()
    assert_topics_give(tmp_path / "one", kafka.bootstrap, prefix)
    assert_topics_give(other, kafka.bootstrap, prefix)


def test_records_that_settle_lost_markers_belong_to_no_commit(
    kafka: Broker, prefix: str, tmp_path: Path
) -> None:
    """As after a broker was killed; on one that lost nothing, which shows that nobody is misled."""
    log = open_kafka(tmp_path / "one", kafka.bootstrap, prefix)
    table = make_table(log)
    write(log, table, insert(table, 1, (1, "a")))
    log.close()
    names = [table.topic, *(f"{prefix}.{part}" for part in ("transaction", "catalog", "audit"))]
    admin = Admin(log.cluster)
    assert stuck_topics(admin, names) == {}
    producer = TransactionalProducer(log.cluster, ProducerSettings(transactional_id=prefix))
    producer.open(30)
    settle(log.cluster, producer, admin.ends(names), prefix, time.monotonic() + 30)
    assert committed(kafka.bootstrap, table.topic)[0] == committed(kafka.bootstrap, table.topic)[1]
    log = open_kafka(tmp_path / "one", kafka.bootstrap, prefix)
    write(log, table, update(table, 1, (1, "a"), (1, "b"), seen=1))
    make_table(log, "another")
    assert_rebuilt_from_topics(log)
