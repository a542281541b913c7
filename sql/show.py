"""SHOW: listings with the columns that Snowflake gives them, and ours behind."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from headwater.consumers.positions import horizon
from headwater.log_store.catalog import Namespace, StreamObject, TableObject
from headwater.producer.errors import NotFound
from headwater.producer.names import parse
from headwater.sql import information, parameters
from headwater.sql.context import Context
from headwater.sql.listing import Shape, stamp
from headwater.sql.names import found, schema_name, stream_named, table_named
from headwater.sql.results import Result
from headwater.sql.statements import Show

Rows = Iterable[Mapping[str, object]]

_TABLES: Final = Shape.of(
    created_on="TIMESTAMP_LTZ",
    name="VARCHAR",
    database_name="VARCHAR",
    schema_name="VARCHAR",
    kind="VARCHAR",
    comment="VARCHAR",
    rows="INT",
    bytes="INT",
    retention_time="INT",
    dropped_on="TIMESTAMP_LTZ",
    version="INT",
    horizon="INT",
    streams="INT",
    topic="VARCHAR",
)


def _tables(context: Context, statement: Show) -> Iterator[dict[str, object]]:
    catalog, view = context.tx.catalog, context.tx.view
    for table in catalog.all("table"):
        if not isinstance(table, TableObject):
            continue
        if table.dropped_at is not None and not statement.history:
            continue
        row: dict[str, object] = {
            "created_on": stamp(table.created_us),
            "name": table.name,
            "database_name": context.store.log.name,
            "schema_name": schema_name(catalog, table.namespace),
            "kind": "TABLE FROM TOPIC" if table.adopted else "TABLE",
            "comment": table.comment,
            "rows": 0,
            "bytes": 0,
            "retention_time": information.days(table.retention_s),
            "dropped_on": stamp(table.dropped_us),
            "version": 0,
            "horizon": 0,
            "streams": sum(one.table == table.id for one in catalog.streams()),
            "topic": table.topic,
        }
        if information.in_view(context, table):
            head = view.head(table.id)
            row |= {
                "rows": head.counts.inserts - head.counts.deletes,
                "bytes": head.counts.bytes,
                "version": head.version,
                "horizon": horizon(view, table.id),
            }
        yield row


_VIEWS: Final = Shape.of(
    created_on="TIMESTAMP_LTZ",
    name="VARCHAR",
    database_name="VARCHAR",
    schema_name="VARCHAR",
    comment="VARCHAR",
    text="VARCHAR",
)


def _views(context: Context, statement: Show) -> Iterator[dict[str, object]]:
    for view in context.tx.catalog.views():
        yield {
            "created_on": stamp(view.created_us),
            "name": view.name,
            "database_name": context.store.log.name,
            "schema_name": schema_name(context.tx.catalog, view.namespace),
            "comment": view.comment,
            "text": view.text,
        }


STREAMS: Final = Shape.of(
    created_on="TIMESTAMP_LTZ",
    name="VARCHAR",
    database_name="VARCHAR",
    schema_name="VARCHAR",
    comment="VARCHAR",
    table_name="VARCHAR",
    source_type="VARCHAR",
    type="VARCHAR",
    stale="BOOLEAN",
    mode="VARCHAR",
    stale_after="TIMESTAMP_LTZ",
    invalid_reason="VARCHAR",
    consumers="VARCHAR",
    consumer_count="INT",
    base="INT",
    watermark="INT",
    head="INT",
    has_data="BOOLEAN",
    bytes="INT",
    rewind="VARCHAR",
)


def _streams(context: Context, statement: Show) -> Iterator[dict[str, object]]:
    for stream in context.tx.catalog.streams():
        yield stream_row(context, stream)


def stream_row(context: Context, stream: StreamObject) -> dict[str, object]:
    """A stream's row of SHOW STREAMS and DESCRIBE STREAM."""
    fields = information.stream_fields(context, stream)
    row = {name: fields.get(name.upper()) for name in STREAMS.names}
    schema = fields["TABLE_SCHEMA"]
    return row | {
        "name": stream.name,
        "database_name": fields["STREAM_CATALOG"],
        "schema_name": fields["STREAM_SCHEMA"],
        "table_name": f"{schema}.{fields['TABLE_NAME']}",
        "invalid_reason": fields["STALE_REASON"],
    }


_SCHEMAS: Final = Shape.of(
    name="VARCHAR", database_name="VARCHAR", is_current="VARCHAR", is_default="VARCHAR"
)


def _schemas(context: Context, statement: Show) -> Iterator[dict[str, object]]:
    for schema in context.tx.catalog.all("schema"):
        if isinstance(schema, Namespace) and schema.dropped_at is None:
            current = schema.name.lower() == context.state.schema.lower()
            yield {
                "name": schema.name,
                "database_name": context.store.log.name,
                "is_current": "Y" if current else "N",
                "is_default": "Y" if schema.name == "public" else "N",
            }


_DATABASES: Final = Shape.of(name="VARCHAR", is_current="VARCHAR")


def _databases(context: Context, statement: Show) -> Iterator[dict[str, object]]:
    yield {"name": context.store.log.name, "is_current": "Y"}


_COLUMNS: Final = Shape.of(
    table_name="VARCHAR",
    schema_name="VARCHAR",
    column_name="VARCHAR",
    data_type="VARCHAR",
    null="VARCHAR",
    default="VARCHAR",
    kind="VARCHAR",
    comment="VARCHAR",
    autoincrement="VARCHAR",
)


def _columns(context: Context, statement: Show) -> Iterator[dict[str, object]]:
    scope = None if statement.scope is None else _scoped(context, statement.scope)
    for row in information.RELATIONS["COLUMNS"].rows(context):
        if isinstance(scope, TableObject) and row["TABLE_NAME"] != scope.name:
            continue
        numbered = row.get("IDENTITY_START") is not None
        yield {
            "table_name": row["TABLE_NAME"],
            "schema_name": row["TABLE_SCHEMA"],
            "column_name": row["COLUMN_NAME"],
            "data_type": row["DATA_TYPE"],
            "null": row["IS_NULLABLE"],
            "default": row.get("COLUMN_DEFAULT"),
            "kind": "COLUMN",
            "comment": row.get("COMMENT"),
            "autoincrement": f"START {row['IDENTITY_START']} INCREMENT {row['IDENTITY_INCREMENT']}"
            if numbered
            else None,
        }


_PARAMETERS: Final = Shape.of(
    key="VARCHAR", value="VARCHAR", default="VARCHAR", level="VARCHAR", description="VARCHAR"
)


def _parameters(context: Context, statement: Show) -> Iterator[dict[str, object]]:
    for row in parameters.rows(context):
        yield dict(zip(_PARAMETERS.names, row, strict=True))


_VARIABLES: Final = Shape.of(name="VARCHAR", value="VARCHAR", type="VARCHAR")


def _variables(context: Context, statement: Show) -> Iterator[dict[str, object]]:
    for name, value in sorted(context.state.variables.items()):
        yield {
            "name": name,
            "value": None if value is None else str(value),
            "type": type(value).__name__,
        }


_TRANSACTIONS: Final = Shape.of(
    id="VARCHAR", user="VARCHAR", started_on="TIMESTAMP_LTZ", sequence="INT", state="VARCHAR"
)


def _transactions(context: Context, statement: Show) -> Iterator[dict[str, object]]:
    tx = context.tx
    yield {
        "id": tx.commit_id,
        "user": context.store.actor,
        "started_on": stamp(tx.view.time_us),
        "sequence": tx.view.sequence,
        "state": "running",
    }


_KEYS: Final = Shape.of(
    created_on="TIMESTAMP_LTZ",
    database_name="VARCHAR",
    schema_name="VARCHAR",
    table_name="VARCHAR",
    column_name="VARCHAR",
    key_sequence="INT",
)


def _keys(context: Context, statement: Show) -> Iterator[dict[str, object]]:
    scope = None if statement.scope is None else _scoped(context, statement.scope)
    for table in context.tx.catalog.tables():
        if isinstance(scope, TableObject) and table.id != scope.id:
            continue
        for at, column in enumerate(table.schema.key_columns, 1):
            yield {
                "created_on": stamp(table.created_us),
                "database_name": context.store.log.name,
                "schema_name": schema_name(context.tx.catalog, table.namespace),
                "table_name": table.name,
                "column_name": column.name,
                "key_sequence": at,
            }


_CONSUMERS: Final = Shape.of(
    stream_name="VARCHAR",
    name="VARCHAR",
    schema_name="VARCHAR",
    kind="VARCHAR",
    watermark="INT",
    base="INT",
    head="INT",
    lag_versions="INT",
    lag_changes="INT",
    lag_bytes="INT",
    lag_seconds="FLOAT",
    last_moved_on="TIMESTAMP_LTZ",
    stale="BOOLEAN",
    stale_reason="VARCHAR",
    group_id="VARCHAR",
    within_next="VARCHAR",
)


def _consumers(context: Context, statement: Show) -> Iterator[dict[str, object]]:
    streams = context.tx.catalog.streams()
    if statement.scope is not None and not _is_schema(context, statement.scope):
        streams = [stream_named(context.tx.catalog, context.state, statement.scope)]
    for stream in streams:
        for fields in information.consumer_fields(context, stream):
            row = {name: fields.get(name.upper()) for name in _CONSUMERS.names}
            yield row | {
                "name": fields["CONSUMER_NAME"],
                "schema_name": fields["STREAM_SCHEMA"],
            }


_OBJECTS: Final = Shape.of(
    created_on="TIMESTAMP_LTZ",
    name="VARCHAR",
    database_name="VARCHAR",
    schema_name="VARCHAR",
    kind="VARCHAR",
    comment="VARCHAR",
    rows="INT",
    bytes="INT",
)


def _objects(context: Context, statement: Show) -> Iterator[dict[str, object]]:
    yield from _tables(context, statement)
    for row in _views(context, statement):
        yield row | {"kind": "VIEW"}


Lister = Callable[[Context, Show], Rows]
_LISTINGS: Final[Mapping[str, tuple[Shape, Lister]]] = {
    "TABLES": (_TABLES, _tables),
    "VIEWS": (_VIEWS, _views),
    "STREAMS": (STREAMS, _streams),
    "SCHEMAS": (_SCHEMAS, _schemas),
    "DATABASES": (_DATABASES, _databases),
    "COLUMNS": (_COLUMNS, _columns),
    "PARAMETERS": (_PARAMETERS, _parameters),
    "VARIABLES": (_VARIABLES, _variables),
    "TRANSACTIONS": (_TRANSACTIONS, _transactions),
    "PRIMARY KEYS": (_KEYS, _keys),
    "CONSUMERS": (_CONSUMERS, _consumers),
    "OBJECTS": (_OBJECTS, _objects),
}
# Which column LIKE and STARTS WITH look at.
_NAMED: Final = {"PARAMETERS": "key", "COLUMNS": "column_name", "PRIMARY KEYS": "table_name"}


def show(context: Context, statement: Show) -> Result:
    """SHOW: a listing, filtered.

    Raises:
        NotFound: the schema, table or stream that IN names.
    """
    shape, lister = _LISTINGS[statement.kind]
    rows = lister(context, statement)
    kept = list(_filtered(context, statement, rows))
    if statement.limit is not None:
        kept = kept[: statement.limit]
    return shape.result(f"SHOW {statement.kind}", shape.dicts(kept))


def _filtered(context: Context, statement: Show, rows: Rows) -> Iterator[Mapping[str, object]]:
    column = _NAMED.get(statement.kind, "name")
    like = None if statement.like is None else pattern_of(statement.like)
    schema = _scope_schema(context, statement)
    for row in rows:
        name = str(row.get(column) or "")
        if like is not None and like.fullmatch(name) is None:
            continue
        if statement.starts_with is not None and not name.startswith(statement.starts_with):
            continue
        if schema is not None and row.get("schema_name", schema) != schema:
            continue
        yield row


def pattern_of(like: str) -> re.Pattern[str]:
    """A LIKE pattern without regard to case: % any text, _ any character, \\ takes the next."""
    out: list[str] = []
    signs = iter(like)
    for sign in signs:
        if sign == "\\":
            out.append(re.escape(next(signs, "\\")))
        elif sign in "%_":
            out.append(".*" if sign == "%" else ".")
        else:
            out.append(re.escape(sign))
    return re.compile("".join(out), re.IGNORECASE | re.DOTALL)


def _scope_schema(context: Context, statement: Show) -> str | None:
    """The schema whose rows are wanted; None for those of all."""
    if statement.scope is None or statement.kind in ("PARAMETERS", "VARIABLES", "SCHEMAS"):
        return None
    schema = context.tx.catalog.find("schema", 0, parse(statement.scope).text)
    if isinstance(schema, Namespace):
        return schema.name
    if statement.kind in ("COLUMNS", "PRIMARY KEYS", "CONSUMERS"):
        return None  # a table or stream, which the listing has looked up
    raise NotFound("schema", statement.scope)


def _is_schema(context: Context, scope: str) -> bool:
    return isinstance(context.tx.catalog.find("schema", 0, parse(scope).text), Namespace)


def _scoped(context: Context, scope: str) -> TableObject | None:
    """The table that IN names; None for a schema."""
    if (
        _is_schema(context, scope)
        and found(context.tx.catalog, context.state, "table", scope) is None
    ):
        return None
    return table_named(context.tx.catalog, context.state, scope)
