"""Reading a window: the log's blocks, put together and decoded, a bounded batch at a time.

One commit is often one event. Blocks of one schema are therefore joined up to some tens of
thousands of events before they are decoded, so that a window costs the same however its changes
were spread over commits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from headwater.log_store.errors import LogDamaged
from headwater.log_store.port import View
from headwater.log_store.records import Block
from headwater.schemas.asked import EVERYTHING, Asked
from headwater.schemas.columns_cursor import PADDING
from headwater.schemas.errors import EventUnreadable
from headwater.schemas.events import Events, read_events
from headwater.schemas.project import project_events

# Measured: smaller batches pay more per batch, larger ones fall out of the cache.
BATCH_ROWS = 32_768
# A batch of wide rows is cut by its bytes instead.
_BATCH_BYTES = 32 << 20
# Offsets of a block that holds one event, as bytes: its start, which is 0, and its end.
_ONE_EVENT = 16


@dataclass(frozen=True, slots=True)
class Reading:
    """How much of each event is decoded, and about how many events make a batch."""

    asked: Asked = EVERYTHING
    batch_rows: int = BATCH_ROWS


WHOLE: Final = Reading()


def read_window(
    view: View, table: int, after: int, upto: int, reading: Reading = WHOLE
) -> Iterator[Events]:
    """The events of (after, upto], in order, each batch in the schema it was written with.

    A batch has about as many events as asked, may span versions, and holds one schema; a version may
    span batches. Nothing is read before the first batch is asked for.

    Raises:
        LogDamaged: at the damaged version; whole batches before it were yielded.
    """
    of = view.catalog.table(table)
    room = _Room()
    for run in _runs(view.blocks(table, after, upto), reading.batch_rows):
        offsets, data = room.joined(run)
        try:
            yield read_events(of.schema_of(run[0].schema_id), data, offsets, reading.asked)
        except (EventUnreadable, KeyError) as error:
            where = f"table {table}, versions {run[0].version} to {run[-1].version}"
            raise LogDamaged(where, str(error)) from error


def read_current(
    view: View, table: int, after: int, upto: int, reading: Reading = WHOLE
) -> Iterator[Events]:
    """The events of (after, upto] with their images in the table's current schema.

    Columns are matched by id: dropped ones are gone, added ones hold their fill.

    Raises:
        LogDamaged: at the damaged version; whole batches before it were yielded.
    """
    current = view.catalog.table(table).schema
    for events in read_window(view, table, after, upto, reading):
        yield project_events(events, current, reading.asked)


def _runs(blocks: Iterator[Block], batch_rows: int) -> Iterator[list[Block]]:
    """Neighbouring blocks of one schema, as many as make a batch."""
    run: list[Block] = []
    rows = size = 0
    for block in blocks:
        count = 1 if _single(block) else memoryview(block.offsets).nbytes // 8 - 1
        if run and (
            run[0].schema_id != block.schema_id
            or rows + count > batch_rows
            or size + len(block.data) > _BATCH_BYTES
        ):
            yield run
            run, rows, size = [], 0, 0
        run.append(block)
        rows += count
        size += len(block.data)
    if run:
        yield run


def _single(block: Block) -> bool:
    return isinstance(block.offsets, bytes) and len(block.offsets) == _ONE_EVENT


class _Room:
    """Memory that one batch after another is put together in: decoding copies out of it."""

    def __init__(self) -> None:
        self._room = np.empty(0, np.uint8)

    def joined(self, run: list[Block]) -> tuple[npt.NDArray[np.int64], "bytes | memoryview"]:
        """The messages of several blocks as offsets into one piece of bytes, valid until the next."""
        if all(map(_single, run)):
            ends = np.zeros(len(run) + 1, np.int64)
            np.cumsum([len(block.data) for block in run], out=ends[1:])
            return ends, b"".join([*(block.data for block in run), bytes(PADDING)])
        size = sum(len(block.data) for block in run) + PADDING
        if len(self._room) < size:
            self._room = np.empty(size + size // 4, np.uint8)
        parts: list[npt.NDArray[np.int64]] = []
        start = 0
        for block in run:
            end = start + len(block.data)
            self._room[start:end] = np.frombuffer(block.data, np.uint8)
            parts.append(np.frombuffer(block.offsets, dtype="<i8")[:-1] + start)
            start = end
        parts.append(np.array([start], dtype=np.int64))
        return np.concatenate(parts), self._room.data[:size]
