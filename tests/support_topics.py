"""A topic's life in three verbs: made, written in transactions, read as committed."""

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic


def create_topic(bootstrap: str, topic: str, replicas: int = 1) -> str:
    """A new topic of one partition."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    new = NewTopic(topic, num_partitions=1, replication_factor=replicas)
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
    """Every committed value of a topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": topic,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    values = list[bytes | None]()
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        while (message := consumer.poll(30)) is not None and message.error() is None:
            values.append(message.value())
    finally:
        consumer.close()
    return values
