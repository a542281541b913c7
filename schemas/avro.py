"""Avro schemas of a table's keys and events, for the registry and for every Kafka tool.

The envelope is Debezium's, property by property: what each part is for, and which readers need it,
stands in docs/EVENTS.md. Names are made from the topic's; what Avro cannot spell is replaced by
underscores, and the original goes to `doc`.
"""

import json
import re
from typing import Final

from headwater.schemas.tables import Column, TableSchema
from headwater.schemas.types import JSON_KINDS, ZONED_KINDS, Kind, SqlType

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]

ROW_ID: Final = "__row_id"  # the key of a table without one; reserved
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def avro_name(name: str) -> str:
    """An Avro name made from any text: the text itself where that is one."""
    if _NAME.fullmatch(name):
        return name
    made = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return made if _NAME.fullmatch(made) else "_" + made


def namespace_of(topic: str) -> str:
    """The Avro namespace of a topic: each part of its name made one."""
    return ".".join(avro_name(part) for part in topic.split("."))


def canonical(schema: dict[str, Json]) -> str:
    """The text that the registry keeps and compares: JSON without blanks, in the schema's order."""
    return json.dumps(schema, separators=(",", ":"), ensure_ascii=False)


def key_schema(topic: str, schema: TableSchema) -> dict[str, Json]:
    """The schema of message keys: the primary key's columns, else the hidden row id."""
    fields: list[Json] = [_field(column, key=True) for column in schema.key_columns]
    return _record("Key", topic, fields or [{"name": ROW_ID, "type": "long"}])


def value_schema(topic: str, schema: TableSchema) -> dict[str, Json]:
    """The schema of events: Debezium's envelope around this table's rows."""
    value: Json = {
        "type": "record",
        "name": "Value",
        "fields": [_field(column, key=column.id in schema.key) for column in schema.columns],
        "connect.name": f"{namespace_of(topic)}.Value",
    }
    envelope = _record(
        "Envelope",
        topic,
        [
            {"name": "before", "type": ["null", value], "default": None},
            _optional("after", "Value"),
            {"name": "source", "type": _source()},
            _optional("transaction", _transaction()),
            {"name": "op", "type": "string"},
            _optional("ts_ms", "long"),
            _optional("ts_us", "long"),
            _optional("ts_ns", "long"),
        ],
    )
    name = envelope.pop("connect.name")
    return {**envelope, "connect.version": 2, "connect.name": name}


def _record(name: str, topic: str, fields: list[Json]) -> dict[str, Json]:
    namespace = namespace_of(topic)
    doc: dict[str, Json] = {} if namespace == topic else {"doc": topic}
    return {
        "type": "record",
        "name": name,
        "namespace": namespace,
        **doc,
        "fields": fields,
        "connect.name": f"{namespace}.{name}",
    }


def _optional(name: str, type_: Json) -> dict[str, Json]:
    return {"name": name, "type": ["null", type_], "default": None}


def _needed(name: str, type_: Json) -> dict[str, Json]:
    return {"name": name, "type": type_}


def _field(column: Column, *, key: bool) -> Json:
    doc: dict[str, Json] = {} if column.name == column.avro_name else {"doc": column.name}
    type_ = type_of(column.type)
    if key:
        return {"name": column.avro_name, "type": type_, **doc}
    return {**_optional(column.avro_name, type_), **doc}


def type_of(type_: SqlType) -> Json:
    """The Avro type of a column's values, with the properties that Connect's readers go by."""
    match type_.kind:
        case Kind.DECIMAL:
            return {
                "type": "bytes",
                "logicalType": "decimal",
                "precision": type_.precision,
                "scale": type_.scale,
                "connect.version": 1,
                "connect.parameters": {
                    "scale": str(type_.scale),
                    "connect.decimal.precision": str(type_.precision),
                },
                "connect.name": "org.apache.kafka.connect.data.Decimal",
            }
        case Kind.DATE:
            return _logical("int", "date", "org.apache.kafka.connect.data.Date")
        case Kind.TIME if type_.in_millis:
            return _logical("int", "time-millis", "org.apache.kafka.connect.data.Time")
        case Kind.TIME:
            return _logical("long", "time-micros", "io.debezium.time.MicroTime")
        case Kind.TIMESTAMP_NTZ if type_.in_millis:
            return _logical("long", "timestamp-millis", "org.apache.kafka.connect.data.Timestamp")
        case Kind.TIMESTAMP_NTZ:
            return _logical("long", "timestamp-micros", "io.debezium.time.MicroTimestamp")
        case kind if kind in ZONED_KINDS:
            return _named("string", "io.debezium.time.ZonedTimestamp")
        case kind if kind in JSON_KINDS:
            return _named("string", "io.debezium.data.Json")
        case kind:
            plain = {Kind.INT: "long", Kind.FLOAT: "double", Kind.BOOLEAN: "boolean"}
            return plain.get(kind, "bytes" if kind is Kind.BINARY else "string")


def _logical(primitive: str, logical: str, connect: str) -> Json:
    return {
        "type": primitive,
        "logicalType": logical,
        "connect.version": 1,
        "connect.name": connect,
    }


def _named(primitive: str, connect: str) -> Json:
    return {"type": primitive, "connect.version": 1, "connect.name": connect}


def _source() -> Json:
    snapshot: Json = {
        "type": "string",
        "connect.version": 1,
        "connect.parameters": {
            "allowed": "true,first,first_in_data_collection,last_in_data_collection,last,false,"
            "incremental"
        },
        "connect.default": "false",
        "connect.name": "io.debezium.data.Enum",
    }
    numbers = ("txId", "lsn", "xmin", "commit_version", "event_seq", "event_count")
    fields: list[Json] = [
        *(_needed(name, "string") for name in ("version", "connector", "name")),
        {"name": "ts_ms", "type": "long"},
        {"name": "snapshot", "default": "false", "type": [snapshot, "null"]},
        {"name": "db", "type": "string"},
        _optional("sequence", "string"),
        _optional("ts_us", "long"),
        _optional("ts_ns", "long"),
        *(_needed(name, "string") for name in ("schema", "table")),
        *(_optional(name, "long") for name in (*numbers, "row_id", "pair_seq", "epoch")),
    ]
    return {
        "type": "record",
        "name": "Source",
        "namespace": "io.headwater.connector",
        "fields": fields,
        "connect.version": 1,
        "connect.name": "io.headwater.connector.Source",
    }


def _transaction() -> Json:
    orders = ("total_order", "data_collection_order")
    return {
        "type": "record",
        "name": "block",
        "namespace": "event",
        "fields": [
            {"name": "id", "type": "string"},
            *(_needed(name, "long") for name in orders),
        ],
        "connect.version": 1,
        "connect.name": "event.block",
    }
