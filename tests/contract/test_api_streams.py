"""Streams through the Python API on every store."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support_clock import Clock
from support_rebuild import assert_rebuilt

import headwater
from headwater.consumers.errors import (
    BoundsDiffer,
    ConsumerUnknown,
    PositionUnknown,
    SharedRefuses,
    StreamInvalid,
    StreamStale,
)
from headwater.log_store.errors import WriteConflict
from headwater.ops.api import Database
from headwater.ops.api_streams import Stream
from headwater.producer.errors import NotFound

Row = tuple[str, bool, object]


@pytest.fixture
def db(target: str | Path) -> Iterator[Database]:
    """A store with a table `orders` that has one row, and a stream on it made after that row."""
    with headwater.connect(target, clock=Clock(), actor="ann") as opened:
        columns = {"order_id": "INT", "status": "VARCHAR"}
        opened.create_table("orders", columns, key="order_id").insert({"order_id": 0})
        opened.create_stream("s", on="orders")
        yield opened
        assert_rebuilt(opened)


def seen(stream: Stream, consumer: str | None = None) -> list[Row]:
    """What a look shows: action, is_update, order_id."""
    return [(c.action, c.is_update, c["order_id"]) for c in stream.changes(consumer)]


def change_some(db: Database) -> None:
    """Insert 1 and 2, update 1, delete 2: four changes in three commits."""
    orders = db.table("orders")
    orders.insert([{"order_id": 1, "status": "new"}, {"order_id": 2, "status": "new"}])
    orders.update(key=1, set={"status": "shipped"})
    orders.delete(key=2)


def test_a_stream_shows_what_came_after_it_and_looking_moves_nothing(db: Database) -> None:
    change_some(db)
    stream = db.stream("s")
    expected = [
        ("INSERT", False, 1),
        ("INSERT", False, 2),
        ("DELETE", True, 1),
        ("INSERT", True, 1),
        ("DELETE", False, 2),
    ]
    assert seen(stream) == expected
    assert seen(stream) == expected


def test_captures_show_net_changes_and_inserts_only(db: Database) -> None:
    net = db.create_stream("net", on="orders", capture="net")
    inserts = db.create_stream("ins", on="orders", capture="insert_only")
    change_some(db)
    assert seen(net) == [("INSERT", False, 1)]
    assert net.arrow().to_pylist()[0]["status"] == "shipped"
    assert seen(inserts) == [("INSERT", False, 1), ("INSERT", False, 2)]
    assert inserts.arrow().to_pylist()[0]["status"] == "new"


def test_effect_and_watermark_are_one_commit(db: Database) -> None:
    log = db.create_table("order_log", {"order_id": "INT", "status": "VARCHAR"})
    change_some(db)
    stream = db.stream("s")
    with stream.consume(into="order_log") as window:
        assert (window.start, window.end, bool(window)) == (1, 4, True)
        assert window.insert(window.arrow().select(["order_id", "status"])) == 5
    assert (log.count(), seen(stream, "order_log")) == (5, [])
    (line,) = stream.consumers()
    assert line.lag is not None
    assert (line.consumer, line.kind, line.watermark, line.lag.versions) == (
        "order_log",
        "TABLE",
        4,
        0,
    )


def test_an_exception_writes_and_moves_nothing(db: Database) -> None:
    log = db.create_table("order_log", {"order_id": "INT", "status": "VARCHAR"})
    change_some(db)
    with pytest.raises(RuntimeError), db.stream("s").consume(into="order_log") as window:
        window.insert()
        raise RuntimeError
    assert (log.count(), db.stream("s").consumers()) == (0, [])


def test_consumers_of_one_stream_do_not_concern_each_other(db: Database) -> None:
    stream = db.stream("s")
    for name in ("one", "two"):
        db.create_table(name, {"order_id": "INT", "status": "VARCHAR"})
    change_some(db)
    with stream.consume(into="one") as window:
        window.insert()
    db.table("orders").insert({"order_id": 9})
    assert seen(stream, "one") == [("INSERT", False, 9)]
    with stream.consume(into="two", limit_changes=2) as window:
        assert (window.start, window.end) == (1, 2)
        window.insert()
    assert [(c.consumer, c.watermark) for c in stream.consumers()] == [("one", 4), ("two", 2)]
    assert len(seen(stream)) == len(seen(stream, "two")) == 4
    with pytest.raises(ConsumerUnknown):
        seen(stream, "three")


def test_a_program_reads_at_least_once_under_the_same_ids(db: Database) -> None:
    stream = db.stream("s")
    change_some(db)
    first: list[str] = []
    with pytest.raises(RuntimeError), stream.consumer("mailer") as window:
        first += [change.id for change in window.changes()]
        raise RuntimeError
    with stream.consumer("mailer") as window:
        again = [change.id for change in window.changes()]
    assert again == first and len(set(again)) == 5
    with stream.consumer("mailer") as window:
        assert list(window.changes()) == []


def test_of_two_racing_consumers_exactly_one_wins(db: Database) -> None:
    stream = db.stream("s")
    change_some(db)
    with pytest.raises(WriteConflict), stream.consumer("c") as slow:
        assert slow.end == 4
        with stream.consumer("c") as quick:
            assert quick.end == 4
    assert [line.watermark for line in stream.consumers()] == [4]


def test_initial_rows_come_first_and_nothing_comes_twice(db: Database) -> None:
    stream = db.create_stream("full", on="orders", initial_rows=True)
    db.table("orders").insert({"order_id": 5})
    with stream.consumer("c") as window:
        assert (window.start, window.end) == (-1, 1)
        assert [c["order_id"] for c in window.changes()] == [0]
    with stream.consumer("c") as window:
        assert [c["order_id"] for c in window.changes()] == [5]


def test_a_window_in_a_transaction_never_holds_its_own_writes(db: Database) -> None:
    db.create_table("t", {"order_id": "INT", "status": "VARCHAR"})
    change_some(db)
    with db.transaction() as tx:
        tx.insert("orders", {"order_id": 7})
        window = tx.consume("s", into="t")
        assert window.end == 4
        again = tx.consume("s", into="t")
        assert (again.start, again.end) == (window.start, window.end)
        with pytest.raises(BoundsDiffer):
            tx.consume("s", into="t", limit_changes=1)
    assert seen(db.stream("s"), "t") == [("INSERT", False, 7)]


def test_a_shared_stream_has_one_watermark(db: Database) -> None:
    stream = db.create_stream("sh", on="orders", sharing="SHARED")
    db.create_table("t", {"order_id": "INT", "status": "VARCHAR"})
    change_some(db)
    with stream.consume(into="t") as window:
        window.insert()
    assert (stream.has_data(), seen(stream)) == (False, [])
    with pytest.raises(SharedRefuses), stream.consumer("c"):
        pass


def test_has_data_lag_and_backlog_count_what_is_left(db: Database) -> None:
    stream = db.stream("s")
    stream.add_consumer("c")
    assert stream.has_data() is False
    change_some(db)
    (line,) = stream.lag()
    assert line.lag is not None
    assert (stream.has_data("c"), line.lag.versions, line.lag.changes) == (True, 3, 4)
    assert line.lag.seconds > 0 and line.lag.bytes > 0
    assert [(b.version, b.inserts, b.updates, b.deletes) for b in stream.backlog()] == [
        (2, 2, 0, 0),
        (3, 0, 1, 0),
        (4, 0, 0, 1),
    ]


def test_every_move_is_on_record(db: Database) -> None:
    stream = db.stream("s")
    change_some(db)
    with stream.consumer("c"):
        pass
    moves = [(m.consumer, m.why, m.start, m.end, m.actor) for m in stream.history()]
    assert moves == [("c", "register", None, 1, "ann"), ("c", "consume", 1, 4, "ann")]


def test_a_consumer_follows_its_table_and_goes_with_it(db: Database) -> None:
    stream = db.stream("s")
    db.create_table("t", {"order_id": "INT", "status": "VARCHAR"})
    change_some(db)
    with stream.consume(into="t"):
        pass
    db.rename_table("t", "u")
    assert [line.consumer for line in stream.consumers()] == ["u"]
    db.drop_table("u")
    assert stream.consumers() == []
    db.undrop_table("u")
    assert [(line.consumer, line.watermark) for line in stream.consumers()] == [("u", 4)]


def test_a_stream_of_a_dropped_table_is_stale_until_it_comes_back(db: Database) -> None:
    stream = db.stream("s")
    change_some(db)
    db.drop_table("orders")
    with pytest.raises(StreamStale, match="orders was dropped"):
        seen(stream)
    db.undrop_table("orders")
    assert len(seen(stream)) == 5


def test_a_stream_can_start_in_the_past_or_where_another_stands(db: Database) -> None:
    change_some(db)
    with db.stream("s").consumer("c", limit_changes=2):
        pass
    assert db.create_stream("past", on="orders", at=0).base == 0
    assert db.create_stream("before", on="orders", before=3).base == 2
    assert db.create_stream("beside", on="orders", at={"stream": "s"}).base == 2
    clone = db.clone_stream("twin", "s")
    assert [(line.consumer, line.watermark) for line in clone.consumers()] == [("c", 2)]


def test_places_that_only_a_stream_knows_can_be_read_from(db: Database) -> None:
    stream = db.stream("s")
    change_some(db)
    stream.add_consumer("c", at=3)
    head = db.table("orders").head
    assert stream.version_at("base") == stream.base
    assert stream.between("base").equals(stream.between(stream.base, head))
    assert stream.between({"stream": "s"}).equals(stream.between(3, head))
    for nonsense in ("initial", {"stream": "nope"}, 1.5):
        with pytest.raises((PositionUnknown, NotFound)):
            stream.between(nonsense)  # type: ignore[arg-type]


def test_a_stream_of_a_dropped_table_says_so_when_it_is_asked_for_data(db: Database) -> None:
    stream = db.stream("s")
    change_some(db)
    db.drop_table("orders")
    for ask in (stream.has_data, stream.backlog, stream.arrow, lambda: stream.between(0)):
        with pytest.raises(StreamStale, match="UNDROP"):
            ask()
    assert stream.info.stale


def test_tables_with_any_name_are_added_and_found_as_they_are_shown(db: Database) -> None:
    stream = db.stream("s")
    db.create_schema("other")
    for name in ("other.x", '"My Log"'):
        made = db.create_table(name, {"order_id": "INT"})
        shown = stream.add_consumer(made).consumer
        assert [line.consumer for line in stream.lag(shown)] == [shown]
    assert [line.consumer for line in stream.consumers()] == ["other.x", "My Log"]


def test_consumers_are_added_where_they_are_wanted_and_dropped(db: Database) -> None:
    stream = db.stream("s")
    change_some(db)
    assert stream.add_consumer("late", at="head").watermark == 4
    assert stream.add_consumer("mid", at=3).watermark == 3
    stream.drop_consumer("late")
    assert [line.consumer for line in stream.consumers()] == ["mid"]


def test_a_table_made_from_a_stream_cannot_have_one(db: Database) -> None:
    db.create_table("t", {"order_id": "INT", "METADATA$ACTION": "VARCHAR"})
    with pytest.raises(StreamInvalid, match="METADATA\\$ACTION"):
        db.create_stream("x", on="t")


def test_a_repeated_request_consumes_once(db: Database) -> None:
    stream, log = db.stream("s"), db.create_table("l", {"order_id": "INT", "status": "VARCHAR"})
    change_some(db)
    for _ in range(2):
        with db.transaction(idempotency_key="k") as tx:
            window = tx.consume("s", into="l")
            assert (window.start, window.end) == (1, 4)
            assert tx.insert("l", window.arrow().select(["order_id", "status"])) == 5
        db.table("orders").insert({"order_id": 100 + stream.backlog().__len__()})
    assert log.count() == 5
    assert [line.watermark for line in stream.consumers()] == [4]


def test_changes_are_shown_in_the_schema_of_today(db: Database) -> None:
    change_some(db)
    db.table("orders").add_column("note", "VARCHAR", default="-")
    db.table("orders").drop_column("status")
    rows = db.stream("s").arrow().to_pylist()
    assert rows[0] == {
        "order_id": 1,
        "note": "-",
        "METADATA$ACTION": "INSERT",
        "METADATA$ISUPDATE": False,
        "METADATA$ROW_ID": rows[0]["METADATA$ROW_ID"],
    }
