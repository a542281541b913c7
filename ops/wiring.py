"""The one place that names adapters, and the stores this process has open.

Connecting again to an open directory is another session of the same store: the log and its
snapshot cache are shared and closed with the last session.
"""

import re
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.log_store.errors import DirectoryInUse
from headwater.log_store.memory import MemoryLog, wall_clock_us
from headwater.log_store.port import Log
from headwater.log_store.registry import RegistryAccess
from headwater.log_store.rocks import RocksLog, RocksOptions
from headwater.log_store.snapshots import SnapshotCache
from headwater.log_store.source import TopicSource
from headwater.ops.errors import TargetNotKnown
from headwater.ops.expiry import GroupWatcher, Housekeeper
from headwater.ops.kafka_target import SCHEME, KafkaTarget, parse_target, registry_address
from headwater.ops.nodes import Node, node_of
from headwater.ops.settings import Settings

if TYPE_CHECKING:
    from headwater.log_store.kafka_client import Cluster
    from headwater.log_store.kafka_facts import Finding
    from headwater.log_store.kafka_node import NodeOptions

Clock = Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOptions:
    """How to open a store; None takes the setting."""

    read_only: bool = False
    create: bool = True
    durability: str | None = None
    clock: Clock | None = None


@dataclass(eq=False)
class Store:
    """An open log with what its sessions share. `release` it once per session."""

    target: str
    log: Log
    cache: SnapshotCache
    clock: Clock
    read_only: bool
    key: str | None
    keepers: Sequence[Housekeeper | GroupWatcher] = ()
    sessions: int = 1

    def release(self) -> None:
        """Close the log with its last session."""
        with _LOCK:
            self.sessions -= 1
            if self.sessions:
                return
            if self.key is not None:
                _OPEN.pop(self.key, None)
        for keeper in self.keepers:
            keeper.stop()
        self.log.close()


_LOCK = threading.Lock()
_OPEN: dict[str, Store] = {}


def open_store(target: str | Path, options: OpenOptions) -> Store:
    """The store at a directory, on Kafka for `kafka://..`, or a new one in memory for `memory:`.

    Raises:
        TargetNotKnown: a URL of a kind there is none of, or no store is there and none may be made.
        DirectoryInUse: another process has it open for writing.
        LogDamaged: what is on disk is not what was acknowledged.
        StoreUnavailable: the cluster cannot be reached.
    """
    text = str(target)
    settings = Settings()
    clock = options.clock or wall_clock_us
    if text.startswith("memory:"):
        memory = MemoryLog(text.removeprefix("memory:") or "memory", clock=clock)
        return _store(text, memory, options, settings, None)
    if text.startswith(SCHEME):
        return _open_kafka(parse_target(text), options, settings)
    # A pathlib.Path of a URL has lost one of its slashes; it must not become a directory.
    if re.match(r"[a-z][a-z0-9+.-]+:/", text):
        raise TargetNotKnown(
            f"{text} cannot be opened: give a directory, memory:, or kafka://host:9092/prefix as text"
        )
    path = Path(text).expanduser().resolve()
    if not options.create and not path.is_dir():
        raise TargetNotKnown(f"{path} holds no store: connect without create=False to make one")
    if options.read_only:
        from headwater.log_store.rocks_readonly import open_read_only

        return _store(text, open_read_only(path), options, settings, None)
    durability = options.durability or settings.durability
    rocks = RocksOptions(path=path, name=store_name(path), fsync=durability == "fsync", clock=clock)
    return _shared(str(path), lambda: _store(text, RocksLog(rocks), options, settings, str(path)))


def _shared(key: str, open_it: Callable[[], Store]) -> Store:
    """The store that this process has open under the key, else a new one."""
    with _LOCK:
        shared = _OPEN.get(key)
        if shared is not None:
            shared.sessions += 1
            return shared
        _OPEN[key] = store = open_it()
        return store


def _open_kafka(target: KafkaTarget, options: OpenOptions, settings: Settings) -> Store:
    """The store at a prefix of a cluster, its replica in a directory here."""
    path = (target.path or settings.replica_dir / target.prefix).expanduser().resolve()
    # Only here: a store in a directory need not load Kafka's client.
    from headwater.log_store.kafka import KafkaOptions
    from headwater.log_store.kafka_node import KafkaNode, NodeOptions

    cluster, registry = _cluster(target.brokers, settings), _registry(target, settings)
    kafka = KafkaOptions(
        path=path,
        prefix=target.prefix,
        cluster=cluster,
        create=options.create and not options.read_only,
        timeout_s=settings.kafka_timeout_s,
        compression=settings.kafka_compression,
        # `os` asks for no more than that a killed process loses nothing.
        warned=(options.durability or settings.durability) == "fsync",
        registry=registry,
        clock=options.clock or wall_clock_us,
    )
    if options.read_only:
        return _store(
            target.shown,
            _reading(NodeOptions(kafka=kafka, role="replica")),
            options,
            settings,
            None,
        )
    node = NodeOptions(kafka=kafka, role=target.role)
    key = f"{target.shown} {path}"
    store = _shared(key, lambda: _store(target.shown, KafkaNode(node), options, settings, key))
    try:
        if isinstance(store.log, KafkaNode):
            store.log.expect_registry(registry.url)
    except BaseException:
        store.release()
        raise
    return store


def _registry(target: KafkaTarget, settings: Settings) -> RegistryAccess:
    """The schema registry that is named, with the credentials that are set for it.

    Raises:
        TargetNotKnown: credentials without an address to send them to, or no address.
    """
    url = target.registry
    if url is None and settings.registry_url:
        url = registry_address(settings.registry_url)
    access = RegistryAccess(
        url=url,
        user=settings.registry_user,
        password=settings.registry_password.get_secret_value(),
        token=settings.registry_token.get_secret_value(),
        ca=settings.registry_ca,
        timeout_s=settings.registry_timeout_s,
    )
    if access.user and access.token:
        raise TargetNotKnown("set HEADWATER_REGISTRY_USER or HEADWATER_REGISTRY_TOKEN, not both")
    if url is None and (access.user or access.token):
        raise TargetNotKnown(
            "credentials of a schema registry are set, and no address: name it by registry=http://.. "
            "or HEADWATER_REGISTRY_URL"
        )
    return access


def _reading(node: "NodeOptions") -> Log:
    """A node that only reads, up to date; beside a process here that is a node, its directory."""
    from headwater.log_store.kafka_node import KafkaNode

    try:
        return KafkaNode(node)
    except DirectoryInUse:
        from headwater.log_store.rocks_readonly import open_read_only

        return open_read_only(node.kafka.path)


def _cluster(brokers: str, settings: Settings) -> "Cluster":
    """How to reach a cluster, with the security that is set.

    Raises:
        TargetNotKnown: an option that may not be set.
    """
    from headwater.log_store.kafka_client import Cluster

    told = {name: value.get_secret_value() for name, value in settings.kafka_options.items()}
    try:
        return Cluster(brokers=brokers, options=told)
    except ValueError as error:
        raise TargetNotKnown(f"HEADWATER_KAFKA_OPTIONS: {error}") from error


def open_source(target: str, topic: str, brokers: str | None) -> TopicSource:
    """A foreign topic: of these brokers, else of the cluster that the store itself is on.

    Raises:
        TargetNotKnown: the store is on none, and no brokers are named.
    """
    from headwater.log_store.kafka_source import KafkaSource

    if brokers is None and not target.startswith(SCHEME):
        raise TargetNotKnown(f"topic {topic}: say which brokers hold it, as in brokers='host:9092'")
    return KafkaSource(_cluster(brokers or parse_target(target).brokers, Settings()), topic)


def nodes_of(log: Log) -> list[Node]:
    """The nodes that a node of a store on Kafka has heard of; none for any other log."""
    # Whoever has no Kafka node open has not loaded Kafka's client either.
    if "headwater.log_store.kafka_node" not in sys.modules:
        return []
    from headwater.log_store.kafka_node import KafkaNode

    return [node_of(told) for told in log.nodes()] if isinstance(log, KafkaNode) else []


def look_at_nodes(target: str) -> list[Node]:
    """The nodes of a store on Kafka, without becoming one.

    Raises:
        TargetNotKnown: the target is no store on Kafka.
        StoreUnavailable, BrokerError: the cluster cannot be reached.
    """
    from headwater.log_store.kafka_admin import Admin
    from headwater.log_store.kafka_bulletin import recent
    from headwater.log_store.kafka_records import Names

    found = parse_target(target)
    cluster, now = _cluster(found.brokers, Settings()), wall_clock_us()
    heard = recent(cluster, Admin(cluster), Names(found.prefix), now)
    return [node_of(told) for told in heard.nodes(wall_clock_us())]


def examine_cluster(target: str, *, trial: bool) -> "list[Finding]":
    """What speaks for and against keeping a store at a `kafka://` target; nothing is opened.

    Raises:
        TargetNotKnown: the target names no brokers or no prefix.
    """
    from headwater.log_store.kafka_fitness import judge_cluster
    from headwater.log_store.kafka_probe import look

    at = parse_target(target)
    return judge_cluster(look(_cluster(at.brokers, Settings()), at.prefix, trial=trial))


def _store(
    target: str, log: Log, options: OpenOptions, settings: Settings, key: str | None
) -> Store:
    keep = None if options.read_only else log.keep_snapshot
    cache = SnapshotCache(settings.cache_mib << 20, keep)
    clock = options.clock or wall_clock_us
    # What dies with its connection, or is only read, is not kept tidy.
    keepers: list[Housekeeper | GroupWatcher] = []
    if key is not None:
        keepers.append(Housekeeper(log, clock))
        if target.startswith(SCHEME):
            keepers.append(GroupWatcher(log, clock))
    return Store(target, log, cache, clock, options.read_only, key, keepers)


def store_name(path: Path) -> str:
    """The name a new store takes from its directory: letters, digits, `_`; never empty."""
    name = re.sub(r"[^a-z0-9_]+", "_", path.name.lower()).strip("_")
    return name if name and not name[0].isdigit() else f"store_{name}".rstrip("_")
