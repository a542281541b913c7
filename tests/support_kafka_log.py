"""A store on the session's Kafka, and its end: an empty node rebuilt from the topics alone."""

import tempfile
from pathlib import Path

from support_clock import Clock

from headwater.log_store import rocks_keys as keys
from headwater.log_store.encoding import decode_block, decode_version
from headwater.log_store.kafka import KafkaLog, KafkaOptions
from headwater.log_store.kafka_client import Cluster
from headwater.log_store.kafka_node import KafkaNode
from headwater.log_store.rocks_store import Store, StoreSettings

SMALL = StoreSettings(write_buffer=4 << 20, block_cache=1 << 20)


def open_kafka(
    path: Path,
    bootstrap: str,
    prefix: str,
    *,
    clock: Clock | None = None,
    create: bool = True,
    timeout_s: float = 30.0,
    groups_within: int = 16,
) -> KafkaLog:
    """A log at a prefix, with its replica in that directory."""
    return KafkaLog(
        KafkaOptions(
            path=path,
            prefix=prefix,
            cluster=Cluster(brokers=bootstrap),
            create=create,
            timeout_s=timeout_s,
            groups_within=groups_within,
            clock=clock or Clock(),
        )
    )


def contents(path: Path) -> dict[str, dict[bytes, bytes]]:
    """All that a closed replica holds, but how events are cut into chunks."""
    with Store(path / "store", SMALL) as store:
        found: dict[str, dict[bytes, bytes]] = {}
        for family in keys.FAMILIES:
            if family == "meta":
                continue
            held = found[family] = {}
            # Of `snap` the base and the anchor: kept snapshots are a cache.
            start = b"\x03" if family == "snap" else b""
            for pairs in store.chunks(family, start, b"\xff" * 80):
                for key, value in pairs:
                    _put(family, held, key, value)
        held = found["places"] = {}
        for pairs in store.chunks("meta", b"at/", b"at0"):
            held |= dict(pairs)
        return found


def _put(family: str, held: dict[bytes, bytes], key: bytes, value: bytes) -> None:
    if family == "log":
        block = decode_block(0, value)
        held[key[:12]] = held.get(key[:12], b"") + block.data
    elif family == "versions":
        table, version = int.from_bytes(key[:4], "big"), int.from_bytes(key[4:], "big")
        row = decode_version(table, version, value)
        held[key] = repr((row, 0)).replace(f"chunks={row.chunks}", "").encode()
    else:
        held[key] = value


def assert_rebuilt_from_topics(log: KafkaLog | KafkaNode) -> None:
    """Close the log; a node that has nothing but the topics comes to hold the same."""
    log.close()
    assert_topics_give(log.path, log.cluster.brokers, log.name)


def assert_topics_give(path: Path, brokers: str, prefix: str) -> None:
    """A node that has nothing but the topics comes to hold what a closed replica holds."""
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "other"
        rebuilt = open_kafka(other, brokers, prefix, create=False)
        try:
            assert rebuilt.verify_derived() == []
            rebuilt.verify()
        finally:
            rebuilt.close()
        ours, theirs = contents(path), contents(other)
        for family, held in ours.items():
            assert held == theirs[family], family
