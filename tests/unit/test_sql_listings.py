"""What exists, told in SQL: SHOW, DESCRIBE, GET_DDL, INFORMATION_SCHEMA, SYSTEM$ functions."""

from collections.abc import Iterator
from typing import cast

import pytest
from support_statements import Sql, sql_store

import headwater
from headwater.sql.parse import parse
from headwater.sql.statements import Show


@pytest.fixture
def sql() -> Iterator[Sql]:
    with sql_store() as made:
        made.result(
            """CREATE TABLE Orders (id INT PRIMARY KEY, name VARCHAR(20) DEFAULT 'x');
               CREATE STREAM all_s ON TABLE orders; CREATE STREAM net_s ON TABLE orders
                 CHANGES CAPTURE (NET) COMMENT = 'netted';
               INSERT INTO orders VALUES (1, 'a'), (2, 'b'); UPDATE orders SET name = 'c' WHERE id = 1;
               ALTER STREAM all_s ADD CONSUMER c; ALTER STREAM all_s ADD CONSUMER d AT VERSION 1"""
        )
        yield made


def test_show_tables_counts_rows_versions_and_streams(sql: Sql) -> None:
    (row,) = sql.dicts("SHOW TABLES")
    wanted = {"name": "Orders", "schema_name": "public", "rows": 2, "version": 2, "streams": 2}
    assert {key: row[key] for key in wanted} == wanted


def test_show_filters_by_pattern_prefix_schema_and_number(sql: Sql) -> None:
    assert sql.column("SHOW STREAMS LIKE 'ALL%'", "name") == ["all_s"]
    assert sql.column("SHOW STREAMS LIKE '_ll\\\\_s'", "name") == ["all_s"]
    assert sql.column("SHOW STREAMS STARTS WITH 'net'", "name") == ["net_s"]
    assert sql.column("SHOW STREAMS LIMIT 1", "name") == ["all_s"]
    assert sql.column("SHOW STREAMS IN SCHEMA public", "name") == ["all_s", "net_s"]
    assert sql.error("SHOW STREAMS IN SCHEMA nowhere").code == "E_NOT_FOUND"


def test_show_history_also_lists_what_was_dropped(sql: Sql) -> None:
    sql.result("DROP TABLE orders")
    assert sql.rows("SHOW TABLES") == []
    (row,) = sql.dicts("SHOW TABLES HISTORY")
    assert row["dropped_on"] is not None


@pytest.mark.parametrize(
    "kind",
    [
        *("TABLES", "VIEWS", "STREAMS", "SCHEMAS", "DATABASES", "COLUMNS", "PARAMETERS"),
        *("VARIABLES", "TRANSACTIONS", "PRIMARY KEYS", "CONSUMERS", "OBJECTS"),
    ],
)
def test_every_kind_of_listing_has_its_columns_and_runs(sql: Sql, kind: str) -> None:
    (statement,) = parse(f"SHOW {kind}")
    assert isinstance(statement, Show)
    result = sql.result(f"SHOW {kind}")
    assert result.columns
    assert result.kind == f"SHOW {kind}"


def test_show_streams_says_where_each_one_stands(sql: Sql) -> None:
    first, second = sql.dicts("SHOW STREAMS")
    assert (first["type"], first["mode"], first["watermark"], first["head"]) == (
        *("ALL", "DEFAULT", 0, 2),
    )
    assert (first["consumer_count"], first["has_data"], first["stale"]) == (2, True, False)
    assert (second["type"], second["comment"]) == ("NET", "netted")


def test_a_dropped_table_makes_its_streams_stale_with_the_reason(sql: Sql) -> None:
    sql.result("DROP TABLE orders")
    row = sql.dicts("SHOW STREAMS LIKE 'all_s'")[0]
    assert row["stale"] is True
    assert "was dropped" in str(row["invalid_reason"])


def test_show_consumers_tells_lags(sql: Sql) -> None:
    rows = sql.dicts("SHOW CONSUMERS IN all_s")
    assert [(r["name"], r["kind"], r["watermark"], r["lag_changes"]) for r in rows] == [
        ("c", "CLIENT", 0, 3),
        ("d", "CLIENT", 1, 1),
    ]


def test_describe_finds_whatever_has_the_name(sql: Sql) -> None:
    assert sql.column("DESC orders", "name") == ["id", "name"]
    assert sql.column("DESC STREAM all_s", "name") == ["all_s"]
    assert sql.error("DESC STREAM orders").code == "E_NOT_FOUND"
    assert sql.error("DESC nowhere").code == "E_NOT_FOUND"


def test_the_information_schema_can_be_queried(sql: Sql) -> None:
    assert sql.rows(
        "SELECT table_name, row_count FROM information_schema.tables WHERE table_type LIKE 'BASE%'"
    ) == [("Orders", 2)]
    assert sql.rows(
        "SELECT column_name, ordinal_position, character_maximum_length "
        "FROM INFORMATION_SCHEMA.COLUMNS WHERE table_name = 'Orders' ORDER BY 2"
    ) == [("id", 1, None), ("name", 2, 20)]
    assert sql.rows(
        "SELECT stream_name, consumer_name, watermark, lag_versions "
        "FROM information_schema.stream_consumers ORDER BY consumer_name"
    ) == [("all_s", "c", 0, 2), ("all_s", "d", 1, 1)]
    assert sql.rows(
        "SELECT version, inserts, updates, deletes FROM information_schema.table_versions ORDER BY 1"
    ) == [(0, 0, 0, 0), (1, 2, 0, 0), (2, 0, 1, 0)]
    assert sql.value("SELECT COUNT(*) FROM information_schema.schemata") == 1
    assert sql.value("SELECT COUNT(*) FROM information_schema.views") == 0


def test_the_streams_relation_has_the_columns_that_scripts_ask_for(sql: Sql) -> None:
    rows = sql.rows(
        "SELECT STREAM_NAME, TABLE_NAME, CREATED_ON IS NOT NULL, BYTES, TYPE, STALE, STALE_AFTER, "
        "COMMENT FROM INFORMATION_SCHEMA.STREAMS WHERE STREAM_NAME = 'net_s'"
    )
    assert len(rows) == 1
    assert rows[0][:3] == ("net_s", "Orders", True)
    assert cast(int, rows[0][3]) > 0
    assert rows[0][4:] == ("NET", False, None, "netted")


def test_every_move_of_a_watermark_is_in_the_offset_history(sql: Sql) -> None:
    sql.result("CALL SYSTEM$STREAM_ADVANCE('all_s', CONSUMER => 'c', TO => 1, REASON => 'late')")
    rows = sql.rows(
        "SELECT consumer_name, from_version, to_version, why, reason "
        "FROM information_schema.stream_offset_history WHERE consumer_name = 'c'"
    )
    assert rows == [("c", None, 0, "REGISTER", None), ("c", 0, 1, "ADVANCE", "late")]


def test_system_functions_ask_the_snapshot(sql: Sql) -> None:
    assert sql.rows(
        "SELECT SYSTEM$STREAM_HAS_DATA('all_s'), SYSTEM$STREAM_HAS_DATA('all_s', 'd'), "
        "SYSTEM$STREAM_OFFSET('all_s'), SYSTEM$STREAM_OFFSET('all_s', 'd'), "
        "CURRENT_STREAM_OFFSET('net_s'), SYSTEM$TABLE_VERSION('orders')"
    ) == [(True, True, "v0", "v1", "v0", 2)]
    sql.result("CALL SYSTEM$STREAM_ADVANCE('all_s', CONSUMER => '*')")
    assert sql.value("SELECT SYSTEM$STREAM_HAS_DATA('all_s')") is False


def test_system_functions_work_inside_queries_with_binds_and_variables(sql: Sql) -> None:
    sql.result("SET s = 'all_s'")
    assert sql.rows("SELECT id, SYSTEM$STREAM_OFFSET($s) AS o FROM orders ORDER BY id") == [
        (1, "v0"),
        (2, "v0"),
    ]
    assert sql.value("SELECT SYSTEM$STREAM_OFFSET(?)", ["all_s"]) == "v0"


def test_the_backlog_has_a_row_for_each_version_to_be_consumed(sql: Sql) -> None:
    rows = sql.rows(
        "SELECT version, inserts, updates, deletes, changes "
        "FROM TABLE(SYSTEM$STREAM_BACKLOG('all_s')) ORDER BY version"
    )
    assert rows == [(1, 2, 0, 0, 2), (2, 0, 1, 0, 1)]
    assert len(sql.rows("SELECT * FROM TABLE(SYSTEM$STREAM_BACKLOG('all_s', 'd'))")) == 1


def test_own_consumption_counts_only_for_the_current_offset(sql: Sql) -> None:
    sql.result(
        "CREATE TABLE copy (id INT, name VARCHAR); BEGIN; "
        "INSERT INTO copy SELECT id, name FROM all_s"
    )
    assert sql.value("SELECT CURRENT_STREAM_OFFSET('all_s', 'copy')") == "v2"
    sql.result("COMMIT")
    assert sql.value("SELECT SYSTEM$STREAM_OFFSET('all_s', 'copy')") == "v2"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELECT SYSTEM$STREAM_OFFSET('nothing')", "E_NOT_FOUND"),
        ("SELECT SYSTEM$STREAM_OFFSET('all_s', 'nobody')", "E_CONSUMER_UNKNOWN"),
        ("SELECT SYSTEM$STREAM_OFFSET()", "E_SQL_ARGUMENT"),
        ("SELECT SYSTEM$STREAM_OFFSET(3)", "E_SQL_ARGUMENT"),
        ("SELECT GET_DDL('NOTHING', 'x')", "E_SQL_ARGUMENT"),
        ("SELECT GET_DDL('TABLE', 'all_s')", "E_NOT_FOUND"),
        ("SELECT * FROM INFORMATION_SCHEMA.NOTHING", "E_NOT_FOUND"),
    ],
)
def test_questions_about_nothing_are_refused(sql: Sql, text: str, code: str) -> None:
    assert sql.error(text).code == code


DECLARED = """
    CREATE SCHEMA "Odd name"; USE SCHEMA public;
    CREATE TABLE plain (a INT);
    CREATE TABLE t (id INT, "Quoted" VARCHAR(10) DEFAULT 'it''s \\\\ x' COMMENT 'why''s', f FLOAT DEFAULT 1.5,
      d DECIMAL, p NUMBER(10,2) DEFAULT -2.50, b BOOLEAN DEFAULT FALSE, day DATE DEFAULT '2026-01-02',
      clock TIME(3) DEFAULT '10:11:12.5', at TIMESTAMP_NTZ(3) DEFAULT '2026-01-02 03:04:05.678',
      tz TIMESTAMP_TZ DEFAULT '2026-01-02 03:04:05 +02:00', ltz TIMESTAMP_LTZ DEFAULT CURRENT_TIMESTAMP(),
      today DATE DEFAULT CURRENT_DATE, bin BINARY(4) DEFAULT 'ff00'::BINARY, v VARIANT, o OBJECT, ar ARRAY,
      w TIMESTAMP WITH TIME ZONE, dp DOUBLE PRECISION, n INT AUTOINCREMENT START 5 INCREMENT 2,
      nn VARCHAR NOT NULL, PRIMARY KEY (id, "Quoted"))
      DATA_RETENTION_TIME = '90 minutes' COMMENT = 'a "table"';
    CREATE TABLE "Odd name"."select" (a INT) DATA_RETENTION_TIME_IN_DAYS = 3;
    CREATE VIEW v (x, "Y z") COMMENT = 'seen' AS SELECT id, "Quoted" FROM t WHERE id > 1;
    INSERT INTO plain VALUES (1); INSERT INTO plain VALUES (2);
    CREATE STREAM s1 ON TABLE plain;
    CREATE STREAM s2 ON TABLE plain AT (VERSION => 1) CHANGES CAPTURE (NET) SHOW_INITIAL_ROWS = TRUE
      CONSUMERS = SHARED RETENTION_TIME = '30 DAYS' REWIND = REQUIRE_REASON COMMENT = 'it''s';
    CREATE STREAM s3 ON TABLE "Odd name"."select" APPEND_ONLY = TRUE REWIND = FORBID;
"""
STORED = "dropped_on created_on topic bytes"


def everything(sql: Sql) -> dict[str, list[dict[str, object]]]:
    """All that is declared, without the marks of when."""
    listed = {kind: sql.dicts(f"SHOW {kind}") for kind in ("TABLES", "VIEWS", "STREAMS", "COLUMNS")}
    for rows in listed.values():
        for row in rows:
            for key in STORED.split():
                row.pop(key, None)
    return listed


def test_get_ddl_declares_the_same_objects_again(sql: Sql) -> None:
    with sql_store() as first:
        first.result(DECLARED)
        text = str(first.value("SELECT GET_DDL('DATABASE', '')"))
        wanted = everything(first)
        again = text.replace("create or replace ", "create ")
        with sql_store() as second:
            # Streams begin at versions of the table, which must be there.
            tables, _, rest = again.partition("create stream")
            second.result(tables)
            second.result("INSERT INTO plain VALUES (1); INSERT INTO plain VALUES (2)")
            second.result("create stream" + rest)
            assert everything(second) == wanted
            assert second.value("SELECT GET_DDL('DATABASE', '')") == text


def test_get_ddl_names_a_schema_only_where_it_must(sql: Sql) -> None:
    assert str(sql.value("SELECT GET_DDL('TABLE', 'orders')")).startswith(
        "create or replace table Orders ("
    )
    assert "public.Orders" in str(sql.value("SELECT GET_DDL('TABLE', 'orders', TRUE)"))


def test_a_store_opened_for_reading_answers_all_of_it(tmp_path: object) -> None:
    with headwater.connect(str(tmp_path)) as db:
        db.sql.execute("CREATE TABLE t (a INT); CREATE STREAM s ON TABLE t")
    with headwater.connect(str(tmp_path), read_only=True) as db:
        reading = Sql(db)
        assert reading.column("SHOW TABLES", "name") == ["t"]
        assert reading.column("DESCRIBE TABLE t", "name") == ["a"]
        assert reading.value("SELECT SYSTEM$STREAM_HAS_DATA('s')") is False
        assert reading.error("CREATE TABLE u (a INT)").code == "E_READ_ONLY"


def test_a_stream_is_stale_some_time_after_what_nobody_consumed(sql: Sql) -> None:
    asked = (
        "SELECT STALE_AFTER AS after FROM INFORMATION_SCHEMA.STREAMS WHERE STREAM_NAME = 'all_s'"
    )
    assert sql.column(asked, "after") == [None], "its table keeps all"
    sql.result("ALTER TABLE orders SET DATA_RETENTION_TIME_IN_DAYS = 1")
    days = f"SELECT DATEDIFF(day, CURRENT_TIMESTAMP(), after) AS days FROM ({asked})"
    assert sql.column(days, "days") == [15], "a day, and 14 more for who is behind"
    shown = {row["name"]: row["stale_after"] for row in sql.dicts("SHOW STREAMS")}
    assert [shown["all_s"]] == sql.column(asked, "after")
