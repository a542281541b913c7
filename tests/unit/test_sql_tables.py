"""CREATE, ALTER, DROP and UNDROP of tables, views and schemas through SQL."""

from collections.abc import Iterator

import pytest
from support_statements import Sql, sql_store


@pytest.fixture
def sql() -> Iterator[Sql]:
    with sql_store() as made:
        yield made


def columns(sql: Sql, table: str) -> list[tuple[object, object]]:
    return [(row["name"], row["type"]) for row in sql.dicts(f"DESCRIBE TABLE {table}")]


def test_a_table_is_described_as_it_was_declared(sql: Sql) -> None:
    sql.result(
        """CREATE TABLE Orders (id INT, "Who" VARCHAR(10) DEFAULT 'it''s' COMMENT 'a name',
           at TIMESTAMP DEFAULT CURRENT_TIMESTAMP(), n INT AUTOINCREMENT START 5 INCREMENT 2,
           price NUMBER(10,2) NOT NULL, PRIMARY KEY (id))"""
    )
    rows = sql.dicts("DESCRIBE TABLE orders")
    assert [(r["name"], r["type"], r["null?"], r["default"], r["primary key"]) for r in rows] == [
        ("id", "INT", "N", None, "Y"),
        ("Who", "VARCHAR(10)", "Y", "'it\\'s'", "N"),
        ("at", "TIMESTAMP", "Y", "CURRENT_TIMESTAMP()", "N"),
        ("n", "INT", "Y", None, "N"),
        ("price", "NUMBER(10,2)", "N", None, "N"),
    ]
    assert rows[1]["comment"] == "a name"
    assert rows[3]["autoincrement"] == "START 5 INCREMENT 2"


def test_defaults_fill_what_an_insert_leaves_out(sql: Sql) -> None:
    sql.result(
        "CREATE TABLE t (id INT, n INT DEFAULT -7, d DATE DEFAULT '2026-01-02'::DATE, "
        "b BOOLEAN DEFAULT TRUE, k INT AUTOINCREMENT (10, 5)); "
        "INSERT INTO t (id) VALUES (1), (2)"
    )
    assert [tuple(map(str, row)) for row in sql.rows("SELECT * FROM t ORDER BY id")] == [
        ("1", "-7", "2026-01-02", "True", "10"),
        ("2", "-7", "2026-01-02", "True", "15"),
    ]


def test_a_default_that_is_no_constant_is_refused_where_it_stands(sql: Sql) -> None:
    error = sql.error("CREATE TABLE t (id INT,\n  u VARCHAR DEFAULT UUID_STRING())")
    assert error.code == "E_NOT_SUPPORTED"
    assert "UUID_STRING() is not supported: a default is a constant" in str(error)


def test_if_not_exists_leaves_a_table_as_it_is(sql: Sql) -> None:
    sql.result("CREATE TABLE t (a INT)")
    answer = sql.status("CREATE TABLE IF NOT EXISTS T (b INT)")
    assert answer == "T already exists, statement succeeded."
    assert columns(sql, "t") == [("a", "INT")]
    assert sql.error("CREATE TABLE t (b INT)").code == "E_NAME_TAKEN"


def test_or_replace_makes_another_table_and_undrop_cannot_take_its_name(sql: Sql) -> None:
    sql.result(
        "CREATE TABLE t (a INT); INSERT INTO t VALUES (1); CREATE OR REPLACE TABLE t (b INT)"
    )
    assert sql.rows("SELECT * FROM t") == []
    assert sql.error("UNDROP TABLE t").code == "E_NAME_TAKEN"
    sql.result("ALTER TABLE t RENAME TO newer; UNDROP TABLE t")
    assert sql.rows("SELECT * FROM t") == [(1,)]


def test_like_takes_the_shape_and_clone_the_rows_too(sql: Sql) -> None:
    sql.result(
        "CREATE TABLE t (id INT PRIMARY KEY, n INT DEFAULT 3 COMMENT 'c'); "
        "INSERT INTO t (id) VALUES (1); INSERT INTO t VALUES (2, 2); "
        "CREATE TABLE l LIKE t; CREATE TABLE c CLONE t; CREATE TABLE old CLONE t AT (VERSION => 1)"
    )
    assert sql.dicts("DESCRIBE TABLE l") == sql.dicts("DESCRIBE TABLE t")
    assert sql.rows("SELECT COUNT(*) FROM l") == [(0,)]
    assert sql.rows("SELECT * FROM c ORDER BY id") == [(1, 3), (2, 2)]
    assert sql.rows("SELECT * FROM old") == [(1, 3)]


def test_alter_changes_columns_names_and_options(sql: Sql) -> None:
    sql.result(
        """CREATE TABLE t (id INT, name VARCHAR(5)); INSERT INTO t VALUES (1, 'a');
           ALTER TABLE t ADD COLUMN z INT DEFAULT 7, y VARCHAR;
           ALTER TABLE t ADD COLUMN IF NOT EXISTS Z INT;
           ALTER TABLE t RENAME COLUMN z TO zz;
           ALTER TABLE t ALTER COLUMN name SET DATA TYPE VARCHAR(30);
           ALTER TABLE t DROP COLUMN IF EXISTS nothing;
           ALTER TABLE t DROP COLUMN y;
           COMMENT ON COLUMN t.zz IS 'seven';
           ALTER TABLE t SET COMMENT = 'mine', DATA_RETENTION_TIME_IN_DAYS = 2"""
    )
    assert columns(sql, "t") == [("id", "INT"), ("name", "VARCHAR(30)"), ("zz", "INT")]
    assert sql.rows("SELECT * FROM t") == [(1, "a", 7)]
    (shown,) = sql.dicts("SHOW TABLES LIKE 'T'")
    assert (shown["comment"], shown["retention_time"]) == ("mine", 2)
    assert sql.dicts("DESCRIBE TABLE t")[2]["comment"] == "seven"
    sql.result("ALTER TABLE t UNSET COMMENT, DATA_RETENTION_TIME_IN_DAYS")
    (shown,) = sql.dicts("SHOW TABLES LIKE 'T'")
    assert (shown["comment"], shown["retention_time"]) == ("", None)


def test_swap_exchanges_names(sql: Sql) -> None:
    sql.result(
        "CREATE TABLE a (x INT); CREATE TABLE b (y INT); INSERT INTO a VALUES (1); "
        "ALTER TABLE a SWAP WITH b"
    )
    assert (sql.rows("SELECT * FROM b"), columns(sql, "a")) == ([(1,)], [("y", "INT")])


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("ALTER TABLE t ALTER COLUMN b TYPE VARCHAR(3)", "E_SCHEMA_INCOMPATIBLE", 28),
        ("ALTER TABLE t DROP COLUMN nothing", "E_SCHEMA_INVALID", 27),
        ("ALTER TABLE t ADD COLUMN a INT", "E_SCHEMA_INVALID", 26),
        ("ALTER TABLE t ADD COLUMN c INT NOT NULL", "E_SCHEMA_INCOMPATIBLE", 26),
        ("ALTER TABLE nowhere ADD COLUMN c INT", "E_NOT_FOUND", 13),
        ("ALTER TABLE v ADD COLUMN c INT", "E_NOT_FOUND", 13),
        ("DROP TABLE nowhere", "E_NOT_FOUND", 12),
        ("DROP TABLE v", "E_NOT_FOUND", 12),
        ("DROP VIEW t", "E_NOT_FOUND", 11),
        ("UNDROP TABLE nowhere", "E_NOT_FOUND", 14),
        ("DROP SCHEMA public", "E_NAME_INVALID", 13),
        ("DROP SCHEMA s", "E_NOT_EMPTY", 13),
    ],
)
def test_what_cannot_be_is_refused_at_the_word_that_asks_for_it(
    sql: Sql, text: str, code: str, place: int
) -> None:
    sql.result(
        "CREATE TABLE t (a INT, b VARCHAR(5)); CREATE VIEW v AS SELECT a FROM t; "
        "CREATE SCHEMA s; CREATE TABLE x (a INT); USE SCHEMA public"
    )
    error = sql.error(text)
    assert (error.code, error.place and error.place.column) == (code, place), str(error)


def test_if_exists_does_nothing_where_there_is_nothing(sql: Sql) -> None:
    assert "already dropped" in sql.status("DROP TABLE IF EXISTS t")
    assert "already dropped" in sql.status("DROP VIEW IF EXISTS t")
    assert "already dropped" in sql.status("DROP SCHEMA IF EXISTS t")
    sql.result("ALTER TABLE IF EXISTS t ADD COLUMN a INT")


def test_a_schema_is_used_from_its_creation_and_falls_with_cascade(sql: Sql) -> None:
    sql.result("CREATE SCHEMA Sales; CREATE TABLE t (a INT); CREATE STREAM s ON TABLE t")
    assert sql.column("SHOW TABLES", "schema_name") == ["Sales"]
    assert sql.value("SELECT CURRENT_SCHEMA()") == "Sales"
    sql.result("USE SCHEMA public; SELECT * FROM sales.t; DROP SCHEMA sales CASCADE")
    assert sql.rows("SHOW TABLES") == []
    assert sql.rows("SHOW STREAMS") == []


def test_names_can_come_from_variables_and_binds(sql: Sql) -> None:
    sql.result("SET t = 'orders'; CREATE TABLE IDENTIFIER($t) (a INT)")
    sql.result("INSERT INTO IDENTIFIER(?) VALUES (1)", ["orders"])
    assert sql.rows("SELECT * FROM IDENTIFIER($t)") == [(1,)]
    sql.result("DROP TABLE IDENTIFIER(?)", ["orders"])
    assert sql.rows("SHOW TABLES") == []


def test_what_means_nothing_is_answered_with_a_notice(sql: Sql) -> None:
    made = sql.result(
        "CREATE TRANSIENT TABLE t (a INT) CLUSTER BY (a) CHANGE_TRACKING = TRUE COPY GRANTS"
    )
    assert [notice.split()[0] for notice in made.notices] == [
        *("TRANSIENT", "CLUSTER", "CHANGE_TRACKING", "COPY")
    ]
    for text in ("USE WAREHOUSE w", "USE ROLE r", "GRANT SELECT ON t TO ROLE r", "USE DATABASE d"):
        assert len(sql.result(text).notices) == 1


def test_views_show_what_their_query_gives(sql: Sql) -> None:
    sql.result(
        "CREATE TABLE t (id INT, n NUMBER(10,2)); INSERT INTO t VALUES (1, 2.5), (2, 3);"
        "CREATE VIEW big (which, much) COMMENT = 'c' AS SELECT id, n FROM t WHERE id > 1"
    )
    assert sql.dicts("SELECT * FROM big")[0]["which"] == 2
    assert columns(sql, "big") == [("which", "INT"), ("much", "NUMBER(10,2)")]
    sql.result("ALTER VIEW big RENAME TO large; COMMENT ON VIEW large IS 'd'")
    (shown,) = sql.dicts("SHOW VIEWS")
    assert (shown["name"], shown["comment"]) == ("large", "d")
    assert shown["text"] == "SELECT id, n FROM t WHERE id > 1"
    sql.result("DROP VIEW large")
    assert sql.rows("SHOW VIEWS") == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("CREATE VIEW v AS SELECT $x FROM t", "E_VIEW"),
        ("CREATE VIEW v AS SELECT nothing FROM t", "E_COLUMN_UNKNOWN"),
        ("CREATE VIEW v AS SELECT a FROM nowhere", "E_NOT_FOUND"),
        ("CREATE VIEW v AS SELECT a, a FROM t", "E_SCHEMA_INVALID"),
        ("CREATE VIEW v (x, y) AS SELECT a FROM t", "E_VIEW"),
        ("CREATE VIEW t AS SELECT 1 AS a", "E_NAME_TAKEN"),
        ("CREATE VIEW v AS SELECT a FROM s CONSUMER c", "E_VIEW"),
    ],
)
def test_a_view_that_could_not_be_read_is_not_made(sql: Sql, text: str, code: str) -> None:
    sql.result("CREATE TABLE t (a INT); CREATE STREAM s ON TABLE t; SET x = 1")
    assert sql.error(text).code == code
    assert sql.rows("SHOW VIEWS") == []


def test_only_a_filter_and_projection_of_one_table_can_have_streams(sql: Sql) -> None:
    sql.result(
        "CREATE TABLE t (a INT, b INT); CREATE VIEW p AS SELECT b, a + 1 AS c FROM t WHERE a > 1; "
        "CREATE STREAM s ON VIEW p"
    )
    assert sql.dicts("SHOW STREAMS")[0]["table_name"] == "public.p"
    for at, query in enumerate(
        (
            "SELECT COUNT(*) AS n FROM t",
            "SELECT x.a FROM t x JOIN t y ON x.a = y.a",
            "SELECT DISTINCT a FROM t",
            "SELECT a FROM t LIMIT 1",
            "SELECT a FROM t WHERE a IN (SELECT b FROM t)",
        )
    ):
        sql.result(f"CREATE VIEW v{at} AS {query}")
        error = sql.error(f"CREATE STREAM s{at} ON VIEW v{at}")
        assert error.code == "E_STREAM_INVALID", query


def test_definitions_are_part_of_the_open_transaction(sql: Sql) -> None:
    sql.result(
        "BEGIN; CREATE TABLE t (a INT); CREATE STREAM s ON TABLE t; INSERT INTO t VALUES (1)"
    )
    assert sql.rows("SELECT * FROM t") == [(1,)]
    assert sql.column("SHOW STREAMS", "name") == ["s"]
    sql.result("ROLLBACK")
    assert sql.rows("SHOW TABLES") + sql.rows("SHOW STREAMS") == []
