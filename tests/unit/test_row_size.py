"""A row that the store's topics cannot take is refused by the statement that makes it."""

from collections.abc import Iterator

import pyarrow as pa
import pytest
from support_producer import committing, create, rows_of

from headwater.log_store.memory import MemoryLog
from headwater.producer.errors import RowTooLarge

MOST = 10_000


class SmallLog(MemoryLog):
    """A store in memory with a bound, as a cluster sets one."""

    @property
    def largest_change(self) -> int | None:
        return MOST


@pytest.fixture
def log() -> Iterator[SmallLog]:
    opened = SmallLog("shop")
    yield opened
    opened.close()


def test_a_row_is_refused_with_table_key_and_size_and_the_transaction_goes_on(
    log: SmallLog,
) -> None:
    orders = create(log)
    with committing(log) as tx:
        with (
            pytest.raises(RowTooLarge, match="orders.*id = 7 has .* bytes") as refused,
            tx.statement(),
        ):
            tx.insert(orders, [(7, "x" * MOST)])
        assert refused.value.row == {"id": 7}
        assert refused.value.size > MOST == refused.value.most
        tx.insert(orders, [(8, "y")])
    assert rows_of(log, orders) == [(8, "y")]


def test_an_update_counts_the_row_before_and_after(log: SmallLog) -> None:
    orders = create(log)
    with committing(log) as tx:
        tx.insert(orders, [(1, "x" * 6000)])
    with committing(log) as tx:
        with pytest.raises(RowTooLarge), tx.statement():
            tx.update(orders, [(1, (1, "y" * 6000))])
        tx.update(orders, [(1, (1, "y"))])
    assert rows_of(log, orders) == [(1, "y")]


@pytest.mark.parametrize("key", [("id",), ()])
def test_one_row_of_many_is_named(log: SmallLog, key: tuple[str, ...]) -> None:
    orders = create(log, key=key)
    names = ["x"] * 3000
    names[1234] = "x" * MOST
    data = pa.table({"id": pa.array(range(3000), pa.int64()), "name": pa.array(names)})
    with committing(log) as tx:
        with pytest.raises(RowTooLarge) as refused, tx.statement():
            tx.insert_columns(orders, data)
        with pytest.raises(RowTooLarge), tx.statement():
            tx.insert(orders, [(at, "x" * (MOST if at == 2000 else 1)) for at in range(3000)])
        with pytest.raises(RowTooLarge), tx.statement():
            tx.insert(orders, [(1, "a"), (2, "x" * MOST)])
    assert refused.value.row == ({"id": 1234} if key else 1235)
    assert rows_of(log, orders) == []


def test_a_row_may_be_as_large_as_the_bound(log: SmallLog) -> None:
    orders = create(log, key=())
    # The image is the text, two bytes of its length, and an int of one byte, each behind a branch.
    with committing(log) as tx:
        tx.insert(orders, [(1, "x" * (MOST - 10))])
    assert len(rows_of(log, orders)) == 1
