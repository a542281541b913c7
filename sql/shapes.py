"""Query results as a table's columns: the rules of assignment, column by column."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from headwater.schemas import arrow
from headwater.schemas.tables import Column
from headwater.schemas.values import assigned
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
    wanted = [Column(at + 1, one.name, one.type, f"c{at}") for at, one in enumerate(shape)]
    seen = pa.schema([(f"c{at}", one.type.arrow) for at, one in enumerate(shape)])
    before = 0
    for part in rows:
        given = _texts(part, columns, shape)
        # Column by column: two of them may have one name.
        made = [
            assigned(column, values, before)
            for column, values in zip(wanted, given.columns, strict=True)
        ]
        before += part.num_rows
        yield arrow.table(made, seen)


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
