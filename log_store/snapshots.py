"""A whole table as of one version: in memory, in a bounded cache, and as it is kept in the store.

    kept batch := row_id:int64 version:int64 c<column id>:.. c<column id>:..
    metadata   := "headwater.generation" -> the number of the schema generation the columns are in

Kept snapshots are a cache: they come in the schema of their day and are read in today's.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock

import numpy as np
import pyarrow as pa

from headwater.log_store.catalog import TableObject
from headwater.log_store.errors import LogDamaged, LogError
from headwater.log_store.replay import I64
from headwater.schemas.project import project
from headwater.schemas.tables import TableSchema

Keep = Callable[[int, int, Iterator[pa.RecordBatch]], None]

_GENERATION = b"headwater.generation"
_BATCH_ROWS = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All rows of a table as of a version, in row id order, in the inner Arrow types of `schema`.

    `versions` says which version wrote each row; None where the way the snapshot was made
    does not tell. That of the head always has them.
    """

    table: int
    version: int
    schema: TableSchema
    row_ids: I64
    data: pa.Table
    versions: I64 | None

    def __len__(self) -> int:
        return len(self.row_ids)

    @property
    def nbytes(self) -> int:
        """Memory it takes, in bytes."""
        versions = 0 if self.versions is None else self.versions.nbytes
        return self.data.nbytes + self.row_ids.nbytes + versions

    def in_schema(self, schema: TableSchema) -> "Snapshot":
        """The same rows in a later generation of the table."""
        if schema.number == self.schema.number:
            return self
        data = project(self.data, self.schema, schema)
        return Snapshot(self.table, self.version, schema, self.row_ids, data, self.versions)


def no_rows(table: int, version: int, schema: TableSchema) -> Snapshot:
    """The snapshot of an empty table."""
    none = np.empty(0, dtype=np.int64)
    return Snapshot(table, version, schema, none, empty_table(schema), none)


def empty_table(schema: TableSchema) -> pa.Table:
    """No rows, with the columns of a generation in their inner types."""
    return pa.schema([(c.name, c.type.arrow) for c in schema.columns]).empty_table()


def kept_batches(snapshot: Snapshot) -> Iterator[pa.RecordBatch]:
    """A snapshot as `Log.keep_snapshot` takes it; only one that knows its rows' versions."""
    if snapshot.versions is None:
        raise ValueError("a snapshot without its rows' versions is not kept")
    names = ["row_id", "version", *(f"c{column.id}" for column in snapshot.schema.columns)]
    ids = pa.array(snapshot.row_ids, type=pa.int64())
    versions = pa.array(snapshot.versions, type=pa.int64())
    metadata = {_GENERATION: str(snapshot.schema.number).encode()}
    table = pa.table([ids, versions, *snapshot.data.columns], names=names, metadata=metadata)
    for start, end in pairwise(_cuts(snapshot.row_ids)):
        yield from table.slice(start, end - start).combine_chunks().to_batches()


def _cuts(row_ids: I64) -> list[int]:
    """Where to cut rising row ids into batches, first and last place included.

    The cuts are at multiples of one power of two, so that the batches of a later snapshot are
    the same bytes wherever no row has changed.
    """
    if not len(row_ids):
        return [0, 0]
    last = int(row_ids[-1])
    step = _BATCH_ROWS << max(0, (last // len(row_ids)).bit_length() - 1)
    bounds = np.searchsorted(row_ids, np.arange(step, last + 1, step))
    return sorted({0, *bounds.tolist(), len(row_ids)})


def kept_snapshot(of: TableObject, version: int, batches: Iterable[pa.RecordBatch]) -> Snapshot:
    """A snapshot from the batches it was kept as, in the table's current schema.

    Raises:
        LogDamaged: the batches are not those of a kept snapshot of this table.
    """
    parts = list(batches)
    if not parts:
        return no_rows(of.id, version, of.schema)
    where = f"kept snapshot of table {of.id} at version {version}"
    table = pa.Table.from_batches(parts).combine_chunks()
    number = (table.schema.metadata or {}).get(_GENERATION, b"").decode()
    written = next((g for g in of.generations if str(g.number) == number), None)
    if written is None:
        raise LogDamaged(where, f"no schema generation {number!r}")
    names = ["row_id", "version", *(f"c{column.id}" for column in written.columns)]
    if table.schema.names != names:
        raise LogDamaged(where, "its columns are not those of its generation")
    data = table.drop_columns(["row_id", "version"]).rename_columns(written.names)
    return Snapshot(
        of.id,
        version,
        written,
        table.column("row_id").to_numpy(),
        data.replace_schema_metadata(None),
        table.column("version").to_numpy(),
    ).in_schema(of.schema)


class SnapshotCache:
    """Snapshots of one log by table and version, the least recently used dropped first.

    Versions never change once published, so nothing is ever invalidated. Safe between threads.
    With `keep` (a log's `keep_snapshot`), snapshots that took a long replay are handed to it too.
    """

    def __init__(self, limit_bytes: int = 256 << 20, keep: Keep | None = None) -> None:
        self._limit = limit_bytes
        self._keep = keep
        self._held: OrderedDict[tuple[int, int, int], Snapshot] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    @property
    def nbytes(self) -> int:
        """Memory that the snapshots held now take."""
        return self._bytes

    def get(self, table: int, version: int, schema: TableSchema) -> Snapshot | None:
        """The snapshot in exactly that generation, None if it is not held."""
        with self._lock:
            key = (table, version, schema.number)
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
            return found

    def near(self, table: int, schema: TableSchema) -> list[Snapshot]:
        """All held snapshots of a table that can be shown in that generation."""
        with self._lock:
            return [s for s in self._held.values() if _shows(s, table, schema)]

    def put(self, snapshot: Snapshot) -> None:
        """Hold a snapshot; one that is larger than the whole cache is let go at once."""
        key = (snapshot.table, snapshot.version, snapshot.schema.number)
        with self._lock:
            old = self._held.pop(key, None)
            self._bytes -= 0 if old is None else old.nbytes
            if snapshot.nbytes > self._limit:
                return
            self._held[key] = snapshot
            self._bytes += snapshot.nbytes
            while self._bytes > self._limit:
                self._bytes -= self._held.popitem(last=False)[1].nbytes

    def keep(self, snapshot: Snapshot) -> None:
        """Have the log keep a snapshot, if this cache was given a log.

        A full disk or a closed store is no reason to fail the read that this comes from: then
        nothing is kept, and whoever writes next hears of it.
        """
        if self._keep is not None and snapshot.versions is not None:
            with suppress(LogError):
                self._keep(snapshot.table, snapshot.version, kept_batches(snapshot))


def _shows(snapshot: Snapshot, table: int, schema: TableSchema) -> bool:
    return snapshot.table == table and snapshot.schema.number <= schema.number
