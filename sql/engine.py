"""DuckDB, locked down: one instance per store, cursors for statements, Arrow in and out.

Whatever the SQL, it reads no file, opens no address, loads no extension, sees no variable of
Python and changes no setting. The order matters: what is locked cannot be set any more.
"""

import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol, cast

import duckdb
import pyarrow as pa

from headwater.log_store.port import Log
from headwater.log_store.snapshots import Snapshot
from headwater.sql.context import Limits

_IDLE: Final = 8
_ROWS: Final = 65_536


class Asked(Protocol):
    """A query that is bound and has not run yet."""

    def to_arrow_reader(self, batch_size: int) -> pa.RecordBatchReader: ...


class Cursor(Protocol):
    """A connection of the driver as it is used here; its own stubs say less."""

    def execute(self, query: str) -> object: ...

    def sql(self, query: str, *, params: object = None) -> "Asked": ...

    def register(self, view_name: str, python_object: object) -> object: ...

    def unregister(self, view_name: str) -> object: ...

    def interrupt(self) -> None: ...

    def cursor(self) -> "Cursor": ...

    def close(self) -> None: ...


class Reader:
    """A cursor with the snapshots that are registered on it, for one statement at a time."""

    def __init__(self, cursor: Cursor, kept_bytes: int) -> None:
        self.cursor, self._kept_bytes = cursor, kept_bytes
        # Registered snapshots by name, least recently used first; `held` keeps their memory.
        self._held: dict[str, tuple[Snapshot, int]] = {}

    def show(self, name: str, owner: Snapshot, make: Callable[[], pa.Table]) -> None:
        """Let the name stand for a snapshot's rows, kept for the next statement too.

        The same snapshot again costs nothing.
        """
        known = self._held.pop(name, None)
        if known is None or known[0] is not owner:
            self.cursor.register(name, make())
            known = (owner, owner.nbytes)
        self._held[name] = known

    def lend(self, name: str, data: pa.Table | pa.RecordBatchReader) -> None:
        """Let the name stand for rows until `take_back`."""
        self.cursor.register(name, data)

    def take_back(self, name: str) -> None:
        """The name stands for nothing again."""
        self._held.pop(name, None)
        self.cursor.unregister(name)

    def ask(self, sql: str, given: Mapping[str, object]) -> Iterator[pa.RecordBatch]:
        """The rows of a query, some at a time; the next query waits for the last of them."""
        with self.cursor.sql(sql, params=given or None).to_arrow_reader(_ROWS) as found:
            yield from found

    def settle(self) -> None:
        """Give up the snapshots used longest ago, until the rest is little enough."""
        total = sum(size for _, size in self._held.values())
        while total > self._kept_bytes and self._held:
            oldest = next(iter(self._held))
            total -= self._held[oldest][1]
            self.take_back(oldest)


class Engine:
    """The DuckDB instance of one store. Any number of threads, a `Reader` each at a time."""

    def __init__(self, limits: Limits) -> None:
        self.directory = tempfile.mkdtemp(prefix="headwater-sql-")
        self._tidy = weakref.finalize(self, shutil.rmtree, self.directory, True)
        self._root = _connect(limits, self.directory)
        self._idle: list[Reader] = []
        self._lock = threading.Lock()
        self._kept_bytes = limits.memory_bytes // 8

    def take(self) -> Reader:
        """A reader that nobody else uses."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
            return Reader(self._root.cursor(), self._kept_bytes)

    def give_back(self, reader: Reader, *, sound: bool = True) -> None:
        """The statement is over; a reader that is not `sound` is closed."""
        if sound:
            reader.settle()
            with self._lock:
                if len(self._idle) < _IDLE:
                    self._idle.append(reader)
                    return
        reader.cursor.close()


def _connect(limits: Limits, directory: str) -> Cursor:
    settings: Mapping[str, str | bool | int | float | list[str]] = {
        "autoload_known_extensions": "false",
        "autoinstall_known_extensions": "false",
        "allow_community_extensions": "false",
        "memory_limit": f"{max(limits.memory_bytes >> 20, 64)}MiB",
        "threads": limits.threads,
        "temp_directory": directory,
        "python_enable_replacements": "false",
    }
    made = duckdb.connect(":memory:", config=dict(settings))
    # The driver's class has these methods, its stubs type their results apart.
    cursor = cast(Cursor, made)
    cursor.execute("SET TimeZone = 'UTC'")
    cursor.execute("SET enable_external_access = false")
    cursor.execute("SET lock_configuration = true")
    return cursor


_ENGINES: "weakref.WeakKeyDictionary[Log, Engine]" = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def engine_of(log: Log, limits: Limits) -> Engine:
    """The engine of a store, made at its first use; it goes with the log."""
    with _LOCK:
        found = _ENGINES.get(log)
        if found is None:
            found = _ENGINES[log] = Engine(limits)
        return found
