"""A foreign topic on Kafka, read by position: no group decides where, and no offset is committed."""

from collections.abc import Mapping
from typing import Final, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from headwater.log_store.errors import SourceLost, StoreUnavailable
from headwater.log_store.kafka_client import Cluster
from headwater.log_store.kafka_reader import PASSING
from headwater.log_store.source import Fetched, SourceRecord

_MISSING: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})
_BEHIND: Final = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})


class KafkaSource:
    """One topic of a cluster; see `source.TopicSource`. Aborted records are never shown."""

    def __init__(self, cluster: Cluster, topic: str, *, timeout_s: float = 30.0) -> None:
        self._topic, self._timeout_s = topic, timeout_s
        self._consumer: Consumer | None = Consumer(
            cluster.config()
            | {
                "group.id": f"headwater-source-{topic}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "queued.max.messages.kbytes": 65_536,
            }
        )
        self._reading: dict[int, int] = {}

    @property
    def topic(self) -> str:
        """The topic's name."""
        return self._topic

    def bounds(self) -> Mapping[int, tuple[int, int]]:
        """See `TopicSource.bounds`."""
        consumer = self._open()
        try:
            told = consumer.list_topics(self._topic, self._timeout_s).topics[self._topic]
            if told.error is not None or not told.partitions:
                raise SourceLost(self._topic, "is not there")
            found: dict[int, tuple[int, int]] = {}
            for number in sorted(told.partitions):
                place = TopicPartition(self._topic, number)
                # None once the time is up, which the stubs do not say.
                ends = cast(
                    "tuple[int, int] | None", consumer.get_watermark_offsets(place, self._timeout_s)
                )
                if ends is None:
                    raise StoreUnavailable(f"topic {self._topic}: its ends could not be asked for")
                found[number] = (ends[0], ends[1])
            return found
        except KafkaException as error:
            raise self._unavailable(error) from error

    def fetch(self, at: Mapping[int, int], most: int, timeout_s: float) -> Fetched:
        """See `TopicSource.fetch`."""
        consumer = self._open()
        if dict(at) != self._reading:
            self._check_kept(at)
            consumer.assign([TopicPartition(self._topic, p, o) for p, o in at.items()])
            self._reading = dict(at)
        try:
            messages = consumer.consume(most, 0.0)
            if not messages and (first := consumer.poll(timeout_s)) is not None:
                messages = [first, *consumer.consume(most, 0.0)]
        except KafkaException as error:
            raise self._unavailable(error) from error
        records: list[SourceRecord] = []
        further: dict[int, int] = {}
        for message in messages:
            self._take(message, records, further)
        self._reading |= further
        return Fetched(tuple(records), further)

    def _check_kept(self, at: Mapping[int, int]) -> None:
        """Refuse to begin below what a partition still holds: a broker may serve it for a while."""
        for partition, (first, _) in self.bounds().items():
            if at.get(partition, first) < first:
                raise SourceLost(self._topic, "no longer holds the offset to go on from")

    def _take(self, message: Message, records: list[SourceRecord], further: dict[int, int]) -> None:
        """Note one record, or the end of a partition."""
        error, partition, offset = message.error(), message.partition(), message.offset()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF and partition is not None:
                # Behind the markers that follow the last record.
                further[partition] = max(offset or 0, self._reading.get(partition, 0))
            elif error.code() in _MISSING:
                raise SourceLost(self._topic, "is not there")
            elif error.code() in _BEHIND:
                raise SourceLost(self._topic, "no longer holds the offset to go on from")
            elif not error.retriable() and error.code() not in PASSING:
                raise StoreUnavailable(f"topic {self._topic}: {error.str()}")
            return
        assert partition is not None and offset is not None
        key, value = message.key(), message.value()
        records.append(
            SourceRecord(
                partition,
                offset,
                key.encode() if isinstance(key, str) else key,
                value.encode() if isinstance(value, str) else value,
                message.timestamp()[1],
            )
        )
        further[partition] = offset + 1

    def close(self) -> None:
        """See `TopicSource.close`."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()

    def _open(self) -> Consumer:
        if self._consumer is None:
            raise StoreUnavailable(f"topic {self._topic}: this reader is closed")
        return self._consumer

    def _unavailable(self, error: KafkaException) -> StoreUnavailable:
        return StoreUnavailable(f"topic {self._topic} cannot be read: {error}")
