"""The replay's timeline and the oracle of the flights example, on flights written by hand."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import polars as pl
import pytest

from examples.flights import oracle, raw, timeline

ZONES = {"LAX": "America/Los_Angeles", "BOS": "America/New_York", "PHX": "America/Phoenix"}

# Eastern summer time: New York's clocks are four hours behind UTC.
PLAIN: dict[str, object] = {
    "year": 2013,
    "month": 6,
    "day": 1,
    "dep_time": 1005.0,
    "sched_dep_time": 1000,
    "dep_delay": 5.0,
    "arr_time": 1110.0,
    "sched_arr_time": 1100,
    "arr_delay": 10.0,
    "carrier": "AA",
    "flight": 1,
    "tailnum": "N1",
    "origin": "JFK",
    "dest": "BOS",
    "air_time": 50.0,
    "minute": 0,
    "time_hour": "2013-06-01T14:00:00Z",
}
CANCELLED: dict[str, object] = {
    "dep_time": None,
    "dep_delay": None,
    "arr_time": None,
    "arr_delay": None,
}


def flights(*rows: Mapping[str, object]) -> pd.DataFrame:
    """Raw flights: each the plain one but for what is given, numbered from 1."""
    return pd.DataFrame([{**PLAIN, "flight": 1 + n, **row} for n, row in enumerate(rows)])


def moments(rows: pd.DataFrame, phase: str, column: str) -> list[datetime]:
    """When the flights of one phase did it, in the order the timeline has them."""
    built = timeline.build(rows, ZONES, minutes=30)
    part = cast(timeline.Phase, getattr(built, phase))
    return cast("list[datetime]", part.rows[column].to_pylist())


def test_a_flight_appears_a_day_before_leaves_and_lands_in_commits_of_their_own() -> None:
    built = timeline.build(flights({}), ZONES, minutes=30)

    assert [timeline.local_time(int(at)) for at in built.times_us] == [
        "Fri 2013-05-31 10:00",
        "Sat 2013-06-01 10:30",
        "Sat 2013-06-01 11:30",
    ]
    counts = [
        [phase.at(commit).num_rows for commit in range(3)]
        for phase in (built.scheduled, built.departed, built.landed, built.cancelled)
    ]
    assert counts == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]


def test_a_cancelled_flight_goes_when_it_should_have_left() -> None:
    built = timeline.build(flights(CANCELLED), ZONES, minutes=30)

    assert len(built) == 2
    assert built.cancelled.at(1).to_pylist() == [
        {
            "flight_date": datetime(2013, 6, 1).date(),
            "carrier": "AA",
            "flight": 1,
            "origin": "JFK",
        }
    ]
    assert timeline.local_time(int(built.times_us[1])) == "Sat 2013-06-01 10:00"


def test_a_delay_past_midnight_leaves_on_the_next_day() -> None:
    late = flights(
        {
            "sched_dep_time": 2350,
            "minute": 50,
            "time_hour": "2013-06-02T03:00:00Z",
            "dep_time": 10.0,
            "dep_delay": 20.0,
            "sched_arr_time": 50,
            "arr_time": 110.0,
            "arr_delay": 20.0,
        }
    )

    assert moments(late, "departed", "departed") == [datetime(2013, 6, 2, 4, 10)]
    assert moments(late, "landed", "landed") == [datetime(2013, 6, 2, 5, 10)]


def test_the_arrival_is_read_on_the_clock_of_the_destination() -> None:
    west = flights({"dest": "LAX", "sched_arr_time": 1300, "arr_time": 1310.0})

    assert moments(west, "scheduled", "expected") == [datetime(2013, 6, 1, 20, 0)]
    assert moments(west, "landed", "landed") == [datetime(2013, 6, 1, 20, 10)]


def test_a_diverted_flight_lands_without_a_delay_or_not_at_all() -> None:
    diverted = flights(
        {"arr_time": 1900.0, "arr_delay": None}, {"arr_time": None, "arr_delay": None}
    )
    built = timeline.build(diverted, ZONES, minutes=30)

    assert built.landed.rows.select(["flight", "landed", "arr_delay", "status"]).to_pylist() == [
        {
            "flight": 1,
            "landed": datetime(2013, 6, 1, 23, 0),
            "arr_delay": None,
            "status": "diverted",
        }
    ]
    assert built.cancelled.rows.num_rows == 0


def test_a_flight_that_is_in_the_file_twice_is_refused_by_its_key_and_line() -> None:
    with pytest.raises(raw.BadInput, match="AA 7 from JFK on 2013-06-01 .* line 3 again"):
        timeline.build(flights({"flight": 7}, {"flight": 7}), ZONES, minutes=30)


def test_a_flight_that_lands_before_it_leaves_is_refused() -> None:
    with pytest.raises(raw.BadInput, match="line 2 lands before it leaves"):
        timeline.build(flights({"arr_delay": -90.0}), ZONES, minutes=30)


def test_a_destination_without_a_known_clock_is_refused() -> None:
    with pytest.raises(raw.BadInput, match="destination XXX"):
        timeline.build(flights({"dest": "XXX"}), ZONES, minutes=30)


def test_a_file_that_lacks_a_column_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "flights.csv"
    flights({}).drop(columns=["carrier"]).to_csv(path)

    with pytest.raises(raw.BadInput, match=r"flights.csv is no file of flights.*carrier"):
        raw.read_flights(path)


@pytest.fixture(scope="module")
def year() -> pd.DataFrame:
    """The whole file."""
    return raw.read_flights()


def test_replay_and_oracle_agree_on_every_moment_of_the_year(year: pd.DataFrame) -> None:
    zones = raw.time_zones()
    built = timeline.build(year, zones, minutes=30)
    expected = oracle.read(year, zones).flights
    expected["flight_date"] = expected["flight_date"].astype(str)

    for phase, column in (
        (built.scheduled, "scheduled"),
        (built.scheduled, "expected"),
        (built.departed, "departed"),
        (built.landed, "landed"),
    ):
        day = pl.col("flight_date").cast(pl.String)
        seen = pl.DataFrame(phase.rows).with_columns(day).to_pandas()
        both = expected.dropna(subset=[column]).merge(seen, "outer", on=list(timeline.KEY))
        assert len(both) == phase.rows.num_rows
        assert bool((both[f"{column}_x"] == both[f"{column}_y"]).all())


def test_every_change_of_the_year_is_in_exactly_one_commit_in_time_order(
    year: pd.DataFrame,
) -> None:
    zones = raw.time_zones()
    built = timeline.build(year, zones, minutes=30)
    phases = (built.scheduled, built.departed, built.landed, built.cancelled)

    assert bool((np.diff(built.times_us) > 0).all())
    for phase in phases:
        assert phase.starts[0] == 0 and phase.starts[-1] == phase.rows.num_rows
        assert bool((np.diff(phase.starts) >= 0).all())
    assert sum(phase.rows.num_rows for phase in phases) == sum(
        oracle.read(year, zones).changes().values()
    )
