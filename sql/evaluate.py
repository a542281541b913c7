"""Constants worked out before a query runs: places in history, arguments of SYSTEM$ functions."""

from collections.abc import Callable
from typing import Final

from sqlglot import exp

from headwater.schemas.types import SqlType
from headwater.sql.bind_values import bind_value
from headwater.sql.context import Context
from headwater.sql.trees import inner, word

# Runs `SELECT <expression>`; select.py puts itself here, since it stands above.
RUN: Final[list[Callable[[Context, exp.Expr], tuple[SqlType, object]]]] = []


def value_of(context: Context, node: exp.Expr) -> object:
    """A constant expression's value as users see it: int, Decimal, str, datetime, ..

    Literals and binds cost nothing; anything else is a query without FROM.

    Raises:
        ProgrammingError: it names a column, or is wrong in itself.
    """
    while isinstance(node, exp.Paren):
        node = inner(node)
    match node:
        case exp.Literal() if node.args.get("is_string"):
            return word(node)
        case exp.Literal() if word(node).isdigit():
            return int(word(node))
        case exp.Neg() if isinstance(node.this, exp.Literal) and word(inner(node)).isdigit():
            return -int(word(inner(node)))
        case exp.Null():
            return None
        case exp.Boolean():
            return bool(node.this)
        case exp.Placeholder():
            return bind_value(context, node)
        case exp.Parameter() if word(node).upper() in context.state.variables:
            return context.state.variables[word(node).upper()]
        case _:
            return typed_value_of(context, node)[1]


def typed_value_of(context: Context, node: exp.Expr) -> tuple[SqlType, object]:
    """A constant expression's type and value; see `value_of`."""
    return RUN[0](context, node)
