"""Aggregate functions, with Snowflake's results: AVG of exact numbers is exact, NULLs are left out."""

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from headwater.schemas.types import Kind, SqlType
from headwater.sql.arithmetic import as_number, divided
from headwater.sql.binder import Binder, handles
from headwater.sql.coercion import as_json, cast, ordered
from headwater.sql.expressions import condition
from headwater.sql.scopes import Scope
from headwater.sql.trees import child, children, flag, inner, word
from headwater.sql.typed import Typed, computed
from headwater.sql.typing_duck import (
    ARRAY,
    BOOLEAN,
    EXACT_KINDS,
    FLOAT,
    INT,
    OBJECT,
    VARCHAR,
    digits,
    duck,
    number,
)

# Made of a call's arguments; `{d}` stands for DISTINCT, `{0}` for the first argument.
Template = tuple[str, str, SqlType | None]

# name -> what its arguments are (F float, A any, B boolean, I whole, T text), text, result (None: the
# first argument's).
SIMPLE: Final[dict[str, Template]] = {
    "ANY_VALUE": ("A", "any_value({0})", None),
    "MODE": ("A", "mode({0})", None),
    "STDDEV": ("F", "stddev_samp({d}{0})", FLOAT),
    "STDDEV_SAMP": ("F", "stddev_samp({d}{0})", FLOAT),
    "STDDEV_POP": ("F", "stddev_pop({d}{0})", FLOAT),
    "VARIANCE": ("F", "var_samp({d}{0})", FLOAT),
    "VAR_SAMP": ("F", "var_samp({d}{0})", FLOAT),
    "VARIANCE_SAMP": ("F", "var_samp({d}{0})", FLOAT),
    "VARIANCE_POP": ("F", "var_pop({d}{0})", FLOAT),
    "VAR_POP": ("F", "var_pop({d}{0})", FLOAT),
    "CORR": ("FF", "corr({0}, {1})", FLOAT),
    "COVAR_POP": ("FF", "covar_pop({0}, {1})", FLOAT),
    "COVAR_SAMP": ("FF", "covar_samp({0}, {1})", FLOAT),
    "REGR_SLOPE": ("FF", "regr_slope({0}, {1})", FLOAT),
    "REGR_INTERCEPT": ("FF", "regr_intercept({0}, {1})", FLOAT),
    "REGR_R2": ("FF", "regr_r2({0}, {1})", FLOAT),
    "SKEW": ("F", "skewness({0})", FLOAT),
    "SKEWNESS": ("F", "skewness({0})", FLOAT),
    "KURTOSIS": ("F", "kurtosis({0})", FLOAT),
    "BOOLAND_AGG": ("B", "bool_and({0})", BOOLEAN),
    "LOGICAL_AND": ("B", "bool_and({0})", BOOLEAN),
    "BOOLOR_AGG": ("B", "bool_or({0})", BOOLEAN),
    "LOGICAL_OR": ("B", "bool_or({0})", BOOLEAN),
    "BOOLXOR_AGG": ("B", "(count_if({0}) = 1)", BOOLEAN),
    "BITAND_AGG": ("I", "bit_and({0})", INT),
    "BITWISE_AND_AGG": ("I", "bit_and({0})", INT),
    "BITOR_AGG": ("I", "bit_or({0})", INT),
    "BITWISE_OR_AGG": ("I", "bit_or({0})", INT),
    "BITXOR_AGG": ("I", "bit_xor({0})", INT),
    "BITWISE_XOR_AGG": ("I", "bit_xor({0})", INT),
    "APPROX_COUNT_DISTINCT": ("A", "count(DISTINCT {0})", INT),
    "APPROX_DISTINCT": ("A", "count(DISTINCT {0})", INT),
    "HLL": ("A", "count(DISTINCT {0})", INT),
}
_ANONYMOUS: Final = frozenset(SIMPLE) | {"RATIO_TO_REPORT"}
_KINDS: Final = (exp.AggFunc, exp.ObjectAgg)


def name_of_aggregate(node: exp.Expr) -> str:
    """The name under which an aggregate stands in `SIMPLE`."""
    if isinstance(node, exp.Anonymous):
        return str(node.this).upper()
    return type(node).sql_name() if isinstance(node, exp.Func) else ""


_ONLY_WINDOWS: Final = tuple(
    kind
    for kind in (
        getattr(exp, name, None)
        for name in (
            "RowNumber",
            "Rank",
            "DenseRank",
            "PercentRank",
            "CumeDist",
            "Ntile",
            "Lag",
            "Lead",
            "FirstValue",
            "LastValue",
            "NthValue",
        )
    )
    if isinstance(kind, type)
)


def is_aggregate(node: exp.Expr) -> bool:
    """Whether a node is a call of an aggregate."""
    if isinstance(node, exp.Anonymous):
        return str(node.this).upper() in _ANONYMOUS
    return isinstance(node, _KINDS) and not isinstance(node, _ONLY_WINDOWS)


class Aggregating:
    """Inside of an aggregate's arguments: columns are free, a second aggregate is not."""

    def __init__(self, binder: Binder, node: exp.Expr, scope: Scope) -> None:
        if not scope.may_aggregate:
            binder.fail(
                node,
                "an aggregate cannot stand in WHERE, ON or GROUP BY: use HAVING or QUALIFY",
                "E_AGGREGATE",
            )
        if scope.aggregating:
            binder.fail(node, "an aggregate stands inside an aggregate", "E_AGGREGATE")
        self._scope = scope

    def __enter__(self) -> None:
        self._scope.aggregating += 1
        self._scope.has_aggregates = True

    def __exit__(self, *error: object) -> None:
        self._scope.aggregating -= 1


def arguments(node: exp.Expr) -> tuple[list[exp.Expr], bool]:
    """An aggregate's arguments, and whether they are DISTINCT."""
    found = [child(node, "this"), *children(node), child(node, "expression")]
    given = [one for one in found if one is not None]
    if isinstance(node, exp.Anonymous):
        given = children(node)
    if given and isinstance(given[0], exp.Distinct):
        return [*children(given[0]), *given[1:]], True
    return given, False


def typed_as(binder: Binder, node: exp.Expr, value: Typed, kind: str) -> Typed:
    """An argument as a function wants it: F float, B boolean, I whole, T text, A any."""
    match kind:
        case "F":
            return cast(as_number(binder, node, value), FLOAT, binder.how(node))
        case "B":
            return binder.cast(value, BOOLEAN, node)
        case "I":
            return binder.cast(value, INT, node)
        case "T":
            return binder.cast(value, VARCHAR, node)
        case _:
            return Typed("CAST(NULL AS VARCHAR)", VARCHAR) if value.type is None else value


@handles(
    exp.AnyValue,
    exp.Mode,
    exp.Stddev,
    exp.StddevPop,
    exp.StddevSamp,
    exp.Variance,
    exp.VariancePop,
    exp.Corr,
    exp.CovarPop,
    exp.CovarSamp,
    exp.LogicalAnd,
    exp.LogicalOr,
    exp.ApproxDistinct,
    exp.Kurtosis,
    exp.Skewness,
    exp.BitwiseAndAgg,
    exp.BitwiseOrAgg,
    exp.BitwiseXorAgg,
    exp.Hll,
    exp.RegrSlope,
    exp.RegrIntercept,
    exp.RegrR2,
    exp.BoolxorAgg,
)
def simple(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    """An aggregate of `SIMPLE`."""
    name = name_of_aggregate(node)
    if name not in SIMPLE:
        binder.refuse(node, f"function {name} is not supported")
    wanted, template, result = SIMPLE[name]
    given, distinct = arguments(node)
    if len(given) != len(wanted):
        binder.fail(node, f"{name} takes {len(wanted)} arguments, {len(given)} are given")
    with Aggregating(binder, node, scope):
        values = [
            typed_as(binder, one, binder.expr(one, scope), kind)
            for one, kind in zip(given, wanted, strict=True)
        ]
    made = template.format(*(v.sql for v in values), d="DISTINCT " if distinct else "")
    return computed(made, result or values[0].type or VARCHAR)


@handles(exp.Count)
def _count(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    given, distinct = arguments(node)
    if len(given) == 1 and isinstance(given[0], exp.Star):
        with Aggregating(binder, node, scope):
            return Typed("count(*)", INT, nullable=False)
    if len(given) == 1 and isinstance(given[0], exp.Column) and isinstance(given[0].this, exp.Star):
        binder.refuse(node, "COUNT(t.*) is not supported: use COUNT(*)")
    with Aggregating(binder, node, scope):
        values = [ordered(binder.expr(one, scope)) for one in given]
    if len(values) == 1:
        return Typed(f"count({'DISTINCT ' if distinct else ''}{values[0]})", INT, nullable=False)
    whole = " AND ".join(f"{value} IS NOT NULL" for value in values)
    row = f"CASE WHEN {whole} THEN row({', '.join(values)}) END"
    return Typed(f"count({'DISTINCT ' if distinct else ''}{row})", INT, nullable=False)


@handles(exp.CountIf)
def _count_if(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    with Aggregating(binder, node, scope):
        test = condition(binder, inner(node), scope)
    return Typed(f"count_if({test})", INT, nullable=False)


def summed(value: Typed, *, distinct: bool) -> Typed:
    """The sum of numbers: of INT in 64 bits, of DECIMAL in 38 digits."""
    assert value.type is not None
    made = f"sum({'DISTINCT ' if distinct else ''}{value.sql})"
    if value.type.kind is Kind.INT:
        return computed(f"CAST({made} AS BIGINT)", INT)
    if value.type.kind is Kind.FLOAT:
        return computed(made, FLOAT)
    type_ = number(38, value.type.scale or 0)
    return computed(f"CAST({made} AS {duck(type_)})", type_)


@handles(exp.Sum)
def _sum(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    given, distinct = arguments(node)
    with Aggregating(binder, node, scope):
        value = as_number(binder, node, binder.expr(given[0], scope))
    return summed(value, distinct=distinct)


@handles(exp.Avg)
def _avg(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    given, distinct = arguments(node)
    with Aggregating(binder, node, scope):
        value = as_number(binder, node, binder.expr(given[0], scope))
    return averaged(binder, node, value, distinct=distinct)


def averaged(binder: Binder, node: exp.Expr, value: Typed, *, distinct: bool) -> Typed:
    """The mean: of exact numbers exactly, with six digits more than they have."""
    assert value.type is not None
    word_ = "DISTINCT " if distinct else ""
    if value.type.kind is Kind.FLOAT:
        return computed(f"avg({word_}{value.sql})", FLOAT)
    lead, scale = digits(value.type)
    total = computed(f"sum({word_}{value.sql})", number(38, scale))
    if value.type.kind is Kind.DECIMAL:
        total = computed(f"CAST({total.sql} AS DECIMAL(38,{scale}))", number(38, scale))
    # An empty group has no mean; the count is never 0 where the sum is not NULL.
    count = computed(f"nullif(count({word_}{value.sql}), 0)", INT)
    made = divided(binder, node, total, count)
    return made.of(number(38, made.type.scale or 0)) if made.type and lead else made


@handles(exp.Min, exp.Max)
def _extreme(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    given, _ = arguments(node)
    with Aggregating(binder, node, scope):
        value = typed_as(binder, node, binder.expr(given[0], scope), "A")
    return extreme("min" if isinstance(node, exp.Min) else "max", value)


def extreme(word_: str, value: Typed) -> Typed:
    """The least or greatest value; times with offsets by their instant."""
    assert value.type is not None
    if value.type.kind is Kind.TIMESTAMP_TZ:
        return computed(f"arg_{word_}({value.sql}, {ordered(value)})", value.type)
    return computed(f"{word_}({value.sql})", value.type)


@handles(exp.ArgMax, exp.ArgMin)
def _by(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    if child(node, "count") is not None:
        binder.refuse(node, "MAX_BY and MIN_BY with a count are not supported")
    with Aggregating(binder, node, scope):
        value = typed_as(binder, node, binder.expr(inner(node), scope), "A")
        by = binder.expr(inner(node, "expression"), scope)
    word_ = "arg_max_null" if isinstance(node, exp.ArgMax) else "arg_min_null"
    return computed(f"{word_}({value.sql}, {ordered(by)})", value.type or VARCHAR)


@handles(exp.Median)
def _median(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    with Aggregating(binder, node, scope):
        value = as_number(binder, node, binder.expr(inner(node), scope))
    return _quantile(binder, node, value, "0.5")


def _quantile(binder: Binder, node: exp.Expr, value: Typed, at: str) -> Typed:
    if value.type is not None and value.type.kind in EXACT_KINDS:
        _, scale = digits(value.type)
        type_ = number(38, scale + 3)
        wide = f"CAST({value.sql} AS {duck(type_)})"
        return computed(f"CAST(quantile_cont({wide}, {at}) AS {duck(type_)})", type_)
    return computed(f"quantile_cont({value.sql}, {at})", FLOAT)


@handles(exp.WithinGroup)
def _within(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    call = inner(node)
    ordering = child(node, "expression")
    if isinstance(call, (exp.PercentileCont, exp.PercentileDisc)) and ordering is not None:
        at = inner(call)
        subject = children(ordering)[0]
        with Aggregating(binder, node, scope):
            value = binder.expr(inner(subject), scope)
        if not isinstance(at, exp.Literal):
            binder.refuse(at, "a percentile is a number such as 0.5")
        share = f"(1 - {word(at)})" if flag(subject, "desc") else word(at)
        if isinstance(call, exp.PercentileCont):
            return _quantile(binder, node, as_number(binder, node, value), share)
        return computed(f"quantile_disc({value.sql}, {share})", value.type or VARCHAR)
    if isinstance(call, exp.ArrayAgg) and ordering is not None:
        return _array(binder, call, scope, children(ordering))
    binder.refuse(node, f"WITHIN GROUP behind {type(call).__name__.upper()} is not supported")


def order_by(binder: Binder, orders: Sequence[exp.Expr], scope: Scope) -> str:
    """ORDER BY inside of an aggregate."""
    made: list[str] = []
    for one in orders:
        value = ordered(binder.expr(inner(one), scope))
        down = flag(one, "desc")
        first: object = one.args.get("nulls_first")
        nulls = bool(first) if first is not None else down
        made.append(f"{value} {'DESC' if down else 'ASC'} NULLS {'FIRST' if nulls else 'LAST'}")
    return f" ORDER BY {', '.join(made)}" if made else ""


@handles(exp.GroupConcat)
def _listagg(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    subject, separator = inner(node), child(node, "separator")
    orders: list[exp.Expr] = []
    if isinstance(subject, exp.Order):
        orders, subject = children(subject), inner(subject)
    distinct = isinstance(subject, exp.Distinct)
    if distinct:
        subject = children(subject)[0]
        if isinstance(subject, exp.Order):
            orders, subject = children(subject), inner(subject)
    with Aggregating(binder, node, scope):
        value = binder.cast(binder.expr(subject, scope), VARCHAR, node)
        between = "''" if separator is None else binder.expr(separator, scope).sql
        order = order_by(binder, orders, scope)
    made = f"string_agg({'DISTINCT ' if distinct else ''}{value.sql}, {between}{order})"
    # Without any text LISTAGG is empty, not NULL.
    return computed(f"coalesce({made}, '')", VARCHAR)


@handles(exp.ArrayAgg)
def _array_agg(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return _array(binder, node, scope, [])


def _array(binder: Binder, node: exp.Expr, scope: Scope, orders: Sequence[exp.Expr]) -> Typed:
    subject = inner(node)
    if isinstance(subject, exp.Order):
        orders, subject = children(subject), inner(subject)
    distinct = isinstance(subject, exp.Distinct)
    if distinct:
        subject = children(subject)[0]
    with Aggregating(binder, node, scope):
        value = binder.expr(subject, scope)
        order = order_by(binder, orders, scope)
    json = as_json(value, binder.zone)
    listed = f"list({'DISTINCT ' if distinct else ''}{json}{order})"
    kept = f"{listed} FILTER (WHERE {value.sql} IS NOT NULL)"
    return computed(f"coalesce(to_json({kept}), CAST('[]' AS JSON))", ARRAY)


@handles(exp.ArrayUniqueAgg)
def _array_unique(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    with Aggregating(binder, node, scope):
        value = binder.expr(inner(node), scope)
    kept = f"list(DISTINCT {as_json(value, binder.zone)}) FILTER (WHERE {value.sql} IS NOT NULL)"
    return computed(f"coalesce(to_json({kept}), CAST('[]' AS JSON))", ARRAY)


@handles(exp.ObjectAgg)
def _object_agg(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    parts = [inner(node), inner(node, "expression")]
    with Aggregating(binder, node, scope):
        key = binder.cast(binder.expr(parts[0], scope), VARCHAR, node)
        value = binder.expr(parts[1], scope)
    kept = f"{key.sql} IS NOT NULL AND {value.sql} IS NOT NULL"
    entry = f"{{'key': {key.sql}, 'value': {as_json(value, binder.zone)}}}"
    entries = f"list({entry}) FILTER (WHERE {kept})"
    return computed(f"coalesce(to_json(map_from_entries({entries})), CAST('{{}}' AS JSON))", OBJECT)


@handles(exp.Grouping)
def _grouping(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    with Aggregating(binder, node, scope):
        values = [binder.expr(one, scope).sql for one in children(node)]
    return computed(f"grouping({', '.join(values)})", INT)
