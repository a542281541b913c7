"""The log in memory: every version of everything, kept in dicts. For tests and scratch stores.

Nothing is ever overwritten, so a view is a place in the commit sequence and costs nothing.
"""

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

import pyarrow as pa

from headwater.log_store.catalog import Catalog
from headwater.log_store.changes import Columns, Rows
from headwater.log_store.errors import OutsideHistory, StoreUnavailable, gone, outlived
from headwater.log_store.groups import Groups
from headwater.log_store.kept import kept_differences
from headwater.log_store.port import Batch
from headwater.log_store.records import (
    OP_DELETE,
    AuditRow,
    Block,
    CommitRow,
    Committed,
    Moved,
    ScanBlock,
    Stored,
    VersionRow,
    Watermark,
)
from headwater.log_store.registry import EmbeddedRegistry, Registry
from headwater.log_store.sequencing import (
    EMPTY_CATALOG,
    FIRST_OBJECT_ID,
    Encoded,
    Sequenced,
    sequence,
    settle,
)

_SCAN_ROWS = 8192


def wall_clock_us() -> int:
    """Now, in microseconds since 1970 UTC."""
    return time.time_ns() // 1000


_K = TypeVar("_K")
_V = TypeVar("_V")


class _Histories(Generic[_K, _V]):
    """Values by key, each with the versions at which it changed."""

    __slots__ = ("_of",)

    def __init__(self) -> None:
        self._of: dict[_K, list[tuple[int, _V | None]]] = {}

    def put(self, key: _K, at: int, value: _V | None) -> None:
        history = self._of.setdefault(key, [])
        if history and history[-1][0] == at:
            history[-1] = (at, value)
        else:
            history.append((at, value))

    def get(self, key: _K, at: int) -> _V | None:
        for changed, value in reversed(self._of.get(key, ())):
            if changed <= at:
                return value
        return None

    def keys(self) -> list[_K]:
        return list(self._of)

    def expire(self, at: int) -> None:
        """Forget what was over before a version; what was there at it stays."""
        for key, history in list(self._of.items()):
            first = max((n for n, (changed, _) in enumerate(history) if changed <= at), default=0)
            left = history[first:]
            if left[0][0] <= at and left[0][1] is None:
                left = left[1:]
            if left:
                self._of[key] = left
            else:
                del self._of[key]


class _Table:
    """One table: its events, its versions, and its rows and keys as they were at each."""

    __slots__ = ("base", "blocks", "first", "keys", "rows", "snapshots", "versions")

    def __init__(self, first: VersionRow) -> None:
        # The horizon: `versions` and `blocks` begin with it.
        self.first = 0
        self.base: list[ScanBlock] = []
        self.versions = [first]
        self.blocks: list[list[Block]] = [[]]
        self.rows: _Histories[int, Stored] = _Histories()
        self.keys: _Histories[bytes, int] = _Histories()
        self.snapshots: dict[int, list[pa.RecordBatch]] = {}

    def take(self, encoded: Encoded, version: int, schema_id: int) -> None:
        """Apply a run of events to rows and keys, in order."""
        match encoded.segment:
            case Rows(changes):
                for change in changes:
                    stored = (
                        None if change.after is None else Stored(version, schema_id, change.after)
                    )
                    self._row(
                        change.op, change.row_id, stored, change.old_key, change.new_key, version
                    )
            case Columns() as columns:
                self._columns(columns, version, schema_id)

    @property
    def head(self) -> int:
        """The newest version."""
        return self.first + len(self.versions) - 1

    def scan(self, version: int) -> Iterator[ScanBlock]:
        """The rows as they were at a version, in row id order."""
        row_ids: list[int] = []
        stored: list[Stored] = []
        for row_id in sorted(self.rows.keys()):
            row = self.rows.get(row_id, version)
            if row is not None:
                row_ids.append(row_id)
                stored.append(row)
                if len(row_ids) == _SCAN_ROWS:
                    yield ScanBlock(row_ids, stored)
                    row_ids, stored = [], []
        if row_ids:
            yield ScanBlock(row_ids, stored)

    def expire(self, version: int) -> None:
        """Let go of what is below a version."""
        self.base = list(self.scan(version))
        gone = version - self.first
        self.versions = self.versions[gone:]
        self.blocks = [[], *self.blocks[gone + 1 :]]
        self.snapshots = {v: kept for v, kept in self.snapshots.items() if v >= version}
        self.rows.expire(version)
        self.keys.expire(version)
        self.first = version

    def _columns(self, columns: Columns, version: int, schema_id: int) -> None:
        count = len(columns)
        images = _values(columns.after, count)
        old_keys, new_keys = _values(columns.old_keys, count), _values(columns.new_keys, count)
        ops, row_ids = columns.ops.tolist(), columns.row_ids.tolist()
        for op, row_id, image, old, new in zip(
            ops, row_ids, images, old_keys, new_keys, strict=True
        ):
            stored = None if image is None else Stored(version, schema_id, image)
            self._row(op, row_id, stored, old or b"", new or b"", version)

    def _row(
        self, op: int, row_id: int, stored: Stored | None, old: bytes, new: bytes, version: int
    ) -> None:
        self.rows.put(row_id, version, stored)
        if op == OP_DELETE:
            if old:
                self.keys.put(old, version, None)
        elif new:
            self.keys.put(new, version, row_id)


def _values(column: pa.BinaryArray | None, count: int) -> list[bytes | None]:
    return [None] * count if column is None else column.to_pylist()


class _Kept:
    """What a store has written: only ever appended to, shared by the log and its views."""

    def __init__(self) -> None:
        self.catalogs: list[Catalog] = [EMPTY_CATALOG]
        self.commits: list[CommitRow] = []
        self.by_id: dict[str, int] = {}
        self.by_key: dict[str, int] = {}
        self.tables: dict[int, _Table] = {}
        self.watermarks: dict[int, list[Watermark]] = {}
        self.moves: dict[int, list[int]] = {}
        self.audit: list[AuditRow] = []


class MemoryLog:
    """A store that lives as long as this object. Safe to use from several threads."""

    def __init__(self, name: str = "memory", *, clock: Callable[[], int] = wall_clock_us) -> None:
        self.name = name
        self.epoch = 1
        self._clock = clock
        self._changed = threading.Condition()
        self._closed = False
        self._kept = _Kept()
        self._next_object_id = FIRST_OBJECT_ID
        self._next_row_id: dict[int, int] = {}
        self._next_number: dict[tuple[int, int], int] = {}

    @property
    def groups(self) -> Groups | None:
        """None: there is no Kafka."""
        return None

    @property
    def largest_change(self) -> int | None:
        """None: a row may have any size."""
        return None

    # What a batch meets (`conflicts.Latest`).

    @property
    def catalog(self) -> Catalog:
        return self._kept.catalogs[-1]

    @property
    def sequence(self) -> int:
        return len(self._kept.commits)

    @property
    def time_us(self) -> int:
        return self._kept.commits[-1].time_us if self._kept.commits else 0

    def head(self, table: int) -> VersionRow:
        return self._kept.tables[table].versions[-1]

    def stored_version(self, table: int, row_id: int) -> int | None:
        found = self._kept.tables[table].rows.get(row_id, self.head(table).version)
        return None if found is None else found.version

    def stored_versions(self, table: int, row_ids: Sequence[int]) -> list[int | None]:
        return [self.stored_version(table, row_id) for row_id in row_ids]

    def row_id(self, table: int, key: bytes) -> int | None:
        known = self._kept.tables.get(table)
        return None if known is None else known.keys.get(key, known.versions[-1].version)

    def row_ids(self, table: int, keys: Sequence[bytes]) -> list[int | None]:
        return [self.row_id(table, key) for key in keys]

    def watermark(self, consumer: int) -> Watermark | None:
        found = self._kept.watermarks.get(consumer)
        return found[-1] if found else None

    def find_idempotent(self, key: str) -> CommitRow | None:
        place = self._kept.by_key.get(key)
        return None if place is None else self._kept.commits[place - 1]

    # The port.

    def view(self) -> "MemoryView":
        with self._changed:
            self._alive()
            return MemoryView(self._kept, len(self._kept.commits))

    def commit(self, batch: Batch) -> Committed:
        with self._changed:
            self._alive()
            now_us = self._clock()
            settled = settle(batch, self, now_us)
            if settled is not None:
                return settled
            row = self._write(sequence(batch, self, now_us))
            self._changed.notify_all()
        return Committed(row.sequence, row.commit_id, row.time_us, row.versions, result=row.result)

    def _write(self, sequenced: Sequenced) -> CommitRow:
        row = sequenced.row
        # Events first: what fails while encoding must leave nothing behind.
        encoded = {table: list(assembly) for table, assembly in sequenced.assemblies.items()}
        for first in sequenced.created:
            self._kept.tables[first.table] = _Table(first)
        for table_id, runs in encoded.items():
            table, assembly = self._kept.tables[table_id], sequenced.assemblies[table_id]
            version, schema_id = assembly.version, assembly.schema_id
            blocks: list[Block] = []
            for run in runs:
                offsets, data = run.run()
                blocks.append(Block(version, schema_id, offsets.tobytes(), data))
                table.take(run, version, schema_id)
            table.blocks.append(blocks)
            table.versions.append(assembly.version_row())
        for mark in sequenced.watermarks:
            self._kept.watermarks.setdefault(mark.consumer, []).append(mark)
        for consumer in {moved.move.consumer for moved in row.moves}:
            self._kept.moves.setdefault(consumer, []).append(row.sequence)
        self._kept.audit.extend(sequenced.audit)
        self._kept.by_id[row.commit_id] = row.sequence
        if row.idempotency is not None:
            self._kept.by_key[row.idempotency.key] = row.sequence
        self._kept.catalogs.append(sequenced.catalog)
        self._kept.commits.append(row)
        return row

    @property
    def registry(self) -> Registry:
        """The one in the store itself."""
        return EmbeddedRegistry(self.reserve_object_ids)

    def topic_is_free(self, topic: str) -> bool:
        """Always: its topics are names alone."""
        return True

    def reserve_object_ids(self, count: int) -> int:
        with self._changed:
            first = self._next_object_id
            self._next_object_id += count
            return first

    def reserve_row_ids(self, table: int, count: int) -> int:
        with self._changed:
            known = self._kept.tables.get(table)
            committed = known.versions[-1].next_row_id if known else 1
            first = max(self._next_row_id.get(table, 1), committed)
            self._next_row_id[table] = first + count
            return first

    def reserve_numbers(self, table: int, column: int, count: int) -> int:
        with self._changed:
            known = self._kept.tables.get(table)
            committed = dict(known.versions[-1].autos).get(column, 0) if known else 0
            first = max(self._next_number.get((table, column), 0), committed)
            self._next_number[table, column] = first + count
            return first

    def expire(self, table: int, version: int) -> int:
        with self._changed:
            self._alive()
            found = self._kept.tables[table]
            if version > found.head:
                raise OutsideHistory(f"table {table} has no version {version} yet")
            if version > found.first:
                found.expire(version)
            return found.first

    def keep_snapshot(self, table: int, version: int, batches: Iterator[pa.RecordBatch]) -> None:
        kept = list(batches)
        with self._changed:
            self._kept.tables[table].snapshots[version] = kept

    def verify_derived(self) -> list[str]:
        """Where kept snapshots differ from what the log says, in words; all else is the log."""
        with self.view() as view:
            return list(kept_differences(view))

    def wait(self, sequence: int, timeout_s: float) -> int:
        with self._changed:
            self._changed.wait_for(
                lambda: len(self._kept.commits) > sequence or self._closed, timeout_s
            )
            return len(self._kept.commits)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _alive(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"store {self.name} is closed: connect again")


class MemoryView:
    """The store as of one place in its commit sequence; see `port.View`."""

    __slots__ = ("_kept", "_sequence", "_versions")

    def __init__(self, kept: _Kept, sequence: int) -> None:
        self._kept, self._sequence = kept, sequence
        self._versions: dict[int, int] = {}

    @property
    def sequence(self) -> int:
        return self._sequence

    @property
    def time_us(self) -> int:
        return self._kept.commits[self._sequence - 1].time_us if self._sequence else 0

    @property
    def catalog(self) -> Catalog:
        return self._kept.catalogs[self._sequence]

    def _table(self, table: int) -> tuple[_Table, int]:
        """The table and its version here; KeyError if it does not exist yet."""
        found = self._kept.tables[table]
        version = self._versions.get(table)
        if version is None:
            version = self._versions[table] = self.version_at(table, self._sequence)
        if version < found.first:
            if found.first and found.versions[0].sequence > self._sequence:
                raise outlived(table, found.first)
            raise KeyError(table)
        return found, version

    def head(self, table: int) -> VersionRow:
        found, version = self._table(table)
        return found.versions[version - found.first]

    def version(self, table: int, version: int) -> VersionRow | None:
        found, head = self._table(table)
        return found.versions[version - found.first] if found.first <= version <= head else None

    def versions(self, table: int, after: int, upto: int) -> Iterator[VersionRow]:
        found, head = self._table(table)
        first = max(after + 1 - found.first, 0)
        yield from found.versions[first : min(upto, head) + 1 - found.first]

    def version_at(self, table: int, sequence: int) -> int:
        found = self._kept.tables.get(table)
        if found is None:
            return -1
        at = min(sequence, self._sequence)
        place = bisect_right(found.versions, at, key=lambda row: row.sequence) - 1
        return -1 if place < 0 else found.first + place

    def sequence_at(self, time_us: int) -> int:
        commits = self._kept.commits
        return bisect_right(commits, time_us, 0, self._sequence, key=lambda row: row.time_us)

    def blocks(self, table: int, after: int, upto: int) -> Iterator[Block]:
        found, head = self._table(table)
        for version in range(after + 1, min(upto, head) + 1):
            if version <= found.first and found.first:
                raise gone(table, version, found.first)
            yield from found.blocks[version - found.first]

    def row(self, table: int, row_id: int) -> Stored | None:
        found, version = self._table(table)
        return found.rows.get(row_id, version)

    def rows(self, table: int, row_ids: Sequence[int]) -> list[Stored | None]:
        return [self.row(table, row_id) for row_id in row_ids]

    def row_id(self, table: int, key: bytes) -> int | None:
        found, version = self._table(table)
        return found.keys.get(key, version)

    def row_ids(self, table: int, keys: Sequence[bytes]) -> list[int | None]:
        return [self.row_id(table, key) for key in keys]

    def scan(self, table: int) -> Iterator[ScanBlock]:
        found, version = self._table(table)
        yield from found.scan(version)

    def base(self, table: int) -> Iterator[ScanBlock]:
        found, _ = self._table(table)
        yield from found.base

    def row_count(self, table: int) -> int:
        counts = self.head(table).counts
        return counts.inserts - counts.deletes

    def watermark(self, consumer: int) -> Watermark | None:
        for mark in reversed(self._kept.watermarks.get(consumer, ())):
            if mark.sequence <= self._sequence:
                return mark
        return None

    def moves(self, consumer: int) -> Iterator[tuple[CommitRow, Moved]]:
        for place in self._kept.moves.get(consumer, ()):
            if place > self._sequence:
                return
            row = self._kept.commits[place - 1]
            yield from ((row, moved) for moved in row.moves if moved.move.consumer == consumer)

    def commit(self, sequence: int) -> CommitRow | None:
        return self._kept.commits[sequence - 1] if 1 <= sequence <= self._sequence else None

    def commits(self, after: int, upto: int) -> Iterator[CommitRow]:
        yield from self._kept.commits[max(after, 0) : min(upto, self._sequence)]

    def find_commit(self, commit_id: str) -> CommitRow | None:
        return self.commit(self._kept.by_id.get(commit_id, 0))

    def find_idempotent(self, key: str) -> CommitRow | None:
        return self.commit(self._kept.by_key.get(key, 0))

    def audit(self, after: int = 0) -> Iterator[AuditRow]:
        for row in list(self._kept.audit):
            if after < row.sequence <= self._sequence:
                yield row

    def snapshot_versions(self, table: int) -> list[int]:
        found, head = self._table(table)
        return sorted(version for version in found.snapshots if found.first <= version <= head)

    def snapshot(self, table: int, version: int) -> Iterator[pa.RecordBatch]:
        yield from self._kept.tables[table].snapshots[version]

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()
