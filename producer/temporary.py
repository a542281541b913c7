"""TEMPORARY tables: a session's own, in memory, never in the log.

They take part in the session's transactions through the same verbs as tables (`tx.insert_columns`,
`tx.update`, `tx.scan`, ..), with statement undo and keys, and nobody else sees them. A commit keeps
what was written, a rollback takes it back; since they die with the session they need no more. What
they are filled from, a SHARED stream's window say, moves in the store's commit as ever: if that
commit fails, the rows are taken back with it.

    temporaries.join(tx)                     at each BEGIN
    temporaries.create(tx, "t", schema)      then tx.insert_columns(temporaries.find("t"), ..)
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from headwater.log_store.catalog import TableObject
from headwater.producer.bulk import BulkInsert
from headwater.producer.errors import NameTaken, NotFound
from headwater.producer.names import Name, parse, unquoted
from headwater.producer.overlay import Overlay
from headwater.producer.scan import merged
from headwater.producer.staged import Outcome
from headwater.producer.transaction import Transaction
from headwater.producer.written import Mark
from headwater.schemas.tables import TableSchema

_KEY: Final = "temporary tables"
# A table whose staged changes pass so many times its rows, and this many, is written out anew.
_SLACK: Final = 4
_LEAST: Final = 10_000

Slot = tuple[str, str]


@dataclass(eq=False)
class TemporaryTables:
    """One session's TEMPORARY tables. They hide tables and views of the same name."""

    _names: dict[Slot, TableObject] = field(default_factory=dict[Slot, TableObject])
    _rows: dict[int, Overlay] = field(default_factory=dict[int, Overlay])
    # Below 0: no object of a catalog has such an id, and a transaction keeps them out of its batch.
    _next_id: int = -1

    def join(self, tx: Transaction) -> None:
        """Let a transaction use the tables there are; its end keeps or undoes what it did."""
        tx.hold(_KEY, lambda: _Joined(self, tx))

    def __len__(self) -> int:
        return len(self._names)

    def __bool__(self) -> bool:
        # There are such tables or there are none; the collection itself always is.
        return bool(self._names)

    def by_id(self, table_id: int) -> TableObject:
        """The table of that id; KeyError if there is none."""
        return self._rows[table_id].table

    def find(self, name: str) -> TableObject | None:
        """The table of that name; a name in double quotes matches to the letter."""
        parsed = parse(name)
        found = self._names.get(_slot(parsed))
        exact = parsed.plain != parsed.text
        return found if found is None or not exact or found.name == parsed.plain else None

    def tables(self) -> list[TableObject]:
        """Every table, in order of creation."""
        return list(self._names.values())

    def create(
        self, tx: Transaction, name: str, schema: TableSchema, *, or_replace: bool = False
    ) -> TableObject:
        """An empty table of that schema, whose id is below 0; `tx` has joined.

        Raises:
            NameTaken: a TEMPORARY table has the name. Nothing was made.
        """
        parsed = parse(name)
        old = self._names.get(_slot(parsed))
        if old is not None:
            if not or_replace:
                raise NameTaken("temporary table", parsed.plain)
            self.drop(tx, old)
        table = TableObject(
            id=self._next_id,
            namespace=0,
            name=parsed.plain,
            topic="",
            generations=(schema,),
            created_us=tx.now_us,
        )
        self._next_id -= 1
        self._names[_slot(parsed)] = table
        self._rows[table.id] = Overlay(tx.view, table, created=True)
        tx.adopt(self._rows[table.id])
        return table

    def drop(self, tx: Transaction, table: TableObject) -> None:
        """Drop a table; `tx` has joined.

        Raises:
            NotFound: it is dropped already.
        """
        slot = next((slot for slot, one in self._names.items() if one.id == table.id), None)
        if slot is None:
            raise NotFound("temporary table", table.name)
        del self._names[slot]
        del self._rows[table.id]
        tx.disown(table.id)

    def save(self) -> "_Saved":
        """The tables as they are now."""
        return _Saved(dict(self._names), dict(self._rows))

    def restore(self, saved: "_Saved", tx: Transaction | None) -> None:
        """Go back to the tables as they were; their rows are undone by the transaction itself."""
        for gone in self._rows.keys() - saved.rows.keys():
            if tx is not None:
                tx.disown(gone)
            self._rows[gone].spool.close()
        for back in saved.rows.keys() - self._rows.keys():
            if tx is not None:
                tx.adopt(saved.rows[back])
        self._names, self._rows = dict(saved.names), dict(saved.rows)

    def overlays(self) -> list[Overlay]:
        """The rows of every table."""
        return list(self._rows.values())

    def tidy(self) -> None:
        """Write out anew what holds far more changes than rows."""
        for table_id, overlay in list(self._rows.items()):
            rows = merged(overlay) if overlay.count > _LEAST else None
            if rows is None or overlay.count <= _SLACK * len(rows):
                continue
            fresh = Overlay(overlay.view, overlay.table, created=True)
            fresh.next_row_id, fresh.autos = overlay.next_row_id, overlay.autos
            inserting = BulkInsert(fresh, lambda _: 0)  # every row has its id already
            inserting.add(rows.data, rows.row_ids)
            inserting.finish()
            overlay.spool.close()
            self._rows[table_id] = fresh

    def close(self) -> None:
        """The session is over: nothing is left of them."""
        for overlay in self._rows.values():
            overlay.spool.close()
        self._names, self._rows = {}, {}


def _slot(name: Name) -> Slot:
    return unquoted(name.schema).lower() or "public", name.plain.lower()


@dataclass(frozen=True, slots=True)
class _Saved:
    """Which tables there were."""

    names: dict[Slot, TableObject]
    rows: dict[int, Overlay]


class _Joined:
    """The tables as one transaction found them."""

    def __init__(self, tables: TemporaryTables, tx: Transaction) -> None:
        self._tables, self._tx = tables, tx
        self._found = tables.save()
        self._marks: list[tuple[Overlay, Mark]] = []
        for overlay in tables.overlays():
            overlay.view = tx.view
            self._marks.append((overlay, overlay.frozen()))
            tx.adopt(overlay)

    def save(self) -> Callable[[], None]:
        saved = self._tables.save()
        return lambda: self._tables.restore(saved, self._tx)

    def end(self, outcome: Outcome) -> None:
        if outcome == "committed":
            self._tables.tidy()
            kept = {id(overlay) for overlay in self._tables.overlays()}
            for overlay, _ in self._marks:
                if id(overlay) not in kept:
                    overlay.spool.close()
            return
        self._tables.restore(self._found, None)
        for overlay, mark in self._marks:
            overlay.undo(mark)
