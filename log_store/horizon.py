"""How much history a table keeps: from when on, and for whom longer. Pure.

Kept is the longest of what the table and its streams ask for, so that any time within that span can
be read; and what registered consumers have still to read, but for them at most so much longer.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Retention:
    """Seconds of history asked for: by the table (None: for ever), by each of its streams, and
    how many more for consumers that are behind.
    """

    table_s: int | None
    streams_s: tuple[int, ...] = ()
    extension_s: int = 14 * 86_400


@dataclass(frozen=True, slots=True)
class Kept:
    """A table's history as it is: its horizon, its head, and the version as of any time.

    `version_at` gives the version at a time, -1 where that is before all that is kept.
    """

    horizon: int
    head: int
    version_at: Callable[[int], int]


def new_horizon(kept: Kept, needed: Iterable[int], retention: Retention, now_us: int) -> int:
    """The oldest version from which full history is to be kept; never below what it is now.

    `needed` are the oldest versions that registered consumers still need. Those below the horizon
    are stale and hold nothing back.
    """
    if retention.table_s is None:
        return kept.horizon
    asked_us = max((retention.table_s, *retention.streams_s)) * _SECOND_US
    # The version that stood when the span began is the oldest one that it shows.
    by_time = kept.version_at(now_us - asked_us)
    waited_for = min((v for v in needed if v >= kept.horizon), default=kept.head)
    at_least = kept.version_at(now_us - asked_us - retention.extension_s * _SECOND_US)
    return max(kept.horizon, at_least, min(by_time, waited_for))
