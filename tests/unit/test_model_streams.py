"""The oracle against sentences of the specification: streams, consumers, windows, lag."""

import pytest
from model import INITIAL, Conflict, Model, Refused
from model_streams import (
    Options,
    add_consumer,
    backlog,
    clone_stream,
    consume,
    create_stream,
    find,
    has_data,
    lag,
    lowest,
    named_consumer,
    read,
    registered,
)
from model_tables import (
    clone_table,
    create_table,
    drop_table,
    rename_table,
    swap_tables,
    undrop_table,
)
from model_transaction import Tx, autocommit, every, where


def store() -> Model:
    """Tables t (id, v) with one row at v1, and an empty target."""
    model = Model()
    create_table(model, "t", ["id", "v"], ["id"])
    create_table(model, "target", ["id"])
    put(model, 1)
    return model


def put(model: Model, *ids: int) -> None:
    autocommit(model, lambda tx: tx.insert("t", [{"id": i, "v": "a"} for i in ids]))


def change(model: Model, row: int, value: str) -> None:
    autocommit(model, lambda tx: tx.update("t", where("id", row), {"v": value}))


def remove(model: Model, row: int) -> None:
    autocommit(model, lambda tx: tx.delete("t", where("id", row)))


def shown_rows(model: Model, name: str = "s") -> list[tuple[str, bool, object, object]]:
    stream = find(model.state, name)
    start = lowest(model.state, stream)
    end = stream.base if start == INITIAL else model.state.heads[stream.table]
    rows = read(model, stream, start, end)
    return [(r.action, r.is_update, r.values["id"], r.values["v"]) for r in rows]


def take(model: Model, name: str = "s", into: str = "target", limit: int | None = None) -> object:
    tx = Tx(model)
    window = consume(tx, name, into=into, limit=limit)
    tx.commit()
    return window


def mark(model: Model, consumer: str = "target") -> int:
    found = named_consumer(model.state, find(model.state, "s"), consumer)
    return model.state.marks[found.id]


def test_changes_before_the_stream_are_not_in_it_and_an_update_is_a_pair() -> None:
    model = store()
    create_stream(model, "s", "t")
    change(model, 1, "b")
    put(model, 2)
    remove(model, 1)

    assert shown_rows(model) == [
        ("DELETE", True, 1, "a"),
        ("INSERT", True, 1, "b"),
        ("INSERT", False, 2, "a"),
        ("DELETE", False, 1, "b"),
    ]


def test_a_key_change_is_a_pair_under_one_row_id() -> None:
    model = store()
    create_stream(model, "s", "t")
    autocommit(model, lambda tx: tx.update("t", every, {"id": 7}))
    rows = read(model, find(model.state, "s"), 1, 2)

    assert [(r.action, r.is_update, r.values["id"]) for r in rows] == [
        ("DELETE", True, 1),
        ("INSERT", True, 7),
    ]
    assert rows[0].row == rows[1].row
    assert lag(model, find(model.state, "s"), 1) == (1, 1)


def test_net_shows_first_against_last_image_in_order_of_last_change() -> None:
    model = store()
    put(model, 2, 3, 4)
    create_stream(model, "s", "t", Options(capture="NET"))
    put(model, 5, 6)
    change(model, 5, "new")  # insert + update: one INSERT with the latest values
    remove(model, 6)  # insert + delete: nothing
    change(model, 1, "x")
    change(model, 1, "a")  # A, B, A: nothing
    change(model, 2, "b")
    change(model, 2, "c")  # one pair
    change(model, 3, "z")
    remove(model, 3)  # one DELETE with the image at the watermark
    change(model, 5, "newer")

    assert shown_rows(model) == [
        ("DELETE", True, 2, "a"),
        ("INSERT", True, 2, "c"),
        ("DELETE", False, 3, "a"),
        ("INSERT", False, 5, "newer"),
    ]


def test_insert_only_shows_rows_as_inserted_and_has_no_data_from_updates() -> None:
    model = store()
    stream = create_stream(model, "s", "t", Options(capture="INSERT ONLY"))
    change(model, 1, "b")

    assert not has_data(model, stream)
    put(model, 2)
    change(model, 2, "later")
    remove(model, 2)
    assert has_data(model, stream)
    assert shown_rows(model) == [("INSERT", False, 2, "a")]


def test_initial_rows_are_one_step_and_nothing_is_lost_or_repeated_after_it() -> None:
    model = store()
    create_stream(model, "s", "t", Options(initial=True))
    put(model, 2)

    assert shown_rows(model) == [("INSERT", False, 1, "a")]
    assert take(model, limit=1) == (INITIAL, 1)
    assert shown_rows(model) == [("INSERT", False, 2, "a")]
    assert take(model) == (1, 2)


def test_a_consumer_is_registered_by_first_use_starting_at_the_base() -> None:
    model = store()
    create_stream(model, "s", "t", at=0)
    assert take(model) == (0, 1)
    assert [c.target for c in registered(model.state, find(model.state, "s"))] == [
        model.state.table("target").id
    ]
    assert mark(model) == 1


def test_windows_are_repeatable_and_never_show_the_transactions_own_writes() -> None:
    model = store()
    create_stream(model, "s", "t", at=0)
    tx = Tx(model)
    tx.insert("t", [{"id": 9, "v": "own"}])
    first = consume(tx, "s", into="target")
    put(model, 2)

    assert first == consume(tx, "s", into="target") == (0, 1)
    tx.rollback()
    assert registered(model.state, find(model.state, "s")) == []


def test_two_transactions_for_one_consumer_one_wins() -> None:
    model = store()
    create_stream(model, "s", "t", at=0)
    for _ in range(2):  # at its first use, and later
        one, two = Tx(model), Tx(model)
        consume(one, "s", into="target")
        consume(two, "s", into="target")
        two.commit()
        with pytest.raises(Conflict, match="watermark"):
            one.commit()
        put(model, 10 + len(model.commits))


def test_bounds_take_whole_commits_and_at_least_one() -> None:
    model = store()
    create_stream(model, "s", "t")
    put(model, 2, 3, 4)
    put(model, 5)
    put(model, 6)

    assert take(model, limit=2) == (1, 2)
    assert take(model, limit=2) == (2, 4)


def test_two_different_bounds_on_one_stream_in_a_transaction_are_refused() -> None:
    model = store()
    create_stream(model, "s", "t", at=0)
    tx = Tx(model)
    consume(tx, "s", into="target", limit=1)
    with pytest.raises(Refused, match="two bounds"):
        consume(tx, "s", into="target", limit=2)


def test_shared_has_one_watermark_for_whoever_consumes() -> None:
    model = store()
    create_table(model, "other", ["id"])
    create_stream(model, "s", "t", Options(shared=True), at=0)

    assert take(model, into="target") == (0, 1)
    assert take(model, into="other") == (1, 1)
    with pytest.raises(Refused, match="shared"):
        add_consumer(model, "s", "c")


def test_select_starts_at_the_lowest_registered_watermark() -> None:
    model = store()
    create_stream(model, "s", "t", at=0)
    assert [row[2] for row in shown_rows(model)] == [1]
    take(model)
    assert shown_rows(model) == []
    add_consumer(model, "s", "late")
    assert [row[2] for row in shown_rows(model)] == [1]


def test_rename_swap_and_undrop_carry_a_consumer_and_drop_retires_it() -> None:
    model = store()
    create_stream(model, "s", "t", at=0)
    create_table(model, "other", ["id"])
    take(model)
    rename_table(model, "target", "renamed")
    assert mark(model, "renamed") == 1
    swap_tables(model, "renamed", "other")
    assert mark(model, "other") == 1
    drop_table(model, "other")
    with pytest.raises(Refused, match="no consumer"):
        mark(model, "other")
    undrop_table(model, "other")
    assert mark(model, "other") == 1


def test_a_replaced_target_is_a_new_consumer_at_the_base() -> None:
    model = store()
    create_stream(model, "s", "t", at=0)
    take(model)
    create_table(model, "target", ["id"], replaces=True)

    assert take(model) == (0, 1)


def test_a_dropped_source_makes_its_streams_stale() -> None:
    model = store()
    create_stream(model, "s", "t", at=0)
    create_table(model, "t", ["id", "v"], replaces=True)
    with pytest.raises(Refused, match="stale"):
        consume(Tx(model), "s", into="target")


def test_a_clone_of_a_target_starts_where_its_original_stood_and_pins_nothing() -> None:
    model = store()
    create_stream(model, "s", "t", at=0)
    take(model)
    put(model, 2)
    clone_table(model, "copy", "target")
    take(model)
    put(model, 3)

    assert lowest(model.state, find(model.state, "s")) == 2
    assert take(model, into="copy") == (1, 3)


def test_a_cloned_stream_copies_consumers_and_watermarks() -> None:
    model = store()
    create_stream(model, "s", "t", at=0)
    take(model, limit=1)
    put(model, 2)
    clone_stream(model, "s2", "s")

    assert take(model, name="s2") == (1, 2)
    assert mark(model) == 1


def test_at_stream_takes_the_lowest_watermark_and_replacing_itself_keeps_consumers() -> None:
    model = store()
    create_stream(model, "s", "t", at=0)
    take(model)
    put(model, 2)
    assert create_stream(model, "s2", "t", at="s").base == 1
    create_stream(model, "s", "t", at="s", replaces=True)
    assert mark(model) == 1
    create_stream(model, "s", "t", replaces=True)
    assert registered(model.state, find(model.state, "s")) == []


def test_lag_and_backlog_count_captured_changes_before_netting() -> None:
    model = store()
    stream = create_stream(model, "s", "t", Options(capture="NET"))
    put(model, 2)
    change(model, 2, "b")
    remove(model, 2)

    assert lag(model, stream, 1) == (3, 3)
    assert backlog(model, stream) == [(2, 1, 0, 0), (3, 0, 1, 0), (4, 0, 0, 1)]
    assert shown_rows(model) == []
