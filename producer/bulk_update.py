"""Updating many rows by their key from Arrow: the columns given are set, the others stay."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import numpy as np
import pyarrow as pa

from headwater.log_store.catalog import TableObject
from headwater.producer import bulk
from headwater.producer.errors import NotFound
from headwater.producer.keyhash import I64
from headwater.producer.sweep import PART_ROWS
from headwater.producer.transaction import Transaction
from headwater.schemas.arrow_plain import to_rows
from headwater.schemas.images import codec
from headwater.schemas.tables import TableSchema
from headwater.schemas.types import Row
from headwater.schemas.values import to_inner


def update_columns(tx: Transaction, of: TableObject, data: pa.Table) -> int:
    """Set the columns given in the rows with the keys given; returns how many rows there were.

    A key that the table does not hold is passed over.

    Raises:
        NotFound: a column that the table lacks, or a key column that the data lacks.
        ValueRefused: a value that its column cannot hold. Nothing is staged.
        RowTwice: a key is given twice. Nothing is staged.
    """
    given = _given(of, data.column_names)
    if data.num_rows <= bulk.FEW:
        return _update_few(tx, of, given, data)
    return tx.update_columns(of, _parts(tx, of, given, data))


def _update_few(tx: Transaction, of: TableObject, given: TableSchema, data: pa.Table) -> int:
    rows = to_rows(given, to_inner(given, data))
    key = codec(given).key
    found = tx.row_ids(of, [key(row) for row in rows])
    hits = [(row_id, row) for row_id, row in zip(found, rows, strict=True) if row_id is not None]
    places = [of.schema.position(column.name) for column in given.columns]
    changes: list[tuple[int, Row]] = []
    olds = tx.rows(of, [row_id for row_id, _ in hits])
    for (row_id, row), old in zip(hits, olds, strict=True):
        assert old is not None
        new = list(old)
        for place, value in zip(places, row, strict=True):
            assert place is not None
            new[place] = value
        changes.append((row_id, tuple(new)))
    return tx.update(of, changes)


def _parts(
    tx: Transaction, of: TableObject, given: TableSchema, data: pa.Table
) -> Iterator[tuple[I64, pa.Table]]:
    for start in range(0, data.num_rows, PART_ROWS):
        part = to_inner(given, data.slice(start, PART_ROWS), first_row=start)
        keys = codec(given).keys_columns(part)
        assert keys is not None
        # The stubs type an element as optional; every row here has its key.
        found = tx.row_ids(of, cast(list[bytes], keys.to_pylist()))
        hits = [at for at, row_id in enumerate(found) if row_id is not None]
        row_ids = np.array([found[at] for at in hits], np.int64)
        rows = tx.columns(of, row_ids)
        for column in given.columns:
            at = of.schema.position(column.name)
            assert at is not None
            new = part.column(column.name).take(pa.array(hits, pa.int64()))
            rows = rows.set_column(at, column.name, new)
        yield row_ids, rows


def _given(of: TableObject, names: list[str]) -> TableSchema:
    """The part of the table's schema that the data has columns for."""
    schema = of.schema
    for name in names:
        if schema.position(name) is None:
            raise NotFound("column", name, f"table {of.name} has {', '.join(schema.names)}")
    lower = {name.lower() for name in names}
    for column in schema.key_columns:
        if column.name.lower() not in lower:
            raise NotFound("column", column.name, f"it is in the key of table {of.name}")
    columns = tuple(column for column in schema.columns if column.name.lower() in lower)
    return replace(schema, columns=columns)
