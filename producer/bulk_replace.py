"""Giving many rows new values at once, key changes included, in bounded memory.

The events are the old half of every key change, then every new half, then the plain updates: so
the two halves of each pair are the same distance apart.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.log_store.changes import Columns
from headwater.log_store.records import OP_INSERT, OP_UPDATE
from headwater.producer.bulk import runs_of
from headwater.producer.keyhash import I64, U64, HashIndex, hash_keys, repeated
from headwater.producer.overlay import Overlay
from headwater.producer.runs import RowIds, Run
from headwater.producer.spool import Entry
from headwater.producer.sweep import Before, before, check_once, deletes


class _Half:
    """Segments of one kind with what is to be found in them again."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.row_ids: list[I64] = []
        self.hashes: list[U64] = []

    def add(self, entry: Entry, columns: Columns) -> None:
        self.entries.append(entry)
        self.row_ids.append(columns.row_ids)
        if columns.new_keys is not None:
            self.hashes.append(hash_keys(columns.new_keys))

    def ids(self) -> I64:
        return np.concatenate([np.empty(0, np.int64), *self.row_ids])


def replace_rows(overlay: Overlay, parts: Iterable[tuple[I64, pa.Table]]) -> int:
    """Give rows new values, whole rows of inner Arrow types; returns how many.

    Raises:
        DuplicateKey: two rows would have one key. Nothing is staged.
        RowNotFound, RowTwice: a row is not there, or given twice. Nothing is staged.
    """
    olds: list[Entry] = []
    moved, kept = _Half(), _Half()
    size = 0
    for row_ids, data in parts:
        for start, part in runs_of(data):
            was = before(overlay, row_ids[start : start + part.num_rows])
            images = overlay.codec.encode_columns(part)
            size += was.images.nbytes + images.nbytes
            _stage_part(overlay, was, images, overlay.codec.keys_columns(part), olds, moved, kept)
    changed = moved.ids()
    row_ids = np.concatenate([changed, kept.ids()])
    if not len(row_ids):
        return 0
    check_once(overlay, row_ids)
    _check_keys(overlay, moved, changed)
    pairs = len(changed)
    new = [replace(entry, pair=-pairs) for entry in moved.entries] + kept.entries
    overlay.spool.place([*(replace(entry, pair=pairs) for entry in olds), *new])
    hashes = [*moved.hashes, *kept.hashes]
    taken = HashIndex(np.concatenate(hashes)) if hashes else None
    overlay.add_run(Run.of(RowIds(0, len(row_ids), row_ids), new, taken))
    overlay.count += len(row_ids) + pairs
    overlay.byte_size += size
    return len(row_ids)


def _stage_part(
    overlay: Overlay,
    was: Before,
    images: pa.BinaryArray,
    keys: pa.BinaryArray | None,
    olds: list[Entry],
    moved: _Half,
    kept: _Half,
) -> None:
    if keys is None or was.keys is None:
        updates = np.arange(len(images))
    else:
        # The stubs say Array or ChunkedArray; of two arrays it is an array.
        differs = cast(pa.BooleanArray, pc.not_equal(was.keys, keys)).to_numpy(zero_copy_only=False)
        changes, updates = np.flatnonzero(differs), np.flatnonzero(~differs)
        if len(changes):
            at = pa.array(changes)
            seen = was.seen[changes]
            row_ids = was.row_ids[changes]
            old = Before(row_ids, was.images.take(at), was.keys.take(at), seen)
            olds.append(overlay.spool.write(deletes(old)))
            ops = np.full(len(changes), OP_INSERT, np.uint8)
            made = Columns(ops, row_ids, None, images.take(at), None, keys.take(at))
            moved.add(overlay.spool.write(made), made)
    if len(updates):
        at = pa.array(updates)
        same = None if keys is None else keys.take(at)
        ops = np.full(len(updates), OP_UPDATE, np.uint8)
        columns = Columns(
            ops,
            was.row_ids[updates],
            was.images.take(at),
            images.take(at),
            same,
            same,
            was.seen[updates],
        )
        kept.add(overlay.spool.write(columns), columns)


def _check_keys(overlay: Overlay, moved: _Half, changed: I64) -> None:
    """Refuse a key that two rows would have after the statement."""
    if not moved.entries:
        return
    leaving = RowIds(0, len(changed), changed)
    suspects = HashIndex(repeated(np.concatenate(moved.hashes)))
    seen: set[bytes] = set()
    start = 0
    for entry in moved.entries:
        segment = overlay.spool.get(entry)
        assert isinstance(segment, Columns) and segment.new_keys is not None
        keys = cast(list[bytes], segment.new_keys.to_pylist())
        for at in np.flatnonzero(suspects.contains(hash_keys(segment.new_keys))).tolist():
            if keys[at] in seen:
                raise overlay.duplicate_key(keys[at], start + at)
            seen.add(keys[at])
        for at, holder in enumerate(overlay.holders(keys)):
            if holder is not None and leaving.find(holder) is None:
                raise overlay.duplicate_key(keys[at], start + at)
        start += entry.count
