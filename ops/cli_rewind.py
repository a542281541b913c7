"""`headwater stream rewind`, `advance`, `undo`: a plan first, and done when told to."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from headwater.ops.cli_context import Run, examples, only_one, position_shown, run_of
from headwater.ops.exits import CommandError, Exit
from headwater.ops.times import Moment, parse_duration, parse_time

if TYPE_CHECKING:
    from datetime import datetime

    from headwater.consumers.rewind_plan import RewindPlan
    from headwater.ops.api_rewind import Plan
    from headwater.ops.api_streams import Stream

Name = Annotated[str, typer.Argument(help="The stream.")]
Consumer = Annotated[
    str | None, typer.Option("--consumer", "-c", help="Whose; needed when there are several.")
]
ToVersion = Annotated[int | None, typer.Option("--to-version", help="To this version.")]
ToTime = Annotated[
    str | None, typer.Option("--to-time", help="To then: ISO 8601, '2h ago', 'yesterday 09:00'.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept for ever.")]
Execute = Annotated[bool, typer.Option("--execute", help="Do it; else only the plan is shown.")]
Yes = Annotated[bool, typer.Option("--yes", help="With --execute: do not ask about warnings.")]


def add_to(app: typer.Typer) -> None:
    """Give the commands to an application."""
    app.command(
        epilog=examples(
            "stream rewind sales_stream --consumer daily --by 1h",
            "stream rewind sales_stream -c daily --to-version 95 --restore --reason 'late fix' "
            "--execute",
        )
    )(rewind)
    app.command(
        epilog=examples(
            "stream advance sales_stream --consumer daily --to-end",
            "stream advance sales_stream -c daily --to-version 120 --execute --reason 'bad load'",
        )
    )(advance)
    app.command(
        epilog=examples(
            "stream undo sales_stream --consumer daily",
            "stream undo sales_stream -c daily --execute",
        )
    )(undo)


def rewind(
    context: typer.Context,
    name: Name,
    *,
    consumer: Consumer = None,
    to_version: ToVersion = None,
    to_time: ToTime = None,
    to_start: Annotated[bool, typer.Option("--to-start", help="To the stream's base.")] = False,
    to_initial: Annotated[
        bool, typer.Option("--to-initial", help="To before the initial rows.")
    ] = False,
    by: Annotated[str | None, typer.Option("--by", help="To where it was so long ago.")] = None,
    restore: Annotated[
        bool, typer.Option("--restore", help="Put the target table back too: no duplicates.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With --restore: discard what others changed since.")
    ] = False,
    reason: Reason = "",
    execute: Execute = False,
    yes: Yes = False,
) -> None:
    """Move a watermark back, so that changes are read again. Shows the plan; --execute does it."""
    run = run_of(context)
    places = {
        "--to-version": to_version,
        "--to-time": to_time,
        "--to-start": "base" if to_start else None,
        "--to-initial": "initial" if to_initial else None,
        "--by": by,
    }
    to = _place(run, places)

    def plan(stream: "Stream") -> "Plan":
        return stream.rewind(consumer, to=to, restore=restore, force=force, reason=reason)

    _run(run, name, plan, execute=execute, yes=yes)


def advance(
    context: typer.Context,
    name: Name,
    *,
    consumer: Consumer = None,
    to_version: ToVersion = None,
    to_time: ToTime = None,
    to_end: Annotated[
        bool, typer.Option("--to-end", help="To the table's newest version.")
    ] = False,
    reason: Reason = "",
    execute: Execute = False,
    yes: Yes = False,
) -> None:
    """Move a watermark forward over changes that nobody will read. Shows the plan; --execute does it."""
    run = run_of(context)
    places = {
        "--to-version": to_version,
        "--to-time": to_time,
        "--to-end": "head" if to_end else None,
    }
    to = _place(run, places)

    def plan(stream: "Stream") -> "Plan":
        return stream.advance(consumer, to=to, reason=reason)

    _run(run, name, plan, execute=execute, yes=yes)


def undo(
    context: typer.Context,
    name: Name,
    *,
    consumer: Consumer = None,
    reason: Reason = "",
    execute: Execute = False,
    yes: Yes = False,
) -> None:
    """Take back the newest rewind: watermark and table. Shows the plan; --execute does it."""

    def plan(stream: "Stream") -> "Plan":
        return stream.undo(consumer, reason=reason)

    _run(run_of(context), name, plan, execute=execute, yes=yes)


def _place(run: Run, given: Mapping[str, int | str | None]) -> "int | str | datetime":
    """The one place that the options name; a time is said in UTC and in the reader's zone."""
    named = {option: value for option, value in given.items() if value is not None}
    only_one(list(named), "place")
    if not named:
        raise CommandError("E_USAGE", f"say where to: one of {', '.join(given)}", Exit.USAGE)
    ((option, value),) = named.items()
    if option not in ("--to-time", "--by"):
        return value
    now = run.now
    text = str(value)
    moment = (
        parse_time(text, now=now) if option == "--to-time" else Moment(now - parse_duration(text))
    )
    run.output.say(f"to where it stood at {moment}")
    return moment.time


def _run(
    run: Run, name: str, make: "Callable[[Stream], Plan]", *, execute: bool, yes: bool
) -> None:
    """Show the plan, and execute it where told to; what it warns of is asked about."""
    opened = run.writing() if execute else run.reading()
    with opened as db:
        plan = make(db.stream(name))
        if run.output.machine:
            run.output.record(plan_fields(plan.details))
        else:
            run.output.text(str(plan))
        _refuse(plan.details)
        if plan.nothing or not execute:
            run.output.say("nothing was changed" + ("" if plan.nothing else "; --execute does it"))
            return
        if plan.warnings:
            run.confirm("the plan warns of the above", expected="yes", yes=yes)
        plan.execute()
    run.output.say(f"done; headwater stream undo {name} takes it back")


def _refuse(plan: "RewindPlan") -> None:
    """End with the reason why a plan cannot be carried out, also when only the plan was asked for.

    Raises:
        RewindRefused, PolicyForbids: nothing was changed.
    """
    from headwater.consumers.errors import PolicyForbids
    from headwater.log_store.catalog import RewindPolicy

    if plan.refusals:
        raise plan.refusals[0]
    if plan.stream.policy is RewindPolicy.FORBID and plan.kind in ("rewind", "restore"):
        raise PolicyForbids(plan.stream.name)


def plan_fields(plan: "RewindPlan") -> dict[str, object]:
    """A plan as programs read it; watermarks are versions, or INITIAL."""
    moves = [
        {
            "consumer": move.name,
            "stream": move.stream,
            "from": position_shown(move.start),
            "to": position_shown(move.end),
            "changes": move.changes,
            "bytes": move.bytes,
        }
        for move in plan.moves
    ]
    return {
        "kind": plan.kind,
        "stream": plan.stream.name,
        "changes": plan.changes,
        "bytes": plan.bytes,
        "moves": moves,
        "targets": [asdict(target) for target in plan.targets],
        "others": [asdict(other) for other in plan.others],
        "downstream": [asdict(reader) for reader in plan.downstream],
        "warnings": list(plan.warnings),
        "refusals": [str(refusal) for refusal in plan.refusals],
        "nothing": plan.nothing,
    }
