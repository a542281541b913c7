"""Several nodes of one prefix: from a commit to another node's stream, a takeover, commits sent on.

The nodes are processes of their own, the broker is `HEADWATER_TEST_KAFKA` or one started from jars.
All times are by one clock, which the processes of a machine share.
"""

import multiprocessing
import os
import signal
import statistics
import time
from multiprocessing.connection import Connection
from pathlib import Path

import headwater
from benchmarks.bench_kafka import broker
from benchmarks.common import Figure, main, scratch
from headwater.ops.api import Database

_CONTEXT = multiprocessing.get_context("spawn")
# Commits come one by one, as from a person or a sensor; not as fast as they can.
_SPACING_S = 0.02


def figures(quick: bool) -> list[Figure]:
    """Commit to visible, a commit sent to the writer, takeover after kill -9, hand-over at close."""
    commits, takeovers = (100, 1) if quick else (1000, 5)
    with broker() as brokers, scratch() as folder:
        return [
            *_visible(brokers, folder, commits),
            _takeover(brokers, folder, takeovers),
        ]


def _target(brokers: str, folder: Path, prefix: str, node: str) -> str:
    return f"kafka://{brokers}/{prefix}?dir={folder / prefix / node}"


def _read(target: str, commits: int, pipe: Connection) -> None:
    """Another node: note when each version can be read from the stream."""
    with headwater.connect(target) as db:
        stream, table = db.stream("s"), db.table("t")
        seen, at = table.head, db.sequence
        times: dict[int, int] = {}
        pipe.send("ready")
        while len(times) < commits:
            at = db.wait(at, 1.0)
            head = table.head
            if head > seen:
                rows = stream.between(seen, head)
                now = time.monotonic_ns()
                assert rows.num_rows == head - seen
                times |= dict.fromkeys(range(seen + 1, head + 1), now)
                seen = head
        pipe.send(times)
        sent = _inserts(db, 1_000_000, commits // 5)
        pipe.send(sent)


def _inserts(db: Database, first: int, count: int) -> list[float]:
    """Milliseconds of each insert of a row."""
    table, taken = db.table("t"), list[float]()
    for number in range(count):
        start = time.monotonic()
        table.insert({"id": first + number, "v": "x" * 100})
        taken.append((time.monotonic() - start) * 1000)
    return taken


def _visible(brokers: str, folder: Path, commits: int) -> list[Figure]:
    prefix = f"b{os.urandom(5).hex()}"
    with headwater.connect(_target(brokers, folder, prefix, "one")) as db:
        table = db.create_table("t", {"id": "INT", "v": "VARCHAR"}, key="id")
        db.create_stream("s", on="t")
        ours, theirs = _CONTEXT.Pipe()
        other = _target(brokers, folder, prefix, "two")
        process = _CONTEXT.Process(target=_read, args=(other, commits, theirs), daemon=True)
        process.start()
        assert ours.recv() == "ready"
        begun, done = dict[int, int](), dict[int, int]()
        for number in range(commits):
            start = time.monotonic_ns()
            table.insert({"id": number, "v": "x" * 100})
            begun[number + 1], done[number + 1] = start, time.monotonic_ns()
            time.sleep(_SPACING_S)
        seen, sent = ours.recv(), ours.recv()
        process.join(60)
    from_call = sorted((seen[v] - begun[v]) / 1e6 for v in begun)
    from_answer = statistics.median((seen[v] - done[v]) / 1e6 for v in begun)
    own = statistics.median((done[v] - begun[v]) / 1e6 for v in begun)
    p50, p99 = statistics.median(from_call), from_call[int(len(from_call) * 0.99)]
    return [
        Figure(
            name="Kafka: commit to visible in another node's stream, p50",
            unit="ms",
            value=p50,
            target=15,
            floor=own,
            note=f"from the call; {from_answer:+.1f} ms from its answer; floor: the commit itself",
        ),
        Figure(
            name="Kafka: commit to visible in another node's stream, p99",
            unit="ms",
            value=p99,
            target=50,
            note=f"{commits:,} commits, one each {_SPACING_S * 1000:.0f} ms",
        ),
        Figure(
            name="Kafka: commit sent to the writer by another node, p50",
            unit="ms",
            value=statistics.median(sent),
            target=4 * own,
            floor=own,
            note="back to back; floor: the same on the writer, from the run above",
        ),
    ]


def _write(target: str, pipe: Connection) -> None:
    """A writer that commits until it is killed."""
    with headwater.connect(target) as db:
        db.create_table("t", {"id": "INT", "v": "VARCHAR"}, key="id", if_not_exists=True)
        pipe.send("ready")
        number = db.sequence * 1000
        while True:
            number += 1
            db.table("t").insert({"id": number, "v": "x"})


def _takeover(brokers: str, folder: Path, times: int) -> Figure:
    taken: list[float] = []
    for turn in range(times):
        prefix = f"b{os.urandom(5).hex()}"
        ours, theirs = _CONTEXT.Pipe()
        target = _target(brokers, folder, prefix, "one")
        process = _CONTEXT.Process(target=_write, args=(target, theirs), daemon=True)
        process.start()
        assert ours.recv() == "ready"
        with headwater.connect(_target(brokers, folder, prefix, "two")) as db:
            db.wait_for(db.sequence + 50, 60)
            assert process.pid is not None
            start = time.monotonic()
            os.kill(process.pid, signal.SIGKILL)
            db.table("t").insert({"id": -1 - turn, "v": "taken over"})
            taken.append(time.monotonic() - start)
        process.join(30)
    return Figure(
        name="Kafka: kill -9 of the writer to the next acknowledged commit",
        unit="s",
        value=max(taken),
        target=15,
        note=f"the longest of {times}, median {statistics.median(taken):.1f} s; session 6 s",
    )


if __name__ == "__main__":
    main(figures)
