"""Which change becomes known when: the flights of the file as commits in time order.

The file holds each flight once, as it ended. The board learned of it in up to three steps:

    scheduled  24 hours before its scheduled departure: the row appears
    departed   scheduled departure + delay: aircraft, time and delay are set
    landed     scheduled arrival + delay: time and delay are set
    cancelled  at its scheduled departure, when it did not leave: the row goes

The board is refreshed every `minutes`; a commit holds what became known since the one before and
carries the time of the refresh. All times are microseconds since 1970 UTC.
"""

from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from examples.flights.raw import NEW_YORK, BadInput

Times = npt.NDArray[np.int64]

# What names a flight: no two flights of 2013 share these four, and a build refuses others.
KEY: Final = ("flight_date", "carrier", "flight", "origin")

MINUTE_US: Final = 60_000_000
DAY_US: Final = 24 * 60 * MINUTE_US

_NEVER: Final = np.iinfo(np.int64).min
_DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Phase:
    """All changes of one kind in time order; those of commit i are `rows[starts[i]:starts[i+1]]`."""

    rows: pa.Table
    starts: Times

    def at(self, commit: int) -> pa.Table:
        """The rows of one commit; none for most commits of the night."""
        start = int(self.starts[commit])
        return self.rows.slice(start, int(self.starts[commit + 1]) - start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The commits to make: commit i at `times_us[i]` holds what the four phases give for i."""

    times_us: Times
    scheduled: Phase
    departed: Phase
    landed: Phase
    cancelled: Phase

    def __len__(self) -> int:
        return len(self.times_us)


@dataclass(frozen=True, slots=True)
class _Moments:
    """When each flight of the file did what; _NEVER where it did not."""

    scheduled: Times
    expected: Times
    departed: Times
    landed: Times


def build(flights: pd.DataFrame, zones: dict[str, str], *, minutes: int) -> Timeline:
    """The year as a refresh every `minutes` would have shown it.

    Raises:
        BadInput: two flights share a key, a destination has no known time zone, or a flight
            lands before it leaves.
    """
    _check_keys(flights)
    when = _moments(flights, zones)
    cancelled = np.where(when.departed == _NEVER, when.scheduled, _NEVER)
    parts = (when.scheduled - DAY_US, when.departed, when.landed, cancelled)
    step = minutes * MINUTE_US
    refreshes = [np.where(part == _NEVER, _NEVER, -(-part // step) * step) for part in parts]
    times = np.unique(np.concatenate([part[part != _NEVER] for part in refreshes]))
    keys = _keys(flights)
    departed, landed = _departed(keys, flights, when), _landed(keys, flights, when)
    rows = (_scheduled(keys, flights, when), departed, landed, keys)
    phases = [
        _phase(table, part, refresh, times)
        for table, part, refresh in zip(rows, parts, refreshes, strict=True)
    ]
    return Timeline(
        times_us=times,
        scheduled=phases[0],
        departed=phases[1],
        landed=phases[2],
        cancelled=phases[3],
    )


def _phase(rows: pa.Table, known: Times, refresh: Times, times: Times) -> Phase:
    there = np.flatnonzero(refresh != _NEVER)
    order = there[np.argsort(known[there], kind="stable")]
    ends = np.searchsorted(refresh[order], times, side="right")
    return Phase(rows.take(order), np.concatenate([[0], ends]).astype(np.int64))


def _check_keys(flights: pd.DataFrame) -> None:
    key = ["year", "month", "day", "carrier", "flight", "origin"]
    twice = flights.loc[flights.duplicated(key).to_numpy(), key]
    if len(twice):
        year, month, day, carrier, flight, origin = twice.iloc[0]
        raise BadInput(
            f"flight {carrier} {flight} from {origin} on {year}-{month:02}-{day:02} "
            f"is in the file twice, at line {int(twice.index[0]) + 2} again: remove one"
        )


def _moments(flights: pd.DataFrame, zones: dict[str, str]) -> _Moments:
    hours = pd.to_datetime(flights["time_hour"], utc=True)
    scheduled = _micros(hours) + _whole(flights, "minute") * MINUTE_US
    departed = _plus_minutes(scheduled, flights["dep_delay"])
    offset = _dest_offsets(flights, scheduled, zones)
    expected = _next_clock(scheduled, offset, _whole(flights, "sched_arr_time"))
    landed = _plus_minutes(expected, flights["arr_delay"])
    # A diverted flight that reached its destination has an arrival time, but no delay.
    seen = flights["arr_time"].notna().to_numpy()
    clock = flights["arr_time"].fillna(0).to_numpy().astype(np.int64)
    diverted = seen & (landed == _NEVER)
    landed = np.where(diverted, _next_clock(departed, offset, clock), landed)
    landed = np.where(seen & (departed != _NEVER), landed, _NEVER)
    _check_order(flights, departed, landed)
    return _Moments(scheduled, expected, departed, landed)


def _check_order(flights: pd.DataFrame, departed: Times, landed: Times) -> None:
    wrong = np.flatnonzero((landed != _NEVER) & (landed <= departed))
    if len(wrong):
        raise BadInput(f"the flight at line {int(wrong[0]) + 2} lands before it leaves")


def _dest_offsets(flights: pd.DataFrame, at: Times, zones: dict[str, str]) -> Times:
    """What the destination's clock is ahead of UTC at those times, in microseconds."""
    named = flights["dest"].map(zones)
    if named.isna().any():
        missing = flights["dest"][named.isna().to_numpy()].iloc[0]
        raise BadInput(f"destination {missing} has no known time zone")
    offsets = np.zeros(len(flights), np.int64)
    for zone in named.unique():
        rows = np.flatnonzero((named == zone).to_numpy())
        utc = pd.to_datetime(pd.Series(at[rows]), unit="us", utc=True)
        local = utc.dt.tz_convert(str(zone)).dt.tz_localize(None)
        offsets[rows] = _micros(local) - at[rows]
    return offsets


def _next_clock(after: Times, offset: Times, clock: Times) -> Times:
    """The first moment after `after` at which a clock at `offset` shows `clock` (hhmm)."""
    shown = clock // 100 * 60 + clock % 100
    minute = (after + offset) // MINUTE_US % _DAY_MINUTES
    ahead: Times = (shown - minute) % _DAY_MINUTES
    return after + ahead * MINUTE_US


def _plus_minutes(start: Times, minutes: "pd.Series[float]") -> Times:
    known = minutes.notna().to_numpy()
    moved = start + minutes.fillna(0).to_numpy().astype(np.int64) * MINUTE_US
    return np.where(known, moved, _NEVER)


def _micros(times: "pd.Series[pd.Timestamp]") -> Times:
    naive = times.dt.tz_localize(None) if times.dt.tz is not None else times
    return naive.astype("datetime64[us]").to_numpy().astype(np.int64)


def _whole(flights: pd.DataFrame, column: str) -> Times:
    return flights[column].to_numpy().astype(np.int64)


def _keys(flights: pd.DataFrame) -> pa.Table:
    days = pd.to_datetime(flights[["year", "month", "day"]]).to_numpy().astype("datetime64[D]")
    return pa.table(
        {
            "flight_date": pa.array(days, pa.date32()),
            "carrier": _texts(flights["carrier"]),
            "flight": pa.array(_whole(flights, "flight")),
            "origin": _texts(flights["origin"]),
        }
    )


def _scheduled(keys: pa.Table, flights: pd.DataFrame, when: _Moments) -> pa.Table:
    rows = keys.append_column("dest", _texts(flights["dest"]))
    rows = rows.append_column("scheduled", _timestamps(when.scheduled))
    rows = rows.append_column("expected", _timestamps(when.expected))
    return rows.append_column("status", pa.repeat("scheduled", len(flights)))


def _departed(keys: pa.Table, flights: pd.DataFrame, when: _Moments) -> pa.Table:
    rows = keys.append_column("tailnum", _texts(flights["tailnum"]))
    rows = rows.append_column("departed", _timestamps(when.departed))
    rows = rows.append_column("dep_delay", _minutes(flights["dep_delay"]))
    return rows.append_column("status", pa.repeat("departed", len(flights)))


def _landed(keys: pa.Table, flights: pd.DataFrame, when: _Moments) -> pa.Table:
    diverted = flights["arr_delay"].isna().to_numpy()
    rows = keys.append_column("landed", _timestamps(when.landed))
    rows = rows.append_column("arr_delay", _minutes(flights["arr_delay"]))
    return rows.append_column("status", pc.if_else(pa.array(diverted), "diverted", "landed"))


def _timestamps(times: Times) -> pa.TimestampArray:
    moments = pa.array(times, mask=times == _NEVER).cast(pa.timestamp("us"))
    # The stubs know a cast's result as any array.
    return cast(pa.TimestampArray, moments)


def _texts(column: "pd.Series[str]") -> pa.StringArray:
    return pa.array(column, pa.string(), from_pandas=True)


def _minutes(column: "pd.Series[float]") -> pa.Int64Array:
    return pa.array(column, pa.int64(), from_pandas=True)


def month_ends(times_us: Times, commit: int) -> bool:
    """Whether this refresh is the last one of a month in New York, or of all."""
    if commit + 1 >= len(times_us):
        return True
    now, then = (new_york(int(at) - 1) for at in times_us[commit : commit + 2])
    return now.month != then.month


def local_time(time_us: int) -> str:
    """A moment as New York's clocks show it: `Fri 2013-02-08 18:00`."""
    return new_york(time_us).strftime("%a %Y-%m-%d %H:%M")


def new_york(time_us: int) -> pd.Timestamp:
    """A moment with New York's zone."""
    return pd.Timestamp(time_us, unit="us", tz="UTC").tz_convert(NEW_YORK)
