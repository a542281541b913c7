"""The oracle's streams: what they show, who reads them, windows, consumption and lag.

Plain folds over `model.Model`, written from the specification.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from model import (
    INITIAL,
    Commit,
    Consumer,
    Event,
    Image,
    Model,
    Move,
    Named,
    Place,
    Refused,
    State,
    Stream,
    Value,
)
from model_transaction import Tx, Window
from model_views import Look, look_of


@dataclass(frozen=True)
class StreamRow:
    """A row of a stream: its METADATA columns and its values."""

    action: str
    is_update: bool
    row: int
    version: int
    time: int
    transaction: int
    values: Mapping[str, Value]


# What a stream shows


def read(
    model: Model, stream: Stream, after: int, upto: int, place: State | None = None
) -> list[StreamRow]:
    """The rows of a window (after, upto], in order, in the columns of a place (now, if None)."""
    state = place or model.state
    if not state.readable(stream):
        raise Refused("stale")
    if after != upto and state.lost(stream, after):
        raise Refused("below the horizon")
    look = look_of(state, stream)
    if after == INITIAL:
        at = next(one for one in model.states if one.heads.get(stream.table, -1) >= upto)
        seen = [(row, look(image)) for row, image in model.images_of(stream.table, upto)]
        return [
            StreamRow("INSERT", False, row, upto, at.time, at.sequence, values)
            for row, values in seen
            if values is not None
        ]
    found = model.history(stream.table, after, upto)
    match stream.capture:
        case "ALL":
            return read_all(look, found)
        case "NET":
            return read_net(look, found)
        case "INSERT ONLY":
            return read_all(look, [one for one in found if one[2].op == "c" and not one[2].half])
        case _:
            raise AssertionError(stream.capture)


def read_all(look: Look, found: list[tuple[int, Commit, Event]]) -> list[StreamRow]:
    """Every committed change. The pair of a key change stands where its c stands."""
    rows: list[StreamRow] = []
    left: dict[int, Image] = {}  # images of rows whose key is being changed
    for version, commit, event in found:
        if event.op == "d" and event.half:
            assert event.before is not None
            left[event.row] = event.before
            continue
        before = left.pop(event.row) if event.half else event.before
        rows += pair(event.row, version, commit, look(before), look(event.after))
    assert not left, "a key change is whole within a commit"
    return rows


def read_net(look: Look, found: list[tuple[int, Commit, Event]]) -> list[StreamRow]:
    """First image seen against last image seen of each row, in the order of last changes seen."""
    first: dict[int, Named | None] = {}
    last: dict[int, tuple[int, Commit, Named | None]] = {}
    for version, commit, event in found:
        before, after = look(event.before), look(event.after)
        if before is None and after is None:
            continue  # outside the view, before and after
        first.setdefault(event.row, before)
        last.pop(event.row, None)  # so that the order is that of last changes
        last[event.row] = (version, commit, after)
    rows: list[StreamRow] = []
    for row, (version, commit, after) in last.items():
        if first[row] is None or first[row] != after:
            rows += pair(row, version, commit, first[row], after)
    return rows


def pair(
    row: int, version: int, commit: Commit, before: Named | None, after: Named | None
) -> list[StreamRow]:
    """A DELETE row for the old values, an INSERT row for the new ones; both are an update."""
    update = before is not None and after is not None
    return [
        StreamRow(action, update, row, version, commit.time, commit.sequence, values)
        for action, values in (("DELETE", before), ("INSERT", after))
        if values is not None
    ]


# Streams and their consumers


def find(state: State, name: str) -> Stream:
    """The live stream of that name."""
    for stream in state.streams.values():
        if stream.live and stream.name == name:
            return stream
    raise Refused(f"no stream {name}")


def registered(state: State, stream: Stream) -> list[Consumer]:
    """A stream's registered consumers, in order of registration."""
    return [c for c in state.consumers.values() if c.live and c.stream == stream.id]


def start_of(stream: Stream) -> int:
    """Where a consumer of the stream begins that was never registered."""
    return INITIAL if stream.initial else stream.base


def lowest(state: State, stream: Stream) -> int:
    """What at least one consumer still has to consume begins here; stale ones are left out."""
    marks = [state.marks[consumer.id] for consumer in registered(state, stream)]
    return min((at for at in marks if not state.lost(stream, at)), default=start_of(stream))


@dataclass(frozen=True)
class Options:
    """The options of CREATE STREAM."""

    capture: str = "ALL"
    shared: bool = False
    initial: bool = False
    policy: str = "ALLOW"


def create_stream(
    model: Model,
    name: str,
    on: str,
    options: Options = Options(),
    *,
    at: int | str | Place | None = None,
    replaces: bool = False,
) -> Stream:
    """CREATE [OR REPLACE] STREAM on a table or view. `at`: a version, a place, a stream's name.

    AT (STREAM => itself) in OR REPLACE keeps the consumers with their watermarks; OR REPLACE
    otherwise retires them.
    """
    seen = next((v for v in model.state.views.values() if v.live and v.name == on), None)
    table = model.state.table(on) if seen is None else model.state.tables[seen.table]
    base, head = at, model.state.heads[table.id]
    if not table.live:
        raise Refused("the view's table was dropped")
    old = [s for s in model.state.streams.values() if s.live and s.name == name]
    if isinstance(base, str):
        other = find(model.state, base)
        if other.table != table.id:
            raise Refused("another table")
        base = lowest(model.state, other)
        base = other.base if base == INITIAL else base
    if isinstance(base, Place):
        base = model.version_at(table, base)
    base = head if base is None else base
    if not model.state.horizon(table.id) <= base <= head:
        raise Refused("outside history")
    if old and not replaces:
        raise Refused("name taken")
    if old and at == name and old[0].shared != options.shared:
        raise Refused("consumers carried over as they are")
    stream = Stream(
        model.new_id(),
        name,
        table.id,
        base,
        options.capture,
        options.shared,
        options.initial,
        options.policy,
        view=None if seen is None else seen.id,
    )
    carried = registered(model.state, old[0]) if old and at == name else []
    copies = [(c, replace(c, id=model.new_id(), stream=stream.id)) for c in carried]
    moves = [
        Move(new.id, None, model.state.marks[c.id], "register", new.target) for c, new in copies
    ]
    gone = [replace(c, live=False) for s in old for c in registered(model.state, s)]
    model.record(
        moves=moves,
        definitions=[
            *gone,
            *(replace(s, live=False) for s in old),
            stream,
            *(new for _, new in copies),
        ],
    )
    return stream


def clone_stream(model: Model, name: str, source: str) -> Stream:
    """CREATE STREAM .. CLONE: its definition, its consumers and their watermarks."""
    original = find(model.state, source)
    if not model.state.readable(original):
        raise Refused("stale")
    if any(s.live and s.name == name for s in model.state.streams.values()):
        raise Refused("name taken")
    stream = replace(original, id=model.new_id(), name=name)
    pairs = [
        (c, replace(c, id=model.new_id(), stream=stream.id))
        for c in registered(model.state, original)
    ]
    model.record(
        moves=[
            Move(new.id, None, model.state.marks[c.id], "register", new.target) for c, new in pairs
        ],
        definitions=[stream, *(new for _, new in pairs)],
    )
    return stream


def drop_stream(model: Model, name: str) -> None:
    """DROP STREAM, with its consumers."""
    stream = find(model.state, name)
    retired = [replace(c, live=False) for c in registered(model.state, stream)]
    model.record(definitions=[replace(stream, live=False), *retired])


def add_consumer(model: Model, name: str, consumer: str, at: int | str = "BASE") -> Consumer:
    """ALTER STREAM .. ADD CONSUMER .. AS CLIENT [AT BASE | HEAD | version]."""
    stream = find(model.state, name)
    head = model.state.heads[stream.table]
    if stream.shared:
        raise Refused("shared")
    if not model.state.readable(stream):
        raise Refused("stale")
    if any(c.name == consumer for c in registered(model.state, stream)):
        raise Refused("name taken")
    position = {"BASE": start_of(stream), "HEAD": head}[at] if isinstance(at, str) else at
    if position > head or (position < stream.base and position != INITIAL):
        raise Refused("outside history")
    if not isinstance(at, str) and model.state.lost(stream, position):
        raise Refused("outside history")
    new = Consumer(model.new_id(), stream.id, consumer, "CLIENT")
    model.record(moves=[Move(new.id, None, position, "register")], definitions=[new])
    return new


def drop_consumer(model: Model, name: str, consumer: str) -> None:
    """ALTER STREAM .. DROP CONSUMER."""
    found = named_consumer(model.state, find(model.state, name), consumer)
    model.record(definitions=[replace(found, live=False)])


def named_consumer(state: State, stream: Stream, name: str) -> Consumer:
    """A registered consumer; a TABLE one is found by its table's current name."""
    for consumer in registered(state, stream):
        if consumer_name(state, consumer) == name:
            return consumer
    raise Refused(f"no consumer {name}")


def consumer_name(state: State, consumer: Consumer) -> str:
    """What a consumer is shown as."""
    return consumer.name if consumer.target is None else state.tables[consumer.target].name


# Consuming


def consume(
    tx: Tx,
    name: str,
    *,
    into: str | None = None,
    client: str | None = None,
    limit: int | None = None,
    upto: int | None = None,
) -> tuple[int, int]:
    """The window (start, end] of one consumer in this transaction; its watermark moves at COMMIT.

    `into` names a table (a TABLE consumer, or the one of a SHARED stream), `client` a program.
    """
    stream = find(tx.snapshot, name)
    if not tx.snapshot.readable(stream):
        raise Refused("stale")
    if stream.shared and client is not None:
        raise Refused("shared")
    target = tx.snapshot.table(into).id if into is not None else None
    label = "" if stream.shared else client if client is not None else str(target)
    bound = (limit, upto)
    if tx.bounds.get(stream.id, bound) != bound:
        raise Refused("two bounds")
    if (stream.id, label) not in tx.windows:
        tx.windows[stream.id, label] = fix_window(tx, stream, label, target, bound)
    tx.bounds[stream.id] = bound
    window = tx.windows[stream.id, label]
    if target not in window.targets:
        window = replace(window, targets=(*window.targets, target))
        tx.windows[stream.id, label] = window
    return window.start, window.end


def fix_window(
    tx: Tx,
    stream: Stream,
    label: str,
    target: int | None,
    bound: tuple[int | None, int | None],
) -> Window:
    """The window at its first use: the consumer is registered by it, if it never was."""
    known = [
        c
        for c in registered(tx.snapshot, stream)
        if stream.shared or (c.target == target if target is not None else c.name == label)
    ]
    if known:
        if target is None and known[0].kind == "TABLE":
            raise Refused("moves only through its table")
        start = tx.snapshot.marks[known[0].id]
    else:
        start = start_of(stream)
        if target is not None and not stream.shared:
            start = tx.snapshot.tables[target].seeds.get(stream.id, start)
        kind = "SHARED" if stream.shared else "TABLE" if target is not None else "CLIENT"
        own = target if kind == "TABLE" else None
        tx.new_consumers.append(
            Consumer(tx.model.new_id(), stream.id, label if own is None else f"#{own}", kind, own)
        )
    consumer = known[0] if known else tx.new_consumers[-1]
    if tx.snapshot.lost(stream, start):
        if not known:
            tx.new_consumers.pop()
        raise Refused("below the horizon")
    end = end_of(tx.model, stream, start, tx.snapshot.heads[stream.table], bound)
    return Window(consumer.id, start, end, not known, (target,))


def end_of(
    model: Model, stream: Stream, start: int, head: int, bound: tuple[int | None, int | None]
) -> int:
    """Where a window ends: the base from INITIAL, else the head or the bound; whole commits."""
    limit, upto = bound
    if start == INITIAL:
        return stream.base
    if start == head:
        return head
    end = head
    if upto is not None:
        end = min(end, max(upto, start + 1))
    if limit is not None:
        fitting = [
            v for v in range(start + 1, end + 1) if captured(model, stream, start, v) <= limit
        ]
        end = max(fitting, default=start + 1)
    return end


# Has-data, lag, backlog, history


def captured(model: Model, stream: Stream, after: int, upto: int) -> int:
    """Captured changes in (after, upto], before netting; a key change counts once."""
    count = 0
    for _, _, event in model.history(stream.table, after, upto):
        if stream.capture == "INSERT ONLY":
            count += event.op == "c" and not event.half
        else:
            count += not (event.op == "d" and event.half)
    return count


def lag(model: Model, stream: Stream, position: int) -> tuple[int, int]:
    """(versions, changes) that a consumer at this position has still to consume.

    At INITIAL the rows of the snapshot count as changes.
    """
    head = model.state.heads[stream.table]
    if model.state.lost(stream, position):
        raise Refused("below the horizon")
    if position != INITIAL:
        return head - position, captured(model, stream, position, head)
    table = model.state.tables[stream.table]
    rows = len(model.rows_of(table, stream.base))
    return head - stream.base, rows + captured(model, stream, stream.base, head)


def has_data(model: Model, stream: Stream, consumer: Consumer | None = None) -> bool:
    """Whether there is anything to consume; None asks for any registered consumer not stale."""
    if consumer is not None:
        return lag(model, stream, model.state.marks[consumer.id])[1] > 0
    marks = [model.state.marks[c.id] for c in registered(model.state, stream)]
    positions = [at for at in marks if not model.state.lost(stream, at)]
    return any(lag(model, stream, p)[1] > 0 for p in positions or [start_of(stream)])


def backlog(model: Model, stream: Stream) -> list[tuple[int, int, int, int]]:
    """(version, inserts, updates, deletes) of each unconsumed version."""
    if model.state.lost(stream, lowest(model.state, stream)):
        raise Refused("below the horizon")
    start = max(lowest(model.state, stream), stream.base)
    rows: list[tuple[int, int, int, int]] = []
    for version in range(start + 1, model.state.heads[stream.table] + 1):
        events = [e for _, _, e in model.history(stream.table, version - 1, version)]
        inserts = sum(e.op == "c" and not e.half for e in events)
        updates = sum(e.op == "u" or (e.op == "c" and e.half) for e in events)
        deletes = sum(e.op == "d" and not e.half for e in events)
        rows.append((version, inserts, updates, deletes))
    return rows


def moves_of(model: Model, consumer: int) -> list[tuple[Commit, Move]]:
    """Every move of one consumer, oldest first, with its commit."""
    return [
        (commit, move)
        for commit in model.commits
        for move in commit.moves
        if move.consumer == consumer
    ]


def alter_policy(model: Model, name: str, policy: str) -> None:
    """ALTER STREAM .. SET REWIND = policy; its base and its consumers' places stay."""
    model.record(definitions=[replace(find(model.state, name), policy=policy)])
