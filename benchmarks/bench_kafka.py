"""A store on Kafka beside raw librdkafka on the same broker: bulk, rebuild, commits alone and many.

The broker is `HEADWATER_TEST_KAFKA`, or one started from jars for the run. CPU is this process's,
the broker's is not counted.
"""

import os
import statistics
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import pyarrow as pa
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

import headwater
from benchmarks.common import Figure, cpu_s, main, scratch
from benchmarks.material import COLUMNS, orders
from examples.broker.nodes import LocalKafka
from headwater.log_store.kafka import KafkaLog, KafkaOptions
from headwater.log_store.kafka_client import Cluster
from headwater.ops.api_tables import Table

_ROW = {"customer": 7, "amount": "12.30", "status": "new", "note": None, "day": "2024-05-01"}
_WRITERS = 64
_names = (f"b{uuid.uuid4().hex[:10]}" for _ in count())


class Taken(NamedTuple):
    """What was measured of commits: seconds of each, and how many a second in all."""

    p50: float
    p99: float
    rate: float


def figures(quick: bool) -> list[Figure]:
    """Bulk insert, rebuild, consuming, one commit alone, 64 writers."""
    rows, commits = (50_000, 100) if quick else (500_000, 500)
    with broker() as brokers, scratch() as folder:
        return [*_bulk(brokers, folder, rows), *_commits(brokers, folder, commits)]


@contextmanager
def broker() -> Generator[str]:
    """A Kafka for one run: the one that is named, else one from jars."""
    given = os.environ.get("HEADWATER_TEST_KAFKA")
    if given:
        yield given
        return
    with LocalKafka() as kafka:
        yield kafka.bootstrap


def _target(brokers: str, folder: Path, prefix: str) -> str:
    return f"kafka://{brokers}/{prefix}?dir={folder / prefix}"


def _bulk(brokers: str, folder: Path, rows: int) -> list[Figure]:
    data = orders(rows)
    taken = [_round(brokers, folder, data) for _ in range(3)]
    insert, raw, rebuild, read, consume = (
        statistics.median(one) / rows * 1e6 for one in zip(*taken, strict=True)
    )
    return [
        Figure(
            name="Kafka: bulk insert with the replica, CPU per row",
            unit="us",
            value=insert,
            target=6,
            floor=raw,
            note=f"{rows:,} rows from Arrow; floor: the same records produced raw",
        ),
        Figure(
            name="Kafka: rebuild a lost replica, CPU per event",
            unit="us",
            value=rebuild,
            target=4,
            floor=read,
            note="two large commits; floor: the same records consumed raw",
        ),
        Figure(
            name="Kafka: consume a stream into a table, CPU per change",
            unit="us",
            value=consume,
            target=7,
            floor=raw + read,
            note="exactly once, replica included; floor: the same records read and produced raw",
        ),
    ]


def _round(brokers: str, folder: Path, data: pa.Table) -> tuple[float, ...]:
    """CPU seconds of an insert, of producing its records raw, of a rebuild, of reading raw, of
    consuming a stream of them into another table."""
    prefix, rows = next(_names), data.num_rows
    with headwater.connect(_target(brokers, folder, prefix)) as db:
        table = db.create_table("orders", COLUMNS, key="order_id")
        db.create_table("copy", COLUMNS, key="order_id")
        db.create_stream("changes", on="orders")
        insert = cpu_s(lambda: table.insert(data))
        consume = cpu_s(lambda: _consume(db))
    topic = f"{prefix}.public.orders"
    records = list(_records(brokers, topic, rows))
    raw = cpu_s(lambda: _produce(brokers, records))
    read = cpu_s(lambda: list(_records(brokers, topic, rows)))
    rebuild = cpu_s(lambda: _rebuild(brokers, folder / f"{prefix}-again", prefix))
    # The copy's events are rebuilt too.
    return insert, raw, rebuild / 2, read, consume


def _consume(db: headwater.Database) -> None:
    """The stream's window into the other table, in one commit."""
    with db.transaction() as tx:
        rows = tx.consume("changes", into="copy").arrow()
        tx.insert("copy", rows.select(list(COLUMNS)))


def _rebuild(brokers: str, path: Path, prefix: str) -> None:
    KafkaLog(KafkaOptions(path=path, prefix=prefix, cluster=Cluster(brokers=brokers))).close()


def _records(brokers: str, topic: str, wanted: int) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a topic, read raw."""
    consumer = Consumer(
        {"bootstrap.servers": brokers, "group.id": topic, "isolation.level": "read_committed"}
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        while wanted > 0:
            for message in consumer.consume(20_000, 0.1):
                wanted -= 1
                yield message.key() or b"", message.value() or b""
    finally:
        consumer.close()


def _topic(brokers: str) -> str:
    topic = next(_names)
    admin = AdminClient({"bootstrap.servers": brokers})
    admin.create_topics([NewTopic(topic, 1)])[topic].result(30)  # pyright: ignore[reportUnknownMemberType]
    return topic


def _producer(brokers: str) -> Producer:
    producer = Producer(
        {
            "bootstrap.servers": brokers,
            "transactional.id": next(_names),
            "linger.ms": 2,
            "compression.type": "lz4",
            "retry.backoff.ms": 1,
            "retry.backoff.max.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 1 << 20,
        }
    )
    producer.init_transactions(30)
    return producer


def _produce(brokers: str, records: list[tuple[bytes, bytes]]) -> None:
    """The same records in one transaction."""
    topic, producer = _topic(brokers), _producer(brokers)
    producer.begin_transaction()
    for key, value in records:
        producer.produce(topic, value, key, 0)
    producer.commit_transaction(60)


def _commits(brokers: str, folder: Path, commits: int) -> list[Figure]:
    events, ends, raw = _topic(brokers), _topic(brokers), _producer(brokers)
    value, end = os.urandom(250), os.urandom(180)

    def transaction(number: int) -> None:
        raw.begin_transaction()
        raw.produce(events, value, b"%d" % number, 0)
        raw.produce(ends, end, b"%d" % number, 0)
        raw.commit_transaction(60)

    with headwater.connect(_target(brokers, folder, next(_names))) as db:
        table = db.create_table("orders", COLUMNS, key="order_id")
        keys = count()

        def insert(_: int) -> None:
            table.insert({"order_id": next(keys), **_ROW})

        alone, floor = list[float](), list[float]()
        for _ in range(5):
            floor.append(_timed(transaction, commits // 5).p50)
            alone.append(_timed(insert, commits // 5).p50)
        many = _together(table, 1_000_000, commits * 20)
    p50, raw_p50 = statistics.median(alone) * 1000, statistics.median(floor) * 1000
    return [
        Figure(
            name="Kafka: one commit alone, p50",
            unit="ms",
            value=p50,
            target=1.5 * raw_p50,
            floor=raw_p50,
            note="autocommit insert of one row; floor: a raw transaction over two topics",
        ),
        Figure(
            name="Kafka: single-row commits, 64 writers",
            unit="/s",
            value=many.rate,
            target=5000,
            at_least=True,
            note=f"p50 {many.p50 * 1000:.1f} ms",
        ),
        Figure(
            name="Kafka: single-row commits, 64 writers, p99",
            unit="ms",
            value=many.p99 * 1000,
            target=40,
            note="the same run",
        ),
    ]


def _timed(work: Callable[[int], None], times: int) -> Taken:
    taken: list[float] = []
    for number in range(times):
        start = time.perf_counter()
        work(number)
        taken.append(time.perf_counter() - start)
    return _taken(taken, sum(taken))


def _taken(seconds: list[float], whole: float) -> Taken:
    ordered = sorted(seconds)
    return Taken(
        ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], len(ordered) / whole
    )


def _together(table: Table, first: int, commits: int) -> Taken:
    each, taken = commits // _WRITERS, list[float]()

    def work(writer: int) -> None:
        for n in range(each):
            start = time.perf_counter()
            table.insert({"order_id": first + writer * each + n, **_ROW})
            taken.append(time.perf_counter() - start)

    threads = [Thread(target=work, args=(n,)) for n in range(_WRITERS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _taken(taken, time.perf_counter() - start)


if __name__ == "__main__":
    main(figures)
