"""Planning a move of watermarks by hand: rewind, restore, advance, undo. Pure: reads a view only.

A plan is carried out by `execute.execute`, or not at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headwater.consumers.boundaries import Undone, boundary_below, copied_since, undone_since
from headwater.consumers.errors import (
    ConsumerUnknown,
    RewindRefused,
    SharedRefuses,
    TargetAboveWatermark,
    TargetBelowWatermark,
    shown_position,
)
from headwater.consumers.positions import AtStream, Mark, Position, horizon, version_of
from headwater.consumers.registration import (
    SHARED_NAME,
    check_readable,
    find_consumer,
    name_of,
    position,
    registered,
)
from headwater.consumers.rewind_effects import (
    Back,
    downstream_of,
    gone_target,
    plan_back,
    replayed_targets,
)
from headwater.consumers.rewind_plan import (
    Kind,
    PlannedMove,
    RewindPlan,
    planned_move,
    policy_warnings,
    preconditions,
)
from headwater.consumers.windows import lowest
from headwater.log_store.catalog import ConsumerObject, Sharing, StreamObject
from headwater.log_store.errors import OutsideHistory
from headwater.log_store.port import View
from headwater.log_store.records import INITIAL, CommitRow, Moved
from headwater.producer.names import find_stream

EVERYBODY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A move as asked for. `consumer` None is the one registered, "*" is all of them.

    `restore` puts the target back too; `force` discards what others changed in it since.
    """

    to: Position = Mark.BASE
    consumer: str | None = None
    restore: bool = False
    force: bool = False
    reason: str = ""


def plan_rewind(view: View, stream: StreamObject, ask: Ask) -> RewindPlan:
    """What rewinding would do now.

    Raises:
        TargetAboveWatermark: the place is ahead of the watermark.
        RewindRefused: which consumer is meant is open, or the place is below the base.
        ConsumerUnknown, SharedRefuses, StreamStale, OutsideHistory: as their sentences say.
    """
    check_readable(view.catalog, stream)
    to = _place_of(view, stream, ask.to)
    meant = _meant(view, stream, ask.consumer)
    if ask.restore and len(meant) > 1:
        raise _several(view, stream, "RESTORE takes one consumer at a time")
    kind: Kind = "restore" if ask.restore else "rewind"
    plan = RewindPlan(
        kind=kind,
        stream=stream,
        asked=frozenset(one.id for one in meant),
        force=ask.force,
        reason=ask.reason,
        warnings=tuple(policy_warnings(stream)),
    )
    if not meant:
        return replace(plan, nothing="nobody is registered yet, a first use starts at the base")
    positions = {one.id: position(view, one) for one in meant}
    if ask.consumer != EVERYBODY and positions[meant[0].id] < to:
        name = name_of(view.catalog, meant[0])
        raise TargetAboveWatermark(name, positions[meant[0].id], to)
    behind = [one for one in meant if positions[one.id] > to]
    if not behind:
        names = ", ".join(name_of(view.catalog, one) for one in meant)
        return replace(plan, nothing=f"{names}: stands at {shown_position(to)} already")
    if ask.restore:
        return _restore(view, plan, behind[0], to)
    return _plain(view, plan, behind, to)


def _plain(view: View, plan: RewindPlan, behind: Sequence[ConsumerObject], to: int) -> RewindPlan:
    """The watermarks alone go back, and the tables keep what was written into them."""
    moves = [planned_move(view, one, to) for one in behind]
    targets = [target for one in behind for target in replayed_targets(view, one, to)]
    uncounted = [
        f"table {one.name} no longer keeps the history of {one.uncounted} commits that are read "
        "again: what is left of them there is not counted"
        for one in targets
        if one.uncounted
    ]
    warnings = uncounted + [
        f"{one.duplicates} rows of table {one.name} are there from what is read again, and would "
        "be written twice: RESTORE puts the table back with the watermark"
        for one in targets
        if one.duplicates
    ]
    warnings += [
        f"the next COPY into {one.directory} removes this stream's files there that start above "
        f"{shown_position(to)}; one that starts below it stays whole"
        for one in behind
        if one.directory
    ]
    return replace(
        plan,
        moves=tuple(moves),
        targets=tuple(targets),
        warnings=(*plan.warnings, *warnings),
        preconditions=preconditions(view, plan.stream, moves, ()),
    )


def _restore(view: View, plan: RewindPlan, consumer: ConsumerObject, to: int) -> RewindPlan:
    """Back to the last boundary at or below a position, with everything that moved in since."""
    name = name_of(view.catalog, consumer)
    if consumer.target is None and plan.stream.sharing is Sharing.INDEPENDENT:
        what = "is a directory" if consumer.directory else "has no table to put back"
        why = f"{what}: rewind it without RESTORE"
        return _refused(plan, view, planned_move(view, consumer, to), ("NO_TABLE", name, why))
    boundary = boundary_below(view, consumer, to)
    if boundary is None:
        why = (
            f"no place at or below {shown_position(to)} is on record at which it stood together "
            "with its table"
        )
        return _refused(plan, view, planned_move(view, consumer, to), ("NO_BOUNDARY", name, why))
    undone = undone_since(view, consumer, boundary.place)
    ends = {**undone.taken, consumer.id: boundary.position}
    if copied := copied_since(view, ends, boundary.place):
        why = "is a directory that was written from what is undone: rewind without RESTORE"
        return _refused(
            plan, view, planned_move(view, consumer, to), ("NO_TABLE", ", ".join(copied), why)
        )
    if boundary.position != to:
        note = (
            f"{shown_position(to)} lies inside a window that {name} consumed whole: the boundary "
            f"below it is {shown_position(boundary.position)}"
        )
        plan = replace(plan, warnings=(*plan.warnings, note))
    return _with_tables(view, plan, undone, ends, boundary.place)


def _with_tables(
    view: View, plan: RewindPlan, undone: Undone, ends: dict[int, int], place: int
) -> RewindPlan:
    """The plan with its targets put back to a place and the watermarks that go with them."""
    consumers = [view.catalog.consumer(one) for one in ends]
    moves = [planned_move(view, one, ends[one.id]) for one in consumers]
    back: Back = plan_back(view, undone, place, force=plan.force)
    readers = downstream_of(view, back.targets)
    warnings = [reader.warning for reader in readers if reader.warning]
    warnings += [
        f"{move.name} of stream {move.stream} goes with it: it wrote into the same table"
        for move in moves
        if move.consumer.id not in plan.asked
    ]
    live = [one.table for one in back.targets]
    return replace(
        plan,
        moves=tuple(moves),
        targets=back.targets,
        others=back.others,
        downstream=tuple(readers),
        warnings=(*plan.warnings, *warnings),
        refusals=(*plan.refusals, *back.refusals),
        preconditions=preconditions(view, plan.stream, moves, live),
    )


def _refused(
    plan: RewindPlan, view: View, move: PlannedMove, why: tuple[str, str, str]
) -> RewindPlan:
    return replace(
        plan,
        moves=(move,),
        refusals=(RewindRefused(*why),),
        preconditions=preconditions(view, plan.stream, [move], ()),
    )


def plan_advance(view: View, stream: StreamObject, ask: Ask) -> RewindPlan:
    """What skipping forward would do now; the changes between are never consumed.

    Raises:
        TargetBelowWatermark: the place is behind the watermark.
        RewindRefused: which consumer is meant is open, or the place is below the base.
        ConsumerUnknown, SharedRefuses, StreamStale, OutsideHistory: as their sentences say.
    """
    check_readable(view.catalog, stream)
    to = _place_of(view, stream, ask.to)
    meant = _meant(view, stream, ask.consumer)
    plan = RewindPlan(
        kind="advance", stream=stream, asked=frozenset(o.id for o in meant), reason=ask.reason
    )
    if not meant:
        return replace(plan, nothing="nobody is registered yet, a first use starts at the base")
    positions = {one.id: position(view, one) for one in meant}
    if ask.consumer != EVERYBODY and positions[meant[0].id] > to:
        raise TargetBelowWatermark(name_of(view.catalog, meant[0]), positions[meant[0].id], to)
    ahead = [one for one in meant if positions[one.id] < to]
    if not ahead:
        names = ", ".join(name_of(view.catalog, one) for one in meant)
        return replace(plan, nothing=f"{names}: stands at {shown_position(to)} already")
    moves = [_forward(view, stream, one, to) for one in ahead]
    return replace(plan, moves=tuple(moves), preconditions=preconditions(view, stream, moves, ()))


def _forward(view: View, stream: StreamObject, one: ConsumerObject, to: int) -> PlannedMove:
    """A move ahead; from below the horizon nobody can say any more what it skips.

    Raises:
        StreamStale: it would end below the horizon.
    """
    at, kept = position(view, one), horizon(view, stream.table)
    if (stream.base if at == INITIAL else at) < kept <= (stream.base if to == INITIAL else to):
        return PlannedMove(one, name_of(view.catalog, one), stream.name, at, to, 0, 0)
    return planned_move(view, one, to)


def plan_undo(view: View, stream: StreamObject, ask: Ask) -> RewindPlan:
    """What undoing a consumer's last move would do now, if that was a rewind or a restore.

    Raises:
        RewindRefused: its last move was another, or which consumer is meant is open.
        ConsumerUnknown, SharedRefuses, StreamStale: as their sentences say.
    """
    check_readable(view.catalog, stream)
    meant = _meant(view, stream, ask.consumer)
    if not meant:
        raise RewindRefused("NOTHING_TO_UNDO", f"stream {stream.name}", "nobody is registered yet")
    if len(meant) > 1:
        raise _several(view, stream, "an undo takes one consumer at a time")
    (consumer,) = meant
    commit, moved = _last_move(view, consumer)
    plan = RewindPlan(
        kind="undo",
        stream=stream,
        asked=frozenset({consumer.id}),
        force=ask.force,
        reason=ask.reason,
        undoes=commit.commit_id,
    )
    if moved.move.why == "rewind":
        assert moved.move.start is not None, "only a registration starts nowhere"
        moves = [_forward(view, stream, consumer, moved.move.start)]
        return replace(
            plan, moves=tuple(moves), preconditions=preconditions(view, stream, moves, ())
        )
    together = [one for one in commit.moves if one.move.why == "restore"]
    ends: dict[int, int] = {}
    for one in together:
        known = view.catalog.consumer(one.move.consumer)
        if known.retired_at is None and one.move.start is not None:
            ends.setdefault(known.id, one.move.start)
    plan = replace(plan, refusals=_moved_since(view, commit, ends))
    targets = {one.move.target for one in together if one.move.target is not None}
    undone = Undone(tuple(sorted(targets)), ends, frozenset({commit.sequence}))
    return _with_tables(view, plan, undone, ends, commit.sequence - 1)


def _last_move(view: View, consumer: ConsumerObject) -> tuple[CommitRow, Moved]:
    """A consumer's last move, if it is one that can be undone."""
    name = name_of(view.catalog, consumer)
    moves = list(view.moves(consumer.id))
    if moves and moves[-1][1].move.why in ("rewind", "restore"):
        commit = moves[-1][0]
        # A SHARED watermark's restore is one move for each table: the first one says from where.
        return next(one for one in moves if one[0].sequence == commit.sequence)
    if any(moved.move.why in ("rewind", "restore") for _, moved in moves):
        why = "has moved since it was rewound: rewind or restore it to where you want it"
        raise RewindRefused("MOVED_SINCE", name, why)
    raise RewindRefused("NOTHING_TO_UNDO", name, "was not rewound")


def _moved_since(view: View, commit: CommitRow, ends: dict[int, int]) -> tuple[RewindRefused, ...]:
    """Refusals for those taken back by a restore that have moved again."""
    found: list[RewindRefused] = []
    for one in ends:
        mark = view.watermark(one)
        if mark is not None and mark.sequence != commit.sequence:
            name = name_of(view.catalog, view.catalog.consumer(one))
            why = "went back with that restore and has moved since"
            found.append(RewindRefused("MOVED_SINCE", name, why))
    return tuple(found)


def _place_of(view: View, stream: StreamObject, to: Position) -> int:
    """The position that a TO names for a stream; never below its base, except INITIAL."""
    match to:
        case Mark.BASE:
            found = stream.base
        case Mark.INITIAL:
            if not stream.initial_rows:
                raise RewindRefused("NO_INITIAL_ROWS", stream.name, "it shows no initial rows")
            found = INITIAL
        case Mark.HORIZON:
            return max(stream.base, horizon(view, stream.table))
        case AtStream():
            other = find_stream(view.catalog, to.stream)
            if other.table != stream.table:
                raise RewindRefused("NOT_FOUND", other.name, "it is a stream on another table")
            there = registered(view.catalog, other)
            found = lowest(other, [position(view, one) for one in there])
        case _:
            found = version_of(view, view.catalog.table(stream.table), to)
    if found < stream.base and found != INITIAL:
        why = f"v{found} is below its base v{stream.base}: nothing before the base is in it"
        raise RewindRefused("BELOW_BASE", f"stream {stream.name}", why)
    kept = horizon(view, stream.table)
    if (stream.base if found == INITIAL else found) < kept:
        raise OutsideHistory(
            f"stream {stream.name}: {shown_position(found)} is no longer kept, "
            f"full history starts at v{kept}"
        )
    return found


def _meant(view: View, stream: StreamObject, name: str | None) -> Sequence[ConsumerObject]:
    """The consumers a move is asked for: the one named, the only one there is, or all."""
    there = registered(view.catalog, stream)
    if name == EVERYBODY:
        return there
    if name is None:
        if len(there) > 1:
            raise _several(view, stream, 'name one, or CONSUMER => "*" for all')
        return there
    if stream.sharing is Sharing.SHARED:
        if name.upper() != SHARED_NAME:
            raise SharedRefuses(stream.name, f"CONSUMER {name}")
        return there
    try:
        return [find_consumer(view.catalog, stream, name)]
    except ConsumerUnknown:
        if refusal := gone_target(view, stream, name):
            raise refusal from None
        raise


def _several(view: View, stream: StreamObject, what: str) -> RewindRefused:
    names = ", ".join(name_of(view.catalog, one) for one in registered(view.catalog, stream))
    return RewindRefused(
        "SEVERAL_CONSUMERS", f"stream {stream.name}", f"its consumers are {names or 'none'}: {what}"
    )
