"""Times, durations and positions as people write them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from headwater.ops.exits import CommandError, Exit
from headwater.ops.times import (
    Moment,
    parse_duration,
    parse_position,
    parse_time,
    parse_version,
    spoken,
)

VIENNA = timezone(timedelta(hours=1))
NOW = datetime(2026, 2, 8, 10, 30, tzinfo=VIENNA)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15m", 900), ("1h30m", 5400), ("2 hours", 7200), ("1.5d", 129600), ("1 day, 2 h", 93600)],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "  ", "15", "m", "15 parsecs", "-5m", "5m ago", "1e9d"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(CommandError, match="duration") as caught:
        parse_duration(text)
    assert caught.value.exit_code == Exit.USAGE


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-02-08T10:00:00Z", "2026-02-08 10:00:00"),
        ("2026-02-08T10:00:00+02:00", "2026-02-08 08:00:00"),
        ("1770544800", "2026-02-08 10:00:00"),
        ("1770544800123", "2026-02-08 10:00:00.123000"),
        ("1770544800123456", "2026-02-08 10:00:00.123456"),
        ("15m ago", "2026-02-08 09:15:00"),
        ("2 hours ago", "2026-02-08 07:30:00"),
        ("now", "2026-02-08 09:30:00"),
    ],
)
def test_a_time_with_a_zone_is_taken_as_written(text: str, utc: str) -> None:
    found = parse_time(text, now=NOW)
    assert str(found.time.astimezone(UTC).replace(tzinfo=None)) == utc
    assert not found.assumed


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-02-08 10:00", "2026-02-08 09:00:00"),
        ("2026-02-08", "2026-02-07 23:00:00"),
        ("yesterday 09:00", "2026-02-07 08:00:00"),
        ("yesterday 9:00:05", "2026-02-07 08:00:05"),
        ("today", "2026-02-07 23:00:00"),
    ],
)
def test_a_time_without_a_zone_is_the_readers_and_says_so(text: str, utc: str) -> None:
    found = parse_time(text, now=NOW)
    assert str(found.time.astimezone(UTC).replace(tzinfo=None)) == utc
    assert found.assumed
    assert "your zone taken" in str(found)


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-13-01", "yesterday 25:00", "12345", "x ago", "99999999 weeks ago"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(CommandError):
        parse_time(text, now=NOW)


def test_a_position_is_a_version_or_a_moment() -> None:
    assert parse_position("@100", now=NOW) == 100
    assert parse_position("v7", now=NOW) == 7
    assert parse_position("now", now=NOW) == Moment(NOW)
    assert parse_version("100") is None


def test_a_moment_shows_utc_and_then_its_own_zone() -> None:
    assert str(Moment(NOW)) == "2026-02-08 09:30:00 UTC (2026-02-08 10:30:00 +0100)"
    assert str(Moment(NOW.astimezone(UTC))) == "2026-02-08 09:30:00 UTC"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.44, "0.4s"), (12, "12s"), (5400, "1h 30m"), (90061, "1d 1h"), (3600, "1h")],
)
def test_a_length_of_time_is_spoken_in_two_units(seconds: float, text: str) -> None:
    assert spoken(seconds) == text
