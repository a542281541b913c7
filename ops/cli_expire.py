"""`headwater expire`: let history go that nobody asks to keep any more."""

import typer

from headwater.ops.cli_context import examples, run_of

_EXAMPLES = examples("expire --dir shop", "expire --dir shop --format json")


def add_to(app: typer.Typer) -> None:
    """Give the command to an application."""
    app.command(epilog=_EXAMPLES)(expire)


def expire(context: typer.Context) -> None:
    """Let history go that neither tables nor streams nor consumers ask to keep any more.

    A running application does so by itself, when it opens the store and every hour.
    """
    run = run_of(context)
    with run.writing() as db:
        found = db.expire()
    run.output.listing(
        ["table", "was kept from", "is kept from"],
        [(one.table, f"v{one.was}", f"v{one.now}") for one in found],
    )
