"""Messages that other systems wrote, read as changes: Avro, JSON with a schema, JSON without."""

import base64
import io
import json
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import cast

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.schemas.avro import value_schema
from headwater.schemas.errors import EventUnreadable
from headwater.schemas.evolve import new_schema
from headwater.schemas.foreign import UNAVAILABLE
from headwater.schemas.foreign_reader import ForeignReader
from headwater.schemas.framing import frame
from headwater.schemas.tables import ColumnSpec
from headwater.schemas.types import SqlType

Fields = list[dict[str, object]]


def field(name: str, type_: str, semantic: str = "", **parameters: str) -> dict[str, object]:
    """A field of a Connect schema in JSON."""
    made: dict[str, object] = {"field": name, "type": type_, "optional": True}
    if semantic:
        made["name"] = semantic
    if parameters:
        made["parameters"] = parameters
    return made


def with_schema(fields: Fields, payload: dict[str, object]) -> bytes:
    """A value as JsonConverter writes it with schemas.enable."""
    row = {"type": "struct", "optional": True, "fields": fields}
    envelope = {
        "type": "struct",
        "name": "server1.public.orders.Envelope",
        "fields": [{**row, "field": "before"}, {**row, "field": "after"}, field("op", "string")],
    }
    return json.dumps({"schema": envelope, "payload": payload}).encode()


def unscaled(number: int) -> str:
    return base64.b64encode(number.to_bytes(4, "big", signed=True)).decode()


FIELDS: Fields = [
    field("id", "int32"),
    field("amount", "bytes", "org.apache.kafka.connect.data.Decimal", scale="2"),
    field("day", "int32", "io.debezium.time.Date"),
    field("at", "int64", "io.debezium.time.MicroTimestamp"),
    field("at3", "int64", "org.apache.kafka.connect.data.Timestamp"),
    field("nano", "int64", "io.debezium.time.NanoTimestamp"),
    field("clock", "int64", "io.debezium.time.MicroTime"),
    field("zoned", "string", "io.debezium.time.ZonedTimestamp"),
    field("doc", "string", "io.debezium.data.Json"),
    field("raw", "bytes"),
    {**field("free", "struct", "io.debezium.data.VariableScaleDecimal"), "fields": []},
    {**field("tags", "array"), "items": {"type": "string"}},
]
ROW: dict[str, object] = {
    "id": 7,
    "amount": unscaled(-1230),
    "day": 19737,
    "at": 1_705_312_800_000_001,
    "at3": 1_705_312_800_123,
    "nano": 1_705_312_800_000_001_999,
    "clock": 3_600_000_001,
    "zoned": "2024-01-15T10:00:00+01:00",
    "doc": '{"a": 1}',
    "raw": base64.b64encode(b"\x00\x01").decode(),
    "free": {"scale": 3, "value": unscaled(1500)},
    "tags": ["x", "y"],
}


def test_json_with_a_schema_tells_its_columns() -> None:
    value = with_schema(FIELDS, {"op": "c", "after": ROW})

    shape = ForeignReader().shape(b'{"id": 7}', value)

    assert [str(column.type) for column in shape.columns] == [
        "INT",
        "DECIMAL(38,2)",
        "DATE",
        "TIMESTAMP_NTZ",
        "TIMESTAMP_NTZ(3)",
        "TIMESTAMP_NTZ",
        "TIME",
        "TIMESTAMP_TZ",
        "VARIANT",
        "BINARY",
        "VARCHAR",
        "ARRAY",
    ]
    assert shape.key == ("id",)


def test_json_values_become_what_their_columns_take() -> None:
    value = with_schema(FIELDS, {"op": "u", "before": None, "after": ROW})

    change = ForeignReader().change(b'{"id": 7}', value)

    assert change is not None
    assert change.op == "u"
    assert change.key == {"id": 7}
    assert change.before is None
    assert change.after == {
        "id": 7,
        "amount": Decimal("-12.30"),
        "day": date(2024, 1, 15),
        "at": datetime(2024, 1, 15, 10, 0, 0, 1),
        "at3": datetime(2024, 1, 15, 10, 0, 0, 123000),
        "nano": datetime(2024, 1, 15, 10, 0, 0, 1),
        "clock": time(1, 0, 0, 1),
        "zoned": "2024-01-15T10:00:00+01:00",
        "doc": '{"a": 1}',
        "raw": b"\x00\x01",
        "free": "1.500",
        "tags": ["x", "y"],
    }


def test_json_without_a_schema_is_read_by_the_declared_columns() -> None:
    declared = {"id": SqlType.parse("INT"), "day": SqlType.parse("DATE")}
    declared |= {"at": SqlType.parse("TIMESTAMP(3)"), "raw": SqlType.parse("BINARY")}
    row = {"id": 1, "day": 19737, "at": 1_705_312_800_123, "raw": "AAE=", "other": "left out"}

    change = ForeignReader(None, declared).change(
        None, json.dumps({"op": "c", "after": row}).encode()
    )

    assert change is not None
    assert change.after == {
        "id": 1,
        "day": date(2024, 1, 15),
        "at": datetime(2024, 1, 15, 10, 0, 0, 123000),
        "raw": b"\x00\x01",
    }


def test_json_without_a_schema_needs_declared_columns() -> None:
    with pytest.raises(EventUnreadable, match="declare them"):
        ForeignReader().shape(None, b'{"op": "c", "after": {"id": 1}}')


def test_a_value_that_was_not_sent_is_told_from_the_text() -> None:
    placeholder = "__debezium_unavailable_value"
    row: dict[str, object] = {
        "id": 1,
        "doc": placeholder,
        "raw": base64.b64encode(placeholder.encode()).decode(),
    }
    fields = [FIELDS[0], FIELDS[8], FIELDS[9]]

    change = ForeignReader().change(None, with_schema(fields, {"op": "u", "after": row}))

    assert change is not None
    assert change.after == {"id": 1, "doc": UNAVAILABLE, "raw": UNAVAILABLE}


def test_tombstones_and_messages_are_no_changes() -> None:
    reader = ForeignReader(None, {"id": SqlType.parse("INT")})

    assert reader.change(b"{}", None) is None
    assert reader.change(b"{}", b'{"op": "m", "message": {}}') is None


def avro_value(schema: dict[str, object], message: dict[str, object]) -> bytes:
    out = io.BytesIO()
    # fastavro's own stubs are half untyped.
    write = cast("Callable[[io.BytesIO, object, object], None]", fastavro.schemaless_writer)
    write(out, fastavro.parse_schema(schema), message)
    return frame(5, out.getvalue())


ALL_TYPES = {
    "id": "INT",
    "amount": "DECIMAL(10,2)",
    "score": "FLOAT",
    "ok": "BOOLEAN",
    "name": "VARCHAR",
    "bin": "BINARY",
    "d": "DATE",
    "t": "TIME",
    "t3": "TIME(3)",
    "ts": "TIMESTAMP_NTZ",
    "ts3": "TIMESTAMP_NTZ(3)",
    "tz": "TIMESTAMP_TZ",
    "doc": "VARIANT",
}


def test_our_own_events_are_read_as_any_others() -> None:
    specs = [ColumnSpec(name, SqlType.parse(type_)) for name, type_ in ALL_TYPES.items()]
    text = value_schema("a.public.t", new_schema(specs, ["id"]))
    row = {
        "id": 1,
        "amount": Decimal("12.30"),
        "score": 0.5,
        "ok": True,
        "name": "x",
        "bin": b"\x01",
        "d": date(2024, 2, 29),
        "t": time(1, 2, 3, 4),
        "t3": time(1, 2, 3, 4000),
        "ts": datetime(2024, 2, 29, 1, 2, 3, 4),
        "ts3": datetime(2024, 2, 29, 1, 2, 3, 4000),
        "tz": "2024-02-29T01:02:03+02:00",
        "doc": '{"a":1}',
    }
    source = {"version": "1", "connector": "headwater", "name": "a", "ts_ms": 1, "db": "a"}
    source |= {"schema": "public", "table": "t", "event_seq": 9}
    value = avro_value(
        cast("dict[str, object]", text),
        {"before": None, "after": row, "source": source, "op": "c", "ts_ms": 3},
    )
    reader = ForeignReader(lambda _: json.dumps(text))

    shape = reader.shape(None, value)
    change = reader.change(None, value)

    assert [(column.name, str(column.type)) for column in shape.columns] == [
        (name, str(SqlType.parse(type_))) for name, type_ in ALL_TYPES.items()
    ]
    assert change is not None
    assert change.after == row
    assert change.time_ms == 3
    assert change.delivered is not None
    assert change.delivered.place == (9,)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"", "no JSON"),
        (b"[1]", "no JSON object"),
        (b'{"op": "x"}', "op 'x'"),
        (b'{"op": "c", "after": null}', "without the row"),
        (b'{"a": NaN}', "NaN"),
        (b"\x00\x00", "five bytes"),
        (b"\x00\x00\x00\x00\x05", "no registry"),
        (b"[" * 100_000, "no JSON"),
    ],
)
def test_what_is_no_envelope_is_refused_in_words(value: bytes, words: str) -> None:
    with pytest.raises(EventUnreadable, match=words):
        ForeignReader(None, {"id": SqlType.parse("INT")}).change(None, value)


SCHEMA = value_schema("a.public.t", new_schema([ColumnSpec("id", SqlType.parse("INT"))], []))


@given(st.binary(max_size=200))
def test_hostile_avro_is_an_error_and_nothing_else(body: bytes) -> None:
    reader = ForeignReader(lambda _: json.dumps(SCHEMA))
    try:
        reader.change(None, frame(5, body))
    except EventUnreadable:
        return


def test_a_schema_that_is_none_is_an_error_in_words() -> None:
    reader = ForeignReader(lambda _: '{"type": "nonsense"}')

    with pytest.raises(EventUnreadable, match="no Avro schema"):
        reader.change(None, frame(5, b"x"))
