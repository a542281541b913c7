"""Bulk insert from Arrow into a keyed table, against one raw RocksDB put per log, cur and pk."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pyarrow as pa

import headwater
from benchmarks import floors
from benchmarks.common import Figure, cpu_s, interleaved, main, scratch
from benchmarks.material import COLUMNS, orders


def figures(quick: bool) -> list[Figure]:
    """CPU of one bulk insert beside its floor, and rows per CPU second."""
    rows = 100_000 if quick else 1_000_000
    data = orders(rows)
    with scratch() as folder:
        stores = (folder / f"store{n}" for n in count())
        insert(next(stores), data)
        puts = _puts(folder / "store0")
        found = interleaved(
            3,
            {
                "insert": lambda: cpu_s(lambda: insert(next(stores), data)),
                "floor": lambda: floors.put_all(next(_raw(folder)), puts),
            },
        )
    insert_us, floor_us = (found[name] / rows * 1e6 for name in ("insert", "floor"))
    return [
        Figure(
            name="bulk insert, CPU per row",
            unit="us",
            value=insert_us,
            target=2.5 * floor_us,
            floor=floor_us,
            note=f"{rows:,} rows of 6 columns from Arrow, keyed; floor: raw puts of log, cur, pk",
        ),
        Figure(
            name="bulk insert, rate",
            unit="rows/CPU-s",
            value=1e6 / insert_us,
            target=350_000,
            at_least=True,
            note="the same run",
        ),
    ]


def insert(store: Path, data: pa.Table) -> None:
    """One table, one commit, closed."""
    with headwater.connect(str(store)) as db:
        db.create_table("orders", COLUMNS, key="order_id").insert(data)


def _puts(store: Path) -> floors.Puts:
    with headwater.connect(str(store)) as db, db.session.view() as view:
        return floors.real_bytes(view, db.table("orders").id)


_numbers = count()


def _raw(folder: Path) -> Iterator[Path]:
    yield folder / f"raw{next(_numbers)}"


if __name__ == "__main__":
    main(figures)
