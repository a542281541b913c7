"""The airports' board in the store: its tables, its stream, and one refresh as one commit."""

import json
from pathlib import Path
from typing import Final

import headwater
from examples.flights.timeline import KEY, Timeline

FLIGHTS: Final = "flights"
STREAM: Final = "flight_changes"
DELAYS: Final = "carrier_delays"
LOG: Final = "flight_log"

_FLIGHTS_COLUMNS: Final = {
    "flight_date": "DATE",
    "carrier": "VARCHAR",
    "flight": "INT",
    "origin": "VARCHAR",
    "dest": "VARCHAR",
    "scheduled": "TIMESTAMP_NTZ",
    "expected": "TIMESTAMP_NTZ",
    "tailnum": "VARCHAR",
    "departed": "TIMESTAMP_NTZ",
    "dep_delay": "INT",
    "landed": "TIMESTAMP_NTZ",
    "arr_delay": "INT",
    "status": "VARCHAR",
}
_DELAYS_COLUMNS: Final = {
    "carrier": "VARCHAR",
    "landed": "INT",
    "late": "INT",
    "late_minutes": "INT",
    "cancelled": "INT",
}
_LOG_COLUMNS: Final = {
    "version": "INT",
    "at": "TIMESTAMP_NTZ",
    "became": "VARCHAR",
    "flight_date": "DATE",
    "carrier": "VARCHAR",
    "flight": "INT",
    "origin": "VARCHAR",
    "dep_delay": "INT",
    "arr_delay": "INT",
}


class BoardClock:
    """The store's clock during a replay: it stands where the board stands in 2013.

    So commits carry the board's own times, and the store can be asked for a moment of that year.
    """

    def __init__(self, now_us: int) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        return self.now_us


class FlightUnknown(Exception):
    """The feed named a flight that is not on the board. The refresh was not committed."""


def create(db: headwater.Database) -> None:
    """The tables, the stream of the board and its consumers; what is there already stays."""
    db.create_table(FLIGHTS, _FLIGHTS_COLUMNS, key=KEY, if_not_exists=True)
    db.create_table(DELAYS, _DELAYS_COLUMNS, key="carrier", if_not_exists=True)
    db.create_table(LOG, _LOG_COLUMNS, if_not_exists=True)
    db.create_stream(STREAM, on=FLIGHTS, if_not_exists=True)


def write_schemas(db: headwater.Database, file: Path) -> None:
    """What a reader of the board's topic needs, a schema a line, as `headwater table avro` prints it."""
    found = db.table(FLIGHTS).event_schemas()
    lines = (json.dumps({"id": one.id, "schema": one.text}) for one in found)
    file.write_text("".join(f"{line}\n" for line in lines))


def refresh(db: headwater.Database, timeline: Timeline, commit: int) -> None:
    """All that became known since the last refresh, as one commit.

    It carries an idempotency key: sent twice, it is there once.

    Raises:
        FlightUnknown: a flight leaves, lands or is cancelled that was never scheduled.
    """
    key = f"refresh-{int(timeline.times_us[commit])}"
    with db.transaction(idempotency_key=key) as tx:
        scheduled = timeline.scheduled.at(commit)
        if scheduled.num_rows:
            tx.insert(FLIGHTS, scheduled)
        for changed in (timeline.departed.at(commit), timeline.landed.at(commit)):
            if changed.num_rows:
                _expect(changed.num_rows, tx.update(FLIGHTS, changed))
        cancelled = timeline.cancelled.at(commit)
        if cancelled.num_rows:
            _expect(cancelled.num_rows, tx.delete(FLIGHTS, keys=cancelled))


def _expect(sent: int, found: int) -> None:
    if sent != found:
        raise FlightUnknown(f"the feed changed {sent} flights, {found} of them are on the board")


def commits_made(db: headwater.Database) -> int:
    """How many refreshes the store holds: each made one version of the board."""
    return db.table(FLIGHTS).head
