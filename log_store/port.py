"""The verbs of the log: one page that every adapter must keep.

A `Log` has one write verb, `commit(batch)`; everything is read through a `View`, which is fixed
at one place of the commit sequence for as long as it is held.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Final, NamedTuple, Protocol, Self

import pyarrow as pa

from headwater.log_store.catalog import Catalog, CatalogEvent
from headwater.log_store.changes import TableChanges
from headwater.log_store.groups import Groups
from headwater.log_store.records import (
    AuditRow,
    Block,
    CommitRow,
    Committed,
    Idempotency,
    Move,
    Moved,
    ScanBlock,
    Stored,
    VersionRow,
    Watermark,
)
from headwater.log_store.registry import Registry

_NO_TABLES: Final[Mapping[int, TableChanges]] = MappingProxyType({})
_NO_VERSIONS: Final[Mapping[int, int]] = MappingProxyType({})
_NO_OBJECTS: Final[Mapping[tuple[str, int], int]] = MappingProxyType({})


class Batch(NamedTuple):
    """What one transaction wants, as data: lands whole or not at all. Give its parts by name.

    `unmoved`: tables that must still be at the version given (DDL, restore, whole-table checks).
    `marks`: watermarks that must have been moved last at the place given: of consumers that found
    nothing to consume, so that of two who look at once only one says so.
    `objects`: catalog objects (kind, id) that must not have changed since the place given.
    `audit`: (what, detail as JSON) rows kept for ever.
    """

    commit_id: str
    actor: str = ""
    tables: Mapping[int, TableChanges] = _NO_TABLES
    moves: Sequence[Move] = ()
    catalog: Sequence[CatalogEvent] = ()
    unmoved: Mapping[int, int] = _NO_VERSIONS
    objects: Mapping[tuple[str, int], int] = _NO_OBJECTS
    marks: Mapping[int, int] = _NO_VERSIONS
    audit: Sequence[tuple[str, str]] = ()
    statements: Sequence[str] = ()
    idempotency: Idempotency | None = None
    result: str = ""


class View(Protocol):
    """The store as of one place in the commit sequence. Reads only; close it when done.

    Versions and rows of dropped tables stay readable while the table can be undropped.
    """

    @property
    def sequence(self) -> int:
        """The last commit that this view shows; 0 for an empty store."""
        ...

    @property
    def time_us(self) -> int:
        """That commit's time, microseconds since 1970 UTC; 0 for an empty store."""
        ...

    @property
    def catalog(self) -> Catalog:
        """What exists here."""
        ...

    def head(self, table: int) -> VersionRow:
        """The newest version of a table; KeyError for a table that was never created."""
        ...

    def version(self, table: int, version: int) -> VersionRow | None:
        """One version's row, None above the head or below the horizon."""
        ...

    def versions(self, table: int, after: int, upto: int) -> Iterator[VersionRow]:
        """The rows of (after, upto], in order."""
        ...

    def version_at(self, table: int, sequence: int) -> int:
        """The table's version right after the commit at `sequence`; -1 if it did not exist."""
        ...

    def sequence_at(self, time_us: int) -> int:
        """The last commit at or before that time; 0 if there is none."""
        ...

    def blocks(self, table: int, after: int, upto: int) -> Iterator[Block]:
        """The events of (after, upto], in order.

        Raises:
            LogDamaged: at the damaged version; everything before it was yielded.
        """
        ...

    def row(self, table: int, row_id: int) -> Stored | None:
        """A current row."""
        ...

    def rows(self, table: int, row_ids: Sequence[int]) -> list[Stored | None]:
        """Current rows, in the order asked."""
        ...

    def row_id(self, table: int, key: bytes) -> int | None:
        """Which row holds a key, given as its Avro bytes."""
        ...

    def row_ids(self, table: int, keys: Sequence[bytes]) -> list[int | None]:
        """Which rows hold these keys, in the order asked."""
        ...

    def scan(self, table: int) -> Iterator[ScanBlock]:
        """All current rows, in row id order."""
        ...

    def base(self, table: int) -> Iterator[ScanBlock]:
        """All rows as of the horizon, as they were stored, in row id order; none while it is v0.

        With the version row of the horizon they are what history is replayed from.
        """
        ...

    def row_count(self, table: int) -> int:
        """How many rows the table has here."""
        ...

    def watermark(self, consumer: int) -> Watermark | None:
        """Where a consumer stands; None for one that was never registered."""
        ...

    def moves(self, consumer: int) -> Iterator[tuple[CommitRow, Moved]]:
        """Every kept move of one consumer, oldest first, with its commit."""
        ...

    def commit(self, sequence: int) -> CommitRow | None:
        """One commit, None if it is not kept."""
        ...

    def commits(self, after: int, upto: int) -> Iterator[CommitRow]:
        """The commits of (after, upto], in order."""
        ...

    def find_commit(self, commit_id: str) -> CommitRow | None:
        """The commit of that id."""
        ...

    def find_idempotent(self, key: str) -> CommitRow | None:
        """The commit that carried that idempotency key."""
        ...

    def audit(self, after: int = 0) -> Iterator[AuditRow]:
        """Audit rows of commits after that place, oldest first."""
        ...

    def snapshot_versions(self, table: int) -> list[int]:
        """Versions of which a whole snapshot is kept, rising. A cache: may be empty."""
        ...

    def snapshot(self, table: int, version: int) -> Iterator[pa.RecordBatch]:
        """A kept snapshot as it was given to `keep_snapshot`."""
        ...

    def close(self) -> None:
        """Let go. A second call does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None: ...


class Log(Protocol):
    """Versioned tables, watermarks and their catalog. Many readers; one writing process."""

    @property
    def name(self) -> str:
        """The store's name: the prefix of its topics and `source.name` of its events."""
        ...

    @property
    def groups(self) -> Groups | None:
        """The Kafka groups of its consumers; None where there is no Kafka."""
        ...

    @property
    def largest_change(self) -> int | None:
        """So many bytes a change's images and key may have together; None for any."""
        ...

    @property
    def registry(self) -> Registry:
        """Who gives the ids that its events' schemas are known by."""
        ...

    def view(self) -> View:
        """The newest published state. Cheap: taken at each BEGIN."""
        ...

    def commit(self, batch: Batch) -> Committed:
        """Write the batch whole; on return it is durable and visible.

        A batch that changes nothing (no changes, moves, catalog events, audit) writes nothing and
        returns the place it saw. Commit times rise by at least 1 us.

        Raises:
            WriteConflict: something the batch read has moved. Nothing was written.
            IdempotencyMismatch: the key stands for another request. Nothing was written.
            StoreUnavailable: nothing was written.
            OutcomeUnknown: this object is spent; open the log again and look.
        """
        ...

    def topic_is_free(self, topic: str) -> bool:
        """Whether a topic of that name could be made for a new table."""
        ...

    def reserve_object_ids(self, count: int) -> int:
        """The first of `count` new object ids; never given twice while they may be in use."""
        ...

    def reserve_row_ids(self, table: int, count: int) -> int:
        """The first of `count` new row ids of a table."""
        ...

    def reserve_numbers(self, table: int, column: int, count: int) -> int:
        """The first of `count` AUTOINCREMENT values, in units of steps from 0."""
        ...

    def expire(self, table: int, version: int) -> int:
        """Let go of a table's history below a version; returns the horizon, which never falls.

        Kept are the version row of the horizon, the rows as of it (`View.base`), and the events
        after it. Afterwards, whatever happens meanwhile, either all of that or all that was before
        is there. Readers of what went, in views that are open too, get OutsideHistory.

        Raises:
            OutsideHistory: the version is above the head. Nothing was changed.
            LogDamaged: what is to go does not hold. Nothing was changed.
            HistoryNotExpired: this table's history cannot go; the sentence says why.
        """
        ...

    def keep_snapshot(self, table: int, version: int, batches: Iterator[pa.RecordBatch]) -> None:
        """Keep a snapshot beside the log to start reads from. A cache: it may be dropped."""
        ...

    def wait(self, sequence: int, timeout_s: float) -> int:
        """Wait until a commit after `sequence` is visible, at most so long; returns the newest."""
        ...

    def close(self) -> None:
        """Give everything back. A second call does nothing."""
        ...
