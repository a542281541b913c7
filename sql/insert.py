"""INSERT INTO one table, from values or a query."""

from collections.abc import Iterable, Sequence
from typing import Final

import pyarrow as pa
from sqlglot import exp

from headwater.log_store.catalog import TableObject
from headwater.producer.values import complete_inner
from headwater.sql.ask import consumed, plan_of, run_query
from headwater.sql.cells import Default, cell
from headwater.sql.columns import checked, chunks, shape_of
from headwater.sql.context import Context
from headwater.sql.errors import ProgrammingError, unsupported
from headwater.sql.names import target_named
from headwater.sql.prepared import Prepared
from headwater.sql.results import Result, counts
from headwater.sql.statements import Insert
from headwater.sql.values import insert_values, naming, positions_of, target_of, values_of


def run(context: Context, statement: Insert) -> Result:
    """Run an INSERT.

    Raises:
        ValueRefused, DuplicateKey, Error: nothing is staged.
    """
    plain = values_of(statement)
    if plain is not None:
        return insert_values(context, plain)
    tree = statement.tree
    of = target_named(context.tx.catalog, context.state, target_of(tree)[0])
    query, positions = _PREPARED.get(statement, of)
    columns = plan_of(context, query).columns
    if len(columns) != len(positions):
        raise wrong_count(of, positions, len(columns))
    windows = consumed(context, query, [of])
    found = run_query(context, query, windows, shape=shape_of(of, positions))
    if tree.args.get("overwrite"):
        # The query reads the rows as they were.
        batches: Iterable[pa.Table] = list(checked(context, found.batches))
        context.tx.truncate(of)
    else:
        batches = checked(context, found.batches)
    return counts("INSERT", rows_inserted=insert_rows(context, of, positions, batches))


def _plan(statement: Insert, of: TableObject) -> tuple[exp.Query, list[int]]:
    refuse_clauses(statement.tree, statement)
    positions = positions_of(of, target_of(statement.tree)[1])
    return _query(statement.tree, of, positions)


_PREPARED: Final = Prepared(_plan)


def insert_rows(
    context: Context, of: TableObject, positions: Sequence[int], batches: Iterable[pa.Table]
) -> int:
    """Insert rows of these columns, in their inner types, batch by batch; returns how many.

    Raises:
        ValueRefused, DuplicateKey: nothing is staged.
    """
    inserting = context.tx.bulk_insert(of)
    done = 0
    for part in batches:
        if not part.num_rows:
            continue
        given = {at: chunks(part, n) for n, at in enumerate(positions)}
        with naming(of):
            whole = complete_inner(context.tx, of, given, part.num_rows, first_row=done)
        inserting.add(whole)
        done += part.num_rows
    return inserting.finish()


def _query(
    tree: exp.Insert, of: TableObject, positions: Sequence[int]
) -> tuple[exp.Query, list[int]]:
    """The query of an INSERT, and which columns it gives: DEFAULT in VALUES gives none."""
    source = tree.expression
    with_ = tree.args.get("with_")
    if isinstance(source, exp.Values):
        source, kept = _of_values(source, of, positions)
    elif isinstance(source, exp.Query):
        source, kept = source.copy(), list(positions)
    else:
        raise ProgrammingError("an INSERT takes VALUES or a query", code="E_SQL_SYNTAX")
    if with_ is not None:
        source.set("with_", with_.copy())
    return source, kept


def _of_values(
    values: exp.Values, of: TableObject, positions: Sequence[int]
) -> tuple[exp.Query, list[int]]:
    """Rows of expressions as a query: a UNION ALL of rows, less the columns that are DEFAULT."""
    rows = [row.expressions if isinstance(row, exp.Tuple) else [row] for row in values.expressions]
    for number, row in enumerate(rows):
        if len(row) != len(positions):
            raise wrong_count(of, positions, len(row), number)
    defaults = [[isinstance(cell(node), Default) for node in row] for row in rows]
    left_out = [at for at in range(len(positions)) if any(row[at] for row in defaults)]
    if any(not row[at] for row in defaults for at in left_out):
        raise unsupported(
            "DEFAULT for some rows of a column beside expressions in others is not there: "
            "insert those rows with a statement of their own"
        )
    kept = [at for at in range(len(positions)) if at not in left_out]
    selects = [exp.select(*(row[at].copy() for at in kept)) for row in rows]
    query: exp.Query = selects[0]
    if len(selects) > 1:
        query = exp.union(*selects, distinct=False)
    return query, [positions[at] for at in kept]


def wrong_count(
    of: TableObject, positions: Sequence[int], given: int, row: int = 0
) -> ProgrammingError:
    """The error that a query gives another number of columns than the target takes."""
    names = ", ".join(of.schema.columns[at].name for at in positions)
    return ProgrammingError(
        f"the query gives {given} columns for {len(positions)} of table {of.name} ({names})",
        code="E_COLUMN_COUNT",
        fields={"table": of.name, "given": given, "wanted": len(positions), "row": row},
    )


_KNOWN = frozenset({"this", "expression", "with_", "overwrite"})


def refuse_clauses(tree: exp.Expr, statement: Insert) -> None:
    """Refuse what other systems let an INSERT say.

    Raises:
        NotSupportedError: names the clause.
    """
    for name, value in tree.args.items():
        if value and name not in _KNOWN:
            raise unsupported(f"INSERT .. {name.strip('_').upper()} is not there", statement.place)
