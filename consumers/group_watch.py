"""One look at the Kafka groups of all consumers, and what follows from it, on record.

It reads groups first and the store second: what stands in a group can then only be older than what
the store says, or not ours. Nothing here runs within anybody's commit.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from headwater.consumers.errors import ConsumersError
from headwater.consumers.execute import execute
from headwater.consumers.group_consumers import group_of
from headwater.consumers.group_notes import OFFSET, note_of, noted
from headwater.consumers.group_verdicts import (
    DAY_US,
    Found,
    GroupFound,
    Verdict,
    judge,
    judge_group,
)
from headwater.consumers.positions import AtVersion, horizon
from headwater.consumers.registration import name_of, registered
from headwater.consumers.rewind import Ask, plan_advance, plan_rewind
from headwater.log_store.catalog import ConsumerKind, ConsumerObject, StreamObject
from headwater.log_store.errors import GroupActive, OutsideHistory, WriteConflict
from headwater.log_store.groups import Group, Groups, Mirrored, OffsetPlace, Seen
from headwater.log_store.port import Log, View
from headwater.log_store.records import INITIAL, Move, Why
from headwater.producer.transaction import Transaction

# An offset that is refused again and again (a member that goes on committing) is put on record
# once in so long.
_REFUSED_EVERY_US: Final = 60_000_000
_log = logging.getLogger("headwater")


class _One(NamedTuple):
    """A consumer with its group, as one look found them."""

    stream: StreamObject
    consumer: ConsumerObject
    group: Group
    seen: Seen | None
    place: OffsetPlace | None


@dataclass
class Remembered:
    """What is known from one look to the next; lost with the process, and then found out anew."""

    written: dict[Group, int] = field(default_factory=dict[Group, int])
    refused: dict[Group, int] = field(default_factory=dict[Group, int])


class GroupWatch:
    """Looks at groups when told to, for one thread. `begin` opens transactions, `clock` gives us."""

    def __init__(
        self, log: Log, begin: Callable[[], Transaction], clock: Callable[[], int]
    ) -> None:
        self._log, self._begin, self._clock = log, begin, clock
        self._known = Remembered()

    def look(self) -> int:
        """See where all groups stand and do what that asks for; returns how many there are.

        Raises:
            StoreUnavailable: the cluster does not answer; the rest is done at the next look.
        """
        groups = self._log.groups
        if groups is None or not groups.leading:
            return 0
        with self._log.view() as view:
            asked = {group_of(one, stream): None for stream, one in _mirrored(view)}
        if not asked:
            return 0
        seen, now_us = groups.seen(asked), self._clock()
        with self._log.view() as view:
            found = [
                _One(stream, one, group, seen.get(group), _place(groups, group, seen))
                for stream, one in _mirrored(view)
                if (group := group_of(one, stream)) in asked
            ]
            plain = [one for one in found if one.consumer.reader is ConsumerKind.GROUP]
            self._take_over(view, groups, plain, now_us)
            again: list[_One] = []
            for one in found:
                if one.consumer.reader is not ConsumerKind.GROUP:
                    self._judged(view, groups, one, now_us, again)
            self._write(view, groups, again, now_us)
        return len(asked)

    # TABLE and CLIENT consumers: the watermark is the truth.

    def _judged(
        self, view: View, groups: Groups, one: _One, now_us: int, again: list[_One]
    ) -> None:
        verdict, why = judge(self._found(view, one, now_us))
        match verdict:
            case Verdict.LEAVE:
                pass
            case Verdict.WRITE:
                again.append(one)
            case Verdict.REWIND | Verdict.ADVANCE:
                self._follow(view, one, verdict, now_us)
            case Verdict.REFUSE:
                self._refuse(one, why, now_us)
        if verdict is not Verdict.LEAVE and verdict is not Verdict.WRITE:
            with self._log.view() as after:
                self._mirror(after, groups, one, now_us)

    def _found(self, view: View, one: _One, now_us: int) -> Found:
        mark = _mark(view, one.consumer)
        return Found(
            one.seen,
            one.place,
            mark,
            view.sequence,
            one.stream.base,
            horizon(view, one.stream.table),
            one.stream.policy,
            self._due(one.group, now_us),
        )

    def _due(self, group: Group, now_us: int) -> bool:
        written = self._known.written.get(group)
        return written is None or now_us - written >= DAY_US

    def _write(self, view: View, groups: Groups, ones: list[_One], now_us: int) -> None:
        """Write watermarks again, of groups that are still as they were seen."""
        seen = groups.seen([one.group for one in ones])
        for one in ones:
            if seen.get(one.group) == one.seen:
                self._mirror(view, groups, one, now_us)

    def _mirror(self, view: View, groups: Groups, one: _One, now_us: int) -> None:
        mark = _mark(view, one.consumer)
        version = one.stream.base if mark.position == INITIAL else mark.position
        groups.mirror({one.group: (groups.offset(one.stream.table, version), mark)})
        self._known.written[one.group] = now_us

    def _follow(self, view: View, one: _One, verdict: Verdict, now_us: int) -> None:
        """Carry out a move from outside as a rewind or an advance, on record."""
        assert one.seen is not None and one.place is not None
        name = name_of(view.catalog, one.consumer)
        ask = Ask(
            to=AtVersion(one.place.version),
            consumer=name,
            reason=f"group {one.group.name} was moved to offset {one.seen.offset} from outside",
        )
        tx = self._begin()
        try:
            make = plan_rewind if verdict is Verdict.REWIND else plan_advance
            plan = make(tx.view, one.stream, ask)
            with tx.statement(ask.reason):
                execute(tx, plan)
            tx.commit()
        except (ConsumersError, OutsideHistory) as error:
            self._refuse(one, error.code, now_us)
        except WriteConflict:
            return  # somebody else moved it first, and the group with it
        finally:
            tx.rollback()

    def _refuse(self, one: _One, why: str, now_us: int) -> None:
        """Put on record that a move from outside is not followed."""
        assert one.seen is not None
        last = self._known.refused.get(one.group)
        if last is not None and now_us - last < _REFUSED_EVERY_US:
            return
        self._known.refused[one.group] = now_us
        tx = self._begin()
        try:
            detail = {
                "stream": one.stream.name,
                "stream_id": one.stream.id,
                "consumer": name_of(tx.catalog, one.consumer),
                "group": one.group.name,
                "offset": one.seen.offset,
                "version": None if one.place is None else one.place.version,
                "refused": why,
            }
            tx.stage_audit("outside move refused", json.dumps(detail, ensure_ascii=False))
            tx.commit()
        finally:
            tx.rollback()

    # GROUP consumers: the offset is the truth.

    def _take_over(self, view: View, groups: Groups, ones: list[_One], now_us: int) -> None:
        """Record where groups have come to, all in one commit; write again what expired."""
        moves: list[tuple[_One, Move, bool]] = []
        for one in ones:
            at, known = _mark(view, one.consumer), noted(view, one.consumer).get(OFFSET)
            head = view.head(one.stream.table).version
            due = self._due(one.group, now_us)
            judged = judge_group(GroupFound(one.seen, one.place, at.position, known, head, due))
            if judged.record is not None and one.seen is not None:
                why: Why = "outside" if judged.backward else "consume"
                note = note_of(one.seen.offset, judged.record)
                version = judged.record.version
                move = Move(one.consumer.id, at.position, version, why, note=note)
                moves.append((one, move, judged.backward))
            if judged.write:
                self._write_again(groups, one, at, known, now_us)
        if moves:
            self._record(moves)

    def _write_again(
        self, groups: Groups, one: _One, at: Mirrored, known: int | None, now_us: int
    ) -> None:
        """The same offset once more; whoever is in the group keeps it from expiring as well."""
        offset = known if one.seen is None else one.seen.offset
        if offset is None:
            offset = groups.offset(one.stream.table, at.position)
        try:
            groups.write(one.group, offset, at)
        except GroupActive:
            _log.debug("group %s is active", one.group.name)
        self._known.written[one.group] = now_us

    def _record(self, moves: list[tuple[_One, Move, bool]]) -> None:
        tx = self._begin()
        try:
            for one, move, backward in moves:
                tx.stage_move(move)
                if backward:
                    tx.stage_audit("outside", _detail(tx, one, move))
            tx.commit()
        except WriteConflict:
            return  # rewound meanwhile: the next look sees where it stands
        finally:
            tx.rollback()


def _detail(tx: Transaction, one: _One, move: Move) -> str:
    detail = {
        "stream": one.stream.name,
        "stream_id": one.stream.id,
        "consumer": name_of(tx.catalog, one.consumer),
        "group": one.group.name,
        "from": move.start,
        "to": move.end,
        OFFSET: move.note[OFFSET],
    }
    return json.dumps(detail, ensure_ascii=False)


def _mirrored(view: View) -> Iterator[tuple[StreamObject, ConsumerObject]]:
    """The consumers of live streams on live tables that have a group."""
    catalog = view.catalog
    for stream in catalog.streams():
        if catalog.table(stream.table).dropped_at is None:
            for consumer in registered(catalog, stream):
                if consumer.group:
                    yield stream, consumer


def _place(groups: Groups, group: Group, seen: Mapping[Group, Seen]) -> OffsetPlace | None:
    at = seen.get(group)
    return None if at is None else groups.place(group.table, at.offset)


def _mark(view: View, consumer: ConsumerObject) -> Mirrored:
    mark = view.watermark(consumer.id)
    assert mark is not None, "a registration always writes a watermark"
    return Mirrored(mark.position, mark.sequence)


def look_once(log: Log, begin: Callable[[], Transaction], clock: Callable[[], int]) -> None:
    """See where GROUP consumers stand now, before history that they may need is let go.

    Raises:
        LogError: that cannot be found out.
    """
    if log.groups is not None:
        GroupWatch(log, begin, clock).look()
