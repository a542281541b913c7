"""Opening, breaking and comparing embedded stores in tests."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from support_clock import Clock
from support_log import batch, insert, make_table

from headwater.log_store.catalog import TableObject
from headwater.log_store.changes import RowChange, Rows, TableChanges
from headwater.log_store.port import View
from headwater.log_store.rocks import RocksLog, RocksOptions

# Runs in another process: opens the store, writes rows one commit each, says each place, and dies
# without closing or waits for a line on stdin.
_WRITER = """
import os, sys
from pathlib import Path
from support_rocks import options
from support_log import insert, make_table, write
from headwater.log_store.rocks import RocksLog
path, count, stay = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "stay"
log = RocksLog(options(path))
with log.view() as view:
    tables = view.catalog.tables()
table = tables[0] if tables else make_table(log)
with log.view() as view:
    first = view.row_count(table.id) + 1
for number in range(first, first + count):
    done = write(log, table, insert(table, number, (number, "row %06d" % number)))
    print(done.sequence, flush=True)
print("done", flush=True)
if stay:
    sys.stdin.readline()
os._exit(9)
"""


def options(path: Path, **changed: object) -> RocksOptions:
    """A store named shop with a clock of its own."""
    made = RocksOptions(path=path, name="shop", clock=Clock())
    return replace(made, **changed)  # type: ignore[arg-type]


@contextmanager
def opened(path: Path, **changed: object) -> Generator[RocksLog]:
    """A store, closed at the end of the block."""
    with RocksLog(options(path, **changed)) as log:
        yield log


def start_writer(path: Path, count: int, *, stay: bool, points: str = "") -> subprocess.Popen[str]:
    """Another process that writes `count` rows and dies, or stays until it is told."""
    tests = Path(__file__).parent
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path), str(count), "stay" if stay else "die"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(tests), "HEADWATER_FAILPOINTS": points, "PATH": ""},
    )


def killed_store(path: Path, count: int, points: str = "") -> int:
    """A store whose writer died without closing it; returns the last place it was told."""
    with start_writer(path, count, stay=False, points=points) as writer:
        said, _ = writer.communicate(timeout=60)
    places = [int(line) for line in said.split() if line.isdigit()]
    return places[-1] if places else 0


def many(table: TableObject, first: int, count: int, *, size: int = 8) -> list[RowChange]:
    """New rows with rising ids and keys, `size` characters of text each."""
    return [insert(table, n, (n, f"{n:0{size}d}")) for n in range(first, first + count)]


def spread(table: TableObject, rows: list[RowChange], each: int = 1000) -> TableChanges:
    """Changes in several segments."""
    return TableChanges(
        segments=[Rows(rows[at : at + each]) for at in range(0, len(rows), each)],
        count=len(rows),
        generation=table.schema.number,
        byte_size=sum(len(row.before or b"") + len(row.after or b"") for row in rows),
    )


def contents(view: View, table: TableObject) -> dict[int, bytes]:
    """Current images by row id."""
    return {
        row_id: stored.image
        for block in view.scan(table.id)
        for row_id, stored in zip(block.row_ids, block.stored, strict=True)
    }


def table_of(log: RocksLog) -> TableObject:
    """The first table of a store, made if there is none."""
    with log.view() as view:
        tables = view.catalog.tables()
    return tables[0] if tables else make_table(log)


def load(log: RocksLog, table: TableObject, first: int, count: int, *, size: int = 8) -> int:
    """Commit rows in one batch; returns its place."""
    rows = many(table, first, count, size=size)
    return log.commit(batch(tables={table.id: spread(table, rows)})).sequence
