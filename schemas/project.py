"""Rows of one generation seen in another: columns are matched by id.

A column that the wanted generation lacks vanishes; one that the written generation lacks is its
`fill` everywhere. Names, and lengths, are the wanted generation's.
"""

from dataclasses import replace

import pyarrow as pa

from headwater.schemas import arrow
from headwater.schemas.arrow import Chunks
from headwater.schemas.arrow_plain import arrow_schema_of, to_array
from headwater.schemas.asked import EVERYTHING, Asked
from headwater.schemas.events import Events
from headwater.schemas.tables import TableSchema
from headwater.schemas.types import Row


def project(
    data: pa.Table, written: TableSchema, wanted: TableSchema, asked: Asked = EVERYTHING
) -> pa.Table:
    """Inner Arrow columns of the written generation as the wanted one's; copies no column.

    `data` has the columns asked for of the written generation, the result those of the wanted one.
    """
    if written.columns == wanted.columns:
        return data
    at = {column.id: position for position, column in enumerate(asked.of(written))}
    given = data.columns
    columns: list[Chunks] = []
    shown = asked.of(wanted)
    for column in shown:
        position = at.get(column.id)
        if position is not None:
            columns.append(given[position])
            continue
        filled = arrow.repeat(to_array(column.type, [column.fill]), data.num_rows)
        columns.append(arrow.chunked([filled], column.type.arrow))
    return arrow.table(columns, arrow_schema_of(shown))


def project_events(events: Events, wanted: TableSchema, asked: Asked = EVERYTHING) -> Events:
    """Events with their images as those of another generation; what was asked for of either."""
    if events.schema.number == wanted.number:
        return events
    before = project(events.before, events.schema, wanted, asked)
    one = events.after is events.before
    after = before if one else project(events.after, events.schema, wanted, asked)
    return replace(events, schema=wanted, before=before, after=after)


def project_row(row: Row, written: TableSchema, wanted: TableSchema) -> Row:
    """One row of plain values of the written generation as the wanted one's."""
    if written.columns == wanted.columns:
        return row
    at = {column.id: position for position, column in enumerate(written.columns)}
    return tuple(row[at[c.id]] if c.id in at else c.fill for c in wanted.columns)
