"""Whether a batch may still be committed: first committer wins. Pure.

What is checked, in this order: catalog objects, whole tables, watermarks, then rows and keys of
each table. Rows and keys of a table that has not moved since they were read need no look.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.log_store.catalog import Catalog, ConsumerObject, StreamObject, TableObject
from headwater.log_store.changes import Columns, Rows, TableChanges
from headwater.log_store.errors import WriteConflict
from headwater.log_store.records import INITIAL, OP_INSERT, CommitRow, Move, VersionRow, Watermark


class Latest(Protocol):
    """The newest state, with the batches before this one in its group: what a batch meets."""

    @property
    def name(self) -> str: ...
    @property
    def epoch(self) -> int: ...
    @property
    def catalog(self) -> Catalog: ...
    @property
    def sequence(self) -> int: ...
    @property
    def time_us(self) -> int: ...
    def head(self, table: int) -> VersionRow:
        """KeyError for a table that was never created."""
        ...

    def stored_version(self, table: int, row_id: int) -> int | None: ...
    def stored_versions(self, table: int, row_ids: Sequence[int]) -> list[int | None]: ...
    def row_id(self, table: int, key: bytes) -> int | None: ...
    def row_ids(self, table: int, keys: Sequence[bytes]) -> list[int | None]: ...
    def watermark(self, consumer: int) -> Watermark | None: ...
    def find_idempotent(self, key: str) -> CommitRow | None: ...


def check_objects(objects: Mapping[tuple[str, int], int], catalog: Catalog) -> None:
    """Refuse if an object that the transaction relied on has changed, or was dropped."""
    for (kind, object_id), seen in objects.items():
        value = catalog.get(kind, object_id)
        if value is None or value.changed_at != seen:
            raise WriteConflict("definition", f"of {kind} {_name(value, object_id)}", "changed")


def _name(value: object, object_id: int) -> str:
    name = getattr(value, "name", None)
    return str(name) if name is not None else str(object_id)


def check_unmoved(unmoved: Mapping[int, int], latest: Latest) -> None:
    """Refuse if a table that had to stand still has a newer version."""
    for table, seen in unmoved.items():
        head = latest.head(table).version
        if head != seen:
            name = latest.catalog.table(table).name
            raise WriteConflict("table", name, f"moved from v{seen} to v{head}")


def check_moves(moves: Sequence[Move], latest: Latest) -> None:
    """Refuse if a watermark stands elsewhere than where its mover saw it."""
    stands: dict[int, int | None] = {}
    for move in moves:
        if move.consumer in stands:
            at = stands[move.consumer]
        else:
            found = latest.watermark(move.consumer)
            at = None if found is None else found.position
        if at != move.start:
            raise WriteConflict(
                "watermark",
                f"of consumer {_consumer_name(latest.catalog, move.consumer)}",
                f"moved from {_place(move.start)} to {_place(at)}",
            )
        stands[move.consumer] = move.end


def check_marks(marks: Mapping[int, int], latest: Latest) -> None:
    """Refuse if a watermark has been moved, be it to where it stood, since it was seen."""
    for consumer, seen in marks.items():
        found = latest.watermark(consumer)
        if found is None or found.sequence != seen:
            name = f"of consumer {_consumer_name(latest.catalog, consumer)}"
            raise WriteConflict("watermark", name, "was moved")


def _place(position: int | None) -> str:
    if position is None:
        return "unregistered"
    return "INITIAL" if position == INITIAL else f"v{position}"


def _consumer_name(catalog: Catalog, consumer: int) -> str:
    value = catalog.get("consumer", consumer)
    if not isinstance(value, ConsumerObject):
        return str(consumer)
    stream = catalog.get("stream", value.stream)
    of = f" of stream {stream.name}" if isinstance(stream, StreamObject) else ""
    return f"{value.name}{of}"


class _Touched:
    """The rows that a batch writes and has read: their keys are its own to free. Built when asked."""

    def __init__(self, changes: TableChanges) -> None:
        self._changes = changes
        self._row_ids: npt.NDArray[np.int64] | None = None

    def __contains__(self, row_id: int) -> bool:
        if self._row_ids is None:
            self._row_ids = np.unique(np.concatenate(list(self._parts())))
        at = int(np.searchsorted(self._row_ids, row_id))
        return at < len(self._row_ids) and int(self._row_ids[at]) == row_id

    def _parts(self) -> Iterator[npt.NDArray[np.int64]]:
        yield np.empty(0, np.int64)
        for segment in self._changes:
            match segment:
                case Rows():
                    seen = [change.row_id for change in segment.changes if change.seen]
                    yield np.array(seen, np.int64)
                case Columns():
                    yield segment.row_ids


def check_table(table: int, changes: TableChanges, latest: Latest, *, altered: bool) -> None:
    """Refuse if the table was altered since its images were made, or a row or key has moved.

    `altered`: by this very batch, so that its images are in the generation to come.
    """
    value = latest.catalog.objects.get(("table", table))
    if isinstance(value, TableObject):
        if value.generations[-1].number != changes.generation and not altered:
            raise WriteConflict("definition", f"of table {value.name}", "changed")
        if changes.keys_checked_at == latest.head(table).version:
            return
    touched = _Touched(changes)
    for segment in changes.segments:
        match segment:
            case Rows():
                _check_rows(table, segment, touched, latest)
            case Columns():
                _check_columns(table, segment, touched, latest)


def _check_rows(table: int, segment: Rows, touched: _Touched, latest: Latest) -> None:
    for change in segment.changes:
        if change.seen and latest.stored_version(table, change.row_id) != change.seen:
            raise _row_moved(table, change.row_id, latest)
        if change.op == OP_INSERT and change.new_key:
            holder = latest.row_id(table, change.new_key)
            if holder is not None and holder not in touched:
                raise _key_taken(table, change.new_key, latest)


def _check_columns(table: int, segment: Columns, touched: _Touched, latest: Latest) -> None:
    if segment.seen is not None:
        read = np.flatnonzero(segment.seen)
        row_ids = segment.row_ids[read].tolist()
        seen = segment.seen[read].tolist()
        found = latest.stored_versions(table, row_ids)
        for row_id, was, now in zip(row_ids, seen, found, strict=True):
            if was != now:
                raise _row_moved(table, row_id, latest)
    if segment.new_keys is None or not _known(table, latest):
        return
    inserted = np.flatnonzero(segment.ops == OP_INSERT)
    keys = _taken(segment.new_keys, inserted)
    for key, holder in zip(keys, latest.row_ids(table, keys), strict=True):
        if holder is not None and holder not in touched:
            raise _key_taken(table, key, latest)


def _taken(keys: pa.BinaryArray, at: npt.NDArray[np.intp]) -> list[bytes]:
    # The stubs type an element as optional; an inserted row of a keyed table has its key.
    return cast(list[bytes], keys.take(at).to_pylist())


def _known(table: int, latest: Latest) -> bool:
    """Whether the table exists already; one made by this very commit holds no keys."""
    try:
        latest.head(table)
    except KeyError:
        return False
    return True


def _row_moved(table: int, row_id: int, latest: Latest) -> WriteConflict:
    name = latest.catalog.table(table).name
    return WriteConflict("row", f"{row_id} of table {name}", "was changed")


def _key_taken(table: int, key: bytes, latest: Latest) -> WriteConflict:
    name = latest.catalog.table(table).name
    return WriteConflict("key", f"0x{key.hex()} of table {name}", "was inserted")
