"""Random statements and streams through SQL: the store is the model after each of them.

Two sessions take turns, each with or without an open transaction: what one has not committed the
other does not see, each sees its own writes, and who commits second over the same rows, keys or
watermark has a conflict.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Final

import model_statements
import model_streams
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model import Model, Named, Refused
from model_statements import Source, When
from model_streams import Options
from model_tables import create_table
from model_transaction import Tx, autocommit, every, where
from support_pair import Pair

from headwater.ops.api_cursor import Cursor
from headwater.sql.session import SqlSession

EXAMPLES = int(os.environ.get("HEADWATER_MACHINES", "30")) // 2

Cells = list[tuple[int, int | None]]


@dataclass(frozen=True)
class Step:
    """A statement: its verb, its table or stream, and rows, keys with values, or keys.

    It is said in one of two sessions.
    """

    verb: str
    name: str
    cells: Cells
    session: int = 0


@dataclass(frozen=True)
class Merging:
    """WHEN clauses as they are written, and what they mean."""

    text: str
    whens: tuple[When, ...]


def _null(source: Source) -> bool:
    return source.values["v"] is None


def _above_one(source: Source) -> bool:
    value = source.values["v"]
    return isinstance(value, int) and value > 1


MERGES: Final = {
    "upsert": Merging(
        "WHEN MATCHED THEN UPDATE SET v = src.v "
        "WHEN NOT MATCHED THEN INSERT (id, v) VALUES (src.id, src.v)",
        (When("MATCHED", "UPDATE"), When("NOT MATCHED", "INSERT")),
    ),
    "prune": Merging(
        "WHEN MATCHED AND src.v IS NULL THEN DELETE "
        "WHEN MATCHED AND src.v > 1 THEN UPDATE SET v = src.v",
        (When("MATCHED", "DELETE", _null), When("MATCHED", "UPDATE", _above_one)),
    ),
    "mirror": Merging(
        "WHEN MATCHED THEN UPDATE SET v = src.v "
        "WHEN NOT MATCHED BY TARGET THEN INSERT (id, v) VALUES (src.id, src.v) "
        "WHEN NOT MATCHED BY SOURCE AND k.v > 1 THEN DELETE "
        "WHEN NOT MATCHED BY SOURCE THEN UPDATE SET v = -1",
        (
            When("MATCHED", "UPDATE"),
            When("NOT MATCHED", "INSERT"),
            When("BY SOURCE", "DELETE", _above_one),
            When("BY SOURCE", "UPDATE"),
        ),
    ),
}
# How a table follows a stream; needs its METADATA$ columns.
SYNC: Final = Merging(
    "WHEN MATCHED AND src.METADATA$ACTION = 'DELETE' AND NOT src.METADATA$ISUPDATE THEN DELETE "
    "WHEN MATCHED AND src.METADATA$ACTION = 'INSERT' THEN UPDATE SET v = src.v "
    "WHEN NOT MATCHED AND src.METADATA$ACTION = 'INSERT' "
    "THEN INSERT (id, v) VALUES (src.id, src.v)",
    (
        When("MATCHED", "DELETE", lambda row: row.action == "DELETE" and not row.is_update),
        When("MATCHED", "UPDATE", lambda row: row.action == "INSERT"),
        When("NOT MATCHED", "INSERT", lambda row: row.action == "INSERT"),
    ),
)

TABLES = st.sampled_from(["a", "t"])
STREAMS = st.sampled_from(["s", "n", "i"])
SESSIONS = st.integers(0, 1)
KEYS = st.integers(0, 4)
PAIRS = st.tuples(KEYS, st.none() | st.integers(0, 3))


def steps_of(
    verbs: Sequence[str], names: st.SearchStrategy[str], cells: int, least: int = 0
) -> st.SearchStrategy[Step]:
    """Steps of these verbs about one of these objects with some cells."""
    listed = st.lists(PAIRS, min_size=least, max_size=cells)
    return st.builds(Step, st.sampled_from(verbs), names, listed, SESSIONS)


DML = st.one_of(
    steps_of(["insert"], TABLES, 3),
    steps_of(["update"], TABLES, 1, 1),
    st.builds(
        Step,
        st.just("rekey"),
        TABLES,
        st.lists(st.tuples(KEYS, KEYS), min_size=1, max_size=1),
        SESSIONS,
    ),
    steps_of(["delete"], TABLES, 3, 1),
    steps_of(["truncate"], TABLES, 0),
    steps_of(["consume"], STREAMS, 1),
    steps_of(["sync"], STREAMS, 0),
    steps_of([*MERGES, "update from", "delete using"], TABLES, 0),
)
ENDS = steps_of(["begin", "begin", "commit", "commit", "rollback"], st.just(""), 0)


def alone(step: Step) -> list[Step]:
    """A step by itself."""
    return [step]


def race(mine: Step, theirs: Step, between: list[Step]) -> list[Step]:
    """A transaction of one session, and a statement of the other before it commits."""
    begin, commit = Step("begin", "", [], 1), Step("commit", "", [], 1)
    return [begin, replace(mine, session=1), *between, replace(theirs, session=0), commit]


SINGLE = st.builds(alone, st.one_of(DML, ENDS))
# The same statement twice meets the same rows, keys or watermark.
NOTHING: list[Step] = []
RACES = st.one_of(
    st.builds(race, DML, DML, st.lists(DML, max_size=2)),
    DML.map(lambda step: race(step, step, NOTHING)),
    # Of two that consume one window only the watermark tells.
    steps_of(["consume"], STREAMS, 1).map(lambda step: race(step, step, NOTHING)),
)
STEPS = st.lists(SINGLE | SINGLE | RACES, min_size=4, max_size=12)


@dataclass
class Session:
    """One session of the store, and its open transaction in the model."""

    sql: SqlSession
    tx: Tx | None = None

    def execute(self, text: str, binds: Sequence[object] = ()) -> Cursor:
        """Run one statement."""
        return Cursor(self.sql).execute(text, binds)


@dataclass
class Run:
    """A store and its model, and who talks to them."""

    pair: Pair
    sessions: list[Session] = field(default_factory=list[Session])

    @classmethod
    def of(cls, path: Path | None) -> "Run":
        """A new store with two sessions, its tables filled and its streams created."""
        pair = Pair(path)
        other = SqlSession(pair.db.session)
        run = cls(pair, [Session(pair.db.sql), Session(other)])
        set_up(run)
        return run

    def close(self) -> None:
        """Whatever is open is given up; the store must stand all checks."""
        for session in self.sessions:
            session.sql.close()
        self.pair.close()


def set_up(run: Run) -> None:
    """Two sources, one with a key, two targets, and a stream of each capture."""
    for name, key in (("a", ["id"]), ("t", []), ("u", []), ("k", ["id"])):
        declare(run.pair, name, key)
    for name, on, capture in (("s", "a", "ALL"), ("n", "a", "NET"), ("i", "t", "INSERT ONLY")):
        watch(run.pair, name, on, capture)
    # Statements meet rows from the first one on, several of one id where there is no key.
    take(run, Step("insert", "a", [(key, key) for key in range(5)]))
    take(run, Step("insert", "t", [(key % 3, key) for key in range(6)]))
    take(run, Step("insert", "k", [(key, -key) for key in range(3)]))


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


def take(run: Run, step: Step) -> None:
    """One step on both sides: refused on both, or done with the same count."""
    session = run.sessions[step.session]
    if step.verb in ("begin", "commit", "rollback"):
        end_or_begin(run, session, step.verb)
    else:
        state(run, session, step)
    run.pair.compare()
    if session.tx is not None:
        look(run, session.tx, session)


def end_or_begin(run: Run, session: Session, verb: str) -> None:
    """A transaction begins or ends; without one to end nothing happens, as in the store."""
    tx = session.tx
    if verb == "begin":
        session.execute("BEGIN")
        session.tx = tx or Tx(run.pair.model)
        return
    session.tx = None
    if verb == "rollback" or tx is None:
        session.execute(verb)
        return
    run.pair.both(tx.commit, lambda: session.execute("COMMIT"))


def state(run: Run, session: Session, step: Step) -> None:
    """One statement, in the session's transaction or in a commit of its own."""
    counts: list[object] = []
    text, binds = said(step)
    model = run.pair.model

    def on_store() -> None:
        counts.append(session.execute(text, binds).rowcount)

    def on_model(tx: Tx) -> None:
        counts.append(undone(tx, lambda: do(model, tx, step)))

    if session.tx is None:
        done = run.pair.both(lambda: autocommit(model, on_model), on_store)
    else:
        open_tx = session.tx
        done = run.pair.both(lambda: on_model(open_tx), on_store)
    assert not done or len(set(counts)) == 1, f"{text}: {counts}"


def undone(tx: Tx, statement: Callable[[], int]) -> int:
    """What a statement gives; one that is refused takes the windows back that it fixed."""
    windows, bounds = dict(tx.windows), dict(tx.bounds)
    consumers, relied = list(tx.new_consumers), set(tx.relied)
    try:
        return statement()
    except Refused:
        tx.windows, tx.bounds, tx.new_consumers, tx.relied = windows, bounds, consumers, relied
        raise


def look(run: Run, tx: Tx, session: Session) -> None:
    """An open transaction reads its snapshot and its own writes; streams as of its snapshot."""
    for name in ("a", "t", "u", "k"):
        found = sorted(map(repr, session.execute(f"SELECT id, v FROM {name}").fetchall()))
        assert found == sorted(repr((row["id"], row["v"])) for _, row in tx.rows(name))
    for name in ("s", "n", "i"):
        stream = model_streams.find(tx.snapshot, name)
        start = model_streams.lowest(tx.snapshot, stream)
        head = tx.snapshot.heads[stream.table]
        shown = model_streams.read(run.pair.model, stream, start, head, tx.snapshot)
        assert session.execute(f"SELECT id, v FROM {name}").fetchall() == [
            (row.values["id"], row.values["v"]) for row in shown
        ]


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
        case "update from":
            return f"UPDATE k SET v = src.v FROM {name} src WHERE k.id = src.id", ()
        case "delete using":
            return f"DELETE FROM k USING {name} src WHERE k.id = src.id", ()
        case "consume":
            # What a WHERE drops is consumed too; a bound takes whole commits.
            limit = limit_of(cells)
            bound = "" if limit is None else f"LIMIT CHANGES {limit} "
            return f"INSERT INTO u SELECT id, v FROM {name} {bound}WHERE {bool(cells)}", ()
        case verb:
            whens = SYNC if verb == "sync" else MERGES[verb]
            return f"MERGE INTO k USING {name} src ON k.id = src.id {whens.text}", ()


def limit_of(cells: Cells) -> int | None:
    """How many changes a consumption takes at most."""
    value = cells[0][1] if cells else None
    return None if value is None else value + 1


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
        case "update from":
            return model_statements.update_from(tx, "k", rows_of(tx, name))
        case "delete using":
            return model_statements.delete_using(tx, "k", rows_of(tx, name))
        case "consume":
            found = consumed(model, tx, step, "u")
            return tx.insert("u", [dict(row.values) for row in found] if cells else [])
        case "sync":
            sources = [
                Source(row.values, row.action, row.is_update)
                for row in consumed(model, tx, step, "k")
            ]
            return model_statements.merge(tx, "k", sources, SYNC.whens)
        case verb:
            sources = [Source(row) for row in rows_of(tx, name)]
            return model_statements.merge(tx, "k", sources, MERGES[verb].whens)


def rows_of(tx: Tx, name: str) -> list[Named]:
    """A table's rows as the transaction sees them."""
    return [row for _, row in tx.rows(name)]


def consumed(model: Model, tx: Tx, step: Step, into: str) -> list[model_streams.StreamRow]:
    """The rows of the window that a statement consumes."""
    limit = limit_of(step.cells)
    window = model_streams.consume(tx, step.name, into=into, limit=limit)
    stream = model_streams.find(tx.snapshot, step.name)
    return model_streams.read(model, stream, *window, tx.snapshot)


@pytest.mark.parametrize("durable", [False, True], ids=["memory", "rocks"])
@settings(max_examples=EXAMPLES)
@given(parts=STEPS)
def test_sql_does_what_the_model_says(
    *, durable: bool, parts: list[list[Step]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path: Path | None = tmp_path_factory.mktemp("sql") / "shop" if durable else None
    run = Run.of(path)
    for step in chain.from_iterable(parts):
        take(run, step)
    run.close()
