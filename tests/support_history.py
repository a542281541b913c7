"""A table with a history of every kind of change, and what it held at each version."""

from dataclasses import dataclass, field, replace

from support_log import batch, make_table

from headwater.log_store.catalog import CatalogEvent, TableObject
from headwater.log_store.changes import RowChange, Rows, TableChanges
from headwater.log_store.port import Log
from headwater.log_store.records import OP_DELETE, OP_INSERT, OP_UPDATE
from headwater.log_store.snapshots import Snapshot
from headwater.schemas.images import codec
from headwater.schemas.tables import Column, TableSchema
from headwater.schemas.types import Plain, Row

Cells = dict[int, Plain]  # a row's values by column id


@dataclass
class History:
    """Commits to one table, a Python dict of its rows beside it.

    `rows` maps row ids to values by column id; `past[v]` is what `rows` was at version v.
    `ids` are row ids that live or lived.
    """

    log: Log
    table: TableObject
    rows: dict[int, Cells] = field(default_factory=dict[int, Cells])
    past: list[dict[int, Cells]] = field(default_factory=lambda: [dict[int, Cells]()])
    written: dict[int, int] = field(default_factory=dict[int, int])
    staged: list[RowChange] = field(default_factory=list[RowChange])
    next_id: int = 1

    @property
    def schema(self) -> TableSchema:
        """The current generation."""
        return self.table.schema

    def insert(self, row: Row, row_id: int | None = None) -> int:
        """Stage a new row, or one that comes back under its old id; returns its id."""
        if row_id is None:
            row_id, self.next_id = self.next_id, self.next_id + 1
        cells = dict(zip((c.id for c in self.schema.columns), row, strict=True))
        self._stage(OP_INSERT, row_id, None, cells)
        return row_id

    def update(self, row_id: int, row: Row) -> None:
        """Stage new values under the same key."""
        cells = dict(zip((c.id for c in self.schema.columns), row, strict=True))
        self._stage(OP_UPDATE, row_id, self.rows[row_id], cells)

    def rekey(self, row_id: int, row: Row) -> None:
        """Stage new values under another key: a d and a c."""
        old = self.rows[row_id]
        cells = dict(zip((c.id for c in self.schema.columns), row, strict=True))
        self._stage(OP_DELETE, row_id, old, None, pair=1)
        self._stage(OP_INSERT, row_id, None, cells, pair=-1)

    def delete(self, row_id: int) -> None:
        """Stage the row's end."""
        self._stage(OP_DELETE, row_id, self.rows[row_id], None)

    def commit(self) -> int:
        """Commit what is staged as one version, if there is anything; returns the version."""
        if self.staged:
            changes = TableChanges(
                segments=[Rows(self.staged)],
                count=len(self.staged),
                generation=self.schema.number,
            )
            made = self.log.commit(batch(tables={self.table.id: changes})).versions[self.table.id]
            self.written |= {change.row_id: made for change in self.staged}
            self.past.append(dict(self.rows))
            self.staged = []
        return len(self.past) - 1

    def alter(self, schema: TableSchema) -> None:
        """Give the table another generation, written with a schema of its own."""
        schema = replace(schema, schema_id=self.schema.schema_id + 1)
        table = replace(self.table, generations=(*self.table.generations, schema))
        self.log.commit(batch(catalog=[CatalogEvent(table)]))
        with self.log.view() as view:
            self.table = view.catalog.table(table.id)

    def expected(self, version: int) -> dict[int, Row]:
        """The rows of a version in today's schema."""
        return {
            row_id: shown(self.past[version][row_id], self.schema)
            for row_id in sorted(self.past[version])
        }

    def _stage(
        self, op: int, row_id: int, old: Cells | None, new: Cells | None, *, pair: int = 0
    ) -> None:
        images = codec(self.schema)
        before = None if old is None else shown(old, self.schema)
        after = None if new is None else shown(new, self.schema)
        mine = any(change.row_id == row_id for change in self.staged)
        self.staged.append(
            RowChange(
                op,
                row_id,
                None if before is None else images.encode(before),
                None if after is None else images.encode(after),
                b"" if before is None else images.key(before),
                b"" if after is None else images.key(after),
                0 if mine or row_id not in self.rows else self.written[row_id],
                pair,
            )
        )
        if new is None:
            self.rows.pop(row_id)
        else:
            self.rows[row_id] = new


def history(log: Log, name: str = "orders") -> History:
    """A new, empty table of (id INT key, name VARCHAR)."""
    return History(log, make_table(log, name))


def shown(cells: Cells, schema: TableSchema) -> Row:
    """A row in a generation: columns by id, what it lacks filled."""
    return tuple(_cell(cells, column) for column in schema.columns)


def _cell(cells: Cells, column: Column) -> Plain:
    return cells.get(column.id, column.fill)


def contents(snapshot: Snapshot) -> dict[int, Row]:
    """A snapshot's rows by row id, in its own order; only for types that are plain in Arrow."""
    columns = [column.to_pylist() for column in snapshot.data.columns]
    return dict(zip(snapshot.row_ids.tolist(), zip(*columns, strict=True), strict=True))
