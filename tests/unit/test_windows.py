"""Windows are (watermark, end], end on whole commits, and start with the initial rows."""

import pytest

from headwater.consumers.errors import BoundsInvalid
from headwater.consumers.windows import (
    UNBOUNDED,
    Bounds,
    Window,
    captured,
    fix,
    lowest,
    shown_to_all,
    start_of,
)
from headwater.log_store.catalog import Capture, StreamObject
from headwater.log_store.records import INITIAL, Counts

PLAIN = StreamObject(id=9, namespace=1, name="s", table=5, base=3)
INITIALLY = StreamObject(id=9, namespace=1, name="s", table=5, base=3, initial_rows=True)
# Changes up to each version: v4 made 5, v5 none that count, v6 100, v7 1.
CHANGES = {3: 10, 4: 15, 5: 15, 6: 115, 7: 116}


def no_look(version: int) -> int:
    raise AssertionError(f"looked at v{version}")


def test_a_window_reaches_from_the_watermark_to_the_head() -> None:
    assert fix(PLAIN, 4, 7, UNBOUNDED, no_look) == Window(4, 7)


def test_a_window_at_the_head_is_empty_and_false() -> None:
    window = fix(PLAIN, 7, 7, Bounds(limit_changes=1), no_look)

    assert window == Window(7, 7)
    assert not window


def test_a_snapshot_older_than_the_watermark_shows_nothing() -> None:
    assert fix(PLAIN, 7, 6, UNBOUNDED, no_look) == Window(7, 7)


def test_initial_rows_are_one_step_to_the_base_that_ignores_bounds() -> None:
    bounds = Bounds(limit_changes=1, upto=1)

    window = fix(INITIALLY, INITIAL, 7, bounds, no_look)

    assert window == Window(INITIAL, 3)
    assert window.initial
    assert str(window) == "(INITIAL, v3]"


def test_the_window_after_the_initial_rows_starts_at_the_base() -> None:
    assert fix(INITIALLY, 3, 7, UNBOUNDED, no_look) == Window(3, 7)


def test_initial_rows_of_an_empty_table_are_still_a_step() -> None:
    stream = StreamObject(id=9, namespace=1, name="s", table=5, base=0, initial_rows=True)

    assert fix(stream, INITIAL, 0, UNBOUNDED, no_look)


@pytest.mark.parametrize(
    ("limit", "end"),
    [(1, 4), (5, 5), (104, 5), (105, 6), (106, 7), (1000, 7)],
)
def test_a_limit_takes_whole_commits_and_at_least_one(limit: int, end: int) -> None:
    bounds = Bounds(limit_changes=limit)

    assert fix(PLAIN, 3, 7, bounds, CHANGES.__getitem__) == Window(3, end)


def test_a_commit_larger_than_the_limit_comes_alone() -> None:
    assert fix(PLAIN, 5, 7, Bounds(limit_changes=1), CHANGES.__getitem__) == Window(5, 6)


@pytest.mark.parametrize(("upto", "end"), [(0, 4), (4, 4), (6, 6), (7, 7), (99, 7)])
def test_up_to_a_version_goes_no_further_than_the_head(upto: int, end: int) -> None:
    assert fix(PLAIN, 3, 7, Bounds(upto=upto), no_look) == Window(3, end)


def test_two_bounds_together_take_the_nearer_end() -> None:
    both = Bounds(limit_changes=1000, upto=5)

    assert fix(PLAIN, 3, 7, both, CHANGES.__getitem__) == Window(3, 5)
    assert fix(PLAIN, 3, 7, Bounds(5, 6), CHANGES.__getitem__) == Window(3, 5)


def test_a_limit_asks_for_few_versions_however_long_the_backlog() -> None:
    asked: list[int] = []

    def changes_at(version: int) -> int:
        asked.append(version)
        return version

    window = fix(PLAIN, 10, 10_000_000, Bounds(limit_changes=1234), changes_at)

    assert window == Window(10, 1244)
    assert len(asked) < 30


@pytest.mark.parametrize(("limit", "upto"), [(0, None), (-1, None), (None, -1)])
def test_a_bound_that_lets_nothing_through_is_refused(limit: int | None, upto: int | None) -> None:
    with pytest.raises(BoundsInvalid):
        Bounds(limit, upto)


def test_bounds_read_as_they_are_written() -> None:
    assert str(Bounds(5, 7)) == "LIMIT CHANGES 5 UP TO VERSION 7"
    assert str(UNBOUNDED) == "without a bound"


def test_a_new_consumer_starts_at_the_base_or_before_its_rows() -> None:
    assert start_of(PLAIN) == 3
    assert start_of(INITIALLY) == INITIAL


def test_a_plain_select_shows_from_the_lowest_watermark() -> None:
    assert shown_to_all(PLAIN, [6, 4, 5], 7, UNBOUNDED, no_look) == Window(4, 7)
    assert shown_to_all(PLAIN, [], 7, UNBOUNDED, no_look) == Window(3, 7)
    assert shown_to_all(INITIALLY, [], 7, UNBOUNDED, no_look) == Window(INITIAL, 3)
    assert lowest(INITIALLY, [INITIAL, 5]) == INITIAL


def test_an_append_only_stream_counts_inserts_alone() -> None:
    counts = Counts(inserts=3, updates=4, deletes=5, bytes=6)

    assert captured(counts, Capture.ALL) == 12
    assert captured(counts, Capture.NET) == 12
    assert captured(counts, Capture.INSERT_ONLY) == 3
