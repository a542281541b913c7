"""How far consumers are behind: has-data, lag, the backlog, staleness, the listings.

Lag and has-data come from the version index's running counts and cost the same whatever the
backlog; all count captured changes, before netting.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from headwater.consumers.errors import below_horizon
from headwater.consumers.group_notes import INSIDE, RECORDS, noted
from headwater.consumers.positions import horizon
from headwater.consumers.registration import (
    check_readable,
    name_of,
    position,
    registered,
    why_stale,
)
from headwater.consumers.windows import captured, lowest, start_of
from headwater.log_store.catalog import Capture, ConsumerKind, ConsumerObject, StreamObject
from headwater.log_store.port import View
from headwater.log_store.records import INITIAL, VersionRow


@dataclass(frozen=True, slots=True)
class Lag:
    """What is still to be consumed. Rows of an initial step count as changes.

    `seconds` is the age of the oldest commit not yet consumed, 0 when there is none.
    """

    versions: int
    changes: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Backlog:
    """One version that is still to be consumed, with the changes it made."""

    version: int
    time_us: int
    commit_id: str
    inserts: int
    updates: int
    deletes: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ConsumerRow:
    """A line of the listing of consumers. `stale` says why it cannot go on, empty if it can.

    `group` is its Kafka group's id. A GROUP consumer has read `inside` of the `records` of the
    version after its watermark, if that is not 0.
    """

    stream: str
    consumer: str
    kind: str
    watermark: int
    base: int
    head: int
    lag: Lag | None
    moved_us: int
    stale: str
    group: str = ""
    inside: int = 0
    records: int = 0

    @property
    def shown_inside(self) -> str:
        """How far it is inside the next version, as in ` + 3/20`; empty if it is not."""
        return f" + {self.inside}/{self.records}" if self.inside else ""


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A line of the listing of streams; `bytes` are those of what somebody still has to consume.

    `view` is the view it is on, empty for a stream on the table itself.
    """

    stream: StreamObject
    table: str
    view: str
    head: int
    consumers: int
    bytes: int
    has_data: bool
    stale: str


def has_data(view: View, stream: StreamObject, consumer: ConsumerObject | None = None) -> bool:
    """Whether a consumer has anything to consume; None asks for any, or for a first one.

    Exact for ALL and INSERT ONLY on a table; for NET and on a view it may be true for a window that
    nets or filters to nothing.

    Raises:
        StreamStale: the stream's table is gone, or the consumer stands below the horizon.
    """
    check_readable(view.catalog, stream)
    return _has_data(view, stream, consumer)


def _has_data(view: View, stream: StreamObject, consumer: ConsumerObject | None) -> bool:
    if consumer is not None:
        positions = [position(view, consumer)]
    else:
        positions = _kept_positions(view, stream) or [start_of(stream)]
    for at in positions:
        _row(view, stream, _needs(stream, at))
    head = view.head(stream.table)
    return any(_any_changes(view, stream, at, head) for at in positions)


def _any_changes(view: View, stream: StreamObject, at: int, head: VersionRow) -> bool:
    if at == INITIAL:
        base = _row(view, stream, stream.base)
        return _rows_at(base) > 0 or _any_changes(view, stream, stream.base, head)
    if at >= head.version:
        return False
    if stream.capture is not Capture.INSERT_ONLY:
        return True  # a version holds at least one change
    return head.counts.inserts > _row(view, stream, at).counts.inserts


def _rows_at(row: VersionRow) -> int:
    """How many rows the table had at a version."""
    return row.counts.inserts - row.counts.deletes


def _row(view: View, stream: StreamObject, version: int) -> VersionRow:
    row = view.version(stream.table, version)
    if row is None:
        kept = horizon(view, stream.table)
        raise below_horizon(stream.name, "asked about", version, kept)
    return row


def changes_between(view: View, stream: StreamObject, after: int, upto: int) -> tuple[int, int]:
    """(captured changes, bytes) of the positions (after, upto]; initial rows count as changes."""
    if after == INITIAL and upto == INITIAL:
        return 0, 0
    start = _row(view, stream, stream.base if after == INITIAL else after)
    end = _row(view, stream, upto)
    changes = captured(end.counts, stream.capture) - captured(start.counts, stream.capture)
    if after == INITIAL:
        changes += _rows_at(start)
    return changes, end.counts.bytes - start.counts.bytes


def lag(view: View, stream: StreamObject, at: int, now_us: int) -> Lag:
    """How far a consumer that stands at a position is behind the head; O(1).

    Raises:
        StreamStale: the position is below the horizon.
    """
    head = view.head(stream.table).version
    changes, size = changes_between(view, stream, at, head)
    after = stream.base if at == INITIAL else at
    seconds = 0.0
    if after < head or changes:
        oldest = stream.created_us
        if at != INITIAL or not _rows_at(_row(view, stream, stream.base)):
            oldest = _row(view, stream, after + 1).time_us
        seconds = max(0, now_us - oldest) / 1_000_000
    return Lag(head - after, changes, size, seconds)


def backlog(
    view: View, stream: StreamObject, consumer: ConsumerObject | None = None
) -> Iterator[Backlog]:
    """A row per version still to be consumed: by this consumer, or by the one furthest behind.

    Raises:
        StreamStale: the stream's table is gone, or the consumer stands below the horizon.
    """
    check_readable(view.catalog, stream)
    at = position(view, consumer) if consumer is not None else lowest_position(view, stream)
    before = _row(view, stream, stream.base if at == INITIAL else at)
    for row in view.versions(stream.table, before.version, view.head(stream.table).version):
        commit = view.commit(row.sequence)
        yield Backlog(
            row.version,
            row.time_us,
            "" if commit is None else commit.commit_id,
            row.counts.inserts - before.counts.inserts,
            row.counts.updates - before.counts.updates,
            row.counts.deletes - before.counts.deletes,
            row.counts.bytes - before.counts.bytes,
        )
        before = row


def stale_consumers(view: View, stream: StreamObject) -> list[str]:
    """Names of the consumers that stand below the horizon; a plain SELECT leaves them out."""
    kept = horizon(view, stream.table)
    return [
        name_of(view.catalog, one)
        for one in registered(view.catalog, stream)
        if _needs(stream, position(view, one)) < kept
    ]


def lowest_position(view: View, stream: StreamObject) -> int:
    """The lowest watermark of the registered consumers, stale ones left out; else the start."""
    return lowest(stream, _kept_positions(view, stream))


def _kept_positions(view: View, stream: StreamObject) -> list[int]:
    """Where the registered consumers stand that are not stale."""
    kept = horizon(view, stream.table)
    positions = [position(view, one) for one in registered(view.catalog, stream)]
    return [at for at in positions if _needs(stream, at) >= kept]


def _needs(stream: StreamObject, at: int) -> int:
    """The oldest version that a consumer at a position needs."""
    return stream.base if at == INITIAL else at


def consumer_row(
    view: View, stream: StreamObject, consumer: ConsumerObject, now_us: int
) -> ConsumerRow:
    """One consumer's line in the listing."""
    mark = view.watermark(consumer.id)
    assert mark is not None, "a registration always writes a watermark"
    stale = why_stale(view.catalog, stream)
    kept = horizon(view, stream.table)
    note = noted(view, consumer) if consumer.reader is ConsumerKind.GROUP else {}
    if not stale and _needs(stream, mark.position) < kept:
        stale = f"full history is kept from v{kept}"
    return ConsumerRow(
        stream.name,
        name_of(view.catalog, consumer),
        consumer.reader.value,
        mark.position,
        stream.base,
        view.head(stream.table).version,
        None if stale else lag(view, stream, mark.position, now_us),
        mark.time_us,
        stale,
        consumer.group,
        note.get(INSIDE, 0),
        note.get(RECORDS, 0),
    )


def listing(view: View, stream: StreamObject, now_us: int) -> list[ConsumerRow]:
    """The listing of a stream's consumers, in order of registration."""
    there = registered(view.catalog, stream)
    return [consumer_row(view, stream, one, now_us) for one in there]


def stream_row(view: View, stream: StreamObject) -> StreamRow:
    """One stream's line in the listing."""
    stale = why_stale(view.catalog, stream)
    head = view.head(stream.table).version
    at, kept = lowest_position(view, stream), horizon(view, stream.table)
    if not stale and _needs(stream, at) < kept:
        stale = f"full history is kept from v{kept}"
    return StreamRow(
        stream,
        view.catalog.table(stream.table).name,
        "" if stream.view is None else view.catalog.view(stream.view).name,
        head,
        len(registered(view.catalog, stream)),
        0 if stale else changes_between(view, stream, at, head)[1],
        False if stale else _has_data(view, stream, None),
        stale,
    )
