"""Catalog objects as canonical JSON: sorted keys, no blanks, defaults written out.

A plain value that JSON has no place for is an object with one member: `{"bytes": "00ff"}` or
`{"float": "nan"}`. Members that a release does not know are refused, never dropped.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import cast

from headwater.log_store.catalog import (
    AvroSchema,
    Capture,
    CatalogObject,
    ConsumerKind,
    ConsumerObject,
    Namespace,
    RewindPolicy,
    Setting,
    Sharing,
    StreamObject,
    TableObject,
    ViewColumn,
    ViewObject,
)
from headwater.log_store.encoding import EncodingNotKnown, canonical
from headwater.schemas.tables import AutoIncrement, Column, TableSchema
from headwater.schemas.types import Kind, Plain, SqlType

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_ENUMS = {
    "capture": Capture,
    "sharing": Sharing,
    "policy": RewindPolicy,
    "reader": ConsumerKind,
}
# Left out of the many objects that have nothing there.
_RARE = ("adopted", "foreign")
_CLASSES = {
    kind.kind: kind
    for kind in (
        Namespace,
        TableObject,
        ViewObject,
        StreamObject,
        ConsumerObject,
        AvroSchema,
        Setting,
    )
}


def encode_object(value: CatalogObject) -> str:
    """The object as JSON, its kind in member `kind`."""
    members: dict[str, Json] = {"kind": value.kind}
    for name in type(value).__dataclass_fields__:
        member: object = getattr(value, name)
        if isinstance(member, Capture | Sharing | RewindPolicy | ConsumerKind):
            members[name] = member.value
        elif name == "generations":
            members[name] = [encode_schema(g) for g in cast(tuple[TableSchema, ...], member)]
        elif name == "columns":
            members[name] = [_view_column(c) for c in cast(tuple[ViewColumn, ...], member)]
        elif name == "seeds":
            members[name] = {str(k): v for k, v in cast(Mapping[int, int], member).items()}
        elif name not in _RARE or member:
            members[name] = cast(Json, member)
    return canonical(members)


def decode_object(text: str) -> CatalogObject:
    """The object in JSON made by `encode_object`. Raises EncodingNotKnown for anything else."""
    try:
        members = cast(dict[str, Json], json.loads(text))
        kind = _CLASSES[cast(str, members.pop("kind"))]
        known: dict[str, object] = {}
        for name, member in members.items():
            if name in _ENUMS:
                known[name] = _ENUMS[name](member)
            elif name == "generations":
                known[name] = tuple(map(decode_schema, cast(list[dict[str, Json]], member)))
            elif name == "columns":
                known[name] = tuple(map(_read_view_column, cast(list[dict[str, Json]], member)))
            elif name == "seeds":
                known[name] = {int(k): v for k, v in cast(dict[str, int], member).items()}
            else:
                known[name] = member
        # The constructor itself refuses members that it does not know.
        return cast(Callable[..., CatalogObject], kind)(**known)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EncodingNotKnown(f"catalog object: {error!r}") from error


def encode_schema(schema: TableSchema) -> dict[str, Json]:
    """One generation of a table."""
    return {
        "number": schema.number,
        "columns": [_column(column) for column in schema.columns],
        "key": list(schema.key),
        "next_column_id": schema.next_column_id,
        "used_names": list(schema.used_names),
        "schema_id": schema.schema_id,
        "key_schema_id": schema.key_schema_id,
    }


def decode_schema(members: Mapping[str, Json]) -> TableSchema:
    """The generation encoded by `encode_schema`."""
    return TableSchema(
        number=cast(int, members["number"]),
        columns=tuple(map(_read_column, cast(list[dict[str, Json]], members["columns"]))),
        key=tuple(cast(list[int], members["key"])),
        next_column_id=cast(int, members["next_column_id"]),
        used_names=tuple(cast(list[str], members["used_names"])),
        schema_id=cast(int, members["schema_id"]),
        key_schema_id=cast(int, members["key_schema_id"]),
    )


def _view_column(column: ViewColumn) -> dict[str, Json]:
    return {"name": column.name, "type": _type(column.type), "comment": column.comment}


def _read_view_column(members: dict[str, Json]) -> ViewColumn:
    return ViewColumn(
        cast(str, members["name"]),
        _read_type(cast(dict[str, Json], members["type"])),
        cast(str, members["comment"]),
    )


def _type(declared: SqlType) -> dict[str, Json]:
    return {
        "kind": declared.kind.value,
        "name": declared.name,
        "precision": declared.precision,
        "scale": declared.scale,
        "length": declared.length,
    }


def _read_type(declared: Mapping[str, Json]) -> SqlType:
    return SqlType(
        Kind(declared["kind"]),
        cast(str, declared["name"]),
        cast(int | None, declared["precision"]),
        cast(int | None, declared["scale"]),
        cast(int | None, declared["length"]),
    )


def _column(column: Column) -> dict[str, Json]:
    return {
        "id": column.id,
        "name": column.name,
        "type": _type(column.type),
        "avro_name": column.avro_name,
        "nullable": column.nullable,
        "default": _plain(column.default),
        "default_call": column.default_call,
        "fill": _plain(column.fill),
        "auto": None if column.auto is None else [column.auto.start, column.auto.step],
        "comment": column.comment,
    }


def _read_column(members: dict[str, Json]) -> Column:
    auto = cast(list[int] | None, members["auto"])
    return Column(
        id=cast(int, members["id"]),
        name=cast(str, members["name"]),
        type=_read_type(cast(dict[str, Json], members["type"])),
        avro_name=cast(str, members["avro_name"]),
        nullable=cast(bool, members["nullable"]),
        default=_read_plain(members["default"]),
        default_call=cast(str | None, members["default_call"]),
        fill=_read_plain(members["fill"]),
        auto=None if auto is None else AutoIncrement(*auto),
        comment=cast(str, members["comment"]),
    )


def _plain(value: Plain) -> Json:
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def _read_plain(value: Json) -> Plain:
    if isinstance(value, dict):
        if "bytes" in value:
            return bytes.fromhex(cast(str, value["bytes"]))
        return float(cast(str, value["float"]))
    assert not isinstance(value, list)
    return value
