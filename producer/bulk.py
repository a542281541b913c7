"""Many rows at once, in Arrow from end to end and in bounded memory.

What is encoded goes to the spool run by run. Keys are looked up in the table as they come (not at
all while it is empty); duplicates within the statement are found at its end by one sort of
64-bit hashes, and only equal hashes are compared as keys.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, cast

import numpy as np
import pyarrow as pa

from headwater.log_store.changes import Columns
from headwater.log_store.records import OP_INSERT
from headwater.producer import staging
from headwater.producer.keyhash import I64, U64, HashIndex, hash_keys, repeated
from headwater.producer.overlay import Overlay
from headwater.producer.runs import RowIds, Run
from headwater.producer.spool import Entry
from headwater.producer.sweep import check_once
from headwater.schemas.arrow_plain import to_rows
from headwater.schemas.types import Row

# Rows encoded at a time; the log cuts its blocks smaller than this.
RUN_ROWS: Final = 65_536
# A statement of so few rows goes row by row: columns cost some milliseconds however few they are.
FEW: Final = 256


def runs_of(data: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """A table in parts of at most `RUN_ROWS` rows, each with its first row's number."""
    for start in range(0, data.num_rows, RUN_ROWS):
        yield start, data.slice(start, RUN_ROWS)


class BulkInsert:
    """One statement that inserts many rows: `add` as they come, then `finish`.

    Nothing is visible, nor part of the commit, before `finish`; an error leaves the overlay as it
    was. No other statement of the table comes in between.
    """

    def __init__(self, overlay: Overlay, reserve: Callable[[int], int]) -> None:
        self._overlay, self._reserve = overlay, reserve
        self._entries: list[Entry] = []
        self._hashes: list[U64] = []
        self._row_ids: list[range | I64] = []
        self._byte_size = 0
        # The only rows so far, while they are few: not encoded yet.
        self._few: pa.Table | None = None
        self.count = 0
        # The keys of an empty table cannot be taken.
        self._look_up = bool(overlay.schema.key) and _holds_rows(overlay)

    def add(self, data: pa.Table, row_ids: I64 | None = None) -> None:
        """Encode and keep some rows; inner Arrow types, columns in schema order.

        `row_ids` puts rows back under ids they had before; else they get new ones.

        Raises:
            DuplicateKey: a row of the table has such a key.
            RowExists: a row id is there already.
            ValueRefused: a value does not fit its column.
        """
        if row_ids is not None:
            check_absent(self._overlay, row_ids)
        elif not self.count and self._few is None and data.num_rows <= FEW:
            self._few = data
            return
        self._add_few()
        self._add(data, row_ids)

    def _add(self, data: pa.Table, row_ids: I64 | None = None) -> None:
        for start, part in runs_of(data):
            images = self._overlay.codec.encode_columns(part)
            keys = self._overlay.codec.keys_columns(part)
            ids = None if row_ids is None else row_ids[start : start + part.num_rows]
            self.add_images(images, keys, ids)

    def _add_few(self) -> None:
        few, self._few = self._few, None
        if few is not None:
            self._add(few)

    def add_images(
        self, images: pa.BinaryArray, keys: pa.BinaryArray | None, row_ids: I64 | None = None
    ) -> None:
        """Keep some rows that are encoded already.

        Raises:
            DuplicateKey: a row of the table has such a key.
        """
        self._add_few()
        count = len(images)
        if not count:
            return
        if keys is not None:
            if self._look_up:
                self._check_holders(keys)
            self._hashes.append(hash_keys(keys))
        if row_ids is None:
            first = self._reserve(count)
            self._note_ids(range(first, first + count))
            row_ids = np.arange(first, first + count, dtype=np.int64)
        else:
            self._note_ids(row_ids)
        if self._overlay.created:
            overlay = self._overlay
            overlay.next_row_id = max(overlay.next_row_id, int(row_ids.max()) + 1)
        ops = np.full(count, OP_INSERT, np.uint8)
        columns = Columns(ops, row_ids, None, images, None, keys)
        self._entries.append(self._overlay.spool.write(columns))
        self.count += count
        self._byte_size += images.nbytes

    def finish(self) -> int:
        """Stage what was added as one statement's inserts; returns how many rows.

        Raises:
            DuplicateKey: two of the rows have one key. Nothing is staged.
            RowTwice, RowExists: a row id is given twice, or there already. Nothing is staged.
        """
        overlay = self._overlay
        if self._few is not None:
            rows = to_rows(overlay.schema, self._few)
            first = self._reserve(len(rows)) if rows else 0
            return staging.stage(overlay, list(enumerate(rows, first)), (), ()) if rows else 0
        if not self.count:
            return 0
        taken: HashIndex | None = None
        if self._hashes:
            hashes = np.concatenate(self._hashes)
            self._hashes = []
            twice = repeated(hashes)
            if len(twice):
                self._check_twice(twice)
            taken = HashIndex(hashes)
        row_ids = self._ids()
        overlay.spool.place(self._entries)
        overlay.add_run(Run.of(row_ids, self._entries, taken))
        overlay.count += self.count
        overlay.byte_size += self._byte_size
        return self.count

    def _ids(self) -> RowIds:
        if len(self._row_ids) == 1 and isinstance(self._row_ids[0], range):
            return RowIds(self._row_ids[0].start, self.count)
        ids = np.concatenate([np.asarray(part, np.int64) for part in self._row_ids])
        check_once(self._overlay, ids)
        return RowIds(0, self.count, ids)

    def _note_ids(self, row_ids: "range | I64") -> None:
        """Keep row ids; those that go on from the last ones take no memory."""
        last = self._row_ids[-1] if self._row_ids else None
        if isinstance(row_ids, range) and isinstance(last, range) and last.stop == row_ids.start:
            self._row_ids[-1] = range(last.start, row_ids.stop)
        else:
            self._row_ids.append(row_ids)

    def _check_holders(self, keys: pa.BinaryArray) -> None:
        # The stubs type an element as optional; every row of a keyed table has its key.
        asked = cast(list[bytes], keys.to_pylist())
        for at, holder in enumerate(self._overlay.holders(asked)):
            if holder is not None:
                raise self._overlay.duplicate_key(asked[at], self.count + at)

    def _check_twice(self, hashes: U64) -> None:
        seen: set[bytes] = set()
        start = 0
        suspects = HashIndex(hashes)
        for entry in self._entries:
            segment = self._overlay.spool.get(entry)
            keys = segment.new_keys if isinstance(segment, Columns) else None
            assert keys is not None
            for at in np.flatnonzero(suspects.contains(hash_keys(keys))).tolist():
                key = keys[at].as_py()
                if key in seen:
                    raise self._overlay.duplicate_key(key, start + at)
                seen.add(key)
            start += entry.count


def insert_rows(overlay: Overlay, first: int, rows: Sequence[Row]) -> int:
    """Insert plain rows under dense row ids; returns how many.

    Raises:
        DuplicateKey: a row has such a key, or two of these have one. Nothing is staged.
    """
    inserting = BulkInsert(overlay, lambda _: first + inserting.count)
    encode, key = overlay.codec.encode, overlay.codec.key
    for start in range(0, len(rows), RUN_ROWS):
        part = rows[start : start + RUN_ROWS]
        images = pa.array([encode(row) for row in part], pa.binary())
        keyed = bool(overlay.schema.key)
        keys = pa.array([key(row) for row in part], pa.binary()) if keyed else None
        inserting.add_images(images, keys)
    return inserting.finish()


def check_absent(overlay: Overlay, row_ids: I64) -> None:
    """Refuse row ids that the table holds, before rows are put back under them.

    Raises:
        RowExists: naming the first one.
    """
    if _holds_rows(overlay):
        for start in range(0, len(row_ids), RUN_ROWS):
            staging.check_absent(overlay, row_ids[start : start + RUN_ROWS].tolist())


def _holds_rows(overlay: Overlay) -> bool:
    if overlay.rows or overlay.runs:
        return True
    return not overlay.hidden and overlay.view.row_count(overlay.table.id) > 0
