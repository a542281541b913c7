"""A run of events of one generation, read column by column: images, then what follows them."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from headwater.schemas.arrow import Column, Flags, Whole
from headwater.schemas.columns_decode import Cursor, Malformed, fail, padded, read_columns
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

    `columns` is empty where no event has the image; `starts` and `ends` are of those that do.
    """

    present: Flags
    columns: list[Column]
    starts: Whole
    ends: Whole


@dataclass(frozen=True, slots=True)
class Part:
    """A run of events: `numbers` as columns_tails.read_tails gives them, both image sides."""

    numbers: Whole
    sides: tuple[Side, Side]


def read_part(schema: TableSchema, data: bytes, places: Whole) -> Part:
    """The events between these places in `data`, decoded.

    Raises:
        EventUnreadable: one is no event of the schema; the position is in `data`.
    """
    base = int(places[0])
    part = padded(memoryview(data)[base : int(places[-1])])
    cursor = Cursor(part, places[:-1] - base, places[1:] - base)
    try:
        before = _read_side(schema, cursor)
        after = _read_side(schema, cursor)
        numbers = read_tails(part, cursor.at, cursor.ends)
        has = 4 + 2 * before.present.astype(np.uint8) + after.present
        wanted = _WANTED[numbers[OP]]
        fail(wanted != has, "its op and its images do not go together")
    except Malformed as error:
        raise EventUnreadable(error.why, position=int(places[error.row])) from None
    return Part(numbers, (before, after))


def _read_side(schema: TableSchema, cursor: Cursor) -> Side:
    present = cursor.branches()
    chosen = np.flatnonzero(present)
    if not len(chosen):
        return Side(present, [], chosen, chosen)
    part = cursor if len(chosen) == len(cursor) else cursor.part(chosen)
    starts = part.at
    columns = read_columns(codec(schema).fields, part)
    ends = part.at
    if part is not cursor:
        at = cursor.at.copy()
        at[chosen] = ends
        cursor.at = at
    return Side(present, columns, starts, ends)
