"""Topics, their ids and ends, the brokers' settings, the offsets of groups: all but the records."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar, cast

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.cimpl import NewTopic

from headwater.log_store.errors import StoreUnavailable
from headwater.log_store.kafka_client import BrokerError, Cluster, raise_fault
from headwater.log_store.kafka_facts import TopicFacts
from headwater.log_store.kafka_groups import group_offsets
from headwater.log_store.kafka_records import Position

T = TypeVar("T")
# The driver does not declare what these make.
_LATEST = cast(OffsetSpec, OffsetSpec.latest())  # type: ignore[no-untyped-call]
_EARLIEST = cast(OffsetSpec, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
TIMEOUT_S: Final = 30.0
# The driver itself says that a request took too long; what it does not answer at all ends here.
_ANSWER_S: Final = TIMEOUT_S + 5.0
_PAUSE_S: Final = 0.02
_HEARSAY_S: Final = 10.0
_HEARSAY: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REPLICA_NOT_AVAILABLE,
        # The client was told of a leader that the broker itself has not heard of yet.
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.NOT_COORDINATOR,
        # This client was told before the topic was made that there is none.
        KafkaError._NOENT,
    }
)

# Kept for ever; the record's time is the commit's, which may be ahead of the broker's clock.
KEPT: Final[Mapping[str, str]] = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "message.timestamp.type": "CreateTime",
    "message.timestamp.after.max.ms": str((1 << 63) - 1),
    "message.timestamp.before.max.ms": str((1 << 63) - 1),
}
# What nodes say to each other, by the brokers' clock; whoever waits for it has given up long before.
PASSING: Final[Mapping[str, str]] = {
    "cleanup.policy": "delete",
    "retention.ms": "600000",
    "segment.ms": "300000",
    "message.timestamp.type": "LogAppendTime",
}
COMPACTED: Final[Mapping[str, str]] = {**KEPT, "cleanup.policy": "compact"}


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic that is there: its id, which a topic made anew under the name does not have."""

    name: str
    topic_id: str
    partitions: int


class _Partition(Protocol):
    replicas: list[object]
    isr: list[object]


class _Told(Protocol):
    """What describes a topic."""

    topic_id: object
    partitions: list[_Partition]


class _Offset(Protocol):
    offset: int


class _Setting(Protocol):
    value: str | None


class _Group(Protocol):
    topic_partitions: list[TopicPartition]


class _Member(Protocol):
    client_id: str
    host: str


class _Described(Protocol):
    members: list[_Member]


class _Metadata(Protocol):
    brokers: Mapping[int, object]
    topics: Mapping[str, object]


class _Driver(Protocol):
    """The driver's administrator as it is used here: its own declarations leave the results open."""

    def describe_topics(
        self, topics: TopicCollection, *, request_timeout: float
    ) -> dict[str, Future[_Told]]: ...
    def create_topics(
        self, topics: list[NewTopic], *, request_timeout: float
    ) -> dict[str, Future[None]]: ...
    def delete_topics(
        self, topics: list[str], *, request_timeout: float
    ) -> dict[str, Future[None]]: ...
    def list_offsets(
        self,
        places: dict[TopicPartition, OffsetSpec],
        *,
        isolation_level: IsolationLevel,
        request_timeout: float,
    ) -> dict[TopicPartition, Future[_Offset]]: ...
    def describe_configs(
        self, resources: list[ConfigResource], *, request_timeout: float
    ) -> dict[ConfigResource, Future[dict[str, _Setting]]]: ...
    def list_topics(self, *, timeout: float) -> _Metadata: ...
    def alter_consumer_group_offsets(
        self, groups: list[ConsumerGroupTopicPartitions], *, request_timeout: float
    ) -> dict[str, Future[_Group]]: ...
    def delete_records(
        self, places: list[TopicPartition], *, request_timeout: float
    ) -> dict[TopicPartition, Future[object]]: ...
    def describe_consumer_groups(
        self, groups: list[str], *, request_timeout: float
    ) -> dict[str, Future[_Described]]: ...
    def delete_consumer_groups(
        self, groups: list[str], *, request_timeout: float
    ) -> dict[str, Future[None]]: ...


class Admin:
    """Administers a cluster. Every method raises BrokerError."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        try:
            # See `_Driver`: the driver itself does not say what its futures hold.
            self._client = cast(_Driver, AdminClient(cluster.config()))
        except KafkaException as error:
            raise_fault("reach the cluster", error)

    def reach(self, timeout_s: float) -> None:
        """Wait until a broker answers.

        Raises:
            StoreUnavailable: none does in time.
        """
        try:
            self._client.list_topics(timeout=timeout_s)
        except KafkaException as error:
            raise StoreUnavailable(
                f"no broker of {self._cluster.brokers} answers within {timeout_s:g} s: "
                "see that it runs, and that HEADWATER_KAFKA_OPTIONS suits it"
            ) from error

    def topics(self, names: Iterable[str]) -> dict[str, TopicState]:
        """Which of these topics there are."""
        asked = list(names)
        if not asked:
            return {}
        futures = self._client.describe_topics(TopicCollection(asked), request_timeout=TIMEOUT_S)
        found: dict[str, TopicState] = {}
        for name, future in futures.items():
            try:
                told = future.result(_ANSWER_S)
            except KafkaException as error:
                if _code(error) == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    continue
                raise_fault(f"describe topic {name}", error)
            found[name] = TopicState(name, str(told.topic_id), len(told.partitions))
        return found

    def held(self, name: str) -> TopicFacts:
        """How many brokers hold a topic, how many keep up, and its settings."""
        futures = self._client.describe_topics(TopicCollection([name]), request_timeout=TIMEOUT_S)
        parts = self._done(f"describe topic {name}", futures[name]).partitions
        return TopicFacts(
            name,
            len(parts),
            min(len(part.replicas) for part in parts),
            min(len(part.isr) for part in parts),
            self._topic_settings(name),
        )

    def prefixed(self, prefix: str) -> list[str]:
        """The names of all topics that begin so."""
        try:
            found = self._client.list_topics(timeout=TIMEOUT_S).topics
        except KafkaException as error:
            raise_fault("list the topics", error)
        return [name for name in found if name.startswith(prefix)]

    def await_topics(self, names: Iterable[str]) -> dict[str, TopicState]:
        """These topics, which were just made and may not yet be known to every broker."""
        asked = set(names)
        until = time.monotonic() + _HEARSAY_S
        while (found := self.topics(asked)).keys() != asked and time.monotonic() < until:
            time.sleep(_PAUSE_S)
        return found

    def create(self, topics: Mapping[str, Mapping[str, str]]) -> set[str]:
        """Make topics of one partition with these settings; returns those that were there already."""
        new = [NewTopic(name, 1, config=dict(config)) for name, config in topics.items()]
        taken: set[str] = set()
        for name, future in self._client.create_topics(new, request_timeout=TIMEOUT_S).items():
            try:
                future.result(_ANSWER_S)
            except KafkaException as error:
                if _code(error) != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise_fault(f"make topic {name}", error)
                taken.add(name)
        return taken

    def delete(self, name: str) -> None:
        """Remove a topic; nothing if there is none."""
        for future in self._client.delete_topics([name], request_timeout=TIMEOUT_S).values():
            try:
                future.result(_ANSWER_S)
            except KafkaException as error:
                if _code(error) != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise_fault(f"remove topic {name}", error)

    def ends(self, names: Iterable[str], *, committed: bool = False) -> dict[str, int]:
        """The offset behind the last record of each topic, open transactions included.

        With `committed`: behind the last one that can be read as committed.
        """
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        return self._offsets(names, _LATEST, level)

    def starts(self, names: Iterable[str]) -> dict[str, int]:
        """The offset of the first record that each topic still has."""
        return self._offsets(names, _EARLIEST)

    def offset_at(self, name: str, time_us: int) -> int:
        """The offset of the first record since then; behind the last one if there is none."""
        spec = OffsetSpec.for_timestamp(max(0, time_us // 1000))
        found = self._offsets([name], cast(OffsetSpec, spec))[name]
        return found if found >= 0 else self.ends([name])[name]

    def _offsets(
        self,
        names: Iterable[str],
        which: OffsetSpec,
        level: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
    ) -> dict[str, int]:
        asked = {TopicPartition(name, 0): which for name in names}
        return self._patiently(lambda: self._ask_offsets(asked, level)) if asked else {}

    def _ask_offsets(
        self, asked: dict[TopicPartition, OffsetSpec], level: IsolationLevel
    ) -> dict[str, int]:
        futures = self._client.list_offsets(asked, isolation_level=level, request_timeout=TIMEOUT_S)
        try:
            return {
                place.topic: self._done(f"ask where {place.topic} ends", future).offset
                for place, future in futures.items()
            }
        except BrokerError as error:
            if error.fault.code == KafkaError._NOENT:
                self.prefixed("")  # what was asked for is known to this client from here on
            raise

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Ask again while brokers, or the driver, have not yet heard of a topic or of its leader."""
        until = time.monotonic() + _HEARSAY_S
        while True:
            try:
                return ask()
            except BrokerError as error:
                if error.fault.code not in _HEARSAY or time.monotonic() > until:
                    raise
            time.sleep(_PAUSE_S)
            # The driver goes on asking with the leader's epoch that it knows, however often it is
            # told that there is a newer one: it learns it only with the next list of all topics.
            with suppress(KafkaException):
                self._client.list_topics(timeout=TIMEOUT_S)

    def is_ours(self, name: str) -> bool:
        """Whether a topic has the settings that tables' topics are made with."""
        told = self._topic_settings(name)
        return all(told.get(key) == value for key, value in KEPT.items())

    def _topic_settings(self, name: str) -> dict[str, str]:
        resource = ConfigResource(ConfigResource.Type.TOPIC, name)
        futures = self._client.describe_configs([resource], request_timeout=TIMEOUT_S)
        told = self._done(f"describe topic {name}", futures[resource])
        return {key: entry.value for key, entry in told.items() if entry.value is not None}

    def broker_settings(self) -> dict[str, str]:
        """The settings of one broker, by name."""
        brokers = list(self._done_list_brokers())
        resource = ConfigResource(ConfigResource.Type.BROKER, str(brokers[0]))
        futures = self._client.describe_configs([resource], request_timeout=TIMEOUT_S)
        told = self._done("describe the brokers", futures[resource])
        return {name: entry.value for name, entry in told.items() if entry.value is not None}

    def _done_list_brokers(self) -> list[int]:
        try:
            return sorted(self._client.list_topics(timeout=TIMEOUT_S).brokers)
        except KafkaException as error:
            raise_fault("list the brokers", error)

    def meet_coordinator(self, group: str, topic: str) -> None:
        """Wait until the cluster can say where a group stands: a new one must first make room for it.

        A producer that asks before that may wait for ever; see `TransactionalProducer.offset`.
        """
        self._patiently(lambda: self.group_offset(group, topic))

    def group_offset(self, group: str, topic: str) -> Position | None:
        """Where a group stands in a topic; None if it has no offset there."""
        return group_offsets(self._cluster, group, [topic], TIMEOUT_S).get(topic)

    def set_group_offset(self, group: str, position: Position) -> None:
        """Move a group that has no members; refused with a fault of GROUP_CODES if it has."""
        place = TopicPartition(position.topic, 0, position.offset, position.metadata)
        asked = ConsumerGroupTopicPartitions(group, [place])
        futures = self._client.alter_consumer_group_offsets([asked], request_timeout=TIMEOUT_S)
        what = f"move group {group}"
        for told in self._done(what, futures[group]).topic_partitions:
            if told.error is not None:
                raise_fault(what, KafkaException(told.error))

    def delete_records(self, topic: str, before: int) -> None:
        """Let the records of a topic go that stand below an offset; can be repeated."""
        place = TopicPartition(topic, 0, before)
        futures = self._client.delete_records([place], request_timeout=TIMEOUT_S)
        for future in futures.values():
            self._done(f"let records of {topic} go", future)

    def group_members(self, group: str) -> list[str]:
        """Who is in a group, as `client@host`; empty for one that is not there."""
        asked = self._client.describe_consumer_groups([group], request_timeout=TIMEOUT_S)
        try:
            told = self._done(f"describe group {group}", asked[group])
        except BrokerError as error:
            if error.fault.code == KafkaError.GROUP_ID_NOT_FOUND:
                return []
            raise
        return [f"{one.client_id}@{one.host.lstrip('/')}" for one in told.members]

    def forget_group(self, group: str) -> None:
        """Remove a group that has no members, with its offsets; nothing if there is none."""
        asked = self._client.delete_consumer_groups([group], request_timeout=TIMEOUT_S)
        try:
            self._done(f"remove group {group}", asked[group])
        except BrokerError as error:
            if error.fault.code != KafkaError.GROUP_ID_NOT_FOUND:
                raise

    @staticmethod
    def _done(what: str, future: Future[T]) -> T:
        try:
            return future.result(_ANSWER_S)
        except KafkaException as error:
            raise_fault(what, error)


def _code(error: KafkaException) -> int:
    found: object = error.args[0] if error.args else None
    return found.code() if isinstance(found, KafkaError) else 0
