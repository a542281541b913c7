"""Updates by key, one a commit, in tables of ten thousand and of a million rows."""

import random
import statistics
import time

from benchmarks import floors
from benchmarks.common import Figure, main, scratch
from benchmarks.material import filled
from headwater.ops.api_tables import Table


def figures(quick: bool) -> list[Figure]:
    """CPU of one update without its flush, and how it grows with the table."""
    small, large = (10_000, 100_000) if quick else (10_000, 1_000_000)
    rounds, commits = (3, 300) if quick else (7, 1000)
    with scratch() as folder:
        stores = {n: filled(str(folder / str(n)), n, durability="os") for n in (small, large)}
        random.seed(7)
        for n, (_, table) in stores.items():
            _updates(table, n, commits)
        taken: dict[int, list[float]] = {small: [], large: []}
        bare: list[float] = []
        for turn in range(rounds):
            bare.append(floors.bare_update_s(folder / f"bare{turn}", commits))
            for n, (_, table) in stores.items():
                taken[n].append(_updates(table, n, commits))
        for db, _ in stores.values():
            db.close()
    cpu = {n: statistics.median(numbers) * 1e6 for n, numbers in taken.items()}
    return [
        Figure(
            name="update by key, CPU without the flush",
            unit="us",
            value=cpu[large],
            target=60,
            floor=statistics.median(bare) * 1e6,
            note=f"single commits without fsync, random keys of {large:,} rows; "
            "floor: its calls of RocksDB, the system and the hash alone, in a small store",
        ),
        Figure(
            name="update by key, growth with the table",
            unit="x",
            value=cpu[large] / cpu[small],
            target=1.2,
            note=f"{large:,} rows against {small:,} ({cpu[small]:.0f} us)",
        ),
    ]


def _updates(table: Table, rows: int, commits: int) -> float:
    """CPU seconds of one update."""
    keys = [random.randrange(rows) for _ in range(commits)]
    start = time.process_time()
    for n, key in enumerate(keys):
        table.update(key=key, set={"status": "shipped", "customer": n})
    return (time.process_time() - start) / commits


if __name__ == "__main__":
    main(figures)
