"""Snapshots: the head from the store, past versions by replay in both directions, the cache."""

from benchmarks.common import Figure, cpu_s, interleaved, main, scratch
from benchmarks.histories import mixed
from headwater.log_store.snapshots import Snapshot, SnapshotCache
from headwater.log_store.state import snapshot


def figures(quick: bool) -> list[Figure]:
    """CPU of a whole table as of its head, of its middle, and of one commit further."""
    changes = 100_000 if quick else 1_000_000
    with scratch() as folder:
        db, table, count = mixed(str(folder / "store"), changes)
        view = db.session.view()
        head = view.head(table.id).version
        rows = view.row_count(table.id)
        warm = SnapshotCache(1 << 30)
        snapshot(view, table.id, head - 1, cache=warm)
        last = warm.near(table.id, table.schema)[0]

        def step() -> Snapshot:
            cache = SnapshotCache(1 << 30)
            cache.put(last)
            return snapshot(view, table.id, cache=cache)

        found = interleaved(
            3,
            {
                "head": lambda: cpu_s(lambda: snapshot(view, table.id)),
                "middle": lambda: cpu_s(lambda: snapshot(view, table.id, head // 2)),
                "recent": lambda: cpu_s(lambda: snapshot(view, table.id, head - head // 20)),
                "step": lambda: cpu_s(step),
            },
        )
        view.close()
        db.close()
    return [
        Figure(
            name="snapshot of the head, CPU per row",
            unit="us",
            value=found["head"] / rows * 1e6,
            target=1.0,
            note=f"{rows:,} rows, nothing cached",
        ),
        Figure(
            name="snapshot of the middle, CPU per event replayed",
            unit="us",
            value=found["middle"] / (count / 2) * 1e6,
            target=0.5,
            note=f"{count // 2:,} events from the start, nothing cached",
        ),
        Figure(
            name="snapshot 5% back, CPU per row",
            unit="us",
            value=found["recent"] / rows * 1e6,
            target=1.0,
            note="from whatever is cheapest, nothing cached",
        ),
        Figure(
            name="snapshot one commit after a cached one",
            unit="ms",
            value=found["step"] * 1e3,
            target=200 if not quick else 40,
            note=f"1,000 events onto {rows:,} rows",
        ),
    ]


if __name__ == "__main__":
    main(figures)
