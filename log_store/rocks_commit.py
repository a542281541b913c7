"""Group commit: one writer at a time, one flush for all that queued up meanwhile.

A writer that finds nobody else at work commits on its own thread. Whoever finds the writer busy
queues up and sleeps; the committer thread takes what has queued, writes each batch in turn, waits
for the disk once, publishes the last place, and only then wakes anybody, be it with a result or
with a conflict: a conflict may be with a batch of the same group, which must not be known before
it is durable.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic_ns
from typing import Final, NamedTuple, Protocol

from headwater.log_store.errors import Fenced, LogError, OutcomeUnknown, StoreUnavailable
from headwater.log_store.failpoints import failpoint
from headwater.log_store.port import Batch
from headwater.log_store.records import CommitRow, Committed, VersionRow
from headwater.log_store.rocks_keys import META_CHECKED, number
from headwater.log_store.rocks_large import LeftBehind
from headwater.log_store.rocks_state import LiveState
from headwater.log_store.rocks_store import Store, WriteBatch
from headwater.log_store.rocks_write import put_commit, put_table
from headwater.log_store.sequencing import Sequenced, sequence, settle

# A commit above this goes through rocks_large, chunk by chunk.
LARGE_BYTES: Final = 16 << 20


# The open verifies at most so many commits, a commit of many bytes counting for several.
CHECK_EVERY: Final = 4096
_CHECK_BYTES_EACH: Final = 4096
PATIENCE_S: Final = 0.001
WAKE_S: Final = 1.0
_LOOK_AGAIN_NS: Final = 1_000_000
# What an event costs beside its images.
_EVENT_BYTES: Final = 160


class Guard(Protocol):
    """Says whether the directory is still this process's own; raises Fenced if not."""

    def check(self) -> None: ...


class Large(Protocol):
    """Writes a commit too large for one batch; see `rocks_large.LargeCommits`."""

    def stage(self, sequenced: Sequenced) -> list[VersionRow]: ...
    def publish(self, batch: Batch, sequenced: Sequenced, made: list[VersionRow]) -> bytes: ...
    def settle_leftovers(self) -> None: ...


class Ticket:
    """One batch on its way, and what became of it.

    Of a group that is answered the first to wait is woken, and each wakes the one `after` it: all
    at once would queue up for the interpreter, and spend more on that than on their work.
    """

    __slots__ = ("after", "answered", "batch", "done", "error", "left", "result", "told", "written")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.done: threading.Lock | None = None
        self.result: Committed | None = None
        self.error: BaseException | None = None
        self.written = self.told = self.answered = self.left = False
        self.after: Ticket | None = None

    def wait(self) -> None:
        """Wait for the answer, and wake the next one."""
        assert self.done is not None
        try:
            # Whoever was to wake this one may have been interrupted at that very moment.
            while not self.done.acquire(timeout=WAKE_S) and not self.answered:
                pass
        finally:
            self.left = True
            if self.answered and self.after is not None:
                self.after.tell()

    def tell(self) -> None:
        """Wake whoever waits for it, once; if nobody does any more, the next one."""
        ticket: Ticket | None = self
        while ticket is not None and not ticket.told:
            ticket.told = True
            if ticket.done is not None and not ticket.left:
                ticket.done.release()
                return
            ticket = ticket.after


def answer(tickets: Sequence[Ticket]) -> None:
    """Wake all that wait for these, one after the other."""
    after: Ticket | None = None
    for ticket in reversed(tickets):
        if not ticket.answered:
            ticket.after, after = after, ticket
            ticket.answered = True
    if after is not None:
        after.tell()


class GatheringQueue:
    """Tickets for one taker, who waits a moment until as many have come as the last time.

    Callers who were woken together come back together. Taking the first of them at once would
    make groups of one and of all the rest in turn, and let the taker and the woken fight over the
    interpreter; so the taker sleeps until the last of them has come, or `PATIENCE_S` has passed.
    """

    __slots__ = ("_bell", "_ended", "_expected", "waiting")

    def __init__(self) -> None:
        # Appending and popping at the ends are atomic.
        self.waiting: deque[Ticket] = deque()
        self._bell = threading.Lock()  # held while there is nothing to tell the taker
        self._bell.acquire()
        self._expected = 1
        self._ended = False

    def put(self, ticket: Ticket) -> None:
        """Add a ticket; wakes the taker if it is the last one waited for."""
        self.waiting.append(ticket)
        if len(self.waiting) >= self._expected:
            self._ring()

    def withdraw(self, ticket: Ticket) -> bool:
        """Take a ticket back; False if it has been taken."""
        try:
            self.waiting.remove(ticket)
        except ValueError:
            return False
        return True

    def end(self) -> None:
        """Let the taker go once it has taken what is there."""
        self._ended = True
        self._ring()

    def _ring(self) -> None:
        if self._bell.locked():
            try:
                self._bell.release()
            except RuntimeError:
                pass  # another caller rang in between

    def take(self) -> tuple[list[Ticket], bool]:
        """All tickets there are, at least one unless the queue has ended; and whether it has."""
        self._bell.acquire(blocking=False)  # an old ring
        if len(self.waiting) < self._expected and not self._ended:
            self._bell.acquire(timeout=PATIENCE_S)
        while not self.waiting and not self._ended:
            self._expected = 1
            # Whoever came before that could be seen did not ring.
            if not self.waiting:
                self._bell.acquire()
        ended = self._ended
        return self.rest(), ended

    def rest(self, of: int = 0) -> list[Ticket]:
        """Whatever has come, without waiting; `of` were taken for the same group already."""
        taken = [self.waiting.popleft() for _ in range(len(self.waiting))]
        self._expected = max(1, of + len(taken))
        return taken


@dataclass(frozen=True, slots=True)
class CommitterParts:
    """What a committer works with. `publish` shows the live state to views after each flush."""

    store: Store
    live: LiveState
    guard: Guard
    clock: Callable[[], int]
    publish: Callable[[], None]
    large: Large
    fsync: bool


class _Ready(NamedTuple):
    """A batch as it will be written, and what it leads to."""

    rocks: WriteBatch
    sequenced: Sequenced
    made: list[VersionRow]
    chain: bytes


class Committer:
    """Takes batches from any thread, until closed."""

    def __init__(self, parts: CommitterParts) -> None:
        self._parts = parts
        self._store, self._live = parts.store, parts.live
        self._writer = threading.Lock()
        self._door = threading.Lock()
        self._queue = GatheringQueue()
        self._thread: threading.Thread | None = None
        self._closing = self._closed = False
        self._spent = ""
        self._since_checked = 0
        self._looked_ns = 0

    def commit(self, batch: Batch) -> Committed:
        """See `port.Log.commit`."""
        ticket = Ticket(batch)
        if not self._queue.waiting and self._writer.acquire(blocking=False):
            try:
                self._run((ticket,))
            finally:
                self._writer.release()
        else:
            self._enqueue(ticket)
            ticket.wait()
        if ticket.error is not None:
            raise ticket.error
        assert ticket.result is not None
        return ticket.result

    def _enqueue(self, ticket: Ticket) -> None:
        done = ticket.done = threading.Lock()
        done.acquire()
        if self._thread is None:
            self._start()
        self._queue.put(ticket)
        # After the end the taker may have gone: a ticket that is still there was not taken.
        if self._closing and self._queue.withdraw(ticket):
            raise StoreUnavailable(_CLOSED)

    def _start(self) -> None:
        with self._door:
            if self._closing:
                raise StoreUnavailable(_CLOSED)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._serve, name="headwater-committer", daemon=True
                )
                self._thread.start()

    def _serve(self) -> None:
        while True:
            tickets, last = self._queue.take()
            with self._writer:
                tickets += self._queue.rest(of=len(tickets))
                try:
                    self._run(tickets)
                finally:
                    answer(tickets)
            if last:
                return

    def _run(self, tickets: Sequence[Ticket]) -> None:
        """Commit a group; every ticket has its result or its error afterwards."""
        try:
            self._check()
            for ticket in tickets:
                self._take(ticket, tickets)
            self._settle(tickets)
        except Exception as error:  # noqa: BLE001 - every waiting caller must be told
            self._give_up(tickets, error)
        except BaseException:
            self._resume(tickets)
            raise

    def _check(self) -> None:
        if self._closed:
            raise StoreUnavailable(_CLOSED)
        if self._spent:
            raise StoreUnavailable(f"the store stopped writing ({self._spent}): open it again")
        # Whoever has just looked after a write need not look again before the next one.
        if monotonic_ns() - self._looked_ns > _LOOK_AGAIN_NS:
            self._parts.guard.check()

    def _take(self, ticket: Ticket, group: Sequence[Ticket]) -> None:
        """Check, sequence and write one batch; what it refuses is the ticket's error."""
        try:
            ready = self._ready(ticket.batch)
            failpoint("commit.before_append")
        except OSError as error:
            ticket.error = _stopped(error)
            return
        except Exception as error:  # noqa: BLE001 - nothing was written: the caller's own
            ticket.error = error
            return
        if isinstance(ready, _Ready):
            ticket.written = True
            self._store.write(ready.rocks)
            failpoint("commit.after_append")
            self._live.advance(ready.sequenced, ready.made, ready.chain)
            ticket.result = committed_of(ready.sequenced.row)
        elif isinstance(ready, Committed):
            ticket.result = ready
        else:
            self._take_large(ticket, ready, group)

    def _ready(self, batch: Batch) -> "Committed | Sequenced | _Ready":
        """The answer if nothing is to be written, the place of a large batch, or what to write."""
        live, now_us = self._live, self._parts.clock()
        settled = settle(batch, live, now_us)
        if settled is not None:
            return settled
        sequenced = sequence(batch, live, now_us)
        if byte_size(batch) > LARGE_BYTES:
            return sequenced
        rocks = self._store.batch()
        made: list[VersionRow] = []
        for table in sequenced.assemblies:
            made.append(put_table(rocks, sequenced, table))
        chain = put_commit(rocks, sequenced, batch.catalog, made, live.chain)
        self._mark_checked(rocks)
        return _Ready(rocks, sequenced, made, chain)

    def _mark_checked(self, rocks: WriteBatch) -> None:
        """Now and then note how far the log need not be verified at the next open."""
        self._since_checked += 1 + rocks.byte_size // _CHECK_BYTES_EACH
        if self._since_checked >= CHECK_EVERY:
            self._since_checked = 0
            rocks.put("meta", META_CHECKED, number(self._live.sequence))

    def _take_large(self, ticket: Ticket, sequenced: Sequenced, group: Sequence[Ticket]) -> None:
        # Nobody's answer waits for somebody else's large commit.
        self._settle(group)
        answer([one for one in group if one.result is not None or one.error is not None])
        large = self._parts.large
        try:
            made = large.stage(sequenced)
        except LeftBehind:
            self._spent = "a large commit could not be taken back"
            raise
        except Exception as error:  # noqa: BLE001 - taken back: the caller's own
            ticket.error = error
            return
        ticket.written = True
        chain = large.publish(ticket.batch, sequenced, made)
        self._live.advance(sequenced, made, chain)
        ticket.result = committed_of(sequenced.row)

    def _settle(self, group: Sequence[Ticket]) -> None:
        """Wait for the disk and publish what was written."""
        written = [ticket for ticket in group if ticket.written]
        if not written:
            return
        parts = self._parts
        if parts.fsync:
            self._store.sync()
        # A taker reads the log only after its epoch stands here: had it come before our flush,
        # what we flushed could be lost to it and must not be acknowledged.
        parts.guard.check()
        self._looked_ns = monotonic_ns()
        failpoint("commit.after_sync")
        parts.publish()
        for ticket in written:
            ticket.written = False
        failpoint("commit.after_publish")

    def _give_up(self, group: Sequence[Ticket], error: Exception) -> None:
        """Tell every caller what is known of his batch; after a failed write, write no more."""
        written = any(ticket.written for ticket in group)
        if written or isinstance(error, Fenced):
            self._spent = self._spent or str(error)
        for ticket in group:
            if ticket.error is not None or ticket.told:
                continue
            if ticket.written:
                ticket.error = OutcomeUnknown(ticket.batch.commit_id, str(error))
                ticket.error.__cause__ = error
            elif ticket.result is None or written:
                ticket.error = error if isinstance(error, LogError) else _stopped(error)

    def _resume(self, group: Sequence[Ticket]) -> None:
        """After an interruption (Ctrl-C): believe the store, not what was half noted in memory."""
        if not any(ticket.written for ticket in group):
            return
        try:
            self._parts.large.settle_leftovers()
            self._live.reload()
            self._settle(group)
        except BaseException:
            self._spent = "a commit was interrupted"
            raise

    @contextmanager
    def paused(self) -> Generator[None]:
        """Nothing is committed inside the block; commits wait."""
        with self._writer:
            yield

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
        with self._writer:
            self._closed = True


_CLOSED = "the store is closed: connect again"


def committed_of(row: CommitRow) -> Committed:
    """What the caller of a commit is told."""
    return Committed(row.sequence, row.commit_id, row.time_us, row.versions, False, row.result)


def byte_size(batch: Batch) -> int:
    size = 0
    for changes in batch.tables.values():
        size += changes.byte_size + _EVENT_BYTES * changes.count
    return size


def _stopped(error: Exception) -> StoreUnavailable:
    stopped = StoreUnavailable(f"the store failed: {error}")
    stopped.__cause__ = error
    return stopped
