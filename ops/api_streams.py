"""Streams as a Python user holds them: look, consume, register readers, watch, rewind."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack

import pyarrow as pa

from headwater.consumers import lifecycle
from headwater.consumers.backlog import (
    Backlog,
    ConsumerRow,
    StreamRow,
    backlog,
    consumer_row,
    has_data,
    listing,
    stream_row,
)
from headwater.consumers.consume import consume
from headwater.consumers.copy_files import CopiedFile, copy_into
from headwater.consumers.group_consumers import with_members
from headwater.consumers.history import HistoryRow, history
from headwater.consumers.look import shown_window, version_in
from headwater.consumers.positions import Position, Said
from headwater.consumers.read import ReadOptions
from headwater.consumers.registration import Directory, check_readable, find_consumer
from headwater.consumers.rewind import Ask, plan_advance, plan_rewind, plan_undo
from headwater.consumers.rewind_plan import RewindPlan
from headwater.consumers.row_files import FileOptions
from headwater.consumers.spans import parse_span
from headwater.consumers.streams import StreamOptions, alter_stream, options_of
from headwater.consumers.windows import Bounds
from headwater.consumers.windows import Window as Versions
from headwater.log_store.catalog import (
    Capture,
    ConsumerKind,
    RewindPolicy,
    Sharing,
    StreamObject,
    TableObject,
)
from headwater.log_store.port import View
from headwater.ops.api_inputs import HasId
from headwater.ops.api_rewind import Plan
from headwater.ops.api_windows import StreamRows, Window
from headwater.ops.errors import BadArgument
from headwater.ops.present import Change, Reads
from headwater.producer.errors import NotFound
from headwater.producer.names import find_table
from headwater.producer.transaction import Transaction

if TYPE_CHECKING:
    from headwater.ops.api_tables import Table
    from headwater.ops.api_transaction import Tx
    from headwater.ops.session import Session


PARQUET = FileOptions()


class StreamArguments(TypedDict, total=False):
    """What a stream can be created with, or altered to.

    `capture`: ALL, NET or INSERT ONLY; `sharing`: INDEPENDENT or SHARED; `policy` for rewinds:
    ALLOW, WARN, REQUIRE_REASON or FORBID; `retention` as in "30 days" or seconds.
    """

    capture: str
    sharing: str
    policy: str
    initial_rows: bool
    retention: str | int | None
    comment: str


def stream_options(standing: StreamOptions, asked: StreamArguments) -> StreamOptions:
    """The options as asked for, the others as they stand.

    Raises:
        BadArgument: a word that is none of those an option knows.
    """
    retention = asked.get("retention", standing.retention_s)
    return replace(
        standing,
        capture=_word(Capture, asked, "capture", standing.capture),
        sharing=_word(Sharing, asked, "sharing", standing.sharing),
        policy=_word(RewindPolicy, asked, "policy", standing.policy),
        initial_rows=asked.get("initial_rows", standing.initial_rows),
        retention_s=span_seconds(retention) if isinstance(retention, str) else retention,
        comment=asked.get("comment", standing.comment),
    )


def span_seconds(text: str) -> int:
    """A span of time in seconds. Raises BadArgument."""
    span = parse_span(text)
    if span is None:
        raise BadArgument(f"{text!r} is no span of time: write 30 days, 15m or 1.5 hours")
    return round(span.total_seconds())


_Word = TypeVar("_Word", Capture, Sharing, RewindPolicy)


def _word(words: type[_Word], asked: StreamArguments, name: str, standing: _Word) -> _Word:
    said = asked.get(name)
    if said is None:
        return standing
    wanted = str(said).upper().replace("_", " ")
    for word in words:
        if word.value.replace("_", " ") == wanted:
            return word
    choices = ", ".join(word.value for word in words)
    raise BadArgument(f"{name} {said!r} is not known: choose one of {choices}")


class Stream(Reads):
    """A stream, bound to its id. Reading from it moves nothing; only a commit that consumes does."""

    def __init__(self, session: "Session", stream_id: int) -> None:
        self._session, self._id = session, stream_id

    def __repr__(self) -> str:
        return f"Stream({self.name!r})"

    @property
    def id(self) -> int:
        """The stream's object id, kept for life."""
        return self._id

    @property
    def name(self) -> str:
        """The stream's current name."""
        return self.definition.name

    @property
    def definition(self) -> StreamObject:
        """What the stream was created as."""
        with self._session.view() as view:
            return self._live(view)

    def _live(self, view: View) -> StreamObject:
        found = view.catalog.stream(self._id)
        if found.dropped_at is not None:
            raise NotFound("stream", found.name, "it was dropped")
        return found

    # Looking: moves nothing.

    @contextmanager
    def look(
        self,
        consumer: str | None = None,
        *,
        limit_changes: int | None = None,
        upto: int | None = None,
    ) -> Generator[StreamRows]:
        """The rows a consumer still has to consume, or any of them; open while the block runs.

        Without registered consumers: everything after the base.

        Raises:
            StreamStale: the stream's table, or the history needed, is gone.
        """
        bounds = Bounds(limit_changes, upto)
        with self._session.view() as view:
            stream = self._live(view)
            window = shown_window(view, stream, consumer, bounds)
            yield StreamRows(view, stream, window, self._reading(view, stream))

    def changes(
        self,
        consumer: str | None = None,
        *,
        limit_changes: int | None = None,
        upto: int | None = None,
    ) -> Iterator[Change]:
        """What `look` shows, row by row, each with version, time and an id that never changes."""
        with self.look(consumer, limit_changes=limit_changes, upto=upto) as rows:
            yield from rows.changes()

    def arrow(self, consumer: str | None = None, *, more_metadata: bool = False) -> pa.Table:
        """What `look` shows, as an Arrow table; see `StreamRows.arrow`."""
        with self.look(consumer) as rows:
            return rows.arrow(more_metadata=more_metadata)

    def between(self, start: Said, end: Said = "head", *, capture: str | None = None) -> pa.Table:
        """The changes after one place up to another, captured as this stream does or otherwise.

        Reads any kept range of the table and concerns no consumer.

        Raises:
            StreamStale: the stream's table is gone. OutsideHistory: a place is not kept.
        """
        with self._session.view() as view:
            stream = self._live(view)
            if capture is not None:
                stream = replace(
                    stream, capture=stream_options(StreamOptions(), {"capture": capture}).capture
                )
            check_readable(view.catalog, stream)
            after = version_in(view, stream, self._session.position(start))
            upto = version_in(view, stream, self._session.position(end))
            window = Versions(after, max(after, upto))
            return StreamRows(view, stream, window, self._reading(view, stream)).arrow()

    def _reading(self, view: View, stream: StreamObject) -> ReadOptions:
        lens = self._session.lens(view.catalog, stream)
        return ReadOptions(cache=self._session.cache, lens=lens)

    # Consuming.

    @contextmanager
    def consume(
        self,
        into: "str | Table | None" = None,
        *,
        limit_changes: int | None = None,
        upto: int | None = None,
    ) -> Generator[Window]:
        """Consume into a table: what the block writes and the watermark's move are one commit.

        Without a table only on a SHARED stream. An exception writes and moves nothing.

        Raises:
            WriteConflict: the consumer was moved by somebody else first. Run the block again.
        """
        with self._session.transaction() as tx:
            yield tx.consume(self._in(tx), into=into, limit_changes=limit_changes, upto=upto)

    @contextmanager
    def consumer(
        self, name: str, *, limit_changes: int | None = None, upto: int | None = None
    ) -> Generator[Window]:
        """Consume as a program: the watermark moves when the block ends without an exception.

        Effects outside the store happen at least once: after a crash the same changes come again,
        under the same `Change.id`.
        """
        with self._session.transaction() as tx:
            yield tx.consume(self._in(tx), consumer=name, limit_changes=limit_changes, upto=upto)

    def copy_into(
        self,
        directory: str | Path,
        options: FileOptions = PARQUET,
        *,
        limit_changes: int | None = None,
        upto: int | None = None,
    ) -> CopiedFile:
        """Consume into a directory, which is a consumer: one file for the window, then the commit.

        The file is named after the window, as
        in `s_v101-v150.parquet`, and is durable before the watermark moves; files of this stream
        that start above the watermark are removed first.

        Raises:
            DirectoryBusy: another COPY writes there. CopyFailed: the directory or the disk.
            WriteConflict: the consumer was moved by somebody else first. Nothing was consumed.
        """
        path = Directory(str(Path(directory).expanduser().resolve()))
        with self._session.transaction() as tx, tx.inner.statement("copy"):
            stream = tx.inner.catalog.stream(self._in(tx).id)
            used = consume(tx.inner, stream, path, Bounds(limit_changes, upto))
            reading = replace(
                self._reading(tx.inner.view, stream),
                schema=tx.inner.catalog.table(stream.table).schema,
            )
            rows = StreamRows(tx.inner.view, stream, used.window, reading)
            chosen = replace(options, json_columns=options.json_columns | rows.json_columns)
            return copy_into([used], rows.reader(), chosen)

    def _in(self, tx: "Tx") -> "Stream":
        if tx.inner.catalog.stream(self._id).dropped_at is not None:
            raise NotFound("stream", tx.inner.catalog.stream(self._id).name, "it was dropped")
        return self

    # Consumers.

    def add_consumer(
        self, name: "str | Table", *, kind: str = "CLIENT", at: Said = "base"
    ) -> ConsumerRow:
        """Register a consumer before its first use: a program by name, or a table.

        `kind` is CLIENT, TABLE, or, in a store on Kafka, GROUP: a plain consumer group, see
        docs/KAFKA.md. `at` is base, head, horizon, a version or a time.
        """
        place = self._session.position(at)
        added = self._session.define(
            lambda tx: add_reader(tx, tx.catalog.stream(self._id), name, kind, place)
        )
        with self._session.view() as view:
            found = view.catalog.consumer(added)
            return consumer_row(view, self._live(view), found, self._session.now())

    def drop_consumer(self, name: str) -> None:
        """Retire a consumer: it pins no history any more; its moves stay on record."""
        self._session.define(
            lambda tx: lifecycle.drop_consumer(tx, tx.catalog.stream(self._id), name)
        )

    def consumers(self, name: str | None = None) -> list[ConsumerRow]:
        """Every registered consumer, or one: kind, watermark, head and lag."""
        with self._session.view() as view:
            stream, now = self._live(view), self._session.now()
            if name is not None:
                found = find_consumer(view.catalog, stream, name)
                return [consumer_row(view, stream, found, now)]
            return listing(view, stream, now)

    def alter(self, **options: Unpack[StreamArguments]) -> None:
        """Give the stream other options in place; see `StreamArguments`."""

        def change(tx: Transaction) -> None:
            standing = tx.catalog.stream(self._id)
            wanted = stream_options(options_of(standing), options)
            alter_stream(tx, standing, wanted)

        self._session.define(change)

    # Watching.

    @property
    def base(self) -> int:
        """The version the stream was created at."""
        return self.definition.base

    @property
    def info(self) -> StreamRow:
        """Its line in the listing: table, head, consumers, bytes to consume, stale or not."""
        with self._session.view() as view:
            return stream_row(view, self._live(view))

    def has_data(self, consumer: str | None = None) -> bool:
        """Whether a consumer, or any of them, has something to consume; costs the same always."""
        with self._session.view() as view:
            stream = self._live(view)
            of = None if consumer is None else find_consumer(view.catalog, stream, consumer)
            return has_data(view, stream, of)

    def lag(self, consumer: str | None = None) -> list[ConsumerRow]:
        """How far each consumer is behind: versions, changes, bytes, seconds."""
        return self.consumers(consumer)

    def backlog(self, consumer: str | None = None) -> list[Backlog]:
        """A row per version still to be consumed, with the changes it made."""
        with self._session.view() as view:
            stream = self._live(view)
            of = None if consumer is None else find_consumer(view.catalog, stream, consumer)
            return list(backlog(view, stream, of))

    def history(self, consumer: str | None = None) -> list[HistoryRow]:
        """Every move of a watermark, oldest first: from, to, who, when, why."""
        with self._session.view() as view:
            stream = self._live(view)
            of = None if consumer is None else find_consumer(view.catalog, stream, consumer)
            return list(history(view, stream, of))

    def version_at(self, time: Said) -> int:
        """The version of the stream's table at a time, such as "2 hours ago".

        Raises:
            OutsideHistory: before the table, or no longer kept.
        """
        with self._session.view() as view:
            return version_in(view, self._live(view), self._session.position(time))

    # Moving watermarks by hand.

    def rewind(
        self,
        consumer: str | None = None,
        *,
        to: Said = "base",
        restore: bool = False,
        force: bool = False,
        reason: str = "",
    ) -> Plan:
        """Plan to move a watermark back; `execute` does it.

        Without `consumer` the one that is registered; `*` means all. `to` is base, initial, a
        version or a time. `restore` puts the target table back to where it stood then, in the same
        commit, so that reading again duplicates nothing; `force` discards what others changed in
        it since.

        Raises:
            TargetAboveWatermark: that is ahead: use `advance`.
            RewindRefused: several consumers and none named, or a place below the base.
        """
        place = self._session.position(to)
        ask = Ask(to=place, consumer=consumer, restore=restore, force=force, reason=reason)
        return self._plan(plan_rewind, ask)

    def advance(self, consumer: str | None = None, *, to: Said = "head", reason: str = "") -> Plan:
        """Plan to move a watermark forward; the changes between are never consumed."""
        place = self._session.position(to)
        return self._plan(plan_advance, Ask(to=place, consumer=consumer, reason=reason))

    def undo(self, consumer: str | None = None, *, force: bool = False, reason: str = "") -> Plan:
        """Plan to put back what a consumer's last rewind moved: watermark and, restored, table.

        Raises:
            RewindRefused: its last move was no rewind.
        """
        return self._plan(plan_undo, Ask(consumer=consumer, force=force, reason=reason))

    def _plan(self, make: Callable[[View, StreamObject, Ask], RewindPlan], ask: Ask) -> Plan:
        with self._session.view() as view:
            plan = make(view, self._live(view), ask)
        return Plan(self._session, with_members(plan, self._session.log.groups))


def add_reader(
    tx: Transaction, stream: StreamObject, name: str | HasId, kind: str, at: Position
) -> int:
    """Register a consumer in a transaction, see `Stream.add_consumer`; returns its id."""
    reader: TableObject | str
    if not isinstance(name, str):
        reader = tx.catalog.table(name.id)
    else:
        reader = find_table(tx.catalog, name) if kind.upper() == "TABLE" else name
    asked = _kind(kind if isinstance(reader, str) else "TABLE")
    return lifecycle.add_consumer(tx, stream, reader, at, kind=asked).id


def _kind(said: str) -> ConsumerKind:
    try:
        return ConsumerKind(said.upper())
    except ValueError:
        raise BadArgument(f"kind {said!r} is not known: choose CLIENT, TABLE or GROUP") from None
