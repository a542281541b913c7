"""What a node says to other nodes: records of no transaction, sent at once, in order."""

from collections.abc import Callable
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from headwater.log_store.kafka_client import Cluster, raise_fault

_PATIENCE_S: Final = 0.05


class Voice:
    """Produces for any number of threads, until closed."""

    def __init__(self, cluster: Cluster, timeout_s: float) -> None:
        config = cluster.config() | {
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 0,
            "compression.type": "lz4",
            "message.timeout.ms": int(timeout_s * 1000),
            "retry.backoff.ms": 10,
            "retry.backoff.max.ms": 100,
            "queue.buffering.max.kbytes": 65_536,
        }
        try:
            self._producer = Producer(config)
        except KafkaException as error:
            raise_fault("make a producer", error)

    def say(
        self, topic: str, key: bytes, value: bytes, told: Callable[[int], None] | None = None
    ) -> None:
        """Send a record; `told` gets its offset, or -1 if nobody took it.

        Raises:
            BrokerError: it cannot even be sent.
        """

        def delivered(error: KafkaError | None, message: Message) -> None:
            offset = message.offset()
            if told is not None:
                told(-1 if error is not None or offset is None else offset)

        while True:
            try:
                self._producer.produce(topic, value, key, 0, on_delivery=delivered)
            except BufferError:
                self._producer.poll(_PATIENCE_S)
                continue
            except KafkaException as error:
                raise_fault(f"send to {topic}", error)
            self._producer.poll(0)
            return

    def listen(self) -> None:
        """Tell those who wait for it what was delivered meanwhile."""
        self._producer.poll(0)

    def close(self, timeout_s: float = 2.0) -> None:
        """Send what is left, as far as the brokers take it in that time."""
        self._producer.flush(timeout_s)
