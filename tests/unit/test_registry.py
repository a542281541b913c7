"""The embedded registry: ids, versions, and what it refuses at FULL_TRANSITIVE."""

import json

import pytest

from headwater.schemas.errors import EventUnreadable, Incompatible
from headwater.schemas.framing import frame, unframe
from headwater.schemas.registry import Entry, register, subject_of


def record(*fields: object, name: str = "R") -> str:
    return json.dumps({"type": "record", "name": name, "fields": list(fields)})


def field(name: str, type_: object, **more: object) -> dict[str, object]:
    return {"name": name, "type": type_, **more}


def optional(name: str, type_: object) -> dict[str, object]:
    return field(name, ["null", type_], default=None)


def decimal(precision: int, scale: int) -> dict[str, object]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


A = record(field("a", "long"))


def test_ids_rise_over_all_subjects_and_versions_within_one() -> None:
    first = register([], "s-value", A)
    second = register([first], "t-value", A)
    third = register(
        [first, second], "s-value", record(field("a", "long"), optional("b", "string"))
    )

    assert [(1, 1), (2, 1), (3, 2)] == [(e.id, e.version) for e in (first, second, third)]


def test_the_same_text_again_is_the_same_entry() -> None:
    first = register([], "s-value", A)
    again = register([first], "s-value", A)

    assert first.new
    assert Entry("s-value", 1, 1, A, new=False) == again


def test_subjects_are_named_after_the_topic() -> None:
    assert "shop.public.t-key" == subject_of("shop.public.t", key=True)
    assert "shop.public.t-value" == subject_of("shop.public.t", key=False)


REFUSED = [
    (A, record(), "a: missing in one version"),
    (A, record(field("a", "long"), field("b", "long")), "b: missing in one version"),
    (A, record(field("a", "string")), "a: long cannot be read as string"),
    (record(field("a", "int")), A, "a: long cannot be read as int"),
    (A, record(field("a", "long"), name="S"), "record R cannot be read as S"),
    (
        record(optional("a", "string")),
        record(field("a", "string")),
        "null cannot be read as string",
    ),
    # What Confluent's registry lets through:
    (
        record(optional("a", "string")),
        record(optional("a", "bytes")),
        "a: string would be read as bytes",
    ),
    (record(optional("a", decimal(10, 2))), record(optional("a", decimal(12, 2))), "decimal 10 2"),
    (record(optional("a", decimal(10, 2))), record(optional("a", decimal(10, 3))), "decimal 10 3"),
    (
        record(optional("a", {"type": "long", "logicalType": "timestamp-millis"})),
        record(optional("a", {"type": "long", "logicalType": "timestamp-micros"})),
        "timestamp-millis would be read as long timestamp-micros",
    ),
    (
        record(field("a", {"type": "array", "items": "long"})),
        record(field("a", {"type": "array", "items": "string"})),
        "long cannot be read as string",
    ),
    (
        record(field("a", {"type": "enum", "name": "E", "symbols": ["X", "Y"]})),
        record(field("a", {"type": "enum", "name": "E", "symbols": ["X"]})),
        "Y is no symbol",
    ),
]


@pytest.mark.parametrize(("old", "new", "why"), REFUSED)
def test_a_schema_whose_events_readers_would_misread_is_refused(
    old: str, new: str, why: str
) -> None:
    first = register([], "s-value", old)
    with pytest.raises(Incompatible, match=why):
        register([first], "s-value", new)


def test_a_schema_must_go_together_with_every_version_not_only_the_last() -> None:
    first = register([], "s-value", record(optional("a", "string"), field("k", "long")))
    second = register([first], "s-value", record(field("k", "long")))
    with pytest.raises(Incompatible, match="s-value version 1"):
        register([first, second], "s-value", record(optional("a", "long"), field("k", "long")))


def test_a_named_type_is_looked_up_where_it_is_used_again() -> None:
    inner = {"type": "record", "name": "V", "fields": [optional("x", "long")]}
    wider = {
        "type": "record",
        "name": "V",
        "fields": [optional("x", "long"), optional("y", "long")],
    }
    first = register([], "s", record(optional("before", inner), optional("after", "V")))
    second = register([first], "s", record(optional("before", wider), optional("after", "V")))

    assert 2 == second.version


def test_framing_is_a_zero_the_id_and_the_body() -> None:
    assert bytes.fromhex("00 00 00 01 02 aa bb") == frame(258, b"\xaa\xbb")
    assert (258, b"\xaa\xbb") == unframe(frame(258, b"\xaa\xbb"))


@pytest.mark.parametrize("message", [b"", b"\x00\x00\x00\x01", b"\x01\x00\x00\x00\x01x"])
def test_another_framing_is_refused(message: bytes) -> None:
    with pytest.raises(EventUnreadable):
        unframe(message)
