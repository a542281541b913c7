"""What an offset that a consumer's group is found with means. Pure: two tables of cases.

A TABLE or CLIENT consumer's watermark is the truth, and its group shows it. What was written there
by somebody else is a move from outside: it is carried out, or put back, as the stream's policy
says. What is missing, or is our own of an earlier commit, says nothing and is written again. For a
GROUP consumer the group's offset is the truth and is taken over, whatever it is; only one that
expired is written again.
"""

from enum import Enum
from typing import Final, NamedTuple

from headwater.log_store.catalog import RewindPolicy
from headwater.log_store.groups import Mirrored, OffsetPlace, Seen
from headwater.log_store.records import INITIAL

DAY_US: Final = 86_400_000_000
_OBEYED: Final = frozenset({RewindPolicy.ALLOW, RewindPolicy.WARN})


class Verdict(Enum):
    """What is done about a group's offset."""

    LEAVE = "it is what it should be"
    WRITE = "the watermark is written again"
    REWIND = "the watermark goes back to it"
    ADVANCE = "the watermark goes on to it"
    REFUSE = "it is put back, on record"


class Found(NamedTuple):
    """A TABLE or CLIENT consumer with its group as it was found.

    `seen` None: it has no offset. `place` is the version it falls into, None behind all there is.
    `newest` is the last commit that was known when `mark` was read, after the group. `due`: its
    offset is to be written again before the cluster lets it expire.
    """

    seen: Seen | None
    place: OffsetPlace | None
    mark: Mirrored
    newest: int
    base: int
    horizon: int
    policy: RewindPolicy
    due: bool = False


class Judged(NamedTuple):
    """A verdict, with why it is REFUSE: one word that never changes."""

    verdict: Verdict
    why: str = ""


def judge(found: Found) -> Judged:
    """What to do about a TABLE or CLIENT consumer's group."""
    seen, mark = found.seen, found.mark
    if seen is None:
        return Judged(Verdict.WRITE)
    at = found.base if mark.position == INITIAL else mark.position
    if seen.sequence is not None:
        if seen.sequence > found.newest:
            return Judged(Verdict.LEAVE)  # of a commit that is about to be shown
        same = seen.sequence == mark.sequence and found.place == OffsetPlace(at)
        return Judged(Verdict.LEAVE if same and not found.due else Verdict.WRITE)
    place = found.place
    if place is not None and place.version == at:
        return Judged(Verdict.WRITE)  # nowhere else, or inside the next version: that is repeated
    if found.policy not in _OBEYED:
        return Judged(Verdict.REFUSE, found.policy.value)
    if place is None:
        return Judged(Verdict.REFUSE, "BEHIND_THE_END")
    if place.version < found.base:
        return Judged(Verdict.REFUSE, "BELOW_BASE")
    if place.version < found.horizon:
        return Judged(Verdict.REFUSE, "BELOW_HORIZON")
    return Judged(Verdict.REWIND if place.version < at else Verdict.ADVANCE)


class GroupFound(NamedTuple):
    """A GROUP consumer as it was found; `known` is the offset it was last recorded with.

    `head` is the table's newest version, for an offset behind all there is.
    """

    seen: Seen | None
    place: OffsetPlace | None
    position: int
    known: int | None
    head: int
    due: bool = False


class GroupJudged(NamedTuple):
    """What becomes of a GROUP consumer: recorded at a place, or its offset written again."""

    record: OffsetPlace | None = None
    backward: bool = False
    write: bool = False


def judge_group(found: GroupFound) -> GroupJudged:
    """What to do about a GROUP consumer."""
    if found.seen is None:
        return GroupJudged(write=True)
    if found.seen.offset == found.known:
        return GroupJudged(write=found.due)
    place = found.place or OffsetPlace(found.head)
    # Where the offset known is not on record, only a lower version is surely further back.
    known = found.known
    back = place.version < found.position or (known is not None and found.seen.offset < known)
    return GroupJudged(place, back)  # who has just moved does not expire
