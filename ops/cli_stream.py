"""`headwater stream`: what there is to consume, who has consumed what, and how to look at it."""

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Annotated

import typer

from headwater.ops import cli_consumers, cli_rewind, cli_tail
from headwater.ops.cli_context import examples, position_shown, run_of
from headwater.ops.exits import CommandError, Exit
from headwater.ops.times import Moment, parse_duration, parse_position, spoken

if TYPE_CHECKING:
    from headwater.consumers.backlog import ConsumerRow
    from headwater.ops.api_streams import StreamArguments

Name = Annotated[str, typer.Argument(help="The stream.")]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Streams: what has changed, who has consumed it, and back again.",
    epilog=examples("stream ls", "stream rewind sales_stream --consumer daily --by 1h"),
)


@app.command("ls", epilog=examples("stream ls", "stream ls --format json"))
def list_streams(context: typer.Context) -> None:
    """List the streams: table, capture, base, consumers, whether there is data."""
    run = run_of(context)
    columns = [
        "name",
        "table",
        "view",
        "capture",
        "sharing",
        "base",
        "head",
        "consumers",
        "has_data",
    ]
    with run.reading() as db:
        found = [stream.info for stream in db.streams()]
    rows = [
        (
            row.stream.name,
            row.table,
            row.view or None,
            row.stream.capture.value,
            row.stream.sharing.value,
            row.stream.base,
            row.head,
            row.consumers,
            row.has_data,
            row.stale or None,
        )
        for row in found
    ]
    run.output.listing([*columns, "stale"], rows, null="")


@app.command(epilog=examples("stream show sales_stream", "stream show sales_stream --format json"))
def show(context: typer.Context, name: Name) -> None:
    """Show one stream: its options, what is in it, and on stderr its consumers."""
    run = run_of(context)
    with run.reading() as db:
        row, there = db.stream(name).info, db.stream(name).consumers()
    stream = row.stream
    run.output.record(
        {
            "name": stream.name,
            "table": row.table,
            "view": row.view or None,
            "capture": stream.capture.value,
            "sharing": stream.sharing.value,
            "base": stream.base,
            "head": row.head,
            "initial_rows": stream.initial_rows,
            "rewind": stream.policy.value,
            "has_data": row.has_data,
            "bytes": row.bytes,
            "stale": row.stale or None,
            "comment": stream.comment or None,
        }
    )
    names = [f"{one.consumer} at {position_shown(one.watermark)}" for one in there]
    run.output.say(f"consumers: {', '.join(names) if names else 'none yet'}")


@app.command(
    epilog=examples(
        "stream create sales_stream --on sales",
        "stream create new_sales --on sales --capture 'INSERT ONLY' --initial-rows",
        "stream create since --on sales --at 'yesterday 18:00'",
    )
)
def create(
    context: typer.Context,
    name: Name,
    *,
    on: Annotated[str, typer.Option("--on", help="The table or view.")],
    capture: Annotated[
        str | None, typer.Option("--capture", help="ALL, NET or INSERT ONLY; else the store's.")
    ] = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="One watermark for whoever consumes.")
    ] = False,
    initial_rows: Annotated[
        bool, typer.Option("--initial-rows", help="Begin with the rows that are there.")
    ] = False,
    at: Annotated[
        str | None, typer.Option("--at", help="Begin at @VERSION or a time; else now.")
    ] = None,
    policy: Annotated[
        str, typer.Option("--rewind", help="ALLOW, WARN, REQUIRE_REASON or FORBID.")
    ] = "ALLOW",
    comment: Annotated[str, typer.Option("--comment", help="What it is for.")] = "",
) -> None:
    """Create a stream; it copies nothing, and shows changes from now on or from --at."""
    run = run_of(context)
    found = None if at is None else parse_position(at, now=run.now)
    said: StreamArguments = {"initial_rows": initial_rows, "policy": policy, "comment": comment}
    if capture is not None:
        said["capture"] = capture
    if shared:
        said["sharing"] = "SHARED"
    with run.writing() as db:
        stream = db.create_stream(
            name,
            on=on,
            at=found.time if isinstance(found, Moment) else found,
            **said,
        )
        base = stream.definition.base
    run.output.say(f"stream {name} on {on} is there, its base is v{base}")


@app.command(epilog=examples("stream drop sales_stream", "stream drop sales_stream --yes"))
def drop(
    context: typer.Context,
    name: Name,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it unasked.")] = False,
) -> None:
    """Drop a stream with the watermarks of its consumers."""
    run = run_of(context)
    with run.writing() as db:
        stream = db.stream(name)
        with db.session.view() as view:
            count = len(view.catalog.consumers(stream.id))
        question = f"this drops stream {stream.name} with the watermarks of {count} consumers"
        run.confirm(question, expected=stream.name, yes=yes)
        db.drop_stream(name)
    run.output.say(f"stream {name} is dropped")


@app.command(epilog=examples("stream lag", "stream lag sales_stream", "stream lag --fail-above 5m"))
def lag(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="The stream; else all.")] = None,
    *,
    fail_above: Annotated[
        str | None, typer.Option("--fail-above", help="End with 5 if a consumer is later.")
    ] = None,
) -> None:
    """Show how far each consumer is behind: versions, changes, bytes, seconds."""
    run = run_of(context)
    most = None if fail_above is None else parse_duration(fail_above).total_seconds()
    with run.reading() as db:
        streams = db.streams() if name is None else [db.stream(name)]
        found = [row for stream in streams for row in stream.lag()]
    columns = ["stream", "consumer", "kind", "watermark", "head"]
    columns += ["versions", "changes", "bytes", "seconds", "stale"]
    run.output.listing(columns, [_lag_line(row) for row in found], null="")
    if most is not None:
        _refuse_late(found, most)


@app.command(
    epilog=examples("stream history sales_stream", "stream history sales_stream -c daily -n 0")
)
def history(
    context: typer.Context,
    name: Name,
    *,
    consumer: Annotated[
        str | None, typer.Option("--consumer", "-c", help="This consumer's only.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, help="Moves at most; 0 for all.")
    ] = 50,
) -> None:
    """List the moves of watermarks, newest first: from, to, when, who, why."""
    from headwater.ops.present import from_us

    run = run_of(context)
    with run.reading() as db:
        found = list(reversed(db.stream(name).history(consumer)))
    columns = ["time", "consumer", "what", "from", "to", "by", "reason", "target_version"]
    rows = [
        (
            from_us(row.time_us),
            row.consumer,
            row.why,
            None if row.start is None else position_shown(row.start),
            position_shown(row.end),
            row.actor,
            row.reason or None,
            row.target_version,
            row.commit_id,
        )
        for row in (found[:limit] if limit else found)
    ]
    run.output.listing([*columns, "transaction"], rows, null="")
    if len(found) > len(rows):
        run.output.say(f"{len(found) - len(rows)} more moves; --limit 0 shows all")


cli_tail.add_to(app)
cli_consumers.add_to(app)
cli_rewind.add_to(app)


def _lag_line(row: "ConsumerRow") -> Sequence[object]:
    behind = row.lag
    figures: Sequence[object] = (
        (None,) * 4
        if behind is None
        else (behind.versions, behind.changes, behind.bytes, round(behind.seconds, 3))
    )
    place = position_shown(row.watermark, row.shown_inside)
    return (row.stream, row.consumer, row.kind, place, row.head, *figures, row.stale or None)


def _refuse_late(found: Sequence["ConsumerRow"], most: float) -> None:
    """Refuse consumers that are further behind, or can never catch up.

    Raises:
        CommandError: there is one; names the worst.
    """
    late = [row for row in found if row.lag is None or row.lag.seconds > most]
    if not late:
        return
    worst = max(late, key=lambda row: inf if row.lag is None else row.lag.seconds)
    behind = "stale" if worst.lag is None else f"{spoken(worst.lag.seconds)} behind"
    more = f", and {len(late) - 1} more are late" if len(late) > 1 else ""
    raise CommandError(
        "E_LAG_REFUSED",
        f"{worst.consumer} on {worst.stream} is {behind}, the limit is {spoken(most)}{more}",
        Exit.REFUSED,
    )
