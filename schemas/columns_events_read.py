"""A run of events of one generation, read column by column: images, then what follows them.

The images wanted are decoded together, in the order in which they stand: an event's before image,
then its after image. So whoever shows changes row by row has the rows already.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from headwater.schemas.arrow import Bytes, Column, Flags, Whole
from headwater.schemas.asked import EVERYTHING, Asked
from headwater.schemas.columns_cursor import Cursor, Malformed, fail, padded
from headwater.schemas.columns_decode import gather, read_columns
from headwater.schemas.columns_tails import Tails, read_tails
from headwater.schemas.errors import EventUnreadable
from headwater.schemas.images import codec
from headwater.schemas.tables import TableSchema
from headwater.schemas.tails import IMAGES_OF
from headwater.schemas.wire import WireField

# By op: 0 for no op of ours, else 4 + 2 * (has a before image) + (has an after image).
_WANTED: Final = np.zeros(256, np.uint8)
for _op, (_before, _after) in IMAGES_OF.items():
    _WANTED[_op] = 4 + 2 * _before + _after


@dataclass(frozen=True, slots=True)
class Side:
    """One image side of a run: which events have it, where its bytes are, which row it is.

    `starts` and `ends` are the same where there is no image; `at` is -1 there, and everywhere if
    the side is not wanted.
    """

    present: Flags
    starts: Whole
    ends: Whole
    at: Whole


@dataclass(frozen=True, slots=True)
class Part:
    """A run of events: the ends, both image sides, and the wanted images as columns."""

    data: Bytes
    tails: Tails
    sides: tuple[Side, Side]
    columns: list[Column]
    count: int

    def images(self, side: Side) -> Column:
        """The images of one side as they stand, null where there is none."""
        return gather(self.data, side.starts, side.ends, ~side.present)


def read_part(
    schema: TableSchema, data: "bytes | memoryview", places: Whole, asked: Asked = EVERYTHING
) -> Part:
    """The events between these places in `data`, decoded as far as asked.

    Raises:
        EventUnreadable: one is no event of the schema; the position is in `data`.
    """
    base = int(places[0])
    part = padded(data, base, int(places[-1]))
    cursor = Cursor(part, places[:-1] - base, places[1:] - base)
    try:
        sides, columns, count = _read_images(schema, cursor, asked)
        tails = read_tails(part, cursor.at, cursor.ends, asked.numbers)
        has = 4 + 2 * sides[0].present.view(np.uint8) + sides[1].present.view(np.uint8)
        fail(_WANTED[tails.ops] != has, "its op and its images do not go together")
    except Malformed as error:
        raise EventUnreadable(error.why, position=int(places[error.row])) from None
    return Part(part, tails, sides, columns, count)


def _read_images(
    schema: TableSchema, cursor: Cursor, asked: Asked
) -> tuple[tuple[Side, Side], list[Column], int]:
    """Both sides, the wanted images and how many they are; the cursor is left behind them."""
    fields, wanted = codec(schema).fields, asked.flags(schema)
    passed = (False,) * len(fields)
    old, old_starts = _begin(cursor)
    direct = asked.before and not asked.after
    columns = _walk(fields, cursor, old, wanted if direct else passed)
    old_ends = cursor.at
    new, new_starts = _begin(cursor)
    if asked.before and asked.after and bool(old.any()):
        old_at, new_at = _places(old, new)
        columns = _read_together(
            (fields, wanted), cursor, (old_starts, old_at), (new_starts, new_at)
        )
    else:
        old_at = _counted(old) if direct else np.full(len(old), -1)
        new_at = _counted(new) if asked.after else np.full(len(new), -1)
        columns = _walk(fields, cursor, new, wanted if asked.after else passed) or columns
    count = int(max(old_at.max(initial=-1), new_at.max(initial=-1))) + 1
    sides = Side(old, old_starts, old_ends, old_at), Side(new, new_starts, cursor.at, new_at)
    return sides, columns, count


def _begin(cursor: Cursor) -> tuple[Flags, Whole]:
    """Which events have the image whose union branch comes next, and where images start."""
    present = cursor.present()
    cursor.move(1)
    return present, cursor.at


def _walk(
    fields: Sequence[WireField], cursor: Cursor, present: Flags, wanted: Sequence[bool]
) -> list[Column]:
    """The wanted columns of an image side, the cursor left behind it."""
    if bool(present.all()):
        return read_columns(fields, cursor, wanted)
    if not bool(present.any()):
        return []
    chosen = np.flatnonzero(present)
    part = cursor.part(chosen)
    columns = read_columns(fields, part, wanted)
    at = cursor.at.copy()
    at[chosen] = part.at
    cursor.at = at
    return columns


def _counted(present: Flags) -> Whole:
    """Which one of those that are there each is, -1 for none."""
    return np.where(present, np.cumsum(present) - 1, -1)


def _places(old: Flags, new: Flags) -> tuple[Whole, Whole]:
    """Where the images of both sides stand when each event's old one comes before its new one."""
    counts = old.view(np.int8) + new.view(np.int8)
    behind = np.cumsum(counts, dtype=np.int64)
    return np.where(old, behind - counts, -1), np.where(new, behind - 1, -1)


def _read_together(
    how: tuple[Sequence[WireField], Sequence[bool]],
    cursor: Cursor,
    old: tuple[Whole, Whole],
    new: tuple[Whole, Whole],
) -> list[Column]:
    """The columns of both sides, given where their images start and which place each has."""
    olds, news = np.flatnonzero(old[1] >= 0), np.flatnonzero(new[1] >= 0)
    old_at, new_at = old[1][olds], new[1][news]
    at, rows = np.empty((2, len(olds) + len(news)), np.int64)
    at[old_at], at[new_at] = old[0][olds], new[0][news]
    rows[old_at], rows[new_at] = olds, news
    images = Cursor(cursor.data, at, cursor.ends[rows], rows)
    columns = read_columns(how[0], images, how[1])
    ends = cursor.at.copy()
    ends[news] = images.at[new_at]
    cursor.at = ends
    return columns
