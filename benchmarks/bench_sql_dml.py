"""Statements that write, each beside what the Python API takes for the same work."""

import statistics
import time
from collections.abc import Callable
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.common import Figure, cpu_s, interleaved, main, scratch
from benchmarks.material import COLUMNS as MATERIAL
from benchmarks.material import chunks, filled
from headwater.ops.api import Database, connect
from headwater.ops.api_tables import Table
from headwater.schemas.arrow import guessed

COLUMNS = {"id": "INT", "name": "VARCHAR(50)", "quantity": "INT", "price": "NUMBER(10,2)"}


def figures(quick: bool) -> list[Figure]:
    """All figures of this module."""
    commits, many, large = (300, 20_000, 100_000) if quick else (1000, 100_000, 1_000_000)
    with scratch() as folder:
        return [
            *_single(str(folder / "single"), commits),
            *_executemany(str(folder / "many"), many),
            *_large(str(folder / "large"), large, commits),
            *_from_stream(str(folder / "stream"), large),
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


def _executemany(path: str, rows: int) -> list[Figure]:
    """Many rows of binds, and the same rows as the API takes them in Arrow, turn by turn."""
    db, bulk, _ = _store(path)
    db.execute("INSERT INTO b (id, name, quantity, price) VALUES (-1, 'first', 0, 0)")
    bulk.insert({"id": -1, "name": "first", "quantity": 0, "price": 0})
    text = "INSERT INTO b (id, name, quantity, price) VALUES (?, ?, ?, ?)"
    by_sql: list[float] = []
    by_api: list[float] = []
    for turn in range(5):
        first = turn * rows
        sent = [(n, f"name {n}", n, 3) for n in range(first, first + rows)]
        columns = {name: [row[at] for row in sent] for at, name in enumerate(COLUMNS)}
        arrow = pa.table({name: guessed(values) for name, values in columns.items()})
        by_sql.append(cpu_s(partial(db.executemany, text, sent)))
        by_api.append(cpu_s(partial(bulk.insert, arrow)))
    db.close()
    spent, floor = statistics.median(by_sql), statistics.median(by_api)
    return [
        Figure(
            name="SQL executemany of INSERT .. VALUES",
            unit="rows/CPU-s",
            value=rows / spent,
            target=300_000,
            at_least=True,
            note=f"{rows:,} rows of four columns into a keyed table with rows, committed",
        ),
        Figure(
            name="SQL executemany over the API's bulk insert",
            unit="x",
            value=spent / floor,
            target=1.1,
            note=f"of the same rows from Arrow, {rows / floor:,.0f} rows/CPU-s, turn by turn",
        ),
    ]


def _large(path: str, rows: int, commits: int) -> list[Figure]:
    db, table = filled(path, rows, durability="os")
    name = table.name
    keys = iter(range(1 << 40))
    text = f"UPDATE {name} SET status = ?, customer = ? WHERE order_id = ?"

    def by_sql() -> None:
        key = next(keys) % rows
        db.execute(text, ("shipped", key, key))

    def by_api() -> None:
        key = next(keys) % rows
        table.update(key=key, set={"status": "shipped", "customer": key})

    single = interleaved(
        7, {"sql": lambda: _each(by_sql, commits), "api": lambda: _each(by_api, commits)}
    )
    db.execute(f"SELECT COUNT(*) FROM {name}").fetchall()
    where = f"UPDATE {name} SET status = 'sent' WHERE MOD(customer, 10) = 3"
    wide = statistics.median(cpu_s(lambda: db.execute(where)) for _ in range(3))
    hit = db.execute(where).rowcount
    db.close()
    return [
        Figure(
            name="SQL UPDATE by key with binds",
            unit="us",
            value=single["sql"] * 1e6,
            target=100,
            note=f"autocommit, no fsync, in a table of {rows:,} rows",
        ),
        Figure(
            name="SQL UPDATE by key with binds, CPU over the API's update",
            unit="us",
            value=(single["sql"] - single["api"]) * 1e6,
            target=40,
            note=f"the API's own update of the same columns: {single['api'] * 1e6:.0f} us",
        ),
        Figure(
            name="SQL UPDATE .. WHERE without the key",
            unit="CPU-s",
            value=wide,
            target=1.5,
            note=f"{rows:,} rows, {hit:,} hit, committed",
        ),
    ]


_FROM_STREAM = "SELECT order_id, customer, amount, status, note, day, METADATA$ACTION {}FROM s"


def _from_stream(path: str, changes: int) -> list[Figure]:
    """A stream's whole window into another table, its watermark included, and its two halves."""
    db, table = filled(path, 1, durability="os")
    db.create_stream("s", table)
    for rows in chunks(changes, 100_000):
        table.insert(shifted(rows))
    columns = {**MATERIAL, "action": "VARCHAR"}
    db.create_table("t", columns)
    bulk = db.create_table("u", columns)
    # The first query of a process loads the engine.
    db.execute("SELECT COUNT(*) FROM u").fetchall()
    read: list[pa.Table] = []

    def look() -> None:
        read[:] = [db.execute(_FROM_STREAM.format("AS action ")).arrow()]

    looking = statistics.median(cpu_s(look) for _ in range(3))
    spent = cpu_s(lambda: db.execute("INSERT INTO t " + _FROM_STREAM.format("")))
    inserting = cpu_s(lambda: bulk.insert(read[0]))
    db.close()
    return [
        Figure(
            name="SQL INSERT .. SELECT FROM a stream",
            unit="changes/CPU-s",
            value=changes / spent,
            target=350_000,
            at_least=True,
            note=f"{changes:,} changes of six columns into a table without a key",
        ),
        Figure(
            name="SQL INSERT .. SELECT FROM a stream over its halves",
            unit="x",
            value=spent / (looking + inserting),
            target=1.1,
            note=f"reading the window {looking / changes * 1e6:.2f} us a change, the API's bulk "
            f"insert of the rows {inserting / changes * 1e6:.2f} us",
        ),
    ]


def shifted(rows: pa.Table) -> pa.Table:
    """The same rows under keys that are free."""
    keys = pc.add(rows.column("order_id"), 1)
    return rows.set_column(0, "order_id", keys)


if __name__ == "__main__":
    main(figures)
