"""Random statements and streams through SQL: the store is the model after each of them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import model_streams
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model import Model
from model_streams import Options
from model_tables import create_table
from model_transaction import Tx, autocommit, every, where
from support_pair import Pair

EXAMPLES = int(os.environ.get("HEADWATER_MACHINES", "30")) // 2

Cells = list[tuple[int, int | None]]


@dataclass(frozen=True)
class Step:
    """A statement: its verb, its table or stream, and rows, keys with values, or keys."""

    verb: str
    name: str
    cells: Cells


TABLES = st.sampled_from(["a", "t"])
KEYS = st.integers(0, 4)
PAIRS = st.tuples(KEYS, st.none() | st.integers(0, 3))
STEPS = st.lists(
    st.one_of(
        st.builds(Step, st.just("insert"), TABLES, st.lists(PAIRS, max_size=3)),
        st.builds(Step, st.just("update"), TABLES, st.lists(PAIRS, min_size=1, max_size=1)),
        st.builds(
            Step,
            st.just("rekey"),
            TABLES,
            st.lists(st.tuples(KEYS, KEYS), min_size=1, max_size=1),
        ),
        st.builds(Step, st.just("delete"), TABLES, st.lists(PAIRS, min_size=1, max_size=3)),
        st.builds(Step, st.just("truncate"), TABLES, st.just([])),
        st.builds(
            Step, st.just("consume"), st.sampled_from(["s", "n", "i"]), st.lists(PAIRS, max_size=1)
        ),
    ),
    min_size=4,
    max_size=20,
)


def set_up(pair: Pair) -> None:
    """Two sources, one with a key, a target, and a stream of each capture."""
    for name, key in (("a", ["id"]), ("t", []), ("u", [])):
        declare(pair, name, key)
    for name, on, capture in (("s", "a", "ALL"), ("n", "a", "NET"), ("i", "t", "INSERT ONLY")):
        watch(pair, name, on, capture)
    # Statements meet rows from the first one on, several of one id where there is no key.
    take(pair, Step("insert", "a", [(key, key) for key in range(5)]))
    take(pair, Step("insert", "t", [(key % 3, key) for key in range(6)]))


def declare(pair: Pair, name: str, key: list[str]) -> None:
    """CREATE TABLE on both sides."""
    text = "id INT, v INT" + (", PRIMARY KEY (id)" if key else "")
    pair.both(
        lambda: create_table(pair.model, name, ["id", "v"], key),
        lambda: pair.db.execute(f"CREATE TABLE {name} ({text})"),
    )


def watch(pair: Pair, name: str, on: str, capture: str) -> None:
    """CREATE STREAM on both sides."""
    options = Options(capture, False, False)
    pair.both(
        lambda: model_streams.create_stream(pair.model, name, on, options),
        lambda: pair.db.execute(f"CREATE STREAM {name} ON TABLE {on} CHANGES CAPTURE {capture}"),
    )


def take(pair: Pair, step: Step) -> None:
    """One statement on both sides: refused on both, or done with the same count."""
    counts: list[object] = []
    text, binds = said(step)

    def on_store() -> None:
        counts.append(pair.db.execute(text, binds).rowcount)

    def on_model(tx: Tx) -> None:
        counts.append(do(pair.model, tx, step))

    done = pair.both(lambda: autocommit(pair.model, on_model), on_store)
    assert not done or len(set(counts)) == 1, f"{text}: {counts}"
    pair.compare()


def said(step: Step) -> tuple[str, Sequence[object]]:
    """The statement and its binds."""
    name, cells = step.name, step.cells
    match step.verb:
        case "insert":
            # Without a row: a query that gives none.
            rows = ", ".join(["(?, ?)"] * len(cells))
            source = f"VALUES {rows}" if cells else f"SELECT id, v FROM {name} WHERE FALSE"
            return f"INSERT INTO {name} (id, v) {source}", [value for row in cells for value in row]
        case "update":
            return f"UPDATE {name} SET v = ? WHERE id = ?", cells[0][::-1]
        case "rekey":
            return f"UPDATE {name} SET id = ? WHERE id = ?", cells[0][::-1]
        case "delete":
            marks = ", ".join("?" * len(cells))
            return f"DELETE FROM {name} WHERE id IN ({marks})", [key for key, _ in cells]
        case "truncate":
            return f"TRUNCATE TABLE {name}", ()
        case _:
            # What a WHERE drops is consumed too.
            return f"INSERT INTO u SELECT id, v FROM {name} WHERE {bool(cells)}", ()


def do(model: Model, tx: Tx, step: Step) -> int:
    """The same in the model; returns how many rows it wrote."""
    name, cells = step.name, step.cells
    match step.verb:
        case "insert":
            return tx.insert(name, [{"id": key, "v": value} for key, value in cells])
        case "update":
            return tx.update(name, where("id", cells[0][0]), {"v": cells[0][1]})
        case "rekey":
            return tx.update(name, where("id", cells[0][0]), {"id": cells[0][1]})
        case "delete":
            return tx.delete(name, where("id", *(key for key, _ in cells)))
        case "truncate":
            return tx.delete(name, every)
        case _:
            window = model_streams.consume(tx, name, into="u")
            stream = model_streams.find(tx.snapshot, name)
            found = model_streams.read(model, stream, *window, tx.snapshot)
            return tx.insert("u", [dict(row.values) for row in found] if cells else [])


@pytest.mark.parametrize("durable", [False, True], ids=["memory", "rocks"])
@settings(max_examples=EXAMPLES)
@given(steps=STEPS)
def test_sql_does_what_the_model_says(
    *, durable: bool, steps: list[Step], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path: Path | None = tmp_path_factory.mktemp("sql") / "shop" if durable else None
    pair = Pair(path)
    set_up(pair)
    for step in steps:
        take(pair, step)
    pair.close()
