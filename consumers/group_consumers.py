"""GROUP consumers: plain Kafka groups that are registered here, and moved while nobody is in them.

The group's committed offset is the truth. It is written first and the log second, so that what is
on record is never ahead of it; a transaction that comes to nothing puts it back.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from headwater.consumers.errors import ConsumerRefused, RewindRefused
from headwater.consumers.rewind_plan import RewindPlan
from headwater.log_store.catalog import Capture, ConsumerKind, ConsumerObject, StreamObject
from headwater.log_store.errors import GroupActive, LogError
from headwater.log_store.groups import Group, Groups, Mirrored, Seen
from headwater.log_store.records import INITIAL
from headwater.producer.staged import Outcome
from headwater.producer.transaction import Transaction

_KEY = "kafka groups"
_log = logging.getLogger("headwater")


class GroupWrites:
    """Offsets that a transaction has given to groups; put back if it comes to nothing."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self._were: list[tuple[Group, Seen | None, Mirrored]] = []

    def write(self, wanted: Sequence[tuple[Group, int, Mirrored]], was: Mirrored) -> None:
        """Move groups to versions of their tables, all or none.

        Raises:
            GroupActive: one has members. None was moved.
        """
        undo = self.save()
        seen = self._groups.seen([group for group, _, _ in wanted])
        try:
            for group, version, mark in wanted:
                self._groups.write(group, self._groups.offset(group.table, version), mark)
                self._were.append((group, seen.get(group), was))
        except LogError:
            undo()
            raise

    def save(self) -> Callable[[], None]:
        """See `Held.save`."""
        standing = len(self._were)
        return lambda: self._put_back(standing)

    def end(self, outcome: Outcome) -> None:
        """See `Held.end`; of an unknown outcome the next look at the groups makes the best."""
        if outcome == "nothing":
            self._put_back(0)

    def _put_back(self, left: int) -> None:
        while len(self._were) > left:
            group, seen, was = self._were.pop()
            try:
                if seen is None:
                    self._groups.forget(group)
                else:
                    self._groups.write(group, seen.offset, was)
            except LogError as error:
                _log.warning("group %s was not put back: %s", group.name, error)


def check_stream(tx: Transaction, stream: StreamObject, name: str) -> Groups:
    """The groups of the store, for a stream that can have a GROUP consumer.

    Raises:
        ConsumerRefused: it cannot: what the group would read is not what the stream shows.
    """
    groups = tx.log.groups
    if groups is None:
        why = "cannot be a GROUP: this store has no Kafka; register it AS CLIENT"
        raise ConsumerRefused(stream.name, name, why)
    check_options(stream, name)
    if tx.view.catalog.get("table", stream.table) is None:
        why = "cannot be a GROUP yet: its table is made by this transaction; commit that first"
        raise ConsumerRefused(stream.name, name, why)
    return groups


def check_options(stream: StreamObject, name: str) -> None:
    """Refuse a stream that shows something else than its table's topic holds."""
    why = ""
    if stream.view is not None:
        why = "the stream is on a view"
    elif stream.capture is not Capture.ALL:
        why = f"the stream captures {stream.capture.value}"
    elif stream.initial_rows:
        why = "the stream shows initial rows"
    if why:
        raise ConsumerRefused(
            stream.name,
            name,
            f"cannot be a GROUP: {why}, and a group reads the table's topic as it is; "
            "create a stream on the table that captures ALL, or register it AS CLIENT",
        )


def group_of(consumer: ConsumerObject, stream: StreamObject) -> Group:
    """A consumer's group, with the table whose topic it reads."""
    return Group(consumer.group, stream.table)


def write_groups(tx: Transaction, moves: Sequence[tuple[ConsumerObject, int]]) -> None:
    """Move the groups of GROUP consumers to versions; they go back if the transaction fails.

    Raises:
        GroupActive: one has members; none was moved. StoreUnavailable: the cluster is away.
        ConsumerRefused: this node does not move groups.
    """
    wanted: list[tuple[Group, int, Mirrored]] = []
    for consumer, version in moves:
        stream = tx.catalog.stream(consumer.stream)
        mark = Mirrored(version, tx.view.sequence)
        wanted.append((group_of(consumer, stream), version, mark))
    if not wanted:
        return
    groups = tx.log.groups
    if groups is None:
        consumer = moves[0][0]
        why = "is a Kafka group: move it where the store is written"
        raise ConsumerRefused(tx.catalog.stream(consumer.stream).name, consumer.name, why)
    held = tx.hold(_KEY, lambda: GroupWrites(groups))
    held.write(wanted, Mirrored(INITIAL, tx.view.sequence))


def moved_groups(plan: RewindPlan) -> list[tuple[ConsumerObject, int]]:
    """The GROUP consumers that a plan moves, with the version each goes to."""
    return [
        (move.consumer, move.end)
        for move in plan.moves
        if move.consumer.reader is ConsumerKind.GROUP
    ]


def with_members(plan: RewindPlan, groups: Groups | None) -> RewindPlan:
    """The plan, refused with who is in a group that it would move."""
    refusals = list(plan.refusals)
    for consumer, _ in moved_groups(plan) if groups is not None else ():
        assert groups is not None
        if members := groups.members(consumer.group):
            refusals.append(active(consumer, GroupActive(consumer.group, members)))
    return replace(plan, refusals=tuple(refusals))


def active(consumer: ConsumerObject, error: GroupActive) -> RewindRefused:
    """The refusal of a move of a group that has members."""
    return RewindRefused("GROUP_ACTIVE", consumer.name, str(error))
