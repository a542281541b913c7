"""The verbs of a topic that is read from and not ours: what adoption needs of it, on one page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class SourceRecord(NamedTuple):
    """One message: `time_ms` is its record time, milliseconds since 1970."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    time_ms: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one look brought: records, in order for each partition, and where to go on.

    `next` is the offset behind each partition that was read further: behind its last record, and
    behind the markers that follow it.
    """

    records: tuple[SourceRecord, ...]
    next: Mapping[int, int]


class TopicSource(Protocol):
    """A topic with any number of partitions. For one thread; close it when done."""

    @property
    def topic(self) -> str:
        """The topic's name."""
        ...

    def bounds(self) -> Mapping[int, tuple[int, int]]:
        """Of each partition the first offset it holds, and the one behind its last.

        Raises:
            SourceLost: the topic is not there.
            StoreUnavailable: its cluster cannot be reached.
        """
        ...

    def fetch(self, at: Mapping[int, int], most: int, timeout_s: float) -> Fetched:
        """Up to so many records from these offsets on; none once the time is up.

        Raises:
            SourceLost: the topic is gone, or no longer holds an offset that was not read yet.
            StoreUnavailable: its cluster cannot be reached.
        """
        ...

    def close(self) -> None:
        """Give everything back. A second call does nothing."""
        ...
