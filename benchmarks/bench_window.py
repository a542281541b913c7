"""A window of 1,000 changes out of a short history and out of a very long one."""

from collections.abc import Callable
from functools import partial

from benchmarks.common import Figure, cpu_s, interleaved, main, scratch
from benchmarks.histories import append, mixed
from headwater.ops.api import Database
from headwater.ops.api_streams import Stream

_ROUNDS, _READS = 9, 20


def figures(quick: bool) -> list[Figure]:
    """CPU of reading the last 1,000 changes, long history over short."""
    short, long = (10_000, 500_000) if quick else (10_000, 10_000_000)
    with scratch() as folder:
        works: dict[str, Callable[[], float]] = {}
        opened: list[Database] = []
        for name, changes in (("short", short), ("long", long)):
            size = min(20_000, changes // 10)
            db, table, _ = mixed(str(folder / name), changes, commit_rows=size)
            append(db.session.log, table.id, 1000, start=table.head * size // 1000)
            opened.append(db)
            last = db.create_stream("last", on="orders", at=table.head - 1)
            works[name] = partial(_reads, last)
        found = interleaved(_ROUNDS, works)
        for db in opened:
            db.close()
    return [
        Figure(
            name="window of 1,000 changes, long history over short",
            unit="x",
            value=found["long"] / found["short"],
            target=1.2,
            note=f"{long:,} changes against {short:,}; "
            f"{found['short'] / _READS * 1e3:.2f} ms CPU a read",
        )
    ]


def _reads(stream: Stream) -> float:
    """CPU seconds of some reads of the whole window."""

    def work() -> None:
        for _ in range(_READS):
            assert stream.arrow().num_rows >= 1000

    return cpu_s(work)


if __name__ == "__main__":
    main(figures)
