"""Topics whose last transaction ended without its markers, and what makes them readable again.

A broker that is killed right after a commit, and is back within its session, can lose the markers
of that commit (KAFKA-20734, docs/KAFKA.md): the coordinator holds it for ended, the records are
there, and who reads committed records stops in front of them for good. The next marker of the same
transactional id covers them. So a writer that finds such topics commits one record to each before
it does anything else: what it has written last is repeated, under a header that says so, and every
replica passes it over. Aborting that transaction would take the commit back, so it never is.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Final

from headwater.log_store.kafka_admin import Admin
from headwater.log_store.kafka_client import BrokerError, Cluster
from headwater.log_store.kafka_outcome import Step
from headwater.log_store.kafka_producer import TransactionalProducer
from headwater.log_store.kafka_reader import SETTLED, TopicReader
from headwater.log_store.kafka_records import Headers
from headwater.log_store.kafka_transaction import persist

_LOOK: Final = 0.02
# Markers are written after a commit is acknowledged: so long they may take.
_PATIENCE_S: Final = 1.5
_BACK: Final = 10
_SETTLE_KEY: Final = b"settled"


def stuck_topics(admin: Admin, names: Iterable[str]) -> dict[str, int]:
    """Topics that cannot be read to their ends, with these; nobody's transaction is open in them.

    Waits a moment for markers that are on their way.
    """
    topics = list(names)
    until = time.monotonic() + _PATIENCE_S
    while True:
        ends, readable = admin.ends(topics), admin.ends(topics, committed=True)
        stuck = {name: end for name, end in ends.items() if readable[name] < end}
        if not stuck or time.monotonic() > until:
            return stuck
        topics = list(stuck)
        time.sleep(_LOOK)


def settle(
    cluster: Cluster,
    producer: TransactionalProducer,
    stuck: Mapping[str, int],
    prefix: str,
    deadline: float,
) -> None:
    """Make these topics readable to their ends.

    Raises:
        Stopped: the broker refuses, or does not say what became of it.
    """
    records = _last(cluster, stuck, prefix, deadline)
    headers: Headers = [(SETTLED, b"")]
    persist(Step.BEGIN, deadline, lambda _: producer.begin())
    for topic in stuck:
        key, value = records.get(topic, (_SETTLE_KEY, None))
        producer.send(topic, key, value, 0, headers)
    persist(Step.COMMIT, deadline, producer.commit)


def _last(
    cluster: Cluster, stuck: Mapping[str, int], prefix: str, deadline: float
) -> dict[str, tuple[bytes, bytes | None]]:
    """The last record of each topic, whether it can be read as committed or not."""
    reader = TopicReader(cluster, f"{prefix}.settle", committed=False)
    found: dict[str, tuple[bytes, bytes | None]] = {}
    try:
        reader.add((topic, max(0, end - _BACK)) for topic, end in stuck.items())
        while any(reader.ends.get(topic, -1) < end for topic, end in stuck.items()):
            for message in reader.read(1000, _LOOK):
                found[message.topic() or ""] = message.key() or b"", message.value()
            if time.monotonic() > deadline:
                break
    except BrokerError:
        return found
    finally:
        reader.close()
    return found
