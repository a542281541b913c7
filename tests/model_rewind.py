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
    Place,
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
    """A rewind as asked for. `to` is base, initial, a version or a place."""

    to: int | str | Place = "base"
    restore: bool = False
    force: bool = False
    reason: str = ""


def chosen(state: State, stream: Stream, name: str | None) -> Consumer | None:
    """The consumer meant: the one named, else the one registered; several are refused."""
    if name is not None and stream.shared:
        raise Refused("shared")
    if name is not None:
        return named_consumer(state, stream, name)
    known = registered(state, stream)
    if len(known) > 1:
        raise Refused("several consumers")
    return known[0] if known else None


def position_of(model: Model, stream: Stream, to: int | str | Place) -> int:
    """The position that a TO names."""
    if not model.state.readable(stream):
        raise Refused("stale")
    found = stream.base if to == "base" else INITIAL if to == "initial" else to
    if isinstance(found, Place):
        found = model.version_at(model.state.tables[stream.table], found)
    assert isinstance(found, int)
    if found == INITIAL and not stream.initial:
        raise Refused("no initial rows")
    if found != INITIAL and not stream.base <= found <= model.state.heads[stream.table]:
        raise Refused("outside the stream")
    if model.state.lost(stream, found):
        raise Refused("outside history")
    return found


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
    """Rows that the undone commits inserted into each target and that still exist.

    What a target no longer keeps the history of is not counted. The targets of a client are the tables written in the same commits.
    """
    inserted: dict[int, set[int]] = {}
    for commit in undone(model, consumer, to):
        for move in commit.moves:
            if move.consumer != consumer.id or move.why != "consume":
                continue
            tables = list(commit.events) if move.target is None else [move.target]
            for table in tables:
                rows = inserted.setdefault(table, set())
                if model.states[commit.sequence].heads[table] <= model.state.horizon(table):
                    continue
                rows.update(
                    event.row
                    for event in commit.events.get(table, ())
                    if event.op == "c" and not event.half
                )
    return {
        model.state.tables[table].name: len(rows & set(model.state.rows[table]))
        for table, rows in inserted.items()
        if model.state.tables[table].live
    }


def boundaries(model: Model, consumer: int) -> list[tuple[int, int]]:
    """(position, place) where target and watermark stood together, oldest first.

    A registration counts as of the place before its commit. A plain rewind makes none, nor does
    what follows it until a restore, or until an undo of that very rewind.
    """
    found: list[tuple[int, int]] = []
    together = [True]  # before each commit that went back, and now
    went_back = 0
    for commit, move in moves_of(model, consumer):
        if move.why in ("rewind", "restore") and commit.sequence != went_back:
            together.append(move.why == "restore")
            went_back = commit.sequence
        elif move.why == "undo" and commit.sequence != went_back:
            together.pop()
            went_back = commit.sequence
        if move.why == "register":
            found.append((move.end, commit.sequence - 1))
        elif together[-1]:
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
    targets, effects = undone_since(model, consumer, place)
    if any(not model.state.tables[target].live for target in targets):
        raise Refused("target dropped")
    heads = model.states[place].heads
    if any(heads.get(target, 0) < model.state.horizon(target) for target in targets):
        raise Refused("below the target's horizon")
    ours = {commit.sequence for commit, _ in effects}
    others = [
        commit
        for commit in model.commits[place:]
        if commit.sequence not in ours and targets & commit.events.keys()
    ]
    if others and not force:
        raise Refused("target changed since")
    mark = model.state.marks[consumer.id]
    moves = {consumer.id: (mark, position)}
    for _, move in effects:
        assert move.start is not None
        moves.setdefault(move.consumer, (model.state.marks[move.consumer], move.start))
    check_kept(model, moves)
    return Plan(replayed(model, stream, position, mark), moves, {}, others, place)


def check_kept(model: Model, moves: dict[int, tuple[int, int]]) -> None:
    """Refuse if what lies between the two ends of a move is no longer kept."""
    for consumer, ends in moves.items():
        stream = model.state.streams[model.state.consumers[consumer].stream]
        if ends != (INITIAL, INITIAL) and model.state.lost(stream, min(ends)):
            raise Refused("below the horizon")


def undone_since(
    model: Model, consumer: Consumer, place: int
) -> tuple[set[int], list[tuple[Commit, Move]]]:
    """The tables that go back to a place, and the moves of registered consumers into them since.

    A SHARED watermark that goes back takes every table it fed since with it, and so on.
    """
    since = [
        (commit, move)
        for commit in model.commits[place:]
        for move in commit.moves
        if move.why in ("consume", "restore", "undo")
        and move.target is not None
        and model.state.consumers[move.consumer].live
    ]
    targets = {consumer.target} if consumer.target is not None else set[int]()
    moved = {consumer.id}
    while True:
        targets |= {
            move.target for _, move in since if move.consumer in moved and move.target is not None
        }
        grown = moved | {move.consumer for _, move in since if move.target in targets}
        if grown == moved:
            return targets, [found for found in since if found[1].consumer in moved]
        moved = grown


def execute(model: Model, name: str, made: Plan, ask: Ask) -> Commit | None:
    """Do what a plan says, in one commit, under the stream's policy."""
    stream = find(model.state, name)
    if made.nothing:
        return None
    if stream.policy == "FORBID":
        model.note()
        raise Refused("forbidden")
    if stream.policy == "REQUIRE_REASON" and not ask.reason:
        model.note()
        raise Refused("reason required")
    events: dict[int, Sequence[Event]] = {}
    if made.boundary is not None:
        place = model.states[made.boundary]
        events = inverse(model, targets_of(model, made), place)
    why: Why = "rewind" if made.boundary is None else "restore"
    tables = targets_of(model, made) if made.boundary is not None else set[int]()
    moves = [
        move
        for consumer, (start, end) in made.moves.items()
        for move in moves_to(model, consumer, (start, end), why, tables, ask.reason)
    ]
    return model.record(events, moves)


def moves_to(
    model: Model,
    consumer: int,
    ends: tuple[int, int],
    why: Why,
    tables: set[int],
    reason: str,
) -> list[Move]:
    """One watermark's moves: a SHARED one has a further one, in place, for each table put back."""
    known = model.state.consumers[consumer]
    targets: list[int | None] = [None if why == "rewind" else known.target]
    if known.kind == "SHARED" and tables:
        targets = [*sorted(tables)]
    start, end = ends
    moves: list[Move] = []
    for target in targets:
        moves.append(Move(consumer, start, end, why, target, reason))
        start = end
    return moves


def targets_of(model: Model, made: Plan) -> set[int]:
    """The tables that a restore puts back."""
    assert made.boundary is not None
    consumer = model.state.consumers[next(iter(made.moves))]
    return undone_since(model, consumer, made.boundary)[0]


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
    if not model.state.readable(stream):
        raise Refused("stale")
    found = chosen(model.state, stream, consumer)
    if found is None or moves_of(model, found.id)[-1][1].why not in ("rewind", "restore"):
        raise Refused("nothing to undo")
    events: dict[int, Sequence[Event]] = {}
    commit, last = moves_of(model, found.id)[-1]
    if last.why == "rewind":
        assert last.start is not None
        if model.state.lost(stream, last.start):
            raise Refused("below the horizon")
        moves = moves_to(model, found.id, (last.end, last.start), "undo", set(), reason)
    else:
        tables = {m.target for m in commit.moves if m.why == "restore" and m.target is not None}
        check_unmoved(model, tables, commit)
        starts: dict[int, int] = {}
        for move in commit.moves:
            if move.why == "restore" and model.state.consumers[move.consumer].live:
                assert move.start is not None
                starts.setdefault(move.consumer, move.start)
        if any(moves_of(model, one)[-1][0] != commit for one in starts):
            raise Refused("moved since")
        heads = model.states[commit.sequence - 1].heads
        if any(heads.get(table, 0) < model.state.horizon(table) for table in tables):
            raise Refused("below the target's horizon")
        check_kept(model, {c: (model.state.marks[c], start) for c, start in starts.items()})
        moves = [
            move
            for one, start in starts.items()
            for move in moves_to(
                model, one, (model.state.marks[one], start), "undo", tables, reason
            )
        ]
        events = inverse(model, tables, model.states[commit.sequence - 1])
    done = model.record(events, moves)
    assert done is not None
    return done


def check_unmoved(model: Model, tables: set[int], commit: Commit) -> None:
    """Refuse if a table that a commit put back is gone, or was changed since."""
    for table in tables:
        if not model.state.tables[table].live:
            raise Refused("target dropped")
        if any(table in later.events for later in model.commits[commit.sequence :]):
            raise Refused("target changed since")


def advance(
    model: Model, name: str, consumer: str | None, to: int, reason: str = ""
) -> Commit | None:
    """Skip forward; the changes between are not consumed. None when it stands there already.

    Raises:
        Refused: behind the watermark, or not in the stream.
    """
    stream = find(model.state, name)
    position = position_of(model, stream, to)
    found = chosen(model.state, stream, consumer)
    if found is None or model.state.marks[found.id] == position:
        return None
    mark = model.state.marks[found.id]
    if position < mark:
        raise Refused("behind the watermark")
    return model.record(moves=moves_to(model, found.id, (mark, to), "advance", set(), reason))


def downstream(model: Model, tables: set[int]) -> set[str]:
    """Consumers of streams on the tables that a restore changes: they will see its changes."""
    return {
        consumer_name(model.state, consumer)
        for stream in model.state.streams.values()
        if stream.live and stream.table in tables
        for consumer in registered(model.state, stream)
    }
