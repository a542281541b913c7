"""The log in a directory: one machine, one writing process, RocksDB underneath.

Reading order: rocks_keys and encoding (bytes), rocks_store (the driver), rocks_state (what a batch
meets), rocks_write and rocks_commit (one commit, many at once), rocks_large, rocks_view,
rocks_recover, rocks_served. FORMAT.md describes every byte.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headwater.log_store.errors import OutsideHistory
from headwater.log_store.kept import kept_differences
from headwater.log_store.memory import wall_clock_us
from headwater.log_store.port import Batch
from headwater.log_store.records import Committed
from headwater.log_store.rocks_commit import Committer, CommitterParts
from headwater.log_store.rocks_expiry import Expiry
from headwater.log_store.rocks_large import LargeCommits
from headwater.log_store.rocks_rebuild import differences
from headwater.log_store.rocks_recover import open_store
from headwater.log_store.rocks_served import ServedStore
from headwater.log_store.rocks_state import LiveState
from headwater.log_store.rocks_store import StoreSettings


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


class RocksLog(ServedStore):
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
        live = LiveState(opened.store, opened.name, opened.epoch)
        super().__init__(options.path, opened, live, synced=options.fsync)
        self._expiring = threading.Lock()
        self._expiry = Expiry(opened.store, lambda: self._committer.paused())
        self._committer = Committer(
            CommitterParts(
                store=opened.store,
                live=live,
                guard=opened.lock,
                clock=options.clock,
                publish=self._publish,
                large=LargeCommits(opened.store, live),
                fsync=options.fsync,
            )
        )

    def commit(self, batch: Batch) -> Committed:
        """See `port.Log.commit`."""
        return self._committer.commit(batch)

    def topic_is_free(self, topic: str) -> bool:
        """Always: its topics are names alone."""
        return True

    def expire(self, table: int, version: int) -> int:
        """See `port.Log.expire`."""
        with self._expiring, self.view() as view:
            if version > view.head(table).version:
                raise OutsideHistory(f"table {table} has no version {version} yet")
            with self._snapshots:
                return self._expiry.expire(view.catalog.table(table), version, view.sequence)

    def verify_derived(self) -> list[str]:
        """Where indexes, current rows and kept snapshots differ from what the log says, in words.

        Commits wait meanwhile.

        Raises:
            LogDamaged: the log itself does not hold.
        """
        self._alive()
        with self._committer.paused(), self.view() as view:
            return [*differences(self._store, self._live.sequence), *kept_differences(view)]

    def close(self) -> None:
        """Finish what is being committed and give the directory back. A second call does nothing.

        Views that are still open raise StoreUnavailable from here on.
        """
        self._committer.close()
        self._close()
