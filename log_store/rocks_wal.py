"""Where in RocksDB's write-ahead log a recovery stopped: for the message of a LogDamaged.

file    := block*            of 32 KiB
block   := record* padding
record  := crc:u32le length:u16le type:u8 data        type 1 whole, 2 first, 3 middle, 4 last
whole   := number:u64le count:u32le ..                a write batch; its first write's number
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_BLOCK: Final = 32768
_RECORD = struct.Struct("<IHB")
_BATCH = struct.Struct("<QI")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


class Spot(NamedTuple):
    """A file, and the byte in it at which a record starts."""

    file: str
    offset: int


def stopped_at(directory: Path, last_write: int) -> Spot | None:
    """The first record of the write-ahead log that holds none of the writes up to `last_write`.

    None where all files end before that: what is missing was never there, or went with a file.
    """
    for file in sorted(directory.glob("*.log")):
        for offset, number in _batches(file.read_bytes()):
            if number is None or number > last_write:
                return Spot(file.name, offset)
    return None


def _batches(data: bytes) -> Iterator[tuple[int, int | None]]:
    """Each batch's offset and first number; a None where the records stop making sense."""
    at, inside = 0, False
    while at + _RECORD.size <= len(data):
        left = _BLOCK - at % _BLOCK
        if left < _RECORD.size:
            at += left
            continue
        _, length, kind = _RECORD.unpack_from(data, at)
        if kind == 0 and length == 0:
            return  # preallocated, never written
        begins = kind in (_WHOLE, _FIRST)
        if (
            kind not in (_WHOLE, _FIRST, _MIDDLE, _LAST)
            or length > left - _RECORD.size
            or begins == inside
        ):
            yield at, None
            return
        if begins and length >= _BATCH.size:
            yield at, int(_BATCH.unpack_from(data, at + _RECORD.size)[0])
        inside = kind in (_FIRST, _MIDDLE)
        at += _RECORD.size + length
