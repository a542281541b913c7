"""What every test of a whole store ends in: all that follows from the log, rebuilt and compared."""

from support_kafka_log import assert_rebuilt_from_topics

from headwater.log_store.kafka import KafkaLog
from headwater.log_store.kafka_node import KafkaNode
from headwater.log_store.rocks import RocksLog
from headwater.ops.api import Database


def assert_rebuilt(db: Database) -> None:
    """Rows, keys, versions and watermarks are those that the log alone gives.

    The memory store keeps nothing beside its log that could differ. A store on Kafka is closed, and
    compared with a node that is built from the topics alone.
    """
    log = db.session.log
    if isinstance(log, RocksLog):
        assert log.verify_derived() == []
    if isinstance(log, KafkaLog | KafkaNode):
        assert_rebuilt_from_topics(log)
