"""Confluent's framing of a message: 0x00, the schema's id in 4 bytes big-endian, the Avro body."""

import struct

from headwater.schemas.errors import EventUnreadable

_HEAD = struct.Struct(">BI")
SIZE = _HEAD.size


def frame(schema_id: int, body: bytes) -> bytes:
    """A body as it goes to a topic."""
    return _HEAD.pack(0, schema_id) + body


def unframe(message: bytes) -> tuple[int, bytes]:
    """The schema id and the body of a message from a topic.

    Raises:
        EventUnreadable: it is shorter than its head, or in another framing.
    """
    if len(message) < SIZE:
        raise EventUnreadable("shorter than the five bytes of its head", position=len(message))
    magic, schema_id = _HEAD.unpack_from(message)
    if magic != 0:
        raise EventUnreadable(f"framing {magic} is not known", position=0)
    return schema_id, message[SIZE:]
