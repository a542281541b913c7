"""Is it right? What the store says beside what pandas makes of the raw file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

import headwater
from examples.flights import figures
from examples.flights.board import DELAYS, FLIGHTS, LOG
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
    faulty = pd.Timestamp(told.faulty_from_us, unit="us")
    yield _numbers(
        "late minutes too many, by release 1.1", told.excess, oracle.early_minutes(faulty)
    )
    yield _delays(db, oracle)
    blizzard = figures.moment(told.board_at_us)
    then = db.table(FLIGHTS).at(time=blizzard).df()
    yield _board(
        "rows of the board in the blizzard", then, oracle, pd.Timestamp(told.board_at_us, unit="us")
    )
    now = db.table(FLIGHTS).df()
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
    log = db.table(LOG).df()
    steps = oracle.steps()
    steps["at"] = _refresh(steps["at"], minutes)
    log["at"] = log["at"].astype("datetime64[us]").astype("int64")
    order = [*KEY, "at", "became"]
    # The log says `diverted` where the file only shows that there is no delay.
    log["became"] = log["became"].replace("diverted", "landed")
    return _frames("lines of the log, each once", log[order], steps[order], order)


def _notices(notices: Notices, oracle: Oracle) -> Check:
    order = [*KEY, "why"]
    told = pd.DataFrame(notices.rows, columns=order)
    told["flight_date"] = pd.to_datetime(told["flight_date"]).dt.date
    return _frames("notices, each once by its id", told, oracle.notices()[order], order)


def _delays(db: headwater.Database, oracle: Oracle) -> Check:
    totals = db.table(DELAYS).df().set_index("carrier").sort_index()
    expected = oracle.delays()
    agrees = totals.astype("int64").equals(expected[totals.columns])
    names = f"{int(totals['late_minutes'].sum()):,}", f"{int(expected['late_minutes'].sum()):,}"
    return Check("late minutes, by carrier", *names, agrees)


def _board(what: str, board: pd.DataFrame, oracle: Oracle, at: pd.Timestamp) -> Check:
    return _frames(what, board, oracle.board(at), list(KEY))


def _refresh(times: "pd.Series[pd.Timestamp]", minutes: int) -> "pd.Series[int]":
    step = minutes * MINUTE_US
    at = times.astype("datetime64[us]").astype("int64")
    return -(-at // step) * step


def _numbers(what: str, store: int, pandas: int) -> Check:
    return Check(what, f"{store:,}", f"{pandas:,}", store == pandas)


def _same(what: str, store: Sequence[int], pandas: Sequence[int]) -> Check:
    return Check(what, f"{len(store):,}", f"{len(pandas):,}", list(store) == list(pandas))


def _frames(what: str, store: pd.DataFrame, pandas: pd.DataFrame, order: list[str]) -> Check:
    """Whether two tables hold the same rows, in whatever order."""
    one = store.sort_values(order, ignore_index=True)
    other = pandas.sort_values(order, ignore_index=True)[list(one.columns)]
    agrees = len(one) == len(other) and all(_column(one[name], other[name]) for name in one.columns)
    return Check(what, f"{len(one):,}", f"{len(other):,}", agrees)


def _column(one: "pd.Series[str]", other: "pd.Series[str]") -> bool:
    blank = one.isna().to_numpy()
    if not np.array_equal(blank, other.isna().to_numpy()):
        return False
    return bool((one[~blank].to_numpy() == other[~blank].to_numpy()).all())
