"""Ids that one writer of a prefix gave to one node, and whether a batch uses no others. Pure.

New rows and objects get their ids before their commit. The writer gives them from numbers that it
only remembers, so what it gave is worth nothing once another one writes: that one may give the same.
A batch with such ids is refused, and its transaction run again.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from headwater.log_store.catalog import AvroSchema, Catalog
from headwater.log_store.changes import Columns, Rows, TableChanges
from headwater.log_store.errors import WriteConflict
from headwater.log_store.port import Batch
from headwater.log_store.records import OP_INSERT, OP_SNAPSHOT, VersionRow

# What is asked for at once, so that the next commits need not ask.
ROWS_EACH: Final = 1024
OBJECTS_EACH: Final = 16
_RANGES: Final = 65_536
_LAST: Final = 1 << 64


class GivenIds:
    """Ids of rows by table, and of objects (under table 0), that the writer of `epoch` gave."""

    def __init__(self, epoch: int = 0) -> None:
        self.epoch = epoch
        self._ranges: dict[int, list[tuple[int, int]]] = {}
        self._free: dict[int, tuple[int, int]] = {}

    def add(self, table: int, first: int, many: int) -> None:
        """The writer gave [first, first + many)."""
        ranges = self._ranges.setdefault(table, [])
        if ranges and ranges[-1][1] == first:
            ranges[-1] = ranges[-1][0], first + many
        else:
            # Answers may overtake each other.
            insort(ranges, (first, first + many))
        # What is older than that many grants belongs to transactions that are long over.
        del ranges[:-_RANGES]
        self._free[table] = first, first + many

    def take(self, table: int, many: int) -> int | None:
        """The first of so many ids that were given and are not used; None if more must be asked for."""
        first, end = self._free.get(table, (0, 0))
        if first + many > end:
            return None
        self._free[table] = first + many, end
        return first

    def holds(self, table: int, ids: Sequence[int]) -> bool:
        """Whether all of these were given."""
        ranges, asked = self._ranges.get(table, []), sorted(ids)
        at = 0
        while at < len(asked):
            place = bisect_right(ranges, (asked[at], _LAST)) - 1
            if place < 0 or asked[at] >= ranges[place][1]:
                return False
            at = bisect_left(asked, ranges[place][1])
        return True


def new_objects(batch: Batch, catalog: Catalog) -> list[int]:
    """Ids of objects that a batch makes; those of schemas in a foreign registry are none of ours."""
    values = (event.value for event in batch.catalog)
    return [
        value.id
        for value in values
        if catalog.get(value.kind, value.id) is None
        and not (isinstance(value, AvroSchema) and value.foreign)
    ]


def new_rows(changes: TableChanges) -> list[int]:
    """Ids of rows that are inserted; those whose key changes are not."""
    found: list[int] = []
    for segment in changes:
        match segment:
            case Rows():
                found += [
                    change.row_id
                    for change in segment.changes
                    if change.op in (OP_INSERT, OP_SNAPSHOT) and not change.pair
                ]
            case Columns():
                made = (segment.ops == OP_INSERT) | (segment.ops == OP_SNAPSHOT)
                if segment.pairs is not None:
                    made &= segment.pairs == 0
                found += segment.row_ids[made].tolist()
    return found


class Newest(Protocol):
    """A view of what is there."""

    @property
    def catalog(self) -> Catalog: ...
    def head(self, table: int) -> VersionRow: ...


def given_rows(batch: Batch, newest: Newest) -> Iterator[tuple[int, list[int]]]:
    """Tables with the ids of rows that some writer gave; tables of this very batch need none.

    A table that must not have moved (DDL, restore) gets rows back under the ids that they had.
    """
    for table, changes in batch.tables.items():
        if newest.catalog.get("table", table) is None:
            continue
        rows = new_rows(changes)
        if table in batch.unmoved:
            following = newest.head(table).next_row_id
            rows = [row for row in rows if row >= following]
        yield table, rows


def uses_new_ids(batch: Batch, newest: Newest) -> bool:
    """Whether a batch has ids that some writer gave."""
    return bool(new_objects(batch, newest.catalog)) or any(
        rows for _, rows in given_rows(batch, newest)
    )


def check_ids(batch: Batch, newest: Newest, given: GivenIds, name: str) -> None:
    """Refuse a batch whose new ids are not of these.

    Raises:
        WriteConflict: they were given by a writer that is none any more.
    """
    if not given.holds(0, new_objects(batch, newest.catalog)) or not all(
        given.holds(table, rows) for table, rows in given_rows(batch, newest)
    ):
        raise WriteConflict("writer of", name, "was replaced")
