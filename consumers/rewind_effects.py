"""What a rewind or restore does to tables, and who would see it. Pure reading over a view."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from headwater.consumers.boundaries import DIRECTORY, Undone, others_since
from headwater.consumers.errors import RewindRefused
from headwater.consumers.positions import horizon
from headwater.consumers.registration import name_of, position, registered
from headwater.consumers.rewind_plan import Downstream, OtherCommit, PlannedTarget
from headwater.log_store.catalog import Capture, ConsumerObject, StreamObject
from headwater.log_store.port import View
from headwater.log_store.reader import read_window
from headwater.log_store.records import OP_INSERT, CommitRow
from headwater.log_store.replay import I64
from headwater.log_store.state import diff

_CHUNK = 8192


def replayed_targets(view: View, consumer: ConsumerObject, to: int) -> list[PlannedTarget]:
    """The tables that a replay from `to` would write into, with the rows it would write again.

    These are rows which the commits that a plain rewind undoes inserted and that still exist.
    """
    versions: dict[int, list[int]] = {}
    for commit, tables in _consumed_above(view, consumer, to):
        for table in tables:
            if view.catalog.table(table).dropped_at is None:
                kept = versions.setdefault(table, [])
                if table in commit.versions:
                    kept.append(commit.versions[table])
    return [_replayed(view, table, sorted(made)) for table, made in sorted(versions.items())]


def _replayed(view: View, table: int, made: Sequence[int]) -> PlannedTarget:
    """A table with the rows of these versions that a replay would write again."""
    known = horizon(view, table)
    kept = [version for version in made if version > known]
    return PlannedTarget(
        table,
        view.catalog.table(table).name,
        view.head(table).version,
        duplicates=_still_there(view, table, kept),
        uncounted=len(made) - len(kept),
    )


def _consumed_above(
    view: View, consumer: ConsumerObject, to: int
) -> list[tuple[CommitRow, tuple[int, ...]]]:
    """The commits that took the watermark above `to` since it last stood there, newest first."""
    found: list[tuple[CommitRow, tuple[int, ...]]] = []
    for commit, moved in reversed(list(view.moves(consumer.id))):
        move = moved.move
        if move.why == "consume" and move.end > to:
            # What went into a directory went into no table, whatever else its commit wrote.
            written = () if DIRECTORY in move.note else move.tables
            found.append((commit, written if move.target is None else (move.target,)))
        elif move.end <= to:
            break
    return found


def _still_there(view: View, table: int, versions: Sequence[int]) -> int:
    """How many of the rows that these versions inserted exist now."""
    made: list[I64] = []
    for version in dict.fromkeys(versions):
        for events in read_window(view, table, version - 1, version):
            made.append(events.row_ids[(events.ops == OP_INSERT) & (events.pair_seqs == 0)])
    if not made:
        return 0
    row_ids: list[int] = np.unique(np.concatenate(made)).tolist()
    return sum(
        row is not None
        for start in range(0, len(row_ids), _CHUNK)
        for row in view.rows(table, row_ids[start : start + _CHUNK])
    )


@dataclass(frozen=True, slots=True)
class Back:
    """What putting tables back to a place comes to."""

    targets: tuple[PlannedTarget, ...]
    others: tuple[OtherCommit, ...]
    refusals: tuple[RewindRefused, ...]


def plan_back(view: View, undone: Undone, place: int, *, force: bool) -> Back:
    """The targets as they would be put back to a place, and what stands in the way of it."""
    targets: list[PlannedTarget] = []
    others: list[OtherCommit] = []
    refusals: list[RewindRefused] = []
    for table in undone.targets:
        if refusal := _gone(view, table):
            refusals.append(refusal)
            continue
        # A table made after the place goes back to empty, never away.
        back_to = max(view.version_at(table, place), 0)
        name, kept = view.catalog.table(table).name, horizon(view, table)
        if back_to < kept:
            why = f"its boundary v{back_to} is no longer kept, history starts at v{kept}"
            refusals.append(RewindRefused("BELOW_HORIZON", f"table {name}", why))
            continue
        changed = [_other(view, table, c) for c in others_since(view, table, place, undone.places)]
        others += changed
        if changed and not force:
            refusals.append(_changed_since(name, changed))
        targets.append(_target(view, table, back_to))
    return Back(tuple(targets), tuple(others), tuple(refusals))


def _gone(view: View, table: int) -> RewindRefused | None:
    """Why a dropped table cannot be put back; None for a live one."""
    found = view.catalog.table(table)
    if found.dropped_at is None:
        return None
    if view.catalog.find("table", found.namespace, f'"{found.name}"') is not None:
        why = "was replaced: what was written into the old one is not in the new one"
        return RewindRefused("TARGET_REPLACED", f"table {found.name}", why)
    why = "was dropped: UNDROP it first, or rewind without RESTORE"
    return RewindRefused("TARGET_DROPPED", f"table {found.name}", why)


def _changed_since(name: str, changed: Sequence[OtherCommit]) -> RewindRefused:
    shown = ", ".join(other.commit_id for other in changed[:5])
    more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
    why = f"was changed since by {shown}{more}: FORCE discards those changes"
    return RewindRefused("TARGET_CHANGED", f"table {name}", why)


def _other(view: View, table: int, commit: CommitRow) -> OtherCommit:
    version = commit.versions[table]
    row, before = view.version(table, version), view.version(table, version - 1)
    assert row is not None and before is not None, "versions above the horizon are kept"
    return OtherCommit(
        view.catalog.table(table).name,
        commit.sequence,
        commit.commit_id,
        commit.actor,
        commit.time_us,
        row.counts.changes - before.counts.changes,
    )


def _target(view: View, table: int, back_to: int) -> PlannedTarget:
    head = view.head(table).version
    found = diff(view, table, head, back_to)
    there, then = found.before_at >= 0, found.after_at >= 0
    return PlannedTarget(
        table,
        view.catalog.table(table).name,
        head,
        back_to=back_to,
        taken_away=int(np.count_nonzero(there & ~then)),
        given_back=int(np.count_nonzero(then & ~there)),
        changed=int(np.count_nonzero(there & then)),
    )


def downstream_of(view: View, targets: Iterable[PlannedTarget]) -> list[Downstream]:
    """Who reads the tables that a restore changes, and where that shows rows again."""
    found: list[Downstream] = []
    for target in targets:
        for stream in view.catalog.streams():
            if stream.table == target.table:
                found += [
                    _reader(view, stream, one, target) for one in registered(view.catalog, stream)
                ]
    return found


def _reader(
    view: View, stream: StreamObject, consumer: ConsumerObject, target: PlannedTarget
) -> Downstream:
    name, at = name_of(view.catalog, consumer), position(view, consumer)
    warning = ""
    if stream.capture is Capture.INSERT_ONLY:
        who = f"{name} of the INSERT ONLY stream {stream.name}"
        if target.given_back:
            warning = f"{who} sees {target.given_back} rows again that the restore puts back"
        elif target.taken_away and at > (target.back_to or 0):
            warning = (
                f"{who} has seen rows that the restore takes away without a word, and sees them "
                "again when they are written again"
            )
    return Downstream(stream.name, name, at, warning)


def gone_target(view: View, stream: StreamObject, name: str) -> RewindRefused | None:
    """Why a table of that name is no consumer of the stream any more; None if it never was."""
    for one in view.catalog.consumers_by_stream.get(stream.id, ()):
        target = view.catalog.consumer(one).target
        if target is None or view.catalog.table(target).name.lower() != name.lower():
            continue
        if refusal := _gone(view, target):
            return refusal
    return None
