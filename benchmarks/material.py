"""The rows, tables and histories that figures are taken of."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

import headwater
from headwater.ops.api import Database
from headwater.ops.api_tables import Table

COLUMNS = {
    "order_id": "INT",
    "customer": "INT",
    "amount": "DECIMAL(10,2)",
    "status": "VARCHAR",
    "note": "VARCHAR",
    "day": "DATE",
}
_STATES = ["new", "paid", "packed", "shipped", "returned"]


def orders(count: int, *, first: int = 0) -> pa.Table:
    """That many rows of six columns, about 40 bytes each; keys rise from `first`."""
    ids = np.arange(first, first + count, dtype=np.int64)
    customers = ids * 2_654_435_761 % 100_000
    cents = pa.array(customers * 7 % 1_000_000, pa.int64())
    states = pa.array(_STATES).take(pa.array(ids % len(_STATES), pa.int64()))
    notes = pa.array(["", "gift", "leave at the door", None]).take(pa.array(ids % 4, pa.int64()))
    days = pa.array((15_000 + ids % 3650).astype(np.int32), pa.int32()).cast(pa.date32())
    amount = cents.cast(pa.decimal128(19, 0)).cast(pa.decimal128(21, 2))
    return pa.table(
        {
            "order_id": pa.array(ids, pa.int64()),
            "customer": pa.array(customers, pa.int64()),
            "amount": amount.cast(pa.decimal128(10, 2)),
            "status": states,
            "note": notes,
            "day": days,
        }
    )


def chunks(count: int, size: int) -> Iterator[pa.Table]:
    """`count` rows in tables of `size`, so that ten million need not be held at once."""
    for first in range(0, count, size):
        yield orders(min(size, count - first), first=first)


def filled(
    path: str, count: int, *, commit_rows: int = 100_000, durability: str = "fsync"
) -> tuple[Database, Table]:
    """A store with one keyed table of `count` rows, in commits of `commit_rows`."""
    db = headwater.connect(path, durability=durability)
    table = db.create_table("orders", COLUMNS, key="order_id")
    for rows in chunks(count, commit_rows):
        table.insert(rows)
    return db, table
