"""`headwater stream peek` and `tail`: the changes themselves. Neither moves anything."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from headwater.ops.cli_context import Run, examples, run_of
from headwater.ops.exits import CommandError, Exit
from headwater.ops.times import parse_duration, parse_position, spoken

if TYPE_CHECKING:
    from headwater.log_store.catalog import StreamObject
    from headwater.log_store.port import View
    from headwater.ops.api import Database
    from headwater.ops.api_windows import StreamRows

    Feed = Callable[[StreamRows], None]

# What a look at changes shows beside the table's columns.
_METADATA = ("METADATA$ACTION", "METADATA$ISUPDATE", "METADATA$ROW_ID", "METADATA$VERSION")
_POLL_S = 0.5


class Place(NamedTuple):
    """How far a tail has come: the table's version, the store's commit."""

    head: int
    sequence: int


def add_to(app: typer.Typer) -> None:
    """Give the commands to an application."""
    app.command(
        epilog=examples("stream peek sales_stream", "stream peek sales_stream -c daily -n 0")
    )(peek)
    app.command(epilog=examples("stream tail sales_stream", "stream tail sales_stream --follow"))(
        tail
    )


def peek(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The stream.")],
    *,
    consumer: Annotated[
        str | None,
        typer.Option("--consumer", "-c", help="This consumer's; else the lowest of all."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, help="Rows at most; 0 for all.")
    ] = 100,
    upto: Annotated[int | None, typer.Option("--upto", help="To this version.")] = None,
) -> None:
    """Show what is still to be consumed. Moves nothing."""
    run = run_of(context)
    with run.reading() as db, db.stream(name).look(consumer, upto=upto) as window:
        columns = _columns(db, window)
        rows = _rows(window, columns)
        run.output.listing(columns, islice(rows, limit) if limit else rows)
        more = bool(limit) and next(rows, None) is not None
        run.output.say(
            f"window {window.versions}" + ("; there is more, --limit 0 shows all" if more else "")
        )


def tail(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The stream.")],
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="The last so many rows.")] = 10,
    start: Annotated[
        str | None, typer.Option("--from", help="From @VERSION or a time, instead.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as changes come.")] = False,
    timeout: Annotated[
        str | None, typer.Option("--timeout", help="With --follow: end with 7 after so long.")
    ] = None,
) -> None:
    """Show the newest changes of a stream, consumed or not. Moves nothing."""
    from headwater.producer.names import find_stream

    run = run_of(context)
    idle = None if timeout is None else parse_duration(timeout).total_seconds()
    with run.reading() as db:
        with db.session.view() as view:
            stream = find_stream(view.catalog, name)
            at = Place(view.head(stream.table).version, view.sequence)
            first = _first(run, db, stream, start, at.head - limit)
            window = _window(view, stream, first, at.head)
            columns = _columns(db, window)
            feed = run.output.feed(columns)
            rows = _rows(window, columns)
            feed(rows if start is not None else deque(rows, maxlen=limit))
        if follow:
            _follow(db, stream, at, lambda found: feed(_rows(found, columns)), idle)


def _first(run: Run, db: "Database", of: "StreamObject", start: str | None, least: int) -> int:
    """The version after which a tail begins."""
    if start is None:
        return max(of.base, least)
    found = parse_position(start, now=run.now)
    if isinstance(found, int):
        return found
    run.output.say(f"from {found}")
    with db.session.view() as view:
        name = view.catalog.table(of.table).name
    return db.table(name).at(time=found.time).version


def _window(view: "View", of: "StreamObject", after: int, upto: int) -> "StreamRows":
    """The rows of a stream in (after, upto], consumed or not."""
    from headwater.consumers.read import ReadOptions
    from headwater.consumers.windows import Window
    from headwater.ops.api_windows import StreamRows

    return StreamRows(view, of, Window(after, upto), ReadOptions())


def _columns(db: "Database", window: "StreamRows") -> list[str]:
    """The table's columns and the METADATA$ ones that are shown."""
    with db.session.view() as view:
        table = view.catalog.table(view.catalog.stream(window.stream_id).table)
        return [*table.schema.names, *_METADATA]


def _rows(window: "StreamRows", columns: list[str]) -> Iterator[Sequence[object]]:
    from headwater.ops.present import row_dicts

    for data in window.batches(more_metadata=True):
        for row in row_dicts(data.select(columns)):
            yield tuple(row.values())


def _follow(
    db: "Database", of: "StreamObject", at: Place, feed: "Feed", idle: float | None
) -> None:
    """Print what comes after a place, until interrupted.

    Raises:
        CommandError: nothing came for `idle` seconds.
    """
    waited = 0.0
    while idle is None or waited < idle:
        if db.session.log.wait(at.sequence, _POLL_S) <= at.sequence:
            waited += _POLL_S
            continue
        with db.session.view() as view:
            newest = Place(view.head(of.table).version, view.sequence)
            if newest.head > at.head:
                feed(_window(view, of, at.head, newest.head))
                waited = 0.0
            at = newest
    raise CommandError("E_TAIL_TIMEOUT", f"no change came for {spoken(waited)}", Exit.TIMED_OUT)
