"""What DuckDB gives, in the inner Arrow types."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from headwater.schemas import arrow
from headwater.schemas.arrow_casts import cast_column, plain_arrow
from headwater.schemas.types import SqlType
from headwater.sql.results import OutColumn


def in_inner(type_: SqlType, column: arrow.Column) -> arrow.Column:
    """DuckDB's column in the inner form of a type that it has already."""
    if column.type == type_.arrow:
        return column
    plain = plain_arrow(column)
    if plain.type == type_.arrow:
        return plain
    made = cast_column(type_, plain)
    assert made is not None, f"{column.type} is no form of {type_}"
    return made


def inner_rows(rows: Iterator[pa.Table], columns: Sequence[OutColumn]) -> Iterator[pa.Table]:
    """Rows in the inner Arrow types of their columns, under their names."""
    schema = pa.schema([(column.name, column.type.arrow) for column in columns])
    for part in rows:
        made = [
            arrow.chunked(
                [in_inner(column.type, chunk) for chunk in arrow.chunks_of(values)],
                column.type.arrow,
            )
            for column, values in zip(columns, part.columns, strict=True)
        ]
        yield arrow.table(made, schema)
