"""What a transaction has staged, statement by statement, until it commits or is given up.

One class for every log: writes are staged per table (see `overlay`) and become one batch; the log
alone decides whether somebody else was first. A failed statement undoes itself and leaves the
transaction open; an unfinished transaction leaves nothing.
"""

import json
from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal, Protocol, TypeVar, cast

from headwater.log_store.catalog import Catalog, CatalogEvent, TableObject
from headwater.log_store.errors import OutcomeUnknown
from headwater.log_store.port import Batch, Log, View
from headwater.log_store.records import Committed, Idempotency, Move
from headwater.producer.commit_ids import new_commit_id
from headwater.producer.errors import (
    AlterAfterWrite,
    NotFound,
    TableReadOnly,
    TransactionClosed,
)
from headwater.producer.intents import Intents
from headwater.producer.overlay import Overlay
from headwater.producer.written import Mark

Outcome = Literal["committed", "nothing", "unknown"]


class Held(Protocol):
    """Something beside the log that a transaction holds until it ends: a lock, files, rows."""

    def save(self) -> Callable[[], None]:
        """What undoes whatever comes after this: a failed statement takes back its own part."""
        ...

    def end(self, outcome: Outcome) -> None:
        """The transaction is over: it committed, wrote nothing, or nobody knows. Never raises."""
        ...


_HeldT = TypeVar("_HeldT", bound=Held)


def topic_of(table: TableObject) -> str:
    """The foreign topic that an adopted table's rows come from."""
    return str(json.loads(table.adopted)["topic"])


class Staged:
    """Statements, definitions and watermark moves of one commit to be; `Transaction` adds rows."""

    def __init__(
        self,
        log: Log,
        *,
        actor: str = "",
        idempotency: Idempotency | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.log, self.actor, self.idempotency = log, actor, idempotency
        self.commit_id = new_commit_id()
        self.view: View = log.view()
        self._clock, self._now_us = clock, 0
        self._intents = Intents(self.view)
        self._overlays: dict[int, Overlay] = {}
        self._texts: list[str] = []
        # The overlays as they were before the open statement; None when no statement is open.
        self._marks: dict[int, Mark] | None = None
        self._held: dict[Hashable, Held] = {}
        # The adopted table that this transaction may write, being its topic's own.
        self.adopting: int | None = None
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
        undo_held = [held.save() for held in self._held.values()] if self._held else ()
        try:
            yield f"{self.commit_id}:{len(self._texts)}"
        except BaseException:
            self._undo(self._marks)
            self._intents.restore(saved)
            for undo in undo_held:
                undo()
            raise
        finally:
            for table in self._marks:
                if table in self._overlays:
                    self._overlays[table].settle()
            self._marks = None

    def only_statement(self, text: str) -> None:
        """Begin the one statement of a transaction that ends with it, so nothing is undone alone.

        If it raises, the transaction must be rolled back.
        """
        if self._closed:
            raise TransactionClosed
        self._texts.append(text)

    def _undo(self, marks: dict[int, Mark]) -> None:
        for table, mark in marks.items():
            self._overlays[table].undo(mark)
        # Those without writes may show tables as the undone statement had altered them.
        untouched = [at for at, one in self._overlays.items() if not one.count and at > 0]
        for table in untouched:
            self._overlays.pop(table).spool.close()

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
        return sorted(at for at, one in self._overlays.items() if one.count and at > 0)

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
        if self._closed:
            raise TransactionClosed
        intents = self._intents
        outcome: Outcome = "nothing"
        tables = {at: one.changes() for at, one in self._overlays.items() if one.count and at > 0}
        try:
            if not (tables or intents or self.idempotency is not None):
                outcome = "committed"
                return Committed(self.view.sequence, self.commit_id, self.view.time_us, {})
            committed = self.log.commit(
                Batch(
                    commit_id=self.commit_id,
                    actor=self.actor,
                    tables=tables,
                    moves=self._final_moves() if intents.moves else (),
                    catalog=tuple(intents.events.values()) if intents.events else (),
                    unmoved=intents.unmoved,
                    objects=intents.objects,
                    marks=self._idle_marks() if intents.moves else {},
                    audit=intents.audit,
                    statements=self._texts,
                    idempotency=self.idempotency,
                    result=result,
                )
            )
            outcome = "nothing" if committed.repeated else "committed"
        except OutcomeUnknown:
            outcome = "unknown"
            raise
        finally:
            self._close(outcome)
        return committed

    def rollback(self) -> None:
        """End it and write nothing. Does nothing once it has ended."""
        if not self._closed:
            self._close("nothing")

    def hold(self, key: Hashable, make: Callable[[], _HeldT]) -> _HeldT:
        """What this transaction holds under a key until it ends, made at its first use."""
        self._check_open()
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = make()
        # Whoever uses a key makes what it stands for.
        return cast(_HeldT, held)

    def _idle_marks(self) -> dict[int, int]:
        """Where the watermarks were moved last that this consumes nothing for."""
        first: dict[int, Move] = {}
        for move in self._intents.moves:
            if move.why == "consume":
                first.setdefault(move.consumer, move)
        idle = (consumer for consumer, move in first.items() if move.start == move.end)
        seen = {consumer: self.view.watermark(consumer) for consumer in idle}
        return {consumer: mark.sequence for consumer, mark in seen.items() if mark is not None}

    def _final_moves(self) -> list[Move]:
        written = tuple(self.written_tables())
        return [
            move if move.tables or move.why != "consume" else replace(move, tables=written)
            for move in self._intents.moves
        ]

    def adopt(self, overlay: Overlay) -> None:
        """Let a TEMPORARY table, whose id is below 0, be read and written; it is not committed."""
        self._overlays[overlay.table.id] = overlay

    def disown(self, table: int) -> None:
        """Forget a TEMPORARY table."""
        self._overlays.pop(table, None)
        (self._marks or {}).pop(table, None)

    def _read(self, table: TableObject) -> Overlay:
        if self._closed:
            raise TransactionClosed
        overlay = self._overlays.get(table.id)
        if overlay is None:
            current = self.catalog.table(table.id)
            if current.dropped_at is not None:
                raise NotFound("table", current.name, "it was dropped")
            created = self.view.catalog.get("table", table.id) is None
            overlay = self._overlays[table.id] = Overlay(self.view, current, created=created)
            overlay.limit(self.log.largest_change)
        return overlay

    def _write(self, table: TableObject) -> Overlay:
        overlay = self._read(table)
        if not overlay.count:
            if overlay.table.adopted and self.adopting != table.id:
                raise TableReadOnly(overlay.table.name, topic_of(overlay.table))
            self._intents.depend_on("table", table.id)
        if self._marks is not None and table.id not in self._marks:
            self._marks[table.id] = overlay.mark()
        return overlay

    def _check_open(self) -> None:
        if self._closed:
            raise TransactionClosed

    def _close(self, outcome: Outcome) -> None:
        self._closed = True
        for at, overlay in self._overlays.items():
            if at > 0:
                overlay.spool.close()
        for held in self._held.values():
            held.end(outcome)
        self.view.close()
