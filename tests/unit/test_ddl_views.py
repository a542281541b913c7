"""Views as catalog objects: made, replaced, renamed and dropped, under names that tables share."""

from collections.abc import Callable

import pytest
from support_producer import ORDERS, committing, create

from headwater.log_store.catalog import TableObject, ViewColumn
from headwater.log_store.errors import WriteConflict
from headwater.log_store.port import Log
from headwater.producer import ddl, ddl_views
from headwater.producer.ddl_views import ViewSpec
from headwater.producer.errors import NameTaken, NotEmpty, NotFound
from headwater.producer.names import find_relation, find_table, find_view
from headwater.producer.transaction import Transaction
from headwater.schemas.errors import SchemaInvalid
from headwater.schemas.tables import ColumnSpec
from headwater.schemas.types import SqlType

TEXT = "SELECT id, name AS who FROM orders WHERE id > 1"
COLUMNS = (ViewColumn("id", SqlType.parse("INT")), ViewColumn("who", SqlType.parse("VARCHAR(40)")))


def over(table: TableObject | None = None) -> ViewSpec:
    return ViewSpec(text=TEXT, columns=COLUMNS, table=None if table is None else table.id)


def test_a_view_keeps_its_text_its_columns_and_its_table(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        made = ddl_views.create_view(tx, "Big", over(orders))
        assert find_view(tx.catalog, "bIG") == made
    with log.view() as view:
        found = find_view(view.catalog, "big")
        assert [row.what for row in view.audit()][-1] == "create view"
        assert [one.name for one in view.catalog.views()] == ["Big"]
    assert (found.id, found.name, found.text, found.columns) == (made.id, "Big", TEXT, COLUMNS)
    assert (found.table, found.generation, found.changed_at) == (orders.id, 1, view.sequence)


def test_views_and_tables_share_their_names(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        with pytest.raises(NameTaken, match="table Orders exists"):
            ddl_views.create_view(tx, "Orders", over(orders))
        with pytest.raises(NameTaken, match="table orders exists"):
            ddl_views.create_view(tx, "orders", over(orders), or_replace=True)
        with pytest.raises(NameTaken, match="table orders exists"):
            ddl_views.create_view(tx, "orders", over(orders), if_not_exists=True)
        big = ddl_views.create_view(tx, "big", over(orders))
        for replaces in (True, False):
            with pytest.raises(NameTaken, match="view big exists"):
                ddl.create_table(tx, "big", ORDERS, or_replace=replaces)
        with pytest.raises(NameTaken, match="view big exists"):
            ddl.create_table(tx, "big", ORDERS, if_not_exists=True)
        with pytest.raises(NameTaken, match="view big exists"):
            ddl.rename_table(tx, orders, "big")
        with pytest.raises(NameTaken, match="table orders exists"):
            ddl_views.rename_view(tx, big, "orders")
        assert find_relation(tx.catalog, "big") == big
        assert find_relation(tx.catalog, "orders").id == orders.id
        with pytest.raises(NotFound, match="table or view other"):
            find_relation(tx.catalog, "other")
        with pytest.raises(NotFound, match="table big"):
            find_table(tx.catalog, "big")


def test_a_dropped_table_does_not_come_back_under_the_name_of_a_view(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        ddl.drop_table(tx, orders)
    with committing(log) as tx:
        ddl_views.create_view(tx, "orders", over())
        with pytest.raises(NameTaken, match="view orders exists"):
            ddl.undrop_table(tx, "orders")


def test_or_replace_makes_another_view_of_the_next_generation(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        first = ddl_views.create_view(tx, "big", over(orders))
    with committing(log) as tx:
        with pytest.raises(NameTaken, match="view big exists"):
            ddl_views.create_view(tx, "big", over())
        assert ddl_views.create_view(tx, "big", over(), if_not_exists=True).id == first.id
        second = ddl_views.create_view(tx, "big", over(), or_replace=True)
    with log.view() as view:
        assert find_view(view.catalog, "big").id == second.id != first.id
        assert find_view(view.catalog, "big").generation == 2
        assert view.catalog.view(first.id).dropped_at == view.sequence


def test_a_renamed_view_stays_the_same_view(log: Log) -> None:
    with committing(log) as tx:
        ddl.create_namespace(tx, "sales")
        big = ddl_views.create_view(tx, "big", over())
        ddl_views.rename_view(tx, big, "sales.Bigger")
        ddl_views.describe_view(tx, big, "the large ones")
    with log.view() as view:
        found = find_view(view.catalog, "sales.bigger")
        assert (found.id, found.name, found.comment) == (big.id, "Bigger", "the large ones")
    with committing(log) as tx, pytest.raises(NotEmpty, match="view Bigger"):
        ddl.drop_namespace(tx, "sales")


def test_a_dropped_view_gives_its_name_free(log: Log) -> None:
    with committing(log) as tx:
        big = ddl_views.create_view(tx, "big", over())
    with committing(log) as tx:
        ddl_views.drop_view(tx, big)
        with pytest.raises(NotFound, match="it was dropped"):
            ddl_views.drop_view(tx, big)
        with pytest.raises(NotFound, match="view big"):
            find_view(tx.catalog, "big")
        ddl.create_table(tx, "big", ORDERS)
    with log.view() as view:
        assert find_table(view.catalog, "big").name == "big"


@pytest.mark.parametrize("names", [(), ("a", "A")])
def test_columns_without_names_of_their_own_are_refused(log: Log, names: tuple[str, ...]) -> None:
    columns = [ViewColumn(name, SqlType.parse("INT")) for name in names]
    tx = Transaction(log)
    with pytest.raises(SchemaInvalid, match="view v"):
        ddl_views.create_view(tx, "v", ViewSpec(text="SELECT ..", columns=columns))
    assert tx.commit().sequence == 0


def test_views_come_and_go_with_their_transaction(log: Log) -> None:
    tx = Transaction(log)
    with pytest.raises(RuntimeError), tx.statement():
        ddl_views.create_view(tx, "big", over())
        raise RuntimeError
    assert tx.catalog.views() == []
    ddl_views.create_view(tx, "big", over())
    tx.rollback()
    with log.view() as view:
        assert view.catalog.views() == []


def _add_column(tx: Transaction, table: TableObject) -> None:
    ddl.add_column(tx, table, ColumnSpec("more", SqlType.parse("INT")))


def _drop(tx: Transaction, table: TableObject) -> None:
    ddl.drop_table(tx, table)


def _take_its_name(tx: Transaction, table: TableObject) -> None:
    del table
    ddl.create_table(tx, "big", ORDERS)


@pytest.mark.parametrize("meanwhile", [_add_column, _drop, _take_its_name])
def test_a_view_conflicts_with_what_changes_its_table_or_takes_its_name(
    log: Log, meanwhile: Callable[[Transaction, TableObject], None]
) -> None:
    orders = create(log)
    tx = Transaction(log)
    ddl_views.create_view(tx, "big", over(orders))
    with committing(log) as other:
        meanwhile(other, orders)
    with pytest.raises(WriteConflict):
        tx.commit()


def test_the_second_of_two_changes_of_a_view_conflicts(log: Log) -> None:
    with committing(log) as tx:
        big = ddl_views.create_view(tx, "big", over())
    first, second = Transaction(log), Transaction(log)
    ddl_views.drop_view(first, big)
    ddl_views.rename_view(second, big, "bigger")
    first.commit()
    with pytest.raises(WriteConflict, match="definition of view big"):
        second.commit()
