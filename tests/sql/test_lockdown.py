"""Nothing in a statement reaches out of the store: no file, no address, no setting, no variable."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from support_statements import Sql, sql_store

from headwater.sql.context import Limits
from headwater.sql.engine import Engine
from headwater.sql.errors import Error

# A table of Python, which DuckDB would read if it were let.
secret_variable = [("leaked",)]


@pytest.fixture(scope="module")
def sql() -> Iterator[Sql]:
    with sql_store() as opened:
        opened.result("CREATE TABLE t (id INT, v VARCHAR)")
        opened.result("INSERT INTO t VALUES (1, 'x')")
        yield opened


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(Limits(memory_bytes=256 << 20))


STATEMENTS = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_parquet('/tmp/x.parquet')",
    "SELECT * FROM read_json('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM TABLE(read_csv('/etc/passwd'))",
    "SELECT * FROM TABLE(duckdb_settings())",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM '/etc/passwd'",
    'SELECT * FROM "/etc/passwd"',
    'SELECT * FROM "https://example.invalid/x.csv"',
    "SELECT * FROM duckdb_secrets",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM secret_variable",
    "SELECT getenv('HOME')",
    "SELECT current_setting('temp_directory')",
    "SELECT getvariable('x')",
    "SELECT read_text('/etc/passwd')",
    "SELECT pragma_version()",
    "SELECT * FROM TABLE(pragma_database_list())",
    "SELECT nextval('s')",
    "SELECT query('SELECT 1')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('t')",
    "SELECT error('x')",
    "SELECT json_serialize_sql('SELECT 1')",
    "SELECT * FROM json_execute_serialized_sql('x')",
    "SELECT write_log('x')",
    "SELECT set_config('x', 'y', FALSE)",
    "PRAGMA database_list",
    "ATTACH '/tmp/x.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "COPY t TO '/tmp/hw_out.csv'",
    "EXPORT DATABASE '/tmp/hw_out'",
    "SET enable_external_access = true; SELECT * FROM read_text('/etc/passwd')",
    "SELECT 1; ATTACH ':memory:' AS y",
]


@pytest.mark.parametrize("text", STATEMENTS)
def test_a_statement_that_reaches_out_is_refused(sql: Sql, text: str) -> None:
    with pytest.raises(Error) as caught:
        sql.session.execute(text)

    assert caught.value.code in ("E_NOT_SUPPORTED", "E_NOT_FOUND", "E_SQL_SYNTAX", "E_NAME")
    assert sql.rows("SELECT v FROM t") == [("x",)]


BEHIND = [
    "SELECT * FROM read_text('/etc/hostname')",
    "SELECT * FROM '/etc/hostname'",
    "COPY (SELECT 1) TO 'out.csv'",
    "ATTACH 'x.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "SET memory_limit = '100GB'",
    "SET temp_directory = '/'",
    "SET lock_configuration = false",
    "SET python_enable_replacements = true",
    "RESET threads",
    "SELECT * FROM secret_variable",
    "CREATE SECRET s (TYPE S3)",
    "EXPORT DATABASE 'x'",
]


@pytest.mark.parametrize("text", BEHIND)
def test_the_engine_itself_is_locked_should_a_text_ever_get_through(
    engine: Engine, text: str
) -> None:
    reader = engine.take()
    with pytest.raises(duckdb.Error):
        list(reader.ask(text, {}) if text.startswith("SELECT") else _run(reader.cursor, text))


def _run(cursor: object, text: str) -> list[object]:
    cursor.execute(text)  # type: ignore[attr-defined]
    return []


QUOTED = ["'; DROP TABLE t; --", "a'b", 'a"b', "\\", "$p1", "{0}", "%s", "\x00", "é\u2028", "-- x"]


@pytest.mark.parametrize("value", QUOTED)
def test_texts_and_binds_stay_what_they_are(sql: Sql, value: str) -> None:
    assert sql.rows("SELECT ? || '', ?", [value, value]) == [(value, value)]
    if "\x00" not in value:
        escaped = value.replace("\\", "\\\\").replace("'", "''")
        assert sql.rows(f"SELECT '{escaped}' || ''") == [(value,)]


def test_names_in_quotes_never_become_a_part_of_the_engines_text(sql: Sql) -> None:
    sql.result('CREATE OR REPLACE TABLE "a""; DROP" ("x"" y" INT, "select" INT, "c0" INT)')
    sql.result('INSERT INTO "a""; DROP" VALUES (1, 2, 3)')

    found = sql.dicts('SELECT "x"" y", "select", "c0" + 1 AS "k0; --" FROM "a""; DROP"')

    assert found == [{'x" y': 1, "select": 2, "k0; --": 4}]


def test_what_spills_goes_into_a_private_directory_that_goes_with_the_engine() -> None:
    made = Engine(Limits())
    directory = Path(made.directory)

    assert directory.stat().st_mode & 0o077 == 0
    del made
    assert not directory.exists()
