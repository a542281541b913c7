"""Streams on views: what is seen through a filter and a projection, and when they are stale."""

import pytest
from support_lens import LeastLens, least_lens, least_view
from support_streams import PLAIN_STREAM, Shop, StreamRow

from headwater.consumers import streams
from headwater.consumers.backlog import lag, stream_row
from headwater.consumers.errors import StreamInvalid, StreamStale
from headwater.consumers.look import shown_window
from headwater.consumers.positions import AtVersion
from headwater.consumers.read import ReadOptions, empty_rows
from headwater.consumers.registration import why_stale
from headwater.consumers.streams import StreamOptions
from headwater.log_store.catalog import Capture, StreamObject, ViewObject
from headwater.log_store.errors import WriteConflict
from headwater.log_store.port import Log
from headwater.log_store.records import INITIAL
from headwater.producer import ddl, ddl_views
from headwater.producer.names import find_relation, find_view
from headwater.producer.transaction import Transaction
from headwater.schemas.tables import ColumnSpec
from headwater.schemas.types import SqlType

# Rows of id >= 10 are large; the view shows ids only.
LARGE = ReadOptions(lens=LeastLens("id", 10, ("id",)))
NET = StreamOptions(capture=Capture.NET)
INSERT_ONLY = StreamOptions(capture=Capture.INSERT_ONLY)
INITIALLY = StreamOptions(initial_rows=True)


class ViewShop(Shop):
    """Orders, a report to consume into, and a view `large` of the orders from 10 on."""

    def __init__(self, log: Log) -> None:
        super().__init__(log)
        self.create("orders", key=())
        self.create("report", key=())
        self.view("large", 10)

    def view(self, name: str, least: int, *, replaces: bool = False) -> ViewObject:
        return self.do(
            lambda tx: ddl_views.create_view(
                tx,
                name,
                least_view(self.table("orders", tx).id, "id", least, ["id"]),
                or_replace=replaces,
            )
        )

    def over(self, on: str, options: StreamOptions = PLAIN_STREAM) -> StreamObject:
        """A stream `s` on a table or view."""
        return self.do(
            lambda tx: streams.create_stream(tx, "s", find_relation(tx.catalog, on), options)
        )

    def set(self, **ids: int) -> None:
        """Rows, by the name they keep, get other ids; one statement in a commit of its own."""
        with self.transaction() as tx, tx.statement():
            table = self.table("orders", tx)
            held = tx.scan(table)
            found = dict(zip(held.data.column("name").to_pylist(), held.row_ids.tolist()))
            tx.update(table, [(found[name], (new, name)) for name, new in ids.items()])

    def large(self, after: int, upto: int) -> list[StreamRow]:
        return self.read("s", after, upto, LARGE)


@pytest.fixture
def shop(log: Log) -> ViewShop:
    made = ViewShop(log)
    made.insert("orders", (1, "small"), (11, "big"))
    return made


def test_a_row_that_enters_the_filter_is_an_insert_and_one_that_leaves_it_a_delete(
    shop: ViewShop,
) -> None:
    shop.over("large")
    shop.set(small=20)
    shop.set(big=2)
    shop.set(small=21)
    shop.set(big=3)

    assert shop.large(1, 5) == [
        ("INSERT", False, 1, (20,)),
        ("DELETE", False, 2, (11,)),
        ("DELETE", True, 1, (20,)),
        ("INSERT", True, 1, (21,)),
    ]


def test_inserts_and_deletes_outside_the_filter_are_not_seen(shop: ViewShop) -> None:
    shop.over("large")
    shop.insert("orders", (3, "c"), (30, "C"))
    with shop.transaction() as tx:
        tx.truncate(shop.table("orders", tx))

    assert shop.large(1, 3) == [
        ("INSERT", False, 4, (30,)),
        ("DELETE", False, 2, (11,)),
        ("DELETE", False, 4, (30,)),
    ]


def test_an_update_that_the_projection_does_not_show_is_a_pair_in_all_and_nothing_in_net(
    shop: ViewShop,
) -> None:
    shop.over("large")
    with shop.transaction() as tx:
        tx.update(shop.table("orders", tx), [(2, (11, "renamed"))])

    assert shop.large(1, 2) == [("DELETE", True, 2, (11,)), ("INSERT", True, 2, (11,))]
    shop.alter("s", NET)
    assert shop.large(1, 2) == []
    assert shop.has_data("s")


def test_net_nets_what_is_seen_in_the_order_of_the_last_change_seen(shop: ViewShop) -> None:
    shop.over("large", NET)
    shop.set(small=20)
    shop.set(big=12)
    shop.set(small=4)
    shop.set(small=22)
    shop.set(big=5)
    shop.insert("orders", (40, "d"))
    shop.set(big=6)

    assert shop.large(1, 8) == [
        ("INSERT", False, 1, (22,)),
        ("DELETE", False, 2, (11,)),
        ("INSERT", False, 3, (40,)),
    ]
    assert shop.large(2, 4) == [
        ("DELETE", True, 2, (11,)),
        ("INSERT", True, 2, (12,)),
        ("DELETE", False, 1, (20,)),
    ]
    assert shop.large(3, 5) == [("DELETE", True, 1, (20,)), ("INSERT", True, 1, (22,))]


def test_insert_only_shows_inserted_rows_that_pass_and_none_that_enter(shop: ViewShop) -> None:
    shop.over("large", INSERT_ONLY)
    shop.insert("orders", (5, "e"), (50, "E"))
    shop.set(small=20)

    assert shop.large(1, 3) == [("INSERT", False, 4, (50,))]


def test_the_initial_rows_are_those_that_pass(shop: ViewShop) -> None:
    stream = shop.over("large", INITIALLY)

    assert shop.large(INITIAL, stream.base) == [("INSERT", False, 2, (11,))]


def test_a_window_that_the_view_hides_has_data_and_its_lag_counts_before_the_filter(
    shop: ViewShop,
) -> None:
    stream = shop.over("large")
    assert not shop.has_data("s")
    shop.insert("orders", (2, "x"), (3, "y"))

    assert shop.large(1, 2) == []
    assert shop.has_data("s")
    with shop.log.view() as view:
        told = lag(view, stream, 1, view.time_us)
        assert (told.versions, told.changes) == (1, 2)
        assert (stream_row(view, stream).table, stream_row(view, stream).view) == (
            "orders",
            "large",
        )
        assert empty_rows(view, stream, LARGE).column_names[:2] == ["id", "METADATA$ACTION"]


def test_a_consumed_window_moves_the_watermark_whatever_the_view_hides(shop: ViewShop) -> None:
    shop.over("large")
    shop.insert("orders", (2, "x"), (60, "y"))
    with shop.transaction() as tx:
        window = shop.consume(tx, "s", "report")
        assert window.table(LARGE).column("id").to_pylist() == [60]
    assert shop.position("s", "report") == 2


def test_a_stream_on_a_view_starts_anywhere_in_the_tables_history(shop: ViewShop) -> None:
    shop.set(small=20)
    shop.over("large", StreamOptions(at=AtVersion(0)))

    assert shop.large(0, 2) == [("INSERT", False, 2, (11,)), ("INSERT", False, 1, (20,))]


def test_without_a_lens_a_stream_on_a_view_is_not_read(shop: ViewShop) -> None:
    stream = shop.over("large")
    shop.insert("orders", (60, "y"))
    with pytest.raises(StreamInvalid, match="is on a view"):
        shop.read("s", 1, 2)
    with shop.log.view() as view, pytest.raises(StreamInvalid, match="is on a view"):
        empty_rows(view, stream)


def test_a_view_of_more_than_one_table_can_have_no_stream(shop: ViewShop) -> None:
    shop.do(lambda tx: ddl_views.create_view(tx, "joined", least_view(None, "id", 1, ["id"])))

    with pytest.raises(StreamInvalid, match="view joined is more than a filter"):
        shop.over("joined")


def test_a_view_with_a_column_of_a_streams_own_is_refused_by_name(shop: ViewShop) -> None:
    spec = least_view(shop.table("orders").id, "id", 1, ["id", "METADATA$ROW_ID"])
    shop.do(lambda tx: ddl_views.create_view(tx, "odd", spec))
    with pytest.raises(StreamInvalid, match=r"view odd has a column METADATA\$ROW_ID"):
        shop.over("odd")


def test_a_table_with_such_a_column_can_be_seen_through_a_view_without_it(shop: ViewShop) -> None:
    spec = ColumnSpec("METADATA$ACTION", SqlType.parse("VARCHAR"))
    shop.do(lambda tx: ddl.add_column(tx, shop.table("orders", tx), spec))
    with pytest.raises(StreamInvalid, match="table orders has a column"):
        shop.over("orders")
    shop.over("large")
    shop.do(lambda tx: tx.insert(shop.table("orders", tx), [(70, "z", "INSERT")]))
    assert shop.large(1, 2) == [("INSERT", False, 3, (70,))]


def test_a_replaced_view_makes_its_streams_stale_and_a_renamed_one_does_not(
    shop: ViewShop,
) -> None:
    stream = shop.over("large")
    shop.do(lambda tx: ddl_views.rename_view(tx, find_view(tx.catalog, "large"), "larger"))
    with shop.log.view() as view:
        assert not why_stale(view.catalog, stream)
    shop.view("larger", 12, replaces=True)

    with shop.log.view() as view, pytest.raises(StreamStale, match="view larger was replaced"):
        shown_window(view, stream)
    with (
        pytest.raises(StreamStale, match="view larger was replaced"),
        shop.transaction() as tx,
    ):
        shop.consume(tx, "s", "report")


def test_a_dropped_view_or_table_makes_its_streams_stale(shop: ViewShop) -> None:
    stream = shop.over("large")
    shop.do(lambda tx: ddl.drop_table(tx, shop.table("orders", tx)))
    with shop.log.view() as view:
        assert "its table orders was dropped" in why_stale(view.catalog, stream)
    with pytest.raises(StreamInvalid, match="table orders of view large was dropped"):
        shop.do(lambda tx: streams.create_stream(tx, "other", find_relation(tx.catalog, "large")))
    shop.do(lambda tx: ddl.undrop_table(tx, "orders"))
    shop.do(lambda tx: ddl_views.drop_view(tx, find_view(tx.catalog, "large")))
    with shop.log.view() as view:
        assert why_stale(view.catalog, stream) == "its view large was dropped"


def test_consuming_conflicts_with_whoever_replaces_the_view(shop: ViewShop) -> None:
    shop.over("large")
    shop.insert("orders", (60, "y"))
    tx = Transaction(shop.log)
    shop.consume(tx, "s", "report")
    shop.view("large", 12, replaces=True)
    with pytest.raises(WriteConflict, match="definition of view large"):
        tx.commit()


def test_a_lens_is_made_from_the_views_text(shop: ViewShop) -> None:
    with shop.log.view() as view:
        made = least_lens(view.catalog, find_view(view.catalog, "large"))
    assert made == LARGE.lens
