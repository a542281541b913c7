"""Cloning a table: a new table at version 0 whose first change is the rows of the old one."""

from collections.abc import Mapping
from dataclasses import replace

from headwater.log_store.catalog import CatalogEvent, TableObject
from headwater.log_store.state import snapshot
from headwater.producer.ddl import place_table
from headwater.producer.names import parse
from headwater.producer.transaction import Transaction


def clone_table(
    tx: Transaction,
    name: str,
    source: TableObject,
    *,
    version: int | None = None,
    seeds: Mapping[int, int] | None = None,
) -> TableObject:
    """A table under a free name with the rows of another, as of a version or as they are now.

    It starts at version 0 and has the rows as version 1, under their old row ids and in the
    source's current schema. `seeds` are the watermarks, by stream, that the source had as a
    consumer at that place; they lie dormant in the clone.

    Raises:
        NameTaken: a live table has the name. Nothing is staged.
        OutsideHistory: that version is not kept. Nothing is staged.
    """
    current = tx.catalog.table(source.id)
    # What cannot be read is found out before anything is staged.
    past = None if version is None else snapshot(tx.view, source.id, version)
    schema = replace(current.schema, number=1)
    table = place_table(tx, parse(name), schema, template=current)
    if seeds:
        tx.stage_catalog(CatalogEvent(replace(table, seeds=dict(seeds))))
        table = tx.catalog.table(table.id)
    inserting = tx.bulk_insert(table)
    if past is None:
        for part in tx.parts(source):
            inserting.add_images(part.images, part.keys, part.row_ids)
    else:
        inserting.add(past.in_schema(current.schema).data, past.row_ids)
    inserting.finish()
    _carry_numbers(tx, source, table, version)
    return table


def _carry_numbers(
    tx: Transaction, source: TableObject, table: TableObject, version: int | None
) -> None:
    """Let AUTOINCREMENT go on where the source's had come to."""
    if tx.view.catalog.get("table", source.id) is not None:
        head = tx.view.head(source.id).version
        row = tx.view.version(source.id, head if version is None else version)
        if row is not None:
            tx.raise_numbers(table, row.autos)
    if version is None:
        tx.raise_numbers(table, tx.numbers(source))
