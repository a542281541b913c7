"""Named places where a test can make the process die, fail, wait or stop.

    HEADWATER_FAILPOINTS="commit.after_append=kill@3,commit.after_sync=error@1,large.staged=sleep:0.1"

    points := point ("," point)*      point := name "=" action ["@" hit]     hit counts from 1
    action := "kill"                  SIGKILL to this process: nothing is cleaned up
            | "error" | "enospc"      OSError EIO or ENOSPC, as a failing disk gives
            | "sleep:" seconds        goes on afterwards
            | "stop"                  SIGSTOP: as a process that the machine forgot

Without "@" every hit acts. With the variable unset a point costs one call and one test. Points must
be declared in `NAMES`, so that a test can prove that each of them is passed.
"""

import errno
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

VARIABLE: Final = "HEADWATER_FAILPOINTS"

NAMES: Final[Mapping[str, str]] = {
    "commit.before_append": "the commit is sequenced, none of it written",
    "commit.after_append": "written to the log, not yet flushed to disk",
    "commit.after_sync": "on disk, not yet visible",
    "commit.after_publish": "visible, the caller not yet told",
    "kafka.rebuilding": "a long history is read into an empty replica, none of it flushed",
    "kafka.intent": "the catalog says which topic is about to be made, it is not there",
    "kafka.topic_made": "a table's topic is there, the table is not committed",
    "kafka.produced": "records handed to the producer inside a transaction",
    "kafka.before_commit": "all of the transaction produced, its end not asked for",
    "kafka.committed": "the transaction is committed, the replica does not know",
    "kafka.applied": "the replica holds it, not yet visible",
    "kafka.base_unfinished": "a new base is produced, its transaction not ended",
    "kafka.base_durable": "a new base stands in its topic, the replica still holds what went",
    "kafka.before_delete": "base and replica have the new horizon, the old records are there",
    "kafka.deleted": "the records below the horizon are gone",
    "large.staged": "all chunks of a large commit written, none published",
    "large.published": "the large commit stands in the log, current rows do not follow yet",
    "large.mid_redo": "some of its current rows written",
    "large.redone": "all of its current rows written, the head not yet moved",
    "expire.mid": "some of the rows at a new horizon written",
    "expire.staged": "all of the rows at a new horizon written, the old history still there",
    "expire.published": "the new horizon stands on disk, snapshots below it are still kept",
    "lock.after_epoch": "the directory is ours, the store not yet open",
    "recover.mid": "the store is open, leftovers not yet settled",
    "recover.redone": "a cut-off large commit is finished, its marker still there",
    "copy.cleared": "files of failed tries removed, the new one not yet written",
    "copy.written": "the file is written under a passing name, not yet synced",
    "copy.named": "the file is durable under its own name, its commit not yet begun",
    "snapshot.before_swap": "a snapshot's chunks written, not yet listed",
    "snapshot.after_swap": "the snapshot is listed, older ones not yet thinned",
}


@dataclass(slots=True)
class _Point:
    action: str
    at: int  # 0: every hit
    hits: int = 0


def _parse(text: str) -> dict[str, _Point]:
    points: dict[str, _Point] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, _, rest = part.partition("=")
        action, _, at = rest.partition("@")
        kind = action.partition(":")[0]
        if name not in NAMES or kind not in {"kill", "error", "enospc", "sleep", "stop"}:
            raise ValueError(f"{VARIABLE}: {part!r} is no failpoint; known are {sorted(NAMES)}")
        points[name] = _Point(action, int(at) if at else 0)
    return points


_armed: dict[str, _Point] = _parse(os.environ.get(VARIABLE, ""))
_seen: set[str] | None = None
_told: Callable[[str], None] | None = None


def failpoint(name: str) -> None:
    """Pass a named place; does nothing unless a test armed it.

    Raises:
        OSError: armed with `error` or `enospc`.
    """
    if _armed or _seen is not None or _told is not None:
        _hit(name)


def arm(text: str) -> None:
    """Arm points in this process as the variable would; an empty text disarms all.

    Raises:
        ValueError: an undeclared name or an unknown action; nothing is changed.
    """
    global _armed
    _armed = _parse(text)


def watch() -> set[str]:
    """From now on collect the names passed, in the set returned."""
    global _seen
    _seen = set()
    return _seen


def trace(told: Callable[[str], None]) -> None:
    """From now on call `told` with each name that is passed, before what is armed there happens."""
    global _told
    _told = told


def _hit(name: str) -> None:
    if name not in NAMES:
        raise ValueError(f"failpoint {name!r} is not declared")
    if _told is not None:
        _told(name)
    if _seen is not None:
        _seen.add(name)
    point = _armed.get(name)
    if point is None:
        return
    point.hits += 1
    if point.at not in (0, point.hits):
        return
    kind, _, argument = point.action.partition(":")
    match kind:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "sleep":
            time.sleep(float(argument))
        case "enospc":
            raise OSError(errno.ENOSPC, f"failpoint {name}")
        case _:
            raise OSError(errno.EIO, f"failpoint {name}")
