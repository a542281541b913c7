"""GET_DDL: the statement that would declare an object again, just as it is."""

from collections.abc import Iterable, Sequence
from typing import Final

from headwater.log_store.catalog import (
    Capture,
    Namespace,
    RewindPolicy,
    Sharing,
    StreamObject,
    TableObject,
    ViewObject,
)
from headwater.producer.errors import NotFound
from headwater.producer.names import parse, quoted
from headwater.producer.staged import topic_of
from headwater.schemas.tables import Column, TableSchema
from headwater.schemas.types import JSON_KINDS, SqlType
from headwater.schemas.values import from_plain
from headwater.sql.constants import node_of
from headwater.sql.context import Context
from headwater.sql.errors import ProgrammingError
from headwater.sql.names import found, full_name, relation_named, stream_named

_DAY: Final = 86_400
_KINDS: Final = ("TABLE", "VIEW", "STREAM", "SCHEMA", "DATABASE")


def definition(context: Context, kind: str, name: str, *, qualified: bool = False) -> str:
    """The statement that declares an object; of a schema or the store, those of all in it.

    Raises:
        NotFound: there is no such object. ProgrammingError: no such kind.
    """
    catalog, state = context.tx.catalog, context.state
    match kind:
        case "TABLE" | "VIEW":
            relation = relation_named(catalog, state, name)
            if relation.kind != kind.lower():
                raise NotFound(kind.lower(), name, f"it is a {relation.kind}")
            return of_relation(context, relation, qualified=qualified)
        case "STREAM":
            return of_stream(context, stream_named(catalog, state, name), qualified=qualified)
        case "SCHEMA":
            return "\n\n".join(_of_schemas(context, [_schema(context, name)]))
        case "DATABASE":
            schemas = [
                one
                for one in catalog.all("schema")
                if isinstance(one, Namespace) and one.dropped_at is None
            ]
            return "\n\n".join(_of_schemas(context, schemas))
        case _:
            raise ProgrammingError(
                f"GET_DDL knows no kind {kind[:40]}: it knows {', '.join(_KINDS)}",
                code="E_SQL_ARGUMENT",
            )


def _schema(context: Context, name: str) -> Namespace:
    schema = context.tx.catalog.find("schema", 0, parse(name).text)
    if not isinstance(schema, Namespace):
        raise NotFound("schema", name)
    return schema


def _of_schemas(context: Context, schemas: Sequence[Namespace]) -> Iterable[str]:
    """Everything in some schemas, in an order in which it can be declared again."""
    catalog, within = context.tx.catalog, {schema.id for schema in schemas}
    for schema in schemas:
        if schema.name != "public":
            yield f"create schema if not exists {quoted(schema.name)};"
    relations: list[TableObject | ViewObject] = [*catalog.tables(), *catalog.views()]
    for relation in relations:
        if relation.namespace in within:
            yield of_relation(context, relation, qualified=True)
    for stream in catalog.streams():
        if stream.namespace in within:
            yield of_stream(context, stream, qualified=True)


def of_relation(
    context: Context, relation: TableObject | ViewObject, *, qualified: bool = False
) -> str:
    """The CREATE TABLE or CREATE VIEW of a table or view."""
    name = _named(context, relation, qualified=qualified)
    if isinstance(relation, ViewObject):
        columns = ", ".join(quoted(column.name) for column in relation.columns)
        comment = f" comment={text_of(relation.comment)}" if relation.comment else ""
        return f"create or replace view {name} ({columns}){comment} as\n{relation.text};"
    lines = ",\n".join(f"\t{line}" for line in _column_lines(relation.schema))
    if relation.adopted:
        from headwater.producer.adopting import is_declared  # it loads what reads others' Avro

        # The topic tells the columns of a table that declared none.
        declared = f" (\n{lines}\n)" if is_declared(relation) else ""
        options = "".join(f" {one}" for one in _table_options(relation))
        return f"create table {name}{declared} from topic {text_of(topic_of(relation))}{options};"
    options = "".join(f" {one}" for one in _table_options(relation))
    return f"create or replace table {name} (\n{lines}\n){options};"


def _named(
    context: Context, of: TableObject | ViewObject | StreamObject, *, qualified: bool
) -> str:
    """The name as it can be written: with its schema where it is asked for, or needed."""
    full = full_name(context.tx.catalog, of)
    if qualified:
        return full
    plain = quoted(of.name)
    return plain if found(context.tx.catalog, context.state, of.kind, plain) == of else full


def _column_lines(schema: TableSchema) -> Iterable[str]:
    for column in schema.columns:
        yield " ".join(column_parts(column))
    if schema.key:
        key = ", ".join(quoted(column.name) for column in schema.key_columns)
        yield f"primary key ({key})"


def column_parts(column: Column) -> Sequence[str]:
    """A column's declaration, part by part."""
    parts = [quoted(column.name), type_of(column.type)]
    if not column.nullable:
        parts.append("not null")
    if column.auto is not None:
        parts.append(f"autoincrement start {column.auto.start} increment {column.auto.step}")
    elif (default := default_of(column)) is not None:
        parts.append(f"default {default}")
    if column.comment:
        parts.append(f"comment {text_of(column.comment)}")
    return parts


def default_of(column: Column) -> str | None:
    """A column's default as it can be written; None if it has none."""
    if column.default_call is not None:
        return f"{column.default_call}()"
    if column.default is None:
        return None
    if column.type.kind in JSON_KINDS:
        return text_of(str(column.default))
    return node_of(from_plain(column.type, column.default)).sql(dialect="snowflake")


def type_of(type_: SqlType) -> str:
    """A type as it can be declared; names of several words take their precision last."""
    text = str(type_)
    return text if " " not in type_.name or "(" not in text else _short(type_)


def _short(type_: SqlType) -> str:
    """The same type under a name of one word, which can take a parameter."""
    size = type_.length if type_.length is not None else type_.precision
    return f"{type_.kind.value}({size})"


def text_of(text: str) -> str:
    """A text in single quotes, as it can be written."""
    inside = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{inside}'"


def _table_options(table: TableObject) -> Iterable[str]:
    if table.retention_s is not None:
        if table.retention_s % _DAY == 0:
            yield f"data_retention_time_in_days={table.retention_s // _DAY}"
        else:
            yield f"data_retention_time='{table.retention_s} seconds'"
    if table.comment:
        yield f"comment={text_of(table.comment)}"


def of_stream(context: Context, stream: StreamObject, *, qualified: bool = False) -> str:
    """The CREATE STREAM of a stream; it names the base as a version of the table."""
    catalog = context.tx.catalog
    on: TableObject | ViewObject = catalog.table(stream.table)
    if stream.view is not None:
        on = catalog.view(stream.view)
    parts = [
        f"create or replace stream {_named(context, stream, qualified=qualified)}",
        f"on {on.kind} {_named(context, on, qualified=qualified)}",
        f"at (version => {stream.base})",
        *_stream_options(stream),
    ]
    return " ".join(parts) + ";"


def _stream_options(stream: StreamObject) -> Iterable[str]:
    # What is written does not depend on the parameters that hold when it is read.
    if stream.capture is Capture.INSERT_ONLY:
        yield "append_only=true"
    else:
        yield f"changes capture ({stream.capture.value.lower()})"
    if stream.initial_rows:
        yield "show_initial_rows=true"
    yield f"consumers={'shared' if stream.sharing is Sharing.SHARED else 'independent'}"
    if stream.retention_s is not None:
        yield f"retention_time='{stream.retention_s} seconds'"
    if stream.policy is not RewindPolicy.ALLOW:
        yield f"rewind={stream.policy.value.lower()}"
    if stream.comment:
        yield f"comment={text_of(stream.comment)}"
