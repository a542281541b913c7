"""Memory above the idle process: streaming ten million changes, and committing ten million rows.

Each in a child process that reports its peak, measured from where it stood before the work.
"""

import subprocess
import sys
from pathlib import Path

from benchmarks.common import Figure, main, scratch
from benchmarks.histories import mixed
from benchmarks.material import COLUMNS, chunks

_MIB = 1 << 20


def figures(quick: bool) -> list[Figure]:
    """Peak memory over idle of both works."""
    rows = 1_000_000 if quick else 10_000_000
    with scratch() as folder:
        db, _, count = mixed(str(folder / "stream"), rows, commit_rows=10_000)
        db.create_stream("s", on="orders", at=0)
        db.close()
        stream = _child("stream", folder / "stream", rows)
    with scratch() as folder:
        commit = _child("commit", folder / "commit", rows)
    return [
        Figure(
            name="memory, streaming",
            unit="MiB",
            value=stream,
            target=300,
            note=f"{count:,} changes in batches, above the idle process",
        ),
        Figure(
            name="memory, one large commit",
            unit="MiB",
            value=commit,
            target=700,
            note=f"one transaction of {rows:,} rows given in tables of 100,000",
        ),
    ]


def _child(work: str, store: Path, rows: int) -> float:
    command = [sys.executable, "-m", "benchmarks.bench_memory", work, str(store), str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return float(done.stdout.split()[-1])


def _status(field: str) -> int:
    """A figure of this process's memory, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def _work(work: str, store: str, rows: int) -> None:
    import headwater

    db = headwater.connect(store)
    if work == "stream":
        idle = _status("VmRSS")
        with db.stream("s").look() as window:
            seen = sum(batch.num_rows for batch in window.batches())
        assert seen >= rows
    else:
        table = db.create_table("orders", COLUMNS, key="order_id")
        idle = _status("VmRSS")
        with db.transaction() as tx:
            for data in chunks(rows, 100_000):
                tx.insert(table, data)
        assert table.count() == rows
    print((_status("VmHWM") - idle) / _MIB)
    db.close()


if __name__ == "__main__":
    if sys.argv[1:2] in (["stream"], ["commit"]):
        _work(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    else:
        main(figures)
