"""Whatever the clock does, commit times rise, and a time names one state."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from checker import check_store
from support_clock import Clock

import headwater
from headwater.ops.api import Database

HOUR = 3_600_000_000
JUMPS = [0, -HOUR, 10 * 365 * 24 * HOUR, -20 * 365 * 24 * HOUR, 1, -1, 0]


@pytest.fixture(params=["memory", "rocks"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:shop" if request.param == "memory" else str(tmp_path / "shop")


def commit(db: Database, number: int) -> None:
    db.table("t").insert({"id": number})


def test_commit_times_rise_by_at_least_a_microsecond_under_any_clock(target: str) -> None:
    clock = Clock(step_us=0)
    with headwater.connect(target, clock=clock) as db:
        db.create_table("t", {"id": "INT"}, key="id")
        for number, jump in enumerate(JUMPS):
            clock.now_us += jump
            commit(db, number)
            commit(db, 100 + number)
        times = [version.time for version in db.table("t").history()]
        assert all(a < b for a, b in pairwise(times))
        for version, time in enumerate(times):
            assert db.table("t").at(time=time).count() == version
            assert db.table("t").before(time=time).count() == version - 1 if version else True
        check_store(db.session.log)


def test_a_store_reopened_under_an_earlier_clock_goes_on_after_its_last_commit(
    tmp_path: Path,
) -> None:
    late = Clock(now_us=2_000_000_000_000_000)
    with headwater.connect(tmp_path / "shop", clock=late) as db:
        db.create_table("t", {"id": "INT"}, key="id")
        commit(db, 1)
    with headwater.connect(tmp_path / "shop", clock=Clock(now_us=1_000_000_000_000_000)) as db:
        commit(db, 2)
        first, second = (version.time for version in db.table("t").history()[1:])
        assert timedelta(0) < second - first < timedelta(milliseconds=1)
        assert first > datetime(2033, 1, 1, tzinfo=UTC)
        check_store(db.session.log)


def test_an_idempotency_key_is_kept_by_commit_time_not_forgotten_by_a_jump_back(
    target: str,
) -> None:
    clock = Clock(step_us=0)
    with headwater.connect(target, clock=clock) as db:
        db.create_table("t", {"id": "INT"}, key="id")
        for jump in (0, -HOUR, HOUR):
            clock.now_us += jump
            with db.transaction(idempotency_key="once") as tx:
                tx.insert("t", {"id": 1})
        assert (db.table("t").count(), db.table("t").head) == (1, 1)
        check_store(db.session.log)
