"""Giving many rows new values at once, key changes included, in bounded memory.

The events are the old half of every key change, then every new half, then the plain updates: so
the two halves of each pair are the same distance apart.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.log_store.changes import Columns
from headwater.log_store.records import OP_INSERT, OP_UPDATE
from headwater.producer.bulk import runs_of
from headwater.producer.keyhash import I64, U64, HashIndex, hash_keys, repeated
from headwater.producer.overlay import Overlay
from headwater.producer.runs import RowIds, Run
from headwater.producer.spool import Entry
from headwater.producer.sweep import Before, before, check_once, deletes, picked
from headwater.schemas.arrow import kernel

At = npt.NDArray[np.intp]


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
    replacing = _Replacing(overlay)
    for row_ids, data in parts:
        for start, part in runs_of(data):
            replacing.add(row_ids[start : start + part.num_rows], part)
    return replacing.finish()


class _Replacing:
    """One statement's updates: kept in the spool part by part, then placed and noted at once."""

    def __init__(self, overlay: Overlay) -> None:
        self._overlay = overlay
        self._olds: list[Entry] = []
        self._moved, self._kept = _Half(), _Half()
        self._size = 0

    def add(self, row_ids: I64, data: pa.Table) -> None:
        overlay = self._overlay
        was = before(overlay, row_ids)
        images, keys = overlay.codec.encode_columns(data), overlay.codec.keys_columns(data)
        self._size += was.images.nbytes + images.nbytes
        if keys is None or was.keys is None:
            self._keep(was, images, None, np.arange(len(images)))
            return
        differs = kernel("not_equal", was.keys, keys).to_numpy(zero_copy_only=False)
        self._move(was, images, keys, np.flatnonzero(differs))
        self._keep(was, images, keys, np.flatnonzero(~differs))

    def _move(self, was: Before, images: pa.BinaryArray, keys: pa.BinaryArray, at: At) -> None:
        """The rows that change their key."""
        if len(at):
            spool = self._overlay.spool
            old, places = picked(was, at), pa.array(at, pa.int64())
            self._olds.append(spool.write(deletes(old)))
            ops = np.full(len(at), OP_INSERT, np.uint8)
            new = keys.take(places)
            made = Columns(ops, old.row_ids, None, images.take(places), None, new)
            self._moved.add(spool.write(made), made)

    def _keep(
        self, was: Before, images: pa.BinaryArray, keys: pa.BinaryArray | None, at: At
    ) -> None:
        """The rows that keep their key, or have none."""
        if len(at):
            old, places = picked(was, at), pa.array(at, pa.int64())
            ops = np.full(len(at), OP_UPDATE, np.uint8)
            same = None if keys is None else old.keys
            new = images.take(places)
            made = Columns(ops, old.row_ids, old.images, new, same, same, old.seen)
            self._kept.add(self._overlay.spool.write(made), made)

    def finish(self) -> int:
        overlay, moved, kept = self._overlay, self._moved, self._kept
        changed = moved.ids()
        row_ids = np.concatenate([changed, kept.ids()])
        if not len(row_ids):
            return 0
        check_once(overlay, row_ids)
        _check_keys(overlay, moved, changed)
        pairs = len(changed)
        new = [replace(entry, pair=-pairs) for entry in moved.entries] + kept.entries
        overlay.spool.place([*(replace(entry, pair=pairs) for entry in self._olds), *new])
        hashes = [*moved.hashes, *kept.hashes]
        taken = HashIndex(np.concatenate(hashes)) if hashes else None
        overlay.add_run(Run.of(RowIds(0, len(row_ids), row_ids), new, taken))
        overlay.count += len(row_ids) + pairs
        overlay.byte_size += self._size
        return len(row_ids)


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
