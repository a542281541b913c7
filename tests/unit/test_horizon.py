"""The horizon that retention asks for: by time, by consumers, and how long those may take."""

from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.log_store.horizon import Kept, Retention, new_horizon

SECOND = 1_000_000
# v0 at second 0, v1 at 10, v2 at 20, .. v10 at 100.
TIMES = [n * 10 * SECOND for n in range(11)]


def version_at(time_us: int) -> int:
    return bisect_right(TIMES, time_us) - 1


def wanted(now_s: float, needed: tuple[int, ...] = (), *, horizon: int = 0, **asked: object) -> int:
    retention = Retention(**{"table_s": 30, "extension_s": 0, **asked})  # type: ignore[arg-type]
    return new_horizon(Kept(horizon, 10, version_at), needed, retention, int(now_s * SECOND))


def test_a_table_that_says_nothing_keeps_everything() -> None:
    assert wanted(10_000, table_s=None) == 0
    assert wanted(10_000, table_s=None, streams_s=(1,)) == 0


@pytest.mark.parametrize(
    ("now_s", "horizon"),
    [(0, 0), (29, 0), (30, 0), (39.999999, 0), (40, 1), (50, 2), (100, 7), (129, 9), (10_000, 10)],
)
def test_the_version_that_stood_when_the_span_began_is_the_oldest_kept(
    now_s: float, horizon: int
) -> None:
    assert wanted(now_s) == horizon


def test_a_time_just_within_the_span_can_still_be_read() -> None:
    for now_s in range(30, 130):
        assert wanted(now_s) <= max(version_at((now_s - 30) * SECOND), 0)


def test_the_longest_of_what_table_and_streams_ask_for_is_kept() -> None:
    assert wanted(100, streams_s=(50, 10)) == 5
    assert wanted(100, streams_s=(5,)) == 7


def test_consumers_that_are_behind_hold_history_back_for_so_long() -> None:
    assert wanted(100, (4, 9), extension_s=1000) == 4
    assert wanted(100, (4, 9), extension_s=20) == 5
    assert wanted(100, (4, 9)) == 7
    assert wanted(100, (9,), extension_s=1000) == 7


def test_stale_consumers_hold_nothing_back() -> None:
    assert wanted(100, (2,), horizon=3, extension_s=1000) == 7
    assert wanted(100, (2, 5), horizon=3, extension_s=1000) == 5
    assert wanted(100, (3,), horizon=3, extension_s=1000) == 3


@given(
    now_s=st.integers(0, 300),
    needed=st.lists(st.integers(0, 10)),
    horizon=st.integers(0, 10),
    table_s=st.integers(0, 200),
    streams_s=st.lists(st.integers(0, 200)),
    extension_s=st.integers(0, 200),
)
def test_the_horizon_never_falls_nor_passes_the_head_nor_what_is_promised(
    now_s: int,
    needed: list[int],
    horizon: int,
    table_s: int,
    streams_s: list[int],
    extension_s: int,
) -> None:
    found = wanted(
        now_s,
        tuple(needed),
        horizon=horizon,
        table_s=table_s,
        streams_s=tuple(streams_s),
        extension_s=extension_s,
    )
    assert horizon <= found <= 10
    kept_s = max(table_s, *streams_s, 0)
    began = version_at((now_s - kept_s) * SECOND)
    assert found <= max(horizon, began, 0)
    for version in needed:
        # The version after it is younger than all that the consumer was promised.
        young = version == 10 or TIMES[version + 1] > (now_s - kept_s - extension_s) * SECOND
        if version >= horizon and young:
            assert found <= max(version, horizon)
