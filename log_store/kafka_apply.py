"""Commits read from the topics, applied to the replica: whole, in order, with their places.

A round of commits is one batch of the store. Events of one table and schema are decoded together
whatever commits they are of; what follows (version rows, current rows, keys, digests) is what the
writer made of the same changes, and its digests are compared.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.log_store import rocks_keys as keys
from headwater.log_store.catalog import Catalog, CatalogEvent, TableObject
from headwater.log_store.chain import ChainDigest, one_digest
from headwater.log_store.changes import Columns, Rows
from headwater.log_store.encoding import EncodingNotKnown, stored_prefix
from headwater.log_store.errors import LogDamaged
from headwater.log_store.kafka_bases import NO_BASES, Bases, install
from headwater.log_store.kafka_end import End, TableEnd
from headwater.log_store.kafka_feed import CommitRecords, Piece
from headwater.log_store.kafka_places import Place, Span, put_places, put_span
from headwater.log_store.kafka_records import read_audit, read_catalog
from headwater.log_store.records import (
    OP_DELETE,
    OP_INSERT,
    OP_SNAPSHOT,
    OP_UPDATE,
    AuditRow,
    Counts,
    VersionRow,
)
from headwater.log_store.rocks_large import (
    Pieces,
    drop_staged,
    forget_redo,
    mark_staging,
    put_redo,
    redo,
)
from headwater.log_store.rocks_state import LiveState
from headwater.log_store.rocks_store import Store, WriteBatch
from headwater.log_store.rocks_write import ChunkWriter, put_commit, put_state
from headwater.log_store.sequencing import Encoded, Sequenced, first_version, watermarks_of
from headwater.schemas.errors import EventUnreadable
from headwater.schemas.events import EventImages, event_images
from headwater.schemas.framing import SIZE as FRAME

I64 = npt.NDArray[np.int64]
_FRAME_ID: Final = slice(1, FRAME)


class _Decoded(NamedTuple):
    """Events of one table and schema, one after the other, with their records' keys."""

    schema_id: int
    keyed: bool
    keys: list[bytes]
    offsets: I64
    data: bytes
    images: EventImages


@dataclass(slots=True)
class _Tally:
    """A version as its events add up."""

    before: VersionRow
    version: int
    inserts: int = 0
    updates: int = 0
    deletes: int = 0
    size: int = 0
    events: int = 0
    next_row_id: int = 0
    schema_id: int = 0
    digest: bytes = b""
    chunks: int = 0

    def row(self, end: End, table: TableEnd) -> VersionRow:
        before, counts = self.before, self.before.counts
        return VersionRow(
            before.table,
            self.version,
            end.row.sequence,
            end.row.time_us,
            Counts(
                counts.inserts + self.inserts,
                counts.updates + self.updates,
                counts.deletes + self.deletes,
                counts.bytes + self.size,
            ),
            before.event_seq + self.events,
            max(before.next_row_id, self.next_row_id),
            self.schema_id,
            self.digest,
            table.autos,
            self.chunks,
        )


class Applier:
    """Applies rounds of commits to a store; the live state follows. One thread at a time."""

    def __init__(self, store: Store, live: LiveState) -> None:
        self._store, self._live = store, live
        self.bases: Bases = NO_BASES
        """What stands in for versions without records, while a replica is filled."""

    def apply(self, commits: Sequence[CommitRecords], places: Mapping[str, Place]) -> None:
        """Write these commits, and how far that brings each topic. Lands whole or not at all.

        Raises:
            LogDamaged: they do not follow on what is here, or are not what their writer wrote.
        """
        if commits:
            _Round(self._store, self._live, commits, self.bases).write(places)

    def apply_large(self, commit: CommitRecords, places: Callable[[], Mapping[str, Place]]) -> None:
        """Write one commit that is too large for a batch; `places` is asked once all is read.

        Raises:
            LogDamaged: as `apply`.
        """
        store, end = self._store, commit.end
        drop_staged(store)
        there = [table for table in end.tables if table.table in commit.tables]
        mark_staging(store, end.row.sequence, {t.table: t.version for t in there})
        catalog, events, created = _catalog_after(self._live.catalog, commit)
        made: list[VersionRow] = []
        rocks = store.batch()
        for table in end.tables:
            if table.table not in commit.tables:
                made.append(_without(self.bases, table, end))
                continue
            before = created.get(table.table) or self._live.head(table.table)
            tally, span = self._stage(catalog, before, table, commit.tables[table.table])
            made.append(_checked(tally.row(end, table), table))
            put_span(rocks, table.table, table.version, span)
        sequenced = _sequenced(commit, catalog, list(created.values()))
        chain = put_commit(rocks, sequenced, events, made, self._live.chain)
        _check_chain(end, chain)
        kept = _installed(_Into(store, rocks, self.bases), catalog, commit, made)
        staged = [row for row in made if row.table in commit.tables]
        put_redo(rocks, end.row.sequence, {row.table: row.version for row in staged})
        put_places(rocks, places())
        store.write(rocks)
        # Where nothing survives a crash, current rows were written on the way.
        for row in staged if store.logged else ():
            redo(store, catalog, row.table, row.version)
        forget_redo(store, end.row.sequence)
        self._live.advance(sequenced, kept, chain)

    def _stage(
        self, catalog: Catalog, before: VersionRow, table: TableEnd, pieces: Iterator[Piece]
    ) -> tuple[_Tally, Span]:
        tally = _Tally(before, table.version)
        digest = ChainDigest(before.digest, table.table, table.version)
        chunks: ChunkWriter | None = None
        into = Pieces(self._store)
        first = following = -1

        def put(values: Iterator[bytes], writer: ChunkWriter) -> None:
            for value in values:
                key = keys.chunk_key(table.table, table.version, writer.count - 1)
                into.batch.put("log", key, value)
                into.turn()

        for piece in pieces:
            first, following = piece.first if first < 0 else first, piece.next
            for part in _decode(catalog.table(table.table), piece.keys, piece.values):
                chunks = chunks or ChunkWriter(part.schema_id)
                digest.add_run(part.offsets, part.data)
                _add(tally, part, 0, len(part.keys))
                put(chunks.add(Encoded(Rows([]), None, part.offsets, part.data)), chunks)
                if not self._store.logged:
                    prefix = stored_prefix(table.version, part.schema_id)
                    put_state(into.batch, table.table, prefix, _changes(part, 0, len(part.keys)))
                    into.turn()
        into.finish()
        tally.digest = digest.digest()
        tally.chunks = 0 if chunks is None else chunks.count
        return tally, Span(first, following)


def _catalog_after(
    before: Catalog, commit: CommitRecords
) -> tuple[Catalog, list[CatalogEvent], dict[int, VersionRow]]:
    """The catalog after a commit, its events, and v0 of the tables that it creates."""
    row = commit.end.row
    if not commit.catalog:
        return before, [], {}
    try:
        events = [read_catalog(value) for value in commit.catalog]
        after = before.apply(row.sequence, row.time_us, events)
    except (EncodingNotKnown, ValueError) as error:
        raise LogDamaged(f"catalog of commit {row.sequence}", str(error)) from error
    created = {
        event.value.id: first_version(event.value, row.sequence, row.time_us)
        for event in events
        if isinstance(event.value, TableObject) and before.get("table", event.value.id) is None
    }
    return after, events, created


def _audit_of(commit: CommitRecords) -> list[AuditRow]:
    row = commit.end.row
    try:
        return [read_audit(row.sequence, row.time_us, value) for value in commit.audit]
    except EncodingNotKnown as error:
        raise LogDamaged(f"audit of commit {row.sequence}", str(error)) from error


def _sequenced(commit: CommitRecords, catalog: Catalog, created: list[VersionRow]) -> Sequenced:
    row = commit.end.row
    return Sequenced(row, catalog, watermarks_of(row.moves, row), _audit_of(commit), created, {})


def _checked(made: VersionRow, table: TableEnd) -> VersionRow:
    if made.digest != table.digest:
        raise LogDamaged(
            f"version {table.version} in topic {table.topic}", "its digest does not hold"
        )
    return made


def _without(bases: Bases, table: TableEnd, end: End) -> VersionRow:
    """A version whose events are gone: the horizon's own row, or what the commit's chain covers."""
    anchor = bases.anchor(table.table)
    if anchor is not None and anchor.version == table.version:
        return _checked(anchor.anchor.row, table)
    row = end.row
    return VersionRow(
        table.table,
        table.version,
        row.sequence,
        row.time_us,
        Counts(),
        0,
        0,
        0,
        table.digest,
        table.autos,
    )


class _Into(NamedTuple):
    """Where a commit goes: a replica, the batch for it, what stands in for events that are gone."""

    store: Store
    batch: WriteBatch
    bases: Bases


def _installed(
    into: _Into, catalog: Catalog, commit: CommitRecords, made: Sequence[VersionRow]
) -> list[VersionRow]:
    """Those of the versions made that a replica keeps; at a horizon its base is put in."""
    store, batch, bases = into
    kept: list[VersionRow] = []
    for row in made:
        if row.table in commit.tables:
            kept.append(row)
        elif bases.ends(row.table, row.version):
            install(store, catalog.table(row.table), bases.topics[row.table])
            batch.delete("versions", keys.version_key(row.table, 0))
            kept.append(row)
        else:
            batch.delete("versions", keys.version_key(row.table, row.version))
    return kept


def _check_chain(end: End, chain: bytes) -> None:
    if chain != end.chain:
        raise LogDamaged(f"commit {end.row.sequence}", "its digest does not hold")


class _Round:
    """Commits on their way into one batch."""

    def __init__(
        self, store: Store, live: LiveState, commits: Sequence[CommitRecords], bases: Bases
    ) -> None:
        self._store, self._live, self._commits, self._bases = store, live, commits, bases
        self._batch = store.batch()
        self._heads: dict[int, VersionRow] = {}
        self._made: list[dict[int, VersionRow]] = [{} for _ in commits]

    def write(self, places: Mapping[str, Place]) -> None:
        live = self._live
        steps = self._definitions()
        last = steps[-1][0].catalog
        for commit, of in zip(self._commits, self._made, strict=True):
            for end in commit.end.tables:
                if end.table not in commit.tables:
                    row = of[end.table] = _without(self._bases, end, commit.end)
                    if self._bases.ends(end.table, end.version):
                        self._heads[end.table] = row
        tables = dict.fromkeys(table for c in self._commits for table in c.tables)
        for table in tables:
            self._put_table(last.table(table))
        into = _Into(self._store, self._batch, self._bases)
        chain, done = live.chain, list[tuple[Sequenced, list[VersionRow], bytes]]()
        for commit, (sequenced, events), of in zip(self._commits, steps, self._made, strict=True):
            made = [of[table.table] for table in commit.end.tables]
            chain = put_commit(self._batch, sequenced, events, made, chain)
            _check_chain(commit.end, chain)
            kept = _installed(into, last, commit, made)
            done.append((sequenced, kept, chain))
        put_places(self._batch, places)
        self._store.write(self._batch)
        for sequenced, made, chain in done:
            live.advance(sequenced, made, chain)

    def _definitions(self) -> list[tuple[Sequenced, list[CatalogEvent]]]:
        """Each commit with its catalog; heads of new tables are noted."""
        catalog, place = self._live.catalog, self._live.sequence
        steps: list[tuple[Sequenced, list[CatalogEvent]]] = []
        for commit in self._commits:
            sequence = commit.end.row.sequence
            if sequence != place + 1:
                raise LogDamaged(f"commit {sequence}", f"it follows commit {place}")
            place = sequence
            catalog, events, created = _catalog_after(catalog, commit)
            self._heads |= created
            steps.append((_sequenced(commit, catalog, list(created.values())), events))
        return steps

    def _put_table(self, table: TableObject) -> None:
        """Everything of one table in the whole round."""
        parts: list[tuple[int, TableEnd, list[Piece]]] = []
        for number, commit in enumerate(self._commits):
            for end in commit.end.tables:
                if end.table == table.id and table.id in commit.tables:
                    parts.append((number, end, list(commit.tables[table.id])))
        all_keys = [key for _, _, pieces in parts for piece in pieces for key in piece.keys]
        values = [value for _, _, pieces in parts for piece in pieces for value in piece.values]
        for _, end, pieces in parts:
            if sum(len(piece.values) for piece in pieces) != end.events:
                raise LogDamaged(
                    f"version {end.version} in topic {end.topic}", f"it wants {end.events} events"
                )
        decoded = iter(_decode(table, all_keys, values))
        part, at = next(decoded, None), 0
        for number, end, pieces in parts:
            if part is not None and at == len(part.keys):
                part, at = next(decoded, None), 0
            if part is None or at + end.events > len(part.keys):
                raise LogDamaged(f"version {end.version} in topic {end.topic}", "it mixes schemas")
            self._put_version(number, end, part, at)
            put_span(self._batch, table.id, end.version, Span(pieces[0].first, pieces[-1].next))
            at += end.events

    def _put_version(self, commit: int, end: TableEnd, part: _Decoded, start: int) -> None:
        table, stop = end.table, start + end.events
        before = self._heads.get(table) or self._live.head(table)
        if before.version + 1 != end.version:
            raise LogDamaged(
                f"version {end.version} in topic {end.topic}", f"it follows v{before.version}"
            )
        tally = _Tally(before, end.version)
        _add(tally, part, start, stop)
        offsets = part.offsets[start : stop + 1]
        chunks = ChunkWriter(part.schema_id)
        run = Encoded(Rows([]), None, offsets, part.data)
        if end.events == 1:
            message = part.data[int(offsets[0]) : int(offsets[1])]
            tally.digest = one_digest(before.digest, table, end.version, message)
            run = Encoded(Rows([]), [message])
        else:
            digest = ChainDigest(before.digest, table, end.version)
            digest.add_run(offsets, part.data)
            tally.digest = digest.digest()
        for put in (chunks.add(run), chunks.finish()):
            for value in put:
                key = keys.chunk_key(table, end.version, chunks.count - 1)
                self._batch.put("log", key, value)
        tally.chunks = chunks.count
        prefix = stored_prefix(end.version, part.schema_id)
        put_state(self._batch, table, prefix, _changes(part, start, stop))
        row = _checked(tally.row(self._commits[commit].end, end), end)
        self._heads[table] = self._made[commit][table] = row


def _decode(table: TableObject, all_keys: list[bytes], values: list[bytes]) -> list[_Decoded]:
    """Framed events as runs of one schema each."""
    parts: list[_Decoded] = []
    start, keyed = 0, bool(table.schema.key)
    for stop in (*_turns(values), len(values)):
        if stop == start:
            continue
        schema_id = int.from_bytes(values[start][_FRAME_ID], "big")
        bodies = [value[FRAME:] for value in values[start:stop]]
        offsets = np.zeros(stop - start + 1, np.int64)
        np.cumsum(np.fromiter(map(len, bodies), np.int64, len(bodies)), out=offsets[1:])
        data = b"".join(bodies)
        try:
            images = event_images(table.schema_of(schema_id), data, offsets, with_keys=False)
        except KeyError as error:
            raise LogDamaged(
                f"topic {table.topic}", f"schema {schema_id} is not its own"
            ) from error
        except EventUnreadable as error:
            raise LogDamaged(f"topic {table.topic}", str(error)) from error
        parts.append(_Decoded(schema_id, keyed, all_keys[start:stop], offsets, data, images))
        start = stop
    return parts


def _turns(values: list[bytes]) -> Iterator[int]:
    """Where the schema changes."""
    if values and values[0][:FRAME] == values[-1][:FRAME]:
        head = values[0][:FRAME]
        if all(value.startswith(head) for value in values):
            return
    for at in range(1, len(values)):
        if values[at][:FRAME] != values[at - 1][:FRAME]:
            yield at


def _add(tally: _Tally, part: _Decoded, start: int, stop: int) -> None:
    """Count the events [start, stop) of a run."""
    ops, pairs = part.images.ops[start:stop], part.images.pair_seqs[start:stop]
    tally.schema_id = part.schema_id
    tally.events += stop - start
    tally.size += int(part.offsets[stop] - part.offsets[start])
    if stop - start == 1:
        _add_one(tally, int(ops[0]), int(pairs[0]), int(part.images.row_ids[start]))
        return
    single = pairs == 0
    made = (ops == OP_INSERT) | (ops == OP_SNAPSHOT)
    tally.inserts += int(np.count_nonzero(made & single))
    tally.updates += int(np.count_nonzero((ops == OP_UPDATE) | (made & ~single)))
    tally.deletes += int(np.count_nonzero((ops == OP_DELETE) & single))
    if made.any():
        last = int(part.images.row_ids[start:stop][made].max()) + 1
        tally.next_row_id = max(tally.next_row_id, last)


def _add_one(tally: _Tally, op: int, pair: int, row_id: int) -> None:
    if op == OP_UPDATE:
        tally.updates += 1
    elif op == OP_DELETE:
        tally.deletes += pair == 0
    else:
        tally.inserts += pair == 0
        tally.updates += pair != 0
        tally.next_row_id = max(tally.next_row_id, row_id + 1)


def _changes(part: _Decoded, start: int, stop: int) -> Columns:
    """The events [start, stop) as what current rows follow from; keys are those of the records."""
    images, count = part.images, stop - start
    ops = images.ops[start:stop]
    # A keyless table's records carry the row id as their key: it is no key of the table.
    bare = (
        pa.array([key[FRAME:] for key in part.keys[start:stop]], pa.binary())
        if part.keyed
        else None
    )
    return Columns(
        ops,
        images.row_ids[start:stop],
        None,
        images.after.slice(start, count),
        bare,
        bare,
        pairs=images.pair_seqs[start:stop],
    )
