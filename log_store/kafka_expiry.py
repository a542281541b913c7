"""Letting history go on Kafka: the base first, the records after it.

    1  what the base topic holds is read: it may be ahead of this replica, if a writer was cut off
    2  the base is made in the replica, as in an embedded store, where no reader looks
    3  commits wait: what has changed in the base and its anchor are one transaction, durable;
       then the replica's own batch lets its events go
    4  DeleteRecords on the table's topic, up to the version behind the horizon

Cut off before 3 nothing has happened; after the transaction, or before 4, the next expiry of the
table goes on from what the base topic says. A record is deleted only once its base is durable.
"""

import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager

from headwater.log_store import rocks_keys as keys
from headwater.log_store.base import Anchor
from headwater.log_store.catalog import TableObject
from headwater.log_store.errors import HistoryNotExpired, OutsideHistory, StoreUnavailable
from headwater.log_store.failpoints import failpoint
from headwater.log_store.kafka_admin import COMPACTED, TIMEOUT_S, Admin
from headwater.log_store.kafka_base import (
    ANCHOR_KEY,
    BaseEvents,
    BaseTopic,
    PlacedAnchor,
    anchor_record,
    base_topic,
    changed,
)
from headwater.log_store.kafka_bases import read_base
from headwater.log_store.kafka_client import BrokerError, Cluster
from headwater.log_store.kafka_places import SPANS, put_span, span_key, span_of
from headwater.log_store.kafka_topics import LONGEST
from headwater.log_store.kafka_writer import PrefixWriter
from headwater.log_store.port import View
from headwater.log_store.rocks_anchor import horizon_of
from headwater.log_store.rocks_expiry import Expiry
from headwater.log_store.rocks_store import Store, WriteBatch


class KafkaExpiry:
    """Lets history go for the writer of a prefix. `alone` gives a deadline while commits wait."""

    def __init__(
        self,
        cluster: Cluster,
        writer: PrefixWriter,
        store: Store,
        alone: Callable[[], AbstractContextManager[float]],
    ) -> None:
        self._cluster, self._writer, self._store, self._alone = cluster, writer, store, alone
        self._admin: Admin = writer.admin
        self._one = threading.Lock()
        self._deadline = 0.0
        self._view: View
        self._held = BaseTopic(None, {})
        self._expiry = Expiry(store, self._paused, self._durable)

    @contextmanager
    def _paused(self) -> Generator[None]:
        with self._alone() as deadline:
            self._deadline = deadline
            yield

    def expire(self, view: View, table: int, version: int) -> int:
        """See `port.Log.expire`; `view` is the newest.

        Raises:
            StoreUnavailable: the cluster does not take it; call again.
        """
        with self._one:
            if version > view.head(table).version:
                raise OutsideHistory(f"table {table} has no version {version} yet")
            of, self._view = view.catalog.table(table), view
            try:
                return self._expire(of, version)
            except BrokerError as error:
                raise StoreUnavailable(f"the cluster does not let history go: {error}") from error

    def _expire(self, table: TableObject, version: int) -> int:
        topic = base_topic(table.topic)
        if len(topic) > LONGEST:
            raise HistoryNotExpired(
                f"table {table.name} keeps its history: {topic} is too long for a topic's name"
            )
        horizon = horizon_of(self._store, table.id)
        if not horizon:
            if version <= 0:
                return 0
            self._admin.create({topic: COMPACTED})
            self._admin.await_topics([topic])
        if version > horizon:
            self._held = read_base(self._cluster, self._admin, topic, TIMEOUT_S)
            if self._held.anchor is not None:
                version = max(version, self._held.anchor.version)
            horizon = self._expiry.expire(table, version, self._view.sequence)
            failpoint("kafka.before_delete")
        span = span_of(self._store, table.id, horizon)
        if span is not None and self._admin.starts([table.topic])[table.topic] < span.next:
            self._admin.delete_records(table.topic, span.next)
            failpoint("kafka.deleted")
        return horizon

    def _durable(self, table: TableObject, anchor: Anchor, batch: WriteBatch) -> None:
        """Write the base that was just made to its topic; its spans go with the batch."""
        row = anchor.row
        span = span_of(self._store, table.id, row.version)
        assert span is not None, "a version above v0 lies somewhere in its topic"
        events = BaseEvents(self._view.catalog, self._writer.prefix, table, anchor)
        placed = PlacedAnchor(table.id, span.first, span.next, anchor)
        records = [
            *changed(self._held.rows, dict(events.records(self._blocks(table.id, row.version))))
        ]
        records.append((ANCHOR_KEY, anchor_record(placed)))
        self._held = BaseTopic(None, {})
        self._writer.write_alone(base_topic(table.topic), records, self._deadline)
        failpoint("kafka.base_durable")
        first, last = span_key(table.id, 0), span_key(table.id, row.version)
        batch.delete_range(SPANS, first, last)
        put_span(batch, table.id, row.version, span)

    def _blocks(self, table: int, version: int) -> list[bytes]:
        start, end = keys.base_key(table, version, 0), keys.base_key(table, version + 1, 0)
        return [value for pairs in self._store.chunks("snap", start, end) for _, value in pairs]
