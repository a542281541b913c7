"""Three readers of one stream, each at its own pace.

delays    TABLE consumer  every day        carrier_delays: a running total by carrier
log       TABLE consumer  every week       flight_log: one row for every change
notices   CLIENT consumer every six hours  a file: who must be told of what, at least once

The first two commit their effect and their watermark together, so nothing is counted twice. The
third writes outside the store: the file is written first and the watermark moved after it, so a
kill between the two sends some notices again, under the ids they had.
"""

import json
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import headwater
from examples.flights.board import DELAYS, LOG, STREAM
from examples.flights.timeline import DAY_US

NOTICES: Final = "notices"

# A departure this late, in minutes, is worth a notice.
LATE_NOTICE: Final = 120

PACE_US: Final = {"notices": DAY_US // 4, "delays": DAY_US, "log": 7 * DAY_US}

_TOTALS: Final = ("landed", "late", "late_minutes", "cancelled")


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
    """Add what is new in the stream to the totals by carrier; returns the changes consumed."""
    with db.transaction() as tx:
        rows = tx.consume(STREAM, into=DELAYS).arrow()
        news = _by_carrier(rows, release)
        known = {str(row["carrier"]): row for row in tx.table(DELAYS).rows()}
        fresh: list[dict[str, object]] = []
        grown: list[dict[str, object]] = []
        for new in news:
            old = known.get(str(new["carrier"]))
            if old is None:
                fresh.append(new)
            else:
                totals = {name: cast(int, old[name]) + cast(int, new[name]) for name in _TOTALS}
                grown.append({"carrier": new["carrier"], **totals})
        if fresh:
            tx.insert(DELAYS, fresh)
        if grown:
            tx.update(DELAYS, grown)
        return rows.num_rows


def _by_carrier(rows: pa.Table, release: Release) -> list[dict[str, object]]:
    """What a window adds to each carrier's totals: rows that came less rows that went."""
    came = pc.equal(rows["METADATA$ACTION"], "INSERT")
    sign = pc.if_else(came, 1, -1)
    landed = pc.equal(rows["status"], "landed")
    minutes = pc.fill_null(rows["arr_delay"], 0)
    if release is Release.EARLY_IS_LATE:
        minutes = pc.abs(minutes)
    minutes = pc.if_else(landed, pc.max_element_wise(minutes, 0), 0)
    late = pc.greater(minutes, 0)
    # A flight that goes for good was cancelled; one that goes to come back was updated.
    gone = pc.and_(pc.invert(came), pc.invert(rows["METADATA$ISUPDATE"]))
    news = pa.table(
        {
            "carrier": rows["carrier"],
            "landed": pc.multiply(sign, pc.cast(landed, pa.int64())),
            "late": pc.multiply(sign, pc.cast(late, pa.int64())),
            "late_minutes": pc.multiply(sign, minutes),
            "cancelled": pc.cast(gone, pa.int64()),
        }
    )
    sums = news.group_by("carrier").aggregate([(name, "sum") for name in _TOTALS])
    named = sums.rename_columns([name.removesuffix("_sum") for name in sums.column_names])
    return [row for row in named.to_pylist() if any(row[name] for name in _TOTALS)]


def keep_log(db: headwater.Database) -> int:
    """Append every new change to the log, one row each; returns how many."""
    with db.transaction() as tx:
        rows = tx.consume(STREAM, into=LOG).arrow()
        came = pc.equal(rows["METADATA$ACTION"], "INSERT")
        # Of an update only what the flight became.
        kept = rows.filter(pc.or_(came, pc.invert(rows["METADATA$ISUPDATE"])))
        if kept.num_rows:
            tx.insert(LOG, _log_rows(kept))
        return kept.num_rows


def _log_rows(rows: pa.Table) -> pa.Table:
    gone = pc.equal(rows["METADATA$ACTION"], "DELETE")
    columns = {
        "version": rows["METADATA$VERSION"],
        "at": _naive(rows["METADATA$COMMIT_TIMESTAMP"]),
        "became": pc.if_else(gone, "cancelled", rows["status"]),
    }
    same = ("flight_date", "carrier", "flight", "origin", "dep_delay", "arr_delay")
    return pa.table({**columns, **{name: rows[name] for name in same}})


def _naive(times: "pa.ChunkedArray[pa.TimestampScalar]") -> "pa.ChunkedArray[pa.TimestampScalar]":
    return pc.cast(times, pa.timestamp("us"))


def send_notices(db: headwater.Database, outbox: Path) -> int:
    """Write a line for every flight that somebody must be told of; returns how many.

    At least once: the lines are on the disk before the watermark moves.
    """
    with db.stream(STREAM).consumer(NOTICES) as consumer:
        rows = consumer.arrow()
        told = rows.filter(_worth_telling(rows))
        _append(outbox, told)
        return told.num_rows


def _worth_telling(rows: pa.Table) -> "pa.ChunkedArray[pa.BooleanScalar]":
    came = pc.equal(rows["METADATA$ACTION"], "INSERT")
    left = pc.and_(came, pc.equal(rows["status"], "departed"))
    late = pc.fill_null(pc.greater_equal(rows["dep_delay"], LATE_NOTICE), False)
    gone = pc.and_(pc.invert(came), pc.invert(rows["METADATA$ISUPDATE"]))
    return pc.or_(pc.and_(left, late), gone)


def _append(outbox: Path, told: pa.Table) -> None:
    lines: list[str] = []
    for row in told.to_pylist():
        notice = {
            "id": f"{row['METADATA$VERSION']}-{row['METADATA$ROW_ID']}-{row['METADATA$ACTION']}",
            "why": "cancelled" if row["METADATA$ACTION"] == "DELETE" else "late",
            "flight_date": str(row["flight_date"]),
            "carrier": row["carrier"],
            "flight": row["flight"],
            "origin": row["origin"],
            "dep_delay": row["dep_delay"],
        }
        lines.append(json.dumps(notice) + "\n")
    if not lines:
        return
    with outbox.open("ab") as file:
        file.write("".join(lines).encode())
        file.flush()
        os.fsync(file.fileno())


def mend_outbox(outbox: Path) -> None:
    """Drop half a line that a kill left at the end; its notice is sent again."""
    if not outbox.exists():
        return
    text = outbox.read_bytes()
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        os.truncate(outbox, whole)


def due(times_us: "np.typing.NDArray[np.int64]", commit: int, consumer: str) -> bool:
    """Whether a consumer reads after this refresh: the last one of its day, week or quarter."""
    if commit + 1 >= len(times_us):
        return True
    pace = PACE_US[consumer]
    now, then = int(times_us[commit]), int(times_us[commit + 1])
    return -(-now // pace) != -(-then // pace)
