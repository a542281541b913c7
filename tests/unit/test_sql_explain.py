"""EXPLAIN: what would be scanned, looked at, consumed and written, without doing it."""

import json
from collections.abc import Iterator
from typing import cast

import pytest
from support_statements import Sql, sql_store


@pytest.fixture
def sql() -> Iterator[Sql]:
    with sql_store() as made:
        made.result(
            """CREATE TABLE t (id INT PRIMARY KEY, n INT); CREATE TABLE a (id INT, n INT);
               CREATE TABLE b (id INT, n INT); INSERT INTO t VALUES (1, 1), (2, 2);
               INSERT INTO t VALUES (3, 3); CREATE STREAM s ON TABLE t AT (VERSION => 0);
               CREATE VIEW v AS SELECT id FROM t WHERE n > 1; CREATE VIEW vs AS SELECT * FROM s"""
        )
        yield made


def steps(sql: Sql, text: str) -> list[tuple[object, ...]]:
    return [
        tuple(row[key] for key in ("operation", "object", "consumer", "from", "to", "changes"))
        for row in sql.dicts("EXPLAIN " + text)
    ]


def test_a_query_scans_tables_and_looks_at_streams(sql: Sql) -> None:
    assert steps(sql, "SELECT * FROM v JOIN s ON s.id = v.id") == [
        ("VIEW", "v", None, None, None, None),
        ("SCAN", "t", None, None, "v2", None),
        ("LOOK", "s", None, "v0", "v2", 3),
    ]
    assert steps(sql, "SELECT * FROM information_schema.tables") == [
        ("LIST", "INFORMATION_SCHEMA.TABLES", None, None, None, None)
    ]


@pytest.mark.parametrize(
    ("text", "consumes", "writes"),
    [
        ("INSERT INTO a SELECT id, n FROM s", ("s", "a", "v0", "v2", 3), ["a"]),
        ("INSERT INTO a SELECT id, n FROM vs", ("s", "a", "v0", "v2", 3), ["a"]),
        ("INSERT INTO a SELECT id, n FROM s CONSUMER c", ("s", "c", "v0", "v2", 3), ["a"]),
        ("INSERT INTO a SELECT id, n FROM s LIMIT CHANGES 1", ("s", "a", "v0", "v1", 2), ["a"]),
        ("UPDATE a SET n = 1 FROM s WHERE s.id = a.id", ("s", "a", "v0", "v2", 3), ["a"]),
        ("DELETE FROM a WHERE id IN (SELECT id FROM s)", ("s", "a", "v0", "v2", 3), ["a"]),
        (
            "MERGE INTO a USING s ON a.id = s.id WHEN MATCHED THEN DELETE",
            ("s", "a", "v0", "v2", 3),
            ["a"],
        ),
        ("INSERT ALL INTO a INTO b SELECT id, n FROM s", ("s", "a, b", "v0", "v2", 3), ["a", "b"]),
        ("CREATE TABLE c AS SELECT * FROM s", ("s", "c", None, None, None), ["c"]),
    ],
)
def test_dml_consumes_and_writes(
    sql: Sql, text: str, consumes: tuple[object, ...], writes: list[str]
) -> None:
    found = steps(sql, text)
    assert [step[1:] for step in found if step[0] == "CONSUME"] == [consumes]
    assert [step[1] for step in found if step[0] == "WRITE"] == writes


def test_explaining_changes_nothing_also_inside_a_transaction(sql: Sql) -> None:
    sql.result("BEGIN; EXPLAIN INSERT INTO a SELECT id, n FROM s; COMMIT")
    assert sql.rows("SHOW CONSUMERS") == []
    sql.result("INSERT INTO a SELECT id, n FROM s; BEGIN")
    assert ("CONSUME", "s", "a", "v2", "v2", 0) in steps(sql, "INSERT INTO a SELECT id, n FROM s")
    sql.result("ROLLBACK")


def test_targets_that_stand_apart_are_named_as_the_statement_itself_would(sql: Sql) -> None:
    sql.result("INSERT INTO a SELECT id, n FROM s")
    error = sql.error("EXPLAIN INSERT ALL INTO a INTO b SELECT id, n FROM s")
    assert error.code == "E_WATERMARKS_DIFFER"


def test_it_can_be_read_as_json_and_as_text(sql: Sql) -> None:
    shown = cast(str, sql.value("EXPLAIN USING JSON INSERT INTO a SELECT id, n FROM s"))
    assert [step["operation"] for step in json.loads(shown)] == ["CONSUME", "WRITE"]
    lines = sql.column("EXPLAIN USING TEXT INSERT INTO a SELECT id, n FROM s", "content")
    assert str(lines[0]).startswith("1. CONSUME s for a (v0, v2] 3 changes: ALL")


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        ("EXPLAIN SHOW TABLES", "E_SQL_SYNTAX", 9),
        ("EXPLAIN SELECT * FROM nowhere", "E_NOT_FOUND", 23),
        ("EXPLAIN INSERT INTO nowhere SELECT 1", "E_NOT_FOUND", 21),
        ("EXPLAIN CALL SYSTEM$STREAM_REWIND('s')", "E_SQL_SYNTAX", 9),
        ("EXPLAIN EXPLAIN SELECT 1", "E_SQL_SYNTAX", 9),
        ("EXPLAIN", "E_SQL_SYNTAX", 8),
    ],
)
def test_what_cannot_be_explained_says_so(sql: Sql, text: str, code: str, column: int) -> None:
    error = sql.error(text)
    assert (error.code, error.place and error.place.column) == (code, column), str(error)
