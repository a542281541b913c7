"""Exactly once under fire: a stream copied into a table while copiers and brokers die, stop and wait.

Whatever happens, the copy is the stream: nothing lost, nothing twice, in order; the consumer's
watermark and its group's offset agree, and a node built from the topics alone holds the same.
"""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.copier import COMMITTED, ENDING, OPEN
from support_copier import Copiers, KillAtEnd, SlowEnds, write_source
from support_kafka import Broker, StartKafka
from support_proxy import KafkaProxy
from support_topics import leader_of

import headwater

SEED = int(os.environ.get("HEADWATER_SEED", "20261123"))
CHANGES = int(os.environ.get("HEADWATER_KAFKA_CHANGES", "20000"))
KILLS = int(os.environ.get("HEADWATER_KAFKA_KILLS", "5"))
# So many kills must have fallen into each part of a commit.
EACH = 3

pytestmark = pytest.mark.crash


def test_a_stream_is_copied_once_whatever_dies_meanwhile(
    kafka_cluster: StartKafka,
    prefix: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    chance = random.Random(SEED)
    slow, killer = SlowEnds(SEED, long_s=7.0), KillAtEnd()
    with KafkaProxy() as proxy:
        cluster = kafka_cluster(overrides=proxy.advertised)
        proxy.before(cluster.ports[1])
        copiers = Copiers(tmp_path, cluster.bootstrap, prefix, timeout_s=5.0)
        with headwater.connect(copiers.target()) as db:
            expected = write_source(db, CHANGES, SEED)
        proxy.rules += [killer, slow.rule]
        proxy.delays.append(slow.delay)
        # Killed at random.
        for _ in range(KILLS):
            copier = copiers.start()
            copiers.hear(copier, chance.uniform(0.1, 0.8))
            copiers.kill(copier)
        # Killed where it matters, until each part of a commit was met often enough.
        while copiers.fell[OPEN] < EACH:
            copiers.bury(copiers.start(f"kafka.produced=kill@{chance.randint(1, 5)}"))
        while copiers.fell[COMMITTED] < EACH:
            copiers.bury(copiers.start(f"kafka.committed=kill@{chance.randint(1, 5)}"))
        ended = 0
        while copiers.fell[ENDING] < EACH or ended < 2:
            copier = copiers.start()
            copiers.hear(copier, 60, until="moved")
            ended += 1
            killer.arm(copier.pid, passed=ended % 2 == 1)
            copiers.bury(copier)
        copier = copiers.start()
        # ENDs and answers that come later than a commit waits; a pause; a broker that dies.
        for held in ({"requests": 1}, {"answers": 1}, {"requests": 1, "answers": 1}):
            copiers.hear(copier, 60, until="moved")
            slow.hold(**held)
            copiers.hear(copier, 60, until="moved")
        for _ in range(2):
            copiers.hear(copier, 60, until="moved")
            os.kill(copier.pid, signal.SIGSTOP)
            cluster.kill(1)
            os.kill(copier.pid, signal.SIGCONT)
            cluster.start_node(1)
            cluster.wait_ready()
            if copier.refused:
                copier = copiers.start()
        copiers.finish(copier)
        record_property("exactly once", f"seed {SEED}: {copiers.summary()}; {slow.held} ENDs late")
        copiers.check(expected)
    assert all(copiers.fell[part] >= EACH for part in (OPEN, ENDING, COMMITTED))
    assert slow.held >= 3


@pytest.mark.parametrize("place", ["kafka.produced", "kafka.before_commit", "kafka.committed"])
def test_a_copier_that_was_stopped_and_replaced_commits_nothing_more(
    place: str, kafka: Broker, prefix: str, tmp_path: Path
) -> None:
    copiers = Copiers(tmp_path, kafka.bootstrap, prefix)
    with headwater.connect(copiers.target()) as db:
        expected = write_source(db, 1000, SEED)
    zombie = copiers.start(f"{place}=stop@3", node="zombie")
    copiers.hear(zombie, 60, until="moved")
    copiers.hear(zombie, 60, until="moved")
    # It stops in its third commit; the group makes the other one the writer meanwhile.
    heir = copiers.start()
    copiers.hear(heir, 60, until="moved")
    os.kill(zombie.pid, signal.SIGCONT)
    copiers.hear(zombie, 60, until="refused")
    # As a replica it sends its commit to the new writer, which has moved that watermark since.
    assert zombie.refused == "E_WRITE_CONFLICT", zombie.said[-1:]
    zombie.process.join(60)
    copiers.finish(heir)
    copiers.check(expected)


def test_a_leader_that_is_killed_costs_the_copy_nothing(
    kafka_cluster: StartKafka, prefix: str, tmp_path: Path
) -> None:
    cluster = kafka_cluster(3)
    copiers = Copiers(tmp_path, cluster.bootstrap, prefix)
    with headwater.connect(copiers.target()) as db:
        expected = write_source(db, 4000, SEED)
    copier = copiers.start()
    for _ in range(2):
        copiers.hear(copier, 60, until="moved")
        leader = leader_of(cluster.bootstrap, f"{prefix}.public.copy")
        cluster.kill(leader)
        copiers.hear(copier, 60, until="moved")
        cluster.start_node(leader)
        cluster.wait_ready()
        if copier.refused:
            copier = copiers.start()
    copiers.finish(copier)
    copiers.check(expected)
