"""Group commit on Kafka: one transaction for all that queued up, one answer after its outcome.

A writer that finds nobody else at work commits on its own thread; whoever finds it busy queues up
for the committer thread, as in the embedded log. Inside a group each batch is checked against the
ones before it; whatever it is told, result or conflict, it is told after the transaction has
ended, for a conflict may be with a batch that an abort takes back. An aborted group goes again as a
whole. An end whose outcome is unknown costs the producer: it is destroyed, its successor fences
and settles it, the replica reads on to the end, and what stands there is the answer.
"""

import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final

from headwater.log_store.errors import Fenced, LogError, OutcomeUnknown, StoreUnavailable
from headwater.log_store.failpoints import failpoint
from headwater.log_store.kafka_group import CommitGroup, KafkaParts, store_failed
from headwater.log_store.kafka_outcome import BrokerFault, Step, Verdict
from headwater.log_store.kafka_transaction import (
    GroupInUse,
    RecordTooLarge,
    Stopped,
)
from headwater.log_store.port import Batch
from headwater.log_store.records import Committed
from headwater.log_store.rocks_commit import (
    GatheringQueue,
    Ticket,
    committed_of,
)
from headwater.log_store.rocks_large import drop_staged

_CLOSED: Final = "the store is closed: connect again"


class KafkaCommitter:
    """Takes batches from any thread, until closed."""

    def __init__(self, parts: KafkaParts) -> None:
        self._parts = parts
        self._store, self._live = parts.store, parts.live
        self._work = threading.Lock()
        self._door = threading.Lock()
        self._queue = GatheringQueue()
        self._thread: threading.Thread | None = None
        self._closing = self._closed = self._lost = False
        self._spent: LogError | None = None
        self._since_checked = 0

    def commit(self, batch: Batch) -> Committed:
        """See `port.Log.commit`."""
        ticket = Ticket(batch)
        if not self._queue.waiting and self._work.acquire(blocking=False):
            try:
                self._run([ticket])
            finally:
                self._work.release()
        else:
            self._enqueue(ticket).acquire()
        if ticket.error is not None:
            raise ticket.error
        assert ticket.result is not None
        return ticket.result

    def _enqueue(self, ticket: Ticket) -> threading.Lock:
        done = ticket.done = threading.Lock()
        done.acquire()
        with self._door:
            if self._closing:
                raise StoreUnavailable(_CLOSED)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._serve, name="headwater-kafka-committer", daemon=True
                )
                self._thread.start()
        self._queue.put(ticket)
        # After the end the taker may have gone: a ticket that is still there was not taken.
        if self._closing and self._queue.withdraw(ticket):
            raise StoreUnavailable(_CLOSED)
        return done

    def _serve(self) -> None:
        while True:
            tickets, last = self._queue.take()
            with self._work:
                tickets += self._queue.rest(of=len(tickets))
                try:
                    self._run(tickets)
                finally:
                    for ticket in tickets:
                        ticket.tell()
            if last:
                return

    # One group

    def _run(self, tickets: Sequence[Ticket]) -> None:
        """Commit tickets; every one has its result or its error afterwards."""
        deadline = time.monotonic() + self._parts.timeout_s
        left = list(tickets)
        try:
            self._ready(deadline)
            while left:
                done = self._group(left, deadline)
                left = [ticket for ticket in left if ticket not in done]
                for ticket in done:
                    ticket.tell()
        except Exception as error:  # noqa: BLE001 - every waiting caller must be told
            told = error if isinstance(error, LogError) else store_failed(error)
            for ticket in left:
                if ticket.error is None and ticket.result is None:
                    ticket.error = told
        except BaseException:
            # Interrupted: what became of the transaction is found out before the next one.
            self._lost = True
            self._parts.writer.lose()
            raise

    def _ready(self, deadline: float) -> None:
        if self._closed:
            raise StoreUnavailable(_CLOSED)
        if self._spent is not None:
            raise self._spent
        self._parts.check()
        if self._lost:
            self._recover(deadline)

    def _recover(self, deadline: float) -> None:
        """After a producer was lost: fence, read on, show what is there."""
        try:
            self._parts.writer.recover(deadline)
        except Fenced as error:
            self._spent = error
            raise
        self._lost = False
        self._live.reload()
        self._parts.publish()

    def _group(self, tickets: list[Ticket], deadline: float) -> list[Ticket]:
        """Commit as many of the tickets as go together; returns those that are answered."""
        blocked: set[str] = set()
        while True:
            group = CommitGroup(self._parts, deadline, blocked)
            try:
                group.take(tickets)
                group.finish()
            except RecordTooLarge as refused:
                self._take_back(group, deadline)
                assert group.last is not None
                group.last.error = refused
                return [group.last]
            except GroupInUse as used:
                blocked.add(used.group)
                self._take_back(group, deadline)
            except Stopped as stopped:
                done = self._stopped(group, stopped, deadline)
                if done:
                    return done
            except Exception as error:  # noqa: BLE001 - the batch's own, or the replica's
                done = self._failed(group, error, deadline)
                if done:
                    return done
            else:
                self._settled(group)
                return group.answered()
            for ticket in tickets:
                ticket.error, ticket.result = None, None
            if time.monotonic() > deadline:
                raise StoreUnavailable("the cluster did not take the commit in time: try again")

    def _settled(self, group: CommitGroup) -> None:
        """What the group wrote is in Kafka and in the replica: show it."""
        if group.written:
            self._live.settled()
            self._parts.publish()
            failpoint("commit.after_publish")
        self._parts.mirrors.later(group.deferred)
        group.answer()

    def _take_back(self, group: CommitGroup, deadline: float) -> None:
        """Abort; if even that is in doubt, lose the producer and look."""
        try:
            group.abort(deadline)
        except Stopped as stopped:
            if stopped.verdict is Verdict.FENCED:
                self._fenced(stopped)
            self._parts.writer.lose()
            self._lost = True
            self._recover(deadline)
            return
        self._live.reload()

    def _failed(self, group: CommitGroup, error: Exception, deadline: float) -> list[Ticket]:
        """An error of our own: before the end it is the last batch's; after it, look."""
        drop_staged(self._store)
        if group.ending:
            step, fault = Step.COMMIT, BrokerFault(0)
            return self._look(group, Stopped(step, Verdict.UNKNOWN, fault, str(error)), deadline)
        self._take_back(group, deadline)
        if group.last is None:
            raise error
        group.last.error = error if isinstance(error, LogError) else store_failed(error)
        return [group.last]

    def _stopped(self, group: CommitGroup, stopped: Stopped, deadline: float) -> list[Ticket]:
        """What a fault means for the group: tickets that are answered, none to go again."""
        drop_staged(self._store)
        match stopped.verdict:
            case Verdict.FENCED:
                return self._look_as_fenced(group, stopped, deadline)
            case Verdict.STOP:
                self._take_back(group, deadline)
                raise StoreUnavailable(
                    f"the cluster refuses ({stopped.text}): check its permissions"
                )
            case Verdict.REFUSE:
                self._take_back(group, deadline)
                assert group.last is not None
                group.last.error = StoreUnavailable(
                    f"the cluster refuses the record: {stopped.text}"
                )
                return [group.last]
            case Verdict.ABORT | Verdict.RETRY:
                self._take_back(group, deadline)
                return []
            case Verdict.UNKNOWN:
                return self._look(group, stopped, deadline)

    def _look(self, group: CommitGroup, stopped: Stopped, deadline: float) -> list[Ticket]:
        """Find out what became of a transaction; those who are in it are answered."""
        self._parts.writer.lose()
        self._lost = True
        try:
            # The question is worth more time than the commit itself was.
            self._recover(max(deadline, time.monotonic() + self._parts.timeout_s))
        except Fenced:
            return self._look_as_fenced(group, stopped, deadline)
        except Exception as error:
            if not group.ending:
                raise
            for ticket in group.taken:
                if ticket.written:
                    ticket.error = OutcomeUnknown(ticket.batch.commit_id, stopped.text)
                    ticket.error.__cause__ = error
            return [ticket for ticket in group.taken if ticket.error is not None]
        return self._found(group)

    def _found(self, group: CommitGroup) -> list[Ticket]:
        """The tickets whose commits stand in the log."""
        found: list[Ticket] = []
        for ticket in group.taken:
            row = self._live.find_commit(ticket.batch.commit_id) if ticket.written else None
            if row is not None:
                ticket.error, ticket.result = None, committed_of(row)
                found.append(ticket)
        return found

    def _look_as_fenced(
        self, group: CommitGroup, stopped: Stopped, deadline: float
    ) -> list[Ticket]:
        """Another writer has come: if the end was under way, what it found of it is the answer."""
        self._spent = Fenced(self._parts.path, epoch=self._live.epoch, found=None)
        self._parts.writer.lose()
        self._live.reload()
        try:
            self._parts.writer.read_on(max(deadline, time.monotonic() + self._parts.timeout_s))
        except LogError as error:
            if not group.ending:
                raise self._spent from error
            for ticket in group.taken:
                if ticket.written:
                    ticket.error = OutcomeUnknown(ticket.batch.commit_id, stopped.text)
            return list(group.taken)
        self._live.reload()
        self._parts.publish()
        found = self._found(group)
        if not found:
            raise self._spent
        return found

    def _fenced(self, stopped: Stopped) -> None:
        self._spent = Fenced(self._parts.path, epoch=self._live.epoch, found=None)
        self._parts.writer.lose()
        self._live.reload()
        raise self._spent from stopped

    def say(self, topic: str, records: Sequence[tuple[bytes, bytes]]) -> None:
        """Write records that are no commit, as the writer that nobody has replaced.

        Raises:
            Fenced: somebody has. Nothing was written.
            StoreUnavailable: the cluster did not take them, or does not say so.
        """
        deadline = time.monotonic() + self._parts.timeout_s
        with self._work:
            self._ready(deadline)
            try:
                self._parts.writer.say(topic, records, deadline)
            except Stopped as stopped:
                if stopped.verdict is Verdict.FENCED:
                    self._fenced(stopped)
                self._lost = True
                self._parts.writer.lose()
                raise StoreUnavailable(f"the cluster did not take it: {stopped.text}") from stopped

    @contextmanager
    def paused(self) -> Generator[None]:
        """Nothing is committed inside the block; commits wait."""
        with self._work:
            yield

    @contextmanager
    def alone(self) -> Generator[float]:
        """As `paused`, for a transaction that is no commit; gives the deadline for it.

        Raises:
            StoreUnavailable: the cluster cannot be reached, or does not say what became of it.
            Fenced: another writer has the prefix.
        """
        with self._work:
            deadline = time.monotonic() + self._parts.timeout_s
            self._ready(deadline)
            try:
                yield deadline
            except Stopped as stopped:
                self._lost = True
                self._parts.writer.lose()
                raise StoreUnavailable(f"the cluster did not take it: {stopped.text}") from stopped

    def close(self) -> None:
        """Finish what has queued up, then refuse. A second call does nothing."""
        with self._door:
            if self._closing:
                return
            self._closing = True
            thread = self._thread
            if thread is not None:
                self._queue.end()
        if thread is not None:
            thread.join()
        with self._work:
            self._closed = True
