"""Who reads a stream: consumers by name, where each one stands, registering another.

A TABLE consumer is bound to its target's table id and is shown by that table's current name.
"""

from dataclasses import replace

from headwater.consumers.errors import ConsumerTaken, ConsumerUnknown, StreamStale
from headwater.log_store.catalog import (
    Catalog,
    CatalogEvent,
    ConsumerKind,
    ConsumerObject,
    Namespace,
    Sharing,
    StreamObject,
    TableObject,
)
from headwater.log_store.port import View
from headwater.log_store.records import Move
from headwater.producer.names import unquoted
from headwater.producer.transaction import Transaction

SHARED_NAME = "SHARED"


def why_stale(catalog: Catalog, stream: StreamObject) -> str:
    """Why the stream as a whole cannot be read any more; empty if it can."""
    if stream.stale:
        return stream.stale
    table = catalog.table(stream.table)
    if table.dropped_at is None:
        return ""
    if isinstance(catalog.find("table", table.namespace, f'"{table.name}"'), TableObject):
        return f"its table {table.name} was replaced by another of that name"
    return f"its table {table.name} was dropped (UNDROP TABLE brings both back)"


def check_readable(catalog: Catalog, stream: StreamObject) -> None:
    """Refuse a stream whose table is gone.

    Raises:
        StreamStale: with the reason.
    """
    if why := why_stale(catalog, stream):
        raise StreamStale(stream.name, why)


def registered(catalog: Catalog, stream: StreamObject) -> list[ConsumerObject]:
    """A stream's consumers in order of registration; of a SHARED one its single watermark."""
    shared = stream.sharing is Sharing.SHARED
    return [
        consumer
        for consumer in catalog.consumers(stream.id)
        if (consumer.reader is ConsumerKind.SHARED) is shared
    ]


def name_of(catalog: Catalog, consumer: ConsumerObject) -> str:
    """What a consumer is shown as: its target's current name, or its own."""
    if consumer.target is None:
        return consumer.name
    return table_name(catalog, catalog.table(consumer.target), catalog.stream(consumer.stream))


def table_name(catalog: Catalog, table: TableObject, beside: StreamObject) -> str:
    """A table's name, with its schema where that is not the stream's."""
    if table.namespace == beside.namespace:
        return table.name
    return f"{_schema_name(catalog, table.namespace)}.{table.name}"


def _schema_name(catalog: Catalog, namespace: int) -> str:
    found = catalog.get("schema", namespace)
    return found.name if isinstance(found, Namespace) else str(namespace)


def find_consumer(catalog: Catalog, stream: StreamObject, name: str) -> ConsumerObject:
    """The registered consumer of that name; names match as identifiers do.

    Raises:
        ConsumerUnknown: with the names there are.
    """
    there = registered(catalog, stream)
    for consumer in there:
        if _matches(name, name_of(catalog, consumer)):
            return consumer
    for consumer in there:
        if consumer.target is not None:
            table = catalog.table(consumer.target)
            if _matches(name, f"{_schema_name(catalog, table.namespace)}.{table.name}"):
                return consumer
    known = [name_of(catalog, consumer) for consumer in there]
    raise ConsumerUnknown(stream.name, name, known)


def _matches(said: str, name: str) -> bool:
    plain = unquoted(said)
    return name == plain if plain != said else name.lower() == said.lower()


def table_consumer(
    catalog: Catalog, stream: StreamObject, table: TableObject
) -> ConsumerObject | None:
    """The consumer that a table is for a stream, if it is one already."""
    for consumer in registered(catalog, stream):
        if consumer.target == table.id or consumer.reader is ConsumerKind.SHARED:
            return consumer
    return None


def position(view: View, consumer: ConsumerObject) -> int:
    """Where a registered consumer stands in a view."""
    found = view.watermark(consumer.id)
    assert found is not None, "a registration always writes a watermark"
    return found.position


def position_in(tx: Transaction, consumer: ConsumerObject) -> int:
    """Where a consumer stands for a transaction, its own moves included."""
    for move in reversed(tx.moves):
        if move.consumer == consumer.id:
            return move.end
    return position(tx.view, consumer)


def register(
    tx: Transaction, stream: StreamObject, wanted: ConsumerObject, at: int
) -> ConsumerObject:
    """Register a consumer where it is to start; `wanted` without an id. Both land at COMMIT.

    Raises:
        ConsumerTaken: the stream has one of that name. Nothing is staged.
    """
    if wanted.reader is not ConsumerKind.SHARED:
        shown = name_of(tx.catalog, wanted)
        taken = [name_of(tx.catalog, one).lower() for one in registered(tx.catalog, stream)]
        if shown.lower() in taken:
            raise ConsumerTaken(stream.name, shown)
    tx.depend_on("stream", stream.id)
    tx.stage_catalog(CatalogEvent(wanted))
    tx.stage_move(Move(wanted.id, None, at, "register", wanted.target))
    return wanted


def new_consumer(
    tx: Transaction, stream: StreamObject, reader: TableObject | str | None
) -> ConsumerObject:
    """A consumer object that is not registered yet: a table's, a client's, or (None) SHARED's."""
    shape = ConsumerObject(
        id=tx.log.reserve_object_ids(1),
        stream=stream.id,
        name=SHARED_NAME,
        reader=ConsumerKind.SHARED,
    )
    match reader:
        case TableObject():
            return replace(shape, name=reader.name, reader=ConsumerKind.TABLE, target=reader.id)
        case str():
            return replace(shape, name=unquoted(reader), reader=ConsumerKind.CLIENT)
        case None:
            return shape
