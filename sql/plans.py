"""Queries bound and kept: the same text over the same catalog is bound once.

A plan holds ids and text, never rows. What depends on a bind, a variable or a place in history is
bound anew each time.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from headwater.log_store.catalog import Catalog
from headwater.schemas.types import SqlType
from headwater.sql import (
    functions_number,
    functions_text,
    functions_time,
    functions_variant,
    information,
    special,
    system,
    windowed,
)
from headwater.sql.binder import Binder, Out, Param
from headwater.sql.context import Context
from headwater.sql.expressions import outside_type
from headwater.sql.queries import make_outermost, make_query
from headwater.sql.sources import AnySource, StreamSource, TableSource
from headwater.sql.trees import child

_KEPT: Final = 512
# What translates functions registers itself when it is imported.
HANDLED_BY: Final = (
    functions_number,
    functions_text,
    functions_time,
    functions_variant,
    special,
    windowed,
)
# These offer their names to queries when they are imported.
OFFERED_BY: Final = (information, system)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A query as DuckDB is told it, and what must be registered before."""

    sql: str
    columns: tuple[Out, ...]
    sources: tuple[AnySource, ...]
    params: tuple[Param, ...]
    bare: tuple[TableSource | StreamSource, list[int]] | None


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    tree: exp.Expr
    catalog: Catalog
    plan: Plan


_PLANS: "OrderedDict[tuple[int, str, str, tuple[SqlType | None, ...]], _Kept]" = OrderedDict()
_LOCK = threading.Lock()


def plan_of(context: Context, tree: exp.Expr) -> Plan:
    """The plan of a query, from those kept if it is there."""
    if context.state.temporaries:
        # A session's own tables may hide others, and their ids are the session's own too.
        return bound(context, tree)[0]
    catalog = context.tx.catalog
    given = context.binds.values() if isinstance(context.binds, Mapping) else context.binds
    binds = tuple(None if value is None else outside_type(value)[0] for value in given)
    key = (id(tree), context.state.schema, str(context.state.zone), binds)
    with _LOCK:
        known = _PLANS.get(key)
        if known is not None and known.tree is tree and known.catalog is catalog:
            _PLANS.move_to_end(key)
            return known.plan
    plan, repeatable = bound(context, tree)
    if repeatable:
        with _LOCK:
            _PLANS[key] = _Kept(tree, catalog, plan)
            while len(_PLANS) > _KEPT:
                _PLANS.popitem(last=False)
    return plan


def bound(context: Context, tree: exp.Expr) -> tuple[Plan, bool]:
    """A query's plan, made now; whether it may be kept."""
    binder = Binder(context, make_query)
    made = make_outermost(binder, tree)
    sources = tuple(one for one in binder.sources.values() if isinstance(one, AnySource))
    plan = Plan(
        made.sql,
        tuple(made.columns),
        sources,
        tuple(binder.params),
        _bare(tree, sources, made.columns),
    )
    return plan, binder.repeatable


# What a SELECT may have besides bare columns, for DuckDB not to be asked.
_PARTS: Final = frozenset(("expressions", "from_"))


def _bare(
    tree: exp.Expr, sources: tuple[AnySource, ...], columns: Sequence[Out]
) -> tuple[TableSource | StreamSource, list[int]] | None:
    """The one relation of which a query shows bare columns, and which; None for any other query."""
    if len(sources) != 1 or not isinstance(tree, exp.Select):
        return None
    if any(value for key, value in tree.args.items() if key not in _PARTS):
        return None
    found, source = child(tree, "from_"), sources[0]
    table = None if found is None else child(found, "this")
    if not isinstance(table, exp.Table) or table.args.get("joins") or table.args.get("laterals"):
        return None
    if not isinstance(source, (TableSource, StreamSource)) or source.times != 1:
        return None
    positions: list[int] = []
    for out in columns:
        if out.raw is None or not out.raw.partition(".c")[2].isdigit():
            return None
        positions.append(int(out.raw.partition(".c")[2]))
    return source, positions
