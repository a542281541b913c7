"""Definitions in transactions: names, topics, generations, clones, what conflicts with what."""

from collections.abc import Callable

import pytest
from support_producer import (
    ORDERS,
    committing,
    create,
    current,
    events_of,
    ids_of,
    insert,
    rows_of,
    seen_by,
    spec,
)

from headwater.log_store.catalog import AvroSchema, Namespace, TableObject
from headwater.log_store.errors import OutsideHistory, WriteConflict
from headwater.log_store.port import Log
from headwater.producer import ddl
from headwater.producer.ddl_clone import clone_table
from headwater.producer.errors import (
    AlterAfterWrite,
    DuplicateKey,
    NameInvalid,
    NameTaken,
    NotEmpty,
    NotFound,
)
from headwater.producer.names import find_table, parse, quoted
from headwater.producer.transaction import Transaction
from headwater.schemas.errors import Incompatible, SchemaInvalid
from headwater.schemas.tables import AutoIncrement, ColumnSpec
from headwater.schemas.types import SqlType


def test_a_new_table_starts_at_version_0_with_registered_schemas(log: Log) -> None:
    orders = create(log)
    assert orders.topic == f"{log.name}.public.orders"
    with log.view() as view:
        assert view.head(orders.id).version == 0
        subjects = {
            avro.id: avro.subject
            for avro in view.catalog.all("avro")
            if isinstance(avro, AvroSchema)
        }
        assert [row.what for row in view.audit()] == ["create table"]
    assert subjects[orders.schema.schema_id] == f"{orders.topic}-value"
    assert subjects[orders.schema.key_schema_id] == f"{orders.topic}-key"
    assert orders.created_at == orders.changed_at == 1


def test_a_table_can_be_made_and_filled_in_one_commit(log: Log) -> None:
    with committing(log) as tx:
        orders = ddl.create_table(tx, "orders", ORDERS, ["id"])
        tx.insert(orders, [(1, "a")])
        tx.insert(orders, [(2, "b")])
        assert find_table(tx.catalog, "ORDERS").id == orders.id
    assert rows_of(log, orders) == [(1, "a"), (2, "b")]
    insert(log, orders, (3, "c"))
    with committing(log) as tx:
        assert ids_of(tx, orders) == [1, 2, 3]


def test_names_match_without_case_unless_quoted(log: Log) -> None:
    create(log, "Orders")
    with committing(log) as tx:
        assert find_table(tx.catalog, "oRDERS").name == "Orders"
        assert find_table(tx.catalog, 'public."Orders"').name == "Orders"
        assert find_table(tx.catalog, "shop.public.orders").name == "Orders"
        with pytest.raises(NotFound):
            find_table(tx.catalog, '"orders"')
        with pytest.raises(NotFound):
            find_table(tx.catalog, "elsewhere.orders")


@pytest.mark.parametrize("text", ["", "a b", "1st", "a.", "a..b", "a.b.c.d", '"', '""', "x" * 300])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(NameInvalid):
        parse(text)


def test_a_quoted_name_may_hold_anything(log: Log) -> None:
    table = create(log, '"My ""big"" table.x"')
    assert table.name == 'My "big" table.x'
    assert table.topic == f"{log.name}.public.My__big__table_x"
    with committing(log) as tx:
        assert find_table(tx.catalog, quoted(table.name)).id == table.id
    assert quoted("plain") == "plain"


def test_a_taken_name_is_refused_or_passed_or_replaced(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"))
    tx = Transaction(log)
    with pytest.raises(NameTaken, match="table Orders exists"):
        ddl.create_table(tx, "Orders", ORDERS)
    assert ddl.create_table(tx, "orders", ORDERS, if_not_exists=True).id == orders.id
    new = ddl.create_table(tx, "orders", ORDERS, ["id"], or_replace=True)
    assert seen_by(tx, new) == []
    tx.commit()
    assert current(log, orders).dropped_at == 3
    assert current(log, new).topic == f"{orders.topic}.2"
    assert rows_of(log, new) == []


def test_the_second_of_two_creations_of_a_name_conflicts(log: Log) -> None:
    first, second = Transaction(log), Transaction(log)
    ddl.create_table(first, "orders", ORDERS)
    ddl.create_table(second, "orders", ORDERS)
    first.commit()
    with pytest.raises(WriteConflict):
        second.commit()


def test_tables_made_at_once_get_schema_ids_of_their_own(log: Log) -> None:
    first, second = Transaction(log), Transaction(log)
    one = ddl.create_table(first, "one", ORDERS, ["id"])
    two = ddl.create_table(second, "two", [spec("other", "FLOAT")])
    first.commit()
    second.commit()
    with log.view() as view:
        for table in (one, two):
            avro = view.catalog.get("avro", table.schema.schema_id)
            assert isinstance(avro, AvroSchema)
            assert avro.subject == f"{table.topic}-value"


def test_a_dropped_table_comes_back_with_its_rows(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"))
    with committing(log) as tx:
        ddl.drop_table(tx, orders)
        assert tx.catalog.tables() == []
        with pytest.raises(NotFound):
            find_table(tx.catalog, "orders")
    assert current(log, orders).dropped_at == 3
    with committing(log) as tx:
        with pytest.raises(NotFound, match="dropped table other"):
            ddl.undrop_table(tx, "other")
        assert ddl.undrop_table(tx, "ORDERS").id == orders.id
    assert rows_of(log, orders) == [(1, "a")]


def test_the_table_dropped_last_comes_back_first(log: Log) -> None:
    first = create(log)
    with committing(log) as tx:
        ddl.drop_table(tx, first)
    second = create(log)
    with committing(log) as tx:
        ddl.drop_table(tx, second)
    with committing(log) as tx:
        assert ddl.undrop_table(tx, "orders").id == second.id
        with pytest.raises(NameTaken):
            ddl.undrop_table(tx, "orders")


def test_a_rename_keeps_the_table_and_its_topic(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"))
    create(log, "other")
    with committing(log) as tx:
        with pytest.raises(NameTaken):
            ddl.rename_table(tx, orders, "OTHER")
        renamed = ddl.rename_table(tx, orders, "sales")
        assert (renamed.id, renamed.topic) == (orders.id, orders.topic)
        assert find_table(tx.catalog, "sales").id == orders.id
    again = create(log)
    assert again.topic == f"{orders.topic}.2"
    assert rows_of(log, orders) == [(1, "a")]


def test_two_tables_swap_their_names_in_one_step(log: Log) -> None:
    one, two = create(log, "one"), create(log, "two")
    with committing(log) as tx:
        ddl.swap_tables(tx, one, two)
    with log.view() as view:
        assert find_table(view.catalog, "one").id == two.id
        assert find_table(view.catalog, "two").id == one.id
    with committing(log) as tx:
        ddl.swap_tables(tx, one, one)


def test_old_rows_are_seen_in_the_current_columns(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"))
    with committing(log) as tx:
        ddl.add_column(tx, orders, spec("stock", "INT", default=5))
        ddl.rename_column(tx, orders, "name", "title")
        changed = tx.catalog.table(orders.id)
        tx.insert(changed, [(2, "b", 7)])
        assert seen_by(tx, changed) == [(1, "a", 5), (2, "b", 7)]
    with committing(log) as tx:
        ddl.drop_column(tx, orders, "title")
    assert rows_of(log, orders) == [(1, 5), (2, 7)]
    assert [len(one.columns) for one in current(log, orders).generations] == [2, 3, 3, 2]


def test_a_type_can_only_become_wider(log: Log) -> None:
    table = create(log, "t", [spec("id", "INT", nullable=False), spec("v", "VARCHAR(5)")], ("id",))
    with committing(log) as tx:
        ddl.widen_column(tx, table, "v", SqlType.parse("VARCHAR(50)"))
        with pytest.raises(Incompatible):
            ddl.widen_column(tx, table, "v", SqlType.parse("INT"))
        with pytest.raises(SchemaInvalid):
            ddl.drop_column(tx, table, "nope")
        with pytest.raises(Incompatible):
            ddl.drop_column(tx, table, "id")
    assert current(log, table).schema.columns[1].type.length == 50


def test_a_definition_of_a_table_already_changed_is_refused(log: Log) -> None:
    orders = create(log)
    tx = Transaction(log)
    tx.insert(orders, [(1, "a")])
    defines: list[Callable[[], TableObject]] = [
        lambda: ddl.add_column(tx, orders, spec("more", "INT")),
        lambda: ddl.drop_table(tx, orders),
        lambda: ddl.rename_table(tx, orders, "other"),
    ]
    for define in defines:
        with pytest.raises(AlterAfterWrite, match="table orders"):
            define()
    tx.commit()
    assert rows_of(log, orders) == [(1, "a")]


def test_a_definition_conflicts_with_every_commit_to_its_table(log: Log) -> None:
    orders = create(log)
    tx = Transaction(log)
    ddl.add_column(tx, orders, spec("more", "INT"))
    insert(log, orders, (1, "a"))
    with pytest.raises(WriteConflict, match="table orders moved from v0 to v1"):
        tx.commit()
    assert len(current(log, orders).generations) == 1


def test_a_failed_statement_undoes_its_definitions(log: Log) -> None:
    orders = create(log)
    tx = Transaction(log)
    assert tx.row(orders, 1) is None
    with pytest.raises(DuplicateKey), tx.statement():
        ddl.add_column(tx, orders, spec("more", "INT"))
        other = ddl.create_table(tx, "other", ORDERS, ["id"])
        tx.insert(tx.catalog.table(orders.id), [(1, "a", 2)])
        tx.insert(other, [(1, "a"), (1, "b")])
    assert [table.name for table in tx.catalog.tables()] == ["orders"]
    tx.insert(orders, [(1, "a")])
    tx.commit()
    assert rows_of(log, orders) == [(1, "a")]
    with log.view() as view:
        assert [row.what for row in view.audit()] == ["create table"]


def test_a_clone_starts_at_version_0_and_keeps_row_ids(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"), (2, "b"), (3, "c"))
    with committing(log) as tx:
        tx.delete(orders, [2])
    with committing(log) as tx:
        copy = clone_table(tx, "copy", orders, seeds={77: 3})
        assert ids_of(tx, copy) == [1, 3]
        tx.insert(copy, [(9, "own")])
    assert dict(current(log, copy).seeds) == {77: 3}
    assert events_of(log, copy, 1) == [("c", 1, 0), ("c", 3, 0), ("c", 4, 0)]
    insert(log, copy, (10, "later"))
    assert rows_of(log, copy) == [(1, "a"), (3, "c"), (9, "own"), (10, "later")]
    assert rows_of(log, orders) == [(1, "a"), (3, "c")]


def test_a_clone_of_an_older_version_comes_in_todays_columns(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"))
    with committing(log) as tx:
        tx.update(orders, [(1, (1, "b"))])
    with committing(log) as tx:
        ddl.add_column(tx, orders, spec("stock", "INT", default=5))
    with committing(log) as tx:
        copy = clone_table(tx, "copy", current(log, orders), version=1)
        with pytest.raises(OutsideHistory):
            clone_table(tx, "late", orders, version=9)
    assert rows_of(log, copy) == [(1, "a", 5)]


def test_a_clone_sees_the_transactions_own_writes(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "a"), (2, "b"))
    with committing(log) as tx:
        tx.update(orders, [(1, (1, "own"))])
        tx.insert(orders, [(3, "own")])
        copy = clone_table(tx, "copy", orders)
    assert rows_of(log, copy) == [(1, "own"), (2, "b"), (3, "own")]


def test_a_clone_goes_on_counting_where_its_original_was(log: Log) -> None:
    numbered = ColumnSpec("id", SqlType.parse("INT"), nullable=False, auto=AutoIncrement(10, 5))
    table = create(log, "t", [numbered], ("id",))
    with committing(log) as tx:
        assert tx.reserve_numbers(table, 1, 3) == 0
        tx.insert(table, [(10,), (15,), (20,)])
    with committing(log) as tx:
        copy = clone_table(tx, "copy", table)
        assert tx.reserve_numbers(copy, 1, 1) == 3
    with committing(log) as tx:
        assert tx.reserve_numbers(copy, 1, 1) >= 4


def test_schemas_hold_tables_of_equal_names(log: Log) -> None:
    with committing(log) as tx:
        sales = ddl.create_namespace(tx, "Sales")
        assert ddl.create_namespace(tx, "sales", if_not_exists=True).id == sales.id
        with pytest.raises(NameTaken):
            ddl.create_namespace(tx, "SALES")
        one = ddl.create_table(tx, "sales.orders", ORDERS)
    two = create(log)
    assert one.topic == f"{log.name}.Sales.orders"
    with committing(log) as tx:
        assert find_table(tx.catalog, "sales.orders").id == one.id
        assert find_table(tx.catalog, "orders").id == two.id
        with pytest.raises(NotEmpty, match="table orders"):
            ddl.drop_namespace(tx, "sales")
        ddl.rename_table(tx, one, "public.moved")
        ddl.drop_namespace(tx, "sales")
        with pytest.raises(NotFound, match="schema sales"):
            ddl.create_table(tx, "sales.orders", ORDERS)
        with pytest.raises(NameInvalid):
            ddl.drop_namespace(tx, "public")
    with log.view() as view:
        dropped = view.catalog.get("schema", sales.id)
        assert isinstance(dropped, Namespace) and dropped.dropped_at is not None
        assert find_table(view.catalog, "moved").id == one.id


def test_a_table_made_in_a_schema_that_is_dropped_meanwhile_conflicts(log: Log) -> None:
    with committing(log) as tx:
        ddl.create_namespace(tx, "sales")
    tx = Transaction(log)
    ddl.create_table(tx, "sales.orders", ORDERS)
    with committing(log) as other:
        ddl.drop_namespace(other, "sales")
    with pytest.raises(WriteConflict):
        tx.commit()


def test_comment_and_retention_are_settings_of_the_table(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        ddl.describe_table(tx, orders, "what was sold")
        ddl.retain_table(tx, orders, 86_400)
    table: TableObject = current(log, orders)
    assert (table.comment, table.retention_s) == ("what was sold", 86_400)
