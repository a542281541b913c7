"""TEMPORARY tables through SQL: a session's own, in its transactions, never in the log."""

import pytest
from support_sql import Sql

from headwater.log_store.port import Log


@pytest.fixture
def sql(log: Log) -> Sql:
    """A store with a table, a stream on it, and rows that came after it."""
    made = Sql(log)
    made.run("CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR)")
    made.run("CREATE STREAM s ON TABLE t; CREATE STREAM shared ON TABLE t CONSUMERS = SHARED")
    made.run("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    return made


def test_every_statement_takes_them_as_tables_and_no_commit_is_made(sql: Sql) -> None:
    before = sql.store.log.view().sequence
    sql.run("CREATE TEMPORARY TABLE w (id INT PRIMARY KEY, name VARCHAR DEFAULT 'x')")
    sql.run("INSERT INTO w VALUES (1, 'one'), (2, DEFAULT)")
    sql.run("INSERT INTO w SELECT id + 10, name FROM t")
    sql.run("UPDATE w SET name = UPPER(name) WHERE id > 1")
    sql.run("DELETE FROM w WHERE id = 12")
    sql.run(
        "MERGE INTO w USING t ON w.id = t.id WHEN MATCHED THEN UPDATE SET name = t.name "
        "WHEN NOT MATCHED THEN INSERT VALUES (t.id, 'new')"
    )
    sql.session.run_many("INSERT INTO w VALUES (?, ?)", [(n, "m") for n in range(100, 500)])
    assert sql.rows("SELECT * FROM w WHERE id < 100 ORDER BY id") == [
        (1, "a"),
        (2, "b"),
        (11, "A"),
    ]
    assert sql.one("SELECT COUNT(*) FROM w JOIN t ON w.id = t.id") == 2
    assert sql.rows("SELECT name FROM w WHERE id = 11") == [("A",)]
    assert sql.refused("INSERT INTO w VALUES (1, 'twice')").code == "E_DUPLICATE_KEY"
    assert sql.count("TRUNCATE TABLE w") == 403
    assert sql.store.log.view().sequence == before


def test_another_session_does_not_see_them_and_may_have_its_own(sql: Sql) -> None:
    beside = sql.beside()
    sql.run("CREATE TEMP TABLE w (id INT)")
    assert beside.refused("SELECT * FROM w").code == "E_NOT_FOUND"
    beside.run("CREATE TEMP TABLE w (name VARCHAR, id INT)")
    sql.run("INSERT INTO w VALUES (1)")
    beside.run("INSERT INTO w VALUES ('x', 2)")
    assert (sql.rows("SELECT * FROM w"), beside.rows("SELECT * FROM w")) == ([(1,)], [("x", 2)])


def test_they_hide_a_table_of_their_name_until_they_are_dropped(sql: Sql) -> None:
    assert sql.one("SELECT COUNT(*) FROM t") == 2
    sql.run("CREATE TEMPORARY TABLE t AS SELECT id FROM t WHERE id = 1")
    assert sql.one("SELECT COUNT(*) FROM t") == 1
    assert sql.refused("ALTER TABLE t ADD COLUMN x INT").code == "E_NOT_SUPPORTED"
    sql.run("DROP TABLE t")
    assert sql.one("SELECT COUNT(*) FROM t") == 2


def test_they_follow_the_transaction(sql: Sql) -> None:
    sql.run("CREATE TEMPORARY TABLE w (id INT PRIMARY KEY)")
    sql.run("BEGIN; INSERT INTO w VALUES (1); ROLLBACK")
    assert sql.rows("SELECT * FROM w") == []
    sql.run("BEGIN; INSERT INTO w VALUES (1)")
    assert sql.refused("INSERT INTO w VALUES (2), (2)").code == "E_DUPLICATE_KEY"
    sql.run("COMMIT")
    assert sql.rows("SELECT * FROM w") == [(1,)]
    sql.run("BEGIN; CREATE TEMPORARY TABLE v (id INT); DROP TABLE w; ROLLBACK")
    assert sql.rows("SELECT * FROM w") == [(1,)]
    assert sql.refused("SELECT * FROM v").code == "E_NOT_FOUND"


def test_they_consume_a_shared_stream_and_need_a_consumer_for_others(sql: Sql) -> None:
    sql.run("CREATE TEMPORARY TABLE w (id INT, name VARCHAR)")
    assert sql.count("INSERT INTO w SELECT id, name FROM shared") == 2
    assert sql.count("INSERT INTO w SELECT id, name FROM shared") == 0
    error = sql.refused("INSERT INTO w SELECT id, name FROM s")
    assert error.code == "E_CONSUMER_REFUSED"
    assert "CONSUMER" in str(error)
    assert sql.count("INSERT INTO w SELECT id, name FROM s CONSUMER c") == 2
    assert sql.count("INSERT INTO w SELECT id, name FROM s CONSUMER c") == 0


def test_they_are_made_like_and_of_other_tables(sql: Sql) -> None:
    sql.run("CREATE TEMPORARY TABLE a LIKE t; CREATE TEMPORARY TABLE b CLONE t")
    assert sql.rows("SELECT * FROM a") == []
    assert sql.rows("SELECT * FROM b ORDER BY id") == [(1, "a"), (2, "b")]
    sql.run("CREATE OR REPLACE TEMPORARY TABLE b AS SELECT id FROM b WHERE id = 2")
    assert sql.rows("SELECT * FROM b") == [(2,)]
