"""A replica of a prefix's topics: met again, brought to their end, and kept there.

Whoever opens a prefix does this first, to write it or to follow it. Nothing here fences anybody or
writes to a topic.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from headwater.log_store.catalog import TableObject
from headwater.log_store.encoding import EncodingNotKnown
from headwater.log_store.errors import LogDamaged, StoreUnavailable
from headwater.log_store.failpoints import failpoint
from headwater.log_store.kafka_admin import Admin
from headwater.log_store.kafka_apply import Applier
from headwater.log_store.kafka_bases import Bases, behind, read_bases
from headwater.log_store.kafka_client import BrokerError, Cluster
from headwater.log_store.kafka_feed import CommitFeed, CommitRecords
from headwater.log_store.kafka_pending import PendingState
from headwater.log_store.kafka_places import (
    META_PREFIX,
    META_REBUILDING,
    META_WRITER,
    Place,
    load_places,
    put_places,
)
from headwater.log_store.kafka_reader import TopicReader
from headwater.log_store.kafka_records import (
    INTENT_KEY,
    PREFIX_KEY,
    WRITER_KEY,
    Intent,
    Names,
    read_intent,
    read_writer,
)
from headwater.log_store.kafka_topics import PrefixTopics, ReplicaMismatch
from headwater.log_store.rocks_store import Store

_PAUSE_S: Final = 0.1
# Records from which on an empty replica is filled without a write-ahead log.
_LONG: Final = 20_000


class Replica:
    """The replica of one prefix, for one thread at a time. `timeout_s`: how long topics may stall."""

    def __init__(
        self, cluster: Cluster, names: Names, store: Store, live: PendingState, timeout_s: float
    ) -> None:
        self._cluster, self._names, self._store, self._live = cluster, names, store, live
        self._timeout_s = timeout_s
        self.admin = Admin(cluster)
        self.topics = PrefixTopics(self.admin, names)
        self._applier = Applier(store, live)

    def meet(self, path: Path, *, create: bool) -> None:
        """Meet the prefix's topics, or make them; the replica must be one of these.

        Raises:
            PrefixMissing: there is none and none may be made.
            ReplicaMismatch: the replica holds what the topics do not. Nothing was changed.
            StoreUnavailable: no broker answers.
        """
        self.admin.reach(self._timeout_s)
        self.topics.open(create=create)
        self.check(path)

    def check(self, path: Path) -> None:
        """Refuse a replica of topics that are not these."""
        places = load_places(self._store)
        there, where = self.topics.meet(places), str(path)
        for name, place in places.items():
            if name not in there:
                raise ReplicaMismatch(name, where, "is gone")
            if place.topic_id not in ("", there[name].topic_id):
                raise ReplicaMismatch(name, where, "was made anew")
        for name, end in self.admin.ends(places).items():
            if end < places[name].offset:
                raise ReplicaMismatch(name, where, f"ends at offset {end}")

    def catch_up(self, deadline: float, *, committed: bool = False) -> list[Intent]:
        """Apply what the replica lacks; returns the intents that were passed.

        With `committed`, only up to a transaction that another writer has open.
        """
        topic = self._names.transaction
        end = self._ask(deadline, lambda: self.admin.ends([topic], committed=committed))[topic]
        if _at_end(self.offset(topic), end):
            return []
        with ExitStack() as held:
            bases = self._bases(deadline)
            if bases.topics or (not self._live.sequence and self._is_long()):
                held.enter_context(self._rebuilding())
            following = held.enter_context(closing(self.following()))
            while not following.reached(end):
                following.step()
        return following.intents

    def _bases(self, deadline: float) -> Bases:
        """What stands in for history that was let go, of tables that the replica does not know."""
        known = [one for one in self._live.catalog.all("table") if isinstance(one, TableObject)]
        cluster, prefix = self._cluster, self._names.prefix
        left = max(deadline - time.monotonic(), 1.0)
        bases = self._applier.bases = read_bases(cluster, self.admin, prefix, known, left)
        return bases

    def lacks(self) -> str:
        """A topic of which records are gone that the replica has not applied; empty if there is none.

        Such a replica cannot go on: it is filled anew when it is opened again.
        """
        return behind(self.admin, self._store, self._names.prefix)

    def offset(self, topic: str) -> int:
        """The next record of a topic to apply."""
        place = load_places(self._store).get(topic)
        return 0 if place is None else place.offset

    def following(self, wait_ms: int = 10) -> "Following":
        """What applies commits as they come, from where the replica stands. Close it."""
        reader = TopicReader(self._cluster, f"{self._names.prefix}.replica", wait_ms)
        return Following(self, reader, load_places(self._store))

    def table_topics(self) -> list[str]:
        """The topics of the tables there are."""
        return [table.topic for table in self._live.catalog.tables()]

    def feed(self, reader: TopicReader, places: Mapping[str, Place]) -> CommitFeed:
        """The commits behind these places."""
        bases = self._applier.bases
        offsets = {name: place.offset for name, place in places.items()}
        offsets = {**bases.offsets, **offsets}
        return CommitFeed(reader, self._names, offsets, self._timeout_s, bases.covers)

    def apply(
        self, commits: Sequence[CommitRecords], places: Callable[[], dict[str, Place]]
    ) -> None:
        """Write commits, and how far that brings each topic; a large one comes alone."""
        if commits[0].large:
            self._applier.apply_large(commits[0], places)
        else:
            self._applier.apply(commits, places())

    def _is_long(self) -> bool:
        """Whether the topics hold so much that a replica is better filled without a log."""
        topics = set(self.admin.prefixed(f"{self._names.prefix}.")) - self._names.passing
        return sum(self.admin.ends(topics).values()) > _LONG

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

    def places(self, feed: CommitFeed, before: dict[str, Place]) -> dict[str, Place]:
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

    def read_tails(self, intents: list[Intent]) -> None:
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
        self.note([(key, value) for topic, key, value in found if topic == names.catalog])
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
        until = time.monotonic() + self._timeout_s
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

    def note(self, others: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep the prefix's own record where it is met."""
        for key, value in others:
            if key == PREFIX_KEY:
                batch = self._store.batch()
                batch.put("meta", META_PREFIX, value)
                self._store.write(batch)

    def known_epoch(self) -> int:
        """The epoch of the last writer that the replica has heard of; 0 if of none.

        Raises:
            LogDamaged: the record that says so cannot be read.
        """
        value = self._store.get("meta", META_WRITER)
        try:
            return 0 if value is None else read_writer(value).epoch
        except EncodingNotKnown as error:
            raise LogDamaged(f"topic {self._names.state}", str(error)) from error


class Following:
    """Commits on their way into a replica, for one thread, until closed."""

    def __init__(self, replica: Replica, reader: TopicReader, places: dict[str, Place]) -> None:
        self._replica, self._reader, self._places = replica, reader, places
        self._feed = replica.feed(reader, places)
        self.intents: list[Intent] = []
        """Topics that were about to be made, as far as was read."""

    def watch(self) -> None:
        """Read every table's topic from now on, not only when a commit needs it."""
        self._feed.watch(self._replica.table_topics())

    def reached(self, upto: int) -> bool:
        """Whether every END below that offset is applied."""
        return self._feed.reached(upto)

    def step(self, timeout_s: float = _PAUSE_S) -> Sequence[CommitRecords]:
        """Apply the next commits; none if none came in time.

        Raises:
            StoreUnavailable, TopicMissing, BrokerError: go on with another `Following`.
            LogDamaged: the topics do not hold what was written to them.
        """
        feed, replica = self._feed, self._replica
        commits = feed.round(timeout_s)
        if commits:
            replica.apply(commits, lambda: replica.places(feed, self._places))
        if feed.others:
            others, feed.others = feed.others, []
            replica.note(others)
            self.intents += [read_intent(value) for key, value in others if key == INTENT_KEY]
        return commits

    def close(self) -> None:
        """Give the connections back."""
        self._reader.close()


def _at_end(offset: int, end: int) -> bool:
    """Whether nothing but the marker of the last transaction read can be left."""
    return offset >= end or (offset > 0 and offset + 1 == end)
