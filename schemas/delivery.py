"""What rises in the order in which a connector delivers, so that what comes again can be dropped.

A connector that dies sends its last messages once more. They are recognised by a position that its
source gives each change and that rises, within one partition, as changes are delivered:

    PostgreSQL   source.sequence, a pair of log positions: of the commit before, of the change. Not
                 source.lsn: transactions that overlap in the log are delivered one after the other
    MySQL        binlog file, position in it, row within the event; of one server
    Headwater    source.event_seq

Of any other source nothing is known that rises; there only Kafka's own offsets tell what was read,
and a change that is sent again is applied again. Rows of a snapshot (r) are never dropped.
"""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple, cast

_BINLOG = re.compile(r"(?P<stem>.*?)\.(?P<number>\d+)")


class Delivered(NamedTuple):
    """A place in the order of delivery; places of different `lines` cannot be compared."""

    line: str
    place: tuple[int, ...]


def delivered(source: Mapping[str, object]) -> Delivered | None:
    """Where a change stands, from its `source` block; None where nothing in it rises."""
    match source.get("connector"):
        case "postgresql":
            return _postgres(source.get("sequence"))
        case "mysql" | "mariadb":
            return _mysql(source)
        case "headwater":
            seq = source.get("event_seq")
            return Delivered("headwater", (seq,)) if isinstance(seq, int) else None
        case _:
            return None


def comes_again(last: Delivered | None, change: Delivered | None) -> bool:
    """Whether a change was delivered before, given the furthest one so far of its partition."""
    if last is None or change is None or last.line != change.line:
        return False
    return change.place <= last.place


def further(last: Delivered | None, change: Delivered | None) -> Delivered | None:
    """The furthest place after a change."""
    if change is None or comes_again(last, change):
        return last
    return change


def _postgres(sequence: object) -> Delivered | None:
    if not isinstance(sequence, str) or len(sequence) > 200:
        return None
    try:
        pair: object = json.loads(sequence)
    except (ValueError, RecursionError):
        return None
    if not isinstance(pair, list):
        return None
    parts = cast("list[object]", pair)
    # The first one is null until the connector has seen a commit: nothing to compare by yet.
    if len(parts) != 2 or not all(
        isinstance(p, str) and p.isascii() and p.isdigit() for p in parts
    ):
        return None
    return Delivered("postgresql", tuple(int(cast(str, part)) for part in parts))


def _mysql(source: Mapping[str, object]) -> Delivered | None:
    file, position, row = source.get("file"), source.get("pos"), source.get("row")
    found = _BINLOG.fullmatch(file) if isinstance(file, str) else None
    if found is None or not isinstance(position, int):
        return None
    place = (int(found["number"]), position, row if isinstance(row, int) else 0)
    # After a failover another server's files begin again: they are another line.
    return Delivered(f"mysql {source.get('server_id')} {found['stem']}", place)
