"""`headwater kafka check`: will this cluster keep what a store on it promises?"""

from typing import Annotated

import typer

from headwater.ops.cli_context import examples, run_of
from headwater.ops.exits import CommandError, Exit

_CHECK = ("kafka check kafka://host:9092/shop", "kafka check kafka://a:9092,b:9092/shop --strict")

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Kafka: what speaks against keeping a store on a cluster.",
    epilog=examples(*_CHECK),
)


@app.callback()
def kafka() -> None:
    """Kafka: what speaks against keeping a store on a cluster."""


@app.command(epilog=examples(*_CHECK))
def check(
    context: typer.Context,
    target: Annotated[
        str | None, typer.Argument(help="kafka://host:9092/prefix; else the store of --dir.")
    ] = None,
    *,
    trial: Annotated[
        bool, typer.Option(help="Also write and read, on a topic that is removed again.")
    ] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors.")] = False,
) -> None:
    """Look at brokers, settings and permissions before a store is kept there.

    Nothing is left behind, and a store that is there is not touched. Ends with 5 if something is
    wrong, with 3 if no broker answers.
    """
    from headwater.log_store.kafka_fitness import worst
    from headwater.ops.wiring import examine_cluster

    run = run_of(context)
    where = target or run.store
    findings = examine_cluster(where, trial=trial)
    rows = [(one.check, one.subject, one.grade, one.sentence) for one in findings]
    run.output.listing(["check", "subject", "result", "why"], rows)
    grades = [one.grade for one in findings]
    if worst(findings) == "error" or (strict and "warning" in grades):
        unreachable = len(findings) == 1
        wrong = len(grades) - grades.count("ok") if strict else grades.count("error")
        raise CommandError(
            "E_CLUSTER_REFUSED",
            f"{wrong} {'thing speaks' if wrong == 1 else 'things speak'} against {where}",
            Exit.CANNOT_OPEN if unreachable else Exit.REFUSED,
        )
    run.output.say(f"a store can be kept at {where}")
