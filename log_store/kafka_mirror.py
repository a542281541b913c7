"""Where a consumer's group stands in Kafka for the watermark it has here."""

from headwater.log_store.catalog import Catalog, ConsumerKind, ConsumerObject, StreamObject
from headwater.log_store.kafka_places import next_offset
from headwater.log_store.kafka_records import Mark
from headwater.log_store.records import Watermark
from headwater.log_store.rocks_store import Store


def mirror_of(store: Store, catalog: Catalog, mark: Watermark) -> Mark | None:
    """The watermark with its group's offset; None for what is no stream's consumer.

    A group that is a consumer itself (GROUP) is not moved: its offset is the truth.
    """
    consumer = catalog.get("consumer", mark.consumer)
    if not isinstance(consumer, ConsumerObject):
        return None
    stream = catalog.get("stream", consumer.stream)
    if not isinstance(stream, StreamObject):
        return None
    table = catalog.table(stream.table)
    # The initial rows are no records: a group that still has them to read stands at the base.
    version = mark.position if mark.position >= 0 else stream.base
    group = "" if consumer.reader is ConsumerKind.GROUP else consumer.group
    return Mark(mark, group, table.topic, next_offset(store, table.id, version))
