"""Laws of state: every way to a version gives the same rows, and a diff leads there too."""

import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_clock import Clock
from support_history import History, contents, history

from headwater.log_store import replay, state
from headwater.log_store.memory import MemoryLog
from headwater.log_store.port import Log, View
from headwater.log_store.rocks import RocksLog, RocksOptions
from headwater.log_store.snapshots import Snapshot, SnapshotCache
from headwater.log_store.state import diff, snapshot
from headwater.schemas.evolve import add_column, drop_column, rename_column
from headwater.schemas.tables import ColumnSpec
from headwater.schemas.types import Row, SqlType

# (what, which row, a value): small numbers, so that rows meet again and again.
COMMAND = st.tuples(
    st.sampled_from(["insert", "insert", "update", "update", "rekey", "delete", "restore"]),
    st.integers(0, 5),
    st.sampled_from([None, "", "a", "b", "ü"]),
)
STEP = st.lists(COMMAND, min_size=1, max_size=5) | st.sampled_from(["add", "rename", "drop"])
STEPS = st.lists(STEP, min_size=1, max_size=10)


@contextmanager
def opened(kind: str) -> Generator[Log]:
    with tempfile.TemporaryDirectory() as folder:
        log: Log
        if kind == "memory":
            log = MemoryLog("shop", clock=Clock())
        else:
            log = RocksLog(RocksOptions(path=Path(folder) / "s", name="shop", clock=Clock()))
        try:
            yield log
        finally:
            log.close()


def live(of: History, steps: list[list[tuple[str, int, str | None]] | str]) -> None:
    """Lead a table through the steps; what cannot be done is left out."""
    key = 0
    for step in steps:
        if isinstance(step, str):
            alter(of, step)
            continue
        for what, which, value in step:
            key += 1
            ids = sorted(of.rows)
            gone = sorted(set(range(1, of.next_id)) - set(ids))
            row_id = ids[which % len(ids)] if ids else 0
            if what == "insert":
                of.insert(row(of, key, value))
            elif what == "restore" and gone:
                of.insert(row(of, key, value), gone[which % len(gone)])
            elif what == "update" and ids:
                of.update(row_id, row(of, of.rows[row_id][1], value))
            elif what == "rekey" and ids:
                of.rekey(row_id, row(of, key, value))
            elif what == "delete" and ids:
                of.delete(row_id)
        of.commit()


def row(of: History, key: object, value: str | None) -> Row:
    assert isinstance(key, int)
    return (key, *([value] * (len(of.schema.columns) - 1)))


def alter(of: History, what: str) -> None:
    names = of.schema.names
    if what == "add":
        spec = replace(ColumnSpec(f"c{len(of.table.generations)}", SqlType.parse("VARCHAR")))
        of.alter(add_column(of.schema, replace(spec, default="fill")))
    elif what == "rename" and len(names) > 1:
        of.alter(rename_column(of.schema, names[-1], f"r{len(of.table.generations)}"))
    elif what == "drop" and len(names) > 1:
        of.alter(drop_column(of.schema, names[-1]))


def ways(view: View, of: History, wanted: int, caches: SnapshotCache) -> Iterator[Snapshot]:
    """The same version by every start there is: nothing, the head, kept ones, cached ones."""
    table = view.catalog.table(of.table.id)
    for start in state.starts(view, table, wanted, caches):
        yield state.replayed(view, start.load(), wanted)


def applied(base: Snapshot, changes: state.Diff) -> dict[int, Row]:
    rows = contents(base)
    after = list(zip(*(column.to_pylist() for column in changes.after.columns), strict=True))
    for row_id, at in zip(changes.row_ids.tolist(), changes.after_at.tolist(), strict=True):
        if at < 0:
            del rows[row_id]
        else:
            rows[row_id] = after[at]
    return dict(sorted(rows.items()))


@pytest.mark.parametrize(("kind", "examples"), [("memory", 100), ("rocks", 15)])
def test_every_way_to_a_version_gives_its_rows(kind: str, examples: int) -> None:
    @settings(max_examples=examples)
    @given(STEPS)
    def law(steps: list[list[tuple[str, int, str | None]] | str]) -> None:
        with opened(kind) as log:
            of = history(log)
            live(of, steps)
            cache = SnapshotCache(keep=log.keep_snapshot)
            with log.view() as view:
                head = view.head(of.table.id).version
                for version in {0, head // 2, head}:
                    one = snapshot(view, of.table.id, version, cache=cache)
                    cache.keep(one)
            with log.view() as view:
                for version in range(head + 1):
                    for taken in ways(view, of, version, cache):
                        assert contents(taken) == of.expected(version)
                        known = None if taken.versions is None else taken.versions.tolist()
                        if version == head and known is not None:
                            ids = taken.row_ids.tolist()
                            assert dict(zip(ids, known, strict=True)) == {
                                i: of.written[i] for i in ids
                            }

    law()


@given(STEPS, st.integers(0, 20), st.integers(0, 20))
def test_a_diff_applied_to_one_end_gives_the_other(
    steps: list[list[tuple[str, int, str | None]] | str], start: int, end: int
) -> None:
    with opened("memory") as log:
        of = history(log)
        live(of, steps)
        with log.view() as view:
            head = view.head(of.table.id).version
            start, end = start % (head + 1), end % (head + 1)
            changes = diff(view, of.table.id, start, end)
            base = snapshot(view, of.table.id, start)

            assert applied(base, changes) == of.expected(end)
            before, after = of.expected(start), of.expected(end)
            touched = {i for i in before | after if before.get(i) != after.get(i)}
            assert changes.row_ids.tolist() == sorted(touched)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.none() | st.sampled_from("abc")), max_size=30),
    st.integers(0, 30),
)
def test_folds_may_be_cut_anywhere(events: list[tuple[int, str | None]], cut: int) -> None:
    def fold(*batches: list[tuple[int, str | None]]) -> dict[int, str | None]:
        folded = replay.Fold(pa.schema([("a", pa.string())]).empty_table(), last=True)
        for batch in batches:
            folded.add(as_images(batch))
        result = folded.images()
        values = result.data.column("a").to_pylist()
        pairs = zip(result.row_ids.tolist(), result.at.tolist(), strict=True)
        return {row_id: values[at] if at >= 0 else None for row_id, at in pairs}

    assert fold(events) == fold(events[:cut], events[cut:])


def as_images(events: list[tuple[int, str | None]]) -> replay.Images:
    data = pa.table({"a": pa.array([text for _, text in events], pa.string())})
    at = [-1 if text is None else place for place, (_, text) in enumerate(events)]
    numbers = pa.array([row_id for row_id, _ in events], pa.int64()).to_numpy()
    places = pa.array(at, pa.int64()).to_numpy()
    return replay.Images(numbers, places, numbers, data)
