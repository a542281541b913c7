"""Every move of a watermark that is kept: from, to, who, when, why."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from heapq import merge

from headwater.consumers.boundaries import DIRECTORY
from headwater.consumers.registration import name_of
from headwater.log_store.catalog import ConsumerObject, StreamObject
from headwater.log_store.port import View
from headwater.log_store.records import CommitRow, Move, Moved, Why


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One move. `start` is None where it registered the consumer; INITIAL is -1.

    `target` is the table or directory written; `target_version` is the boundary recorded in a TABLE consumer's table, None for none.
    """

    sequence: int
    commit_id: str
    time_us: int
    actor: str
    consumer: str
    why: Why
    start: int | None
    end: int
    target: str
    target_version: int | None
    reason: str
    note: Mapping[str, str | int]


def history(
    view: View, stream: StreamObject, consumer: ConsumerObject | None = None
) -> Iterator[HistoryRow]:
    """The moves of one consumer, or of all the stream ever had, oldest first."""
    if consumer is not None:
        consumers = [consumer]
    else:
        ids = view.catalog.consumers_by_stream.get(stream.id, ())
        consumers = [view.catalog.consumer(one) for one in ids]
    yield from merge(*(_moves(view, one) for one in consumers), key=lambda row: row.sequence)


def _moves(view: View, consumer: ConsumerObject) -> Iterator[HistoryRow]:
    for commit, moved in view.moves(consumer.id):
        yield _row(view, consumer, commit, moved)


def _target(view: View, move: Move) -> str:
    """What was written: a table by its name, a directory by its path, else nothing here."""
    if move.target is not None:
        return view.catalog.table(move.target).name
    return str(move.note.get(DIRECTORY, ""))


def _row(view: View, consumer: ConsumerObject, commit: CommitRow, moved: Moved) -> HistoryRow:
    move = moved.move
    return HistoryRow(
        commit.sequence,
        commit.commit_id,
        commit.time_us,
        commit.actor,
        name_of(view.catalog, consumer),
        move.why,
        move.start,
        move.end,
        _target(view, move),
        moved.target_version,
        move.reason,
        move.note,
    )
