"""From events to the rows of a stream, column by column. Pure.

    event                      ALL                          INSERT ONLY
    c, r                       INSERT                       INSERT
    u                          DELETE, INSERT (ISUPDATE)    -
    d                          DELETE                       -
    d .. c of a key change     DELETE, INSERT (ISUPDATE)    -
                               where the c stands

NET stands in netting.py; it makes the same `Changes`, and `stream_rows` turns either into rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.log_store.catalog import Capture
from headwater.log_store.records import OP_DELETE, OP_INSERT, OP_SNAPSHOT
from headwater.log_store.replay import I64, Mask, is_range
from headwater.schemas import arrow
from headwater.schemas.arrow import Chunks, Column
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

_ACTIONS: Final = arrow.array(["INSERT", "DELETE"], arrow.STRING)

# The images that changes of a key left behind, asked for by event_seq, rising over a window.
Earlier = Callable[[I64], pa.Table]
# Commit ids by place in the commit sequence.
CommitIds = Callable[[I64], Sequence[str]]


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """n captured changes in order, each with its image before, its image after, or both.

    `before_at[i]` and `after_at[i]` are rows of `before` and `after`, which may be one table, -1 for
    no image. `sequences` are places in the commit sequence, `times_us` commit times; these and
    `versions` may be 0 where nobody asked for them.
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

    @property
    def first_after(self) -> int:
        """Where images after begin when they are counted on from those before."""
        return 0 if self.before is self.after else self.before.num_rows

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


def stream_rows(
    changes: Changes, names: Sequence[str] | None = None, commit_ids: CommitIds | None = None
) -> pa.Table:
    """Changes as rows of a stream; one with both images is a DELETE row, then an INSERT row.

    `names` are the columns wanted, in their order: the table's, and those of `METADATA` and
    `MORE_METADATA`; None for the table's, then `METADATA`. METADATA$TRANSACTION_ID needs
    `commit_ids`.
    """
    wanted = [*changes.after.column_names, *METADATA] if names is None else names
    rows = _Rows.of(changes)
    data = _images(changes, rows, [name for name in wanted if name not in _MADE])
    columns: dict[str, Chunks] = dict(zip(data.column_names, data.columns, strict=True))
    for name in wanted:
        if name in _MADE:
            column = _MADE[name](changes, rows, commit_ids)
            columns[name] = arrow.chunked([column], column.type)
    shape = pa.schema([(name, columns[name].type) for name in wanted])
    return arrow.table([columns[name] for name in wanted], shape)


@dataclass(frozen=True, slots=True)
class _Rows:
    """n rows of a stream: of which change each is, which of its images, and where that stands.

    `image` counts through the images before, then through those after, unless these are one table.
    """

    change: I64
    deleted: I64
    image: I64
    paired: Mask

    @classmethod
    def of(cls, changes: Changes) -> "_Rows":
        gone, made = changes.before_at >= 0, changes.after_at >= 0
        counts = gone.astype(np.int64) + made
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        starts = ends - counts
        image = np.empty(total, dtype=np.int64)
        deleted = np.zeros(total, dtype=np.int64)
        image[starts[gone]] = changes.before_at[gone]
        deleted[starts[gone]] = 1
        image[(ends - 1)[made]] = changes.after_at[made] + changes.first_after
        change = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
        return cls(change, deleted, image, gone & made)


def _transactions(changes: Changes, rows: _Rows, commit_ids: CommitIds | None) -> Column:
    """The commit id of each row, looked up once per commit."""
    if commit_ids is None:
        raise ValueError(f"{TRANSACTION_ID} needs the commits' ids")
    places, index = np.unique(changes.sequences[rows.change], return_inverse=True)
    ids = arrow.array(list(commit_ids(places)), arrow.STRING)
    return arrow.take(ids, index.reshape(-1))


# How each METADATA$ column is made.
_MADE: Final[Mapping[str, Callable[[Changes, _Rows, CommitIds | None], Column]]] = {
    ACTION: lambda _, rows, __: arrow.take(_ACTIONS, rows.deleted),
    ISUPDATE: lambda _, rows, __: arrow.array(rows.paired[rows.change], pa.bool_()),
    ROW_ID: lambda of, rows, _: arrow.convert(
        arrow.array(of.row_ids[rows.change], arrow.INT64), arrow.STRING
    ),
    VERSION: lambda of, rows, _: arrow.array(of.versions[rows.change], arrow.INT64),
    COMMIT_TIMESTAMP: lambda of, rows, _: arrow.array(
        of.times_us[rows.change], arrow.timestamp_us("UTC")
    ),
    TRANSACTION_ID: _transactions,
}


def _images(changes: Changes, rows: _Rows, names: Sequence[str]) -> pa.Table:
    """The images of a stream's rows, taken from those before and those after."""
    if not names:
        return changes.after.select(names)
    first, image = changes.first_after, rows.image
    images = changes.after.select(names)
    if first and bool(rows.deleted.any()):
        images = pa.concat_tables([changes.before.select(names), images]).combine_chunks()
    else:
        image = image - first if first else image
    # Mostly the images were decoded in the order of these rows.
    if len(image) == images.num_rows and is_range(image):
        return images
    return images.take(image)


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
