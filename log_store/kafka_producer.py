"""The writer's producer: one transaction at a time, destroyed once its state is unknown.

What librdkafka does that a caller must not meet:
- straight after a commit the coordinator answers CONCURRENT_TRANSACTIONS, and the client waits out
  its backoff, 100 ms by default for a group's offsets: `retry.backoff.ms` is 1;
- a fatal error is reported once by its own number and later as `_FATAL`: the first one is kept;
- `send_offsets_to_transaction` does not keep its timeout when a broker goes away under it, and
  may wait until the next one does: it is called beside, and a producer that hangs is given up;
- a group's metadata comes only from a Consumer with threads of its own: it is a few bytes, built here.
"""

import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final, NoReturn

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from headwater.log_store.kafka_client import BrokerError, Cluster, fault_of, raise_fault
from headwater.log_store.kafka_outcome import BrokerFault, Step
from headwater.log_store.kafka_records import Headers, Position, Run

_GENERATION: Final = struct.Struct("=i")
_PATIENCE_S: Final = 0.05
# How long a group's coordinator may take to answer before the call is given up.
_OFFSETS_S: Final = 5.0
_GRACE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerSettings:
    """How the writer produces. Times in milliseconds, sizes in bytes."""

    transactional_id: str
    transaction_timeout_ms: int = 60_000
    max_message_bytes: int = 1_000_000
    compression: str = "lz4"


Told = Callable[[int], None]


class TransactionalProducer:
    """One transaction at a time, for one thread. Destroyed, not repaired, once its state is unknown.

    Every method raises BrokerError; `kafka_outcome.judge` says what that means.
    """

    def __init__(self, cluster: Cluster, settings: ProducerSettings) -> None:
        self._fatal: KafkaError | None = None
        config: dict[str, object] = {
            **cluster.config(),
            "transactional.id": settings.transactional_id,
            "transaction.timeout.ms": settings.transaction_timeout_ms,
            "message.timeout.ms": min(300_000, settings.transaction_timeout_ms),
            "message.max.bytes": settings.max_message_bytes,
            "compression.type": settings.compression,
            "linger.ms": 2,
            "batch.num.messages": 20_000,
            "retry.backoff.ms": 1,
            "retry.backoff.max.ms": 5,
            "queue.buffering.max.messages": 500_000,
            "queue.buffering.max.kbytes": 131_072,
            "error_cb": self._note,
        }
        self._beside = _Beside()
        self._producer = self._made(config)
        self.produce = self._producer.produce

    @staticmethod
    def _made(config: dict[str, object]) -> Producer:
        try:
            return Producer(config)
        except KafkaException as error:
            raise_fault("make a producer", error)

    def _note(self, error: KafkaError) -> None:
        if error.fatal() and self._fatal is None:
            self._fatal = error

    def _raise(self, step: Step, error: KafkaException) -> NoReturn:
        found: object = error.args[0] if error.args else None
        if isinstance(found, KafkaError) and found.code() == KafkaError._FATAL:
            self._producer.poll(0)  # serves what tells the real number
            if self._fatal is not None:
                raise BrokerError(step.value, fault_of(self._fatal), self._fatal.str()) from error
        raise_fault(step.value, error)

    def open(self, timeout_s: float) -> None:
        """Fence every earlier producer of this id and settle what it left open."""
        try:
            # Without a connection that stands, the driver looks again after half a second.
            self._producer.list_topics("", timeout_s)
            self._producer.init_transactions(timeout_s)
        except KafkaException as error:
            self._raise(Step.OPEN, error)

    def begin(self) -> None:
        """Start a transaction."""
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            self._raise(Step.BEGIN, error)

    def send(
        self,
        topic: str,
        key: bytes,
        value: bytes | None,
        timestamp_ms: int = 0,
        headers: Headers | None = None,
        told: Told | None = None,
    ) -> None:
        """Add a record; `told` gets its offset before the commit returns."""
        run = Run([key], [value], {} if headers is None else {0: headers})
        self.send_run(topic, run, timestamp_ms, told)

    def send_run(
        self,
        topic: str,
        run: Run,
        timestamp_ms: int,
        first: Told | None = None,
        last: Told | None = None,
    ) -> None:
        """Add records in order; `first` and `last` get the offsets of the first and last one."""
        produce, headers = self.produce, run.headers
        end = len(run.keys) - 1
        for at, (key, value) in enumerate(zip(run.keys, run.values, strict=True)):
            told = first if at == 0 else None
            if at == end and last is not None:
                told = last if told is None else _both(told, last)
            try:
                if told is not None or at in headers:
                    produce(
                        topic,
                        value,
                        key,
                        0,
                        on_delivery=None if told is None else _delivered(told),
                        timestamp=timestamp_ms,
                        headers=headers.get(at),
                    )
                else:
                    produce(topic, value, key, 0, timestamp=timestamp_ms)
            except BufferError:
                self._wait_and_send(topic, run, at, timestamp_ms, told)
            except KafkaException as error:
                self._raise(Step.PRODUCE, error)

    def _wait_and_send(
        self, topic: str, run: Run, at: int, timestamp_ms: int, told: Told | None
    ) -> None:
        """Send one record once the queue has room."""
        while True:
            self._producer.poll(_PATIENCE_S)
            if self._fatal is not None:
                raise BrokerError(Step.PRODUCE.value, fault_of(self._fatal), self._fatal.str())
            try:
                self.produce(
                    topic,
                    run.values[at],
                    run.keys[at],
                    0,
                    on_delivery=None if told is None else _delivered(told),
                    timestamp=timestamp_ms,
                    headers=run.headers.get(at),
                )
            except BufferError:
                continue
            except KafkaException as error:
                self._raise(Step.PRODUCE, error)
            return

    def offset(self, group: str, position: Position, timeout_s: float) -> None:
        """Let the transaction move a group's committed offset.

        The driver may wait for the group's coordinator for ever, whatever its timeout says
        (confluentinc/librdkafka#5456). So the call has a thread of its own, and one that does not
        come back leaves a producer that can only be destroyed: the fault is fatal.
        """
        place = TopicPartition(position.topic, 0, position.offset, position.metadata)
        producer, metadata = self._producer, _group(group)
        try:
            answered = self._beside.call(
                lambda left: producer.send_offsets_to_transaction([place], metadata, left),
                min(timeout_s, _OFFSETS_S),
            )
        except KafkaException as error:
            self._raise(Step.OFFSETS, error)
        if not answered:
            fault = BrokerFault(KafkaError._TIMED_OUT, fatal=True)
            text = f"the coordinator of group {group} does not answer"
            raise BrokerError(Step.OFFSETS.value, fault, text)

    def commit(self, timeout_s: float) -> None:
        """End the transaction; on return it is committed, and every offset was told."""
        try:
            self._producer.commit_transaction(timeout_s)
        except KafkaException as error:
            self._raise(Step.COMMIT, error)
        self._producer.poll(0)

    def abort(self, timeout_s: float) -> None:
        """Drop the transaction."""
        try:
            self._producer.abort_transaction(timeout_s)
        except KafkaException as error:
            self._raise(Step.ABORT, error)

    def meet(self, topic: str, timeout_s: float) -> None:
        """Learn of a topic that was just made, so that the next record need not wait for it."""
        try:
            self._producer.list_topics(topic, timeout_s)
        except KafkaException as error:
            raise_fault(f"look for topic {topic}", error)

    def destroy(self) -> None:
        """Let go without another word to the broker; returns at once."""
        held = [self._producer]
        del self._producer, self.produce
        self._beside.end()

        def let_go() -> None:
            # Its own `close` would try to abort: nothing more is to be said by this producer.
            held.pop().purge(blocking=False)

        # The driver waits for what is in flight, which a dead broker never answers.
        threading.Thread(target=let_go, name="headwater-kafka-close", daemon=True).start()


class _Beside:
    """A thread for calls that may never return; it is left behind with one that does not."""

    def __init__(self) -> None:
        self._asked: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._started = False

    def call(self, work: Callable[[float], None], timeout_s: float) -> bool:
        """Do it; False if it has not returned well behind its time. Raises what it raises."""
        if not self._started:
            self._started = True
            threading.Thread(target=self._serve, name="headwater-kafka-call", daemon=True).start()
        done = threading.Event()
        errors: list[BaseException] = []

        def run() -> None:
            try:
                work(timeout_s)
            except BaseException as error:  # noqa: BLE001 - raised where it was called
                errors.append(error)
            done.set()

        self._asked.put(run)
        if not done.wait(timeout_s + _GRACE_S):
            return False
        if errors:
            raise errors[0]
        return True

    def _serve(self) -> None:
        while (work := self._asked.get()) is not None:
            work()

    def end(self) -> None:
        """Let the thread go once it is free."""
        self._asked.put(None)


def _both(one: Told, other: Told) -> Told:
    def told(offset: int) -> None:
        one(offset)
        other(offset)

    return told


def _delivered(told: Told) -> Callable[[KafkaError | None, Message], None]:
    def delivered(error: KafkaError | None, message: Message) -> None:
        offset = message.offset()
        if error is None and offset is not None:
            told(offset)

    return delivered


def _group(group: str) -> bytes:
    """The metadata of a group that no consumer of ours is a member of (generation -1)."""
    return b"CGMDv2:" + _GENERATION.pack(-1) + group.encode() + b"\0\0\x01"
