"""A coordinator that is not there yet, or not there any more, costs an answer and no process."""

import multiprocessing
import os

import pytest
from faults.group_asker import ask, meet
from support_kafka import StartKafka
from support_proxy import KafkaProxy, refuse_offset_fetch
from support_topics import create_topic

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
