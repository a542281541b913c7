"""SELECT and its kin as statements: rows are looked at, nothing moves."""

from headwater.sql.context import Context
from headwater.sql.results import Result
from headwater.sql.select import Looking, run_query
from headwater.sql.statements import Query


def run(context: Context, statement: Query) -> Result:
    """The rows of a query, as the session's transaction sees them."""
    found = run_query(context, statement.tree, Looking(context))
    return Result("SELECT", found.columns, found.batches)
