"""The right to write a prefix: fence first, restore by position, then produce.

Opening settles what a predecessor left: its open transaction is aborted by `init_transactions`,
its commits that the replica lacks are read to the end, topics that never became a table's go. Only
then is the next epoch taken, and said in the state topic.
"""

import os
import socket
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headwater.log_store.encoding import EncodingNotKnown
from headwater.log_store.errors import Fenced, LogDamaged, StoreUnavailable
from headwater.log_store.failpoints import failpoint
from headwater.log_store.kafka_admin import Admin
from headwater.log_store.kafka_apply import Applier
from headwater.log_store.kafka_client import BrokerError, Cluster
from headwater.log_store.kafka_feed import CommitFeed
from headwater.log_store.kafka_outcome import Step, Verdict, judge
from headwater.log_store.kafka_pending import PendingState
from headwater.log_store.kafka_places import (
    META_PREFIX,
    META_REBUILDING,
    META_WRITER,
    Place,
    load_places,
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
    read_intent,
    read_prefix,
    read_writer,
    writer_record,
)
from headwater.log_store.kafka_settle import settle, stuck_topics
from headwater.log_store.kafka_topics import PrefixTopics, ReplicaMismatch
from headwater.log_store.kafka_transaction import OpenTransaction, Stopped, persist
from headwater.log_store.rocks_store import Store

_PAUSE_S: Final = 0.1
# Records from which on an empty replica is filled without a write-ahead log.
_LONG: Final = 20_000
# What a record may have beside its value within the cluster's limit.
_RECORD_OVERHEAD: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterOptions:
    """How a prefix is written. `timeout_s` bounds each commit, and each search for its outcome."""

    path: Path
    create: bool = True
    timeout_s: float = 30.0
    compression: str = "lz4"
    clock: Callable[[], int]


class PrefixWriter:
    """Writes one prefix, for one thread at a time; see `kafka_commit.Writer`."""

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
        self.admin = Admin(cluster)
        self.topics = PrefixTopics(self.admin, names)
        self._applier = Applier(store, live)
        self._producer: TransactionalProducer | None = None
        self._prefix = PrefixRecord()
        self._limits = _Limits()
        self._epoch = 0

    def open(self) -> None:
        """Take the prefix over; the replica is at its end afterwards.

        Raises:
            PrefixMissing: there is none and none may be made.
            ReplicaMismatch: the replica holds what the topics do not. Nothing was changed.
            StoreUnavailable: the cluster cannot be reached in time.
        """
        deadline = time.monotonic() + self._options.timeout_s
        self._limits = _limits(self.admin.broker_settings())
        self.topics.open(create=self._options.create)
        self.admin.meet_coordinator(f"{self._names.prefix}.writer", self._names.state)
        self._check_replica()
        self._fence(deadline)
        self._settle(deadline)
        intents = self._restore(deadline)
        self._read_tails(intents)
        self.topics.settle(intents, self._live.catalog)
        self._take_epoch(deadline)

    def _check_replica(self) -> None:
        """Refuse a replica of topics that are not these."""
        places = load_places(self._store)
        there, path = self.topics.meet(places), str(self._options.path)
        for name, place in places.items():
            if name not in there:
                raise ReplicaMismatch(name, path, "is gone")
            if place.topic_id not in ("", there[name].topic_id):
                raise ReplicaMismatch(name, path, "was made anew")
        for name, end in self.admin.ends(places).items():
            if end < places[name].offset:
                raise ReplicaMismatch(name, path, f"ends at offset {end}")

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

    def _restore(self, deadline: float) -> list[Intent]:
        """Apply what the replica lacks; returns the intents that were passed."""
        upto = self._ask(deadline, lambda: self.admin.ends([self._names.transaction]))
        end = upto[self._names.transaction]
        offsets = {name: place.offset for name, place in load_places(self._store).items()}
        places = load_places(self._store)
        if _at_end(offsets.get(self._names.transaction, 0), end):
            return []
        with ExitStack() as held:
            if not self._live.sequence and self._is_long():
                held.enter_context(self._rebuilding())
            reader = TopicReader(self._cluster, f"{self._names.prefix}.replica")
            held.callback(reader.close)
            feed = CommitFeed(reader, self._names, offsets, self._options.timeout_s)
            while not feed.reached(end):
                commits = feed.round()
                if not commits:
                    continue
                if commits[0].large:
                    self._applier.apply_large(commits[0], lambda: self._places(feed, places))
                else:
                    self._applier.apply(commits, self._places(feed, places))
            self._note(feed.others)
        return [read_intent(value) for key, value in feed.others if key == INTENT_KEY]

    def _is_long(self) -> bool:
        """Whether the topics hold so much that a replica is better filled without a log."""
        tables = self.admin.prefixed(f"{self._names.prefix}.")
        return sum(self.admin.ends(tables).values()) > _LONG

    @contextmanager
    def _rebuilding(self) -> Generator[None]:
        """An empty replica is filled without a log of its own: cut off, it is begun anew."""
        store = self._store
        batch = store.batch()
        batch.put("meta", META_REBUILDING, b"")
        store.write(batch)
        store.sync()
        with store.unlogged():
            yield
            failpoint("kafka.rebuilding")
        batch = store.batch()
        batch.delete("meta", META_REBUILDING)
        store.write(batch)

    def _places(self, feed: CommitFeed, before: dict[str, Place]) -> dict[str, Place]:
        """Where the feed stands, as far as that is further than before."""
        moved = {
            name: offset
            for name, offset in feed.offsets.items()
            if offset != (before[name].offset if name in before else 0)
        }
        self.topics.know(moved)
        places = {name: Place(self.topics.ids[name], offset) for name, offset in moved.items()}
        before.update(places)
        return places

    def _ask(self, deadline: float, ask: "Callable[[], dict[str, int]]") -> dict[str, int]:
        while True:
            try:
                return ask()
            except BrokerError as error:
                if time.monotonic() > deadline:
                    raise StoreUnavailable(f"the cluster does not answer: {error}") from error
                time.sleep(_PAUSE_S)

    def _read_tails(self, intents: list[Intent]) -> None:
        """Read the catalog and the state to their ends: what is there belongs to no commit."""
        names, places = self._names, load_places(self._store)
        asked = [names.catalog, names.state]
        ends = self.admin.ends(asked)
        starts = {name: places[name].offset if name in places else 0 for name in asked}
        if places.get(names.catalog) is None:
            starts |= self.admin.starts([names.catalog])
        if names.state not in places:
            starts |= self.admin.starts([names.state])
        behind = {name: at for name, at in starts.items() if not _at_end(at, ends[name])}
        found = list(self._tail(behind, ends)) if behind else []
        self._note([(key, value) for topic, key, value in found if topic == names.catalog])
        intents += [
            read_intent(value)
            for topic, key, value in found
            if topic == names.catalog and key == INTENT_KEY
        ]
        batch = self._store.batch()
        for topic, key, value in found:
            if topic == names.state and key == WRITER_KEY:
                batch.put("meta", META_WRITER, value)
        put_places(batch, {n: Place(self.topics.ids[n], ends[n]) for n in behind})
        if len(batch):
            self._store.write(batch)

    def _tail(
        self, starts: Mapping[str, int], ends: Mapping[str, int]
    ) -> Iterator[tuple[str, bytes, bytes]]:
        reader = TopicReader(self._cluster, f"{self._names.prefix}.replica")
        left = dict(starts)
        until = time.monotonic() + self._options.timeout_s
        try:
            reader.add(starts.items())
            while left:
                for message in reader.read(10_000, _PAUSE_S):
                    topic, offset = message.topic() or "", message.offset() or 0
                    if offset < ends[topic]:
                        yield topic, message.key() or b"", message.value() or b""
                    if _at_end(offset + 1, ends[topic]):
                        left.pop(topic, None)
                for topic, end in reader.ends.items():
                    if end >= ends[topic]:
                        left.pop(topic, None)
                if time.monotonic() > until:
                    raise StoreUnavailable(f"topic {min(left)} cannot be read to its end")
        finally:
            reader.close()

    def _note(self, others: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep the prefix's own record where it is met."""
        for key, value in others:
            if key == PREFIX_KEY:
                batch = self._store.batch()
                batch.put("meta", META_PREFIX, value)
                self._store.write(batch)

    def _take_epoch(self, deadline: float) -> None:
        """Say in the state topic who writes from here on, as which writer in turn."""
        known, prefix = self._known_writer(), self._store.get("meta", META_PREFIX)
        try:
            self._prefix = PrefixRecord() if prefix is None else read_prefix(prefix)
        except EncodingNotKnown as error:
            raise LogDamaged(f"topic {self._names.catalog}", str(error)) from error
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

    def _known_writer(self) -> int:
        value = self._store.get("meta", META_WRITER)
        try:
            return 0 if value is None else read_writer(value).epoch
        except EncodingNotKnown as error:
            raise LogDamaged(f"topic {self._names.state}", str(error)) from error

    def _alone(self, records: list[tuple[str, bytes, bytes]], deadline: float) -> None:
        """Write records that are no commit in a transaction of their own."""
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
        batch = self._store.batch()
        put_places(batch, {name: Place(self.topics.ids[name], at) for name, at in ends.items()})
        self._store.write(batch)

    def _ready(self) -> TransactionalProducer:
        if self._producer is None:
            raise StoreUnavailable("the cluster cannot be reached: try again")
        return self._producer

    # What the committer asks for

    def transaction(self) -> OpenTransaction:
        """See `kafka_commit.Writer.transaction`."""
        most = self._limits.message_bytes - _RECORD_OVERHEAD
        return OpenTransaction(self._ready(), self._store, self._names, self._prefix, most)

    def lose(self) -> None:
        """See `kafka_commit.Writer.lose`."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.destroy()

    def recover(self, deadline: float) -> None:
        """See `kafka_commit.Writer.recover`."""
        self.lose()
        self._live.reload()
        while True:
            try:
                self._check_epoch()
                self._fence(deadline)
                self._settle(deadline)
                self._restore(deadline)
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
        state = self._names.state
        place = load_places(self._store).get(state)
        newest = self._epoch
        reader = TopicReader(self._cluster, f"{self._names.prefix}.replica")
        until = time.monotonic() + self._options.timeout_s
        try:
            reader.add([(state, 0 if place is None else place.offset)])
            # Up to the first open transaction, which may be the one that was lost.
            while state not in reader.ends:
                for message in reader.read(10_000, _PAUSE_S):
                    if message.key() == WRITER_KEY:
                        newest = max(newest, read_writer(message.value() or b"").epoch)
                if time.monotonic() > until:
                    raise StoreUnavailable(f"topic {state} cannot be read")
        finally:
            reader.close()
        if newest > self._epoch:
            raise Fenced(self._names.prefix, epoch=self._epoch, found=newest)

    def read_on(self, deadline: float) -> None:
        """See `kafka_commit.Writer.read_on`."""
        self._restore(deadline)

    def log_intents(self, intents: Iterable[Intent], deadline: float) -> None:
        """See `kafka_commit.Writer.log_intents`."""
        catalog = self._names.catalog
        self._alone([(catalog, INTENT_KEY, intent_record(one)) for one in intents], deadline)

    def close(self) -> None:
        """Let the prefix go."""
        self.lose()


def _at_end(offset: int, end: int) -> bool:
    """Whether nothing but the marker of the last transaction read can be left."""
    return offset >= end or (offset > 0 and offset + 1 == end)


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
