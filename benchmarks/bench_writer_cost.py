"""What streams cost the writer: instructions and bytes per commit with 20 streams and 100 consumers
on the table against none, counted by valgrind from the first of these commits to the last.
"""

import gc
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.common import Figure, main, scratch
from benchmarks.material import COLUMNS

_STREAMS, _CONSUMERS = 20, 5
_ROW = {"customer": 7, "amount": "12.30", "status": "new", "note": None, "day": "2024-05-01"}


def figures(quick: bool) -> list[Figure]:
    """Instructions per commit, and bytes the store wrote per commit, with streams over without."""
    commits = 300 if quick else 2000
    with scratch() as folder:
        # A store is named after its directory, and its name is in every event: the same for all.
        none, streams = (_counted(folder / s / "shop", s, commits) for s in ("none", "streams"))
        none_bytes, streams_bytes = (
            _bytes(folder / "bytes" / s / "shop", s) for s in ("none", "streams")
        )
    return [
        Figure(
            name="writer's instructions, streams over none",
            unit="x",
            value=streams / none,
            target=1.02,
            note=f"{_STREAMS} streams, {_STREAMS * _CONSUMERS} consumers; "
            f"{none / 1e3:,.0f} thousand a commit over {commits:,} (callgrind)",
        ),
        Figure(
            name="writer's bytes to the write-ahead log, streams over none",
            unit="x",
            value=streams_bytes / none_bytes,
            target=1.0,
            note=f"{none_bytes:.1f} bytes a commit",
        ),
    ]


def _bytes(store: Path, setting: str) -> float:
    """Bytes that one commit adds to the write-ahead log."""
    commits = 300
    done = subprocess.run(
        _command(store, setting, commits), input="go\n", capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1]) / commits


def _command(store: Path, setting: str, commits: int) -> list[str]:
    module = "benchmarks.bench_writer_cost"
    return [sys.executable, "-m", module, setting, str(store), str(commits)]


def _counted(store: Path, setting: str, commits: int) -> float:
    """Instructions of one commit; the set-up before them is not counted."""
    if shutil.which("valgrind") is None:
        raise RuntimeError("instructions are counted by valgrind, which is not installed")
    tool = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    child = subprocess.Popen(
        [*tool, "--instr-atstart=no", *_command(store, setting, commits)],
        env={**os.environ, "PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    child.stdout.readline()  # it is ready
    control = ["callgrind_control", "-i", "on", str(child.pid)]
    subprocess.run(control, check=True, capture_output=True)
    _, errors = child.communicate("go\n")
    found = re.search(r"Collected : (\d+)", errors)
    if child.returncode or found is None:
        raise RuntimeError(errors)
    return int(found[1]) / commits


def _work(setting: str, store: str, commits: int) -> None:
    """Set up, say so, wait for the word, commit; print the bytes that took."""
    import headwater

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
            other.insert({"order_id": key, **_ROW})
    for key in range(10):
        table.insert({"order_id": -1 - key, **_ROW})
    # The collector's turns come by count of objects: in one run of the two, not in the other.
    gc.disable()
    before = _wal_bytes(Path(store))
    print("ready", flush=True)
    sys.stdin.readline()
    for key in range(commits):
        table.insert({"order_id": key, **_ROW})
    print(_wal_bytes(Path(store)) - before, flush=True)
    # A clean close would be counted too.
    os._exit(0)


def _wal_bytes(store: Path) -> int:
    return sum(file.stat().st_size for file in store.rglob("*.log") if file.stem.isdigit())


if __name__ == "__main__":
    if sys.argv[1:2] in (["none"], ["streams"]):
        _work(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    else:
        main(figures)
