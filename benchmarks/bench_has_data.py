"""Has-data, asked for each of ten thousand consumers."""

from benchmarks.common import Figure, cpu_s, interleaved, main, scratch
from benchmarks.material import filled


def figures(quick: bool) -> list[Figure]:
    """CPU of one answer."""
    consumers = 1_000 if quick else 10_000
    with scratch() as folder:
        db, _ = filled(str(folder / "store"), 1000, commit_rows=100)
        stream = db.create_stream("s", on="orders", at=0)
        names = [f"c{n}" for n in range(consumers)]
        for name in names:
            stream.add_consumer(name, kind="CLIENT", at="BASE")

        def ask() -> None:
            for name in names:
                assert stream.has_data(name)

        found = interleaved(5, {"ask": lambda: cpu_s(ask)})
        db.close()
    return [
        Figure(
            name="has-data, CPU per consumer",
            unit="us",
            value=found["ask"] / consumers * 1e6,
            target=20,
            note=f"{consumers:,} consumers of one stream with data to read",
        )
    ]


if __name__ == "__main__":
    main(figures)
