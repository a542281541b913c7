"""Definitions as statements of a transaction: tables, columns and schemas.

Each function stages catalog events and nothing else; they take effect with the commit, which
conflicts with every concurrent commit to a table they touch. What a definition means for streams
and their consumers is staged by the consumers room in the same transaction.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, count, islice

from headwater.log_store.catalog import AvroSchema, Catalog, CatalogEvent, Namespace, TableObject
from headwater.log_store.registry import RegistryConflict
from headwater.log_store.sequencing import PUBLIC
from headwater.producer.errors import NameInvalid, NameTaken, NotEmpty, NotFound
from headwater.producer.names import Name, namespace_of, parse
from headwater.producer.transaction import Transaction
from headwater.schemas import evolve
from headwater.schemas.avro import canonical, key_schema, value_schema
from headwater.schemas.registry import subject_of
from headwater.schemas.tables import ColumnSpec, TableSchema, TableSpec
from headwater.schemas.types import SqlType

_NOT_IN_A_TOPIC = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_TOPIC = 240
_TOPICS_TRIED = 16


def create_table(
    tx: Transaction,
    name: str,
    specs: TableSpec,
    key: Sequence[str] = (),
    *,
    if_not_exists: bool = False,
    or_replace: bool = False,
) -> TableObject:
    """A new table at version 0, or with `if_not_exists` the one that has the name.

    `or_replace` drops the one that has the name; it can still be undropped under another.

    Raises:
        NameTaken, NotFound: the name is taken, or its schema is not there. Nothing is staged.
        SchemaInvalid, ValueRefused: the columns contradict themselves. Nothing is staged.
    """
    parsed = parse(name)
    namespace = namespace_of(tx.catalog, parsed)
    old = tx.catalog.relation(namespace, parsed.text)
    if isinstance(old, TableObject) and if_not_exists and not or_replace:
        return old
    if old is not None and not (or_replace and isinstance(old, TableObject)):
        raise NameTaken(old.kind, parsed.plain)
    schema = evolve.new_schema(specs, key)
    if isinstance(old, TableObject):
        drop_table(tx, old)
    return place_table(tx, parsed, schema)


def place_table(
    tx: Transaction, name: Name, schema: TableSchema, template: TableObject | None = None
) -> TableObject:
    """Stage a table of that schema under a free name; a clone keeps its template's settings.

    Raises:
        NameTaken: a live table or view has the name. Nothing is staged.
    """
    namespace = namespace_of(tx.catalog, name)
    if (old := tx.catalog.relation(namespace, name.text)) is not None:
        raise NameTaken(old.kind, name.plain)
    tx.depend_on("schema", namespace)
    topic, first = _placed(tx, namespace, name.plain, schema)
    table = TableObject(
        id=tx.log.reserve_object_ids(1),
        namespace=namespace,
        name=name.plain,
        topic=topic,
        generations=(first,),
        retention_s=None if template is None else template.retention_s,
        comment="" if template is None else template.comment,
    )
    tx.stage_catalog(CatalogEvent(table))
    _audit(tx, "create table", table)
    return tx.catalog.table(table.id)


def drop_table(tx: Transaction, table: TableObject) -> TableObject:
    """Drop a table; its events stay, and so does what `undrop_table` needs.

    Raises:
        NotFound: it is dropped already. AlterAfterWrite: it has changes of this transaction.
    """
    dropped = replace(_live(tx, table), dropped_at=0)
    return _altered(tx, dropped, "drop table")


def undrop_table(tx: Transaction, name: str) -> TableObject:
    """Bring back the table that was dropped last under that name.

    Raises:
        NotFound: none was. NameTaken: a live table has the name. Nothing is staged.
    """
    parsed = parse(name)
    namespace = namespace_of(tx.catalog, parsed)
    plain, exact = parsed.plain, parsed.plain != parsed.text
    found = [
        table
        for table in tx.catalog.all("table")
        if isinstance(table, TableObject)
        and table.dropped_at is not None
        and table.namespace == namespace
        and (table.name == plain if exact else table.name.lower() == plain.lower())
    ]
    if not found:
        raise NotFound("dropped table", name)
    # 0 waits for this very commit: that is the latest of all.
    last = max(found, key=lambda table: (table.dropped_at == 0, table.dropped_at or 0, table.id))
    back = replace(last, dropped_at=None, dropped_us=None)
    return _altered(tx, back, "undrop table")


def rename_table(tx: Transaction, table: TableObject, new_name: str) -> TableObject:
    """Give a table another name, in another schema if the name says one; its topic stays.

    Raises:
        NameTaken, NotFound: the name is taken, or its schema is not there. Nothing is staged.
    """
    current, parsed = _live(tx, table), parse(new_name)
    namespace = namespace_of(tx.catalog, parsed) if parsed.schema else current.namespace
    tx.depend_on("schema", namespace)
    return _altered(tx, replace(current, name=parsed.plain, namespace=namespace), "rename table")


def swap_tables(tx: Transaction, one: TableObject, other: TableObject) -> None:
    """Exchange the names of two tables in one step.

    Raises:
        NotFound: one is dropped. AlterAfterWrite: one has changes of this transaction.
    """
    first, second = _live(tx, one), _live(tx, other)
    if first.id == second.id:
        return
    swapped = (
        replace(first, name=second.name, namespace=second.namespace),
        replace(second, name=first.name, namespace=first.namespace),
    )
    tx.stage_catalog(*(CatalogEvent(table) for table in swapped))
    for table in swapped:
        _audit(tx, "swap tables", table)


def describe_table(tx: Transaction, table: TableObject, comment: str) -> TableObject:
    """Set a table's comment."""
    return _altered(tx, replace(_live(tx, table), comment=comment), "comment on table")


def retain_table(tx: Transaction, table: TableObject, retention_s: int | None) -> TableObject:
    """Set how many seconds of history a table keeps by itself; None keeps all."""
    return _altered(tx, replace(_live(tx, table), retention_s=retention_s), "set retention")


def add_column(tx: Transaction, table: TableObject, spec: ColumnSpec) -> TableObject:
    """Add a column at the end; its default is what older rows show.

    Raises:
        Incompatible, SchemaInvalid, ValueRefused: it cannot be added. Nothing is staged.
        AlterAfterWrite: the table has changes of this transaction.
    """
    current = _live(tx, table)
    return _evolved(tx, current, evolve.add_column(current.schema, spec), "add column")


def drop_column(tx: Transaction, table: TableObject, name: str) -> TableObject:
    """Drop a column; old events keep it and nobody sees it.

    Raises:
        Incompatible, SchemaInvalid: it cannot be dropped, or is not there. Nothing is staged.
        AlterAfterWrite: the table has changes of this transaction.
    """
    current = _live(tx, table)
    return _evolved(tx, current, evolve.drop_column(current.schema, name), "drop column")


def rename_column(tx: Transaction, table: TableObject, name: str, new_name: str) -> TableObject:
    """Rename a column; it stays the same column.

    Raises:
        SchemaInvalid: it is not there, or the new name is taken. Nothing is staged.
        AlterAfterWrite: the table has changes of this transaction.
    """
    current = _live(tx, table)
    schema = evolve.rename_column(current.schema, name, new_name)
    return _evolved(tx, current, schema, "rename column")


def widen_column(tx: Transaction, table: TableObject, name: str, type_: SqlType) -> TableObject:
    """Widen a column's type: within the INT family, or a greater length.

    Raises:
        Incompatible, SchemaInvalid: any other change, or no such column. Nothing is staged.
        AlterAfterWrite: the table has changes of this transaction.
    """
    current = _live(tx, table)
    schema = evolve.widen_column(current.schema, name, type_)
    return _evolved(tx, current, schema, "widen column")


def comment_column(tx: Transaction, table: TableObject, name: str, comment: str) -> TableObject:
    """Set a column's comment; its values and events stay as they are.

    Raises:
        SchemaInvalid: it is not there. Nothing is staged.
        AlterAfterWrite: the table has changes of this transaction.
    """
    current = _live(tx, table)
    schema = evolve.comment_column(current.schema, name, comment)
    altered = replace(current, generations=(*current.generations[:-1], schema))
    return _altered(tx, altered, "comment on column")


def create_namespace(tx: Transaction, name: str, *, if_not_exists: bool = False) -> Namespace:
    """A new schema, or with `if_not_exists` the one that has the name.

    Raises:
        NameTaken: a schema has the name. Nothing is staged.
    """
    parsed = parse(name)
    if parsed.schema:
        raise NameInvalid(name, "a schema's name has one part")
    old = tx.catalog.find("schema", 0, parsed.text)
    if isinstance(old, Namespace) and if_not_exists:
        return old
    made = Namespace(id=tx.log.reserve_object_ids(1), name=parsed.plain)
    tx.stage_catalog(CatalogEvent(made))
    _audit(tx, "create schema", made)
    return made


def drop_namespace(tx: Transaction, name: str) -> None:
    """Drop an empty schema.

    Raises:
        NotFound: there is none. NotEmpty: it holds tables, views or streams. Nothing is staged.
    """
    found = tx.catalog.find("schema", 0, parse(name).text)
    if not isinstance(found, Namespace):
        raise NotFound("schema", name)
    if found.id == PUBLIC:
        raise NameInvalid(name, "the schema every store begins with cannot be dropped")
    holds = _holds(tx.catalog, found.id)
    if holds:
        raise NotEmpty(found.name, holds)
    dropped = replace(found, dropped_at=0)
    tx.stage_catalog(CatalogEvent(dropped))
    _audit(tx, "drop schema", dropped)


def registered(tx: Transaction, topic: str, schema: TableSchema) -> TableSchema:
    """The schema with the registry's ids of its value and key, staged where they are new.

    Raises:
        Incompatible: readers of the topic's older events could not live with it.
        RegistryUnavailable, RegistryRefused: a foreign registry gives no id. Nothing is staged.
    """
    value = _register(tx, subject_of(topic, key=False), canonical(value_schema(topic, schema)))
    key = _register(tx, subject_of(topic, key=True), canonical(key_schema(topic, schema)))
    return replace(schema, schema_id=value, key_schema_id=key)


def _register(tx: Transaction, subject: str, text: str) -> int:
    known = (value for value in tx.catalog.all("avro") if isinstance(value, AvroSchema))
    registry = tx.log.registry
    entry = registry.register(known, subject, text)
    if entry.new:
        new = AvroSchema(
            id=entry.id,
            subject=subject,
            version=entry.version,
            text=text,
            foreign=registry.foreign,
        )
        tx.stage_catalog(CatalogEvent(new))
    return entry.id


def _live(tx: Transaction, table: TableObject) -> TableObject:
    """The table as it stands in this transaction."""
    current = tx.catalog.table(table.id)
    if current.dropped_at is not None:
        raise NotFound("table", current.name, "it was dropped")
    return current


def _altered(tx: Transaction, table: TableObject, what: str) -> TableObject:
    tx.stage_catalog(CatalogEvent(table))
    _audit(tx, what, table)
    return tx.catalog.table(table.id)


def _evolved(tx: Transaction, table: TableObject, schema: TableSchema, what: str) -> TableObject:
    new = registered(tx, table.topic, schema)
    return _altered(tx, replace(table, generations=(*table.generations, new)), what)


def _audit(tx: Transaction, what: str, value: TableObject | Namespace) -> None:
    detail: dict[str, str | int | list[str]] = {"id": value.id, "name": value.name}
    if isinstance(value, TableObject):
        detail["columns"] = [f"{one.name} {one.type}" for one in value.schema.columns]
    tx.stage_audit(what, json.dumps(detail, ensure_ascii=False))


def _placed(
    tx: Transaction, namespace: int, name: str, schema: TableSchema
) -> tuple[str, TableSchema]:
    """A topic that no table has ever had, and the schema as it is registered for it.

    A foreign registry may remember other schemas of a topic that is long gone, or whose table was
    never committed: then the next name is taken.
    """
    refused: RegistryConflict | None = None
    for topic in islice(_free_topics(tx, namespace, name), _TOPICS_TRIED):
        try:
            return topic, registered(tx, topic, schema)
        except RegistryConflict as error:
            refused = error
    assert refused is not None, "topics' names do not run out"
    raise refused


def _free_topics(tx: Transaction, namespace: int, name: str) -> Iterator[str]:
    """Topics that no table has ever had, the best name first."""
    schema = tx.catalog.get("schema", namespace)
    assert isinstance(schema, Namespace)
    parts = [_NOT_IN_A_TOPIC.sub("_", part) for part in (schema.name, name)]
    wanted = ".".join([tx.log.name, *parts])[:_LONGEST_TOPIC]
    used = {table.topic for table in tx.catalog.all("table") if isinstance(table, TableObject)}
    names = chain([wanted], (f"{wanted}.{number}" for number in count(2)))
    return (free for free in names if free not in used and tx.log.topic_is_free(free))


def _holds(catalog: Catalog, namespace: int) -> list[str]:
    tables = [f"table {one.name}" for one in catalog.tables() if one.namespace == namespace]
    views = [f"view {one.name}" for one in catalog.views() if one.namespace == namespace]
    streams = [f"stream {one.name}" for one in catalog.streams() if one.namespace == namespace]
    return tables + views + streams
