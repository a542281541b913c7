"""One statement's changes of a few rows, checked as a set and staged as events.

All of a statement's checks come before its first write, so a refused one leaves nothing. Keys
are compared as they stand after the whole statement: two rows may swap theirs. The events are
first every delete (of a row, or of the old half of a key change), then every update and every new
half, in the order given, then every insert: row by row, a swap of two keys would lose a row in
whatever upserts by key.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from headwater.log_store.changes import RowChange
from headwater.log_store.records import OP_DELETE, OP_INSERT, OP_UPDATE
from headwater.producer.errors import RowExists, RowNotFound, RowTwice
from headwater.producer.overlay import Known, Overlay
from headwater.producer.written import Own
from headwater.schemas.types import Row

# Up to so many rows a statement goes row by row.
FEW: Final = 1000

Changes = Sequence[tuple[int, Row]]


class _New(NamedTuple):
    """A row as a statement leaves it."""

    row_id: int
    row: Row
    image: bytes
    key: bytes


def stage(overlay: Overlay, inserts: Changes, updates: Changes, deletes: Sequence[int]) -> int:
    """Stage one statement; returns how many rows it changed.

    Raises:
        DuplicateKey: two rows would have one key. Nothing is staged.
        RowNotFound, RowTwice: a row is not there, or changed twice. Nothing is staged.
        RowTooLarge: a change is larger than the store takes. Nothing is staged.
    """
    if len(updates) == 1 and not inserts and not deletes:
        ((row_id, row),) = updates
        old = overlay.known(row_id)
        if old is not None and _same_key(overlay, old.row, row):
            _update_one(overlay, row_id, old, overlay.codec.encode(row))
            return 1
    if len(inserts) == 1 and not updates and not deletes:
        return insert_one(overlay, *inserts[0])
    olds = _present(overlay, updates, deletes)
    new = [
        _new(overlay, row_id, row, old) for (row_id, row), old in zip(updates, olds, strict=False)
    ]
    made = [_new(overlay, row_id, row) for row_id, row in inserts]
    moved = {
        one.row_id: number
        for number, (one, old) in enumerate(zip(new, olds, strict=False))
        if one.key != old.key
    }
    if overlay.schema.key:
        _check_keys(overlay, [one for one in new if one.row_id in moved], made, deletes, moved)
    removed = olds[len(updates) :]
    changes = [
        RowChange(OP_DELETE, row_id, old.image, None, old.key, b"", old.seen)
        for row_id, old in zip(deletes, removed, strict=True)
    ]
    changes += _updates(new, olds, moved)
    changes += [RowChange(OP_INSERT, one.row_id, None, one.image, b"", one.key) for one in made]
    _count(overlay, changes)
    for row_id, old in zip(deletes, removed, strict=True):
        overlay.put(row_id, None, old.key)
    for one, old in zip(new, olds, strict=False):
        overlay.put(one.row_id, Own(one.image, one.key), old.key)
    for one in made:
        overlay.put(one.row_id, Own(one.image, one.key), b"")
    return len(inserts) + len(updates) + len(deletes)


def _count(overlay: Overlay, changes: Sequence[RowChange]) -> None:
    overlay.spool.rows(changes)
    overlay.count += len(changes)
    overlay.byte_size += sum(len(one.before or b"") + len(one.after or b"") for one in changes)


def check_absent(overlay: Overlay, row_ids: Sequence[int]) -> None:
    """Refuse row ids that the table holds, before rows are put back under them.

    Raises:
        RowExists: naming the first one.
    """
    if not row_ids:
        return
    for row_id, known in zip(row_ids, overlay.known_all(row_ids), strict=True):
        if known is not None:
            raise RowExists(overlay.table.name, row_id)
    if overlay.created:
        overlay.next_row_id = max(overlay.next_row_id, max(row_ids) + 1)


def _same_key(overlay: Overlay, old: Row, new: Row) -> bool:
    for at in overlay.key_at:
        if old[at] != new[at]:
            return False
    return True


def _update_one(overlay: Overlay, row_id: int, old: Known, image: bytes) -> None:
    overlay.spool.row(RowChange(OP_UPDATE, row_id, old.image, image, old.key, old.key, old.seen))
    overlay.put(row_id, Own(image, old.key), old.key)
    overlay.count += 1
    overlay.byte_size += len(old.image) + len(image)


def insert_one(overlay: Overlay, row_id: int, row: Row) -> int:
    """Stage the insert of one row; returns 1.

    Raises:
        DuplicateKey: a row has its key. Nothing is staged.
    """
    key = overlay.codec.key(row) if overlay.schema.key else b""
    if key and overlay.holder(key) is not None:
        raise overlay.duplicate_key(key, None)
    image = overlay.codec.encode(row)
    overlay.spool.row(RowChange(OP_INSERT, row_id, None, image, b"", key))
    overlay.put(row_id, Own(image, key), b"")
    overlay.count += 1
    overlay.byte_size += len(image)
    return 1


def _new(overlay: Overlay, row_id: int, row: Row, old: Known | None = None) -> _New:
    if old is not None and _same_key(overlay, old.row, row):
        key = old.key
    else:
        key = overlay.codec.key(row) if overlay.schema.key else b""
    return _New(row_id, row, overlay.codec.encode(row), key)


def _present(overlay: Overlay, updates: Changes, deletes: Sequence[int]) -> list[Known]:
    """The rows before the statement: those to update, then those to delete."""
    row_ids = [*(row_id for row_id, _ in updates), *deletes]
    if len(set(row_ids)) != len(row_ids):
        seen: set[int] = set()
        for row_id in row_ids:
            if row_id in seen:
                raise RowTwice(overlay.table.name, row_id)
            seen.add(row_id)
    olds: list[Known] = []
    for row_id, old in zip(row_ids, overlay.known_all(row_ids), strict=True):
        if old is None:
            raise RowNotFound(overlay.table.name, row_id)
        olds.append(old)
    return olds


def _check_keys(
    overlay: Overlay,
    moved: Sequence[_New],
    made: Sequence[_New],
    deletes: Sequence[int],
    freeing: dict[int, int],
) -> None:
    """Refuse a key that two rows would have after the statement."""
    taken: set[bytes] = set()
    wanted = [*moved, *made]
    leaving = {*deletes, *freeing}
    holders = overlay.holders([one.key for one in wanted]) if wanted else []
    for number, (one, holder) in enumerate(zip(wanted, holders, strict=True)):
        if one.key in taken or (holder is not None and holder not in leaving):
            place = freeing[one.row_id] if number < len(moved) else number - len(moved)
            only = len(moved) + len(made) == 1
            raise overlay.duplicate_key(one.key, None if only else place)
        taken.add(one.key)


def _updates(new: Sequence[_New], olds: Sequence[Known], moved: dict[int, int]) -> list[RowChange]:
    """The events of updated rows: the d of each key change, then u and c in the order given."""
    changes: list[RowChange] = []
    places: dict[int, int] = {}
    for one, old in zip(new, olds, strict=False):
        if one.row_id in moved:
            places[one.row_id] = len(changes)
            changes.append(
                RowChange(OP_DELETE, one.row_id, old.image, None, old.key, b"", old.seen)
            )
    for one, old in zip(new, olds, strict=False):
        at = places.get(one.row_id)
        if at is None:
            changes.append(
                RowChange(OP_UPDATE, one.row_id, old.image, one.image, old.key, one.key, old.seen)
            )
            continue
        distance = len(changes) - at
        changes[at] = changes[at]._replace(pair=distance)
        changes.append(
            RowChange(OP_INSERT, one.row_id, None, one.image, b"", one.key, 0, -distance)
        )
    return changes
