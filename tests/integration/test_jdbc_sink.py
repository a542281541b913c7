"""An unmodified sink from Maven Central keeps a PostgreSQL table equal to ours."""

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from support_kafka import Broker
from support_postgres import PASSWORD, Postgres, give_up

import headwater
from examples.broker.connect import JDBC_SINK, LocalConnect
from examples.broker.jars import NoJava
from headwater.ops.api import Database

pytestmark = pytest.mark.readers

COLUMNS = {
    "id": "INT",
    "name": "VARCHAR",
    "amount": "DECIMAL(10,2)",
    "large": "DECIMAL(38,9)",
    "price": "FLOAT",
    "good": "BOOLEAN",
    "day": "DATE",
    "moment": "TIMESTAMP_NTZ(6)",
    "raw": "BINARY",
}
# What the sink makes of them, column by column.
TYPES = {
    "id": "bigint",
    "name": "text",
    "amount": "numeric",
    "large": "numeric",
    "price": "double precision",
    "good": "boolean",
    "day": "date",
    "moment": "timestamp without time zone",
    "raw": "bytea",
}
_PATIENCE_S = 120.0


@pytest.fixture
def connect(kafka: Broker, registry_url: str) -> Iterator[LocalConnect]:
    if "/apis/ccompat/" not in registry_url:
        give_up("the converter of these tests speaks to Apicurio alone")
    try:
        worker = LocalConnect(kafka.bootstrap, registry_url)
    except NoJava as error:
        give_up(f"no Kafka Connect: {error}")
    with worker:
        yield worker


def row(number: int) -> dict[str, object]:
    return {
        "id": number,
        "name": f"näme {number}" if number % 5 else None,
        "amount": Decimal(number - 20) / 4,
        "large": Decimal(10**28 + number) / 10**9 if number % 3 else None,
        "price": number / 8,
        "good": number % 2 == 0,
        "day": date(1960, 1, 1) + timedelta(days=1000 * number),
        "moment": datetime(1999, 12, 31, 23, 59, 59, 999_000 + number),
        "raw": bytes([0, number % 256, 255]),
    }


def seen(value: object) -> object:
    """A value of ours as PostgreSQL's JSON says it."""
    match value:
        case bytes():
            return f"\\x{value.hex()}"
        case datetime():
            text = value.isoformat(timespec="microseconds")
            return text.rstrip("0").rstrip(".")
        case date():
            return value.isoformat()
        case float() | Decimal():
            return Decimal(str(value))
        case _:
            return value


def number(value: object) -> object:
    """JSON does not tell 1 from 1.0."""
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


def assert_equal(db: Database, postgres: Postgres) -> None:
    """The sink's table has exactly our rows."""
    ours = [{k: number(seen(v)) for k, v in one.items()} for one in db.table("t").rows()]
    theirs = [{k: number(v) for k, v in one.items()} for one in postgres.rows("t", "id")]
    names = ours[0].keys()
    assert [{k: one[k] for k in names} for one in theirs] == sorted(
        ours, key=lambda one: Decimal(str(one["id"]))
    )


class Sink:
    """The sink on one topic, and how far its group has come."""

    def __init__(self, bootstrap: str, topic: str, check: Callable[[], None]) -> None:
        self._topic, self._check = topic, check
        self._config: Mapping[str, str] = {"bootstrap.servers": bootstrap}

    def await_end(self, group: str) -> None:
        """Wait until everything that is committed in the topic has been written by the sink."""
        last = self._last()
        asking = Consumer({**self._config, "group.id": group})
        end = time.monotonic() + _PATIENCE_S
        try:
            while True:
                (found,) = asking.committed([TopicPartition(self._topic, 0)], timeout=30)
                if found.offset > last:
                    return
                self._check()
                assert time.monotonic() < end, f"the sink stands at {found.offset}, not {last + 1}"
                time.sleep(0.2)
        finally:
            asking.close()

    def _last(self) -> int:
        """The offset of the topic's last message: a transaction's marker stands behind it."""
        reader = Consumer(
            {**self._config, "group.id": f"{self._topic}.end", "enable.auto.commit": False}
        )
        try:
            _, high = reader.get_watermark_offsets(TopicPartition(self._topic, 0), timeout=30)
            reader.assign([TopicPartition(self._topic, 0, max(0, high - 3))])
            last = -1
            end = time.monotonic() + 30
            while time.monotonic() < end:
                message = reader.poll(1)
                if message is not None and message.error() is None:
                    last = message.offset() or 0
                (at,) = reader.position([TopicPartition(self._topic, 0)])
                if at.offset >= high:
                    return last
            raise AssertionError(f"{self._topic} cannot be read to {high}")
        finally:
            reader.close()


def test_debezium_s_jdbc_sink_keeps_a_postgresql_table_equal(
    kafka: Broker,
    prefix: str,
    registry_url: str,
    connect: LocalConnect,
    postgres: Postgres,
    tmp_path: Path,
) -> None:
    topic, name = f"{prefix}.public.t", f"sink-{prefix}"
    target = f"kafka://{kafka.bootstrap}/{prefix}?dir={tmp_path / 'shop'}&registry={registry_url}"
    with headwater.connect(target) as db:
        db.create_table("t", COLUMNS, key="id")
        table = db.table("t")
        table.insert([row(at) for at in range(1, 41)])
        connect.add(name, sink_config(topic, postgres))
        sink = Sink(kafka.bootstrap, topic, lambda: connect.check(name))
        sink.await_end(f"connect-{name}")
        assert_equal(db, postgres)
        assert types_of(postgres) == TYPES

        # Updates, to NULL and from it; deletes; rows that come and go in between.
        db.execute(
            "UPDATE t SET name = 'x' || id, amount = NULL, large = 0.000000001 WHERE id <= 10"
        )
        db.execute("DELETE FROM t WHERE id BETWEEN 11 AND 15")
        table.insert([row(11), row(101)])
        table.delete(key=101)
        sink.await_end(f"connect-{name}")
        assert_equal(db, postgres)

        # Two rows swap their keys, three turn in a ring, others move away.
        db.execute("UPDATE t SET id = CASE id WHEN 1 THEN 2 ELSE 1 END WHERE id IN (1, 2)")
        db.execute("UPDATE t SET id = CASE id WHEN 5 THEN 7 ELSE id - 1 END WHERE id IN (5, 6, 7)")
        db.execute("UPDATE t SET id = id + 1000, name = 'away' WHERE id > 35")
        sink.await_end(f"connect-{name}")
        assert_equal(db, postgres)

        # What is rolled back is never seen.
        with pytest.raises(ZeroDivisionError), db.transaction() as tx:
            tx.insert("t", row(500))
            raise ZeroDivisionError

        db.execute("ALTER TABLE t ADD COLUMN note VARCHAR")
        table = db.table("t")
        table.insert([{**row(200), "note": "new"}, row(201)])
        db.execute("UPDATE t SET note = 'n' WHERE id < 10")
        sink.await_end(f"connect-{name}")
        assert_equal(db, postgres)

        db.execute("TRUNCATE TABLE t")
        table.insert([row(300)])
        sink.await_end(f"connect-{name}")
        assert_equal(db, postgres)


def sink_config(topic: str, postgres: Postgres) -> dict[str, str]:
    """The sink as its own page shows it, with nothing about us in it."""
    return {
        "connector.class": JDBC_SINK,
        "tasks.max": "1",
        "topics": topic,
        "connection.url": postgres.jdbc,
        "connection.username": "postgres",
        "connection.password": PASSWORD,
        "insert.mode": "upsert",
        "primary.key.mode": "record_key",
        "delete.enabled": "true",
        "schema.evolution": "basic",
        "collection.name.format": "${source.table}",
    }


def types_of(postgres: Postgres) -> dict[str, str]:
    """The types that the sink gave its columns."""
    listed = postgres.run(
        "SELECT column_name || '=' || data_type FROM information_schema.columns "
        "WHERE table_name = 't' ORDER BY ordinal_position"
    )
    return dict(line.split("=", 1) for line in listed.splitlines())
