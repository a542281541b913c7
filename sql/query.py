"""SELECT and its kin as statements: rows are looked at, nothing moves."""

from typing import Final
from weakref import WeakSet

from headwater.sql.context import Context
from headwater.sql.results import Result
from headwater.sql.statements import Query
from headwater.sql.system import bare
from headwater.sql.variables import folded

# Queries without variables, which need no look through their tree again.
_PLAIN: Final[WeakSet[Query]] = WeakSet()


def run(context: Context, statement: Query) -> Result:
    """The rows of a query, as the session's transaction sees them.

    Functions of the system alone are answered without an engine.
    """
    answered = bare(context, statement)
    if answered is not None:
        return answered
    # DuckDB is loaded by the first query that needs it.
    from headwater.sql.select import Looking, run_query

    tree = statement.tree if statement in _PLAIN else folded(context, statement.tree)
    if tree is statement.tree:
        _PLAIN.add(statement)
    found = run_query(context, tree, Looking(context))
    return Result("SELECT", found.columns, found.batches)
