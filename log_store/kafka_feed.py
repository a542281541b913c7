"""From topics back to commits: whole ones, in END order, with all that belongs to them.

END records say how many records of each other topic go with a commit; they are read from each
topic in order until the commit is whole. What runs ahead waits in memory, a bounded part of it.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from headwater.log_store.encoding import EncodingNotKnown
from headwater.log_store.errors import LogDamaged, StoreUnavailable
from headwater.log_store.kafka_end import HEADER, End, TableEnd, commit_id_in, read_header
from headwater.log_store.kafka_held import Held, Records, by_topic
from headwater.log_store.kafka_reader import TopicReader
from headwater.log_store.kafka_records import Names, place_in

# Commits are handed on together up to so many records; one with more comes alone, in pieces.
ROUND: Final = 20_000
LARGE: Final = 100_000
_AHEAD: Final = 200_000
# Few enough that the driver's objects die young: the garbage collector does not get to know them.
_READ: Final = 1_000
_WAIT_S: Final = 0.1


class Piece(NamedTuple):
    """Some records of a table's topic: tombstones left out, the first and the next offset."""

    keys: list[bytes]
    values: list[bytes]
    first: int
    next: int


class CommitRecords(NamedTuple):
    """A commit with what other topics hold of it. `tables` are iterated once, table by table.

    A table whose history has been let go since is not among them, while it is in `end`.
    """

    end: End
    catalog: list[bytes]
    audit: list[bytes]
    tables: Mapping[int, Iterator[Piece]]
    large: bool


class CommitFeed:
    """Reads the commits of a prefix from the offsets given, for one thread.

    `stall_s`: how long nothing may come that must be there, before it is called unavailable.
    `gone` says of which table's version there are no records any more: a commit comes without them.
    """

    def __init__(
        self,
        reader: TopicReader,
        names: Names,
        offsets: Mapping[str, int],
        stall_s: float = 60.0,
        gone: Callable[[int, int], bool] = lambda _table, _version: False,
    ) -> None:
        self._reader, self._names, self._stall_s, self._gone = reader, names, stall_s, gone
        self.offsets = dict(offsets)
        """The next record of each topic to hand on."""
        self._held: dict[str, Held] = {}
        self._paused: set[str] = set()
        self._started = False
        self.others: list[tuple[bytes, bytes]] = []
        """Records of the catalog that are no commit's, as they were passed over."""

    def _start(self) -> None:
        topics = (self._names.transaction, self._names.catalog, self._names.audit)
        self._add(*topics)
        self._started = True

    def _add(self, *topics: str) -> None:
        self._reader.add((topic, self.offsets.setdefault(topic, 0)) for topic in topics)
        for topic in topics:
            self._held[topic] = Held()

    def watch(self, topics: Iterable[str]) -> None:
        """Read these too from now on: asked for only when a commit needs it, a topic takes longer."""
        new = [topic for topic in topics if topic not in self._held]
        if new:
            self._add(*new)

    def reached(self, upto: int) -> bool:
        """Whether every END below that offset was handed on."""
        topic = self._names.transaction
        # Behind the last END stands at least the marker that made it visible.
        if self.offsets.get(topic, 0) + 1 >= upto and (upto > 1 or not upto):
            return True
        if self._held.get(topic) or self._reader.ends.get(topic, -1) < upto:
            return False
        # What lies between the last END and the end are markers and aborted records.
        self.offsets[topic] = self._reader.ends[topic]
        return True

    def round(self, timeout_s: float = _WAIT_S) -> list[CommitRecords]:
        """The next commits, as many as are at hand; none if none came in time.

        A commit above LARGE records comes alone; take its pieces before the next round.

        Raises:
            StoreUnavailable: the rest of a commit does not come: an open transaction holds it up.
            LogDamaged: a topic holds something else than its commits.
            TopicMissing: a topic is gone, or starts behind its offset.
        """
        if not self._started:
            self._start()
        ends = self._held[self._names.transaction]
        if not ends:
            self._pump(timeout_s)
        commits: list[CommitRecords] = []
        total = 0
        while ends:
            if ends.repeats:
                self.offsets[self._names.transaction] = ends.take(1).next
                continue
            end = self._end(ends)
            records = sum(table.records for table in self._there(end))
            if commits and total + records > ROUND:
                break
            total += records
            behind = ends.take(1).next
            commits.append(self._whole(end, large=records > LARGE))
            self.offsets[self._names.transaction] = behind
            if records > LARGE:
                break
        return commits

    def _end(self, ends: Held) -> End:
        try:
            commit_id = commit_id_in(ends.key)
            for name, value in ends.headers:
                if name == HEADER:
                    return read_header(commit_id, value)
        except EncodingNotKnown as error:
            raise self._damaged(self._names.transaction, ends.offset, str(error)) from error
        raise self._damaged(self._names.transaction, ends.offset, f"it has no header {HEADER}")

    def _damaged(self, topic: str, offset: int, why: str) -> LogDamaged:
        return LogDamaged(f"topic {topic} at offset {offset}", why)

    def _there(self, end: End) -> list[TableEnd]:
        """The versions of a commit whose records are there."""
        return [one for one in end.tables if not self._gone(one.table, one.version)]

    def _whole(self, end: End, *, large: bool) -> CommitRecords:
        sequence = end.row.sequence
        catalog = self._placed(self._names.catalog, sequence, end.row.ddl)
        audit = self._placed(self._names.audit, sequence, end.audit)
        tables: dict[int, Iterator[Piece]] = {}
        for table in self._there(end):
            pieces = self._pieces(table.topic, table.records)
            tables[table.table] = pieces if large else iter(list(pieces))
        return CommitRecords(end, catalog, audit, tables, large)

    def _placed(self, topic: str, sequence: int, count: int) -> list[bytes]:
        """A commit's records of the catalog or audit; what else the topic holds is passed over."""
        found: list[bytes] = []
        while len(found) < count:
            first = self._await(topic, 1)
            repeats, place = first.repeats, place_in(first.key)
            taken = self._take(topic, 1)
            key, value = taken.keys[0] or b"", taken.values[0] or b""
            if place is None or repeats:
                self.others.append((key, value))
                continue
            if place != (sequence, len(found)):
                why = f"commit {sequence} wants its record {len(found)}"
                raise self._damaged(topic, taken.first, why)
            found.append(value)
        return found

    def _pieces(self, topic: str, count: int) -> Iterator[Piece]:
        # What repeats another record stands between two commits, never inside one.
        while count and self._await(topic, 1).repeats:
            self._take(topic, 1)
        while count:
            taken = self._take(topic, min(count, ROUND))
            count -= len(taken.values)
            pairs = zip(taken.keys, taken.values, strict=True)
            keys = [key or b"" for key, value in pairs if value is not None]
            values = [value for value in taken.values if value is not None]
            yield Piece(keys, values, taken.first, taken.next)

    def _take(self, topic: str, count: int) -> Records:
        """The next records of a topic, which are known to be there."""
        taken = self._await(topic, count).take(count)
        self.offsets[topic] = taken.next
        return taken

    def _await(self, topic: str, count: int) -> Held:
        """What is held of a topic, once there are so many."""
        if topic not in self._held:
            self._add(topic)
        held = self._held[topic]
        waited_from = time.monotonic()
        while len(held) < count:
            if topic in self._paused:
                self._reader.resume([topic])
                self._paused.discard(topic)
            if self._pump(_WAIT_S):
                waited_from = time.monotonic()
            elif time.monotonic() - waited_from > self._stall_s:
                raise StoreUnavailable(
                    f"topic {topic} does not give {count - len(held)} records of a commit: an open "
                    "transaction of another producer may hold it up"
                )
        return held

    def _pump(self, timeout_s: float) -> int:
        """Read on; what comes is held until its commit asks for it."""
        messages = self._reader.read(_READ, timeout_s)
        held = self._held
        for topic, of in by_topic(messages).items():
            held[topic].add(of)
        if messages:
            ahead = [t for t, q in held.items() if len(q) > _AHEAD and t not in self._paused]
            if ahead:
                self._reader.pause(ahead)
                self._paused.update(ahead)
        return len(messages)
