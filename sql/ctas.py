"""CREATE TABLE .. AS a query: a table of the query's columns, filled and consuming in one step."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

import pyarrow as pa

from headwater.consumers import lifecycle
from headwater.consumers.consume import consume_for, first_window
from headwater.consumers.windows import Bounds, Window
from headwater.log_store.catalog import StreamObject, TableObject
from headwater.producer.names import parse, unquoted
from headwater.schemas.tables import ColumnSpec
from headwater.sql.columns import checked
from headwater.sql.consumption import Consumed
from headwater.sql.context import Context
from headwater.sql.ddl_tables import apply_options, spec_of
from headwater.sql.errors import ProgrammingError
from headwater.sql.insert import insert_rows
from headwater.sql.names import found, qualified
from headwater.sql.plans import plan_of
from headwater.sql.results import OutColumn, Result, status
from headwater.sql.select import out_column, run_query
from headwater.sql.statements import CreateTable, Reading
from headwater.sql.uses import stream_uses


def create_table_as(context: Context, statement: CreateTable) -> Result:
    """Create a table from a query; it consumes the streams in it as a target of its own.

    Raises:
        NameTaken, SchemaInvalid, Error: nothing is staged.
    """
    assert statement.query is not None
    name = qualified(context.state, statement.name)
    shown = parse(name).plain
    if statement.if_not_exists and _taken(context, name):
        return status("CREATE TABLE AS", f"{shown} already exists, statement succeeded.")
    specs, key = specs_as(context, statement)
    first = _First(context)
    windows = first.windows(statement)
    shape = [OutColumn(one.name, one.type) for one in specs]
    rows = run_query(context, statement.query, windows, shape=shape)
    # All names are looked up by now: what the query reads may be replaced by what it makes.
    batches = _begun(checked(context, rows.batches))
    table = lifecycle.create_table(context.tx, name, specs, key, or_replace=statement.replace)
    apply_options(context, table, statement.options)
    table = context.tx.catalog.table(table.id)
    first.consume(table)
    done = insert_rows(context, table, range(len(specs)), batches)
    result = status("CREATE TABLE AS", f"Table {shown} successfully created.")
    result.rowcount = done
    return result


def _taken(context: Context, name: str) -> bool:
    catalog, state = context.tx.catalog, context.state
    return any(found(catalog, state, kind, name) is not None for kind in ("table", "view"))


def _begun(batches: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same batches, the first of them read already."""
    first = next(batches, None)
    return iter(()) if first is None else chain([first], batches)


def specs_as(context: Context, statement: CreateTable) -> tuple[list[ColumnSpec], list[str]]:
    """The columns and key of a table made of a query: as declared, else as the query gives them."""
    assert statement.query is not None
    columns = [out_column(out) for out in plan_of(context, statement.query).columns]
    key = [unquoted(part) for part in statement.key]
    if not statement.columns:
        return [ColumnSpec(column.name, column.type) for column in columns], key
    if len(statement.columns) != len(columns):
        raise ProgrammingError(
            f"table {statement.name} declares {len(statement.columns)} columns, the query gives "
            f"{len(columns)}",
            code="E_COLUMN_COUNT",
        )
    specs: list[ColumnSpec] = []
    for declared, given in zip(statement.columns, columns, strict=True):
        typed = declared if declared.type else replace(declared, type=str(given.type))
        specs.append(spec_of(context, typed))
    return specs, key


@dataclass(slots=True, eq=False)
class _Use:
    stream: StreamObject
    reading: Reading
    window: Window


class _First:
    """The streams of a CREATE TABLE AS: looked at before the table is there, consumed after."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._uses: list[_Use] = []

    def windows(self, statement: CreateTable) -> Consumed:
        """What each stream will show to the new table, or to the consumer that it names."""
        assert statement.query is not None
        shown = Consumed()
        for use in stream_uses(self._context, statement.query):
            bounds = Bounds(use.reading.limit_changes, use.reading.upto)
            if use.reading.consumer is None:
                _, window = first_window(self._context.tx, use.stream, bounds)
                self._uses.append(_Use(use.stream, use.reading, window))
            else:
                tx, consumer = self._context.tx, use.reading.consumer
                window = consume_for(tx, use.stream, [consumer], bounds).window
            shown.add(use.stream, use.reading, window)
        return shown

    def consume(self, table: TableObject) -> None:
        """Consume those windows for the table."""
        for use in self._uses:
            bounds = Bounds(use.reading.limit_changes, use.reading.upto)
            made = consume_for(self._context.tx, use.stream, [table], bounds)
            assert made.window == use.window, "a window is fixed within a transaction"
