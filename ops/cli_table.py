"""`headwater table`: what tables there are, what is in them now and what was before."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from headwater.ops.cli_context import Run, examples, only_one, run_of
from headwater.ops.exits import CommandError, Exit
from headwater.ops.times import Moment, parse_position, parse_time

if TYPE_CHECKING:
    from datetime import datetime

    from headwater.ops.api import Database
    from headwater.ops.api_tables import Table


Name = Annotated[str, typer.Argument(help="The table.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=0, help="Rows at most; 0 for all.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it unasked.")]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Tables: create, look at them now, as of any version, and how they changed.",
    epilog=examples("table ls", "table at sales --version 3"),
)


@app.command("ls", epilog=examples("table ls", "table ls --format json"))
def list_tables(context: typer.Context) -> None:
    """List the tables: rows, newest version, key, streams."""
    run = run_of(context)
    columns = ["name", "rows", "version", "key", "columns", "streams", "changed"]
    from headwater.ops.present import from_us

    with run.reading() as db, db.session.view() as view:
        streams = [stream.table for stream in view.catalog.streams()]
        rows = [
            (
                table.name,
                table.count(),
                table.head,
                ", ".join(column.name for column in table.schema.key_columns),
                len(table.schema.columns),
                streams.count(table.id),
                from_us(view.head(table.id).time_us),
            )
            for table in db.tables()
        ]
    run.output.listing(columns, rows)


@app.command(epilog=examples("table show sales", "table show sales --format json"))
def show(context: typer.Context, name: Name) -> None:
    """Show one table's columns, and on stderr its version and streams."""
    run = run_of(context)
    with run.reading() as db:
        table = db.table(name)
        key = [column.name for column in table.schema.key_columns]
        rows = [
            (
                column.name,
                str(column.type),
                column.nullable and column.name not in key,
                column.name in key,
                column.default_call or column.default,
                column.comment,
            )
            for column in table.schema.columns
        ]
        count, head = table.count(), table.head
        streams = _streams_on(db, table)
    columns = ["column", "type", "nullable", "key", "default", "comment"]
    run.output.listing(columns, rows, null="")
    run.output.say(f"{count} rows at v{head}; streams: {', '.join(streams) if streams else 'none'}")


@app.command(epilog=examples("table avro sales", "table avro sales --format jsonl"))
def avro(context: typer.Context, name: Name) -> None:
    """Show the Avro schemas of a table's events, and on stderr their topic."""
    run = run_of(context)
    with run.reading() as db:
        table = db.table(name)
        rows = [(one.id, one.subject, one.version, one.text) for one in table.event_schemas()]
        topic = table.topic
    run.output.listing(["id", "subject", "version", "schema"], rows)
    run.output.say(f"topic: {topic}")


@app.command(
    epilog=examples(
        "table create sales sale_id:INT 'amount:DECIMAL(10,2)' --key sale_id",
        "table create events at:TIMESTAMP 'body:VARIANT NOT NULL'",
    )
)
def create(
    context: typer.Context,
    name: Name,
    columns: Annotated[
        list[str], typer.Argument(help="NAME:TYPE, or 'NAME:TYPE NOT NULL', for each column.")
    ],
    *,
    key: Annotated[list[str] | None, typer.Option("--key", help="A column of the key.")] = None,
    if_not_exists: Annotated[
        bool, typer.Option("--if-not-exists", help="Leave a table of that name as it is.")
    ] = False,
) -> None:
    """Create a table, and the store's directory where there is none."""
    from headwater.schemas.tables import ColumnSpec
    from headwater.schemas.types import SqlType

    run = run_of(context)
    specs = list[ColumnSpec]()
    for text in columns:
        column, of, nullable = declared(text)
        specs.append(ColumnSpec(column, SqlType.parse(of), nullable=nullable))
    with run.writing(create=True) as db:
        table = db.create_table(name, specs, key=key or (), if_not_exists=if_not_exists)
        run.output.say(f"table {table.name} is there, at v{table.head}")


@app.command(epilog=examples("table drop sales", "table drop sales --yes"))
def drop(context: typer.Context, name: Name, *, yes: Yes = False) -> None:
    """Drop a table; its streams become stale. `undrop` brings it back."""
    run = run_of(context)
    with run.writing() as db:
        table = db.table(name)
        streams = _streams_on(db, table)
        stale = f" and makes {', '.join(streams)} stale" if streams else ""
        question = f"this drops table {table.name} with {table.count()} rows{stale}"
        run.confirm(question, expected=table.name, yes=yes)
        db.drop_table(name)
    run.output.say(f"table {name} is dropped; headwater table undrop {name} brings it back")


@app.command(
    epilog=examples("table retain sales '30 days'", "table retain sales default --dir shop")
)
def retain(
    context: typer.Context,
    name: Name,
    span: Annotated[str, typer.Argument(help="As in '30 days'; default follows the store.")],
) -> None:
    """Say how much history a table keeps by itself; older history may go from then on."""
    run = run_of(context)
    with run.writing() as db:
        db.table(name).retain(None if span == "default" else span)
    run.output.say(f"table {name} keeps {'what the store says' if span == 'default' else span}")


@app.command(epilog=examples("table undrop sales", "table undrop sales --dir shop"))
def undrop(context: typer.Context, name: Name) -> None:
    """Bring back the table of that name that was dropped last."""
    run = run_of(context)
    with run.writing() as db:
        db.undrop_table(name)
        table = db.table(name)
        run.output.say(f"table {table.name} is back, at v{table.head}")


@app.command(epilog=examples("table history sales", "table history sales -n 5 --format jsonl"))
def history(context: typer.Context, name: Name, *, limit: Limit = 50) -> None:
    """List a table's versions, newest first: when, and what each commit changed."""
    run = run_of(context)
    with run.reading() as db:
        found = list(reversed(db.table(name).history()))
    columns = ["version", "time", "inserts", "updates", "deletes", "bytes", "commit"]
    rows = [
        (v.version, v.time, v.inserts, v.updates, v.deletes, v.bytes, v.sequence)
        for v in (found[:limit] if limit else found)
    ]
    run.output.listing(columns, rows)
    _say_left(run, len(found) - len(rows), "versions")


@app.command(
    epilog=examples(
        "table at sales", "table at sales --version 3", "table at sales --time '2h ago'"
    )
)
def at(
    context: typer.Context,
    name: Name,
    *,
    version: Annotated[int | None, typer.Option("--version", help="As of this version.")] = None,
    time: Annotated[
        str | None, typer.Option("--time", help="As of then: ISO 8601, '15m ago', epoch.")
    ] = None,
    limit: Limit = 100,
) -> None:
    """Show a table's rows: now, or as they were at a version or a time."""
    run = run_of(context)
    only_one([n for n, v in (("--version", version), ("--time", time)) if v is not None], "place")
    moment = None if time is None else _moment(run, time)
    with run.reading() as db:
        table = db.table(name)
        if moment is not None:
            found = table.at(time=moment)
        else:
            found = table.at(version=table.head if version is None else version)
        data = found.arrow()
    from headwater.ops.present import row_dicts

    shown = data.slice(0, limit) if limit else data
    rows = (tuple(row.values()) for row in row_dicts(shown))
    run.output.listing(data.column_names, rows)
    run.output.say(f"{data.num_rows} rows at v{found.version}")
    _say_left(run, data.num_rows - shown.num_rows, "rows")


@app.command(epilog=examples("table diff sales @3 @7", "table diff sales 'yesterday 18:00' now"))
def diff(
    context: typer.Context,
    name: Name,
    start: Annotated[str, typer.Argument(help="@VERSION or a time.")],
    end: Annotated[str, typer.Argument(help="@VERSION or a time.")],
    *,
    limit: Limit = 100,
) -> None:
    """Show the net changes that turn a table of one place into that of another."""
    run = run_of(context)
    low, high = _place(run, start), _place(run, end)
    with run.reading() as db:
        table = db.table(name)
        names = table.schema.names
        found = table.diff(low, high)
    shown = found[:limit] if limit else found
    lines = _diff_lines(names, ((d.row_id, d.before, d.after) for d in shown))
    run.output.listing(["change", "row", *names], lines)
    _say_left(run, len(found) - len(shown), "changed rows")


def declared(text: str) -> tuple[str, str, bool]:
    """A column's name, type and whether it takes NULL, from `NAME:TYPE [NOT NULL]`.

    Raises:
        CommandError: there is no name, or no type.
    """
    name, _, of = (part.strip() for part in text.partition(":"))
    nullable = not of.upper().endswith(" NOT NULL")
    of = of if nullable else of[: -len(" NOT NULL")].strip()
    if not name or not of:
        raise CommandError("E_USAGE", f"column {text!r} is not NAME:TYPE", Exit.USAGE)
    return name, of, nullable


def _streams_on(db: "Database", table: "Table") -> list[str]:
    """Names of the streams on a table."""
    with db.session.view() as view:
        return [stream.name for stream in view.catalog.streams() if stream.table == table.id]


def _diff_lines(
    names: Sequence[str],
    found: Iterable[tuple[str, Mapping[str, object] | None, Mapping[str, object] | None]],
) -> Iterator[Sequence[object]]:
    """A line for each side that a row has: - for what it was, + for what it is."""
    for row_id, before, after in found:
        for mark, side in (("-", before), ("+", after)):
            if side is not None:
                yield (mark, row_id, *(side[name] for name in names))


def _place(run: Run, text: str) -> "int | datetime":
    found = parse_position(text, now=run.now)
    return _told(run, found).time if isinstance(found, Moment) else found


def _moment(run: Run, text: str) -> "datetime":
    return _told(run, parse_time(text, now=run.now)).time


def _told(run: Run, moment: Moment) -> Moment:
    """Say which moment was understood, in UTC and in the reader's zone."""
    run.output.say(f"as of {moment}")
    return moment


def _say_left(run: Run, left: int, what: str) -> None:
    if left > 0:
        run.output.say(f"{left} more {what}; --limit 0 shows all")
