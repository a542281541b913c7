"""Places in history as users write them, and what they mean for a table."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from headwater.consumers.errors import PositionUnknown
from headwater.consumers.positions import (
    AtStatement,
    AtStream,
    AtTime,
    AtVersion,
    Mark,
    Position,
    Said,
    parse,
    shown_time,
)

NOW = 1_763_888_400_000_000  # 2025-11-23 09:00:00 UTC
HOUR = 3_600_000_000


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (100, AtVersion(100)),
        ("100", AtVersion(100)),
        (" v100 ", AtVersion(100)),
        ("V7", AtVersion(7)),
        ("base", Mark.BASE),
        ("INITIAL", Mark.INITIAL),
        ("Head", Mark.HEAD),
        ("horizon", Mark.HORIZON),
        ("2 hours ago", AtTime(NOW - 2 * HOUR)),
        ("1.5h ago", AtTime(NOW - 3 * HOUR // 2)),
        ("-2h", AtTime(NOW - 2 * HOUR)),
        ("an hour ago", AtTime(NOW - HOUR)),
        ("3 days ago", AtTime(NOW - 72 * HOUR)),
        ("90 seconds ago", AtTime(NOW - 90_000_000)),
        ("2025-11-23 09:00", AtTime(NOW)),
        ("2025-11-23T10:00:00+01:00", AtTime(NOW)),
        ("2025-11-23T09:00:00.000001Z", AtTime(NOW + 1)),
        (datetime(2025, 11, 23, 9, tzinfo=UTC), AtTime(NOW)),
        (datetime(2025, 11, 23, 9), AtTime(NOW)),
        ({"version": 3}, AtVersion(3)),
        ({"time": "2 hours ago"}, AtTime(NOW - 2 * HOUR)),
        ({"timestamp": datetime(2025, 11, 23, 9, tzinfo=UTC)}, AtTime(NOW)),
        ({"offset": -60}, AtTime(NOW - 60_000_000)),
        ({"statement": "abc:2"}, AtStatement("abc:2")),
        ({"stream": "s2"}, AtStream("s2")),
        (AtVersion(4), AtVersion(4)),
    ],
)
def test_what_users_write_names_a_place(said: Said, meant: Position) -> None:
    assert parse(said, NOW) == meant


def test_a_time_without_a_zone_is_read_in_the_zone_given() -> None:
    zone = timezone(timedelta(hours=2))

    assert parse("2025-11-23 11:00", NOW, zone=zone) == AtTime(NOW)
    assert parse(datetime(2025, 11, 23, 11), NOW, zone=zone) == AtTime(NOW)
    assert parse("2025-11-23 09:00Z", NOW, zone=zone) == AtTime(NOW)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "soon",
        "2 hours",
        "2 fortnights ago",
        "v-1",
        -1,
        True,
        {},
        {"version": 1, "stream": "s"},
        {"version": "x"},
        {"color": "red"},
    ],
)
def test_what_names_no_place_is_refused_with_what_to_write(said: Said) -> None:
    with pytest.raises(PositionUnknown):
        parse(said, NOW)


def test_commit_times_are_shown_in_utc_to_the_microsecond() -> None:
    assert shown_time(NOW + 1) == "2025-11-23T09:00:00.000001+00:00"
