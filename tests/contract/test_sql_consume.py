"""Streams in statements that write: who consumes, which window, what moves, on every log."""

from decimal import Decimal

import pytest
from support_sql import Row, Sql

from headwater.log_store.port import Log


@pytest.fixture
def sql(log: Log) -> Sql:
    """A table of three rows with a stream on it, made before they came; two targets."""
    made = Sql(log)
    made.run("CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR)")
    made.run("CREATE STREAM s ON TABLE t")
    made.run("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    made.run("INSERT INTO t VALUES (3, 'c')")
    made.run("CREATE TABLE copy (id INT, name VARCHAR)")
    made.run("CREATE TABLE other (id INT, name VARCHAR)")
    return made


COPY = "INSERT INTO copy SELECT id, name FROM s"


def consumers(sql: Sql) -> list[Row]:
    return sql.rows(
        "SELECT consumer_name, watermark FROM INFORMATION_SCHEMA.STREAM_CONSUMERS ORDER BY 1"
    )


def test_a_target_consumes_the_whole_window_once(sql: Sql) -> None:
    assert sql.count(COPY) == 3
    assert sql.count(COPY) == 0
    sql.run("UPDATE t SET name = 'x' WHERE id = 1")
    assert sql.count(COPY + " WHERE METADATA$ACTION = 'INSERT'") == 1
    assert sql.count(COPY) == 0


def test_a_bare_select_moves_nothing(sql: Sql) -> None:
    first = sql.rows("SELECT * FROM s")
    assert len(first) == 3
    assert sql.rows("SELECT * FROM s") == first


def test_each_target_has_its_own_watermark(sql: Sql) -> None:
    sql.run(COPY)
    assert sql.count("INSERT INTO other SELECT id, name FROM s") == 3


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO copy SELECT id, name FROM s WHERE FALSE",
        "INSERT INTO copy WITH c AS (SELECT * FROM s) SELECT id, name FROM c",
        "INSERT INTO copy WITH unused AS (SELECT * FROM s) SELECT 1, 'x'",
        "INSERT INTO copy SELECT 1, 'x' WHERE 1 IN (SELECT id FROM s)",
        "UPDATE copy SET name = s.name FROM s WHERE s.id = copy.id",
        "DELETE FROM copy USING s WHERE s.id = copy.id",
        "DELETE FROM copy WHERE id IN (SELECT id FROM s)",
        "MERGE INTO copy USING s ON s.id = copy.id WHEN MATCHED THEN DELETE",
        "INSERT INTO copy SELECT a.id, b.name FROM s a JOIN s b ON a.id = b.id",
        "CREATE VIEW v AS SELECT id, name FROM s; INSERT INTO copy SELECT * FROM v",
    ],
)
def test_any_reference_in_a_statement_that_writes_counts(sql: Sql, text: str) -> None:
    sql.run(text)
    assert sql.count(COPY) == 0


def test_an_error_takes_its_window_back(sql: Sql) -> None:
    sql.run("CREATE TABLE few (id INT PRIMARY KEY)")
    sql.run("INSERT INTO few VALUES (3)")
    assert sql.refused("INSERT INTO few SELECT id FROM s").code == "E_DUPLICATE_KEY"
    sql.run("BEGIN")
    assert sql.refused("INSERT INTO few SELECT id FROM s").code == "E_DUPLICATE_KEY"
    assert sql.count("INSERT INTO few SELECT id + 10 FROM s") == 3
    sql.run("COMMIT")
    assert sql.count("INSERT INTO few SELECT id FROM s") == 0


def test_a_named_consumer_moves_instead_of_the_target(sql: Sql) -> None:
    assert sql.count("INSERT INTO copy SELECT id, name FROM s CONSUMER billing") == 3
    assert sql.count("INSERT INTO other SELECT id, name FROM s CONSUMER billing") == 0
    assert sql.count(COPY) == 3
    assert sql.rows("SELECT * FROM s CONSUMER billing") == []
    assert sql.refused("INSERT INTO copy SELECT id, name FROM s CONSUMER copy").code


def test_statements_of_a_transaction_see_one_window(sql: Sql) -> None:
    sql.run("BEGIN")
    sql.run("INSERT INTO t VALUES (4, 'own')")
    beside = sql.beside()
    beside.run("INSERT INTO t VALUES (5, 'theirs')")
    assert sql.count(COPY) == 3
    assert sql.count(COPY) == 3
    sql.run("ROLLBACK")
    assert sql.one("SELECT COUNT(*) FROM copy") == 0
    sql.run("BEGIN; INSERT INTO copy SELECT id, name FROM s; COMMIT")
    assert sql.one("SELECT COUNT(*) FROM copy") == 4
    assert sql.count(COPY) == 0


def test_two_transactions_for_one_consumer_conflict(sql: Sql) -> None:
    beside = sql.beside()
    for one in (sql, beside):
        one.run("BEGIN")
        assert one.count(COPY) == 3
    sql.run("COMMIT")
    error = beside.refused("COMMIT")
    assert (error.code, error.retryable) == ("E_WRITE_CONFLICT", True)
    assert not beside.session.in_transaction
    assert sql.one("SELECT COUNT(*) FROM copy") == 3


def test_bounds_consume_whole_commits(sql: Sql) -> None:
    assert sql.count("INSERT INTO copy SELECT id, name FROM s LIMIT CHANGES 1") == 2
    assert sql.count("INSERT INTO copy SELECT id, name FROM s UP TO VERSION 2") == 1
    sql.run("INSERT INTO t VALUES (7, 'x')")
    error = sql.refused(
        "BEGIN; INSERT INTO copy SELECT id, name FROM s LIMIT CHANGES 1; "
        "INSERT INTO copy SELECT id, name FROM s LIMIT CHANGES 2"
    )
    assert error.code == "E_BOUNDS_DIFFER"
    sql.run("ROLLBACK")


def test_several_targets_consume_one_window_if_they_stand_together(sql: Sql) -> None:
    both = "INSERT ALL INTO copy VALUES (id, name) INTO other VALUES (id, 'o') SELECT * FROM s"
    assert sql.rows(both) == [(3, 3)]
    sql.run("INSERT INTO t VALUES (4, 'd')")
    assert sql.count(COPY) == 1
    error = sql.refused(both)
    assert error.code == "E_WATERMARKS_DIFFER"
    assert "copy" in str(error)
    assert "other" in str(error)


def test_a_shared_stream_has_one_watermark_for_all(sql: Sql) -> None:
    sql.run("CREATE STREAM shared ON TABLE t AT (VERSION => 0) CONSUMERS = SHARED")
    assert sql.count("INSERT INTO copy SELECT id, name FROM shared") == 3
    assert sql.count("INSERT INTO other SELECT id, name FROM shared") == 0
    assert sql.refused("INSERT INTO copy SELECT id, name FROM shared CONSUMER c").code == (
        "E_STREAM_SHARED"
    )


def test_create_table_as_consumes_as_the_table_it_makes(sql: Sql) -> None:
    assert sql.count("CREATE TABLE made AS SELECT * FROM s") == 3
    assert sql.rows("SELECT id, METADATA$ACTION FROM made ORDER BY id")[0] == (1, "INSERT")
    sql.run("INSERT INTO t VALUES (4, 'd')")
    assert sql.count("INSERT INTO made SELECT * FROM s") == 1
    assert ("made", 3) in [(name, int(str(at).strip("v"))) for name, at in consumers(sql)]
    assert sql.refused("CREATE STREAM on_made ON TABLE made").code == "E_STREAM_INVALID"


def test_create_table_as_of_a_shared_stream_moves_its_watermark(sql: Sql) -> None:
    sql.run("CREATE STREAM shared ON TABLE t AT (VERSION => 1) CONSUMERS = SHARED")
    assert sql.count("CREATE TABLE made AS SELECT id FROM shared") == 1
    assert sql.count("INSERT INTO copy SELECT id, name FROM shared") == 0


def test_changes_come_in_order_with_updates_as_pairs(sql: Sql) -> None:
    sql.run(
        "CREATE TABLE log (n INT AUTOINCREMENT, id INT, name VARCHAR, what VARCHAR, up BOOLEAN)"
    )
    sql.run("UPDATE t SET name = UPPER(name)")
    sql.run("DELETE FROM t WHERE id = 2")
    sql.run(
        "INSERT INTO log (id, name, what, up) "
        "SELECT id, name, METADATA$ACTION, METADATA$ISUPDATE FROM s"
    )
    assert sql.rows("SELECT id, name, what, up FROM log ORDER BY n") == [
        (1, "a", "INSERT", False),
        (2, "b", "INSERT", False),
        (3, "c", "INSERT", False),
        (1, "a", "DELETE", True),
        (1, "A", "INSERT", True),
        (2, "b", "DELETE", True),
        (2, "B", "INSERT", True),
        (3, "c", "DELETE", True),
        (3, "C", "INSERT", True),
        (2, "B", "DELETE", False),
    ]


def test_a_merge_that_all_makes_ambiguous_names_net_as_the_way_out(sql: Sql) -> None:
    sql.run("INSERT INTO copy VALUES (1, 'old')")
    sql.run("UPDATE t SET name = 'a2' WHERE id = 1")
    merge = (
        "MERGE INTO copy USING {} AS n ON copy.id = n.id "
        "WHEN MATCHED AND METADATA$ACTION = 'INSERT' THEN UPDATE SET name = n.name "
        "WHEN NOT MATCHED THEN INSERT VALUES (n.id, n.name)"
    )
    error = sql.refused(merge.format("s"))
    assert error.code == "E_NONDETERMINISTIC"
    assert "NET" in str(error)
    sql.run("CREATE STREAM net ON TABLE t CHANGES CAPTURE NET AT (VERSION => 0)")
    assert sql.rows(merge.format("net")) == [(2, 1)]
    assert sql.rows("SELECT * FROM copy ORDER BY id") == [(1, "a2"), (2, "b"), (3, "c")]


def test_streams_join_tables_and_each_other(sql: Sql) -> None:
    sql.run("CREATE TABLE prices (id INT, price NUMBER(10,2)); CREATE STREAM p ON TABLE prices")
    sql.run("INSERT INTO prices VALUES (1, 1.5), (3, 3.5)")
    sql.run("CREATE TABLE joined (id INT, price NUMBER(10,2))")
    assert sql.count("INSERT INTO joined SELECT s.id, p.price FROM s JOIN p ON p.id = s.id") == 2
    assert sql.rows("SELECT * FROM joined ORDER BY id") == [
        (1, Decimal("1.5")),
        (3, Decimal("3.5")),
    ]
    assert sql.count("INSERT INTO joined SELECT id, price FROM p") == 0
