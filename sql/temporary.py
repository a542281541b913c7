"""TEMPORARY tables in statements: made, filled and dropped by one session, seen by it alone.

SELECT, INSERT, UPDATE, DELETE, MERGE, TRUNCATE and COPY take them as any table, before one of the
same name that all see. They have no history, no streams and no definitions that change.
"""

from collections.abc import Sequence

import pyarrow as pa

from headwater.log_store.catalog import TableObject
from headwater.producer.names import parse, unquoted
from headwater.schemas import evolve
from headwater.schemas.tables import ColumnSpec, TableSchema
from headwater.sql.ask import consumed, run_query
from headwater.sql.context import Context
from headwater.sql.ddl_tables import spec_of, specs_of
from headwater.sql.errors import unsupported
from headwater.sql.insert import insert_rows
from headwater.sql.names import qualified, target_named, temporary_named
from headwater.sql.results import OutColumn, Result, status
from headwater.sql.statements import CreateTable, Drop


def create(context: Context, statement: CreateTable) -> Result:
    """CREATE TEMPORARY TABLE with columns, LIKE, CLONE or AS a query.

    Raises:
        NameTaken, SchemaInvalid, Error: nothing is made.
    """
    own, name = context.state.temporaries, qualified(context.state, statement.name)
    shown = parse(name).plain
    if statement.topic is not None or statement.at is not None:
        raise unsupported("a TEMPORARY table is made of columns, a query or a table as it is")
    if statement.if_not_exists and own.find(name) is not None:
        return status("CREATE TABLE", f"{shown} already exists, statement succeeded.")
    own.join(context.tx)
    saved = own.save()
    specs, key = _shape(context, statement)
    schema = evolve.new_schema(specs, key)
    # Read before the table is there: it may replace what it is made of.
    rows = _rows(context, statement, specs, schema)
    table = own.create(context.tx, name, schema, or_replace=statement.replace)
    result = status("CREATE TABLE", f"Table {shown} successfully created.")
    try:
        done = insert_rows(context, table, range(len(specs)), rows)
    except BaseException:
        # What joined the transaction within this statement is not undone with it.
        own.restore(saved, context.tx)
        raise
    result.rowcount = done if statement.query is not None else 0
    return result


def _shape(context: Context, statement: CreateTable) -> tuple[list[ColumnSpec], list[str]]:
    source = statement.like or statement.clone
    if statement.query is not None:
        from headwater.sql.ctas import specs_as

        return specs_as(context, statement)
    if source is not None:
        return specs_of(target_named(context.tx.catalog, context.state, source).schema)
    specs = [spec_of(context, column) for column in statement.columns]
    return specs, [unquoted(part) for part in statement.key]


def _rows(
    context: Context, statement: CreateTable, specs: Sequence[ColumnSpec], schema: TableSchema
) -> list[pa.Table]:
    if statement.clone is not None:
        source = target_named(context.tx.catalog, context.state, statement.clone)
        return [context.tx.scan(source, cache=context.store.cache).data]
    if statement.query is None:
        return []
    # As streams know a TEMPORARY table: by an id that no catalog has.
    plain = parse(statement.name).plain
    target = TableObject(id=-1, namespace=0, name=plain, topic="", generations=(schema,))
    windows = consumed(context, statement.query, [target])
    shape = [OutColumn(one.name, one.type) for one in specs]
    return list(run_query(context, statement.query, windows, shape=shape).batches)


def drop(context: Context, statement: Drop) -> Result | None:
    """DROP TABLE of a TEMPORARY table; None if the name means none."""
    if statement.kind != "TABLE":
        return None
    table = temporary_named(context.state, statement.name)
    if table is None:
        return None
    context.state.temporaries.join(context.tx)
    context.state.temporaries.drop(context.tx, table)
    return status("DROP TABLE", f"{table.name} successfully dropped.")


def refuse(context: Context, name: str, what: str) -> None:
    """Refuse what a TEMPORARY table cannot do, if the name means one.

    Raises:
        NotSupportedError: it does.
    """
    if temporary_named(context.state, name) is not None:
        raise unsupported(f"{what} of a TEMPORARY table is not there: make another one")
