"""Is it right? What the store says beside what pandas makes of the raw file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl

import headwater
from examples.flights import figures
from examples.flights.board import DELAYS, FLIGHTS, LOG
from examples.flights.consumers import PACE_US
from examples.flights.figures import Notices
from examples.flights.oracle import Oracle
from examples.flights.timeline import KEY, MINUTE_US


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: `what`, as the store has it and as pandas has it, and whether they agree.

    Where whole tables are compared, both sides are told as their number of rows.
    """

    what: str
    store: str
    pandas: str
    agrees: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the story saw on its way and the end no longer shows."""

    minutes: int
    board_at_us: int
    faulty_from_us: int
    excess: int
    acknowledged: int
    recovered: int


def all_checks(
    db: headwater.Database, oracle: Oracle, notices: Notices, told: Told
) -> Iterator[Check]:
    """Every comparison, in the order of the story."""
    yield from _changes(db, oracle)
    yield _commits(db, oracle, told.minutes)
    yield _kill(told)
    yield _log(db, oracle, told.minutes)
    yield _notices(notices, oracle)
    # The faulty release read whole windows.
    faulty = _floor(told.faulty_from_us, PACE_US["delays"])
    yield _numbers(
        "late minutes too many, by release 1.1", told.excess, oracle.early_minutes(faulty)
    )
    yield _delays(db, oracle)
    then = db.table(FLIGHTS).at(time=figures.moment(told.board_at_us)).pl()
    refreshed = _floor(told.board_at_us, told.minutes * MINUTE_US)
    yield _board("rows of the board in the blizzard", then, oracle, refreshed)
    now = db.table(FLIGHTS).pl()
    yield _board("rows of the board at the end", now, oracle, pd.Timestamp.max.floor("us"))


def _changes(db: headwater.Database, oracle: Oracle) -> Iterator[Check]:
    versions = db.table(FLIGHTS).history()
    for kind, expected in oracle.changes().items():
        yield _numbers(kind, sum(getattr(one, kind) for one in versions), expected)


def _commits(db: headwater.Database, oracle: Oracle, minutes: int) -> Check:
    times = [figures.time_us(one.time) for one in db.table(FLIGHTS).history() if one.version]
    known = _refresh(oracle.steps()["at"], minutes)
    return _same("commits, each at its own time", times, np.unique(known).tolist())


def _kill(told: Told) -> Check:
    """A commit may have become durable whose acknowledgement the kill swallowed; never the reverse."""
    agrees = told.recovered in (told.acknowledged, told.acknowledged + 1)
    return Check(
        "versions after the kill, acknowledged before it",
        f"{told.recovered:,}",
        f"{told.acknowledged:,}",
        agrees,
    )


def _log(db: headwater.Database, oracle: Oracle, minutes: int) -> Check:
    order = [*KEY, "at", "became"]
    steps = oracle.steps()
    steps["at"] = _refresh(steps["at"], minutes)
    # The log says `diverted` where the file only shows that there is no delay.
    became = pl.col("became").replace("diverted", "landed")
    lines = db.table(LOG).pl().with_columns(became, pl.col("at").dt.epoch("us"))
    return _frames("lines of the log, each once", lines.select(order), steps, order)


def _notices(notices: Notices, oracle: Oracle) -> Check:
    order = [*KEY, "why"]
    told = pl.DataFrame([{name: row[name] for name in order} for row in notices.rows])
    expected = oracle.notices()
    expected["flight_date"] = expected["flight_date"].dt.strftime("%Y-%m-%d")
    return _frames("notices, each once by its id", told, expected, order)


def _delays(db: headwater.Database, oracle: Oracle) -> Check:
    totals = db.table(DELAYS).df().set_index("carrier").sort_index()
    expected = oracle.delays()
    agrees = totals.astype("int64").equals(expected[totals.columns])
    names = f"{int(totals['late_minutes'].sum()):,}", f"{int(expected['late_minutes'].sum()):,}"
    return Check("late minutes, by carrier", *names, agrees)


def _board(what: str, board: pl.DataFrame, oracle: Oracle, at: pd.Timestamp) -> Check:
    return _frames(what, board, oracle.board(at), list(KEY))


def _refresh(times: "pd.Series[pd.Timestamp]", minutes: int) -> "pd.Series[int]":
    step = minutes * MINUTE_US
    at = times.astype("datetime64[us]").astype("int64")
    return -(-at // step) * step


def _floor(at_us: int, step_us: int) -> pd.Timestamp:
    return pd.Timestamp(at_us // step_us * step_us, unit="us")


def _numbers(what: str, store: int, pandas: int) -> Check:
    return Check(what, f"{store:,}", f"{pandas:,}", store == pandas)


def _same(what: str, store: Sequence[int], pandas: Sequence[int]) -> Check:
    return Check(what, f"{len(store):,}", f"{len(pandas):,}", list(store) == list(pandas))


def _frames(what: str, store: pl.DataFrame, pandas: pd.DataFrame, order: list[str]) -> Check:
    """Whether two tables hold the same rows, in whatever order."""
    other = pl.DataFrame(pandas[store.columns]).cast(store.schema)
    agrees = store.sort(order).equals(other.sort(order))
    return Check(what, f"{len(store):,}", f"{len(other):,}", agrees)
