"""The log in a directory: one machine, one writing process, RocksDB underneath.

Reading order: rocks_keys and encoding (bytes), rocks_store (the driver), rocks_state (what a batch
meets), rocks_write and rocks_commit (one commit, many at once), rocks_large, rocks_view,
rocks_recover. FORMAT.md describes every byte.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakSet

import pyarrow as pa

from headwater.log_store.errors import Fenced, StoreUnavailable
from headwater.log_store.head_marker import HeadMarker
from headwater.log_store.memory import wall_clock_us
from headwater.log_store.port import Batch
from headwater.log_store.records import Committed
from headwater.log_store.rocks_commit import Committer, CommitterParts
from headwater.log_store.rocks_large import LargeCommits
from headwater.log_store.rocks_rebuild import differences
from headwater.log_store.rocks_recover import open_store
from headwater.log_store.rocks_snapshots import keep_snapshot
from headwater.log_store.rocks_state import LiveState
from headwater.log_store.rocks_store import StoreSettings
from headwater.log_store.rocks_verify import Progress, verify_commits
from headwater.log_store.rocks_view import Published, RocksView


@dataclass(frozen=True, slots=True, kw_only=True)
class RocksOptions:
    """Where and how to keep the log. Sizes in bytes.

    `name` is what a new store takes; one that exists keeps its own. `fsync` waits for the disk at
    each commit: an acknowledged commit survives a power cut; without it, it survives the end of
    the process only. `clock` gives microseconds since 1970 UTC. `write_buffer` is what each large
    family gathers in memory before it writes a file; up to three of them are held.
    """

    path: Path
    name: str = "headwater"
    fsync: bool = True
    clock: Callable[[], int] = wall_clock_us
    write_buffer: int = 64 << 20
    block_cache: int = 64 << 20
    wal_limit: int = 256 << 20


class RocksLog:
    """Opens the directory, made if absent, and owns it until closed. Safe to use from threads.

    Raises:
        FormatNotKnown: the directory holds something else, or a newer release's store.
        DirectoryInUse: another process has it open.
        LogDamaged: what is on disk is not what was acknowledged.
    """

    def __init__(self, options: RocksOptions) -> None:
        settings = StoreSettings(
            write_buffer=options.write_buffer,
            block_cache=options.block_cache,
            wal_limit=options.wal_limit,
        )
        opened = open_store(options.path, settings, options.name)
        self.path = options.path
        self._store, self._lock = opened.store, opened.lock
        self._live = LiveState(opened.store, opened.name, opened.epoch)
        self._marker = HeadMarker(options.path, opened.epoch, synced=options.fsync)
        self._shared: WeakSet[Published] = WeakSet()
        self._changed = threading.Condition()
        self._waiting = 0
        self._ids = threading.Lock()
        self._next_object_id = self._live.largest_object_id() + 1
        self._next_row_id: dict[int, int] = {}
        self._next_number: dict[tuple[int, int], int] = {}
        self._snapshots = threading.Lock()
        self._published: Published | None = None
        self._publish()
        self._committer = Committer(
            CommitterParts(
                store=opened.store,
                live=self._live,
                guard=opened.lock,
                clock=options.clock,
                publish=self._publish,
                large=LargeCommits(opened.store, self._live),
                fsync=options.fsync,
            )
        )

    @property
    def name(self) -> str:
        """The store's name, as it was given when the store was made."""
        return self._live.name

    @property
    def epoch(self) -> int:
        """How often the directory has been opened for writing; in every event."""
        return self._live.epoch

    def view(self) -> RocksView:
        """The newest published state."""
        at = self._alive()
        if not at.shared:
            at.shared = True
            self._shared.add(at)
        return RocksView(at)

    def commit(self, batch: Batch) -> Committed:
        """See `port.Log.commit`."""
        return self._committer.commit(batch)

    def _publish(self) -> None:
        """Show the live state to views from here on; what it names is on disk."""
        live = self._live
        moment = self._store.moment()
        self._marker.write(live.sequence, live.time_us, live.chain)
        self._published = Published(
            live.sequence, live.time_us, live.catalog, moment, live.heads.get, live.marks.get
        )
        if self._waiting:
            with self._changed:
                self._changed.notify_all()

    def reserve_object_ids(self, count: int) -> int:
        """The first of `count` new object ids."""
        with self._ids:
            first = self._next_object_id
            self._next_object_id += count
            return first

    def reserve_row_ids(self, table: int, count: int) -> int:
        """The first of `count` new row ids of a table."""
        with self._ids:
            first = max(self._next_row_id.get(table, 1), self._committed_row_id(table))
            self._next_row_id[table] = first + count
            return first

    def reserve_numbers(self, table: int, column: int, count: int) -> int:
        """The first of `count` AUTOINCREMENT values, in units of steps from 0."""
        with self._ids:
            first = self._next_number.get((table, column), 0)
            with self.view() as view:
                try:
                    committed = dict(view.head(table).autos).get(column, 0)
                except KeyError:
                    committed = 0
            first = max(first, committed)
            self._next_number[table, column] = first + count
            return first

    def _committed_row_id(self, table: int) -> int:
        head = self._live.heads.get(table)
        if head is None:
            with self.view() as view:
                try:
                    head = view.head(table)
                except KeyError:
                    return 1
        return head.next_row_id

    def keep_snapshot(self, table: int, version: int, batches: Iterator[pa.RecordBatch]) -> None:
        """Keep a snapshot beside the log to start reads from."""
        self._alive()
        with self._snapshots:
            keep_snapshot(self._store, table, version, batches)

    def wait(self, sequence: int, timeout_s: float) -> int:
        """Wait until a commit after `sequence` is visible; returns the newest."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self._waiting += 1
            try:
                while (at := self._alive().sequence) <= sequence:
                    left = deadline - time.monotonic()
                    if left <= 0 or not self._changed.wait(left):
                        return self._alive().sequence
                return at
            finally:
                self._waiting -= 1

    def verify(self, progress: Progress | None = None) -> int:
        """Recompute both hash chains over everything that is kept; returns how many commits.

        Raises:
            LogDamaged: at the first commit or version that does not hold.
        """
        at = self._alive()
        verify_commits(at.source, 0, at.sequence, progress)
        return at.sequence

    def verify_derived(self) -> list[str]:
        """Where indexes and current rows differ from what the log says, in words; commits wait.

        Raises:
            LogDamaged: the log itself does not hold.
        """
        self._alive()
        with self._committer.paused():
            return differences(self._store, self._live.sequence)

    def checkpoint(self, path: Path) -> None:
        """A copy of the RocksDB directory by hard links, as of the last commit."""
        self._alive()
        self._store.checkpoint(path)

    def _alive(self) -> Published:
        published = self._published
        if published is None:
            raise StoreUnavailable(f"store {self._live.name} is closed: connect again")
        return published

    def close(self) -> None:
        """Finish what is being committed and give the directory back. A second call does nothing.

        Views that are still open raise StoreUnavailable from here on.
        """
        self._committer.close()
        with self._changed:
            last, self._published = self._published, None
            if last is None:
                return
            self._changed.notify_all()
        # A snapshot would keep the files open, and RocksDB's own lock held.
        for published in (*self._shared, last):
            published.drop()
        with self._snapshots:
            try:
                self._lock.check()
            except Fenced:
                self._store.abandon()
            else:
                self._store.close()
        self._marker.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()
