"""Queries as other statements ask them. The planner and DuckDB are loaded by the first one asked."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from headwater.sql.context import Context
from headwater.sql.results import OutColumn

if TYPE_CHECKING:
    from headwater.sql.consumption import Consumed, Target
    from headwater.sql.plans import Plan
    from headwater.sql.select import QueryResult
    from headwater.sql.sources import Windows


def plan_of(context: Context, tree: exp.Expr) -> "Plan":
    """What a query means in this catalog; see `plans.plan_of`."""
    from headwater.sql import plans

    return plans.plan_of(context, tree)


def run_query(
    context: Context,
    tree: exp.Expr,
    windows: "Windows",
    *,
    shape: Sequence[OutColumn] | None = None,
) -> "QueryResult":
    """The rows of a query; see `select.run_query`."""
    from headwater.sql import select

    return select.run_query(context, tree, windows, shape=shape)


def consumed(context: Context, tree: exp.Expr, targets: Sequence["Target"]) -> "Consumed":
    """Consume the windows of the streams in a query; see `consumption.consumed`."""
    from headwater.sql import consumption

    return consumption.consumed(context, tree, targets)
