"""Who reads a stream: consumers by name, where each one stands, registering another.

A TABLE consumer is bound to its target's table id and is shown by that table's current name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count

from headwater.consumers.captures import METADATA, MORE_METADATA
from headwater.consumers.errors import ConsumerTaken, ConsumerUnknown, StreamInvalid, StreamStale
from headwater.log_store.catalog import (
    Catalog,
    CatalogEvent,
    ConsumerKind,
    ConsumerObject,
    Namespace,
    Sharing,
    StreamObject,
    TableObject,
    ViewObject,
    directory_slot,
    table_slot,
)
from headwater.log_store.port import View
from headwater.log_store.records import Move
from headwater.producer.errors import NameInvalid, NotFound
from headwater.producer.names import namespace_of, parse, unquoted
from headwater.producer.transaction import Transaction

SHARED_NAME = "SHARED"
_NOT_IN_A_GROUP = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory that COPY writes a stream's rows into; its whole path is its name."""

    path: str

    def __str__(self) -> str:
        return self.path


_RESERVED = frozenset((*METADATA, *MORE_METADATA))


def why_stale(catalog: Catalog, stream: StreamObject) -> str:
    """Why the stream as a whole cannot be read any more; empty if it can."""
    if stream.stale:
        return stream.stale
    table = catalog.table(stream.table)
    if table.dropped_at is None:
        return "" if stream.view is None else _why_unseen(catalog.view(stream.view), catalog)
    if isinstance(catalog.find("table", table.namespace, f'"{table.name}"'), TableObject):
        return f"its table {table.name} was replaced by another of that name"
    return f"its table {table.name} was dropped (UNDROP TABLE brings both back)"


def _why_unseen(view: ViewObject, catalog: Catalog) -> str:
    """Why a stream cannot look through its view any more; empty if it can."""
    if view.dropped_at is None:
        return ""
    if isinstance(catalog.find("view", view.namespace, f'"{view.name}"'), ViewObject):
        return f"its view {view.name} was replaced by another of that name"
    return f"its view {view.name} was dropped"


def check_readable(catalog: Catalog, stream: StreamObject) -> None:
    """Refuse a stream whose table or view is gone, or has columns that are a stream's own.

    Raises:
        StreamStale, StreamInvalid: with the reason.
    """
    if why := why_stale(catalog, stream):
        raise StreamStale(stream.name, why)
    view = stream.view
    check_columns(stream.name, catalog.table(stream.table) if view is None else catalog.view(view))


def check_columns(stream: str, on: TableObject | ViewObject) -> None:
    """Refuse a table or view with columns named as those that a stream adds.

    Raises:
        StreamInvalid: names the column.
    """
    columns = on.columns if isinstance(on, ViewObject) else on.schema.columns
    for column in columns:
        if column.name.upper() in _RESERVED:
            raise StreamInvalid(
                stream,
                f"{on.kind} {on.name} has a column {column.name}, which is a stream's own: "
                "give that column another name",
            )


def registered(catalog: Catalog, stream: StreamObject) -> list[ConsumerObject]:
    """A stream's consumers in order of registration; of a SHARED one its single watermark."""
    return [one for one in catalog.consumers(stream.id) if _belongs(stream, one)]


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
    found = _search(catalog, stream, name)
    if found is None:
        known = [name_of(catalog, consumer) for consumer in registered(catalog, stream)]
        raise ConsumerUnknown(stream.name, name, known)
    return found


def _search(catalog: Catalog, stream: StreamObject, name: str) -> ConsumerObject | None:
    found = catalog.find("consumer", stream.id, name)
    if isinstance(found, ConsumerObject) and _belongs(stream, found):
        return found
    return _by_table_name(catalog, stream, name)


def _by_table_name(catalog: Catalog, stream: StreamObject, name: str) -> ConsumerObject | None:
    """The consumer that is the table of that name, which means one beside the stream."""
    try:
        parsed = parse(name)
        namespace = namespace_of(catalog, parsed) if parsed.schema else stream.namespace
    except NameInvalid:  # a CLIENT may be called anything, a directory and a table as shown
        there = registered(catalog, stream)
        return next((one for one in there if name_of(catalog, one) == name), None)
    except NotFound:
        return None
    table = catalog.find("table", namespace, parsed.text)
    if not isinstance(table, TableObject) or stream.sharing is Sharing.SHARED:
        return None
    return table_consumer(catalog, stream, table)


def _belongs(stream: StreamObject, consumer: ConsumerObject) -> bool:
    """Whether a consumer is of the kind its stream has; others wait for the stream to change."""
    return (consumer.reader is ConsumerKind.SHARED) is (stream.sharing is Sharing.SHARED)


def table_consumer(
    catalog: Catalog, stream: StreamObject, table: TableObject
) -> ConsumerObject | None:
    """The consumer that a table is for a stream, if it is one already; SHARED's one watermark."""
    if stream.sharing is Sharing.SHARED:
        return next(iter(registered(catalog, stream)), None)
    found = catalog.find("consumer", stream.id, table_slot(table.id))
    return found if isinstance(found, ConsumerObject) else None


def directory_consumer(
    catalog: Catalog, stream: StreamObject, directory: Directory
) -> ConsumerObject | None:
    """The consumer that a directory is for a stream, as `table_consumer`."""
    if stream.sharing is Sharing.SHARED:
        return next(iter(registered(catalog, stream)), None)
    found = catalog.find("consumer", stream.id, directory_slot(directory.path))
    return found if isinstance(found, ConsumerObject) else None


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
    tx: Transaction,
    stream: StreamObject,
    wanted: ConsumerObject,
    at: int,
    note: Mapping[str, str | int] | None = None,
) -> ConsumerObject:
    """Register a consumer where it is to start; `wanted` without an id. Both land at COMMIT.

    Raises:
        ConsumerTaken: the stream has one of that name. Nothing is staged.
    """
    if wanted.reader is not ConsumerKind.SHARED:
        shown = name_of(tx.catalog, wanted)
        if _search(tx.catalog, stream, shown) is not None:
            raise ConsumerTaken(stream.name, shown)
    tx.depend_on("stream", stream.id)
    tx.stage_catalog(CatalogEvent(wanted))
    tx.stage_move(Move(wanted.id, None, at, "register", wanted.target, note=dict(note or {})))
    return wanted


def new_consumer(
    tx: Transaction, stream: StreamObject, reader: TableObject | Directory | str | None
) -> ConsumerObject:
    """A consumer object that is not registered yet: a table's, a directory's, a client's, or
    (None) SHARED's.
    """
    shape = ConsumerObject(
        id=tx.log.reserve_object_ids(1),
        stream=stream.id,
        name=SHARED_NAME,
        reader=ConsumerKind.SHARED,
    )
    match reader:
        case TableObject():
            shape = replace(shape, name=reader.name, reader=ConsumerKind.TABLE, target=reader.id)
        case Directory(path):
            shape = replace(shape, name=path, reader=ConsumerKind.TABLE, directory=path)
        case str():
            shape = replace(shape, name=unquoted(reader), reader=ConsumerKind.CLIENT)
        case None:
            pass
    return replace(shape, group=free_group(tx, stream, shape.name))


def free_group(tx: Transaction, stream: StreamObject, name: str) -> str:
    """The consumer group of a consumer: one that no other has ever had."""
    parts = [_schema_name(tx.catalog, stream.namespace), stream.name, name]
    wanted = ".".join([tx.log.name, *(_NOT_IN_A_GROUP.sub("_", part) for part in parts)])
    used = {one.group for one in tx.catalog.all("consumer") if isinstance(one, ConsumerObject)}
    if wanted not in used:
        return wanted
    return next(free for n in count(2) if (free := f"{wanted}.{n}") not in used)
