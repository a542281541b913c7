"""A prefix being written: the right to it, the groups that follow it, and who takes the commits.

What `kafka.KafkaLog` has from its opening to its end, a node (`kafka_node`) has while it is the writer.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from headwater.log_store.errors import FormatNotKnown, LogDamaged
from headwater.log_store.kafka_admin import Admin
from headwater.log_store.kafka_bases import behind
from headwater.log_store.kafka_client import BrokerError, Cluster
from headwater.log_store.kafka_commit import KafkaCommitter
from headwater.log_store.kafka_expiry import KafkaExpiry
from headwater.log_store.kafka_group import KafkaParts
from headwater.log_store.kafka_mirrors import MOST, Mirrors
from headwater.log_store.kafka_pending import PendingState
from headwater.log_store.kafka_places import META_REBUILDING
from headwater.log_store.kafka_records import Intent, Names
from headwater.log_store.kafka_writer import PrefixWriter, WriterOptions
from headwater.log_store.memory import wall_clock_us
from headwater.log_store.registry import RegistryAccess
from headwater.log_store.rocks_large import LargeCommits
from headwater.log_store.rocks_recover import STORE, UNDO, Opened, open_store
from headwater.log_store.rocks_store import Store, StoreSettings

_HEAD: Final = "HEAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaOptions:
    """Which prefix of which cluster, and where its replica is kept.

    `create` makes a prefix that is not there. `timeout_s` bounds a commit, and then the search for
    what became of it. `groups_within` is how many consumers' groups move inside a commit's
    transaction, at nearly a millisecond each; the others follow it. `compression` is the
    producer's: lz4, zstd, gzip, snappy or none. `warned` says in the log what could lose commits
    that the cluster has acknowledged. `registry` is where a new prefix's schemas are registered.
    `clock` gives microseconds since 1970 UTC.
    """

    path: Path
    prefix: str
    cluster: Cluster
    create: bool = True
    timeout_s: float = 30.0
    groups_within: int = MOST
    compression: str = "lz4"
    warned: bool = True
    registry: RegistryAccess = field(default_factory=RegistryAccess)
    clock: Callable[[], int] = wall_clock_us
    write_buffer: int = 64 << 20
    block_cache: int = 64 << 20
    wal_limit: int = 256 << 20


class Writing:
    """Takes a prefix over and writes it until closed or fenced; `live` is at its end from then on.

    `passed` are intents that were met before. `publish` shows the live state to views.

    Raises:
        PrefixMissing: the cluster has no such prefix, and none may be made.
        ReplicaMismatch: the directory holds what the topics do not. Nothing was changed.
        StoreUnavailable: the cluster cannot be reached, or a new prefix's registry.
        RegistryFixed: the prefix has another registry than the one named.
        LogDamaged: the topics do not hold what was written to them.
    """

    def __init__(
        self,
        options: KafkaOptions,
        opened: Opened,
        live: PendingState,
        publish: Callable[[], None],
        passed: Sequence[Intent] = (),
    ) -> None:
        self.writer = PrefixWriter(
            options.cluster,
            Names(options.prefix),
            opened.store,
            live,
            WriterOptions(
                path=options.path,
                create=options.create,
                timeout_s=options.timeout_s,
                compression=options.compression,
                warned=options.warned,
                registry=options.registry,
                clock=options.clock,
            ),
        )
        try:
            self.writer.open(passed)
        except BaseException:
            self.writer.close()
            raise
        self.mirrors = Mirrors(self.writer.admin, options.groups_within)
        self.committer = KafkaCommitter(
            KafkaParts(
                store=opened.store,
                live=live,
                writer=self.writer,
                topics=self.writer.topics,
                mirrors=self.mirrors,
                clock=options.clock,
                publish=publish,
                large=LargeCommits(opened.store, live),
                check=opened.lock.check,
                path=options.prefix,
                timeout_s=options.timeout_s,
            )
        )

        self.expiry = KafkaExpiry(options.cluster, self.writer, opened.store, self.committer.alone)

    def close(self) -> None:
        """Finish what is being committed and let the prefix go. A second call does nothing."""
        self.committer.close()
        self.mirrors.close()
        self.writer.close()


def open_replica(options: KafkaOptions) -> Opened:
    """The replica's store; one that is of no use is made anew, since the topics have it all.

    Of no use is one that is damaged, was not filled to its end, or lacks records that are gone.
    """
    settings = StoreSettings(
        write_buffer=options.write_buffer,
        block_cache=options.block_cache,
        wal_limit=options.wal_limit,
    )
    try:
        opened = open_store(options.path, settings, options.prefix)
        if why := _useless(opened.store, options):
            opened.store.close()
            opened.lock.release()
            raise LogDamaged(str(options.path), why)
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


def _useless(store: Store, options: KafkaOptions) -> str:
    """Why a replica is to be filled anew; empty if it can go on."""
    if store.get("meta", META_REBUILDING) is not None:
        return "the replica was not filled to its end"
    try:
        topic = behind(Admin(options.cluster), store, options.prefix)
    except BrokerError:
        return ""  # whoever goes on says that the cluster cannot be reached
    return f"topic {topic} begins behind what the replica holds of it" if topic else ""
