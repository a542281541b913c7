"""Retention through the API: what goes, for whom it waits, and what a stale consumer is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from checker import check_store
from support_clock import Clock
from support_rebuild import assert_rebuilt

import headwater
from headwater.consumers.errors import StreamStale
from headwater.consumers.retention import stale_after
from headwater.log_store.errors import OutsideHistory
from headwater.ops.api import Database
from headwater.ops.api_tables import Table
from headwater.ops.expiry import Expired, Housekeeper

DAY_S = 86_400
DAY_US = DAY_S * 1_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock(step_us=1000)


@pytest.fixture
def db(target: str | Path, clock: Clock) -> Iterator[Database]:
    with headwater.connect(target, clock=clock, actor="ann") as opened:
        yield opened
        check_store(opened.session.log)
        assert_rebuilt(opened)


def days(clock: Clock, table: Table, count: int) -> None:
    """A version a day."""
    for _ in range(count):
        clock.now_us += DAY_US
        table.insert({"id": table.head + 1})


def orders(db: Database) -> Table:
    return db.create_table("orders", {"id": "INT"}, key="id")


def test_without_a_word_everything_is_kept(db: Database, clock: Clock) -> None:
    days(clock, orders(db), 3)
    clock.now_us += 1000 * DAY_US
    assert db.expire() == []
    assert db.table("orders").horizon == 0


def test_a_table_keeps_as_much_as_it_says(db: Database, clock: Clock) -> None:
    table = orders(db)
    days(clock, table, 6)
    table.retain("2 days")
    assert db.expire() == [Expired("orders", 0, 4)]
    assert table.horizon == 4 and db.expire() == []
    assert table.at(4).count() == 4
    assert [one.version for one in table.history()] == [4, 5, 6]
    assert [one.inserts for one in table.history()] == [0, 1, 1]
    with pytest.raises(OutsideHistory, match="kept from v4"):
        table.at(3)
    table.retain(None)
    days(clock, table, 3)
    assert db.expire() == []


def test_the_stores_parameter_is_for_tables_that_say_nothing(db: Database, clock: Clock) -> None:
    table, other = orders(db), db.create_table("other", {"id": "INT"})
    days(clock, table, 4)
    days(clock, other, 4)
    other.retain("100 days")
    db.set_parameter("DATA_RETENTION_TIME_IN_DAYS", 1)
    assert [(one.table, one.now) for one in db.expire()] == [("orders", 4)]


def test_a_streams_retention_keeps_history_for_it(db: Database, clock: Clock) -> None:
    table = orders(db)
    days(clock, table, 6)
    table.retain(0)
    stream = db.create_stream("s", on="orders", at=1, retention="3 days")
    assert db.expire() == [Expired("orders", 0, 3)]
    with pytest.raises(StreamStale):
        stream.arrow()
    db.drop_stream("s")
    assert db.expire() == [Expired("orders", 3, 6)]


def test_history_waits_for_consumers_but_not_for_ever(db: Database, clock: Clock) -> None:
    table = orders(db)
    days(clock, table, 3)
    stream = db.create_stream("s", on="orders")
    stream.add_consumer("mailer")
    days(clock, table, 5)
    table.retain("1 day")
    assert db.expire() == [Expired("orders", 0, 3)]
    assert len(list(stream.changes("mailer"))) == 5
    with db.session.view() as view:
        after = stale_after(view, stream.definition)
        fourth = view.version(table.id, 4)
    assert fourth is not None and after is not None
    assert after == fourth.time_us + 15 * DAY_US
    clock.now_us = after - 1_000_000
    assert db.expire() == []
    clock.now_us = after + 1_000_000
    (gone,) = db.expire()
    assert gone.was == 3 and gone.now == table.horizon >= 4
    with pytest.raises(StreamStale, match="mailer stands at v3, full history is kept from v") as no:
        list(stream.changes("mailer"))
    assert no.value.watermark == 3 and "ADVANCE" in str(no.value)
    (row,) = stream.consumers()
    assert row.stale and row.watermark == 3 and row.lag is None
    stream.advance("mailer", to="horizon").execute()
    assert [one.watermark for one in stream.consumers()] == [table.horizon]


def test_a_consumer_at_initial_holds_the_base(db: Database, clock: Clock) -> None:
    table = orders(db)
    days(clock, table, 3)
    stream = db.create_stream("s", on="orders", initial_rows=True)
    stream.add_consumer("mailer")
    days(clock, table, 3)
    table.retain(0)
    assert db.expire() == [Expired("orders", 0, 3)]
    assert [change.values["id"] for change in stream.changes("mailer")] == [1, 2, 3]


def test_a_restore_below_the_targets_horizon_is_refused_by_name(db: Database, clock: Clock) -> None:
    table, copy = orders(db), db.create_table("copy", {"id": "INT"})
    stream = db.create_stream("s", on="orders", at=0)
    for _ in range(3):
        days(clock, table, 1)
        with stream.consume(into="copy") as window:
            window.insert()
    copy.retain(0)
    db.expire()
    plan = stream.rewind("copy", to=1, restore=True).details
    assert [refusal.reason for refusal in plan.refusals] == ["BELOW_HORIZON"]


def test_rows_streams_and_time_travel_are_the_same_after_a_reopening(
    tmp_path: Path, clock: Clock
) -> None:
    with headwater.connect(tmp_path / "shop", clock=clock) as db:
        table = orders(db)
        days(clock, table, 6)
        stream = db.create_stream("s", on="orders", at=4)
        table.retain("2 days")
        db.expire()
        wanted = [table.rows(), table.at(5).rows(), list(stream.changes())]
    with headwater.connect(tmp_path / "shop", clock=clock) as db:
        table, stream = db.table("orders"), db.stream("s")
        assert [table.rows(), table.at(5).rows(), list(stream.changes())] == wanted
        check_store(db.session.log)
    with headwater.connect(tmp_path / "shop", read_only=True) as db:
        assert db.table("orders").at(5).rows() == wanted[1]
        check_store(db.session.log)


def test_a_housekeeper_lets_history_go_by_itself(db: Database, clock: Clock) -> None:
    table = orders(db)
    days(clock, table, 3)
    table.retain(0)
    Housekeeper(db.session.log, clock).stop()
    assert table.horizon == 3


def test_opening_a_directory_lets_history_go(tmp_path: Path, clock: Clock) -> None:
    with headwater.connect(tmp_path / "shop", clock=clock) as db:
        table = orders(db)
        days(clock, table, 3)
        table.retain(0)
    # Closing waits for what the opening began.
    headwater.connect(tmp_path / "shop", clock=clock).close()
    with headwater.connect(tmp_path / "shop", clock=clock) as db:
        assert db.table("orders").horizon == 3
