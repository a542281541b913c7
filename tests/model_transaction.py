"""The oracle's transactions: snapshot, own writes, statement undo, conflicts, idempotency."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from model import (
    Commit,
    Conflict,
    Consumer,
    Event,
    Image,
    Model,
    Move,
    Named,
    Refused,
    Stream,
    Table,
    Value,
    View,
    key_of,
    shown,
)


@dataclass(frozen=True)
class Window:
    """(start, end] as one transaction fixed it for one consumer.

    `targets` are the tables it was consumed into: one, or several for a SHARED stream.
    """

    consumer: int
    start: int
    end: int
    registers: bool = False
    targets: tuple[int | None, ...] = ()


class Tx:
    """A transaction: a snapshot, its own writes, and the windows it has fixed."""

    def __init__(self, model: Model, key: str | None = None) -> None:
        self.model, self.snapshot, self.key = model, model.state, key
        self.events: dict[int, list[Event]] = {}
        self.relied: set[int] = set()  # tables that statements were about
        self.windows: dict[tuple[int, str], Window] = {}
        self.bounds: dict[int, object] = {}
        self.new_consumers: list[Consumer] = []
        self.request: list[object] = []
        self.open = True
        # A request sent again is looked up before anything of it can fail.
        self.first = model.first_under(key)

    def images(self, table: Table) -> dict[int, Image]:
        """Row id -> image as this transaction sees it, in row id order."""
        now = {row: image for row, (_, image) in self.snapshot.rows[table.id].items()}
        for event in self.events.get(table.id, []):
            if event.after is None:
                del now[event.row]
            else:
                now[event.row] = event.after
        return dict(sorted(now.items()))

    def rows(self, name: str) -> list[tuple[int, dict[str, Value]]]:
        """(row id, row) as this transaction sees the table."""
        table = self.snapshot.table(name)
        return [(row, shown(table, image)) for row, image in self.images(table).items()]

    def insert(self, name: str, rows: Sequence[Named]) -> int:
        """One INSERT statement; returns the number of rows."""
        table = self.snapshot.table(name)
        new = [{c.id: row.get(c.name, c.fill) for c in table.columns} for row in rows]
        first = self.model.next_row.setdefault(table.id, 1)
        self.model.next_row[table.id] = first + len(new)
        self.statement(table, [Event("c", first + n, None, image) for n, image in enumerate(new)])
        return len(new)

    def update(self, name: str, match: Callable[[Mapping[str, Value]], bool], change: Named) -> int:
        """One UPDATE statement. Key changes are d and c: all d of the statement stand first."""
        table = self.snapshot.table(name)
        deletes: list[Event] = []
        others: list[Event] = []
        by_name = {column.name: column.id for column in table.columns}
        if not change.keys() <= by_name.keys():
            raise Refused("no such column")
        for row, image in self.images(table).items():
            if not match(shown(table, image)):
                continue
            old = {column.id: image.get(column.id, column.fill) for column in table.columns}
            new = {**old, **{by_name[column]: value for column, value in change.items()}}
            if key_of(table, old) == key_of(table, new):
                others.append(Event("u", row, old, new))
            else:
                deletes.append(Event("d", row, old, None, half=True))
                others.append(Event("c", row, None, new, half=True))
        self.statement(table, deletes + others)
        return len(others)

    def delete(self, name: str, match: Callable[[Mapping[str, Value]], bool]) -> int:
        """One DELETE statement; with a match that is always true, TRUNCATE."""
        table = self.snapshot.table(name)
        gone = [
            Event("d", row, image, None)
            for row, image in self.images(table).items()
            if match(shown(table, image))
        ]
        self.statement(table, gone)
        return len(gone)

    def statement(self, table: Table, events: list[Event]) -> None:
        """Take one statement's events, or refuse it whole."""
        if self.first is not None:
            return
        if not events:
            self.relied.add(table.id)
            return
        kept = list(self.events.get(table.id, []))
        self.events[table.id] = kept + events
        keys = [key_of(table, image) for image in self.images(table).values()]
        if table.key and any(None in key for key in keys):
            self.events[table.id] = kept
            raise Refused("null in key")
        if table.key and len(set(keys)) < len(keys):
            self.events[table.id] = kept
            raise Refused("duplicate key")
        self.relied.add(table.id)

    def conflict(self) -> str:
        """What somebody else moved since this transaction began; empty if nothing did."""
        now = self.model.state
        if not (self.windows or any(self.events.values())):
            return ""
        if any(now.changed[Table, table] > self.snapshot.sequence for table in self.relied):
            return "definition"
        for table_id in self.events:
            if found := self._rows_moved(table_id):
                return found
        for window in self.windows.values():
            consumer = self._consumer(window)
            moved = now.changed[Stream, consumer.stream] > self.snapshot.sequence
            if moved or now.changed.get((Consumer, consumer.id), 0) > self.snapshot.sequence:
                return "definition"
            seen = self.snapshot.streams[consumer.stream].view
            if seen is not None and now.changed[View, seen] > self.snapshot.sequence:
                return "definition"
            if not window.registers and now.marks[window.consumer] != window.start:
                return "watermark"
            idle = window.start == window.end and not window.registers
            if idle and self._moved_since(window.consumer):
                return "watermark"
            target = consumer.target
            if (
                window.registers
                and target is not None
                and (now.changed[Table, target] > self.snapshot.sequence)
            ):
                return "definition"  # the table that is to become a consumer
            if window.registers and any(
                other.live and (other.stream, other.name) == (consumer.stream, consumer.name)
                for other in now.consumers.values()
            ):
                return "watermark"
        return ""

    def _moved_since(self, consumer: int) -> bool:
        since = self.model.commits[self.snapshot.sequence :]
        return any(move.consumer == consumer for commit in since for move in commit.moves)

    def _consumer(self, window: Window) -> Consumer:
        known = {consumer.id: consumer for consumer in self.new_consumers}
        return known.get(window.consumer) or self.snapshot.consumers[window.consumer]

    def _rows_moved(self, table_id: int) -> str:
        table = self.snapshot.tables[table_id]
        was, now = self.snapshot.rows[table_id], self.model.state.rows[table_id]
        held_then = {key_of(table, image): row for row, (_, image) in was.items()}
        held_now = {key_of(table, image): row for row, (_, image) in now.items()}
        for event in self.events[table_id]:
            if event.row in was and now.get(event.row, (None,))[0] != was[event.row][0]:
                return "row"
            if table.key and event.after is not None:
                key = key_of(table, event.after)
                if held_now.get(key) != held_then.get(key):
                    return "key"
        return ""

    def commit(self, time: int | None = None) -> Commit | None:
        """Commit; None when there was nothing to commit.

        Raises:
            Conflict: somebody else was first. The transaction is over, nothing has changed.
            Refused: the idempotency key stands for another request.
        """
        self.open = False
        known = self.model.first_under(self.key)
        if known is not None and known.request != self.request:
            raise Refused("idempotency")
        if known is not None:
            return known
        if why := self.conflict():
            raise Conflict(why)
        moves = [move for window in self.windows.values() for move in self.moves_of(window)]
        events = {table: done for table, done in self.events.items() if done}
        return self.model.record(
            events, moves, self.new_consumers, time=time, key=self.key, request=self.request
        )

    def moves_of(self, window: Window) -> list[Move]:
        """A window's moves: its registration, its consumption, and one in place for each target
        after the first."""
        moves: list[Move] = []
        if window.registers:
            own = self._consumer(window).target
            moves.append(Move(window.consumer, None, window.start, "register", own))
        start = window.start
        for target in window.targets:
            moves.append(Move(window.consumer, start, window.end, "consume", target))
            start = window.end
        return moves

    def rollback(self) -> None:
        """Forget everything."""
        self.open = False


def autocommit(
    model: Model, do: Callable[[Tx], object], *, time: int | None = None
) -> Commit | None:
    """One transaction around `do`; a refusal inside it leaves nothing behind."""
    tx = Tx(model)
    do(tx)
    return tx.commit(time)


def every(row: Mapping[str, Value]) -> bool:
    """A WHERE that is always true."""
    return bool(row) or True


def where(column: str, *values: Value) -> Callable[[Mapping[str, Value]], bool]:
    """A WHERE column IN (values)."""
    return lambda row: row[column] in values
