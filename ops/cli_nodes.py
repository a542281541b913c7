"""`headwater nodes`: who writes a store on Kafka, who stands by, how far each is."""

from typing import Annotated

import typer

from headwater.ops.cli_context import examples, run_of


def add_to(app: typer.Typer) -> None:
    """Give the command to an application."""
    app.command(
        "nodes",
        epilog=examples(
            "nodes kafka://host:9092/shop", "nodes kafka://host:9092/shop --format json"
        ),
    )(nodes)


def nodes(
    context: typer.Context,
    store: Annotated[
        str | None, typer.Argument(help="kafka://host:9092/prefix; else the store of --dir.")
    ] = None,
) -> None:
    """List the nodes of a store on Kafka: role, position, how far behind, when last seen."""
    from headwater.ops.wiring import look_at_nodes

    run = run_of(context)
    columns = [
        "node",
        "host",
        "pid",
        "role",
        "since",
        "epoch",
        "position",
        "behind",
        "seen",
        "silent",
    ]
    found = look_at_nodes(store or run.store)
    rows = [
        (
            one.node,
            one.host,
            one.pid,
            one.role,
            one.since,
            one.epoch,
            one.position,
            one.behind,
            one.seen,
            one.silent or None,
        )
        for one in found
    ]
    run.output.listing(columns, rows, null="")
    if not found:
        run.output.say("no node is there: the next that connects writes")
