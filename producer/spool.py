"""The changes a transaction has staged for one table: in memory, or beyond that on disk.

Bulk runs go to one unnamed temporary file once they pass `IN_MEMORY` bytes, each as one Arrow
record batch, so that a commit of any size holds little memory. What a statement added can be
dropped again; its bytes in the file are then just never read.
"""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.log_store.changes import Columns, RowChange, Rows, Segment
from headwater.log_store.errors import StoreUnavailable

IN_MEMORY: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One segment: held in memory, or `size` bytes at `start` of the file.

    `pair`, if not 0, is the distance to the other half for every change in it.
    """

    count: int
    held: Segment | None
    schema: pa.Schema | None = None
    start: int = 0
    size: int = 0
    pair: int = 0


Mark = tuple[int, list[RowChange], int]


class Bound:
    """The most bytes that a change's images and key may have together.

    `refusal` gives the error for a change by its key (empty where the table has none), row id and
    size.
    """

    __slots__ = ("_refusal", "most")

    def __init__(self, most: int, refusal: Callable[[bytes, int, int], Exception]) -> None:
        self.most, self._refusal = most, refusal

    def check(self, change: RowChange) -> None:
        """Raises RowTooLarge."""
        key = change.new_key or change.old_key
        size = len(change.before or b"") + len(change.after or b"") + len(key)
        if size > self.most:
            raise self._refusal(key, change.row_id, size)

    def check_columns(self, columns: Columns) -> None:
        """Raises RowTooLarge for the first one that is."""
        keys = columns.old_keys if columns.new_keys is None else columns.new_keys
        sizes = np.zeros(len(columns), np.int64)
        for image in (columns.before, columns.after, keys):
            if image is not None:
                lengths = pc.binary_length(image)
                # An image that is not there has no length.
                sizes += lengths.fill_null(0).to_numpy(zero_copy_only=False)
        at = int(np.argmax(sizes > self.most)) if len(sizes) else 0
        if len(sizes) and sizes[at] > self.most:
            key = b"" if keys is None else keys[at].as_py() or b""
            raise self._refusal(key, int(columns.row_ids[at]), int(sizes[at]))


class Spool:
    """Staged segments in order; iterate it as often as needed."""

    __slots__ = ("_entries", "_file", "_held", "_length", "_tail", "bound")

    def __init__(self) -> None:
        self.bound: Bound | None = None
        """What refuses changes that are too large; None takes any."""
        self._entries: list[Entry] = []
        self._tail: list[RowChange] = []
        self._file: int | None = None
        self._held = self._length = 0

    def row(self, change: RowChange) -> None:
        """Add one change at the end."""
        if self.bound is not None:
            self.bound.check(change)
        self._tail.append(change)

    def rows(self, changes: Sequence[RowChange]) -> None:
        """Add a few changes at the end."""
        if self.bound is not None:
            for change in changes:
                self.bound.check(change)
        self._tail.extend(changes)

    def write(self, columns: Columns, pair: int = 0) -> Entry:
        """Keep a bulk segment without giving it a place in the order yet; see `place`.

        Raises:
            StoreUnavailable: the disk for temporary files is full. Nothing was kept.
            RowTooLarge: a change is above the bound. Nothing was kept.
        """
        size = _size(columns)
        if self.bound is not None and size > self.bound.most:
            self.bound.check_columns(columns)
        if self._held + size <= IN_MEMORY:
            self._held += size
            return Entry(len(columns), columns, pair=pair)
        batch = _to_batch(columns)
        data = batch.serialize()
        start = self._length
        try:
            self._append(memoryview(data))
        except OSError as error:
            self._length = start
            why = f"no room to stage a large statement in {tempfile.gettempdir()}: {error.strerror}"
            raise StoreUnavailable(why) from error
        return Entry(len(columns), None, batch.schema, start, data.size, pair)

    def _append(self, data: memoryview) -> None:
        if self._file is None:
            self._file = _unnamed_file()
        while data:
            written = os.pwrite(self._file, data, self._length)
            self._length += written
            data = data[written:]

    def place(self, entries: Sequence[Entry]) -> int:
        """Put kept segments at the end, in this order; returns the first one's number."""
        if self._tail:
            self._entries.append(Entry(len(self._tail), Rows(self._tail)))
            self._tail = []
        first = len(self._entries)
        self._entries.extend(entries)
        return first

    def get(self, entry: Entry) -> Segment:
        """A segment's changes, read back if they are on disk."""
        segment = entry.held
        if segment is None:
            assert self._file is not None and entry.schema is not None
            data = os.pread(self._file, entry.size, entry.start)
            segment = _from_batch(pa.ipc.read_record_batch(pa.py_buffer(data), entry.schema))
        if entry.pair and isinstance(segment, Columns):
            return replace(segment, pairs=np.full(len(segment), entry.pair, np.int64))
        return segment

    def __iter__(self) -> Iterator[Segment]:
        for entry in self._entries:
            yield self.get(entry)
        if self._tail:
            yield Rows(self._tail)

    def segments(self) -> Iterable[Segment]:
        """All of them, to be iterated as often as needed; nothing may be added meanwhile."""
        return self if self._entries else (Rows(self._tail),)

    def mark(self) -> Mark:
        """Where the order ends now."""
        return len(self._entries), self._tail, len(self._tail)

    def undo(self, mark: Mark) -> None:
        """Drop everything that was placed after a mark."""
        entries, tail, length = mark
        del self._entries[entries:]
        self._tail = tail
        del tail[length:]

    def close(self) -> None:
        """Give the file back. A second call does nothing."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _unnamed_file() -> int:
    handle, path = tempfile.mkstemp(prefix="headwater-")
    os.unlink(path)
    return handle


def _size(columns: Columns) -> int:
    images = (columns.before, columns.after, columns.old_keys, columns.new_keys)
    size = sum(image.nbytes for image in images if image is not None)
    return size + columns.ops.nbytes + columns.row_ids.nbytes


def _to_batch(columns: Columns) -> pa.RecordBatch:
    named = {
        "ops": pa.array(columns.ops),
        "row_ids": pa.array(columns.row_ids),
        "before": columns.before,
        "after": columns.after,
        "old_keys": columns.old_keys,
        "new_keys": columns.new_keys,
        "seen": None if columns.seen is None else pa.array(columns.seen),
        "pairs": None if columns.pairs is None else pa.array(columns.pairs),
    }
    given = {name: values for name, values in named.items() if values is not None}
    return pa.record_batch(given)


def _from_batch(batch: pa.RecordBatch) -> Columns:
    def images(name: str) -> pa.BinaryArray | None:
        at = batch.schema.get_field_index(name)
        return None if at < 0 else cast(pa.BinaryArray, batch.column(at))

    def numbers(name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]] | None:
        at = batch.schema.get_field_index(name)
        return None if at < 0 else batch.column(at).to_numpy()

    row_ids = numbers("row_ids")
    assert row_ids is not None
    return Columns(
        batch.column(0).to_numpy(),
        row_ids,
        images("before"),
        images("after"),
        images("old_keys"),
        images("new_keys"),
        numbers("seen"),
        numbers("pairs"),
    )
