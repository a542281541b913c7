"""Literals, columns, predicates, CASE, casts and subqueries in DuckDB's words."""

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Final, NoReturn

from sqlglot import exp

from headwater.schemas.casts import ASSIGN, Unfit
from headwater.schemas.errors import TypeNotKnown
from headwater.schemas.types import Kind, SqlType
from headwater.sql import coercion
from headwater.sql.binder import Binder, handles
from headwater.sql.binds import bind_value
from headwater.sql.coercion import Mismatch, cast, comparable, unify
from headwater.sql.constants import variable_value
from headwater.sql.context import Context
from headwater.sql.parse_binds import bind_of
from headwater.sql.scopes import Scope
from headwater.sql.trees import child, children, flag, has, inner, word
from headwater.sql.typed import NULL, Typed, computed, text
from headwater.sql.typing_duck import (
    BINARY,
    BOOLEAN,
    DATE,
    FLOAT,
    INT,
    NTZ,
    TIME,
    TZ,
    VARCHAR,
    VARIANT,
    duck,
    is_json,
    number,
    plain_name,
)

_INT64: Final = 1 << 63


def constant(value: object) -> Typed:
    """A Python value as an expression of the type that fits it."""
    match value:
        case None:
            return NULL
        case bool():
            return Typed("TRUE" if value else "FALSE", BOOLEAN, value)
        case int() if -_INT64 <= value < _INT64:
            return Typed(f"CAST({value} AS BIGINT)", INT, value)
        case int():
            return Typed(f"CAST({value} AS DECIMAL(38,0))", number(38, 0), value)
        case str():
            return Typed(text(value), VARCHAR, value)
        case _:
            raise TypeError(type(value).__name__)


def _decimal(digits: str) -> Typed:
    """A number with a point, as exact as it was written."""
    whole, _, fraction = digits.partition(".")
    scale = len(fraction)
    precision = max(len(whole.lstrip("0")) + scale, scale, 1)
    type_ = number(precision, scale)
    return Typed(
        f"CAST({digits if whole else '0' + digits} AS {duck(type_)})", type_, Decimal(digits)
    )


@handles(exp.Literal)
def _literal(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    said = word(node)
    if flag(node, "is_string"):
        return constant(said)
    digits = said.replace("_", "")
    if digits.isdigit():
        if len(digits.lstrip("0")) > 38:
            binder.fail(node, f"number {said[:50]} has more than 38 digits", "E_VALUE")
        return constant(int(digits))
    if "e" in digits.lower():
        return Typed(f"CAST({text(digits)} AS DOUBLE)", FLOAT, float(digits))
    if len(digits.replace(".", "").lstrip("0")) > 38:
        binder.fail(node, f"number {said[:50]} has more than 38 digits", "E_VALUE")
    return _decimal(digits)


@handles(exp.Null)
def _null(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return NULL


@handles(exp.Boolean)
def _boolean(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return constant(bool(node.this))


@handles(exp.HexString)
def _hex(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return computed(f"unhex({text(word(node))})", BINARY)


@handles(exp.Paren)
def _paren(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return binder.expr(inner(node), scope)


@handles(exp.Column)
def _column(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    assert isinstance(node, exp.Column)
    return binder.column(node, scope)


# -- values from outside -----------------------------------------------------------------------

_TYPE_OF: Final[tuple[tuple[type, SqlType], ...]] = (
    (bool, BOOLEAN),
    (int, INT),
    (float, FLOAT),
    (str, VARCHAR),
    (bytes, BINARY),
)


def outside(binder: Binder, node: exp.Expr, value: object) -> Typed:
    """A bind's or variable's value as a parameter: it never becomes text of the query."""
    if value is None:
        return NULL
    type_, given = outside_type(value)
    if type_ is None:
        _unbound(binder, node, value)

    def later(context: Context) -> object:
        return given

    return Typed(binder.param(later, type_), type_, value)


def _unbound(binder: Binder, node: exp.Expr, value: object) -> NoReturn:
    binder.fail(node, f"a value of type {type(value).__name__} cannot be bound here", "E_BIND_TYPE")


def outside_type(value: object) -> tuple[SqlType | None, object]:
    """The type of a Python value, and the value as DuckDB's driver takes it."""
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None, value
        _, digits, exponent = value.as_tuple()
        scale = max(0, -int(exponent))
        return number(max(len(digits), scale, 1), scale), str(value)
    if isinstance(value, int) and not isinstance(value, bool) and not -_INT64 <= value < _INT64:
        return number(38, 0), str(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return TZ, value.isoformat(timespec="microseconds")
    if isinstance(value, (dict, list)):
        import json

        return VARIANT, json.dumps(value, separators=(",", ":"))
    if isinstance(value, datetime):
        return NTZ, value.isoformat(sep=" ")
    if isinstance(value, (date, time)):
        return DATE if isinstance(value, date) else TIME, value.isoformat()
    return next((type_ for kind, type_ in _TYPE_OF if isinstance(value, kind)), None), value


@handles(exp.Placeholder)
def _placeholder(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    assert isinstance(node, exp.Placeholder)
    key = bind_of(node)
    value = bind_value(binder.context.binds, key)
    if value is None:
        return NULL
    type_, _ = outside_type(value)
    if type_ is None:
        _unbound(binder, node, value)

    def later(context: Context) -> object:
        return outside_type(bind_value(context.binds, key))[1]

    # No constant: the plan serves other values of the same type too.
    return Typed(binder.param(later, type_), type_)


def fixed(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    """An expression whose value decides what the query is; a bind's is taken now."""
    if isinstance(node, exp.Placeholder):
        binder.repeatable = False
        value = bind_value(binder.context.binds, bind_of(node))
        whole = value is None or isinstance(value, int | str)
        return constant(value) if whole else outside(binder, node, value)
    return binder.expr(node, scope)


@handles(exp.Parameter)
def _parameter(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    name = word(node)
    if name.isdigit():
        binder.refuse(node, f"${name} (a column by its number) is not supported: name the column")
    binder.repeatable = False
    return outside(binder, node, variable_value(binder.context, name, binder.place(node)))


# -- logic -------------------------------------------------------------------------------------


def condition(binder: Binder, node: exp.Expr, scope: Scope) -> str:
    """An expression that must be true or false."""
    value = binder.expr(node, scope)
    if value.type is not None and value.type.kind not in (Kind.BOOLEAN, *_TRUTHY):
        binder.fail(node, f"expected a condition, this is a {plain_name(value.type)}")
    return binder.cast(value, BOOLEAN, node).sql


_TRUTHY: Final = (Kind.INT, Kind.DECIMAL, Kind.FLOAT, Kind.VARCHAR, Kind.VARIANT)


@handles(exp.And, exp.Or)
def _connector(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    # A chain of a thousand is a list, not a tower: recursion would not reach its end.
    kind, parts, pending = type(node), list[exp.Expr](), [node]
    while pending:
        at = pending.pop()
        if type(at) is kind:
            pending += [inner(at, "expression"), inner(at)]
        else:
            parts.append(at)
    joiner = " AND " if kind is exp.And else " OR "
    return computed(f"({joiner.join(condition(binder, p, scope) for p in parts)})", BOOLEAN)


@handles(exp.Not)
def _not(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return computed(f"(NOT {condition(binder, inner(node), scope)})", BOOLEAN)


_COMPARISONS: Final[dict[type[exp.Expr], str]] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM",
    exp.NullSafeNEQ: "IS DISTINCT FROM",
}


def compare(binder: Binder, node: exp.Expr, sign: str, sides: Sequence[Typed]) -> Typed:
    """Two values compared; a literal text takes the other side's type at once."""
    left, right = (read_literal(binder, node, one, sides) for one in sides)
    left_sql, right_sql = comparable([left, right], binder.how(node))
    return computed(f"({left_sql} {sign} {right_sql})", BOOLEAN)


@handles(*_COMPARISONS)
def _comparison(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    left, right = inner(node), inner(node, "expression")
    sign = _COMPARISONS[type(node)]
    if isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple) and sign in ("=", "<>"):
        return _tuples(binder, node, (left, right), scope)
    if isinstance(right, (exp.Any, exp.All)):
        return _quantified(binder, node, sign, scope)
    return compare(binder, node, sign, [binder.expr(left, scope), binder.expr(right, scope)])


def _tuples(
    binder: Binder, node: exp.Expr, sides: tuple[exp.Expr, exp.Expr], scope: Scope
) -> Typed:
    left, right = children(sides[0]), children(sides[1])
    if len(left) != len(right):
        binder.fail(node, f"{len(left)} values cannot be compared with {len(right)}")
    pairs = [
        compare(binder, node, "=", [binder.expr(a, scope), binder.expr(b, scope)]).sql
        for a, b in zip(left, right, strict=True)
    ]
    made = f"({' AND '.join(pairs)})"
    return computed(made if isinstance(node, exp.EQ) else f"(NOT {made})", BOOLEAN)


def _quantified(binder: Binder, node: exp.Expr, sign: str, scope: Scope) -> Typed:
    right = inner(node, "expression")
    query = inner(right)
    while isinstance(query, exp.Paren):
        query = inner(query)
    left = binder.expr(inner(node), scope)
    made = binder.make_query(binder, query, scope)
    if len(made.columns) != 1:
        binder.fail(node, f"the query compared with gives {len(made.columns)} columns, not one")
    other = Typed(made.columns[0].key, made.columns[0].type)
    left_sql, _ = comparable([left, other], binder.how(node))
    word_ = "ANY" if isinstance(right, exp.Any) else "ALL"
    return computed(f"({left_sql} {sign} {word_} ({made.sql}))", BOOLEAN)


def read_literal(binder: Binder, node: exp.Expr, value: Typed, sides: Sequence[Typed]) -> Typed:
    """A literal text beside a number, date or time is read as one now, with its place."""
    if not (isinstance(value.constant, str) and value.type == VARCHAR):
        return value
    others = [
        one.type
        for one in sides
        if one is not value and one.type is not None and one.type.kind is not Kind.VARCHAR
    ]
    if not others or is_json(others[0]):
        return value
    return literal_as(binder, node, value, others[0])


_READ_NOW: Final = frozenset(
    {Kind.DATE, Kind.TIME, Kind.TIMESTAMP_NTZ, Kind.BOOLEAN, Kind.INT, Kind.FLOAT, Kind.DECIMAL}
)


def literal_as(binder: Binder, node: exp.Expr, value: Typed, type_: SqlType) -> Typed:
    """A constant text as a type, refused at the node if it is none.

    Raises:
        ProgrammingError: E_VALUE.
    """
    said = value.constant
    assert isinstance(said, str)
    if type_.kind not in _READ_NOW:
        return cast(value, type_, binder.how(node))
    wanted = number(38, 18) if type_.kind in (Kind.INT, Kind.DECIMAL) else type_
    if wanted.kind in (Kind.TIME, Kind.TIMESTAMP_NTZ):
        wanted = TIME if wanted.kind is Kind.TIME else NTZ
    try:
        ASSIGN[wanted.kind](wanted, said)
    except Unfit as unfit:
        place = binder.place(node)
        from headwater.sql.errors import DataError

        raise DataError(f"{said[:80]!r} {unfit}", code="E_VALUE", place=place) from None
    if type_.kind in (Kind.INT, Kind.DECIMAL):
        digits = said.strip().lstrip("+")
        bare = digits.lstrip("-")
        if bare.isdigit():
            return constant(int(digits))
        if bare.replace(".", "", 1).isdigit():
            made = _decimal(bare)
            return made if bare == digits else computed(f"(-{made.sql})", made.type or FLOAT)
        return cast(value, number(38, 9), binder.how(node))
    return Typed(cast(value, wanted, binder.how(node)).sql, wanted, said)


@handles(exp.Between)
def _between(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = binder.expr(inner(node), scope)
    bounds = [binder.expr(inner(node, key), scope) for key in ("low", "high")]
    low, high = (
        compare(binder, node, sign, [value, bound]).sql
        for sign, bound in zip((">=", "<="), bounds, strict=True)
    )
    return computed(f"({low} AND {high})", BOOLEAN)


@handles(exp.In)
def _in(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    left, query = inner(node), child(node, "query")
    if query is not None:
        while (
            isinstance(query, exp.Paren)
            or type(query) is exp.Subquery
            and not query.args.get("alias")
        ):
            query = inner(query)
        return _in_query(binder, node, query, scope)
    options = children(node)
    if isinstance(left, exp.Tuple):
        found = [
            _tuples(binder, exp.EQ(this=left, expression=one), (left, one), scope).sql
            for one in options
        ]
        return computed(f"({' OR '.join(found)})", BOOLEAN)
    value = binder.expr(left, scope)
    others = [binder.expr(one, scope) for one in options]
    read = [read_literal(binder, one, v, [value]) for one, v in zip(options, others, strict=True)]
    first, *rest = comparable([value, *read], binder.how(node))
    return computed(f"({first} IN ({', '.join(rest)}))", BOOLEAN)


def _in_query(binder: Binder, node: exp.Expr, query: exp.Expr, scope: Scope) -> Typed:
    left = inner(node)
    sides = children(left) if isinstance(left, exp.Tuple) else [left]
    made = binder.make_query(binder, query, scope)
    if len(made.columns) != len(sides):
        binder.fail(node, f"IN compares {len(sides)} columns, the query gives {len(made.columns)}")
    values = [binder.expr(side, scope) for side in sides]
    inside, outside_ = list[str](), list[str]()
    for value, out in zip(values, made.columns, strict=True):
        one, other = comparable([value, Typed(out.key, out.type)], binder.how(node))
        outside_.append(one)
        inside.append(other)
    query_sql = made.sql
    if inside != [out.key for out in made.columns]:
        query_sql = f"SELECT {', '.join(inside)} FROM ({made.sql})"
    first = outside_[0] if len(outside_) == 1 else f"({', '.join(outside_)})"
    return computed(f"({first} IN ({query_sql}))", BOOLEAN)


@handles(exp.Exists)
def _exists(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return computed(f"EXISTS ({binder.make_query(binder, inner(node), scope).sql})", BOOLEAN)


@handles(exp.Subquery)
def _subquery(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    made = binder.make_query(binder, inner(node), scope)
    if len(made.columns) != 1:
        binder.fail(node, f"a query used as a value gives one column, this one {len(made.columns)}")
    return Typed(f"({made.sql})", made.columns[0].type)


@handles(exp.Select, exp.Union, exp.Intersect, exp.Except)
def _bare_query(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return _subquery(binder, exp.Subquery(this=node), scope)


@handles(exp.Is)
def _is(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value, other = binder.expr(inner(node), scope), inner(node, "expression")
    if isinstance(other, exp.Null):
        return computed(f"({value.sql} IS NULL)", BOOLEAN)
    negated = isinstance(other, exp.Not)
    side = inner(other) if negated else other
    if isinstance(side, exp.Null):
        return computed(f"({value.sql} IS NOT NULL)", BOOLEAN)
    if isinstance(side, exp.Boolean):
        made = binder.cast(value, BOOLEAN, node).sql
        word_ = "TRUE" if side.this else "FALSE"
        return computed(f"({made} IS {'NOT ' if negated else ''}{word_})", BOOLEAN)
    binder.refuse(node, "IS takes NULL, TRUE or FALSE")


@handles(exp.Like, exp.ILike)
def _like(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return _patterns(binder, node, None, scope)


@handles(exp.Escape)
def _escaped(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    like = inner(node)
    if not isinstance(like, (exp.Like, exp.ILike)):
        binder.fail(node, "ESCAPE stands behind LIKE or ILIKE", "E_SQL_SYNTAX")
    return _patterns(binder, like, inner(node, "expression"), scope)


def _patterns(binder: Binder, node: exp.Expr, escape: exp.Expr | None, scope: Scope) -> Typed:
    """A text against one pattern, or ANY or ALL of several."""
    pattern, sign = inner(node, "expression"), "LIKE" if isinstance(node, exp.Like) else "ILIKE"
    value = binder.cast(binder.expr(inner(node), scope), VARCHAR, node).sql
    found, joiner = [pattern], " OR "
    if isinstance(pattern, (exp.Any, exp.All)):
        joiner = " OR " if isinstance(pattern, exp.Any) else " AND "
        found = [inner(pattern)]
        while len(found) == 1 and isinstance(found[0], (exp.Paren, exp.Tuple)):
            only = found[0]
            found = children(only) if isinstance(only, exp.Tuple) else [inner(only)]
    tail = ""
    if escape is not None:
        tail = f" ESCAPE {binder.cast(binder.expr(escape, scope), VARCHAR, escape).sql}"
    made = [
        f"{value} {sign} {binder.cast(binder.expr(one, scope), VARCHAR, one).sql}{tail}"
        for one in found
    ]
    return computed(f"({joiner.join(made)})", BOOLEAN)


# -- choices -----------------------------------------------------------------------------------


@handles(exp.Case)
def _case(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    subject, otherwise = child(node, "this"), child(node, "default")
    whens = list[str]()
    base = None if subject is None else binder.expr(subject, scope)
    for branch in children(node, "ifs"):
        test = inner(branch)
        if base is None:
            whens.append(condition(binder, test, scope))
        else:
            whens.append(compare(binder, test, "=", [base, binder.expr(test, scope)]).sql)
    results = [binder.expr(inner(branch, "true"), scope) for branch in children(node, "ifs")]
    results.append(NULL if otherwise is None else binder.expr(otherwise, scope))
    return choose(binder, node, whens, results)


def choose(binder: Binder, node: exp.Expr, whens: Sequence[str], results: Sequence[Typed]) -> Typed:
    """The result of the first condition that holds; the last one is where none does."""
    made, type_ = unify_at(binder, node, results)
    if type_ is None:
        return NULL
    steps = " ".join(f"WHEN {when} THEN {one.sql}" for when, one in zip(whens, made, strict=False))
    return computed(f"CASE {steps} ELSE {made[-1].sql} END", type_)


def unify_at(
    binder: Binder, node: exp.Expr, values: Sequence[Typed]
) -> tuple[list[Typed], SqlType | None]:
    """Values in one type; a literal text is read as the others' type, with its place."""
    read = [read_literal(binder, node, value, values) for value in values]
    try:
        return unify(read, binder.how(node))
    except Mismatch as error:
        binder.fail(node, str(error))


@handles(exp.If)
def _if(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    test = condition(binder, inner(node), scope)
    otherwise = child(node, "false")
    results = [binder.expr(inner(node, "true"), scope)]
    results.append(NULL if otherwise is None else binder.expr(otherwise, scope))
    return choose(binder, node, [test], results)


@handles(exp.Coalesce)
def _coalesce(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    values = [binder.expr(one, scope) for one in (inner(node), *children(node))]
    made, type_ = unify_at(binder, node, values)
    if type_ is None:
        return NULL
    return computed(f"COALESCE({', '.join(one.sql for one in made)})", type_)


@handles(exp.Nullif)
def _nullif(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    left, right = binder.expr(inner(node), scope), binder.expr(inner(node, "expression"), scope)
    same = compare(binder, node, "=", [left, right]).sql
    if left.type is None:
        return NULL
    return computed(f"CASE WHEN {same} THEN NULL ELSE {left.sql} END", left.type)


@handles(exp.Nvl2)
def _nvl2(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = binder.expr(inner(node), scope)
    results = [binder.expr(inner(node, key), scope) for key in ("true", "false") if has(node, key)]
    return choose(binder, node, [f"{value.sql} IS NOT NULL"], results)


@handles(exp.DecodeCase)
def _decode(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    subject, *rest = children(node)
    base = binder.expr(subject, scope)
    whens, results = list[str](), list[Typed]()
    while len(rest) > 1:
        test, result, *rest = rest
        # DECODE finds NULL equal to NULL.
        same = compare(binder, test, "IS NOT DISTINCT FROM", [base, binder.expr(test, scope)])
        whens.append(same.sql)
        results.append(binder.expr(result, scope))
    results.append(binder.expr(rest[0], scope) if rest else NULL)
    return choose(binder, node, whens, results)


# -- casts -------------------------------------------------------------------------------------


def declared_type(binder: Binder, node: exp.Expr) -> SqlType:
    """The type that a cast names."""
    said = word_of_type(node)
    try:
        return SqlType.parse(said)
    except TypeNotKnown as error:
        binder.fail(node, str(error), "E_TYPE")


_NAMES: Final = {
    "DECIMAL": "NUMBER",
    "TEXT": "VARCHAR",
    "TIMESTAMPLTZ": "TIMESTAMP_LTZ",
    "TIMESTAMPTZ": "TIMESTAMP_TZ",
    "TIMESTAMPNTZ": "TIMESTAMP_NTZ",
    "TIMESTAMP": "TIMESTAMP_NTZ",
    "DATETIME": "TIMESTAMP_NTZ",
    "VARBINARY": "BINARY",
    "BIGINT": "INT",
    "STRUCT": "OBJECT",
    "NCHAR": "CHAR",
    "NVARCHAR": "VARCHAR",
    "UTINYINT": "TINYINT",
    "BIGDECIMAL": "NUMBER",
}


def word_of_type(node: exp.Expr) -> str:
    """A type as it is declared, from sqlglot's name for it."""
    kind: object = node.args.get("this")
    name = str(getattr(kind, "value", kind)).upper()
    params = [word(inner(one)) for one in children(node) if isinstance(one, exp.DataTypeParam)]
    name = _NAMES.get(name, name)
    if name in ("INT", "FLOAT"):
        params = []
    return f"{name}({','.join(params)})" if params else name


@handles(exp.Cast)
def _cast(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = binder.expr(inner(node), scope)
    type_ = declared_type(binder, inner(node, "to"))
    if type_.kind is Kind.DECIMAL and not children(inner(node, "to")):
        # A bare NUMBER in a cast is Snowflake's NUMBER(38,0).
        type_ = number(38, 0)
    if isinstance(value.constant, str) and value.type == VARCHAR and type_.kind in _READ_NOW:
        literal_as(binder, node, value, type_)
    return binder.cast(value, type_, node)


@handles(exp.TryCast)
def _try_cast(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = binder.expr(inner(node), scope)
    type_ = declared_type(binder, inner(node, "to"))
    if type_.kind is Kind.DECIMAL and not children(inner(node, "to")):
        type_ = number(38, 0)
    if value.type is not None and value.type.kind is not Kind.VARCHAR:
        binder.fail(node, f"TRY_CAST takes text, this is a {plain_name(value.type)}: use CAST")
    return coercion.cast(value, type_, binder.how(node, guarded=False))
