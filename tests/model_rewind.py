"""The oracle's rewinds: plans, plain rewinds, restores, undo and advance.

Plain folds over `model.Model`, written from the specification. A boundary is a place in the
commit sequence at which a target table stood where its consumer's watermark stood.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from model import (
    INITIAL,
    Commit,
    Consumer,
    Event,
    Image,
    Model,
    Move,
    Refused,
    State,
    Stream,
    Value,
    Why,
    key_of,
)
from model_streams import (
    captured,
    consumer_name,
    find,
    lag,
    moves_of,
    named_consumer,
    registered,
)


@dataclass(frozen=True)
class Plan:
    """What a rewind would do. `moves` are watermarks: consumer -> (from, to)."""

    changes: int = 0
    moves: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])
    duplicates: dict[str, int] = field(default_factory=dict[str, int])
    discarded: Sequence[Commit] = ()
    boundary: int | None = None  # the place that a restore goes back to
    nothing: str = ""  # why there is nothing to do


@dataclass(frozen=True)
class Ask:
    """A rewind as asked for. `to` is base, initial or a version."""

    to: int | str = "base"
    restore: bool = False
    force: bool = False
    reason: str = ""


def chosen(state: State, stream: Stream, name: str | None) -> Consumer | None:
    """The consumer meant: the one named, else the one registered; several are refused."""
    if name is not None and not stream.shared:
        return named_consumer(state, stream, name)
    known = registered(state, stream)
    if len(known) > 1:
        raise Refused("several consumers")
    return known[0] if known else None


def position_of(model: Model, stream: Stream, to: int | str) -> int:
    """The position that a TO names."""
    if to == "base":
        return stream.base
    if to == "initial":
        if not stream.initial:
            raise Refused("no initial rows")
        return INITIAL
    assert isinstance(to, int)
    if to < stream.base:
        raise Refused("below the base")
    return to


def plan(model: Model, name: str, consumer: str | None, ask: Ask) -> Plan:
    """What `rewind` would do now; changes nothing.

    Raises:
        Refused: the target is above the watermark, or a restore is impossible.
    """
    stream = find(model.state, name)
    to = position_of(model, stream, ask.to)
    found = chosen(model.state, stream, consumer)
    if found is None:
        return Plan(nothing="nobody is registered")
    mark = model.state.marks[found.id]
    if to == mark:
        return Plan(nothing="stands there already")
    if to > mark:
        raise Refused("above the watermark")
    if not ask.restore:
        return Plan(
            replayed(model, stream, to, mark),
            {found.id: (mark, to)},
            duplicates(model, found, to),
        )
    return plan_restore(model, stream, found, to, ask.force)


def replayed(model: Model, stream: Stream, to: int, mark: int) -> int:
    """Changes that will be read again; at INITIAL the snapshot's rows too."""
    if to != INITIAL:
        return captured(model, stream, to, mark)
    rows = lag(model, stream, INITIAL)[1] - lag(model, stream, stream.base)[1]
    return rows + captured(model, stream, stream.base, mark)


def undone(model: Model, consumer: Consumer, to: int) -> list[Commit]:
    """The commits of this consumer whose windows a rewind to `to` would open again."""
    commits: list[Commit] = []
    for commit, move in reversed(moves_of(model, consumer.id)):
        if move.why == "consume" and move.end > to:
            commits.append(commit)
        elif move.end <= to:
            break
    return commits[::-1]


def duplicates(model: Model, consumer: Consumer, to: int) -> dict[str, int]:
    """Rows that the undone commits inserted into each target and that still exist."""
    counts: dict[str, int] = {}
    for table_id in sorted(fed(consumer, undone(model, consumer, to))):
        inserted = {
            event.row
            for commit in undone(model, consumer, to)
            for event in commit.events.get(table_id, ())
            if event.op == "c" and not event.half
        }
        counts[model.state.tables[table_id].name] = len(inserted & set(model.state.rows[table_id]))
    return counts


def fed(consumer: Consumer, commits: Sequence[Commit]) -> set[int]:
    """The tables that a consumer's consumptions in these commits were about."""
    return {
        move.target
        for commit in commits
        for move in commit.moves
        if move.consumer == consumer.id and move.why == "consume" and move.target is not None
    }


def boundaries(model: Model, consumer: int) -> list[tuple[int, int]]:
    """(position, place) where target and watermark stood together, oldest first.

    A registration counts as of the place before its commit. A plain rewind makes none, nor does
    what follows it until a restore or an undo.
    """
    found: list[tuple[int, int]] = []
    together = True
    for commit, move in moves_of(model, consumer):
        if move.why == "register":
            found.append((move.end, commit.sequence - 1))
        elif move.why == "rewind":
            together = False
        elif together or move.why in ("restore", "undo"):
            together = True
            found.append((move.end, commit.sequence))
    return found


def plan_restore(model: Model, stream: Stream, consumer: Consumer, to: int, force: bool) -> Plan:
    """Back to the last boundary at or below `to`, with every watermark moved into its targets."""
    if consumer.kind == "CLIENT":
        raise Refused("no table to restore")
    fitting = [b for b in boundaries(model, consumer.id) if b[0] <= to]
    if not fitting:
        raise Refused("no boundary")
    position, place = fitting[-1]
    later = model.commits[place:]
    targets = fed(consumer, later) if consumer.kind == "SHARED" else {consumer.target}
    assert None not in targets
    for target in targets:
        if target is not None and not model.state.tables[target].live:
            raise Refused("target dropped")
    others = [
        commit
        for commit in later
        if any(
            t in commit.events and not any(m.target == t for m in commit.moves)
            for t in targets
            if t is not None
        )
    ]
    if others and not force:
        raise Refused("target changed since")
    mark = model.state.marks[consumer.id]
    moves = {consumer.id: (mark, position)}
    for other in model.state.consumers.values():
        taken = [
            move
            for commit in later
            for move in commit.moves
            if move.consumer == other.id and move.why == "consume" and move.target in targets
        ]
        if other.live and other.id != consumer.id and taken:
            start = taken[0].start
            assert start is not None
            moves[other.id] = (model.state.marks[other.id], start)
    return Plan(replayed(model, stream, position, mark), moves, {}, others, place)


def execute(model: Model, name: str, made: Plan, ask: Ask) -> Commit | None:
    """Do what a plan says, in one commit, under the stream's policy."""
    stream = find(model.state, name)
    if made.nothing:
        return None
    if stream.policy == "FORBID":
        raise Refused("forbidden")
    if stream.policy == "REQUIRE_REASON" and not ask.reason:
        raise Refused("reason required")
    events: dict[int, Sequence[Event]] = {}
    if made.boundary is not None:
        place = model.states[made.boundary]
        events = inverse(model, targets_of(model, made), place)
    why: Why = "rewind" if made.boundary is None else "restore"
    moves = [
        Move(
            consumer,
            start,
            end,
            why,
            model.state.consumers[consumer].target if why == "restore" else None,
            ask.reason,
        )
        for consumer, (start, end) in made.moves.items()
    ]
    return model.record(events, moves)


def targets_of(model: Model, made: Plan) -> set[int]:
    """The tables that a restore puts back."""
    assert made.boundary is not None
    consumer = model.state.consumers[next(iter(made.moves))]
    if consumer.target is not None:
        return {consumer.target}
    return fed(consumer, model.commits[made.boundary :])


def inverse(model: Model, tables: set[int], place: State) -> dict[int, Sequence[Event]]:
    """The changes that put tables back to a place, in today's columns, under old row ids.

    Deletes first, then the old halves of key changes, updates and new halves, inserts; each in
    row id order.
    """
    made: dict[int, Sequence[Event]] = {}
    for table_id in sorted(tables):
        table = model.state.tables[table_id]
        columns = {c.id: c.fill for c in table.columns}

        def today(image: Image, columns: dict[int, Value] = columns) -> Image:
            return {c: image.get(c, fill) for c, fill in columns.items()}

        now = {row: today(image) for row, (_, image) in model.state.rows[table_id].items()}
        then = {row: today(image) for row, (_, image) in place.rows.get(table_id, {}).items()}
        gone: list[Event] = []
        halves: list[Event] = []
        updates: list[Event] = []
        inserts: list[Event] = []
        for row in sorted(now.keys() | then.keys()):
            old, new = now.get(row), then.get(row)
            if old == new:
                continue
            if new is None:
                gone.append(Event("d", row, old, None))
            elif old is None:
                inserts.append(Event("c", row, None, new))
            elif key_of(table, old) == key_of(table, new):
                updates.append(Event("u", row, old, new))
            else:
                halves.append(Event("d", row, old, None, half=True))
                updates.append(Event("c", row, None, new, half=True))
        if events := gone + halves + updates + inserts:
            made[table_id] = events
    return made


def rewind(model: Model, name: str, consumer: str | None, ask: Ask) -> Commit | None:
    """Plan and execute in one step."""
    return execute(model, name, plan(model, name, consumer, ask), ask)


def undo(model: Model, name: str, consumer: str | None, reason: str = "") -> Commit:
    """Put back what the consumer's last move, a rewind or restore, took away.

    Raises:
        Refused: its last move was none, or a restored table was changed since.
    """
    stream = find(model.state, name)
    found = chosen(model.state, stream, consumer)
    if found is None or moves_of(model, found.id)[-1][1].why not in ("rewind", "restore"):
        raise Refused("nothing to undo")
    commit = moves_of(model, found.id)[-1][0]
    events: dict[int, Sequence[Event]] = {}
    for table_id in commit.events:
        if any(table_id in later.events for later in model.commits[commit.sequence :]):
            raise Refused("target changed since")
        events |= inverse(model, {table_id}, model.states[commit.sequence - 1])
    moves: list[Move] = []
    for move in commit.moves:
        if model.state.marks[move.consumer] != move.end:
            raise Refused("moved since")
        assert move.start is not None
        target = model.state.consumers[move.consumer].target
        moves.append(Move(move.consumer, move.end, move.start, "undo", target, reason))
    done = model.record(events, moves)
    assert done is not None
    return done


def advance(model: Model, name: str, consumer: str | None, to: int, reason: str = "") -> Commit:
    """Skip forward; the changes between are not consumed.

    Raises:
        Refused: not above the watermark, or above the head.
    """
    stream = find(model.state, name)
    found = chosen(model.state, stream, consumer)
    if found is None:
        raise Refused("nobody is registered")
    mark = model.state.marks[found.id]
    if not mark < to <= model.state.heads[stream.table] or to < stream.base:
        raise Refused("not ahead")
    done = model.record(moves=[Move(found.id, mark, to, "advance", found.target, reason)])
    assert done is not None
    return done


def downstream(model: Model, tables: set[int]) -> set[str]:
    """Consumers of streams on the tables that a restore changes: they will see its changes."""
    return {
        consumer_name(model.state, consumer)
        for stream in model.state.streams.values()
        if stream.live and stream.table in tables
        for consumer in registered(model.state, stream)
    }
