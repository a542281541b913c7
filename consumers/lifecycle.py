"""How consumers come and go: by name, and with the tables that they are.

A TABLE consumer is bound to its target's id: rename and swap carry it, DROP retires it, UNDROP
brings it back, OR REPLACE makes another table and so another consumer. Tables are therefore
created, dropped and cloned through here; renames and swaps need nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from headwater.consumers.errors import ConsumerRefused, SharedRefuses
from headwater.consumers.group_consumers import check_stream, write_groups
from headwater.consumers.group_notes import note_of
from headwater.consumers.positions import AtTime, Mark, Position, horizon, version_of
from headwater.consumers.registration import (
    Directory,
    check_readable,
    find_consumer,
    name_of,
    new_consumer,
    position_in,
    register,
)
from headwater.consumers.windows import start_of
from headwater.log_store.catalog import (
    Catalog,
    CatalogEvent,
    ConsumerKind,
    ConsumerObject,
    Sharing,
    StreamObject,
    TableObject,
)
from headwater.log_store.errors import GroupActive, OutsideHistory
from headwater.log_store.port import View
from headwater.producer import ddl
from headwater.producer.ddl_clone import clone_table as clone_rows
from headwater.producer.transaction import Transaction
from headwater.schemas.tables import TableSpec


def add_consumer(
    tx: Transaction,
    stream: StreamObject,
    reader: TableObject | Directory | str,
    at: Position = Mark.BASE,
    *,
    kind: ConsumerKind = ConsumerKind.CLIENT,
) -> ConsumerObject:
    """Register a consumer before its first use: a table's, a directory's, or a program's by name.

    BASE is where a first use would start (INITIAL with initial rows); HORIZON the lowest place
    from the base on whose history is kept.

    Raises:
        SharedRefuses: the stream is SHARED. ConsumerTaken: it has one of that name.
        ConsumerRefused: a GROUP, which only a stream that captures ALL, without initial rows, on
            a table of a Kafka store can have, and only while nobody is in it.
        OutsideHistory: the place is below the base or above the head. Nothing is staged.
    """
    stream = tx.catalog.stream(stream.id)
    check_readable(tx.catalog, stream)
    name = reader.name if isinstance(reader, TableObject) else str(reader)
    if stream.sharing is Sharing.SHARED:
        raise SharedRefuses(stream.name, f"ADD CONSUMER {name}")
    if kind is ConsumerKind.GROUP:
        return _add_group(tx, stream, name, at)
    start = _start(tx, stream, at)
    consumer = register(tx, stream, new_consumer(tx, stream, reader), start)
    if isinstance(reader, TableObject):
        tx.depend_on("table", reader.id)
    _audit(tx, "add consumer", consumer)
    return tx.catalog.consumer(consumer.id)


def _add_group(tx: Transaction, stream: StreamObject, name: str, at: Position) -> ConsumerObject:
    """Register a Kafka group, whose offset is the start from here on."""
    groups = check_stream(tx, stream, name)
    start = _start(tx, stream, at)
    wanted = replace(new_consumer(tx, stream, name), reader=ConsumerKind.GROUP)
    note = note_of(groups.offset(stream.table, start))
    consumer = register(tx, stream, wanted, start, note)
    _audit(tx, "add consumer", consumer)
    # The last step: nothing of the statement can fail once the group is moved.
    try:
        write_groups(tx, [(consumer, start)])
    except GroupActive as active:
        raise ConsumerRefused(stream.name, name, f"cannot be registered: {active}") from active
    return tx.catalog.consumer(consumer.id)


def _start(tx: Transaction, stream: StreamObject, at: Position) -> int:
    if at in (Mark.BASE, Mark.INITIAL):
        if at is Mark.INITIAL and not stream.initial_rows:
            raise OutsideHistory(f"stream {stream.name} shows no initial rows: start at the base")
        return start_of(stream)
    if tx.view.catalog.get("table", stream.table) is None:
        return stream.base
    if at is Mark.HORIZON:
        return max(stream.base, horizon(tx.view, stream.table))
    found = version_of(tx.view, tx.view.catalog.table(stream.table), at)
    if found < stream.base:
        raise OutsideHistory(
            f"stream {stream.name} starts at v{stream.base}, its base: v{found} is not in it"
        )
    return found


def drop_consumer(tx: Transaction, stream: StreamObject, name: str) -> ConsumerObject:
    """Retire a consumer: it pins no history any more; its moves stay on record.

    Raises:
        ConsumerUnknown: the stream has none of that name. Nothing is staged.
    """
    consumer = find_consumer(tx.catalog, tx.catalog.stream(stream.id), name)
    _audit(tx, "drop consumer", consumer)
    tx.stage_catalog(CatalogEvent(replace(consumer, retired_at=0)))
    return consumer


def create_table(
    tx: Transaction,
    name: str,
    specs: TableSpec,
    key: Sequence[str] = (),
    *,
    if_not_exists: bool = False,
    or_replace: bool = False,
) -> TableObject:
    """A new table, see `ddl.create_table`; one that it replaces is no consumer any more."""
    before = {table.id for table in tx.catalog.tables()}
    made = ddl.create_table(
        tx, name, specs, key, if_not_exists=if_not_exists, or_replace=or_replace
    )
    for gone in before - {table.id for table in tx.catalog.tables()}:
        _retire(tx, gone)
    return made


def drop_table(tx: Transaction, table: TableObject) -> TableObject:
    """Drop a table, see `ddl.drop_table`: streams on it are stale, the consumer it was retires."""
    dropped = ddl.drop_table(tx, table)
    _retire(tx, table.id)
    return dropped


def _retire(tx: Transaction, target: int) -> None:
    for consumer in consumers_into(tx.catalog, target):
        if consumer.retired_at is None:
            tx.stage_catalog(CatalogEvent(replace(consumer, retired_at=0)))


def undrop_table(tx: Transaction, name: str) -> TableObject:
    """Bring a table back, see `ddl.undrop_table`, as the consumer that it was when it fell."""
    before = tx.catalog
    table = ddl.undrop_table(tx, name)
    fell = before.table(table.id).dropped_at
    for consumer in consumers_into(before, table.id):
        if consumer.retired_at == fell and before.stream(consumer.stream).dropped_at is None:
            tx.stage_catalog(CatalogEvent(replace(consumer, retired_at=None)))
    return table


def clone_table(
    tx: Transaction, name: str, source: TableObject, at: Position | None = None
) -> TableObject:
    """A table with another's rows, see `ddl_clone.clone_table`.

    What the original had consumed at the cloned place lies dormant in it: its own first
    consumption of a stream starts there.

    Raises:
        OutsideHistory: the place is not kept. Nothing is staged.
    """
    if at is None or tx.view.catalog.get("table", source.id) is None:
        seeds = dict(source.seeds)
        for consumer in consumers_into(tx.catalog, source.id):
            if consumer.retired_at is None:
                seeds[consumer.stream] = position_in(tx, consumer)
        return clone_rows(tx, name, source, seeds=seeds)
    version = version_of(tx.view, source, at)
    return clone_rows(
        tx, name, source, version=version, seeds=seeds_at(tx.view, source, _place(tx, source, at))
    )


def _place(tx: Transaction, source: TableObject, at: Position) -> int:
    """The place in the commit sequence that is cloned: the last one at which that version stood."""
    if isinstance(at, AtTime):
        return tx.view.sequence_at(at.time_us)
    after = tx.view.version(source.id, version_of(tx.view, source, at) + 1)
    return tx.view.sequence if after is None else after.sequence - 1


def seeds_at(view: View, table: TableObject, place: int) -> dict[int, int]:
    """A table's watermarks by stream at a place in the commit sequence, dormant ones included."""
    seeds = dict(table.seeds)
    for consumer in consumers_into(view.catalog, table.id):
        retired = consumer.retired_at
        if retired is not None and retired <= place:
            continue
        for commit, moved in view.moves(consumer.id):
            if commit.sequence > place:
                break
            seeds[consumer.stream] = moved.move.end
    return seeds


def consumers_into(catalog: Catalog, target: int) -> list[ConsumerObject]:
    """Every consumer that a table is or was, retired ones too."""
    return [
        value
        for value in catalog.all("consumer")
        if isinstance(value, ConsumerObject) and value.target == target
    ]


def _audit(tx: Transaction, what: str, consumer: ConsumerObject) -> None:
    detail = {
        "id": consumer.id,
        "name": name_of(tx.catalog, consumer),
        "kind": consumer.reader.value,
        "stream": tx.catalog.stream(consumer.stream).name,
    }
    tx.stage_audit(what, json.dumps(detail, ensure_ascii=False))
