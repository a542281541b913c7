"""A topic of somebody else's on a real Kafka, fed into an embedded store: several partitions, aborted
records, a reader killed between two batches, a topic that lost what was not read."""

import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar, cast

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic, TopicPartition
from support_kafka import Broker

import headwater
from headwater.log_store.errors import SourceLost
from headwater.ops.errors import BadArgument, TargetNotKnown
from headwater.producer.errors import TableReadOnly

ROW = {
    "type": "struct",
    "optional": True,
    "fields": [
        {"field": "id", "type": "int32", "optional": False},
        {"field": "name", "type": "string", "optional": True},
    ],
}
SCHEMA = {
    "type": "struct",
    "fields": [{**ROW, "field": "before"}, {**ROW, "field": "after"}],
}

_K = TypeVar("_K")
_T = TypeVar("_T")
_Ask = Callable[[list[_T]], dict[_K, "Future[object]"]]


class Source:
    """A topic as a connector fills it, two partitions, keyed by id."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self.topic, self.brokers = topic, broker.bootstrap
        admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        # The driver does not declare what comes back.
        self._create = cast("_Ask[NewTopic, str]", admin.create_topics)
        self._delete = cast("_Ask[TopicPartition, TopicPartition]", admin.delete_records)
        self._create([NewTopic(topic, 2)])[topic].result(30)
        self._producer = Producer(
            {
                "bootstrap.servers": broker.bootstrap,
                "transactional.id": f"{topic}-connector",
                "log_level": 0,
            }
        )
        self._producer.init_transactions(30)

    def send(self, *changes: tuple[str, int, str], abort: bool = False) -> None:
        """Changes (op, id, name) in one transaction of the connector."""
        self._producer.begin_transaction()
        for op, id_, name in changes:
            row = {"id": id_, "name": name}
            payload: Mapping[str, object] = {
                "op": op,
                "before": row if op == "d" else None,
                "after": None if op == "d" else row,
                "source": {"connector": "sqlserver"},
            }
            value = json.dumps({"schema": SCHEMA, "payload": payload})
            key = json.dumps({"id": id_})
            self._producer.produce(self.topic, value, key, partition=id_ % 2)
            if op == "d":
                self._producer.produce(self.topic, None, key, partition=id_ % 2)
        if abort:
            self._producer.abort_transaction(30)
        else:
            self._producer.commit_transaction(30)

    def cut(self) -> None:
        """Delete all records that are there, markers of transactions included."""
        ends = [TopicPartition(self.topic, partition, -1) for partition in (0, 1)]
        reader = Consumer({"bootstrap.servers": self.brokers, "group.id": "cut", "log_level": 0})
        try:
            for place in ends:
                # A marker may be written after its transaction was acknowledged.
                while True:
                    for future in self._delete([place]).values():
                        future.result(30)
                    low, high = reader.get_watermark_offsets(place, 30)
                    if low == high:
                        break
        finally:
            reader.close()


@pytest.fixture
def source(kafka: Broker, prefix: str) -> Source:
    return Source(kafka, f"{prefix}.public.people")


def people(db: headwater.Database) -> list[tuple[object, object]]:
    return sorted((row["id"], row["name"]) for row in db.table("people").rows())


def test_a_topic_becomes_a_table_with_versions_and_streams(source: Source, tmp_path: Path) -> None:
    source.send(("r", 1, "Ann"), ("r", 2, "Bob"))
    source.send(("c", 3, "never"), abort=True)
    with headwater.connect(tmp_path / "shop") as db:
        with db.adopt("people", source.topic, brokers=source.brokers) as adoption:
            assert adoption.catch_up() == 2
            stream = db.create_stream("people_stream", on="people")
            source.send(("u", 1, "Anna"), ("d", 2, "Bob"), ("c", 4, "Cleo"))
            assert adoption.catch_up() == 3
            assert adoption.behind() == {0: 0, 1: 0}

        assert people(db) == [(1, "Anna"), (4, "Cleo")]
        changes = sorted((c["id"], c.action, c.is_update) for c in stream.changes())
        assert changes == [
            (1, "DELETE", True),
            (1, "INSERT", True),
            (2, "DELETE", False),
            (4, "INSERT", False),
        ]
        assert len(db.table("people").history()) >= 3
        with pytest.raises(TableReadOnly):
            db.table("people").insert([(9, "mine")])


def test_a_reader_that_comes_back_goes_on_where_its_table_stands(
    source: Source, tmp_path: Path
) -> None:
    source.send(*[("c", n, f"p{n}") for n in range(10)])
    with headwater.connect(tmp_path / "shop") as db:
        adoption = db.adopt("people", source.topic, brokers=source.brokers)
        adoption.step(most=4)
        adoption.close()
        some = len(people(db))
    with headwater.connect(tmp_path / "shop") as db:
        with db.adoption("people", brokers=source.brokers) as adoption:
            rest = adoption.catch_up()

        assert 0 < some < 10
        assert some + rest == 10
        assert people(db) == [(n, f"p{n}") for n in range(10)]
        assert sum(version.inserts for version in db.table("people").history()) == 10


def test_what_the_topic_lost_before_it_was_read_is_said_and_not_skipped(
    source: Source, tmp_path: Path
) -> None:
    source.send(("c", 1, "a"))
    with headwater.connect(tmp_path / "shop") as db:
        with db.adopt("people", source.topic, brokers=source.brokers) as adoption:
            adoption.catch_up()
        source.send(("c", 3, "lost"))
        source.cut()
        source.send(("c", 5, "there"))
        with (
            db.adoption("people", brokers=source.brokers) as adoption,
            pytest.raises(SourceLost, match="no longer holds"),
        ):
            adoption.catch_up()

        assert people(db) == [(1, "a")]


def test_a_topic_that_is_not_there_or_says_nothing_makes_no_table(
    source: Source, kafka: Broker, tmp_path: Path
) -> None:
    with headwater.connect(tmp_path / "shop") as db:
        with pytest.raises(SourceLost, match="is not there"):
            db.adopt("people", "no.such.topic", brokers=kafka.bootstrap)
        with pytest.raises(BadArgument, match="declare them"):
            db.adopt("people", source.topic, brokers=source.brokers)
        with pytest.raises(TargetNotKnown, match="which brokers"):
            db.adopt("people", source.topic)

        assert db.tables() == []
