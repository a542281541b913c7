"""The right to write a prefix: fence first, restore by position, then produce.

Opening settles what a predecessor left: its open transaction is aborted by `init_transactions`,
its commits that the replica lacks are read to the end, topics that never became a table's go. Only
then is the next epoch taken, and said in the state topic.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from headwater.log_store.errors import Fenced, StoreUnavailable
from headwater.log_store.failpoints import failpoint
from headwater.log_store.kafka_client import BrokerError, Cluster
from headwater.log_store.kafka_durability import judge_promise
from headwater.log_store.kafka_outcome import Step, Verdict, judge
from headwater.log_store.kafka_pending import PendingState
from headwater.log_store.kafka_places import (
    META_PREFIX,
    META_WRITER,
    Place,
    put_places,
)
from headwater.log_store.kafka_producer import ProducerSettings, TransactionalProducer
from headwater.log_store.kafka_reader import TopicMissing, TopicReader
from headwater.log_store.kafka_records import (
    INTENT_KEY,
    PREFIX_KEY,
    WRITER_KEY,
    Intent,
    Names,
    PrefixRecord,
    Writer,
    intent_record,
    prefix_record,
    read_writer,
    writer_record,
)
from headwater.log_store.kafka_registry import check_registry, new_prefix, prefix_of
from headwater.log_store.kafka_replica import Replica
from headwater.log_store.kafka_settle import settle, stuck_topics
from headwater.log_store.kafka_transaction import OpenTransaction, Stopped, persist
from headwater.log_store.registry import RegistryAccess
from headwater.log_store.rocks_store import Store

_PAUSE_S: Final = 0.1
_log = logging.getLogger("headwater")
# What a record may have beside its value within the cluster's limit.
_RECORD_OVERHEAD: Final = 2048
# What an event may have beside its images and key: names, times, the commit's id.
_EVENT_OVERHEAD: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterOptions:
    """How a prefix is written. `timeout_s` bounds each commit, and each search for its outcome.

    `warned`: say in the log what could lose acknowledged commits.
    """

    path: Path
    create: bool = True
    timeout_s: float = 30.0
    compression: str = "lz4"
    warned: bool = True
    registry: RegistryAccess = field(default_factory=RegistryAccess)
    clock: Callable[[], int]


class PrefixWriter:
    """Writes one prefix, for one thread at a time; see `kafka_group.Writer`."""

    def __init__(
        self,
        cluster: Cluster,
        names: Names,
        store: Store,
        live: PendingState,
        options: WriterOptions,
    ) -> None:
        self._cluster, self._names, self._store, self._live = cluster, names, store, live
        self._options = options
        self._replica = Replica(cluster, names, store, live, options.timeout_s)
        self.admin, self.topics = self._replica.admin, self._replica.topics
        self._producer: TransactionalProducer | None = None
        self._prefix = PrefixRecord()
        self._limits = _Limits()
        self._epoch = 0

    @property
    def prefix(self) -> str:
        """The prefix that is written."""
        return self._names.prefix

    def open(self, passed: Sequence[Intent] = ()) -> None:
        """Take the prefix over; the replica is at its end afterwards.

        `passed` are the intents that the replica has met while it followed.

        Raises:
            PrefixMissing: there is none and none may be made.
            ReplicaMismatch: the replica holds what the topics do not. Nothing was changed.
            StoreUnavailable: the cluster cannot be reached in time, or a new prefix's registry.
            RegistryFixed: the prefix has another registry than the one named.
        """
        deadline = time.monotonic() + self._options.timeout_s
        self._limits = _limits(self.admin.broker_settings())
        self.topics.open(create=self._options.create)
        self.admin.meet_coordinator(f"{self._names.prefix}.writer", self._names.state)
        self._replica.check(self._options.path)
        self._fence(deadline)
        try:
            self._settle(deadline)
            intents = [*passed, *self._replica.catch_up(deadline)]
            self._replica.read_tails(intents)
            self.topics.settle(intents, self._live.catalog)
            self._take_epoch(deadline)
        except Stopped as stopped:
            self.lose()
            raise StoreUnavailable(f"the cluster does not answer: {stopped.text}") from stopped
        if self._options.warned:
            self._warn()

    def _warn(self) -> None:
        """Say what could lose commits that the cluster has acknowledged; never in the way."""
        try:
            found = judge_promise(self.admin.held(self._names.transaction))
        except BrokerError as error:
            _log.warning("how commits are replicated cannot be seen: %s", error)
            return
        for one in found:
            _log.warning("durability of %s: %s", self._names.prefix, one.sentence)

    def _fence(self, deadline: float) -> None:
        """A producer of its own, before which nobody else's transaction is open."""
        settings = ProducerSettings(
            transactional_id=self._names.prefix,
            transaction_timeout_ms=self._limits.transaction_ms,
            max_message_bytes=self._limits.message_bytes,
            compression=self._options.compression,
        )
        while True:
            producer = TransactionalProducer(self._cluster, settings)
            try:
                persist(Step.OPEN, deadline, producer.open)
            except Stopped as stopped:
                producer.destroy()
                if stopped.verdict is Verdict.STOP or time.monotonic() > deadline:
                    raise StoreUnavailable(
                        f"the cluster does not answer: {stopped.text}"
                    ) from stopped
                time.sleep(_PAUSE_S)
                continue
            self._producer = producer
            return

    def _settle(self, deadline: float) -> None:
        """Make topics readable whose last markers were lost with a broker."""
        stuck = stuck_topics(self.admin, self.admin.prefixed(f"{self._names.prefix}."))
        if stuck:
            settle(self._cluster, self._ready(), stuck, self._names.prefix, deadline)

    def _take_epoch(self, deadline: float) -> None:
        """Say in the state topic who writes from here on, as which writer in turn."""
        known, prefix = self._replica.known_epoch(), prefix_of(self._store, self._names)
        registry = self._options.registry
        check_registry(self._names, prefix, registry.url)
        self._prefix = prefix or new_prefix(self._names, registry)
        self._epoch = self._live.epoch = known + 1
        writer = Writer(self._epoch, socket.gethostname(), os.getpid(), self._options.clock())
        records = [(self._names.state, WRITER_KEY, writer_record(writer))]
        if prefix is None:
            records.append((self._names.catalog, PREFIX_KEY, prefix_record(self._prefix)))
        self._alone(records, deadline)
        batch = self._store.batch()
        batch.put("meta", META_WRITER, writer_record(writer))
        batch.put("meta", META_PREFIX, prefix_record(self._prefix))
        self._store.write(batch)

    def _alone(self, records: list[tuple[str, bytes, bytes]], deadline: float) -> None:
        """Write records that are no commit, and note that the replica has them."""
        ends = self._transact(records, deadline)
        batch = self._store.batch()
        put_places(batch, {name: Place(self.topics.ids[name], at) for name, at in ends.items()})
        self._store.write(batch)

    def _transact(
        self, records: Iterable[tuple[str, bytes, bytes]], deadline: float
    ) -> dict[str, int]:
        """Write records in a transaction of their own; returns where that brings each topic."""
        producer, ends = self._ready(), dict[str, int]()
        persist(Step.BEGIN, deadline, lambda _: producer.begin())
        for topic, key, value in records:

            def told(offset: int, topic: str = topic) -> None:
                ends[topic] = offset + 1

            try:
                producer.send(topic, key, value, told=told)
            except BrokerError as error:
                verdict = judge(error.fault, Step.PRODUCE, out_of_time=True)
                raise Stopped(Step.PRODUCE, verdict, error.fault, error.text) from error
        persist(Step.COMMIT, deadline, producer.commit)
        return ends

    def _ready(self) -> TransactionalProducer:
        if self._producer is None:
            raise StoreUnavailable("the cluster cannot be reached: try again")
        return self._producer

    # What the committer asks for

    def transaction(self) -> OpenTransaction:
        """See `kafka_group.Writer.transaction`."""
        most = self._limits.message_bytes - _RECORD_OVERHEAD
        return OpenTransaction(self._ready(), self._store, self._names, self._prefix, most)

    def lose(self) -> None:
        """See `kafka_group.Writer.lose`."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.destroy()

    def recover(self, deadline: float) -> None:
        """See `kafka_group.Writer.recover`."""
        self.lose()
        self._live.reload()
        while True:
            try:
                self._check_epoch()
                self._fence(deadline)
                self._settle(deadline)
                self._replica.catch_up(deadline)
            except (BrokerError, TopicMissing, StoreUnavailable, Stopped) as error:
                # Brokers that have just come back may not know their topics yet.
                self.lose()
                if time.monotonic() > deadline:
                    raise StoreUnavailable(f"the cluster cannot be reached: {error}") from error
                time.sleep(_PAUSE_S)
                self._live.reload()
                continue
            return

    def _check_epoch(self) -> None:
        """Refuse to take the prefix back from a writer that has come since."""
        state, newest = self._names.state, self._epoch
        start = self._replica.offset(state)
        # Up to the first open transaction, which may be the one that was lost. Behind that nobody
        # is told of an end, and no writer can have come: it would have settled it.
        if start < self.admin.ends([state], committed=True)[state]:
            newest = max([newest, *self._epochs(start)])
        if newest > self._epoch:
            raise Fenced(self._names.prefix, epoch=self._epoch, found=newest)

    def _epochs(self, start: int) -> list[int]:
        """The writers that the state topic names from an offset on."""
        state, found = self._names.state, list[int]()
        reader = TopicReader(self._cluster, f"{self._names.prefix}.replica")
        until = time.monotonic() + self._options.timeout_s
        try:
            reader.add([(state, start)])
            while state not in reader.ends:
                for message in reader.read(10_000, _PAUSE_S):
                    if message.key() == WRITER_KEY:
                        found.append(read_writer(message.value() or b"").epoch)
                if time.monotonic() > until:
                    raise StoreUnavailable(f"topic {state} cannot be read")
        finally:
            reader.close()
        return found

    def read_on(self, deadline: float) -> None:
        """See `kafka_group.Writer.read_on`."""
        self._replica.catch_up(deadline)

    def log_intents(self, intents: Iterable[Intent], deadline: float) -> None:
        """See `kafka_group.Writer.log_intents`."""
        catalog = self._names.catalog
        self._alone([(catalog, INTENT_KEY, intent_record(one)) for one in intents], deadline)

    def say(self, topic: str, records: Iterable[tuple[bytes, bytes]], deadline: float) -> None:
        """See `kafka_group.Writer.say`."""
        self._transact([(topic, key, value) for key, value in records], deadline)

    @property
    def epoch(self) -> int:
        """As which writer in turn this one writes; 0 before it does."""
        return self._epoch

    def write_alone(
        self, topic: str, records: Iterable[tuple[bytes, bytes | None]], deadline: float
    ) -> None:
        """Write records that are no commit to a topic without a place here, in one transaction.

        Raises:
            Stopped: the broker refuses, or does not say what became of it; `lose` what is left.
        """
        producer = self._ready()
        producer.meet(topic, max(deadline - time.monotonic(), 1.0))
        persist(Step.BEGIN, deadline, lambda _: producer.begin())
        try:
            for key, value in records:
                producer.send(topic, key, value)
        except BrokerError as error:
            verdict = judge(error.fault, Step.PRODUCE, out_of_time=True)
            raise Stopped(Step.PRODUCE, verdict, error.fault, error.text) from error
        failpoint("kafka.base_unfinished")
        persist(Step.COMMIT, deadline, producer.commit)

    def close(self) -> None:
        """Let the prefix go."""
        self.lose()


@dataclass(frozen=True, slots=True)
class _Limits:
    transaction_ms: int = 60_000
    message_bytes: int = 1_000_000


def _limits(settings: Mapping[str, str]) -> _Limits:
    """What the brokers allow at most."""

    def number(name: str, default: int) -> int:
        text = settings.get(name, "")
        return int(text) if text.isdigit() else default

    return _Limits(
        number("transaction.max.timeout.ms", 60_000), number("message.max.bytes", 1_000_000)
    )


def largest_change(settings: Mapping[str, str]) -> int:
    """So many bytes a change's images and key may have together to fit into a record."""
    return max(_limits(settings).message_bytes - _RECORD_OVERHEAD - _EVENT_OVERHEAD, 1)
