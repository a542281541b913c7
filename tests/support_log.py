"""Small tables and batches for tests of the log itself, without the rooms above it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import uuid4

from headwater.log_store.catalog import (
    AvroSchema,
    CatalogEvent,
    ConsumerKind,
    ConsumerObject,
    StreamObject,
    TableObject,
)
from headwater.log_store.changes import RowChange, Rows, TableChanges
from headwater.log_store.port import Batch, Log
from headwater.log_store.records import OP_DELETE, OP_INSERT, OP_UPDATE, Committed, Move
from headwater.log_store.sequencing import PUBLIC
from headwater.schemas.evolve import new_schema
from headwater.schemas.images import codec
from headwater.schemas.tables import ColumnSpec, TableSchema
from headwater.schemas.types import Row, SqlType


def schema(key: Sequence[str] = ("id",)) -> TableSchema:
    """id INT, name VARCHAR."""
    made = new_schema(
        [
            ColumnSpec("id", SqlType.parse("INT"), nullable=False),
            ColumnSpec("name", SqlType.parse("VARCHAR")),
        ],
        key,
    )
    return replace(made, schema_id=2, key_schema_id=1)


def table_events(log: Log, name: str, shape: TableSchema | None = None) -> list[CatalogEvent]:
    """The catalog events that make a table."""
    shape = shape or schema()
    table = TableObject(
        id=log.reserve_object_ids(1),
        namespace=PUBLIC,
        name=name,
        topic=f"{log.name}.public.{name}",
        generations=(shape,),
    )
    return [
        CatalogEvent(AvroSchema(id=1, subject=f"{table.topic}-key", version=1, text="{}")),
        CatalogEvent(AvroSchema(id=2, subject=f"{table.topic}-value", version=1, text="{}")),
        CatalogEvent(table),
    ]


def make_table(log: Log, name: str = "orders", shape: TableSchema | None = None) -> TableObject:
    """A committed, empty table."""
    events = table_events(log, name, shape)
    log.commit(batch(catalog=events))
    made = events[-1].value
    assert isinstance(made, TableObject)
    with log.view() as view:
        return view.catalog.table(made.id)


def make_consumer(
    log: Log, table: TableObject, target: int | None = None, group: str = ""
) -> ConsumerObject:
    """A stream on the table and one consumer of it, registered at v0 of the table."""
    first = log.reserve_object_ids(2)
    stream = StreamObject(id=first, namespace=PUBLIC, name=f"s{first}", table=table.id, base=0)
    kind = ConsumerKind.CLIENT if target is None else ConsumerKind.TABLE
    consumer = ConsumerObject(
        id=first + 1, stream=first, name=f"c{first}", reader=kind, target=target, group=group
    )
    log.commit(
        batch(
            catalog=[CatalogEvent(stream), CatalogEvent(consumer)],
            moves=[Move(consumer.id, None, 0, "register", target)],
        )
    )
    return consumer


def batch(**parts: object) -> Batch:
    """A batch with a new commit id."""
    return Batch(commit_id=uuid4().hex)._replace(**parts)  # type: ignore[arg-type]


def insert(table: TableObject, row_id: int, row: Row) -> RowChange:
    """A new row."""
    images = codec(table.schema)
    return RowChange(OP_INSERT, row_id, None, images.encode(row), b"", images.key(row))


def update(table: TableObject, row_id: int, old: Row, new: Row, seen: int) -> RowChange:
    """A row with new values under the same key, as read at version `seen`."""
    images = codec(table.schema)
    key = images.key(new)
    return RowChange(OP_UPDATE, row_id, images.encode(old), images.encode(new), key, key, seen)


def delete(table: TableObject, row_id: int, old: Row, seen: int) -> RowChange:
    """A row gone, as read at version `seen`."""
    images = codec(table.schema)
    return RowChange(OP_DELETE, row_id, images.encode(old), None, images.key(old), b"", seen)


def changes(table: TableObject, *rows: RowChange) -> Mapping[int, TableChanges]:
    """One table's part of a batch."""
    size = sum(len(row.after or b"") + len(row.before or b"") for row in rows)
    return {
        table.id: TableChanges(
            segments=[Rows(list(rows))],
            count=len(rows),
            generation=table.schema.number,
            byte_size=size,
        )
    }


def write(log: Log, table: TableObject, *rows: RowChange) -> Committed:
    """Commit changes of one table."""
    return log.commit(batch(tables=changes(table, *rows)))
