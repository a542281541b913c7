"""Where a target table and its consumer's watermark stood together, and what came after. Pure.

A boundary is a place in the commit sequence: there the target held what had been consumed up to
the position, and nothing of what came later. A registration marks the place before its commit;
consuming, ADVANCE, restore and undo mark the place of theirs. A plain rewind lets the two part, so
neither it nor what follows it marks any, until a restore brings them together again. An undo brings
back what was before the rewind that it undoes: together, or parted by an earlier one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from headwater.log_store.catalog import Catalog, ConsumerKind, ConsumerObject
from headwater.log_store.port import View
from headwater.log_store.records import CommitRow, Moved

# Where a move's note names the directory that was consumed into.
DIRECTORY: Final = "directory"
# What changed a target together with the watermark.
_EFFECTS = ("consume", "restore", "undo")


@dataclass(frozen=True, slots=True)
class Boundary:
    """After the commit at `place`, the target stood where the watermark was at `position`."""

    position: int
    place: int


def boundaries(moves: Iterable[tuple[CommitRow, Moved]]) -> list[Boundary]:
    """A consumer's boundaries, oldest first, from its moves in order."""
    found: list[Boundary] = []
    together = before = True
    last = 0
    for commit, moved in moves:
        if commit.sequence != last and moved.move.why in ("rewind", "restore"):
            before = together
        last = commit.sequence
        match moved.move.why:
            case "register":
                found.append(Boundary(moved.move.end, commit.sequence - 1))
            case "rewind" | "outside":
                together = False
            case "restore":
                together = True
            case "undo":
                together = before
            case "consume" | "advance":
                pass
        if together and moved.move.why != "register":
            found.append(Boundary(moved.move.end, commit.sequence))
    return found


def boundary_below(view: View, consumer: ConsumerObject, to: int) -> Boundary | None:
    """The last boundary at or below a position; None if the kept history holds none."""
    for boundary in reversed(boundaries(view.moves(consumer.id))):
        if boundary.position <= to:
            return boundary
    return None


@dataclass(frozen=True, slots=True)
class Undone:
    """What going back to a place undoes.

    `targets` go back to where they stood; `taken` says how far each consumer is taken back with
    them; `places` are the commits whose effect on the targets that is.
    """

    targets: tuple[int, ...]
    taken: Mapping[int, int]
    places: frozenset[int]


def undone_since(view: View, consumer: ConsumerObject, place: int) -> Undone:
    """Everything that moved into the targets of a consumer after a place, and so is undone.

    A SHARED watermark that is taken back takes every target it fed with it, and so on.
    """
    targets = _fed(view, consumer, place)
    while True:
        feeders = [one for one in _live(view.catalog) if _fed(view, one, place) & targets]
        grown = targets.union(*(_fed(view, one, place) for one in feeders))
        if grown == targets:
            break
        targets = grown
    taken: dict[int, int] = {}
    places: set[int] = set()
    for feeder in feeders:
        for commit, moved in moves_since(view, feeder, place):
            move = moved.move
            if move.target in targets and move.why in _EFFECTS:
                assert move.start is not None, "only a registration starts nowhere"
                taken.setdefault(feeder.id, move.start)
                places.add(commit.sequence)
    return Undone(tuple(sorted(targets)), taken, frozenset(places))


def copied_since(view: View, consumers: Iterable[int], place: int) -> list[str]:
    """The directories that were written from the windows of some consumers after a place."""
    found: dict[str, None] = {}
    for consumer in consumers:
        for _, moved in moves_since(view, view.catalog.consumer(consumer), place):
            if moved.move.why == "consume" and (path := moved.move.note.get(DIRECTORY)):
                found[str(path)] = None
    return list(found)


def moves_since(
    view: View, consumer: ConsumerObject, place: int
) -> Iterator[tuple[CommitRow, Moved]]:
    """A consumer's moves after a place in the commit sequence, oldest first."""
    return ((c, moved) for c, moved in view.moves(consumer.id) if c.sequence > place)


def _live(catalog: Catalog) -> Iterator[ConsumerObject]:
    """Every registered consumer of a live stream."""
    for stream in catalog.streams():
        yield from catalog.consumers(stream.id)


def _fed(view: View, consumer: ConsumerObject, place: int) -> set[int]:
    """The tables a consumer is bound to: its own, or what a SHARED one fed after a place."""
    if consumer.reader is not ConsumerKind.SHARED:
        return set() if consumer.target is None else {consumer.target}
    return {
        moved.move.target
        for _, moved in moves_since(view, consumer, place)
        if moved.move.target is not None and moved.move.why in _EFFECTS
    }


def others_since(view: View, table: int, place: int, ours: frozenset[int]) -> list[CommitRow]:
    """The commits after a place that changed a table and are none of ours."""
    found: list[CommitRow] = []
    start = max(view.version_at(table, place), 0)
    for row in view.versions(table, start, view.head(table).version):
        if row.sequence not in ours:
            commit = view.commit(row.sequence)
            assert commit is not None, "a version that is kept has its commit"
            found.append(commit)
    return found
