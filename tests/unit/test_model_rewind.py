"""The oracle against sentences of the specification: rewind, restore, undo, advance."""

import pytest
from model import INITIAL, Model, Refused, Value
from model_rewind import Ask, advance, boundaries, plan, rewind, undo
from model_streams import Options, consume, create_stream, find, moves_of, named_consumer
from model_tables import create_table, drop_table
from model_transaction import Tx, autocommit, every


def store(*, shared: bool = False, initial: bool = False, policy: str = "ALLOW") -> Model:
    """t (id) empty at v0 with a stream s, and a target fed by it."""
    model = Model()
    create_table(model, "t", ["id"], ["id"])
    create_table(model, "target", ["id"])
    create_stream(model, "s", "t", Options(shared=shared, initial=initial, policy=policy))
    return model


def put(model: Model, *ids: int) -> None:
    autocommit(model, lambda tx: tx.insert("t", [{"id": i} for i in ids]))


def feed(model: Model, name: str = "s", into: str = "target", limit: int | None = None) -> None:
    """Insert into the target what the window inserted."""
    tx = Tx(model)
    start, end = consume(tx, name, into=into, limit=limit)
    stream = find(tx.snapshot, name)
    events = model.history(stream.table, max(start, 0), end)
    tx.insert(into, [{"id": (e.after or {}).get(1)} for _, _, e in events])
    tx.commit()


def ids(model: Model, name: str = "target") -> list[Value]:
    return [row["id"] for _, row in model.rows(name)]


def mark(model: Model, name: str = "s", consumer: str = "target") -> int:
    stream = find(model.state, name)
    if stream.shared:
        return next(model.state.marks[c.id] for c in model.state.consumers.values())
    return model.state.marks[named_consumer(model.state, stream, consumer).id]


def test_a_plain_rewind_moves_the_watermark_only_and_says_what_would_be_doubled() -> None:
    model = store()
    put(model, 1)
    put(model, 2, 3)
    feed(model)
    autocommit(model, lambda tx: tx.delete("target", lambda row: row["id"] == 3))
    made = plan(model, "s", None, Ask())

    assert (made.changes, made.duplicates) == (3, {"target": 2})
    rewind(model, "s", None, Ask())
    assert mark(model) == 0
    assert ids(model) == [1, 2]


def test_a_rewind_to_where_the_watermark_stands_does_nothing_and_above_it_is_refused() -> None:
    model = store()
    assert plan(model, "s", None, Ask()).nothing == "nobody is registered"
    put(model, 1)
    feed(model)
    assert rewind(model, "s", None, Ask(to=1)) is None
    put(model, 2)
    with pytest.raises(Refused, match="above"):
        rewind(model, "s", None, Ask(to=2))


def test_several_consumers_are_refused_unless_one_is_named() -> None:
    model = store()
    create_table(model, "other", ["id"])
    put(model, 1)
    feed(model)
    feed(model, into="other")
    with pytest.raises(Refused, match="several"):
        rewind(model, "s", None, Ask())
    rewind(model, "s", "other", Ask())
    assert (mark(model), mark(model, consumer="other")) == (1, 0)


def test_restore_goes_to_the_last_boundary_at_or_below_to() -> None:
    model = store()
    for number in range(1, 6):
        put(model, number)
        if number in (2, 5):
            feed(model)
    made = plan(model, "s", None, Ask(to=4, restore=True))
    assert list(made.moves.values()) == [(5, 2)]
    rewind(model, "s", None, Ask(to=4, restore=True))
    assert (mark(model), ids(model)) == (2, [1, 2])
    feed(model)
    assert ids(model) == [1, 2, 3, 4, 5]


def test_restore_to_the_base_empties_what_the_first_consumption_wrote() -> None:
    model = store()
    put(model, 1)
    feed(model)
    rewind(model, "s", None, Ask(restore=True))
    assert (mark(model), ids(model)) == (0, [])


def test_a_window_that_wrote_nothing_is_a_boundary_too() -> None:
    model = store()
    put(model, 1)
    feed(model)
    put(model, 2)
    tx = Tx(model)
    consume(tx, "s", into="target")
    tx.commit()
    put(model, 3)
    feed(model)
    rewind(model, "s", None, Ask(to=2, restore=True))
    assert (mark(model), ids(model)) == (2, [1])


def test_a_plain_rewind_makes_no_boundary_nor_does_what_follows() -> None:
    model = store()
    put(model, 1)
    feed(model)
    put(model, 2)
    feed(model)
    rewind(model, "s", None, Ask(to=1))
    feed(model)
    assert ids(model) == [1, 2, 2]
    consumer = named_consumer(model.state, find(model.state, "s"), "target").id
    assert [position for position, _ in boundaries(model, consumer)] == [0, 1, 2]
    put(model, 3)
    feed(model)
    rewind(model, "s", None, Ask(to=2, restore=True))
    assert (mark(model), ids(model)) == (2, [1, 2])


def test_restore_is_refused_when_somebody_else_changed_the_target_unless_forced() -> None:
    model = store()
    put(model, 1)
    feed(model)
    autocommit(model, lambda tx: tx.insert("target", [{"id": 99}]))
    with pytest.raises(Refused, match="changed since"):
        rewind(model, "s", None, Ask(restore=True))
    made = plan(model, "s", None, Ask(restore=True, force=True))
    assert len(made.discarded) == 1
    rewind(model, "s", None, Ask(restore=True, force=True))
    assert ids(model) == []


def test_restore_takes_back_every_watermark_moved_into_the_target() -> None:
    model = store()
    create_table(model, "u", ["id"], ["id"])
    create_stream(model, "s2", "u")
    put(model, 1)
    feed(model)
    autocommit(model, lambda tx: tx.insert("u", [{"id": 50}]))
    feed(model, name="s2")
    put(model, 2)
    feed(model)
    rewind(model, "s", "target", Ask(to=1, restore=True))
    assert (mark(model), mark(model, "s2"), ids(model)) == (1, 0, [1])


def test_shared_restores_all_targets_it_fed() -> None:
    model = store(shared=True)
    create_table(model, "other", ["id"])
    put(model, 1)
    feed(model)
    put(model, 2)
    feed(model, into="other")
    rewind(model, "s", None, Ask(restore=True))
    assert (mark(model), ids(model), ids(model, "other")) == (0, [], [])


def test_restored_rows_keep_their_row_ids_and_streams_on_the_target_see_them() -> None:
    model = store()
    create_stream(model, "down", "target")
    put(model, 1)
    feed(model)
    before = model.rows("target")
    autocommit(model, lambda tx: tx.delete("target", every))
    rewind(model, "s", None, Ask(to=0, restore=True, force=True))
    undo(model, "s", None)
    assert model.rows("target") == []
    assert [e.row for _, _, e in model.history(model.state.table("target").id, 0, 9)] == [
        before[0][0]
    ] * 2


def test_undo_puts_back_watermark_and_table() -> None:
    model = store()
    put(model, 1)
    feed(model)
    before = model.rows("target")
    rewind(model, "s", None, Ask(restore=True))
    undo(model, "s", None)
    assert (mark(model), model.rows("target")) == (1, before)
    with pytest.raises(Refused, match="nothing to undo"):
        undo(model, "s", None)


def test_initial_rows_can_be_rewound_to() -> None:
    model = Model()
    create_table(model, "t", ["id"], ["id"])
    create_table(model, "target", ["id"])
    put(model, 1)
    create_stream(model, "s", "t", Options(initial=True))
    tx = Tx(model)
    assert consume(tx, "s", into="target") == (INITIAL, 1)
    tx.commit()
    rewind(model, "s", None, Ask(to="initial"))
    assert mark(model) == INITIAL


def test_policies_refuse_and_ask_for_reasons() -> None:
    for policy, reason, fails in (
        ("FORBID", "x", True),
        ("REQUIRE_REASON", "", True),
        ("REQUIRE_REASON", "x", False),
    ):
        model = store(policy=policy)
        put(model, 1)
        feed(model)
        if fails:
            with pytest.raises(Refused):
                rewind(model, "s", None, Ask(reason=reason))
        else:
            rewind(model, "s", None, Ask(reason=reason))
        assert mark(model) == int(fails)


def test_every_move_is_in_the_history_with_its_reason() -> None:
    model = store()
    put(model, 1)
    put(model, 2)
    feed(model, limit=1)
    advance(model, "s", None, 2, "skip")
    rewind(model, "s", None, Ask(reason="late fix"))
    consumer = named_consumer(model.state, find(model.state, "s"), "target").id
    assert [(m.start, m.end, m.why, m.reason) for _, m in moves_of(model, consumer)] == [
        (None, 0, "register", ""),
        (0, 1, "consume", ""),
        (1, 2, "advance", "skip"),
        (2, 0, "rewind", "late fix"),
    ]


def test_a_dropped_target_retires_its_consumer_so_that_nothing_is_restored() -> None:
    model = store()
    put(model, 1)
    feed(model)
    drop_table(model, "target")
    assert plan(model, "s", None, Ask(restore=True)).nothing == "nobody is registered"
