"""Laws of the specification that hold for any history, whatever the code inside looks like."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest
from checker import Expected, check_store
from checker_streams import copies
from hypothesis import given, settings
from hypothesis import strategies as st
from support_clock import Clock

import headwater
from headwater.ops.api import Database
from headwater.ops.api_transaction import Tx

Row = dict[str, object]
State = dict[str, Row]  # row id -> row


@dataclass(frozen=True)
class Edit:
    """One statement; those with the same `commit` number as the one before share its commit."""

    kind: str
    key: int
    value: int
    joins: bool


EDITS = st.lists(
    st.builds(
        Edit,
        st.sampled_from(["put", "put", "update", "move", "delete"]),
        st.integers(0, 5),
        st.integers(0, 9),
        st.booleans(),
    ),
    max_size=25,
)


def run(db: Database, edits: Sequence[Edit], table: str = "source") -> None:
    """Carry out a history, commit by commit."""
    groups: list[list[Edit]] = []
    for edit in edits:
        if groups and edit.joins:
            groups[-1].append(edit)
        else:
            groups.append([edit])
    for group in groups:
        with db.transaction() as tx:
            for edit in group:
                step(tx, table, edit)


def step(tx: Tx, table: str, edit: Edit) -> None:
    there = tx.table(table).get(edit.key) is not None
    match edit.kind:
        case "put" if not there:
            tx.insert(table, {"id": edit.key, "v": edit.value})
        case "move" if there and tx.table(table).get(edit.value + 10) is None:
            tx.update(table, key=edit.key, set={"id": edit.value + 10})
        case "delete":
            tx.delete(table, key=edit.key)
        case _:
            tx.update(table, key=edit.key, set={"v": edit.value})


def store() -> Database:
    """A store with a keyed source, its streams, and targets of the same shape."""
    db = headwater.connect("memory:laws", clock=Clock())
    for name in ("source", "mirror", "net"):
        db.create_table(name, {"id": "INT", "v": "INT"}, key="id")
    for capture in ("ALL", "NET", "INSERT ONLY"):
        db.create_stream(capture.lower().replace(" ", "_"), on="source", capture=capture)
    return db


def state(db: Database, version: int) -> State:
    """The source at a version, by row id."""
    rows = db.table("source").diff(0, version)
    return {row.row_id: row.after for row in rows if row.after is not None}


def fold(start: State, rows: Iterable[tuple[str, str, Row]]) -> State:
    """Stream rows (action, row id, values) applied to a table."""
    found = dict(start)
    for action, row_id, values in rows:
        if action == "DELETE":
            assert found.pop(row_id) == values, "a DELETE row is the row that goes"
        else:
            assert row_id not in found, "an INSERT row comes where none was"
            found[row_id] = values
    return found


def rows_of(db: Database, stream: str, upto: int | None = None) -> list[tuple[str, str, Row]]:
    """What a stream shows from its base on."""
    found = db.stream(stream).changes(upto=upto)
    return [(change.action, change.row_id, dict(change.values)) for change in found]


@given(EDITS, st.integers(0, 25), st.integers(0, 25))
def test_applying_a_difference_to_the_older_table_gives_the_newer(
    edits: list[Edit], one: int, other: int
) -> None:
    with store() as db:
        run(db, edits)
        head = db.table("source").head
        start, end = min(one, head), min(other, head)
        found = state(db, start)
        for row in db.table("source").diff(start, end):
            assert found.pop(row.row_id, None) == row.before
            if row.after is not None:
                found[row.row_id] = row.after
        assert found == state(db, end)
        at = db.table("source").at(version=end).rows()
        assert sorted(map(repr, at)) == sorted(map(repr, found.values()))


@given(EDITS, EDITS)
def test_all_and_net_lead_from_the_base_to_the_same_table(
    before: list[Edit], after: list[Edit]
) -> None:
    with headwater.connect("memory:laws", clock=Clock()) as db:
        db.create_table("source", {"id": "INT", "v": "INT"}, key="id")
        run(db, before)
        base = db.table("source").head
        for capture in ("ALL", "NET"):
            db.create_stream(capture, on="source", capture=capture)
        run(db, after)
        start, end = state(db, base), state(db, db.table("source").head)
        assert fold(start, rows_of(db, "ALL")) == end
        assert fold(start, rows_of(db, "NET")) == end
        touched = [row_id for _, row_id, _ in rows_of(db, "NET")]
        assert all(touched.count(row_id) <= 2 for row_id in touched)


@given(EDITS, EDITS)
def test_initial_rows_and_what_follows_are_the_table_without_gap_or_overlap(
    before: list[Edit], after: list[Edit]
) -> None:
    with headwater.connect("memory:laws", clock=Clock()) as db:
        db.create_table("source", {"id": "INT", "v": "INT"}, key="id")
        run(db, before)
        stream = db.create_stream("s", on="source", initial_rows=True)
        run(db, after)
        found: State = {}
        for _ in range(2):
            with stream.consumer("reader") as reader:
                rows = [(c.action, c.row_id, dict(c.values)) for c in reader.changes()]
                found = fold(found, rows)
        assert found == state(db, db.table("source").head)


@given(EDITS, st.lists(st.integers(1, 4), max_size=8))
def test_windows_of_any_size_put_together_are_the_one_window(
    edits: list[Edit], limits: list[int]
) -> None:
    with store() as db:
        run(db, edits)
        whole = rows_of(db, "all")
        parts: list[tuple[str, str, Row]] = []
        last = 0
        for limit in [*limits, None]:
            with db.transaction() as tx:
                window = tx.consume("all", consumer="piece", limit_changes=limit)
                assert window.start == last
                last = window.end
                parts += [(c.action, c.row_id, dict(c.values)) for c in window.changes()]
        assert parts == whole
        check_store(db.session.log)


def mirror(db: Database, limit: int | None = None, stream: str = "all") -> None:
    """Consume into the mirror so that it is the source at the watermark."""
    with db.transaction() as tx:
        window = tx.consume(stream, into="mirror", limit_changes=limit)
        gone = [row for row in window.changes() if row.action == "DELETE"]
        assert gone is not None
        for change in window.changes():
            if change.action == "DELETE":
                tx.delete("mirror", key=change["id"])
            else:
                tx.insert("mirror", change.values)


def mirrored(db: Database) -> Expected:
    """The law: target = fold of the source up to the watermark."""
    with db.session.log.view() as view:
        source, target = db.table("source").id, db.table("mirror").id
        ids = [c.id for s in view.catalog.streams() for c in view.catalog.consumers(s.id)]
    return Expected(laws=[copies(source, target, consumer) for consumer in ids])


@given(EDITS, st.lists(st.tuples(st.integers(0, 3), st.integers(0, 25)), max_size=8))
@settings(max_examples=60)
def test_a_target_is_the_fold_of_its_source_through_any_restores(
    edits: list[Edit], acts: list[tuple[int, int]]
) -> None:
    with store() as db:
        third = max(1, len(edits) // 3)
        for number, (act, to) in enumerate(acts):
            run(db, edits[number * third : (number + 1) * third])
            stream = db.stream("all")
            if act == 0:
                mirror(db)
            elif act == 1:
                mirror(db, limit=2)
            elif stream.consumers():
                mark = stream.consumers()[0].watermark
                plan = stream.rewind(to=min(to, mark), restore=True, reason="law")
                plan.execute()
                if act == 3 and min(to, mark) < mark:
                    stream.undo(reason="law").execute()
            check_store(db.session.log, mirrored(db))
        mirror(db)
        check_store(db.session.log, mirrored(db))


@pytest.mark.parametrize("capture", ["all", "net", "insert_only"])
def test_reading_a_stream_moves_nothing(capture: str) -> None:
    with store() as db:
        run(db, [Edit("put", n, n, False) for n in range(3)])
        before = db.sequence
        assert rows_of(db, capture) == rows_of(db, capture)
        assert (db.sequence, db.stream(capture).consumers()) == (before, [])
