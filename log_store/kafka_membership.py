"""Which node of a prefix is to write, as Kafka's own group membership says it.

All nodes that may write are members of one group that subscribes to a topic of one partition: whom
the partition is assigned to is the writer. The assignment is sticky, so a node that joins takes
nothing away. A member that is dead or stopped is left out after SESSION_MS; one that leaves, at once.

The group is of the classic protocol: with the newer one the session's length is the brokers' affair.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from confluent_kafka import OFFSET_END, Consumer, KafkaException, TopicPartition

from headwater.log_store.kafka_client import Cluster
from headwater.log_store.kafka_role import Event

SESSION_MS: Final = 6000
_HEARTBEAT_MS: Final = 500
_POLL_S: Final = 0.2
_PAUSE_S: Final = 2.0
_log = logging.getLogger("headwater")


class Membership:
    """A member of the group until closed. `tell` is called on the member's own thread."""

    def __init__(
        self, cluster: Cluster, group: str, topic: str, node: str, tell: Callable[[Event], None]
    ) -> None:
        self._topic, self._tell = topic, tell
        self._config = cluster.config() | {
            "client.id": f"headwater-{node}",
            "group.id": group,
            "session.timeout.ms": SESSION_MS,
            "heartbeat.interval.ms": _HEARTBEAT_MS,
            "partition.assignment.strategy": "cooperative-sticky",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "latest",
        }
        self._have = False
        self._closing = threading.Event()
        self._again = threading.Event()
        self._thread = threading.Thread(target=self._run, name="headwater-membership", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._again.clear()
            try:
                self._serve()
            except KafkaException as error:
                _log.warning("the group of nodes cannot be joined: %s", error)
            if self._have:
                self._withdrawn()
            self._closing.wait(_PAUSE_S)

    def _serve(self) -> None:
        consumer = Consumer(self._config)
        try:
            consumer.subscribe(
                [self._topic], on_assign=self._given, on_revoke=self._taken, on_lost=self._taken
            )
            while not (self._closing.is_set() or self._again.is_set()):
                message = consumer.poll(_POLL_S)
                error = None if message is None else message.error()
                if error is not None and error.fatal():
                    raise KafkaException(error)
        finally:
            consumer.close()

    def _given(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        if not places:
            return
        own = [TopicPartition(place.topic, place.partition, OFFSET_END) for place in places]
        consumer.incremental_assign(own)
        # Membership is all that is wanted: who reads the topic reads it by position.
        consumer.pause(own)
        self._have = True
        self._tell(Event.GIVEN)

    def _taken(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        if places:
            self._withdrawn()

    def _withdrawn(self) -> None:
        self._have = False
        self._tell(Event.WITHDRAWN)

    def rejoin(self) -> None:
        """Leave, and join again after a while."""
        self._again.set()

    def close(self) -> None:
        """Leave: another member is told at its next heartbeat."""
        self._closing.set()
        self._thread.join()
