"""A transaction: reads as of its BEGIN plus its own writes, and one commit of everything.

It is one class for every log. Writes are staged per table (see `overlay`) and become one batch;
the log alone decides whether somebody else was first. A failed statement undoes itself and leaves
the transaction open; an unfinished transaction leaves nothing.
"""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import pyarrow as pa

from headwater.log_store.catalog import Catalog, CatalogEvent, TableObject
from headwater.log_store.port import Batch, Log, View
from headwater.log_store.records import Committed, Idempotency, Move
from headwater.log_store.snapshots import Snapshot, SnapshotCache
from headwater.producer import bulk, bulk_replace, scan, staging, sweep
from headwater.producer.errors import AlterAfterWrite, NotFound, TransactionClosed
from headwater.producer.intents import Intents
from headwater.producer.keyhash import I64
from headwater.producer.overlay import Mark, Overlay
from headwater.schemas.types import Plain, Row


class Transaction:
    """Everything one commit will do. For one thread at a time; ends by commit or rollback.

    `view` shows the store as of BEGIN. `idempotency` may be set until the commit. `clock` gives
    the time that its statements see.
    """

    def __init__(
        self,
        log: Log,
        *,
        actor: str = "",
        idempotency: Idempotency | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.log, self.actor, self.idempotency = log, actor, idempotency
        self.commit_id = os.urandom(12).hex()
        self.view: View = log.view()
        self._clock, self._now_us = clock, 0
        self._intents = Intents(self.view)
        self._overlays: dict[int, Overlay] = {}
        self._texts: list[str] = []
        # The overlays as they were before the open statement; None when no statement is open.
        self._marks: dict[int, Mark] | None = None
        self._closed = False

    @property
    def catalog(self) -> Catalog:
        """The view's catalog with this transaction's own DDL."""
        return self._intents.catalog

    @property
    def moves(self) -> Sequence[Move]:
        """The watermark moves staged so far."""
        return self._intents.moves

    @property
    def now_us(self) -> int:
        """The time all its statements see: after the view's, the same however often asked."""
        if not self._now_us:
            now = self._clock() if self._clock is not None else 0
            self._now_us = max(now, self.view.time_us + 1)
        return self._now_us

    @contextmanager
    def statement(self, text: str = "") -> Generator[str]:
        """One statement, by its id `<commit id>:<n>`; an exception undoes it alone.

        A statement within a statement is a part of it.
        """
        self._check_open()
        if self._marks is not None:
            yield f"{self.commit_id}:{len(self._texts)}"
            return
        # A failed statement keeps its number: its id has been told to somebody.
        self._texts.append(text)
        saved, self._marks = self._intents.save(), {}
        try:
            yield f"{self.commit_id}:{len(self._texts)}"
        except BaseException:
            self._undo(self._marks)
            self._intents.restore(saved)
            raise
        finally:
            for table in self._marks:
                if table in self._overlays:
                    self._overlays[table].settle()
            self._marks = None

    def _undo(self, marks: dict[int, Mark]) -> None:
        for table, mark in marks.items():
            self._overlays[table].undo(mark)
        # Those without writes may show tables as the undone statement had altered them.
        for table in [at for at, overlay in self._overlays.items() if not overlay.count]:
            self._overlays.pop(table).spool.close()

    def insert(self, table: TableObject, rows: Sequence[Row]) -> int:
        """Insert plain rows, cast and complete, in schema order; returns how many.

        Raises:
            DuplicateKey: a row has such a key, or two of these have one. Nothing is staged.
        """
        overlay = self._write(table)
        if not rows:
            return 0
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
        row_id = overlay.holder(overlay.codec.key_of(tuple(key)))
        found = None if row_id is None else overlay.known(row_id)
        return None if row_id is None or found is None else (row_id, found.row)

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

    def stage_catalog(self, *events: CatalogEvent) -> None:
        """Change the catalog with this commit; later reads here see it at once.

        Raises:
            NameTaken: a live object has the name. Nothing is staged.
            AlterAfterWrite: a table whose rows this transaction has changed. Nothing is staged.
        """
        self._check_open()
        tables = [event.value.id for event in events if event.value.kind == "table"]
        for table in tables:
            overlay = self._overlays.get(table)
            if overlay is not None and overlay.count:
                raise AlterAfterWrite(overlay.table.name)
        self._intents.stage(events)
        for table in tables:
            if table in self._overlays:
                self._overlays.pop(table).spool.close()
                (self._marks or {}).pop(table, None)

    def stage_move(self, move: Move) -> None:
        """Move a watermark with this commit; the tables written with it are filled in."""
        self._check_open()
        self._intents.moves.append(move)

    def stage_audit(self, what: str, detail: str) -> None:
        """Keep an audit row with this commit; `detail` is JSON."""
        self._check_open()
        self._intents.audit.append((what, detail))

    def depend_on(self, kind: str, object_id: int) -> None:
        """Refuse the commit if that catalog object changes before it."""
        self._intents.depend_on(kind, object_id)

    def expect_unmoved(self, table: int, version: int) -> None:
        """Refuse the commit unless the table is still at that version."""
        self._intents.unmoved[table] = version

    def written_tables(self) -> list[int]:
        """Ids of the tables whose rows this transaction has changed so far, rising."""
        return sorted(table for table, overlay in self._overlays.items() if overlay.count)

    def commit(self, result: str = "") -> Committed:
        """Commit everything at once; a transaction that changed nothing writes nothing.

        `result` is what a repeat of the same idempotent request is told. However it ends, the
        transaction is over.

        Raises:
            WriteConflict: somebody else was first. Nothing was written.
            IdempotencyMismatch: the key stands for another request. Nothing was written.
            StoreUnavailable: nothing was written.
            OutcomeUnknown: open the log again and look for `commit_id`.
        """
        self._check_open()
        intents = self._intents
        tables = {at: one.changes() for at, one in self._overlays.items() if one.count}
        try:
            if not tables and not intents and self.idempotency is None:
                return Committed(self.view.sequence, self.commit_id, self.view.time_us, {})
            return self.log.commit(
                Batch(
                    commit_id=self.commit_id,
                    actor=self.actor,
                    tables=tables,
                    moves=self._final_moves() if intents.moves else (),
                    catalog=tuple(intents.events.values()),
                    unmoved=intents.unmoved,
                    objects=intents.objects,
                    audit=intents.audit,
                    statements=self._texts,
                    idempotency=self.idempotency,
                    result=result,
                )
            )
        finally:
            self._close()

    def rollback(self) -> None:
        """End it and write nothing. Does nothing once it has ended."""
        if not self._closed:
            self._close()

    def _final_moves(self) -> list[Move]:
        written = tuple(self.written_tables())
        return [
            move if move.tables or move.why != "consume" else replace(move, tables=written)
            for move in self._intents.moves
        ]

    def _read(self, table: TableObject) -> Overlay:
        self._check_open()
        overlay = self._overlays.get(table.id)
        if overlay is None:
            current = self.catalog.table(table.id)
            if current.dropped_at is not None:
                raise NotFound("table", current.name, "it was dropped")
            created = self.view.catalog.get("table", table.id) is None
            overlay = self._overlays[table.id] = Overlay(self.view, current, created=created)
        return overlay

    def _write(self, table: TableObject) -> Overlay:
        overlay = self._read(table)
        if not overlay.count:
            self._intents.depend_on("table", table.id)
        if self._marks is not None and table.id not in self._marks:
            self._marks[table.id] = overlay.mark()
        return overlay

    def _reserve_rows(self, overlay: Overlay, rows: int) -> int:
        """The first of so many new row ids."""
        if not overlay.created:
            return self.log.reserve_row_ids(overlay.table.id, rows) if rows else 0
        first = overlay.next_row_id
        overlay.next_row_id += rows
        return first

    def _check_open(self) -> None:
        if self._closed:
            raise TransactionClosed

    def _close(self) -> None:
        self._closed = True
        for overlay in self._overlays.values():
            overlay.spool.close()
        self.view.close()
