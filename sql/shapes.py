"""Query results as a table's columns: the rules of assignment, column by column."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from headwater.schemas import arrow
from headwater.schemas.tables import Column, TableSchema
from headwater.schemas.values import to_inner
from headwater.sql.context import Context
from headwater.sql.errors import ProgrammingError
from headwater.sql.results import OutColumn
from headwater.sql.typing_duck import is_json


def shaped(
    context: Context,
    rows: Iterator[pa.Table],
    columns: Sequence[OutColumn],
    shape: Sequence[OutColumn],
) -> Iterator[pa.Table]:
    """Rows cast to the shape's columns.

    Raises:
        ProgrammingError: another number of columns.
        ValueRefused: a value does not fit; names its column.
    """
    if len(columns) != len(shape):
        raise ProgrammingError(
            f"the query gives {len(columns)} columns where {len(shape)} are wanted",
            code="E_COLUMN_COUNT",
        )
    made = tuple(Column(at + 1, one.name, one.type, f"c{at}") for at, one in enumerate(shape))
    wanted = TableSchema(1, made, (), len(made) + 1, ())
    seen = pa.schema([(one.name, one.type.arrow) for one in shape])
    before = 0
    for part in rows:
        given = part.rename_columns([column.name for column in wanted.columns])
        given = _texts(given, columns, shape)
        cast = to_inner(wanted, given, first_row=before)
        before += part.num_rows
        yield (
            cast.cast(seen) if cast.schema.types != seen.types else cast.rename_columns(seen.names)
        )


def _texts(data: pa.Table, columns: Sequence[OutColumn], shape: Sequence[OutColumn]) -> pa.Table:
    """A VARIANT for a column of another type gives what it holds, without a text's quotes."""
    for at, (given, wanted) in enumerate(zip(columns, shape, strict=True)):
        if not is_json(given.type) or is_json(wanted.type):
            continue
        chunks = [_unquoted(chunk) for chunk in arrow.chunks_of(data.columns[at])]
        data = data.set_column(at, data.column_names[at], arrow.chunked(chunks, arrow.STRING))
    return data


def _unquoted(column: arrow.Column) -> arrow.Column:
    import json

    made: list[object] = []
    for value in arrow.values(column):
        if isinstance(value, str) and value.startswith('"'):
            value = json.loads(value)
        made.append(None if value == "null" else value)
    return arrow.array(made, arrow.STRING)
