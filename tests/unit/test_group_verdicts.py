"""What an offset found in a consumer's group means: every case once."""

import pytest

from headwater.consumers.group_verdicts import (
    Found,
    GroupFound,
    GroupJudged,
    Verdict,
    judge,
    judge_group,
)
from headwater.log_store.catalog import RewindPolicy
from headwater.log_store.groups import Mirrored, OffsetPlace, Seen
from headwater.log_store.records import INITIAL

ALLOW, WARN = RewindPolicy.ALLOW, RewindPolicy.WARN
REASON, FORBID = RewindPolicy.REQUIRE_REASON, RewindPolicy.FORBID
MARK = Mirrored(5, 100)
# A base of v2, a horizon of v3, a watermark of v5 moved by commit 100, a log of 120 commits.
BEFORE = Found(Seen(50, 100), OffsetPlace(5), MARK, newest=120, base=2, horizon=3, policy=ALLOW)


def foreign(version: int | None, inside: int = 0, policy: RewindPolicy = ALLOW) -> Found:
    """Somebody else's offset that falls into a version."""
    place = None if version is None else OffsetPlace(version, inside, 9 if inside else 0)
    return BEFORE._replace(seen=Seen(50, None), place=place, policy=policy)


CASES = {
    "ours, as it should be": (BEFORE, Verdict.LEAVE, ""),
    "the same a day later": (BEFORE._replace(due=True), Verdict.WRITE, ""),
    "none, or expired": (BEFORE._replace(seen=None, place=None), Verdict.WRITE, ""),
    "ours of an older commit": (
        BEFORE._replace(seen=Seen(20, 90), place=OffsetPlace(3)),
        Verdict.WRITE,
        "",
    ),
    "ours of an older commit, policy or not": (
        BEFORE._replace(seen=Seen(20, 90), place=OffsetPlace(3), policy=FORBID),
        Verdict.WRITE,
        "",
    ),
    "ours of a store that was there before": (
        BEFORE._replace(seen=Seen(20, 110), place=OffsetPlace(3)),
        Verdict.WRITE,
        "",
    ),
    "ours of this commit at another offset": (
        BEFORE._replace(seen=Seen(20, 100), place=OffsetPlace(3)),
        Verdict.WRITE,
        "",
    ),
    "ours of a commit that is not shown yet": (
        BEFORE._replace(seen=Seen(70, 121), place=OffsetPlace(7)),
        Verdict.LEAVE,
        "",
    ),
    "somebody else's, in the same place": (foreign(5), Verdict.WRITE, ""),
    "somebody else's, inside the next version": (foreign(5, 3), Verdict.WRITE, ""),
    "back": (foreign(4), Verdict.REWIND, ""),
    "back inside a version": (foreign(4, 3), Verdict.REWIND, ""),
    "back under WARN": (foreign(4, policy=WARN), Verdict.REWIND, ""),
    "forward": (foreign(8), Verdict.ADVANCE, ""),
    "back under REQUIRE_REASON": (
        foreign(4, policy=REASON),
        Verdict.REFUSE,
        "REQUIRE_REASON",
    ),
    "back under FORBID": (foreign(4, policy=FORBID), Verdict.REFUSE, "FORBID"),
    "forward under FORBID": (foreign(8, policy=FORBID), Verdict.REFUSE, "FORBID"),
    "the same place under FORBID": (foreign(5, policy=FORBID), Verdict.WRITE, ""),
    "below what is kept": (foreign(2), Verdict.REFUSE, "BELOW_HORIZON"),
    "below the base": (foreign(1), Verdict.REFUSE, "BELOW_BASE"),
    "behind all there is": (foreign(None), Verdict.REFUSE, "BEHIND_THE_END"),
    "at the base with the initial rows to read": (
        foreign(2)._replace(mark=Mirrored(INITIAL, 100), horizon=0),
        Verdict.WRITE,
        "",
    ),
    "ours with the initial rows to read": (
        BEFORE._replace(place=OffsetPlace(2), mark=Mirrored(INITIAL, 100)),
        Verdict.LEAVE,
        "",
    ),
    "forward past the initial rows": (
        foreign(4)._replace(mark=Mirrored(INITIAL, 100)),
        Verdict.ADVANCE,
        "",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mirrored_offset(case: str) -> None:
    found, verdict, why = CASES[case]
    assert judge(found) == (verdict, why)


HERE = GroupFound(Seen(50, None), OffsetPlace(5), position=5, known=50, head=9)
GROUPS = {
    "as it is known": (HERE, GroupJudged()),
    "as it is known, a day later": (HERE._replace(due=True), GroupJudged(write=True)),
    "expired": (HERE._replace(seen=None, place=None), GroupJudged(write=True)),
    "further": (
        HERE._replace(seen=Seen(70, None), place=OffsetPlace(7)),
        GroupJudged(OffsetPlace(7)),
    ),
    "further inside the next version": (
        HERE._replace(seen=Seen(53, None), place=OffsetPlace(5, 3, 20)),
        GroupJudged(OffsetPlace(5, 3, 20)),
    ),
    "back": (
        HERE._replace(seen=Seen(30, None), place=OffsetPlace(3)),
        GroupJudged(OffsetPlace(3), backward=True),
    ),
    "back inside the next version": (
        HERE._replace(seen=Seen(51, None), place=OffsetPlace(5, 1, 20), known=53),
        GroupJudged(OffsetPlace(5, 1, 20), backward=True),
    ),
    "nothing known yet": (HERE._replace(known=None), GroupJudged(OffsetPlace(5))),
    "behind all there is": (
        HERE._replace(seen=Seen(99, None), place=None),
        GroupJudged(OffsetPlace(9)),
    ),
    "our own metadata of an older commit, moved by nobody": (
        HERE._replace(seen=Seen(50, 1)),
        GroupJudged(),
    ),
}


@pytest.mark.parametrize("case", GROUPS)
def test_a_groups_own_offset(case: str) -> None:
    found, judged = GROUPS[case]
    assert judge_group(found) == judged
