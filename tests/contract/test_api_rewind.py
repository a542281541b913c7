"""Rewinds through the Python API on every store: planned, carried out, undone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support_clock import Clock
from support_rebuild import assert_rebuilt

import headwater
from headwater.consumers.errors import PlanOutdated, ReasonRequired, RewindRefused
from headwater.ops.api import Database


@pytest.fixture
def db(target: str | Path) -> Iterator[Database]:
    """A store whose table `log` has consumed three windows of `orders`, one order each."""
    with headwater.connect(target, clock=Clock(), actor="ann") as opened:
        opened.create_table("orders", {"order_id": "INT"}, key="order_id")
        opened.create_table("log", {"order_id": "INT"})
        opened.create_stream("s", on="orders")
        for number in (1, 2, 3):
            opened.table("orders").insert({"order_id": number})
            consume(opened)
        yield opened
        assert_rebuilt(opened)


def consume(db: Database) -> None:
    with db.stream("s").consume(into="log") as window:
        window.insert()


def logged(db: Database) -> list[object]:
    return [row["order_id"] for row in db.table("log").rows()]


def test_a_plan_says_what_a_replay_would_duplicate_and_changes_nothing(db: Database) -> None:
    plan = db.stream("s").rewind("log", to=1)
    assert (plan.changes, plan.duplicates) == (2, {"log": 2})
    assert "v3 -> v1" in str(plan) and "twice" in str(plan)
    assert db.stream("s").consumers()[0].watermark == 3


def test_a_plain_rewind_reads_again_and_duplicates(db: Database) -> None:
    db.stream("s").rewind("log", to=1).execute()
    consume(db)
    assert logged(db) == [1, 2, 3, 2, 3]


def test_a_rewind_with_restore_duplicates_nothing(db: Database) -> None:
    before = db.table("log").arrow()
    db.stream("s").rewind("log", to=1, restore=True, reason="late fix").execute()
    assert logged(db) == [1]
    consume(db)
    assert logged(db) == [1, 2, 3]
    assert db.table("log").arrow() == before
    last = db.stream("s").history()[-2]
    assert (last.why, last.start, last.end, last.reason, last.actor) == (
        "restore",
        3,
        1,
        "late fix",
        "ann",
    )


def test_an_undo_puts_back_watermark_and_table(db: Database) -> None:
    db.stream("s").rewind("log", restore=True).execute()
    assert logged(db) == []
    db.stream("s").undo("log").execute()
    assert logged(db) == [1, 2, 3]
    assert db.stream("s").consumers()[0].watermark == 3


def test_a_plan_that_is_no_longer_current_is_refused(db: Database) -> None:
    plan = db.stream("s").rewind("log", to=1, restore=True)
    db.table("orders").insert({"order_id": 4})
    consume(db)
    with pytest.raises(PlanOutdated):
        plan.execute()
    assert logged(db) == [1, 2, 3, 4]


def test_a_target_that_others_changed_is_refused_unless_forced(db: Database) -> None:
    db.table("log").insert({"order_id": 99})
    plan = db.stream("s").rewind("log", to=1, restore=True)
    assert plan.refusals and "log" in plan.refusals[0]
    with pytest.raises(RewindRefused):
        plan.execute()
    assert logged(db) == [1, 2, 3, 99]
    db.stream("s").rewind("log", to=1, restore=True, force=True).execute()
    assert logged(db) == [1]


def test_a_reason_is_required_where_the_stream_says_so(db: Database) -> None:
    db.stream("s").alter(policy="REQUIRE_REASON")
    with pytest.raises(ReasonRequired):
        db.stream("s").rewind("log", to=1).execute()
    db.stream("s").rewind("log", to=1, reason="because").execute()
    assert [entry.what for entry in db.audit()][-1] == "rewind"


def test_an_advance_skips_and_a_rewind_to_a_time_finds_its_version(db: Database) -> None:
    stream = db.stream("s")
    db.table("orders").insert({"order_id": 4})
    when = db.table("orders").history()[2].time
    stream.advance("log").execute()
    assert not stream.has_data("log")
    assert stream.version_at(when) == 2
    stream.rewind("log", to=when, restore=True).execute()
    assert logged(db) == [1, 2]
    assert stream.rewind("log", to=2).nothing
