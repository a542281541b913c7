"""USE, and statements that mean nothing here."""

from headwater.log_store.catalog import Namespace
from headwater.producer.errors import NotFound
from headwater.producer.names import parse
from headwater.sql.context import Context
from headwater.sql.errors import unsupported
from headwater.sql.results import Result, status
from headwater.sql.statements import Nothing, TaskStatement, Use

DONE = "Statement executed successfully."


def use(context: Context, statement: Use) -> Result:
    """USE SCHEMA: names without one are looked up there first. A database is the store itself.

    Raises:
        NotFound: there is no such schema.
    """
    name = parse(statement.name)
    if statement.kind == "SCHEMA":
        schema = context.tx.catalog.find("schema", 0, name.text)
        if not isinstance(schema, Namespace):
            raise NotFound("schema", statement.name)
        context.state.schema = schema.name
    else:
        context.notices.append("a store is one database: its name in front of a table is dropped")
    return status("USE", DONE)


def nothing(context: Context, statement: Nothing) -> Result:
    """Done, with a notice that says why there was nothing to do."""
    context.notices.append(statement.notice)
    return status(statement.kind, DONE)


def task(context: Context, statement: TaskStatement) -> Result:
    """Tasks are recognised, and there are none yet.

    Raises:
        NotSupportedError: always; names the way to go on without.
    """
    raise unsupported(
        f"{statement.verb} TASK: tasks are not there yet; run the body from your program when "
        "SYSTEM$STREAM_HAS_DATA says so",
        statement.place,
    )
