"""From what a transaction wants to what the log writes: order, time, versions, events. Pure.

Every adapter runs a batch through `settle` (is there anything to do, and may it be done?) and
then `sequence` (place, time, versions), and writes what it gets. `TableAssembly` turns the
changes of one table into its events, run by run, so a commit need not fit into memory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from headwater.log_store.catalog import Catalog, Namespace, NameTaken, TableObject
from headwater.log_store.chain import GENESIS, ChainDigest, one_digest
from headwater.log_store.changes import Columns, RowChange, Rows, Segment, TableChanges
from headwater.log_store.conflicts import (
    Latest,
    check_marks,
    check_moves,
    check_objects,
    check_table,
    check_unmoved,
)
from headwater.log_store.errors import IdempotencyMismatch, WriteConflict
from headwater.log_store.parameters import IDEMPOTENCY_DAYS, number_of
from headwater.log_store.port import Batch
from headwater.log_store.records import (
    OP_DELETE,
    OP_INSERT,
    OP_SNAPSHOT,
    OP_UPDATE,
    AuditRow,
    CommitRow,
    Committed,
    Counts,
    Move,
    Moved,
    VersionRow,
    Watermark,
)
from headwater.schemas.envelope import EventConstants, EventWriter, only_event
from headwater.schemas.product import VERSION

PUBLIC: Final = 1
FIRST_OBJECT_ID: Final = 2
_DAY_US: Final = 86_400 * 1_000_000

# Every store begins with the schema `public`, without an event of its own.
EMPTY_CATALOG: Final = Catalog(
    objects={("schema", PUBLIC): Namespace(id=PUBLIC, name="public")},
    names={("schema", 0, "public"): PUBLIC},
)


def settle(batch: Batch, latest: Latest, now_us: int) -> Committed | None:
    """The answer to a batch that needs no writing; None if it is to be written.

    Raises:
        WriteConflict: something the batch read has moved. Nothing is written.
        IdempotencyMismatch: its key stands for another request. Nothing is written.
    """
    if batch.idempotency is not None:
        repeated = repeat(batch, latest, now_us)
        if repeated is not None:
            return repeated
    elif not (batch.moves or batch.catalog or batch.audit or _changes_rows(batch)):
        return Committed(latest.sequence, batch.commit_id, latest.time_us, {})
    if batch.objects:
        check_objects(batch.objects, latest.catalog)
    if batch.unmoved:
        check_unmoved(batch.unmoved, latest)
    if batch.moves:
        check_moves(batch.moves, latest)
        check_marks(batch.marks, latest)
    # A table that this very batch alters has its images in the generation to come.
    altered = batch.catalog and {e.value.id for e in batch.catalog if e.value.kind == "table"}
    for table, changes in batch.tables.items():
        check_table(table, changes, latest, altered=table in altered)
    return None


def _changes_rows(batch: Batch) -> bool:
    for changes in batch.tables.values():
        if changes.count:
            return True
    return False


def remembered(commit: CommitRow, catalog: Catalog, now_us: int) -> bool:
    """Whether the idempotency key of a commit still stands for it."""
    days = number_of(catalog, IDEMPOTENCY_DAYS) or 0
    return now_us < commit.time_us + days * _DAY_US


def repeat(batch: Batch, latest: Latest, now_us: int) -> Committed | None:
    """The first result of a request sent again under its idempotency key; None if it is new."""
    asked = batch.idempotency
    found = latest.find_idempotent(asked.key) if asked is not None else None
    if asked is None or found is None or not remembered(found, latest.catalog, now_us):
        return None
    if found.idempotency is None or found.idempotency.digest != asked.digest:
        raise IdempotencyMismatch(asked.key, found.sequence)
    return Committed(
        found.sequence, found.commit_id, found.time_us, found.versions, True, found.result
    )


@dataclass(frozen=True, slots=True)
class Encoded:
    """A run of changes as events: a few as `messages`, many as `offsets` into `data`."""

    segment: Segment
    messages: list[bytes] | None
    offsets: npt.NDArray[np.int64] | None = None
    data: bytes = b""

    def run(self) -> tuple[npt.NDArray[np.int64], bytes]:
        """The events as one run, whatever shape they came in."""
        if self.messages is None:
            assert self.offsets is not None
            return self.offsets, self.data
        offsets = np.zeros(len(self.messages) + 1, np.int64)
        np.cumsum([len(message) for message in self.messages], out=offsets[1:])
        return offsets, b"".join(self.messages)


class TableAssembly:
    """One table's changes in one commit: iterate it once, then ask for the version it makes."""

    __slots__ = (
        "_before",
        "_chain",
        "_changes",
        "_constants",
        "_count",
        "_deletes",
        "_inserts",
        "_next_row_id",
        "_only_digest",
        "_size",
        "_table",
        "_updates",
        "_writer",
        "schema_id",
        "version",
    )

    def __init__(
        self,
        table: TableObject,
        before: VersionRow,
        changes: TableChanges,
        constants: EventConstants,
    ) -> None:
        self._table, self._before, self._changes = table, before, changes
        self._constants = constants
        self.version: Final = constants.version
        """The version these changes make."""
        self.schema_id: Final = table.generations[-1].schema_id
        """The registry's id of the schema these events are in."""
        self._inserts = self._updates = self._deletes = self._size = self._count = 0
        self._next_row_id = before.next_row_id
        # Made when there is more than one change to write and to chain.
        self._writer: EventWriter | None = None
        self._chain: ChainDigest | None = None
        self._only_digest = b""

    @property
    def byte_size(self) -> int:
        """About how many bytes of images are to come, known before anything is encoded."""
        return self._changes.byte_size

    def __iter__(self) -> Iterator[Encoded]:
        for segment in self._changes.segments:
            match segment:
                case Rows():
                    yield self._rows(segment)
                case Columns():
                    yield self._columns(segment)

    def only(self) -> tuple[RowChange, bytes] | None:
        """The one change with its event, in place of an iteration; None if there are more."""
        if self._changes.count != 1:
            return None
        for segment in self._changes.segments:
            if isinstance(segment, Rows):
                (change,) = segment.changes
                return change, self._only(change)
        return None

    def _only(self, change: RowChange) -> bytes:
        message = only_event(self._constants, change)
        self._counted(change)
        self._only_digest = one_digest(self._before.digest, self._table.id, self.version, message)
        self._count, self._size = 1, len(message)
        return message

    def _counted(self, change: RowChange) -> None:
        op, pair = change.op, change.pair
        if op == OP_UPDATE:
            self._updates += 1
        elif op == OP_DELETE:
            # The d of a key change is counted with its c.
            self._deletes += pair == 0
        else:
            if pair:
                self._updates += 1
            else:
                self._inserts += 1
            if change.row_id >= self._next_row_id:
                self._next_row_id = change.row_id + 1

    def _rows(self, segment: Rows) -> Encoded:
        if self._changes.count == 1:
            return Encoded(segment, [self._only(segment.changes[0])])
        writer, chain = self._started()
        messages = writer.rows(segment.changes)
        for change in segment.changes:
            self._counted(change)
        chain.add(messages)
        self._count += len(messages)
        self._size += sum(map(len, messages))
        return Encoded(segment, messages)

    def _columns(self, segment: Columns) -> Encoded:
        writer, chain = self._started()
        offsets, data = writer.columns(
            segment.ops, segment.row_ids, segment.before, segment.after, segment.pairs
        )
        single = np.ones(len(segment), np.bool_) if segment.pairs is None else segment.pairs == 0
        made = (segment.ops == OP_INSERT) | (segment.ops == OP_SNAPSHOT)
        self._inserts += int(np.count_nonzero(made & single))
        self._updates += int(np.count_nonzero((segment.ops == OP_UPDATE) | (made & ~single)))
        self._deletes += int(np.count_nonzero((segment.ops == OP_DELETE) & single))
        if made.any():
            self._next_row_id = max(self._next_row_id, int(segment.row_ids[made].max()) + 1)
        chain.add_run(offsets, data)
        self._count += len(segment)
        self._size += len(data)
        return Encoded(segment, None, offsets, data)

    def _started(self) -> tuple[EventWriter, ChainDigest]:
        if self._writer is None or self._chain is None:
            self._writer = EventWriter(self._constants)
            self._chain = ChainDigest(self._before.digest, self._table.id, self.version)
        return self._writer, self._chain

    def version_row(self, chunks: int = 1) -> VersionRow:
        """The version made, once every run has been taken."""
        before, counts = self._before, self._before.counts
        autos = before.autos
        if self._changes.autos:
            merged = dict(autos)
            for column, number in self._changes.autos.items():
                merged[column] = max(number, merged.get(column, 0))
            autos = tuple(sorted(merged.items()))
        digest = self._only_digest or self._started()[1].digest()
        return VersionRow(
            before.table,
            self.version,
            self._constants.sequence,
            self._constants.ts_us,
            Counts(
                counts.inserts + self._inserts,
                counts.updates + self._updates,
                counts.deletes + self._deletes,
                counts.bytes + self._size,
            ),
            before.event_seq + self._count,
            self._next_row_id,
            self.schema_id,
            digest,
            autos,
            chunks,
        )


class Sequenced(NamedTuple):
    """A batch with its place: what an adapter writes, the events aside.

    `created` are the v0 rows of tables that this commit creates.
    """

    row: CommitRow
    catalog: Catalog
    watermarks: list[Watermark]
    audit: list[AuditRow]
    created: list[VersionRow]
    assemblies: dict[int, TableAssembly]


def sequence(batch: Batch, latest: Latest, now_us: int) -> Sequenced:
    """The batch's place in the commit sequence, its time, versions, watermarks and events.

    Raises:
        WriteConflict: another commit took a name that this one wants. Nothing is written.
    """
    place, time_us = latest.sequence + 1, latest.time_us + 1
    time_us = max(time_us, now_us)
    catalog, name, epoch = latest.catalog, latest.name, latest.epoch
    created: dict[int, VersionRow] = {}
    if batch.catalog:
        try:
            catalog = catalog.apply(place, time_us, batch.catalog)
        except NameTaken as taken:
            raise WriteConflict("name", f"{taken.name} of a {taken.kind}", "was taken") from taken
        created = _created(batch, latest, place, time_us)
    assemblies: dict[int, TableAssembly] = {}
    versions: dict[int, int] = {}
    total = 1
    for table_id, changes in batch.tables.items():
        if not changes.count:
            continue
        table = catalog.table(table_id)
        before = created.get(table_id) or latest.head(table_id)
        version = before.version + 1
        constants = EventConstants(
            VERSION,
            name,
            name,
            _namespace(catalog, table),
            table.name,
            time_us,
            now_us,
            version,
            place,
            changes.count,
            epoch,
            batch.commit_id,
            before.event_seq + 1,
            total,
            1,
        )
        total += changes.count
        versions[table_id] = version
        assemblies[table_id] = TableAssembly(table, before, changes, constants)
    moved = tuple(_moved(move, latest, versions) for move in batch.moves) if batch.moves else ()
    row = CommitRow(
        place,
        batch.commit_id,
        time_us,
        batch.actor,
        versions,
        moved,
        tuple(batch.statements),
        batch.idempotency,
        batch.result,
        len(batch.catalog),
        epoch,
    )
    audit: list[AuditRow] = []
    for what, detail in batch.audit:
        audit.append(AuditRow(place, time_us, batch.actor, what, detail))
    marks = watermarks_of(moved, row) if moved else []
    return Sequenced(row, catalog, marks, audit, list(created.values()), assemblies)


def _created(batch: Batch, latest: Latest, place: int, time_us: int) -> dict[int, VersionRow]:
    """The v0 of each table that appears for the first time.

    Raises:
        WriteConflict: its topic belongs to a table that has been made meanwhile.
    """
    created: dict[int, VersionRow] = {}
    for event in batch.catalog:
        value = event.value
        if isinstance(value, TableObject) and latest.catalog.get("table", value.id) is None:
            if any(getattr(of, "topic", None) == value.topic for of in latest.catalog.all("table")):
                raise WriteConflict("topic", value.topic, "was taken")
            created[value.id] = first_version(value, place, time_us)
    return created


def first_version(table: TableObject, place: int, time_us: int) -> VersionRow:
    """v0 of a table, made by the commit that creates it."""
    schema_id = table.schema.schema_id
    return VersionRow(table.id, 0, place, time_us, Counts(), 0, 1, schema_id, GENESIS)


def _namespace(catalog: Catalog, table: TableObject) -> str:
    value = catalog.objects.get(("schema", table.namespace))
    assert isinstance(value, Namespace)
    return value.name


def _moved(move: Move, latest: Latest, versions: dict[int, int]) -> Moved:
    """The move with the boundary it records in its target, see `Moved`."""
    if move.target is None or move.why in ("rewind", "outside"):
        return Moved(move, None)
    try:
        before = latest.head(move.target).version
    except KeyError:  # created by this very commit
        before = 0
    if move.why == "register":
        return Moved(move, before)
    return Moved(move, versions.get(move.target, before))


def watermarks_of(moved: Sequence[Moved], row: CommitRow) -> list[Watermark]:
    """Where each moved consumer stands after the commit."""
    last = {one.move.consumer: one for one in moved}
    return [
        Watermark(consumer, one.move.end, row.sequence, row.time_us, one.target_version)
        for consumer, one in last.items()
    ]
