"""What every registry keeps: the one in a store, and a real one over HTTP."""

import json
from collections.abc import Iterator
from itertools import count
from uuid import uuid4

import httpx
import pytest

from headwater.log_store.registry import EmbeddedRegistry, Registry, RegistryAccess
from headwater.log_store.registry_http import LEVEL, HttpRegistry
from headwater.schemas.errors import Incompatible
from headwater.schemas.registry import Entry


@pytest.fixture(params=["embedded", pytest.param("http", marks=pytest.mark.registry)])
def registry(request: pytest.FixtureRequest) -> Iterator[Registry]:
    if request.param == "embedded":
        ids = count(1000)
        yield EmbeddedRegistry(lambda many: next(next(ids) for _ in range(many)))
        return
    url: str = request.getfixturevalue("registry_url")
    found = HttpRegistry(url, RegistryAccess(url=url))
    yield found
    found.close()


@pytest.fixture
def subject() -> str:
    """A subject that no other test has; its record's name, too, is its own."""
    return f"s{uuid4().hex[:12]}-value"


def schema(subject: str, **columns: object) -> str:
    """An envelope's columns as they are written: all but `id` optional."""
    fields: list[dict[str, object]] = []
    fields.append({"name": "id", "type": "long"})
    for name, type_ in columns.items():
        fields.append({"name": name, "type": ["null", type_], "default": None})
    return json.dumps({"type": "record", "name": "R", "namespace": subject[:-6], "fields": fields})


def decimal(precision: int, scale: int) -> dict[str, object]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


def versions(registry: Registry, subject: str) -> list[int]:
    """What a registry outside of the store holds of a subject; the other one holds nothing."""
    assert isinstance(registry, HttpRegistry)
    answer = httpx.get(f"{registry.url}/subjects/{subject}/versions")
    return list(answer.json()) if answer.status_code == 200 else []


def test_a_subjects_first_schema_is_its_version_1(registry: Registry, subject: str) -> None:
    text = schema(subject)
    entry = registry.register([], subject, text)
    assert entry == Entry(subject, 1, entry.id, text, new=True)
    assert entry.id > 0


def test_a_known_schema_keeps_its_id_and_is_not_new(registry: Registry, subject: str) -> None:
    first = registry.register([], subject, schema(subject))
    second = registry.register([first], subject, schema(subject, a="string"))
    again = registry.register([first, second], subject, schema(subject))
    assert again == Entry(subject, 1, first.id, first.text, new=False)


def test_another_schema_gets_the_next_version_and_another_id(
    registry: Registry, subject: str
) -> None:
    first = registry.register([], subject, schema(subject))
    second = registry.register([first], subject, schema(subject, a="string"))
    third = registry.register([first, second], subject, schema(subject))
    assert (second.version, second.new) == (2, True)
    assert second.id != first.id
    assert third.id == first.id


def test_versions_count_in_each_subject(registry: Registry, subject: str) -> None:
    other = f"other{subject}"
    first = registry.register([], subject, schema(subject))
    second = registry.register([first], other, schema(other))
    assert second.version == 1
    assert second.id != first.id


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("long", "string"),
        ("string", "bytes"),
        (decimal(10, 2), decimal(12, 2)),
        (decimal(10, 2), decimal(10, 3)),
    ],
)
def test_what_readers_of_old_events_would_misread_is_refused(
    registry: Registry, subject: str, old: object, new: object
) -> None:
    first = registry.register([], subject, schema(subject, a=old))
    with pytest.raises(Incompatible, match=f"{subject} version 1"):
        registry.register([first], subject, schema(subject, a=new))
    if registry.foreign:
        assert versions(registry, subject) == [1]
    assert registry.register([first], subject, schema(subject, a=old, b="long")).version == 2


def test_two_schemas_at_once_have_two_ids(registry: Registry, subject: str) -> None:
    # Neither transaction knows of the other's.
    one = registry.register([], subject, schema(subject, a="long"))
    two = registry.register([], subject, schema(subject, b="long"))
    assert one.id != two.id


@pytest.mark.registry
def test_others_are_held_to_the_same_rules_in_the_registry(registry_url: str, subject: str) -> None:
    mine = HttpRegistry(registry_url, RegistryAccess(url=registry_url))
    mine.register([], subject, schema(subject, a="long"))
    mine.close()
    level = httpx.get(f"{registry_url}/config/{subject}").json()
    assert level == {"compatibilityLevel": LEVEL}
    foreign = httpx.post(
        f"{registry_url}/subjects/{subject}/versions", json={"schema": schema(subject, a="string")}
    )
    assert foreign.status_code == 409
