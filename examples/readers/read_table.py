"""Print a table's current rows from its topic alone, with Kafka's client and an Avro library.

headwater table avro orders --format jsonl > orders.avro.jsonl
python read_table.py localhost:9092 shop.public.orders orders.avro.jsonl
"""

import io
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import fastavro
from confluent_kafka import Consumer, Message, TopicPartition
from fastavro.types import Schema

Record: TypeAlias = dict[str, object]


def schemas(file: Path) -> dict[int, Schema]:
    """The schemas that `headwater table avro` printed, by their ids."""
    lines = map(json.loads, file.read_text().splitlines())
    return {line["id"]: fastavro.parse_schema(json.loads(line["schema"])) for line in lines}


def decode(known: dict[int, Schema], message: bytes) -> Record:
    """A key or a value: one zero byte, the schema's id in four, then Avro."""
    magic, schema_id = struct.unpack_from(">BI", message)
    if magic:
        raise ValueError(f"framing {magic} is not known")
    body = io.BytesIO(message[5:])
    found = fastavro.schemaless_reader(body, known[schema_id], None)  # pyright: ignore[reportUnknownMemberType]
    assert isinstance(found, dict)
    return found


def messages(brokers: str, topic: str) -> Iterator[Message]:
    """Everything that is committed in the topic's one partition, from its start to its end."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "read-table",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            # Rows of a commit that is still open, or that was given up, are never seen.
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        while (message := consumer.poll(30)) is not None and message.error() is None:
            yield message
    finally:
        consumer.close()


def rows(brokers: str, topic: str, known: dict[int, Schema]) -> list[Record]:
    """The rows as of the topic's end: the last image of each key that was not deleted."""
    found: dict[bytes, Record] = {}
    for message in messages(brokers, topic):
        key, value = message.key(), message.value()
        assert key is not None
        if value is None:
            continue  # the tombstone after a delete: for compaction, it says nothing new
        event = decode(known, value)
        if event["op"] == "d":
            found.pop(key, None)
        else:
            after = event["after"]
            assert isinstance(after, dict)
            found[key] = after
    return list(found.values())


if __name__ == "__main__":
    for row in rows(sys.argv[1], sys.argv[2], schemas(Path(sys.argv[3]))):
        print(json.dumps(row, default=str))
