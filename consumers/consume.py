"""Consuming: a window fixed inside a transaction, its watermark moved by the same commit.

The start is the consumer's own watermark, the end is fixed at the first use in the transaction: the
head of its snapshot (never its own writes), or the bound, or the base for a consumer at INITIAL.
What the transaction has staged says which windows it has fixed, so a failed statement takes its
window back with it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from headwater.consumers import read as reading
from headwater.consumers.boundaries import DIRECTORY
from headwater.consumers.errors import (
    BoundsDiffer,
    ConsumerRefused,
    ConsumerUnknown,
    SharedRefuses,
    WatermarksDiffer,
    below_horizon,
)
from headwater.consumers.positions import horizon
from headwater.consumers.registration import (
    Directory,
    check_readable,
    directory_consumer,
    find_consumer,
    name_of,
    new_consumer,
    position_in,
    register,
    registered,
    table_consumer,
)
from headwater.consumers.windows import UNBOUNDED, Bounds, Window, captured, fix, start_of
from headwater.log_store.catalog import (
    ConsumerKind,
    ConsumerObject,
    Sharing,
    StreamObject,
    TableObject,
)
from headwater.log_store.records import Move
from headwater.producer.transaction import Transaction

# A table or directory is what the effect goes into; a text names a CLIENT; None is whoever reads a
# SHARED stream.
Reader = TableObject | Directory | str | None


@dataclass(frozen=True, slots=True, eq=False)
class Consumption:
    """A window that a transaction consumes for these consumers; readable until it ends."""

    tx: Transaction
    stream: StreamObject
    consumers: tuple[ConsumerObject, ...]
    window: Window

    def tables(self, options: reading.ReadOptions = reading.PLAIN) -> Iterator[pa.Table]:
        """The window's rows, see `read.read`; as often as wanted, always the same."""
        return reading.read(self.tx.view, self.stream, self.window, self._shown(options))

    def table(self, options: reading.ReadOptions = reading.PLAIN) -> pa.Table:
        """The window's rows in one piece."""
        shown = self._shown(options)
        empty = reading.empty_rows(self.tx.view, self.stream, shown)
        return pa.concat_tables([empty, *self.tables(options)])

    def _shown(self, options: reading.ReadOptions) -> reading.ReadOptions:
        # An ALTER in this very transaction counts too.
        return replace(options, schema=self.tx.catalog.table(self.stream.table).schema)


def consume(
    tx: Transaction, stream: StreamObject, reader: Reader, bounds: Bounds = UNBOUNDED
) -> Consumption:
    """Consume a stream's window for one consumer, registering it at its first use.

    Raises:
        StreamStale: its table is gone, or the consumer stands below the horizon.
        BoundsDiffer: this transaction has bounded the stream otherwise.
        SharedRefuses: a consumer by name on a SHARED stream.
        ConsumerRefused: the name is that of a consumer which moves in another way.
    """
    return consume_for(tx, stream, [reader], bounds)


def consume_for(
    tx: Transaction, stream: StreamObject, readers: Sequence[Reader], bounds: Bounds = UNBOUNDED
) -> Consumption:
    """Consume one window for all the targets of one statement; see `consume`. Stages all or none.

    Raises:
        WatermarksDiffer: they stand at different places; names them.
    """
    stream = tx.catalog.stream(stream.id)
    readers = [_known(stream, reader) for reader in readers]
    found, window = _fixed(tx, stream, readers, bounds)
    consumers = tuple(
        _stage(tx, stream, consumer, reader, (window, bounds))
        for consumer, reader in zip(found, readers, strict=True)
    )
    return Consumption(tx, stream, consumers, window)


def window_for(
    tx: Transaction, stream: StreamObject, readers: Sequence[Reader], bounds: Bounds = UNBOUNDED
) -> Window:
    """The window that `consume_for` would consume now, with the same errors; stages nothing."""
    stream = tx.catalog.stream(stream.id)
    return _fixed(tx, stream, [_known(stream, reader) for reader in readers], bounds)[1]


def _known(stream: StreamObject, reader: Reader) -> Reader:
    """Whom the store can know: a TEMPORARY table, gone with its session, is nobody's watermark."""
    if not isinstance(reader, TableObject) or reader.id > 0:
        return reader
    if stream.sharing is Sharing.INDEPENDENT:
        why = "is TEMPORARY and keeps no watermark: read FROM the stream with CONSUMER and a name"
        raise ConsumerRefused(stream.name, reader.name, why)
    return None


def _fixed(
    tx: Transaction, stream: StreamObject, readers: Sequence[Reader], bounds: Bounds
) -> tuple[list[ConsumerObject | None], Window]:
    """The registered consumers meant, None for a first use, and the one window they all have."""
    check_readable(tx.catalog, stream)
    _check_bounds(tx, stream, bounds)
    found = [_find(tx, stream, reader) for reader in readers]
    windows = [
        _window(tx, stream, consumer, reader, bounds)
        for consumer, reader in zip(found, readers, strict=True)
    ]
    if len(set(windows)) > 1:
        names = [_shown(tx, stream, reader) for reader in readers]
        starts = [window.after for window in windows]
        raise WatermarksDiffer(stream.name, dict(zip(names, starts, strict=True)))
    return found, windows[0]


def first_window(
    tx: Transaction, stream: StreamObject, bounds: Bounds = UNBOUNDED
) -> tuple[ConsumerObject | None, Window]:
    """What a table that does not exist yet will consume, and through which consumer if SHARED.

    Stages nothing: `consume_for` the table, once it is there, gives this window.

    Raises:
        StreamStale: its table is gone, or its first window is below the horizon.
    """
    stream = tx.catalog.stream(stream.id)
    check_readable(tx.catalog, stream)
    shared = stream.sharing is Sharing.SHARED
    consumer = next(iter(registered(tx.catalog, stream)), None) if shared else None
    return consumer, _window(tx, stream, consumer, None, bounds)


def _find(tx: Transaction, stream: StreamObject, reader: Reader) -> ConsumerObject | None:
    """The registered consumer meant, None if this is its first use."""
    shared = stream.sharing is Sharing.SHARED
    if isinstance(reader, TableObject):
        return table_consumer(tx.catalog, stream, reader)
    if isinstance(reader, Directory):
        return directory_consumer(tx.catalog, stream, reader)
    if reader is None:
        if not shared:
            raise ConsumerRefused(stream.name, "without a name", "needs a name or a table")
        return next(iter(registered(tx.catalog, stream)), None)
    if shared:
        raise SharedRefuses(stream.name, f"CONSUMER {reader}")
    try:
        found = find_consumer(tx.catalog, stream, reader)
    except ConsumerUnknown:
        return None
    if found.reader is ConsumerKind.TABLE:
        its = "COPY" if found.directory else "table"
        raise ConsumerRefused(stream.name, reader, f"moves only through its own {its}")
    if found.reader is ConsumerKind.GROUP:
        raise ConsumerRefused(stream.name, reader, "moves only through its Kafka group")
    return found


def _check_bounds(tx: Transaction, stream: StreamObject, bounds: Bounds) -> None:
    """One transaction reads a stream under one bound."""
    for move in tx.moves:
        if move.why == "consume" and tx.catalog.consumer(move.consumer).stream == stream.id:
            first = str(move.note.get("bounds", UNBOUNDED))
            if first != str(bounds):
                raise BoundsDiffer(stream.name, first, str(bounds))


def _window(
    tx: Transaction,
    stream: StreamObject,
    consumer: ConsumerObject | None,
    reader: Reader,
    bounds: Bounds,
) -> Window:
    """The window fixed already, or the one that is to be fixed now."""
    for move in tx.moves if consumer is not None else ():
        if consumer is not None and move.consumer == consumer.id:
            if move.why == "consume":
                assert move.start is not None
                return Window(move.start, move.end)
            if move.why != "register":
                raise ConsumerRefused(
                    stream.name,
                    name_of(tx.catalog, consumer),
                    f"was moved by this transaction ({move.why}): consume in the next one",
                )
    start = _first_start(tx, stream, reader) if consumer is None else position_in(tx, consumer)
    if tx.view.catalog.get("table", stream.table) is None:
        return Window(start, max(start, stream.base))  # the table is made by this transaction
    kept = horizon(tx.view, stream.table)
    if (start if start >= 0 else stream.base) < kept:
        raise below_horizon(stream.name, _shown(tx, stream, reader), start, kept)
    head = tx.view.head(stream.table).version

    def changes_at(version: int) -> int:
        row = tx.view.version(stream.table, version)
        assert row is not None, "versions above the horizon are kept"
        return captured(row.counts, stream.capture)

    return fix(stream, start, head, bounds, changes_at)


def _first_start(tx: Transaction, stream: StreamObject, reader: Reader) -> int:
    """Where a consumer begins at its first use; a clone goes on where its original stood."""
    if isinstance(reader, TableObject) and stream.sharing is Sharing.INDEPENDENT:
        return tx.catalog.table(reader.id).seeds.get(stream.id, start_of(stream))
    return start_of(stream)


def _stage(
    tx: Transaction,
    stream: StreamObject,
    consumer: ConsumerObject | None,
    reader: Reader,
    fixed: tuple[Window, Bounds],
) -> ConsumerObject:
    """Stage the move, and the registration before it; nothing if this use is not the first."""
    window, bounds = fixed
    target = reader.id if isinstance(reader, TableObject) else None
    if consumer is None:
        # Several targets of one statement on a SHARED stream: the first one registered it.
        consumer = _find(tx, stream, reader)
    if consumer is None:
        shared = stream.sharing is Sharing.SHARED
        wanted = new_consumer(tx, stream, None if shared else reader)
        consumer = register(tx, stream, wanted, window.after)
        if target is not None:
            # From now on DROP would retire the consumer, which is noticed through itself.
            tx.depend_on("table", target)
    tx.depend_on("stream", stream.id)
    if stream.view is not None:
        tx.depend_on("view", stream.view)
    tx.depend_on("consumer", consumer.id)
    directory = reader.path if isinstance(reader, Directory) else ""
    uses = [m for m in tx.moves if m.consumer == consumer.id and m.why == "consume"]
    if any((m.target, m.note.get(DIRECTORY, "")) == (target, directory) for m in uses):
        return consumer
    # A SHARED stream's further targets are marked by a move that goes nowhere.
    start = window.upto if uses else window.after
    note = {} if bounds == UNBOUNDED else {"bounds": str(bounds)}
    if directory:
        note[DIRECTORY] = directory
    tx.stage_move(Move(consumer.id, start, window.upto, "consume", target, note=note))
    return consumer


def _shown(tx: Transaction, stream: StreamObject, reader: Reader) -> str:
    if isinstance(reader, TableObject):
        return reader.name
    if isinstance(reader, Directory):
        return reader.path
    return stream.name if reader is None else reader
