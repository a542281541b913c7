"""A stream's window of a million changes, to Arrow and to Python tuples."""

from benchmarks.common import Figure, cpu_s, interleaved, main, scratch
from benchmarks.histories import mixed
from headwater.consumers.look import shown_window
from headwater.consumers.read import read
from headwater.schemas.arrow_plain import to_plains


def figures(quick: bool) -> list[Figure]:
    """CPU per change, beside a bare walk over the log's blocks."""
    changes = 100_000 if quick else 1_000_000
    with scratch() as folder:
        db, table, count = mixed(str(folder / "store"), changes)
        stream = db.create_stream("all_orders", on="orders", at=0)

        def scan() -> None:
            with db.session.view() as view:
                for _ in view.blocks(table.id, 0, view.head(table.id).version):
                    pass

        def tuples() -> None:
            with db.session.view() as view:
                of = view.catalog.table(table.id)
                window = shown_window(view, stream.definition, None)
                for batch in read(view, stream.definition, window):
                    columns = [
                        to_plains(column.type, batch.column(column.name))
                        for column in of.schema.columns
                    ]
                    more = (c.to_pylist() for c in batch.columns[len(columns) :])
                    assert len(list(zip(*columns, *more, strict=True))) == batch.num_rows

        found = interleaved(
            3,
            {
                "arrow": lambda: cpu_s(stream.arrow),
                "tuples": lambda: cpu_s(tuples),
                "floor": lambda: cpu_s(scan),
            },
        )
        db.close()
    us = {name: seconds / count * 1e6 for name, seconds in found.items()}
    note = f"{count:,} changes: inserts, 20% updates, 5% deletes, 1,000 a commit"
    return [
        Figure(
            name=f"stream read to {name}, CPU per change",
            unit="us",
            value=us[name],
            target=target,
            floor=us["floor"],
            note=f"{note}; floor: reading the log's blocks",
        )
        for name, target in (("arrow", 0.5), ("tuples", 1.0))
    ]


if __name__ == "__main__":
    main(figures)
