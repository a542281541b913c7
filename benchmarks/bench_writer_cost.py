"""What streams cost the writer: instructions per commit with 20 streams and 100 consumers on the
table against none, counted by perf, or by valgrind where perf does not count.

Two lengths of the same run are taken, so that start-up cancels out.
"""

import gc
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from benchmarks.common import Figure, interleaved, main, scratch
from benchmarks.material import COLUMNS

_STREAMS, _CONSUMERS = 20, 5


def figures(quick: bool) -> list[Figure]:
    """Instructions per commit, and bytes the store wrote per commit, with streams over without."""
    commits = 300 if quick else 1500
    with scratch() as folder:
        works = {name: partial(_per_commit, folder, name, commits) for name in ("none", "streams")}
        found = interleaved(1, works)  # counted, not timed: one round says it
        sizes = {name: _log_bytes(folder, name, commits) for name in works}
    return [
        Figure(
            name="writer's instructions, streams over none",
            unit="x",
            value=found["streams"] / found["none"],
            target=1.02,
            note=f"{_STREAMS} streams, {_STREAMS * _CONSUMERS} consumers; "
            f"{found['none'] / 1e3:,.0f} thousand a commit ({_counter()})",
        ),
        Figure(
            name="writer's bytes to the write-ahead log, streams over none",
            unit="x",
            value=sizes["streams"] / sizes["none"],
            target=1.0,
            note=f"{sizes['none']:.0f} bytes a commit",
        ),
    ]


def _counter() -> str:
    """perf where it counts instructions, else valgrind."""
    if shutil.which("perf"):
        probe = subprocess.run(
            ["perf", "stat", "-e", "instructions:u", "true"],
            capture_output=True,
            text=True,
            check=False,
        )
        if probe.returncode == 0 and "not supported" not in probe.stderr:
            return "perf"
    return "callgrind"


def _per_commit(folder: Path, setting: str, commits: int) -> float:
    """Instructions of one commit: a long run less a short one, over the difference."""
    short, long = commits // 10, commits
    counts = {n: _count(folder / f"{setting}{n}", setting, n) for n in (short, long)}
    return (counts[long] - counts[short]) / (long - short)


def _count(store: Path, setting: str, commits: int) -> int:
    shutil.rmtree(store, ignore_errors=True)
    steady = {**os.environ, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    work = [sys.executable, "-m", "benchmarks.bench_writer_cost", setting, str(store), str(commits)]
    if _counter() == "perf":
        done = subprocess.run(
            ["perf", "stat", "-x,", "-e", "instructions:u", *work],
            env=steady,
            capture_output=True,
            text=True,
            check=False,
        )
        found = re.search(r"^(\d+),", done.stderr, re.MULTILINE)
    else:
        out = "--callgrind-out-file=/dev/null"
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", out, *work],
            env=steady,
            capture_output=True,
            text=True,
            check=False,
        )
        found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None:
        raise RuntimeError(done.stderr)
    return int(found[1])


def _log_bytes(folder: Path, setting: str, commits: int) -> float:
    """Bytes of write-ahead log per commit: the long run less the short one."""
    sizes = [
        sum(f.stat().st_size for f in (folder / f"{setting}{n}").rglob("*.log") if f.stem.isdigit())
        for n in (commits // 10, commits)
    ]
    return (sizes[1] - sizes[0]) / (commits - commits // 10)


def _work(setting: str, store: str, commits: int) -> None:
    import headwater

    row = {"customer": 7, "amount": "12.30", "status": "new", "note": None, "day": "2024-05-01"}
    db = headwater.connect(store, durability="os")
    table = db.create_table("orders", COLUMNS, key="order_id")
    other = db.create_table("other", COLUMNS, key="order_id")
    if setting == "streams":
        for n in range(_STREAMS):
            stream = db.create_stream(f"s{n}", on="orders")
            for c in range(_CONSUMERS):
                stream.add_consumer(f"c{c}", kind="CLIENT", at="BASE")
    else:
        # As many commits as the streams took, so that numbers are as long in both.
        for key in range(_STREAMS * (_CONSUMERS + 1)):
            other.insert({"order_id": key, **row})
    # The collector's turns come by count of objects: in one run of the two, not in the other.
    gc.disable()
    for key in range(commits):
        table.insert({"order_id": key, **row})
    # A clean close would empty the write-ahead log, whose size is a figure.
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1:2] in (["none"], ["streams"]):
        _work(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    else:
        main(figures)
