"""The readers of the flights example, over a store in memory and flights written by hand."""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import headwater
from examples.flights import board, consumers, figures, timeline
from examples.flights.consumers import Release
from examples.flights.timeline import DAY_US, Timeline

ZONES = {"BOS": "America/New_York"}

PLAIN: dict[str, object] = {
    "year": 2013,
    "month": 6,
    "day": 1,
    "dep_time": 1000.0,
    "sched_dep_time": 1000,
    "dep_delay": 0.0,
    "arr_time": 1100.0,
    "sched_arr_time": 1100,
    "arr_delay": 0.0,
    "carrier": "AA",
    "flight": 1,
    "tailnum": "N1",
    "origin": "JFK",
    "dest": "BOS",
    "air_time": 50.0,
    "minute": 0,
    "time_hour": "2013-06-01T14:00:00Z",
}
LATE = {"arr_time": 1110.0, "arr_delay": 10.0}
EARLY = {"arr_time": 1040.0, "arr_delay": -20.0}
LEFT_LATE = {"dep_time": 1230.0, "dep_delay": 150.0, "arr_time": 1330.0, "arr_delay": 150.0}
CANCELLED = {"dep_time": None, "dep_delay": None, "arr_time": None, "arr_delay": None}
DIVERTED = {"arr_time": None, "arr_delay": None}


def year(*rows: Mapping[str, object]) -> Timeline:
    """The commits of these flights, numbered from 1."""
    flights = pd.DataFrame([{**PLAIN, "flight": 1 + n, **row} for n, row in enumerate(rows)])
    return timeline.build(flights, ZONES, minutes=30)


@pytest.fixture
def clock() -> board.BoardClock:
    """The board's clock, a week before the flights."""
    return board.BoardClock(int(pd.Timestamp("2013-05-25").timestamp()) * 1_000_000)


@pytest.fixture
def db(clock: board.BoardClock) -> Iterator[headwater.Database]:
    """An empty board."""
    with headwater.connect("memory:", clock=clock) as opened:
        board.create(opened)
        yield opened


def replay(db: headwater.Database, story: Timeline, *, upto: int | None = None) -> None:
    """All refreshes of a story, or the first ones."""
    for commit in range(board.commits_made(db), len(story) if upto is None else upto):
        board.refresh(db, story, commit)


def totals(db: headwater.Database) -> dict[str, object]:
    """The totals of the one carrier there is."""
    (row,) = db.table(board.DELAYS).rows()
    return row


def test_the_totals_are_the_same_however_the_stream_is_cut(db: headwater.Database) -> None:
    story = year(LATE, EARLY, LEFT_LATE, CANCELLED, DIVERTED)
    for commit in range(len(story)):
        board.refresh(db, story, commit)
        consumers.count_delays(db, Release.RIGHT)

    step_by_step = totals(db)
    with headwater.connect("memory:") as other:
        board.create(other)
        replay(other, story)
        consumers.count_delays(other, Release.RIGHT)
        at_once = totals(other)

    expected = {"carrier": "AA", "landed": 3, "late": 2, "late_minutes": 160, "cancelled": 1}
    assert step_by_step == expected
    assert at_once == expected


def test_the_faulty_release_takes_early_arrivals_for_delays(db: headwater.Database) -> None:
    replay(db, year(LATE, EARLY))
    consumers.count_delays(db, Release.EARLY_IS_LATE)

    assert (totals(db)["late"], totals(db)["late_minutes"]) == (2, 30)
    assert figures.late_minutes_on_board(db) == 10


def test_a_delay_that_is_corrected_later_counts_as_corrected(db: headwater.Database) -> None:
    replay(db, year(LATE))
    consumers.count_delays(db, Release.RIGHT)
    key = (date(2013, 6, 1), "AA", 1, "JFK")
    db.table(board.FLIGHTS).update(key=key, set={"arr_delay": 4})
    consumers.count_delays(db, Release.RIGHT)

    assert (totals(db)["landed"], totals(db)["late_minutes"]) == (1, 4)


def test_nothing_new_changes_no_totals_and_makes_no_version(db: headwater.Database) -> None:
    replay(db, year(LATE))
    consumers.count_delays(db, Release.RIGHT)
    before = db.table(board.DELAYS).head

    assert consumers.count_delays(db, Release.RIGHT) == 0
    assert db.table(board.DELAYS).head == before


def test_the_log_has_one_line_for_each_change(db: headwater.Database) -> None:
    replay(db, year(LATE, CANCELLED))

    assert consumers.keep_log(db) == 5
    lines = [(row["flight"], row["became"]) for row in db.table(board.LOG).rows()]
    assert lines == [
        (1, "scheduled"),
        (2, "scheduled"),
        (1, "departed"),
        (2, "cancelled"),
        (1, "landed"),
    ]
    assert consumers.keep_log(db) == 0


def test_notices_go_out_for_late_departures_and_cancellations(
    db: headwater.Database, tmp_path: Path
) -> None:
    outbox = tmp_path / "notices"
    replay(db, year(LATE, LEFT_LATE, CANCELLED))

    assert consumers.send_notices(db, outbox) == 2
    told = [json.loads(line) for line in outbox.read_text().splitlines()]
    assert {(one["flight"], one["why"]) for one in told} == {(2, "late"), (3, "cancelled")}


def test_a_notice_that_is_sent_again_has_the_id_it_had(
    db: headwater.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = tmp_path / "notices"
    replay(db, year(LEFT_LATE, CANCELLED))

    class Killed(BaseException):
        """The process ends here."""

    def die(_: int) -> None:
        raise Killed

    monkeypatch.setattr("os.fsync", die)
    with pytest.raises(Killed):
        consumers.send_notices(db, outbox)
    monkeypatch.undo()

    assert consumers.send_notices(db, outbox) == 2
    found = figures.notices(outbox)
    assert (found.lines, found.repeated, len(found.rows)) == (4, 2, 2)


def test_half_a_notice_at_the_end_of_the_file_is_cut_off(tmp_path: Path) -> None:
    outbox = tmp_path / "notices"
    outbox.write_bytes(b'{"id": 1}\n{"id": 2, "wh')
    consumers.mend_outbox(outbox)

    assert outbox.read_bytes() == b'{"id": 1}\n'


def test_a_refresh_sent_again_is_there_once(db: headwater.Database) -> None:
    story = year(LATE, CANCELLED)
    replay(db, story)
    before = db.table(board.FLIGHTS).rows()
    for commit in range(len(story)):
        board.refresh(db, story, commit)

    assert board.commits_made(db) == len(story)
    assert db.table(board.FLIGHTS).rows() == before


def test_a_feed_that_lost_a_commit_is_refused(db: headwater.Database) -> None:
    story = year(LATE)
    with pytest.raises(board.FlightUnknown, match="changed 1 flights, 0 of them"):
        board.refresh(db, story, 1)

    assert board.commits_made(db) == 0


def test_the_board_is_read_as_it_stood_with_what_had_been_cancelled(
    db: headwater.Database, clock: board.BoardClock
) -> None:
    story = year(LATE, CANCELLED, {"sched_dep_time": 1800, "time_hour": "2013-06-01T22:00:00Z"})
    for commit in range(len(story)):
        clock.now_us = int(story.times_us[commit])
        board.refresh(db, story, commit)
    noon = int(pd.Timestamp("2013-06-01 16:00").timestamp()) * 1_000_000

    assert figures.airports(db, noon) == [figures.Airport("JFK", 3, 1, 1, 1)]
    (waiting,) = figures.next_departures(db, noon, 5)
    assert waiting["flight"] == 3


@pytest.mark.parametrize(("consumer", "hours"), [("notices", 24), ("delays", 168), ("log", 672)])
def test_a_consumer_reads_after_the_last_refresh_of_its_period(consumer: str, hours: int) -> None:
    hour = DAY_US // 24
    times = np.arange(0, 2000, dtype=np.int64) * hour
    read = [at for at in range(2000) if consumers.due(times, at, consumer)]

    assert all(at % hours == 0 for at in read[:-1])
    assert read[-1] == 1999
    assert len(read) == 2000 // hours + (2 if 1999 % hours else 1)
