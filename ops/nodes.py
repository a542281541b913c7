"""The nodes of a store on Kafka, as they are listed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from headwater.ops.present import from_us


@dataclass(frozen=True, slots=True)
class Node:
    """A node: the `writer`, a `standby` that takes over from it, or a `replica` that never does.

    Also `taking over`, or `replaced`: a writer that does not know yet that there is a newer one.
    `epoch` counts the writers that the store has had. `position` is the last commit that the node
    shows, `behind` how many it lacks. `silent`: not heard of for some seconds, dead or stopped.
    """

    node: str
    host: str
    pid: int
    role: str
    since: datetime
    epoch: int
    position: int
    behind: int
    seen: datetime
    silent: bool


class Told(Protocol):
    """A node as the log tells of it; times in microseconds since 1970 UTC."""

    @property
    def node(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def pid(self) -> int: ...
    @property
    def role(self) -> str: ...
    @property
    def since_us(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def position(self) -> int: ...
    @property
    def behind(self) -> int: ...
    @property
    def seen_us(self) -> int: ...
    @property
    def silent(self) -> bool: ...


def node_of(told: Told) -> Node:
    """The node as users see it."""
    return Node(
        told.node,
        told.host,
        told.pid,
        told.role,
        from_us(told.since_us),
        told.epoch,
        told.position,
        told.behind,
        from_us(told.seen_us),
        told.silent,
    )
