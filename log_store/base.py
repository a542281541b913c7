"""What stands in for history that is let go: the rows at the horizon, and an anchor. Pure.

The base of a table is each row's last image at or below the horizon, with the version that wrote
it. The anchor is the horizon's own row of the version index, whose digest the kept versions go on
from, with the base's digest. From these and the events above, all else can be built and verified.

    block  := 0x01 count:u32 (row_id:u64 version:u64 schema_id:u32 size:u32)*count image*count
    anchor := 0x01 version:u64 rows:u64 blocks:u32 digest:32 version-row
    digest := blake2b-256 of the blocks, each behind its length:u32           all big-endian
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.log_store.changes import Columns
from headwater.log_store.encoding import EncodingNotKnown, decode_version, encode_version
from headwater.log_store.records import ScanBlock, Stored, VersionRow
from headwater.log_store.replay import I64, Fold, Images, overlaid

BLOCK_ROWS: Final = 20_000
BLOCK_BYTES: Final = 4 << 20

_COUNT = struct.Struct(">BI")
_ROW: Final = np.dtype(
    [("row_id", ">u8"), ("version", ">u8"), ("schema_id", ">u4"), ("size", ">u4")]
)
_ANCHOR = struct.Struct(">BQQI32s")
_FIELDS: "list[pa.Field[pa.DataType]]" = [
    pa.field("version", pa.int64()),
    pa.field("schema_id", pa.int64()),
    pa.field("image", pa.large_binary()),
]
_SHAPE: Final = pa.schema(_FIELDS)


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """Rows by rising id, each with its version, schema id and image."""

    row_ids: I64
    data: pa.Table

    def __len__(self) -> int:
        return len(self.row_ids)


NO_ROWS: Final = Base(np.empty(0, dtype=np.int64), _SHAPE.empty_table())


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a table's kept history begins; `digest` is that of its base."""

    row: VersionRow
    rows: int
    blocks: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """A run of changes of one version, in the schema they were written with."""

    version: int
    schema_id: int
    changes: Columns


def moved_on(base: Base, runs: Iterable[Written]) -> Base:
    """The base after more changes, given in order; memory for the rows, not the changes."""
    fold = Fold(_SHAPE.empty_table(), last=True)
    for run in runs:
        fold.add(_images(run))
    row_ids, data, _, _ = overlaid(base.row_ids, base.data, fold.images())
    return Base(row_ids, data)


def _images(run: Written) -> Images:
    """The rows that a run leaves, as the fold takes them."""
    count = len(run.changes)
    after = run.changes.after
    there = np.zeros(count, np.bool_) if after is None else np.asarray(after.is_valid())
    at = np.where(there, np.cumsum(there) - 1, -1)
    left = int(there.sum())
    images = pa.array([], pa.binary()) if after is None else after.drop_null()
    data = pa.table(
        [
            pa.array(np.full(left, run.version, np.int64)),
            pa.array(np.full(left, run.schema_id, np.int64)),
            images.cast(pa.large_binary()),
        ],
        schema=_SHAPE,
    )
    versions = np.full(count, run.version, np.int64)
    return Images(run.changes.row_ids, at.astype(np.int64), versions, data)


def blocks_of(base: Base) -> Iterator[bytes]:
    """The base as blocks."""
    start = 0
    while start < len(base):
        part = base.data.slice(start, BLOCK_ROWS)
        images = cast("list[bytes]", part.column("image").to_pylist())
        sizes = np.array([len(image) for image in images], np.int64)
        fitting = int(np.searchsorted(np.cumsum(sizes), BLOCK_BYTES, "right"))
        count = min(max(fitting, 1), len(images))
        heads = np.empty(count, _ROW)
        heads["row_id"] = base.row_ids[start : start + count]
        heads["version"] = part.column("version").to_numpy()[:count]
        heads["schema_id"] = part.column("schema_id").to_numpy()[:count]
        heads["size"] = sizes[:count]
        yield _COUNT.pack(1, count) + heads.tobytes() + b"".join(images[:count])
        start += count


def rows_in(block: bytes) -> ScanBlock:
    """The rows of one block. Raises EncodingNotKnown for bytes that are none."""
    heads, ends = _heads(block)
    starts = ends - heads["size"].astype(np.int64)
    images = [block[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
    stored = map(Stored, heads["version"].tolist(), heads["schema_id"].tolist(), images)
    return ScanBlock(heads["row_id"].tolist(), list(stored))


def base_of(blocks: Iterable[bytes]) -> Base:
    """The base that was written as these blocks. Raises EncodingNotKnown."""
    ids: list[I64] = [NO_ROWS.row_ids]
    parts = [NO_ROWS.data]
    for block in blocks:
        heads, ends = _heads(block)
        first = int(ends[0]) - int(heads["size"][0])
        offsets = np.concatenate([[first], ends]).astype(np.int64) - first
        image = pa.Array.from_buffers(
            pa.large_binary(),
            len(heads),
            [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(block[first:])],
        )
        versions = pa.array(heads["version"].astype(np.int64))
        schema_ids = pa.array(heads["schema_id"].astype(np.int64))
        ids.append(heads["row_id"].astype(np.int64))
        parts.append(pa.table([versions, schema_ids, image], schema=_SHAPE))
    return Base(np.concatenate(ids), pa.concat_tables(parts))


def _heads(block: bytes) -> tuple[npt.NDArray[np.void], I64]:
    """The rows' heads, and where each image ends in the block."""
    try:
        tag, count = _COUNT.unpack_from(block)
        if tag != 1 or not count:
            raise EncodingNotKnown(f"base block of layout {tag} with {count} rows")
        heads = np.frombuffer(block, _ROW, count, _COUNT.size)
    except (struct.error, ValueError) as error:
        raise EncodingNotKnown(f"base block: {error}") from error
    start = _COUNT.size + count * _ROW.itemsize
    ends = start + np.cumsum(heads["size"].astype(np.int64))
    if int(ends[-1]) != len(block):
        raise EncodingNotKnown("a base block of another length than its images")
    return heads, ends


class BaseDigest:
    """The digest of a base, fed with its blocks in order."""

    __slots__ = ("_digest", "blocks")

    def __init__(self) -> None:
        self._digest = blake2b(digest_size=32)
        self.blocks = 0

    def add(self, block: bytes) -> None:
        """Take the next block."""
        self._digest.update(len(block).to_bytes(4, "big"))
        self._digest.update(block)
        self.blocks += 1

    def digest(self) -> bytes:
        """The digest of what was added so far."""
        return self._digest.digest()


def encode_anchor(anchor: Anchor) -> bytes:
    """An anchor; its table stands in its key."""
    head = _ANCHOR.pack(1, anchor.row.version, anchor.rows, anchor.blocks, anchor.digest)
    return head + encode_version(anchor.row)


def decode_anchor(table: int, value: bytes) -> Anchor:
    """Raises EncodingNotKnown for bytes that are no anchor."""
    try:
        tag, version, rows, blocks, digest = _ANCHOR.unpack_from(value)
    except struct.error as error:
        raise EncodingNotKnown(f"anchor: {error}") from error
    if tag != 1:
        raise EncodingNotKnown(f"anchor of layout {tag}")
    return Anchor(decode_version(table, version, value[_ANCHOR.size :]), rows, blocks, digest)
