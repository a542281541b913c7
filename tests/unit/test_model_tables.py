"""The oracle against sentences of the specification: tables, commits, transactions."""

import pytest
from model import Conflict, Event, Image, Model, Refused, Value
from model_tables import (
    add_column,
    clone_table,
    create_table,
    drop_column,
    drop_table,
    rename_column,
    rename_table,
    swap_tables,
    undrop_table,
)
from model_transaction import Tx, autocommit, every, where


def store(*rows: tuple[int, str]) -> Model:
    """A store with a table t (id, v), key id, and these rows as v1."""
    model = Model()
    create_table(model, "t", ["id", "v"], ["id"])
    if rows:
        put(model, *rows)
    return model


def put(model: Model, *rows: tuple[int, str]) -> None:
    autocommit(model, lambda tx: tx.insert("t", [{"id": i, "v": v} for i, v in rows]))


def values(model: Model, name: str = "t", version: int | None = None) -> list[dict[str, Value]]:
    return [row for _, row in model.rows(name, version)]


def test_a_creation_is_v0_and_each_changing_commit_adds_one() -> None:
    model = store((1, "a"))
    table = model.state.table("t").id

    assert [state.heads.get(table) for state in model.states] == [None, 0, 1]


def test_ddl_alone_makes_no_version() -> None:
    model = store((1, "a"))
    add_column(model, "t", "w", fill="x")

    assert model.state.heads[model.state.table("t").id] == 1
    assert values(model) == [{"id": 1, "v": "a", "w": "x"}]


def test_a_commit_that_changes_nothing_makes_no_version_and_no_commit() -> None:
    model = store((1, "a"))
    autocommit(model, lambda tx: tx.update("t", where("id", 9), {"v": "z"}))

    assert len(model.commits) == 2


def test_an_update_to_the_same_value_is_still_a_change() -> None:
    model = store((1, "a"))
    autocommit(model, lambda tx: tx.update("t", every, {"v": "a"}))

    assert [(v, e.op) for v, _, e in model.history(model.state.table("t").id, 0, 9)] == [
        (1, "c"),
        (2, "u"),
    ]


def test_delete_and_insert_of_one_key_is_a_new_row() -> None:
    model = store((1, "a"))
    autocommit(model, lambda tx: tx.delete("t", every))
    put(model, (1, "a"))

    assert [row for row, _ in model.rows("t", 1)] != [row for row, _ in model.rows("t", 3)]


def test_a_failed_statement_undoes_itself_only() -> None:
    model = store((1, "a"))
    tx = Tx(model)
    tx.insert("t", [{"id": 2, "v": "b"}])
    with pytest.raises(Refused, match="duplicate key"):
        tx.insert("t", [{"id": 3, "v": "c"}, {"id": 1, "v": "x"}])
    tx.commit()

    assert [row["id"] for row in values(model)] == [1, 2]


def test_two_keys_can_be_swapped_in_one_statement_deletes_first() -> None:
    model = store((1, "a"), (2, "b"))
    tx = Tx(model)
    table = model.state.table("t")
    swapped = {1: 2, 2: 1}
    images = tx.images(table)
    tx.statement(
        table,
        [*swap_half(images, "d", swapped), *swap_half(images, "c", swapped)],
    )
    tx.commit()

    assert values(model) == [{"id": 2, "v": "a"}, {"id": 1, "v": "b"}]


def swap_half(images: dict[int, Image], op: str, to: dict[int, int]) -> list[Event]:
    if op == "d":
        return [Event("d", row, image, None, half=True) for row, image in images.items()]
    return [
        Event("c", row, None, {**image, 1: to[int(str(image[1]))]}, half=True)
        for row, image in images.items()
    ]


def test_a_transaction_sees_its_snapshot_and_its_own_writes() -> None:
    model = store((1, "a"))
    tx = Tx(model)
    put(model, (2, "b"))
    tx.insert("t", [{"id": 3, "v": "c"}])

    assert [row["id"] for _, row in tx.rows("t")] == [1, 3]


@pytest.mark.parametrize(
    ("mine", "theirs", "why"),
    [
        ("update", "update", "row"),
        ("delete", "update", "row"),
        ("insert", "insert", "key"),
    ],
)
def test_the_first_committer_wins_by_row_and_by_key(mine: str, theirs: str, why: str) -> None:
    model = store((1, "a"), (2, "b"))
    one, two = Tx(model), Tx(model)
    for tx, what in ((one, mine), (two, theirs)):
        match what:
            case "update":
                tx.update("t", where("id", 1), {"v": what})
            case "delete":
                tx.delete("t", where("id", 1))
            case _:
                tx.insert("t", [{"id": 5, "v": what}])
    two.commit()
    with pytest.raises(Conflict, match=why):
        one.commit()

    assert len(model.commits) == 3


def test_writers_of_different_rows_do_not_conflict() -> None:
    model = store((1, "a"), (2, "b"))
    one, two = Tx(model), Tx(model)
    one.update("t", where("id", 1), {"v": "x"})
    two.update("t", where("id", 2), {"v": "y"})
    two.commit()
    one.commit()

    assert [row["v"] for row in values(model)] == ["x", "y"]


def test_ddl_conflicts_with_every_concurrent_commit_to_its_table() -> None:
    model = store((1, "a"))
    tx = Tx(model)
    tx.insert("t", [{"id": 2, "v": "b"}])
    add_column(model, "t", "w")
    with pytest.raises(Conflict, match="definition"):
        tx.commit()


def test_an_idempotency_key_returns_the_first_result_and_refuses_another_request() -> None:
    model = store()
    for _ in range(2):
        tx = Tx(model, key="k")
        tx.request.append("insert 1")
        tx.insert("t", [{"id": 1, "v": "a"}])
        done = tx.commit()
        assert done is not None and done.sequence == 2
    tx = Tx(model, key="k")
    tx.request.append("insert 2")
    with pytest.raises(Refused, match="idempotency"):
        tx.commit()


def test_a_time_names_one_state_of_everything() -> None:
    model = store((1, "a"))
    time = model.state.time
    put(model, (2, "b"))
    table = model.state.table("t")

    assert model.version_at_time(table, time) == 1
    assert model.version_at_time(table, time + 1) == 2
    with pytest.raises(Refused, match="history"):
        model.version_at_time(table, 0)


def test_history_is_shown_in_todays_columns() -> None:
    model = store((1, "a"))
    drop_column(model, "t", "v")
    add_column(model, "t", "v", fill="new")
    rename_column(model, "t", "v", "w")

    assert values(model, version=1) == [{"id": 1, "w": "new"}]


def test_apply_diff_to_the_older_table_is_the_newer_one() -> None:
    model = store((1, "a"), (2, "b"))
    autocommit(model, lambda tx: tx.delete("t", where("id", 1)))
    put(model, (3, "c"))
    table = dict(model.rows("t", 1))
    for row, (_, after) in model.diff("t", 1, 3).items():
        table.pop(row, None)
        if after is not None:
            table[row] = dict(after)

    assert table == dict(model.rows("t", 3))


def test_a_clone_starts_at_v0_and_its_rows_arrive_as_v1_under_their_old_row_ids() -> None:
    model = store((1, "a"))
    autocommit(model, lambda tx: tx.delete("t", every))
    clone_table(model, "c", "t", version=1)

    assert model.rows("c", 0) == []
    assert model.rows("c", 1) == model.rows("t", 1)


def test_rename_and_swap_move_names_and_drop_waits_for_undrop() -> None:
    model = store((1, "a"))
    create_table(model, "u", ["id"])
    swap_tables(model, "t", "u")
    rename_table(model, "u", "was_t")
    drop_table(model, "was_t")
    with pytest.raises(Refused, match="no table"):
        model.rows("was_t")
    undrop_table(model, "was_t")

    assert values(model, "was_t") == [{"id": 1, "v": "a"}]
