"""Debezium messages in JSON, with Connect's schema beside each payload or without one.

with a schema      {"schema": {"type": "struct", "fields": [..]}, "payload": {..}}
without            the payload alone; the columns are then those that the user declares
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Final, cast

from headwater.schemas.errors import EventUnreadable
from headwater.schemas.foreign import Fields, ForeignColumn
from headwater.schemas.foreign_types import column_of

LONGEST: Final = 64 << 20


def parse(data: bytes, what: str) -> tuple[Fields | None, Fields]:
    """The schema, None where there is none beside it, and the payload of a key or value.

    Raises:
        EventUnreadable: it is no JSON object.
    """
    if len(data) > LONGEST:
        raise EventUnreadable(f"a {what} of {len(data)} bytes: the limit is {LONGEST}")
    try:
        found: object = json.loads(data, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise EventUnreadable(f"a {what} that is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise EventUnreadable(f"a {what} that is no JSON object")
    message = cast("dict[str, object]", found)
    if message.keys() == {"schema", "payload"}:
        schema, payload = message["schema"], message["payload"]
        if not isinstance(payload, dict):
            raise EventUnreadable(f"a {what} whose payload is no JSON object")
        known = cast("dict[str, object]", schema) if isinstance(schema, dict) else None
        return known, cast("dict[str, object]", payload)
    return None, message


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def row_columns(envelope: Fields) -> tuple[ForeignColumn, ...]:
    """The columns of the rows that an envelope's schema describes.

    Raises:
        EventUnreadable: it is no schema of an envelope.
    """
    for image in ("after", "before"):
        for one in _fields(envelope):
            if one.get("field") == image and one.get("type") == "struct":
                return columns(one)
    raise EventUnreadable("a schema without before and after: no Debezium envelope")


def columns(struct: Fields) -> tuple[ForeignColumn, ...]:
    """The columns of a struct's schema."""
    return tuple(_column(one) for one in _fields(struct))


def _fields(struct: Fields) -> Sequence[Fields]:
    found = struct.get("fields")
    if not isinstance(found, list):
        raise EventUnreadable("a struct's schema without fields")
    listed = cast("list[object]", found)
    return [cast("dict[str, object]", one) for one in listed if isinstance(one, dict)]


def _column(of: Fields) -> ForeignColumn:
    name, type_, semantic = of.get("field"), of.get("type"), of.get("name")
    if not isinstance(name, str) or not isinstance(type_, str):
        raise EventUnreadable("a field's schema without its name or type")
    given = of.get("parameters")
    parameters = cast("dict[str, object]", given if isinstance(given, dict) else {})
    declared, convert = column_of(
        type_,
        semantic if isinstance(semantic, str) else None,
        {key: str(value) for key, value in parameters.items()},
    )
    return ForeignColumn(name, declared, bool(of.get("optional", False)), convert)
