"""Is a store whole? Everything that can be worked out from the log is, and compared.

Reads through a view only, so it says the same of every adapter, and beside a running owner.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from headwater.log_store.catalog import ConsumerObject, TableObject
from headwater.log_store.chain import GENESIS, ChainDigest
from headwater.log_store.errors import LogError
from headwater.log_store.kept import table_differences
from headwater.log_store.port import Log, View
from headwater.log_store.reader import read_window
from headwater.log_store.records import OP_DELETE, OP_UPDATE, ScanBlock, VersionRow
from headwater.log_store.replay import same_rows
from headwater.log_store.snapshots import Snapshot, no_rows
from headwater.log_store.state import horizon_rows, replayed
from headwater.schemas.errors import SchemaError
from headwater.schemas.images import codec
from headwater.schemas.project import project

_KEYS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: how much of it there was, and the fault, empty if there is none."""

    check: str
    subject: str
    looked_at: int
    fault: str = ""


class Fault(Exception):
    """What a check found; the next ones go on."""


@runtime_checkable
class Verifies(Protocol):
    """A log that can verify its own bytes; returns how many commits hold."""

    def verify(self) -> int: ...


def examine_bytes(log: Log) -> Iterator[Check]:
    """What an adapter says of its own bytes; nothing for one that has none."""
    if isinstance(log, Verifies):
        yield _guarded("bytes", log.name, log.verify)


def examine(view: View) -> Iterator[Check]:
    """Every check of a store, one after the other; a fault in one does not stop the next.

    Memory: the rows of one table at a time, twice.
    """
    yield _guarded("commits", "the store", lambda: check_commits(view))
    for table in view.catalog.tables():
        yield from _table_checks(view, table)
    for stream in view.catalog.streams():
        for consumer in view.catalog.consumers(stream.id):
            name = f"{stream.name} > {_consumer_name(view, consumer)}"
            yield _guarded("watermark", name, partial(check_watermark, view, consumer))


def _table_checks(view: View, of: TableObject) -> Iterator[Check]:
    def versions() -> list[VersionRow]:
        return list(view.versions(of.id, -1, view.head(of.id).version))

    yield _guarded("chain", of.name, lambda: check_chain(view, of, versions()))
    yield _guarded("counts", of.name, lambda: check_counts(view, of, versions()))
    yield _guarded("rows", of.name, lambda: check_rows(view, of))
    if view.snapshot_versions(of.id):
        yield _guarded("snapshots", of.name, lambda: check_snapshots(view, of))


def _guarded(check: str, subject: str, look: Callable[[], int]) -> Check:
    try:
        return Check(check, subject, look())
    except (Fault, LogError, SchemaError) as error:
        return Check(check, subject, 0, str(error))


def check_commits(view: View) -> int:
    """Places in the commit sequence are dense, times rise; returns how many commits.

    Raises:
        Fault: at the first commit where that does not hold.
    """
    count, before = 0, None
    for commit in view.commits(0, view.sequence):
        if before is not None and commit.sequence != before.sequence + 1:
            raise Fault(f"commit {before.sequence} is followed by {commit.sequence}")
        if before is not None and commit.time_us <= before.time_us:
            raise Fault(f"commit {commit.sequence} is not later than the one before it")
        count, before = count + 1, commit
    if (0 if before is None else before.sequence) != view.sequence:
        raise Fault(f"the last commit kept is not {view.sequence}, which the store stands at")
    return count


def check_chain(view: View, of: TableObject, versions: list[VersionRow]) -> int:
    """Each version's events hash to its digest; returns how many versions.

    Raises:
        Fault: at the first version where that does not hold, or one that is not there.
    """
    _dense(versions)
    blocks = view.blocks(of.id, versions[0].version, versions[-1].version)
    block = next(blocks, None)
    if versions[0].version == 0 and versions[0].digest != GENESIS:
        raise Fault("v0 does not begin the chain")
    for before, row in pairwise(versions):
        chain = ChainDigest(before.digest, of.id, row.version)
        while block is not None and block.version == row.version:
            chain.add_run(np.frombuffer(block.offsets, dtype="<i8"), block.data)
            block = next(blocks, None)
        if chain.digest() != row.digest:
            raise Fault(f"the events of v{row.version} are not those that were committed")
    if block is not None:
        raise Fault(f"events of v{block.version} stand where no version is")
    return len(versions)


def _dense(versions: list[VersionRow]) -> None:
    for before, row in pairwise(versions):
        if row.version != before.version + 1:
            raise Fault(f"v{before.version} is followed by v{row.version}")


def check_counts(view: View, of: TableObject, versions: list[VersionRow]) -> int:
    """The version index counts what the events are; returns how many events.

    Raises:
        Fault: at the first version that counts something else.
    """
    _dense(versions)
    first, last = versions[0], versions[-1]
    made = np.zeros((last.version - first.version + 1, 3), dtype=np.int64)
    seen = first.event_seq
    for events in read_window(view, of.id, first.version, last.version):
        if not np.array_equal(events.event_seqs, np.arange(len(events)) + seen + 1):
            raise Fault(f"event numbers are not dense after {seen}")
        seen += len(events)
        half = events.pair_seqs != 0
        # A key change is a delete and an insert, and counts as one update, at its insert.
        kinds = np.where(events.ops == OP_DELETE, 2, np.where(events.ops == OP_UPDATE, 1, 0))
        kinds[half & (kinds == 0)] = 1
        counted = ~(half & (kinds == 2))
        np.add.at(made, (events.versions[counted] - first.version, kinds[counted]), 1)
    told = np.array([row.counts[:3] for row in versions], dtype=np.int64)
    wrong = np.flatnonzero((np.cumsum(made, axis=0) + told[0] != told).any(axis=1))
    if len(wrong):
        raise Fault(f"v{first.version + int(wrong[0])} counts other changes than its events are")
    if seen != last.event_seq:
        raise Fault(f"the last event is number {seen}, the index says {last.event_seq}")
    return seen


def check_rows(view: View, of: TableObject) -> int:
    """The current rows and keys are what the log makes of nothing, or of the rows at the horizon;
    returns how many rows.

    Raises:
        Fault: the first row or key that differs.
    """
    begun = view.version(of.id, 0) is not None
    start = no_rows(of.id, 0, of.schema) if begun else horizon_rows(view, of)
    told = replayed(view, start, view.head(of.id).version)
    at = 0
    for block in view.scan(of.id):
        ids = np.array(block.row_ids, dtype=np.int64)
        here = Snapshot(
            told.table,
            told.version,
            told.schema,
            told.row_ids[at : at + len(ids)],
            told.data.slice(at, len(ids)),
            None if told.versions is None else told.versions[at : at + len(ids)],
        )
        if not np.array_equal(ids, here.row_ids):
            raise Fault("there are other rows than the log has")
        _same_block(of, here, block)
        at += len(ids)
    if at != len(told):
        raise Fault(f"{len(told) - at} rows of the log are missing")
    _same_keys(view, of, told)
    return at


def _same_block(of: TableObject, told: Snapshot, block: ScanBlock) -> None:
    stored = block.stored
    versions = np.array([row.version for row in stored], dtype=np.int64)
    # Beside a writer at work, rows it has just written over carry its version, above the head.
    told_versions = versions if told.versions is None else told.versions
    wrong = np.flatnonzero((versions != told_versions) & (versions <= told.version))
    if len(wrong):
        raise Fault(f"row {told.row_ids[wrong[0]]} was written by another version than it says")
    written = np.array([row.schema_id for row in stored], dtype=np.int64)
    for schema_id in np.unique(written).tolist():
        which = np.flatnonzero(written == schema_id)
        generation = of.schema_of(schema_id)
        images = pa.array([stored[i].image for i in which.tolist()], type=pa.binary())
        rows = project(codec(generation).decode_columns(images), generation, of.schema)
        same = same_rows(rows, told.data.take(which))
        if not same.all():
            raise Fault(f"row {told.row_ids[which[~same][0]]} has other values than the log")


def _same_keys(view: View, of: TableObject, told: Snapshot) -> None:
    keys = codec(of.schema).keys_columns(told.data)
    if keys is None:
        return
    for start in range(0, len(told), _KEYS_AT_ONCE):
        asked = [key.as_py() for key in keys[start : start + _KEYS_AT_ONCE]]
        ids = told.row_ids[start : start + len(asked)].tolist()
        for row_id, found in zip(ids, view.row_ids(of.id, asked), strict=True):
            if found != row_id:
                raise Fault(f"the key of row {row_id} leads to {found}")


def check_snapshots(view: View, of: TableObject) -> int:
    """Snapshots kept beside the log are what it says; returns how many.

    Raises:
        Fault: what the first one that differs holds.
    """
    for why in table_differences(view, of):
        raise Fault(why)
    return len(view.snapshot_versions(of.id))


def check_watermark(view: View, consumer: ConsumerObject) -> int:
    """A watermark stands where its moves left it; returns how many moves are kept.

    Raises:
        Fault: it stands elsewhere, or two moves do not meet.
    """
    moves = [moved.move for _, moved in view.moves(consumer.id)]
    for before, after in pairwise(moves):
        if before.end != after.start:
            raise Fault(f"a move ended at {before.end}, the next began at {after.start}")
    mark = view.watermark(consumer.id)
    if mark is None:
        raise Fault("the consumer has no watermark")
    if moves and mark.position != moves[-1].end:
        raise Fault(f"it stands at {mark.position}, its last move ended at {moves[-1].end}")
    return len(moves)


def _consumer_name(view: View, consumer: ConsumerObject) -> str:
    return consumer.name if consumer.target is None else view.catalog.table(consumer.target).name
