"""What `make demo` tells: the year, the kill, the bug, the blizzard, who stands where, the checks.

Every number it prints comes from a query of the store (or, in the last part, from pandas); only
the seconds are the wall clock's.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, cast

import headwater
from examples.flights import checks, consumers, figures, oracle, raw
from examples.flights.board import DELAYS, LOG, STREAM, BoardClock
from examples.flights.consumers import NOTICES, Release
from examples.flights.holder import Job
from examples.flights.printer import Bar, Printer
from examples.flights.process import Holder, Said
from examples.flights.stock import Stock
from examples.flights.timeline import local_time

_READERS = (DELAYS, LOG, NOTICES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """What to tell. `kill_after` is a share of all commits; `directory` has room for the store."""

    source: Path | None
    directory: Path
    brokers: str
    prefix: str
    minutes: int
    kill_after: float
    faulty_from_us: int
    board_at_us: int

    @property
    def job(self) -> Job:
        """The holder's part of it."""
        return Job(
            directory=self.directory / "board",
            outbox=self.directory / "notices.jsonl",
            schemas=self.directory / "schemas.jsonl",
            brokers=self.brokers,
            prefix=self.prefix,
            source=self.source,
            minutes=self.minutes,
            faulty_from_us=self.faulty_from_us,
        )


def tell(plot: Plot, out: Printer) -> bool:
    """The whole story; whether every check at its end agrees.

    Raises:
        BadInput: the file is no such file. Nothing was begun.
        HolderFailed: the replay ended by itself.
    """
    with ExitStack() as held:
        holder = held.enter_context(Holder(plot.job))
        # While the holder sets itself up.
        truth = oracle.read(raw.read_flights(plot.source), raw.time_zones())
        words = holder.said()
        total = cast(int, next(words)["commits"])
        began = time.perf_counter()
        out.title("1  The board lives through the year")
        where = f"writes to {plot.job.brokers}" if plot.job.brokers else "holds the directory"
        out.line(f"process {holder.pid} {where}: the feed and three consumers")
        stock = held.enter_context(Stock(plot.job)) if plot.job.brokers else None
        if stock is not None:
            out.line(f"process {stock.pid} reads the topic {stock.topic}: Kafka's client, Avro")
        acknowledged = until_killed(holder, words, int(total * plot.kill_after), out)
        holder.end()
        recovered = resume(plot, acknowledged, out)
        return finish(plot, truth, Kill(acknowledged, recovered, began), stock, out)


class Kill(NamedTuple):
    """What was acknowledged before the kill and found after it; when the story began."""

    acknowledged: int
    recovered: int
    began: float


def finish(plot: Plot, truth: oracle.Oracle, kill: Kill, stock: Stock | None, out: Printer) -> bool:
    """Everything after the year: the bug, the blizzard, the checks."""
    clock = BoardClock(0)
    with closing(plot.job.open(clock)) as db:
        clock.now_us = figures.progress(db).time_us
        excess = mend(db, plot, out)
        blizzard(db, plot.board_at_us, out)
        standing(db, out)
        told = checks.Told(
            minutes=plot.minutes,
            board_at_us=plot.board_at_us,
            faulty_from_us=plot.faulty_from_us,
            excess=excess,
            acknowledged=kill.acknowledged,
            recovered=kill.recovered,
        )
        right = check(db, truth, told, figures.notices(plot.job.outbox), out)
        if stock is not None:
            right = beside(db, stock, out) and right
    out.line(f"took {time.perf_counter() - kill.began:.1f} s after set-up")
    return right


def beside(db: headwater.Database, stock: Stock, out: Printer) -> bool:
    """What the stock consumer counted, beside the table; whether they agree."""
    out.title("7  The same topic, read by a stock consumer")
    out.line(f"group {stock.group} read {stock.topic} from its start, committed records only")
    told, found = stock.finish(), figures.counted(db)
    rows = [
        (what, f"{value:,}", f"{told[what]:,}", "ok" if told[what] == value else "DIFFERS")
        for what, value in found.items()
    ]
    out.table(["", "table", "topic", ""], rows)
    return told == found


def until_killed(holder: Holder, words: Iterator[Said], kill_at: int, out: Printer) -> int:
    """The year on the board up to a kill -9 in the middle; the last version acknowledged."""
    acknowledged = 0
    with Bar("until the kill") as bar:
        for said in words:
            match said["said"]:
                case "month":
                    _month(said, out)
                case "committed":
                    acknowledged = cast(int, said["version"])
                    bar.show(acknowledged, kill_at)
                    if acknowledged == kill_at:
                        holder.kill()
                case _:
                    pass
    out.title("2  kill -9, and on")
    out.line(f"process {holder.pid} killed after it had acknowledged v{acknowledged:,}")
    return acknowledged


def resume(plot: Plot, acknowledged: int, out: Printer) -> int:
    """The rest of the year in another process; the version it found."""
    recovered, total = 0, acknowledged
    with Holder(plot.job) as holder, Bar("to the end") as bar:
        for said in holder.said():
            match said["said"]:
                case "ready":
                    recovered, total = cast(int, said["version"]), cast(int, said["commits"])
                    out.line(f"process {holder.pid} found the board at v{recovered:,}")
                case "again":
                    out.line(
                        f"the feed sent its last {said['sent']} commits again under their "
                        f"idempotency keys: the board is at v{said['version']:,}"
                    )
                case "month":
                    _month(said, out)
                case _:
                    bar.show(cast(int, said["version"]), total)
    sent = figures.notices(plot.job.outbox)
    out.line(
        f"{sent.lines:,} notices sent, {sent.repeated:,} of them twice: "
        "the receiver knows them by their ids"
    )
    return recovered


def _month(said: dict[str, object], out: Printer) -> None:
    behind = cast("dict[str, int]", said["behind"])
    late = ", ".join(f"{name} {behind.get(name, 0):,}" for name in _READERS)
    out.line(
        f"{local_time(cast(int, said['time_us']))}  v{said['version']:<6,}  "
        f"{said['on_board']:>7,} flights  {said['changes']:>9,} changes   behind: {late}"
    )


def mend(db: headwater.Database, plot: Plot, out: Printer) -> int:
    """The bug found, the rewind, the recount; returns the minutes that were too many."""
    out.title("3  A bug in the numbers: rewind with restore")
    reported, real = figures.late_minutes_reported(db), figures.late_minutes_on_board(db)
    out.line(f"late minutes in {DELAYS}: {reported:,}; on the board itself: {real:,}")
    out.line(
        f"release {Release.EARLY_IS_LATE.value} of the counter, in use since "
        f"{local_time(plot.faulty_from_us)}, takes early arrivals for delays"
    )
    stream = db.stream(STREAM)
    since = figures.moment(plot.faulty_from_us)
    reason = f"release {Release.EARLY_IS_LATE.value} counted early arrivals as late"
    plan = stream.rewind(consumer=DELAYS, to=since, restore=True, reason=reason)
    out.line("the plan:")
    for text in str(plan).splitlines():
        out.line(f"  {text}")
    plan.execute()
    lag = next(row for row in figures.lags(db) if row.consumer == DELAYS)
    out.line(
        f"executed: {DELAYS} is back at {figures.late_minutes_reported(db):,} late minutes, "
        f"{lag.versions:,} versions and {lag.changes:,} changes behind"
    )
    consumers.count_delays(db, Release.RIGHT)
    out.line(f"counted again: {figures.late_minutes_reported(db):,} late minutes")
    out.table(
        ["carrier", "landed", "late", "late minutes", "cancelled"],
        [tuple(row.values()) for row in figures.report(db)],
    )
    return reported - real


def blizzard(db: headwater.Database, at_us: int, out: Printer) -> None:
    """The board as it stood at a moment of the year."""
    out.title(f"4  The board at {local_time(at_us)} in New York")
    version, refreshed = figures.version_at(db, at_us)
    out.line(f"v{version:,}, refreshed {local_time(refreshed)}; the day's departures:")
    out.table(
        ["airport", "planned", "left", "still listed", "cancelled"],
        [
            (one.origin, one.planned, one.left, one.still_listed, one.cancelled)
            for one in figures.airports(db, at_us)
        ],
    )
    out.line("the next ones on the board:")
    out.table(
        ["scheduled", "flight", "from", "to", "status"],
        [
            (
                local_time(figures.time_us(cast(datetime, row["scheduled"]).replace(tzinfo=UTC))),
                f"{row['carrier']} {row['flight']}",
                row["origin"],
                row["dest"],
                row["status"],
            )
            for row in figures.next_departures(db, at_us, 8)
        ],
    )


def standing(db: headwater.Database, out: Printer) -> None:
    """Lag and history of everybody."""
    stream = db.stream(STREAM)
    out.title("5  Where everybody stands")
    out.table(
        ["consumer", "kind", "watermark", "head", "versions", "changes", "seconds"],
        [
            (r.consumer, r.kind, r.watermark, r.head, r.versions, r.changes, r.seconds)
            for r in figures.lags(db)
        ],
    )
    moves = stream.history()
    counted = Counter((move.consumer, move.why) for move in moves)
    out.line("moves of the watermarks:")
    out.table(
        ["consumer", "move", "times"],
        [(consumer, why, times) for (consumer, why), times in sorted(counted.items())],
    )
    out.line(f"the last moves of {DELAYS}:")
    out.table(
        ["time", "from", "to", "why", "who", "reason"],
        [
            (local_time(m.time_us), m.start, m.end, m.why, m.actor, m.reason)
            for m in moves
            if m.consumer == DELAYS
        ][-4:],
    )


def check(
    db: headwater.Database,
    truth: oracle.Oracle,
    told: checks.Told,
    sent: figures.Notices,
    out: Printer,
) -> bool:
    """The same from the raw file, by pandas."""
    out.title("6  Checked against pandas on the raw file")
    found = list(checks.all_checks(db, truth, sent, told))
    out.table(
        ["", "store", "pandas", ""],
        [(one.what, one.store, one.pandas, "ok" if one.agrees else "DIFFERS") for one in found],
    )
    return all(one.agrees for one in found)
