"""Numbers: rounding as Snowflake rounds, powers, bits, random ones."""

from typing import Final

from sqlglot import exp

from headwater.schemas.types import Kind, SqlType
from headwater.sql.arithmetic import as_number
from headwater.sql.binder import Binder, handles
from headwater.sql.coercion import common, failure, ordered
from headwater.sql.expressions import constant, fixed, unify_at
from headwater.sql.functions import Rule, rules
from headwater.sql.scopes import Scope
from headwater.sql.trees import child, children, flag, inner, word
from headwater.sql.typed import NULL, Typed, computed
from headwater.sql.typing_duck import BOOLEAN, FLOAT, INT, digits, duck, number

_PI: Final = "3.141592653589793"

rules(
    {
        exp.Abs: Rule("ABS", "N", "abs({0})", 0),
        exp.Sign: Rule("SIGN", "N", "CAST(sign({0}) AS BIGINT)", INT),
        exp.Exp: Rule("EXP", "F", "exp({0})", FLOAT),
        exp.Cbrt: Rule("CBRT", "F", "cbrt({0})", FLOAT),
        exp.Pow: Rule("POWER", "FF", "power({0}, {1})", FLOAT),
        exp.Pi: Rule("PI", "", f"CAST({_PI} AS DOUBLE)", FLOAT),
        exp.Sin: Rule("SIN", "F", "sin({0})", FLOAT),
        exp.Cos: Rule("COS", "F", "cos({0})", FLOAT),
        exp.Tan: Rule("TAN", "F", "tan({0})", FLOAT),
        exp.Cot: Rule("COT", "F", "cot({0})", FLOAT),
        exp.Asin: Rule("ASIN", "F", "asin({0})", FLOAT),
        exp.Acos: Rule("ACOS", "F", "acos({0})", FLOAT),
        exp.Atan: Rule("ATAN", "F", "atan({0})", FLOAT),
        exp.Atan2: Rule("ATAN2", "FF", "atan2({0}, {1})", FLOAT),
        exp.Sinh: Rule("SINH", "F", "sinh({0})", FLOAT),
        exp.Cosh: Rule("COSH", "F", "cosh({0})", FLOAT),
        exp.Tanh: Rule("TANH", "F", "tanh({0})", FLOAT),
        exp.Degrees: Rule("DEGREES", "F", "degrees({0})", FLOAT),
        exp.Radians: Rule("RADIANS", "F", "radians({0})", FLOAT),
        exp.Factorial: Rule(
            "FACTORIAL",
            "I",
            "CAST(factorial(CAST({0} AS INTEGER)) AS DECIMAL(38,0))",
            number(38, 0),
        ),
        exp.BitwiseAnd: Rule("BITAND", "II", "({0} & {1})", INT),
        exp.BitwiseOr: Rule("BITOR", "II", "({0} | {1})", INT),
        exp.BitwiseXor: Rule("BITXOR", "II", "xor({0}, {1})", INT),
        exp.BitwiseNot: Rule("BITNOT", "I", "(~{0})", INT),
        exp.BitwiseLeftShift: Rule("BITSHIFTLEFT", "II", "({0} << {1})", INT),
        exp.BitwiseRightShift: Rule("BITSHIFTRIGHT", "II", "({0} >> {1})", INT),
        exp.Xor: Rule("BOOLXOR", "BB", "({0} <> {1})", BOOLEAN),
        exp.Booland: Rule("BOOLAND", "BB", "({0} AND {1})", BOOLEAN),
        exp.Boolor: Rule("BOOLOR", "BB", "({0} OR {1})", BOOLEAN),
        exp.Boolnot: Rule("BOOLNOT", "B", "(NOT {0})", BOOLEAN),
        exp.WidthBucket: Rule(
            "WIDTH_BUCKET",
            "FFFI",
            "CAST(CASE WHEN {0} < {1} THEN 0 WHEN {0} >= {2} THEN {3} + 1 ELSE"
            " floor(({0} - {1}) / (({2} - {1}) / {3})) + 1 END AS BIGINT)",
            INT,
        ),
    }
)


def _domain(binder: Binder, node: exp.Expr, sql: str, bad: str, said: str) -> str:
    """A call, refused for arguments that it is not defined for."""
    wrong = failure("E_VALUE", binder.how(node).offset, f"'{said}'")
    return f"CASE WHEN {bad} THEN {wrong} ELSE {sql} END"


def _float(binder: Binder, node: exp.Expr, scope: Scope) -> str:
    value = as_number(binder, node, binder.expr(node, scope))
    return f"CAST({value.sql} AS DOUBLE)"


@handles(exp.Sqrt)
def _sqrt(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = _float(binder, inner(node), scope)
    made = _domain(binder, node, f"sqrt({value})", f"{value} < 0", "SQRT of a negative number")
    return computed(made, FLOAT)


@handles(exp.Ln)
def _ln(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = _float(binder, inner(node), scope)
    made = _domain(
        binder, node, f"ln({value})", f"{value} <= 0", "LN of a number that is not positive"
    )
    return computed(made, FLOAT)


@handles(exp.Log)
def _log(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    base, value = (_float(binder, inner(node, key), scope) for key in ("this", "expression"))
    bad = f"{value} <= 0 OR {base} <= 0 OR {base} = 1"
    said = "LOG of a number that is not positive"
    return computed(_domain(binder, node, f"(ln({value}) / ln({base}))", bad, said), FLOAT)


# -- rounding ----------------------------------------------------------------------------------


def rounded(binder: Binder, node: exp.Expr, scope: Scope, word_: str, key: str) -> Typed:
    """round, trunc, ceil or floor of a number, to so many places behind the point."""
    value = as_number(binder, node, binder.expr(inner(node), scope))
    said = child(node, key)
    places = constant(0) if said is None else fixed(binder, said, scope)
    assert value.type is not None
    if not isinstance(places.constant, int):
        moving = binder.cast(places, INT, node).sql
        return computed(_to_places(word_, f"CAST({value.sql} AS DOUBLE)", moving), FLOAT)
    at = places.constant
    if value.type.kind is Kind.FLOAT:
        return computed(_to_places(word_, value.sql, str(at)), FLOAT)
    if value.type.kind is Kind.INT and at >= 0:
        return computed(value.sql, INT)
    return _exactly(value, word_, at)


def _to_places(word_: str, sql: str, places: str) -> str:
    if word_ == "round":
        return f"round({sql}, CAST({places} AS INTEGER))"
    return f"({word_}({sql} * power(10, {places})) / power(10, {places}))"


def _exactly(value: Typed, word_: str, places: int) -> Typed:
    assert value.type is not None
    lead, scale = digits(value.type)
    if places >= scale:
        return computed(value.sql, value.type)
    kept = max(places, 0)
    type_ = number(lead + kept + 1, kept)
    if value.type.kind is Kind.INT:
        type_ = INT
    if word_ == "round" and places >= 0:
        return computed(f"CAST({value.sql} AS {duck(type_)})", type_)
    # Move the point, round to whole numbers, and move it back.
    shift = 10 ** abs(places)
    if places >= 0:
        wide = number(38, scale - places)
        moved = f"CAST(CAST({value.sql} AS DECIMAL(38,{scale})) * {shift} AS {duck(wide)})"
        small = f"{1 / shift:.{places}f}" if places else "1"
        cut = f"CAST({word_}({moved}) AS DECIMAL(38,0)) * {small}"
    else:
        wide = number(38, min(scale - places, 37))
        moved = f"CAST({value.sql} AS {duck(wide)}) * CAST({1 / shift:.{-places}f} AS DECIMAL"
        moved = f"({moved}({-places + 1},{-places})))"
        cut = f"CAST({word_}({moved}) AS DECIMAL(38,0)) * {shift}"
    return computed(f"CAST({cut} AS {duck(type_)})", type_)


@handles(exp.Round)
def _round(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    mode = word(node, "truncate").upper()
    if mode == "HALF_TO_EVEN":
        binder.refuse(node, "ROUND with HALF_TO_EVEN is not supported")
    return rounded(binder, node, scope, "round", "decimals")


@handles(exp.Trunc)
def _trunc(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return rounded(binder, node, scope, "trunc", "decimals")


@handles(exp.Ceil)
def _ceil(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return rounded(binder, node, scope, "ceil", "decimals")


@handles(exp.Floor)
def _floor(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return rounded(binder, node, scope, "floor", "decimals")


# -- choosing ----------------------------------------------------------------------------------


@handles(exp.Greatest, exp.Least)
def _extreme(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    values = [binder.expr(one, scope) for one in (inner(node), *children(node))]
    made, type_ = unify_at(binder, node, values)
    if type_ is None:
        return NULL
    word_ = "greatest" if isinstance(node, exp.Greatest) else "least"
    found = f"{word_}({', '.join(ordered(one) for one in made)})"
    if type_.kind is Kind.TIMESTAMP_TZ:
        binder.refuse(
            node, f"{word_.upper()} of TIMESTAMP_TZ is not supported: cast to TIMESTAMP_LTZ"
        )
    if not flag(node, "ignore_nulls"):
        # One NULL makes it NULL.
        missing = " OR ".join(f"{one.sql} IS NULL" for one in made)
        found = f"CASE WHEN {missing} THEN NULL ELSE {found} END"
    return computed(found, type_)


@handles(exp.EqualNull)
def _equal_null(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    from headwater.sql.expressions import compare

    sides = [binder.expr(inner(node, key), scope) for key in ("this", "expression")]
    return compare(binder, node, "IS NOT DISTINCT FROM", sides)


# -- random ------------------------------------------------------------------------------------


@handles(exp.Rand)
def _random(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    if child(node, "this") is not None:
        binder.refuse(node, "RANDOM with a seed is not supported")
    # 53 random bits are all that a FLOAT has; a second one fills the rest.
    made = "CAST(CAST(floor((random() - 0.5) * 9007199254740992) AS HUGEINT) * 1024"
    return computed(f"{made} + CAST(floor(random() * 1024) AS HUGEINT) AS BIGINT)", INT)


@handles(exp.Uniform)
def _uniform(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    low, high = (
        as_number(binder, node, binder.expr(inner(node, key), scope))
        for key in ("this", "expression")
    )
    type_: SqlType | None = common([low.type, high.type])
    if type_ is not None and type_.kind is Kind.INT:
        made = f"({low.sql} + CAST(floor(random() * ({high.sql} - {low.sql} + 1)) AS BIGINT))"
        return computed(made, INT)
    span = f"(CAST({high.sql} AS DOUBLE) - CAST({low.sql} AS DOUBLE))"
    return computed(f"(CAST({low.sql} AS DOUBLE) + random() * {span})", FLOAT)


@handles(exp.Randstr)
def _randstr(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    binder.refuse(node, "RANDSTR is not supported: use UUID_STRING or MD5(RANDOM())")


@handles(exp.Seq1, exp.Seq2, exp.Seq4, exp.Seq8)
def _sequence(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return computed("(row_number() OVER () - 1)", INT)
