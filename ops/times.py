"""Times and positions as people write them on a command line. Pure: `now` is always given.

    position := version | time | duration "ago"
    version  := "@" digits | "v" digits
    time     := ISO 8601 with or without an offset | digits (seconds, ms or us since 1970)
              | "now" | "today" [clock] | "yesterday" [clock]
    duration := (number unit)+        15m, 1h30m, 2 hours, 1.5d, 90 seconds
    clock    := HH:MM[:SS]

A time without an offset is one of the reader's own zone, and `Moment.assumed` says so.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

from headwater.consumers.spans import parse_span
from headwater.ops.exits import CommandError, Exit

_VERSION = re.compile(r"[@v](\d{1,18})", re.ASCII)
_DAY = re.compile(r"(today|yesterday)(?:\s+(\d{1,2}:\d{2}(?::\d{2})?))?", re.ASCII)
# Since 1970: 10 digits are seconds until 2286, 13 are milliseconds, 16 are microseconds.
_EPOCH_PER_SECOND: Final = {10: 1, 13: 1_000, 16: 1_000_000}


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time; `assumed` when its zone was not written but taken from the reader."""

    time: datetime
    assumed: bool = False

    def __str__(self) -> str:
        """UTC first, then the same in the moment's own zone where that is another."""
        utc = self.time.astimezone(UTC)
        if self.time.utcoffset() == timedelta(0):
            return f"{utc:%Y-%m-%d %H:%M:%S} UTC" + (", your zone taken" if self.assumed else "")
        note = ", your zone taken" if self.assumed else ""
        return f"{utc:%Y-%m-%d %H:%M:%S} UTC ({self.time:%Y-%m-%d %H:%M:%S %z}{note})"


def parse_duration(text: str) -> timedelta:
    """How long `15m`, `1h30m` or `2 hours` is.

    Raises:
        CommandError: it is no duration.
    """
    span = parse_span(text)
    if span is None:
        raise _refused(text, "a duration such as 15m, 1h30m or '2 hours'")
    return span


def parse_time(text: str, *, now: datetime) -> Moment:
    """The moment that a text means at `now`, which carries the reader's zone.

    Raises:
        CommandError: it is no time.
    """
    wanted = text.strip()
    lowered = wanted.lower()
    if lowered == "now":
        return Moment(now)
    try:
        if lowered.endswith(" ago"):
            return Moment(now - parse_duration(lowered.removesuffix(" ago")))
        if wanted.isascii() and wanted.isdigit() and len(wanted) in _EPOCH_PER_SECOND:
            per_second = _EPOCH_PER_SECOND[len(wanted)]
            whole, rest = divmod(int(wanted), per_second)
            since = timedelta(seconds=whole, microseconds=rest * 1_000_000 // per_second)
            return Moment(datetime(1970, 1, 1, tzinfo=UTC) + since)
        if (day := _DAY.fullmatch(lowered)) is not None:
            clock = _clock(day[2]) if day[2] else time()
            date = now.date() - timedelta(days=day[1] == "yesterday")
            return Moment(datetime.combine(date, clock, tzinfo=now.tzinfo), assumed=True)
        found = datetime.fromisoformat(wanted)
    except (ValueError, OverflowError):
        raise _refused(
            text, "a time such as 2026-02-08T10:00Z, '15m ago', 'yesterday 09:00' or 1770544800"
        ) from None
    if found.tzinfo is None:
        return Moment(found.replace(tzinfo=now.tzinfo), assumed=True)
    return Moment(found)


def parse_version(text: str) -> int | None:
    """The number of a version written `@100` or `v100`, None if it is written otherwise."""
    found = _VERSION.fullmatch(text.strip().lower())
    return int(found[1]) if found else None


def parse_position(text: str, *, now: datetime) -> int | Moment:
    """A version or a moment, whichever the text means.

    Raises:
        CommandError: it is neither.
    """
    version = parse_version(text)
    return parse_time(text, now=now) if version is None else version


def spoken(seconds: float) -> str:
    """A length of time in the two largest units that say something: 1h 30m, 12s, 0.4s."""
    if seconds < 10:
        return f"{seconds:.1f}s" if seconds else "0s"
    left, parts = round(seconds), list[str]()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def _clock(text: str) -> time:
    hour, minute, second = (int(part) for part in f"{text}:0".split(":")[:3])
    return time(hour, minute, second)


def _refused(text: str, wanted: str) -> CommandError:
    return CommandError("E_TIME", f"{text!r} is not {wanted}", Exit.USAGE)
