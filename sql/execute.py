"""From a statement to the function that runs it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar, cast

from sqlglot import exp

from headwater.sql import delete, insert, query, temporary, update
from headwater.sql.catalog_runners import RUNNERS
from headwater.sql.context import Context
from headwater.sql.errors import unsupported
from headwater.sql.results import Result
from headwater.sql.statements import (
    AlterSession,
    AlterTable,
    CopyInto,
    CopyOut,
    CreateTable,
    Delete,
    Describe,
    Drop,
    Explain,
    Insert,
    InsertAll,
    Merge,
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
from headwater.sql.variables import filled, folded

_Of = TypeVar("_Of", bound=Statement)
_Runner = Callable[[Context, Statement], Result]


def _runs(kind: type[_Of], run: Callable[[Context, _Of], Result]) -> tuple[type, _Runner]:
    # A function is only ever given statements of its kind.
    return kind, cast(_Runner, run)


def _create_table(context: Context, statement: CreateTable) -> Result:
    if statement.temporary:
        return temporary.create(context, statement)
    if statement.query is not None:
        from headwater.sql.ctas import create_table_as

        return create_table_as(context, statement)
    return RUNNERS[CreateTable](context, statement)


def _drop(context: Context, statement: Drop) -> Result:
    return temporary.drop(context, statement) or RUNNERS[Drop](context, statement)


def _alter_table(context: Context, statement: AlterTable) -> Result:
    temporary.refuse(context, statement.name, "ALTER TABLE")
    return RUNNERS[AlterTable](context, statement)


# What these load is not for statements that are over in less time.


def _copy_in(context: Context, statement: CopyInto) -> Result:
    from headwater.sql import copy_in

    return copy_in.run(context, statement)


def _copy_out(context: Context, statement: CopyOut) -> Result:
    from headwater.sql import copy_out

    return copy_out.run(context, statement)


def _insert_all(context: Context, statement: InsertAll) -> Result:
    from headwater.sql import insert_all

    return insert_all.run(context, statement)


def _merge(context: Context, statement: Merge) -> Result:
    from headwater.sql import merge

    return merge.run(context, statement)


_RUNNERS: Final[dict[type, _Runner]] = RUNNERS | dict(
    (
        _runs(Insert, insert.run),
        _runs(CopyInto, _copy_in),
        _runs(CopyOut, _copy_out),
        _runs(InsertAll, _insert_all),
        _runs(Update, update.run),
        _runs(Delete, delete.run),
        _runs(Merge, _merge),
        _runs(Truncate, delete.truncate),
        _runs(Query, query.run),
        _runs(CreateTable, _create_table),
        _runs(Drop, _drop),
        _runs(AlterTable, _alter_table),
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
    statement = context.statement = settled(context, context.statement)
    runner = _RUNNERS.get(type(statement))
    if runner is None:
        raise unsupported(f"{verb(statement)} is not there yet", statement.place)
    return runner(context, statement)


def settled(context: Context, statement: Statement) -> Statement:
    """The statement with the names and values that its variables stand for; itself without any.

    Raises:
        ProgrammingError: a variable that is not set, a bind without a value.
    """
    if not statement.varied:
        return statement
    found = filled(context, statement)
    match found:
        case Insert():
            return _folded(context, found, found.tree)
        case Update():
            return _folded(context, found, found.tree)
        case Delete():
            return _folded(context, found, found.tree)
        case Merge():
            return _folded(context, found, found.tree)
        case _:
            return found


def _folded(
    context: Context, statement: Insert | Update | Delete | Merge, tree: exp.Expr
) -> Statement:
    made = folded(context, tree)
    if made is tree:
        return statement
    # replace() is typed by the fields of one class; the tree is of the statement's own sort.
    return cast("Callable[..., Statement]", replace)(statement, tree=made)


def writes(statement: Statement) -> bool:
    """Whether a statement may change the store, so that one opened for reading refuses it."""
    if isinstance(statement, AlterSession):
        return statement.store
    return not isinstance(statement, _READING)


def verb(statement: Statement) -> str:
    """A statement's first words, as an error names it."""
    return " ".join(statement.text.split()[:2]).upper()
