"""INFORMATION_SCHEMA: what exists, as relations that a query can read.

Each is the statement's snapshot with its transaction's own definitions; names are as declared.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from headwater.consumers.backlog import StreamRow, listing, lowest_position, stream_row
from headwater.consumers.history import history
from headwater.consumers.positions import horizon
from headwater.consumers.registration import why_stale
from headwater.consumers.retention import stale_after
from headwater.consumers.windows import start_of
from headwater.log_store.catalog import Capture, StreamObject, TableObject, ViewObject
from headwater.log_store.records import Counts
from headwater.schemas.types import JSON_KINDS, Kind
from headwater.sql import offers
from headwater.sql.context import Context
from headwater.sql.definitions import default_of, type_of
from headwater.sql.listing import Shape, stamp
from headwater.sql.names import schema_name

_DAY: Final = 86_400
_YES: Final = {True: "YES", False: "NO"}


@dataclass(frozen=True, slots=True)
class Relation:
    """One view of the information schema."""

    shape: Shape
    rows: Callable[[Context], Iterable[Mapping[str, object]]]

    def table(self, context: Context) -> pa.Table:
        """Its rows as this statement sees them."""
        return self.shape.table(self.shape.dicts(self.rows(context)))


def in_view(context: Context, table: TableObject) -> bool:
    """Whether a table was there when the transaction began."""
    return context.tx.view.catalog.get("table", table.id) is not None


# -- tables and columns ------------------------------------------------------------------------

_TABLES: Final = Shape.of(
    TABLE_CATALOG="VARCHAR",
    TABLE_SCHEMA="VARCHAR",
    TABLE_NAME="VARCHAR",
    TABLE_TYPE="VARCHAR",
    ROW_COUNT="INT",
    BYTES="INT",
    RETENTION_TIME="INT",
    CREATED="TIMESTAMP_LTZ",
    LAST_ALTERED="TIMESTAMP_LTZ",
    COMMENT="VARCHAR",
    VERSION="INT",
    HORIZON="INT",
    TOPIC="VARCHAR",
)


def _tables(context: Context) -> Iterator[dict[str, object]]:
    catalog, view = context.tx.catalog, context.tx.view
    for table in catalog.tables():
        row: dict[str, object] = {
            "TABLE_CATALOG": context.store.log.name,
            "TABLE_SCHEMA": schema_name(catalog, table.namespace),
            "TABLE_NAME": table.name,
            "TABLE_TYPE": "BASE TABLE",
            "RETENTION_TIME": days(table.retention_s),
            "CREATED": stamp(table.created_us),
            "COMMENT": table.comment or None,
            "ROW_COUNT": 0,
            "BYTES": 0,
            "VERSION": 0,
            "HORIZON": 0,
            "TOPIC": table.topic,
        }
        if in_view(context, table):
            head = view.head(table.id)
            row |= {
                "ROW_COUNT": view.row_count(table.id),
                "BYTES": head.counts.bytes,
                "VERSION": head.version,
                "HORIZON": horizon(view, table.id),
                "LAST_ALTERED": stamp(head.time_us or table.created_us),
            }
        yield row
    for found in catalog.views():
        yield {
            "TABLE_CATALOG": context.store.log.name,
            "TABLE_SCHEMA": schema_name(catalog, found.namespace),
            "TABLE_NAME": found.name,
            "TABLE_TYPE": "VIEW",
            "CREATED": stamp(found.created_us),
            "COMMENT": found.comment or None,
        }


def days(seconds: int | None) -> int | None:
    """Whole days of a retention; None for all history."""
    return None if seconds is None else seconds // _DAY


_COLUMNS: Final = Shape.of(
    TABLE_CATALOG="VARCHAR",
    TABLE_SCHEMA="VARCHAR",
    TABLE_NAME="VARCHAR",
    COLUMN_NAME="VARCHAR",
    ORDINAL_POSITION="INT",
    COLUMN_DEFAULT="VARCHAR",
    IS_NULLABLE="VARCHAR",
    DATA_TYPE="VARCHAR",
    CHARACTER_MAXIMUM_LENGTH="INT",
    NUMERIC_PRECISION="INT",
    NUMERIC_SCALE="INT",
    DATETIME_PRECISION="INT",
    IS_IDENTITY="VARCHAR",
    IDENTITY_START="INT",
    IDENTITY_INCREMENT="INT",
    KEY_POSITION="INT",
    COMMENT="VARCHAR",
)
_NUMBERS: Final = frozenset({Kind.INT, Kind.DECIMAL})
_CLOCKS: Final = frozenset({Kind.TIME, Kind.TIMESTAMP_NTZ, Kind.TIMESTAMP_LTZ, Kind.TIMESTAMP_TZ})


def _columns(context: Context) -> Iterator[dict[str, object]]:
    for table in context.tx.catalog.tables():
        key = {column.id: at + 1 for at, column in enumerate(table.schema.key_columns)}
        for position, column in enumerate(table.schema.columns, 1):
            type_ = column.type
            number, clock = type_.kind in _NUMBERS, type_.kind in _CLOCKS
            yield _column_of(context, table) | {
                "COLUMN_NAME": column.name,
                "ORDINAL_POSITION": position,
                "COLUMN_DEFAULT": default_of(column),
                "IS_NULLABLE": _YES[column.nullable],
                "DATA_TYPE": type_.kind.value if type_.kind in JSON_KINDS else type_of(type_),
                "CHARACTER_MAXIMUM_LENGTH": type_.length,
                "NUMERIC_PRECISION": (type_.precision or 38) if number else None,
                "NUMERIC_SCALE": (type_.scale or 0) if number else None,
                "DATETIME_PRECISION": type_.precision if clock else None,
                "IS_IDENTITY": _YES[column.auto is not None],
                "IDENTITY_START": None if column.auto is None else column.auto.start,
                "IDENTITY_INCREMENT": None if column.auto is None else column.auto.step,
                "KEY_POSITION": key.get(column.id),
                "COMMENT": column.comment or None,
            }
    for found in context.tx.catalog.views():
        for position, one in enumerate(found.columns, 1):
            yield _column_of(context, found) | {
                "COLUMN_NAME": one.name,
                "ORDINAL_POSITION": position,
                "IS_NULLABLE": "YES",
                "DATA_TYPE": type_of(one.type),
                "CHARACTER_MAXIMUM_LENGTH": one.type.length,
                "IS_IDENTITY": "NO",
                "COMMENT": one.comment or None,
            }


def _column_of(context: Context, of: TableObject | ViewObject) -> dict[str, object]:
    return {
        "TABLE_CATALOG": context.store.log.name,
        "TABLE_SCHEMA": schema_name(context.tx.catalog, of.namespace),
        "TABLE_NAME": of.name,
    }


_VIEWS: Final = Shape.of(
    TABLE_CATALOG="VARCHAR",
    TABLE_SCHEMA="VARCHAR",
    TABLE_NAME="VARCHAR",
    VIEW_DEFINITION="VARCHAR",
    CREATED="TIMESTAMP_LTZ",
    COMMENT="VARCHAR",
)


def _views(context: Context) -> Iterator[dict[str, object]]:
    for found in context.tx.catalog.views():
        yield _column_of(context, found) | {
            "VIEW_DEFINITION": found.text,
            "CREATED": stamp(found.created_us),
            "COMMENT": found.comment or None,
        }


_VERSIONS: Final = Shape.of(
    TABLE_SCHEMA="VARCHAR",
    TABLE_NAME="VARCHAR",
    VERSION="INT",
    COMMITTED_ON="TIMESTAMP_LTZ",
    TRANSACTION_ID="VARCHAR",
    ACTOR="VARCHAR",
    INSERTS="INT",
    UPDATES="INT",
    DELETES="INT",
    BYTES="INT",
)


def _versions(context: Context) -> Iterator[dict[str, object]]:
    view = context.tx.view
    for table in context.tx.catalog.tables():
        if not in_view(context, table):
            continue
        before = Counts()
        for row in view.versions(table.id, -1, view.head(table.id).version):
            commit = view.commit(row.sequence)
            change = [now - was for now, was in zip(row.counts, before, strict=True)]
            before = row.counts
            yield {
                "TABLE_SCHEMA": schema_name(context.tx.catalog, table.namespace),
                "TABLE_NAME": table.name,
                "VERSION": row.version,
                "COMMITTED_ON": stamp(row.time_us),
                "TRANSACTION_ID": None if commit is None else commit.commit_id,
                "ACTOR": None if commit is None else commit.actor or None,
                **dict(zip(("INSERTS", "UPDATES", "DELETES", "BYTES"), change, strict=True)),
            }


# -- streams -----------------------------------------------------------------------------------

_STREAMS: Final = Shape.of(
    STREAM_CATALOG="VARCHAR",
    STREAM_SCHEMA="VARCHAR",
    STREAM_NAME="VARCHAR",
    TABLE_SCHEMA="VARCHAR",
    TABLE_NAME="VARCHAR",
    SOURCE_TYPE="VARCHAR",
    TYPE="VARCHAR",
    MODE="VARCHAR",
    CONSUMERS="VARCHAR",
    CONSUMER_COUNT="INT",
    BASE="INT",
    WATERMARK="INT",
    HEAD="INT",
    HAS_DATA="BOOLEAN",
    BYTES="INT",
    STALE="BOOLEAN",
    STALE_REASON="VARCHAR",
    STALE_AFTER="TIMESTAMP_LTZ",
    SHOW_INITIAL_ROWS="BOOLEAN",
    RETENTION_TIME="INT",
    REWIND="VARCHAR",
    CREATED_ON="TIMESTAMP_LTZ",
    COMMENT="VARCHAR",
)


def _streams(context: Context) -> Iterator[dict[str, object]]:
    for stream in context.tx.catalog.streams():
        yield stream_fields(context, stream)


def stream_fields(context: Context, stream: StreamObject) -> dict[str, object]:
    """A stream's row of STREAMS; one that this transaction makes has nothing to consume yet."""
    catalog = context.tx.catalog
    on: TableObject | ViewObject = catalog.table(stream.table)
    if stream.view is not None:
        on = catalog.view(stream.view)
    row = _seen(context, stream)
    stale = row.stale if row is not None else why_stale(catalog, stream)
    watermark = start_of(stream)
    if row is not None and not stale:
        watermark = lowest_position(context.tx.view, stream)
    return {
        "STREAM_CATALOG": context.store.log.name,
        "STREAM_SCHEMA": schema_name(catalog, stream.namespace),
        "STREAM_NAME": stream.name,
        "TABLE_SCHEMA": schema_name(catalog, on.namespace),
        "TABLE_NAME": on.name,
        "SOURCE_TYPE": on.kind.capitalize(),
        "TYPE": stream.capture.value,
        "MODE": "APPEND_ONLY" if stream.capture is Capture.INSERT_ONLY else "DEFAULT",
        "CONSUMERS": stream.sharing.value,
        "CONSUMER_COUNT": 0 if row is None else row.consumers,
        "BASE": stream.base,
        "WATERMARK": watermark,
        "HEAD": stream.base if row is None else row.head,
        "HAS_DATA": row is not None and row.has_data,
        "BYTES": 0 if row is None else row.bytes,
        "STALE": bool(stale),
        "STALE_REASON": stale or None,
        "STALE_AFTER": stamp(
            None if row is None or stale else stale_after(context.tx.view, stream)
        ),
        "SHOW_INITIAL_ROWS": stream.initial_rows,
        "RETENTION_TIME": days(stream.retention_s),
        "REWIND": stream.policy.value,
        "CREATED_ON": stamp(stream.created_us),
        "COMMENT": stream.comment or None,
    }


def _seen(context: Context, stream: StreamObject) -> StreamRow | None:
    """The stream as the snapshot has it; None if this transaction makes it, or its table."""
    known = context.tx.view.catalog
    if known.get("stream", stream.id) is None or known.get("table", stream.table) is None:
        return None
    return stream_row(context.tx.view, stream)


_CONSUMERS: Final = Shape.of(
    STREAM_SCHEMA="VARCHAR",
    STREAM_NAME="VARCHAR",
    CONSUMER_NAME="VARCHAR",
    KIND="VARCHAR",
    WATERMARK="INT",
    BASE="INT",
    HEAD="INT",
    LAG_VERSIONS="INT",
    LAG_CHANGES="INT",
    LAG_BYTES="INT",
    LAG_SECONDS="FLOAT",
    LAST_MOVED_ON="TIMESTAMP_LTZ",
    STALE="BOOLEAN",
    STALE_REASON="VARCHAR",
    GROUP_ID="VARCHAR",
    WITHIN_NEXT="VARCHAR",
)


def _consumers(context: Context) -> Iterator[dict[str, object]]:
    for stream in context.tx.catalog.streams():
        yield from consumer_fields(context, stream)


def consumer_fields(context: Context, stream: StreamObject) -> Iterator[dict[str, object]]:
    """The rows of STREAM_CONSUMERS of one stream, in order of registration."""
    if _seen(context, stream) is None:
        return
    for row in listing(context.tx.view, stream, context.tx.now_us):
        lag = row.lag
        yield {
            "STREAM_SCHEMA": schema_name(context.tx.catalog, stream.namespace),
            "STREAM_NAME": stream.name,
            "CONSUMER_NAME": row.consumer,
            "KIND": row.kind,
            "WATERMARK": row.watermark,
            "BASE": row.base,
            "HEAD": row.head,
            "LAG_VERSIONS": None if lag is None else lag.versions,
            "LAG_CHANGES": None if lag is None else lag.changes,
            "LAG_BYTES": None if lag is None else lag.bytes,
            "LAG_SECONDS": None if lag is None else lag.seconds,
            "LAST_MOVED_ON": stamp(row.moved_us),
            "STALE": bool(row.stale),
            "STALE_REASON": row.stale or None,
            "GROUP_ID": row.group or None,
            "WITHIN_NEXT": row.shown_inside.removeprefix(" + ") or None,
        }


_HISTORY: Final = Shape.of(
    STREAM_SCHEMA="VARCHAR",
    STREAM_NAME="VARCHAR",
    CONSUMER_NAME="VARCHAR",
    FROM_VERSION="INT",
    TO_VERSION="INT",
    WHY="VARCHAR",
    ACTOR="VARCHAR",
    MOVED_ON="TIMESTAMP_LTZ",
    TRANSACTION_ID="VARCHAR",
    TARGET="VARCHAR",
    TARGET_VERSION="INT",
    REASON="VARCHAR",
)


def _history(context: Context) -> Iterator[dict[str, object]]:
    for stream in context.tx.catalog.streams():
        if _seen(context, stream) is None:
            continue
        for row in history(context.tx.view, stream):
            yield {
                "STREAM_SCHEMA": schema_name(context.tx.catalog, stream.namespace),
                "STREAM_NAME": stream.name,
                "CONSUMER_NAME": row.consumer,
                "FROM_VERSION": row.start,
                "TO_VERSION": row.end,
                "WHY": row.why.upper(),
                "ACTOR": row.actor or None,
                "MOVED_ON": stamp(row.time_us),
                "TRANSACTION_ID": row.commit_id,
                "TARGET": row.target or None,
                "TARGET_VERSION": row.target_version,
                "REASON": row.reason or None,
            }


_SCHEMATA: Final = Shape.of(CATALOG_NAME="VARCHAR", SCHEMA_NAME="VARCHAR", IS_CURRENT="VARCHAR")


def _schemata(context: Context) -> Iterator[dict[str, object]]:
    for schema in context.tx.catalog.all("schema"):
        if schema.kind == "schema" and getattr(schema, "dropped_at", None) is None:
            name = schema_name(context.tx.catalog, schema.id)
            yield {
                "CATALOG_NAME": context.store.log.name,
                "SCHEMA_NAME": name,
                "IS_CURRENT": _YES[name.lower() == context.state.schema.lower()],
            }


RELATIONS: Final[Mapping[str, Relation]] = {
    "TABLES": Relation(_TABLES, _tables),
    "COLUMNS": Relation(_COLUMNS, _columns),
    "VIEWS": Relation(_VIEWS, _views),
    "SCHEMATA": Relation(_SCHEMATA, _schemata),
    "STREAMS": Relation(_STREAMS, _streams),
    "STREAM_CONSUMERS": Relation(_CONSUMERS, _consumers),
    "STREAM_OFFSET_HISTORY": Relation(_HISTORY, _history),
    "TABLE_VERSIONS": Relation(_VERSIONS, _versions),
}


def _offered(relation: Relation) -> Callable[[Context], offers.Made]:
    return lambda context: offers.Made(relation.shape.columns, relation.table(context))


# Queries find them by name.
offers.INFORMATION.update({name: _offered(one) for name, one in RELATIONS.items()})
