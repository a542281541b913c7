"""RocksDB's write-ahead log, read without RocksDB: where a recovery stopped, and what it must not
be given.

file    := block*            of 32 KiB
block   := record* padding
record  := crc:u32le length:u16le type:u8 data        type 1 whole, 2 first, 3 middle, 4 last
whole   := number:u64le count:u32le ..                a write batch; its first write's number
"""

import struct
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final, NamedTuple

_BLOCK: Final = 32768
_RECORD = struct.Struct("<IHB")
_BATCH = struct.Struct("<QI")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


# RocksDB 10.4 goes round for ever at a record of these types, which our logs never hold: a flipped
# bit turns a type into one (test_rocks_damage.py).
_ENDLESS: Final = frozenset({5, 6, 7, 8, 11})


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


def endless_at(directory: Path) -> Spot | None:
    """The first record at which RocksDB would never come back from a recovery."""
    for file in sorted(directory.glob("*.log")):
        if file.stat().st_size:
            with file.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as data:
                at = _endless(data)
            if at is not None:
                return Spot(file.name, at)
    return None


def _endless(data: mmap) -> int | None:
    # A quarter of a microsecond per record: this runs over hundreds of megabytes.
    at, size, header = 0, len(data), _RECORD.size
    while at + header <= size:
        left = _BLOCK - at % _BLOCK
        if left < header:
            at += left
            continue
        kind = data[at + 6]
        if not _WHOLE <= kind <= _LAST:
            return at if kind in _ENDLESS else None
        at += header + data[at + 4] + (data[at + 5] << 8)
    return None


def _batches(data: bytes) -> Iterator[tuple[int, int | None]]:
    """Each batch's offset and first number; a None where the records stop making sense."""
    at, start, inside = 0, 0, False
    head: bytes | None = None  # of the batch begun, until there is enough to read its number
    while at + _RECORD.size <= len(data):
        left = _BLOCK - at % _BLOCK
        if left < _RECORD.size:
            at += left
            continue
        _, length, kind = _RECORD.unpack_from(data, at)
        if kind == 0 and length == 0:
            return  # preallocated, never written
        begins = kind in (_WHOLE, _FIRST)
        known = kind in (_WHOLE, _FIRST, _MIDDLE, _LAST)
        if not known or length > left - _RECORD.size or begins == inside:
            yield at, None
            return
        if begins:
            start, head = at, b""
        at += _RECORD.size
        if head is not None:
            head += data[at : at + length]
            if len(head) >= _BATCH.size:
                yield start, int(_BATCH.unpack_from(head)[0])
                head = None
        inside = kind in (_FIRST, _MIDDLE)
        at += length
