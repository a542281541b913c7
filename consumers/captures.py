"""From events to the rows of a stream, column by column. Pure.

    event                      ALL                          INSERT ONLY
    c, r                       INSERT                       INSERT
    u                          DELETE, INSERT (ISUPDATE)    -
    d                          DELETE                       -
    d .. c of a key change     DELETE, INSERT (ISUPDATE)    -
                               where the c stands

NET stands in netting.py; it makes the same `Changes`, and `stream_rows` turns either into rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.log_store.catalog import Capture
from headwater.log_store.records import OP_DELETE, OP_INSERT, OP_SNAPSHOT
from headwater.log_store.replay import I64, is_range
from headwater.schemas.events import Events

ACTION: Final = "METADATA$ACTION"
ISUPDATE: Final = "METADATA$ISUPDATE"
ROW_ID: Final = "METADATA$ROW_ID"
VERSION: Final = "METADATA$VERSION"
COMMIT_TIMESTAMP: Final = "METADATA$COMMIT_TIMESTAMP"
TRANSACTION_ID: Final = "METADATA$TRANSACTION_ID"
# In this order after the table's columns; the second three only where they are asked for.
METADATA: Final = (ACTION, ISUPDATE, ROW_ID)
MORE_METADATA: Final = (VERSION, COMMIT_TIMESTAMP, TRANSACTION_ID)

# The images that changes of a key left behind, asked for by event_seq, rising over a window.
Earlier = Callable[[I64], pa.Table]
# Commit ids by place in the commit sequence.
CommitIds = Callable[[I64], Sequence[str]]


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """n captured changes in order, each with its image before, its image after, or both.

    `before_at[i]` and `after_at[i]` are rows of `before` and `after`, -1 for no image. `sequences`
    are places in the commit sequence, `times_us` commit times.
    """

    row_ids: I64
    before_at: I64
    after_at: I64
    versions: I64
    sequences: I64
    times_us: I64
    before: pa.Table
    after: pa.Table

    def __len__(self) -> int:
        return len(self.row_ids)

    def pick(self, which: npt.NDArray[np.int64]) -> "Changes":
        """The chosen changes in the order given; images stay as they are."""
        return Changes(
            self.row_ids[which],
            self.before_at[which],
            self.after_at[which],
            self.versions[which],
            self.sequences[which],
            self.times_us[which],
            self.before,
            self.after,
        )


def touched(events: Events) -> Changes:
    """Each event as a change, the halves of a key change apart: what netting starts from."""
    return Changes(
        events.row_ids,
        events.before_at,
        events.after_at,
        events.versions,
        events.sequences,
        events.times_us,
        events.before,
        events.after,
    )


def captured_changes(events: Events, capture: Capture, earlier: Earlier) -> Changes:
    """What ALL or INSERT ONLY takes from the next events of a window.

    `earlier` gives the images of key changes whose d stood in an earlier batch.
    """
    single = events.pair_seqs == 0
    if capture is Capture.INSERT_ONLY:
        made = (events.ops == OP_INSERT) | (events.ops == OP_SNAPSHOT)
        return touched(events).pick(np.flatnonzero(made & single))
    every = touched(events)
    if bool(single.all()):
        return every
    left = (events.ops == OP_DELETE) & ~single
    return _paired(events, every, np.flatnonzero(~single & ~left), earlier).pick(
        np.flatnonzero(~left)
    )


def _paired(events: Events, every: Changes, halves: I64, earlier: Earlier) -> Changes:
    """The changes with the image before given to the c of each key change."""
    wanted = events.pair_seqs[halves]
    spot = np.searchsorted(events.event_seqs, wanted)
    here = spot < len(events.event_seqs)
    here[here] = events.event_seqs[spot[here]] == wanted[here]
    before_at, before = every.before_at.copy(), every.before
    before_at[halves[here]] = events.before_at[spot[here]]
    away = halves[~here]
    if len(away):
        images = earlier(events.pair_seqs[away])
        before_at[away] = before.num_rows + np.arange(len(away), dtype=np.int64)
        before = pa.concat_tables([before, images]).combine_chunks()
    return Changes(
        every.row_ids,
        before_at,
        every.after_at,
        every.versions,
        every.sequences,
        every.times_us,
        before,
        every.after,
    )


def stream_rows(changes: Changes, commit_ids: CommitIds | None = None) -> pa.Table:
    """Changes as rows of a stream: the table's columns, then METADATA$ACTION, ISUPDATE, ROW_ID.

    A change with both images is a DELETE row immediately followed by an INSERT row. With
    `commit_ids` METADATA$VERSION, COMMIT_TIMESTAMP and TRANSACTION_ID follow.
    """
    gone, made = changes.before_at >= 0, changes.after_at >= 0
    counts = gone.astype(np.int64) + made
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    starts = ends - counts
    rows = np.empty(total, dtype=np.int64)
    deleted = np.zeros(total, dtype=np.int64)
    rows[starts[gone]] = changes.before_at[gone]
    deleted[starts[gone]] = 1
    rows[(ends - 1)[made]] = changes.before.num_rows + changes.after_at[made]
    change = np.repeat(np.arange(len(counts), dtype=np.int64), counts)

    data = _images(changes, rows, total, bool(gone.any()))
    made_rows = (
        data.append_column(ACTION, pa.array(["INSERT", "DELETE"], type=pa.string()).take(deleted))
        .append_column(ISUPDATE, pa.array((gone & made)[change], type=pa.bool_()))
        .append_column(ROW_ID, pa.array(changes.row_ids[change], pa.int64()).cast(pa.string()))
    )
    if commit_ids is None:
        return made_rows
    times = pa.array(changes.times_us[change], type=pa.timestamp("us", tz="UTC"))
    return (
        made_rows.append_column(VERSION, pa.array(changes.versions[change], type=pa.int64()))
        .append_column(COMMIT_TIMESTAMP, times)
        .append_column(TRANSACTION_ID, _transactions(changes.sequences[change], commit_ids))
    )


def _images(changes: Changes, rows: I64, total: int, deletes: bool) -> pa.Table:
    """The images of a stream's rows, taken from those before and those after."""
    if not deletes:
        after_at = rows - changes.before.num_rows
        if total == changes.after.num_rows and is_range(after_at):
            return changes.after
        return changes.after.take(after_at)
    both = pa.concat_tables([changes.before, changes.after])
    return both.combine_chunks().take(rows)


def _transactions(sequences: I64, commit_ids: CommitIds) -> pa.StringArray:
    """The commit id of each row, looked up once per commit."""
    places, index = np.unique(sequences, return_inverse=True)
    ids = pa.array(list(commit_ids(places)), type=pa.string())
    return ids.take(index.reshape(-1))


def initial_rows(
    row_ids: I64, data: pa.Table, *, version: int, sequence: int, time_us: int
) -> Changes:
    """A snapshot as changes: every row an INSERT, as of the version it shows."""
    count = len(row_ids)
    return Changes(
        row_ids,
        np.full(count, -1, dtype=np.int64),
        np.arange(count, dtype=np.int64),
        np.full(count, version, dtype=np.int64),
        np.full(count, sequence, dtype=np.int64),
        np.full(count, time_us, dtype=np.int64),
        data.slice(0, 0),
        data,
    )
