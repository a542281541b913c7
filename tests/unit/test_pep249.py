"""The connection as PEP 249 describes it: cursors, descriptions, transactions, module globals."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

import headwater
from headwater.ops.api import Database


@pytest.fixture
def db() -> Iterator[Database]:
    """A store in memory with a table of two rows."""
    with headwater.connect("memory:") as opened:
        opened.execute("CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(9), price NUMBER(10,2))")
        opened.execute("INSERT INTO t VALUES (1, 'a', 1.5), (2, NULL, 2)")
        yield opened


def test_the_modules_globals_are_those_of_pep_249() -> None:
    assert (headwater.apilevel, headwater.threadsafety, headwater.paramstyle) == ("2.0", 2, "qmark")
    assert issubclass(headwater.IntegrityError, headwater.DatabaseError)
    assert issubclass(headwater.DatabaseError, headwater.Error)
    assert issubclass(headwater.InterfaceError, headwater.Error)
    assert not issubclass(headwater.Warning, headwater.Error)
    assert headwater.Date(2024, 1, 2) == date(2024, 1, 2)
    assert headwater.TimestampFromTicks(0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert headwater.Binary(b"x") == b"x"


def test_the_front_door_loads_neither_engine_nor_parser() -> None:
    code = (
        "import sys, headwater; headwater.Error; headwater.connect; headwater.NUMBER;"
        "sys.exit(any(name in sys.modules for name in ('duckdb', 'sqlglot')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_cursor_describes_its_columns(db: Database) -> None:
    cursor = db.cursor()
    assert db.cursor().description is None
    cursor.execute("SELECT id, name, price AS p FROM t")
    described = cursor.description
    assert described is not None
    assert [column[0] for column in described] == ["id", "name", "p"]
    assert described[0][1] == headwater.NUMBER
    assert described[1][1] == headwater.STRING
    assert described[1][1] != headwater.NUMBER
    assert described[2][3:6] == (None, 10, 2)
    assert described[1][3] == 9


def test_rows_are_fetched_one_some_or_all(db: Database) -> None:
    cursor = db.execute("SELECT id FROM t ORDER BY id")
    assert cursor.fetchone() == (1,)
    assert cursor.fetchmany(5) == [(2,)]
    assert cursor.fetchone() is None
    assert cursor.fetchall() == []
    assert list(db.execute("SELECT id FROM t ORDER BY id")) == [(1,), (2,)]
    cursor.arraysize = 2
    assert len(cursor.execute("SELECT id FROM t").fetchmany()) == 2


def test_values_come_as_pythons_own(db: Database) -> None:
    db.execute(
        "CREATE TABLE v (d DATE, t TIME, n TIMESTAMP_NTZ, l TIMESTAMP_LTZ, z TIMESTAMP_TZ, "
        "x BINARY, b BOOLEAN, f FLOAT, p DECIMAL, j VARIANT)"
    )
    zone = timezone(timedelta(hours=2))
    values = (
        date(2024, 2, 29),
        time(1, 2, 3),
        datetime(2024, 1, 2, 3, 4, 5),
        datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
        datetime(2024, 1, 2, 3, 4, 5, tzinfo=zone),
        b"\x01",
        True,
        0.5,
        Decimal("1.10"),
        {"a": [1, None]},
    )
    db.execute("INSERT INTO v VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    (row,) = db.execute("SELECT * FROM v")
    assert row[:9] == values[:9]
    assert row[4] == values[4]
    assert row[9] == '{"a":[1,null]}'


def test_a_result_comes_as_arrow_and_as_data_frames(db: Database) -> None:
    text = "SELECT id, name FROM t ORDER BY id"
    assert db.execute(text).arrow() == pa.table({"id": [1, 2], "name": ["a", None]})
    assert db.execute(text).df()["id"].tolist() == [1, 2]
    assert db.execute(text).pl()["name"].to_list() == ["a", None]
    assert [part.num_rows for part in db.execute(text).batches()] == [2]


def test_pandas_reads_sql(db: Database) -> None:
    with pytest.warns(UserWarning, match="SQLAlchemy"):
        # Its stubs want a connection of SQLAlchemy's or sqlite's.
        found = pd.read_sql("SELECT id, name FROM t WHERE id > ?", db, params=(1,))  # pyright: ignore
    assert found.to_dict("list") == {"id": [2], "name": [None]}


def test_writing_tells_how_many_rows(db: Database) -> None:
    assert db.execute("UPDATE t SET price = 0").rowcount == 2
    assert db.executemany("INSERT INTO t (id) VALUES (?)", [(n,) for n in (3, 4)]).rowcount == 2
    assert db.execute("CREATE TABLE c AS SELECT * FROM t").rowcount == 4
    assert db.execute("TRUNCATE TABLE c").rowcount == 4


def test_the_connection_commits_and_rolls_back(db: Database) -> None:
    db.autocommit = False
    db.execute("DELETE FROM t")
    db.rollback()
    assert db.execute("SELECT COUNT(*) FROM t").fetchone() == (2,)
    db.execute("DELETE FROM t")
    db.commit()
    assert db.table("t").count() == 0


def test_a_transactions_block_is_all_or_nothing(db: Database) -> None:
    with pytest.raises(headwater.IntegrityError), db.sql_transaction() as cursor:
        cursor.execute("DELETE FROM t WHERE id = 1")
        cursor.execute("INSERT INTO t (id) VALUES (2)")
    assert db.table("t").count() == 2


def test_what_is_closed_says_so(db: Database) -> None:
    with db.cursor() as cursor:
        with pytest.raises(headwater.InterfaceError):
            cursor.fetchone()
        cursor.execute("SELECT 1")
    with pytest.raises(headwater.InterfaceError):
        cursor.execute("SELECT 1")
    with pytest.raises(headwater.InterfaceError):
        cursor.fetchall()


def test_an_error_has_a_code_a_place_and_a_cause(db: Database) -> None:
    with pytest.raises(headwater.ProgrammingError) as caught:
        db.execute("SELECT 1;\n  INSERT INTO nix VALUES (1)")
    error = caught.value
    assert (error.code, error.retryable) == ("E_NOT_FOUND", False)
    assert error.place is not None
    assert (error.place.line, error.place.column) == (2, 15)
    assert error.__cause__ is not None
    assert str(error).startswith("line 2, column 15: ")
