"""Bulk writes: many rows per statement, found again by later statements, undone, spooled."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from support_producer import (
    ORDERS,
    committing,
    create,
    current,
    events_of,
    ids_of,
    insert,
    rows_of,
    seen_by,
    spec,
)

from headwater.log_store.changes import Columns
from headwater.log_store.errors import StoreUnavailable, WriteConflict
from headwater.log_store.port import Log
from headwater.producer import ddl, spool, staging, sweep
from headwater.producer.bulk_update import update_columns
from headwater.producer.errors import DuplicateKey, NotFound, RowExists, RowNotFound, RowTwice
from headwater.producer.keyhash import HashIndex, hash_keys, repeated
from headwater.producer.transaction import Transaction


@pytest.fixture(params=["in memory", "spooled"])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of a few rows, so that small tables cross their borders; on disk at once, too."""
    monkeypatch.setattr("headwater.producer.bulk.RUN_ROWS", 7)
    monkeypatch.setattr("headwater.producer.bulk.FEW", 0)
    monkeypatch.setattr(sweep, "PART_ROWS", 5)
    monkeypatch.setattr(staging, "FEW", 3)
    if request.param == "spooled":
        monkeypatch.setattr(spool, "IN_MEMORY", 0)


pytestmark = pytest.mark.usefixtures("small")


def table_of(ids: range | list[int], prefix: str = "n") -> pa.Table:
    """Orders with these ids."""
    return pa.table(
        {"id": pa.array(ids, pa.int64()), "name": pa.array([f"{prefix}{i}" for i in ids])}
    )


def test_many_rows_arrive_in_order_under_dense_row_ids(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        assert tx.insert_columns(orders, table_of(range(20))) == 20
        assert ids_of(tx, orders) == list(range(1, 21))
        assert tx.row_by_key(orders, (13,)) == (14, (13, "n13"))
        assert tx.row(orders, 20) == (19, "n19")
        assert tx.row_by_key(orders, (20,)) is None
    assert rows_of(log, orders) == [(i, f"n{i}") for i in range(20)]
    assert events_of(log, orders, 1) == [("c", i, 0) for i in range(1, 21)]


def test_a_long_list_of_rows_goes_in_bulk(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        tx.insert(orders, [(i, str(i)) for i in range(30)])
        with pytest.raises(DuplicateKey, match=r"row 2: another row has id = 29"):
            tx.insert(orders, [(100, ""), (101, ""), (29, ""), (102, "")])
    assert len(rows_of(log, orders)) == 30


def test_duplicates_are_found_within_a_load_across_loads_and_in_the_table(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (5, "there"))
    tx = Transaction(log)
    with pytest.raises(DuplicateKey, match=r"table orders, row 11: another row has id = 103"):
        tx.insert_columns(orders, table_of([*range(100, 111), 103]))
    with pytest.raises(DuplicateKey, match=r"table orders, row 2: another row has id = 5"):
        tx.insert_columns(orders, table_of([3, 4, 5]))
    tx.insert_columns(orders, table_of(range(10, 30)))
    with pytest.raises(DuplicateKey, match=r"table orders, row 8: another row has id = 29"):
        tx.insert_columns(orders, table_of([*range(40, 48), 29]))
    with pytest.raises(DuplicateKey, match="another row has id = 12"):
        tx.insert(orders, [(12, "small")])
    tx.insert(orders, [(50, "small")])
    with pytest.raises(DuplicateKey, match="row 1: another row has id = 50"):
        tx.insert_columns(orders, table_of([49, 50]))
    tx.commit()
    assert [row[0] for row in rows_of(log, orders)] == [5, *range(10, 30), 50]


def test_later_statements_change_rows_written_in_bulk(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        tx.insert_columns(orders, table_of(range(10)))
        tx.update(orders, [(3, (2, "changed")), (4, (33, "moved"))])
        tx.delete(orders, [1])
        assert tx.row_by_key(orders, (3,)) is None
        assert tx.row_by_key(orders, (33,)) == (4, (33, "moved"))
        tx.insert(orders, [(3, "new"), (0, "new")])
        expected = [(1, "n1"), (2, "changed"), (33, "moved")]
        assert seen_by(tx, orders)[:3] == expected
    assert sorted(rows_of(log, orders))[:4] == [(0, "new"), (1, "n1"), (2, "changed"), (3, "new")]


def test_many_deletes_free_their_keys(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        tx.insert_columns(orders, table_of(range(20)))
    with committing(log) as tx:
        assert tx.delete(orders, list(range(1, 11))) == 10
        with pytest.raises(RowNotFound, match="no row 4"):
            tx.delete(orders, [11, 12, 13, 4])
        with pytest.raises(RowTwice, match="row 12"):
            tx.delete(orders, [11, 12, 13, 12])
        tx.insert_columns(orders, table_of(range(5, 10), "again"))
        tx.delete(orders, [11, 21, 12, 22, 13])
    found = sorted(rows_of(log, orders))
    assert found[:3] == [(7, "again7"), (8, "again8"), (9, "again9")]
    assert found[3:] == [(i, f"n{i}") for i in range(13, 20)]


def test_truncate_deletes_row_by_row_whatever_wrote_the_rows(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        tx.insert_columns(orders, table_of(range(12)))
    with committing(log) as tx:
        tx.update(orders, [(2, (1, "own"))])
        tx.insert_columns(orders, table_of(range(20, 29)))
        tx.insert(orders, [(99, "own")])
        tx.delete(orders, [12, 13])
        assert tx.truncate(orders) == 20
        assert tx.truncate(orders) == 0
        assert seen_by(tx, orders) == []
        tx.insert(orders, [(1, "after")])
        tx.insert_columns(orders, table_of(range(2, 9), "after"))
    assert rows_of(log, orders) == [(1, "after"), *((i, f"after{i}") for i in range(2, 9))]
    events = events_of(log, orders, 2)
    assert sum(op == "d" for op, _, _ in events) == 22


def test_many_updates_may_move_every_key_up_by_one(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        tx.insert_columns(orders, table_of(range(16)))
    with committing(log) as tx:
        rows = table_of([*range(1, 16), 16], "up")
        assert tx.update_columns(orders, [(np.arange(1, 17), rows)]) == 16
        assert tx.row_by_key(orders, (0,)) is None
        assert tx.row_by_key(orders, (16,)) == (16, (16, "up16"))
        tx.insert(orders, [(0, "free")])
    assert rows_of(log, orders) == [*((i, f"up{i}") for i in range(1, 17)), (0, "free")]
    events = events_of(log, orders, 2)
    assert events[:16] == [("d", i, 16) for i in range(1, 17)]
    assert events[16:32] == [("c", i, -16) for i in range(1, 17)]
    with log.view() as view:
        assert view.head(orders.id).counts[:3] == (17, 16, 0)


def test_many_updates_keep_plain_ones_behind_the_key_changes(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        tx.insert_columns(orders, table_of(range(8)))
    with committing(log) as tx:
        tx.update_columns(orders, [(np.array([1, 2, 3]), table_of([0, 11, 2]))])
        assert tx.row_by_key(orders, (0,)) == (1, (0, "n0"))
        with pytest.raises(DuplicateKey, match="id = 0"):
            tx.insert(orders, [(0, "taken")])
    assert events_of(log, orders, 2) == [("d", 2, 1), ("c", 2, -1), ("u", 1, 0), ("u", 3, 0)]


def test_many_updates_refuse_keys_that_others_keep(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        tx.insert_columns(orders, table_of(range(20)))
    tx = Transaction(log)
    with pytest.raises(DuplicateKey, match="id = 19"):
        tx.update_columns(orders, [(np.array([1, 2]), table_of([19, 20]))])
    with pytest.raises(DuplicateKey, match="row 9: another row has id = 30"):
        tx.update_columns(orders, [(np.arange(1, 11), table_of([*range(30, 39), 30]))])
    with pytest.raises(RowTwice):
        tx.update_columns(orders, [(np.array([1, 1]), table_of([50, 51]))])
    assert tx.written_tables() == []
    tx.rollback()


def test_updates_by_key_from_arrow_set_the_columns_given(log: Log) -> None:
    stock = create(log, "stock", [*ORDERS, spec("amount", "DECIMAL(10,2)")], ("id",))
    with committing(log) as tx:
        amounts = pa.array([1] * 12, pa.decimal128(10, 2))
        tx.insert_columns(stock, table_of(range(12)).append_column("amount", amounts))
    with committing(log) as tx:
        wanted = pa.table({"AMOUNT": [1.005, 2.5, 7.0], "id": [3, 99, 11]})
        assert update_columns(tx, stock, wanted) == 2
        with pytest.raises(NotFound, match="column nope"):
            update_columns(tx, stock, pa.table({"id": [1], "nope": [1]}))
        with pytest.raises(NotFound, match="column id"):
            update_columns(tx, stock, pa.table({"name": ["x"]}))
    rows = {row[0]: row[1:] for row in rows_of(log, stock)}
    assert str(rows[11][1]) == "7.00" and rows[11][0] == "n11"
    assert str(rows[0][1]) == "1.00"


def test_a_failed_statement_undoes_bulk_writes_too(log: Log) -> None:
    orders = create(log)
    insert(log, orders, (1, "base"))
    tx = Transaction(log)
    with tx.statement():
        tx.insert_columns(orders, table_of(range(10, 20)))
        tx.update(orders, [(1, (1, "kept"))])
    before = seen_by(tx, orders)
    with pytest.raises(DuplicateKey), tx.statement():
        tx.update(orders, [(1, (2, "lost")), (2, (10, "lost"))])
        tx.delete(orders, list(range(2, 8)))
        tx.insert_columns(orders, table_of(range(30, 40)))
        tx.update(orders, [(14, (30, "lost"))])
        tx.truncate(orders)
        tx.insert(orders, [(5, "x"), (5, "x")])
    assert seen_by(tx, orders) == before
    assert tx.row_by_key(orders, (1,)) == (1, (1, "kept"))
    assert tx.row_by_key(orders, (2,)) is None
    tx.commit()
    assert rows_of(log, orders) == before


def test_rows_come_back_in_bulk_under_their_old_ids(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        tx.insert_columns(orders, table_of(range(9)))
    with committing(log) as tx:
        tx.delete(orders, [2, 4, 6, 8])
    with committing(log) as tx:
        back = table_of([7, 1, 5, 3], "back")
        tx.insert_columns(orders, back, row_ids=np.array([8, 2, 6, 4]))
        assert tx.row_by_key(orders, (5,)) == (6, (5, "back5"))
        with pytest.raises(RowExists, match="row 6"):
            tx.insert_columns(orders, table_of([50]), row_ids=np.array([6]))
    with committing(log) as tx:
        assert ids_of(tx, orders) == list(range(1, 10))
        assert seen_by(tx, orders)[:3] == [(0, "n0"), (1, "back1"), (2, "n2")]


def test_bulk_deletes_of_rows_changed_meanwhile_conflict(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        tx.insert_columns(orders, table_of(range(20)))
    tx = Transaction(log)
    tx.truncate(orders)
    with committing(log) as other:
        other.update(orders, [(17, (16, "changed"))])
    with pytest.raises(WriteConflict):
        tx.commit()
    assert len(rows_of(log, orders)) == 20


def test_reload_of_a_table_passes_a_commit_that_took_none_of_its_keys(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        tx.insert_columns(orders, table_of(range(20)))
    tx = Transaction(log)
    tx.truncate(orders)
    tx.insert_columns(orders, table_of(range(20), "new"))
    insert(log, orders, (500, "meanwhile"))
    tx.commit()
    assert len(rows_of(log, orders)) == 21


def test_truncate_takes_rows_of_older_generations_in_the_current_one(log: Log) -> None:
    orders = create(log)
    with committing(log) as tx:
        tx.insert_columns(orders, table_of(range(9)))
    with committing(log) as tx:
        ddl.add_column(tx, orders, spec("stock", "INT", default=5))
    orders = current(log, orders)
    with committing(log) as tx:
        tx.delete(orders, [1, 2, 3, 4, 5])
        segments = [one for overlay in (tx.rows(orders, [6]),) for one in overlay]
        assert segments == [(5, "n5", 5)]
        assert tx.truncate(orders) == 4
    assert rows_of(log, orders) == []


def test_staged_runs_can_be_read_again_and_again() -> None:
    held = spool.Spool()
    keys = pa.array([b"a", None], pa.binary())
    run = Columns(np.array([99, 100], np.uint8), np.array([1, 2]), None, keys, keys, None)
    entries = [held.write(run), held.write(run, pair=3)]
    held.place(entries)
    mark = held.mark()
    held.place([held.write(run)])

    def kinds() -> Iterator[tuple[int, list[int] | None]]:
        for segment in held:
            assert isinstance(segment, Columns)
            pairs = None if segment.pairs is None else segment.pairs.tolist()
            yield len(segment), pairs

    assert list(kinds()) == list(kinds()) == [(2, None), (2, [3, 3]), (2, None)]
    held.undo(mark)
    assert list(kinds()) == [(2, None), (2, [3, 3])]
    held.close()
    held.close()


def test_a_full_disk_for_temporary_files_leaves_the_transaction_as_it_was(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = create(log)
    tx = Transaction(log)
    tx.insert(orders, [(1, "a")])
    monkeypatch.setattr(spool, "IN_MEMORY", 0)

    def full(file: int, data: memoryview, at: int) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("headwater.producer.spool.os.pwrite", full)
        with pytest.raises(StoreUnavailable, match="No space left"):
            tx.insert_columns(orders, table_of(range(10, 30)))
    tx.insert_columns(orders, table_of([2]))
    tx.commit()
    assert rows_of(log, orders) == [(1, "a"), (2, "n2")]


def test_hashes_tell_keys_apart_by_every_byte_and_by_length() -> None:
    texts = [b"", b"\0", b"\0\0", b"a" * 8, b"a" * 9, b"a" * 16 + b"b", b"b" + b"a" * 16, b"a" * 17]
    hashes = hash_keys(pa.array(texts, pa.binary()))
    assert len(set(hashes.tolist())) == len(texts)
    sliced = pa.array([b"x", *texts], pa.binary()).slice(1)
    assert hash_keys(sliced).tolist() == hashes.tolist()
    assert repeated(np.concatenate([hashes, hashes[2:3]])).tolist() == hashes[2:3].tolist()
    index = HashIndex(np.concatenate([hashes, hashes[2:3]]))
    assert index.find(hashes[2]) == [2, 8]
    assert index.contains(hashes).all()
