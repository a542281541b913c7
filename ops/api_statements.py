"""INSERT, UPDATE and DELETE as Python says them: from what a user hands over to staged rows.

Each is one statement of a transaction that is given; who calls it opens, commits and tries again.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.log_store.catalog import TableObject
from headwater.ops.api_inputs import (
    RowDict,
    Setter,
    Where,
    as_rows,
    is_columnar,
    key_values,
    named_values,
)
from headwater.ops.errors import BadArgument
from headwater.ops.present import outer, row_dict, row_dicts
from headwater.producer.bulk_update import update_columns
from headwater.producer.load import load
from headwater.producer.transaction import Transaction
from headwater.producer.values import complete_row, complete_rows
from headwater.schemas.arrow import kernel
from headwater.schemas.tables import TableSchema
from headwater.schemas.types import Plain, Row
from headwater.schemas.values import assigners, from_plain, to_plain

Mask = npt.NDArray[np.bool_]
Data = object


class Which(NamedTuple):
    """The rows a statement is about: the one with a key, or those of a condition."""

    key: object = None
    where: Where | None = None


def insert(tx: Transaction, of: TableObject, data: Data) -> int:
    """Insert rows; see `Table.insert`. Returns how many."""
    if type(data) is dict:
        row = named_values(of.schema, of.name, cast("dict[str, object]", data))
        return tx.insert(of, (complete_row(tx, of, row),))
    if is_columnar(data):
        return load(tx, of, data, None)
    named = [named_values(of.schema, of.name, row) for row in as_rows(data)]
    return tx.insert(of, complete_rows(tx, of, named))


def update(
    tx: Transaction,
    of: TableObject,
    data: Data | None,
    which: Which,
    setters: Mapping[str, Setter] | None,
) -> int:
    """Change rows; see `Table.update`. Returns how many matched."""
    if data is not None:
        if setters is not None or which.key is not None or which.where is not None:
            raise BadArgument("update takes rows by their key, or set with key or where")
        return _update_each(tx, of, data)
    if not setters:
        raise BadArgument("update needs set={column: value}, or rows with their key")
    schema = of.schema
    positions: dict[int, Setter] = {}
    for name, value in setters.items():
        at = schema.positions.get(name)
        positions[_position(of, name) if at is None else at] = value
    changed: list[tuple[int, Row]] = []
    for row_id, row in _matching(tx, of, which):
        changed.append((row_id, _changed(schema, row, positions)))
    return tx.update(of, changed)


def _update_each(tx: Transaction, of: TableObject, data: Data) -> int:
    if not of.schema.key:
        raise BadArgument(f"table {of.name} has no primary key to find rows by")
    if is_columnar(data):
        return update_columns(tx, of, pa.table(cast("pa.Table", data)))
    changed: list[tuple[int, Row]] = []
    for number, given in enumerate(as_rows(data)):
        named = named_values(of.schema, of.name, given)
        missing = [p for p in of.schema.key_positions if p not in named]
        if missing:
            name = of.schema.columns[missing[0]].name
            raise BadArgument(f"row {number} lacks key column {name} of table {of.name}")
        key = tuple(named[position] for position in of.schema.key_positions)
        found = tx.row_by_key(of, key_values(of, key))
        if found is not None:
            changed.append((found[0], _changed(of.schema, found[1], named)))
    return tx.update(of, changed)


def delete(tx: Transaction, of: TableObject, keys: Data | None, which: Which) -> int:
    """Delete rows; see `Table.delete`. Returns how many."""
    if keys is None:
        return tx.delete(of, [row_id for row_id, _ in _matching(tx, of, which)])
    if is_columnar(keys):
        table = pa.table(cast("pa.Table", keys))
        columns = [table.column(name).to_pylist() for name in table.column_names]
        names = table.column_names
        wanted: list[object] = [
            dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)
        ]
    else:
        wanted = list(cast("list[object]", keys))
    found = [tx.row_by_key(of, key_values(of, key)) for key in wanted]
    # A key that is given twice names one row.
    return tx.delete(of, list({hit[0]: None for hit in found if hit is not None}))


def _matching(tx: Transaction, of: TableObject, which: Which) -> Sequence[tuple[int, Row]]:
    key, where = which
    if key is not None:
        if where is None:
            found = tx.row_by_key(of, key_values(of, key))
            return () if found is None else (found,)
    elif where is not None:
        row_ids = matching(tx, of, where)
        rows = [tx.row(of, row_id) for row_id in row_ids]
        return [(row_id, row) for row_id, row in zip(row_ids, rows, strict=True) if row is not None]
    raise BadArgument("say which rows: key= for one, or where= for those that match")


def matching(tx: Transaction, of: TableObject, where: Where) -> list[int]:
    """Ids of the rows that match: an Arrow expression, values to equal, or a function."""
    found = tx.scan(of)
    if callable(where):
        data = outer(of.schema, found.data)
        hit = [bool(where(row)) for row in row_dicts(data)]
        return cast("list[int]", found.row_ids[np.array(hit, dtype=np.bool_)].tolist())
    if isinstance(where, Mapping):
        wanted = {_position(of, name): value for name, value in where.items()}
        hits = _equal(of.schema, found.data, wanted)
        return cast("list[int]", found.row_ids[hits].tolist())
    data = outer(of.schema, found.data).append_column("METADATA$ROW_ID", pa.array(found.row_ids))
    return cast("list[int]", data.filter(where).column("METADATA$ROW_ID").to_pylist())


def _equal(schema: TableSchema, data: pa.Table, wanted: Mapping[int, object]) -> Mask:
    """Which rows hold all of these values, compared as they are stored; None matches NULL."""
    hit = np.ones(data.num_rows, np.bool_)
    for position, value in wanted.items():
        column, plain = schema.columns[position], to_plain(schema.columns[position], value)
        values = data.column(position)
        if plain is None:
            hit &= values.is_null().to_numpy()
            continue
        text = column.type.arrow == pa.string()
        shown = plain if text else from_plain(column.type, plain)
        same = cast(
            "pa.ChunkedArray[pa.BooleanScalar]",
            kernel("equal", values, pa.scalar(shown, column.type.arrow)),
        )
        hit &= kernel("coalesce", same, pa.scalar(False)).to_numpy()
    return hit


def _position(of: TableObject, name: str) -> int:
    found = of.schema.position(name)
    if found is None:
        names = ", ".join(of.schema.names)
        raise BadArgument(f"table {of.name} has no column {name}: it has {names}")
    return found


def _changed(schema: TableSchema, row: Row, setters: Mapping[int, Setter]) -> Row:
    """The row with some values set; functions see it as it was."""
    new: list[Plain] = list(row)
    assign = assigners(schema)
    seen: RowDict | None = None
    for position, value in setters.items():
        if callable(value):
            seen = row_dict(schema, row) if seen is None else seen
            value = value(seen)
        new[position] = assign[position](value)
    return tuple(new)
