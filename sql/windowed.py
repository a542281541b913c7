"""Window functions: ranks, neighbours, running aggregates."""

from typing import Final

from sqlglot import exp

from headwater.schemas.types import Kind
from headwater.sql.aggregates import is_aggregate, order_by, typed_as
from headwater.sql.arithmetic import as_number, divided
from headwater.sql.binder import Binder, handles, name_of
from headwater.sql.coercion import as_json, ordered
from headwater.sql.expressions import condition, unify_at
from headwater.sql.scopes import Scope
from headwater.sql.trees import child, children, inner, word
from headwater.sql.typed import Typed, computed
from headwater.sql.typing_duck import ARRAY, FLOAT, INT, VARCHAR, duck, number

_RANKS: Final[dict[type[exp.Expr], str]] = {
    exp.RowNumber: "row_number",
    exp.Rank: "rank",
    exp.DenseRank: "dense_rank",
}
_SHARES: Final[dict[type[exp.Expr], str]] = {
    exp.PercentRank: "percent_rank",
    exp.CumeDist: "cume_dist",
}
_NEIGHBOURS: Final[dict[type[exp.Expr], str]] = {
    exp.Lag: "lag",
    exp.Lead: "lead",
    exp.FirstValue: "first_value",
    exp.LastValue: "last_value",
    exp.NthValue: "nth_value",
}


@handles(*_RANKS, *_SHARES, *_NEIGHBOURS, exp.Ntile)
def _alone(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    binder.fail(node, f"{name_of(node)} needs OVER (..)", "E_WINDOW")


@handles(exp.Window)
def _window(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    if not scope.may_window:
        binder.fail(
            node,
            "a window function cannot stand in WHERE, GROUP BY or HAVING: use QUALIFY",
            "E_WINDOW",
        )
    call, nulls = inner(node), ""
    while isinstance(call, (exp.IgnoreNulls, exp.RespectNulls)):
        nulls = " IGNORE NULLS" if isinstance(call, exp.IgnoreNulls) else ""
        call = inner(call)
    # Its own arguments may aggregate, but hold no second window.
    scope.may_window = False
    try:
        over = _over(binder, node, scope)
        return _called(binder, (node, call), nulls, over, scope)
    finally:
        scope.may_window = True


def _called(
    binder: Binder, nodes: tuple[exp.Expr, exp.Expr], nulls: str, over: str, scope: Scope
) -> Typed:
    node, call = nodes
    if type(call) in _RANKS:
        return Typed(f"{_RANKS[type(call)]}() OVER {over}", INT, nullable=False)
    if type(call) in _SHARES:
        return computed(f"{_SHARES[type(call)]}() OVER {over}", FLOAT)
    if isinstance(call, exp.Ntile):
        count = binder.cast(binder.expr(inner(call), scope), INT, call).sql
        return computed(f"ntile({count}) OVER {over}", INT)
    if type(call) in _NEIGHBOURS:
        return _neighbour(binder, call, nulls, over, scope)
    name = str(call.this).upper() if isinstance(call, exp.Anonymous) else ""
    if name == "RATIO_TO_REPORT":
        value = as_number(binder, call, binder.expr(children(call)[0], scope))
        total = f"sum({value.sql}) OVER {over}"
        if value.type is not None and value.type.kind is Kind.FLOAT:
            return computed(f"({value.sql} / nullif({total}, 0))", FLOAT)
        below = computed(
            f"nullif(CAST({total} AS DECIMAL(38,{_scale(value)})), 0)", number(38, _scale(value))
        )
        return divided(binder, call, value, below)
    if name in ("CONDITIONAL_TRUE_EVENT", "CONDITIONAL_CHANGE_EVENT"):
        return _event(binder, call, name, over, scope)
    if not is_aggregate(call):
        binder.refuse(node, f"{name_of(call)} with OVER is not supported")
    return _running(binder, call, over, scope)


def _scale(value: Typed) -> int:
    return 0 if value.type is None else value.type.scale or 0


def _neighbour(binder: Binder, call: exp.Expr, nulls: str, over: str, scope: Scope) -> Typed:
    value = binder.expr(inner(call), scope)
    function, extra = _NEIGHBOURS[type(call)], ""
    offset, default = child(call, "offset"), child(call, "default")
    if isinstance(call, exp.FirstValue | exp.LastValue):
        offset = None
    if offset is not None:
        extra = f", {binder.cast(binder.expr(offset, scope), INT, offset).sql}"
    if default is not None:
        other = binder.expr(default, scope)
        (value, other), _ = unify_at(binder, call, [value, other])
        extra = (extra or ", 1") + f", {other.sql}"
    value = typed_as(binder, call, value, "A")
    assert value.type is not None
    return computed(f"{function}({value.sql}{extra}{nulls}) OVER {over}", value.type)


def _event(binder: Binder, call: exp.Expr, name: str, over: str, scope: Scope) -> Typed:
    """How often something has happened so far in the window's order."""
    argument = children(call)[0]
    if name == "CONDITIONAL_TRUE_EVENT":
        test = condition(binder, argument, scope)
        return computed(f"count_if({test}) OVER {over}", INT)
    binder.refuse(call, "CONDITIONAL_CHANGE_EVENT is not supported: compare with LAG(..)")


def _running(binder: Binder, call: exp.Expr, over: str, scope: Scope) -> Typed:
    """An aggregate over a window; what is exact stays so."""
    match call:
        case exp.Avg() | exp.Sum():
            return _total(binder, call, over, scope)
        case exp.ArrayAgg():
            value = binder.expr(inner(call), scope)
            kept = f"list({as_json(value, binder.zone)}) FILTER (WHERE {value.sql} IS NOT NULL)"
            return computed(f"coalesce(to_json({kept} OVER {over}), CAST('[]' AS JSON))", ARRAY)
        case exp.GroupConcat():
            said = binder.cast(binder.expr(inner(call), scope), VARCHAR, call).sql
            between = child(call, "separator")
            joiner = "''" if between is None else binder.expr(between, scope).sql
            return computed(f"coalesce(string_agg({said}, {joiner}) OVER {over}, '')", VARCHAR)
        case _:
            return _plain(binder, call, over, scope)


def _total(binder: Binder, call: exp.Expr, over: str, scope: Scope) -> Typed:
    """SUM or AVG over a window."""
    value = as_number(binder, call, binder.expr(inner(call), scope))
    assert value.type is not None
    total, average = f"sum({value.sql}) OVER {over}", isinstance(call, exp.Avg)
    if value.type.kind is Kind.FLOAT:
        return computed(f"avg({value.sql}) OVER {over}" if average else total, FLOAT)
    scale = _scale(value)
    if average:
        above = computed(f"CAST({total} AS DECIMAL(38,{scale}))", number(38, scale))
        below = computed(f"nullif(count({value.sql}) OVER {over}, 0)", INT)
        made = divided(binder, call, above, below)
        return made.of(number(38, _scale(made)))
    type_ = INT if value.type.kind is Kind.INT else number(38, scale)
    return computed(f"CAST({total} AS {duck(type_)})", type_)


def _plain(binder: Binder, call: exp.Expr, over: str, scope: Scope) -> Typed:
    """Any other aggregate, which must be one call: OVER would bind to a part of it."""
    inside = Scope(scope.outer, scope.relations, aliases=scope.aliases)
    inside.coalesced = scope.coalesced
    made = binder.expr(call, inside)
    if not made.sql.startswith(_PLAIN):
        binder.refuse(call, f"{name_of(call)} with OVER is not supported")
    return Typed(f"{made.sql} OVER {over}", made.type or VARCHAR, nullable=made.nullable)


_PLAIN: Final = (
    "min(",
    "max(",
    "count(",
    "count_if(",
    "any_value(",
    "stddev",
    "var_",
    "corr(",
    "covar",
    "bool_",
    "bit_",
    "mode(",
    "arg_m",
    "skew",
    "kurt",
    "quantile",
    "regr_",
)


def _over(binder: Binder, node: exp.Expr, scope: Scope) -> str:
    """The window in parentheses; a named one is written out."""
    named = child(node, "alias")
    base: exp.Expr | None = None
    if named is not None:
        base = scope.windows.get(named.name.lower())
        if base is None:
            binder.fail(named, f"there is no WINDOW {named.name}", "E_WINDOW")
    parts: list[str] = []
    keys = children(node, "partition_by") or (
        [] if base is None else children(base, "partition_by")
    )
    if keys:
        parts.append("PARTITION BY " + ", ".join(ordered(binder.expr(k, scope)) for k in keys))
    order = child(node, "order") or (None if base is None else child(base, "order"))
    if order is not None:
        parts.append(order_by(binder, children(order), scope).strip())
    spec = child(node, "spec") or (None if base is None else child(base, "spec"))
    if spec is not None:
        parts.append(_frame(binder, spec))
    return f"({' '.join(parts)})"


def _frame(binder: Binder, spec: exp.Expr) -> str:
    kind = word(spec, "kind").upper() or "ROWS"
    if kind not in ("ROWS", "RANGE", "GROUPS"):
        binder.refuse(spec, f"a window by {kind} is not supported")
    start = _edge(binder, spec, "start")
    end = _edge(binder, spec, "end") if spec.args.get("end") is not None else "CURRENT ROW"
    return f"{kind} BETWEEN {start} AND {end}"


def _edge(binder: Binder, spec: exp.Expr, key: str) -> str:
    said, side = spec.args.get(key), word(spec, f"{key}_side").upper()
    if isinstance(said, str):
        return "CURRENT ROW" if said.upper() == "CURRENT ROW" else f"UNBOUNDED {side}"
    if isinstance(said, exp.Literal) and word(said).isdigit():
        return f"{word(said)} {side}"
    binder.refuse(spec, "a window's edge is UNBOUNDED, CURRENT ROW or a number of rows")
