"""The checker's part about streams: watermarks, moves, windows, and targets as folds."""

import json
from collections.abc import Callable, Sequence
from typing import cast

from headwater.log_store.catalog import ConsumerObject, StreamObject
from headwater.log_store.port import View
from headwater.log_store.records import INITIAL, CommitRow, Move, Moved
from headwater.log_store.state import snapshot

BACKWARD = ("rewind", "restore", "undo", "outside")


def check_streams(view: View) -> None:
    """I18, I25: a stream stands on a table that exists, at a version that was."""
    for value in view.catalog.all("stream"):
        assert isinstance(value, StreamObject)
        table = view.catalog.table(value.table)
        assert 0 <= value.base <= view.head(table.id).version, "I18: a base outside its table"
        if value.dropped_at is not None:
            assert not view.catalog.consumers(value.id), "a dropped stream has consumers"
        if table.dropped_at is None and not value.stale:
            assert table.id == value.table, "I25"


def check_consumers(view: View, commits: Sequence[CommitRow]) -> None:
    """I14-I18 for every consumer, retired ones too."""
    recorded: dict[int, list[tuple[CommitRow, Moved]]] = {}
    for commit in commits:
        for moved in commit.moves:
            recorded.setdefault(moved.move.consumer, []).append((commit, moved))
    known = {value.id for value in view.catalog.all("consumer")}
    assert set(recorded) <= known, "I25: a move of a consumer that never was"
    audited = audit_places(view)
    for value in view.catalog.all("consumer"):
        assert isinstance(value, ConsumerObject)
        moves = list(view.moves(value.id))
        assert moves == recorded.get(value.id, []), "I15: the listing and the commits differ"
        check_moves(view, value, moves, audited)


def audit_places(view: View) -> dict[int, list[str]]:
    """What was audited, by place in the commit sequence."""
    places: dict[int, list[str]] = {}
    for row in view.audit():
        assert 0 < row.sequence <= view.sequence
        json.loads(row.detail)
        places.setdefault(row.sequence, []).append(row.what)
    return places


def check_moves(
    view: View,
    consumer: ConsumerObject,
    moves: Sequence[tuple[CommitRow, Moved]],
    audited: dict[int, list[str]],
) -> None:
    """One consumer: registered once, contiguous windows, back only when audited."""
    stream = view.catalog.stream(consumer.stream)
    mark = view.watermark(consumer.id)
    if not moves:
        assert mark is None, "I15: a watermark that nothing moved"
        return
    assert moves[0][1].move.why == "register" and moves[0][1].move.start is None, "I14"
    at: int | None = None
    for commit, moved in moves:
        move = moved.move
        assert move.start == at, f"I14: a window from {move.start}, the watermark was at {at}"
        check_move(view, stream, move, commit)
        if at is not None and move.end < at:
            assert move.why in BACKWARD, f"I15: {move.why} moved a watermark back"
            assert audited.get(commit.sequence), "I15: a rewind without an audit row"
        if at is not None and move.end > at:
            assert move.why in ("consume", "advance", "undo", "restore", "outside"), "I14"
        check_boundary(view, moved, commit)
        at = move.end
    assert mark is not None and mark.position == at, "I15: the watermark is not its last move"
    assert mark.sequence == moves[-1][0].sequence
    assert mark.time_us == moves[-1][0].time_us


def check_move(view: View, stream: StreamObject, move: Move, commit: CommitRow) -> None:
    """I18: both ends of a move are versions that the stream could show then."""
    head = view.version_at(stream.table, commit.sequence)
    if head < 0:
        return  # before all that is kept of the table
    assert move.end == INITIAL or 0 <= move.end <= head, f"I18: {move} ends outside {head}"
    assert move.end != INITIAL or stream.initial_rows, "INITIAL without initial rows"
    if move.why == "consume":
        assert move.start is not None and move.end >= move.start, "I14: a window that ends early"
        before = view.version_at(stream.table, commit.sequence - 1)
        assert before < 0 or move.end <= before, "a window shows its own transaction's writes"


def check_boundary(view: View, moved: Moved, commit: CommitRow) -> None:
    """A boundary is the target's version right after its commit, before it at a registration."""
    move = moved.move
    if move.target is None or moved.target_version is None:
        assert moved.target_version is None
        return
    place = commit.sequence - (move.why == "register")
    was = view.version_at(move.target, place)
    if was < 0 and view.version(move.target, 0) is None:
        return
    assert moved.target_version == max(was, 0), "the boundary is another version of the target"


def copies(source: int, target: int, consumer: int) -> Callable[[View], None]:
    """I13: the target holds the source as it was at the consumer's watermark, key by key.

    For effects that mirror a source: same columns, compared without row ids.
    """

    def law(view: View) -> None:
        mark = view.watermark(consumer)
        position = 0 if mark is None else max(mark.position, 0)
        wanted = rows(view, source, position)
        found = rows(view, target, view.head(target).version)
        assert found == wanted, f"I13: target {target} is not source {source} at v{position}"

    return law


def rows(view: View, table: int, version: int) -> list[str]:
    """A table's rows at a version, sorted, as text."""
    listed = cast(list[dict[str, object]], snapshot(view, table, version).data.to_pylist())
    return sorted(repr(row) for row in listed)
