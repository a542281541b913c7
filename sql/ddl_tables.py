"""CREATE, ALTER, DROP, UNDROP of tables and schemas, carried out in the statement's transaction."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from sqlglot import exp

from headwater.consumers import lifecycle
from headwater.consumers.spans import parse_span
from headwater.consumers.streams import drop_stream
from headwater.log_store.catalog import Namespace, TableObject, ViewObject
from headwater.producer import ddl
from headwater.producer.ddl_views import drop_view
from headwater.producer.errors import NotFound
from headwater.producer.names import parse, unquoted
from headwater.schemas.errors import SchemaError
from headwater.schemas.tables import AutoIncrement, ColumnSpec, TableSchema
from headwater.schemas.types import SqlType
from headwater.schemas.values import from_plain
from headwater.sql.constants import NOT_CONSTANT, constant
from headwater.sql.context import Context
from headwater.sql.errors import Error, Place, ProgrammingError, unsupported
from headwater.sql.moments import moment_of
from headwater.sql.names import found, qualified, table_named
from headwater.sql.parse import place_of, place_of_name
from headwater.sql.results import Result, status
from headwater.sql.statements import (
    AlterTable,
    ColumnDef,
    CreateSchema,
    CreateTable,
    Drop,
    OptionValue,
    Undrop,
)
from headwater.sql.translate import told_at, translated

DONE: Final = "Statement executed successfully."
_DAY: Final = 86_400
_FOR_ALL: Final = ("MAX_DATA_EXTENSION_TIME_IN_DAYS", "MAX_DATA_EXTENSION_TIME")


def create_table(context: Context, statement: CreateTable) -> Result:
    """CREATE TABLE with columns, LIKE, CLONE or FROM TOPIC; AS a query and TEMPORARY are others'."""
    kind, name = "CREATE TABLE", qualified(context.state, statement.name)
    shown = parse(name).plain
    if statement.if_not_exists and _relation(context, name) is not None:
        return status(kind, f"{shown} already exists, statement succeeded.")
    if statement.topic is not None:
        from headwater.sql import topics  # it loads what reads others' Avro

        return topics.create(context, statement)
    table = _made(context, statement, name)
    apply_options(context, table, statement.options)
    return status(kind, f"Table {shown} successfully created.")


def _made(context: Context, statement: CreateTable, name: str) -> TableObject:
    if statement.clone is not None:
        return _clone(context, statement, name, statement.clone)
    if statement.like is not None:
        source = table_named(context.tx.catalog, context.state, statement.like)
        specs, key = specs_of(source.schema)
    else:
        specs = [spec_of(context, column) for column in statement.columns]
        key = [unquoted(part) for part in statement.key]
    try:
        return lifecycle.create_table(context.tx, name, specs, key, or_replace=statement.replace)
    except SchemaError as error:
        raise _at_column(context, error, statement) from error


def _at_column(context: Context, error: SchemaError, statement: CreateTable) -> Error:
    """The error at the column that it is about: the last one of the name that it says."""
    found = translated(error, None)
    named = re.search(r"column (\S+?)(?:[:,]| |$)", str(error))
    for column in reversed(statement.columns):
        if named is not None and unquoted(column.name).lower() == named[1].lower():
            return found.at(column.place)
    return found


def _clone(context: Context, statement: CreateTable, name: str, source: str) -> TableObject:
    original = table_named(context.tx.catalog, context.state, source)
    at = None if statement.at is None else moment_of(context, statement.at)
    if at is not None and at.before:
        assert statement.at is not None
        raise unsupported(
            "CLONE takes AT, not BEFORE: name the version before",
            place_of(statement.at.value, statement) or statement.place,
        )
    if statement.replace:
        old = _relation(context, name)
        if isinstance(old, TableObject):
            if old.id == original.id:
                raise ProgrammingError(
                    f"table {old.name} cannot replace itself with its clone: clone it under "
                    "another name and SWAP",
                    code="E_NAME_TAKEN",
                    place=statement.place,
                )
            lifecycle.drop_table(context.tx, old)
    position = None if at is None else at.position
    place = None if statement.at is None else place_of(statement.at.value, statement)
    with told_at(context, place):
        return lifecycle.clone_table(context.tx, name, original, position)


def _relation(context: Context, name: str) -> object:
    """The table or view that has a name, which both share."""
    catalog, state = context.tx.catalog, context.state
    return found(catalog, state, "table", name) or found(catalog, state, "view", name)


def specs_of(schema: TableSchema) -> tuple[list[ColumnSpec], list[str]]:
    """A table's columns and key as they could be declared again."""
    specs = [
        ColumnSpec(
            column.name,
            column.type,
            nullable=column.nullable,
            default=from_plain(column.type, column.default),
            default_call=column.default_call,
            auto=column.auto,
            comment=column.comment,
        )
        for column in schema.columns
    ]
    return specs, [column.name for column in schema.key_columns]


def spec_of(context: Context, column: ColumnDef) -> ColumnSpec:
    """A column as the rooms below want it.

    Raises:
        NotSupportedError: a DEFAULT that is neither a constant nor the clock.
    """
    default, call = _default(context, column.default)
    return ColumnSpec(
        unquoted(column.name),
        SqlType.parse(column.type),
        nullable=column.nullable,
        default=default,
        default_call=call,
        auto=None if column.auto is None else AutoIncrement(*column.auto),
        comment=column.comment,
    )


def _default(context: Context, node: exp.Expr | None) -> tuple[object, str | None]:
    """(constant, None) or (None, the clock's name) of a DEFAULT."""
    if node is None:
        return None, None
    if isinstance(node, exp.CurrentDate):
        return None, "CURRENT_DATE"
    if isinstance(node, exp.CurrentTimestamp | exp.Localtimestamp):
        return None, "CURRENT_TIMESTAMP"
    clock = node.find(exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentTime)
    value = NOT_CONSTANT if clock is not None else constant(context, node)
    if value is NOT_CONSTANT:
        said = node.sql(dialect="snowflake")
        raise unsupported(
            f"DEFAULT {said[:60]} is not supported: a default is a constant, CURRENT_TIMESTAMP "
            "or CURRENT_DATE",
            place_of(node, context.statement) or context.statement.place,
        )
    return value, None


# -- options -----------------------------------------------------------------------------------


def apply_options(context: Context, table: TableObject, options: Mapping[str, OptionValue]) -> None:
    """Give a table its COMMENT and retention.

    Raises:
        ProgrammingError: a retention that is no span.
    """
    for key, value in options.items():
        if key == "COMMENT":
            ddl.describe_table(context.tx, table, str(value))
        elif key in _FOR_ALL:
            context.notices.append(
                f"{key} is kept for the whole store: ALTER ACCOUNT SET "
                "MAX_DATA_EXTENSION_TIME_IN_DAYS"
            )
        else:
            place = place_of_name(key, context.statement) or context.statement.place
            seconds = seconds_of(key, value, place)
            ddl.retain_table(context.tx, table, seconds)


def seconds_of(key: str, value: OptionValue, place: Place) -> int:
    """A retention in seconds: a number of days, or a span such as '30 DAYS'.

    Raises:
        ProgrammingError: it is neither.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 36_500:
        return value * _DAY
    if isinstance(value, str):
        if value.strip().isdigit() and len(value.strip()) <= 5:
            return int(value) * _DAY
        span = parse_span(value)
        if span is not None:
            return int(span.total_seconds())
    raise ProgrammingError(
        f"{key} = {value!r} is no span of time: write a number of days, or '30 DAYS'",
        code="E_PARAMETER",
        place=place,
    )


# -- ALTER -------------------------------------------------------------------------------------


def alter_table(context: Context, statement: AlterTable) -> Result:
    """ALTER TABLE: one action."""
    table = found(context.tx.catalog, context.state, "table", statement.name)
    if not isinstance(table, TableObject):
        if statement.if_exists:
            return status("ALTER TABLE", DONE)
        view = found(context.tx.catalog, context.state, "view", statement.name)
        why = "it is a view: ALTER VIEW" if isinstance(view, ViewObject) else ""
        raise _missing("table", statement.name, why)
    if statement.action == "REFRESH":
        from headwater.sql import topics

        return topics.refresh(context, table, statement)
    try:
        _ACTIONS[statement.action](context, table, statement)
    except SchemaError as error:
        place = _where(statement)
        if place is None or isinstance(error, ProgrammingError):
            raise
        raise ProgrammingError(str(error), code=error.code, place=place) from error
    return status("ALTER TABLE", DONE)


def _missing(kind: str, name: str, why: str) -> NotFound:
    return NotFound(kind, name, why) if why else NotFound(kind, name)


def _where(statement: AlterTable) -> Place | None:
    """Where the column stands that an action is about."""
    if statement.columns:
        return statement.columns[0].place
    return place_of_name(statement.names[0], statement) if statement.names else None


def _add_column(context: Context, table: TableObject, statement: AlterTable) -> None:
    for column in statement.columns:
        current = context.tx.catalog.table(table.id)
        there = current.schema.position(unquoted(column.name)) is not None
        if not (there and statement.guarded):
            ddl.add_column(context.tx, current, spec_of(context, column))


def _drop_column(context: Context, table: TableObject, statement: AlterTable) -> None:
    for name in map(unquoted, statement.names):
        current = context.tx.catalog.table(table.id)
        if current.schema.position(name) is not None or not statement.guarded:
            ddl.drop_column(context.tx, current, name)


def _rename_column(context: Context, table: TableObject, statement: AlterTable) -> None:
    old, new = map(unquoted, statement.names)
    ddl.rename_column(context.tx, table, old, new)


def _set_type(context: Context, table: TableObject, statement: AlterTable) -> None:
    name, type_ = statement.names
    ddl.widen_column(context.tx, table, unquoted(name), SqlType.parse(type_))


def _rename(context: Context, table: TableObject, statement: AlterTable) -> None:
    (name,) = statement.names
    ddl.rename_table(context.tx, table, name)


def _swap(context: Context, table: TableObject, statement: AlterTable) -> None:
    (name,) = statement.names
    other = table_named(context.tx.catalog, context.state, name)
    ddl.swap_tables(context.tx, table, other)


def _comment_column(context: Context, table: TableObject, statement: AlterTable) -> None:
    name, comment = statement.names
    ddl.comment_column(context.tx, table, unquoted(name), comment)


def _set(context: Context, table: TableObject, statement: AlterTable) -> None:
    apply_options(context, table, statement.options)


def _unset(context: Context, table: TableObject, statement: AlterTable) -> None:
    for name in statement.names:
        if name == "COMMENT":
            ddl.describe_table(context.tx, table, "")
        elif name in ("DATA_RETENTION_TIME_IN_DAYS", "DATA_RETENTION_TIME"):
            ddl.retain_table(context.tx, table, None)
        elif name not in (*_FOR_ALL, "CHANGE_TRACKING", "TAG"):
            raise ProgrammingError(
                f"a table has no option {name}",
                code="E_SQL_SYNTAX",
                place=place_of_name(name, statement) or statement.place,
            )


_ACTIONS: Final[dict[str, Callable[[Context, TableObject, AlterTable], None]]] = {
    "ADD_COLUMN": _add_column,
    "DROP_COLUMN": _drop_column,
    "RENAME_COLUMN": _rename_column,
    "SET_TYPE": _set_type,
    "RENAME": _rename,
    "SWAP": _swap,
    "COMMENT_COLUMN": _comment_column,
    "SET": _set,
    "UNSET": _unset,
}


# -- DROP, UNDROP, schemas ---------------------------------------------------------------------


def drop_table(context: Context, statement: Drop) -> Result:
    """DROP TABLE; its events stay, and UNDROP brings it back."""
    table = found(context.tx.catalog, context.state, "table", statement.name)
    if not isinstance(table, TableObject):
        if found(context.tx.catalog, context.state, "view", statement.name) is not None:
            raise NotFound("table", statement.name, "it is a view: DROP VIEW")
        if statement.if_exists:
            return gone("DROP TABLE", statement)
        raise NotFound("table", statement.name)
    lifecycle.drop_table(context.tx, table)
    return status("DROP TABLE", f"{table.name} successfully dropped.")


def gone(kind: str, statement: Drop) -> Result:
    """The answer of DROP IF EXISTS where there is nothing."""
    shown = parse(statement.name).plain
    return status(
        kind,
        f"Drop statement executed successfully ({shown} already dropped).",
    )


def undrop_table(context: Context, statement: Undrop) -> Result:
    """UNDROP TABLE: the one dropped last under that name."""
    table = lifecycle.undrop_table(context.tx, qualified(context.state, statement.name))
    return status("UNDROP TABLE", f"Table {table.name} successfully restored.")


def create_schema(context: Context, statement: CreateSchema) -> Result:
    """CREATE SCHEMA; as in Snowflake, the session uses it from then on."""
    name = _schema_part(statement.name)
    made = ddl.create_namespace(context.tx, name, if_not_exists=statement.if_not_exists)
    context.state.schema = made.name
    return status("CREATE SCHEMA", f"Schema {made.name} successfully created.")


def drop_schema(context: Context, statement: Drop) -> Result:
    """DROP SCHEMA: an empty one, or with CASCADE all that is in it first."""
    name = _schema_part(statement.name)
    schema = context.tx.catalog.find("schema", 0, name)
    if not isinstance(schema, Namespace):
        if statement.if_exists:
            return gone("DROP SCHEMA", statement)
        raise NotFound("schema", statement.name)
    if statement.cascade:
        _empty(context, schema.id)
    ddl.drop_namespace(context.tx, name)
    if context.state.schema.lower() == schema.name.lower():
        context.state.schema = "public"
    return status("DROP SCHEMA", f"{schema.name} successfully dropped.")


def _empty(context: Context, namespace: int) -> None:
    for stream in context.tx.catalog.streams():
        if stream.namespace == namespace:
            drop_stream(context.tx, stream)
    for view in context.tx.catalog.views():
        if view.namespace == namespace:
            drop_view(context.tx, view)
    for table in context.tx.catalog.tables():
        if table.namespace == namespace:
            lifecycle.drop_table(context.tx, table)


def _schema_part(text: str) -> str:
    """A schema's own name: what stands before it is the database."""
    return parse(text).text
