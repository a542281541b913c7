"""Events read back: whole blocks of one generation's messages, as columns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.schemas import arrow
from headwater.schemas.arrow import Bytes, Whole
from headwater.schemas.arrow_plain import to_array, to_table
from headwater.schemas.asked import EVERYTHING, Asked
from headwater.schemas.columns_events_read import Part, read_part
from headwater.schemas.errors import EventUnreadable
from headwater.schemas.images import batches, codec, table_of, words_of
from headwater.schemas.rows_codec import DECODE_ERRORS, RowDecoder
from headwater.schemas.tables import TableSchema
from headwater.schemas.tails import IMAGES_OF, NUMBERS, Tail, read_tail
from headwater.schemas.types import Row

_FEW: Final = 200  # below this many, row by row is faster than column by column
ROW_ID: Final = NUMBERS.index("row_id")
OP: Final = len(NUMBERS)  # where a `Tail` holds the op
PAIR: Final = NUMBERS.index("pair_seq")
PLACE: Final = NUMBERS.index("txId")

Data = bytes | memoryview
Offsets = npt.NDArray[np.int64] | bytes | memoryview | Sequence[int]


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """The events of one generation in order, as columns of equal length.

    `pair_seqs` is 0 where an event is no half of a key change. `sequences` are places in the commit
    sequence, `times_us` commit times. `before_at` and `after_at` say which row of `before` and
    `after` an event's image is, -1 for none; these hold the columns that were asked for, and may be
    one table, in which an event's old image stands right before its new one.
    """

    schema: TableSchema
    ops: npt.NDArray[np.uint8]
    row_ids: npt.NDArray[np.int64]
    versions: npt.NDArray[np.int64]
    event_seqs: npt.NDArray[np.int64]
    pair_seqs: npt.NDArray[np.int64]
    sequences: npt.NDArray[np.int64]
    times_us: npt.NDArray[np.int64]
    before: pa.Table
    before_at: npt.NDArray[np.int64]
    after: pa.Table
    after_at: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ops)


def read_events(
    schema: TableSchema, data: Data, offsets: Offsets, asked: Asked = EVERYTHING
) -> Events:
    """The events at `data[offsets[i]:offsets[i + 1]]`, bare envelopes of one generation.

    Raises:
        EventUnreadable: a message is no event of this schema; the position is in `data`. What was
            not asked for may pass.
    """
    places = as_offsets(offsets, len(data))
    if len(places) <= _FEW:
        return read_by_rows(schema, data, places, asked)
    return read_by_columns(schema, data, places, asked)


@dataclass(frozen=True, slots=True, eq=False)
class EventImages:
    """Events with their images and keys as bytes: what rebuilds state from the log.

    Images and keys are null where an event has no such side; keys are None in a table without one,
    and where they were not asked for. `pair_seqs` and `sequences` are as in `Events`.
    """

    ops: npt.NDArray[np.uint8]
    row_ids: npt.NDArray[np.int64]
    versions: npt.NDArray[np.int64]
    pair_seqs: npt.NDArray[np.int64]
    sequences: npt.NDArray[np.int64]
    before: pa.BinaryArray
    after: pa.BinaryArray
    old_keys: pa.BinaryArray | None
    new_keys: pa.BinaryArray | None


def event_images(
    schema: TableSchema, data: Data, offsets: Offsets, *, with_keys: bool = True
) -> EventImages:
    """The same events as `read_events` reads, with images and keys as they stand.

    Raises:
        EventUnreadable: as `read_events`.
    """
    places = as_offsets(offsets, len(data))
    if len(places) <= _FEW:
        return _images_by_rows(schema, read_by_rows(schema, data, places), with_keys=with_keys)
    return images_by_columns(schema, data, places, with_keys=with_keys)


def _images_by_rows(schema: TableSchema, events: Events, *, with_keys: bool) -> EventImages:
    """The images and keys of events, encoded again."""
    made = codec(schema)
    sides: list[tuple[pa.BinaryArray, pa.BinaryArray | None]] = []
    for rows, at in ((events.before, events.before_at), (events.after, events.after_at)):
        keys = made.keys_columns(rows) if with_keys else None
        taken = _taken(made.encode_columns(rows), at)
        sides.append((taken, None if keys is None else _taken(keys, at)))
    (before, old_keys), (after, new_keys) = sides
    return EventImages(
        events.ops,
        events.row_ids,
        events.versions,
        events.pair_seqs,
        events.sequences,
        before,
        after,
        old_keys,
        new_keys,
    )


def images_by_columns(
    schema: TableSchema, data: Data, places: Whole, *, with_keys: bool = True
) -> EventImages:
    """`event_images` through numpy however few they are: the bytes are not encoded again."""
    parts = [read_part(schema, data, places[i : j + 1]) for i, j in batches(places)]
    numbers, ops, at = _joined(parts)
    images: list[pa.BinaryArray] = []
    keys: list[pa.BinaryArray | None] = []
    found = codec(schema).keys_columns(_table(schema, parts, EVERYTHING)) if with_keys else None
    for side in (0, 1):
        held = [part.images(part.sides[side]) for part in parts]
        images.append(cast(pa.BinaryArray, arrow.joined(held, arrow.BINARY)))
        keys.append(None if found is None else _taken(found, at[side]))
    return EventImages(
        ops=ops,
        row_ids=numbers[ROW_ID],
        versions=numbers[0],
        pair_seqs=numbers[PAIR],
        sequences=numbers[PLACE],
        before=images[0],
        after=images[1],
        old_keys=keys[0],
        new_keys=keys[1],
    )


def _joined(parts: Sequence[Part]) -> tuple[Whole, Bytes, tuple[Whole, Whole]]:
    """Numbers, ops, and which image each event's two are, over all parts."""
    if len(parts) == 1:
        (part,) = parts
        return part.tails.numbers, part.tails.ops, (part.sides[0].at, part.sides[1].at)
    nothing = np.zeros((len(NUMBERS), 0), np.int64)
    numbers = np.concatenate([nothing, *(part.tails.numbers for part in parts)], axis=1)
    ops = np.concatenate([np.zeros(0, np.uint8), *(part.tails.ops for part in parts)])
    firsts = np.cumsum([0, *(part.count for part in parts)])
    old, new = (
        np.concatenate([nothing[0], *(_on(p.sides[s].at, n) for p, n in zip(parts, firsts))])
        for s in (0, 1)
    )
    return numbers, ops, (old, new)


def _on(at: Whole, first: int) -> Whole:
    """Places counted from another first one, -1 for none as before."""
    return np.where(at < 0, -1, at + first)


def _table(schema: TableSchema, parts: Sequence[Part], asked: Asked) -> pa.Table:
    """The images of all parts."""
    return table_of(schema, [part.columns for part in parts if part.columns], asked)


def _taken(values: pa.BinaryArray, at: Whole) -> pa.BinaryArray:
    """The values at those places, null where the place is -1."""
    return cast(pa.BinaryArray, arrow.take_or_null(values, at, at < 0))


def as_offsets(offsets: Offsets, size: int) -> npt.NDArray[np.int64]:
    """Offsets as an int64 array, checked to rise within `size` bytes.

    Raises:
        EventUnreadable: they do not.
    """
    if isinstance(offsets, (bytes, memoryview)):
        if len(memoryview(offsets).cast("B")) % 8:
            raise EventUnreadable("its block's offsets are no 8-byte numbers")
        places = np.frombuffer(offsets, np.dtype("<i8"))
    else:
        places = np.asarray(offsets, np.int64)
    if not len(places) or places[0] < 0 or places[-1] > size or bool((np.diff(places) < 0).any()):
        raise EventUnreadable("its block's offsets do not fit its bytes")
    return places


def read_by_rows(
    schema: TableSchema, data: Data, places: Whole, asked: Asked = EVERYTHING
) -> Events:
    """`read_events`, event by event through generated Python: for few."""
    read = codec(schema).read_at
    tails: list[Tail] = []
    before: list[Row] = []
    after: list[Row] = []
    before_at: list[int] = []
    after_at: list[int] = []
    bounds = places.tolist()
    for start, end in pairwise(bounds):
        old, new, tail = _read_event(read, bytes(data[start:end]), start)
        before_at.append(len(before) if old is not None and asked.before else -1)
        after_at.append(len(after) if new is not None and asked.after else -1)
        if old is not None and asked.before:
            before.append(old)
        if new is not None and asked.after:
            after.append(new)
        tails.append(tail)
    numbers = np.array(tails, np.int64).reshape(len(tails), len(Tail._fields)).T
    old_side = _few(schema, before, asked), np.array(before_at, np.int64)
    new_side = _few(schema, after, asked), np.array(after_at, np.int64)
    return _events(schema, numbers[:OP], numbers[OP].astype(np.uint8), [old_side, new_side])


def _few(schema: TableSchema, rows: list[Row], asked: Asked) -> pa.Table:
    """Decoded rows as columns: those asked for."""
    if asked.columns is None:
        return to_table(schema, rows)
    if not rows:
        return table_of(schema, [], asked)
    chosen = zip(schema.columns, zip(*rows, strict=True), asked.flags(schema), strict=True)
    return table_of(schema, [[to_array(c.type, v) for c, v, wanted in chosen if wanted]], asked)


def _events(
    schema: TableSchema, numbers: Whole, ops: Bytes, sides: Sequence[tuple[pa.Table, Whole]]
) -> Events:
    return Events(
        schema=schema,
        versions=numbers[0],
        event_seqs=numbers[1],
        pair_seqs=numbers[2],
        row_ids=numbers[3],
        sequences=numbers[4],
        times_us=numbers[5],
        ops=ops,
        before=sides[0][0],
        before_at=sides[0][1],
        after=sides[1][0],
        after_at=sides[1][1],
    )


def read_by_columns(
    schema: TableSchema, data: Data, places: Whole, asked: Asked = EVERYTHING
) -> Events:
    """`read_events`, column by column through numpy: for many."""
    parts = [read_part(schema, data, places[i : j + 1], asked) for i, j in batches(places)]
    numbers, ops, (before_at, after_at) = _joined(parts)
    if asked.numbers is not None and bool(numbers[PAIR].any()):
        return read_by_columns(schema, data, places, replace(asked, numbers=None))
    images = _table(schema, parts, asked)
    none = images.slice(0, 0)
    sides = [
        (images if asked.before else none, before_at),
        (images if asked.after else none, after_at),
    ]
    return _events(schema, numbers, ops, sides)


def _read_event(read: RowDecoder, message: bytes, at: int) -> tuple[Row | None, Row | None, Tail]:
    """One event's images and numbers; `at` is where it starts, for the error."""
    try:
        old, p = _read_image(read, message, 0)
        new, p = _read_image(read, message, p)
    except DECODE_ERRORS as error:
        raise EventUnreadable(words_of(error), position=at) from None
    try:
        tail = read_tail(message[p:])
    except EventUnreadable as error:
        raise EventUnreadable(error.why, position=at + p + (error.position or 0)) from None
    if IMAGES_OF.get(tail.op) != (old is not None, new is not None):
        raise EventUnreadable("its op and its images do not go together", position=at)
    return old, new, tail


def _read_image(read: RowDecoder, message: bytes, p: int) -> tuple[Row | None, int]:
    branch = message[p]
    if branch == 0:
        return None, p + 1
    if branch != 2:
        raise ValueError("no such union branch")
    return read(message, p + 1)
