"""Places in a table's history as users name them, and the version each one means. Pure.

100, "100", "v100"            a version
datetime, "2026-11-23 09:00"  the state at that time (without a zone: in the zone given)
"2 hours ago", "-2h"          the same, counted back from now
{"statement": id}             the state after that statement's commit
{"stream": name}              where that stream stands
"base", "initial", "head", "horizon"
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import Enum
from typing import cast

from headwater.consumers.errors import PositionUnknown
from headwater.consumers.spans import parse_span
from headwater.log_store.catalog import TableObject
from headwater.log_store.errors import OutsideHistory
from headwater.log_store.port import View

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


class Mark(Enum):
    """A place that has a name."""

    BASE = "base"
    INITIAL = "initial"
    HEAD = "head"
    HORIZON = "horizon"


@dataclass(frozen=True, slots=True)
class AtVersion:
    """A version of the table."""

    version: int


@dataclass(frozen=True, slots=True)
class AtTime:
    """What every table was at a time, microseconds since 1970 UTC."""

    time_us: int


@dataclass(frozen=True, slots=True)
class AtStatement:
    """What every table was after the commit of a statement, `<commit id>` or `<commit id>:<n>`."""

    statement: str


@dataclass(frozen=True, slots=True)
class AtStream:
    """Where another stream on the same table stands."""

    stream: str


Position = Mark | AtVersion | AtTime | AtStatement | AtStream
Said = int | str | datetime | Mapping[str, str | int | datetime] | Position

_VERSION = re.compile(r"v?(\d+)", re.IGNORECASE)
_AGO = re.compile(r"-\s*(?P<back>.+)|(?P<ago>.+)\s+ago", re.IGNORECASE)


def parse(said: Said, now_us: int, *, zone: tzinfo = UTC) -> Position:
    """The position that a value names; times without a zone are read in `zone`.

    Raises:
        PositionUnknown: it names none.
    """
    match said:
        case bool():
            raise PositionUnknown(str(said), "say a version, a time, or base")
        case int():
            return _version(said)
        case datetime():
            return AtTime(_micros(said, zone))
        case str():
            return _text(said, now_us, zone)
        case Mark() | AtVersion() | AtTime() | AtStatement() | AtStream():
            return said
        case _:
            return _named(said, now_us, zone)


def _version(number: int) -> AtVersion:
    if number < 0:
        raise PositionUnknown(str(number), "versions start at 0; 'initial' is before them")
    return AtVersion(number)


def _micros(moment: datetime, zone: tzinfo) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    return (aware - _EPOCH) // _US


def _text(text: str, now_us: int, zone: tzinfo) -> Position:
    plain = text.strip()
    if plain.lower() in {mark.value for mark in Mark}:
        return Mark(plain.lower())
    if found := _VERSION.fullmatch(plain):
        return AtVersion(int(found[1]))
    if found := _AGO.fullmatch(plain):
        span = parse_span(
            re.sub(r"\ban? ", "1 ", found["back"] or found["ago"], flags=re.IGNORECASE)
        )
        if span is not None:
            return AtTime(now_us - span // _US)
    try:
        return AtTime(_micros(datetime.fromisoformat(plain), zone))
    except ValueError:
        why = "write v100, 2026-11-23 09:00, '2 hours ago', base, initial, head or horizon"
        raise PositionUnknown(text, why) from None


def _named(said: object, now_us: int, zone: tzinfo) -> Position:
    shown = str(said)
    named = cast("Mapping[str, str | int | datetime]", said if isinstance(said, Mapping) else {})
    if len(named) != 1:
        raise PositionUnknown(shown, "say a version, a time, a statement or a stream")
    ((kind, value),) = named.items()
    match kind.lower(), value:
        case "version", int():
            return _version(value)
        case (("time" | "timestamp"), (str() | datetime())):
            return parse(value, now_us, zone=zone)
        case "offset", int():
            return AtTime(now_us + value * 1_000_000)
        case "statement", str():
            return AtStatement(value)
        case "stream", str():
            return AtStream(value)
        case _:
            raise PositionUnknown(
                f"{kind} => {value}", "say one of version, time, statement and stream"
            )


def horizon(view: View, table: int) -> int:
    """The oldest version from which full history is kept; O(log n) once history has expired."""
    if view.version(table, 0) is not None:
        return 0
    low, high = 0, view.head(table).version
    while high - low > 1:
        middle = (low + high) // 2
        if view.version(table, middle) is None:
            low = middle
        else:
            high = middle
    return high


def version_of(view: View, table: TableObject, position: Position, *, before: bool = False) -> int:
    """The version of a table that a position means; with `before`, the one just before it.

    Raises:
        OutsideHistory: that place is not kept, or comes before the table was created.
        PositionUnknown: only a stream knows that place (base, initial, another stream).
    """
    back = 1 if before else 0
    head = view.head(table.id).version
    match position:
        case AtVersion(version):
            found = version - back
        case AtTime(time_us):
            found = view.version_at(table.id, view.sequence_at(time_us - back))
        case AtStatement(statement):
            found = view.version_at(table.id, _commit_of(view, statement) - back)
        case Mark.HEAD:
            found = head - back
        case Mark.HORIZON:
            found = horizon(view, table.id) - back
        case _:
            raise PositionUnknown(_said(position), "a table has versions, times and a head")
    earliest = horizon(view, table.id)
    if not earliest <= found <= head:
        where = "comes before the table" if found < 0 else f"is v{found}"
        raise OutsideHistory(
            f"table {table.name}: that place {where}; its history is kept from v{earliest}"
            f" (of {_stamp(view, table.id, earliest)}) to v{head}"
        )
    return found


def _said(position: Position) -> str:
    """A position that only a stream knows, as it was written."""
    match position:
        case Mark():
            return position.value
        case AtStream(stream):
            return f"stream {stream}"
        case _:
            return str(position)


def _commit_of(view: View, statement: str) -> int:
    found = view.find_commit(statement.rpartition(":")[0] or statement)
    if found is None:
        raise OutsideHistory(f"statement {statement} made no commit that is still kept")
    return found.sequence


def _stamp(view: View, table: int, version: int) -> str:
    row = view.version(table, version)
    return "an unknown time" if row is None else shown_time(row.time_us)


def shown_time(time_us: int) -> str:
    """A commit time for people: ISO 8601, UTC."""
    return (_EPOCH + time_us * _US).isoformat(timespec="microseconds")
