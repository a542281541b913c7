"""The log on a Kafka cluster: topics are the truth, a RocksDB replica answers all reads.

Reading order: kafka_end and kafka_records (what stands on the topics), kafka_outcome (what errors
mean), kafka_client, kafka_producer, kafka_reader, kafka_groups and kafka_admin (the driver),
kafka_places (how far a replica is), kafka_feed and kafka_apply (from topics to the replica),
kafka_topics and kafka_writer (taking a prefix over), kafka_transaction, kafka_pending and
kafka_commit (from batches to topics), kafka_mirrors (groups).
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headwater.log_store.errors import FormatNotKnown, HistoryNotExpired, LogDamaged
from headwater.log_store.kafka_client import Cluster
from headwater.log_store.kafka_commit import KafkaCommitter, KafkaParts
from headwater.log_store.kafka_mirrors import MOST, Mirrors
from headwater.log_store.kafka_pending import PendingState
from headwater.log_store.kafka_places import META_REBUILDING
from headwater.log_store.kafka_records import Names
from headwater.log_store.kafka_writer import PrefixWriter, WriterOptions
from headwater.log_store.memory import wall_clock_us
from headwater.log_store.port import Batch
from headwater.log_store.records import Committed
from headwater.log_store.rocks_large import LargeCommits
from headwater.log_store.rocks_rebuild import differences
from headwater.log_store.rocks_recover import STORE, UNDO, Opened, open_store
from headwater.log_store.rocks_served import ServedStore
from headwater.log_store.rocks_store import StoreSettings

_HEAD: Final = "HEAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaOptions:
    """Which prefix of which cluster, and where its replica is kept.

    `create` makes a prefix that is not there. `timeout_s` bounds a commit, and then the search for
    what became of it. `groups_within` is how many consumers' groups move inside a commit's
    transaction, at nearly a millisecond each; the others follow it. `compression` is the producer's: lz4, zstd, gzip, snappy or none. `clock`
    gives microseconds since 1970 UTC.
    """

    path: Path
    prefix: str
    cluster: Cluster
    create: bool = True
    timeout_s: float = 30.0
    groups_within: int = MOST
    compression: str = "lz4"
    clock: Callable[[], int] = wall_clock_us
    write_buffer: int = 64 << 20
    block_cache: int = 64 << 20
    wal_limit: int = 256 << 20


class KafkaLog(ServedStore):
    """Takes a prefix over and owns it, and the replica's directory, until closed or fenced.

    Raises:
        PrefixMissing: the cluster has no such prefix, and none may be made.
        ReplicaMismatch: the directory holds what the topics do not. Nothing was changed.
        DirectoryInUse: another process has the directory open.
        StoreUnavailable: the cluster cannot be reached.
        LogDamaged: the topics do not hold what was written to them.
    """

    def __init__(self, options: KafkaOptions) -> None:
        self._names = Names(options.prefix)
        self.cluster = options.cluster
        opened = _open_replica(options)
        try:
            live = PendingState(opened.store, opened.name, 0)
            self._writer = PrefixWriter(
                options.cluster,
                self._names,
                opened.store,
                live,
                WriterOptions(
                    path=options.path,
                    create=options.create,
                    timeout_s=options.timeout_s,
                    compression=options.compression,
                    clock=options.clock,
                ),
            )
            self._writer.open()
            # Acknowledged is what stands in Kafka: the replica itself need not survive a power cut.
            super().__init__(options.path, opened, live, synced=False)
        except BaseException:
            opened.store.close()
            opened.lock.release()
            raise
        self.mirrors = Mirrors(self._writer.admin, options.groups_within)
        self._committer = KafkaCommitter(
            KafkaParts(
                store=opened.store,
                live=live,
                writer=self._writer,
                topics=self._writer.topics,
                mirrors=self.mirrors,
                clock=options.clock,
                publish=self._publish,
                large=LargeCommits(opened.store, live),
                check=opened.lock.check,
                path=options.prefix,
                timeout_s=options.timeout_s,
            )
        )

    def commit(self, batch: Batch) -> Committed:
        """See `port.Log.commit`."""
        return self._committer.commit(batch)

    def topic_is_free(self, topic: str) -> bool:
        """Whether the cluster has no topic of that name."""
        return not self._writer.admin.topics([topic])

    def expire(self, table: int, version: int) -> int:
        """Never: topics keep all there was; raises HistoryNotExpired."""
        raise HistoryNotExpired(
            f"table {table} keeps its history below v{version}: a store on Kafka lets none go"
        )

    def verify_derived(self) -> list[str]:
        """Where indexes and current rows differ from what the replica's log says; commits wait.

        Raises:
            LogDamaged: the replica's log itself does not hold.
        """
        self._alive()
        with self._committer.paused():
            return differences(self._store, self._live.sequence)

    def close(self) -> None:
        """Finish what is being committed, let the prefix go and give the directory back.

        Views that are still open raise StoreUnavailable from here on. A second call does nothing.
        """
        self._committer.close()
        self.mirrors.close()
        self._writer.close()
        self._close()


def _open_replica(options: KafkaOptions) -> Opened:
    """The replica's store; one that is damaged is made anew, since the topics have it all."""
    settings = StoreSettings(
        write_buffer=options.write_buffer,
        block_cache=options.block_cache,
        wal_limit=options.wal_limit,
    )
    try:
        opened = open_store(options.path, settings, options.prefix)
        if opened.store.get("meta", META_REBUILDING) is not None:
            opened.store.close()
            opened.lock.release()
            raise LogDamaged(str(options.path), "the replica was not filled to its end")
    except LogDamaged:
        for part in (STORE, UNDO):
            shutil.rmtree(options.path / part, ignore_errors=True)
        (options.path / _HEAD).unlink(missing_ok=True)
        opened = open_store(options.path, settings, options.prefix)
    if opened.name != options.prefix:
        opened.store.close()
        opened.lock.release()
        raise FormatNotKnown(
            f"{options.path} holds the replica of {opened.name}, not of {options.prefix}: "
            "name another directory"
        )
    return opened
