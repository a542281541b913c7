"""Where a consumer group stands, asked as a member-less consumer of that group.

Never by an administrator: librdkafka follows a group's coordinator through the group of the client
that asks, and an administrator has none. `list_consumer_group_offsets` that meets NOT_COORDINATOR
or a coordinator that is not there yet (a new cluster, a broker that has just died) ends the whole
process with a segmentation fault (confluentinc/librdkafka#5040; seen with 2.16).
"""

from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from headwater.log_store.kafka_client import Cluster, raise_fault
from headwater.log_store.kafka_records import Position


def group_offsets(
    cluster: Cluster, group: str, topics: Iterable[str], timeout_s: float
) -> dict[str, Position]:
    """Where a group stands in the one partition of each topic; topics without an offset are left out.

    Joins nothing. Takes 50 ms and 5 ms of CPU, most of it for the connection.

    Raises:
        BrokerError: the cluster refuses, or does not say in time.
    """
    places = [TopicPartition(topic, 0) for topic in topics]
    what = f"ask where group {group} stands"
    config = cluster.config() | {
        "group.id": group,
        # Offsets of a transaction that is being ended are waited for.
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "retry.backoff.ms": 10,
        "retry.backoff.max.ms": 100,
    }
    try:
        consumer = Consumer(config)
    except KafkaException as error:
        raise_fault(what, error)
    try:
        told = consumer.committed(places, timeout_s)
    except KafkaException as error:
        raise_fault(what, error)
    finally:
        consumer.close()
    for place in told:
        if place.error is not None:
            raise_fault(what, KafkaException(place.error))
    return {
        place.topic: Position(place.topic, place.offset, place.metadata or "")
        for place in told
        if place.offset >= 0
    }
