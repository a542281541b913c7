"""What a query reads from outside of DuckDB: snapshots, windows, ranges of changes, made-up rows.

A source's columns are called c0, c1, .. in DuckDB, whatever a user calls them; hidden row ids `rid`.
Loading happens when the statement runs: a plan that is kept names tables by id, never rows.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from headwater.consumers import read as reading
from headwater.consumers.windows import Window
from headwater.log_store.catalog import Capture, StreamObject
from headwater.log_store.snapshots import Snapshot
from headwater.log_store.state import snapshot
from headwater.sql.context import Context
from headwater.sql.statements import Reading

# More changes than this are handed to DuckDB bit by bit, if they are read once.
STREAMED_CHANGES = 200_000


class Windows(Protocol):
    """Decides what a stream reference shows."""

    def window(self, stream: StreamObject, reading: Reading) -> Window: ...


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """Rows for one statement. `owner` stays the same for as long as the rows do, None for once."""

    data: pa.Table | pa.RecordBatchReader
    owner: object = None
    nbytes: int = 0


@dataclass(slots=True, eq=False)
class TableSource:
    """A table's rows now, own writes included, or as of a version."""

    name: str
    table: int
    version: Callable[[Context], int] | None = None
    row_ids: bool = False
    times: int = 0
    used: set[int] = field(default_factory=set[int])

    def rows(self, context: Context) -> Snapshot:
        """The rows, in row id order."""
        if self.version is None:
            table = context.tx.catalog.table(self.table)
            return context.tx.scan(table, cache=context.store.cache)
        found = snapshot(
            context.tx.view, self.table, self.version(context), cache=context.store.cache
        )
        return found.in_schema(context.tx.catalog.table(self.table).schema)

    def load(self, context: Context, windows: Windows) -> Loaded:
        """The rows under DuckDB's names."""
        found = self.rows(context)
        # Always there: a reader that keeps a snapshot under a name shows it to other plans too.
        row_ids = pa.array(found.row_ids, pa.int64())
        data = _numbered(found.data).add_column(0, "rid", row_ids)
        # Own writes make a new snapshot at each scan: those are not worth keeping.
        return Loaded(data, found, found.nbytes)


@dataclass(slots=True, eq=False)
class StreamSource:
    """A stream's window, as `Windows` decides it."""

    name: str
    stream: int
    reading: Reading
    more_metadata: bool = False
    times: int = 0
    used: set[int] = field(default_factory=set[int])

    def parts(self, context: Context, windows: Windows) -> Iterator[pa.Table]:
        """The window's rows, some at a time; METADATA$ columns last."""
        stream = context.tx.catalog.stream(self.stream)
        window = windows.window(stream, self.reading)
        return changes(context, stream, window, more=self.more_metadata)

    def load(self, context: Context, windows: Windows) -> Loaded:
        """The window under DuckDB's names."""
        stream = context.tx.catalog.stream(self.stream)
        window = windows.window(stream, self.reading)
        shape = empty_changes(context, stream, more=self.more_metadata)
        return _of_changes(
            shape,
            changes(context, stream, window, more=self.more_metadata),
            streamed=self.times == 1 and _changes_in(context, stream, window) > STREAMED_CHANGES,
        )


@dataclass(slots=True, eq=False)
class ChangesSource:
    """FROM t CHANGES (..) AT .. [END ..]: any range, for nobody."""

    name: str
    table: int
    capture: Capture
    start: Callable[[Context], int]
    end: Callable[[Context], int]
    more_metadata: bool = False
    times: int = 0
    used: set[int] = field(default_factory=set[int])

    def load(self, context: Context, windows: Windows) -> Loaded:
        """The range under DuckDB's names."""
        start, end = self.start(context), self.end(context)
        stream = StreamObject(
            id=0, namespace=0, name="", table=self.table, base=start, capture=self.capture
        )
        shape = empty_changes(context, stream, more=self.more_metadata)
        found = changes(context, stream, Window(start, max(start, end)), more=self.more_metadata)
        return _of_changes(shape, found, streamed=False)


@dataclass(slots=True, eq=False)
class RowsSource:
    """Rows made for this statement, such as INFORMATION_SCHEMA's."""

    name: str
    data: pa.Table
    times: int = 0
    used: set[int] = field(default_factory=set[int])

    def load(self, context: Context, windows: Windows) -> Loaded:
        """The rows under DuckDB's names."""
        return Loaded(_numbered(self.data))


AnySource = TableSource | StreamSource | ChangesSource | RowsSource


def changes(
    context: Context, stream: StreamObject, window: Window, *, more: bool
) -> Iterator[pa.Table]:
    """The rows of a window, some at a time."""
    return reading.read(context.tx.view, stream, window, _options(context, stream, more=more))


def empty_changes(context: Context, stream: StreamObject, *, more: bool) -> pa.Table:
    """No rows, with the columns of a stream's window."""
    return reading.empty_rows(context.tx.view, stream, _options(context, stream, more=more))


def _options(context: Context, stream: StreamObject, *, more: bool) -> reading.ReadOptions:
    return reading.ReadOptions(
        more_metadata=more,
        schema=context.tx.catalog.table(stream.table).schema,
        cache=context.store.cache,
    )


def _changes_in(context: Context, stream: StreamObject, window: Window) -> int:
    """How many changes a window has, before netting."""
    view = context.tx.view
    first = view.version(stream.table, max(window.after, 0))
    last = view.version(stream.table, window.upto)
    if first is None or last is None:
        return 0
    return last.counts.changes - (0 if window.initial else first.counts.changes)


def _of_changes(shape: pa.Table, parts: Iterator[pa.Table], *, streamed: bool) -> Loaded:
    empty = _numbered(shape)
    if not streamed:
        return Loaded(pa.concat_tables([empty, *(_numbered(part) for part in parts)]))
    batches = (batch for part in parts for batch in _numbered(part).to_batches())
    return Loaded(pa.RecordBatchReader.from_batches(empty.schema, batches))


def _numbered(data: pa.Table) -> pa.Table:
    return data.rename_columns([f"c{at}" for at in range(data.num_columns)])
