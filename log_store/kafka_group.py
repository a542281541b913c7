"""Batches on their way in one Kafka transaction: taken in order, ended together, answered after.

Each batch is checked against the ones before it, is sequenced and produced; whatever it is to be
told is kept until the transaction has ended. `Writer` is what a group needs of whoever has the
right to write, `KafkaParts` what it works with.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from headwater.log_store.errors import LogError, StoreUnavailable
from headwater.log_store.failpoints import failpoint
from headwater.log_store.kafka_client import BrokerError
from headwater.log_store.kafka_mirrors import Mirrors
from headwater.log_store.kafka_pending import PendingState
from headwater.log_store.kafka_records import Intent, Position
from headwater.log_store.kafka_topics import PrefixTopics
from headwater.log_store.kafka_transaction import (
    OpenTransaction,
    Stopped,
)
from headwater.log_store.objects import TableObject
from headwater.log_store.port import Batch
from headwater.log_store.records import Committed, VersionRow
from headwater.log_store.rocks_commit import (
    LARGE_BYTES,
    Ticket,
    byte_size,
    committed_of,
)
from headwater.log_store.rocks_keys import META_CHECKED, number
from headwater.log_store.rocks_large import LargeCommits, drop_staged
from headwater.log_store.rocks_store import Store
from headwater.log_store.sequencing import Encoded, Sequenced, sequence, settle

# A group ends once its events come to so many bytes.
GROUP_BYTES: Final = 8 << 20


class Writer(Protocol):
    """The right to write a prefix: a producer that has fenced all others."""

    def transaction(self) -> OpenTransaction:
        """A transaction that has not begun.

        Raises:
            StoreUnavailable: the cluster cannot be reached. Fenced: another writer has the prefix.
        """
        ...

    def lose(self) -> None:
        """Let the producer go: what became of its transaction is not known."""
        ...

    def recover(self, deadline: float) -> None:
        """Fence what was lost, read on to the end and apply it.

        Raises:
            StoreUnavailable: not within the deadline. Fenced: another writer has the prefix.
        """
        ...

    def read_on(self, deadline: float) -> None:
        """Read to the end and apply it, without fencing anybody."""
        ...

    def log_intents(self, intents: Iterable[Intent], deadline: float) -> None:
        """Write intents to the catalog, in a transaction of their own."""
        ...

    def say(self, topic: str, records: Iterable[tuple[bytes, bytes]], deadline: float) -> None:
        """Write records to a topic that holds no commits, in a transaction of their own.

        Raises:
            Stopped: the broker refuses, or does not say what became of it.
        """
        ...


@dataclass(frozen=True, slots=True)
class KafkaParts:
    """What the committer works with. `publish` shows the live state to views."""

    store: Store
    live: PendingState
    writer: Writer
    topics: PrefixTopics
    mirrors: Mirrors
    clock: Callable[[], int]
    publish: Callable[[], None]
    large: LargeCommits
    check: Callable[[], None]
    path: str
    timeout_s: float


class CommitGroup:
    """Tickets on their way in one transaction."""

    def __init__(self, parts: KafkaParts, deadline: float, blocked: set[str]) -> None:
        self._parts, self._deadline, self._blocked = parts, deadline, blocked
        self._live = parts.live
        self._open: OpenTransaction | None = None
        self._made: list[TableObject] = []
        self._results: list[tuple[Ticket, Committed | BaseException]] = []
        self._large: tuple[Batch, list[VersionRow]] | None = None
        self._bytes = 0
        self.taken: list[Ticket] = []
        self.last: Ticket | None = None
        self.written = False
        self.deferred: dict[str, Position] = {}

    @property
    def ending(self) -> bool:
        """Whether the broker was asked to commit: from then on it may have."""
        return self._open is not None and self._open.ending

    def take(self, tickets: Sequence[Ticket]) -> None:
        """Take tickets in order, until the group is full."""
        for ticket in tickets:
            ticket.written = False
            if self._must_be_alone(ticket.batch) and self.taken:
                return
            self.taken.append(ticket)
            self.last = ticket
            if not self._take(ticket):
                return

    def _must_be_alone(self, batch: Batch) -> bool:
        return byte_size(batch) > LARGE_BYTES or bool(self._new_tables(batch))

    def _new_tables(self, batch: Batch) -> list[TableObject]:
        known = self._live.catalog
        return [
            event.value
            for event in batch.catalog
            if isinstance(event.value, TableObject) and known.get("table", event.value.id) is None
        ]

    def _take(self, ticket: Ticket) -> bool:
        """Check, sequence and produce one batch; False once no other may follow."""
        batch, now_us = ticket.batch, self._parts.clock()
        try:
            settled = settle(batch, self._live, now_us)
            if settled is not None:
                self._results.append((ticket, settled))
                return True
            sequenced = sequence(batch, self._live, now_us)
            if created := self._new_tables(batch):
                self._make_topics(created)
            failpoint("commit.before_append")
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - nothing was produced: the caller's own
            self._unmake()
            told = error if isinstance(error, LogError) else store_failed(error)
            self._results.append((ticket, told))
            return True
        self._parts.topics.know(sequenced.catalog.table(t).topic for t in sequenced.assemblies)
        if self._open is None:
            self._open = self._parts.writer.transaction()
        self._open.begin(self._deadline)
        ticket.written = self.written = True
        if byte_size(batch) > LARGE_BYTES:
            self._take_large(batch, sequenced)
            more = False
        else:
            made, chain = self._open.add(batch, sequenced, self._live.chain)
            more = self._live.pend(batch, sequenced, made, chain)
        self._results.append((ticket, committed_of(sequenced.row)))
        self._bytes += byte_size(batch)
        return more and not self._made and self._bytes < GROUP_BYTES

    def _make_topics(self, created: list[TableObject]) -> None:
        parts = self._parts
        parts.topics.check_free(created)
        intents = [Intent(table.topic, "", table.id) for table in created]
        parts.writer.log_intents(intents, self._deadline)
        failpoint("kafka.intent")
        parts.topics.make(created)
        self._made = created
        failpoint("kafka.topic_made")

    def _take_large(self, batch: Batch, sequenced: Sequenced) -> None:
        assert self._open is not None
        opened, counts = self._open, dict[int, int]()
        senders = {t: opened.sender(batch, sequenced, t) for t in sequenced.assemblies}

        def each(table: int, encoded: Encoded) -> None:
            counts[table] = senders[table](encoded)

        made = self._parts.large.stage(sequenced, each)
        ends = [opened.table_end(batch, sequenced, row, counts[row.table]) for row in made]
        opened.rocks, chain = self._parts.large.prepare(batch, sequenced, made)
        opened.add_rest(batch, sequenced, ends, chain)
        self._live.advance(sequenced, made, chain)
        self._large = batch, made

    def finish(self) -> None:
        """End the transaction and apply it to the replica."""
        opened, parts = self._open, self._parts
        if opened is None or not self.written:
            return
        within, later = parts.mirrors.choose(opened.mirrors, self._blocked)
        self.deferred = {group: opened.mirrors[group] for group in later}
        opened.end(self._deadline, within)
        opened.put_places(parts.topics.ids)
        opened.rocks.put("meta", META_CHECKED, number(self._live.sequence))
        if self._large is not None:
            batch, made = self._large
            parts.large.finish(opened.rocks, batch, made)
        else:
            parts.store.write(opened.rocks)
        failpoint("kafka.applied")

    def abort(self, deadline: float) -> None:
        """Drop the transaction, and topics that were made for it.

        Raises:
            Stopped: nobody knows whether it is dropped.
        """
        drop_staged(self._parts.store)
        if self._open is not None:
            self._open.abort(deadline)
        self._unmake()

    def _unmake(self) -> None:
        """Take back topics that were made; what cannot be reached now goes at the next opening."""
        made, self._made = self._made, []
        with suppress(BrokerError):
            self._parts.topics.drop(made)

    def answer(self) -> None:
        """Give every ticket what became of it."""
        for ticket, result in self._results:
            if isinstance(result, Committed):
                ticket.result = result
            else:
                ticket.error = result

    def answered(self) -> list[Ticket]:
        """The tickets that have an answer."""
        return [ticket for ticket, _ in self._results]


def store_failed(error: Exception) -> StoreUnavailable:
    """An error of our own as what a caller is told: nothing was written."""
    failed = StoreUnavailable(f"the store failed: {error}")
    failed.__cause__ = error
    return failed
