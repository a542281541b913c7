"""Rules that keep old events readable while a table's schema changes."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from headwater.schemas.avro import canonical, key_schema, value_schema
from headwater.schemas.errors import Incompatible, SchemaInvalid, ValueRefused
from headwater.schemas.evolve import (
    add_column,
    check_compatible,
    drop_column,
    new_schema,
    rename_column,
    widen_column,
)
from headwater.schemas.registry import Entry, register
from headwater.schemas.tables import AutoIncrement, Column, ColumnSpec, TableSchema
from headwater.schemas.types import SqlType


def spec(
    name: str,
    kind: str = "INT",
    *,
    nullable: bool = True,
    default: object = None,
    auto: AutoIncrement | None = None,
) -> ColumnSpec:
    return ColumnSpec(name, SqlType.parse(kind), nullable=nullable, default=default, auto=auto)


def orders() -> TableSchema:
    columns = [
        spec("id"),
        spec("name", "VARCHAR(10)"),
        spec("price", "DECIMAL(10,2)"),
        spec("raw", "BINARY(4)"),
        spec("at", "TIMESTAMP(3)"),
    ]
    return new_schema(columns, ["ID"])


def test_columns_are_numbered_from_one_and_key_columns_are_not_null() -> None:
    schema = orders()

    assert [1, 2, 3, 4, 5] == [c.id for c in schema.columns]
    assert (1,) == schema.key
    assert [False, True, True, True, True] == [c.nullable for c in schema.columns]
    assert (1, 6, 0) == (schema.number, schema.next_column_id, schema.schema_id)


def test_a_default_is_stored_as_the_column_stores_it() -> None:
    schema = new_schema([spec("a", "DECIMAL(10,2)", default="1.005")])

    assert 101 == schema.columns[0].default
    with pytest.raises(ValueRefused, match="column a: 'x' is no INT"):
        new_schema([spec("a", default="x")])


@pytest.mark.parametrize(
    ("columns", "key", "why"),
    [
        ([], [], "at least one column"),
        ([spec("a"), spec("A")], [], "there is a column a already"),
        ([spec("a b"), spec("a_b")], [], "both be a_b in Avro"),
        ([spec("a b"), spec("A_B")], [], "both be A_B in Avro"),
        ([spec("__ROW_ID")], [], "reserved"),
        ([spec("")], [], "needs a name"),
        ([spec("a")], ["b"], "names b, which is no column"),
        ([spec("a")], ["a", "A"], "names a column twice"),
        ([spec("a", "VARIANT")], ["a"], "cannot be in a key"),
        ([spec("a", "VARCHAR", auto=AutoIncrement())], [], "only INT can be AUTOINCREMENT"),
        ([spec("a", auto=AutoIncrement(1, 0))], [], "a step other than 0"),
    ],
)
def test_a_schema_that_contradicts_itself_is_refused(
    columns: list[ColumnSpec], key: list[str], why: str
) -> None:
    with pytest.raises(SchemaInvalid, match=why):
        new_schema(columns, key)


def test_an_added_column_fills_old_rows_with_its_default() -> None:
    schema = add_column(orders(), spec("vip", "BOOLEAN", default="yes", nullable=False))
    column = schema.columns[-1]

    assert (6, True, True) == (column.id, column.default, column.fill)
    assert (2, 7) == (schema.number, schema.next_column_id)


def test_a_dropped_column_leaves_its_avro_name_behind() -> None:
    schema = add_column(drop_column(orders(), "name"), spec("name"))
    schema = add_column(drop_column(schema, "name"), spec("name"))

    assert ("name", "name_3", 7) == (
        schema.columns[-1].name,
        schema.columns[-1].avro_name,
        schema.columns[-1].id,
    )


def test_a_renamed_column_keeps_id_and_avro_name() -> None:
    schema = rename_column(orders(), "NAME", "title")
    later = add_column(schema, spec("name"))

    assert (2, "title", "name") == (
        schema.columns[1].id,
        schema.columns[1].name,
        schema.columns[1].avro_name,
    )
    assert "name_2" == later.columns[-1].avro_name


def test_a_column_may_be_renamed_to_another_case_of_its_name() -> None:
    assert "NAME" == rename_column(orders(), "name", "NAME").columns[1].name


@pytest.mark.parametrize(
    ("name", "kind"),
    [("id", "BIGINT"), ("name", "VARCHAR(11)"), ("name", "TEXT"), ("raw", "BINARY(5)")],
)
def test_a_type_may_grow(name: str, kind: str) -> None:
    schema = widen_column(orders(), name, SqlType.parse(kind))

    check_compatible(orders(), schema)
    assert SqlType.parse(kind) == schema.columns[schema.names.index(name)].type


REFUSED: list[tuple[str, Callable[[TableSchema], TableSchema]]] = [
    ("values may be longer", lambda s: widen_column(s, "name", SqlType.parse("VARCHAR(9)"))),
    ("decimal point", lambda s: widen_column(s, "price", SqlType.parse("DECIMAL(12,2)"))),
    ("decimal point", lambda s: widen_column(s, "price", SqlType.parse("DECIMAL(10,3)"))),
    ("unreadable", lambda s: widen_column(s, "name", SqlType.parse("BINARY"))),
    ("unreadable", lambda s: widen_column(s, "id", SqlType.parse("FLOAT"))),
    ("read wrongly", lambda s: widen_column(s, "name", SqlType.parse("VARIANT"))),
    ("its unit", lambda s: widen_column(s, "at", SqlType.parse("TIMESTAMP"))),
    ("primary key and cannot be dropped", lambda s: drop_column(s, "id")),
    ("AUTOINCREMENT", lambda s: add_column(s, spec("n", auto=AutoIncrement()))),
    ("give it a constant DEFAULT", lambda s: add_column(s, spec("n", nullable=False))),
]


@pytest.mark.parametrize(("why", "change"), REFUSED)
def test_a_change_that_old_events_would_not_survive_is_refused(
    why: str, change: Callable[[TableSchema], TableSchema]
) -> None:
    with pytest.raises(Incompatible, match=why):
        change(orders())


def test_the_only_column_stays() -> None:
    with pytest.raises(Incompatible, match="only one"):
        drop_column(new_schema([spec("a")]), "a")


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(SchemaInvalid, match="no column nme; there are id, name"):
        drop_column(orders(), "nme")


def test_every_allowed_change_is_registered_beside_all_earlier_ones() -> None:
    generations = [orders()]
    changes: list[Callable[[TableSchema], TableSchema]] = [
        lambda s: add_column(s, spec("x y", "DECIMAL(38,9)", default=1)),
        lambda s: rename_column(s, "name", "title"),
        lambda s: drop_column(s, "price"),
        lambda s: add_column(s, spec("price", "VARCHAR")),
        lambda s: widen_column(s, "title", SqlType.parse("VARCHAR")),
        lambda s: drop_column(s, "x y"),
    ]
    for change in changes:
        generations.append(change(generations[-1]))
    values: list[Entry] = []
    for schema in generations:
        check_compatible(generations[0], schema)
        values.append(register(values, "t-value", canonical(value_schema("t", schema))))
        assert key_schema("t", generations[0]) == key_schema("t", schema)

    assert [1, 2, 3, 4, 5, 5, 6] == [entry.version for entry in values]


MISFITS: list[tuple[str, Callable[[Column], Column]]] = [
    ("cannot change its Avro field", lambda c: replace(c, avro_name="other")),
    ("unreadable", lambda c: replace(c, type=SqlType.parse("BINARY"))),
    ("id of a dropped column", lambda c: replace(c, id=3)),
    ("would reuse the Avro field", lambda c: replace(c, id=9)),
    ("nothing fills it", lambda c: replace(c, id=9, avro_name="new", nullable=False)),
]


@pytest.mark.parametrize(("why", "change"), MISFITS)
def test_generations_that_do_not_go_together_are_refused(
    why: str, change: Callable[[Column], Column]
) -> None:
    old = drop_column(orders(), "price")
    new = replace(old, columns=(old.columns[0], change(old.columns[1])))
    with pytest.raises(Incompatible, match=why):
        check_compatible(old, new)


def test_another_primary_key_is_refused() -> None:
    with pytest.raises(Incompatible, match="primary key cannot be changed"):
        check_compatible(orders(), replace(orders(), key=()))
