"""Readers that know nothing of Headwater, on a table's topic: what they see is what we show."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import cast

import pytest
from confluent_kafka import Consumer, Message
from fastavro.types import Schema
from support_clock import Clock
from support_kafka import Broker

import headwater
from examples.broker.jars import NoJava, java, reader
from examples.readers import read_table

PAGE = Path(__file__).parents[2] / "docs" / "EVENTS.md"
EXAMPLES = Path(read_table.__file__).parent
COLUMNS = {"order_id": "INT", "amount": "DECIMAL(10,2)", "status": "VARCHAR"}


@pytest.fixture
def shop(kafka: Broker, prefix: str, tmp_path: Path) -> Iterator[headwater.Database]:
    """The page's story: inserts, an update, a key that changes, a delete, a column more."""
    target = f"kafka://{kafka.bootstrap}/{prefix}?dir={tmp_path / 'node'}"
    with headwater.connect(target, clock=Clock()) as db:
        orders = db.create_table("orders", COLUMNS, key="order_id")
        orders.insert([(1, "12.50", "new"), (2, "99.00", "new"), (3, None, "new")])
        orders.update(key=1, set={"status": "shipped"})
        orders.update(key=2, set={"order_id": 20})
        orders.delete(key=3)
        yield db


@pytest.fixture
def schema_file(shop: headwater.Database, tmp_path: Path) -> Path:
    """What `headwater table avro orders --format jsonl` prints."""
    file = tmp_path / "orders.avro.jsonl"
    told = [
        {"id": one.id, "subject": one.subject, "version": one.version, "schema": one.text}
        for one in shop.table("orders").event_schemas()
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in told))
    return file


def records(kafka: Broker, topic: str) -> list[Message]:
    """Everything committed in a topic, through a plain consumer."""
    return list(read_table.messages(kafka.bootstrap, topic))


def plain_rows(db: headwater.Database) -> list[tuple[object, ...]]:
    """The table's own rows, in key order."""
    return in_order(tuple(row.values()) for row in db.table("orders").rows())


def in_order(rows: Iterable[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return sorted(rows, key=lambda row: int(str(row[0])))


def more(db: headwater.Database) -> None:
    """What readers find hard: swapped keys, a truncate, a row that comes back, a commit undone."""
    orders = db.table("orders")
    orders.insert([(n, f"{n}.25", "new") for n in range(100, 400)])
    with db.transaction() as tx:
        tx.update("orders", key=100, set={"order_id": -1})
        tx.update("orders", key=101, set={"order_id": 100})
        tx.update("orders", key=-1, set={"order_id": 101})
    with pytest.raises(ZeroDivisionError), db.transaction() as tx:
        tx.insert("orders", [(999, "0.01", "never")])
        raise ZeroDivisionError
    orders.delete(where={"order_id": 200})
    orders.insert([(200, None, "back")])
    orders.update(where={"status": "new"}, set={"status": "née ü"})


def test_the_page_shows_the_records_of_its_story(
    kafka: Broker, shop: headwater.Database, prefix: str, schema_file: Path
) -> None:
    known = read_table.schemas(schema_file)
    found = [shown(known, message) for message in records(kafka, f"{prefix}.public.orders")]
    assert block("records") == "".join(found)


def test_the_page_shows_a_whole_event(
    kafka: Broker, shop: headwater.Database, prefix: str, schema_file: Path
) -> None:
    known = read_table.schemas(schema_file)
    update = records(kafka, f"{prefix}.public.orders")[3].value()
    assert update is not None
    event = read_table.decode(known, update)
    text = json.dumps(event, indent=2, default=str).replace(prefix, "shop")
    assert block("event") == settled(text) + "\n"


def shown(known: dict[int, Schema], message: Message) -> str:
    """A record as the page shows it: place, key, what became of the row, headers."""
    key, value = message.key(), message.value()
    assert key is not None
    headers = [f"{name}: {text}" for name, text in headers_of(message)]
    parts = [f"{message.offset()}", json.dumps(read_table.decode(known, key))]
    if value is None:
        parts.append("tombstone")
    else:
        event = read_table.decode(known, value)
        parts += [str(event["op"]), f"{image(event['before'])} -> {image(event['after'])}"]
    return "  ".join([*parts, *headers]) + "\n"


def headers_of(message: Message) -> list[tuple[str, str]]:
    # The stubs know headers in three shapes; a message that was read has them as pairs.
    pairs = cast(list[tuple[str, bytes]], message.headers() or [])
    return [(name, text.decode()) for name, text in pairs]


def image(row: object) -> str:
    return json.dumps(row, default=str)


def settled(text: str) -> str:
    """With times and the commit's id as the page has them: they differ from run to run."""
    text = re.sub(r"\b17\d{14}\b", "1760000012000000", text)
    text = re.sub(r"\b17\d{11}\b", "1760000012000", text)
    return re.sub(r'"id": "[^"]+"', '"id": "0199c2a8-4d1e-7c55-9a3f-2b8e51d0c7f4"', text)


def test_the_pages_python_reader_finds_the_rows_that_we_show(
    kafka: Broker, shop: headwater.Database, prefix: str, schema_file: Path
) -> None:
    more(shop)
    known = read_table.schemas(schema_file)
    found = read_table.rows(kafka.bootstrap, f"{prefix}.public.orders", known)
    assert plain_rows(shop) == in_order(tuple(row.values()) for row in found)


def test_a_java_consumer_finds_the_rows_that_we_show(
    kafka: Broker, shop: headwater.Database, prefix: str, schema_file: Path
) -> None:
    more(shop)
    try:
        jars, program = reader(), java()
    except NoJava as error:
        if os.environ.get("HEADWATER_REQUIRE_KAFKA"):
            raise
        pytest.skip(str(error))
    ran = subprocess.run(
        [
            str(program),
            "-cp",
            f"{jars}/*",
            str(EXAMPLES / "ReadTable.java"),
            kafka.bootstrap,
            f"{prefix}.public.orders",
            str(schema_file),
        ],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=120,
        env={**os.environ, "JAVA_TOOL_OPTIONS": "-Dfile.encoding=UTF-8 -Dstdout.encoding=UTF-8"},
    )
    assert ran.returncode == 0, ran.stderr
    found = [json.loads(line) for line in ran.stdout.splitlines()]
    assert plain_rows(shop) == in_order(
        (row["order_id"], decimal_of(row["amount"]), row["status"]) for row in found
    )


def decimal_of(text: str | None) -> Decimal | None:
    """An Avro decimal as Java's generic record prints it: a byte a character."""
    if text is None:
        return None
    unscaled = int.from_bytes(text.encode("latin-1"), "big", signed=True)
    return Decimal(unscaled).scaleb(-2)


def test_kcat_sees_the_same_records(kafka: Broker, shop: headwater.Database, prefix: str) -> None:
    program = shutil.which("kcat")
    if program is None:
        pytest.skip("no kcat on this machine: apt install kcat")
    topic = f"{prefix}.public.orders"
    command = [program, "-C", "-e", "-q", "-b", kafka.bootstrap, "-t", topic]
    command += ["-X", "isolation.level=read_committed", "-f", "%o %S %T %h\\n"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    seen = [line.split(" ", 3) for line in ran.stdout.splitlines()]
    expected = [
        (
            message.offset(),
            -1 if (value := message.value()) is None else len(value),
            message.timestamp()[1],
            ",".join(f"{name}={text}" for name, text in headers_of(message)),
        )
        for message in records(kafka, topic)
    ]
    assert [(int(o), int(s), int(t), h) for o, s, t, h in seen] == expected


def test_a_plain_group_sees_each_committed_event_once_however_often_it_dies(
    kafka: Broker, shop: headwater.Database, prefix: str
) -> None:
    more(shop)
    topic = f"{prefix}.public.orders"
    every = [message.offset() for message in records(kafka, topic)]
    seen: list[int | None] = []
    while len(seen) < len(every):
        # Each of them takes part, reads a while, says how far it came and is gone.
        consumer = Consumer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "group.id": f"{prefix}-readers",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        consumer.subscribe([topic])
        took = list(islice(polled(consumer), min(150, len(every) - len(seen))))
        seen += [message.offset() for message in took]
        consumer.commit(message=took[-1], asynchronous=False)
        consumer.close()
    assert seen == every


def polled(consumer: Consumer) -> Iterator[Message]:
    while (message := consumer.poll(30)) is not None:
        assert message.error() is None
        yield message


def test_the_schemas_of_the_page_are_those_of_the_table(
    shop: headwater.Database, prefix: str
) -> None:
    texts = [one.text for one in shop.table("orders").event_schemas()]
    shown = [json.loads(text.replace(prefix, "shop")) for text in texts]
    assert [json.loads(block("key")), json.loads(block("value"))] in (shown, shown[::-1])


def block(name: str) -> str:
    """What stands in the page's block of that name."""
    found = re.search(rf"<!-- {name} -->\n```\w*\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None, f"{PAGE.name} has no block {name}"
    return found[1]
