"""The writer's side of requests: read in order, committed beside each other, answered where needed."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from queue import SimpleQueue
from typing import Final

from headwater.log_store.encoding import EncodingNotKnown
from headwater.log_store.errors import Fenced, LogError, OutcomeUnknown, WriteConflict
from headwater.log_store.kafka_client import Cluster
from headwater.log_store.kafka_commit import KafkaCommitter
from headwater.log_store.kafka_reader import Message, TopicReader
from headwater.log_store.kafka_records import Names
from headwater.log_store.kafka_requests import (
    Answer,
    Assembly,
    CommitRequest,
    Refused,
    Repeated,
    Request,
    Reserved,
    ReserveRequest,
    answer_key,
    answer_record,
)
from headwater.log_store.kafka_voice import Voice
from headwater.log_store.port import Batch
from headwater.log_store.records import CommitRow

_THREADS: Final = 16
_MOST_WAITING: Final = 256
_READ: Final = 100
_WAIT_S: Final = 0.1
_FETCH_MS: Final = 500
_log = logging.getLogger("headwater")


class Service:
    """Serves requests from an offset on, until stopped.

    `found` looks for a commit by its id, `give` gives ids, `fenced` is told that there is a newer
    writer.
    """

    def __init__(
        self,
        cluster: Cluster,
        names: Names,
        committer: KafkaCommitter,
        voice: Voice,
        epoch: int,
    ) -> None:
        self._cluster, self._names, self._committer = cluster, names, committer
        self._voice, self._epoch = voice, epoch
        self.found: Callable[[str], CommitRow | None] = lambda _: None
        self.give: Callable[[ReserveRequest], int] = lambda _: 0
        self.fenced: Callable[[], None] = lambda: None
        self._stopped = threading.Event()
        self._room = threading.Semaphore(_MOST_WAITING)
        self._guard = threading.Lock()
        self._at_work: set[str] = set()
        self._answers: SimpleQueue[tuple[bytes, bytes] | None] = SimpleQueue()
        self._pool = ThreadPoolExecutor(_THREADS, "headwater-request")
        self._threads: list[threading.Thread] = []

    def start(self, offset: int) -> None:
        """Serve from that request on."""
        for run in (lambda: self._read(offset), self._answer):
            thread = threading.Thread(target=run, name="headwater-service", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _read(self, offset: int) -> None:
        topic, assembly = self._names.requests, Assembly()
        while not self._stopped.is_set():
            try:
                with closing(
                    TopicReader(self._cluster, f"{topic}.read", _FETCH_MS, committed=False)
                ) as reader:
                    reader.add([(topic, offset)])
                    while not self._stopped.is_set():
                        for message in reader.read(_READ, _WAIT_S):
                            offset = (message.offset() or 0) + 1
                            self._take(assembly, message)
            except LogError as error:
                _log.warning("requests of other nodes cannot be read: %s", error)
                self._stopped.wait(1.0)

    def _take(self, assembly: Assembly, message: Message) -> None:
        try:
            request = assembly.add(message.key() or b"", message.value() or b"")
        except EncodingNotKnown as error:
            _log.warning("topic %s at offset %s: %s", message.topic(), message.offset(), error)
            return
        if request is None:
            return
        with self._guard:
            if request.id in self._at_work:
                return
            self._at_work.add(request.id)
        while not self._room.acquire(timeout=_WAIT_S):
            if self._stopped.is_set():
                return
        try:
            self._pool.submit(self._serve, request)
        except RuntimeError:  # the pool was ended meanwhile
            self._room.release()

    def _serve(self, request: Request) -> None:
        try:
            match request.asked:
                case CommitRequest(epoch, batch):
                    self._commit(request, epoch, batch)
                case ReserveRequest() as asked:
                    answer = Reserved(self._epoch, self.give(asked), asked.many)
                    key = answer_key(request.node, request.id)
                    self._voice.say(self._names.nodes, key, answer_record(answer))
        except LogError as error:
            self._refuse(request, error)
        except Exception:  # noqa: BLE001 - whatever a request holds, the next one is served
            _log.exception("request %s of node %s", request.id, request.node)
        finally:
            self._room.release()
            with self._guard:
                self._at_work.discard(request.id)

    def _commit(self, request: Request, epoch: int, batch: Batch) -> None:
        if self.found(batch.commit_id) is not None:
            return
        if epoch not in (0, self._epoch):
            raise WriteConflict("writer of", self._names.prefix, "was replaced")
        result = self._committer.commit(batch)
        if result.repeated:
            self._say(request, Repeated(self._epoch, result.sequence))

    def _refuse(self, request: Request, error: LogError) -> None:
        """Say that nothing was written, unless it is not known, or not ours to say."""
        if isinstance(error, Fenced):
            self.fenced()
        elif not isinstance(error, OutcomeUnknown):
            self._say(request, Refused(self._epoch, error))

    def _say(self, request: Request, answer: Answer) -> None:
        self._answers.put((answer_key(request.node, request.id), answer_record(answer)))

    def _answer(self) -> None:
        """Write refusals in transactions: a writer that was replaced refuses nothing."""
        while (first := self._answers.get()) is not None:
            records = [first]
            while not self._answers.empty() and len(records) < _READ:
                further = self._answers.get()
                if further is None:
                    self._answers.put(None)
                    break
                records.append(further)
            try:
                self._committer.say(self._names.nodes, records)
            except Fenced:
                self.fenced()
            except LogError as error:
                # Whoever waits is not told, and finds out: nothing is claimed that may not hold.
                _log.warning("an answer could not be given: %s", error)

    def stop(self) -> None:
        """Finish what is being served and end."""
        self._stopped.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._answers.put(None)
        for thread in self._threads:
            thread.join()
