"""Statements that write, each beside what the Python API takes for the same work."""

import statistics
import time
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.common import Figure, cpu_s, interleaved, main, scratch
from benchmarks.material import COLUMNS as MATERIAL
from benchmarks.material import chunks, filled
from headwater.ops.api import Database, connect
from headwater.ops.api_tables import Table

COLUMNS = {"id": "INT", "name": "VARCHAR(50)", "quantity": "INT", "price": "NUMBER(10,2)"}


def figures(quick: bool) -> list[Figure]:
    """All figures of this module."""
    commits, many, large = (300, 20_000, 100_000) if quick else (1000, 100_000, 1_000_000)
    with scratch() as folder:
        return [
            *_single(str(folder / "single"), commits),
            _executemany(str(folder / "many"), many),
            *_large(str(folder / "large"), large, commits),
            _from_stream(str(folder / "stream"), large),
        ]


def _store(path: str) -> tuple[Database, Table, Table]:
    db = connect(path, durability="os")
    tables = [db.create_table(name, COLUMNS, key="id") for name in ("a", "b")]
    return db, tables[0], tables[1]


def _single(path: str, commits: int) -> list[Figure]:
    """One row a commit, through SQL and through the API, turn by turn."""
    db, table, _ = _store(path)
    numbers = iter(range(1 << 40))

    def by_sql() -> None:
        n = next(numbers)
        text = "INSERT INTO b (id, name, quantity, price) VALUES (?, ?, ?, ?)"
        db.execute(text, (n, "abc", n, 3))

    def by_api() -> None:
        n = next(numbers)
        table.insert({"id": n, "name": "abc", "quantity": n, "price": 3})

    taken = interleaved(
        9, {"sql": lambda: _each(by_sql, commits), "api": lambda: _each(by_api, commits)}
    )
    db.close()
    return [
        Figure(
            name="SQL INSERT of one row with binds, CPU over the API's commit",
            unit="us",
            value=(taken["sql"] - taken["api"]) * 1e6,
            target=40,
            note=f"autocommit, no fsync; the API's own commit: {taken['api'] * 1e6:.0f} us",
        )
    ]


def _each(call: Callable[[], None], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - start) / times


def _executemany(path: str, rows: int) -> Figure:
    db, _, _ = _store(path)
    rates: list[float] = []
    for turn in range(4):
        first = turn * rows
        sent = [(n, f"name {n}", n, 3) for n in range(first, first + rows)]
        text = "INSERT INTO b (id, name, quantity, price) VALUES (?, ?, ?, ?)"

        def run(text: str = text, sent: list[tuple[int, str, int, int]] = sent) -> None:
            db.executemany(text, sent)

        rates.append(rows / cpu_s(run))
    db.close()
    return Figure(
        name="SQL executemany of INSERT .. VALUES",
        unit="rows/CPU-s",
        value=statistics.median(rates[1:]),
        target=300_000,
        at_least=True,
        note=f"{rows:,} rows of four columns, committed",
    )


def _large(path: str, rows: int, commits: int) -> list[Figure]:
    db, table = filled(path, rows, durability="os")
    name = table.name
    keys = iter(range(rows))
    text = f"UPDATE {name} SET status = ?, customer = ? WHERE order_id = ?"

    def by_key() -> None:
        key = next(keys)
        db.execute(text, ("shipped", key, key))

    single = statistics.median(_each(by_key, commits) for _ in range(5))
    db.execute(f"SELECT COUNT(*) FROM {name}").fetchall()
    where = f"UPDATE {name} SET status = 'sent' WHERE MOD(customer, 10) = 3"
    wide = statistics.median(cpu_s(lambda: db.execute(where)) for _ in range(3))
    hit = db.execute(where).rowcount
    db.close()
    return [
        Figure(
            name="SQL UPDATE by key with binds",
            unit="us",
            value=single * 1e6,
            target=100,
            note=f"autocommit, no fsync, in a table of {rows:,} rows",
        ),
        Figure(
            name="SQL UPDATE .. WHERE without the key",
            unit="CPU-s",
            value=wide,
            target=1.5,
            note=f"{rows:,} rows, {hit:,} hit, committed",
        ),
    ]


def _from_stream(path: str, changes: int) -> Figure:
    """A stream's whole window into another table, its watermark included."""
    db, table = filled(path, 1, durability="os")
    db.create_stream("s", table)
    for rows in chunks(changes, 100_000):
        table.insert(shifted(rows))
    db.create_table("t", {**MATERIAL, "action": "VARCHAR"})
    text = (
        "INSERT INTO t SELECT order_id, customer, amount, status, note, day, METADATA$ACTION FROM s"
    )
    spent = cpu_s(lambda: db.execute(text))
    db.close()
    return Figure(
        name="SQL INSERT .. SELECT FROM a stream",
        unit="changes/CPU-s",
        value=changes / spent,
        target=350_000,
        at_least=True,
        note=f"{changes:,} changes of six columns into a table without a key",
    )


def shifted(rows: pa.Table) -> pa.Table:
    """The same rows under keys that are free."""
    keys = pc.add(rows.column("order_id"), 1)
    return rows.set_column(0, "order_id", keys)


if __name__ == "__main__":
    main(figures)
