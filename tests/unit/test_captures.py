"""What a stream shows of each event, and in which order."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from support_events import EMPTY, Event, Image, StreamRow, events, images, plain

from headwater.consumers.captures import (
    MORE_METADATA,
    captured_changes,
    initial_rows,
    stream_rows,
)
from headwater.log_store.catalog import Capture
from headwater.log_store.replay import I64
from headwater.schemas.events import Events

A: Image = (1, "a", 1.0)
B: Image = (1, "b", 2.0)
C: Image = (2, "c", None)
NEWKEY: Image = (9, "a", 1.0)


def nothing_earlier(wanted: I64) -> pa.Table:
    raise AssertionError(f"asked for {wanted}")


def shown(of: Events, capture: Capture = Capture.ALL) -> list[StreamRow]:
    return plain(stream_rows(captured_changes(of, capture, nothing_earlier)))


def test_inserts_and_deletes_are_one_row_each() -> None:
    of = events(Event("c", 1, None, A), Event("r", 2, None, C), Event("d", 1, A, None))

    assert shown(of) == [
        ("INSERT", False, 1, A),
        ("INSERT", False, 2, C),
        ("DELETE", False, 1, A),
    ]


def test_an_update_is_its_old_row_immediately_followed_by_its_new_one() -> None:
    of = events(Event("u", 1, A, B), Event("c", 2, None, C), Event("u", 1, B, B))

    assert shown(of) == [
        ("DELETE", True, 1, A),
        ("INSERT", True, 1, B),
        ("INSERT", False, 2, C),
        ("DELETE", True, 1, B),
        ("INSERT", True, 1, B),
    ]


def test_the_pair_of_a_key_change_stands_where_its_c_stands() -> None:
    of = events(
        Event("d", 1, A, None, pair=3),
        Event("u", 2, C, C),
        Event("c", 1, None, NEWKEY, pair=1),
    )

    assert shown(of) == [
        ("DELETE", True, 2, C),
        ("INSERT", True, 2, C),
        ("DELETE", True, 1, A),
        ("INSERT", True, 1, NEWKEY),
    ]


def test_two_rows_that_swap_keys_keep_their_row_ids() -> None:
    one, two = (1, "x", None), (2, "y", None)
    of = events(
        Event("d", 7, one, None, pair=3),
        Event("d", 8, two, None, pair=4),
        Event("c", 7, None, (2, "x", None), pair=1),
        Event("c", 8, None, (1, "y", None), pair=2),
    )

    assert shown(of) == [
        ("DELETE", True, 7, one),
        ("INSERT", True, 7, (2, "x", None)),
        ("DELETE", True, 8, two),
        ("INSERT", True, 8, (1, "y", None)),
    ]


def test_the_old_image_of_a_key_change_may_stand_in_an_earlier_batch() -> None:
    of = events(
        Event("d", 2, C, None, pair=12),
        Event("c", 1, None, NEWKEY, pair=4),
        Event("c", 2, None, (3, "c", None), pair=10),
        first_seq=10,
    )
    asked: list[Sequence[int]] = []

    def earlier(wanted: I64) -> pa.Table:
        asked.append(wanted.tolist())
        return images([A])

    rows = plain(stream_rows(captured_changes(of, Capture.ALL, earlier)))

    assert asked == [[4]]
    assert rows == [
        ("DELETE", True, 1, A),
        ("INSERT", True, 1, NEWKEY),
        ("DELETE", True, 2, C),
        ("INSERT", True, 2, (3, "c", None)),
    ]


def test_insert_only_shows_rows_as_inserted_and_no_key_change() -> None:
    of = events(
        Event("c", 1, None, A),
        Event("u", 1, A, B),
        Event("d", 2, C, None, pair=4),
        Event("c", 2, None, (5, "c", None), pair=3),
        Event("d", 1, B, None),
        Event("r", 4, None, C),
    )

    assert shown(of, Capture.INSERT_ONLY) == [
        ("INSERT", False, 1, A),
        ("INSERT", False, 4, C),
    ]


def test_no_events_are_no_rows_with_all_columns() -> None:
    rows = stream_rows(captured_changes(events(), Capture.ALL, nothing_earlier))

    assert rows.num_rows == 0
    assert rows.schema.names == [
        *EMPTY.schema.names,
        "METADATA$ACTION",
        "METADATA$ISUPDATE",
        "METADATA$ROW_ID",
    ]


def test_version_time_and_transaction_come_with_every_row_when_asked_for() -> None:
    of = events(Event("u", 1, A, B, version=4), Event("d", 1, B, None, version=6))
    asked: list[list[int]] = []

    def commit_ids(sequences: I64) -> list[str]:
        asked.append(sequences.tolist())
        return [f"tx{place}" for place in sequences.tolist()]

    changes = captured_changes(of, Capture.ALL, nothing_earlier)
    rows = stream_rows(changes, [*changes.after.column_names, *MORE_METADATA], commit_ids)

    assert asked == [[104, 106]]
    assert rows.column("METADATA$VERSION").to_pylist() == [4, 4, 6]
    assert rows.column("METADATA$TRANSACTION_ID").to_pylist() == ["tx104", "tx104", "tx106"]
    assert rows.column("METADATA$COMMIT_TIMESTAMP").to_pylist() == [
        datetime.fromtimestamp(4, UTC),
        datetime.fromtimestamp(4, UTC),
        datetime.fromtimestamp(6, UTC),
    ]


def test_initial_rows_are_inserts_as_of_the_base() -> None:
    row_ids = np.array([3, 5], dtype=np.int64)
    made = initial_rows(row_ids, images([A, C]), version=8, sequence=20, time_us=7)

    assert plain(stream_rows(made)) == [("INSERT", False, 3, A), ("INSERT", False, 5, C)]
    assert made.versions.tolist() == [8, 8]
