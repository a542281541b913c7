"""A transaction: reads as of its BEGIN plus its own writes, and one commit of everything."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count

import pyarrow as pa

from headwater.log_store.catalog import TableObject
from headwater.log_store.snapshots import Snapshot, SnapshotCache
from headwater.producer import bulk, bulk_replace, scan, staging, sweep
from headwater.producer.keyhash import I64
from headwater.producer.overlay import Overlay
from headwater.producer.staged import Staged
from headwater.schemas.types import Plain, Row


class Transaction(Staged):
    """Everything one commit will do. For one thread at a time; ends by commit or rollback.

    `view` shows the store as of BEGIN. `idempotency` may be set until the commit. `clock` gives
    the time that its statements see.
    """

    def insert(self, table: TableObject, rows: Sequence[Row]) -> int:
        """Insert plain rows, cast and complete, in schema order; returns how many.

        Raises:
            DuplicateKey: a row has such a key, or two of these have one. Nothing is staged.
        """
        overlay = self._write(table)
        if not rows:
            return 0
        if len(rows) == 1:
            return staging.insert_one(overlay, self._reserve_rows(overlay, 1), rows[0])
        first = self._reserve_rows(overlay, len(rows))
        if len(rows) > staging.FEW:
            return bulk.insert_rows(overlay, first, rows)
        return staging.stage(overlay, [(first + at, row) for at, row in enumerate(rows)], (), ())

    def insert_columns(
        self, table: TableObject, data: pa.Table, *, row_ids: I64 | None = None
    ) -> int:
        """Insert many rows of inner Arrow types in schema order; returns how many.

        `row_ids` puts rows back under ids they had before.

        Raises:
            DuplicateKey: a row has such a key, or two of these have one. Nothing is staged.
            RowExists: a row id is there already. Nothing is staged.
        """
        inserting = self.bulk_insert(table)
        inserting.add(data, row_ids)
        return inserting.finish()

    def bulk_insert(self, table: TableObject) -> bulk.BulkInsert:
        """One statement's inserts, to be added part by part and then finished."""
        overlay = self._write(table)
        return bulk.BulkInsert(overlay, lambda rows: self._reserve_rows(overlay, rows))

    def update(self, table: TableObject, changes: Sequence[tuple[int, Row]]) -> int:
        """Give rows new values, each by its row id and whole; returns how many.

        Raises:
            DuplicateKey: two rows would have one key. Nothing is staged.
            RowNotFound, RowTwice: a row is not there, or given twice. Nothing is staged.
        """
        overlay = self._write(table)
        return staging.stage(overlay, (), changes, ()) if changes else 0

    def update_columns(self, table: TableObject, parts: Iterable[tuple[I64, pa.Table]]) -> int:
        """Give many rows new values, each part its row ids and the whole rows; see `update`."""
        return bulk_replace.replace_rows(self._write(table), parts)

    def delete(self, table: TableObject, row_ids: Sequence[int]) -> int:
        """Delete rows; returns how many.

        Raises:
            RowNotFound, RowTwice: a row is not there, or given twice. Nothing is staged.
        """
        overlay = self._write(table)
        if len(row_ids) > staging.FEW:
            return sweep.delete_rows(overlay, row_ids)
        return staging.stage(overlay, (), (), row_ids) if row_ids else 0

    def apply(
        self,
        table: TableObject,
        *,
        inserts: Sequence[tuple[int | None, Row]] = (),
        updates: Sequence[tuple[int, Row]] = (),
        deletes: Sequence[int] = (),
    ) -> int:
        """Several kinds of changes as one statement, keys checked as they stand after it.

        An insert with a row id puts a row back under it; None makes a new row.

        Raises:
            DuplicateKey, RowNotFound, RowTwice, RowExists: nothing is staged.
        """
        overlay = self._write(table)
        kept = [row_id for row_id, _ in inserts if row_id is not None]
        staging.check_absent(overlay, kept)
        fresh = count(self._reserve_rows(overlay, len(inserts) - len(kept)))
        made = [(next(fresh) if at is None else at, row) for at, row in inserts]
        if not (made or updates or deletes):
            return 0
        return staging.stage(overlay, made, updates, deletes)

    def truncate(self, table: TableObject) -> int:
        """Delete every row, each as a change of its own; returns how many."""
        return sweep.truncate(self._write(table))

    def row_by_key(self, table: TableObject, key: Sequence[Plain]) -> tuple[int, Row] | None:
        """The row with these key values, in key order, and its id; own writes are seen."""
        overlay = self._read(table)
        found = overlay.by_key(overlay.codec.key_of(tuple(key)))
        return None if found is None else (found[0], found[1].row)

    def row(self, table: TableObject, row_id: int) -> Row | None:
        """A row by its id; own writes are seen."""
        found = self._read(table).known(row_id)
        return None if found is None else found.row

    def rows(self, table: TableObject, row_ids: Sequence[int]) -> list[Row | None]:
        """Rows by their ids, in the order asked; own writes are seen."""
        found = self._read(table).known_all(row_ids)
        return [None if one is None else one.row for one in found]

    def row_ids(self, table: TableObject, keys: Sequence[bytes]) -> list[int | None]:
        """The rows that hold these keys, given as their Avro bytes, in the order asked."""
        return self._read(table).holders(keys)

    def columns(self, table: TableObject, row_ids: I64) -> pa.Table:
        """Rows by their ids as inner Arrow columns, in the order asked; own writes are seen.

        Raises:
            RowNotFound: one is not there.
        """
        overlay = self._read(table)
        return overlay.codec.decode_columns(sweep.before(overlay, row_ids).images)

    def parts(self, table: TableObject) -> Iterator[sweep.Before]:
        """All rows as images and keys, some at a time, in little memory; own writes are seen."""
        return sweep.all_parts(self._read(table))

    def scan(self, table: TableObject, *, cache: SnapshotCache | None = None) -> Snapshot:
        """All rows, in row id order; own writes are seen."""
        return scan.merged(self._read(table), cache)

    def reserve_numbers(self, table: TableObject, column: int, rows: int) -> int:
        """The first of so many AUTOINCREMENT values of a column, in steps from its start."""
        overlay = self._write(table)
        if overlay.created:
            first = overlay.autos.get(column, 0)
        else:
            first = self.log.reserve_numbers(table.id, column, rows)
        overlay.autos[column] = first + rows
        return first

    def numbers(self, table: TableObject) -> list[tuple[int, int]]:
        """The next AUTOINCREMENT values, by column, that this transaction has come to."""
        return list(self._read(table).autos.items())

    def raise_numbers(self, table: TableObject, numbers: Iterable[tuple[int, int]]) -> None:
        """Let the AUTOINCREMENT values of columns begin no lower than these steps."""
        overlay = self._write(table)
        for column, number in numbers:
            overlay.autos[column] = max(number, overlay.autos.get(column, 0))

    def _reserve_rows(self, overlay: Overlay, rows: int) -> int:
        """The first of so many new row ids."""
        if not overlay.created:
            return self.log.reserve_row_ids(overlay.table.id, rows) if rows else 0
        first = overlay.next_row_id
        overlay.next_row_id += rows
        return first
