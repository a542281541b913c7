"""Records of one topic that were read and not yet asked for, as columns.

A record is three plain values in three lists: no object of the driver's outlives its reading, and
the garbage collector has nothing to walk through, however many records wait.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, cast

from confluent_kafka import Message

from headwater.log_store.kafka_reader import SETTLED

RecordHeaders = list[tuple[str, bytes]]
# So many records that were handed on are let go together.
_DROP: Final = 50_000


class Records(NamedTuple):
    """Records of one topic, one after the other."""

    keys: list[bytes | None]
    values: list[bytes | None]
    first: int
    next: int


class Held:
    """Records of one topic in order, handed on from the front."""

    def __init__(self) -> None:
        self._keys: list[bytes | None] = []
        self._values: list[bytes | None] = []
        self._offsets: list[int] = []
        self._headers: dict[int, RecordHeaders] = {}
        self._at = 0

    def __len__(self) -> int:
        return len(self._offsets) - self._at

    def add(self, messages: Sequence[Message]) -> None:
        """Hold these records too, which follow on what is held."""
        self._keys += [message.key() for message in messages]
        self._values += [message.value() for message in messages]
        offsets = cast(list[int], [message.offset() for message in messages])
        self._offsets += offsets
        # A list of pairs, as they were produced; nearly all records have none.
        headers = cast(list[RecordHeaders | None], [message.headers() for message in messages])
        if headers.count(None) != len(headers):
            pairs = zip(offsets, headers, strict=True)
            self._headers.update((offset, found) for offset, found in pairs if found)

    @property
    def key(self) -> bytes:
        """The key of the first record."""
        return self._keys[self._at] or b""

    @property
    def offset(self) -> int:
        """Where the first record stands."""
        return self._offsets[self._at]

    @property
    def headers(self) -> RecordHeaders:
        """The headers of the first record."""
        return self._headers.get(self.offset, [])

    @property
    def repeats(self) -> bool:
        """Whether the first record repeats another one and belongs to no commit: kafka_settle."""
        headers = self.headers
        return bool(headers) and headers[0][0] == SETTLED

    def take(self, count: int) -> Records:
        """The first records, which are held no longer; there must be so many."""
        start, stop = self._at, self._at + count
        offsets = self._offsets[start:stop]
        if self._headers:
            for offset in offsets:
                self._headers.pop(offset, None)
        taken = Records(
            self._keys[start:stop], self._values[start:stop], offsets[0], offsets[-1] + 1
        )
        self._at = stop
        if stop == len(self._offsets) or stop > _DROP:
            del self._keys[:stop], self._values[:stop], self._offsets[:stop]
            self._at = 0
        return taken


def by_topic(messages: Sequence[Message]) -> dict[str, list[Message]]:
    """Records of several topics, apart; each topic's in order."""
    topics = cast(list[str], [message.topic() for message in messages])
    names = set(topics)
    if len(names) == 1:
        return {names.pop(): list(messages)}
    found: dict[str, list[Message]] = {name: [] for name in names}
    for name, message in zip(topics, messages, strict=True):
        found[name].append(message)
    return found
