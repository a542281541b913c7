"""One table as one transaction sees it: the view's rows under the transaction's own writes.

A key that none of the own writes holds is held by whom the view says, unless the transaction has
touched that row: then it is free.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from headwater.log_store.catalog import TableObject
from headwater.log_store.changes import TableChanges
from headwater.log_store.port import View
from headwater.log_store.records import Stored
from headwater.producer.errors import DuplicateKey, RowTooLarge
from headwater.producer.keyhash import hash_keys
from headwater.producer.runs import Run
from headwater.producer.spool import Bound
from headwater.producer.written import ABSENT, Absent, Mark, Own, Written
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


# So many rows that were read are kept for the statement's next look at them.
LATELY: Final = 1024


class Overlay(Written):
    """The transaction's own writes of one table, and the view's rows under them."""

    __slots__ = ("_lately", "codec", "created", "head", "key_at", "schema", "table", "view")

    def __init__(self, view: View, table: TableObject, *, created: bool) -> None:
        schema = table.generations[-1]
        super().__init__(hidden=created, keyed=bool(schema.key))
        self.view, self.table, self.created = view, table, created
        self.schema, self.codec, self.key_at = schema, codec(schema), schema.key_positions
        self.head = -1 if created else view.head(table.id).version
        # The rows read last, since what is updated has mostly just been looked up.
        self._lately: dict[int, Known] = {}

    def known(self, row_id: int) -> Known | None:
        """The row of that id, None if there is none."""
        if row_id in self._lately:
            return self._lately[row_id]
        if self.rows or self.runs or self.hidden:
            own = self.own(row_id)
            if not isinstance(own, Absent):
                if own is None:
                    return None
                return Known(0, own.image, self.codec.decode(own.image), own.key)
        stored = self.view.row(self.table.id, row_id)
        if stored is None:
            return None
        known = self.read(stored)
        self._lately = {row_id: known}
        return known

    def known_all(self, row_ids: Sequence[int]) -> list[Known | None]:
        """The rows of these ids, in the order asked."""
        if len(row_ids) == 1:
            return [self.known(row_ids[0])]
        found: list[Known | None] = [self._lately.get(row_id) for row_id in row_ids]
        ask: list[int] = []
        for at, row_id in enumerate(row_ids):
            if found[at] is not None:
                continue
            own = ABSENT if self.pristine else self.own(row_id)
            if isinstance(own, Absent):
                ask.append(at)
            elif own is not None:
                found[at] = Known(0, own.image, self.codec.decode(own.image), own.key)
        stored = self.view.rows(self.table.id, [row_ids[at] for at in ask]) if ask else []
        for at, one in zip(ask, stored, strict=True):
            if one is not None:
                found[at] = self.read(one)
        if len(row_ids) <= LATELY:
            self._lately = {
                at: one for at, one in zip(row_ids, found, strict=True) if one is not None
            }
        return found

    def by_key(self, key: bytes) -> tuple[int, Known] | None:
        """The row that holds a key, and its id."""
        row_id = self.holder(key)
        if row_id is None:
            return None
        if self.rows or self.runs or self.hidden:
            found = self.known(row_id)
            return None if found is None else (row_id, found)
        stored = self.view.row(self.table.id, row_id)
        if stored is None:
            return None
        known = self.read(stored, key)
        self._lately = {row_id: known}
        return row_id, known

    def read(self, stored: Stored, key: bytes | None = None) -> Known:
        """A row of the view, in the table's current generation; `key` where that is known."""
        if stored.schema_id == self.schema.schema_id:
            image, row = stored.image, self.codec.decode(stored.image)
        else:
            written = self.table.schema_of(stored.schema_id)
            row = project_row(codec(written).decode(stored.image), written, self.schema)
            image = self.codec.encode(row)
        if key is None:
            key = self.codec.key(row) if self.schema.key else b""
        return Known(stored.version, image, row, key)

    def holder(self, key: bytes) -> int | None:
        """The row that holds a key, as the transaction sees it."""
        found = self.keys.get(key)
        if found is not None:
            return found
        if self.runs:
            found = self.holder_in_runs(key, hash_keys(pa.array([key], pa.binary()))[0])
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
                    own = self.holder_in_runs(keys[at], hashes[at])
                    found[at] = found[at] if own is None else own
        if self.keys:
            found = [self.keys.get(key, at) for key, at in zip(keys, found, strict=True)]
        return found

    def put(self, row_id: int, own: Own | None, old_key: bytes) -> None:
        if self._lately:
            self._lately.pop(row_id, None)
        super().put(row_id, own, old_key)

    def add_run(self, run: Run) -> None:
        self._lately = {}
        super().add_run(run)

    def hide(self) -> None:
        self._lately = {}
        super().hide()

    def undo(self, mark: Mark) -> None:
        self._lately = {}
        super().undo(mark)

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

    def limit(self, most: int | None) -> None:
        """Refuse changes whose images and key have more bytes together; None takes any."""
        self.spool.bound = None if most is None else Bound(most, self._too_large)

    def _too_large(self, key: bytes, row_id: int, size: int) -> RowTooLarge:
        columns = self.schema.key_columns
        values = self.codec.decode_key(key) if key else ()
        named = {
            column.name: from_plain(column.type, value)
            for column, value in zip(columns, values, strict=True)
        }
        most = 0 if self.spool.bound is None else self.spool.bound.most
        return RowTooLarge(self.table.name, named or row_id, size, most)

    def changes(self) -> TableChanges:
        """What is to be committed."""
        return TableChanges(
            segments=self.spool.segments(),
            count=self.count,
            generation=self.schema.number,
            byte_size=self.byte_size,
            keys_checked_at=self.head,
            autos=self.autos,
        )
