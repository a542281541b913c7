"""Which function runs a statement that defines, lists or asks; DML and queries have their own."""

from collections.abc import Callable
from typing import Final, TypeVar, cast

from headwater.sql import (
    ddl_tables,
    ddl_views,
    parameters,
    session_statements,
    variables,
)
from headwater.sql.context import Context
from headwater.sql.results import Result
from headwater.sql.statements import (
    AlterSession,
    AlterStream,
    AlterTable,
    AlterView,
    Call,
    CreateSchema,
    CreateStream,
    CreateTable,
    CreateView,
    Describe,
    Drop,
    Explain,
    Nothing,
    SetVariable,
    Show,
    Statement,
    TaskStatement,
    Undrop,
    UnsetVariable,
    Use,
)

Runner = Callable[[Context, Statement], Result]
_Of = TypeVar("_Of", bound=Statement)


def _runs(kind: type[_Of], run: Callable[[Context, _Of], Result]) -> tuple[type, Runner]:
    # A function is only ever given statements of its kind.
    return kind, cast(Runner, run)


# What these load is not for the others.


def _create_stream(context: Context, statement: CreateStream) -> Result:
    from headwater.sql import ddl_streams

    return ddl_streams.create(context, statement)


def _alter_stream(context: Context, statement: AlterStream) -> Result:
    from headwater.sql import ddl_streams

    return ddl_streams.alter(context, statement)


def _drop_stream(context: Context, statement: Drop) -> Result:
    from headwater.sql import ddl_streams

    return ddl_streams.drop(context, statement)


def _call(context: Context, statement: Call) -> Result:
    from headwater.sql import procedures

    return procedures.call(context, statement)


def _show(context: Context, statement: Show) -> Result:
    from headwater.sql import show

    return show.show(context, statement)


def _describe(context: Context, statement: Describe) -> Result:
    from headwater.sql import describe

    return describe.describe(context, statement)


def _explain(context: Context, statement: Explain) -> Result:
    from headwater.sql import explain

    return explain.explain(context, statement)


def _drop(context: Context, statement: Drop) -> Result:
    return _DROPS[statement.kind](context, statement)


_DROPS: Final[dict[str, Callable[[Context, Drop], Result]]] = {
    "TABLE": ddl_tables.drop_table,
    "VIEW": ddl_views.drop_view,
    "STREAM": _drop_stream,
    "SCHEMA": ddl_tables.drop_schema,
}

RUNNERS: Final[dict[type, Runner]] = dict(
    (
        _runs(CreateTable, ddl_tables.create_table),
        _runs(AlterTable, ddl_tables.alter_table),
        _runs(Undrop, ddl_tables.undrop_table),
        _runs(CreateSchema, ddl_tables.create_schema),
        _runs(CreateView, ddl_views.create_view),
        _runs(AlterView, ddl_views.alter_view),
        _runs(CreateStream, _create_stream),
        _runs(AlterStream, _alter_stream),
        _runs(Drop, _drop),
        _runs(Call, _call),
        _runs(Show, _show),
        _runs(Describe, _describe),
        _runs(Explain, _explain),
        _runs(AlterSession, parameters.alter),
        _runs(Use, session_statements.use),
        _runs(Nothing, session_statements.nothing),
        _runs(TaskStatement, session_statements.task),
        _runs(SetVariable, variables.set_variable),
        _runs(UnsetVariable, variables.unset_variable),
    )
)
