"""Arithmetic with Snowflake's results: exact numbers keep their digits, / gives six more.

INT is computed in 64 bits, and what leaves them is an error, never a wrapped value. DATE + n counts
days; times take INTERVALs.
"""

from typing import Final

from sqlglot import exp

from headwater.schemas.types import Kind, SqlType
from headwater.sql.binder import Binder, handles
from headwater.sql.coercion import cast, failure, shown
from headwater.sql.expressions import constant
from headwater.sql.scopes import Scope
from headwater.sql.trees import child, inner, word
from headwater.sql.typed import NULL, Typed, computed
from headwater.sql.typing_duck import (
    BINARY,
    DATE,
    EXACT_KINDS,
    FLOAT,
    INT,
    NTZ,
    NUMERIC_KINDS,
    STAMP_KINDS,
    VARCHAR,
    digits,
    duck,
    is_json,
    number,
    plain_name,
)

_SIGNS: Final[dict[type[exp.Expr], str]] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
}


def as_number(binder: Binder, node: exp.Expr, value: Typed) -> Typed:
    """An operand of arithmetic as a number: text is NUMBER(18,5), a VARIANT a FLOAT."""
    if value.type is None:
        return Typed("CAST(NULL AS BIGINT)", INT, None)
    if value.type.kind in NUMERIC_KINDS:
        return value
    if value.type.kind is Kind.VARCHAR:
        return cast(value, number(18, 5), binder.how(node))
    if is_json(value.type):
        return cast(value, FLOAT, binder.how(node))
    binder.fail(node, f"arithmetic takes numbers, this is a {plain_name(value.type)}")


@handles(exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)
def _arithmetic(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    # A long sum is a tower to the left: walk down it instead of recursing.
    tower = [node]
    while isinstance(below := inner(tower[-1]), exp.Binary) and type(below) in _SIGNS:
        tower.append(below)
    made = binder.expr(inner(tower[-1]), scope)
    for step in reversed(tower):
        made = _step(binder, step, made, scope)
    return made


def _step(binder: Binder, node: exp.Expr, left: Typed, scope: Scope) -> Typed:
    sign, right_node = _SIGNS[type(node)], inner(node, "expression")
    if isinstance(right_node, exp.Interval):
        return _shifted(binder, node, left, sign, right_node)
    if isinstance(inner(node), exp.Interval):
        binder.refuse(node, "an INTERVAL stands after + or -")
    right = binder.expr(right_node, scope)
    timed = _on_times(binder, node, sign, left, right)
    if timed is not None:
        return timed
    return arithmetic(binder, node, sign, (left, right))


def arithmetic(binder: Binder, node: exp.Expr, sign: str, sides: tuple[Typed, Typed]) -> Typed:
    """Two numbers added, subtracted, multiplied, divided."""
    left, right = (as_number(binder, node, side) for side in sides)
    if left.type is None or right.type is None:
        return NULL
    if Kind.FLOAT in (left.type.kind, right.type.kind):
        return _floating(binder, node, sign, left, right)
    if sign == "/":
        return divided(binder, node, left, right)
    if sign == "%":
        zero = failure("E_DIVISION_BY_ZERO", binder.how(node).offset, "'division by zero'")
        made = f"({left.sql} % CASE WHEN {right.sql} = 0 THEN {zero} ELSE {right.sql} END)"
        return _narrowed(made, _sum_type(left.type, right.type))
    if left.type.kind is Kind.INT and right.type.kind is Kind.INT:
        return computed(f"({left.sql} {sign} {right.sql})", INT)
    if sign == "*":
        return _product(left, right)
    return _narrowed(f"({exact(left)} {sign} {exact(right)})", _sum_type(left.type, right.type))


def _floating(binder: Binder, node: exp.Expr, sign: str, left: Typed, right: Typed) -> Typed:
    one, other = (f"CAST({side.sql} AS DOUBLE)" for side in (left, right))
    if sign in ("/", "%"):
        zero = failure("E_DIVISION_BY_ZERO", binder.how(node).offset, "'division by zero'")
        other = f"CASE WHEN {other} = 0 THEN {zero} ELSE {other} END"
    return computed(f"({one} {sign} {other})", FLOAT)


def exact(value: Typed) -> str:
    """An exact number as a DECIMAL of no more digits than it needs."""
    assert value.type is not None
    if value.type.kind is Kind.DECIMAL:
        return value.sql
    if isinstance(value.constant, int):
        return f"CAST({value.constant} AS DECIMAL({max(len(str(abs(value.constant))), 1)},0))"
    return f"CAST({value.sql} AS DECIMAL(19,0))"


def _digits(value: Typed) -> tuple[int, int]:
    assert value.type is not None
    if value.type.kind is Kind.INT and isinstance(value.constant, int):
        return max(len(str(abs(value.constant))), 1), 0
    return digits(value.type)


def _sum_type(one: SqlType, other: SqlType) -> SqlType:
    if one.kind is Kind.INT and other.kind is Kind.INT:
        return INT
    (lead1, scale1), (lead2, scale2) = digits(one), digits(other)
    scale = max(scale1, scale2)
    return number(max(lead1, lead2) + 1 + scale, scale)


def _narrowed(sql: str, type_: SqlType) -> Typed:
    return computed(f"CAST({sql} AS {duck(type_)})", type_)


def _product(left: Typed, right: Typed) -> Typed:
    (lead1, scale1), (lead2, scale2) = _digits(left), _digits(right)
    scale = min(scale1 + scale2, max(scale1, scale2, 12))
    type_ = number(lead1 + lead2 + scale, scale)
    if scale1 + scale2 > 37:
        # DuckDB has no room for the exact product: round the finer side first.
        room = number(38, max(0, 37 - min(scale1, scale2)))
        finer, other = (left, right) if scale1 >= scale2 else (right, left)
        return _narrowed(f"(CAST({exact(finer)} AS {duck(room)}) * {exact(other)})", type_)
    return _narrowed(f"({exact(left)} * {exact(right)})", type_)


def divided(binder: Binder, node: exp.Expr, left: Typed, right: Typed) -> Typed:
    """One exact number divided by another, exactly, rounded half away from zero."""
    (lead1, scale1), (_, scale2) = _digits(left), _digits(right)
    scale = max(scale1, min(scale1 + 6, 12))
    type_ = number(lead1 + scale2 + scale, scale)
    zero = failure("E_DIVISION_BY_ZERO", binder.how(node).offset, "'division by zero'")
    below = f"CASE WHEN {right.sql} = 0 THEN {zero} ELSE {unscaled(right, scale2)} END"
    above = f"({unscaled(left, scale1)} * {_power(scale - scale1 + scale2)})"
    return computed(rounded_quotient(above, below, type_), type_)


def unscaled(value: Typed, scale: int) -> str:
    """An exact number times 10^scale, as a HUGEINT."""
    if scale == 0:
        return f"CAST({value.sql} AS HUGEINT)"
    lead = 38 - scale
    whole = f"CAST(trunc({value.sql}) AS DECIMAL({max(lead, 1)},0))"
    # The parts on both sides of the point fit where their sum, scaled, may not fit a DECIMAL.
    rest = f"CAST(({value.sql} - {whole}) AS DECIMAL(38,{scale}))"
    part = f"CAST({rest} * CAST({_power(min(scale, 18))} AS DECIMAL(19,0)) AS DECIMAL(38,0))"
    if scale > 18:
        part = f"CAST(CAST({rest} AS DOUBLE) * {10.0**scale} AS HUGEINT)"
    return f"(CAST({whole} AS HUGEINT) * {_power(scale)} + CAST({part} AS HUGEINT))"


def _power(places: int) -> str:
    return f"CAST({10**places} AS HUGEINT)"


def rounded_quotient(above: str, below: str, type_: SqlType) -> str:
    """Two whole numbers divided and rounded half away from zero, as a DECIMAL of a scale."""
    doubled = f"(2 * {above} + sign({above}) * sign({below}) * {below})"
    whole = f"({doubled} // (2 * {below}))"
    return f"CAST({scaled_down(whole, type_.scale or 0)} AS {duck(type_)})"


def scaled_down(whole: str, scale: int) -> str:
    """A HUGEINT of unscaled digits as the DECIMAL it stands for."""
    if scale == 0:
        return whole
    return f"(CAST({whole} AS DECIMAL(38,0)) * CAST({10.0**-scale:.{scale}f} AS DECIMAL({scale + 1},{scale})))"


# -- dates and times ---------------------------------------------------------------------------


def _on_times(binder: Binder, node: exp.Expr, sign: str, left: Typed, right: Typed) -> Typed | None:
    """DATE + n, DATE - n, DATE - DATE; None where no time is involved."""
    kinds = [None if side.type is None else side.type.kind for side in (left, right)]
    if kinds == [Kind.DATE, Kind.DATE] and sign == "-":
        return computed(f"CAST(({left.sql} - {right.sql}) AS BIGINT)", INT)
    if Kind.DATE in kinds and sign in ("+", "-"):
        day, count = (left, right) if kinds[0] is Kind.DATE else (right, left)
        if day is right and sign == "-":
            return None
        days = as_number(binder, node, count)
        if days.type is not None and days.type.kind in EXACT_KINDS:
            return computed(f"({day.sql} {sign} CAST({days.sql} AS INTEGER))", DATE)
    if any(kind in STAMP_KINDS for kind in kinds):
        binder.fail(
            node, "times take no numbers and no other times: use DATEADD, DATEDIFF or an INTERVAL"
        )
    return None


_UNITS: Final = {
    "YEAR": "to_years({n})",
    "QUARTER": "to_months(3 * {n})",
    "MONTH": "to_months({n})",
    "WEEK": "to_days(7 * {n})",
    "DAY": "to_days({n})",
    "HOUR": "to_hours({n})",
    "MINUTE": "to_minutes({n})",
    "SECOND": "to_seconds({n})",
    "MILLISECOND": "to_milliseconds({n})",
    "MICROSECOND": "to_microseconds({n})",
    "NANOSECOND": "to_microseconds({n} // 1000)",
}
# Those of them that a DATE stays a DATE under.
_DAYS: Final = frozenset({"YEAR", "QUARTER", "MONTH", "WEEK", "DAY"})


def plus(binder: Binder, node: exp.Expr, value: Typed, unit: str, count: str) -> Typed:
    """A time moved by so many units; `count` is a BIGINT."""
    if value.type is None:
        return NULL
    span = _UNITS.get(unit)
    if span is None:
        binder.refuse(node, f"{unit} is no unit that times can be moved by")
    small = (
        f"CAST({count} AS {'BIGINT' if 'OND' in unit or unit in ('HOUR', 'MINUTE') else 'INTEGER'})"
    )
    interval = span.format(n=small)
    kind = value.type.kind
    if kind is Kind.VARCHAR:
        value, kind = cast(value, NTZ, binder.how(node)), Kind.TIMESTAMP_NTZ
    if kind is Kind.DATE:
        moved = f"(CAST({value.sql} AS TIMESTAMP) + {interval})"
        return computed(f"CAST({moved} AS DATE)", DATE) if unit in _DAYS else computed(moved, NTZ)
    assert value.type is not None
    if kind is Kind.TIME and unit not in _DAYS:
        return computed(f"({value.sql} + {interval})", value.type)
    if kind is Kind.TIMESTAMP_NTZ:
        return computed(f"({value.sql} + {interval})", value.type)
    if kind in STAMP_KINDS:
        from headwater.sql.typing_duck import LTZ

        wall = cast(value, NTZ, binder.how(node))
        return cast(computed(f"({wall.sql} + {interval})", NTZ), LTZ, binder.how(node))
    binder.fail(node, f"a {plain_name(value.type)} cannot be moved by {unit.lower()}s")


def _shifted(
    binder: Binder, node: exp.Expr, left: Typed, sign: str, interval: exp.Interval
) -> Typed:
    if sign not in ("+", "-"):
        binder.fail(node, "an INTERVAL can be added and subtracted")
    unit = word(interval, "unit").upper().rstrip("S") or "SECOND"
    said = child(interval, "this")
    amount = "" if said is None else word(said)
    try:
        count = int(amount)
    except ValueError:
        binder.refuse(interval, f"INTERVAL {amount!r} is not supported: one number and one unit")
    return plus(binder, node, left, unit, str(count if sign == "+" else -count))


@handles(exp.Interval)
def _lone(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    binder.refuse(node, "an INTERVAL stands after + or - of a date or time")


# -- signs and texts ---------------------------------------------------------------------------


@handles(exp.Neg)
def _neg(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = as_number(binder, node, binder.expr(inner(node), scope))
    if isinstance(value.constant, int) and not isinstance(value.constant, bool):
        return constant(-value.constant)
    assert value.type is not None
    return computed(f"(-{value.sql})", value.type)


@handles(exp.DPipe)
def _concat(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    tower = [node]
    while isinstance(below := inner(tower[-1]), exp.DPipe):
        tower.append(below)
    first = inner(tower[-1])
    values = [(first, binder.expr(first, scope))]
    values += [
        (one := inner(step, "expression"), binder.expr(one, scope)) for step in reversed(tower)
    ]
    if all(v.type is not None and v.type.kind is Kind.BINARY for _, v in values):
        return computed(f"({' || '.join(v.sql for _, v in values)})", BINARY)
    parts = ["NULL" if v.type is None else shown(v, binder.zone) for _, v in values]
    return computed(f"CAST(({' || '.join(parts)}) AS VARCHAR)", VARCHAR)
