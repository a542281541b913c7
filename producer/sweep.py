"""Deleting many rows: the last images, column by column, each row a delete change of its own."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.log_store.changes import Columns
from headwater.log_store.records import OP_DELETE, Stored
from headwater.producer.errors import RowNotFound, RowTwice
from headwater.producer.keyhash import I64
from headwater.producer.overlay import Known, Overlay
from headwater.producer.runs import RowIds, Run
from headwater.producer.spool import Entry

# Rows read and staged at a time.
PART_ROWS = 32_768


class Before(NamedTuple):
    """Rows as a statement finds them, column by column, in the table's current generation."""

    row_ids: I64
    images: pa.BinaryArray
    keys: pa.BinaryArray | None
    seen: I64


def before(overlay: Overlay, row_ids: I64) -> Before:
    """These rows as they are now.

    Raises:
        RowNotFound: one is not there.
    """
    asked: list[int] = row_ids.tolist()
    if overlay.pristine:
        stored = overlay.view.rows(overlay.table.id, asked)
        present = [one for one in stored if one is not None]
        if len(present) < len(asked):
            raise RowNotFound(overlay.table.name, asked[stored.index(None)])
        return _of_stored(overlay, row_ids, present)
    known: list[Known] = []
    for row_id, one in zip(asked, overlay.known_all(asked), strict=True):
        if one is None:
            raise RowNotFound(overlay.table.name, row_id)
        known.append(one)
    return _of_known(overlay, row_ids, known)


def check_once(overlay: Overlay, row_ids: I64) -> None:
    """Refuse row ids that are given twice.

    Raises:
        RowTwice: naming the lowest one.
    """
    ordered = np.sort(row_ids)
    same = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(same):
        raise RowTwice(overlay.table.name, int(ordered[same[0]]))


def delete_rows(overlay: Overlay, row_ids: "Sequence[int] | I64") -> int:
    """Delete many rows; returns how many.

    Raises:
        RowNotFound, RowTwice: a row is not there, or given twice. Nothing is staged.
    """
    ids: I64 = np.asarray(row_ids, np.int64)
    check_once(overlay, ids)
    entries: list[Entry] = []
    size = 0
    for start in range(0, len(ids), PART_ROWS):
        part = before(overlay, ids[start : start + PART_ROWS])
        entries.append(overlay.spool.write(deletes(part)))
        size += part.images.nbytes
    overlay.spool.place(entries)
    overlay.add_run(Run.of(RowIds(0, len(ids), ids), (), None))
    overlay.count += len(ids)
    overlay.byte_size += size
    return len(ids)


def truncate(overlay: Overlay) -> int:
    """Delete every row there is; returns how many. Memory does not grow with them."""
    entries: list[Entry] = []
    rows = size = 0
    for part in all_parts(overlay):
        entries.append(overlay.spool.write(deletes(part)))
        rows += len(part.row_ids)
        size += part.images.nbytes
    overlay.spool.place(entries)
    overlay.hide()
    overlay.count += rows
    overlay.byte_size += size
    return rows


def deletes(part: Before) -> Columns:
    """The delete changes of some rows."""
    ops = np.full(len(part.row_ids), OP_DELETE, np.uint8)
    return Columns(ops, part.row_ids, part.images, None, part.keys, None, part.seen)


def picked(part: Before, at: npt.NDArray[np.intp]) -> Before:
    """Some of these rows, by their places."""
    places = pa.array(at, pa.int64())
    keys = None if part.keys is None else part.keys.take(places)
    return Before(part.row_ids[at], part.images.take(places), keys, part.seen[at])


def own_parts(overlay: Overlay) -> Iterator[Before]:
    """The rows that the transaction wrote and that are there, some at a time."""
    touched = np.fromiter(overlay.rows, np.int64, len(overlay.rows))
    for number, run in enumerate(overlay.runs):
        for row_ids, images, keys in run.images(overlay.spool) if run.alive else ():
            stale = np.isin(row_ids, touched)
            for later in overlay.runs[number + 1 :]:
                stale |= later.row_ids.contains(row_ids)
            part = Before(row_ids, images, keys, np.zeros(len(row_ids), np.int64))
            yield picked(part, np.flatnonzero(~stale)) if stale.any() else part
    alive = [(row_id, own) for row_id, own in overlay.rows.items() if own is not None]
    for start in range(0, len(alive), PART_ROWS):
        rows = alive[start : start + PART_ROWS]
        yield Before(
            np.array([row_id for row_id, _ in rows], np.int64),
            pa.array([own.image for _, own in rows], pa.binary()),
            pa.array([own.key for _, own in rows], pa.binary()) if overlay.schema.key else None,
            np.zeros(len(rows), np.int64),
        )


def all_parts(overlay: Overlay) -> Iterator[Before]:
    """Every row there is, some at a time."""
    if not overlay.hidden:
        yield from _base_parts(overlay)
    yield from own_parts(overlay)


def _base_parts(overlay: Overlay) -> Iterator[Before]:
    """The view's rows that the transaction has not touched."""
    ids: list[int] = []
    stored: list[Stored] = []
    for block in overlay.view.scan(overlay.table.id):
        ids += block.row_ids
        stored += block.stored
        if len(ids) >= PART_ROWS:
            yield _untouched(overlay, np.array(ids, np.int64), stored)
            ids, stored = [], []
    if ids:
        yield _untouched(overlay, np.array(ids, np.int64), stored)


def _untouched(overlay: Overlay, row_ids: I64, stored: list[Stored]) -> Before:
    if not overlay.pristine:
        kept = np.flatnonzero(~overlay.touched_of(row_ids))
        row_ids, stored = row_ids[kept], [stored[at] for at in kept.tolist()]
    return _of_stored(overlay, row_ids, stored)


def _of_stored(overlay: Overlay, row_ids: I64, stored: Sequence[Stored]) -> Before:
    current = overlay.schema.schema_id
    if any(one.schema_id != current for one in stored):
        return _of_known(overlay, row_ids, [overlay.read(one) for one in stored])
    images = pa.array([one.image for one in stored], pa.binary())
    keys = None
    if overlay.schema.key:
        keys = overlay.codec.keys_columns(overlay.codec.decode_columns(images))
    seen = np.array([one.version for one in stored], np.int64)
    return Before(row_ids, images, keys, seen)


def _of_known(overlay: Overlay, row_ids: I64, known: Sequence[Known]) -> Before:
    keys = pa.array([one.key for one in known], pa.binary()) if overlay.schema.key else None
    return Before(
        row_ids,
        pa.array([one.image for one in known], pa.binary()),
        keys,
        np.array([one.seen for one in known], np.int64),
    )
