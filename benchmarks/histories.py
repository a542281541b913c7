"""Long histories written straight to the log, so that setting up takes seconds."""

from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import headwater
from benchmarks.material import COLUMNS, orders
from headwater.log_store.changes import Columns, TableChanges
from headwater.log_store.port import Batch, Log
from headwater.log_store.records import OP_DELETE, OP_INSERT, OP_UPDATE
from headwater.ops.api import Database
from headwater.ops.api_tables import Table
from headwater.schemas.images import codec
from headwater.schemas.tables import TableSchema

_INSERTS, _UPDATES, _DELETES = 0.75, 0.20, 0.05


def mixed(path: str, changes: int, *, commit_rows: int = 1000) -> tuple[Database, Table, int]:
    """A store whose table has about so many changes; the third value says how many.

    Each commit inserts rows, updates some of the commit before and deletes some others of it.
    """
    db = headwater.connect(path)
    table = db.create_table("orders", COLUMNS, key="order_id")
    count = append(db.session.log, table.id, changes, commit_rows=commit_rows)
    return db, table, count


def append(log: Log, table: int, changes: int, *, commit_rows: int = 1000, start: int = 0) -> int:
    """Write the history's commits from number `start` on; returns the changes written."""
    with log.view() as view:
        schema = view.catalog.table(table).schema
    written = 0
    number = start
    while written < changes:
        segment = _segment(schema, number, commit_rows)
        part = TableChanges(
            segments=[segment],
            count=len(segment),
            generation=schema.number,
            byte_size=100 * len(segment),
        )
        log.commit(Batch(commit_id=uuid4().hex, tables={table: part}))
        written += len(segment)
        number += 1
    return written


def _segment(schema: TableSchema, number: int, size: int) -> Columns:
    """Commit `number` of the history. Row ids are keys + 1."""
    inserts, updates, deletes = (int(size * share) for share in (_INSERTS, _UPDATES, _DELETES))
    if number == 0:
        updates = deletes = 0
    images = codec(schema)
    first = number * inserts
    new = orders(inserts, first=first)
    old = orders(updates + deletes, first=first - inserts if number else 0)
    changed = _changed(old.slice(0, updates))
    before = _column([None] * inserts, images.encode_columns(old))
    after = _column(images.encode_columns(pa.concat_tables([new, changed])), [None] * deletes)
    keys = images.keys_columns(pa.concat_tables([new, old]))
    assert keys is not None
    ops = np.repeat(
        np.array([OP_INSERT, OP_UPDATE, OP_DELETE], np.uint8), [inserts, updates, deletes]
    )
    ids = np.concatenate([_ids(new), _ids(old)])
    old_keys = _column([None] * inserts, keys.slice(inserts))
    new_keys = _column(keys.slice(0, inserts + updates), [None] * deletes)
    return Columns(ops, ids, before, after, old_keys, new_keys)


def _ids(rows: pa.Table) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return rows.column("order_id").to_numpy() + 1


def _changed(rows: pa.Table) -> pa.Table:
    """The rows with another customer."""
    customers = pc.add(rows.column("customer"), 1)
    return rows.set_column(1, "customer", customers)


def _column(*parts: "list[None] | pa.BinaryArray") -> pa.BinaryArray:
    arrays = [pa.array(part, pa.binary()) if isinstance(part, list) else part for part in parts]
    return pa.concat_arrays(arrays)
