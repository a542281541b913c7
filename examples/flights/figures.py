"""The queries behind every number that the story prints."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import polars as pl

import headwater
from examples.flights.board import DELAYS, FLIGHTS, STREAM
from examples.flights.timeline import DAY_US, new_york


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the store stands: the board's newest version, its size, what each consumer lacks."""

    time_us: int
    version: int
    on_board: int
    changes: int
    behind: dict[str, int]


def progress(db: headwater.Database) -> Progress:
    """The store's own word on how far it is."""
    table = db.table(FLIGHTS)
    versions = table.history()
    changes = sum(one.inserts + one.updates + one.deletes for one in versions)
    behind = {row.consumer: row.changes for row in lags(db)}
    return Progress(time_us(versions[-1].time), table.head, table.count(), changes, behind)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a consumer stands and what it has not consumed yet; `seconds` by the board's clock."""

    consumer: str
    kind: str
    watermark: int
    head: int
    versions: int
    changes: int
    seconds: float


def lags(db: headwater.Database) -> list[Standing]:
    """Every consumer of the board's stream."""
    rows = db.stream(STREAM).lag()
    # A consumer without a lag is stale; with history kept for ever there is none.
    return [
        Standing(
            row.consumer,
            row.kind,
            row.watermark,
            row.head,
            row.lag.versions,
            row.lag.changes,
            row.lag.seconds,
        )
        for row in rows
        if row.lag is not None
    ]


def time_us(moment: datetime) -> int:
    """A time as the store keeps it, microseconds since 1970 UTC."""
    return round(moment.timestamp() * 1_000_000)


def moment(at_us: int) -> datetime:
    """The same as a datetime in UTC."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC)


def counted(db: headwater.Database) -> dict[str, int]:
    """What the board's history and its rows come to, by the names that a reader of the topic uses."""
    versions = db.table(FLIGHTS).history()
    deletes = sum(one.deletes for one in versions)
    return {
        "inserts": sum(one.inserts for one in versions),
        "updates": sum(one.updates for one in versions),
        "deletes": deletes,
        # Each delete is followed by one, for topics that are compacted.
        "tombstones": deletes,
        "rows at the end": db.table(FLIGHTS).count(),
        "late minutes": late_minutes_on_board(db),
    }


def late_minutes_reported(db: headwater.Database) -> int:
    """All late minutes in the totals that the delay counter keeps."""
    return sum(cast(int, row["late_minutes"]) for row in db.table(DELAYS).rows())


def late_minutes_on_board(db: headwater.Database) -> int:
    """The same from the flights themselves."""
    late = pl.col("arr_delay").clip(lower_bound=0).sum()
    return cast(int, db.table(FLIGHTS).pl().select(late).item())


def report(db: headwater.Database) -> list[dict[str, object]]:
    """The totals by carrier, most late minutes a flight first."""
    mean = pl.col("late_minutes") / pl.col("landed")
    return db.table(DELAYS).pl().sort(mean, descending=True, nulls_last=True).to_dicts()


def version_at(db: headwater.Database, at_us: int) -> tuple[int, int]:
    """The board's version at a moment, and the time of its commit."""
    table = db.table(FLIGHTS)
    version = table.at(time=moment(at_us)).version
    return version, next(time_us(one.time) for one in table.history() if one.version == version)


@dataclass(frozen=True, slots=True)
class Airport:
    """One airport's departures of a day as they stood at a moment of it."""

    origin: str
    planned: int
    left: int
    still_listed: int
    cancelled: int


def airports(db: headwater.Database, at_us: int) -> list[Airport]:
    """The day's departures at each airport as the board had them; the day is New York's.

    Cancelled are those that it held a day before and no longer then: it drops nothing else.
    """
    board = db.table(FLIGHTS).at(time=moment(at_us)).pl()
    today = board.filter(pl.col("flight_date") == new_york(at_us).date())
    cancelled = Counter(_gone(db, at_us))
    found: list[Airport] = []
    for origin in sorted({*today["origin"], *cancelled}):
        here = today.filter(pl.col("origin") == origin)
        waiting = len(here.filter(pl.col("status") == "scheduled"))
        lost = cancelled[origin]
        found.append(Airport(origin, len(here) + lost, len(here) - waiting, waiting, lost))
    return found


def _gone(db: headwater.Database, at_us: int) -> list[str]:
    """Origins of the day's flights that were deleted from the board up to a moment of the day."""
    start = moment(at_us - DAY_US)
    gone = [row for row in db.table(FLIGHTS).diff(start, moment(at_us)) if row.after is None]
    day = new_york(at_us).date()
    return [
        str(row.before["origin"])
        for row in gone
        if row.before is not None and row.before["flight_date"] == day
    ]


def next_departures(db: headwater.Database, at_us: int, count: int) -> list[dict[str, object]]:
    """The next flights that the board listed at a moment, by scheduled time."""
    board = db.table(FLIGHTS).at(time=moment(at_us)).pl()
    waiting = board.filter(pl.col("status") == "scheduled")
    return waiting.sort("scheduled", "carrier", "flight").head(count).to_dicts()


@dataclass(frozen=True, slots=True)
class Notices:
    """What the notifier's file holds: lines, and how many were there before under their id."""

    lines: int
    repeated: int
    rows: Sequence[dict[str, object]]


def notices(outbox: Path) -> Notices:
    """The notices as a receiver takes them: by their ids, each once."""
    text = outbox.read_text() if outbox.exists() else ""
    rows = [cast("dict[str, object]", json.loads(line)) for line in text.splitlines()]
    distinct = {str(row["id"]): row for row in rows}
    return Notices(len(rows), len(rows) - len(distinct), list(distinct.values()))
