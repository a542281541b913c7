"""A planned move of watermarks: what it would do, in fields and in words. Pure.

It says from where to where, what would be read again, which rows that would write twice, what a
restore takes back and whom that reaches; why it is refused, if it is; and what must not move
between the plan and its execution.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from headwater.consumers.backlog import changes_between
from headwater.consumers.errors import RewindRefused, shown_position
from headwater.consumers.positions import shown_time
from headwater.consumers.registration import name_of, position
from headwater.log_store.catalog import ConsumerObject, RewindPolicy, StreamObject
from headwater.log_store.port import View

Kind = Literal["rewind", "restore", "advance", "undo"]


@dataclass(frozen=True, slots=True)
class PlannedMove:
    """One watermark: from, to, and the captured changes and bytes between them."""

    consumer: ConsumerObject
    name: str
    stream: str
    start: int
    end: int
    changes: int
    bytes: int


@dataclass(frozen=True, slots=True)
class PlannedTarget:
    """One table that a move is about, at version `head` when the plan was made.

    `duplicates` are rows that a replay would write again; those of `uncounted` commits, whose
    history the table no longer keeps, are left out. A restore goes back to version
    `back_to`, which takes away, gives back and changes so many rows; None for a plain rewind.
    """

    table: int
    name: str
    head: int
    duplicates: int = 0
    uncounted: int = 0
    back_to: int | None = None
    taken_away: int = 0
    given_back: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class OtherCommit:
    """A commit that changed a target and is not the consumer's: it stands in a restore's way."""

    table: str
    sequence: int
    commit_id: str
    actor: str
    time_us: int
    changes: int


@dataclass(frozen=True, slots=True)
class Downstream:
    """A consumer of a stream on a restored table: it will see the restore as changes."""

    stream: str
    consumer: str
    watermark: int
    warning: str


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What must stand as the plan saw it.

    `marks`: consumer -> (position, place of its last move); `heads`: table -> version;
    `definitions`: (kind, id) -> place of its last change.
    """

    marks: Mapping[int, tuple[int, int]]
    heads: Mapping[int, int]
    definitions: Mapping[tuple[str, int], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RewindPlan:
    """A move as it would be carried out now. `nothing` says why there is nothing to do.

    `asked` are the consumers the plan was made for, `moves` theirs and those taken back with them.
    `refusals` are why it cannot be carried out; `others` stand in the way, or are discarded.
    """

    kind: Kind
    stream: StreamObject
    asked: frozenset[int]
    moves: tuple[PlannedMove, ...] = ()
    targets: tuple[PlannedTarget, ...] = ()
    others: tuple[OtherCommit, ...] = ()
    downstream: tuple[Downstream, ...] = ()
    warnings: tuple[str, ...] = ()
    refusals: tuple[RewindRefused, ...] = ()
    nothing: str = ""
    force: bool = False
    reason: str = ""
    undoes: str = ""  # the commit that an undo puts back
    preconditions: Preconditions = Preconditions({}, {}, {})

    @property
    def changes(self) -> int:
        """Captured changes that the consumers asked for will read again, or skip."""
        return sum(move.changes for move in self.moves if move.consumer.id in self.asked)

    @property
    def bytes(self) -> int:
        """Bytes of events that these are."""
        return sum(move.bytes for move in self.moves if move.consumer.id in self.asked)

    @property
    def duplicates(self) -> dict[str, int]:
        """Rows that a replay would write again, by table."""
        return {one.name: one.duplicates for one in self.targets if one.back_to is None}

    def __str__(self) -> str:
        if self.nothing:
            return f"{self.kind} of stream {self.stream.name}: {self.nothing}"
        return "\n".join(_told(self))


def _told(plan: RewindPlan) -> Iterable[str]:
    verb = {"advance": "are skipped", "undo": "lie between"}.get(plan.kind, "will be read again")
    for move in plan.moves:
        yield (
            f"{plan.kind} of {move.name} on stream {move.stream}: "
            f"{shown_position(move.start)} -> {shown_position(move.end)}, "
            f"{move.changes} changes ({move.bytes} bytes) {verb}"
        )
    for one in plan.targets:
        if one.back_to is not None:
            yield (
                f"table {one.name}: v{one.head} back to v{one.back_to}: {one.taken_away} rows go, "
                f"{one.given_back} come back, {one.changed} change"
            )
    for other in plan.others:
        yield (
            f"table {other.table}: commit {other.commit_id} of {other.actor or 'somebody'} at "
            f"{shown_time(other.time_us)} changed {other.changes} rows"
            + (" (discarded by FORCE)" if plan.force else "")
        )
    for reader in plan.downstream:
        yield (
            f"downstream: {reader.consumer} of stream {reader.stream} "
            f"({shown_position(reader.watermark)}) will see the change of the table"
        )
    yield from (f"warning: {warning}" for warning in plan.warnings)
    yield from (f"refused: {refusal}" for refusal in plan.refusals)


def planned_move(view: View, consumer: ConsumerObject, end: int) -> PlannedMove:
    """A consumer's move to a position, from where it stands in the view."""
    stream = view.catalog.stream(consumer.stream)
    start = position(view, consumer)
    changes, size = changes_between(view, stream, min(start, end), max(start, end))
    return PlannedMove(
        consumer, name_of(view.catalog, consumer), stream.name, start, end, changes, size
    )


def preconditions(
    view: View, stream: StreamObject, moves: Sequence[PlannedMove], tables: Iterable[int]
) -> Preconditions:
    """What a plan made from this view relies on."""
    marks: dict[int, tuple[int, int]] = {}
    definitions = {("stream", stream.id): stream.changed_at}
    for move in moves:
        mark = view.watermark(move.consumer.id)
        assert mark is not None, "a registration always writes a watermark"
        marks[move.consumer.id] = (mark.position, mark.sequence)
        definitions["consumer", move.consumer.id] = move.consumer.changed_at
    heads: dict[int, int] = {}
    for table in tables:
        heads[table] = view.head(table).version
        definitions["table", table] = view.catalog.table(table).changed_at
    return Preconditions(marks, heads, definitions)


def outdated(plan: RewindPlan, view: View) -> str:
    """What has moved since the plan was made; empty if it is still current."""
    wanted = plan.preconditions
    names = {move.consumer.id: move.name for move in plan.moves}
    for (kind, object_id), seen in wanted.definitions.items():
        found = view.catalog.get(kind, object_id)
        if found is None or found.changed_at != seen:
            # A consumer is shown by its table's name, which is not the one it was registered under.
            stored = getattr(found, "name", object_id)
            return f"{kind} {names[object_id] if kind == 'consumer' else stored} was altered"
    for consumer, (at, sequence) in wanted.marks.items():
        mark = view.watermark(consumer)
        if mark is None or (mark.position, mark.sequence) != (at, sequence):
            return f"the watermark of {names[consumer]} has moved"
    for table, head in wanted.heads.items():
        if view.head(table).version != head:
            return f"table {view.catalog.table(table).name} has moved"
    return ""


def policy_warnings(stream: StreamObject) -> list[str]:
    """What the stream's policy has to say about a rewind."""
    match stream.policy:
        case RewindPolicy.WARN:
            return ["the stream is declared REWIND = WARN: rewinding it is meant to be rare"]
        case RewindPolicy.REQUIRE_REASON:
            return ["the stream is declared REWIND = REQUIRE_REASON: say why"]
        case RewindPolicy.FORBID:
            return ["the stream is declared REWIND = FORBID: this will be refused"]
        case RewindPolicy.ALLOW:
            return []
