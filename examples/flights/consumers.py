"""Three readers of one stream, each at its own pace.

notices  CLIENT consumer  daily        a file: who must be told of what, at least once
delays   TABLE consumer   weekly       carrier_delays: a running total by carrier
log      TABLE consumer   four weeks   flight_log: one row for every change

The first writes outside the store: the file is written first and the watermark moved after it, so
a kill between the two sends some notices again, under the ids they had. The other two commit their
effect and their watermark together, so nothing is counted twice.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

import headwater
from examples.flights.board import DELAYS, LOG, STREAM
from examples.flights.timeline import DAY_US, Times

NOTICES: Final = "notices"

# A departure this late, in minutes, is worth a notice.
LATE_NOTICE: Final = 120

# How much of the board's time they read at once.
PACE_US: Final = {"notices": DAY_US, "delays": 7 * DAY_US, "log": 28 * DAY_US}

_READ: Final = (
    *("flight_date", "carrier", "flight", "origin", "dep_delay", "arr_delay", "status"),
    *("METADATA$ACTION", "METADATA$ISUPDATE", "METADATA$ROW_ID"),
    *("METADATA$VERSION", "METADATA$COMMIT_TIMESTAMP"),
)

# Rows of the stream: what an insert or an update brought, and a flight that went for good. (One
# that went to come back changed was updated.)
CAME: Final = pl.col("METADATA$ACTION") == "INSERT"
CANCELLED: Final = ~CAME & ~pl.col("METADATA$ISUPDATE")


class Release(Enum):
    """The versions of the delay counter that were in use."""

    RIGHT = "1.0"
    # Took the absolute value of the delay: early arrivals count as late.
    EARLY_IS_LATE = "1.1"


@dataclass(frozen=True, slots=True)
class Rollout:
    """Which release runs when: the faulty one from `faulty_from_us` on, until it is mended."""

    faulty_from_us: int

    def at(self, now_us: int) -> Release:
        """The release in use at a moment."""
        return Release.EARLY_IS_LATE if now_us > self.faulty_from_us else Release.RIGHT


def count_delays(db: headwater.Database, release: Release) -> int:
    """Add what is new in the stream to the totals by carrier; returns the carriers touched."""
    with db.transaction() as tx:
        window = tx.consume(STREAM, into=DELAYS)
        parts = [_by_carrier(_frame(rows), release) for rows in window.batches()]
        if not parts:
            return 0
        news = pl.concat(parts).group_by("carrier").sum()
        known = tx.table(DELAYS).pl()
        fresh = news.join(known, on="carrier", how="anti")
        both = pl.concat([known.join(news, on="carrier", how="semi"), news], how="diagonal")
        grown = both.join(known, on="carrier", how="semi").group_by("carrier").sum()
        if len(fresh):
            tx.insert(DELAYS, fresh)
        if len(grown):
            tx.update(DELAYS, grown)
        return len(news)


def _by_carrier(rows: pl.DataFrame, release: Release) -> pl.DataFrame:
    """What a window adds to each carrier's totals: rows that came less rows that went."""
    minutes = pl.col("arr_delay")
    minutes = minutes.abs() if release is Release.EARLY_IS_LATE else minutes.clip(lower_bound=0)
    landed, sign = pl.col("status") == "landed", pl.when(CAME).then(1).otherwise(-1)
    counted = {
        "landed": landed.cast(pl.Int64) * sign,
        "late": (landed & (minutes > 0)).cast(pl.Int64) * sign,
        "late_minutes": pl.when(landed).then(minutes).otherwise(0) * sign,
        "cancelled": CANCELLED.cast(pl.Int64),
    }
    totals = rows.select("carrier", **counted).group_by("carrier").sum()
    return totals.filter(pl.any_horizontal(pl.exclude("carrier") != 0))


def keep_log(db: headwater.Database) -> int:
    """Append every new change to the log, one row each; returns how many."""
    with db.transaction() as tx:
        window = tx.consume(STREAM, into=LOG)
        parts = [_log_rows(_frame(rows)) for rows in window.batches(more_metadata=True)]
        return sum(tx.insert(LOG, rows) for rows in parts)


def _log_rows(rows: pl.DataFrame) -> pl.DataFrame:
    # Of an update only what the flight became.
    return rows.filter(CAME | CANCELLED).select(
        pl.col("METADATA$VERSION").alias("version"),
        pl.col("METADATA$COMMIT_TIMESTAMP").dt.replace_time_zone(None).alias("at"),
        pl.when(CANCELLED).then(pl.lit("cancelled")).otherwise("status").alias("became"),
        *("flight_date", "carrier", "flight", "origin", "dep_delay", "arr_delay"),
    )


def send_notices(db: headwater.Database, outbox: Path) -> int:
    """Write a line for every flight that somebody must be told of; returns how many.

    At least once: the lines are on the disk before the watermark moves.
    """
    left_late = CAME & (pl.col("status") == "departed") & (pl.col("dep_delay") >= LATE_NOTICE)
    with db.stream(STREAM).consumer(NOTICES) as consumer:
        parts = [
            _frame(rows).filter(left_late | CANCELLED)
            for rows in consumer.batches(more_metadata=True)
        ]
        _append(outbox, [row for part in parts for row in part.iter_rows(named=True)])
        return sum(len(part) for part in parts)


def _append(outbox: Path, told: Iterable[dict[str, object]]) -> None:
    lines: list[str] = []
    for row in told:
        gone = row["METADATA$ACTION"] == "DELETE"
        # The same change has the same id whenever it is read.
        notice = {
            "id": f"{row['METADATA$VERSION']}-{row['METADATA$ROW_ID']}-{'gone' if gone else 'late'}",
            "why": "cancelled" if gone else "late",
            "flight_date": str(row["flight_date"]),
            **{name: row[name] for name in ("carrier", "flight", "origin", "dep_delay")},
        }
        lines.append(json.dumps(notice) + "\n")
    if not lines:
        return
    with outbox.open("ab") as file:
        file.write("".join(lines).encode())
        file.flush()
        os.fsync(file.fileno())


def _frame(rows: pa.Table) -> pl.DataFrame:
    # What no consumer looks at is not converted.
    return pl.DataFrame(rows.select([name for name in _READ if name in rows.column_names]))


def mend_outbox(outbox: Path) -> None:
    """Drop half a line that a kill left at the end; its notice is sent again."""
    if not outbox.exists():
        return
    text = outbox.read_bytes()
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        os.truncate(outbox, whole)


def due(times_us: Times, commit: int, consumer: str) -> bool:
    """Whether a consumer reads after this refresh: the last one of its day, week or month."""
    if commit + 1 >= len(times_us):
        return True
    pace = PACE_US[consumer]
    now, then = int(times_us[commit]), int(times_us[commit + 1])
    return -(-now // pace) != -(-then // pace)
