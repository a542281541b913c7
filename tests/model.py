"""The oracle: tables, commits and transactions as plain folds, written from the specification.

It imports nothing of the product. A store is the list of its commits; every state is the fold of
those up to some place, kept in `Model.states`. Nothing here is fast, and nothing is shared with
the code under test. Transactions stand in model_transaction.py, DDL in model_tables.py, views in
model_views.py, streams in model_streams.py, rewinds in model_rewind.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Value = int | float | str | bool | None
Image = Mapping[int, Value]  # column id -> value, as it was written
Named = Mapping[str, Value]  # column name -> value, as users see it
Why = Literal["register", "consume", "advance", "rewind", "restore", "undo"]
INITIAL = -1


class Refused(Exception):
    """The model says no; `what` names the rule. Nothing has changed."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Conflict(Refused):
    """Somebody else committed first; the same transaction may be run again."""


@dataclass(frozen=True)
class Place:
    """A place of the commit sequence, as a time or a statement names it."""

    sequence: int


@dataclass(frozen=True)
class Column:
    """A column by id; `fill` stands in images older than it."""

    id: int
    name: str
    fill: Value = None


@dataclass(frozen=True)
class Table:
    """A table's definition; `seeds` are watermarks that a clone took over, by stream."""

    id: int
    name: str
    columns: tuple[Column, ...]
    key: tuple[int, ...] = ()
    next_column: int = 0
    live: bool = True
    seeds: Mapping[int, int] = field(default_factory=dict[int, int])


@dataclass(frozen=True)
class View:
    """A view of one table: rows whose `column` holds at least `least`, and of those some columns."""

    id: int
    name: str
    table: int
    column: str
    least: int
    shows: tuple[str, ...]
    live: bool = True


@dataclass(frozen=True)
class Stream:
    """A stream's definition, on a table or a view of it. `capture` is ALL, NET or INSERT ONLY."""

    id: int
    name: str
    table: int
    base: int
    capture: str = "ALL"
    shared: bool = False
    initial: bool = False
    policy: str = "ALLOW"
    live: bool = True
    view: int | None = None


@dataclass(frozen=True)
class Consumer:
    """A registered reader: TABLE (bound to `target`), CLIENT or SHARED."""

    id: int
    stream: int
    name: str
    kind: str
    target: int | None = None
    live: bool = True


Definition = Table | View | Stream | Consumer


@dataclass(frozen=True)
class Event:
    """One change: op c, u or d. `half` marks both events of a key change."""

    op: str
    row: int
    before: Image | None
    after: Image | None
    half: bool = False


@dataclass(frozen=True)
class Move:
    """One move of one watermark; `target` is the table that its boundary is about."""

    consumer: int
    start: int | None
    end: int
    why: Why
    target: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Commit:
    """One place of the commit sequence."""

    sequence: int
    time: int
    events: Mapping[int, Sequence[Event]] = field(default_factory=dict[int, Sequence[Event]])
    moves: Sequence[Move] = ()
    definitions: Sequence[Definition] = ()
    key: str | None = None
    request: object = None


@dataclass(frozen=True)
class State:
    """Everything after one commit. Rows are row id -> (version that wrote it, image)."""

    sequence: int = 0
    time: int = 0
    tables: Mapping[int, Table] = field(default_factory=dict[int, Table])
    views: Mapping[int, View] = field(default_factory=dict[int, View])
    streams: Mapping[int, Stream] = field(default_factory=dict[int, Stream])
    consumers: Mapping[int, Consumer] = field(default_factory=dict[int, Consumer])
    rows: Mapping[int, Mapping[int, tuple[int, Image]]] = field(
        default_factory=dict[int, Mapping[int, tuple[int, Image]]]
    )
    heads: Mapping[int, int] = field(default_factory=dict[int, int])
    marks: Mapping[int, int] = field(default_factory=dict[int, int])
    # The place of the last change of a definition, by (kind of object, id).
    changed: Mapping[tuple[type, int], int] = field(default_factory=dict[tuple[type, int], int])
    # Table -> the oldest version still kept. What is gone is gone for every place: one for all.
    horizons: dict[int, int] = field(default_factory=dict[int, int])

    def horizon(self, table: int) -> int:
        """The oldest version from which a table's history is kept."""
        return self.horizons.get(table, 0)

    def lost(self, stream: Stream, position: int) -> bool:
        """Whether a consumer of a stream that stands there needs what is no longer kept."""
        return (stream.base if position == INITIAL else position) < self.horizon(stream.table)

    def table(self, name: str) -> Table:
        """The live table of that name."""
        for table in self.tables.values():
            if table.live and table.name == name:
                return table
        raise Refused(f"no table {name}")

    def taken(self, name: str) -> bool:
        """Whether a live table or view has the name: they share them."""
        both: list[Table | View] = [*self.tables.values(), *self.views.values()]
        return any(one.live and one.name == name for one in both)

    def readable(self, stream: Stream) -> bool:
        """Whether what a stream is on is there; a stream on what is not there is stale."""
        seen = stream.view is None or self.views[stream.view].live
        return seen and self.tables[stream.table].live


def apply(state: State, commit: Commit) -> State:
    """The state after one more commit. The whole meaning of the log is this function."""
    tables, views, streams = dict(state.tables), dict(state.views), dict(state.streams)
    consumers, changed = dict(state.consumers), dict(state.changed)
    heads, rows, marks = dict(state.heads), dict(state.rows), dict(state.marks)
    for new in commit.definitions:
        changed[type(new), new.id] = commit.sequence
        match new:
            case Table():
                tables[new.id] = new
                heads.setdefault(new.id, 0)
                rows.setdefault(new.id, {})
            case View():
                views[new.id] = new
            case Stream():
                streams[new.id] = new
            case Consumer():
                consumers[new.id] = new
    for table, events in commit.events.items():
        heads[table] += 1
        now = dict(rows[table])
        for event in events:
            if event.after is None:
                del now[event.row]
            else:
                now[event.row] = (heads[table], event.after)
        rows[table] = now
    for move in commit.moves:
        marks[move.consumer] = move.end
    return State(
        commit.sequence,
        commit.time,
        tables,
        views,
        streams,
        consumers,
        rows,
        heads,
        marks,
        changed,
        state.horizons,
    )


def shown(table: Table, image: Image) -> dict[str, Value]:
    """An image as users see it today: columns by id, dropped ones gone, added ones filled."""
    return {column.name: image.get(column.id, column.fill) for column in table.columns}


def key_of(table: Table, image: Image) -> tuple[Value, ...]:
    """The key's values; empty for a table without a key."""
    return tuple(image.get(column) for column in table.key)


class Model:
    """A store: its commits, and the state after each."""

    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self.states = [State()]
        self.next_id = 100
        self.next_row: dict[int, int] = {}
        self.forgotten = 0  # up to this commit, idempotency keys are no longer remembered

    @property
    def state(self) -> State:
        """Everything as it is now."""
        return self.states[-1]

    def new_id(self) -> int:
        """An id that nothing else has."""
        self.next_id += 1
        return self.next_id

    def record(
        self,
        events: Mapping[int, Sequence[Event]] | None = None,
        moves: Sequence[Move] = (),
        definitions: Sequence[Definition] = (),
        *,
        time: int | None = None,
        key: str | None = None,
        request: object = None,
    ) -> Commit | None:
        """Append one commit; None, and no commit, if it would change nothing."""
        if not (events or moves or definitions):
            return None
        at = self.state.time + 1 if time is None else time
        assert at > self.state.time, "commit times rise strictly"
        commit = Commit(len(self.commits) + 1, at, events or {}, moves, definitions, key, request)
        self.commits.append(commit)
        self.states.append(apply(self.state, commit))
        return commit

    def note(self) -> None:
        """Append a commit that only goes on record: a refusal of a stream's policy."""
        commit = Commit(len(self.commits) + 1, self.state.time + 1)
        self.commits.append(commit)
        self.states.append(apply(self.state, commit))

    def expire(self, name: str, version: int) -> int:
        """Let a table's history below a version go; returns the horizon. No commit."""
        table = self.state.table(name).id
        if version > self.state.heads[table]:
            raise Refused("outside history")
        self.state.horizons[table] = max(version, self.state.horizon(table))
        return self.state.horizon(table)

    def first_under(self, key: str | None) -> Commit | None:
        """The commit that a key stands for, None if it may be used as new."""
        later = self.commits[self.forgotten :]
        return next((c for c in later if key is not None and c.key == key), None)

    # Reading

    def rows(self, name: str, version: int | None = None) -> list[tuple[int, dict[str, Value]]]:
        """(row id, row) of a table, now or at a version, in today's columns."""
        table = self.state.table(name)
        return self.rows_of(table, self.state.heads[table.id] if version is None else version)

    def rows_of(self, table: Table, version: int) -> list[tuple[int, dict[str, Value]]]:
        """(row id, row) of a table at a version, in today's columns."""
        return [(row, shown(table, image)) for row, image in self.images_of(table.id, version)]

    def images_of(self, table: int, version: int) -> list[tuple[int, Image]]:
        """(row id, image) of a table at a version: the fold of its log up to there."""
        if not self.state.horizon(table) <= version <= self.state.heads[table]:
            raise Refused("outside history")
        rows: dict[int, Image] = {}
        for _, _, event in self.history(table, 0, version):
            rows.pop(event.row, None)
            if event.after is not None:
                rows[event.row] = event.after
        return sorted(rows.items())

    def history(self, table: int, after: int, upto: int) -> list[tuple[int, Commit, Event]]:
        """(version, commit, event) of a table in (after, upto], in order."""
        found: list[tuple[int, Commit, Event]] = []
        version = 0
        for commit in self.commits:
            if table in commit.events:
                version += 1
                if after < version <= upto:
                    found += [(version, commit, event) for event in commit.events[table]]
        return found

    def sequence_at(self, time: int) -> int:
        """The last commit at or before a time."""
        return max((c.sequence for c in self.commits if c.time <= time), default=0)

    def version_at_time(self, table: Table, time: int) -> int:
        """The version of a table that a time names."""
        return self.version_at(table, Place(self.sequence_at(time)))

    def version_at(self, table: Table, place: Place) -> int:
        """The version of a table right after a commit."""
        version = self.states[place.sequence].heads.get(table.id)
        if version is None or version < self.state.horizon(table.id):
            raise Refused("outside history")
        return version

    def diff(self, name: str, a: int, b: int) -> dict[int, tuple[Named | None, Named | None]]:
        """Row id -> (row at a, row at b) for each row that differs."""
        was, now = dict(self.rows(name, a)), dict(self.rows(name, b))
        return {
            row: (was.get(row), now.get(row))
            for row in sorted(was.keys() | now.keys())
            if was.get(row) != now.get(row)
        }
