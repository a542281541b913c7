"""The Avro schemas that real readers were run against, property by property."""

import json
from pathlib import Path

import fastavro
import pytest

from headwater.schemas.avro import Json, canonical, key_schema, value_schema
from headwater.schemas.evolve import new_schema
from headwater.schemas.tables import ColumnSpec, TableSchema
from headwater.schemas.types import SqlType

GOLDEN = Path(__file__).parent / "golden"
ALL_TYPES = {
    "id": "INT",
    "region": "VARCHAR",
    "amount": "DECIMAL(10,2)",
    "score": "FLOAT",
    "ok": "BOOLEAN",
    "name": "VARCHAR",
    "bin": "BINARY",
    "d": "DATE",
    "t": "TIME",
    "t3": "TIME(3)",
    "ts": "TIMESTAMP",
    "ts3": "TIMESTAMP(3)",
    "tz": "TIMESTAMP_TZ",
    "doc": "VARIANT",
}


def table(columns: dict[str, str], *key: str) -> TableSchema:
    return new_schema([ColumnSpec(n, SqlType.parse(t)) for n, t in columns.items()], key)


def assert_is_golden(made: dict[str, Json], file: str) -> None:
    golden = json.loads((GOLDEN / file).read_text())

    # As text, so that the order of fields and properties counts too.
    assert json.dumps(golden, indent=1) == json.dumps(made, indent=1)


def test_a_table_of_all_types_has_the_golden_value_schema() -> None:
    schema = table(ALL_TYPES, "id", "region")
    assert_is_golden(value_schema("shop.public.all_types", schema), "all_types-value.avsc")


def test_a_primary_key_has_the_golden_key_schema() -> None:
    schema = table(ALL_TYPES, "id", "region")
    assert_is_golden(key_schema("shop.public.all_types", schema), "all_types-key.avsc")


def test_a_table_without_a_key_is_keyed_by_row_id() -> None:
    assert_is_golden(key_schema("shop.public.keyless", table({"a": "INT"})), "keyless-key.avsc")


def test_names_that_avro_cannot_spell_keep_the_original_in_doc() -> None:
    schema = table({"größe": "INT", "1st": "VARCHAR", "a-b": "DATE"}, "1st")
    made = key_schema("shop.public.t.2", schema)
    value = json.dumps(value_schema("shop.public.t.2", schema))

    assert "shop.public.t._2" == made["namespace"]
    assert "shop.public.t.2" == made["doc"]
    assert [{"name": "_1st", "type": "string", "doc": "1st"}] == made["fields"]
    assert '"name": "gr__e"' in value
    assert '"name": "a_b"' in value
    fastavro.parse_schema(json.loads(value))


@pytest.mark.parametrize(
    "kind", ["OBJECT", "ARRAY", "TIMESTAMP_LTZ", "TIMESTAMP_NTZ(0)", "TINYINT"]
)
def test_every_type_makes_a_schema_that_parses(kind: str) -> None:
    made = canonical(value_schema("shop.public.t", table({"a": kind})))

    fastavro.parse_schema(json.loads(made))
