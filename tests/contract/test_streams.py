"""Streams: what they show, where they start, how they are created, altered, cloned and dropped."""

from dataclasses import replace
from functools import partial

import pyarrow as pa
import pytest
from support_streams import Shop, shown

from headwater.consumers import lifecycle, streams
from headwater.consumers.errors import StreamInvalid, StreamStale, WatermarksDiffer
from headwater.consumers.look import shown_window
from headwater.consumers.positions import AtStatement, AtStream, AtTime, AtVersion, Mark, Position
from headwater.consumers.read import ReadOptions, empty_rows, read
from headwater.consumers.registration import registered, why_stale
from headwater.consumers.streams import StreamOptions, options_of
from headwater.consumers.windows import Window
from headwater.log_store.catalog import Capture, RewindPolicy, Sharing
from headwater.log_store.errors import OutsideHistory
from headwater.log_store.port import Log
from headwater.log_store.records import INITIAL
from headwater.producer import ddl
from headwater.producer.errors import NameTaken, NotFound
from headwater.producer.names import find_stream
from headwater.producer.transaction import Transaction
from headwater.schemas.tables import ColumnSpec
from headwater.schemas.types import SqlType

NET = StreamOptions(capture=Capture.NET)
INSERT_ONLY = StreamOptions(capture=Capture.INSERT_ONLY)
SMALL = ReadOptions(batch_rows=1000)
INITIALLY = StreamOptions(initial_rows=True)
SHARED = StreamOptions(sharing=Sharing.SHARED)


@pytest.fixture
def shop(log: Log) -> Shop:
    """An empty table orders with a key, and a table report without one."""
    made = Shop(log)
    made.create("orders")
    made.create("report", key=())
    return made


# What a stream shows


def test_a_stream_shows_every_committed_change_in_order(shop: Shop) -> None:
    shop.insert("orders", (1, "a"), (2, "b"))
    shop.stream("s", "orders")
    shop.update("orders", {1: (1, "A")})
    shop.insert("orders", (3, "c"))
    shop.delete("orders", 2)

    assert shop.read("s", 1, 4) == [
        ("DELETE", True, 1, (1, "a")),
        ("INSERT", True, 1, (1, "A")),
        ("INSERT", False, 3, (3, "c")),
        ("DELETE", False, 2, (2, "b")),
    ]


def test_changes_before_the_stream_are_not_in_it(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))

    assert shop.stream("s", "orders").base == 1
    assert not shop.has_data("s")


def test_two_rows_that_swap_their_keys_are_two_pairs(shop: Shop) -> None:
    shop.insert("orders", (1, "a"), (2, "b"))
    shop.stream("s", "orders")
    shop.update("orders", {1: (2, "a"), 2: (1, "b")})

    assert shop.read("s", 1, 2) == [
        ("DELETE", True, 1, (1, "a")),
        ("INSERT", True, 1, (2, "a")),
        ("DELETE", True, 2, (2, "b")),
        ("INSERT", True, 2, (1, "b")),
    ]


def test_key_changes_of_one_large_commit_pair_up_across_its_blocks(shop: Shop) -> None:
    count = 30_000
    with shop.transaction() as tx:
        tx.insert(shop.table("orders", tx), [(key, f"n{key}") for key in range(count)])
    stream = shop.stream("s", "orders")
    with shop.transaction() as tx:
        table = shop.table("orders", tx)
        with tx.statement():
            tx.update(table, [(key + 1, (key + count, f"n{key}")) for key in range(count)])
        with tx.statement():
            tx.update(table, [(1, (-1, "again")), (count, (-2, "again"))])
    shop.insert("orders", (0, "last"))

    with shop.log.view() as view:
        batches = [events.num_rows for events in read(view, stream, Window(1, 3), SMALL)]
        rows = [row for part in read(view, stream, Window(1, 3), SMALL) for row in shown(part)]
        named = replace(SMALL, columns=("name",))
        names = [
            name
            for part in read(view, stream, Window(1, 3), named)
            for name in part.column("name").to_pylist()
        ]

    assert names == [name for _, _, _, (_, name) in rows]
    assert len(batches) > 1, "the commit came as one block: nothing was tried"
    assert len(rows) == 2 * count + 5
    for key in range(count):
        assert rows[2 * key] == ("DELETE", True, key + 1, (key, f"n{key}"))
        assert rows[2 * key + 1] == ("INSERT", True, key + 1, (key + count, f"n{key}"))
    assert rows[2 * count :] == [
        ("DELETE", True, 1, (count, "n0")),
        ("INSERT", True, 1, (-1, "again")),
        ("DELETE", True, count, (2 * count - 1, f"n{count - 1}")),
        ("INSERT", True, count, (-2, "again")),
        ("INSERT", False, count + 1, (0, "last")),
    ]


@pytest.mark.parametrize("options", [StreamOptions(), NET, INSERT_ONLY])
def test_columns_asked_for_are_those_of_all_columns(shop: Shop, options: StreamOptions) -> None:
    shop.insert("orders", (1, "a"), (2, "b"), (3, "c"))
    stream = shop.stream("s", "orders", options)
    shop.insert("orders", (4, "d"))
    shop.update("orders", {1: (1, "A"), 2: (9, "b")})
    shop.delete("orders", 3)

    def read_all(options: ReadOptions) -> pa.Table:
        with shop.log.view() as view:
            parts = list(read(view, stream, Window(1, 4), options))
            return pa.concat_tables([empty_rows(view, stream, options), *parts])

    whole = read_all(ReadOptions(more_metadata=True))
    for names in (
        ("name",),
        ("METADATA$ACTION", "id"),
        ("METADATA$VERSION", "METADATA$ROW_ID"),
        ("name", "METADATA$TRANSACTION_ID", "id"),
        tuple(reversed(whole.column_names)),
    ):
        assert read_all(ReadOptions(columns=names)).equals(whole.select(names))


def test_columns_are_asked_for_without_case_and_one_that_is_not_there_is_named(shop: Shop) -> None:
    stream = shop.stream("s", "orders")
    shop.insert("orders", (1, "a"))

    with shop.log.view() as view:
        asked = ReadOptions(columns=("Name", "metadata$action"))
        (rows,) = read(view, stream, Window(0, 1), asked)
        assert rows.to_pylist() == [{"name": "a", "METADATA$ACTION": "INSERT"}]
        with pytest.raises(NotFound, match="column size does not exist: stream s shows none"):
            next(read(view, stream, Window(0, 1), ReadOptions(columns=("id", "size"))))


def test_initial_rows_show_the_columns_asked_for(shop: Shop) -> None:
    shop.insert("orders", (1, "a"), (2, "b"))
    stream = shop.stream("s", "orders", INITIALLY)

    with shop.log.view() as view:
        (rows,) = read(view, stream, Window(INITIAL, 1), ReadOptions(columns=("name",)))

    assert rows.to_pylist() == [{"name": "a"}, {"name": "b"}]


def test_a_net_stream_shows_first_image_against_last(shop: Shop) -> None:
    shop.insert("orders", (1, "a"), (2, "b"), (3, "c"))
    shop.stream("s", "orders", NET)
    shop.update("orders", {1: (1, "x"), 2: (2, "y")})
    shop.insert("orders", (4, "d"))
    shop.update("orders", {1: (1, "a"), 4: (4, "D")})
    shop.update("orders", {2: (9, "z")})
    shop.delete("orders", 3)

    assert shop.read("s", 1, 6) == [
        ("INSERT", False, 4, (4, "D")),
        ("DELETE", True, 2, (2, "b")),
        ("INSERT", True, 2, (9, "z")),
        ("DELETE", False, 3, (3, "c")),
    ]


def test_an_insert_only_stream_shows_rows_as_inserted(shop: Shop) -> None:
    shop.stream("s", "orders", INSERT_ONLY)
    shop.insert("orders", (1, "a"), (2, "b"))
    shop.update("orders", {1: (7, "x")})
    shop.delete("orders", 2)

    assert shop.read("s", 0, 3) == [
        ("INSERT", False, 1, (1, "a")),
        ("INSERT", False, 2, (2, "b")),
    ]
    assert shop.read("s", 1, 3) == []


def test_version_time_and_transaction_of_each_row_can_be_asked_for(shop: Shop) -> None:
    stream = shop.stream("s", "orders")
    shop.insert("orders", (1, "a"))
    first = shop.last()
    shop.update("orders", {1: (1, "b")})
    second = shop.last()

    with shop.log.view() as view:
        (rows,) = read(view, stream, Window(0, 2), ReadOptions(more_metadata=True))

    assert rows.column("METADATA$VERSION").to_pylist() == [1, 2, 2]
    assert rows.column("METADATA$TRANSACTION_ID").to_pylist() == [
        first.commit_id,
        second.commit_id,
        second.commit_id,
    ]
    assert rows.column("METADATA$COMMIT_TIMESTAMP").cast(pa.int64()).to_pylist() == [
        first.time_us,
        second.time_us,
        second.time_us,
    ]


def test_old_images_are_shown_in_the_current_schema(shop: Shop) -> None:
    shop.stream("s", "orders", NET)
    shop.insert("orders", (1, "a"), (2, "b"))
    shop.do(
        lambda tx: ddl.add_column(
            tx, shop.table("orders", tx), ColumnSpec("size", SqlType.parse("INT"), default=5)
        )
    )
    shop.do(lambda tx: ddl.rename_column(tx, shop.table("orders", tx), "name", "label"))
    shop.insert("orders", (3, "c", 7))

    assert shop.read("s", 0, 2) == [
        ("INSERT", False, 1, (1, "a", 5)),
        ("INSERT", False, 2, (2, "b", 5)),
        ("INSERT", False, 3, (3, "c", 7)),
    ]


def test_a_dropped_column_differs_for_nobody(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    shop.stream("s", "orders", NET)
    shop.update("orders", {1: (1, "b")})
    shop.do(lambda tx: ddl.drop_column(tx, shop.table("orders", tx), "name"))

    assert shop.read("s", 1, 2) == []


def test_initial_rows_are_the_snapshot_at_the_base_as_inserts(shop: Shop) -> None:
    shop.insert("orders", (1, "a"), (2, "b"))
    shop.delete("orders", 1)
    shop.stream("s", "orders", INITIALLY)
    shop.insert("orders", (3, "c"))

    with shop.log.view() as view:
        window = shown_window(view, shop.find("s"))

    assert window == Window(INITIAL, 2)
    assert shop.read("s", INITIAL, 2) == [("INSERT", False, 2, (2, "b"))]


# Where a stream starts


def test_a_stream_can_start_at_a_version_a_time_or_a_statement(shop: Shop) -> None:
    shop.insert("orders", (1, "a"))
    first = shop.last()
    shop.insert("orders", (2, "b"))
    second = shop.last()
    shop.insert("orders", (3, "c"))

    def base(name: str, at: Position, before: bool = False) -> int:
        return shop.stream(name, "orders", StreamOptions(at=at, before=before)).base

    assert base("a", at=AtVersion(1)) == 1
    assert base("b", at=AtVersion(1), before=True) == 0
    assert base("c", at=AtTime(second.time_us)) == 2
    assert base("d", at=AtTime(second.time_us), before=True) == 1
    assert base("e", at=AtTime(second.time_us - 1)) == 1
    assert base("f", at=AtStatement(f"{first.commit_id}:1")) == 1
    assert base("g", at=AtStatement(f"{second.commit_id}:1"), before=True) == 1
    assert base("h", at=Mark.HEAD) == 3
    assert base("i", at=Mark.HORIZON) == 0


def test_a_start_outside_history_names_the_earliest_point(shop: Shop) -> None:
    with pytest.raises(OutsideHistory, match="kept from v0"):
        shop.stream("s", "orders", StreamOptions(at=AtVersion(9)))
    with pytest.raises(OutsideHistory, match="before the table"):
        shop.stream("s", "orders", StreamOptions(at=AtTime(1)))
    with pytest.raises(OutsideHistory, match="made no commit"):
        shop.stream("s", "orders", StreamOptions(at=AtStatement("nonsense:1")))
    with pytest.raises(NotFound):
        shop.find("s")


def test_a_stream_can_start_where_another_one_stands(shop: Shop) -> None:
    shop.stream("first", "orders")
    shop.insert("orders", (1, "a"))
    at_first = StreamOptions(at=AtStream("first"))

    assert shop.stream("base", "orders", at_first).base == 0

    shop.feed("first", "report")
    shop.insert("orders", (2, "b"))

    assert shop.stream("watermark", "orders", at_first).base == 1
    shop.create("other")
    with pytest.raises(StreamInvalid, match="another table"):
        shop.stream("s", "other", at_first)


# Creating, replacing, cloning, altering, dropping


def test_a_name_is_taken_once_unless_replaced_or_tolerated(shop: Shop) -> None:
    made = shop.stream("s", "orders")

    with pytest.raises(NameTaken):
        shop.stream("S", "orders")
    again = shop.do(
        lambda tx: streams.create_stream(tx, "s", shop.table("orders", tx), NET, if_not_exists=True)
    )
    assert again.id == made.id
    assert shop.stream("s", "orders", NET, replaces=True).id != made.id
    assert shop.find("s").capture is Capture.NET


def test_replacing_a_stream_retires_its_consumers(shop: Shop) -> None:
    shop.stream("s", "orders")
    shop.insert("orders", (1, "a"))
    shop.feed("s", "report")

    replaced = shop.stream("s", "orders", replaces=True)

    with shop.log.view() as view:
        assert registered(view.catalog, replaced) == []
    assert replaced.base == 1


def test_replacing_a_stream_at_itself_keeps_its_consumers_where_they_stand(shop: Shop) -> None:
    shop.stream("s", "orders")
    shop.insert("orders", (1, "a"))
    shop.feed("s", "report")
    shop.insert("orders", (2, "b"))
    itself = StreamOptions(capture=Capture.NET, at=AtStream("s"))

    replaced = shop.stream("s", "orders", itself, replaces=True)

    assert replaced.base == 1
    assert shop.position("s", "report") == 1
    assert shop.feed("s", "report") == Window(1, 2)
    assert shop.rows("report") == [(1, "a"), (2, "b")]


def test_a_clone_of_a_stream_has_its_consumers_with_their_watermarks(shop: Shop) -> None:
    shop.stream("s", "orders", NET)
    shop.insert("orders", (1, "a"))
    shop.feed("s", "report")

    def clone(tx: Transaction) -> None:
        streams.clone_stream(tx, "twin", find_stream(tx.catalog, "s"))

    shop.do(clone)
    shop.insert("orders", (2, "b"))
    shop.feed("s", "report")

    assert shop.find("twin").capture is Capture.NET
    assert shop.find("twin").base == 0
    assert (shop.position("s", "report"), shop.position("twin", "report")) == (2, 1)
    with pytest.raises(NameTaken):
        shop.do(clone)


def test_every_option_can_be_altered_in_place(shop: Shop) -> None:
    shop.stream("s", "orders")
    altered = StreamOptions(
        capture=Capture.INSERT_ONLY,
        initial_rows=True,
        policy=RewindPolicy.FORBID,
        retention_s=60,
        comment="hello",
    )

    assert options_of(shop.alter("s", altered)) == altered


def test_a_dropped_stream_is_gone_with_its_consumers(shop: Shop) -> None:
    stream = shop.stream("s", "orders")
    shop.feed("s", "report")

    shop.do(lambda tx: streams.drop_stream(tx, stream))

    with pytest.raises(NotFound):
        shop.find("s")
    with shop.log.view() as view:
        assert view.catalog.consumers(stream.id) == []


def test_a_stream_on_a_table_with_metadata_columns_is_refused_by_name(shop: Shop) -> None:
    specs = [ColumnSpec("metadata$action", SqlType.parse("VARCHAR"))]
    shop.do(lambda tx: lifecycle.create_table(tx, "kept", specs))

    with pytest.raises(StreamInvalid, match=r"column metadata\$action"):
        shop.stream("s", "kept")


def test_a_stream_whose_table_gets_a_metadata_column_is_refused_until_it_has_another_name(
    shop: Shop,
) -> None:
    shop.stream("s", "orders")
    shop.insert("orders", (1, "a"))
    for old, new in (("name", "Metadata$Row_Id"), ("Metadata$Row_Id", "name")):
        shop.do(partial(_rename_column, shop, old, new))
        if old == "name":
            with pytest.raises(StreamInvalid, match=r"orders has a column Metadata\$Row_Id"):
                shop.feed("s", "report")
    assert shop.feed("s", "report") == Window(0, 1)


def _rename_column(shop: Shop, old: str, new: str, tx: Transaction) -> None:
    ddl.rename_column(tx, shop.table("orders", tx), old, new)


def test_a_stream_cannot_start_amid_its_own_transaction(shop: Shop) -> None:
    with shop.transaction() as tx:
        shop.insert("orders", (1, "a"), tx=tx)
        with pytest.raises(StreamInvalid, match="commit that first"), tx.statement():
            streams.create_stream(tx, "s", shop.table("orders", tx))


def test_a_table_and_its_stream_can_be_made_in_one_transaction(shop: Shop) -> None:
    with shop.transaction() as tx:
        table = lifecycle.create_table(tx, "new", [ColumnSpec("id", SqlType.parse("INT"))])
        streams.create_stream(tx, "s", table)
        tx.insert(table, [(1,)])

    assert shop.read("s", 0, 1) == [("INSERT", False, 1, (1,))]


# Shared and independent


def test_consumers_that_stand_apart_do_not_become_one(shop: Shop) -> None:
    shop.create("second", key=())
    shop.stream("s", "orders")
    shop.insert("orders", (1, "a"))
    shop.feed("s", "report")
    shop.insert("orders", (2, "b"))
    shop.feed("s", "second")

    with pytest.raises(WatermarksDiffer, match="report at v1, second at v2"):
        shop.alter("s", SHARED)

    shop.feed("s", "report")
    shop.alter("s", SHARED)
    shop.insert("orders", (3, "c"))

    assert shop.feed("s", "report") == Window(2, 3)
    assert shop.feed("s", "second") == Window(3, 3)


def test_a_shared_stream_parted_gives_each_live_table_it_fed_its_own_watermark(
    shop: Shop,
) -> None:
    for name in ("second", "never", "gone"):
        shop.create(name, key=())
    shop.stream("s", "orders", SHARED)
    shop.insert("orders", (1, "a"))
    for name in ("report", "second", "gone"):
        shop.feed("s", name)
    shop.do(lambda tx: lifecycle.drop_table(tx, shop.table("gone", tx)))

    shop.alter("s", StreamOptions())

    assert shop.position("s", "report") == 1
    assert shop.position("s", "second") == 1
    with shop.log.view() as view:
        assert len(registered(view.catalog, shop.find("s"))) == 2


def test_a_table_brought_back_under_a_shared_stream_goes_on_where_that_has_fed_it(
    shop: Shop,
) -> None:
    shop.stream("s", "orders")
    shop.insert("orders", (1, "a"))
    shop.feed("s", "report")
    shop.do(lambda tx: lifecycle.drop_table(tx, shop.table("report", tx)))
    shop.alter("s", SHARED)
    shop.do(lambda tx: lifecycle.undrop_table(tx, "report"))
    shop.insert("orders", (2, "b"))
    shop.feed("s", "report")

    shop.alter("s", StreamOptions())

    assert shop.position("s", "report") == 2
    with shop.log.view() as view:
        assert len(registered(view.catalog, shop.find("s"))) == 1


# Staleness


def test_a_stream_of_a_dropped_table_is_stale_until_it_is_back(shop: Shop) -> None:
    shop.stream("s", "orders")
    shop.insert("orders", (1, "a"))
    shop.do(lambda tx: lifecycle.drop_table(tx, shop.table("orders", tx)))

    with pytest.raises(StreamStale, match="orders was dropped"):
        shop.feed("s", "report")

    shop.do(lambda tx: lifecycle.undrop_table(tx, "orders"))

    assert shop.feed("s", "report") == Window(0, 1)


def test_a_stream_of_a_replaced_table_is_stale_with_the_reason(shop: Shop) -> None:
    stream = shop.stream("s", "orders")
    shop.create("orders", replaces=True)

    with shop.log.view() as view:
        assert "replaced" in why_stale(view.catalog, stream)
    with pytest.raises(StreamStale, match="replaced"):
        shop.feed("s", "report")


def test_a_stream_follows_its_table_through_rename_and_swap(shop: Shop) -> None:
    shop.create("other")
    shop.stream("s", "orders")
    shop.do(lambda tx: ddl.rename_table(tx, shop.table("orders", tx), "sales"))
    shop.do(lambda tx: ddl.swap_tables(tx, shop.table("sales", tx), shop.table("other", tx)))
    shop.insert("other", (1, "a"))

    assert shop.read("s", 0, 1) == [("INSERT", False, 1, (1, "a"))]


def test_reading_a_window_twice_gives_the_same_rows(shop: Shop) -> None:
    shop.stream("s", "orders")
    shop.insert("orders", (1, "a"))
    with shop.transaction() as tx:
        used = shop.consume(tx, "s", "report")
        first = shown(used.table())
        shop.insert("orders", (2, "b"))
        second = shown(used.table())

    assert first == second == [("INSERT", False, 1, (1, "a"))]
