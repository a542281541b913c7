"""Session variables: SET, UNSET, $v in expressions, IDENTIFIER($v) in place of a name."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Final, TypeVar, cast

from sqlglot import exp

from headwater.producer.names import parse
from headwater.sql.binds import bind_value
from headwater.sql.constants import node_of, value_of, variable_value
from headwater.sql.context import Context
from headwater.sql.errors import ProgrammingError
from headwater.sql.parse import place_of, place_of_name
from headwater.sql.parse_binds import bind_of
from headwater.sql.results import Result, status
from headwater.sql.statements import SetVariable, Statement, UnsetVariable
from headwater.sql.tokens import BIND

_STATEMENT = TypeVar("_STATEMENT", bound=Statement)
_TREE = TypeVar("_TREE", bound=exp.Expr)

# Fields that hold names as they were written.
_NAMES: Final = frozenset(("name", "table", "like", "clone", "on", "scope", "new_name"))
_LONGEST: Final = 64 << 10


def set_variable(context: Context, statement: SetVariable) -> Result:
    """SET: values are worked out now, and stay what they are.

    Raises:
        ProgrammingError: a value longer than 64 kB.
    """
    values = [value_of(context, node) for node in statement.values]
    for name, value in zip(statement.names, values, strict=True):
        if isinstance(value, str | bytes) and len(value) > _LONGEST:
            raise ProgrammingError(
                f"variable {name} would hold {len(value)} characters and may hold {_LONGEST}",
                code="E_SQL_VARIABLE",
                place=statement.place,
            )
    context.state.variables.update(zip(statement.names, values, strict=True))
    return status("SET", "Statement executed successfully.")


def unset_variable(context: Context, statement: UnsetVariable) -> Result:
    """UNSET: a variable that was not set is none either way."""
    for name in statement.names:
        context.state.variables.pop(name, None)
    return status("UNSET", "Statement executed successfully.")


def filled(context: Context, statement: _STATEMENT) -> _STATEMENT:
    """The statement with the names that variables and binds stand for.

    Raises:
        ProgrammingError: one has no value, or one that is no text.
    """
    changed: dict[str, object] = {}
    for field in fields(statement):
        value: object = getattr(statement, field.name)
        if field.name in _NAMES and _marked(value):
            changed[field.name] = _name(context, str(value))
        elif field.name == "names" and isinstance(value, tuple):
            names = cast("tuple[str, ...]", value)  # of whatever class: `names` are texts
            if any(_marked(name) for name in names):
                changed["names"] = tuple(_name(context, name) for name in names)
    if not changed:
        return statement
    # replace() is typed by the fields of each class, which are not known here.
    return cast("Callable[..., _STATEMENT]", replace)(statement, **changed)


def _marked(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("$", BIND))


def _name(context: Context, mark: str) -> str:
    place = place_of_name(mark, context.statement) or context.statement.place
    if mark.startswith("$"):
        value = variable_value(context, mark[1:], place)
    elif mark.startswith(BIND):
        key = mark.removeprefix(BIND)
        value = bind_value(context.binds, int(key) if key.isdigit() else key)
    else:
        return mark
    if not isinstance(value, str):
        raise ProgrammingError(
            f"IDENTIFIER({mark if mark.startswith('$') else '?'}) takes a text that is a name",
            code="E_SQL_VARIABLE",
            place=place,
        )
    return value


def folded(context: Context, tree: _TREE) -> _TREE:
    """A copy of a tree with each $variable as its value and each IDENTIFIER(..) as the name.

    The tree itself where it has neither.

    Raises:
        ProgrammingError: a variable that is not set, a bind without a value.
        NameInvalid: an IDENTIFIER of what is no name.
    """
    if tree.find(exp.Parameter, exp.DynamicIdentifier) is None:
        return tree
    made = tree.copy()
    for name in list(made.find_all(exp.DynamicIdentifier)):
        _identify(context, name)
    for variable in list(made.find_all(exp.Parameter)):
        if variable.name.isdigit():
            continue  # $1 is a column by its number, which the query refuses
        place = place_of(variable, context.statement)
        variable.replace(node_of(variable_value(context, variable.name, place)))
    return made


def _identify(context: Context, node: exp.DynamicIdentifier) -> None:
    inner: exp.Expr = node.this
    if isinstance(inner, exp.Parameter):
        value = variable_value(context, inner.name, place_of(inner, context.statement))
    elif isinstance(inner, exp.Placeholder):
        value = bind_value(context.binds, bind_of(inner))
    else:
        value = inner.name
    if not isinstance(value, str):
        raise ProgrammingError(
            "IDENTIFIER takes a text that is a name",
            code="E_SQL_VARIABLE",
            place=place_of(inner, context.statement) or context.statement.place,
        )
    name = parse(value)
    leaf = _identifier(name.text)
    within = _identifier(name.schema) if name.schema else None
    owner = node.parent
    if isinstance(owner, exp.Table):
        owner.set("this", leaf)
        owner.set("db", within)
    else:
        node.replace(exp.Column(this=leaf, table=within))


def _identifier(part: str) -> exp.Identifier:
    quoted = part.startswith('"')
    text = part[1:-1].replace('""', '"') if quoted else part
    return exp.Identifier(this=text, quoted=quoted)
