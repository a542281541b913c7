"""Foreign changes done to a table: upserts by key, every step kept, bad ones set aside."""

from collections.abc import Mapping, Sequence

import pytest
from support_producer import committing, create, current, spec

from headwater.log_store.catalog import TableObject
from headwater.log_store.port import Log
from headwater.log_store.reader import read_window
from headwater.producer.adoption import Adopted, Arrived, adopt, waves
from headwater.schemas.foreign import UNAVAILABLE, ForeignChange

Fields = Mapping[str, object] | None


@pytest.fixture
def table(log: Log) -> TableObject:
    return create(
        log,
        "orders",
        (spec("id", "INT", nullable=False), spec("name", "VARCHAR"), spec("n", "INT")),
        ("id",),
    )


def change(
    op: str, after: Fields = None, *, before: Fields = None, key: Fields = None
) -> ForeignChange:
    return ForeignChange(op=op, key=key, before=before, after=after)


def run(log: Log, table: TableObject, *changes: ForeignChange) -> Adopted:
    with committing(log) as tx:
        return adopt(tx, table, [Arrived(0, at, one) for at, one in enumerate(changes)])


def rows(log: Log, table: TableObject) -> Sequence[Mapping[str, object]]:
    with committing(log) as tx:
        return tx.scan(current(log, table)).data.to_pylist()


def test_changes_of_one_key_are_done_in_order_and_each_is_kept(
    log: Log, table: TableObject
) -> None:
    done = run(
        log,
        table,
        change("c", {"id": 1, "name": "a", "n": 1}),
        change("u", {"id": 1, "name": "b", "n": 1}, before={"id": 1, "name": "a", "n": 1}),
        change("c", {"id": 2, "name": "x", "n": 2}),
        change("d", key={"id": 1}),
        change("c", {"id": 1, "name": "c", "n": 3}),
    )

    assert done.rows == 5
    assert rows(log, table) == [
        {"id": 2, "name": "x", "n": 2},
        {"id": 1, "name": "c", "n": 3},
    ]
    with log.view() as view:
        ops = [op for events in read_window(view, table.id, 0, 1) for op in bytes(events.ops)]
    assert sorted(map(chr, ops)) == ["c", "c", "c", "d", "u"]


def test_what_is_there_already_is_updated_and_what_is_not_is_inserted(
    log: Log, table: TableObject
) -> None:
    run(log, table, change("c", {"id": 1, "name": "a", "n": 1}))
    done = run(
        log,
        table,
        change("r", {"id": 1, "name": "b", "n": 1}),
        change("u", {"id": 2, "name": "y", "n": 2}),
        change("d", key={"id": 3}),
    )

    assert (done.rows, done.without_effect) == (2, 1)
    assert [row["name"] for row in rows(log, table)] == ["b", "y"]


def test_a_snapshot_read_again_changes_nothing(log: Log, table: TableObject) -> None:
    run(log, table, change("r", {"id": 1, "name": "a", "n": 1}))
    done = run(log, table, change("r", {"id": 1, "name": "a", "n": 1}))

    assert (done.rows, done.without_effect) == (0, 1)
    with log.view() as view:
        assert view.head(table.id).version == 1


def test_what_was_not_sent_stays_as_it_was(log: Log, table: TableObject) -> None:
    run(log, table, change("c", {"id": 1, "name": "long text", "n": 1}))
    run(
        log,
        table,
        change("u", {"id": 1, "name": UNAVAILABLE, "n": 2}),
        change("u", {"id": 1, "n": 3}),
    )

    assert rows(log, table) == [{"id": 1, "name": "long text", "n": 3}]


def test_what_was_not_sent_and_nobody_has_is_set_aside(log: Log, table: TableObject) -> None:
    done = run(
        log,
        table,
        change("u", {"id": 1, "name": UNAVAILABLE, "n": 2}),
        change("u", {"id": 2, "name": UNAVAILABLE, "n": 2}, before={"id": 2, "name": "kept"}),
    )

    assert [(one.offset, "was not sent" in one.why) for one in done.set_aside] == [(0, True)]
    assert rows(log, table) == [{"id": 2, "name": "kept", "n": 2}]


def test_a_bad_value_stops_nothing_else(log: Log, table: TableObject) -> None:
    done = run(
        log,
        table,
        change("c", {"id": 1, "name": "a", "n": "many"}),
        change("c", {"name": "no key"}),
        change("c", {"id": 2, "name": "b", "n": 2}),
    )

    assert [one.offset for one in done.set_aside] == [1, 0]
    assert "column n" in done.set_aside[1].why
    assert "key: id" in done.set_aside[0].why
    assert [row["id"] for row in rows(log, table)] == [2]


def test_a_key_that_changes_moves_the_row(log: Log, table: TableObject) -> None:
    run(log, table, change("c", {"id": 1, "name": "a", "n": 1}))
    run(
        log,
        table,
        change("u", {"id": 5, "name": "a", "n": 1}, before={"id": 1, "name": "a", "n": 1}),
    )

    assert [row["id"] for row in rows(log, table)] == [5]


def test_a_truncation_takes_what_came_before_it_and_nothing_after(
    log: Log, table: TableObject
) -> None:
    run(log, table, change("c", {"id": 1, "name": "a", "n": 1}))
    done = run(
        log,
        table,
        change("c", {"id": 2, "name": "b", "n": 1}),
        change("t"),
        change("c", {"id": 3, "name": "c", "n": 1}),
    )

    assert done.rows == 4
    assert [row["id"] for row in rows(log, table)] == [3]


def test_no_key_is_twice_in_a_wave() -> None:
    assert waves([b"a", b"b", b"a", b"a", b"c"]) == [[0, 1, 4], [2], [3]]
