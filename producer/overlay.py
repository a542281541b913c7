"""One table as one transaction sees it: the view's rows under the transaction's own writes.

Few writes lie in dicts (row id to image and key, key to row id), bulk writes in runs. A dict
entry is always newer than every run, and a later run newer than an earlier one: `add_run` drops
the entries that it covers. A key that is in none of them is held by whom the view says, unless
the transaction has touched that row: then it is free. An undo journal is kept only while a
statement is open.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.log_store.catalog import TableObject
from headwater.log_store.changes import TableChanges
from headwater.log_store.port import View
from headwater.log_store.records import Stored
from headwater.producer.errors import DuplicateKey
from headwater.producer.keyhash import I64, hash_keys
from headwater.producer.runs import Run
from headwater.producer.spool import Mark as SpoolMark
from headwater.producer.spool import Spool
from headwater.schemas.images import codec
from headwater.schemas.project import project_row
from headwater.schemas.types import Row
from headwater.schemas.values import from_plain


class Known(NamedTuple):
    """A row as the transaction sees it: image and key in the table's current generation.

    `seen` is the version it was read at, 0 for one of the transaction's own.
    """

    seen: int
    image: bytes
    row: Row
    key: bytes


class Own(NamedTuple):
    """A row that the transaction wrote."""

    image: bytes
    key: bytes


class _Absent:
    """Marks that a dict had no such entry."""


_ABSENT: Final = _Absent()

# So many rows that were read are kept for the statement's next look at them.
LATELY: Final = 1024


@dataclass(frozen=True, slots=True)
class Mark:
    """What an overlay was before a statement."""

    spool: SpoolMark
    rows: dict[int, Own | None]
    keys: dict[bytes, int]
    runs: tuple[Run, ...]
    hidden: bool
    count: int
    byte_size: int
    autos: dict[int, int]
    next_row_id: int


class Overlay:
    """The transaction's own writes of one table, and the view's rows under them."""

    __slots__ = (
        "_journaling",
        "_keys_were",
        "_rows_were",
        "autos",
        "byte_size",
        "codec",
        "count",
        "created",
        "head",
        "hidden",
        "key_at",
        "keys",
        "lately",
        "next_row_id",
        "rows",
        "runs",
        "schema",
        "spool",
        "table",
        "view",
    )

    def __init__(self, view: View, table: TableObject, *, created: bool) -> None:
        self.view, self.table, self.created = view, table, created
        self.schema = table.schema
        self.codec = codec(table.schema)
        self.key_at = table.schema.key_positions
        self.head = -1 if created else view.head(table.id).version
        # With `hidden` the view's rows are gone: there were none yet, or all were truncated.
        self.hidden = created
        self.rows: dict[int, Own | None] = {}
        self.keys: dict[bytes, int] = {}
        self.runs: tuple[Run, ...] = ()
        self.spool = Spool()
        self.count = self.byte_size = 0
        self.autos: dict[int, int] = {}
        # The next row id of a table that nobody else can know yet.
        self.next_row_id = 1
        # The rows read last, since what is updated has mostly just been looked up.
        self.lately: dict[int, Known] = {}
        self._journaling = False
        self._rows_were: list[tuple[int, Own | None | _Absent]] = []
        self._keys_were: list[tuple[bytes, int | _Absent]] = []

    @property
    def pristine(self) -> bool:
        """Whether the view's rows are all there is."""
        return not (self.rows or self.runs or self.hidden)

    def known(self, row_id: int) -> Known | None:
        """The row of that id, None if there is none."""
        if row_id in self.lately:
            return self.lately[row_id]
        if not self.pristine:
            own = self.own(row_id)
            if not isinstance(own, _Absent):
                if own is None:
                    return None
                return Known(0, own.image, self.codec.decode(own.image), own.key)
        stored = self.view.row(self.table.id, row_id)
        if stored is None:
            return None
        known = self.read(stored)
        self.lately = {row_id: known}
        return known

    def known_all(self, row_ids: Sequence[int]) -> list[Known | None]:
        """The rows of these ids, in the order asked."""
        if len(row_ids) == 1:
            return [self.known(row_ids[0])]
        found: list[Known | None] = [self.lately.get(row_id) for row_id in row_ids]
        ask: list[int] = []
        for at, row_id in enumerate(row_ids):
            if found[at] is not None:
                continue
            own = _ABSENT if self.pristine else self.own(row_id)
            if isinstance(own, _Absent):
                ask.append(at)
            elif own is not None:
                found[at] = Known(0, own.image, self.codec.decode(own.image), own.key)
        stored = self.view.rows(self.table.id, [row_ids[at] for at in ask]) if ask else []
        for at, one in zip(ask, stored, strict=True):
            if one is not None:
                found[at] = self.read(one)
        if len(row_ids) <= LATELY:
            self.lately = {
                at: one for at, one in zip(row_ids, found, strict=True) if one is not None
            }
        return found

    def own(self, row_id: int) -> Own | None | _Absent:
        """What the transaction made of a row: None if it is gone, absent if it is the view's."""
        if row_id in self.rows:
            return self.rows[row_id]
        for run in reversed(self.runs):
            at = run.row_ids.find(row_id)
            if at is not None:
                if not run.alive:
                    return None
                key = run.new_key(self.spool, at) if self.schema.key else b""
                return Own(run.image(self.spool, at), key)
        return None if self.hidden else _ABSENT

    def touched(self, row_id: int) -> bool:
        """Whether the transaction has written that row."""
        return row_id in self.rows or any(run.row_ids.find(row_id) is not None for run in self.runs)

    def touched_of(self, row_ids: I64) -> npt.NDArray[np.bool_]:
        """Which of these rows the transaction has written."""
        found = np.isin(row_ids, np.fromiter(self.rows, np.int64, len(self.rows)))
        for run in self.runs:
            found |= run.row_ids.contains(row_ids)
        return found

    def read(self, stored: Stored) -> Known:
        """A row of the view, in the table's current generation."""
        if stored.schema_id == self.schema.schema_id:
            image, row = stored.image, self.codec.decode(stored.image)
        else:
            written = self.table.schema_of(stored.schema_id)
            row = project_row(codec(written).decode(stored.image), written, self.schema)
            image = self.codec.encode(row)
        key = self.codec.key(row) if self.schema.key else b""
        return Known(stored.version, image, row, key)

    def holder(self, key: bytes) -> int | None:
        """The row that holds a key, as the transaction sees it."""
        found = self.keys.get(key)
        if found is not None:
            return found
        if self.runs:
            found = self._holder_in_runs(key, hash_keys(pa.array([key], pa.binary()))[0])
            if found is not None:
                return found
        if self.hidden:
            return None
        found = self.view.row_id(self.table.id, key)
        return None if found is not None and self.touched(found) else found

    def holders(self, keys: Sequence[bytes]) -> list[int | None]:
        """The rows that hold these keys, in the order asked."""
        if len(keys) == 1:
            return [self.holder(keys[0])]
        found: list[int | None] = [None] * len(keys)
        if not self.hidden:
            found = self.view.row_ids(self.table.id, keys)
            if not self.pristine:
                found = [None if at is not None and self.touched(at) else at for at in found]
        if self.runs:
            hashes = hash_keys(pa.array(keys, pa.binary()))
            for run in self.runs:
                hits = () if run.taken is None else np.flatnonzero(run.taken.contains(hashes))
                for at in map(int, hits):
                    own = self._holder_in_runs(keys[at], hashes[at])
                    found[at] = found[at] if own is None else own
        if self.keys:
            found = [self.keys.get(key, at) for key, at in zip(keys, found, strict=True)]
        return found

    def _holder_in_runs(self, key: bytes, hashed: np.uint64) -> int | None:
        for number in range(len(self.runs) - 1, -1, -1):
            run = self.runs[number]
            for at in () if run.taken is None else run.taken.find(hashed):
                if run.new_key(self.spool, at) == key:
                    row_id = run.row_ids.at(at)
                    later = self.runs[number + 1 :]
                    moved_on = row_id in self.rows or any(
                        other.row_ids.find(row_id) is not None for other in later
                    )
                    if not moved_on:
                        return row_id
        return None

    def put(self, row_id: int, own: Own | None, old_key: bytes) -> None:
        """Note what became of a row; its old key is free unless another row has taken it."""
        if self._journaling:
            self._rows_were.append((row_id, self.rows.get(row_id, _ABSENT)))
        self.rows[row_id] = own
        self.lately.pop(row_id, None)
        new_key = b"" if own is None else own.key
        if old_key != new_key and old_key and self.keys.get(old_key) == row_id:
            if self._journaling:
                self._keys_were.append((old_key, row_id))
            del self.keys[old_key]
        if new_key:
            if self._journaling:
                self._keys_were.append((new_key, self.keys.get(new_key, _ABSENT)))
            self.keys[new_key] = row_id

    def add_run(self, run: Run) -> None:
        """Note what a bulk statement made of many rows."""
        covered = [row_id for row_id in self.rows if run.row_ids.find(row_id) is not None]
        if covered:
            gone = set(covered)
            rows = {at: own for at, own in self.rows.items() if at not in gone}
            self._replace(rows, {key: at for key, at in self.keys.items() if at not in gone})
        self.runs = (*self.runs, run)
        self.lately = {}

    def hide(self) -> None:
        """Note that no row is left."""
        self._replace({}, {})
        self.runs, self.hidden, self.lately = (), True, {}

    def _replace(self, rows: dict[int, Own | None], keys: dict[bytes, int]) -> None:
        self.rows, self.keys = rows, keys
        # The mark holds the dicts of before; these are dropped whole by an undo.
        self._journaling = False

    def mark(self) -> Mark:
        """What to go back to if the statement that begins now fails."""
        self._journaling = True
        self._rows_were, self._keys_were = [], []
        return Mark(
            self.spool.mark(),
            self.rows,
            self.keys,
            self.runs,
            self.hidden,
            self.count,
            self.byte_size,
            dict(self.autos),
            self.next_row_id,
        )

    def undo(self, mark: Mark) -> None:
        """Forget everything since the mark."""
        self.rows, self.keys = mark.rows, mark.keys
        for row_id, own in reversed(self._rows_were):
            if isinstance(own, _Absent):
                del self.rows[row_id]
            else:
                self.rows[row_id] = own
        for key, holder in reversed(self._keys_were):
            if isinstance(holder, _Absent):
                self.keys.pop(key, None)
            else:
                self.keys[key] = holder
        self.spool.undo(mark.spool)
        self.runs, self.hidden, self.autos = mark.runs, mark.hidden, mark.autos
        self.count, self.byte_size = mark.count, mark.byte_size
        self.next_row_id, self.lately = mark.next_row_id, {}
        self.settle()

    def settle(self) -> None:
        """The statement is over; nothing can be undone any more."""
        self._journaling = False
        self._rows_were, self._keys_were = [], []

    def duplicate_key(self, key: bytes, at: int | None) -> DuplicateKey:
        """The error for a row, the `at`th of those given, whose key another one has."""
        columns = self.schema.key_columns
        values = self.codec.decode_key(key)
        return DuplicateKey(
            self.table.name,
            [column.name for column in columns],
            [from_plain(column.type, value) for column, value in zip(columns, values, strict=True)],
            at,
        )

    def changes(self) -> TableChanges:
        """What is to be committed."""
        return TableChanges(
            segments=self.spool,
            count=self.count,
            generation=self.schema.number,
            byte_size=self.byte_size,
            keys_checked_at=self.head,
            autos=self.autos,
        )
