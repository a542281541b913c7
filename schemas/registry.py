"""The embedded schema registry's rules, over what it already knows. Pure.

As a Confluent registry at level FULL_TRANSITIVE, plus refusals of what that level lets through
although readers would then misread old events: another logical type, decimal precision or scale,
strings for bytes.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, cast

from headwater.schemas.avro import Json
from headwater.schemas.compatibility import corruptions, unreadable
from headwater.schemas.errors import Incompatible


class Registered(Protocol):
    """A schema that the registry knows: versions count from 1 in each subject."""

    @property
    def id(self) -> int: ...
    @property
    def subject(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One registered schema; `new` when it was not there before."""

    subject: str
    version: int
    id: int
    text: str
    new: bool


def subject_of(topic: str, *, key: bool) -> str:
    """The subject that a topic's keys or values are registered under."""
    return f"{topic}-key" if key else f"{topic}-value"


def register(known: Iterable[Registered], subject: str, text: str) -> Entry:
    """The subject's entry for a canonical text: the one that is there, or the next version.

    Raises:
        Incompatible: events of the subject's versions and of this one cannot be read by each
            other's readers; nothing is registered.
    """
    last_id, versions = 0, list[Registered]()
    for entry in known:
        last_id = max(last_id, entry.id)
        if entry.subject == subject:
            versions.append(entry)
    for entry in versions:
        if entry.text == text:
            return Entry(subject, entry.version, entry.id, text, new=False)
    for entry in versions:
        check(entry.text, text, f"{subject} version {entry.version}")
    version = max((entry.version for entry in versions), default=0) + 1
    return Entry(subject, version, last_id + 1, text, new=True)


def check(old_text: str, new_text: str, what: str) -> None:
    """Nothing if readers of either schema read events of the other, rightly.

    Raises:
        Incompatible: the first place where they would not; `what` names the old schema.
    """
    old, new = cast(Json, json.loads(old_text)), cast(Json, json.loads(new_text))
    problem = unreadable(new, old) or unreadable(old, new) or corruptions(old, new)
    if problem:
        raise Incompatible(f"the schema does not go together with {what}: {problem}")
