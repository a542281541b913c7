"""Spans of time as people write them. Pure.

span := (number unit)+        15m, 1h30m, 2 hours, 1.5 days, 90 seconds
"""

import re
from datetime import timedelta
from typing import Final

_UNITS: Final = {
    "ms": 1e-3,
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604_800.0),
}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*,?", re.ASCII)


def parse_span(text: str) -> timedelta | None:
    """How long `15m`, `1h30m` or `2 hours` is; None if the text is no span, or beyond counting."""
    wanted, at, seconds = text.strip().lower(), 0, 0.0
    while at < len(wanted):
        found = _PART.match(wanted, at)
        if found is None or found[2] not in _UNITS:
            return None
        seconds += float(found[1]) * _UNITS[found[2]]
        at = found.end()
    try:
        return timedelta(seconds=seconds) if wanted else None
    except OverflowError:
        return None
