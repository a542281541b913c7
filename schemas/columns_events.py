"""Many events of one commit at once: what envelope.py writes row by row, by columns.

The numbers of a commit's events are dense ranges, so over long runs they have the same lengths:
in such a run an event's end is two templates of fixed width whose digits and varints are filled
in column by column, around the row id and the other half's number, which vary freely.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.schemas import arrow
from headwater.schemas.arrow import Bytes, Column, Whole
from headwater.schemas.columns_encode import Piece, join, ragged, varints, zigzag
from headwater.schemas.varints import NULL, SHORT, SOME

_RUN: Final = 16384  # rows at a time, to stay in the cache
_MANY_BYTES: Final = 1 << 30
_WIDER_VARINT: Final = tuple(1 << (7 * k - 1) for k in range(1, 10))
_WIDER_TEXT: Final = tuple(10**k for k in range(1, 19))


def runs(count: int, firsts: tuple[int, int, int], image_bytes: int) -> Iterator[tuple[int, int]]:
    """Where to cut so that within a run each of the rising numbers keeps its lengths.

    The numbers are event_seq and the two orders; `image_bytes` keeps a run's bytes below 2 GB.
    """
    seq, total, order = firsts
    cuts = {0, count}
    for first, marks in (
        (seq, _WIDER_VARINT),
        (seq, _WIDER_TEXT),
        (total, _WIDER_VARINT),
        (order, _WIDER_VARINT),
    ):
        cuts.update(mark - first for mark in marks if 0 < mark - first < count)
    cuts.update(range(0, count, _RUN if image_bytes < _MANY_BYTES else _RUN // 64))
    places = sorted(cuts)
    yield from pairwise(places)


class Template:
    """Bytes that a run of events share, with room for what varies: fixed width, filled by column."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._base = bytearray()
        self._fills: list[tuple[int, Bytes]] = []

    def constant(self, data: bytes) -> None:
        """Bytes that are the same in every event."""
        self._base += data

    def column(self, data: Bytes) -> None:
        """Bytes of each event, (events, width)."""
        self._fills.append((len(self._base), data))
        self._base += bytes(data.shape[1])

    def long(self, first: int) -> None:
        """Avro longs that rise by one from `first`, all of one length."""
        numbers = np.arange(first, first + self._count, dtype=np.int64)
        self.column(varints(zigzag(numbers))[1])

    def digits(self, first: int) -> None:
        """Decimal numbers that rise by one from `first`, all of one length."""
        numbers = np.arange(first, first + self._count, dtype=np.int64)
        width = len(str(first))
        data = np.empty((self._count, width), np.uint8)
        for i in range(width - 1, -1, -1):
            rest = numbers // 10
            data[:, i] = numbers - rest * 10 + ord("0")
            numbers = rest
        self.column(data)

    def piece(self) -> Column:
        """The filled bytes, one string for each event."""
        width = len(self._base)
        data = np.empty((self._count, width), np.uint8)
        data[:] = np.frombuffer(bytes(self._base), np.uint8)
        for at, column in self._fills:
            data[:, at : at + column.shape[1]] = column
        return arrow.binary(np.arange(self._count + 1, dtype=np.int64) * width, data.reshape(-1))


def image_pieces(images: pa.BinaryArray | None) -> list["bytes | Column"]:
    """One image side of each event: its union branch, then the image where there is one."""
    if images is None or images.null_count == len(images):
        return [NULL]
    if not images.null_count:
        return [SOME, images]
    branches = np.where(arrow.valid(images), 2, 0).astype(np.uint8)
    places = np.arange(len(images) + 1, dtype=np.int64)
    return [arrow.binary(places, branches), images]


def pair_piece(seq: int, pairs: npt.NDArray[np.int64] | None) -> "bytes | Column":
    """pair_seq of each event from `seq` on: its own number and the distance, null where it is 0."""
    if pairs is None or not bool(pairs.any()):
        return NULL
    numbers = np.arange(seq, seq + len(pairs), dtype=np.int64) + pairs
    lengths, data = varints(zigzag(numbers))
    tagged = np.empty((len(pairs), data.shape[1] + 1), np.uint8)
    tagged[:, 0] = np.where(pairs != 0, 2, 0)
    tagged[:, 1:] = data
    return ragged(np.where(pairs != 0, lengths + 1, 1), tagged)


def join_all(parts: list["bytes | Column"]) -> pa.BinaryArray:
    """Row by row, the parts one after another; constants side by side are joined first."""
    pieces: list[Piece] = []
    constant = b""
    for part in parts:
        if isinstance(part, bytes):
            constant += part
            continue
        if constant:
            pieces.append(pa.scalar(constant, arrow.BINARY))
            constant = b""
        pieces.append(part)
    if constant:
        pieces.append(pa.scalar(constant, arrow.BINARY))
    return join(pieces)


def sequence_head(prefix: bytes, seq: int) -> bytes:
    """The length and first part of source.sequence, whose digits and end follow."""
    return SHORT[len(prefix) + len(str(seq)) + 2 << 1] + prefix


def concatenated(parts: list[pa.BinaryArray]) -> tuple[Whole, bytes]:
    """Offsets and bytes of byte strings in several arrays; without any, one offset of 0."""
    sizes = [arrow.sizes(part) for part in parts]
    count = sum(len(size) for size in sizes)
    offsets = np.zeros(count + 1, np.int64)
    if sizes:
        np.cumsum(np.concatenate(sizes), out=offsets[1:])
    return offsets, b"".join(arrow.contents(part) for part in parts)
