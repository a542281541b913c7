"""SYSTEM$ functions and their like: pure questions to the statement's snapshot.

Scalars take constants and are folded into the query as values; a SELECT of nothing else is
answered without an engine. A name of another function is not known here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
from sqlglot import exp

from headwater.consumers.backlog import backlog, has_data, lowest_position
from headwater.consumers.errors import shown_position
from headwater.consumers.registration import (
    check_readable,
    find_consumer,
    position_in,
    registered,
)
from headwater.consumers.windows import lowest, start_of
from headwater.log_store.catalog import ConsumerObject, StreamObject
from headwater.log_store.records import INITIAL
from headwater.schemas.product import VERSION
from headwater.schemas.types import SqlType
from headwater.sql import offers
from headwater.sql.constants import NOT_CONSTANT, constant
from headwater.sql.context import Context
from headwater.sql.definitions import definition
from headwater.sql.errors import ProgrammingError
from headwater.sql.listing import Shape, stamp
from headwater.sql.names import stream_named, table_named
from headwater.sql.parse import place_of
from headwater.sql.results import OutColumn, Result
from headwater.sql.statements import Query
from headwater.sql.translate import told_at

_TEXT: Final = SqlType.parse("VARCHAR")
_INT: Final = SqlType.parse("INT")
_TRUTH: Final = SqlType.parse("BOOLEAN")

Arguments = Sequence[object]


@dataclass(frozen=True, slots=True)
class Function:
    """A scalar function: its type, how many arguments it takes, what it does."""

    type: SqlType
    least: int
    most: int
    do: Callable[[Context, Arguments], object]


def _stream(context: Context, argument: object, function: str) -> StreamObject:
    if not isinstance(argument, str):
        raise ProgrammingError(
            f"{function} takes the name of a stream in quotes",
            code="E_SQL_ARGUMENT",
        )
    return stream_named(context.tx.catalog, context.state, argument)


def _consumer(
    context: Context, stream: StreamObject, arguments: Arguments
) -> ConsumerObject | None:
    if len(arguments) < 2 or arguments[1] is None:
        return None
    return find_consumer(context.tx.view.catalog, stream, str(arguments[1]))


def _is_new(context: Context, stream: StreamObject) -> bool:
    """Whether this very transaction makes the stream, or its table."""
    catalog = context.tx.view.catalog
    return catalog.get("stream", stream.id) is None or catalog.get("table", stream.table) is None


def stream_offset(context: Context, arguments: Arguments) -> object:
    """A consumer's watermark, such as v41 or INITIAL; without one the lowest, or where one starts."""
    stream = _stream(context, arguments[0], "SYSTEM$STREAM_OFFSET")
    if _is_new(context, stream):
        return shown_position(start_of(stream))
    view = context.tx.view
    consumer = _consumer(context, stream, arguments)
    if consumer is None:
        return shown_position(lowest_position(view, stream))
    mark = view.watermark(consumer.id)
    return None if mark is None else shown_position(mark.position)


def current_stream_offset(context: Context, arguments: Arguments) -> object:
    """The same as this transaction will leave it: its own consumption counts."""
    stream = _stream(context, arguments[0], "CURRENT_STREAM_OFFSET")
    tx = context.tx
    if len(arguments) > 1 and arguments[1] is not None:
        named = find_consumer(tx.catalog, stream, str(arguments[1]))
        return shown_position(position_in(tx, named))
    standing = [position_in(tx, one) for one in registered(tx.catalog, stream)]
    return shown_position(lowest(stream, standing))


def stream_has_data(context: Context, arguments: Arguments) -> object:
    """Whether a consumer, or any of them, has something to consume."""
    stream = _stream(context, arguments[0], "SYSTEM$STREAM_HAS_DATA")
    if _is_new(context, stream):
        return False
    return has_data(context.tx.view, stream, _consumer(context, stream, arguments))


def stream_table_timestamp(context: Context, arguments: Arguments) -> object:
    """When the version that a stream's lowest watermark stands at was committed: ns since 1970."""
    stream = _stream(context, arguments[0], "SYSTEM$STREAM_GET_TABLE_TIMESTAMP")
    if _is_new(context, stream):
        return None
    check_readable(context.tx.view.catalog, stream)
    at = lowest_position(context.tx.view, stream)
    row = context.tx.view.version(stream.table, stream.base if at == INITIAL else at)
    return None if row is None else row.time_us * 1000


def get_ddl(context: Context, arguments: Arguments) -> object:
    """GET_DDL(kind, name [, qualified])."""
    kind, name, *more = arguments
    if not isinstance(kind, str) or not isinstance(name, str):
        raise ProgrammingError(
            "GET_DDL takes a kind and a name in quotes: GET_DDL('TABLE', 't')",
            code="E_SQL_ARGUMENT",
        )
    return definition(context, kind.upper(), name, qualified=bool(more and more[0]))


def _current_schemas(context: Context, arguments: Arguments) -> object:
    names = [context.state.schema, "public"]
    return "[" + ", ".join(f'"{name}"' for name in dict.fromkeys(names)) + "]"


def _table_version(context: Context, arguments: Arguments) -> object:
    """SYSTEM$TABLE_VERSION(t): the table's newest version in this snapshot."""
    table = table_named(context.tx.catalog, context.state, str(arguments[0]))
    if context.tx.view.catalog.get("table", table.id) is None:
        return 0
    return context.tx.view.head(table.id).version


FUNCTIONS: Final[Mapping[str, Function]] = {
    "SYSTEM$STREAM_OFFSET": Function(_TEXT, 1, 2, stream_offset),
    "CURRENT_STREAM_OFFSET": Function(_TEXT, 1, 2, current_stream_offset),
    "SYSTEM$STREAM_HAS_DATA": Function(_TRUTH, 1, 2, stream_has_data),
    "SYSTEM$STREAM_GET_TABLE_TIMESTAMP": Function(_INT, 1, 1, stream_table_timestamp),
    "SYSTEM$TABLE_VERSION": Function(_INT, 1, 1, _table_version),
    "GET_DDL": Function(_TEXT, 2, 3, get_ddl),
    "CURRENT_VERSION": Function(_TEXT, 0, 0, lambda context, _: VERSION),
    "CURRENT_DATABASE": Function(_TEXT, 0, 0, lambda context, _: context.store.log.name),
    "CURRENT_SCHEMA": Function(_TEXT, 0, 0, lambda context, _: context.state.schema),
    "CURRENT_SCHEMAS": Function(_TEXT, 0, 0, _current_schemas),
    "CURRENT_USER": Function(_TEXT, 0, 0, lambda context, _: context.store.actor),
    "CURRENT_ROLE": Function(_TEXT, 0, 0, lambda context, _: None),
    "CURRENT_WAREHOUSE": Function(_TEXT, 0, 0, lambda context, _: None),
    "CURRENT_ACCOUNT": Function(_TEXT, 0, 0, lambda context, _: context.store.log.name),
    "CURRENT_SESSION": Function(_TEXT, 0, 0, lambda context, _: context.query_id),
    "CURRENT_TRANSACTION": Function(_TEXT, 0, 0, lambda context, _: context.tx.commit_id),
    "CURRENT_STATEMENT": Function(_TEXT, 0, 0, lambda context, _: context.statement.text),
}


def call(context: Context, name: str, arguments: Arguments) -> tuple[object, SqlType]:
    """What a function of this module gives, as a plain value, and its type.

    Raises:
        ProgrammingError: too few or too many arguments, or one of the wrong sort.
        NotFound, ConsumerUnknown, StreamStale: as their sentences say.
    """
    function = FUNCTIONS[name.upper()]
    if not function.least <= len(arguments) <= function.most:
        takes = (
            f"{function.least}"
            if function.least == function.most
            else f"{function.least} to {function.most}"
        )
        raise ProgrammingError(
            f"{name.upper()} takes {takes} arguments, not {len(arguments)}",
            code="E_SQL_ARGUMENT",
        )
    return function.do(context, arguments), function.type


def name_of(node: exp.Expr) -> str | None:
    """The name of the function of this module that a node calls; None if it calls none."""
    match node:
        case exp.Anonymous():
            name = str(node.this).upper()
        case exp.Dot() if isinstance(node.expression, exp.Anonymous):
            name = str(node.expression.this).upper()
        case exp.Column() if node.args.get("table") is None:
            # CURRENT_SCHEMA and its like can stand without parentheses.
            name = node.name.upper()
            return name if name.startswith("CURRENT_") and name in FUNCTIONS else None
        case exp.Func():
            name = node.sql_name().upper()
        case _:
            return None
    return name if name in FUNCTIONS else None


def arguments_of(node: exp.Expr) -> list[exp.Expr]:
    """The arguments of a call, as they stand in it."""
    inner = node.expression if isinstance(node, exp.Dot) else node
    if isinstance(inner, exp.Anonymous):
        return list(inner.expressions)
    return []


def folded_call(context: Context, node: exp.Expr) -> tuple[object, SqlType] | None:
    """The value of a node that calls one of these with constants; None for any other node."""
    name = name_of(node)
    if name is None:
        return None
    values = [constant(context, one) for one in arguments_of(node)]
    if any(value is NOT_CONSTANT for value in values):
        raise ProgrammingError(
            f"{name} takes constants: texts in quotes, binds or $variables",
            code="E_SQL_ARGUMENT",
            place=place_of(node, context.statement) or context.statement.place,
        )
    place = place_of(node, context.statement) or context.statement.place
    with told_at(context, place):
        return call(context, name, values)


def bare(context: Context, statement: Query) -> Result | None:
    """The answer of a SELECT of nothing but these functions and literals; None for any other."""
    tree = statement.tree
    if not isinstance(tree, exp.Select) or any(
        value for key, value in tree.args.items() if key not in ("expressions", "kind", "hint")
    ):
        return None
    columns: list[OutColumn] = []
    values: list[object] = []
    for one in tree.expressions:
        inner: exp.Expr = one.this if isinstance(one, exp.Alias) else one
        found = folded_call(context, inner)
        if found is None:
            return None
        value, type_ = found
        shown = one.alias if isinstance(one, exp.Alias) else inner.sql(dialect="snowflake")
        columns.append(OutColumn(shown, type_))
        values.append(value)
    shape = Shape(tuple(columns))
    return shape.result("SELECT", [values]) if columns else None


# -- table functions ---------------------------------------------------------------------------

_BACKLOG: Final = Shape.of(
    VERSION="INT",
    COMMITTED_ON="TIMESTAMP_LTZ",
    TRANSACTION_ID="VARCHAR",
    INSERTS="INT",
    UPDATES="INT",
    DELETES="INT",
    CHANGES="INT",
    BYTES="INT",
)


def stream_backlog(
    context: Context, arguments: Arguments
) -> tuple[tuple[OutColumn, ...], pa.Table]:
    """TABLE(SYSTEM$STREAM_BACKLOG(s [, consumer])): a row per version still to be consumed.

    Raises:
        NotFound, ConsumerUnknown, StreamStale: as their sentences say.
    """
    if not 1 <= len(arguments) <= 2:
        raise ProgrammingError(
            f"SYSTEM$STREAM_BACKLOG takes 1 to 2 arguments, not {len(arguments)}",
            code="E_SQL_ARGUMENT",
            place=context.statement.place,
        )
    stream = _stream(context, arguments[0], "SYSTEM$STREAM_BACKLOG")
    if _is_new(context, stream):
        return _BACKLOG.columns, _BACKLOG.table([])
    found = backlog(context.tx.view, stream, _consumer(context, stream, arguments))
    rows = (
        (
            one.version,
            stamp(one.time_us),
            one.commit_id,
            one.inserts,
            one.updates,
            one.deletes,
            one.inserts + one.updates + one.deletes,
            one.bytes,
        )
        for one in found
    )
    return _BACKLOG.columns, _BACKLOG.table(rows)


def _offered_backlog(
    context: Context, arguments: Arguments, named: Mapping[str, object]
) -> offers.Made:
    if named:
        raise ProgrammingError(
            f"SYSTEM$STREAM_BACKLOG has no argument {next(iter(named))}: write its arguments in order",
            code="E_SQL_ARGUMENT",
            place=context.statement.place,
        )
    return offers.Made(*stream_backlog(context, arguments))


def _offered(name: str) -> Callable[[Context, Arguments], offers.Value]:
    return lambda context, arguments: offers.Value(*call(context, name, arguments))


# Queries find them by name.
offers.TABLE_FUNCTIONS["SYSTEM$STREAM_BACKLOG"] = _offered_backlog
offers.SCALARS.update({name: _offered(name) for name in FUNCTIONS})
