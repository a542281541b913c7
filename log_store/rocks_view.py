"""Views of the embedded store: everything as of one published commit.

All views of one place share its `Published`, a snapshot taken when the head was published, so
taking a view costs an object. The snapshot goes when the last view of it and the log let go.
"""

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

import pyarrow as pa

from headwater.log_store import rocks_keys as layout
from headwater.log_store.catalog import Catalog
from headwater.log_store.encoding import (
    EncodingNotKnown,
    chunks_in,
    commit_time,
    decode_audit,
    decode_block,
    decode_commit,
    decode_stored,
    decode_stored_many,
    decode_watermark,
    version_place,
)
from headwater.log_store.errors import (
    LogDamaged,
    LogError,
    OutsideHistory,
    StoreUnavailable,
    gone,
    outlived,
)
from headwater.log_store.records import (
    AuditRow,
    Block,
    CommitRow,
    Moved,
    ScanBlock,
    Stored,
    VersionRow,
    Watermark,
)
from headwater.log_store.rocks_anchor import base_rows, read_anchor
from headwater.log_store.rocks_snapshots import read_snapshot, snapshots_of
from headwater.log_store.rocks_state import Source, read_version
from headwater.log_store.rocks_store import Moment, Pair


class Published:
    """One published state, shared by its views."""

    __slots__ = (
        "__weakref__",
        "catalog",
        "newest_head",
        "newest_mark",
        "sequence",
        "shared",
        "source",
        "time_us",
    )

    def __init__(
        self,
        sequence: int,
        time_us: int,
        catalog: Catalog,
        source: Source,
        newest_head: Callable[[int], VersionRow | None],
        newest_mark: Callable[[int], Watermark | None],
    ) -> None:
        self.sequence, self.time_us, self.catalog, self.source = sequence, time_us, catalog, source
        # What the writer remembers: this state's own wherever it is not of a later commit.
        self.newest_head, self.newest_mark = newest_head, newest_mark
        self.shared = False

    def drop(self) -> None:
        """Let go of the moment; views of it raise StoreUnavailable from here on."""
        if isinstance(self.source, Moment):
            self.source.drop()


class _Closed:
    """What a closed view reads from."""

    def get(self, family: str, key: bytes) -> bytes | None:
        raise StoreUnavailable("this view is closed: take another")

    def chunks(self, family: str, start: bytes, end: bytes) -> Iterator[list[Pair]]:
        raise StoreUnavailable("this view is closed: take another")

    def last(self, family: str, start: bytes, upto: bytes) -> Pair | None:
        raise StoreUnavailable("this view is closed: take another")


_CLOSED = _Closed()


class RocksView:
    """The store as of one place in its commit sequence; see `port.View`."""

    __slots__ = ("_at", "_source", "catalog", "sequence", "time_us")

    def __init__(self, at: Published) -> None:
        self._at: Published | None = at
        self._source = at.source
        self.sequence, self.time_us, self.catalog = at.sequence, at.time_us, at.catalog

    def head(self, table: int) -> VersionRow:
        """The newest version of a table; KeyError for one that was never created."""
        found = self._at.newest_head(table) if self._at is not None else None
        if found is not None and found.sequence <= self.sequence:
            return found
        pair = self._source.last(
            "versions", layout.version_key(table, 0), layout.version_key(table, (1 << 64) - 1)
        )
        if pair is None:
            raise KeyError(table)
        found = read_version(table, layout.number_of(pair[0]), pair[1])
        if found.sequence <= self.sequence:
            return found
        earlier = self._search(table, found.version, self.sequence)
        version = self.version(table, earlier) if earlier >= 0 else None
        if version is None:
            anchor = read_anchor(self._source, table)
            if anchor is not None and anchor.row.sequence > self.sequence:
                raise outlived(table, anchor.row.version)
            raise KeyError(table)
        return version

    def version(self, table: int, version: int) -> VersionRow | None:
        """One version's row, None above the head or below the horizon."""
        if version < 0:
            return None
        value = self._source.get("versions", layout.version_key(table, version))
        if value is None or version_place(value) > self.sequence:
            return None
        return read_version(table, version, value)

    def versions(self, table: int, after: int, upto: int) -> Iterator[VersionRow]:
        """The rows of (after, upto], in order."""
        if upto <= after:
            return
        start, end = layout.version_key(table, after + 1), layout.version_key(table, upto + 1)
        for chunk in self._source.chunks("versions", start, end):
            for key, value in chunk:
                if version_place(value) > self.sequence:
                    return
                yield read_version(table, layout.number_of(key), value)

    def version_at(self, table: int, sequence: int) -> int:
        """The version right after the commit at `sequence`; -1 if the table did not exist."""
        try:
            head = self.head(table)
        except KeyError:
            return -1
        if head.sequence <= sequence:
            return head.version
        return self._search(table, head.version, sequence)

    def _search(self, table: int, below: int, sequence: int) -> int:
        """The last version under `below` that a commit at or before `sequence` made, else -1."""
        low, high = -1, below
        while high - low > 1:
            middle = (low + high) // 2
            value = self._source.get("versions", layout.version_key(table, middle))
            if value is None or version_place(value) <= sequence:
                low = middle
            else:
                high = middle
        if low >= 0 and self._source.get("versions", layout.version_key(table, low)) is None:
            return -1
        return low

    def sequence_at(self, time_us: int) -> int:
        """The last commit at or before that time; 0 if there is none."""
        if self.time_us <= time_us:
            return self.sequence
        low, high = 0, self.sequence
        while high - low > 1:
            middle = (low + high) // 2
            value = self._source.get("commits", layout.commit_key(middle))
            if value is None or commit_time(value) <= time_us:
                low = middle
            else:
                high = middle
        return low if self.commit(low) is not None else 0

    def blocks(self, table: int, after: int, upto: int) -> Iterator[Block]:
        """The events of (after, upto], in order. Raises LogDamaged at the damaged version."""
        upto = min(upto, self.head(table).version)
        if upto <= after:
            return
        expected, chunk = after + 1, 0
        promised = self._promised(table, after, upto)
        blocks = self._source.chunks(
            "log", layout.chunk_key(table, after + 1, 0), layout.chunk_key(table, upto + 1, 0)
        )
        for pairs in blocks:
            for key, value in pairs:
                version, at = layout.chunk_of(key)
                if chunk and at == 0:
                    self._check_whole(table, expected, chunk, next(promised, 0))
                    expected, chunk = expected + 1, 0
                if (version, at) != (expected, chunk):
                    raise self._missing(table, expected)
                try:
                    yield decode_block(version, value)
                except EncodingNotKnown as error:
                    raise LogDamaged(f"version {version} of table {table}", str(error)) from error
                chunk += 1
        if not chunk or expected != upto:
            raise self._missing(table, expected + bool(chunk))
        self._check_whole(table, expected, chunk, next(promised, 0))

    def _check_whole(self, table: int, version: int, found: int, promised: int) -> None:
        if not promised:
            raise self._missing(table, version)
        if found != promised:
            raise LogDamaged(
                f"version {version} of table {table}",
                f"{found} chunks of events stand where there were {promised}",
            )

    def _missing(self, table: int, version: int) -> LogError:
        """Why events are not there: they were let go, maybe while they were read, or are damaged."""
        anchor = read_anchor(self._source, table)
        if anchor is not None and version <= anchor.row.version:
            return gone(table, version, anchor.row.version)
        return LogDamaged(f"version {version} of table {table}", "events are missing")

    def _promised(self, table: int, after: int, upto: int) -> Iterator[int]:
        """How many chunks each version of (after, upto] must have, from the version index."""
        start, end = layout.version_key(table, after + 1), layout.version_key(table, upto + 1)
        for pairs in self._source.chunks("versions", start, end):
            for _, value in pairs:
                try:
                    yield chunks_in(value)
                except EncodingNotKnown as error:
                    raise LogDamaged(f"the version index of table {table}", str(error)) from error

    def row(self, table: int, row_id: int) -> Stored | None:
        """A current row."""
        value = self._source.get("cur", layout.row_key(table, row_id))
        return None if value is None else decode_stored(value)

    def rows(self, table: int, row_ids: Sequence[int]) -> list[Stored | None]:
        """Current rows, in the order asked."""
        return [self.row(table, row_id) for row_id in row_ids]

    def row_id(self, table: int, key: bytes) -> int | None:
        """Which row holds a key, given as its Avro bytes."""
        value = self._source.get("pk", layout.table_prefix(table) + key)
        return None if value is None else layout.number_in(value)

    def row_ids(self, table: int, keys: Sequence[bytes]) -> list[int | None]:
        """Which rows hold these keys, in the order asked."""
        return [self.row_id(table, key) for key in keys]

    def scan(self, table: int) -> Iterator[ScanBlock]:
        """All current rows, in row id order."""
        prefix = layout.table_prefix(table)
        for chunk in self._source.chunks("cur", prefix, layout.after_prefix(prefix)):
            yield ScanBlock(
                layout.numbers_of([key for key, _ in chunk]),
                decode_stored_many([value for _, value in chunk]),
            )

    def base(self, table: int) -> Iterator[ScanBlock]:
        """All rows as of the horizon, in row id order; none while it is v0."""
        return base_rows(self._source, table)

    def row_count(self, table: int) -> int:
        """How many rows the table has here."""
        counts = self.head(table).counts
        return counts.inserts - counts.deletes

    def watermark(self, consumer: int) -> Watermark | None:
        """Where a consumer stands; None for one that was never registered."""
        found = self._at.newest_mark(consumer) if self._at is not None else None
        if found is not None and found.sequence <= self.sequence:
            return found
        value = self._source.get("watermarks", layout.mark_key(consumer))
        return None if value is None else decode_watermark(consumer, value)

    def moves(self, consumer: int) -> Iterator[tuple[CommitRow, Moved]]:
        """Every kept move of one consumer, oldest first, with its commit."""
        start, end = layout.move_key(consumer, 0), layout.move_key(consumer, self.sequence + 1)
        for chunk in self._source.chunks("watermarks", start, end):
            for key, _ in chunk:
                row = self.commit(layout.move_of(key))
                if row is not None:
                    yield from ((row, m) for m in row.moves if m.move.consumer == consumer)

    def commit(self, sequence: int) -> CommitRow | None:
        """One commit, None if it is not kept."""
        if not 1 <= sequence <= self.sequence:
            return None
        value = self._source.get("commits", layout.commit_key(sequence))
        return None if value is None else read_commit(sequence, value)

    def commits(self, after: int, upto: int) -> Iterator[CommitRow]:
        """The commits of (after, upto], in order."""
        after, upto = max(after, 0), min(upto, self.sequence)
        if upto <= after:
            return
        start, end = layout.commit_key(after + 1), layout.commit_key(upto + 1)
        for chunk in self._source.chunks("commits", start, end):
            for key, value in chunk:
                yield read_commit(layout.commit_of(key), value)

    def find_commit(self, commit_id: str) -> CommitRow | None:
        """The commit of that id."""
        return self._found(layout.commit_id_key(commit_id))

    def find_idempotent(self, key: str) -> CommitRow | None:
        """The commit that carried that idempotency key."""
        return self._found(layout.idempotency_key(key))

    def _found(self, key: bytes) -> CommitRow | None:
        place = self._source.get("commits", key)
        return None if place is None else self.commit(layout.number_in(place))

    def audit(self, after: int = 0) -> Iterator[AuditRow]:
        """Audit rows of commits after that place, oldest first."""
        start, end = layout.ordinal_key(after + 1, 0), layout.ordinal_key(self.sequence + 1, 0)
        for chunk in self._source.chunks("audit", start, end):
            for key, value in chunk:
                sequence = layout.sequence_of(key)
                try:
                    yield decode_audit(sequence, value)
                except EncodingNotKnown as error:
                    raise LogDamaged(f"audit of commit {sequence}", str(error)) from error

    def snapshot_versions(self, table: int) -> list[int]:
        """Versions of which a whole snapshot is kept, rising."""
        head = self.head(table).version
        return [v for v in snapshots_of(self._source, table) if v <= head]

    def snapshot(self, table: int, version: int) -> Iterator[pa.RecordBatch]:
        """A kept snapshot as it was given. Raises OutsideHistory where there is none."""
        found = read_snapshot(self._source, table, version)
        if found is None:
            raise OutsideHistory(f"no snapshot of table {table} is kept at v{version}")
        return found

    def close(self) -> None:
        """Let go. A second call does nothing."""
        self._at, self._source = None, _CLOSED

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


def read_commit(sequence: int, value: bytes) -> CommitRow:
    """A commit out of its bytes. Raises LogDamaged for bytes that are none."""
    try:
        return decode_commit(sequence, value)[0]
    except EncodingNotKnown as error:
        raise LogDamaged(f"commit {sequence}", str(error)) from error
