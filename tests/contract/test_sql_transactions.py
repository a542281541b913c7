"""Sessions: transactions, what a failure leaves, retries, requests sent twice, ends."""

import threading
from pathlib import Path

import pytest
from support_sql import Sql, SqlStore, rows_of

from headwater.log_store.port import Log
from headwater.sql.context import Limits
from headwater.sql.errors import Error, InterfaceError, OperationalError, ProgrammingError
from headwater.sql.session import SqlSession


@pytest.fixture
def sql(log: Log) -> Sql:
    """A session in a store with a table of numbers."""
    made = Sql(log)
    made.run("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    made.run("INSERT INTO t VALUES (1, 10)")
    return made


def rows(sql: Sql) -> list[tuple[object, ...]]:
    return sql.rows("SELECT * FROM t ORDER BY id")


def test_nothing_of_a_transaction_is_seen_before_its_commit(sql: Sql) -> None:
    beside = sql.beside()
    sql.run("BEGIN")
    sql.run("INSERT INTO t VALUES (2, 20)")
    assert len(rows(sql)) == 2
    assert len(rows(beside)) == 1
    sql.run("COMMIT")
    assert len(rows(beside)) == 2


def test_a_rollback_leaves_nothing(sql: Sql) -> None:
    sql.run("START TRANSACTION; INSERT INTO t VALUES (2, 20); DELETE FROM t WHERE id = 1; ROLLBACK")
    assert rows(sql) == [(1, 10)]
    assert not sql.session.in_transaction


def test_a_failed_statement_undoes_itself_only(sql: Sql) -> None:
    sql.run("BEGIN")
    sql.run("INSERT INTO t VALUES (2, 20)")
    assert sql.refused("INSERT INTO t SELECT id + 1, n FROM t").code == "E_DUPLICATE_KEY"
    assert sql.session.in_transaction
    sql.run("COMMIT")
    assert rows(sql) == [(1, 10), (2, 20)]


def test_definitions_are_part_of_a_transaction(sql: Sql) -> None:
    sql.run("BEGIN; CREATE TABLE u (id INT); INSERT INTO u VALUES (1)")
    assert sql.one("SELECT COUNT(*) FROM u") == 1
    assert sql.beside().refused("SELECT * FROM u").code == "E_NOT_FOUND"
    sql.run("ROLLBACK")
    assert sql.refused("SELECT * FROM u").code == "E_NOT_FOUND"
    sql.run("BEGIN; CREATE TABLE u (id INT); INSERT INTO u VALUES (1); COMMIT")
    assert sql.beside().one("SELECT COUNT(*) FROM u") == 1


def test_the_first_committer_wins_and_the_other_is_told_to_retry(sql: Sql) -> None:
    beside = sql.beside()
    sql.run("BEGIN; UPDATE t SET n = 11 WHERE id = 1")
    beside.run("UPDATE t SET n = 12 WHERE id = 1")
    error = sql.refused("COMMIT")
    assert isinstance(error, OperationalError)
    assert (error.code, error.retryable) == ("E_WRITE_CONFLICT", True)
    assert rows(sql) == [(1, 12)]


def test_statements_that_commit_by_themselves_try_again(sql: Sql) -> None:
    sessions = [sql.beside() for _ in range(4)]

    def add(one: Sql) -> None:
        for _ in range(10):
            one.run("UPDATE t SET n = n + 1 WHERE id = 1")

    threads = [threading.Thread(target=add, args=(one,)) for one in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(sql) == [(1, 50)]


def test_threads_may_share_a_session(sql: Sql) -> None:
    failed: list[Exception] = []

    def add(first: int) -> None:
        try:
            for n in range(first, first + 10):
                sql.run("INSERT INTO t VALUES (?, ?)", (n, n))
                sql.one("SELECT COUNT(*) FROM t")
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failed.append(error)

    threads = [threading.Thread(target=add, args=(first,)) for first in (100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(rows(sql)) == 31


def test_without_autocommit_a_statement_opens_a_transaction(sql: Sql) -> None:
    sql.session.autocommit = False
    sql.run("INSERT INTO t VALUES (2, 20)")
    assert len(rows(sql.beside())) == 1
    sql.session.commit()
    assert len(rows(sql.beside())) == 2


def test_begin_within_a_transaction_says_so_and_commit_without_one_does_nothing(sql: Sql) -> None:
    sql.run("BEGIN")
    assert sql.run("BEGIN").notices != []
    sql.run("COMMIT")
    sql.run("COMMIT")
    sql.run("ROLLBACK")


def test_a_statements_id_names_its_place_in_history(sql: Sql) -> None:
    query_id = sql.run("UPDATE t SET n = 11 WHERE id = 1").query_id
    sql.run("UPDATE t SET n = 12 WHERE id = 1")
    at = f"SELECT n FROM t {{}} (STATEMENT => '{query_id}')"
    assert sql.one(at.format("AT")) == 11
    assert sql.one(at.format("BEFORE")) == 10


def test_rows_that_are_read_late_are_those_of_their_statement(sql: Sql) -> None:
    sql.session.run_many("INSERT INTO t VALUES (?, ?)", [(n, n) for n in range(100, 1100)])
    (result,) = sql.session.execute("SELECT id FROM t ORDER BY id")
    sql.run("DELETE FROM t")
    assert len(rows_of(result)) == 1001


def test_rows_of_an_open_transaction_can_be_read_after_its_end(sql: Sql) -> None:
    sql.run("BEGIN")
    result = sql.run("SELECT a.id FROM t a, TABLE(GENERATOR(ROWCOUNT => 10)) g")
    sql.run("COMMIT")
    assert len(rows_of(result)) == 10


# Requests.


def test_a_request_sent_again_under_its_key_gives_the_first_result(sql: Sql) -> None:
    text = "INSERT INTO t VALUES (?, 5); UPDATE t SET n = n + 1"
    first = sql.session.execute(text, [2], idempotency_key="k")
    again = sql.beside().session.execute(text, [2], idempotency_key="k")
    assert [rows_of(one) for one in first] == [rows_of(one) for one in again] == [[(1,)], [(2, 0)]]
    assert [one.rowcount for one in again] == [1, 2]
    assert [one.query_id for one in again] == [one.query_id for one in first]
    assert rows(sql) == [(1, 11), (2, 6)]


@pytest.mark.parametrize(
    ("text", "binds"),
    [("INSERT INTO t VALUES (?, 5)", [3]), ("INSERT INTO t VALUES (?, 6)", [2])],
)
def test_another_request_under_a_used_key_is_an_error(
    sql: Sql, text: str, binds: list[object]
) -> None:
    sql.session.execute("INSERT INTO t VALUES (?, 5)", [2], idempotency_key="k")
    with pytest.raises(ProgrammingError) as caught:
        sql.session.execute(text, binds, idempotency_key="k")
    assert caught.value.code == "E_IDEMPOTENCY_MISMATCH"
    assert len(rows(sql)) == 2


def test_a_failure_inside_a_keyed_transaction_is_told_again(sql: Sql) -> None:
    def request(one: Sql) -> list[object]:
        told: list[object] = []
        with one.session.transaction(idempotency_key="k"):
            for text in ("INSERT INTO t VALUES (2, 1)", "INSERT INTO t VALUES (2, 2)"):
                try:
                    told.append(one.count(text))
                except Error as error:
                    told.append((type(error).__name__, error.code, str(error)))
            told.append(one.rows("SELECT COUNT(*) FROM t"))
        return told

    first = request(sql)
    assert first[0] == 1
    sql.run("INSERT INTO t VALUES (77, 1)")
    assert request(sql.beside()) == first


def test_a_text_under_a_key_is_one_transaction(sql: Sql) -> None:
    with pytest.raises(ProgrammingError):
        sql.session.execute("BEGIN; INSERT INTO t VALUES (2, 1)", idempotency_key="k")


# Limits and ends.


def test_a_cancelled_statement_undoes_itself(sql: Sql) -> None:
    text = "INSERT INTO t SELECT a.id + b.id * 3000 + 100, 1 FROM big a, big b WHERE a.n + b.n > 1"
    sql.run("CREATE TABLE big (id INT, n INT)")
    sql.session.run_many("INSERT INTO big VALUES (?, ?)", [(n, n) for n in range(3000)])
    started = threading.Timer(0.3, sql.session.cancel)
    started.start()
    error = sql.refused(text)
    assert error.code == "E_SQL_CANCELLED"
    assert rows(sql) == [(1, 10)]


def test_a_statement_stops_at_its_time_limit(log: Log) -> None:
    sql = Sql(log, SqlStore(log, limits=Limits(seconds=0.3)))
    sql.run("CREATE TABLE big (id INT, n INT)")
    sql.session.run_many("INSERT INTO big VALUES (?, ?)", [(n, n) for n in range(3000)])
    error = sql.refused("SELECT COUNT(*) FROM big a, big b, big c WHERE a.n + b.n + c.n > 1")
    assert error.code == "E_SQL_TIMEOUT"


def test_a_store_opened_for_reading_refuses_to_write(sql: Sql) -> None:
    reader = Sql(sql.store.log, SqlStore(sql.store.log, read_only=True))
    assert reader.rows("SELECT * FROM t") == [(1, 10)]
    for text in ("INSERT INTO t VALUES (2, 2)", "CREATE TABLE u (id INT)", "TRUNCATE TABLE t"):
        assert reader.refused(text).code == "E_READ_ONLY"


def test_a_closed_session_gives_its_transaction_up(sql: Sql) -> None:
    other = SqlSession(sql.store)
    other.execute("BEGIN; INSERT INTO t VALUES (2, 20)")
    other.close()
    other.close()
    assert rows(sql) == [(1, 10)]
    with pytest.raises(InterfaceError):
        other.execute("SELECT 1")


@pytest.mark.parametrize(
    ("text", "binds"),
    [
        ("INSERT INTO t VALUES (?, ?)", [1]),
        ("INSERT INTO t VALUES (?, ?)", [1, 2, 3]),
        ("INSERT INTO t VALUES (:a, :b)", {"a": 1}),
        ("INSERT INTO t VALUES (:a, :b)", [1, 2]),
        ("INSERT INTO t VALUES (?, ?)", {"a": 1}),
    ],
)
def test_binds_that_do_not_fit_the_text_are_refused(
    sql: Sql, text: str, binds: list[object] | dict[str, object]
) -> None:
    assert sql.refused(text, binds).code == "E_SQL_BINDS"


def test_binds_never_become_text(sql: Sql, tmp_path: Path) -> None:
    sql.run("CREATE TABLE words (w VARCHAR)")
    evil = "'); DROP TABLE t; --"
    for style, binds in (
        ("?", [evil]),
        ("%s", [evil]),
        (":w", {"w": evil}),
        ("%(w)s", {"w": evil}),
    ):
        sql.run(f"INSERT INTO words VALUES ({style})", binds)
        sql.run(f"INSERT INTO words SELECT {style}", binds)
    assert sql.rows("SELECT DISTINCT w FROM words") == [(evil,)]
    assert sql.one("SELECT COUNT(*) FROM words WHERE w = ?", [evil]) == 8
    assert len(rows(sql)) == 1
    del tmp_path
