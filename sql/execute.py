"""From a statement to the function that runs it."""

from collections.abc import Callable
from typing import Final, TypeVar, cast

from headwater.sql.context import Context
from headwater.sql.errors import unsupported
from headwater.sql.keyed import delete_by_key, update_by_key
from headwater.sql.names import table_named
from headwater.sql.results import Result, status
from headwater.sql.statements import (
    AlterSession,
    Delete,
    Describe,
    Explain,
    Insert,
    Nothing,
    Query,
    SetVariable,
    Show,
    Statement,
    Truncate,
    UnsetVariable,
    Update,
    Use,
)
from headwater.sql.values import insert_values, values_of
from headwater.sql.variables import filled, set_variable, unset_variable

_Of = TypeVar("_Of", bound=Statement)
_Runner = Callable[[Context, Statement], Result]


def _runs(kind: type[_Of], run: Callable[[Context, _Of], Result]) -> tuple[type, _Runner]:
    # A function is only ever given statements of its kind.
    return kind, cast(_Runner, run)


def _insert(context: Context, statement: Insert) -> Result:
    plain = values_of(statement)
    if plain is None:
        raise unsupported("an INSERT of a query is not there yet", statement.place)
    return insert_values(context, plain)


def _update(context: Context, statement: Update) -> Result:
    done = update_by_key(context, statement)
    if done is None:
        raise unsupported("an UPDATE of more than one key is not there yet", statement.place)
    return done


def _delete(context: Context, statement: Delete) -> Result:
    done = delete_by_key(context, statement)
    if done is None:
        raise unsupported("a DELETE of more than one key is not there yet", statement.place)
    return done


def _truncate(context: Context, statement: Truncate) -> Result:
    rows = context.tx.truncate(table_named(context.tx.catalog, context.state, statement.table))
    result = status("TRUNCATE TABLE", "Statement executed successfully.")
    result.rowcount = rows
    return result


_RUNNERS: Final[dict[type, _Runner]] = dict(
    (
        _runs(Insert, _insert),
        _runs(Update, _update),
        _runs(Delete, _delete),
        _runs(Truncate, _truncate),
        _runs(SetVariable, set_variable),
        _runs(UnsetVariable, unset_variable),
    )
)
_READING: Final = (
    Query,
    Show,
    Describe,
    Explain,
    SetVariable,
    UnsetVariable,
    Use,
    Nothing,
)


def run(context: Context) -> Result:
    """What the context's statement gives.

    Raises:
        NotSupportedError: a statement that is recognised and not there.
    """
    if "IDENTIFIER" in context.statement.text.upper():
        context.statement = filled(context, context.statement)
    statement = context.statement
    runner = _RUNNERS.get(type(statement))
    if runner is None:
        raise unsupported(f"{verb(statement)} is not there yet", statement.place)
    return runner(context, statement)


def writes(statement: Statement) -> bool:
    """Whether a statement may change the store, so that one opened for reading refuses it."""
    if isinstance(statement, AlterSession):
        return statement.store
    return not isinstance(statement, _READING)


def verb(statement: Statement) -> str:
    """A statement's first words, as an error names it."""
    return " ".join(statement.text.split()[:2]).upper()
