"""SELECT and its kin as statements: rows are looked at, nothing moves."""

from headwater.sql.context import Context
from headwater.sql.results import Result
from headwater.sql.statements import Query
from headwater.sql.system import bare
from headwater.sql.variables import folded


def run(context: Context, statement: Query) -> Result:
    """The rows of a query, as the session's transaction sees them.

    Functions of the system alone are answered without an engine.
    """
    answered = bare(context, statement)
    if answered is not None:
        return answered
    # DuckDB is loaded by the first query that needs it.
    from headwater.sql.select import Looking, run_query

    found = run_query(context, folded(context, statement.tree), Looking(context))
    return Result("SELECT", found.columns, found.batches)
