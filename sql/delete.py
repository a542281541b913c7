"""DELETE FROM .. [USING ..] [WHERE ..], and TRUNCATE."""

from typing import Final

import numpy as np
from sqlglot import exp

from headwater.log_store.catalog import TableObject
from headwater.sql.ask import consumed, run_query
from headwater.sql.columns import ROW_ID, checked, numbers
from headwater.sql.context import Context
from headwater.sql.keyed import delete_by_key
from headwater.sql.names import found, target_named, temporary_named
from headwater.sql.prepared import Prepared
from headwater.sql.results import Result, counts, status
from headwater.sql.statements import Delete, Truncate
from headwater.sql.targets import crossed, row_id_of, target_reference
from headwater.sql.update import name_in


def run(context: Context, statement: Delete) -> Result:
    """Run a DELETE; a row that several source rows match is deleted once."""
    quick = delete_by_key(context, statement)
    if quick is not None:
        return quick
    of = target_named(context.tx.catalog, context.state, name_in(statement.tree.this))
    query = _PREPARED.get(statement, of)
    windows = consumed(context, query, [of])
    rows = run_query(context, query, windows, shape=[ROW_ID])
    parts = [numbers(part, 0) for part in checked(context, rows.batches)]
    row_ids = np.unique(np.concatenate([np.empty(0, np.int64), *parts]))
    return counts("DELETE", rows_deleted=context.tx.delete(of, row_ids.tolist()))


def _query(statement: Delete, of: TableObject) -> exp.Select:
    tree = statement.tree
    target = target_reference(tree.this)
    query = crossed(exp.select(row_id_of(target)), target, tree.args.get("using"))
    for clause in ("where", "with_"):
        if tree.args.get(clause) is not None:
            query.set(clause, tree.args[clause].copy())
    return query


_PREPARED: Final = Prepared(_query)


def truncate(context: Context, statement: Truncate) -> Result:
    """Delete every row of a table, each as a delete change."""
    if (
        statement.if_exists
        and temporary_named(context.state, statement.table) is None
        and found(context.tx.catalog, context.state, "table", statement.table) is None
    ):
        return status("TRUNCATE TABLE", f"{statement.table} does not exist: nothing was done.")
    of = target_named(context.tx.catalog, context.state, statement.table)
    rows = context.tx.truncate(of)
    result = status("TRUNCATE TABLE", "Statement executed successfully.")
    result.rowcount = rows
    return result
