"""Spans of time as users write them: `30 days`, `15m`, `1.5 hours`."""

import re

from headwater.ops.errors import BadArgument

_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)
_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("w", "week", "weeks"), 604_800),
}


def span_seconds(text: str) -> int:
    """A span in whole seconds.

    Raises:
        BadArgument: it is no span.
    """
    found = _SPAN.fullmatch(text)
    unit = _SECONDS.get(found[2].lower()) if found else None
    if found is None or unit is None:
        raise BadArgument(f"{text!r} is no span of time: write 30 days, 15m or 1.5 hours")
    return round(float(found[1]) * unit)
