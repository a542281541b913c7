"""`headwater doctor`: is the store whole?"""

from typing import TYPE_CHECKING

import typer

from headwater.ops.cli_context import examples, run_of
from headwater.ops.exits import CommandError, Exit

if TYPE_CHECKING:
    from headwater.ops.api import Database

_EXAMPLES = examples("doctor --dir shop", "doctor --dir shop --format json")


def add_to(app: typer.Typer) -> None:
    """Give the command to an application."""
    app.command(epilog=_EXAMPLES)(doctor)


def doctor(context: typer.Context) -> None:
    """Open a store, verify every byte of its log and all that follows from it, and report.

    Changes nothing, and works beside a running application. Ends with 3 if something is damaged.
    """
    run = run_of(context)
    with run.reading() as db:
        faults = _report(db, context)
    if faults:
        what = "check" if faults == 1 else "checks"
        raise CommandError(
            "E_LOG_DAMAGED", f"{faults} {what} found a fault in {run.store}", Exit.CANNOT_OPEN
        )
    run.output.say(f"{run.store} is whole")


def _report(db: "Database", context: typer.Context) -> int:
    """Print each check; returns how many found a fault."""
    from headwater.ops.doctor import examine, examine_bytes

    output = run_of(context).output
    with db.session.view() as view:
        checks = [*examine_bytes(db.session.log), *examine(view)]
        output.say(f"looked at {view.sequence} commits of {db.session.log.name}")
    output.listing(
        ["check", "subject", "looked at", "result"],
        [(c.check, c.subject, c.looked_at, c.fault or "ok") for c in checks],
    )
    return sum(1 for check in checks if check.fault)
