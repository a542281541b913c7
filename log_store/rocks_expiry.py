"""Letting history go: a base and an anchor take the place of what was before them.

    1  what is to go is verified: damage is not to be written into a base
    2  meta "expiring" names table and version                        (dropped if cut off here)
    3  the rows at that version are written as base blocks, in pieces, where no reader looks
    4  one batch: the anchor; all events up to it, rows of the version index below it and the older
       base deleted; "expiring" gone; flushed
    5  kept snapshots of what went are dropped; they are a cache

Commits go on while 1 to 3 run; step 4 waits for none and lets none in between.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from headwater.log_store import rocks_keys as keys
from headwater.log_store.base import (
    NO_ROWS,
    Anchor,
    BaseDigest,
    Written,
    base_of,
    blocks_of,
    encode_anchor,
    moved_on,
)
from headwater.log_store.catalog import TableObject
from headwater.log_store.errors import LogDamaged
from headwater.log_store.failpoints import failpoint
from headwater.log_store.records import VersionRow
from headwater.log_store.rocks_anchor import base_blocks, read_anchor, verify_base
from headwater.log_store.rocks_large import Pieces, changes_of, read_block
from headwater.log_store.rocks_snapshots import drop_below
from headwater.log_store.rocks_state import read_version
from headwater.log_store.rocks_store import Store, WriteBatch
from headwater.log_store.rocks_verify import verify_commits, verify_versions


class Expiry:
    """Lets history go in a store whose commits `paused` holds up for a moment.

    `durable` is called while they wait, with the batch that publishes: where the store is not the
    truth, it makes the base durable where that is. One at a time: the caller sees to that.
    """

    def __init__(
        self,
        store: Store,
        paused: Callable[[], AbstractContextManager[None]],
        durable: Callable[[TableObject, Anchor, WriteBatch], None] | None = None,
    ) -> None:
        self._store, self._paused, self._durable = store, paused, durable

    def expire(self, table: TableObject, version: int, upto: int) -> int:
        """Make a version, which is there, a table's horizon; returns the horizon.

        `upto` is a commit that everybody can see.

        Raises:
            LogDamaged: what is to go, or is to be looked at for it, does not hold.
        """
        anchor = read_anchor(self._store, table.id)
        horizon = 0 if anchor is None else anchor.row.version
        if version <= horizon:
            return horizon
        row = _row(self._store, table.id, version)
        checked = self._checked()
        verify_commits(self._store, checked, max(checked, upto))
        verify_versions(self._store, table.id, verify_base(self._store, table.id), version)
        made = self._write_base(table, anchor, row)
        failpoint("expire.staged")
        with self._paused():
            self._publish(table, made, upto)
        failpoint("expire.published")
        drop_below(self._store, table.id, version)
        return version

    def _checked(self) -> int:
        value = self._store.get("meta", keys.META_CHECKED)
        return 0 if value is None else keys.number_in(value)

    def _write_base(self, table: TableObject, anchor: Anchor | None, row: VersionRow) -> Anchor:
        """Write the rows at a version where no reader looks; the anchor that is to name them."""
        batch = self._store.batch()
        batch.put("meta", keys.META_EXPIRING, keys.expiring(table.id, row.version))
        self._store.write(batch)
        older = base_blocks(self._store, table.id, anchor)
        base = base_of(older) if anchor is not None else NO_ROWS
        after = 0 if anchor is None else anchor.row.version
        base = moved_on(base, _changes(self._store, table, after, row.version))
        pieces, digest = Pieces(self._store, "expire.mid"), BaseDigest()
        for block in blocks_of(base):
            pieces.batch.put("snap", keys.base_key(table.id, row.version, digest.blocks), block)
            digest.add(block)
            pieces.turn()
        pieces.finish()
        return Anchor(row, len(base), digest.blocks, digest.digest())

    def _publish(self, table: TableObject, anchor: Anchor, upto: int) -> None:
        """The anchor in place of what it stands for, in one batch."""
        row = anchor.row
        batch = self._store.batch()
        if self._durable is not None:
            self._durable(table, anchor, batch)
        batch.put("snap", keys.anchor_key(row.table), encode_anchor(anchor))
        batch.delete_range(
            "snap", keys.base_key(row.table, 0, 0), keys.base_key(row.table, row.version, 0)
        )
        batch.delete_range(
            "log", keys.chunk_key(row.table, 0, 0), keys.chunk_key(row.table, row.version + 1, 0)
        )
        batch.delete_range(
            "versions", keys.version_key(row.table, 0), keys.version_key(row.table, row.version)
        )
        batch.delete("meta", keys.META_EXPIRING)
        anchored = self._store.get("meta", keys.META_ANCHORED)
        last = max(row.sequence - 1, 0 if anchored is None else keys.number_in(anchored))
        batch.put("meta", keys.META_ANCHORED, keys.number(last))
        batch.put("meta", keys.META_CHECKED, keys.number(max(self._checked(), upto)))
        self._store.write(batch)
        self._store.sync()


def _row(store: Store, table: int, version: int) -> VersionRow:
    value = store.get("versions", keys.version_key(table, version))
    if value is None:
        raise LogDamaged(f"version {version} of table {table}", "it is missing")
    return read_version(table, version, value)


def _changes(store: Store, table: TableObject, after: int, upto: int) -> Iterable[Written]:
    """The changes of (after, upto], block by block."""
    start, end = keys.chunk_key(table.id, after + 1, 0), keys.chunk_key(table.id, upto + 1, 0)
    for pairs in store.chunks("log", start, end):
        for key, value in pairs:
            version, _ = keys.chunk_of(key)
            block = read_block(table.id, version, value)
            changes = changes_of(table.schema_of(block.schema_id), block)
            yield Written(version, block.schema_id, changes)


def drop_unfinished(store: Store) -> None:
    """Drop the base that a crash kept from being anchored. Can be repeated."""
    value = store.get("meta", keys.META_EXPIRING)
    if value is None:
        return
    table, version = keys.expiring_in(value)
    batch = store.batch()
    start = keys.base_key(table, version, 0)
    batch.delete_range("snap", start, keys.base_key(table, version + 1, 0))
    batch.delete("meta", keys.META_EXPIRING)
    store.write(batch)
