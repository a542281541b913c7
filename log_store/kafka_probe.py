"""What can be seen of a cluster from here, for `kafka_fitness` to judge.

Looks at brokers, settings and topics; a trial then does once what a store does all the time, on a
topic of its own that is removed at the end. No store is touched: the trial's producer and group
are named after the prefix, so that the same permissions count, but are not the store's own.
"""

import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Final, Protocol, cast

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from headwater.log_store.kafka_admin import KEPT, Admin
from headwater.log_store.kafka_client import BrokerError, Cluster
from headwater.log_store.kafka_facts import BrokerFacts, ClusterFacts, TopicFacts, Trial
from headwater.log_store.kafka_producer import ProducerSettings, TransactionalProducer
from headwater.log_store.kafka_reader import TopicMissing, TopicReader
from headwater.log_store.kafka_records import Position

_ASK_S: Final = 10.0
_REACH_S: Final = 3.0
_REASON_S: Final = 2.0
_SERVE_S: Final = 0.2
_INTERNAL: Final = ("__transaction_state", "__consumer_offsets")


class _Broker(Protocol):
    host: str
    port: int


class _Partition(Protocol):
    replicas: list[int]
    isrs: list[int]


class _Topic(Protocol):
    partitions: Mapping[int, _Partition]


class _Metadata(Protocol):
    brokers: Mapping[int, _Broker]
    topics: Mapping[str, _Topic]


class _Setting(Protocol):
    value: str | None


class _Driver(Protocol):
    """The driver's administrator as it is used here: its own declarations leave the results open."""

    def poll(self, timeout: float) -> int: ...
    def list_topics(self, *, timeout: float) -> _Metadata: ...
    def describe_configs(
        self, resources: list[ConfigResource], *, request_timeout: float
    ) -> dict[ConfigResource, Future[dict[str, _Setting]]]: ...


class _Errors:
    """What the driver says aside of calls: why it cannot connect, foremost."""

    def __init__(self) -> None:
        self._said = list[str]()

    def note(self, error: KafkaError) -> None:
        """Called by the driver."""
        # That all brokers are down says less than why one of them is.
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._said.append(error.str())

    def last(self, otherwise: str) -> str:
        """The last reason given."""
        return self._said[-1] if self._said else otherwise


def look(cluster: Cluster, prefix: str, *, trial: bool = True) -> ClusterFacts:
    """All that can be seen; `trial` also writes and reads, on a topic that is removed again."""
    errors = _Errors()
    try:
        client = _driver(cluster, errors)
    except KafkaException as error:
        return ClusterFacts(unreachable=_text(error), asked=cluster.brokers, prefix=prefix)
    try:
        metadata = _metadata(client, errors)
    except KafkaException as error:
        reason = errors.last("") or _silent(cluster.brokers) or _text(error)
        return ClusterFacts(unreachable=reason, asked=cluster.brokers, prefix=prefix)
    brokers = [
        BrokerFacts(
            number,
            f"{broker.host}:{broker.port}",
            _reachable(broker.host, broker.port),
            _settings(client, ResourceType.BROKER, str(number)),
        )
        for number, broker in sorted(metadata.brokers.items())
    ]
    tried, ahead_ms = _trials(cluster, prefix) if trial else ([], None)
    return ClusterFacts(
        brokers=brokers,
        topics=list(_topics(client, metadata, prefix)),
        trials=tried,
        asked=cluster.brokers,
        prefix=prefix,
        clock_ahead_ms=ahead_ms,
    )


def _metadata(client: _Driver, errors: _Errors) -> _Metadata:
    """What the cluster says of itself; waits less long where it is known why nobody answers."""
    began = time.monotonic()
    while True:
        try:
            return client.list_topics(timeout=_REASON_S)
        except KafkaException:
            client.poll(_SERVE_S)  # brings the reasons; a look without waiting may miss them
            waited = time.monotonic() - began
            if waited > _ASK_S or (errors.last("") and waited > _REACH_S):
                raise


def _driver(cluster: Cluster, errors: _Errors) -> _Driver:
    config = cluster.config()
    # The driver takes a callback here too; its declaration and those of its results leave it out.
    config["error_cb"] = cast(str, errors.note)
    return cast(_Driver, AdminClient(config))


def _text(error: KafkaException) -> str:
    found: object = error.args[0] if error.args else None
    return found.str() if isinstance(found, KafkaError) else str(error)


def _silent(brokers: str) -> str:
    """What the driver leaves unsaid: whoever listens there takes a connection and ends it."""
    for address in brokers.split(","):
        host, _, port = address.rpartition(":")
        if _reachable(host.strip("[]"), int(port)):
            return f"{address} disconnected without an answer"
    return ""


def _reachable(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _REACH_S).close()
    except OSError:
        return False
    return True


def _settings(client: _Driver, kind: ResourceType, name: str) -> Mapping[str, str]:
    """A broker's or topic's settings; none where they may not be read."""
    resource = ConfigResource(kind, name)
    try:
        futures = client.describe_configs([resource], request_timeout=_ASK_S)
        told = futures[resource].result(_ASK_S)
    except (KafkaException, TimeoutError):
        return {}
    return {key: entry.value for key, entry in told.items() if entry.value is not None}


def _topics(client: _Driver, metadata: _Metadata, prefix: str) -> Iterator[TopicFacts]:
    for name, topic in sorted(metadata.topics.items()):
        ours = name.startswith(f"{prefix}.")
        if not topic.partitions or not (ours or name in _INTERNAL):
            continue
        parts = topic.partitions.values()
        yield TopicFacts(
            name,
            len(parts),
            min(len(part.replicas) for part in parts),
            min(len(part.isrs) for part in parts),
            _settings(client, ResourceType.TOPIC, name) if ours else {},
        )


def _trials(cluster: Cluster, prefix: str) -> tuple[list[Trial], int | None]:
    """What a store does, once, and how far our clock is ahead; the first step that fails is the last."""
    topic = f"{prefix}.check-{uuid.uuid4().hex[:8]}"
    tried = list[Trial]()
    trial = _Trial(cluster, prefix, topic)
    steps: tuple[tuple[str, Callable[[], None]], ...] = (
        ("make a topic", trial.make),
        ("begin as a writer", trial.begin),
        ("commit a record and a group's offset", trial.commit),
        ("read it", trial.read),
        ("remove the topic", trial.remove),
    )
    try:
        for what, step in steps:
            try:
                step()
            except BrokerError as error:
                tried.append(Trial(what, error.fault.code, error.text))
                break
            except TopicMissing as error:
                tried.append(Trial(what, KafkaError.UNKNOWN_TOPIC_OR_PART, str(error)))
                break
            tried.append(Trial(what))
    finally:
        trial.close()
    return tried, trial.ahead_ms


def _ahead(before_ms: int, theirs_ms: int, after_ms: int) -> int:
    """How far our clock is ahead at least; 0 if theirs stood between two looks at ours."""
    return max(before_ms - theirs_ms, 0) or min(after_ms - theirs_ms, 0)


class _Trial:
    """A writer and a reader of one topic that lasts as long as this."""

    def __init__(self, cluster: Cluster, prefix: str, topic: str) -> None:
        self._cluster, self._topic, self._made = cluster, topic, False
        self._name = f"{prefix}.check"
        self._admin = Admin(cluster)
        self._producer: TransactionalProducer | None = None
        self._sent_ms = 0
        self.ahead_ms: int | None = None

    def make(self) -> None:
        """The topic, with the settings that tables' topics have, but by the brokers' clock."""
        self._admin.create({self._topic: {**KEPT, "message.timestamp.type": "LogAppendTime"}})
        self._made = True
        self._admin.await_topics([self._topic])

    def begin(self) -> None:
        """A transaction."""
        # A new cluster first makes room for groups; a producer that asks before may wait for ever.
        self._admin.meet_coordinator(self._name, self._topic)
        settings = ProducerSettings(transactional_id=self._name)
        self._producer = TransactionalProducer(self._cluster, settings)
        self._producer.open(_ASK_S)
        self._producer.begin()

    def commit(self) -> None:
        """One record, and one offset with it."""
        assert self._producer is not None, "begin first"
        self._sent_ms = int(time.time() * 1000)
        self._producer.send(self._topic, b"check", b"check", self._sent_ms)
        self._producer.offset(self._name, Position(self._topic, 0, ""), _ASK_S)
        self._producer.commit(_ASK_S)

    def read(self) -> None:
        """The record, as committed; its time is the broker's, taken between sending and now."""
        reader = TopicReader(self._cluster, self._name)
        until = time.monotonic() + _ASK_S
        try:
            reader.add([(self._topic, 0)])
            while not (found := reader.read(1, 0.1)):
                if time.monotonic() > until:
                    raise TopicMissing(self._topic, "does not show what was committed to it")
            self.ahead_ms = _ahead(self._sent_ms, found[0].timestamp()[1], int(time.time() * 1000))
        finally:
            reader.close()

    def remove(self) -> None:
        """The topic; Kafka drops the group's offset with it."""
        self._made = False
        self._admin.delete(self._topic)

    def close(self) -> None:
        """Leave nothing behind, as far as that is allowed."""
        if self._producer is not None:
            self._producer.destroy()
        if self._made:
            with suppress(BrokerError):
                self._admin.delete(self._topic)
