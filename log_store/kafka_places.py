"""How far a replica has come in each topic, and where each version lies: keys in `meta`.

    "topic/" name              := offset:u64 topic_id:utf8      the next record to apply
    "at/" table:u32 version:u64 := first:u64 next:u64           a version's records: [first, next)
    "prefix"                   := PrefixRecord as JSON
    "writer"                   := Writer as JSON, the last one seen
    "rebuilding"               := there while a replica is filled without a write-ahead log:
                                  what is found with it is worth nothing

They are written in the same batch as what they tell of, so a replica never knows more or less than
it holds. A topic's id tells one made anew under an old name from the one that was applied.
"""

import struct
from collections.abc import Mapping
from typing import Final, NamedTuple

from headwater.log_store.rocks_keys import version_key
from headwater.log_store.rocks_store import Store, WriteBatch

META_PREFIX: Final = b"prefix"
META_WRITER: Final = b"writer"
META_REBUILDING: Final = b"rebuilding"
_TOPIC: Final = b"topic/"
_AT: Final = b"at/"
_U64 = struct.Struct(">Q")
_SPAN = struct.Struct(">QQ")


# The family that spans stand in.
SPANS: Final = "meta"


class Place(NamedTuple):
    """The next offset of a topic to apply; `topic_id` is empty while it is not known."""

    topic_id: str
    offset: int


class Span(NamedTuple):
    """The records of one version: offsets [first, next) of its table's topic."""

    first: int
    next: int


def load_places(store: Store) -> dict[str, Place]:
    """Every topic's place, by name."""
    found: dict[str, Place] = {}
    for pairs in store.chunks("meta", _TOPIC, _TOPIC[:-1] + b"0"):
        for key, value in pairs:
            name = key[len(_TOPIC) :].decode()
            found[name] = Place(value[8:].decode(), int(_U64.unpack_from(value)[0]))
    return found


def put_places(batch: WriteBatch, places: Mapping[str, Place]) -> None:
    """Note how far topics are applied by what the batch holds."""
    for name, place in places.items():
        batch.put("meta", _TOPIC + name.encode(), _U64.pack(place.offset) + place.topic_id.encode())


def span_key(table: int, version: int) -> bytes:
    """The key under which a version's span stands."""
    return _AT + version_key(table, version)


def put_span(batch: WriteBatch, table: int, version: int, span: Span) -> None:
    """Note where a version's records lie."""
    batch.put("meta", _AT + version_key(table, version), _SPAN.pack(*span))


def span_of(store: Store, table: int, version: int) -> Span | None:
    """Where a version's records lie; None for v0 and for versions that are not there."""
    value = store.get("meta", _AT + version_key(table, version))
    return None if value is None else Span(*_SPAN.unpack(value))


def next_offset(store: Store, table: int, version: int) -> int:
    """The offset that says "all up to this version is consumed": the next version's first record,
    or behind the last one of this while it is the newest."""
    following = span_of(store, table, version + 1)
    if following is not None:
        return following.first
    own = span_of(store, table, version) if version > 0 else None
    return 0 if own is None else own.next
