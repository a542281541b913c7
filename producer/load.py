"""Loading a source of any size into a table, as one statement: all of it, or nothing."""

from collections.abc import Callable, Sequence

import pyarrow as pa

from headwater.log_store.catalog import TableObject
from headwater.producer.errors import NotFound
from headwater.producer.sources import NULLS, JsonRows, open_source
from headwater.producer.transaction import Transaction
from headwater.producer.values import complete_columns, complete_rows
from headwater.schemas.images import codec
from headwater.schemas.tables import TableSchema
from headwater.schemas.types import Row

# Rows done so far, and rows in all where the source tells.
Progress = Callable[[int, int | None], None]


def load(
    tx: Transaction,
    table: TableObject,
    source: object,
    progress: Progress | None = None,
    *,
    nulls: Sequence[str] = NULLS,
) -> int:
    """Insert every row of a source; returns how many. Memory does not grow with them.

    A source is an Arrow table, batch or reader, a pandas or polars DataFrame, or the path of a
    CSV, Parquet or NDJSON file. Columns go by name, without regard to case; one that is left out
    gets its default. `nulls` are texts in a CSV file that mean NULL where they are not quoted.

    Raises:
        SourceUnreadable: it cannot be read, with the place where that is known.
        ValueRefused, DuplicateKey: a value does not fit; row (from 0) and column are named.
        SchemaInvalid, NotFound: a column that the table lacks. Nothing is staged by any of these.
    """
    opened = open_source(source, nulls)
    current = tx.catalog.table(table.id)
    inserting = tx.bulk_insert(current)
    done = 0
    for part in opened.parts:
        if isinstance(part, JsonRows):
            named = _named(current, part.rows, done)
            rows = complete_rows(tx, current, named, first_row=done)
            images, keys = _encoded(current.schema, rows)
            inserting.add_images(images, keys)
            done += len(rows)
        else:
            inserting.add(complete_columns(tx, current, part, first_row=done))
            done += part.num_rows
        if progress is not None:
            progress(done, opened.total)
    return inserting.finish()


def _named(
    table: TableObject, rows: Sequence[dict[str, object]], first_row: int
) -> list[dict[int, object]]:
    """Rows by column position instead of name."""
    positions: dict[str, int] = {}
    for number, row in enumerate(rows):
        for name in row:
            if name not in positions:
                at = table.schema.position(name)
                if at is None:
                    has = ", ".join(table.schema.names)
                    where = f"row {first_row + number}: table {table.name} has {has}"
                    raise NotFound("column", name, where)
                positions[name] = at
    return [{positions[name]: value for name, value in row.items()} for row in rows]


def _encoded(
    schema: TableSchema, rows: Sequence[Row]
) -> tuple[pa.BinaryArray, pa.BinaryArray | None]:
    images = codec(schema)
    keys = pa.array([images.key(row) for row in rows], pa.binary()) if schema.key else None
    return pa.array([images.encode(row) for row in rows], pa.binary()), keys
