"""An open RocksDB store as its readers meet it: views, ids, waiting. Whoever writes it publishes."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import ref

import pyarrow as pa

from headwater.log_store.errors import Fenced, StoreUnavailable
from headwater.log_store.groups import Groups
from headwater.log_store.head_marker import HeadMarker
from headwater.log_store.registry import EmbeddedRegistry, Registry
from headwater.log_store.rocks_recover import Opened
from headwater.log_store.rocks_snapshots import keep_snapshot
from headwater.log_store.rocks_state import LiveState
from headwater.log_store.rocks_verify import Progress, verify_commits
from headwater.log_store.rocks_view import Published, RocksView


class ServedStore:
    """All of a log over a store but its commits. Safe to use from threads.

    `synced`: what is published has been flushed to disk before.
    """

    def __init__(self, path: Path, opened: Opened, live: LiveState, *, synced: bool) -> None:
        self.path = path
        self._store, self._lock = opened.store, opened.lock
        self._live = live
        self._marker = HeadMarker(path, opened.epoch, synced=synced)
        # What readers may still hold, each until it is gone.
        self._shared: set[ref[Published]] = set()
        self._unshare = self._shared.discard
        self._changed = threading.Condition()
        self._waiting = 0
        self._ids = threading.Lock()
        self._next_object_id = self._live.largest_object_id() + 1
        self._next_row_id: dict[int, int] = {}
        self._next_number: dict[tuple[int, int], int] = {}
        self._snapshots = threading.Lock()
        self._published: Published | None = None
        self._publish()

    @property
    def name(self) -> str:
        """The store's name, as it was given when the store was made."""
        return self._live.name

    @property
    def epoch(self) -> int:
        """How often the directory has been opened for writing; in every event."""
        return self._live.epoch

    @property
    def groups(self) -> Groups | None:
        """None: there is no Kafka."""
        return None

    @property
    def largest_change(self) -> int | None:
        """None: a row may have any size."""
        return None

    def view(self) -> RocksView:
        """The newest published state."""
        at = self._published
        if at is None:
            at = self._alive()
        if not at.shared:
            at.shared = True
            self._shared.add(ref(at, self._unshare))
        return RocksView(at)

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

    @property
    def registry(self) -> Registry:
        """Who gives the ids that its events' schemas are known by: the store itself."""
        return EmbeddedRegistry(self.reserve_object_ids)

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
        """Give the directory back. A second call does nothing.

        Views that are still open raise StoreUnavailable from here on.
        """
        self._close()

    def _close(self) -> None:
        """Give the directory back, once nothing is committed any more; see `close`."""
        with self._changed:
            last, self._published = self._published, None
            if last is None:
                return
            self._changed.notify_all()
        # A snapshot would keep the files open, and RocksDB's own lock held.
        last.drop()
        for shared in list(self._shared):
            if (published := shared()) is not None:
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
