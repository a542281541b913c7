"""What a query reads from outside of DuckDB: snapshots, windows, ranges of changes, made-up rows.

A source's columns are called c0, c1, .. in DuckDB, whatever a user calls them; hidden row ids `rid`.
Loading happens when the statement runs: a plan that is kept names tables by id, never rows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from headwater.consumers import read as reading
from headwater.consumers.captures import ISUPDATE
from headwater.consumers.lens import Lens
from headwater.consumers.windows import Window
from headwater.log_store.catalog import Capture, Catalog, StreamObject
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
    """Rows for one statement, gone after it."""

    data: pa.Table | pa.RecordBatchReader


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Rows that the next statement may want too: `make` gives them under DuckDB's names."""

    owner: Snapshot
    make: Callable[[], pa.Table]


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
            own = self.table < 0
            of = context.state.temporaries.by_id if own else context.tx.catalog.table
            table = of(self.table)
            return context.tx.scan(table, cache=context.store.cache)
        found = snapshot(
            context.tx.view, self.table, self.version(context), cache=context.store.cache
        )
        return found.in_schema(context.tx.catalog.table(self.table).schema)

    def load(self, context: Context, windows: Windows) -> Kept:
        """The rows under DuckDB's names."""
        found = self.rows(context)

        def make() -> pa.Table:
            data = _numbered(found.data)
            if self.row_ids:
                data = data.add_column(0, "rid", pa.array(found.row_ids, pa.int64()))
            return data

        return Kept(found, make)


@dataclass(slots=True, eq=False)
class StreamSource:
    """A stream's window, as `Windows` decides it. `names` are the columns by position."""

    name: str
    stream: int
    reading: Reading
    names: tuple[str, ...]
    times: int = 0
    used: set[int] = field(default_factory=set[int])

    def parts(
        self, context: Context, windows: Windows, positions: Sequence[int]
    ) -> Iterator[pa.Table]:
        """These columns of the window's rows, some rows at a time."""
        stream = context.tx.catalog.stream(self.stream)
        window = windows.window(stream, self.reading)
        asked = sorted(set(positions))
        order = [asked.index(at) for at in positions]
        options = _options(context, stream, tuple(self.names[at] for at in asked))
        for part in reading.read(context.tx.view, stream, window, options):
            yield part if order == list(range(len(asked))) else part.select(order)

    def load(self, context: Context, windows: Windows) -> Loaded:
        """The window under DuckDB's names; only the columns that the query reads."""
        stream = context.tx.catalog.stream(self.stream)
        window = windows.window(stream, self.reading)
        lazy = self.times == 1 and _changes_in(context, stream, window) > STREAMED_CHANGES
        return _of_changes(context, (stream, window), self.names, self.used, lazy=lazy)


@dataclass(slots=True, eq=False)
class ChangesSource:
    """FROM t CHANGES (..) AT .. [END ..]: any range, for nobody."""

    name: str
    table: int
    capture: Capture
    start: int
    end: int
    names: tuple[str, ...]
    times: int = 0
    used: set[int] = field(default_factory=set[int])

    def load(self, context: Context, windows: Windows) -> Loaded:
        """The range under DuckDB's names."""
        stream = StreamObject(
            id=0, namespace=0, name="", table=self.table, base=self.start, capture=self.capture
        )
        window = Window(self.start, max(self.start, self.end))
        return _of_changes(context, (stream, window), self.names, self.used, lazy=False)


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


def _options(
    context: Context, stream: StreamObject, columns: tuple[str, ...]
) -> reading.ReadOptions:
    catalog = context.tx.catalog
    return reading.ReadOptions(
        schema=catalog.table(stream.table).schema,
        cache=context.store.cache,
        lens=None if stream.view is None else _lens(catalog, stream.view),
        columns=columns,
    )


def _lens(catalog: Catalog, view: int) -> Lens:
    from headwater.sql.view_lens import lens_of  # it binds queries, which stand above

    return lens_of(catalog, catalog.view(view))


def _changes_in(context: Context, stream: StreamObject, window: Window) -> int:
    """How many changes a window has, before netting."""
    view = context.tx.view
    first = view.version(stream.table, max(window.after, 0))
    last = view.version(stream.table, window.upto)
    if first is None or last is None:
        return 0
    return last.counts.changes - (0 if window.initial else first.counts.changes)


def _of_changes(
    context: Context,
    of: tuple[StreamObject, Window],
    names: Sequence[str],
    used: set[int],
    *,
    lazy: bool,
) -> Loaded:
    """The columns used of a window's rows; COUNT(*) alone takes the cheapest one."""
    stream, window = of
    at = sorted(used) or [names.index(ISUPDATE)]
    options = _options(context, stream, tuple(names[one] for one in at))
    called = [f"c{one}" for one in at]
    empty = reading.empty_rows(context.tx.view, stream, options).rename_columns(called)
    parts = (
        part.rename_columns(called)
        for part in reading.read(context.tx.view, stream, window, options)
    )
    if not lazy:
        return Loaded(pa.concat_tables([empty, *parts]))
    batches = (batch for part in parts for batch in part.to_batches())
    return Loaded(pa.RecordBatchReader.from_batches(empty.schema, batches))


def _numbered(data: pa.Table) -> pa.Table:
    return data.rename_columns([f"c{at}" for at in range(data.num_columns)])
