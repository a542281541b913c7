"""Writes a golden directory for the format of this release: run once per format, then keep it.

python tests/format/make_golden.py tests/format/golden_v2
"""

import sys
from pathlib import Path

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent.parent))

from support_clock import Clock
from support_log import batch, changes, delete, insert, make_consumer, make_table, update, write

from headwater.log_store import head_marker
from headwater.log_store.changes import RowChange
from headwater.log_store.records import INITIAL, OP_DELETE, OP_INSERT, Idempotency, Move
from headwater.log_store.rocks import RocksLog, RocksOptions
from headwater.log_store.rocks_rebuild import dump
from headwater.schemas.images import codec


def main(folder: Path) -> None:
    """Every kind of row, key, move and block once, by a clock that repeats itself."""
    path = folder / "shop"
    setattr(head_marker, "boot_id", lambda: "golden")  # noqa: B010 - the machine's own is none's
    with RocksLog(RocksOptions(path=path, name="shop", clock=Clock())) as log:
        table, target = make_table(log), make_table(log, "target")
        consumer = make_consumer(log, table, target.id)
        write(log, table, insert(table, 1, (1, "one")))
        write(log, table, *(insert(table, n, (n, None)) for n in (2, 3, 4)))
        images = codec(table.schema)
        key, new = images.key((3, "")), images.key((30, ""))
        log.commit(
            batch(
                commit_id="golden",
                actor="ann",
                statements=["golden:1"],
                idempotency=Idempotency("key", b"digest"),
                result='{"rows":3}',
                audit=[("golden", '{"n":1}')],
                tables=changes(
                    table,
                    delete(table, 1, (1, "one"), seen=1),
                    update(table, 2, (2, None), (2, "two"), seen=2),
                    RowChange(OP_DELETE, 3, images.encode((3, None)), None, key, b"", 2, 1),
                    RowChange(OP_INSERT, 3, None, images.encode((30, "three")), b"", new, 0, -1),
                ),
            )
        )
        log.commit(
            batch(
                tables=changes(target, insert(target, 1, (1, "copied"))),
                moves=[Move(consumer.id, 0, 3, "consume", target.id, (target.id,))],
            )
        )
        log.commit(
            batch(
                moves=[Move(consumer.id, 3, INITIAL, "rewind", target.id, (), "why", {"plan": 1})]
            )
        )
        make_table(log, "last")
        log.keep_snapshot(table.id, 2, iter([pa.record_batch({"row_id": [1, 2, 3, 4]})]))
        lines = list(dump(log._store))  # pyright: ignore[reportPrivateUsage]
    (folder / "dump.txt").write_text("\n".join(lines) + "\n")
    # What depends on the machine, and RocksDB makes anew.
    for pattern in ("LOG*", "LOCK", "OPTIONS-*", "*.log"):
        for file in (path / "store").glob(pattern):
            file.unlink()
    owner = path / "OWNER"
    title, epoch, _, _, _ = owner.read_bytes().split(b"\n")
    owner.write_bytes(b"\n".join((title, epoch, b"%020d" % 1, b"golden", b"")))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
