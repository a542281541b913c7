"""Commits too large for one batch: staged in pieces, published by one small batch.

    1  meta "staging" names the commit and the versions to be          (dropped if cut off here)
    2  events go to their places in the log, above every head, where no reader looks
    3  one batch: the commit, its versions, "redo" in place of "staging"; flushed
    4  current rows and keys follow, piece by piece                    (finished if cut off here)
    5  "redo" goes, and only then the head moves

Steps 2 and 4 hold a few megabytes at a time. Step 4 leads to the same rows however often and from
wherever it is repeated, since each key ends as its last change left it.

    staging, redo := sequence:u64 (table:u32 version:u64)*
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import pyarrow as pa

from headwater.log_store import rocks_keys as keys
from headwater.log_store.catalog import Catalog
from headwater.log_store.changes import Columns, Segment
from headwater.log_store.encoding import EncodingNotKnown, decode_block, stored_prefix
from headwater.log_store.errors import LogDamaged, StoreUnavailable
from headwater.log_store.failpoints import failpoint
from headwater.log_store.port import Batch
from headwater.log_store.records import Block, VersionRow
from headwater.log_store.rocks_state import LiveState, load_catalog
from headwater.log_store.rocks_store import Store, WriteBatch
from headwater.log_store.rocks_write import ChunkWriter, put_commit, put_state
from headwater.log_store.sequencing import Encoded, Sequenced
from headwater.schemas.errors import EventUnreadable
from headwater.schemas.events import event_images
from headwater.schemas.tables import TableSchema

PIECE_BYTES: Final = 4 << 20
# Rows of a segment that are written to `cur` and `pk` at a time.
PIECE_ROWS: Final = 32_768
Each = Callable[[int, Encoded], None]  # a table, and a run of its events
_SEQUENCE = struct.Struct(">Q")
_VERSION = struct.Struct(">IQ")


class LeftBehind(StoreUnavailable):
    """Staged events could not be taken back: this log object must not write any more."""


class LargeCommits:
    """Writes large commits for the committer, which owns the store meanwhile."""

    def __init__(self, store: Store, live: LiveState) -> None:
        self._store, self._live = store, live

    def stage(self, sequenced: Sequenced, each: Each | None = None) -> list[VersionRow]:
        """Write all events where nobody sees them yet; returns the versions they will make.

        `each` meets every run of events on its way.

        Raises:
            LeftBehind: it failed and could not be taken back.
            Exception: it failed, whatever the reason, and nothing is left of it.
        """
        versions = {table: a.version for table, a in sequenced.assemblies.items()}
        mark_staging(self._store, sequenced.row.sequence, versions)
        try:
            made = [self._stage_table(sequenced, table, each) for table in sequenced.assemblies]
            failpoint("large.staged")
        except BaseException:
            try:
                drop_staged(self._store)
            except StoreUnavailable as error:
                raise LeftBehind(str(error)) from error
            raise
        return made

    def _stage_table(self, sequenced: Sequenced, table: int, each: Each | None) -> VersionRow:
        assembly = sequenced.assemblies[table]
        chunks = ChunkWriter(assembly.schema_id)
        pieces = Pieces(self._store)

        def put(values: Iterable[bytes]) -> None:
            for value in values:
                key = keys.chunk_key(table, assembly.version, chunks.count - 1)
                pieces.batch.put("log", key, value)
                pieces.turn()

        for encoded in assembly:
            if each is not None:
                each(table, encoded)
            put(chunks.add(encoded))
        put(chunks.finish())
        pieces.finish()
        return assembly.version_row(chunks.count)

    def publish(self, batch: Batch, sequenced: Sequenced, made: list[VersionRow]) -> bytes:
        """Make the staged events a commit and let current rows follow; returns its chain digest.

        Raises:
            StoreUnavailable: the commit may or may not be there after reopening.
        """
        rocks, chain = self.prepare(batch, sequenced, made)
        self.finish(rocks, batch, made)
        return chain

    def prepare(
        self, batch: Batch, sequenced: Sequenced, made: list[VersionRow]
    ) -> tuple[WriteBatch, bytes]:
        """What makes the staged events a commit, not yet written, and its chain digest."""
        versions = {row.table: row.version for row in made}
        rocks = self._store.batch()
        chain = put_commit(rocks, sequenced, batch.catalog, made, self._live.chain)
        put_redo(rocks, sequenced.row.sequence, versions)
        return rocks, chain

    def finish(self, rocks: WriteBatch, batch: Batch, made: list[VersionRow]) -> None:
        """Write what `prepare` made, and let current rows follow.

        Raises:
            StoreUnavailable: the commit may or may not be there after reopening.
        """
        self._store.write(rocks)
        self._store.sync()
        failpoint("large.published")
        for row in made:
            prefix = stored_prefix(row.version, row.schema_id)
            apply(self._store, row.table, prefix, batch.tables[row.table])
        failpoint("large.redone")
        forget_redo(self._store, made[0].sequence)

    def settle_leftovers(self) -> None:
        """Drop what was staged and never published; finish what was published."""
        settle_leftovers(self._store)


def mark_staging(store: Store, sequence: int, versions: Mapping[int, int]) -> None:
    """Name the versions whose events are written from here on without being published."""
    batch = store.batch()
    batch.put("meta", keys.META_STAGING, _pack(sequence, versions))
    store.write(batch)


def put_redo(batch: WriteBatch, sequence: int, versions: Mapping[int, int]) -> None:
    """Publish what was staged; its current rows are to follow."""
    batch.delete("meta", keys.META_STAGING)
    batch.put("meta", keys.META_REDO, _pack(sequence, versions))


class Pieces:
    """Writes batches of a bounded size one after the other."""

    def __init__(self, store: Store, passed: str = "") -> None:
        self._store, self._passed = store, passed
        self.batch: WriteBatch = store.batch()

    def turn(self) -> None:
        if self.batch.byte_size >= PIECE_BYTES:
            self.finish()
            self.batch = self._store.batch()

    def finish(self) -> None:
        if len(self.batch):
            self._store.write(self.batch)
            if self._passed:
                failpoint(self._passed)


def apply(store: Store, table: int, prefix: bytes, segments: Iterable[Segment]) -> None:
    """Current rows and keys after a run of changes, in pieces; can be repeated."""
    pieces = Pieces(store, "large.mid_redo")
    for segment in segments:
        for part in _parts(segment):
            put_state(pieces.batch, table, prefix, part)
            pieces.turn()
    pieces.finish()


def _parts(segment: Segment) -> Iterator[Segment]:
    if not isinstance(segment, Columns) or len(segment) <= PIECE_ROWS:
        yield segment
        return
    for start in range(0, len(segment), PIECE_ROWS):
        end = min(start + PIECE_ROWS, len(segment))
        yield Columns(
            segment.ops[start:end],
            segment.row_ids[start:end],
            None,
            _slice(segment.after, start, end),
            _slice(segment.old_keys, start, end),
            _slice(segment.new_keys, start, end),
        )


def _slice(column: pa.BinaryArray | None, start: int, end: int) -> pa.BinaryArray | None:
    return None if column is None else column.slice(start, end - start)


def settle_leftovers(store: Store, *, redone: str = "") -> None:
    """Drop what was staged and never published; finish what was published. Can be repeated.

    Raises:
        LogDamaged: the events of a published commit are not all there.
    """
    drop_staged(store)
    value = store.get("meta", keys.META_REDO)
    if value is None:
        return
    sequence, versions = _unpack(value)
    catalog = load_catalog(store, sequence)
    for table, version in versions.items():
        redo(store, catalog, table, version)
    if redone:
        failpoint(redone)
    forget_redo(store, sequence)


def redo(store: Store, catalog: Catalog, table: int, version: int) -> None:
    """Write the current rows and keys of one version from its events. Raises LogDamaged."""
    start, end = keys.chunk_key(table, version, 0), keys.chunk_key(table, version + 1, 0)
    found = catalog.table(table)
    for pairs in store.chunks("log", start, end):
        for _, value in pairs:
            block = read_block(table, version, value)
            schema = found.schema_of(block.schema_id)
            prefix = stored_prefix(version, block.schema_id)
            apply(store, table, prefix, [changes_of(schema, block)])


def read_block(table: int, version: int, value: bytes) -> Block:
    """A chunk of the log out of its bytes. Raises LogDamaged for bytes that are none."""
    try:
        return decode_block(version, value)
    except EncodingNotKnown as error:
        raise LogDamaged(f"version {version} of table {table}", str(error)) from error


def changes_of(schema: TableSchema, block: Block, *, before: bool = False) -> Columns:
    """The changes in a block of the log, as they were given to the commit.

    Images before are left out unless asked for: current rows follow without them.

    Raises:
        LogDamaged: a message is no event of this schema.
    """
    try:
        events = event_images(schema, block.data, block.offsets)
    except EventUnreadable as error:
        raise LogDamaged(f"version {block.version}", str(error)) from error
    return Columns(
        events.ops,
        events.row_ids,
        events.before if before else None,
        events.after,
        events.old_keys,
        events.new_keys,
        pairs=events.pair_seqs,
    )


def drop_staged(store: Store) -> None:
    """Take back events that were staged and never published. Can be repeated."""
    value = store.get("meta", keys.META_STAGING)
    if value is None:
        return
    batch = store.batch()
    for table, version in _unpack(value)[1].items():
        start = keys.chunk_key(table, version, 0)
        batch.delete_range("log", start, keys.chunk_key(table, version + 1, 0))
    batch.delete("meta", keys.META_STAGING)
    store.write(batch)


def forget_redo(store: Store, sequence: int) -> None:
    """Note that the current rows of a published commit are all there."""
    batch = store.batch()
    batch.delete("meta", keys.META_REDO)
    # So large a commit is not read again at each open.
    batch.put("meta", keys.META_CHECKED, keys.number(sequence))
    store.write(batch)


def _pack(sequence: int, versions: Mapping[int, int]) -> bytes:
    return _SEQUENCE.pack(sequence) + b"".join(_VERSION.pack(*v) for v in versions.items())


def _unpack(value: bytes) -> tuple[int, dict[int, int]]:
    sequence = int(_SEQUENCE.unpack_from(value)[0])
    return sequence, {int(t): int(v) for t, v in _VERSION.iter_unpack(value[_SEQUENCE.size :])}
