"""A Kafka in a container, as users' machines take it for tests: real, and gone afterwards."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from support_docker import without_docker
from support_kafka_container import KafkaContainer, NoDocker
from support_kafka_log import assert_rebuilt_from_topics, open_kafka
from support_log import insert, make_table, update, write
from support_topics import committed, create_topic, transactional

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def container() -> Iterator[KafkaContainer]:
    """One broker for this module."""
    try:
        started = KafkaContainer().start()
    except NoDocker as error:
        without_docker(str(error))
    yield started
    started.stop()


def test_a_zombie_is_fenced_and_nothing_that_was_aborted_is_seen(
    container: KafkaContainer, prefix: str
) -> None:
    topic = create_topic(container.bootstrap(), prefix)
    zombie = transactional(container.bootstrap(), prefix)
    zombie.begin_transaction()
    zombie.produce(topic, b"zombie")
    zombie.flush(30)
    successor = transactional(container.bootstrap(), prefix)
    successor.begin_transaction()
    successor.produce(topic, b"kept")
    successor.commit_transaction()

    with pytest.raises(KafkaException) as refused:
        zombie.commit_transaction()

    assert refused.value.args[0].fatal()
    assert committed(container.bootstrap(), topic) == [b"kept"]


def test_a_store_in_it_is_rebuilt_from_its_topics_also_after_a_pause(
    container: KafkaContainer, prefix: str, tmp_path: Path
) -> None:
    log = open_kafka(tmp_path / "one", container.bootstrap(), prefix)
    table = make_table(log)
    write(log, table, insert(table, 1, (1, "a")))
    container.pause()
    container.resume()
    write(log, table, update(table, 1, (1, "a"), (1, "b"), 1))

    assert_rebuilt_from_topics(log)


def test_an_image_that_holds_no_kafka_is_told_with_its_log_and_leaves_no_container(
    container: KafkaContainer,
) -> None:
    def running() -> set[str]:
        listed = subprocess.run(
            ["docker", "ps", "--all", "--quiet"], check=True, capture_output=True, text=True
        )
        return set(listed.stdout.split())

    before = running()

    with pytest.raises(TimeoutError, match="/etc/kafka/docker/run"):
        KafkaContainer("headwater-local/base").start()

    assert running() == before


def test_an_image_that_is_nowhere_is_no_docker_rather_than_a_broken_test() -> None:
    with pytest.raises(NoDocker, match="headwater-local/nowhere"):
        KafkaContainer("headwater-local/nowhere").start()
