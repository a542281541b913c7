"""A process that copies a stream into a table until all is copied, or until somebody ends it.

Where it is in its commit stands in one byte of a file that outlives it, so that whoever kills it
can say afterwards where the kill fell.
"""

import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa

import headwater
from headwater.log_store import failpoints
from headwater.log_store.errors import LogError, StoreUnavailable, WriteConflict

# Where in its commit the copier is, as the byte says.
IDLE, OPEN, ENDING, COMMITTED = range(4)
_REACHED: Final = {
    "kafka.produced": OPEN,
    "kafka.before_commit": ENDING,
    "kafka.committed": COMMITTED,
    "kafka.applied": IDLE,
}
_TRIES: Final = 20
# The columns of the copy beside those of the source: what the stream says of each row.
COPY: Final = {"id": "INT", "v": "INT", "action": "VARCHAR", "isupdate": "BOOLEAN"}


@dataclass(frozen=True, kw_only=True)
class Copy:
    """What a copier does: windows of so many changes, until none is left."""

    target: str
    phase: Path
    changes: int = 100
    failpoints: str = ""
    timeout_s: float = 30.0
    again: bool = True  # after a conflict


@dataclass(frozen=True)
class CopierSaid:
    """A copier is open, has moved its watermark, was refused for good, or found nothing left."""

    what: Literal["open", "moved", "refused", "done"]
    version: int = -1
    code: str = ""
    text: str = ""


def phase_file(path: Path) -> Path:
    """A new file for the byte, which says IDLE."""
    path.write_bytes(bytes([IDLE]))
    return path


def run_copier(copy: Copy, pipe: Connection) -> None:
    """The copier's life."""
    os.environ["HEADWATER_KAFKA_TIMEOUT_S"] = str(copy.timeout_s)
    failpoints.arm(copy.failpoints)
    failpoints.trace(_writes(copy.phase))
    try:
        with headwater.connect(copy.target) as db:
            pipe.send(CopierSaid("open"))
            _copy_all(db, copy, pipe)
    except LogError as error:
        pipe.send(CopierSaid("refused", code=error.code, text=str(error)))
    else:
        pipe.send(CopierSaid("done"))
    pipe.close()


def _writes(path: Path) -> Callable[[str], None]:
    with path.open("r+b") as file:
        byte = mmap.mmap(file.fileno(), 1)

    def reached(name: str) -> None:
        if name in _REACHED:
            byte[0] = _REACHED[name]

    return reached


def _copy_all(db: headwater.Database, copy: Copy, pipe: Connection) -> None:
    tries = 0
    conflicts = (WriteConflict,) if copy.again else ()
    while True:
        try:
            end = _copy_some(db, copy.changes)
        except (StoreUnavailable, *conflicts):
            # Nothing was written, it says: the same window is copied again.
            tries += 1
            if tries > _TRIES:
                raise
            continue
        if end is None:
            return
        pipe.send(CopierSaid("moved", end))


def _copy_some(db: headwater.Database, changes: int) -> int | None:
    """Copy the next window; the version it ends at, None if there is nothing left."""
    with db.transaction() as tx:
        window = tx.consume("changes", into="copy", limit_changes=changes)
        rows = window.arrow()
        if not rows.num_rows:
            return None
        said = [rows["id"], rows["v"], rows["METADATA$ACTION"], rows["METADATA$ISUPDATE"]]
        tx.insert("copy", pa.table(said, names=list(COPY)))
    return window.end
