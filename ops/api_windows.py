"""A consumer's window inside a transaction: its rows, and the way to write their effect."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from headwater.consumers.consume import Consumption, consume
from headwater.consumers.read import ReadOptions, empty_rows, read
from headwater.consumers.windows import Bounds
from headwater.consumers.windows import Window as Versions
from headwater.log_store.catalog import StreamObject, TableObject, ViewColumn
from headwater.log_store.port import View
from headwater.ops.api_inputs import HasId
from headwater.ops.errors import BadArgument
from headwater.ops.present import METADATA, Change, Reads, changes_of, outer
from headwater.producer.errors import NotFound
from headwater.producer.names import find_stream
from headwater.schemas.tables import Column
from headwater.schemas.types import JSON_KINDS

if TYPE_CHECKING:
    from headwater.ops.api_transaction import Data, Tx


class StreamRows(Reads):
    """The rows of one window of a stream, read as often as wanted and always the same."""

    def __init__(
        self, view: View, stream: StreamObject, versions: Versions, options: ReadOptions
    ) -> None:
        self._view, self._stream, self._versions = view, stream, versions
        self._options = options

    @property
    def stream_name(self) -> str:
        """The stream's name."""
        return self._stream.name

    @property
    def stream_id(self) -> int:
        """The stream's object id."""
        return self._stream.id

    @property
    def start(self) -> int:
        """The version after which the window begins; -1 for the initial rows."""
        return self._versions.after

    @property
    def end(self) -> int:
        """The last version in the window."""
        return self._versions.upto

    @property
    def versions(self) -> str:
        """The window as people read it: `(v3, v7]`."""
        return str(self._versions)

    def __bool__(self) -> bool:
        return bool(self._versions)

    @property
    def _columns(self) -> Sequence[Column | ViewColumn]:
        """The columns it has besides METADATA$: the table's, or those of the view it is on."""
        if self._stream.view is not None:
            return self._view.catalog.view(self._stream.view).columns
        schema = self._options.schema or self._view.catalog.table(self._stream.table).schema
        return schema.columns

    def batches(self, *, more_metadata: bool = False) -> Iterator[pa.Table]:
        """The rows as Arrow tables of some ten thousand each, so that memory stays bounded."""
        for rows in read(self._view, self._stream, self._versions, self._read_with(more_metadata)):
            yield _outer(self._columns, rows)

    def arrow(self, *, more_metadata: bool = False) -> pa.Table:
        """All rows: the table's columns, then METADATA$ACTION, $ISUPDATE and $ROW_ID.

        `more_metadata` adds METADATA$VERSION, $COMMIT_TIMESTAMP and $TRANSACTION_ID.
        """
        empty = empty_rows(self._view, self._stream, self._read_with(more_metadata))
        found = [_outer(self._columns, empty), *self.batches(more_metadata=more_metadata)]
        return pa.concat_tables(found)

    def reader(self) -> pa.RecordBatchReader:
        """The rows as a reader of Arrow batches, so that they need not fit into memory."""
        empty = _outer(self._columns, empty_rows(self._view, self._stream, self._options))
        found = (batch for rows in self.batches() for batch in rows.to_batches())
        return pa.RecordBatchReader.from_batches(empty.schema, found)

    @property
    def json_columns(self) -> frozenset[str]:
        """The columns that hold JSON as text."""
        return frozenset(one.name for one in self._columns if one.type.kind in JSON_KINDS)

    def changes(self) -> Iterator[Change]:
        """The rows one by one, each with its version, time and an id that never changes."""
        names = [column.name for column in self._columns]
        for rows in self.batches(more_metadata=True):
            yield from changes_of(self._stream.name, rows, names)

    def _read_with(self, more_metadata: bool) -> ReadOptions:
        return replace(self._options, more_metadata=more_metadata)


class Window(StreamRows):
    """What a transaction consumes: the watermark moves to `end` when it commits."""

    def __init__(self, tx: "Tx", consumption: Consumption, target: TableObject | None) -> None:
        schema = tx.inner.catalog.table(consumption.stream.table).schema
        lens = tx.session.lens(tx.inner.catalog, consumption.stream)
        options = ReadOptions(schema=schema, cache=tx.session.cache, lens=lens)
        super().__init__(tx.inner.view, consumption.stream, consumption.window, options)
        self.tx, self._target = tx, target

    def insert(self, data: "Data | None" = None) -> int:
        """Insert rows into the consuming table; without `data`, the window's own rows.

        Of the window's own rows, METADATA$ columns that the table lacks are left out.
        """
        if self._target is None:
            raise BadArgument("a consumer without a table has nothing to insert into")
        if data is None:
            return self.tx.insert_own(self._target.id, self._own)
        return self.tx.insert(self._target.id, data)

    def told(self) -> list[int]:
        """What is kept beside the commit of a request with an idempotency key; see `told_window`."""
        return [self.stream_id, self._target.id if self._target else 0, self.start, self.end]

    def _own(self) -> pa.RecordBatchReader:
        """The window's rows, without the METADATA$ columns that the target lacks."""
        assert self._target is not None
        has = self.tx.inner.catalog.table(self._target.id).schema
        empty = _outer(self._columns, empty_rows(self._view, self._stream, self._options))
        names = [
            name
            for name in empty.column_names
            if name not in METADATA or has.position(name) is not None
        ]
        found = (batch for rows in self.batches() for batch in rows.select(names).to_batches())
        return pa.RecordBatchReader.from_batches(empty.select(names).schema, found)


def open_window(
    tx: "Tx",
    stream: str | HasId,
    target: TableObject | None,
    consumer: str | None,
    bounds: Bounds,
) -> Window:
    """Consume for a table, a CLIENT consumer, or whoever reads a SHARED stream."""
    if target is not None and consumer is not None:
        raise BadArgument("a window has one consumer: a table (into) or a name (consumer)")
    catalog = tx.inner.catalog
    found = find_stream(catalog, stream) if isinstance(stream, str) else catalog.stream(stream.id)
    if found.dropped_at is not None:
        raise NotFound("stream", found.name, "it was dropped")
    with tx.inner.statement("consume"):
        consumption = consume(tx.inner, found, target or consumer, bounds)
    return Window(tx, consumption, target)


def _outer(columns: Sequence[Column | ViewColumn], rows: pa.Table) -> pa.Table:
    """A window's rows as users see them; METADATA$ columns are theirs already."""
    width = len(columns)
    shown = outer([column.type for column in columns], rows.select(range(width)))
    for at in range(width, rows.num_columns):
        shown = shown.append_column(rows.column_names[at], rows.column(at))
    return shown


def told_window(tx: "Tx", told: list[int]) -> Window:
    """The window that a request consumed when it was sent first, from what it was told then."""
    stream_id, target, after, upto = told
    catalog = tx.inner.view.catalog
    consumption = Consumption(tx.inner, catalog.stream(stream_id), (), Versions(after, upto))
    return Window(tx, consumption, catalog.table(target) if target else None)
