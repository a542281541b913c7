"""Exactly once under fire: the writer killed, stopped and fenced, the broker killed under it.

What was acknowledged is there, once, and no watermark moved without its effect: the checker looks
after each life, as a successor that has fenced the dead one, and a node that is built from the
topics alone comes to hold the same.
"""

import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.worker import Work
from support_crash import Crashes
from support_kafka import Broker, StartKafka
from support_kafka_log import assert_rebuilt_from_topics, open_kafka

from headwater.log_store import failpoints

HITS = int(os.environ.get("HEADWATER_FAILPOINT_HITS", "1"))
KILLS = int(os.environ.get("HEADWATER_KAFKA_KILLS", "5"))
SEED = int(os.environ.get("HEADWATER_SEED", "20261123"))
# The first commits make the worker's tables: these points are passed only there.
MAKING = {"kafka.intent", "kafka.topic_made"}
# Passed only while an empty replica is filled, and while history is let go:
# tests/integration/test_kafka_log.py and test_kafka_expiry.py.
ELSEWHERE = {
    "kafka.rebuilding",
    "kafka.base_unfinished",
    "kafka.base_durable",
    "kafka.before_delete",
    "kafka.deleted",
}
POINTS = sorted(n for n in failpoints.NAMES if n.startswith("kafka.") and n not in ELSEWHERE)

pytestmark = pytest.mark.crash


@pytest.fixture
def crashes(kafka: Broker, prefix: str, tmp_path: Path) -> Iterator[Crashes]:
    """A store on Kafka to live in; at the end the topics alone give what its replica holds."""
    replica = tmp_path / "replica"
    yield Crashes(replica, SEED, f"kafka://{kafka.bootstrap}/{prefix}?dir={replica}")
    assert_rebuilt_from_topics(open_kafka(tmp_path / "replica", kafka.bootstrap, prefix))


@pytest.mark.parametrize("hit", range(1, HITS + 1))
@pytest.mark.parametrize("name", POINTS)
def test_a_death_at_a_named_point_breaks_no_promise(name: str, hit: int, crashes: Crashes) -> None:
    if name not in MAKING:
        crashes.live(Work(path=crashes.target, seed=SEED + hit, operations=10))
    at = hit + 1 if name in MAKING else 3 * hit
    life = crashes.live(
        Work(path=crashes.target, seed=SEED, operations=100, failpoints=f"{name}=kill@{at}")
    )
    assert not life.done and not life.gave_up and life.exitcode == -9, f"{name} was never hit"
    # A successor finishes what was begun, and works on.
    life = crashes.live(Work(path=crashes.target, seed=SEED + 7, operations=10))
    assert life.done and not life.unknown
    crashes.check()


@pytest.mark.parametrize("name", ["kafka.produced", "kafka.before_commit", "kafka.committed"])
def test_an_error_at_a_named_point_is_answered_rightly(name: str, crashes: Crashes) -> None:
    work = Work(path=crashes.target, seed=SEED, operations=30, failpoints=f"{name}=error@20")
    life = crashes.live(work)
    if name == "kafka.committed":
        # It was committed, and that was found out.
        assert life.done and not life.unknown
        assert len(life.acked) == len(life.tried)
    else:
        assert "E_STORE_UNAVAILABLE" in life.unknown, life.unknown
    crashes.check()


def test_a_large_commit_that_dies_between_kafka_and_replica_is_read_back(crashes: Crashes) -> None:
    crashes.live(Work(path=crashes.target, seed=SEED, operations=10))
    work = Work(
        path=crashes.target,
        seed=SEED,
        operations=200,
        large=True,
        failpoints="large.published=kill@1",
    )
    life = crashes.live(work)
    assert not life.done and life.exitcode == -9, "no large commit was met"
    crashes.check()


def test_no_kill_loses_doubles_or_tears_a_commit(crashes: Crashes) -> None:
    chance = random.Random(SEED)
    for _ in range(KILLS):
        work = Work(
            path=crashes.target,
            seed=chance.randrange(1 << 30),
            threads=chance.choice((1, 4)),
        )
        life = crashes.live(work, after_s=chance.uniform(0.1, 1.5))
        assert not life.unknown, life.unknown
        crashes.check()


def test_a_broker_killed_under_the_writer_loses_nothing(
    kafka_cluster: StartKafka, prefix: str, tmp_path: Path
) -> None:
    cluster = kafka_cluster()
    replica = tmp_path / "replica"
    target = f"kafka://{cluster.bootstrap}/{prefix}?dir={replica}"
    crashes = Crashes(replica, SEED, target)
    crashes.live(Work(path=target, seed=SEED, operations=5))
    working = threading.Thread(
        target=crashes.live, args=(Work(path=target, seed=SEED + 1, operations=150),)
    )
    working.start()
    # The node belongs to this thread and dies with it.
    for _ in range(2):
        working.join(2.0)
        cluster.kill(1)
        cluster.start_node(1)
        cluster.wait_ready()
    working.join()
    life = crashes.lives[-1]
    assert life.done and not life.unknown, life.unknown
    crashes.check()
    log = open_kafka(replica, cluster.bootstrap, prefix)
    assert_rebuilt_from_topics(log)
