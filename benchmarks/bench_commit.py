"""Durable single-row commits: alone against one fdatasync, and 64 threads against one."""

import statistics
import time
from threading import Thread

import headwater
from benchmarks import floors
from benchmarks.common import Figure, main, scratch
from benchmarks.material import COLUMNS
from headwater.ops.api_tables import Table

_ROW = {"customer": 7, "amount": "12.30", "status": "new", "note": None, "day": "2024-05-01"}
_BYTES = 420  # what such a commit adds to the write-ahead log
_THREADS = 64


def figures(quick: bool) -> list[Figure]:
    """One commit's time and CPU alone, and the rate of 64 threads over that of one."""
    rounds, commits = (3, 200) if quick else (7, 1000)
    walls: list[float] = []
    cpus: list[float] = []
    floor: list[floors.Flush] = []
    rates: list[float] = []
    handed: list[float] = []
    with scratch() as folder:
        db = headwater.connect(str(folder / "store"))
        table = db.create_table("orders", COLUMNS, key="order_id")
        _alone(table, 0, commits)
        first = commits
        for _ in range(rounds):
            floor.append(floors.flush(folder, _BYTES, commits))
            wall, cpu = _alone(table, first, commits)
            walls.append(wall)
            cpus.append(cpu)
            first += commits
            rates.append(_together(table, first, commits * 4))
            handed.append(floors.handed_s(folder, _BYTES, _THREADS, commits * 4 // _THREADS))
            first += commits * 4
        db.close()
    sync_us = statistics.median(f.wall_s for f in floor) * 1e6
    sync_cpu_us = statistics.median(f.cpu_s for f in floor) * 1e6
    handed_us = statistics.median(handed) * 1e6
    wall_us, cpu_us = statistics.median(walls) * 1e6, statistics.median(cpus) * 1e6
    return [
        Figure(
            name="durable commit alone, CPU beyond the flush",
            unit="us",
            value=cpu_us - sync_cpu_us,
            target=100,
            note=f"autocommit insert of one row; {cpu_us:.0f} us with the flush's {sync_cpu_us:.0f}",
        ),
        Figure(
            name="durable commit alone, time",
            unit="us",
            value=wall_us,
            target=sync_us + 100,
            floor=sync_us,
            note="floor: append and fdatasync of the same bytes",
        ),
        Figure(
            name="durable commits, 64 threads over one",
            unit="x",
            value=statistics.median(rates) * wall_us / 1e6,
            target=5,
            at_least=True,
            # All of a commit's own CPU runs under Python's one lock, in one thread or in many.
            floor=wall_us / (cpu_us - sync_cpu_us + handed_us),
            note=f"{statistics.median(rates):,.0f}/s against {1e6 / wall_us:,.0f}/s, one table; "
            f"floor: {cpu_us - sync_cpu_us:.0f} us of CPU and {handed_us:.0f} us to hand over",
        ),
    ]


def _alone(table: Table, first: int, commits: int) -> tuple[float, float]:
    """Median seconds and mean CPU seconds of a commit."""
    walls: list[float] = []
    cpu = time.process_time()
    for key in range(first, first + commits):
        start = time.perf_counter()
        table.insert({"order_id": key, **_ROW})
        walls.append(time.perf_counter() - start)
    return statistics.median(walls), (time.process_time() - cpu) / commits


def _together(table: Table, first: int, commits: int) -> float:
    """Commits per second of 64 threads on one table."""
    each = commits // _THREADS

    def work(thread: int) -> None:
        for n in range(each):
            table.insert({"order_id": first + thread * each + n, **_ROW})

    threads = [Thread(target=work, args=(n,)) for n in range(_THREADS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return each * _THREADS / (time.perf_counter() - start)


if __name__ == "__main__":
    main(figures)
