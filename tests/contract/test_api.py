"""The Python API on every store: what a user's script relies on."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support_clock import Clock
from support_rebuild import assert_rebuilt

import headwater
from headwater.log_store.errors import IdempotencyMismatch, OutsideHistory, WriteConflict
from headwater.ops.api import Database
from headwater.ops.api_tables import Table
from headwater.ops.errors import BadArgument
from headwater.producer.errors import DuplicateKey, NameTaken, NotFound
from headwater.schemas.errors import ValueRefused
from headwater.schemas.tables import AutoIncrement, ColumnSpec
from headwater.schemas.types import SqlType

ORDERS = {"order_id": "INT", "amount": "DECIMAL(10,2)", "status": "VARCHAR"}


@pytest.fixture
def db(target: str | Path) -> Iterator[Database]:
    """A store of each kind, empty."""
    with headwater.connect(target, clock=Clock(), actor="ann") as opened:
        yield opened
        assert_rebuilt(opened)


def orders_of(db: Database) -> Table:
    return db.create_table("orders", ORDERS, key="order_id")


def test_rows_come_back_as_they_were_given(db: Database) -> None:
    table = db.create_table(
        "t",
        {
            "id": "INT",
            "price": "DECIMAL(10,2)",
            "ratio": "FLOAT",
            "ok": "BOOLEAN",
            "name": "VARCHAR",
            "raw": "BINARY",
            "day": "DATE",
            "at": "TIMESTAMP",
            "zoned": "TIMESTAMP_TZ",
            "doc": "VARIANT",
        },
        key="id",
    )
    row = {
        "id": 1,
        "price": Decimal("12.50"),
        "ratio": 0.5,
        "ok": True,
        "name": "é",
        "raw": b"\x00\xff",
        "day": date(2026, 11, 23),
        "at": datetime(2026, 11, 23, 9, 30, 0, 123456),
        "zoned": datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
        "doc": {"a": [1, None]},
    }
    table.insert(row)
    assert table.get(1) == row


def test_a_decimal_without_parameters_is_shown_without_trailing_zeros(db: Database) -> None:
    table = db.create_table("t", {"id": "INT", "a": "NUMBER", "b": "DECIMAL(10,2)"}, key="id")
    table.insert([(1, "1.50", "1.50"), (2, 100, 100), (3, "0.123456789", None)])
    shown = [("1.5", "1.50"), ("100", "100.00"), ("0.123456789", "None")]
    assert [(str(row["a"]), str(row["b"])) for row in table.rows()] == shown
    found = table.get(2)
    assert found is not None and str(found["a"]) == "100"


def test_a_null_key_is_refused_and_named(db: Database) -> None:
    with pytest.raises(ValueRefused, match="order_id"):
        orders_of(db).insert([{"order_id": 1}, {"order_id": None}])
    assert db.table("orders").count() == 0


def test_dicts_tuples_arrow_and_frames_can_be_inserted(db: Database) -> None:
    import pandas as pd

    table = orders_of(db)
    assert table.insert({"order_id": 1, "amount": 1}) == 1
    assert table.insert([(2, "2.5", "new"), (3, 3.25, None)]) == 2
    arrow = pa.table({"order_id": [4, 5], "amount": [4.0, 5.5], "status": ["a", "b"]})
    assert table.insert(arrow) == 2
    assert table.insert(pd.DataFrame({"order_id": [6], "status": ["z"]})) == 1
    rows = [(r["order_id"], r["amount"], r["status"]) for r in table.rows()]
    assert rows == [
        (1, Decimal("1.00"), None),
        (2, Decimal("2.50"), "new"),
        (3, Decimal("3.25"), None),
        (4, Decimal("4.00"), "a"),
        (5, Decimal("5.50"), "b"),
        (6, None, "z"),
    ]


def test_a_taken_key_is_refused_and_nothing_is_written(db: Database) -> None:
    table = orders_of(db)
    table.insert({"order_id": 1})
    with pytest.raises(DuplicateKey) as refused:
        table.insert([{"order_id": 2}, {"order_id": 1}])
    assert "orders" in str(refused.value) and "order_id" in str(refused.value)
    assert (table.count(), table.head) == (1, 1)


def test_defaults_and_numbers_fill_what_is_left_out(db: Database) -> None:
    table = db.create_table(
        "t",
        [
            ColumnSpec("id", SqlType.parse("INT"), nullable=False, auto=AutoIncrement(10, 5)),
            ColumnSpec("status", SqlType.parse("VARCHAR"), default="new"),
            ColumnSpec("made", SqlType.parse("TIMESTAMP"), default_call="CURRENT_TIMESTAMP"),
        ],
        key="id",
    )
    table.insert([{"status": "x"}, {}])
    table.insert(pa.table({"status": ["bulk"]}))
    rows = table.rows()
    assert [(r["id"], r["status"]) for r in rows] == [(10, "x"), (15, "new"), (20, "bulk")]
    assert all(isinstance(r["made"], datetime) for r in rows)


def test_updates_match_by_key_by_values_by_expression_and_by_function(db: Database) -> None:
    table = orders_of(db)
    table.insert([{"order_id": n, "amount": n, "status": "new"} for n in range(1, 6)])
    assert table.update(key=1, set={"status": "one"}) == 1
    assert table.update(key=99, set={"status": "none"}) == 0
    assert table.update(where={"status": "new", "amount": 2}, set={"status": "two"}) == 1
    assert table.update(where=pc.field("order_id") == 3, set={"status": "three"}) == 1
    assert table.update(where=lambda r: r["order_id"] == 4, set={"amount": lambda r: 40}) == 1
    assert table.update([{"order_id": 5, "amount": 50}, {"order_id": 77, "amount": 1}]) == 1
    assert table.update(pa.table({"order_id": [1, 2], "amount": [10, 20]})) == 2
    rows = {r["order_id"]: (int(str(r["amount"]).split(".")[0]), r["status"]) for r in table.rows()}
    assert rows == {1: (10, "one"), 2: (20, "two"), 3: (3, "three"), 4: (40, "new"), 5: (50, "new")}


def test_a_key_given_twice_is_deleted_once(db: Database) -> None:
    table = orders_of(db)
    table.insert([{"order_id": number} for number in range(3)])
    assert table.delete(keys=[1, 1, 9]) == 1
    assert table.count() == 2


def test_a_refused_value_names_table_row_column_and_value(db: Database) -> None:
    table = orders_of(db)
    rows = [{"order_id": 1}, {"order_id": 2, "amount": "1e9"}]
    for data in (rows, pa.table({"order_id": [1, 2], "amount": ["1", "1e9"]})):
        with pytest.raises(ValueRefused, match=r"^table orders, row 1, column amount: .*1e9"):
            table.insert(data)
    table.insert({"order_id": 1})
    with pytest.raises(ValueRefused, match="^table orders, column order_id: None"):
        table.update(key=1, set={"order_id": None})
    assert table.head == 1


def test_deletes_and_truncate_count_what_they_took(db: Database) -> None:
    table = orders_of(db)
    table.insert([{"order_id": n, "status": "x" if n % 2 else "y"} for n in range(1, 8)])
    assert table.delete(key=1) == 1
    assert table.delete(keys=[2, 3, 99]) == 2
    assert table.delete(where={"status": "y"}) == 2
    assert table.truncate() == 2
    assert (table.count(), table.rows()) == (0, [])


def test_a_key_can_change_and_two_can_swap(db: Database) -> None:
    table = orders_of(db)
    table.insert([{"order_id": 1, "status": "a"}, {"order_id": 2, "status": "b"}])
    swapped = table.update(
        where=pc.field("order_id") > 0, set={"order_id": lambda r: 3 - int(str(r["order_id"]))}
    )
    assert swapped == 2
    assert table.get(1) == {"order_id": 1, "amount": None, "status": "b"}
    assert table.get(2) == {"order_id": 2, "amount": None, "status": "a"}


def test_a_transaction_lands_whole_or_not_at_all(db: Database) -> None:
    table, other = orders_of(db), db.create_table("other", {"x": "INT"})
    with pytest.raises(RuntimeError), db.transaction() as tx:
        tx.insert("orders", {"order_id": 1})
        tx.insert("other", {"x": 1})
        raise RuntimeError
    assert (table.count(), other.count()) == (0, 0)
    with db.transaction() as tx:
        tx.insert("orders", {"order_id": 1})
        tx.insert("other", {"x": 1})
        assert tx.table("orders").count() == 1
        assert table.count() == 0
    assert (table.head, other.head) == (1, 1)


def test_a_failed_statement_undoes_itself_and_leaves_the_transaction_open(db: Database) -> None:
    table = orders_of(db)
    with db.transaction() as tx:
        tx.insert("orders", {"order_id": 1})
        with pytest.raises(DuplicateKey):
            tx.insert("orders", [{"order_id": 2}, {"order_id": 1}])
        tx.insert("orders", {"order_id": 3})
    assert [r["order_id"] for r in table.rows()] == [1, 3]


def test_the_first_committer_wins_and_the_other_is_told_to_retry(db: Database) -> None:
    table = orders_of(db)
    table.insert({"order_id": 1, "status": "new"})
    with pytest.raises(WriteConflict) as refused, db.transaction() as tx:
        tx.update("orders", key=1, set={"status": "late"})
        table.update(key=1, set={"status": "first"})
    assert refused.value.retryable
    assert table.get(1) == {"order_id": 1, "amount": None, "status": "first"}


def test_an_idempotent_request_sent_again_gives_its_first_result(db: Database) -> None:
    table = orders_of(db)
    for _ in range(3):
        with db.transaction(idempotency_key="req-1") as tx:
            assert tx.insert("orders", [{"order_id": 1}, {"order_id": 2}]) == 2
            assert tx.update("orders", key=1, set={"status": "x"}) == 1
    assert (table.count(), table.head) == (2, 1)
    with pytest.raises(IdempotencyMismatch), db.transaction(idempotency_key="req-1") as tx:
        tx.insert("orders", {"order_id": 3})
    assert table.count() == 2


def test_a_table_is_read_as_of_any_version_and_time(db: Database) -> None:
    table = orders_of(db)
    for number in (1, 2, 3):
        table.insert({"order_id": number})
    assert [r["order_id"] for r in table.at(2).rows()] == [1, 2]
    assert [r["order_id"] for r in table.at(version=0).rows()] == []
    assert table.before(2).version == 1
    when = table.history()[2].time
    assert table.at(time=when).version == 2
    assert table.before(time=when).version == 1
    with pytest.raises(OutsideHistory):
        table.at(9)
    with pytest.raises(OutsideHistory):
        table.at(time="3000 days ago")


def test_history_says_what_each_commit_changed(db: Database) -> None:
    table = orders_of(db)
    table.insert([{"order_id": 1}, {"order_id": 2}])
    table.update(key=1, set={"status": "x"})
    table.delete(key=2)
    assert [(v.version, v.inserts, v.updates, v.deletes) for v in table.history()] == [
        (0, 0, 0, 0),
        (1, 2, 0, 0),
        (2, 0, 1, 0),
        (3, 0, 0, 1),
    ]


def test_a_diff_turns_one_version_into_another(db: Database) -> None:
    table = orders_of(db)
    table.insert([{"order_id": 1}, {"order_id": 2}])
    table.update(key=1, set={"status": "x"})
    table.delete(key=2)
    table.insert({"order_id": 3})
    found = table.diff(1, "head")
    assert [
        (d.before and d.before["order_id"], d.after and d.after["order_id"]) for d in found
    ] == [
        (1, 1),
        (2, None),
        (None, 3),
    ]
    assert table.diff(2, 2) == []


def test_columns_come_and_go_while_old_rows_stay_readable(db: Database) -> None:
    table = orders_of(db)
    table.insert({"order_id": 1, "status": "old"})
    table.add_column("note", "VARCHAR", default="none")
    table.rename_column("status", "state")
    table.insert({"order_id": 2, "state": "new", "note": "n"})
    table.drop_column("amount")
    table.update(key=1, set={"state": "mended"})
    assert table.rows() == [
        {"order_id": 1, "state": "mended", "note": "none"},
        {"order_id": 2, "state": "new", "note": "n"},
    ]
    assert table.at(1).rows() == [{"order_id": 1, "state": "old", "note": "none"}]


def test_tables_are_renamed_swapped_dropped_and_brought_back(db: Database) -> None:
    a = db.create_table("a", {"x": "INT"})
    a.insert({"x": 1})
    db.create_table("b", {"x": "INT"})
    db.rename_table("a", "c")
    assert a.name == "c" and db.table("C").count() == 1
    db.swap_tables("c", "b")
    assert a.name == "b"
    db.drop_table("b")
    with pytest.raises(NotFound):
        db.table("b")
    db.undrop_table("b")
    assert db.table("b").rows() == [{"x": 1}]
    with pytest.raises(NameTaken):
        db.create_table("B", {"y": "INT"})
    assert db.create_table("b", {"y": "INT"}, if_not_exists=True).id == a.id
    assert db.create_table("b", {"y": "INT"}, or_replace=True).count() == 0


def test_a_clone_starts_with_the_rows_of_its_original(db: Database) -> None:
    table = orders_of(db)
    table.insert({"order_id": 1})
    table.insert({"order_id": 2})
    clone = db.clone_table("copy", "orders", at=1)
    assert [r["order_id"] for r in clone.rows()] == [1]
    assert clone.head == 1
    clone.insert({"order_id": 5})
    assert table.count() == 2


def test_names_are_matched_without_case_unless_quoted(db: Database) -> None:
    db.create_table("Orders", {"Id": "INT"}, key="ID").insert({"iD": 1})
    assert db.table("ORDERS").name == "Orders"
    assert db.table('"Orders"').count() == 1
    with pytest.raises(NotFound):
        db.table('"orders"')


def test_a_schema_holds_tables_of_its_own(db: Database) -> None:
    db.create_schema("staging")
    db.create_table("staging.orders", {"x": "INT"})
    db.create_table("orders", {"y": "INT"})
    assert db.table("staging.orders").schema.names == ["x"]
    assert db.table("public.orders").schema.names == ["y"]


def test_what_cannot_be_meant_is_said(db: Database) -> None:
    table = orders_of(db)
    with pytest.raises(BadArgument, match="no column colour"):
        table.insert({"order_id": 1, "colour": "red"})
    with pytest.raises(BadArgument, match="3 columns"):
        table.insert([(1, 2)])
    with pytest.raises(BadArgument, match="which rows"):
        table.update(set={"status": "x"})
    with pytest.raises(BadArgument, match="primary key"):
        db.create_table("keyless", {"x": "INT"}).get(1)
    assert table.head == 0


def test_sessions_of_one_directory_share_the_store(tmp_path: Path) -> None:
    with headwater.connect(tmp_path / "s") as one, headwater.connect(tmp_path / "s") as two:
        one.create_table("t", {"x": "INT"}).insert({"x": 1})
        assert two.table("t").rows() == [{"x": 1}]
    with headwater.connect(tmp_path / "s") as again:
        assert again.table("t").count() == 1
