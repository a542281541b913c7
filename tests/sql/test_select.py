"""SELECT in all its clauses, over tables, streams, views and history."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from support_statements import Sql, sql_store


@pytest.fixture
def sql() -> Iterator[Sql]:
    with sql_store() as opened:
        opened.result("CREATE TABLE o (id INT PRIMARY KEY, g VARCHAR, a INT, p NUMBER(10,2))")
        opened.result("INSERT INTO o VALUES (1,'x',10,1.5),(2,'x',20,2.5),(3,'y',30,NULL)")
        yield opened


QUERIES: list[tuple[str, list[tuple[object, ...]]]] = [
    ("SELECT g, SUM(a) s FROM o GROUP BY g ORDER BY s", [("x", 30), ("y", 30)]),
    ("SELECT g, COUNT(*) FROM o GROUP BY ALL ORDER BY 1", [("x", 2), ("y", 1)]),
    ("SELECT LEFT(g, 1) AS h, MAX(a) FROM o GROUP BY h HAVING MAX(a) < 30", [("x", 20)]),
    (
        "SELECT g, SUM(a) FROM o GROUP BY ROLLUP (g) ORDER BY g",
        [("x", 30), ("y", 30), (None, 60)],
    ),
    ("SELECT id AS x, x + 1 AS y FROM o WHERE x > 2", [(3, 4)]),
    ("SELECT id FROM o QUALIFY ROW_NUMBER() OVER (PARTITION BY g ORDER BY a DESC) = 1 ORDER BY id",
     [(2,), (3,)]),
    ("SELECT id, SUM(a) OVER (ORDER BY id) FROM o ORDER BY id", [(1, 10), (2, 30), (3, 60)]),
    ("SELECT id, LAG(a, 1, 0) OVER (ORDER BY id) FROM o ORDER BY id", [(1, 0), (2, 10), (3, 20)]),
    ("SELECT id, LAST_VALUE(a) OVER (ORDER BY id) FROM o ORDER BY id LIMIT 1", [(1, 30)]),
    ("SELECT id FROM o ORDER BY p DESC", [(3,), (2,), (1,)]),
    ("SELECT id FROM o ORDER BY p NULLS FIRST", [(3,), (1,), (2,)]),
    ("SELECT id FROM o ORDER BY id LIMIT 1 OFFSET 1", [(2,)]),
    ("SELECT TOP 2 id FROM o ORDER BY id", [(1,), (2,)]),
    ("SELECT * EXCLUDE (p) RENAME (a AS b) FROM o WHERE id = 1", [(1, "x", 10)]),
    ("SELECT * ILIKE 'i%' FROM o WHERE id = 1", [(1,)]),
    ("SELECT DISTINCT g FROM o ORDER BY g", [("x",), ("y",)]),
    ("WITH w AS (SELECT a FROM o WHERE g = 'x'), v AS (SELECT SUM(a) s FROM w) SELECT s FROM v",
     [(30,)]),
    (("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 4) SELECT SUM(n)"
     " FROM r"), [(10,)]),
    ("WITH r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 4) SELECT COUNT(*) FROM r",
     [(4,)]),
    ("SELECT x.id, y.id z FROM o x JOIN o y ON x.g = y.g AND x.id < y.id", [(1, 2)]),
    (("SELECT COUNT(*) FROM o x LEFT JOIN (SELECT id i FROM o WHERE id = 1) y ON x.id = y.i"
     " WHERE i IS NULL"), [(2,)]),
    ("SELECT id, y.b FROM o JOIN (SELECT id, a b FROM o) y USING (id) WHERE id = 2", [(2, 20)]),
    ("SELECT * FROM (SELECT id FROM o) NATURAL JOIN (SELECT id FROM o WHERE id > 2)", [(3,)]),
    ("SELECT id FROM o t WHERE a = (SELECT MAX(a) FROM o WHERE g = t.g) ORDER BY id",
     [(2,), (3,)]),
    ("SELECT id FROM o WHERE id IN (SELECT id FROM o WHERE g = 'y')", [(3,)]),
    ("SELECT id FROM o WHERE id NOT IN (SELECT id FROM o WHERE g = 'x')", [(3,)]),
    ("SELECT COUNT(*) FROM o WHERE EXISTS (SELECT 1 FROM o WHERE id = 9)", [(0,)]),
    ("SELECT id FROM o WHERE a >= ALL (SELECT a FROM o)", [(3,)]),
    ("SELECT id FROM o UNION SELECT 3 UNION ALL SELECT 9 ORDER BY 1", [(1,), (2,), (3,), (9,)]),
    ("SELECT id FROM o INTERSECT SELECT 2", [(2,)]),
    ("SELECT id FROM o MINUS SELECT 2 ORDER BY id", [(1,), (3,)]),
    ("SELECT 1 UNION ALL SELECT 2.5", [(Decimal("1.0"),), (Decimal("2.5"),)]),
    ("SELECT n, m FROM (VALUES (1, 'a'), (2, 'b')) v(n, m) WHERE n = 2", [(2, "b")]),
    ("SELECT COLUMN1 FROM VALUES (7)", [(7,)]),
    ("SELECT LISTAGG(g, ',') WITHIN GROUP (ORDER BY id DESC) FROM o", [("y,x,x",)]),
    ("SELECT ARRAY_AGG(a) WITHIN GROUP (ORDER BY a) FROM o", [("[10,20,30]",)]),
    ("SELECT OBJECT_AGG(id, a) FROM o WHERE id < 2", [('{"1":10}',)]),
    ("SELECT AVG(a), AVG(p), MEDIAN(a) FROM o",
     [(Decimal("20.000000"), Decimal("2.00000000"), Decimal("20.000"))]),
    ("SELECT COUNT(p), COUNT(DISTINCT g), COUNT_IF(a > 10), MAX_BY(id, a) FROM o", [(2, 2, 2, 3)]),
    ("SELECT OBJECT_CONSTRUCT(*) FROM o WHERE id = 3", [('{"a":30,"g":"y","id":3}',)]),
    (("SELECT f.value::INT FROM o, LATERAL FLATTEN(INPUT => ARRAY_CONSTRUCT(id, a)) f WHERE id = 1"
     " ORDER BY f.index"), [(1,), (10,)]),
    (("SELECT f.key, f.value::INT v FROM TABLE(FLATTEN(PARSE_JSON('{\"a\":1,\"b\":2}'))) f"
     " ORDER BY 1"), [("a", 1), ("b", 2)]),
    (("SELECT f.path FROM TABLE(FLATTEN(INPUT => PARSE_JSON('{\"a\":[1]}'), RECURSIVE => TRUE)) f"
     " ORDER BY 1"), [("a",), ("a[0]",)]),
    ("SELECT COUNT(*) FROM o, LATERAL FLATTEN(INPUT => PARSE_JSON('[]'), OUTER => TRUE) f", [(3,)]),
    ("SELECT COUNT(*) FROM o, LATERAL FLATTEN(INPUT => PARSE_JSON('[]')) f", [(0,)]),
    ("SELECT SEQ4() FROM TABLE(GENERATOR(ROWCOUNT => 3))", [(0,), (1,), (2,)]),
    ("SELECT MAX(id) FROM public.o", [(3,)]),
    ("SELECT o.id FROM o WHERE O.ID = 1 AND \"g\" = 'x'", [(1,)]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), QUERIES, ids=[text for text, _ in QUERIES])
def test_a_query_gives_the_rows_that_snowflake_gives(
    sql: Sql, text: str, expected: list[tuple[object, ...]]
) -> None:
    assert sql.rows(text) == expected


WRONG: list[tuple[str, str, int, str]] = [
    ("SELECT nme FROM o", "E_COLUMN_UNKNOWN", 8, "there is no column nme"),
    ("SELECT z.id FROM o", "E_COLUMN_UNKNOWN", 8, "no table z"),
    ("SELECT id FROM o x, o y", "E_COLUMN_AMBIGUOUS", 8, "say which table's"),
    ("SELECT * FROM nothing", "E_NOT_FOUND", 15, "nothing"),
    ("SELECT g, SUM(a) FROM o", "E_NOT_GROUPED", 8, "neither in GROUP BY"),
    ("SELECT SUM(SUM(a)) FROM o", "E_AGGREGATE", 12, "inside an aggregate"),
    ("SELECT id FROM o WHERE SUM(a) > 1", "E_AGGREGATE", 24, "HAVING"),
    ("SELECT id FROM o WHERE ROW_NUMBER() OVER (ORDER BY a) = 1", "E_WINDOW", 24, "QUALIFY"),
    ("SELECT ROW_NUMBER() FROM o", "E_WINDOW", 8, "OVER"),
    ("SELECT $1 FROM o", "E_NOT_SUPPORTED", 9, "$1"),
    ("SELECT soundex(g) FROM o", "E_NOT_SUPPORTED", 8, "SOUNDEX"),
    ("SELECT getenv('HOME')", "E_NOT_SUPPORTED", 8, "GETENV"),
    ("SELECT * FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))", "E_NOT_SUPPORTED", 21, "RESULT_SCAN"),
    ("SELECT UPPER(g, a) FROM o", "E_SQL_SYNTAX", 0, ""),
    ("SELECT id + TRUE FROM o", "E_SQL_TYPE", 8, "BOOLEAN"),
    ("SELECT CASE WHEN a THEN 1 ELSE DATE '2024-01-01' END FROM o", "E_SQL_TYPE", 18, "DATE"),
    ("SELECT g::INT FROM o", "E_VALUE", 8, "'x' is no number"),
    ("SELECT id FROM o WHERE a > 'ten'", "E_VALUE", 24, "'ten'"),
    ("SELECT a / 0 FROM o", "E_DIVISION_BY_ZERO", 8, "division by zero"),
    ("SELECT a::NUMBER(2,1) FROM o", "E_OUT_OF_RANGE", 0, "out of range"),
    ("SELECT 9223372036854775807 + id FROM o", "E_OUT_OF_RANGE", 0, "NUMBER(38,0)"),
    ("SELECT SQRT(-a) FROM o", "E_VALUE", 8, "negative"),
    ("SELECT (SELECT id FROM o)", "E_SUBQUERY_ROWS", 0, "more than one row"),
    ("SELECT 1 UNION SELECT 1, 2", "E_SQL_TYPE", 8, "columns"),
    ("SELECT id FROM o ORDER BY 2", "E_COLUMN_UNKNOWN", 27, "1 columns"),
    ("SELECT PARSE_JSON('{')", "E_VALUE", 8, "JSON"),
    ("SELECT g:a FROM o", "E_SQL_TYPE", 8, "PARSE_JSON"),
    ("SELECT id FROM o AT (VERSION => 99)", "E_OUTSIDE_HISTORY", 0, "history"),
    ("SELECT id FROM o CONSUMER c", "E_NOT_A_STREAM", 16, "stream"),
    ("SELECT id FROM o LIMIT -1", "E_VALUE", 0, "LIMIT"),
    ("SELECT DATEADD(fortnight, 1, CURRENT_DATE)", "E_DATE_PART", 8, "FORTNIGHT"),
    ("SELECT id FROM o SAMPLE (10)", "E_NOT_SUPPORTED", 16, "SAMPLE"),
    ("WITH a AS (SELECT 1), a AS (SELECT 2) SELECT * FROM a", "E_SQL_SYNTAX", 23, "WITH"),
]


@pytest.mark.parametrize(("text", "code", "column", "said"), WRONG, ids=[w[0] for w in WRONG])
def test_a_wrong_query_is_refused_by_name_at_its_place(
    sql: Sql, text: str, code: str, column: int, said: str
) -> None:
    if code == "E_SQL_SYNTAX" and not said:
        assert sql.error(text).code in ("E_SQL_SYNTAX", "E_SQL_TYPE")
        return
    error = sql.error(text)

    assert error.code == code
    assert said in error.message
    assert not column or (error.place is not None and error.place.column == column)
    assert "c0" not in str(error) and "Binder" not in str(error) and "k0" not in str(error)


def test_bare_columns_keep_their_declared_names_and_types(sql: Sql) -> None:
    shown = [
        (c.name, str(c.type)) for c in sql.result("SELECT ID, p, p * 2 AS Twice FROM o").columns
    ]

    assert shown == [("id", "INT"), ("p", "NUMBER(10,2)"), ("Twice", "NUMBER(11,2)")]


def test_a_transaction_sees_its_own_writes_and_nobody_else_does(sql: Sql) -> None:
    other = Sql(sql.db)
    other.session = type(sql.session)(sql.db.session)
    sql.result("BEGIN")
    sql.result("INSERT INTO o VALUES (4,'z',40,NULL)")
    sql.result("UPDATE o SET a = 11 WHERE id = 1")

    assert sql.rows("SELECT COUNT(*), SUM(a) FROM o") == [(4, 101)]
    assert sql.rows("SELECT a FROM o WHERE id = 4") == [(40,)]
    assert other.rows("SELECT COUNT(*), SUM(a) FROM o") == [(3, 60)]
    sql.result("COMMIT")
    assert other.rows("SELECT COUNT(*), SUM(a) FROM o") == [(4, 101)]


def test_history_is_read_at_versions_and_between_them(sql: Sql) -> None:
    sql.result("UPDATE o SET a = 99 WHERE id = 1")
    sql.result("DELETE FROM o WHERE id = 2")

    assert sql.rows("SELECT SUM(a) FROM o AT (VERSION => 1)") == [(60,)]
    assert sql.rows("SELECT SUM(a) FROM o BEFORE (VERSION => 3)") == [(149,)]
    found = sql.rows(
        "SELECT id, METADATA$ACTION FROM o CHANGES (INFORMATION => DEFAULT) AT (VERSION => 1)"
        " END (VERSION => 3) ORDER BY id, 2"
    )
    assert found == [(1, "DELETE"), (1, "INSERT"), (2, "DELETE")]
    joined = "SELECT n.a - b.a FROM o n JOIN o AT (VERSION => 1) b USING (id) WHERE n.id = 1"
    assert sql.rows(joined) == [(89,)]


def test_a_stream_used_twice_in_a_query_is_one_window(sql: Sql) -> None:
    sql.result("CREATE STREAM s ON TABLE o")
    sql.result("INSERT INTO o VALUES (5,'w',50,NULL)")

    assert sql.rows("SELECT COUNT(*) FROM s x JOIN s y ON x.id = y.id") == [(1,)]
    assert sql.rows("SELECT METADATA$VERSION FROM s") == [(2,)]
    assert "METADATA$VERSION" not in sql.dicts("SELECT * FROM s")[0]


def test_views_are_read_through_views_and_never_through_themselves(sql: Sql) -> None:
    sql.result("CREATE VIEW v AS SELECT id, a * 2 AS b FROM o")
    sql.result("CREATE VIEW w AS SELECT SUM(b) AS s FROM v")
    assert sql.rows("SELECT s FROM w") == [(120,)]
    sql.result("CREATE OR REPLACE VIEW v AS SELECT s AS id, s AS b FROM w")

    assert "defined by itself" in str(sql.error("SELECT * FROM v"))


def test_a_repeated_query_sees_what_was_committed_between(sql: Sql) -> None:
    text = "SELECT COUNT(*) AS n, SUM(a) AS s FROM o WHERE a >= ?"
    assert sql.rows(text, [20]) == [(2, 50)]
    sql.result("INSERT INTO o VALUES (6,'x',60,NULL)")
    assert sql.rows(text, [20]) == [(3, 110)]
    assert sql.rows(text, [30]) == [(2, 90)]
    sql.result("ALTER TABLE o RENAME COLUMN a TO amount")
    assert sql.error(text, [30]).code == "E_COLUMN_UNKNOWN"
