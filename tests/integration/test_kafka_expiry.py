"""History that is let go on Kafka: what topics then hold, who can still read it, and every crash."""

import subprocess
import sys
from pathlib import Path

import pytest
from checker import check_store
from confluent_kafka import Consumer, TopicPartition
from support_kafka import Broker
from support_kafka_log import assert_rebuilt_from_topics, open_kafka
from support_producer import committing, create, current, insert, rows_of

from headwater.consumers.positions import horizon
from headwater.log_store import failpoints
from headwater.log_store.catalog import TableObject
from headwater.log_store.errors import LogError
from headwater.log_store.kafka import KafkaLog
from headwater.log_store.kafka_admin import Admin
from headwater.log_store.kafka_base import base_topic
from headwater.log_store.kafka_bases import read_base

DYING = """
import sys
from pathlib import Path
from support_kafka_log import open_kafka
from headwater.log_store import failpoints
path, bootstrap, prefix, table, version, name = sys.argv[1:]
log = open_kafka(Path(path), bootstrap, prefix, create=False)
failpoints.arm(f"{name}=kill")
log.expire(int(table), int(version))
"""
POINTS = [
    "expire.staged",
    "kafka.base_unfinished",
    "kafka.base_durable",
    "expire.published",
    "kafka.before_delete",
    "kafka.deleted",
]


def busy(log: KafkaLog) -> TableObject:
    """Six versions; a key moves from one row to another, a row goes."""
    orders = create(log)
    insert(log, orders, (1, "a"), (2, "b"), (3, "c"))
    with committing(log) as tx:
        tx.update(orders, [(1, (1, "A")), (2, (20, "b"))])
    insert(log, orders, (2, "new"))
    with committing(log) as tx:
        tx.delete(orders, [3])
    insert(log, orders, (5, "e"))
    insert(log, orders, (6, "f"))
    return current(log, orders)


def base_rows(log: KafkaLog, table: TableObject) -> int:
    found = read_base(log.cluster, Admin(log.cluster), base_topic(table.topic), 20)
    assert found.anchor is not None
    return len(found.rows)


def test_records_below_the_horizon_go_and_the_base_has_the_rows(
    kafka: Broker, prefix: str, tmp_path: Path
) -> None:
    log = open_kafka(tmp_path / "one", kafka.bootstrap, prefix)
    orders = busy(log)
    admin = Admin(log.cluster)
    assert admin.starts([orders.topic])[orders.topic] == 0
    assert log.expire(orders.id, 4) == 4
    start = admin.starts([orders.topic])[orders.topic]
    assert start > 0 and base_rows(log, orders) == 3
    insert(log, orders, (7, "g"))
    assert log.expire(orders.id, 7) == 7
    assert admin.starts([orders.topic])[orders.topic] > start and base_rows(log, orders) == 6
    with committing(log) as tx:
        tx.truncate(orders)
    assert log.expire(orders.id, 8) == 8 and base_rows(log, orders) == 0
    insert(log, orders, (9, "i"))
    check_store(log)
    assert_rebuilt_from_topics(log)


@pytest.mark.crash
@pytest.mark.parametrize("name", POINTS)
def test_a_death_at_any_step_loses_nothing_and_the_next_expiry_goes_on(
    name: str, kafka: Broker, prefix: str, tmp_path: Path
) -> None:
    log = open_kafka(tmp_path / "one", kafka.bootstrap, prefix)
    orders = busy(log)
    log.expire(orders.id, 2)
    wanted = rows_of(log, orders)
    log.close()
    told = [str(tmp_path / "one"), kafka.bootstrap, prefix, str(orders.id), "4", name]
    died = subprocess.run(
        [sys.executable, "-c", DYING, *told],
        cwd=Path(__file__).resolve().parents[1],
        check=False,
        timeout=120,
    )
    assert died.returncode == -9
    # Whoever has only the topics reads what there is: the old horizon, or the new one.
    other = open_kafka(tmp_path / "two", kafka.bootstrap, prefix, create=False)
    assert rows_of(other, orders) == wanted
    check_store(other)
    with other.view() as view:
        assert horizon(view, orders.id) in (2, 4)
    insert(other, orders, (8, "h"))
    assert other.expire(orders.id, 4) == 4
    other.close()
    log = open_kafka(tmp_path / "one", kafka.bootstrap, prefix, create=False)
    insert(log, orders, (9, "i"))
    assert log.expire(orders.id, 6) == 6
    check_store(log)
    assert_rebuilt_from_topics(log)


@pytest.mark.parametrize("name", ["kafka.base_unfinished", "kafka.base_durable"])
def test_an_expiry_that_failed_is_done_by_the_next_one_and_commits_go_on(
    name: str, kafka: Broker, prefix: str, tmp_path: Path
) -> None:
    log = open_kafka(tmp_path / "one", kafka.bootstrap, prefix)
    orders = busy(log)
    failpoints.arm(f"{name}=error@1")
    try:
        with pytest.raises((OSError, LogError)):
            log.expire(orders.id, 2)
    finally:
        failpoints.arm("")
    with committing(log) as tx:
        tx.delete(orders, [1])
    insert(log, orders, (7, "g"))
    assert log.expire(orders.id, 4) == 4
    check_store(log)
    assert_rebuilt_from_topics(log)


def test_a_replica_that_lacks_records_which_are_gone_is_filled_anew(
    kafka: Broker, prefix: str, tmp_path: Path
) -> None:
    log = open_kafka(tmp_path / "late", kafka.bootstrap, prefix)
    orders = create(log)
    insert(log, orders, (1, "a"))
    log.close()
    log = open_kafka(tmp_path / "one", kafka.bootstrap, prefix)
    insert(log, orders, (2, "b"))
    insert(log, orders, (3, "c"))
    log.expire(orders.id, 3)
    log.close()
    late = open_kafka(tmp_path / "late", kafka.bootstrap, prefix)
    assert rows_of(late, orders) == [(1, "a"), (2, "b"), (3, "c")]
    with late.view() as view:
        assert horizon(view, orders.id) == 3
    check_store(late)
    assert_rebuilt_from_topics(late)


def test_a_table_that_came_and_was_let_go_while_a_replica_was_away_is_read_from_its_base(
    kafka: Broker, prefix: str, tmp_path: Path
) -> None:
    log = open_kafka(tmp_path / "late", kafka.bootstrap, prefix)
    insert(log, create(log, "first"), (1, "a"))
    log.close()
    log = open_kafka(tmp_path / "one", kafka.bootstrap, prefix)
    orders = busy(log)
    log.expire(orders.id, 5)
    log.close()
    late = open_kafka(tmp_path / "late", kafka.bootstrap, prefix)
    assert len(rows_of(late, orders)) == 5
    assert_rebuilt_from_topics(late)


def test_a_bases_rows_are_events_that_any_reader_of_the_table_reads(
    kafka: Broker, prefix: str, tmp_path: Path
) -> None:
    log = open_kafka(tmp_path / "one", kafka.bootstrap, prefix)
    orders = busy(log)
    log.expire(orders.id, 6)
    reader = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": prefix, "enable.partition.eof": True}
    )
    reader.assign([TopicPartition(base_topic(orders.topic), 0, 0)])
    messages = [reader.poll(1.0) for _ in range(6)]
    reader.close()
    values = [message.value() for message in messages if message is not None]
    heads = [value[:5] for value in values if value is not None]
    assert heads[:5] == [b"\0" + orders.schema.schema_id.to_bytes(4, "big")] * 5
    assert_rebuilt_from_topics(log)
