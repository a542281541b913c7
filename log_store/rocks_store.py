"""RocksDB behind a few verbs. The only module that knows rocksdict, so that it can be replaced.

What rocksdict 0.3 does that a caller must not meet, each shown by a test:
- its iterators end silently at a damaged block: a scan asks for the status where it ended;
- a ReadOptions dropped before its iterator leaves the upper bound dangling: both live in one frame;
- its snapshots hold for `get` only: their iterators show what was written later (see `Moment`);
- iterators and snapshots keep a closed database open: none survives between two chunks of a scan,
  and `Moment.drop` ends a moment under its readers;
- it raises the bare Exception for everything: `_translated` reads the text once, here.
"""

import ctypes
import re
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, NoReturn, Protocol, Self, cast

import rocksdict

from headwater.log_store.errors import DirectoryInUse, LogDamaged, LogError, StoreUnavailable
from headwater.log_store.rocks_keys import FAMILIES

Pair = tuple[bytes, bytes]

_FILE = re.compile(r"[^\s:]*?((?:\d{6,}\.(?:sst|log))|MANIFEST-\d+|CURRENT)\b")
CLOSED: Final = "the store is closed: connect again"
# Families whose keys are overwritten; of these, the one that is scanned.
_POINT_IN_TIME: Final = ("cur", "pk", "watermarks")
_SCANNED: Final = "cur"
_POINT_FAMILIES: Final = frozenset({"cur", "pk"})
_BIG_FAMILIES: Final = frozenset({"log", "cur", "pk"})
_CHUNK_BYTES: Final = 4 << 20
_CHUNK_ROWS: Final = 8192


class Access(Enum):
    """How a store is opened."""

    WRITE = "write"
    SECONDARY = "secondary"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Sizes in bytes. `write_buffer` is what each large family gathers before it writes a file;
    all families together hold at most three of them."""

    write_buffer: int = 64 << 20
    block_cache: int = 64 << 20
    wal_limit: int = 256 << 20


class _Unlogged(Protocol):
    disable_wal: bool


def _translated(error: Exception, what: str) -> LogError:
    text = str(error)
    if isinstance(error, rocksdict.DbClosedError):
        return StoreUnavailable(CLOSED)
    if "LOCK" in text:
        return DirectoryInUse(what, pid=None, host=None)
    found = _FILE.search(text)
    damaged = "Corruption" in text or "checksum" in text or "No such file" in text
    if damaged:
        return LogDamaged(found[1] if found else what, text)
    return StoreUnavailable(f"{what}: {text}")


def _raise(error: Exception, what: str) -> NoReturn:
    raise _translated(error, what) from error


class WriteBatch:
    """Puts and deletes over all families; lands whole or not at all. Written once."""

    __slots__ = ("delete_in", "handles", "put_in", "rocks")

    def __init__(self, handles: Mapping[str, rocksdict.ColumnFamily]) -> None:
        self.handles: Final = handles
        """What `put_in` and `delete_in` name the families by."""
        self.rocks: Final = rocksdict.WriteBatch(raw_mode=True)
        """What the store writes."""
        # The driver's own bound methods, for loops over many rows: (key, value, handle).
        self.put_in = self.rocks.put
        self.delete_in = self.rocks.delete

    def put(self, family: str, key: bytes, value: bytes) -> None:
        """Set one key."""
        self.put_in(key, value, self.handles[family])

    def delete(self, family: str, key: bytes) -> None:
        """Remove one key, if it is there."""
        self.delete_in(key, self.handles[family])

    def delete_range(self, family: str, start: bytes, end: bytes) -> None:
        """Remove the keys of [start, end)."""
        self.rocks.delete_range(start, end, self.handles[family])

    def __len__(self) -> int:
        return len(self.rocks)

    @property
    def byte_size(self) -> int:
        """Bytes gathered so far."""
        return self.rocks.size_in_bytes()


class Moment:
    """The store as it was when this was taken, until dropped.

    Values are read as they were then, in every family. Of scans only those of `cur` are: the
    driver's snapshots do not hold for iterators, so one iterator is made together with them. All
    other families are only ever added to, and their readers stop at the place they know.

    The driver takes one snapshot per family, so nothing may be written while a moment is taken.
    """

    __slots__ = ("__weakref__", "_cursor", "_lock", "_number", "_snapshots", "_store")

    def __init__(self, store: "Store", cur: rocksdict.Rdict, *others: rocksdict.Rdict) -> None:
        self._store: Store | None = store
        pk, watermarks = others
        # One for each of _POINT_IN_TIME; made at every commit, so without a loop.
        self._snapshots = {
            "cur": cur.snapshot(),
            "pk": pk.snapshot(),
            "watermarks": watermarks.snapshot(),
        }
        self._cursor: rocksdict.RdictIter | None = cur.iter()
        self._number = store.last_write()
        self._lock = threading.Lock()

    def get(self, family: str, key: bytes) -> bytes | None:
        """One value, None where there is none."""
        found = self._snapshots.get(family)
        if found is None:
            return self._open().get(family, key)
        try:
            return cast(bytes, found[key])
        except Exception as error:  # noqa: BLE001 - the driver raises the bare class, for a miss too
            if str(error) == "key not found":
                return None
            _raise(error, family)

    def chunks(self, family: str, start: bytes, end: bytes) -> Iterator[list[Pair]]:
        """The pairs of [start, end), some thousands or some megabytes at a time."""
        if family != _SCANNED:
            return self._open().chunks(family, start, end)
        return _chunks(self._cut, start, end)

    def _cut(self, start: bytes, end: bytes) -> list[Pair]:
        """A chunk of `cur`: fast if nothing was written since, else by the iterator made then."""
        store = self._open()
        chunk = store.chunk(_SCANNED, start, end)
        if store.last_write() == self._number:
            return chunk
        with self._lock:
            if self._cursor is None:
                raise StoreUnavailable(CLOSED)
            return _chunk_by(self._cursor, start, end)

    def last(self, family: str, start: bytes, upto: bytes) -> Pair | None:
        """The last pair of [start, upto], which may be newer than this moment."""
        return self._open().last(family, start, upto)

    def _open(self) -> "Store":
        if self._store is None:
            raise StoreUnavailable(CLOSED)
        return self._store

    def drop(self) -> None:
        """Let go of the snapshots; later reads raise StoreUnavailable."""
        with self._lock:
            self._store = self._cursor = None
            self._snapshots = {}


class Store:
    """One RocksDB directory with the families of `rocks_keys.FAMILIES`, until `close`.

    Raises:
        LogDamaged: files are damaged or missing, named where the driver names them.
        StoreUnavailable: it cannot be opened otherwise.
    """

    def __init__(
        self,
        path: Path,
        settings: StoreSettings,
        access: Access = Access.WRITE,
        secondary_path: Path | None = None,
    ) -> None:
        cache = rocksdict.Cache(settings.block_cache)
        families = {name: _options(settings, cache, name) for name in FAMILIES}
        how = (
            rocksdict.AccessType.secondary(str(secondary_path))
            if access is Access.SECONDARY
            else rocksdict.AccessType.read_write()
        )
        self._path = path
        try:
            self._db = rocksdict.Rdict(str(path), _options(settings, cache, ""), families, how)
            self._families = {name: self._db.get_column_family(name) for name in FAMILIES}
            self.handles = {name: self._db.get_column_family_handle(name) for name in FAMILIES}
        except Exception as error:  # noqa: BLE001 - the driver raises the bare class
            _raise(error, str(path))
        self._in_time = tuple(self._families[name] for name in _POINT_IN_TIME)
        self._unsynced = rocksdict.WriteOptions()
        self._unsynced.sync = False
        self._how = self._unsynced

    def get(self, family: str, key: bytes) -> bytes | None:
        """One value as written last, None where there is none."""
        try:
            return cast(bytes | None, self._family(family).get(key))
        except Exception as error:  # noqa: BLE001 - the driver raises the bare class
            _raise(error, family)

    def get_many(self, family: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values as written last, in the order asked."""
        try:
            return cast(list[bytes | None], self._family(family).get(list(keys)))
        except Exception as error:  # noqa: BLE001 - the driver raises the bare class
            _raise(error, family)

    def chunks(self, family: str, start: bytes, end: bytes) -> Iterator[list[Pair]]:
        """The pairs of [start, end) as written last, some thousands or megabytes at a time."""
        return _chunks(lambda a, b: self.chunk(family, a, b), start, end)

    def chunk(self, family: str, start: bytes, end: bytes) -> list[Pair]:
        """The first pairs of [start, end); fewer than a full chunk only where they end."""
        return _chunk(self._family(family), family, start, end)

    def last(self, family: str, start: bytes, upto: bytes) -> Pair | None:
        """The last pair of [start, upto]."""
        return _last(self._family(family), family, start, upto)

    def _family(self, family: str) -> rocksdict.Rdict:
        found = self._families.get(family)
        if found is None:
            raise StoreUnavailable(CLOSED)
        return found

    def batch(self) -> WriteBatch:
        """An empty batch."""
        return WriteBatch(self.handles)

    def write(self, batch: WriteBatch) -> None:
        """Append a batch to the write-ahead log and make it readable; does not wait for the disk.

        Raises:
            StoreUnavailable: it may or may not be there after reopening.
        """
        try:
            self._db.write(batch.rocks, self._how)
        except Exception as error:  # noqa: BLE001 - the driver raises the bare class
            _raise(error, "write")

    @property
    def logged(self) -> bool:
        """Whether what is written survives the end of the process."""
        return self._how is self._unsynced

    @contextmanager
    def unlogged(self) -> Generator[None]:
        """Writes inside leave out the write-ahead log: all of them are in files afterwards.

        Until then the end of the process loses any of them, later ones before earlier ones or not.
        """
        self._how = rocksdict.WriteOptions()
        # Declared as a method by the driver; it is an attribute.
        cast(_Unlogged, self._how).disable_wal = True
        try:
            yield
        finally:
            self._how = self._unsynced
            self.flush()

    def sync(self) -> None:
        """Wait until all that was written is on disk; other threads run meanwhile.

        Raises:
            StoreUnavailable: what was written since the last one may be lost.
        """
        try:
            self._db.flush_wal(True)
        except Exception as error:  # noqa: BLE001 - the driver raises the bare class
            _raise(error, "flush")

    def flush(self) -> None:
        """Write what is gathered in memory to files."""
        try:
            for family in self._families.values():
                family.flush(True)
        except Exception as error:  # noqa: BLE001 - the driver raises the bare class
            _raise(error, "flush")

    def moment(self) -> Moment:
        """All families as they are now; nothing may be written meanwhile."""
        return Moment(self, *self._in_time)

    def catch_up(self) -> None:
        """A secondary reads on in what the owner has written."""
        try:
            self._db.try_catch_up_with_primary()
        except Exception as error:  # noqa: BLE001 - the driver raises the bare class
            _raise(error, str(self._path))

    def last_write(self) -> int:
        """The driver's own number of the last write recovered or made."""
        return self._db.latest_sequence_number()

    def checkpoint(self, path: Path) -> None:
        """A copy of the store, by hard links, in a new directory."""
        try:
            rocksdict.Checkpoint(self._db).create_checkpoint(str(path))
        except Exception as error:  # noqa: BLE001 - the driver raises the bare class
            _raise(error, str(path))

    def close(self) -> None:
        """Close the files. A second call does nothing."""
        families, self._families = self._families, dict[str, rocksdict.Rdict]()
        self._in_time = ()
        # Batches share this very dict, and a handle that lives keeps the files open.
        self.handles.clear()
        for driver in (*families.values(), self._db):
            try:
                driver.close()
            except Exception:  # noqa: BLE001, S112 - the driver raises the bare class
                # Closed already, or its disk has failed, which whoever wrote was told. What was
                # flushed is there; a close that gave up here would keep the files locked.
                continue

    def abandon(self) -> None:
        """Let go without a further write: the files are somebody else's by now.

        A close would flush and remove files under the new owner. Memory and descriptors stay
        taken until this process ends.
        """
        for driver in (*self._families.values(), self._db):
            # One reference that nobody gives back: the driver closes when its object goes.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(driver))
        self._families, self._in_time = dict[str, rocksdict.Rdict](), ()
        self.handles.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _options(settings: StoreSettings, cache: rocksdict.Cache, family: str) -> rocksdict.Options:
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_compression_type(rocksdict.DBCompressionType.lz4())
    # Point in time is the driver's default; damage is found by the head marker (rocks_recover).
    options.set_wal_recovery_mode(rocksdict.DBRecoveryMode.point_in_time())
    options.set_max_total_wal_size(settings.wal_limit)
    options.set_write_buffer_size(
        settings.write_buffer if family in _BIG_FAMILIES else settings.write_buffer // 4
    )
    options.set_db_write_buffer_size(settings.write_buffer * 3)
    options.set_max_background_jobs(3)
    options.set_max_open_files(-1)  # a secondary needs the files it has seen to stay open
    options.set_bytes_per_sync(1 << 20)
    options.set_skip_stats_update_on_db_open(True)
    options.set_stats_dump_period_sec(0)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(1 << 20)
    table = rocksdict.BlockBasedOptions()
    table.set_block_cache(cache)
    if family in _POINT_FAMILIES:
        table.set_bloom_filter(10, False)
        # Most rows and keys that are looked up lie in files: without this each look would first
        # go down the whole list of what was written last.
        options.set_memtable_whole_key_filtering(True)
        options.set_memtable_prefix_bloom_ratio(0.02)
    options.set_block_based_table_factory(table)
    return options


def _chunks(
    cut: Callable[[bytes, bytes], list[Pair]], start: bytes, end: bytes
) -> Iterator[list[Pair]]:
    while True:
        chunk = cut(start, end)
        if chunk:
            yield chunk
            start = chunk[-1][0] + b"\0"
        if len(chunk) < _CHUNK_ROWS and _size_of(chunk) < _CHUNK_BYTES:
            return


def _size_of(chunk: list[Pair]) -> int:
    return sum(len(value) for _, value in chunk)


def _chunk(source: rocksdict.Rdict, family: str, start: bytes, end: bytes) -> list[Pair]:
    bounds = rocksdict.ReadOptions()
    bounds.set_iterate_upper_bound(end)
    chunk: list[Pair] = []
    size, stood = 0, -1
    try:
        while len(chunk) > stood:
            stood = len(chunk)
            # The driver types a key as all it could be; in raw mode it is bytes.
            for pair in cast(Iterator[Pair], source.items(from_key=start, read_opt=bounds)):
                chunk.append(pair)
                size += len(pair[1])
                if size >= _CHUNK_BYTES or len(chunk) >= _CHUNK_ROWS:
                    return chunk
            # `items` ends at a damaged block as if nothing followed: look there again.
            start = chunk[-1][0] + b"\0" if chunk else start
            if _ends(source.iter(bounds), start):
                return chunk
            # What follows now was added meanwhile.
    except Exception as error:  # noqa: BLE001 - the driver raises the bare class
        _raise(error, family)
    raise LogDamaged(family, f"a scan stops before key {start.hex()}")


def _ends(cursor: rocksdict.RdictIter, start: bytes) -> bool:
    """Whether nothing stands from `start` on; raises the driver's error at a damaged block."""
    try:
        cursor.seek(start)
        if cursor.valid():
            return False
        cursor.status()
        return True
    finally:
        # The frame of an error that somebody holds must not hold the files open.
        del cursor


def _chunk_by(cursor: rocksdict.RdictIter, start: bytes, end: bytes) -> list[Pair]:
    chunk: list[Pair] = []
    size = 0
    try:
        cursor.seek(start)
        while cursor.valid():
            key, value = cast(bytes, cursor.key()), cast(bytes, cursor.value())
            if key >= end:
                return chunk
            chunk.append((key, value))
            size += len(value)
            if size >= _CHUNK_BYTES or len(chunk) >= _CHUNK_ROWS:
                return chunk
            cursor.next()
        cursor.status()
    except Exception as error:  # noqa: BLE001 - the driver raises the bare class
        _raise(error, _SCANNED)
    finally:
        del cursor  # see `_ends`
    return chunk


def _last(source: rocksdict.Rdict, family: str, start: bytes, upto: bytes) -> Pair | None:
    try:
        return _before(source.iter(), start, upto)
    except Exception as error:  # noqa: BLE001 - the driver raises the bare class
        _raise(error, family)


def _before(cursor: rocksdict.RdictIter, start: bytes, upto: bytes) -> Pair | None:
    try:
        cursor.seek_for_prev(upto)
        if not cursor.valid():
            cursor.status()
            return None
        key = cast(bytes, cursor.key())
        return (key, cast(bytes, cursor.value())) if key >= start else None
    finally:
        del cursor  # see `_ends`
