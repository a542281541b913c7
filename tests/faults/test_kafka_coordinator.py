"""A coordinator that is not there yet, or not there any more, costs an answer and no process."""

import multiprocessing
import os
import time

import pytest
from faults.group_asker import ask, meet
from support_kafka import StartKafka
from support_proxy import KafkaProxy, refuse_offset_fetch
from support_topics import create_topic

from headwater.log_store.kafka_admin import Admin
from headwater.log_store.kafka_client import BrokerError, Cluster

NEW = int(os.environ.get("HEADWATER_NEW_BROKERS", "3"))
_CONTEXT = multiprocessing.get_context("spawn")

pytestmark = pytest.mark.crash


def test_a_coordinator_that_has_moved_does_not_end_the_process(
    kafka_cluster: StartKafka, prefix: str
) -> None:
    """An administrator that asks is ended by this answer (confluentinc/librdkafka#5040)."""
    group = f"{prefix}.group"
    rule, asked = refuse_offset_fetch(group, times=2)
    with KafkaProxy() as proxy:
        cluster = kafka_cluster(overrides=proxy.advertised)
        proxy.before(cluster.ports[1])
        topic = create_topic(cluster.bootstrap, prefix)
        proxy.rules.append(rule)
        asking = _CONTEXT.Process(target=ask, args=(cluster.bootstrap, group, topic))
        asking.start()
        asking.join(60)
    assert asking.exitcode == 0, "the process died"
    assert len(asked) == 2, "the answer was not met"


@pytest.mark.parametrize("number", range(NEW))
def test_the_first_question_to_a_new_cluster_does_not_end_the_process(
    number: int, kafka_cluster: StartKafka, prefix: str
) -> None:
    cluster = kafka_cluster()
    asking = _CONTEXT.Process(target=meet, args=(cluster.bootstrap, f"{prefix}.writer", "none"))
    asking.start()
    asking.join(60)
    assert asking.exitcode == 0, f"the process died, try {number}"


def test_an_administrator_outlives_the_death_of_its_broker(
    kafka_cluster: StartKafka, prefix: str
) -> None:
    """The driver would go on asking with the leader's old epoch, and be refused for ever."""
    cluster = kafka_cluster()
    topic = create_topic(cluster.bootstrap, prefix)
    admin = Admin(Cluster(brokers=cluster.bootstrap))
    admin.await_topics([topic])
    assert admin.ends([topic]) == {topic: 0}
    cluster.kill()
    cluster.start_node()
    cluster.wait_ready()
    until = time.monotonic() + 8
    while True:
        try:
            assert admin.ends([topic]) == {topic: 0}
            return
        except BrokerError:
            # It may not have met the new process yet; a writer that recovers tries again too.
            if time.monotonic() > until:
                raise
            continue
