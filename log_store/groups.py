"""Where consumers' Kafka groups stand, as nouns and verbs: what a log on Kafka offers beside its own.

A group's committed offset is a place in the topic of its stream's table: the next record to read.
Versions are runs of records; an offset falls into the last version all of whose records lie below
it, so that whoever goes on from there repeats rather than loses.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol


class Group(NamedTuple):
    """A group id, and the table of whose topic it has an offset."""

    name: str
    table: int


class Seen(NamedTuple):
    """A group's committed offset. `sequence` is the commit that we wrote it for, None if it is
    somebody else's.
    """

    offset: int
    sequence: int | None


class OffsetPlace(NamedTuple):
    """The version that an offset falls into; `inside` of the `records` of the next one lie below it."""

    version: int
    inside: int = 0
    records: int = 0


class Mirrored(NamedTuple):
    """A watermark that a group is to show: position (a version or INITIAL) and its last commit."""

    position: int
    sequence: int


class Groups(Protocol):
    """The groups of a store's consumers. Every method may take a moment: never call it in a commit.

    All raise StoreUnavailable while the cluster does not answer.
    """

    @property
    def leading(self) -> bool:
        """Whether it is for this node to look after the groups: it is the writer."""
        ...

    def seen(self, groups: Iterable[Group]) -> Mapping[Group, Seen]:
        """Where these groups stand; those without an offset are left out."""
        ...

    def place(self, table: int, offset: int) -> OffsetPlace | None:
        """Which version of a table an offset falls into; None behind all there is.

        Below the history that is kept: the version before the horizon.
        """
        ...

    def offset(self, table: int, version: int) -> int:
        """The offset from which a reader that has consumed a version goes on."""
        ...

    def write(self, group: Group, offset: int, mark: Mirrored) -> None:
        """Move a group that has no members, under our own metadata.

        Raises:
            GroupActive: it has members. Nothing was changed.
        """
        ...

    def mirror(self, groups: Mapping[Group, tuple[int, Mirrored]]) -> None:
        """Give groups these offsets and marks as soon as they let it; returns at once."""
        ...

    def forget(self, group: Group) -> None:
        """Take back the offset of a group that was never to have one; members keep it."""
        ...

    def members(self, group: str) -> Sequence[str]:
        """Who is in a group, as `client@host`; empty for one that is not there."""
        ...
