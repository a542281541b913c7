"""`headwater view` and `headwater parameter`: what views there are, what the store is set to."""

from typing import Annotated

import typer

from headwater.ops.cli_context import examples, run_of

Name = Annotated[str, typer.Argument(help="The parameter.")]

views = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Views: list them, see what they are.",
    epilog=examples("view ls", "view show large_sales"),
)
parameters = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Parameters of the store: list, set, unset.",
    epilog=examples("parameter ls", "parameter set DEFAULT_STREAM_CAPTURE NET"),
)


@views.command("ls", epilog=examples("view ls", "view ls --format json"))
def list_views(context: typer.Context) -> None:
    """List the views: columns, and the table that streams on each would follow."""
    run = run_of(context)
    with run.reading() as db:
        rows = [(one.name, one.table, ", ".join(one.columns), one.comment) for one in db.views()]
    run.output.listing(["name", "table", "columns", "comment"], rows, null="")


@views.command(epilog=examples("view show large_sales", "view show large_sales --format json"))
def show(context: typer.Context, name: Annotated[str, typer.Argument(help="The view.")]) -> None:
    """Show one view's columns, and on stderr its SELECT as it was written."""
    from headwater.ops.api_views import view_info
    from headwater.producer.names import find_view

    run = run_of(context)
    with run.reading() as db, db.session.view() as at:
        found = view_info(at.catalog, find_view(at.catalog, name))
    run.output.listing(["column", "type"], list(found.columns.items()))
    run.output.say(found.text)


@parameters.command("ls", epilog=examples("parameter ls", "parameter ls --format json"))
def list_parameters(context: typer.Context) -> None:
    """List the parameters: what each is, its default, what it is about."""
    run = run_of(context)
    with run.reading() as db:
        rows = [(one.name, one.value, one.default, one.about) for one in db.parameters()]
    run.output.listing(["name", "value", "default", "about"], rows, null="")


@parameters.command(
    "set",
    epilog=examples(
        "parameter set DEFAULT_STREAM_CAPTURE NET", "parameter set IDEMPOTENCY_RETENTION_DAYS 2"
    ),
)
def set_parameter(
    context: typer.Context, name: Name, value: Annotated[str, typer.Argument(help="Its value.")]
) -> None:
    """Set a parameter for the whole store."""
    run = run_of(context)
    with run.writing() as db:
        db.set_parameter(name, value)
    run.output.say(f"{name.upper()} is set")


@parameters.command(
    "unset",
    epilog=examples(
        "parameter unset DEFAULT_STREAM_CAPTURE", "parameter unset DATA_RETENTION_TIME_IN_DAYS"
    ),
)
def unset_parameter(context: typer.Context, name: Name) -> None:
    """Let a parameter stand at its default again."""
    run = run_of(context)
    with run.writing() as db:
        db.unset_parameter(name)
    run.output.say(f"{name.upper()} stands at its default")
