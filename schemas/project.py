"""Rows of one generation seen in another: columns are matched by id.

A column that the wanted generation lacks vanishes; one that the written generation lacks is its
`fill` everywhere. Names, and lengths, are the wanted generation's.
"""

import pyarrow as pa

from headwater.schemas.arrow_plain import arrow_schema, to_array
from headwater.schemas.tables import TableSchema
from headwater.schemas.types import Row


def project(data: pa.Table, written: TableSchema, wanted: TableSchema) -> pa.Table:
    """Inner Arrow columns of the written generation as the wanted one's; copies no column."""
    if written.columns == wanted.columns:
        return data
    at = {column.id: position for position, column in enumerate(written.columns)}
    columns: list[pa.ChunkedArray] = []
    for column in wanted.columns:
        position = at.get(column.id)
        if position is not None:
            columns.append(data.column(position))
            continue
        one = to_array(column.type, [column.fill])
        columns.append(pa.chunked_array([_repeated(one, data.num_rows)], column.type.arrow))
    return pa.Table.from_arrays(columns, schema=arrow_schema(wanted))


def _repeated(one: pa.Array, count: int) -> pa.Array:
    if one.null_count:
        return pa.nulls(count, one.type)
    return pa.repeat(one[0], count)


def project_row(row: Row, written: TableSchema, wanted: TableSchema) -> Row:
    """One row of plain values of the written generation as the wanted one's."""
    if written.columns == wanted.columns:
        return row
    at = {column.id: position for position, column in enumerate(written.columns)}
    return tuple(row[at[c.id]] if c.id in at else c.fill for c in wanted.columns)
