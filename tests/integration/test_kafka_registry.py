"""Stores on a real Kafka beside a real schema registry."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import cast

import httpx
import pytest
from confluent_kafka import Consumer, KafkaError, Message
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from support_kafka import Broker

import headwater
from headwater.log_store.registry import RegistryFixed
from headwater.ops.api import Database
from headwater.schemas.errors import Incompatible
from headwater.sql.errors import ProgrammingError

COLUMNS = {
    "id": "INT",
    "who": "VARCHAR",
    "amount": "DECIMAL(10,2)",
    "day": "DATE",
    "blob": "BINARY",
}
Deserializer = Callable[[str | bytes | None, SerializationContext], object]
Rows = dict[object, Mapping[str, object]]


class Place:
    """A prefix of the session's broker, whose nodes keep their replicas in one folder."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path) -> None:
        self.bootstrap, self.prefix, self._folder = bootstrap, prefix, folder

    def target(self, registry: str = "", node: str = "one") -> str:
        """What `connect` is given."""
        end = f"&registry={registry}" if registry else ""
        return f"kafka://{self.bootstrap}/{self.prefix}?dir={self._folder / node}{end}"

    @contextmanager
    def open(self, registry: str = "", node: str = "one") -> Generator[Database]:
        with headwater.connect(self.target(registry, node)) as db:
            yield db

    def replica(self, node: str = "one") -> Path:
        return self._folder / node


@pytest.fixture
def place(kafka: Broker, prefix: str, tmp_path: Path) -> Place:
    return Place(kafka.bootstrap, prefix, tmp_path)


def subjects(url: str, prefix: str) -> dict[str, list[int]]:
    """The registry's subjects of a prefix, with their versions."""
    with httpx.Client(base_url=url, timeout=30) as client:
        # Apicurio hands out 20 subjects unless told otherwise.
        names = client.get("/subjects", params={"limit": 1000, "subjectPrefix": prefix}).json()
        mine = sorted(name for name in names if name.startswith(f"{prefix}."))
        return {name: list(client.get(f"/subjects/{name}/versions").json()) for name in mine}


def change(db: Database, column: str = "who") -> None:
    """Inserts, updates, deletes and a swap of two keys."""
    table = db.table("t")
    last = max((int(str(row["id"])) for row in table.rows()), default=0)
    rows = [
        {
            "id": last + at,
            column: None if at == 4 else f"name {at}",
            "amount": Decimal(at) / 4,
            "day": date(2024, 2, at),
            "blob": bytes([at]),
        }
        for at in range(1, 9)
    ]
    table.insert(rows)
    table.update(key=last + 2, set={column: "änderung", "amount": None})
    table.delete(key=last + 3)
    db.execute(
        f"UPDATE t SET id = CASE id WHEN {last + 5} THEN {last + 6} WHEN {last + 6} "
        f"THEN {last + 5} ELSE {last + 100} END WHERE id BETWEEN {last + 5} AND {last + 7}"
    )


def read_group(place: Place, topic: str) -> list[Message]:
    """Every message of a topic, as a plain member of a group gets it."""
    consumer = Consumer(
        {
            "bootstrap.servers": place.bootstrap,
            "group.id": f"{place.prefix}.foreign",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    found: list[Message] = []
    try:
        consumer.subscribe([topic])
        while True:
            message = consumer.poll(60)
            assert message is not None, f"only {len(found)} messages came"
            error = message.error()
            if error is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                return found
            found.append(message)
    finally:
        consumer.close()


def fold(messages: list[Message], url: str) -> Rows:
    """The rows that a table's topic leaves, read with Confluent's own deserialiser."""
    client = SchemaRegistryClient({"url": url, "timeout": 30})
    # The driver's own annotations do not know its constructor.
    make = cast("Callable[[SchemaRegistryClient], Deserializer]", AvroDeserializer)
    read = make(client)
    rows: Rows = {}
    for message in messages:
        topic = message.topic() or ""
        key = cast("dict[str, object]", read(message.key(), _at(topic, MessageField.KEY)))
        value = cast(
            "dict[str, object] | None", read(message.value(), _at(topic, MessageField.VALUE))
        )
        if value is None:
            # After each d, and of the same key.
            assert tuple(key.values()) not in rows
            continue
        before, after = value["before"], value["after"]
        found = rows.pop(tuple(key.values()), None)
        # An image has the columns that the table had then.
        assert (before is None) == (found is None)
        image, known = cast("dict[str, object]", before or {}), found or {}
        assert all(image[name] == known[name] for name in image.keys() & known.keys())
        if value["op"] != "d":
            assert isinstance(after, dict)
            rows[tuple(key.values())] = cast("dict[str, object]", after)
    return rows


def _at(topic: str, field: MessageField) -> SerializationContext:
    return SerializationContext(topic, field)


def test_confluents_own_deserialiser_reads_what_the_snapshot_shows(
    place: Place, registry_url: str
) -> None:
    with place.open(registry_url) as db:
        db.create_table("t", COLUMNS, key="id")
        change(db)
        db.execute("ALTER TABLE t ADD COLUMN note VARCHAR")
        change(db)
        db.execute("UPDATE t SET note = 'n' || id WHERE id > 8")
        db.execute("ALTER TABLE t RENAME COLUMN who TO whom")
        change(db, "whom")
        db.execute("ALTER TABLE t DROP COLUMN blob")
        db.table("t").insert({"id": 999, "whom": "last"})
        snapshot = db.table("t").rows()
    topic = f"{place.prefix}.public.t"
    rows = fold(read_group(place, topic), registry_url)
    # Events keep the name that a column had first.
    avro = {"whom": "who"}
    shown = {
        key: {name: row.get(avro.get(name, name)) for name in snapshot[0]}
        for key, row in rows.items()
    }
    assert shown == {(row["id"],): row for row in snapshot}
    assert len(shown) > 20
    held = subjects(registry_url, place.prefix)
    assert held[f"{topic}-key"] == [1]
    assert len(held[f"{topic}-value"]) >= 3
    assert held[f"{place.prefix}.transaction-value"] == [1]


def test_events_carry_the_registrys_ids(place: Place, registry_url: str) -> None:
    with place.open(registry_url) as db:
        db.create_table("t", COLUMNS, key="id")
        db.table("t").insert({"id": 1})
        topic = f"{place.prefix}.public.t"
        (event,) = read_group(place, topic)
    for part, data in (("key", event.key()), ("value", event.value())):
        assert isinstance(data, bytes)
        told = httpx.get(f"{registry_url}/subjects/{topic}-{part}/versions/1").json()
        assert data[:5] == b"\0" + int(told["id"]).to_bytes(4, "big")


def test_a_schema_that_the_registry_refuses_changes_nothing(
    place: Place, registry_url: str
) -> None:
    with place.open(registry_url) as db:
        db.create_table("t", {"id": "INT"}, key="id")
        subject = f"{place.prefix}.public.t-value"
        known = httpx.get(f"{registry_url}/subjects/{subject}/versions/1").json()["schema"]
        # Somebody else has added a column there.
        theirs = known.replace(
            '"fields":[{"name":"id","type":"long"}',
            '"fields":[{"name":"id","type":"long"},'
            '{"name":"note","type":["null","long"],"default":null}',
            1,
        )
        assert theirs != known
        url = f"{registry_url}/subjects/{subject}/versions"
        httpx.post(url, json={"schema": theirs}).raise_for_status()
        held, sequence = subjects(registry_url, place.prefix), db.sequence
        with pytest.raises(Incompatible, match=subject):
            db.table("t").add_column("note", "VARCHAR")
        with pytest.raises(ProgrammingError, match=subject) as caught:
            db.execute("ALTER TABLE t ADD COLUMN note VARCHAR")
        assert caught.value.code == "E_SCHEMA_INCOMPATIBLE"
        assert db.sequence == sequence
        assert subjects(registry_url, place.prefix) == held
        db.table("t").insert({"id": 1})
        assert db.table("t").rows() == [{"id": 1}]
        # What goes together with theirs is taken.
        db.execute("ALTER TABLE t ADD COLUMN other VARCHAR")
        db.table("t").insert({"id": 2, "other": "o"})
        assert db.table("t").count() == 2


def test_a_name_whose_subject_holds_other_schemas_gets_another_topic(
    place: Place, registry_url: str
) -> None:
    with place.open(registry_url) as db:
        left = httpx.post(
            f"{registry_url}/subjects/{place.prefix}.public.t-value/versions",
            json={
                "schema": '{"type":"record","name":"Other","fields":[{"name":"x","type":"int"}]}'
            },
        )
        left.raise_for_status()
        httpx.put(
            f"{registry_url}/config/{place.prefix}.public.t-value",
            json={"compatibility": "FULL_TRANSITIVE"},
        ).raise_for_status()
        db.create_table("t", {"id": "INT"}, key="id")
        db.table("t").insert({"id": 1})
        assert db.table("t").rows() == [{"id": 1}]
        assert f"{place.prefix}.public.t.2-value" in subjects(registry_url, place.prefix)


def test_the_registry_is_fixed_when_the_prefix_is_made(place: Place, registry_url: str) -> None:
    other = "http://127.0.0.1:9"
    with place.open(registry_url) as db:
        db.create_table("t", {"id": "INT"}, key="id")
        with pytest.raises(RegistryFixed):
            headwater.connect(place.target(other))
        db.table("t").insert({"id": 1})
    with pytest.raises(RegistryFixed, match="keeps it"):
        headwater.connect(place.target(other, "two"))
    # Nobody needs to name it again.
    with place.open() as db:
        db.create_table("u", {"id": "INT"}, key="id")
    assert f"{place.prefix}.public.u-value" in subjects(registry_url, place.prefix)


def test_a_replica_that_has_seen_no_commit_asks_the_prefixs_registry(
    place: Place, registry_url: str
) -> None:
    with (
        place.open(registry_url) as writer,
        headwater.connect(f"{place.target(node='two')}&role=replica") as other,
    ):
        other.create_table("t", {"id": "INT"}, key="id")
        other.table("t").insert({"id": 1})
        writer.wait_for(other.sequence, 30)
        assert writer.table("t").rows() == [{"id": 1}]
        assert subjects(registry_url, place.prefix)[f"{place.prefix}.public.t-value"] == [1]


def test_a_store_with_its_own_registry_keeps_that(place: Place) -> None:
    with place.open() as db:
        db.create_table("t", {"id": "INT"}, key="id")
    with pytest.raises(RegistryFixed, match="the one in the store itself"):
        headwater.connect(place.target("http://127.0.0.1:9"))
