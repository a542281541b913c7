"""SELECT over a warm snapshot beside DuckDB on its own table; a stream's window through SQL."""

from collections.abc import Callable, Mapping

import duckdb
import numpy as np
import pyarrow as pa

import headwater
from benchmarks.common import Figure, cpu_s, interleaved, main, scratch
from benchmarks.histories import mixed
from headwater.ops.api import Database

QUERIES = {
    "count": "SELECT COUNT(*) AS n FROM t",
    "sum": "SELECT SUM(a) AS s, MAX(b) AS m FROM t WHERE g < 50",
    "group by": "SELECT g, COUNT(*) AS n, SUM(a) AS s FROM t GROUP BY g",
    "group by text": "SELECT s, COUNT(*) AS n, SUM(a) AS x FROM t GROUP BY s",
}


def figures(quick: bool) -> list[Figure]:
    """CPU ratios, both sides in the same rounds; and what a repeated small query costs."""
    rows = 100_000 if quick else 1_000_000
    with scratch() as folder:
        found = [*_snapshot(rows), *_small(), *_stream(str(folder / "store"), rows)]
    return found


def _data(rows: int) -> pa.Table:
    numbers = np.arange(rows, dtype=np.int64)
    return pa.table(
        {
            "id": pa.array(numbers),
            "g": pa.array(numbers % 100),
            "a": pa.array(numbers * 7 % 1000),
            "b": pa.array(numbers * 13 % 77777),
            "s": pa.array([f"name {at % 1000}" for at in range(rows)]),
        }
    )


def _loaded(rows: int) -> Database:
    db = headwater.connect("memory:")
    db.execute("CREATE TABLE t (id INT PRIMARY KEY, g INT, a INT, b INT, s VARCHAR)")
    db.table("t").insert(_data(rows))
    return db


def _asks(db: Database, text: str) -> Callable[[], object]:
    return lambda: db.sql.execute(text)[-1].table()


def _snapshot(rows: int) -> list[Figure]:
    made: list[Figure] = []
    with _loaded(rows) as db, duckdb.connect(":memory:", config={"threads": 2}) as other:
        given = _data(rows)
        other.register("given", given)
        other.execute("CREATE TABLE t AS SELECT * FROM given")
        for name, text in QUERIES.items():
            seconds = _beside(_asks(db, text), _asks_duckdb(other, text))
            made.append(
                Figure(
                    name=f"SELECT {name} over {rows:,} rows, warm",
                    unit="x DuckDB",
                    value=seconds["ours"] / seconds["floor"],
                    target=3.0,
                    note=f"{seconds['ours'] * 1e3:.2f} ms CPU against {seconds['floor'] * 1e3:.2f}",
                )
            )
    return made


def _asks_duckdb(other: duckdb.DuckDBPyConnection, text: str) -> Callable[[], object]:
    return lambda: other.sql(text).to_arrow_table()


def _beside(ours: Callable[[], object], floor: Callable[[], object]) -> Mapping[str, float]:
    ours()
    return interleaved(7, {"ours": lambda: cpu_s(ours), "floor": lambda: cpu_s(floor)})


def _small() -> list[Figure]:
    with _loaded(1000) as db:
        by_key = _asks(db, "SELECT a, s FROM t WHERE id = 77")
        filtered = _asks(db, "SELECT g, COUNT(*) AS n FROM t WHERE a > 500 GROUP BY g")
        by_key()
        filtered()

        def many(ask: Callable[[], object]) -> Callable[[], float]:
            return lambda: cpu_s(lambda: [ask() for _ in range(100)])

        seconds = interleaved(5, {"key": many(by_key), "query": many(filtered)})
    return [
        Figure(
            name="SELECT by key, warm",
            unit="us",
            value=seconds["key"] * 1e4,
            target=100,
            note="1,000 rows, autocommit, text known",
        ),
        Figure(
            name="SELECT .. GROUP BY over 1,000 rows, warm",
            unit="us",
            value=seconds["query"] * 1e4,
            target=3000,
            note="DuckDB alone takes 0.5-2 ms of it",
        ),
    ]


def _stream(folder: str, changes: int) -> list[Figure]:
    db, _, count = mixed(folder, changes)
    stream = db.create_stream("all_orders", on="orders", at=0)
    ask = _asks(db, "SELECT * FROM all_orders")
    seconds = interleaved(3, {"sql": lambda: cpu_s(ask), "python": lambda: cpu_s(stream.arrow)})
    db.close()
    return [
        Figure(
            name="SELECT * FROM stream to Arrow",
            unit="x Python API",
            value=seconds["sql"] / seconds["python"],
            target=1.5,
            note=f"{count:,} changes, {seconds['sql']:.2f} s CPU against {seconds['python']:.2f}",
        )
    ]


if __name__ == "__main__":
    main(figures)
