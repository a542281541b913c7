"""A topic's life in three verbs: made, written in transactions, read as committed."""

import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic


def create_topic(bootstrap: str, topic: str, replicas: int = 1, partitions: int = 1) -> str:
    """A new topic, of one partition unless told."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    new = NewTopic(topic, num_partitions=partitions, replication_factor=replicas)
    admin.create_topics([new])[topic].result(30)  # pyright: ignore[reportUnknownMemberType]
    return topic


def transactional(bootstrap: str, name: str) -> Producer:
    """A producer that has fenced whoever had its name before."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "transactional.id": name, "retry.backoff.ms": 1}
    )
    producer.init_transactions(30)
    return producer


def committed(bootstrap: str, topic: str) -> list[bytes | None]:
    """Every committed value of a topic, as far as it reached when this was called.

    A commit is acknowledged before its markers stand in the topics, so the end is the last
    message of anybody, and a reader is there when its position is, past markers too.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": topic,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    values, here = list[bytes | None](), TopicPartition(topic, 0, 0)
    try:
        end = latest(bootstrap, topic)
        consumer.assign([here])
        while max(0, consumer.position([here])[0].offset) < end:
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                values.append(message.value())
    finally:
        consumer.close()
    return values


def latest(bootstrap: str, topic: str) -> int:
    """The offset after the last message, committed or not; waits for a leader."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": topic, "isolation.level": "read_uncommitted"}
    )
    here, end = TopicPartition(topic, 0), time.monotonic() + 60
    try:
        while True:
            try:
                return consumer.get_watermark_offsets(here, timeout=5)[1]
            except KafkaException:
                # The node that led was killed meanwhile: ask the next one.
                if time.monotonic() > end:
                    raise
                consumer.poll(0.2)
    finally:
        consumer.close()


def leader_of(bootstrap: str, topic: str) -> int:
    """The node that leads a topic's one partition."""
    told = AdminClient({"bootstrap.servers": bootstrap}).list_topics(topic, timeout=30)
    return told.topics[topic].partitions[0].leader
