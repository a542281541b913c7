"""The log on a Kafka cluster: topics are the truth, a RocksDB replica answers all reads.

Reading order: kafka_end and kafka_records (what stands on the topics), kafka_outcome (what errors
mean), kafka_client, kafka_producer, kafka_reader, kafka_groups and kafka_admin (the driver),
kafka_places (how far a replica is), kafka_feed and kafka_apply (from topics to the replica),
kafka_topics, kafka_registry and kafka_writer (taking a prefix over), kafka_transaction, kafka_pending,
kafka_group and kafka_commit (from batches to topics), kafka_mirrors (groups), kafka_writing (all of
these at once).
Many nodes beside each other: kafka_node.
"""

from headwater.log_store.groups import Groups
from headwater.log_store.kafka_offsets import KafkaGroups
from headwater.log_store.kafka_pending import PendingState
from headwater.log_store.kafka_records import Names
from headwater.log_store.kafka_registry import PrefixRegistry, find_prefix
from headwater.log_store.kafka_writer import largest_change
from headwater.log_store.kafka_writing import KafkaOptions, Writing, open_replica
from headwater.log_store.kept import kept_differences
from headwater.log_store.port import Batch
from headwater.log_store.records import Committed
from headwater.log_store.registry import Registry
from headwater.log_store.rocks_rebuild import differences
from headwater.log_store.rocks_served import ServedStore

__all__ = ["KafkaLog", "KafkaOptions"]


class KafkaLog(ServedStore):
    """Takes a prefix over and owns it, and the replica's directory, until closed or fenced.

    Raises:
        PrefixMissing: the cluster has no such prefix, and none may be made.
        ReplicaMismatch: the directory holds what the topics do not. Nothing was changed.
        DirectoryInUse: another process has the directory open.
        StoreUnavailable: the cluster cannot be reached, or a new prefix's registry.
        RegistryFixed: the prefix has another registry than the one named.
        LogDamaged: the topics do not hold what was written to them.
    """

    def __init__(self, options: KafkaOptions) -> None:
        self.cluster = options.cluster
        opened = open_replica(options)
        try:
            live = PendingState(opened.store, opened.name, 0)
            self._writing = Writing(options, opened, live, self._publish)
            # Acknowledged is what stands in Kafka: the replica itself need not survive a power cut.
            super().__init__(options.path, opened, live, synced=False)
        except BaseException:
            opened.store.close()
            opened.lock.release()
            raise
        self._writer, self._committer = self._writing.writer, self._writing.committer
        self.mirrors = self._writing.mirrors
        admin = self._writer.admin
        self._largest = largest_change(admin.broker_settings())
        self._groups = KafkaGroups(
            options.cluster, admin, opened.store, lambda: self.mirrors, self.view
        )
        self._registry = PrefixRegistry(
            opened.store,
            Names(options.prefix),
            options.registry,
            self.reserve_object_ids,
            lambda: find_prefix(options.cluster, Names(options.prefix), options.timeout_s),
        )

    def commit(self, batch: Batch) -> Committed:
        """See `port.Log.commit`."""
        return self._committer.commit(batch)

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

    def topic_is_free(self, topic: str) -> bool:
        """Whether the cluster has no topic of that name."""
        return not self._writer.admin.topics([topic])

    def expire(self, table: int, version: int) -> int:
        """See `port.Log.expire`."""
        with self.view() as view, self._snapshots:
            return self._writing.expiry.expire(view, table, version)

    def verify_derived(self) -> list[str]:
        """Where indexes, current rows and kept snapshots differ from the replica's log; commits wait.

        Raises:
            LogDamaged: the replica's log itself does not hold.
        """
        self._alive()
        with self._committer.paused(), self.view() as view:
            return [*differences(self._store, self._live.sequence), *kept_differences(view)]

    def close(self) -> None:
        """Finish what is being committed, let the prefix go and give the directory back.

        Views that are still open raise StoreUnavailable from here on. A second call does nothing.
        """
        self._writing.close()
        self._groups.close()
        self._registry.close()
        self._close()
