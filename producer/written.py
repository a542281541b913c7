"""What a transaction wrote to one table, findable by row id and by key, and how to undo it.

Few writes lie in dicts (row id to image and key, key to row id), bulk writes in runs. A dict
entry is always newer than every run, and a later run newer than an earlier one: `add_run` drops
the entries that it covers. An undo journal is kept only while a statement is open.
"""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from headwater.producer.keyhash import I64
from headwater.producer.runs import Run
from headwater.producer.spool import Mark as SpoolMark
from headwater.producer.spool import Spool


class Own(NamedTuple):
    """A row that the transaction wrote."""

    image: bytes
    key: bytes


class Absent:
    """Marks that a dict had no such entry."""


ABSENT: Final = Absent()


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


class Written:
    """One transaction's own writes of one table.

    With `hidden` the view's rows are gone: there were none yet, or all were truncated.
    """

    __slots__ = (
        "_journaling",
        "_keyed",
        "_keys_were",
        "_rows_were",
        "autos",
        "byte_size",
        "count",
        "hidden",
        "keys",
        "next_row_id",
        "rows",
        "runs",
        "spool",
    )

    def __init__(self, *, hidden: bool, keyed: bool) -> None:
        self.hidden, self._keyed = hidden, keyed
        self.rows: dict[int, Own | None] = {}
        self.keys: dict[bytes, int] = {}
        self.runs: tuple[Run, ...] = ()
        self.spool = Spool()
        self.count = self.byte_size = 0
        self.autos: dict[int, int] = {}
        # The next row id of a table that nobody else can know yet.
        self.next_row_id = 1
        self._journaling = False
        # What there was before the statement that is open; made when one begins.
        self._rows_were: list[tuple[int, Own | None | Absent]]
        self._keys_were: list[tuple[bytes, int | Absent]]

    @property
    def pristine(self) -> bool:
        """Whether the view's rows are all there is."""
        return not (self.rows or self.runs or self.hidden)

    def own(self, row_id: int) -> Own | None | Absent:
        """What the transaction made of a row: None if it is gone, absent if it is the view's."""
        if row_id in self.rows:
            return self.rows[row_id]
        for run in reversed(self.runs):
            at = run.row_ids.find(row_id)
            if at is not None:
                if not run.alive:
                    return None
                key = run.new_key(self.spool, at) if self._keyed else b""
                return Own(run.image(self.spool, at), key)
        return None if self.hidden else ABSENT

    def touched(self, row_id: int) -> bool:
        """Whether the transaction has written that row."""
        if row_id in self.rows or not self.runs:  # mostly there is no run to look through
            return row_id in self.rows
        return any(run.row_ids.find(row_id) is not None for run in self.runs)

    def touched_of(self, row_ids: I64) -> npt.NDArray[np.bool_]:
        """Which of these rows the transaction has written."""
        found = np.isin(row_ids, np.fromiter(self.rows, np.int64, len(self.rows)))
        for run in self.runs:
            found |= run.row_ids.contains(row_ids)
        return found

    def holder_in_runs(self, key: bytes, hashed: np.uint64) -> int | None:
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
            self._rows_were.append((row_id, self.rows.get(row_id, ABSENT)))
        self.rows[row_id] = own
        new_key = b"" if own is None else own.key
        if old_key != new_key and old_key and self.keys.get(old_key) == row_id:
            if self._journaling:
                self._keys_were.append((old_key, row_id))
            del self.keys[old_key]
        if new_key:
            if self._journaling:
                self._keys_were.append((new_key, self.keys.get(new_key, ABSENT)))
            self.keys[new_key] = row_id

    def add_run(self, run: Run) -> None:
        """Note what a bulk statement made of many rows."""
        covered = [row_id for row_id in self.rows if run.row_ids.find(row_id) is not None]
        if covered:
            gone = set(covered)
            rows = {at: own for at, own in self.rows.items() if at not in gone}
            self._replace(rows, {key: at for key, at in self.keys.items() if at not in gone})
        self.runs = (*self.runs, run)

    def hide(self) -> None:
        """Note that no row is left."""
        self._replace({}, {})
        self.runs, self.hidden = (), True

    def _replace(self, rows: dict[int, Own | None], keys: dict[bytes, int]) -> None:
        self.rows, self.keys = rows, keys
        # The mark holds the dicts of before; these are dropped whole by an undo.
        self._journaling = False

    def mark(self) -> Mark:
        """What to go back to if the statement that begins now fails."""
        self._journaling = True
        self._rows_were, self._keys_were = [], []
        return self._mark()

    def _mark(self) -> Mark:
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

    def frozen(self) -> Mark:
        """What to go back to after any number of statements; copies what `mark` does not.

        No statement is open: an undo to here has no journal to play back.
        """
        self._rows_were, self._keys_were = [], []
        return replace(self._mark(), rows=dict(self.rows), keys=dict(self.keys))

    def undo(self, mark: Mark) -> None:
        """Forget everything since the mark."""
        self.rows, self.keys = mark.rows, mark.keys
        for row_id, own in reversed(self._rows_were):
            if isinstance(own, Absent):
                del self.rows[row_id]
            else:
                self.rows[row_id] = own
        for key, holder in reversed(self._keys_were):
            if isinstance(holder, Absent):
                self.keys.pop(key, None)
            else:
                self.keys[key] = holder
        self.spool.undo(mark.spool)
        self.runs, self.hidden, self.autos = mark.runs, mark.hidden, mark.autos
        self.count, self.byte_size = mark.count, mark.byte_size
        self.next_row_id = mark.next_row_id
        self.settle()

    def settle(self) -> None:
        """The statement is over; nothing can be undone any more."""
        self._journaling = False
        self._rows_were, self._keys_were = [], []
