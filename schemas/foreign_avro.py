"""Debezium messages in Avro with Confluent's framing, whatever schema they were written with."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

import fastavro
from fastavro.schema import SchemaParseException

from headwater.schemas.errors import EventUnreadable
from headwater.schemas.foreign import Fields, ForeignColumn
from headwater.schemas.foreign_types import column_of

_CONNECT: Final = {
    "int": "int32",
    "long": "int64",
    "float": "float",
    "double": "double",
    "boolean": "boolean",
    "string": "string",
    "bytes": "bytes",
    "fixed": "bytes",
    "enum": "string",
    "record": "struct",
    "map": "map",
    "array": "array",
}
_LOGICAL: Final = {
    "decimal": "org.apache.kafka.connect.data.Decimal",
    "date": "org.apache.kafka.connect.data.Date",
    "time-millis": "org.apache.kafka.connect.data.Time",
    "time-micros": "io.debezium.time.MicroTime",
    "timestamp-millis": "org.apache.kafka.connect.data.Timestamp",
    "timestamp-micros": "io.debezium.time.MicroTimestamp",
    "local-timestamp-millis": "org.apache.kafka.connect.data.Timestamp",
    "local-timestamp-micros": "io.debezium.time.MicroTimestamp",
}
# What fastavro raises for bytes that are not of the schema, or a schema that is none.
_STUMBLES: Final = (EOFError, LookupError, ValueError, TypeError, ArithmeticError, RecursionError)
# Its stubs are half untyped; what goes in and comes out is said here.
_parse = cast("Callable[[object], object]", fastavro.parse_schema)
_read = cast("Callable[[io.BytesIO, object], object]", fastavro.schemaless_reader)


class WrittenWith:
    """One schema of a registry, ready to read with; `text` is its JSON."""

    def __init__(self, text: str) -> None:
        try:
            self._schema = cast("dict[str, object]", json.loads(text))
            self._parsed = _parse(json.loads(text))
        except (*_STUMBLES, SchemaParseException) as error:
            raise EventUnreadable(f"its schema is no Avro schema: {error}") from None
        self._named: dict[str, object] = {}
        _remember(self._schema, "", self._named)

    def read(self, body: bytes) -> Fields:
        """A message's fields by name.

        Raises:
            EventUnreadable: the bytes are not of this schema.
        """
        stream = io.BytesIO(body)
        try:
            found = _read(stream, self._parsed)
        except _STUMBLES as error:
            raise EventUnreadable(f"not of its schema: {error}", position=stream.tell()) from None
        if stream.tell() != len(body):
            raise EventUnreadable("bytes after its end", position=stream.tell())
        if not isinstance(found, dict):
            raise EventUnreadable("no record")
        return cast("dict[str, object]", found)

    def row_columns(self) -> tuple[ForeignColumn, ...]:
        """The columns of the rows in an envelope of this schema.

        Raises:
            EventUnreadable: it is no schema of an envelope.
        """
        for image in ("after", "before"):
            for one in _listed(self._schema.get("fields")):
                record, _ = self._resolved(one.get("type"))
                if one.get("name") == image and record.get("type") == "record":
                    return self._columns(record)
        raise EventUnreadable("a schema without before and after: no Debezium envelope")

    def columns(self) -> tuple[ForeignColumn, ...]:
        """The columns of a record of this schema, as a key is one."""
        return self._columns(self._schema)

    def _columns(self, record: Fields) -> tuple[ForeignColumn, ...]:
        return tuple(self._column(one) for one in _listed(record.get("fields")))

    def _column(self, of: Fields) -> ForeignColumn:
        type_, optional = self._resolved(of.get("type"))
        avro = str(type_.get("type"))
        name = type_.get("connect.name") or _LOGICAL.get(str(type_.get("logicalType")))
        parameters = {
            "scale": str(type_.get("scale", "0")),
            "connect.decimal.precision": str(type_.get("precision", "38")),
        }
        declared, convert = column_of(
            _CONNECT.get(avro, avro), name if isinstance(name, str) else None, parameters
        )
        return ForeignColumn(str(of.get("name")), declared, optional, convert)

    def _resolved(self, type_: object) -> tuple[Fields, bool]:
        """A field's own type, by itself, and whether null is one of its branches."""
        if isinstance(type_, list):
            branches = [one for one in cast("list[object]", type_) if one != "null"]
            if len(branches) != 1:
                return {"type": "record"}, True  # a real union: its value goes as JSON
            return self._resolved(branches[0])[0], True
        if isinstance(type_, str):
            named = self._named.get(type_)
            return (cast("dict[str, object]", named), False) if named else ({"type": type_}, False)
        return cast("dict[str, object]", type_ if isinstance(type_, dict) else {}), False


def _remember(schema: object, namespace: str, named: dict[str, object]) -> None:
    """Every named type of a schema, under its name and its full name."""
    if isinstance(schema, list):
        for one in cast("list[object]", schema):
            _remember(one, namespace, named)
    if not isinstance(schema, dict):
        return
    found = cast("dict[str, object]", schema)
    name = found.get("name")
    if found.get("type") in ("record", "enum", "fixed") and isinstance(name, str):
        namespace = str(found.get("namespace") or namespace)
        named[name] = named[f"{namespace}.{name}"] = found
    for one in _listed(found.get("fields")):
        _remember(one.get("type"), namespace, named)
    for inner in ("items", "values", "type"):
        if isinstance(found.get(inner), (dict, list)):
            _remember(found[inner], namespace, named)


def _listed(fields: object) -> Sequence[Mapping[str, object]]:
    listed = cast("list[object]", fields) if isinstance(fields, list) else []
    return [cast("dict[str, object]", one) for one in listed if isinstance(one, dict)]
