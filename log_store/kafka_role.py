"""What a node does when something happens to it: a table. Pure.

A prefix has one writer at a time. Kafka's group membership says which node is to be it (GIVEN,
WITHDRAWN); the producer's epoch makes sure that nobody else is (FENCED), whatever a node believes.
A node that finds nobody beside itself need not wait for the group (ALONE).
"""

from enum import Enum, StrEnum
from typing import Final, NamedTuple


class Role(StrEnum):
    """What a node is for its prefix."""

    REPLICA = "replica"
    TAKING = "taking over"
    WRITER = "writer"
    CLOSED = "closed"


class Event(Enum):
    """What happens to a node."""

    ALONE = "no other node is there"
    GIVEN = "the group makes it the writer"
    WITHDRAWN = "the group makes another node the writer, or has lost this one"
    TOOK = "it has fenced its predecessor and read to the end"
    FAILED = "it could not take over"
    FENCED = "another writer has come"
    CLOSING = "it is to end"


class Act(Enum):
    """What is done about it, in order."""

    TAKE = "stop following, fence, read to the end"
    SERVE = "take commits, its own and those of others"
    YIELD = "stop taking commits"
    FOLLOW = "follow the topics"
    REJOIN = "leave the group, and join it again after a while"
    LEAVE = "stop all, and leave the group"


class Standing(NamedTuple):
    """Where a node is: its role, and whether the group has made it the writer."""

    role: Role = Role.REPLICA
    given: bool = False


class Decision(NamedTuple):
    """What a node is from here on, and what it does to become so."""

    standing: Standing
    acts: tuple[Act, ...] = ()


_NEXT: Final[dict[tuple[Role, Event], tuple[Role, tuple[Act, ...]]]] = {
    (Role.REPLICA, Event.ALONE): (Role.TAKING, (Act.TAKE,)),
    (Role.REPLICA, Event.GIVEN): (Role.TAKING, (Act.TAKE,)),
    (Role.TAKING, Event.TOOK): (Role.WRITER, (Act.SERVE,)),
    (Role.TAKING, Event.FAILED): (Role.REPLICA, (Act.FOLLOW,)),
    (Role.WRITER, Event.WITHDRAWN): (Role.REPLICA, (Act.YIELD, Act.FOLLOW)),
    (Role.WRITER, Event.FENCED): (Role.REPLICA, (Act.YIELD, Act.FOLLOW)),
    (Role.REPLICA, Event.CLOSING): (Role.CLOSED, (Act.LEAVE,)),
    (Role.TAKING, Event.CLOSING): (Role.CLOSED, (Act.LEAVE,)),
    (Role.WRITER, Event.CLOSING): (Role.CLOSED, (Act.YIELD, Act.LEAVE)),
}
# After these the group's word stands against what happened: it is asked again.
_CONTRADICT: Final = frozenset({Event.FAILED, Event.FENCED})


def decide(standing: Standing, event: Event) -> Decision:
    """What a node becomes and does; an event that is not in the table changes nothing."""
    given = standing.given
    if event in (Event.GIVEN, Event.WITHDRAWN):
        given = event is Event.GIVEN
    role, acts = _NEXT.get((standing.role, event), (standing.role, ()))
    if acts and given and event in _CONTRADICT:
        given, acts = False, (*acts, Act.REJOIN)
    return Decision(Standing(role, given), acts)
