"""Values that a statement says without a query: literals, binds, variables, the clock, DEFAULT.

What stands for such a value in a tree becomes a `Cell`; everything else needs DuckDB.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlglot import exp

from headwater.schemas.casts import ASSIGN, Unfit
from headwater.schemas.errors import TypeNotKnown
from headwater.schemas.types import JSON_KINDS, SqlType
from headwater.schemas.values import from_plain
from headwater.sql.binds import bind_value
from headwater.sql.context import Context
from headwater.sql.errors import DataError, ProgrammingError
from headwater.sql.parse_binds import Key, bind_of

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_Value = Callable[[Context], object]


@dataclass(frozen=True, slots=True)
class Default:
    """DEFAULT: what the column has when it is left out."""


@dataclass(frozen=True, slots=True)
class Json:
    """PARSE_JSON of a text: means itself only where the column holds JSON."""

    text: _Value


@dataclass(frozen=True, slots=True)
class Bind:
    """A value sent beside the text."""

    key: Key

    def __call__(self, context: Context) -> object:
        return bind_value(context.binds, self.key)


# A value known to the text, or one that only the execution knows.
Cell = _Value | Default | Json
DEFAULT: Final = Default()


def cell(node: exp.Expr) -> Cell | None:
    """The value a node stands for, None if it takes a query to tell."""
    match node:
        case exp.Paren():
            return cell(node.this)
        case exp.ParseJSON() if node.args.get("expression") is None and not node.args.get("safe"):
            text = cell(node.this)
            return Json(text) if callable(text) else None
        case exp.Cast() if type(node) is exp.Cast:
            inner = cell(node.this)
            return _cast(inner, node) if callable(inner) else None
        case exp.Var() if str(node.this).upper() == "DEFAULT":
            return DEFAULT
        case exp.Column() if _is_default(node):
            return DEFAULT
        case _:
            return _simple(node)


def _is_default(node: exp.Column) -> bool:
    name = node.this
    bare = len([part for part in node.parts if part]) == 1
    return (
        bare
        and isinstance(name, exp.Identifier)
        and not name.quoted
        and (str(name.this).upper() == "DEFAULT")
    )


def _simple(node: exp.Expr) -> _Value | None:
    match node:
        case exp.Placeholder():
            return Bind(bind_of(node))
        case exp.Parameter():
            name = str(node.name).upper()
            return lambda context: variable(context, name)
        case exp.CurrentTimestamp() | exp.CurrentDate():
            today = isinstance(node, exp.CurrentDate)
            return lambda context: _now(context, today=today)
        case _:
            found = _literal(node)
            return None if found is None else found


def _literal(node: exp.Expr) -> _Value | None:
    value: object
    match node:
        case exp.Literal():
            text = str(node.this)
            value = text if node.is_string else _number(text)
        case exp.Neg(this=exp.Literal(is_string=False) as literal):
            value = -_number(str(literal.this))
        case exp.Null():
            value = None
        case exp.Boolean():
            value = bool(node.this)
        case _:
            return None
    return lambda _: value


def _number(text: str) -> int | Decimal:
    return int(text) if text.isdigit() else Decimal(text)


def _cast(inner: _Value, node: exp.Cast) -> _Value | None:
    """`value::TYPE` of the types whose values a text can give without a format."""
    try:
        type_ = SqlType.parse(node.to.sql(dialect="snowflake"))
    except TypeNotKnown:
        return None
    if type_.kind in JSON_KINDS or node.args.get("format") or node.args.get("default"):
        return None

    def value(context: Context) -> object:
        given = inner(context)
        if given is None:
            return None
        try:
            return from_plain(type_, ASSIGN[type_.kind](type_, given))
        except Unfit as refused:
            raise DataError(f"{given!r} {refused}", code="E_VALUE") from None

    return value


def variable(context: Context, name: str) -> object:
    """The value of a session variable.

    Raises:
        ProgrammingError: it is not set.
    """
    if name not in context.state.variables:
        known = ", ".join(f"${one}" for one in sorted(context.state.variables)) or "none"
        raise ProgrammingError(
            f"variable ${name} is not set: set are {known}", code="E_SQL_VARIABLE"
        )
    return context.state.variables[name]


def _now(context: Context, *, today: bool) -> object:
    now = (_EPOCH + timedelta(microseconds=context.tx.now_us)).astimezone(context.state.zone)
    return now.date() if today else now
