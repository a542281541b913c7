"""Keys of the embedded store, family by family. FORMAT.md explains them.

All integers are unsigned and big-endian, so keys sort as numbers do.

    log         event    := table:u32 version:u64 chunk:u32
    commits     row      := 0x00 sequence:u64
                by id    := 0x01 commit_id:utf8
                by key   := 0x02 idempotency_key:utf8
    versions    version  := table:u32 version:u64
    cur         row      := table:u32 row_id:u64
    pk          key      := table:u32 key:avro
    snap        chunk    := 0x00 table:u32 version:u64 chunk:u32
                list     := 0x01 table:u32 version:u64
                pending  := 0x02 table:u32 version:u64
                base     := 0x03 table:u32 version:u64 block:u32
                anchor   := 0x04 table:u32
    watermarks  mark     := 0x00 consumer:u32
                move     := 0x01 consumer:u32 sequence:u64
    catalog     event    := sequence:u64 ordinal:u32
    audit       row      := sequence:u64 ordinal:u32
    meta        name     := utf8
"""

import struct
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

FAMILIES: Final = (
    "log",
    "commits",
    "versions",
    "cur",
    "pk",
    "snap",
    "watermarks",
    "catalog",
    "audit",
    "meta",
)

_ROW_DTYPE: Final = np.dtype([("table", ">u4"), ("row", ">u8")])
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_TABLE_NUMBER = struct.Struct(">IQ")
_CHUNK = struct.Struct(">IQI")
_TAGGED = struct.Struct(">BQ")
_MARK = struct.Struct(">BI")
_MOVE = struct.Struct(">BIQ")
_ORDINAL = struct.Struct(">QI")
_SNAP_CHUNK = struct.Struct(">BIQI")
_SNAP = struct.Struct(">BIQ")

COMMITS_FROM: Final = b"\x00"
COMMITS_UPTO: Final = b"\x01"
MARKS_FROM: Final = b"\x00"
MARKS_UPTO: Final = b"\x01"

META_FORMAT: Final = b"format"
META_NAME: Final = b"name"
META_EPOCH: Final = b"epoch"
META_CHECKED: Final = b"checked"  # chains are verified up to this commit
META_STAGING: Final = b"staging"  # a large commit is writing chunks above these heads
META_ANCHORED: Final = b"anchored"  # commits up to here may have made versions that are gone
META_EXPIRING: Final = b"expiring"  # a base is being written for this table and version
META_REDO: Final = b"redo"  # a large commit whose current rows may not all be written

# key := table:u32 version:u64 chunk:u32
chunk_key = _CHUNK.pack


def chunk_of(key: bytes) -> tuple[int, int]:
    """Version and chunk of a key in `log`."""
    _, version, chunk = _CHUNK.unpack(key)
    return version, chunk


# key := table:u32 number:u64, for `versions` and `cur`
row_key = _TABLE_NUMBER.pack
version_key = _TABLE_NUMBER.pack


def number_of(key: bytes) -> int:
    """The version of a key in `versions`, the row id of one in `cur`."""
    number: int = _TABLE_NUMBER.unpack(key)[1]
    return number


def numbers_of(keys: Sequence[bytes]) -> list[int]:
    """The row ids of many keys in `cur`."""
    numbers: list[int] = np.frombuffer(b"".join(keys), _ROW_DTYPE)["row"].tolist()
    return numbers


# key := table:u32, the prefix of everything of one table
table_prefix = _U32.pack


def after_prefix(prefix: bytes) -> bytes:
    """The first key behind all that begin with `prefix`."""
    number = int.from_bytes(prefix, "big") + 1
    if number >> (8 * len(prefix)):
        return b"\xff" * (len(prefix) + 16)
    return number.to_bytes(len(prefix), "big")


def row_keys(table: int, row_ids: npt.NDArray[np.int64]) -> list[bytes]:
    """The keys of many rows of one table in `cur`."""
    packed = np.empty(len(row_ids), _ROW_DTYPE)
    packed["table"] = table
    packed["row"] = row_ids
    return packed.view("V12").tolist()


def commit_key(sequence: int) -> bytes:
    """The key of a commit's row."""
    return _TAGGED.pack(0, sequence)


def commit_of(key: bytes) -> int:
    """The sequence of a commit's key."""
    sequence: int = _TAGGED.unpack(key)[1]
    return sequence


def commit_id_key(commit_id: str) -> bytes:
    """The key that finds a commit by its id."""
    return b"\x01" + commit_id.encode()


def idempotency_key(key: str) -> bytes:
    """The key that finds a commit by its caller's idempotency key."""
    return b"\x02" + key.encode()


def mark_key(consumer: int) -> bytes:
    """The key of a consumer's watermark."""
    return _MARK.pack(0, consumer)


def move_key(consumer: int, sequence: int) -> bytes:
    """The key that lists a commit among a consumer's moves."""
    return _MOVE.pack(1, consumer, sequence)


def move_of(key: bytes) -> int:
    """The commit of a key made by `move_key`."""
    sequence: int = _MOVE.unpack(key)[2]
    return sequence


# key := sequence:u64 ordinal:u32, for `catalog` and `audit`
ordinal_key = _ORDINAL.pack


def sequence_of(key: bytes) -> int:
    """The commit of a key in `catalog` or `audit`."""
    sequence: int = _ORDINAL.unpack(key)[0]
    return sequence


def snap_chunk_key(table: int, version: int, chunk: int) -> bytes:
    """The key of a snapshot's chunk."""
    return _SNAP_CHUNK.pack(0, table, version, chunk)


def snap_list_key(table: int, version: int) -> bytes:
    """The key of a snapshot's list of chunks."""
    return _SNAP.pack(1, table, version)


def snap_pending_key(table: int, version: int) -> bytes:
    """The key that stands while a snapshot's chunks are being written."""
    return _SNAP.pack(2, table, version)


def snap_of(key: bytes) -> tuple[int, int]:
    """Table and version of a snapshot's list or pending key."""
    _, table, version = _SNAP.unpack(key)
    return table, version


def base_key(table: int, version: int, block: int) -> bytes:
    """The key of a block of the rows at a horizon."""
    return _SNAP_CHUNK.pack(3, table, version, block)


def anchor_key(table: int) -> bytes:
    """The key of the anchor that a table's kept history begins with."""
    return _MARK.pack(4, table)


# value := table:u32 version:u64, in meta `expiring`
expiring = _TABLE_NUMBER.pack
expiring_in = _TABLE_NUMBER.unpack


def number(value: int) -> bytes:
    """A number as a value: u64."""
    return _U64.pack(value)


def number_in(value: bytes) -> int:
    """The number in a value made by `number`."""
    read: int = _U64.unpack(value)[0]
    return read
