"""What the store must say, worked out with pandas from the raw file alone.

It shares no code with the replay: departures and arrivals are read from the file's clock times
(hhmm, local, past midnight too), where the replay adds the file's delays to the schedule. So a
slip in either shows as a difference.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

# A notice goes out for a departure as late as this, minutes, and for every cancellation.
LATE_NOTICE: Final = 120

_KEY: Final = ["flight_date", "carrier", "flight", "origin"]
_UTC: Final = "datetime64[us]"


@dataclass(frozen=True, slots=True)
class Oracle:
    """The file with the moments of each flight in UTC, NaT for what never happened."""

    flights: pd.DataFrame

    def changes(self) -> dict[str, int]:
        """All changes of the year by kind."""
        left, landed = self.flights["departed"].notna(), self.flights["landed"].notna()
        return {
            "inserts": len(self.flights),
            "updates": int(left.sum()) + int(landed.sum()),
            "deletes": int((~left).sum()),
        }

    def board(self, at: pd.Timestamp) -> pd.DataFrame:
        """The board at a moment in UTC, in the order of its key, as the table has its columns."""
        flights = self.flights
        gone = flights["departed"].isna() & (flights["scheduled"] <= at)
        shown = flights["scheduled"] - pd.Timedelta(days=1) <= at
        rows = flights.drop(index=flights.index[gone | ~shown])
        left, landed = rows["departed"] <= at, rows["landed"] <= at
        rows["tailnum"] = rows["tailnum"].where(left)
        rows["dep_delay"] = rows["dep_delay"].where(left).astype("Int64")
        rows["arr_delay"] = rows["arr_delay"].where(landed).astype("Int64")
        rows["departed"] = rows["departed"].where(left)
        rows["landed"] = rows["landed"].where(landed)
        rows["status"] = "scheduled"
        rows.loc[left, "status"] = "departed"
        rows.loc[landed, "status"] = "landed"
        rows.loc[landed & rows["arr_delay"].isna(), "status"] = "diverted"
        return rows.sort_values(_KEY, ignore_index=True)

    def delays(self) -> pd.DataFrame:
        """By carrier: flights landed, those late at all, their minutes, and the cancelled ones."""
        landed = self.flights[self.flights["arr_delay"].notna()]
        minutes = landed["arr_delay"].clip(lower=0)
        by_carrier = landed["carrier"]
        table = pd.DataFrame(
            {
                "landed": minutes.groupby(by_carrier).size(),
                "late": (minutes > 0).groupby(by_carrier).sum(),
                "late_minutes": minutes.groupby(by_carrier).sum(),
            }
        )
        cancelled = self.flights[self.flights["departed"].isna()].groupby("carrier").size()
        table = table.reindex(table.index.union(cancelled.index))
        table["cancelled"] = cancelled
        return table.fillna(0).astype("int64")

    def early_minutes(self, after: pd.Timestamp) -> int:
        """Minutes by which flights that landed after a moment were early, all carriers."""
        landed = self.flights[self.flights["landed"] > after]
        return int(-landed["arr_delay"].clip(upper=0).sum())

    def steps(self) -> pd.DataFrame:
        """Every change of the year: the flight's key, what it became, and when."""
        flights = self.flights
        away = flights["departed"].isna()
        known = [
            ("scheduled", flights["scheduled"] - pd.Timedelta(days=1)),
            ("departed", flights["departed"]),
            ("landed", flights["landed"]),
            ("cancelled", flights["scheduled"].where(away)),
        ]
        parts = [flights[_KEY].assign(became=became, at=at) for became, at in known]
        return pd.concat(parts, ignore_index=True).dropna(subset=["at"])

    def notices(self) -> pd.DataFrame:
        """The flights that somebody must be told of, and why."""
        away = self.flights["departed"].isna()
        late = self.flights["dep_delay"] >= LATE_NOTICE
        told = self.flights.loc[away | late, _KEY].copy()
        told["why"] = "late"
        told.loc[away[told.index], "why"] = "cancelled"
        return told.sort_values(_KEY, ignore_index=True)


def read(flights: pd.DataFrame, zones: dict[str, str]) -> Oracle:
    """The oracle of a raw file as `raw.read_flights` gives it."""
    day = pd.to_datetime(flights[["year", "month", "day"]])
    planned = _at(day, flights["sched_dep_time"])
    scheduled = _to_utc(planned, pd.Series("America/New_York", index=flights.index))
    left = _departure(day, planned, flights)
    departed = _to_utc(left, pd.Series("America/New_York", index=flights.index))
    dest = flights["dest"].map(zones)
    board = pd.DataFrame(
        {
            "flight_date": day,
            "carrier": flights["carrier"],
            "flight": flights["flight"],
            "origin": flights["origin"],
            "dest": flights["dest"],
            "scheduled": scheduled,
            "expected": _next_on_clock(scheduled, dest, flights["sched_arr_time"]),
            "tailnum": flights["tailnum"],
            "departed": departed,
            "dep_delay": flights["dep_delay"],
            "landed": _next_on_clock(departed, dest, flights["arr_time"]),
            "arr_delay": flights["arr_delay"],
        }
    )
    return Oracle(board)


def _departure(
    day: "pd.Series[pd.Timestamp]", planned: "pd.Series[pd.Timestamp]", flights: pd.DataFrame
) -> "pd.Series[pd.Timestamp]":
    """When it left by New York's clocks: the day before or after, if midnight lay between."""
    left = _at(day, flights["dep_time"])
    late = flights["dep_delay"] > 0
    left = left.mask(late & (left < planned), left + pd.Timedelta(days=1))
    return left.mask(~late & (left > planned), left - pd.Timedelta(days=1))


def _next_on_clock(
    after: "pd.Series[pd.Timestamp]", zone: "pd.Series[str]", clock: "pd.Series[float]"
) -> "pd.Series[pd.Timestamp]":
    """The first moment after `after` at which that zone's clocks show `clock` (hhmm)."""
    local = _to_local(after, zone)
    shown = _at(local.dt.normalize(), clock)
    shown = shown.mask(shown <= local, shown + pd.Timedelta(days=1))
    return _to_utc(shown, zone)


def _at(day: "pd.Series[pd.Timestamp]", clock: "pd.Series[float]") -> "pd.Series[pd.Timestamp]":
    return day + pd.to_timedelta(clock // 100 * 60 + clock % 100, unit="min")


def _to_utc(local: "pd.Series[pd.Timestamp]", zone: "pd.Series[str]") -> "pd.Series[pd.Timestamp]":
    parts = [_zone_to_utc(local[zone.eq(name)], str(name)) for name in zone.unique()]
    return pd.concat(parts).reindex(local.index).astype(_UTC)


def _zone_to_utc(local: "pd.Series[pd.Timestamp]", zone: str) -> "pd.Series[pd.Timestamp]":
    # Two flights landed in an hour that the change to or from summer time skips or repeats. Both
    # carry the time of a clock not yet changed: 02:03 in March is 03:03, 01:14 in November the
    # first of the two.
    before_change = np.ones(len(local), dtype=bool)
    aware = local.dt.tz_localize(zone, ambiguous=before_change, nonexistent=pd.Timedelta(hours=1))
    return aware.dt.tz_convert("UTC").dt.tz_localize(None)


def _to_local(utc: "pd.Series[pd.Timestamp]", zone: "pd.Series[str]") -> "pd.Series[pd.Timestamp]":
    parts = [_zone_to_local(utc[zone.eq(name)], str(name)) for name in zone.unique()]
    return pd.concat(parts).reindex(utc.index).astype(_UTC)


def _zone_to_local(utc: "pd.Series[pd.Timestamp]", zone: str) -> "pd.Series[pd.Timestamp]":
    return utc.dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)
