"""CALL: rewinding, advancing and undoing the watermarks of a stream.

The answer lists what the move is about, a row each: watermarks, tables, what stands in the way,
whom it reaches, warnings; the last row says what was done. DRY_RUN only lists.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sqlglot import exp

from headwater.consumers.errors import (
    ConsumersError,
    ConsumerUnknown,
    PolicyForbids,
    ReasonRequired,
    SharedRefuses,
    TargetAboveWatermark,
    shown_position,
)
from headwater.consumers.execute import audit_refusal, execute
from headwater.consumers.group_consumers import with_members
from headwater.consumers.positions import Mark, Position, shown_time
from headwater.consumers.rewind import Ask, plan_advance, plan_rewind, plan_undo
from headwater.consumers.rewind_plan import RewindPlan
from headwater.log_store.catalog import StreamObject
from headwater.log_store.errors import OutsideHistory
from headwater.producer.transaction import Transaction
from headwater.sql.constants import value_of
from headwater.sql.context import Context
from headwater.sql.errors import Place, ProgrammingError
from headwater.sql.listing import Shape
from headwater.sql.moments import moment_of, said_of
from headwater.sql.names import stream_named
from headwater.sql.parse import place_of, place_of_name
from headwater.sql.results import Result
from headwater.sql.statements import AlterStream, At, Call
from headwater.sql.translate import told_at, translated

_SHAPE: Final = Shape.of(
    item="VARCHAR",
    name="VARCHAR",
    stream="VARCHAR",
    from_="VARCHAR",
    to="VARCHAR",
    changes="INT",
    bytes="INT",
    rows="INT",
    message="VARCHAR",
)
_REWIND: Final = ("STREAM", "TO", "CONSUMER", "REASON", "DRY_RUN", "RESTORE", "FORCE")
_TAKES: Final[Mapping[str, tuple[str, ...]]] = {
    "SYSTEM$STREAM_REWIND": _REWIND,
    "SYSTEM$STREAM_ADVANCE": ("STREAM", "TO", "CONSUMER", "REASON", "DRY_RUN"),
    "SYSTEM$STREAM_UNDO": ("STREAM", "CONSUMER", "REASON", "DRY_RUN", "FORCE"),
}
_REFUSALS: Final = (ConsumersError, OutsideHistory)
# How many of them can be given by position.
_BY_POSITION: Final = 2


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A call's arguments, worked out."""

    stream: StreamObject
    ask: Ask
    dry_run: bool


def call(context: Context, statement: Call) -> Result:
    """CALL SYSTEM$STREAM_REWIND, _ADVANCE or _UNDO.

    Raises:
        ProgrammingError: no such procedure, or an argument that it has not.
        RewindRefused, PolicyForbids, ReasonRequired, PlanOutdated: nothing was changed.
    """
    procedure = statement.procedure.upper()
    takes = _TAKES.get(procedure)
    if takes is None:
        raise ProgrammingError(
            f"there is no procedure {statement.procedure}: there are {', '.join(_TAKES)}",
            code="E_NOT_FOUND",
            place=_at(context, statement.procedure),
        )
    given = _arguments(context, statement, takes)
    with told_at(context, _at_argument(statement, given, "STREAM")):
        wanted = _wanted(context, procedure, given)
    try:
        plan = _planned(context, procedure, wanted)
        return _carried_out(context, plan, dry_run=wanted.dry_run)
    except _REFUSALS as error:
        about = "CONSUMER" if isinstance(error, ConsumerUnknown | SharedRefuses) else "TO"
        place = _at_argument(statement, given, about)
        raise translated(error, None).at(place) from error


def _at_argument(statement: Call, given: Mapping[str, exp.Expr], name: str) -> Place:
    """Where an argument stands; the procedure's name if it was not given."""
    place = place_of(given[name], statement) if name in given else None
    return place or place_of_name(statement.procedure, statement) or statement.place


def set_offset(context: Context, statement: AlterStream, stream: StreamObject) -> Result:
    """ALTER STREAM s SET OFFSET: a rewind or an advance, whichever leads there."""
    assert statement.at is not None, "parse gives it a place"
    options = statement.options
    ask = Ask(
        to=_position(context, statement.at),
        consumer=statement.consumer,
        restore=options.get("RESTORE") is True,
        force=options.get("FORCE") is True,
        reason=str(options.get("REASON", "")),
    )
    wanted = _Wanted(stream, ask, options.get("DRY_RUN") is True)
    try:
        plan = _planned(context, "SYSTEM$STREAM_REWIND", wanted)
    except TargetAboveWatermark:
        plan = _planned(context, "SYSTEM$STREAM_ADVANCE", wanted)
    return _carried_out(context, plan, dry_run=wanted.dry_run)


def _position(context: Context, at: At | str) -> Position:
    if isinstance(at, str):
        return Mark(at.lower())
    moment = moment_of(context, at)
    if moment.before:
        raise ProgrammingError(
            "SET OFFSET takes AT, not BEFORE: name the version before",
            code="E_SQL_SYNTAX",
            place=context.statement.place,
        )
    return moment.position


# -- arguments ---------------------------------------------------------------------------------


def _arguments(context: Context, statement: Call, takes: tuple[str, ...]) -> dict[str, exp.Expr]:
    """The arguments by name; those by position are the first of them."""
    positional = takes[:_BY_POSITION]
    if len(statement.arguments) > len(positional):
        extra = statement.arguments[len(positional)]
        raise ProgrammingError(
            f"{statement.procedure} takes {' and '.join(positional)} by position, the rest by "
            f"name: {', '.join(f'{name} => ..' for name in takes[len(positional) :])}",
            code="E_SQL_SYNTAX",
            place=place_of(extra, statement) or statement.place,
        )
    given = dict(zip(positional, statement.arguments, strict=False))
    for name, node in statement.named.items():
        if name not in takes:
            raise ProgrammingError(
                f"{statement.procedure} has no argument {name}: it has {', '.join(takes)}",
                code="E_SQL_SYNTAX",
                place=_at(context, name),
            )
        if name in given:
            raise ProgrammingError(
                f"{name} is given twice, by position and by name",
                code="E_SQL_SYNTAX",
                place=_at(context, name),
            )
        given[name] = node
    if "STREAM" not in given:
        raise ProgrammingError(
            f"{statement.procedure} needs the name of a stream in quotes",
            code="E_SQL_SYNTAX",
            place=_at(context, statement.procedure),
        )
    return given


def _at(context: Context, name: str) -> Place:
    return place_of_name(name, context.statement) or context.statement.place


def _wanted(context: Context, procedure: str, given: Mapping[str, exp.Expr]) -> _Wanted:
    name = _text(context, given, "STREAM")
    stream = stream_named(context.tx.catalog, context.state, name)
    to: Position = Mark.HEAD if procedure == "SYSTEM$STREAM_ADVANCE" else Mark.BASE
    if "TO" in given:
        value = value_of(context, given["TO"])
        if value is not None:
            to = said_of(context, value, given["TO"])
    consumer = _text(context, given, "CONSUMER") if "CONSUMER" in given else None
    ask = Ask(
        to=to,
        consumer=consumer or None,
        restore=_flag(context, given, "RESTORE"),
        force=_flag(context, given, "FORCE"),
        reason=_text(context, given, "REASON") if "REASON" in given else "",
    )
    return _Wanted(stream, ask, _flag(context, given, "DRY_RUN"))


def _text(context: Context, given: Mapping[str, exp.Expr], name: str) -> str:
    value = value_of(context, given[name])
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ProgrammingError(
            f"{name} is a text in single quotes, not {value}",
            code="E_SQL_SYNTAX",
            place=place_of(given[name], context.statement) or _at(context, name),
        )
    return value


def _flag(context: Context, given: Mapping[str, exp.Expr], name: str) -> bool:
    if name not in given:
        return False
    value = value_of(context, given[name])
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().upper() in ("TRUE", "FALSE"):
        return value.strip().upper() == "TRUE"
    if value is None:
        return False
    raise ProgrammingError(
        f"{name} is TRUE or FALSE, not {value}",
        code="E_SQL_SYNTAX",
        place=place_of(given[name], context.statement) or _at(context, name),
    )


# -- plans -------------------------------------------------------------------------------------


def _planned(context: Context, procedure: str, wanted: _Wanted) -> RewindPlan:
    view, stream = context.tx.view, wanted.stream
    if view.catalog.get("stream", stream.id) is None:
        # Nobody can have consumed what only this transaction sees.
        nothing = "it is made by this transaction: nobody is registered yet"
        return RewindPlan(kind="rewind", stream=stream, asked=frozenset(), nothing=nothing)
    match procedure:
        case "SYSTEM$STREAM_ADVANCE":
            ask = replace(wanted.ask, restore=False, force=False)
            plan = plan_advance(view, stream, ask)
        case "SYSTEM$STREAM_UNDO":
            plan = plan_undo(view, stream, wanted.ask)
        case _:
            plan = plan_rewind(view, stream, wanted.ask)
    return with_members(plan, context.tx.log.groups)


def _carried_out(context: Context, plan: RewindPlan, *, dry_run: bool) -> Result:
    rows = list(_rows(plan))
    if dry_run:
        rows.append({"item": "done", "message": "nothing was changed: DRY_RUN"})
    elif plan.nothing:
        rows.append({"item": "done", "message": "nothing was changed"})
    else:
        _execute(context, plan)
        rows.append({"item": "done", "message": f"{plan.kind} done"})
    context.notices.extend(plan.warnings)
    return _SHAPE.result("CALL", _SHAPE.dicts(rows))


def _execute(context: Context, plan: RewindPlan) -> None:
    store = context.store
    try:
        execute(context.tx, plan)
    except (PolicyForbids, ReasonRequired) as refused:
        if not store.read_only:
            audit_refusal(lambda: Transaction(store.log, actor=store.actor), plan, refused.code)
        raise


def _rows(plan: RewindPlan) -> Iterator[dict[str, object]]:
    """What a plan is about, a row each."""
    if plan.nothing:
        yield {"item": "nothing", "stream": plan.stream.name, "message": plan.nothing}
        return
    verb = {"advance": "are skipped", "undo": "lie between"}.get(plan.kind, "will be read again")
    for move in plan.moves:
        yield {
            "item": "consumer",
            "name": move.name,
            "stream": move.stream,
            "from": shown_position(move.start),
            "to": shown_position(move.end),
            "changes": move.changes,
            "bytes": move.bytes,
            "message": f"{move.changes} changes {verb}",
        }
    yield from _tables(plan)
    for other in plan.others:
        who = other.actor or "somebody"
        yield {
            "item": "commit",
            "name": other.table,
            "rows": other.changes,
            "message": f"commit {other.commit_id} of {who} at {shown_time(other.time_us)} changed "
            f"the table too{': discarded by FORCE' if plan.force else ''}",
        }
    for reader in plan.downstream:
        yield {
            "item": "downstream",
            "name": reader.consumer,
            "stream": reader.stream,
            "from": shown_position(reader.watermark),
            "message": reader.warning or "it will see the change of the table",
        }
    for warning in plan.warnings:
        yield {"item": "warning", "message": warning}
    for refusal in plan.refusals:
        yield {"item": "refused", "name": refusal.name, "message": str(refusal)}


def _tables(plan: RewindPlan) -> Iterator[dict[str, object]]:
    for one in plan.targets:
        if one.back_to is None:
            yield {
                "item": "table",
                "name": one.name,
                "rows": one.duplicates,
                "message": f"{one.duplicates} rows in it would be written twice by the replay",
            }
        else:
            yield {
                "item": "table",
                "name": one.name,
                "from": f"v{one.head}",
                "to": f"v{one.back_to}",
                "rows": one.taken_away + one.given_back + one.changed,
                "message": f"{one.taken_away} rows go, {one.given_back} come back, "
                f"{one.changed} change",
            }
