"""Folding events to rows, on small numbers that can be checked by eye."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.log_store import replay
from headwater.log_store.replay import Fold, Images, first_of_each, last_of_each, overlaid

EMPTY = pa.schema([("a", pa.string())]).empty_table()


def i64(*numbers: int) -> replay.I64:
    return np.array(numbers, dtype=np.int64)


def images(*events: tuple[int, str | None]) -> Images:
    """Events as (row id, image), None for no image, each of the version of its place."""
    there = [text for _, text in events if text is not None]
    at: list[int] = []
    for _, text in events:
        at.append(-1 if text is None else sum(a >= 0 for a in at))
    return Images(
        i64(*(row_id for row_id, _ in events)),
        i64(*at),
        i64(*range(1, len(events) + 1)),
        pa.table({"a": pa.array(there, pa.string())}),
    )


def shown(folded: Images) -> dict[int, tuple[str | None, int]]:
    values = folded.data.column("a").to_pylist()
    assert sorted(folded.row_ids.tolist()) == folded.row_ids.tolist()
    return {
        row_id: (values[at] if at >= 0 else None, version)
        for row_id, at, version in zip(
            folded.row_ids.tolist(), folded.at.tolist(), folded.versions.tolist(), strict=True
        )
    }


def test_first_and_last_stand_by_rising_row_id() -> None:
    row_ids = i64(7, 3, 7, 5, 3)

    assert first_of_each(row_ids).tolist() == [1, 3, 0]
    assert last_of_each(row_ids).tolist() == [4, 3, 2]
    assert first_of_each(i64()).tolist() == last_of_each(i64()).tolist() == []


@given(st.lists(st.integers(0, 9)), st.sampled_from([1, 1000]))
def test_close_and_far_row_ids_are_told_apart_alike(numbers: list[int], stride: int) -> None:
    row_ids = i64(*(number * stride for number in numbers))

    firsts = {number: numbers.index(number) for number in sorted(numbers)}
    lasts = {number: place for place, number in enumerate(numbers)}
    assert first_of_each(row_ids).tolist() == list(firsts.values())
    assert last_of_each(row_ids).tolist() == [lasts[number] for number in sorted(lasts)]


def test_the_last_image_of_a_row_wins_and_none_is_an_image_too() -> None:
    fold = Fold(EMPTY, last=True)

    fold.add(images((1, "a"), (2, "b"), (1, "c")))
    fold.add(images((2, None), (9, "d")))

    assert shown(fold.images()) == {1: ("c", 3), 2: (None, 1), 9: ("d", 2)}


def test_the_first_image_of_a_row_wins_backward() -> None:
    fold = Fold(EMPTY, last=False)

    fold.add(images((1, None), (2, "b"), (1, "c")))
    fold.add(images((2, "x"), (9, "d")))

    assert shown(fold.images()) == {1: (None, 1), 2: ("b", 2), 9: ("d", 2)}


def test_a_fold_of_nothing_is_nothing() -> None:
    folded = Fold(EMPTY, last=True).images()

    assert len(folded) == 0
    assert folded.data.schema == EMPTY.schema


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 6), st.none() | st.text(max_size=2)), max_size=8)),
    st.booleans(),
)
def test_a_fold_is_a_dict_that_keeps_one_end(
    batches: list[list[tuple[int, str | None]]], last: bool
) -> None:
    expected: dict[int, str | None] = {}
    fold = Fold(EMPTY, last=last)
    for batch in batches:
        fold.add(images(*batch))
        for row_id, text in batch:
            if last:
                expected[row_id] = text
            else:
                expected.setdefault(row_id, text)

    assert {row_id: text for row_id, (text, _) in shown(fold.images()).items()} == expected


def test_a_long_fold_over_few_rows_holds_few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "_SLACK_ROWS", 10)
    picked: list[int] = []
    pick = Images.pick

    def counted(self: Images, which: replay.I64) -> Images:
        picked.append(len(self))
        return pick(self, which)

    monkeypatch.setattr(Images, "pick", counted)
    fold = Fold(EMPTY, last=True)
    for n in range(200):
        fold.add(images((1, f"a{n}"), (2, f"b{n}"), (3, None)))

    assert shown(fold.images()) == {1: ("a199", 1), 2: ("b199", 2), 3: (None, 3)}
    assert max(picked) <= 22


@given(
    st.dictionaries(st.integers(0, 12), st.text(max_size=2)),
    st.dictionaries(st.integers(0, 12), st.none() | st.text(max_size=2)),
)
def test_an_overlay_is_a_dict_update(rows: dict[int, str], changes: dict[int, str | None]) -> None:
    ids = sorted(rows)
    data = pa.table({"a": pa.array([rows[i] for i in ids], pa.string())})
    edits = images(*sorted(changes.items()))

    new_ids, new_data, origin, new = overlaid(i64(*ids), data, edits)

    merged = {**rows, **changes}
    expected = {i: merged[i] for i in sorted(merged) if merged[i] is not None}
    assert dict(zip(new_ids.tolist(), new_data.column("a").to_pylist(), strict=True)) == expected
    assert new_ids.tolist() == sorted(expected)
    for row_id, place, is_new in zip(new_ids.tolist(), origin.tolist(), new.tolist(), strict=True):
        assert (edits.row_ids if is_new else i64(*ids))[place] == row_id
        assert is_new == (row_id in changes)


def test_same_rows_takes_null_for_null_and_nan_for_nan() -> None:
    left = pa.table({"x": [1.0, None, math.nan, math.nan, None, 2.0], "y": list("aaaaab")})
    right = pa.table({"x": [1.0, None, math.nan, 1.0, 0.0, 2.0], "y": list("aaaaaa")})

    assert replay.same_rows(left, right).tolist() == [True, True, True, False, False, False]
