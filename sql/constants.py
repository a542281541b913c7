"""Values that a statement says outright: literals, binds, $variables, casts, the clock.

What is more than that, such as `DATEADD(hour, -1, CURRENT_TIMESTAMP())`, is run as a query of one
row; nothing else of a statement's parts needs one.
"""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

from sqlglot import exp

from headwater.schemas.casts import ASSIGN, Unfit
from headwater.schemas.errors import TypeNotKnown
from headwater.schemas.types import Kind, SqlType
from headwater.schemas.values import from_plain
from headwater.sql.binds import bind_value
from headwater.sql.context import Context
from headwater.sql.errors import DataError, Place, ProgrammingError, syntax
from headwater.sql.parse import place_of
from headwater.sql.parse_binds import bind_of

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CLOCKS: Final = (exp.CurrentTimestamp, exp.CurrentTimestampLTZ, exp.CurrentDate, exp.CurrentTime)
NOT_CONSTANT: Final = object()


def now(context: Context) -> datetime:
    """The time that the statement sees, in the session's zone."""
    return (_EPOCH + timedelta(microseconds=context.tx.now_us)).astimezone(context.state.zone)


def variable_value(context: Context, name: str, place: Place | None = None) -> object:
    """What a session variable holds.

    Raises:
        ProgrammingError: it is not set.
    """
    variables = context.state.variables
    if name.upper() not in variables:
        raise ProgrammingError(
            f"variable ${name} is not set: SET {name} = ..", code="E_SQL_VARIABLE", place=place
        )
    return variables[name.upper()]


def value_of(context: Context, node: exp.Expr) -> object:
    """The Python value of an expression without columns: int, Decimal, str, datetime, ..

    Raises:
        ProgrammingError: a bind or variable without a value, or a name where none can be.
        DataError: a value that cannot be cast as asked.
    """
    found = constant(context, node)
    return _queried(context, node) if found is NOT_CONSTANT else found


def constant(context: Context, node: exp.Expr) -> object:
    """The value of what is said outright, else NOT_CONSTANT; runs no query."""
    match node:
        case exp.Placeholder():
            return bind_value(context.binds, bind_of(node))
        case exp.Parameter():
            return variable_value(context, node.name, place_of(node, context.statement))
        case exp.Neg() | exp.Paren():
            inner = constant(context, node.this)
            if isinstance(node, exp.Paren):
                return inner
            if isinstance(inner, int | float | Decimal) and not isinstance(inner, bool):
                return -inner
            return NOT_CONSTANT
        case exp.Cast():
            return _cast(context, node)
        case exp.CurrentTimestamp() | exp.CurrentDate() | exp.CurrentTime():
            return _clock(context, node)
        case _:
            return literal(node)


def literal(node: exp.Expr) -> object:
    """The value of a literal: int, Decimal, float, str, bool, None; else NOT_CONSTANT."""
    match node:
        case exp.Null():
            return None
        case exp.Boolean():
            return bool(node.this)
        case exp.Literal() if node.is_string:
            return node.name
        case exp.Literal():
            return _number(node.name)
        case exp.RawString():
            return node.name
        case exp.HexString():
            return _hexadecimal(node.name)
        case exp.Neg():
            inner = literal(node.this)
            if isinstance(inner, int | float | Decimal) and not isinstance(inner, bool):
                return -inner
            return NOT_CONSTANT
        case _:
            return NOT_CONSTANT


def _hexadecimal(text: str) -> object:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return NOT_CONSTANT


def _number(text: str) -> object:
    """An int, a Decimal for a fraction, a float for an exponent: as Snowflake reads it."""
    try:
        if text.isascii() and text.isdigit():
            return int(text) if len(text) <= 4000 else NOT_CONSTANT
        return float(text) if "e" in text.lower() else Decimal(text)
    except (ValueError, InvalidOperation):
        return NOT_CONSTANT


def _clock(context: Context, node: exp.Expr) -> object:
    moment = now(context)
    if isinstance(node, exp.CurrentDate):
        return moment.date()
    return moment.time() if isinstance(node, exp.CurrentTime) else moment


def _cast(context: Context, node: exp.Cast) -> object:
    """A constant cast to a type we have, by the rules of assignment."""
    inner = constant(context, node.this)
    if inner is NOT_CONSTANT:
        return NOT_CONSTANT
    try:
        type_ = SqlType.parse(node.to.sql(dialect="snowflake"))
    except TypeNotKnown:
        return NOT_CONSTANT
    if inner is None:
        return None
    if type_.kind in (Kind.VARIANT, Kind.OBJECT, Kind.ARRAY):
        return NOT_CONSTANT
    try:
        return from_plain(type_, ASSIGN[type_.kind](type_, inner))
    except Unfit as refused:
        if isinstance(node, exp.TryCast):
            return None
        shown = repr(inner) if len(repr(inner)) <= 80 else repr(inner)[:77] + "..."
        raise DataError(
            f"{shown} {refused}", code="E_VALUE", place=place_of(node, context.statement)
        ) from refused


def _queried(context: Context, node: exp.Expr) -> object:
    """The value of one expression as a query works it out."""
    inner: object = node.this if isinstance(node, exp.Subquery) else None
    asked = inner if isinstance(inner, exp.Query) else exp.select(node.copy())
    return one_value(context, asked)


def one_value(context: Context, query: exp.Query) -> object:
    """The value of a query that gives one; None where it gives no row.

    Raises:
        ProgrammingError: it gives several columns or rows.
    """
    place = place_of(query, context.statement) or context.statement.place
    if len(query.selects) > 1:
        raise syntax("one value is wanted, the query gives several columns", place)
    from headwater.sql.select import evaluate  # queries stand above

    return evaluate(context, exp.Subquery(this=query.copy()))


def node_of(value: object) -> exp.Expr:
    """A value as a literal of a tree.

    Raises:
        ProgrammingError: no literal can say it.
    """
    match value:
        case None:
            return exp.Null()
        case bool():
            return exp.Boolean(this=value)
        case int() | Decimal() | float():
            number = exp.Literal.number(str(abs(value)))
            return exp.Neg(this=number) if value < 0 else number
        case str():
            return exp.Literal.string(value)
        case bytes():
            return exp.HexString(this=value.hex())
        case datetime():
            kind = "TIMESTAMP_NTZ" if value.tzinfo is None else "TIMESTAMP_TZ"
            return _typed(value.isoformat(sep=" "), kind)
        case date():
            return _typed(value.isoformat(), "DATE")
        case time():
            return _typed(value.isoformat(), "TIME")
        case _:
            raise ProgrammingError(
                f"a {type(value).__name__} cannot stand in a statement", code="E_SQL_BINDS"
            )


def _typed(text: str, kind: str) -> exp.Expr:
    return exp.cast(exp.Literal.string(text), kind, dialect="snowflake")
