"""Failpoints: what can be armed, and that an unset variable costs nothing."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.log_store import failpoints
from headwater.log_store.failpoints import NAMES, arm, failpoint

LOG_STORE = Path(failpoints.__file__).parent
ROOMS = (LOG_STORE, LOG_STORE.with_name("consumers"))


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    arm("")


def test_an_armed_point_fails_at_the_hit_it_names() -> None:
    arm("commit.after_sync=error@2")
    failpoint("commit.after_sync")
    with pytest.raises(OSError, match="commit.after_sync"):
        failpoint("commit.after_sync")
    failpoint("commit.after_sync")


def test_a_point_without_a_hit_acts_every_time() -> None:
    arm("large.staged=enospc")
    for _ in range(2):
        with pytest.raises(OSError, match="large.staged"):
            failpoint("large.staged")


@pytest.mark.parametrize("text", ["nowhere=kill", "commit.after_sync=explode", "commit.after_sync"])
def test_a_misspelt_point_or_action_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no failpoint"):
        arm(text)


def test_every_declared_point_stands_in_the_code_and_every_one_there_is_declared() -> None:
    called = {
        name
        for room in ROOMS
        for file in room.glob("*.py")
        if file.name != "failpoints.py"
        for name in re.findall(r'"((?:[a-z]+)\.(?:[a-z_]+))"', file.read_text())
        if name.split(".")[0] in {n.split(".")[0] for n in NAMES}
    }
    assert called == set(NAMES)
