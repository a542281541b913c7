"""What follows from the log, built again from it: to compare with what is stored, or to replace it.

Truth is what `log`, `commits`, `catalog` and `audit` hold. All of `versions`, `cur`, `pk` and
`watermarks`, and the indexes in `commits`, are made again from them into a scratch store, version
by version, with the functions that a commit uses; memory does not grow with the tables.
"""

import shutil
import tempfile
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Final

import numpy as np

from headwater.log_store import rocks_keys as keys
from headwater.log_store.catalog import Catalog, TableObject
from headwater.log_store.chain import ChainDigest
from headwater.log_store.changes import Columns
from headwater.log_store.encoding import (
    CommitExtras,
    decode_commit,
    encode_version,
    encode_watermark,
    stored_prefix,
)
from headwater.log_store.records import (
    OP_DELETE,
    OP_UPDATE,
    CommitRow,
    Counts,
    VersionRow,
    Watermark,
)
from headwater.log_store.rocks_anchor import base_rows, read_anchor
from headwater.log_store.rocks_large import apply, changes_of, read_block
from headwater.log_store.rocks_state import (
    Source,
    catalog_events,
    last_commit,
    load_catalog,
)
from headwater.log_store.rocks_store import Pair, Store, StoreSettings
from headwater.log_store.rocks_verify import verify_commits
from headwater.log_store.sequencing import first_version
from headwater.schemas.events import as_offsets
from headwater.schemas.images import codec

# Families that follow from the others, with the keys of each that do.
DERIVED: Final = (
    ("versions", b"", b"\xff" * 13),
    ("cur", b"", b"\xff" * 13),
    ("pk", b"", b"\xff" * 64),
    ("watermarks", b"", b"\xff"),
    ("commits", keys.COMMITS_UPTO, b"\xff"),
)
_SCRATCH = StoreSettings(write_buffer=16 << 20, block_cache=8 << 20)


def differences(source: Source, sequence: int, limit: int = 20) -> list[str]:
    """Where the derived families differ from the log up to a commit, in words; at most `limit`.

    `source` must stand exactly at `sequence`. Needs disk for a second copy of the current rows.

    Raises:
        LogDamaged: the log itself does not hold.
    """
    scratch = Path(tempfile.mkdtemp(prefix="headwater-"))
    try:
        with Store(scratch / "store", _SCRATCH) as made:
            derive(source, made, sequence)
            found: list[str] = []
            for family, start, end in DERIVED:
                stored = _pairs(source, family, start, end)
                for line in _compare(family, stored, _pairs(made, family, start, end)):
                    found.append(line)
                    if len(found) == limit:
                        return found
            return found
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def rebuild(store: Store) -> int:
    """Write all derived families anew from the log; returns the last commit.

    The store must be closed to everybody else. Cut off, it can be started again.

    Raises:
        LogDamaged: the log itself does not hold; derived families are gone by then.
    """
    head, _, _ = last_commit(store)
    for family, start, end in DERIVED:
        # Chains are verified against the versions before they go.
        if family == "versions":
            verify_commits(store, 0, head)
        batch = store.batch()
        batch.delete_range(family, start, end)
        store.write(batch)
    derive(store, store, head)
    store.sync()
    return head


def derive(source: Source, into: Store, sequence: int) -> None:
    """Write what follows from the commits up to `sequence`. Raises LogDamaged."""
    catalog = load_catalog(source, sequence)
    heads: dict[int, VersionRow] = {}
    for place, time_us, event in catalog_events(source, sequence):
        if isinstance(event.value, TableObject) and event.value.id not in heads:
            table = event.value.id
            heads[table] = first_version(event.value, place, time_us)
            if (anchor := read_anchor(source, table)) is not None:
                heads[table] = anchor.row
                _derive_base(source, into, catalog.table(table))
            _put_version(into, heads[table])
    start, end = keys.commit_key(1), keys.commit_key(sequence + 1)
    for key, value in _pairs(source, "commits", start, end):
        row, extras = decode_commit(keys.commit_of(key), value)
        _derive_commit(into, row)
        for table_id, version in row.versions.items():
            if version <= heads[table_id].version:
                continue  # made before the anchor
            head = _derive_version(source, into, catalog, heads[table_id], row, extras)
            heads[table_id] = head
            _put_version(into, head)


def _put_version(into: Store, row: VersionRow) -> None:
    batch = into.batch()
    batch.put("versions", keys.version_key(row.table, row.version), encode_version(row))
    into.write(batch)


def _derive_base(source: Source, into: Store, table: TableObject) -> None:
    """Current rows and keys as the base says them."""
    for block in base_rows(source, table.id):
        batch = into.batch()
        for row_id, stored in zip(block.row_ids, block.stored, strict=True):
            prefix = stored_prefix(stored.version, stored.schema_id)
            batch.put("cur", keys.row_key(table.id, row_id), prefix + stored.image)
            images = codec(table.schema_of(stored.schema_id))
            if images.schema.key:
                key = keys.table_prefix(table.id) + images.key(images.decode(stored.image))
                batch.put("pk", key, keys.number(row_id))
        into.write(batch)


def _derive_commit(into: Store, row: CommitRow) -> None:
    batch = into.batch()
    place = keys.number(row.sequence)
    batch.put("commits", keys.commit_id_key(row.commit_id), place)
    if row.idempotency is not None:
        batch.put("commits", keys.idempotency_key(row.idempotency.key), place)
    for moved in row.moves:
        move = moved.move
        mark = Watermark(move.consumer, move.end, row.sequence, row.time_us, moved.target_version)
        batch.put("watermarks", keys.mark_key(move.consumer), encode_watermark(mark))
        batch.put("watermarks", keys.move_key(move.consumer, row.sequence), b"")
    into.write(batch)


def _derive_version(
    source: Source,
    into: Store,
    catalog: Catalog,
    before: VersionRow,
    row: CommitRow,
    extras: CommitExtras,
) -> VersionRow:
    """Apply the events of the next version of a table, and count them."""
    table, version = before.table, before.version + 1
    found = catalog.table(table)
    digest = ChainDigest(before.digest, table, version)
    counts, event_seq, next_row_id = before.counts, before.event_seq, before.next_row_id
    schema_id, chunks = before.schema_id, 0
    start, end = keys.chunk_key(table, version, 0), keys.chunk_key(table, version + 1, 0)
    for _, value in _pairs(source, "log", start, end):
        block = read_block(table, version, value)
        offsets = as_offsets(block.offsets, len(block.data))
        digest.add_run(offsets, block.data)
        changes = changes_of(found.schema_of(block.schema_id), block)
        apply(into, table, stored_prefix(version, block.schema_id), [changes])
        counts = _counted(counts, changes, len(block.data))
        event_seq += len(changes)
        made = (changes.ops != OP_DELETE) & (changes.ops != OP_UPDATE)
        if made.any():
            next_row_id = max(next_row_id, int(changes.row_ids[made].max()) + 1)
        schema_id, chunks = block.schema_id, chunks + 1
    return VersionRow(
        table,
        version,
        row.sequence,
        row.time_us,
        counts,
        event_seq,
        next_row_id,
        schema_id,
        digest.digest(),
        extras.autos.get(table, ()),
        chunks,
    )


def _counted(counts: Counts, changes: Columns, size: int) -> Counts:
    assert changes.pairs is not None
    single = changes.pairs == 0
    updates = changes.ops == OP_UPDATE
    deletes = changes.ops == OP_DELETE
    made = ~updates & ~deletes
    return Counts(
        counts.inserts + int(np.count_nonzero(made & single)),
        counts.updates + int(np.count_nonzero(updates | (made & ~single))),
        counts.deletes + int(np.count_nonzero(deletes & single)),
        counts.bytes + size,
    )


def _pairs(source: Source, family: str, start: bytes, end: bytes) -> Iterator[Pair]:
    for pairs in source.chunks(family, start, end):
        yield from pairs


def _compare(family: str, stored: Iterator[Pair], derived: Iterator[Pair]) -> Iterator[str]:
    """Keys that differ between two runs of rising keys."""
    for one, other in zip_longest(stored, derived):
        if one == other:
            continue
        if one is None or other is None or one[0] != other[0]:
            have, want = one[0].hex() if one else "nothing", other[0].hex() if other else "nothing"
            yield f"{family}: key {have} stands where the log says {want}"
            return
        yield f"{family}: key {one[0].hex()} holds {one[1].hex()}, the log says {other[1].hex()}"


def dump(source: Source) -> Iterator[str]:
    """Every key and value of a store as a line of text, family by family: for golden files."""
    for family in keys.FAMILIES:
        if family != "meta":
            for key, value in _pairs(source, family, b"", b"\xff" * 80):
                yield f"{family} {key.hex()} {value.hex()}"
