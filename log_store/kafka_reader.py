"""Committed records of topics, read by position: no group decides where, and none is joined.

The position of librdkafka's own reader stands behind the last record, not behind the marker that
follows it, until the end of the partition was met: `TopicReader` takes it from there.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from headwater.log_store.errors import LogError
from headwater.log_store.kafka_client import BrokerError, Cluster, fault_of, raise_fault

__all__ = ["PASSING", "SETTLED", "Message", "TopicMissing", "TopicReader"]

# A record under this header repeats another one, and belongs to no commit: see kafka_settle.
SETTLED: Final = "headwater.settled"
_CONNECT_S: Final = 10.0
# What the driver tells of and gets over by itself.
PASSING: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
    }
)


class TopicMissing(LogError):
    """A topic that should be there is not, or no longer holds the offset asked for."""

    code = "E_TOPIC_MISSING"

    def __init__(self, topic: str, why: str) -> None:
        super().__init__(f"topic {topic} {why}: restore it, or see `headwater kafka check`")
        self.topic, self.why = topic, why


class TopicReader:
    """Reads committed records of topics' one partition from offsets given; joins no group.

    `wait_ms`: how long a broker holds a request for which there is nothing yet, before it says so.
    """

    def __init__(
        self, cluster: Cluster, name: str, wait_ms: int = 10, *, committed: bool = True
    ) -> None:
        config = cluster.config() | {
            "group.id": name,
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": wait_ms,
            "fetch.queue.backoff.ms": 5,
            "fetch.error.backoff.ms": 50,
            "max.partition.fetch.bytes": 8 << 20,
            "queued.max.messages.kbytes": 65_536,
        }
        try:
            self._consumer = Consumer(config)
        except KafkaException as error:
            raise_fault("make a reader", error)
        self._connected = False
        self.ends: dict[str, int] = {}
        """Where each topic was last found to end, once it was read up to there."""

    def add(self, positions: Iterable[tuple[str, int]]) -> None:
        """Read these topics too, from these offsets."""
        places = [TopicPartition(topic, 0, offset) for topic, offset in positions]
        try:
            if not self._connected and places:
                # Without a connection that stands, the driver looks for leaders once a second.
                self._consumer.list_topics(places[0].topic, _CONNECT_S)
                self._connected = True
            self._consumer.incremental_assign(places)
        except KafkaException as error:
            raise_fault("read topics", error)

    def pause(self, topics: Sequence[str]) -> None:
        """Fetch nothing more of these topics until `resume`."""
        self._consumer.pause([TopicPartition(topic, 0) for topic in topics])

    def resume(self, topics: Sequence[str]) -> None:
        """Fetch these topics again."""
        self._consumer.resume([TopicPartition(topic, 0) for topic in topics])

    def read(self, most: int, timeout_s: float) -> list[Message]:
        """Records of any of the topics, in order for each; fewer, or none, once the time is up.

        Raises:
            TopicMissing: a topic is gone, or starts behind its offset.
            BrokerError: the cluster refuses.
        """
        consumer = self._consumer
        try:
            # `consume` waits out its time for the last record: only the first one is waited for.
            messages = consumer.consume(most, 0.0)
            if not messages and (first := consumer.poll(timeout_s)) is not None:
                messages = [first, *consumer.consume(most, 0.0)]
        except KafkaException as error:
            raise_fault("read", error)
        # News of the reader itself is rare among records.
        news = [message for message in messages if message.error() is not None]
        if not news:
            return messages
        for message in news:
            self._note(message)
        return [message for message in messages if message.error() is None]

    def _note(self, message: Message) -> None:
        """Take in what is news of the reader and no record."""
        error = message.error()
        assert error is not None, "only what is no record is noted"
        topic, code = message.topic() or "", error.code()
        if code == KafkaError._PARTITION_EOF:
            self.ends[topic] = message.offset() or 0
        elif code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
            raise TopicMissing(topic, "is not there")
        elif code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            raise TopicMissing(topic, "does not hold the offset that is asked for")
        elif not error.retriable() and code not in PASSING:
            raise BrokerError(f"read {topic}", fault_of(error), error.str())

    def close(self) -> None:
        """Give the connections back."""
        self._consumer.close()
