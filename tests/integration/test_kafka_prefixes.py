"""Two prefixes on one cluster: what one writes is a table of the other, changes, streams and all."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support_kafka import Broker
from support_rebuild import assert_rebuilt

import headwater
from headwater.ops.api import Database
from headwater.producer.errors import TableReadOnly

COLUMNS = {"id": "INT", "v": "VARCHAR", "amount": "DECIMAL(10,2)"}


@pytest.fixture
def shops(kafka: Broker, prefix: str, tmp_path: Path) -> Iterator[tuple[Database, Database]]:
    """Two stores, each with its own writer."""
    with (
        headwater.connect(f"kafka://{kafka.bootstrap}/{prefix}?dir={tmp_path / 'one'}") as one,
        headwater.connect(f"kafka://{kafka.bootstrap}/{prefix}x?dir={tmp_path / 'two'}") as other,
    ):
        one.create_table("orders", COLUMNS, key="id")
        yield one, other


def schemas_of(db: Database, table: str) -> Callable[[int], str]:
    """What the embedded registry of a store says of a table's events."""
    return lambda wanted: next(
        one.text for one in db.table(table).event_schemas() if one.id == wanted
    )


def rows(db: Database, table: str) -> list[tuple[object, ...]]:
    return sorted(tuple(row[name] for name in COLUMNS) for row in db.table(table).rows())


def test_a_second_prefix_reads_the_first_ones_topic_as_a_table(
    shops: tuple[Database, Database],
) -> None:
    one, other = shops
    orders = one.table("orders")
    orders.insert([{"id": n, "v": f"v{n}", "amount": f"{n}.50"} for n in range(50)])
    orders.update(key=3, set={"v": "changed"})
    orders.delete(key=4)
    orders.update(key=5, set={"id": 500})
    feeding = other.adopt("theirs", orders.topic, schemas=schemas_of(one, "orders"))
    feeding.catch_up()
    assert rows(other, "theirs") == rows(one, "orders")
    other.create_stream("s", on="theirs")
    orders.update(key=6, set={"v": "later"})
    orders.insert({"id": 99, "v": "new", "amount": "1.00"})
    feeding.catch_up()
    actions = other.stream("s").arrow()["METADATA$ACTION"].to_pylist()
    assert actions == ["DELETE", "INSERT", "INSERT"]
    with pytest.raises(TableReadOnly):
        other.table("theirs").insert({"id": 1})
    # Going on after a restart of the reading side repeats nothing.
    feeding.close()
    again = other.adoption("theirs", schemas=schemas_of(one, "orders"))
    orders.delete(key=7)
    again.catch_up()
    assert rows(other, "theirs") == rows(one, "orders")
    again.close()
    assert_rebuilt(one)
    assert_rebuilt(other)
