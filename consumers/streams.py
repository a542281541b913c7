"""Streams as statements of a transaction: create, alter, clone, drop.

A stream is a name, a table's id and a base: creating one copies nothing. Everything staged here
lands with the commit, or not at all.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from headwater.consumers.boundaries import DIRECTORY
from headwater.consumers.errors import (
    SharedRefuses,
    StreamInvalid,
    StreamStale,
    WatermarksDiffer,
)
from headwater.consumers.group_consumers import check_options, write_groups
from headwater.consumers.positions import (
    AtStream,
    AtVersion,
    Mark,
    Position,
    horizon,
    version_of,
)
from headwater.consumers.registration import (
    Directory,
    check_columns,
    check_readable,
    free_group,
    name_of,
    new_consumer,
    position_in,
    registered,
    why_stale,
)
from headwater.consumers.windows import lowest
from headwater.log_store.catalog import (
    Capture,
    CatalogEvent,
    ConsumerKind,
    ConsumerObject,
    RewindPolicy,
    Sharing,
    StreamObject,
    TableObject,
    ViewObject,
)
from headwater.log_store.records import INITIAL, Move
from headwater.producer.errors import NameTaken
from headwater.producer.names import find_stream, namespace_of, parse
from headwater.producer.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """What CREATE STREAM can say; `at` and `before` count at creation only.

    `retention_s` asks for at least so many seconds of history, None for none of its own.
    """

    capture: Capture = Capture.ALL
    sharing: Sharing = Sharing.INDEPENDENT
    initial_rows: bool = False
    policy: RewindPolicy = RewindPolicy.ALLOW
    retention_s: int | None = None
    comment: str = ""
    at: Position | None = None
    before: bool = False


def options_of(stream: StreamObject) -> StreamOptions:
    """A stream's options as they stand, to be altered and given to `alter_stream`."""
    return StreamOptions(
        capture=stream.capture,
        sharing=stream.sharing,
        initial_rows=stream.initial_rows,
        policy=stream.policy,
        retention_s=stream.retention_s,
        comment=stream.comment,
    )


def create_stream(
    tx: Transaction,
    name: str,
    on: TableObject | ViewObject,
    options: StreamOptions = StreamOptions(),
    *,
    or_replace: bool = False,
    if_not_exists: bool = False,
) -> StreamObject:
    """A new stream on a table or view, or with `if_not_exists` the one that has the name.

    A view is one that filters and projects one table: base, versions and lag are that table's. Its
    base is the table's head in the transaction's snapshot, or the place `options.at` says.
    `or_replace` retires the consumers of the one that had the name, unless `at` is that very
    stream: then they go on where they stood.

    Raises:
        NameTaken: a stream has the name. Nothing is staged.
        StreamInvalid: it has METADATA$ columns, the table was changed by this transaction, or a
            view of something else than one table. Nothing is staged.
        OutsideHistory: the place is not kept. Nothing is staged.
    """
    parsed = parse(name)
    namespace = namespace_of(tx.catalog, parsed)
    old = tx.catalog.find("stream", namespace, parsed.text)
    if isinstance(old, StreamObject) and not or_replace:
        if if_not_exists:
            return old
        raise NameTaken("stream", parsed.plain)
    table = _table_of(tx, parsed.plain, on)
    carried = _carried(tx, options, old) if isinstance(old, StreamObject) else []
    wanted = StreamObject(
        id=tx.log.reserve_object_ids(1),
        namespace=namespace,
        name=parsed.plain,
        table=table.id,
        view=on.id if isinstance(on, ViewObject) else None,
        base=_base(tx, parsed.plain, table, options),
    )
    stream = _placed(
        tx, _with_options(wanted, options), old if isinstance(old, StreamObject) else None
    )
    _copy_consumers(tx, carried, stream)
    return stream


def _with_options(stream: StreamObject, options: StreamOptions) -> StreamObject:
    """A stream with all its options as given; base and name stay."""
    return replace(
        stream,
        capture=options.capture,
        sharing=options.sharing,
        initial_rows=options.initial_rows,
        policy=options.policy,
        retention_s=options.retention_s,
        comment=options.comment,
    )


def _carried(tx: Transaction, options: StreamOptions, old: StreamObject) -> list[ConsumerObject]:
    """The consumers that go on with the stream which replaces theirs: AT (STREAM => itself)."""
    if not isinstance(options.at, AtStream) or find_stream(tx.catalog, options.at.stream) != old:
        return []
    if old.sharing is not options.sharing:
        raise StreamInvalid(old.name, "keep CONSUMERS as it is, then ALTER the stream")
    return registered(tx.catalog, old)


def _table_of(tx: Transaction, stream: str, on: TableObject | ViewObject) -> TableObject:
    """The table whose changes a stream on a table or view shows."""
    check_columns(stream, on)
    table = on
    if isinstance(on, ViewObject):
        if on.table is None:
            raise StreamInvalid(
                stream,
                f"view {on.name} is more than a filter and a projection of one table: "
                "create the stream on a table",
            )
        table = tx.catalog.table(on.table)
        if table.dropped_at is not None:
            raise StreamInvalid(stream, f"table {table.name} of view {on.name} was dropped")
    assert isinstance(table, TableObject)
    if table.id in tx.written_tables():
        raise StreamInvalid(
            stream, f"this transaction has changed table {table.name}: commit that first"
        )
    return table


def _base(tx: Transaction, name: str, table: TableObject, options: StreamOptions) -> int:
    """The version that a new stream starts at."""
    if tx.view.catalog.get("table", table.id) is None:
        if options.at in (None, Mark.HEAD, AtVersion(0)) and not options.before:
            return 0
        raise StreamInvalid(name, f"table {table.name} is made by this transaction: it has v0 only")
    if options.at is None:
        return tx.view.head(table.id).version
    if not isinstance(options.at, AtStream):
        return version_of(tx.view, table, options.at, before=options.before)
    other = find_stream(tx.catalog, options.at.stream)
    if other.table != table.id:
        raise StreamInvalid(name, f"stream {other.name} is on another table")
    position = lowest(other, _positions(tx, other).values())
    found = other.base if position == INITIAL else position
    return version_of(tx.view, table, AtVersion(found))


def _positions(tx: Transaction, stream: StreamObject) -> dict[str, int]:
    """Where the registered consumers stand, by name; those below the horizon left out."""
    kept = horizon(tx.view, stream.table)
    found = {
        name_of(tx.catalog, consumer): position_in(tx, consumer)
        for consumer in registered(tx.catalog, stream)
    }
    return {
        name: at for name, at in found.items() if (stream.base if at == INITIAL else at) >= kept
    }


def _placed(tx: Transaction, stream: StreamObject, old: StreamObject | None) -> StreamObject:
    """Stage a stream under its name, which the old one gives up with its consumers."""
    if old is not None:
        drop_stream(tx, old)
    tx.depend_on("schema", stream.namespace)
    tx.depend_on("table", stream.table)
    if stream.view is not None:
        tx.depend_on("view", stream.view)
    tx.stage_catalog(CatalogEvent(stream))
    _audit(tx, "create stream", stream)
    return tx.catalog.stream(stream.id)


def _copy_consumers(
    tx: Transaction, consumers: Sequence[ConsumerObject], stream: StreamObject
) -> None:
    """Register consumers of another stream with this one, where they stand."""
    groups: list[tuple[ConsumerObject, int]] = []
    for old in consumers:
        copied = replace(
            old,
            id=tx.log.reserve_object_ids(1),
            stream=stream.id,
            group=free_group(tx, stream, old.name),
            created_at=0,
            created_us=0,
            retired_at=None,
            changed_at=0,
        )
        at = position_in(tx, old)
        tx.depend_on("consumer", old.id)
        tx.stage_catalog(CatalogEvent(copied))
        tx.stage_move(Move(copied.id, None, at, "register", copied.target))
        if copied.reader is ConsumerKind.GROUP:
            check_options(stream, copied.name)
            groups.append((copied, at))
    write_groups(tx, groups)


def clone_stream(
    tx: Transaction, name: str, source: StreamObject, *, or_replace: bool = False
) -> StreamObject:
    """A stream of the same definition whose consumers stand where the source's do.

    Raises:
        NameTaken: a stream has the name. Nothing is staged.
        StreamStale: the source's table is gone. Nothing is staged.
    """
    check_readable(tx.catalog, source)
    parsed = parse(name)
    namespace = namespace_of(tx.catalog, parsed)
    old = tx.catalog.find("stream", namespace, parsed.text)
    if old is not None and not or_replace:
        raise NameTaken("stream", parsed.plain)
    tx.depend_on("stream", source.id)
    carried = registered(tx.catalog, source)
    wanted = replace(
        source,
        id=tx.log.reserve_object_ids(1),
        namespace=namespace,
        name=parsed.plain,
        created_at=0,
        created_us=0,
        changed_at=0,
    )
    stream = _placed(tx, wanted, old if isinstance(old, StreamObject) else None)
    _copy_consumers(tx, carried, stream)
    return stream


def drop_stream(tx: Transaction, stream: StreamObject) -> None:
    """Drop a stream and retire its consumers; their history stays."""
    for consumer in tx.catalog.consumers(stream.id):
        tx.stage_catalog(CatalogEvent(replace(consumer, retired_at=0)))
    tx.stage_catalog(CatalogEvent(replace(tx.catalog.stream(stream.id), dropped_at=0)))
    _audit(tx, "drop stream", stream)


def alter_stream(tx: Transaction, stream: StreamObject, options: StreamOptions) -> StreamObject:
    """Give a stream other options in place; its base and its consumers' places stay.

    To SHARED, the consumers become one, and must stand level. To INDEPENDENT, each live table
    that the shared watermark fed becomes a consumer that stands there.

    Raises:
        WatermarksDiffer: consumers that are to become one stand apart. Nothing is staged.
        ConsumerRefused, SharedRefuses: it has a GROUP consumer, whose topic does not follow suit.
    """
    current = tx.catalog.stream(stream.id)
    altered = _with_options(current, options)
    _check_groups(tx, altered)
    if options.sharing is not current.sharing:
        if why := why_stale(tx.catalog, current):
            raise StreamStale(current.name, why)
        if options.sharing is Sharing.SHARED:
            _join(tx, current)
        else:
            _part(tx, current)
    tx.stage_catalog(CatalogEvent(altered))
    _audit(tx, "alter stream", altered)
    return tx.catalog.stream(stream.id)


def _check_groups(tx: Transaction, stream: StreamObject) -> None:
    """Refuse options that the stream's GROUP consumers cannot live with."""
    for consumer in tx.catalog.consumers(stream.id):
        if consumer.reader is ConsumerKind.GROUP:
            if stream.sharing is Sharing.SHARED:
                raise SharedRefuses(stream.name, f"its Kafka group {consumer.name}")
            check_options(stream, consumer.name)


def rename_stream(tx: Transaction, stream: StreamObject, new_name: str) -> StreamObject:
    """Give a stream another name, in another schema if the name says one; consumers stay with it.

    Raises:
        NameTaken, NotFound: the name is taken, or its schema is not there. Nothing is staged.
    """
    current, parsed = tx.catalog.stream(stream.id), parse(new_name)
    namespace = namespace_of(tx.catalog, parsed) if parsed.schema else current.namespace
    other = tx.catalog.find("stream", namespace, parsed.text)
    if other is not None and other.id != stream.id:
        raise NameTaken("stream", parsed.plain)
    tx.depend_on("schema", namespace)
    tx.stage_catalog(CatalogEvent(replace(current, name=parsed.plain, namespace=namespace)))
    _audit(tx, "rename stream", tx.catalog.stream(stream.id))
    return tx.catalog.stream(stream.id)


def _join(tx: Transaction, stream: StreamObject) -> None:
    """Consumers of their own become the one of a SHARED stream."""
    there = registered(tx.catalog, stream)
    positions = {name_of(tx.catalog, one): position_in(tx, one) for one in there}
    if len(set(positions.values())) > 1:
        raise WatermarksDiffer(stream.name, positions)
    if not there:
        return
    (at,) = set(positions.values())
    for consumer in there:
        tx.stage_catalog(CatalogEvent(replace(consumer, retired_at=0)))
    one = new_consumer(tx, stream, None)
    tx.stage_catalog(CatalogEvent(one))
    tx.stage_move(Move(one.id, None, at, "register"))
    for consumer in there:
        # A move that goes nowhere tells which tables the one watermark stands for.
        if consumer.target is not None:
            tx.stage_move(Move(one.id, at, at, "register", consumer.target))
        elif consumer.directory:
            note = {DIRECTORY: consumer.directory}
            tx.stage_move(Move(one.id, at, at, "register", note=note))


def _part(tx: Transaction, stream: StreamObject) -> None:
    """The one watermark of a SHARED stream becomes one for each table it fed."""
    for shared in registered(tx.catalog, stream):
        at, targets = position_in(tx, shared), fed(tx, shared)
        for waiting in tx.catalog.consumers(stream.id):
            # An UNDROP brought it back meanwhile; the table goes on where SHARED has fed it up to.
            if waiting.target in targets:
                tx.stage_catalog(CatalogEvent(replace(waiting, retired_at=0)))
        for target in targets:
            if tx.catalog.table(target).dropped_at is None:
                own = new_consumer(tx, stream, tx.catalog.table(target))
                tx.depend_on("table", target)
                tx.stage_catalog(CatalogEvent(own))
                tx.stage_move(Move(own.id, None, at, "register", target))
        for path in fed_directories(tx, shared):
            own = new_consumer(tx, stream, Directory(path))
            tx.stage_catalog(CatalogEvent(own))
            tx.stage_move(Move(own.id, None, at, "register"))
        tx.stage_catalog(CatalogEvent(replace(shared, retired_at=0)))


def fed_directories(tx: Transaction, shared: ConsumerObject) -> list[str]:
    """The directories whose windows moved a SHARED stream's watermark, as `fed`."""
    paths = (moved.move.note.get(DIRECTORY, "") for _, moved in tx.view.moves(shared.id))
    return list(dict.fromkeys(str(path) for path in paths if path))


def fed(tx: Transaction, shared: ConsumerObject) -> list[int]:
    """The tables whose windows moved a SHARED stream's watermark, in the order they first did."""
    tables: Mapping[int, None] = {
        moved.move.target: None
        for _, moved in tx.view.moves(shared.id)
        if moved.move.target is not None
    }
    return list(tables)


def _audit(tx: Transaction, what: str, stream: StreamObject) -> None:
    detail = {
        "id": stream.id,
        "name": stream.name,
        "table": tx.catalog.table(stream.table).name,
        "view": None if stream.view is None else tx.catalog.view(stream.view).name,
        "base": stream.base,
        "capture": stream.capture.value,
        "consumers": stream.sharing.value,
        "initial_rows": stream.initial_rows,
        "rewind": stream.policy.value,
    }
    tx.stage_audit(what, json.dumps(detail, ensure_ascii=False))
