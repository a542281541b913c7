"""NET capture: first image against last image of each row, over 400,000 changes."""

from benchmarks.common import Figure, cpu_s, interleaved, main, scratch
from benchmarks.histories import mixed
from headwater.consumers.captures import touched
from headwater.consumers.netting import Netting
from headwater.log_store.reader import BATCH_ROWS, read_current
from headwater.log_store.snapshots import empty_table


def figures(quick: bool) -> list[Figure]:
    """Changes netted per CPU second: netting alone, and the whole read of a NET stream."""
    changes = 40_000 if quick else 400_000
    with scratch() as folder:
        db, table, count = mixed(str(folder / "store"), changes)
        stream = db.create_stream("net_orders", on="orders", capture="NET", at=0)
        with db.session.view() as view:
            head = view.head(table.id).version
            batches = [touched(e) for e in read_current(view, table.id, 0, head)]

        def net() -> None:
            netting = Netting(empty_table(table.schema))
            for batch in batches:
                netting.add(batch)
            assert sum(len(part) for part in netting.batches(BATCH_ROWS))

        found = interleaved(
            5,
            {
                "net": lambda: cpu_s(net),
                "read": lambda: cpu_s(stream.arrow),
            },
        )
        db.close()
    return [
        Figure(
            name="net capture",
            unit="changes/CPU-s",
            value=count / found["net"],
            target=2e6,
            at_least=True,
            note=f"{count:,} decoded changes; with log read and decoding "
            f"{count / found['read']:,.0f}/CPU-s",
        )
    ]


if __name__ == "__main__":
    main(figures)
