"""A consumer that knows nothing of Headwater: Kafka's client, an Avro library, the board's topic.

`python -m examples.flights.stock BROKERS TOPIC GROUP SCHEMAS` reads committed records from the
topic's start until its standard input ends, then on to the topic's end, and prints what it counted.
"""

import json
import select
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final, Self, cast

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from examples.flights.board import FLIGHTS
from examples.flights.holder import Job
from examples.readers.read_table import decode, schemas

_MEANS: Final = {"c": "inserts", "r": "inserts", "u": "updates", "d": "deletes"}
_WAIT_S: Final = 0.2
_END_S: Final = 300


class StockFailed(Exception):
    """The consumer ended by itself; its last words are in the message."""


class Stock:
    """The consumer as its parent sees it. Leaving the `with` block ends it."""

    def __init__(self, job: Job) -> None:
        self.topic = f"{job.prefix}.public.{FLIGHTS}"
        self.group = f"{job.prefix}-display"
        words = (job.brokers, self.topic, self.group, str(job.schemas))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "examples.flights.stock", *words],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def finish(self) -> dict[str, int]:
        """Let it read to the end; what it counted.

        Raises:
            StockFailed: it ended with an error.
        """
        said, failed = self._process.communicate(timeout=_END_S)
        if self._process.returncode:
            raise StockFailed(f"the stock consumer: {failed.strip()}")
        return cast("dict[str, int]", json.loads(said))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


class Count:
    """What went by, and what each key's last image says of delay."""

    def __init__(self, file: Path) -> None:
        self._known = schemas(file)
        self._late: dict[bytes, int] = {}
        self._seen = Counter[str]()

    def take(self, message: Message) -> None:
        """One record of the topic."""
        key, value = message.key(), message.value()
        assert isinstance(key, bytes), "every event has a key"
        if value is None:
            self._seen["tombstones"] += 1
            return
        event = decode(self._known, value)
        self._seen[_MEANS[str(event["op"])]] += 1
        if event["op"] == "d":
            del self._late[key]
            return
        after = cast("dict[str, object]", event["after"])
        self._late[key] = max(cast("int | None", after["arr_delay"]) or 0, 0)

    def result(self) -> dict[str, int]:
        """The counts, by the names that `figures.counted` has for them."""
        names = ("inserts", "updates", "deletes", "tombstones")
        counts = {name: self._seen[name] for name in names}
        ends = {"rows at the end": len(self._late), "late minutes": sum(self._late.values())}
        return counts | ends


def read(brokers: str, topic: str, group: str, count: Count) -> None:
    """Read on while the parent wants it, then to where the topic ends."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            # Rows of a commit that is still open, or that was given up, are never seen.
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
    )
    consumer.subscribe([topic])
    end, reached = None, 0
    try:
        while end is None or reached < end:
            for message in consumer.consume(2_000, _WAIT_S):
                error, at = message.error(), message.offset() or 0
                if error is None:
                    count.take(message)
                    reached = at + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    reached = at  # past the markers that end transactions
                else:
                    sys.exit(f"{topic}: {error}")
            if end is None and select.select([sys.stdin], [], [], 0)[0]:
                # Nobody writes any more: where the topic ends now is its end.
                end = consumer.get_watermark_offsets(TopicPartition(topic, 0), 30)[1]
    finally:
        consumer.close()


if __name__ == "__main__":
    counting = Count(Path(sys.argv[4]))
    read(sys.argv[1], sys.argv[2], sys.argv[3], counting)
    print(json.dumps(counting.result()))
