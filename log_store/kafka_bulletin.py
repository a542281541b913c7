"""The board of a prefix's nodes: each says what it is, hears the others, and gets its answers.

The topic is read as committed: refusals are written by the writer in transactions, so that one who
was replaced cannot refuse anything.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

from headwater.log_store.encoding import EncodingNotKnown
from headwater.log_store.errors import LogError, StoreUnavailable
from headwater.log_store.kafka_admin import Admin
from headwater.log_store.kafka_client import BrokerError, Cluster
from headwater.log_store.kafka_nodes import (
    EVERY_S,
    FORGET_S,
    NODE,
    Announcement,
    Directory,
    Heard,
    NodeInfo,
    announcement_record,
    node_key,
    read_announcement,
)
from headwater.log_store.kafka_reader import Message, TopicReader
from headwater.log_store.kafka_records import Names
from headwater.log_store.kafka_requests import Answer, answer_key, read_answer
from headwater.log_store.kafka_role import Role
from headwater.log_store.kafka_voice import Voice

_READ: Final = 10_000
_WAIT_S: Final = 0.1
_FETCH_MS: Final = 500
_log = logging.getLogger("headwater")


def recent(cluster: Cluster, admin: Admin, names: Names, now_us: int) -> Directory:
    """Who has said something lately, as the topic holds it; nobody where there is no topic."""
    directory = Directory()
    if not admin.topics([names.nodes]):
        return directory
    with closing(TopicReader(cluster, f"{names.prefix}.nodes.look")) as reader:
        reader.add([(names.nodes, admin.offset_at(names.nodes, now_us - int(FORGET_S * 1e6)))])
        until = time.monotonic() + 10
        while names.nodes not in reader.ends:
            for message in reader.read(_READ, _WAIT_S):
                _hear(directory, message)
            if time.monotonic() > until:
                raise StoreUnavailable(f"topic {names.nodes} cannot be read to its end")
    return directory


def _hear(directory: Directory, message: Message) -> bool:
    """Take an announcement; whether there is news of the writer."""
    if not (message.key() or b"").startswith(NODE):
        return False
    try:
        said = read_announcement(message.value() or b"")
    except EncodingNotKnown as error:
        _log.warning("topic %s at offset %s: %s", message.topic(), message.offset(), error)
        return False
    return directory.hear(Heard(said, message.timestamp()[1] * 1000))


class Bulletin:
    """A node's place on the board, until closed.

    To be set before it is opened: `me` says what the node is; `answered` and `news` (of another
    writer) are called on the board's own thread.
    """

    def __init__(
        self,
        cluster: Cluster,
        admin: Admin,
        names: Names,
        voice: Voice,
        node: str,
    ) -> None:
        self._cluster, self._admin, self._names = cluster, admin, names
        self._voice, self._node = voice, node
        self.me: Callable[[], Announcement] = self._nobody
        self.answered: Callable[[str, Answer], None] = lambda _request, _answer: None
        self.news: Callable[[Announcement], None] = lambda _writer: None
        self._directory = Directory()
        self._guard = threading.Lock()
        self._now_us, self._heard_at = 0, 0.0
        self._own = answer_key(node, "")
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._reader: TopicReader | None = None
        self._next = 0

    def _nobody(self) -> Announcement:
        return Announcement(self._node, "", 0, Role.CLOSED, False, 0, 0, 0)

    def open(self, now_us: int, timeout_s: float) -> None:
        """Read what was said lately, up to what this node says itself now.

        Raises:
            StoreUnavailable: the topic cannot be read in time.
        """
        self._next = self._admin.offset_at(self._names.nodes, now_us - int(FORGET_S * 1e6))
        reader = self._read_on()
        said = list[int]()
        self.announce(said.append)
        until = time.monotonic() + timeout_s
        while not said or self._next <= said[0]:
            self._voice.listen()
            for message in reader.read(_READ, 0.02):
                self._take(message)
            if said == [-1] or time.monotonic() > until:
                raise StoreUnavailable(f"topic {self._names.nodes} does not take a record")
        self._thread = threading.Thread(target=self._run, name="headwater-bulletin", daemon=True)
        self._thread.start()

    def announce(self, told: Callable[[int], None] | None = None) -> None:
        """Say what this node is."""
        me = self.me()
        try:
            self._voice.say(self._names.nodes, node_key(me.node), announcement_record(me), told)
        except BrokerError as error:
            _log.warning("this node cannot be announced: %s", error)

    def _run(self) -> None:
        due = time.monotonic() + EVERY_S
        while not self._closing.is_set():
            if time.monotonic() >= due:
                due = time.monotonic() + EVERY_S
                self.announce()
            self._voice.listen()
            try:
                reader = self._reader or self._read_on()
                for message in reader.read(_READ, _WAIT_S):
                    self._take(message)
            except LogError as error:
                _log.warning("the other nodes are not heard: %s", error)
                self._let_go()
                self._closing.wait(EVERY_S)
        self._let_go()

    def _read_on(self) -> TopicReader:
        """A reader of what was not heard yet."""
        self._let_go()
        reader = TopicReader(self._cluster, f"{self._names.prefix}.nodes", _FETCH_MS)
        reader.add([(self._names.nodes, self._next)])
        self._reader = reader
        return reader

    def _let_go(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _take(self, message: Message) -> None:
        key = message.key() or b""
        self._next = (message.offset() or 0) + 1
        with self._guard:
            self._now_us, self._heard_at = message.timestamp()[1] * 1000, time.monotonic()
        if key.startswith(self._own):
            try:
                answer = read_answer(message.value() or b"")
            except EncodingNotKnown as error:
                _log.warning("topic %s at offset %s: %s", message.topic(), message.offset(), error)
                return
            self.answered(key[len(self._own) :].decode(errors="replace"), answer)
        elif key.startswith(NODE):
            with self._guard:
                news = _hear(self._directory, message)
                writer = self._directory.writer
            if news and writer is not None:
                self.news(writer)

    @property
    def writer(self) -> Announcement | None:
        """What the newest writer said last, dead or alive."""
        with self._guard:
            return self._directory.writer

    def nodes(self) -> list[NodeInfo]:
        """Who is there, the writer first, by the brokers' clock."""
        with self._guard:
            passed = int((time.monotonic() - self._heard_at) * 1e6)
            return self._directory.nodes(self._now_us + passed)

    def alone(self) -> bool:
        """Whether no other node was heard of lately that may write."""
        return not any(
            one.node != self._node and not one.silent and one.role != Role.REPLICA.value
            for one in self.nodes()
        )

    def close(self) -> None:
        """Say goodbye, by what `me` says then, and end."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
            self.announce()
        self._let_go()
