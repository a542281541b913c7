"""A run of events of one generation, read column by column: images, then what follows them."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from headwater.schemas.arrow import Bytes, Column, Flags, Whole
from headwater.schemas.asked import EVERYTHING, Asked
from headwater.schemas.columns_decode import (
    Cursor,
    Malformed,
    fail,
    gather,
    padded,
    read_columns,
)
from headwater.schemas.columns_tails import OP, read_tails
from headwater.schemas.errors import EventUnreadable
from headwater.schemas.images import codec
from headwater.schemas.tables import TableSchema
from headwater.schemas.tails import IMAGES_OF

# By op: 0 for no op of ours, else 4 + 2 * (has a before image) + (has an after image).
_WANTED: Final = np.zeros(256, np.uint8)
for _op, (_before, _after) in IMAGES_OF.items():
    _WANTED[_op] = 4 + 2 * _before + _after


@dataclass(frozen=True, slots=True)
class Side:
    """One image side of a run: which events have it, its columns, where its bytes are.

    `columns` are of the events that have the image, no columns at all if none has; `starts` and
    `ends` are of all, and the same where there is no image.
    """

    present: Flags
    columns: list[Column]
    starts: Whole
    ends: Whole


@dataclass(frozen=True, slots=True)
class Part:
    """A run of events: `numbers` as columns_tails.read_tails gives them, both image sides."""

    data: Bytes
    numbers: Whole
    sides: tuple[Side, Side]

    def images(self, side: Side) -> Column:
        """The images of one side as they stand, null where there is none."""
        return gather(self.data, side.starts, side.ends, ~side.present)


def read_part(schema: TableSchema, data: bytes, places: Whole, asked: Asked = EVERYTHING) -> Part:
    """The events between these places in `data`, decoded as far as asked.

    Raises:
        EventUnreadable: one is no event of the schema; the position is in `data`.
    """
    base = int(places[0])
    part = padded(data, base, int(places[-1]))
    cursor = Cursor(part, places[:-1] - base, places[1:] - base)
    try:
        wanted, nothing = asked.flags(schema), (False,) * len(schema.columns)
        before = _read_side(schema, cursor, wanted if asked.before else nothing)
        after = _read_side(schema, cursor, wanted if asked.after else nothing)
        numbers = read_tails(part, cursor.at, cursor.ends)
        has = 4 + 2 * before.present.astype(np.uint8) + after.present
        wanted = _WANTED[numbers[OP]]
        fail(wanted != has, "its op and its images do not go together")
    except Malformed as error:
        raise EventUnreadable(error.why, position=int(places[error.row])) from None
    return Part(part, numbers, (before, after))


def _read_side(schema: TableSchema, cursor: Cursor, wanted: tuple[bool, ...]) -> Side:
    fields = codec(schema).fields
    present = cursor.branches()
    starts = cursor.at
    if not bool(present.any()):
        return Side(present, [], starts, starts)
    if bool(present.all()):
        return Side(present, read_columns(fields, cursor, wanted), starts, cursor.at)
    chosen = np.flatnonzero(present)
    part = cursor.part(chosen)
    columns = read_columns(fields, part, wanted)
    ends = starts.copy()
    ends[chosen] = part.at
    cursor.at = ends
    return Side(present, columns, starts, ends)
