"""One of a prefix's nodes: the writer, or a replica that follows it and may take over.

Every node shows its own replica and takes commits: the writer carries them out, the others send them
to it (`kafka_forward`, `kafka_service`). Who writes is decided by Kafka's group membership
(`kafka_membership`) and made sure by the producer's epoch; what a node does about it is a table
(`kafka_role`), carried out here by one thread.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final, Literal, TypeVar
from uuid import uuid4

from headwater.log_store.errors import (
    Fenced,
    LogDamaged,
    LogError,
    StoreUnavailable,
)
from headwater.log_store.groups import Groups
from headwater.log_store.kafka_bulletin import Bulletin
from headwater.log_store.kafka_client import BrokerError
from headwater.log_store.kafka_feed import CommitRecords
from headwater.log_store.kafka_follower import Follower
from headwater.log_store.kafka_forward import Forward, Rerouted
from headwater.log_store.kafka_ids import (
    OBJECTS_EACH,
    ROWS_EACH,
    GivenIds,
    check_ids,
    uses_new_ids,
)
from headwater.log_store.kafka_membership import Membership
from headwater.log_store.kafka_mirrors import Mirrors
from headwater.log_store.kafka_nodes import Announcement, NodeInfo
from headwater.log_store.kafka_offsets import KafkaGroups
from headwater.log_store.kafka_pending import PendingState
from headwater.log_store.kafka_reader import PASSING
from headwater.log_store.kafka_records import Intent, Names
from headwater.log_store.kafka_registry import PrefixRegistry, find_prefix
from headwater.log_store.kafka_replica import Replica
from headwater.log_store.kafka_requests import NUMBERS, OBJECTS, ROWS, ReserveRequest
from headwater.log_store.kafka_role import Act, Event, Role, Standing, decide
from headwater.log_store.kafka_service import Service
from headwater.log_store.kafka_topics import ReplicaMismatch
from headwater.log_store.kafka_voice import Voice
from headwater.log_store.kafka_writer import largest_change
from headwater.log_store.kafka_writing import KafkaOptions, Writing, open_replica
from headwater.log_store.kept import kept_differences
from headwater.log_store.port import Batch
from headwater.log_store.records import CommitRow, Committed
from headwater.log_store.registry import Registry
from headwater.log_store.rocks_anchor import horizon_of
from headwater.log_store.rocks_rebuild import differences
from headwater.log_store.rocks_served import ServedStore
from headwater.log_store.rocks_store import Store

T = TypeVar("T")
_PAUSE_S: Final = 0.2
_META_NODE: Final = b"node"
_CLOSED: Final = "the store is closed: connect again"
_log = logging.getLogger("headwater")

Wanted = Literal["auto", "replica", "writer"]


class NotTheWriter(LogError):
    """This node was to be the writer, and another one is. Nothing was changed."""

    code = "E_NOT_THE_WRITER"
    retryable = True

    def __init__(self, prefix: str, writer: str) -> None:
        super().__init__(
            f"{prefix} is written by {writer}: connect with role=auto, or stop that node first"
        )
        self.prefix, self.writer = prefix, writer


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """Which prefix, and what the node is to be.

    `auto`: the writer if no other node is there, else a standby. `replica`: never the writer.
    `writer`: the writer, or nothing.
    """

    kafka: KafkaOptions
    role: Wanted = "auto"


class KafkaNode(ServedStore):
    """Opens a node of a prefix, and owns the replica's directory until closed.

    Raises:
        PrefixMissing: the cluster has no such prefix, and none may be made.
        ReplicaMismatch: the directory holds what the topics do not. Nothing was changed.
        DirectoryInUse: another process has the directory open.
        NotTheWriter: another node is, and would not let it be.
        StoreUnavailable: the cluster cannot be reached, or a new prefix's registry.
        RegistryFixed: the prefix has another registry than the one named.
        LogDamaged: the topics do not hold what was written to them.
    """

    def __init__(self, options: NodeOptions) -> None:
        self._options, kafka = options, options.kafka
        self.cluster, self._names = kafka.cluster, Names(kafka.prefix)
        opened = open_replica(kafka)
        self._opened = opened
        try:
            self._live: PendingState = PendingState(opened.store, opened.name, 0)
            self._replica = Replica(
                kafka.cluster, self._names, opened.store, self._live, kafka.timeout_s
            )
            deadline = time.monotonic() + kafka.timeout_s
            _patiently(deadline, lambda: self._replica.meet(kafka.path, create=kafka.create))
            _patiently(deadline, self._replica.topics.open_passing)
            settings = _patiently(deadline, self._replica.admin.broker_settings)
            self._largest = largest_change(settings)
            super().__init__(kafka.path, opened, self._live, synced=False)
        except BaseException:
            opened.store.close()
            opened.lock.release()
            raise
        self.node = _node_id(opened.store)
        self._since_us = kafka.clock()
        self._standing = Standing()
        self._changed_role = threading.Condition()
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        self._writing: Writing | None = None
        self._service: Service | None = None
        self._follower: Follower | None = None
        self._membership: Membership | None = None
        self._broken: LogError | None = None
        self._requests = self._start = 0
        self._given, self._giving = GivenIds(), threading.Lock()
        self._stale_ids = False
        self._voice = Voice(kafka.cluster, kafka.timeout_s)
        self._bulletin = Bulletin(
            kafka.cluster, self._replica.admin, self._names, self._voice, self.node
        )
        self._bulletin.me = self._announcement
        self._forward = Forward(
            self._voice, self._names, self.node, self, lambda: self._bulletin.writer
        )
        self._bulletin.answered = self._forward.answered
        self._bulletin.news = self._heard_of
        admin = self._replica.admin
        self._groups = KafkaGroups(kafka.cluster, admin, opened.store, self._led, self.view)
        self._registry = PrefixRegistry(
            opened.store,
            self._names,
            kafka.registry,
            self.reserve_object_ids,
            lambda: find_prefix(kafka.cluster, self._names, kafka.timeout_s),
        )
        self._thread = threading.Thread(target=self._run, name="headwater-node", daemon=True)
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        kafka, wanted = self._options.kafka, self._options.role
        deadline = time.monotonic() + kafka.timeout_s
        _patiently(deadline, lambda: self._bulletin.open(kafka.clock(), kafka.timeout_s))
        if wanted != "replica" and self._bulletin.alone():
            self._handle(Event.ALONE, strict=True)
        else:
            self._replica.catch_up(deadline, committed=True)
            self._registry.check(kafka.registry.url)
            self._publish()
            self._follow()
        self._thread.start()
        if wanted != "replica":
            self._membership = Membership(
                kafka.cluster, self._names.nodes, self._names.requests, self.node, self._events.put
            )
        if wanted == "writer":
            with self._changed_role:
                if not self._changed_role.wait_for(
                    lambda: self._writing is not None, max(0.0, deadline - time.monotonic())
                ):
                    writer = self._bulletin.writer
                    who = "another node" if writer is None else f"{writer.node} on {writer.host}"
                    raise NotTheWriter(self._names.prefix, who)

    # What the node is

    @property
    def role(self) -> Role:
        """What the node is now."""
        return self._standing.role

    @property
    def mirrors(self) -> Mirrors:
        """The groups that follow the watermarks; StoreUnavailable while another node writes."""
        writing = self._writing
        if writing is None:
            raise StoreUnavailable(f"node {self.node} does not write: ask the writer")
        return writing.mirrors

    def wait_role(self, role: Role, timeout_s: float) -> bool:
        """Wait until the node is that; False if it is not in time."""
        with self._changed_role:
            return self._changed_role.wait_for(lambda: self._standing.role is role, timeout_s)

    def asked(self, timeout_s: float) -> bool:
        """Wait until something that was asked of the writer is on its way; False if nothing is."""
        return self._forward.wait_pending(timeout_s)

    def nodes(self) -> list[NodeInfo]:
        """The nodes of the prefix, the writer first."""
        return self._bulletin.nodes()

    def _announcement(self) -> Announcement:
        writing, known = self._writing, self._bulletin.writer
        published = self._published
        return Announcement(
            self.node,
            socket.gethostname()[:200],
            os.getpid(),
            self._standing.role,
            self._options.role != "replica",
            self._since_us,
            writing.writer.epoch if writing is not None else known.epoch if known else 0,
            published.sequence if published is not None else self._live.sequence,
            self._start if writing is not None else 0,
            self._requests if writing is not None else 0,
        )

    def _heard_of(self, writer: Announcement) -> None:
        """Another writer has come: this node may not have noticed, if it was stopped or idle."""
        writing = self._writing
        if writing is not None and writer.epoch > writing.writer.epoch:
            self._events.put(Event.FENCED)
        self._forward.news()

    def _run(self) -> None:
        while (event := self._events.get()) is not None:
            self._handle(event)

    def _handle(self, event: Event, *, strict: bool = False) -> None:
        """Do what the table says; with `strict`, a failure is the caller's."""
        standing, acts = decide(self._standing, event)
        if standing.role != self._standing.role:
            self._since_us = self._options.kafka.clock()
            _log.info("node %s of %s: %s, as %s", self.node, self.name, standing.role, event.value)
        self._standing = standing
        for act in acts:
            match act:
                case Act.TAKE:
                    self._take(strict=strict)
                case Act.SERVE:
                    self._serve()
                case Act.YIELD:
                    self._yield()
                case Act.FOLLOW:
                    self._follow()
                case Act.REJOIN:
                    if self._membership is not None:
                        self._membership.rejoin()
                case Act.LEAVE:
                    self._leave()
        with self._changed_role:
            self._changed_role.notify_all()
        if acts and standing.role is not Role.CLOSED:
            self._bulletin.announce()

    def _take(self, *, strict: bool) -> None:
        follower, self._follower = self._follower, None
        passed: list[Intent] = []
        if follower is not None:
            follower.stop()
            passed = follower.intents
        try:
            writing = _patiently(
                time.monotonic() + self._options.kafka.timeout_s, lambda: self._take_over(passed)
            )
        except LogError as error:
            if strict:
                raise
            _log.warning("node %s cannot take %s over: %s", self.node, self.name, error)
            if isinstance(error, LogDamaged | ReplicaMismatch):
                self._broken = error
            self._handle(Event.FAILED)
            return
        self._publish()
        self._start = self._live.sequence
        self._forget_ids(stale=not strict)
        self._writing = writing
        self._handle(Event.TOOK)

    def _take_over(self, passed: Sequence[Intent]) -> Writing:
        self._live.reload()
        writing = Writing(self._options.kafka, self._opened, self._live, self._publish, passed)
        try:
            self._requests = self._replica.admin.ends([self._names.requests])[self._names.requests]
        except BaseException:
            writing.close()
            raise
        return writing

    def _serve(self) -> None:
        writing = self._writing
        assert writing is not None
        service = Service(
            self.cluster, self._names, writing.committer, self._voice, writing.writer.epoch
        )
        service.found, service.give = self.found, self._give
        service.fenced = lambda: self._fenced(writing)
        service.start(self._requests)
        self._service = service
        self._forward.reroute()

    def _yield(self) -> None:
        writing, self._writing = self._writing, None
        service, self._service = self._service, None
        if service is not None:
            service.stop()
        if writing is not None:
            writing.close()
        self._live.reload()
        self._forget_ids(stale=True)

    def _follow(self) -> None:
        self._live.reload()
        self._follower = Follower(self._replica, self._live.reload, self._applied, self._break)

    def _leave(self) -> None:
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.stop()

    def _break(self, error: LogError) -> None:
        self._broken = error
        with self._changed_role:
            self._changed_role.notify_all()

    def _applied(self, commits: Sequence[CommitRecords]) -> None:
        self._publish()
        self._forward.seen(commit.end.row for commit in commits)

    # Commits

    def commit(self, batch: Batch) -> Committed:
        """See `port.Log.commit`; on a node that is not the writer, the writer commits it."""
        deadline = time.monotonic() + self._options.kafka.timeout_s
        if _changes_nothing(batch):
            at = self._alive()
            return Committed(at.sequence, batch.commit_id, at.time_us, {})
        while True:
            writing = self._way(deadline)
            try:
                if writing is None:
                    return self._send(batch, deadline)
                if self._stale_ids:
                    with self.view() as view:
                        check_ids(batch, view, self._given, self.name)
                return writing.committer.commit(batch)
            except Rerouted:
                continue
            except Fenced:
                # Another writer has come, and this commit is not in the log that it read.
                self._fenced(writing)
                self._await_other(writing, deadline)
            except StoreUnavailable:
                if self._writing is writing or writing is None:
                    raise

    def _send(self, batch: Batch, deadline: float) -> Committed:
        with self._giving:
            given = self._given
        with self.view() as view:
            check_ids(batch, view, given, self.name)
            epoch = given.epoch if uses_new_ids(batch, view) else 0
        return self._forward.commit(batch, epoch, deadline)

    def _way(self, deadline: float) -> Writing | None:
        """Who takes commits here: this node's writer, or None for the one of another node.

        Raises:
            StoreUnavailable: the node is closed, or in between for too long.
        """
        writing = self._writing
        if writing is not None:
            return writing
        with self._changed_role:
            ready = self._changed_role.wait_for(
                lambda: (
                    self._broken is not None
                    or self._standing.role in (Role.WRITER, Role.REPLICA, Role.CLOSED)
                ),
                max(0.0, deadline - time.monotonic()),
            )
        if self._broken is not None:
            raise self._broken
        if self._standing.role is Role.CLOSED:
            raise StoreUnavailable(_CLOSED)
        if not ready:
            raise StoreUnavailable(f"node {self.node} does not get to write: try again")
        return self._writing

    def _fenced(self, writing: Writing | None) -> None:
        if self._writing is writing:
            self._events.put(Event.FENCED)

    def _await_other(self, writing: Writing | None, deadline: float) -> None:
        with self._changed_role:
            self._changed_role.wait_for(
                lambda: self._writing is not writing, max(0.0, deadline - time.monotonic())
            )

    # Ids: the writer gives them, of its own memory

    def reserve_object_ids(self, count: int) -> int:
        """See `port.Log.reserve_object_ids`."""
        if self._writing is not None:
            return self._give(ReserveRequest(OBJECTS, 0, 0, count))
        return self._ask(ReserveRequest(OBJECTS, 0, 0, max(count, OBJECTS_EACH)), count)

    def reserve_row_ids(self, table: int, count: int) -> int:
        """See `port.Log.reserve_row_ids`."""
        if self._writing is not None:
            return self._give(ReserveRequest(ROWS, table, 0, count))
        return self._ask(ReserveRequest(ROWS, table, 0, max(count, ROWS_EACH)), count)

    def reserve_numbers(self, table: int, column: int, count: int) -> int:
        """See `port.Log.reserve_numbers`."""
        if self._writing is not None:
            return self._give(ReserveRequest(NUMBERS, table, column, count))
        return self._ask(ReserveRequest(NUMBERS, table, column, count), count)

    def _give(self, asked: ReserveRequest) -> int:
        """Ids from this node's own memory: it is the writer."""
        match asked:
            case ReserveRequest(what=1, many=many):
                first, of = super().reserve_object_ids(many), 0
            case ReserveRequest(what=2, table=table, many=many):
                first, of = super().reserve_row_ids(table, many), table
            case ReserveRequest(table=table, column=column, many=many):
                return super().reserve_numbers(table, column, many)
        if self._stale_ids:
            with self._giving:
                self._given.add(of, first, many)
        return first

    def _ask(self, asked: ReserveRequest, count: int) -> int:
        """Ids from what the writer gave, or gives now."""
        deadline = time.monotonic() + self._options.kafka.timeout_s
        of = 0 if asked.what == OBJECTS else asked.table
        with self._giving:
            writer = self._bulletin.writer
            known = writer is not None and writer.epoch == self._given.epoch
            first = self._given.take(of, count) if known and asked.what != NUMBERS else None
        if first is not None:
            return first
        try:
            answer = self._forward.reserve(asked, deadline)
        except Rerouted:
            self._way(deadline)
            return self._give(asked)
        if asked.what == NUMBERS:
            return answer.first
        with self._giving:
            if answer.epoch > self._given.epoch:
                self._given = GivenIds(answer.epoch)
            self._given.add(of, answer.first, answer.many)
            first = self._given.take(of, count)
        assert first is not None, "what was just given is there"
        return first

    def _forget_ids(self, *, stale: bool) -> None:
        """Ids of an earlier writer, this node itself included, are worth nothing from here on."""
        with self._giving, self._ids:
            self._given = GivenIds()
            self._stale_ids = self._stale_ids or stale
            self._next_object_id = max(self._next_object_id, self._live.largest_object_id() + 1)

    # What is asked of the store

    def _led(self) -> Mirrors | None:
        """What keeps groups where their watermarks are, while this node is the writer."""
        writing = self._writing
        return None if writing is None else writing.mirrors

    def found(self, commit_id: str) -> CommitRow | None:
        """The commit of that id, if it is visible here."""
        with self.view() as view:
            return view.find_commit(commit_id)

    def commit_at(self, sequence: int) -> CommitRow | None:
        """The commit at that place, if it is visible here."""
        with self.view() as view:
            return view.commit(sequence) if sequence <= view.sequence else None

    @property
    def groups(self) -> Groups | None:
        """The groups of its consumers."""
        return self._groups

    @property
    def largest_change(self) -> int | None:
        """What fits into a record of this cluster, with an envelope's own fields."""
        return self._largest

    @property
    def registry(self) -> Registry:
        """The registry that the prefix was made with."""
        return self._registry.get()

    def expect_registry(self, url: str | None) -> None:
        """Refuse any other registry than the prefix's own; None asks for none in particular.

        Raises:
            RegistryFixed: it is another. Nothing was changed.
        """
        self._registry.check(url)

    def topic_is_free(self, topic: str) -> bool:
        """Whether the cluster has no topic of that name."""
        return not self._replica.admin.topics([topic])

    def expire(self, table: int, version: int) -> int:
        """See `port.Log.expire`; on a node that is not the writer nothing goes."""
        writing = self._writing
        with self.view() as view, self._snapshots:
            if writing is None:
                return horizon_of(self._store, table)
            return writing.expiry.expire(view, table, version)

    def verify_derived(self) -> list[str]:
        """Where indexes, current rows and kept snapshots differ from the replica's log; commits wait.

        Raises:
            LogDamaged: the replica's log itself does not hold.
        """
        self._alive()
        with self.paused(), self.view() as view:
            return [*differences(self._store, self._live.sequence), *kept_differences(view)]

    @contextmanager
    def paused(self) -> Generator[None]:
        """Nothing is committed here, or applied, inside the block; it waits.

        Raises:
            StoreUnavailable: the node is about to change its role.
        """
        writing, follower = self._writing, self._follower
        if writing is not None:
            with writing.committer.paused():
                yield
        elif follower is not None:
            with follower.paused:
                yield
        else:
            raise StoreUnavailable(f"node {self.node} is about to change its role: try again")

    def close(self) -> None:
        """Finish what is being committed, hand the prefix over and give the directory back.

        Views that are still open raise StoreUnavailable from here on. A second call does nothing.
        """
        if self._standing.role is Role.CLOSED:
            return
        self._forward.close()
        if self._thread.is_alive():
            self._events.put(Event.CLOSING)
            self._events.put(None)
            self._thread.join()
        else:
            self._handle(Event.CLOSING)
        if self._membership is not None:
            self._membership.close()
        self._bulletin.close()
        self._voice.close()
        self._groups.close()
        self._registry.close()
        self._close()


def _patiently(deadline: float, do: Callable[[], T]) -> T:
    """Do it, again while brokers come and go.

    Raises:
        StoreUnavailable: they had not come by then.
    """
    while True:
        try:
            return do()
        except BrokerError as error:
            if not (error.fault.retriable or error.fault.code in PASSING):
                raise
            if time.monotonic() > deadline:
                raise StoreUnavailable(f"the cluster cannot be reached: {error}") from error
        time.sleep(_PAUSE_S)


def _node_id(store: Store) -> str:
    """The name that a replica keeps for life."""
    found = store.get("meta", _META_NODE)
    if found is not None:
        return found.decode()
    made = uuid4().hex[:12]
    batch = store.batch()
    batch.put("meta", _META_NODE, made.encode())
    store.write(batch)
    return made


def _changes_nothing(batch: Batch) -> bool:
    return not (
        batch.moves
        or batch.catalog
        or batch.audit
        or batch.idempotency is not None
        or any(changes.count for changes in batch.tables.values())
    )
