"""Who the nodes of a prefix are, as they say it themselves. Pure.

Every node puts a record on `<prefix>.nodes` each second, and when it becomes something else:
    key    := "node/" node
    value  := {"node", "host", "pid", "role", "may_write", "since_us", "epoch", "sequence", "start",
               "requests"}
The topic carries the brokers' time, so that all are seen by one clock. A node that says nothing for
SILENT_S is shown as silent, and no longer after FORGET_S.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from headwater.log_store.encoding import EncodingNotKnown, canonical
from headwater.log_store.kafka_records import read_json
from headwater.log_store.kafka_role import Role

EVERY_S: Final = 1.0
SILENT_S: Final = 6.0
FORGET_S: Final = 60.0
MOST_NODES: Final = 1000
NODE: Final = b"node/"
_MOST_BYTES: Final = 4096
_MOST_TEXT: Final = 255
_MOST_NUMBER: Final = (1 << 63) - 1


class Announcement(NamedTuple):
    """What a node says of itself.

    `sequence` is the last commit that it shows. A writer also says where it began: `start` is the
    last commit of its predecessors, `requests` the first request that it answers.
    """

    node: str
    host: str
    pid: int
    role: Role
    may_write: bool
    since_us: int
    epoch: int
    sequence: int
    start: int = 0
    requests: int = 0


class Heard(NamedTuple):
    """An announcement, and when the broker took it."""

    said: Announcement
    at_us: int


class NodeInfo(NamedTuple):
    """A node as it is listed; `silent`: it has not been heard of lately.

    `role` is writer, standby (takes over when the writer is gone), replica (never does), taking over,
    or replaced: a writer that does not know yet that there is a newer one. `behind` counts commits.
    """

    node: str
    host: str
    pid: int
    role: str
    since_us: int
    epoch: int
    position: int
    behind: int
    seen_us: int
    silent: bool


def node_key(node: str) -> bytes:
    """The key of a node's announcements."""
    return NODE + node.encode()


def announcement_record(said: Announcement) -> bytes:
    """The value of an announcement."""
    return canonical({**said._asdict(), "role": said.role.value}).encode()


def read_announcement(value: bytes) -> Announcement:
    """Raises EncodingNotKnown for anything else, and for what is larger than one ever is."""
    if len(value) > _MOST_BYTES:
        raise EncodingNotKnown(f"announcement of {len(value)} bytes")
    told = read_json(value)
    try:
        return Announcement(
            _text(told["node"]),
            _text(told["host"]),
            _number(told["pid"]),
            Role(_text(told["role"])),
            told["may_write"] is True,
            _number(told["since_us"]),
            _number(told["epoch"]),
            _number(told["sequence"]),
            _number(told["start"]),
            _number(told["requests"]),
        )
    except (KeyError, ValueError) as error:
        raise EncodingNotKnown(f"announcement: {error}") from error


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MOST_TEXT or not value.isprintable():
        raise ValueError("a text that is none, or is too long")
    return value


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MOST_NUMBER:
        raise ValueError(f"{value!r} is no number here")
    return value


class Directory:
    """Who was heard of, by the broker's clock; bounded."""

    def __init__(self) -> None:
        self._heard: dict[str, Heard] = {}
        self._writer: Announcement | None = None

    def hear(self, heard: Heard) -> bool:
        """Take note; whether there is news of the writer."""
        said = heard.said
        self._heard[said.node] = heard
        if len(self._heard) > MOST_NODES:
            del self._heard[min(self._heard, key=lambda node: self._heard[node].at_us)]
        newest = self._writer
        if said.role is Role.WRITER and (newest is None or said.epoch >= newest.epoch):
            self._writer = said
            return newest is None or said.epoch > newest.epoch
        return False

    @property
    def writer(self) -> Announcement | None:
        """What the newest writer said last, dead or alive."""
        return self._writer

    def nodes(self, now_us: int) -> list[NodeInfo]:
        """Who is there, the writer first; those long silent are left out."""
        return listing(self._heard.values(), now_us)


def listing(heard: Iterable[Heard], now_us: int) -> list[NodeInfo]:
    """The nodes, the writer first. One that says it is the writer and was followed is none."""
    kept = [one for one in heard if now_us - one.at_us <= FORGET_S * 1e6]
    kept = [one for one in kept if one.said.role is not Role.CLOSED]
    head = max((one.said.sequence for one in kept), default=0)
    epoch = max((one.said.epoch for one in kept), default=0)
    found: list[NodeInfo] = []
    for said, at_us in kept:
        role = said.role.value
        if said.role is Role.REPLICA and said.may_write:
            role = "standby"
        if said.role is Role.WRITER and said.epoch < epoch:
            role = "replaced"
        silent = now_us - at_us > SILENT_S * 1e6
        behind = head - said.sequence
        place = said.since_us, said.epoch, said.sequence, behind, at_us, silent
        found.append(NodeInfo(said.node, said.host, said.pid, role, *place))
    return sorted(found, key=lambda one: (one.role != Role.WRITER.value, one.node))
