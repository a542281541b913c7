"""Cancelling, memory, several statements at once, results larger than what is fetched at once."""

import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest
from support_statements import Sql, sql_store

from headwater.sql.context import Context, Limits, State
from headwater.sql.engine import Engine, engine_of
from headwater.sql.errors import Error, OperationalError
from headwater.sql.parse import parse
from headwater.sql.select import Looking, QueryResult, run_query
from headwater.sql.statements import Query

ENDLESS = (
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 2000000000)"
    " SELECT MAX(n) FROM r"
)


@pytest.fixture
def sql() -> Iterator[Sql]:
    with sql_store() as opened:
        opened.result("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR)")
        yield opened


def asked(sql: Sql, text: str, context: Context | None = None) -> QueryResult:
    """A query run by itself, in a transaction of its own."""
    (statement,) = parse(text)
    assert isinstance(statement, Query)
    session = sql.db.session
    made = context or Context(session, State(), session.begin(), statement)
    return run_query(made, statement.tree, Looking(made))


def test_a_running_statement_is_cancelled_from_another_thread(sql: Sql) -> None:
    stops: list[threading.Timer] = []
    (statement,) = parse(ENDLESS)
    session = sql.db.session

    def on_cancel(stop: object) -> None:
        assert callable(stop)
        stops.append(threading.Timer(0.3, stop))
        stops[-1].start()

    context = Context(session, State(), session.begin(), statement, on_cancel=on_cancel)
    with pytest.raises(OperationalError) as caught:
        asked(sql, ENDLESS, context)

    assert caught.value.code == "E_CANCELLED"
    assert sql.rows("SELECT 1") == [(1,)]


def test_a_result_that_is_being_read_holds_up_no_other_statement(sql: Sql) -> None:
    sql.result(
        "INSERT INTO t SELECT SEQ4(), REPEAT('x', 200) FROM TABLE(GENERATOR(ROWCOUNT => 300000))"
    )
    large = asked(sql, "SELECT id, v || 'y' AS w FROM t")
    first = next(large.batches)

    assert sql.rows("SELECT COUNT(*) FROM t") == [(300000,)]
    sql.result("DELETE FROM t WHERE id < 10")
    rest = sum(part.num_rows for part in large.batches)
    assert first.num_rows + rest == 300000
    assert sql.rows("SELECT COUNT(*) FROM t") == [(299990,)]


def test_a_result_given_up_half_way_gives_its_reader_back(sql: Sql) -> None:
    sql.result(
        "INSERT INTO t SELECT SEQ4(), REPEAT('x', 200) FROM TABLE(GENERATOR(ROWCOUNT => 300000))"
    )
    for _ in range(12):
        large = asked(sql, "SELECT id, v || 'y' AS w FROM t")
        next(large.batches)
        large.batches.close()  # type: ignore[attr-defined]

    assert sql.rows("SELECT COUNT(*) FROM t") == [(300000,)]


def test_a_query_over_its_memory_limit_says_so_and_leaves_the_engine_sound() -> None:
    engine = Engine(Limits(memory_bytes=64 << 20))
    reader = engine.take()
    reader.lend("big", pa.table({"c0": pa.array(range(200_000), pa.int64())}))
    import duckdb

    text = "SELECT list(c0 || repeat('x', 2000)) FROM big"
    with pytest.raises(duckdb.OutOfMemoryException):
        list(reader.ask(text, {}))
    reader.cursor.close()
    again = engine.take()
    assert [b.num_rows for b in again.ask("SELECT 1", {})] == [1]


def test_eight_threads_ask_one_store_at_once(sql: Sql) -> None:
    sql.result("INSERT INTO t SELECT SEQ4(), 'x' FROM TABLE(GENERATOR(ROWCOUNT => 1000))")
    wrong: list[object] = []

    def ask(number: int) -> None:
        try:
            for _ in range(10):
                found = (
                    asked(sql, f"SELECT COUNT(*), SUM(id) + {number} FROM t").table().to_pydict()
                )
                values = [column[0] for column in found.values()]
                if values != [1000, 499500 + number]:
                    wrong.append(values)
        except Error as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert engine_of(sql.db.session.log, Limits()) is engine_of(sql.db.session.log, Limits())
