"""Windows read from the log: what is in them, in which schema, and how much at a time."""

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pytest
from support_history import History, history

from headwater.log_store.errors import LogDamaged
from headwater.log_store.port import Log, View
from headwater.log_store.reader import Reading, read_current, read_window
from headwater.log_store.records import Block
from headwater.log_store.replay import I64
from headwater.schemas.asked import Asked
from headwater.schemas.events import Events
from headwater.schemas.evolve import add_column, drop_column
from headwater.schemas.tables import ColumnSpec
from headwater.schemas.types import SqlType


def commits(of: History, count: int) -> None:
    for n in range(count):
        of.insert((n, f"n{n}"))
        of.commit()


def read(of: History, after: int, upto: int, batch_rows: int = 65_536) -> list[Events]:
    with of.log.view() as view:
        return list(read_window(view, of.table.id, after, upto, Reading(batch_rows=batch_rows)))


def versions(batches: list[Events]) -> list[int]:
    return [version for events in batches for version in events.versions.tolist()]


def names(images: pa.Table, at: I64) -> list[object]:
    """The name in each event's image, None where there is no image."""
    found = images.column("name").to_pylist()
    return [found[place] if place >= 0 else None for place in at.tolist()]


def test_a_window_leaves_out_its_start_and_keeps_its_end(log: Log) -> None:
    of = history(log)
    commits(of, 5)

    assert versions(read(of, 1, 4)) == [2, 3, 4]
    assert versions(read(of, 3, 3)) == []


def test_many_small_commits_come_as_one_batch(log: Log) -> None:
    of = history(log)
    commits(of, 50)

    (events,) = read(of, 0, 50)

    assert events.after.num_rows == 50
    assert events.row_ids.tolist() == list(range(1, 51))
    assert events.event_seqs.tolist() == list(range(1, 51))
    assert events.after.column("name").to_pylist() == [f"n{n}" for n in range(50)]


def test_a_batch_is_as_long_as_asked(log: Log) -> None:
    of = history(log)
    commits(of, 10)

    batches = read(of, 0, 10, batch_rows=4)

    assert [len(events.row_ids) for events in batches] == [4, 4, 2]
    assert versions(batches) == list(range(1, 11))


def test_both_images_of_every_kind_of_change_are_there(log: Log) -> None:
    of = history(log)
    row_id = of.insert((1, "a"))
    of.commit()
    of.update(row_id, (1, "b"))
    of.commit()
    of.rekey(row_id, (2, "c"))
    of.commit()
    of.delete(row_id)
    of.commit()

    (events,) = read(of, 0, 4)

    assert bytes(events.ops.tolist()) == b"cudcd"
    assert names(events.before, events.before_at) == [None, "a", "b", None, "c"]
    assert names(events.after, events.after_at) == ["a", "b", None, "c", None]


def test_batches_break_where_the_schema_changes_and_are_read_in_todays(log: Log) -> None:
    of = history(log)
    commits(of, 2)
    size = replace(ColumnSpec("size", SqlType.parse("INT")), default=7)
    of.alter(add_column(of.schema, size))
    of.insert((10, "x", 1))
    of.commit()
    of.alter(drop_column(of.schema, "name"))

    as_written = read(of, 0, 3)
    with log.view() as view:
        current = list(read_current(view, of.table.id, 0, 3))

    assert [events.after.column_names for events in as_written] == [
        ["id", "name"],
        ["id", "name", "size"],
    ]
    rows = [row for events in current for row in events.after.to_pylist()]
    assert rows == [{"id": 0, "size": 7}, {"id": 1, "size": 7}, {"id": 10, "size": 1}]
    assert all(events.schema == of.schema for events in current)


def test_columns_asked_for_are_found_in_every_generation(log: Log) -> None:
    of = history(log)
    commits(of, 2)
    of.alter(add_column(of.schema, replace(ColumnSpec("size", SqlType.parse("INT")), default=7)))
    of.insert((10, "x", 1))
    of.commit()
    ids = {column.name: column.id for column in of.schema.columns}

    def asked(*names: str) -> list[object]:
        reading = Reading(Asked(frozenset(ids[name] for name in names)))
        with log.view() as view:
            found = list(read_current(view, of.table.id, 0, 3, reading))
        return [row for events in found for row in events.after.to_pylist()]

    assert asked("name") == [{"name": "n0"}, {"name": "n1"}, {"name": "x"}]
    assert asked("size") == [{"size": 7}, {"size": 7}, {"size": 1}]
    assert asked("size", "id") == [
        {"id": 0, "size": 7},
        {"id": 1, "size": 7},
        {"id": 10, "size": 1},
    ]


def test_nothing_is_read_before_it_is_asked_for(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    of = history(log)
    commits(of, 9)
    taken: list[int] = []
    with log.view() as view:
        blocks = view.blocks

        def counted(_: View, table: int, after: int, upto: int) -> Iterator[Block]:
            for block in blocks(table, after, upto):
                taken.append(block.version)
                yield block

        monkeypatch.setattr(type(view), "blocks", counted)
        batches = read_window(view, of.table.id, 0, 9, Reading(batch_rows=3))
        assert taken == []
        next(batches)
        assert taken == [1, 2, 3, 4]


def test_bytes_that_are_no_event_are_named_by_table_and_version(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = history(log)
    commits(of, 3)
    with log.view() as view:
        good = list(view.blocks(of.table.id, 0, 3))
        bad = [replace(block, data=bytes(block.data[:-1]) + b"\xff") for block in good]

        def damaged(*_: object) -> Iterator[Block]:
            yield from bad

        monkeypatch.setattr(type(view), "blocks", damaged)

        with pytest.raises(LogDamaged, match=f"table {of.table.id}, versions 1 to 3"):
            list(read_window(view, of.table.id, 0, 3))
