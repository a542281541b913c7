"""From a sequenced batch to keys and values: events into chunks, changes into current rows.

The same functions serve commits of one row, commits that are streamed, and recovery: state follows
from changes in statement order, where a later put or delete of a key wins.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.log_store import rocks_keys as keys
from headwater.log_store.catalog import CatalogEvent
from headwater.log_store.catalog_json import encode_object
from headwater.log_store.changes import Columns, RowChange, Rows, Segment
from headwater.log_store.encoding import (
    MAX_BLOCK,
    Autos,
    chain_commit,
    encode_audit,
    encode_commit,
    encode_one,
    encode_run,
    encode_version,
    encode_watermark,
    stamp,
    stored_prefix,
)
from headwater.log_store.records import (
    OP_DELETE,
    OP_INSERT,
    OP_SNAPSHOT,
    OP_UPDATE,
    AuditRow,
    VersionRow,
)
from headwater.log_store.rocks_store import WriteBatch
from headwater.log_store.sequencing import Encoded, Sequenced

# A chunk ends at so many bytes too: rows can be large.
CHUNK_BYTES: Final = 4 << 20


class ChunkWriter:
    """Cuts the events of one version into chunks of the log, in order."""

    __slots__ = ("_held", "_held_bytes", "_schema_id", "count")

    def __init__(self, schema_id: int) -> None:
        self._schema_id = schema_id
        self._held: list[bytes] = []
        self._held_bytes = 0
        self.count = 0

    def add(self, encoded: Encoded) -> Iterator[bytes]:
        """Take a run of events; yields the chunks that are full."""
        if encoded.messages is not None:
            for message in encoded.messages:
                self._held.append(message)
                self._held_bytes += len(message)
                if len(self._held) == MAX_BLOCK or self._held_bytes >= CHUNK_BYTES:
                    yield self._cut()
            return
        if self._held:
            yield self._cut()
        offsets, data = encoded.run()
        start, count = 0, len(offsets) - 1
        while start < count:
            limit = int(offsets[start]) + CHUNK_BYTES
            full = int(np.searchsorted(offsets, limit, "right")) - 1
            end = min(max(full, start + 1), start + MAX_BLOCK, count)
            self.count += 1
            yield encode_run(self._schema_id, offsets[start : end + 1], data)
            start = end

    def finish(self) -> Iterator[bytes]:
        """The last chunk, if events are left over."""
        if self._held:
            yield self._cut()

    def _cut(self) -> bytes:
        held, self._held, self._held_bytes = self._held, [], 0
        self.count += 1
        if len(held) == 1:
            return encode_one(self._schema_id, held[0])
        offsets = np.zeros(len(held) + 1, np.int64)
        np.cumsum([len(message) for message in held], out=offsets[1:])
        return encode_run(self._schema_id, offsets, b"".join(held))


def put_table(batch: WriteBatch, sequenced: Sequenced, table: int) -> VersionRow:
    """The events and current rows of one table; returns the version they make."""
    assembly = sequenced.assemblies[table]
    version, schema_id = assembly.version, assembly.schema_id
    only = assembly.only()
    if only is not None:
        change, message = only
        chunk = encode_one(schema_id, message)
        batch.put_in(keys.chunk_key(table, version, 0), chunk, batch.handles["log"])
        _put_rows(batch, table, stored_prefix(version, schema_id), (change,))
        return assembly.version_row()
    chunks = ChunkWriter(schema_id)
    for encoded in assembly:
        for chunk in chunks.add(encoded):
            batch.put("log", keys.chunk_key(table, version, chunks.count - 1), chunk)
        put_state(batch, table, stored_prefix(version, schema_id), encoded.segment)
    for chunk in chunks.finish():
        batch.put("log", keys.chunk_key(table, version, chunks.count - 1), chunk)
    return assembly.version_row(chunks.count)


def put_commit(
    batch: WriteBatch,
    sequenced: Sequenced,
    events: Sequence[CatalogEvent],
    made: Sequence[VersionRow],
    chain: bytes,
) -> bytes:
    """All of a commit that is not its events and rows; returns the chain's next digest.

    `made` are the versions it made, in the order of its tables; `chain` is the digest before it.
    """
    row, put = sequenced.row, batch.put_in
    sequence = row.sequence
    covered: list[bytes] = []
    of = batch.handles["versions"]
    for version in sequenced.created:
        put(keys.version_key(version.table, version.version), encode_version(version), of)
    autos: dict[int, Autos] = {}
    for version in made:
        put(keys.version_key(version.table, version.version), encode_version(version), of)
        covered.append(version.digest)
        autos[version.table] = version.autos
    if events:
        covered += _put_events(batch, sequence, row.time_us, events)
    if sequenced.audit:
        covered += _put_audit(batch, sequence, sequenced.audit)
    for mark in sequenced.watermarks:
        batch.put("watermarks", keys.mark_key(mark.consumer), encode_watermark(mark))
        batch.put("watermarks", keys.move_key(mark.consumer, sequence), b"")
    value = encode_commit(row, autos)
    digest = chain_commit(chain, sequence, value, covered)
    place, of = keys.number(sequence), batch.handles["commits"]
    put(keys.commit_key(sequence), value + digest, of)
    put(keys.commit_id_key(row.commit_id), place, of)
    if row.idempotency is not None:
        put(keys.idempotency_key(row.idempotency.key), place, of)
    return digest


def _put_events(
    batch: WriteBatch, sequence: int, time_us: int, events: Sequence[CatalogEvent]
) -> list[bytes]:
    values = [stamp(time_us, encode_object(event.value)) for event in events]
    for ordinal, value in enumerate(values):
        batch.put("catalog", keys.ordinal_key(sequence, ordinal), value)
    return values


def _put_audit(batch: WriteBatch, sequence: int, rows: Sequence[AuditRow]) -> list[bytes]:
    values = [encode_audit(row) for row in rows]
    for ordinal, value in enumerate(values):
        batch.put("audit", keys.ordinal_key(sequence, ordinal), value)
    return values


def put_state(batch: WriteBatch, table: int, prefix: bytes, segment: Segment) -> None:
    """Current rows and keys after a run of changes; `prefix` stands before each image."""
    match segment:
        case Rows(changes):
            _put_rows(batch, table, prefix, changes)
        case Columns():
            if bool(((segment.ops == OP_INSERT) | (segment.ops == OP_SNAPSHOT)).all()):
                _put_inserts(batch, table, prefix, segment)
            else:
                _put_rows(batch, table, prefix, _row_by_row(segment))


def _put_rows(
    batch: WriteBatch, table: int, prefix: bytes, changes: Sequence[RowChange] | Iterator[RowChange]
) -> None:
    put, delete = batch.put_in, batch.delete_in
    cur, pk = batch.handles["cur"], batch.handles["pk"]
    row_key, number, of_table = keys.row_key, keys.number, keys.table_prefix(table)
    for op, row_id, _, after, old_key, new_key, _, _ in changes:
        if op == OP_DELETE:
            delete(row_key(table, row_id), cur)
            if old_key:
                delete(of_table + old_key, pk)
        elif after is not None:
            put(row_key(table, row_id), prefix + after, cur)
            # An update keeps its key.
            if new_key and op != OP_UPDATE:
                put(of_table + new_key, number(row_id), pk)


def _put_inserts(batch: WriteBatch, table: int, prefix: bytes, segment: Columns) -> None:
    put, cur, pk = batch.put_in, batch.handles["cur"], batch.handles["pk"]
    row_keys = keys.row_keys(table, segment.row_ids)
    images = values_of(segment.after, len(segment))
    for key, image in zip(row_keys, images, strict=True):
        put(key, prefix + (image or b""), cur)
    if segment.new_keys is None:
        return
    of_table = keys.table_prefix(table)
    numbers = [key[4:] for key in row_keys]
    for new_key, place in zip(values_of(segment.new_keys, len(segment)), numbers, strict=True):
        if new_key:
            put(of_table + new_key, place, pk)


def _row_by_row(segment: Columns) -> Iterator[RowChange]:
    count = len(segment)
    after = values_of(segment.after, count)
    old_keys, new_keys = values_of(segment.old_keys, count), values_of(segment.new_keys, count)
    ops: npt.NDArray[np.uint8] = segment.ops
    for op, row_id, image, old_key, new_key in zip(
        ops.tolist(), segment.row_ids.tolist(), after, old_keys, new_keys, strict=True
    ):
        yield RowChange(op, row_id, None, image, old_key or b"", new_key or b"")


def values_of(column: pa.BinaryArray | None, count: int) -> list[bytes | None]:
    """The values of a column that may be absent."""
    return [None] * count if column is None else column.to_pylist()
