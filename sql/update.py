"""UPDATE .. SET .. [FROM ..] [WHERE ..]: one query that gives row ids and new values."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
from sqlglot import exp

from headwater.log_store.catalog import TableObject
from headwater.producer.errors import RowTwice
from headwater.producer.keyhash import I64
from headwater.producer.values import complete_inner, default_column
from headwater.schemas.values import from_plain
from headwater.sql.ask import consumed, run_query
from headwater.sql.cells import Default, cell
from headwater.sql.columns import (
    ROW_ID,
    checked,
    chunks,
    numbers,
    picked,
    shape_of,
    sorted_rows,
    whole_rows,
)
from headwater.sql.context import Context
from headwater.sql.errors import ProgrammingError, unsupported
from headwater.sql.keyed import update_by_key
from headwater.sql.names import target_named
from headwater.sql.prepared import Prepared
from headwater.sql.results import Result, counts
from headwater.sql.settings import is_on
from headwater.sql.statements import Update
from headwater.sql.targets import crossed, own_column, row_id_of, target_reference
from headwater.sql.values import name_of, naming, position

if TYPE_CHECKING:
    from headwater.sql.consumption import Consumed

PARAMETER: Final = "ERROR_ON_NONDETERMINISTIC_UPDATE"


@dataclass(frozen=True, slots=True)
class Sets:
    """Which columns are set, by position: those by an expression, those to their DEFAULT."""

    given: tuple[int, ...]
    values: tuple[exp.Expr, ...]
    defaults: tuple[int, ...]


def run(context: Context, statement: Update) -> Result:
    """Run an UPDATE.

    Raises:
        ValueRefused, DuplicateKey, Error: nothing is staged.
    """
    quick = update_by_key(context, statement)
    if quick is not None:
        return quick
    of = target_named(context.tx.catalog, context.state, name_in(statement.tree.this))
    plan = _PREPARED.get(statement, of)
    windows = consumed(context, plan.query, [of])
    shape = [ROW_ID, *shape_of(of, plan.sets.given)]
    found = run_query(context, plan.query, windows, shape=shape)
    batches = checked(context, found.batches)
    if not plan.joined:
        return _counted(update_rows(context, of, plan.sets, batches), 0)
    return _joined(context, of, plan.sets, batches, windows)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What an UPDATE says of its target, and the query that gives row ids and new values."""

    sets: Sets
    query: exp.Select
    joined: bool


def _plan(statement: Update, of: TableObject) -> _Plan:
    tree = statement.tree
    target = target_reference(tree.this)
    sets = sets_of(of, tree.expressions, target.alias)
    source = tree.args.get("from_")
    query = exp.select(row_id_of(target), *(_named(n, v) for n, v in enumerate(sets.values)))
    query = crossed(query, target, None if source is None else [source.this])
    for clause in ("where", "with_"):
        if tree.args.get(clause) is not None:
            query.set(clause, tree.args[clause].copy())
    return _Plan(sets, query, source is not None)


_PREPARED: Final = Prepared(_plan)


def name_in(table: exp.Expr) -> str:
    """The name of a statement's target.

    Raises:
        NotSupportedError: it is no table.
    """
    if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier):
        raise unsupported("a statement changes the rows of a table, named here")
    return name_of(table)


def sets_of(of: TableObject, nodes: Sequence[exp.Expr], alias: str) -> Sets:
    """The SET clause, checked against the table.

    Raises:
        NotFound: a column that the table lacks. ProgrammingError: one is set twice.
    """
    found: dict[int, exp.Expr | None] = {}
    for node in nodes:
        if not isinstance(node, exp.EQ) or not isinstance(node.this, exp.Column):
            raise unsupported(f"SET {node.sql(dialect='snowflake')} is not there: set columns")
        at = position(of, own_column(node.this, alias, of.name))
        if at in found:
            name = of.schema.columns[at].name
            raise ProgrammingError(
                f"column {name} of table {of.name} is set twice", code="E_SQL_COLUMN_TWICE"
            )
        found[at] = None if isinstance(cell(node.expression), Default) else node.expression
    given = {at: value for at, value in found.items() if value is not None}
    defaults = tuple(at for at in found if at not in given)
    return Sets(tuple(given), tuple(given.values()), defaults)


def _named(number: int, value: exp.Expr) -> exp.Expr:
    return exp.alias_(value.copy(), f"__HW_SET_{number}")


def update_rows(context: Context, of: TableObject, sets: Sets, batches: Iterator[pa.Table]) -> int:
    """Give rows new values, batch by batch: row ids first, then the set columns.

    Raises:
        RowTwice, ValueRefused, DuplicateKey: nothing is staged.
    """
    parts = (changed_part(context, of, sets, part) for part in batches if part.num_rows)
    return context.tx.update_columns(of, parts)


def changed_part(
    context: Context, of: TableObject, sets: Sets, part: pa.Table
) -> tuple[I64, pa.Table]:
    """The row ids of one batch and their whole rows as they are to become."""
    row_ids = numbers(part, 0)
    given = {at: chunks(part, 1 + n) for n, at in enumerate(sets.given)}
    for at in sets.defaults:
        given[at] = default_column(context.tx, of, at, part.num_rows)
    kept = [at for at in range(len(of.schema.columns)) if at not in given]
    old = whole_rows(context, of, row_ids, kept)
    given |= {at: chunks(old, n) for n, at in enumerate(kept)}
    with naming(of):
        return row_ids, complete_inner(context.tx, of, given, part.num_rows)


def _joined(
    context: Context, of: TableObject, sets: Sets, batches: Iterator[pa.Table], windows: "Consumed"
) -> Result:
    """An UPDATE .. FROM: several source rows for one row are an error, or one of them is taken."""
    if is_on(context, PARAMETER):
        try:
            return _counted(update_rows(context, of, sets, batches), 0)
        except RowTwice as twice:
            raise several(context, of, twice.row_id, windows, "UPDATE") from twice
    found = list(batches)
    if not found:
        return _counted(0, 0)
    chosen, repeated = last_of_each(pa.concat_tables(found))
    return _counted(update_rows(context, of, sets, iter([chosen])), repeated)


def last_of_each(rows: pa.Table) -> tuple[pa.Table, int]:
    """One row for each row id, the greatest by its values, and how many ids had several.

    The choice does not depend on the order in which the rows came.
    """
    ordered = sorted_rows(rows)
    row_ids = numbers(ordered, 0)
    last = np.ones(len(row_ids), np.bool_)
    last[:-1] = row_ids[1:] != row_ids[:-1]
    repeated = len(np.unique(row_ids[~last]))
    return picked(ordered, last), repeated


def several(
    context: Context, of: TableObject, row_id: int, windows: "Consumed", verb: str
) -> ProgrammingError:
    """The error that several source rows want to change one row of the target."""
    said = (
        f"{verb} {of.name}: several source rows change {_which(context, of, row_id)}, so what it "
        "becomes is not determined: make the source have one row for each"
    )
    if windows.repeating:
        names = ", ".join(windows.repeating)
        said += (
            f"; stream {names} captures ALL changes and shows a row once for each: with CHANGES "
            "CAPTURE NET it shows the net change"
        )
    said += f"; ERROR_ON_NONDETERMINISTIC_{verb} = FALSE takes one of them"
    return ProgrammingError(
        said, code="E_NONDETERMINISTIC", fields={"table": of.name, "row_id": row_id}
    )


def _which(context: Context, of: TableObject, row_id: int) -> str:
    """A row as an error names it: by its key where it has one."""
    row = context.tx.row(of, row_id)
    if row is None or not of.schema.key:
        return f"the row with id {row_id}"
    columns = [(of.schema.columns[at], row[at]) for at in of.schema.key_positions]
    return "the row with " + ", ".join(
        f"{column.name} = {from_plain(column.type, value)!r}" for column, value in columns
    )


def _counted(rows: int, repeated: int) -> Result:
    return counts("UPDATE", rows_updated=rows, multi_joined_rows_updated=repeated)
