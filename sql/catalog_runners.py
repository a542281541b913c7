"""Which function runs a statement that defines, lists or asks; DML and queries have their own."""

from collections.abc import Callable
from typing import Final, TypeVar, cast

from headwater.sql import (
    ddl_streams,
    ddl_tables,
    ddl_views,
    describe,
    explain,
    information,
    parameters,
    procedures,
    session_statements,
    show,
    system,
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

# These offer their names to queries when they are imported.
OFFERING: Final = (information, system)


def _runs(kind: type[_Of], run: Callable[[Context, _Of], Result]) -> tuple[type, Runner]:
    # A function is only ever given statements of its kind.
    return kind, cast(Runner, run)


def _drop(context: Context, statement: Drop) -> Result:
    return _DROPS[statement.kind](context, statement)


_DROPS: Final[dict[str, Callable[[Context, Drop], Result]]] = {
    "TABLE": ddl_tables.drop_table,
    "VIEW": ddl_views.drop_view,
    "STREAM": ddl_streams.drop,
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
        _runs(CreateStream, ddl_streams.create),
        _runs(AlterStream, ddl_streams.alter),
        _runs(Drop, _drop),
        _runs(Call, procedures.call),
        _runs(Show, show.show),
        _runs(Describe, describe.describe),
        _runs(Explain, explain.explain),
        _runs(AlterSession, parameters.alter),
        _runs(Use, session_statements.use),
        _runs(Nothing, session_statements.nothing),
        _runs(TaskStatement, session_statements.task),
        _runs(SetVariable, variables.set_variable),
        _runs(UnsetVariable, variables.unset_variable),
    )
)
