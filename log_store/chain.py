"""The hash chain over a table's versions. Pure.

    digest(v) := blake2b-256( digest(v - 1) table:u64 version:u64 count:u64 L D )
    L := blake2b-256 of the messages' lengths, u32 each     D := blake2b-256 of their bytes
    digest(0) := 32 zero bytes                                        all big-endian

The digest depends on the events alone, not on how an adapter cuts them into chunks.
"""

import struct
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

GENESIS: Final = bytes(32)
_HEAD = struct.Struct(">32sQQQ")


def one_digest(before: bytes, table: int, version: int, message: bytes) -> bytes:
    """The digest of a version that is a single event."""
    data = blake2b(message, digest_size=32).digest()
    head = _HEAD.pack(before, table, version, 1)
    return blake2b(head + _one_length(len(message)) + data, digest_size=32).digest()


@lru_cache(maxsize=1024)
def _one_length(length: int) -> bytes:
    return blake2b(length.to_bytes(4, "big"), digest_size=32).digest()


class ChainDigest:
    """The digest of one version, fed with its events in order, in runs of any size."""

    __slots__ = ("_before", "_count", "_data", "_lengths", "_table", "_version")

    def __init__(self, before: bytes, table: int, version: int) -> None:
        self._before, self._table, self._version = before, table, version
        self._count = 0
        self._lengths = blake2b(digest_size=32)
        self._data = blake2b(digest_size=32)

    def add(self, messages: list[bytes]) -> None:
        """Take events given one by one."""
        self._count += len(messages)
        self._lengths.update(struct.pack(f">{len(messages)}I", *map(len, messages)))
        self._data.update(b"".join(messages))

    def add_run(self, offsets: npt.NDArray[np.int64], data: bytes | memoryview) -> None:
        """Take a run: event i is `data[offsets[i]:offsets[i + 1]]`."""
        self._count += len(offsets) - 1
        self._lengths.update(np.diff(offsets).astype(">u4").tobytes())
        self._data.update(memoryview(data)[int(offsets[0]) : int(offsets[-1])])

    def digest(self) -> bytes:
        """The digest of what was added so far."""
        head = _HEAD.pack(self._before, self._table, self._version, self._count)
        return blake2b(head + self._lengths.digest() + self._data.digest(), digest_size=32).digest()
