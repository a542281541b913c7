"""One Kafka transaction that carries a group of commits, and the batch that applies them.

What is produced and what the replica will hold are made side by side, from the same events; the
batch is written only once the transaction is committed, with the offsets that the broker gave.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from headwater.log_store.catalog import Catalog, Namespace, TableObject
from headwater.log_store.changes import Rows
from headwater.log_store.encoding import encode_one, stored_prefix
from headwater.log_store.errors import LogError
from headwater.log_store.failpoints import failpoint
from headwater.log_store.kafka_client import BrokerError
from headwater.log_store.kafka_end import HEADER, End, TableEnd, end_header, end_key, end_value
from headwater.log_store.kafka_mirror import mirror_of
from headwater.log_store.kafka_outcome import BrokerFault, Step, Verdict, group_in_use, judge
from headwater.log_store.kafka_places import Place, Span, put_places, put_span
from headwater.log_store.kafka_producer import TransactionalProducer
from headwater.log_store.kafka_records import (
    EventRecords,
    Names,
    Position,
    PrefixRecord,
    audit_records,
    catalog_records,
    mark_key,
    mark_record,
)
from headwater.log_store.port import Batch
from headwater.log_store.records import VersionRow
from headwater.log_store.rocks_keys import chunk_key
from headwater.log_store.rocks_store import Store, WriteBatch
from headwater.log_store.rocks_write import ChunkWriter, put_commit, put_state
from headwater.log_store.sequencing import Encoded, Sequenced

T = TypeVar("T")
_PAUSE_S: Final = 0.02


class Stopped(Exception):
    """The transaction cannot go on; `verdict` says what that means for it."""

    def __init__(self, step: Step, verdict: Verdict, fault: BrokerFault, text: str) -> None:
        super().__init__(f"{step.value}: {text}")
        self.step, self.verdict, self.fault, self.text = step, verdict, fault, text


def persist(step: Step, deadline: float, call: Callable[[float], T]) -> T:
    """Call until it succeeds or repeating it makes no sense; `call` gets the seconds left.

    Raises:
        Stopped: with the verdict.
    """
    while True:
        left = deadline - time.monotonic()
        try:
            return call(max(left, 0.001))
        except BrokerError as error:
            late = time.monotonic() >= deadline
            verdict = judge(error.fault, step, out_of_time=late)
            if verdict is not Verdict.RETRY:
                raise Stopped(step, verdict, error.fault, error.text) from error
        time.sleep(_PAUSE_S)


class GroupInUse(Exception):
    """Somebody else's member sits in a consumer's group: commit again without that group."""

    def __init__(self, group: str) -> None:
        super().__init__(group)
        self.group = group


class RecordTooLarge(LogError):
    """A row's event, or a commit's END record, is larger than the cluster takes. Nothing was written."""

    code = "E_RECORD_TOO_LARGE"

    def __init__(self, topic: str, size: int, most: int) -> None:
        super().__init__(
            f"a record of {size} bytes for topic {topic} is above the cluster's {most}: make the "
            "row smaller, or raise message.max.bytes and the topic's max.message.bytes"
        )
        self.topic, self.size, self.most = topic, size, most


class OpenTransaction:
    """Commits on their way: `add` each, then `end`, then `apply`. Used once."""

    def __init__(
        self,
        producer: TransactionalProducer,
        store: Store,
        names: Names,
        prefix: PrefixRecord,
        most_bytes: int,
    ) -> None:
        self._producer, self._store, self._names, self._prefix = producer, store, names, prefix
        self._most = most_bytes
        self.rocks: WriteBatch = store.batch()
        self.offsets: dict[str, int] = {}
        """The offset behind the last record of each topic that was told so far."""
        self.mirrors: dict[str, Position] = {}
        """Where the groups of moved consumers are to stand, by group."""
        self._firsts: dict[tuple[int, int], int] = {}
        self._spans: list[tuple[int, int, str, int]] = []
        self.begun = self.ending = False

    def begin(self, deadline: float) -> None:
        """Begin it at the broker, unless it has begun."""
        if not self.begun:
            persist(Step.BEGIN, deadline, lambda _: self._producer.begin())
            self.begun = True

    def add(
        self, batch: Batch, sequenced: Sequenced, before: bytes
    ) -> tuple[list[VersionRow], bytes]:
        """Produce a commit; returns the versions it makes and its chain digest.

        Raises:
            RecordTooLarge: nothing more can be added: abort, and leave this batch out.
            Stopped: the broker refuses.
        """
        made: list[VersionRow] = []
        ends: list[TableEnd] = []
        for table in sequenced.assemblies:
            row, records = self._add_table(batch, sequenced, table)
            made.append(row)
            ends.append(self.table_end(batch, sequenced, row, records))
        chain = put_commit(self.rocks, sequenced, batch.catalog, made, before)
        self.add_rest(batch, sequenced, ends, chain)
        return made, chain

    def table_end(
        self, batch: Batch, sequenced: Sequenced, row: VersionRow, records: int
    ) -> TableEnd:
        """What the END record says of a version."""
        topic = sequenced.catalog.table(row.table).topic
        events = batch.tables[row.table].count
        self._spans.append((row.table, row.version, topic, records))
        return TableEnd(row.table, row.version, topic, events, records, row.digest, row.autos)

    def _add_table(self, batch: Batch, sequenced: Sequenced, table: int) -> tuple[VersionRow, int]:
        assembly, rocks = sequenced.assemblies[table], self.rocks
        version, schema_id = assembly.version, assembly.schema_id
        send = self.sender(batch, sequenced, table)
        prefix = stored_prefix(version, schema_id)
        only = assembly.only()
        if only is not None:
            change, message = only
            rocks.put("log", chunk_key(table, version, 0), encode_one(schema_id, message))
            segment = Rows([change])
            records = send(Encoded(segment, [message]))
            put_state(rocks, table, prefix, segment)
            return assembly.version_row(), records
        chunks, records = ChunkWriter(schema_id), 0
        for encoded in assembly:
            records = send(encoded)
            for chunk in chunks.add(encoded):
                rocks.put("log", chunk_key(table, version, chunks.count - 1), chunk)
            put_state(rocks, table, prefix, encoded.segment)
        for chunk in chunks.finish():
            rocks.put("log", chunk_key(table, version, chunks.count - 1), chunk)
        return assembly.version_row(chunks.count), records

    def sender(self, batch: Batch, sequenced: Sequenced, table: int) -> Callable[[Encoded], int]:
        """What produces runs of a table's events, returning how many records there are so far."""
        of, version = sequenced.catalog.table(table), sequenced.assemblies[table].version
        records = EventRecords(of, batch.tables[table])
        topic, time_ms = of.topic, sequenced.row.time_us // 1000

        def first(offset: int) -> None:
            self._firsts[table, version] = offset

        def last(offset: int) -> None:
            self.offsets[topic] = offset + 1

        def send(encoded: Encoded) -> int:
            beginning = not records.count
            run = records.run(encoded)
            largest = max(map(len, filter(None, run.values)))
            if largest + len(run.keys[0]) > self._most:
                raise RecordTooLarge(topic, largest, self._most)
            self._produced(
                lambda: self._producer.send_run(
                    topic, run, time_ms, first if beginning else None, last
                )
            )
            failpoint("kafka.produced")
            return records.count

        return send

    def _produced(self, call: Callable[[], None]) -> None:
        try:
            call()
        except BrokerError as error:
            verdict = judge(error.fault, Step.PRODUCE, out_of_time=True)
            raise Stopped(Step.PRODUCE, verdict, error.fault, error.text) from error

    def add_rest(
        self, batch: Batch, sequenced: Sequenced, ends: Sequence[TableEnd], chain: bytes
    ) -> None:
        """Produce all of a commit but its events: catalog, audit, watermarks and the END."""
        row, names = sequenced.row, self._names
        for key, value in catalog_records(row.sequence, batch.catalog) if batch.catalog else ():
            self._send(names.catalog, key, value, row.time_us)
        for key, value in audit_records(row.sequence, sequenced.audit) if sequenced.audit else ():
            self._send(names.audit, key, value, row.time_us)
        for mark in sequenced.watermarks:
            mirror = mirror_of(self._store, sequenced.catalog, mark)
            if mirror is not None:
                self._send(names.state, mark_key(mark.consumer), mark_record(mirror), row.time_us)
                if mirror.group:
                    self.mirrors[mirror.group] = mirror.position()
        end = End(row, tuple(ends), len(sequenced.audit), chain)
        called = tuple(_called(sequenced.catalog, table.table) for table in ends)
        header = end_header(end)
        if len(header) > self._most:
            raise RecordTooLarge(names.transaction, len(header), self._most)
        value = end_value(self._prefix.end_value_id, end, called)
        topic, key = names.transaction, end_key(self._prefix.end_key_id, row.commit_id)
        self._send(topic, key, value, row.time_us, header)

    def _send(
        self, topic: str, key: bytes, value: bytes, time_us: int, header: bytes | None = None
    ) -> None:
        def told(offset: int) -> None:
            self.offsets[topic] = offset + 1

        if len(value) > self._most:
            raise RecordTooLarge(topic, len(value), self._most)
        headers: list[tuple[str, str | bytes | None]] | None = (
            None if header is None else [(HEADER, header)]
        )
        self._produced(
            lambda: self._producer.send(topic, key, value, time_us // 1000, headers, told)
        )

    def end(self, deadline: float, within: Sequence[str]) -> None:
        """Commit it, with the offsets of these groups.

        Raises:
            GroupInUse: a group has a member of somebody else's; abort, and leave that group out.
            Stopped: the broker refuses, or does not say what became of it.
        """
        for group in within:
            position = self.mirrors[group]

            def move(left: float, group: str = group, position: Position = position) -> None:
                self._producer.offset(group, position, left)

            try:
                persist(Step.OFFSETS, deadline, move)
            except Stopped as stopped:
                if stopped.verdict is Verdict.ABORT and group_in_use(stopped.fault):
                    raise GroupInUse(group) from stopped
                raise
        failpoint("kafka.before_commit")
        self.ending = True
        persist(Step.COMMIT, deadline, self._producer.commit)
        failpoint("kafka.committed")

    def abort(self, deadline: float) -> None:
        """Drop it.

        Raises:
            Stopped: nobody knows whether it is dropped; the producer must not begin again.
        """
        if self.begun:
            persist(Step.ABORT, deadline, self._producer.abort)

    def places(self, ids: dict[str, str]) -> dict[str, Place]:
        """How far the topics are applied by the batch, once it is committed."""
        return {name: Place(ids[name], offset) for name, offset in self.offsets.items()}

    def put_places(self, ids: dict[str, str]) -> None:
        """Add to the batch where everything lies."""
        put_places(self.rocks, self.places(ids))
        for table, version, topic, records in self._spans:
            first = self._firsts.get((table, version))
            assert first is not None, f"the broker told no offset of {topic}"
            put_span(self.rocks, table, version, Span(first, first + records))


def _called(catalog: Catalog, table: int) -> str:
    of: TableObject = catalog.table(table)
    schema = catalog.get("schema", of.namespace)
    return f"{schema.name if isinstance(schema, Namespace) else of.namespace}.{of.name}"
