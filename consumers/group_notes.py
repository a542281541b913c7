"""What the moves of a GROUP consumer note beside the version: its group's offset. Pure."""

from headwater.log_store.catalog import ConsumerObject
from headwater.log_store.groups import OffsetPlace
from headwater.log_store.port import View

# Where a move's note says at which offset the group stood, and how far inside a version.
OFFSET = "offset"
INSIDE = "inside"
RECORDS = "records"


def noted(view: View, consumer: ConsumerObject) -> dict[str, int]:
    """What the last move of a GROUP consumer noted: its offset, and how far inside a version."""
    mark = view.watermark(consumer.id)
    commit = None if mark is None else view.commit(mark.sequence)
    if commit is None:
        return {}
    found: dict[str, int] = {}
    for moved in commit.moves:
        if moved.move.consumer == consumer.id:
            found = {
                name: value
                for name, value in moved.move.note.items()
                if isinstance(value, int) and name in (OFFSET, INSIDE, RECORDS)
            }
    return found


def note_of(offset: int, place: OffsetPlace | None = None) -> dict[str, str | int]:
    """What a move of a GROUP consumer notes."""
    note: dict[str, str | int] = {OFFSET: offset}
    if place is not None and place.inside:
        note |= {INSIDE: place.inside, RECORDS: place.records}
    return note
