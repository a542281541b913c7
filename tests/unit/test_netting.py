"""The net of a window: first image against last image of each row."""

from math import nan

import numpy as np
import pyarrow as pa
from support_events import EMPTY, Event, Image, StreamRow, events, plain

from headwater.consumers.captures import Changes, stream_rows, touched
from headwater.consumers.netting import Netting, net

A: Image = (1, "a", 1.0)
B: Image = (1, "b", 2.0)
C: Image = (1, "c", None)
OTHER: Image = (2, "o", None)


def netted(*made: Event) -> list[StreamRow]:
    """The net rows, the same whether the window came whole or event by event."""
    whole = plain(stream_rows(net(touched(events(*made)))))
    netting = Netting(EMPTY)
    for number, event in enumerate(made):
        netting.add(touched(events(event, first_seq=number + 1)))
    parts = [row for batch in netting.batches(2) for row in plain(stream_rows(batch))]
    # NaN differs from itself in Python; its text does not.
    assert repr(parts) == repr(whole)
    return whole


def test_an_insert_that_is_deleted_again_gives_nothing() -> None:
    assert netted(Event("c", 1, None, A), Event("u", 1, A, B), Event("d", 1, B, None)) == []


def test_an_insert_with_updates_is_one_insert_with_the_latest_values() -> None:
    assert netted(Event("c", 1, None, A), Event("u", 1, A, B), Event("u", 1, B, C)) == [
        ("INSERT", False, 1, C)
    ]


def test_updates_are_one_pair_from_the_first_image_to_the_last() -> None:
    assert netted(Event("u", 1, A, B), Event("u", 1, B, C)) == [
        ("DELETE", True, 1, A),
        ("INSERT", True, 1, C),
    ]


def test_an_update_and_a_delete_are_one_delete_of_the_first_image() -> None:
    assert netted(Event("u", 1, A, B), Event("d", 1, B, None)) == [("DELETE", False, 1, A)]


def test_a_row_that_ends_as_it_began_gives_nothing() -> None:
    assert netted(Event("u", 1, A, B), Event("u", 1, B, A)) == []
    assert netted(Event("u", 1, A, A)) == []


def test_null_and_nan_equal_themselves_and_nothing_else() -> None:
    null: Image = (1, None, None)
    odd: Image = (1, None, nan)

    assert netted(Event("u", 1, null, null)) == []
    assert netted(Event("u", 1, odd, odd)) == []
    assert len(netted(Event("u", 1, null, odd))) == 2


def test_a_key_change_is_a_pair_of_the_row_that_changed_its_key() -> None:
    moved: Image = (5, "a", 1.0)

    assert netted(
        Event("d", 1, A, None, pair=2),
        Event("c", 1, None, moved, pair=1),
        Event("u", 1, moved, (5, "z", 1.0)),
    ) == [("DELETE", True, 1, A), ("INSERT", True, 1, (5, "z", 1.0))]


def test_a_key_that_changes_there_and_back_gives_nothing() -> None:
    moved: Image = (5, "a", 1.0)

    assert (
        netted(
            Event("d", 1, A, None, pair=2),
            Event("c", 1, None, moved, pair=1),
            Event("d", 1, moved, None, pair=4),
            Event("c", 1, None, A, pair=3),
        )
        == []
    )


def test_a_new_row_under_an_old_key_is_another_row() -> None:
    assert netted(Event("d", 1, A, None), Event("c", 2, None, A)) == [
        ("DELETE", False, 1, A),
        ("INSERT", False, 2, A),
    ]


def test_a_row_put_back_under_its_own_id_is_compared_with_what_it_was() -> None:
    assert netted(Event("d", 1, A, None), Event("c", 1, None, A)) == []
    assert netted(Event("d", 1, A, None), Event("c", 1, None, B)) == [
        ("DELETE", True, 1, A),
        ("INSERT", True, 1, B),
    ]


def test_rows_come_in_the_order_of_their_last_change() -> None:
    assert netted(
        Event("c", 1, None, A),
        Event("c", 2, None, OTHER),
        Event("u", 1, A, B),
    ) == [("INSERT", False, 2, OTHER), ("INSERT", False, 1, B)]


def test_a_net_change_carries_the_version_of_its_last_change() -> None:
    of = touched(events(Event("u", 1, A, B, version=3), Event("u", 1, B, C, version=7)))

    assert net(of).versions.tolist() == [7]
    assert net(of).sequences.tolist() == [107]
    assert net(of).times_us.tolist() == [7_000_000]


def test_row_ids_far_apart_are_netted_alike() -> None:
    far = 1 << 60

    assert netted(
        Event("c", 1, None, A), Event("u", far, A, B), Event("u", 1, A, C), Event("u", far, B, A)
    ) == [("INSERT", False, 1, C)]


def test_nothing_nets_to_nothing() -> None:
    assert netted() == []


def test_a_window_of_many_batches_keeps_only_the_rows_it_touched() -> None:
    netting = Netting(EMPTY)
    for number in range(60):
        netting.add(updates(10_000, score=number))

    held = netting.held
    (batch,) = netting.batches(1 << 20)

    assert held < 300_000
    assert len(batch) == 10_000
    assert set(batch.after.column("score").to_pylist()) == {59.0}
    assert set(batch.before.column("score").to_pylist()) == {-1.0}


def updates(rows: int, *, score: int) -> Changes:
    """Every row's score set once more."""
    places = np.arange(rows, dtype=np.int64)
    names = pa.array(["n"] * rows)

    def image(value: int) -> pa.Table:
        scores = pa.array(np.full(rows, float(value)))
        return pa.Table.from_arrays([pa.array(places), names, scores], EMPTY.schema.names)

    return Changes(places, places, places, places, places, places, image(score - 1), image(score))
