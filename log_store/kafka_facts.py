"""What is seen of a cluster, and what is found to say about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Grade = Literal["ok", "warning", "error"]


class Finding(NamedTuple):
    """One thing looked at: where, how it stands, and in a sentence why and what to do."""

    check: str
    subject: str
    grade: Grade
    sentence: str


@dataclass(frozen=True, slots=True)
class BrokerFacts:
    """A broker as it makes itself known. `settings` are empty where they may not be read."""

    id: int
    address: str
    reached: bool = True
    settings: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """A topic: how many brokers hold its least held partition, and how many of them keep up."""

    name: str
    partitions: int = 1
    replicas: int = 1
    in_sync: int = 1
    settings: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Trial:
    """Something that was tried: `code` is Kafka's error number, 0 if it worked."""

    what: str
    code: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """What was seen from here. `unreachable` says why no broker answered, empty if one did.

    clock_ahead_ms: how far this machine's clock is ahead of the brokers'; None if not tried.
    """

    brokers: Sequence[BrokerFacts] = ()
    topics: Sequence[TopicFacts] = ()
    trials: Sequence[Trial] = ()
    unreachable: str = ""
    asked: str = ""
    prefix: str = ""
    clock_ahead_ms: int | None = None
