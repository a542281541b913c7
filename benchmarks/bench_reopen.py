"""Opening a store: after kill -9 with 256 MB of write-ahead log, and as its log grows tenfold."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.common import Figure, interleaved, main, scratch
from benchmarks.histories import append, mixed

_MB = 1_000_000


def figures(quick: bool) -> list[Figure]:
    """Seconds until the first read after a kill, and a large log's opening over a small one's."""
    wal, small, large = (32, 10, 100) if quick else (256, 100, 1000)
    with scratch() as folder:
        killed = _after_kill(folder / "killed", wal * _MB)
        for size in (small, large):
            _sized(folder / str(size), size * _MB)
        found = interleaved(
            7,
            {
                "small": lambda: _open(folder / str(small))[0],
                "large": lambda: _open(folder / str(large))[0],
            },
        )
    return [
        Figure(
            name="reopen after kill -9",
            unit="s",
            value=killed[0],
            target=2,
            note=f"{killed[2] / _MB:.0f} MB of write-ahead log left behind; "
            f"{killed[1]:.2f} s of CPU",
        ),
        Figure(
            name="reopen, large log over small",
            unit="x",
            value=found["large"] / found["small"],
            target=1.2,
            note=f"{large} MB of events against {small} MB; {found['small'] * 1e3:.0f} ms",
        ),
    ]


def _after_kill(store: Path, wal: int) -> tuple[float, float, int]:
    """Seconds and CPU seconds of opening after a kill, and the write-ahead log it left."""
    command = [sys.executable, "-m", "benchmarks.bench_reopen", "write", str(store), str(wal)]
    writer = subprocess.run(command, check=False)
    if writer.returncode != -signal.SIGKILL:
        raise RuntimeError("the writer was not killed")
    left = _wal_bytes(store)
    return *_open(store), left


def _sized(store: Path, size: int) -> None:
    """A store with so many bytes of events, closed cleanly."""
    db, table, _ = mixed(str(store), 1000)
    written, number = 0, 2
    while written < size:
        append(db.session.log, table.id, 10_000, commit_rows=10_000, start=number)
        number += 1
        with db.session.view() as view:
            written = view.head(table.id).counts.bytes
    db.close()


def _open(store: Path) -> tuple[float, float]:
    """Seconds and CPU seconds from nothing to the first row count, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bench_reopen", "open", str(store)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    seconds, cpu = done.stdout.split()
    return float(seconds), float(cpu)


def _wal_bytes(store: Path) -> int:
    return sum(file.stat().st_size for file in store.rglob("*.log") if file.stem.isdigit())


def _work(work: str, store: str, wal: int) -> None:
    import headwater

    if work == "open":
        start, cpu = time.perf_counter(), time.process_time()
        db = headwater.connect(store)
        assert db.table("orders").count()
        print(time.perf_counter() - start, time.process_time() - cpu)
        db.close()
        return
    db, table, _ = mixed(store, 1000)
    number = 1
    # Small commits, as they come in; the limit is met or the store itself lets go of the log.
    peak = 0
    while (size := _wal_bytes(Path(store))) < wal and size >= peak:
        peak = size
        for _ in range(20):
            append(db.session.log, table.id, 1000, start=number)
            number += 1
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    if sys.argv[1:2] in (["open"], ["write"]):
        _work(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    else:
        main(figures)
