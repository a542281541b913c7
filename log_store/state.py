"""The rows of a table as of any version, and what changed between two of them.

Past versions are not kept row by row. A snapshot starts from whatever is cheapest by the version
index's counts (one in the cache, one kept in the store, the current rows, or nothing at all) and
replays the log between there and the version wanted, forward or backward. History is shown in the
current schema.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headwater.log_store.catalog import TableObject
from headwater.log_store.errors import LogDamaged, OutsideHistory
from headwater.log_store.port import View
from headwater.log_store.reader import Reading, read_current
from headwater.log_store.records import ScanBlock, Stored
from headwater.log_store.replay import I64, Fold, Images, overlaid, same_rows
from headwater.log_store.snapshots import (
    Snapshot,
    SnapshotCache,
    empty_table,
    kept_snapshot,
    no_rows,
)
from headwater.schemas.asked import Asked
from headwater.schemas.events import Events
from headwater.schemas.images import codec
from headwater.schemas.project import project

# CPU microseconds, measured by benchmarks/bench_snapshot.py; only their ratios matter.
_SCAN_ROW = 2.5
_KEPT_ROW = 0.1
_CACHED_ROW = 0.05
_EVENT = 0.8

# A snapshot is worth keeping once the events replayed for it pass this part of its rows ..
_KEEP_SHARE = 4
# .. and this many in all.
_KEEP_LEAST = 20_000
_SCAN_ROWS = 65_536


def snapshot(
    view: View, table: int, version: int | None = None, *, cache: SnapshotCache | None = None
) -> Snapshot:
    """All rows of a table as of a version (None: the view's head), in its current schema.

    The head's snapshot knows which version wrote each row; a past one may not. With a `cache`,
    what is found there is used, and what is found out is put there.

    Raises:
        OutsideHistory: no such version, or its history is no longer kept.
        LogDamaged: the log between cannot be read. A damaged kept snapshot is passed over.
    """
    of = view.catalog.table(table)
    wanted = _version(view, table, version)
    if cache is not None and (held := cache.get(table, wanted, of.schema)) is not None:
        return held
    for start in starts(view, of, wanted, cache):
        try:
            base = start.load()
        except LogDamaged:
            if not start.droppable:
                raise
            continue
        found = replayed(view, base, wanted)
        if cache is not None:
            cache.put(found)
            if start.events > max(len(found) // _KEEP_SHARE, _KEEP_LEAST):
                cache.keep(found)
        return found
    raise OutsideHistory(f"table {of.name}: version {wanted} can no longer be rebuilt")


@dataclass(frozen=True, slots=True, eq=False)
class Diff:
    """Net changes of one table from one version to another, by rising row id.

    Row i was `before[before_at[i]]` (-1: it was not there) and is `after[after_at[i]]` (-1: it is
    gone). Rows that are the same at both ends are left out.
    """

    row_ids: I64
    before_at: I64
    after_at: I64
    before: pa.Table
    after: pa.Table

    def __len__(self) -> int:
        return len(self.row_ids)


def diff(view: View, table: int, start: int, end: int) -> Diff:
    """What turns the table of version `start` into that of `end`; `end` may be the earlier one.

    Images are compared in the current schema. Costs what the events between cost.

    Raises:
        OutsideHistory: no such version, or its history is no longer kept.
        LogDamaged: the log between cannot be read.
    """
    low, high = sorted((_version(view, table, start), _version(view, table, end)))
    empty = empty_table(view.catalog.table(table).schema)
    first, last = Fold(empty, last=False), Fold(empty, last=True)
    for events in read_current(view, table, low, high):
        first.add(_befores(events))
        last.add(_afters(events))
    before, after = first.images(), last.images()
    if start > end:
        before, after = after, before
    both = np.flatnonzero((before.at >= 0) & (after.at >= 0))
    same = both[same_rows(_taken(before, both), _taken(after, both))]
    changed = (before.at >= 0) | (after.at >= 0)
    changed[same] = False
    kept = np.flatnonzero(changed)
    before, after = before.pick(kept), after.pick(kept)
    return Diff(before.row_ids, before.at, after.at, before.data, after.data)


@dataclass(frozen=True, slots=True)
class Start:
    """Something to replay from: what it costs in all, and how many events that includes."""

    cost: float
    events: int
    load: Callable[[], Snapshot]
    droppable: bool = False


def _version(view: View, table: int, version: int | None) -> int:
    head = view.head(table).version
    if version is None or version == head:
        return head
    if view.version(table, version) is None:
        first = next(view.versions(table, -1, head), None)
        name = view.catalog.table(table).name
        kept = "none is kept" if first is None else f"it has {first.version} to {head}"
        raise OutsideHistory(f"table {name} has no version {version}: {kept}")
    return version


def starts(view: View, of: TableObject, wanted: int, cache: SnapshotCache | None) -> list[Start]:
    """Every way to the version wanted, cheapest first."""
    table, head = of.id, view.head(of.id)

    def event_seq(version: int) -> int | None:
        row = head if version == head.version else view.version(table, version)
        return None if row is None else row.event_seq

    goal = event_seq(wanted) or 0
    found: list[Start] = []

    def offer(version: int, fixed: float, load: Callable[[], Snapshot], *, kept: bool) -> None:
        here = event_seq(version)
        if here is not None:
            events = abs(goal - here)
            found.append(Start(fixed + _EVENT * events, events, load, kept))

    rows = view.row_count(table)
    if view.version(table, 0) is not None:
        offer(0, 0, lambda: no_rows(table, 0, of.schema), kept=False)
    elif (first := next(view.versions(table, -1, head.version), None)) is not None:
        offer(first.version, _SCAN_ROW * rows, lambda: horizon_rows(view, of), kept=False)
    offer(head.version, _SCAN_ROW * rows, lambda: _head(view, of), kept=False)
    for version in view.snapshot_versions(table):
        offer(version, _KEPT_ROW * rows, _kept(view, of, version), kept=True)
    for held in () if cache is None else cache.near(table, of.schema):
        # The head's rows must know their versions, and only a forward replay finds them out.
        if wanted != head.version or (held.versions is not None and held.version <= wanted):
            offer(held.version, _CACHED_ROW * len(held), _held(held, of), kept=False)
    return sorted(found, key=lambda start: start.cost)


def _kept(view: View, of: TableObject, version: int) -> Callable[[], Snapshot]:
    return lambda: kept_snapshot(of, version, view.snapshot(of.id, version))


def _held(held: Snapshot, of: TableObject) -> Callable[[], Snapshot]:
    return lambda: held.in_schema(of.schema)


def replayed(view: View, base: Snapshot, wanted: int) -> Snapshot:
    """A snapshot moved to another version, along the log in either direction."""
    if base.version == wanted:
        return base
    forward = base.version < wanted
    fold = Fold(base.data.slice(0, 0), last=forward)
    low, high = sorted((base.version, wanted))
    known = forward and base.versions is not None
    numbers = {"row_id", "commit_version"} if known else {"row_id"}
    reading = Reading(Asked(None, not forward, forward, frozenset(numbers)))
    for events in read_current(view, base.table, low, high, reading):
        fold.add(_afters(events) if forward else _befores(events))
    images = fold.images()
    row_ids, data, origin, new = overlaid(base.row_ids, base.data, images)
    versions: I64 | None = None
    if forward and base.versions is not None:
        versions = np.empty(len(row_ids), dtype=np.int64)
        versions[~new] = base.versions[origin[~new]]
        versions[new] = images.versions[origin[new]]
    return Snapshot(base.table, wanted, base.schema, row_ids, data, versions)


def _afters(events: Events) -> Images:
    return Images(events.row_ids, events.after_at, events.versions, events.after)


def _befores(events: Events) -> Images:
    return Images(events.row_ids, events.before_at, events.versions, events.before)


def _taken(images: Images, which: I64) -> pa.Table:
    return images.data.take(images.at[which])


def _head(view: View, of: TableObject) -> Snapshot:
    """The current rows, as the store holds them."""
    return _stored(of, view.head(of.id).version, view.scan(of.id))


def horizon_rows(view: View, of: TableObject) -> Snapshot:
    """The rows at the horizon of a table, as the store holds them; none where that is v0."""
    first = next(view.versions(of.id, -1, view.head(of.id).version))
    return _stored(of, first.version, view.base(of.id))


def _stored(of: TableObject, version: int, blocks: Iterator[ScanBlock]) -> Snapshot:
    """Stored rows as a snapshot."""
    ids: list[I64] = []
    versions: list[I64] = []
    parts = [empty_table(of.schema)]
    for row_ids, stored in _gathered(blocks):
        ids.append(np.array(row_ids, dtype=np.int64))
        versions.append(np.array([row.version for row in stored], dtype=np.int64))
        parts.append(_decoded(of, stored))
    nothing = np.empty(0, dtype=np.int64)
    return Snapshot(
        of.id,
        version,
        of.schema,
        np.concatenate([nothing, *ids]),
        pa.concat_tables(parts).combine_chunks(),
        np.concatenate([nothing, *versions]),
    )


def _gathered(blocks: Iterator[ScanBlock]) -> Iterator[tuple[list[int], list[Stored]]]:
    """Small scan blocks put together, so that decoding pays off."""
    ids: list[int] = []
    stored: list[Stored] = []
    for block in blocks:
        ids += block.row_ids
        stored += block.stored
        if len(ids) >= _SCAN_ROWS:
            yield ids, stored
            ids, stored = [], []
    if ids:
        yield ids, stored


def _decoded(of: TableObject, stored: list[Stored]) -> pa.Table:
    """Stored rows as columns of the current schema, whichever schema each was written in."""
    written = np.array([row.schema_id for row in stored], dtype=np.int64)
    parts: list[pa.Table] = []
    places: list[I64] = []
    for schema_id in np.unique(written).tolist():
        here = np.flatnonzero(written == schema_id)
        generation = of.schema_of(schema_id)
        images = pa.array([stored[i].image for i in here.tolist()], type=pa.binary())
        parts.append(project(codec(generation).decode_columns(images), generation, of.schema))
        places.append(here)
    if len(parts) == 1:
        return parts[0]
    back = np.argsort(np.concatenate(places), kind="stable")
    return pa.concat_tables(parts).combine_chunks().take(back)
