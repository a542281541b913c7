"""The rows of a window, a bounded batch at a time.

ALL and INSERT ONLY hold one batch; NET holds the rows that the window touched.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from headwater.consumers.captures import (
    METADATA,
    MORE_METADATA,
    Changes,
    CommitIds,
    captured_changes,
    initial_rows,
    stream_rows,
    touched,
)
from headwater.consumers.errors import StreamInvalid, StreamStale, below_horizon
from headwater.consumers.lens import Glass, Lens
from headwater.consumers.netting import Netting
from headwater.consumers.positions import horizon
from headwater.consumers.windows import Window
from headwater.log_store.catalog import Capture, StreamObject
from headwater.log_store.errors import LogDamaged
from headwater.log_store.port import View
from headwater.log_store.reader import BATCH_ROWS, Reading, read_current
from headwater.log_store.records import OP_DELETE
from headwater.log_store.replay import I64
from headwater.log_store.snapshots import SnapshotCache, empty_table
from headwater.log_store.state import snapshot
from headwater.producer.errors import NotFound
from headwater.schemas.asked import Asked
from headwater.schemas.events import Events
from headwater.schemas.project import project_events
from headwater.schemas.tables import TableSchema


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read a window.

    `more_metadata` adds METADATA$VERSION, COMMIT_TIMESTAMP and TRANSACTION_ID. `schema` is the
    generation to show (a transaction's own ALTER), None for the view's. `cache` holds snapshots.
    `lens` is needed for a stream on a view, and what it shows takes the place of the table's columns.
    `columns` names the columns to show, in their order, METADATA$ ones among them; of a stream on a
    table the others are not decoded. None is for all of them, then METADATA$ACTION, ISUPDATE and
    ROW_ID.
    """

    more_metadata: bool = False
    schema: TableSchema | None = None
    cache: SnapshotCache | None = None
    batch_rows: int = BATCH_ROWS
    lens: Lens | None = None
    columns: tuple[str, ...] | None = None


PLAIN = ReadOptions()
# What the rows of a stream need when nobody asks for more. Key changes bring the other numbers.
_FEW_NUMBERS: Final = frozenset({"row_id", "pair_seq"})


def read(
    view: View, stream: StreamObject, window: Window, options: ReadOptions = PLAIN
) -> Iterator[pa.Table]:
    """The rows of a window in order, in the inner Arrow types of the table's (or view's) columns.

    METADATA$ columns come last unless `columns` says otherwise. There is no batch without rows, so
    an empty window gives none.

    Raises:
        NotFound: there is no such column as was asked for. Nothing was yielded.
        StreamStale: the window starts below the horizon. Nothing was yielded.
        StreamInvalid: the stream is on a view, and no lens was given. Nothing was yielded.
        LogDamaged: at the damaged version; whole batches before it were yielded.
    """
    if not window or view.catalog.get("table", stream.table) is None:
        return  # a table that this transaction makes has nothing to read yet
    names = _names(stream, _shape(view, stream, options), options)
    for changes in read_changes(view, stream, window, options):
        if len(changes):
            yield stream_rows(changes, names, _commit_ids(view))


def empty_rows(view: View, stream: StreamObject, options: ReadOptions = PLAIN) -> pa.Table:
    """No rows, with the columns that `read` gives."""
    none = np.empty(0, dtype=np.int64)
    shape = _shape(view, stream, options)
    changes = Changes(none, none, none, none, none, none, shape, shape)
    return stream_rows(changes, _names(stream, shape, options), _commit_ids(view))


def _shape(view: View, stream: StreamObject, options: ReadOptions) -> pa.Table:
    """No rows, with all columns that the stream shows before METADATA$."""
    glass = _glass(view, stream, options)
    return _images(view, stream, options) if glass is None else glass.empty


def _names(stream: StreamObject, shape: pa.Table, options: ReadOptions) -> list[str]:
    """The columns to show, as they are written. Raises NotFound."""
    if options.columns is None:
        more = MORE_METADATA if options.more_metadata else ()
        return [*shape.column_names, *METADATA, *more]
    every = (*MORE_METADATA, *METADATA, *reversed(shape.column_names))
    written = {name.lower(): name for name in every}
    names = [written.get(said.lower(), "") for said in options.columns]
    if "" in names:
        missing = options.columns[names.index("")]
        raise NotFound("column", missing, f"stream {stream.name} shows none of that name")
    return names


def _images(view: View, stream: StreamObject, options: ReadOptions) -> pa.Table:
    """No images, with the columns of the stream's table."""
    return empty_table(options.schema or view.catalog.table(stream.table).schema)


def _asked(view: View, stream: StreamObject, options: ReadOptions) -> Asked:
    """What of the events is to be decoded."""
    old = stream.capture is not Capture.INSERT_ONLY
    numbers = _numbers(options)
    # NET compares images in all columns, and which of them a lens looks at only it knows.
    if options.columns is None or stream.capture is Capture.NET or stream.view is not None:
        return Asked(before=old, numbers=numbers)
    shape = _images(view, stream, options)
    names = set(_names(stream, shape, options))
    schema = options.schema or view.catalog.table(stream.table).schema
    ids = frozenset(column.id for column in schema.columns if column.name in names)
    return Asked(ids, before=old, numbers=numbers)


def _numbers(options: ReadOptions) -> frozenset[str] | None:
    """Of what events tell beside their images: what is shown of it, None for all."""
    names = {name.upper() for name in options.columns or ()}
    more = options.more_metadata and options.columns is None
    return None if more or names & set(MORE_METADATA) else _FEW_NUMBERS


def _glass(view: View, stream: StreamObject, options: ReadOptions) -> Glass | None:
    """What a stream on a view is read through; None for a stream on a table."""
    if stream.view is None:
        return None
    if options.lens is None:
        raise StreamInvalid(stream.name, "is on a view: read it with what can look through views")
    return Glass(options.lens, _images(view, stream, options))


def read_changes(
    view: View, stream: StreamObject, window: Window, options: ReadOptions = PLAIN
) -> Iterator[Changes]:
    """The captured changes of a window, for those who need no rows; see `read`.

    Images have at least the columns asked for; versions, sequences and times are 0 unless they are
    among them.
    """
    if not window or view.catalog.get("table", stream.table) is None:
        return  # a table that this transaction makes has nothing to read yet
    first = stream.base if window.initial else window.after
    kept = horizon(view, stream.table)
    if first < kept:
        raise below_horizon(stream.name, "of this window", window.after, kept)
    glass = _glass(view, stream, options)
    if stream.capture is Capture.NET and not window.initial:
        yield from _net(view, stream, window, options, glass)
        return
    taken = _initial if window.initial else _captured
    for changes in taken(view, stream, window, options):
        yield changes if glass is None else glass.seen(changes)


def _captured(
    view: View, stream: StreamObject, window: Window, options: ReadOptions
) -> Iterator[Changes]:
    """What ALL or INSERT ONLY takes from the window."""
    earlier = _EarlierHalves(view, stream, options)
    for events in _events(view, stream, window, options):
        if bool(events.pair_seqs.any()):
            earlier.begin(int(events.versions[0]))
        yield captured_changes(events, stream.capture, earlier)


def _events(
    view: View, stream: StreamObject, window: Window, options: ReadOptions
) -> Iterator[Events]:
    """The window's events in the schema that is to be shown."""
    asked = _asked(view, stream, options)
    reading = Reading(asked, options.batch_rows)
    for events in read_current(view, stream.table, window.after, window.upto, reading):
        yield events if options.schema is None else project_events(events, options.schema, asked)


def _initial(
    view: View, stream: StreamObject, window: Window, options: ReadOptions
) -> Iterator[Changes]:
    row = view.version(stream.table, window.upto)
    if row is None:
        raise StreamStale(stream.name, f"v{window.upto}, its base, is no longer kept")
    base = snapshot(view, stream.table, window.upto, cache=options.cache)
    if options.schema is not None:
        base = base.in_schema(options.schema)
    for start in range(0, len(base), options.batch_rows):
        part = base.data.slice(start, options.batch_rows)
        row_ids = base.row_ids[start : start + options.batch_rows]
        yield initial_rows(
            row_ids, part, version=window.upto, sequence=row.sequence, time_us=row.time_us
        )


def _net(
    view: View,
    stream: StreamObject,
    window: Window,
    options: ReadOptions,
    glass: Glass | None,
) -> Iterator[Changes]:
    netting = Netting(_images(view, stream, options) if glass is None else glass.empty)
    for events in _events(view, stream, window, options):
        changes = touched(events)
        netting.add(changes if glass is None else glass.seen(changes))
    yield from netting.batches(options.batch_rows)


class _EarlierHalves:
    """The old images of key changes whose d lies in a batch before that of its c.

    Both lie in one version, the first of the later batch. All d of a statement come before all its
    c, in the same order; so what is asked for rises, and a second reader of that version, which
    lags behind, finds it in bounded memory.
    """

    def __init__(self, view: View, stream: StreamObject, options: ReadOptions) -> None:
        self._view, self._stream, self._options = view, stream, options
        self._version = 0
        self._lagging: Iterator[Events] = iter(())
        self._seqs: I64 = np.empty(0, dtype=np.int64)
        self._images: pa.Table | None = None

    def begin(self, version: int) -> None:
        """The next batch starts in that version."""
        if version != self._version:
            self._version, self._images = version, None
            window = Window(version - 1, version)
            self._lagging = _events(self._view, self._stream, window, self._options)

    def __call__(self, wanted: I64) -> pa.Table:
        parts: list[pa.Table] = []
        while len(wanted):
            last = int(self._seqs[-1]) if len(self._seqs) else 0
            if self._images is None or wanted[0] > last:
                self._read_on()
                continue
            count = int(np.searchsorted(wanted, last, side="right"))
            at = np.searchsorted(self._seqs, wanted[:count])
            parts.append(self._images.take(at))
            wanted = wanted[count:]
        return pa.concat_tables(parts).combine_chunks()

    def _read_on(self) -> None:
        """Hold the halves of the next batch that has any."""
        for events in self._lagging:
            halves = np.flatnonzero((events.ops == OP_DELETE) & (events.pair_seqs != 0))
            if len(halves):
                self._seqs = events.event_seqs[halves]
                self._images = events.before.take(events.before_at[halves])
                return
        where = f"table {self._stream.table}, version {self._version}"
        raise LogDamaged(where, "half of a key change is missing")


def _commit_ids(view: View) -> CommitIds:
    def look_up(sequences: I64) -> Sequence[str]:
        found = [view.commit(place) for place in sequences.tolist()]
        return ["" if commit is None else commit.commit_id for commit in found]

    return look_up
