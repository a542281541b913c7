"""`headwater stream consumers`, `add-consumer`, `drop-consumer`: who reads a stream."""

from typing import Annotated

import typer

from headwater.ops.cli_context import examples, position_shown, run_of
from headwater.ops.times import Moment, parse_position

_MARKS = ("base", "head", "horizon")


def add_to(app: typer.Typer) -> None:
    """Give the commands to an application."""
    app.command(
        "consumers",
        epilog=examples("stream consumers sales_stream", "stream consumers s --format json"),
    )(consumers)
    app.command(
        "add-consumer",
        epilog=examples(
            "stream add-consumer sales_stream mailer",
            "stream add-consumer sales_stream daily --at head",
            "stream add-consumer sales_stream billing --group",
        ),
    )(add_consumer)
    app.command(
        "drop-consumer",
        epilog=examples(
            "stream drop-consumer sales_stream mailer",
            "stream drop-consumer sales_stream mailer --yes",
        ),
    )(drop_consumer)


def consumers(
    context: typer.Context, stream: Annotated[str, typer.Argument(help="The stream.")]
) -> None:
    """List a stream's consumers: kind, watermark, when it moved last."""
    from headwater.ops.present import from_us

    run = run_of(context)
    with run.reading() as db:
        found = db.stream(stream).consumers()
    columns = ["consumer", "kind", "watermark", "base", "head", "moved", "stale", "group"]
    rows = [
        (
            row.consumer,
            row.kind,
            position_shown(row.watermark, row.shown_inside),
            row.base,
            row.head,
            from_us(row.moved_us),
            row.stale or None,
            row.group or None,
        )
        for row in found
    ]
    run.output.listing(columns, rows, null="")


def add_consumer(
    context: typer.Context,
    stream: Annotated[str, typer.Argument(help="The stream.")],
    consumer: Annotated[str, typer.Argument(help="Its name, for a program that reads.")],
    *,
    at: Annotated[
        str, typer.Option("--at", help="base, head, horizon, @VERSION or a time.")
    ] = "base",
    group: Annotated[
        bool, typer.Option("--group", help="It is a plain Kafka consumer group.")
    ] = False,
) -> None:
    """Register a consumer before its first use, so that its history is kept."""
    run = run_of(context)
    place = at.lower() if at.lower() in _MARKS else parse_position(at, now=run.now)
    with run.writing() as db:
        of = db.stream(stream)
        at_place = place.time if isinstance(place, Moment) else place
        made = of.add_consumer(consumer, kind="GROUP" if group else "CLIENT", at=at_place)
    reads = f": read with group.id {made.group}" if group else ""
    run.output.say(f"consumer {consumer} of {stream} is registered{reads}")


def drop_consumer(
    context: typer.Context,
    stream: Annotated[str, typer.Argument(help="The stream.")],
    consumer: Annotated[str, typer.Argument(help="The consumer.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it unasked.")] = False,
) -> None:
    """Retire a consumer with its watermark; the moves it made stay on record."""
    run = run_of(context)
    with run.writing() as db:
        of = db.stream(stream)
        question = f"this drops consumer {consumer} of {of.name} with its watermark"
        run.confirm(question, expected=consumer, yes=yes)
        of.drop_consumer(consumer)
    run.output.say(f"consumer {consumer} of {stream} is dropped")
