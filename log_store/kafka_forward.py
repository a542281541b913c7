"""Commits of a node that is not the writer: sent to it, and answered by what stands in the log.

The END of a commit, met by the node itself, is the answer: what is acknowledged here is visible here.
Only what was not written needs one from the writer. A writer says from which request on it answers;
one that was sent before, to its predecessor, either stands in the log that the new one has read to
the end, or never will: then it is sent again.
"""

import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import uuid4

from headwater.log_store.errors import OutcomeUnknown, StoreUnavailable
from headwater.log_store.kafka_nodes import Announcement
from headwater.log_store.kafka_records import Names
from headwater.log_store.kafka_requests import (
    Answer,
    Asked,
    CommitRequest,
    Refused,
    Repeated,
    Reserved,
    ReserveRequest,
    encode_request,
    request_key,
)
from headwater.log_store.kafka_voice import Voice
from headwater.log_store.port import Batch
from headwater.log_store.records import CommitRow, Committed
from headwater.log_store.rocks_commit import committed_of

_LOOK_S: Final = 0.5


class Rerouted(Exception):
    """This node is about to be the writer: what was asked is not in the log, and is its own affair."""


class Shown(Protocol):
    """What the node shows."""

    def found(self, commit_id: str) -> CommitRow | None: ...
    def commit_at(self, sequence: int) -> CommitRow | None: ...
    def wait(self, sequence: int, timeout_s: float) -> int: ...


@dataclass(eq=False, slots=True)
class _Pending:
    """A request on its way. `epoch` is of the writer it was sent to."""

    epoch: int = 0
    first: int | None = None
    row: CommitRow | None = None
    answer: Answer | None = None
    rerouted: bool = False
    told: threading.Event = field(default_factory=threading.Event)


class Forward:
    """Asks the writer, for any number of threads."""

    def __init__(
        self,
        voice: Voice,
        names: Names,
        node: str,
        shown: Shown,
        writer: Callable[[], Announcement | None],
    ) -> None:
        self._voice, self._names, self._node = voice, names, node
        self._shown, self._writer = shown, writer
        self._pending: dict[str, _Pending] = {}
        self._guard = threading.Lock()
        self._sent = threading.Condition()
        self._closed = False

    def commit(self, batch: Batch, epoch: int, deadline: float) -> Committed:
        """Let the writer commit a batch whose new ids, if any, are of the writer of `epoch`.

        Raises:
            LogError: what the writer said. Nothing was written.
            StoreUnavailable: there is no writer. Nothing was written.
            OutcomeUnknown: the writer did not answer in time.
            Rerouted: this node is to be the writer. Nothing was written.
        """
        asked, request = CommitRequest(epoch, batch), batch.commit_id
        with self._waiting(request) as pending:
            self._send(request, asked, pending, deadline)
            while True:
                if pending.row is not None:
                    return committed_of(pending.row)
                if pending.answer is not None:
                    return self._answered(pending.answer, deadline)
                if pending.rerouted:
                    raise Rerouted
                if self._closed or pending.first == -1 or time.monotonic() > deadline:
                    raise OutcomeUnknown(request, "the writer did not answer in time")
                if self._missed(request, pending, deadline):
                    self._send(request, asked, pending, deadline)
                    continue
                pending.told.wait(_LOOK_S)
                pending.told.clear()

    def _answered(self, answer: Answer, deadline: float) -> Committed:
        match answer:
            case Refused(error=error):
                raise error
            case Repeated(sequence=sequence):
                self._shown.wait(sequence - 1, max(0.0, deadline - time.monotonic()))
                row = self._shown.commit_at(sequence)
                if row is None:
                    raise StoreUnavailable(
                        f"the request was committed at {sequence}, which this node does not show yet"
                    )
                return committed_of(row)._replace(repeated=True, result=row.result)
            case Reserved():
                raise StoreUnavailable("the writer answered another question: try again")

    def reserve(self, asked: ReserveRequest, deadline: float) -> Reserved:
        """Let the writer give ids.

        Raises:
            StoreUnavailable: there is no writer, or it did not answer. Nothing was written.
            Rerouted: this node is to be the writer.
        """
        request = uuid4().hex
        with self._waiting(request) as pending:
            self._send(request, asked, pending, deadline)
            while True:
                if isinstance(pending.answer, Reserved):
                    return pending.answer
                if isinstance(pending.answer, Refused):
                    raise pending.answer.error
                if pending.rerouted:
                    raise Rerouted
                if self._closed or pending.first == -1 or time.monotonic() > deadline:
                    raise StoreUnavailable("the writer did not answer in time: try again")
                if self._missed(request, pending, deadline):
                    self._send(request, asked, pending, deadline)
                    continue
                pending.told.wait(_LOOK_S)
                pending.told.clear()

    @contextmanager
    def _waiting(self, request: str) -> Generator[_Pending]:
        pending = _Pending()
        with self._guard:
            self._pending[request] = pending
        try:
            # Registered first: an END that comes now is not missed.
            pending.row = self._shown.found(request)
            yield pending
        finally:
            with self._guard:
                del self._pending[request]

    def _send(self, request: str, asked: Asked, pending: _Pending, deadline: float) -> None:
        """Send it to whoever is the writer, unless it is answered already."""
        while (writer := self._writer()) is None:
            if pending.row is not None or pending.rerouted:
                return
            if self._closed or time.monotonic() > deadline:
                raise StoreUnavailable("no node is the writer: see `headwater nodes`, or try again")
            pending.told.wait(_LOOK_S)
            pending.told.clear()
        if pending.row is not None:
            return
        pending.epoch, pending.first = writer.epoch, None
        key = request_key(self._node, request)

        def first(offset: int) -> None:
            pending.first = offset
            pending.told.set()
            with self._sent:
                self._sent.notify_all()

        for chunk, value in enumerate(encode_request(asked)):
            self._voice.say(self._names.requests, key, value, None if chunk else first)

    def _missed(self, request: str, pending: _Pending, deadline: float) -> bool:
        """Whether it was sent to a writer that is none any more, and is not in the log."""
        writer = self._writer()
        if writer is None or writer.epoch <= pending.epoch or pending.first is None:
            return False
        if pending.first >= writer.requests:
            pending.epoch = writer.epoch
            return False
        # All that its predecessors wrote is at or below its start.
        left = max(0.0, deadline - time.monotonic())
        if writer.start and self._shown.wait(writer.start - 1, left) < writer.start:
            return False
        if pending.row is None:
            pending.row = self._shown.found(request)
        return pending.row is None

    def wait_pending(self, timeout_s: float) -> bool:
        """Wait until a request stands in the topic that is not answered; False if none does."""

        def on_its_way() -> bool:
            with self._guard:
                return any(pending.first is not None for pending in self._pending.values())

        with self._sent:
            return self._sent.wait_for(on_its_way, timeout_s)

    # What the node hears

    def seen(self, rows: Iterable[CommitRow]) -> None:
        """These commits are visible here."""
        if not self._pending:
            return
        with self._guard:
            for row in rows:
                pending = self._pending.get(row.commit_id)
                if pending is not None:
                    pending.row = row
                    pending.told.set()

    def answered(self, request: str, answer: Answer) -> None:
        """The writer says this of a request."""
        with self._guard:
            pending = self._pending.get(request)
            if pending is not None:
                pending.answer = answer
                pending.told.set()

    def news(self) -> None:
        """There is another writer."""
        with self._guard:
            for pending in self._pending.values():
                pending.told.set()

    def close(self) -> None:
        """Nobody waits any longer."""
        self._closed = True
        self.news()

    def reroute(self) -> None:
        """This node is the writer from here on, and has read to the end."""
        with self._guard:
            waiting = dict(self._pending)
        for request, pending in waiting.items():
            row = self._shown.found(request)
            with self._guard:
                pending.row, pending.rerouted = row, row is None
                pending.told.set()
