"""A store read from beside the process that writes it.

A RocksDB secondary sees what the owner has written, also what is not yet flushed to disk or not
yet whole (a large commit whose current rows are half written). So everything is served as of the
head in the marker file. The log, the commits and the version index say what stood there by
themselves; of current rows, keys and watermarks, what commits after the head have touched is taken
back from their events, which hold the images before.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from weakref import WeakSet

import numpy as np
import pyarrow as pa

from headwater.log_store import rocks_keys as keys
from headwater.log_store.catalog import Catalog
from headwater.log_store.errors import LogDamaged, StoreUnavailable
from headwater.log_store.groups import Groups
from headwater.log_store.head_marker import Marker, read_marker
from headwater.log_store.kept import kept_differences
from headwater.log_store.lock import read_owner
from headwater.log_store.port import Batch
from headwater.log_store.records import (
    OP_DELETE,
    CommitRow,
    Committed,
    ScanBlock,
    Stored,
    Watermark,
)
from headwater.log_store.registry import EmbeddedRegistry, Registry
from headwater.log_store.rocks_large import changes_of, read_block
from headwater.log_store.rocks_rebuild import differences
from headwater.log_store.rocks_recover import STORE, check_format, check_wal
from headwater.log_store.rocks_state import last_commit, load_catalog
from headwater.log_store.rocks_store import Access, Store, StoreSettings
from headwater.log_store.rocks_verify import Progress, verify_commits
from headwater.log_store.rocks_view import Published, RocksView, read_commit
from headwater.log_store.rocks_write import values_of

# So many events after the head are taken back in memory; a larger commit is waited for.
UNDO_EVENTS: Final = 200_000
_POLL_S: Final = 0.02
_PATIENCE_S: Final = 5.0


@dataclass(slots=True)
class Undo:
    """What stood, as of the head, where later commits have written. None: nothing stood there."""

    rows: dict[int, dict[int, Stored | None]] = field(
        default_factory=dict[int, dict[int, Stored | None]]
    )
    keys: dict[int, dict[bytes, int | None]] = field(
        default_factory=dict[int, dict[bytes, int | None]]
    )


def open_read_only(path: Path) -> "RocksReader":
    """The store in a directory, for reading; its owner, if there is one, is not disturbed.

    Raises:
        FormatNotKnown: the directory holds no store, or a newer release's.
        LogDamaged: what is on disk is not what was acknowledged.
    """
    return RocksReader(path)


class RocksReader:
    """Reads a store that another process may be writing; see `port.Log`. Writes nothing."""

    def __init__(self, path: Path) -> None:
        check_format(path, new_allowed=False)
        if not (path / STORE / "CURRENT").exists():
            raise LogDamaged(str(path / STORE / "CURRENT"), "the file is missing")
        check_wal(path / STORE)
        self.path = path
        self._scratch = Path(tempfile.mkdtemp(prefix="headwater-"))
        self._views: WeakSet[ReaderView] = WeakSet()
        self._shown: tuple[Published, Undo] | None = None
        self._closed = False
        try:
            self._store = Store(path / STORE, StoreSettings(), Access.SECONDARY, self._scratch)
        except BaseException:
            shutil.rmtree(self._scratch, ignore_errors=True)
            raise
        name = self._store.get("meta", keys.META_NAME)
        self.name = path.name if name is None else name.decode()

    @property
    def epoch(self) -> int:
        """How often the directory has been opened for writing."""
        owner = read_owner(self.path)
        return owner.epoch if owner is not None else 0

    @property
    def groups(self) -> Groups | None:
        """None: who only reads moves no group."""
        return None

    @property
    def largest_change(self) -> int | None:
        """None: nothing is written."""
        return None

    def view(self) -> "ReaderView":
        """The newest published state; the same as before while views of that one are open."""
        if self._closed:
            raise StoreUnavailable(f"store {self.name} is closed: connect again")
        if self._shown is None or not any(view.live for view in self._views):
            self._shown = self._read_on()
        view = ReaderView(*self._shown)
        self._views.add(view)
        return view

    def _read_on(self) -> tuple[Published, Undo]:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            # The marker first: what it names was written before it.
            marker = read_marker(self.path)
            self._store.catch_up()
            head, _, _ = last_commit(self._store)
            at = self._place(marker, head)
            if _events_after(self._store, at, head) <= UNDO_EVENTS:
                break
            if time.monotonic() >= deadline:
                raise StoreUnavailable(
                    f"a large commit is being written to {self.path}: try again when it is done"
                )
            time.sleep(_POLL_S)
        catalog = load_catalog(self._store, at)
        row = _commit(self._store, at)
        published = Published(
            at, row.time_us if row else 0, catalog, self._store, _unknown, _unknown
        )
        return published, undo(self._store, load_catalog(self._store), at, head)

    def _place(self, marker: Marker | None, head: int) -> int:
        if marker is None:
            return head
        if head < marker.sequence and marker.holds:
            raise LogDamaged(
                str(self.path / STORE),
                f"the log ends at commit {head}, acknowledged were {marker.sequence}",
            )
        # After a power cut the marker may lag behind; only an owner at work makes that matter.
        return min(head, marker.sequence)

    def wait(self, sequence: int, timeout_s: float) -> int:
        """Wait until the owner has published a commit after `sequence`; returns the newest."""
        deadline = time.monotonic() + timeout_s
        while True:
            marker = read_marker(self.path)
            at = marker.sequence if marker is not None else 0
            left = deadline - time.monotonic()
            if at > sequence or left <= 0 or self._closed:
                return at
            time.sleep(min(_POLL_S, left))

    def verify(self, progress: Progress | None = None) -> int:
        """Recompute both hash chains up to the head; returns how many commits hold.

        Raises:
            LogDamaged: at the first commit or version that does not hold.
        """
        with self.view() as view:
            verify_commits(self._store, 0, view.sequence, progress)
            return view.sequence

    def verify_derived(self) -> list[str]:
        """Where indexes, current rows and kept snapshots differ from what the log says, in words.

        Raises:
            LogDamaged: the log itself does not hold.
            StoreUnavailable: a large commit is being written.
        """
        with self.view() as view:
            if self._store.get("meta", keys.META_REDO) is not None:
                raise StoreUnavailable(f"a large commit is being written to {self.path}")
            found = differences(self._store, last_commit(self._store)[0])
            return [*found, *kept_differences(view)]

    def commit(self, batch: Batch) -> Committed:
        """Never; raises StoreUnavailable."""
        raise self._reading()

    @property
    def registry(self) -> Registry:
        """The one in the store itself, which gives no ids here."""
        return EmbeddedRegistry(self.reserve_object_ids)

    def topic_is_free(self, topic: str) -> bool:
        """Never; raises StoreUnavailable."""
        raise self._reading()

    def expire(self, table: int, version: int) -> int:
        """Never; raises StoreUnavailable."""
        raise self._reading()

    def reserve_object_ids(self, count: int) -> int:
        """Never; raises StoreUnavailable."""
        raise self._reading()

    def reserve_row_ids(self, table: int, count: int) -> int:
        """Never; raises StoreUnavailable."""
        raise self._reading()

    def reserve_numbers(self, table: int, column: int, count: int) -> int:
        """Never; raises StoreUnavailable."""
        raise self._reading()

    def keep_snapshot(self, table: int, version: int, batches: Iterator[pa.RecordBatch]) -> None:
        """Does nothing: the cache is its owner's."""

    def _reading(self) -> StoreUnavailable:
        return StoreUnavailable(f"{self.path} was opened for reading only")

    def close(self) -> None:
        """Give the files back. A second call does nothing."""
        if not self._closed:
            self._closed = True
            self._store.close()
            shutil.rmtree(self._scratch, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


class ReaderView(RocksView):
    """A view of a secondary: current rows with later commits taken back.

    The `version` of a row that was taken back is the table's, not the row's own.
    """

    __slots__ = ("__weakref__", "_undo", "live")

    def __init__(self, at: Published, taken_back: Undo) -> None:
        super().__init__(at)
        self._undo = taken_back
        self.live = True

    def row(self, table: int, row_id: int) -> Stored | None:
        """A current row."""
        taken = self._undo.rows.get(table)
        if taken is not None and row_id in taken:
            return taken[row_id]
        return super().row(table, row_id)

    def row_id(self, table: int, key: bytes) -> int | None:
        """Which row holds a key, given as its Avro bytes."""
        taken = self._undo.keys.get(table)
        if taken is not None and key in taken:
            return taken[key]
        return super().row_id(table, key)

    def scan(self, table: int) -> Iterator[ScanBlock]:
        """All current rows, in row id order."""
        taken = self._undo.rows.get(table)
        return super().scan(table) if taken is None else _merged(super().scan(table), taken)

    def watermark(self, consumer: int) -> Watermark | None:
        """Where a consumer stands; None for one that was never registered."""
        found = super().watermark(consumer)
        if found is None or found.sequence <= self.sequence:
            return found
        last: Watermark | None = None
        for row, moved in self.moves(consumer):
            end = moved.move.end
            last = Watermark(consumer, end, row.sequence, row.time_us, moved.target_version)
        return last

    def close(self) -> None:
        """Let go. A second call does nothing."""
        self.live = False
        super().close()


def _unknown(_: int) -> None:
    return None


def _commit(store: Store, sequence: int) -> CommitRow | None:
    value = store.get("commits", keys.commit_key(sequence))
    return None if value is None else read_commit(sequence, value)


def _after(store: Store, after: int, upto: int) -> Iterator[tuple[int, int]]:
    """Tables and versions made by the commits (after, upto], in order."""
    start, end = keys.commit_key(after + 1), keys.commit_key(upto + 1)
    for pairs in store.chunks("commits", start, end):
        for key, value in pairs:
            yield from read_commit(keys.commit_of(key), value).versions.items()


def _events_after(store: Store, after: int, upto: int) -> int:
    with RocksView(_everything(store, upto)) as view:
        total = 0
        for table, version in _after(store, after, upto):
            row, before = view.version(table, version), view.version(table, version - 1)
            total += (row.event_seq if row else 0) - (before.event_seq if before else 0)
        return total


def _everything(store: Store, upto: int) -> Published:
    return Published(upto, 0, Catalog(), store, _unknown, _unknown)


def undo(store: Store, catalog: Catalog, after: int, upto: int) -> Undo:
    """What the commits (after, upto] have written over. Raises LogDamaged."""
    taken = Undo()
    for table, version in _after(store, after, upto):
        found = catalog.table(table)
        rows = taken.rows.setdefault(table, {})
        held = taken.keys.setdefault(table, {})
        start, end = keys.chunk_key(table, version, 0), keys.chunk_key(table, version + 1, 0)
        for pairs in store.chunks("log", start, end):
            for _, value in pairs:
                block = read_block(table, version, value)
                changes = changes_of(found.schema_of(block.schema_id), block, before=True)
                for op, row_id, before, old_key, new_key in zip(
                    changes.ops.tolist(),
                    changes.row_ids.tolist(),
                    values_of(changes.before, len(changes)),
                    values_of(changes.old_keys, len(changes)),
                    values_of(changes.new_keys, len(changes)),
                    strict=True,
                ):
                    stood = None if before is None else Stored(version, block.schema_id, before)
                    rows.setdefault(row_id, stood)
                    if old_key:
                        held.setdefault(old_key, row_id)
                    if new_key and op != OP_DELETE:
                        held.setdefault(new_key, None)
    return taken


def _merged(blocks: Iterator[ScanBlock], taken: Mapping[int, Stored | None]) -> Iterator[ScanBlock]:
    """Scanned rows with those taken back in their places."""
    waiting = sorted(row_id for row_id, stored in taken.items() if stored is not None)
    at = 0
    for block in blocks:
        rows = {
            row_id: stored
            for row_id, stored in zip(block.row_ids, block.stored, strict=True)
            if row_id not in taken
        }
        upto = int(np.searchsorted(waiting, block.row_ids[-1], "right"))
        rows |= {row_id: stood for row_id in waiting[at:upto] if (stood := taken[row_id])}
        at = max(at, upto)
        ids = sorted(rows)
        if ids:
            yield ScanBlock(ids, [rows[row_id] for row_id in ids])
    if at < len(waiting):
        left = waiting[at:]
        yield ScanBlock(left, [stood for row_id in left if (stood := taken[row_id])])
