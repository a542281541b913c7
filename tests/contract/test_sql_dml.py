"""Statements that write rows, on every log: what they do, what they answer, what they refuse."""

from datetime import date
from decimal import Decimal

import pytest
from support_sql import Sql

from headwater.log_store.port import Log
from headwater.sql.errors import DataError, IntegrityError, ProgrammingError

ORDERS = "CREATE TABLE orders (id INT PRIMARY KEY, customer VARCHAR(10), amount NUMBER(10,2))"


@pytest.fixture
def sql(log: Log) -> Sql:
    """A session in a store with an empty table of orders."""
    made = Sql(log)
    made.run(ORDERS)
    return made


def orders(sql: Sql) -> list[tuple[object, ...]]:
    return sql.rows("SELECT * FROM orders ORDER BY id")


# INSERT.


def test_values_are_inserted_as_written_cast_to_their_columns(sql: Sql) -> None:
    assert sql.count("INSERT INTO orders VALUES (1, 'ann', 1.005), (2, NULL, '7')") == 2
    assert orders(sql) == [(1, "ann", Decimal("1.01")), (2, None, Decimal("7.00"))]


def test_columns_left_out_and_default_get_their_default(sql: Sql) -> None:
    sql.run("CREATE TABLE t (n INT AUTOINCREMENT, a INT DEFAULT 5, b DATE DEFAULT '2024-02-29')")
    sql.run("INSERT INTO t (b) VALUES (DEFAULT), ('2024-01-01')")
    sql.run("INSERT INTO t SELECT 10, id, NULL FROM orders")
    sql.run("INSERT INTO t (a) SELECT 1 + 1")

    assert sql.rows("SELECT a, b FROM t ORDER BY n") == [
        (5, date(2024, 2, 29)),
        (5, date(2024, 1, 1)),
        (2, date(2024, 2, 29)),
    ]


def test_expressions_among_values_are_worked_out(sql: Sql) -> None:
    sql.run("INSERT INTO orders (id, amount) VALUES (1 + 1, 2 * 3.5), (?, ? + 1)", [3, 4])
    assert orders(sql) == [(2, None, Decimal("7.00")), (3, None, Decimal("5.00"))]


def test_a_query_inserts_its_rows_by_position(sql: Sql) -> None:
    sql.run("INSERT INTO orders VALUES (1, 'ann', 1), (2, 'bob', 2)")
    assert sql.count("INSERT INTO orders (amount, id) SELECT amount * 10, id + 10 FROM orders") == 2
    assert orders(sql)[2:] == [(11, None, Decimal("10.00")), (12, None, Decimal("20.00"))]


def test_with_stands_before_an_insert_or_within_it(sql: Sql) -> None:
    sql.run("INSERT INTO orders (id) WITH n AS (SELECT 1 AS x) SELECT x FROM n")
    assert orders(sql) == [(1, None, None)]


def test_insert_overwrite_leaves_only_the_new_rows(sql: Sql) -> None:
    sql.run("INSERT INTO orders VALUES (1, 'ann', 1), (2, 'bob', 2)")
    sql.run("INSERT OVERWRITE INTO orders SELECT id + 1, customer, amount FROM orders")
    assert orders(sql) == [(2, "ann", Decimal("1.00")), (3, "bob", Decimal("2.00"))]
    sql.run("INSERT OVERWRITE INTO orders VALUES (9, 'eve', 9)")
    assert orders(sql) == [(9, "eve", Decimal("9.00"))]


def test_insert_all_writes_each_row_into_every_target_that_wants_it(sql: Sql) -> None:
    sql.run("CREATE TABLE small (id INT, what VARCHAR)")
    sql.run("CREATE TABLE large (id INT, what VARCHAR)")
    sql.run("INSERT INTO orders VALUES (1, 'a', 1), (2, 'b', 20), (3, 'c', 300)")
    source = "SELECT id, customer, amount FROM orders"
    result = sql.rows(
        "INSERT ALL WHEN amount < 100 THEN INTO small VALUES (id, customer) "
        "WHEN amount > 10 THEN INTO large (id) VALUES (id) INTO small (what) VALUES ('both') "
        f"ELSE INTO large VALUES (id, 'neither') {source}"
    )
    assert result == [(4, 2)]
    assert sql.rows("SELECT * FROM small ORDER BY id NULLS LAST, what") == [
        (1, "a"),
        (2, "b"),
        (None, "both"),
        (None, "both"),
    ]
    assert sql.rows("SELECT * FROM large ORDER BY id") == [(2, None), (3, None)]


def test_insert_first_writes_a_row_where_it_fits_first(sql: Sql) -> None:
    sql.run("CREATE TABLE a (id INT); CREATE TABLE b (id INT); CREATE TABLE c (id INT)")
    sql.run("INSERT INTO orders VALUES (1, 'a', 1), (2, 'b', 20), (3, 'c', NULL)")
    sql.run(
        "INSERT FIRST WHEN amount < 10 THEN INTO a VALUES (id) WHEN amount < 100 THEN INTO b "
        "VALUES (id) ELSE INTO c VALUES (id) SELECT id, amount FROM orders"
    )
    tables = ("a", "b", "c")
    assert [sql.rows(f"SELECT id FROM {name}") for name in tables] == [[(1,)], [(2,)], [(3,)]]


@pytest.mark.parametrize(
    ("text", "kind", "code", "says"),
    [
        ("INSERT INTO orders VALUES (1, 'a')", ProgrammingError, "E_COLUMN_COUNT", "2 values"),
        ("INSERT INTO orders SELECT 1, 'a'", ProgrammingError, "E_COLUMN_COUNT", "2 columns"),
        ("INSERT INTO orders (id, nix) VALUES (1, 2)", ProgrammingError, "E_NOT_FOUND", "nix"),
        ("INSERT INTO orders (id, ID) VALUES (1, 2)", ProgrammingError, "E_SQL_COLUMN_TWICE", "ID"),
        ("INSERT INTO nix VALUES (1)", ProgrammingError, "E_NOT_FOUND", "nix"),
        ("INSERT INTO orders VALUES ('x', 'a', 1)", DataError, "E_VALUE", "'x'"),
        ("INSERT INTO orders VALUES (1, 'elevenchars', 1)", DataError, "E_VALUE", "orders"),
        ("INSERT INTO orders SELECT 1, 'elevenchars', 1", DataError, "E_VALUE", "customer"),
        ("INSERT INTO orders VALUES (NULL, 'a', 1)", IntegrityError, "E_VALUE", "NOT NULL"),
        ("INSERT INTO orders SELECT NULL, 'a', 1", IntegrityError, "E_VALUE", "NOT NULL"),
        ("INSERT INTO orders VALUES (1,'a',1),(1,'b',2)", IntegrityError, "E_DUPLICATE_KEY", "1"),
        ("UPDATE orders SET nix = 1", ProgrammingError, "E_NOT_FOUND", "nix"),
        ("UPDATE orders SET id = 1, id = 2", ProgrammingError, "E_SQL_COLUMN_TWICE", "id"),
        ("DELETE FROM nix", ProgrammingError, "E_NOT_FOUND", "nix"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(
    sql: Sql, text: str, kind: type[Exception], code: str, says: str
) -> None:
    sql.run("INSERT INTO orders VALUES (7, 'old', 1)")
    sequence = sql.store.log.view().sequence
    error = sql.refused(text)

    assert (type(error), error.code) == (kind, code)
    assert says in str(error)
    assert error.place is not None
    assert sql.store.log.view().sequence == sequence


# UPDATE and DELETE.


@pytest.fixture
def three(sql: Sql) -> Sql:
    """Three orders."""
    sql.run("INSERT INTO orders VALUES (1, 'ann', 1), (2, 'bob', 2), (3, 'cid', 3)")
    return sql


def test_update_by_key_and_by_anything_else_do_the_same(three: Sql) -> None:
    three.run("UPDATE orders SET amount = amount + 0.5, customer = 'x' WHERE id = 1")
    three.run("UPDATE orders SET amount = amount + 0.5, customer = 'x' WHERE id + 0 = 2")
    assert orders(three)[:2] == [(1, "x", Decimal("1.50")), (2, "x", Decimal("2.50"))]


def test_update_counts_what_it_matched(three: Sql) -> None:
    assert three.rows("UPDATE orders SET customer = 'x'") == [(3, 0)]
    assert three.rows("UPDATE orders SET customer = 'x' WHERE id = 9") == [(0, 0)]
    assert three.rows("UPDATE orders SET customer = NULL WHERE amount > 1.5") == [(2, 0)]


def test_a_key_that_no_row_can_have_updates_none(three: Sql) -> None:
    for key in (1.5, None, 2**70):
        assert three.count("UPDATE orders SET amount = 0 WHERE id = ?", [key]) == 0


def test_update_sees_the_rows_as_they_were(three: Sql) -> None:
    three.run("UPDATE orders SET id = id + 1, amount = id")
    assert orders(three) == [
        (2, "ann", Decimal("1.00")),
        (3, "bob", Decimal("2.00")),
        (4, "cid", Decimal("3.00")),
    ]


def test_update_to_default(three: Sql) -> None:
    three.run("CREATE TABLE d (id INT PRIMARY KEY, a INT DEFAULT 5)")
    three.run("INSERT INTO d VALUES (1, 1), (2, 2)")
    three.run("UPDATE d SET a = DEFAULT WHERE id = 1")
    assert three.rows("SELECT * FROM d ORDER BY id") == [(1, 5), (2, 2)]


def test_update_from_takes_values_of_other_tables(three: Sql) -> None:
    three.run("CREATE TABLE news (id INT, amount NUMBER(10,2))")
    three.run("INSERT INTO news VALUES (1, 10), (3, 30), (4, 40)")
    assert three.rows("UPDATE orders o SET amount = n.amount FROM news n WHERE n.id = o.id") == [
        (2, 0)
    ]
    assert [row[2] for row in orders(three)] == [Decimal(10), Decimal(2), Decimal(30)]


def test_several_source_rows_for_one_row_are_an_error_unless_allowed(three: Sql) -> None:
    three.run("CREATE TABLE news (id INT, amount NUMBER(10,2))")
    three.run("INSERT INTO news VALUES (1, 10), (1, 11), (2, 20)")
    text = "UPDATE orders SET amount = news.amount FROM news WHERE news.id = orders.id"
    error = three.refused(text)
    assert error.code == "E_NONDETERMINISTIC"
    assert "id = 1" in str(error)
    three.run("ALTER SESSION SET ERROR_ON_NONDETERMINISTIC_UPDATE = FALSE")
    assert three.rows(text) == [(2, 1)]
    assert [row[2] for row in orders(three)] == [Decimal(11), Decimal(20), Decimal(3)]
    assert three.rows(f"{text} AND news.id > 9") == [(0, 0)]


def test_delete_by_key_by_condition_and_all(three: Sql) -> None:
    assert three.rows("DELETE FROM orders WHERE id = 2") == [(1,)]
    assert three.rows("DELETE FROM orders WHERE customer LIKE 'c%'") == [(1,)]
    assert three.rows("DELETE FROM orders") == [(1,)]
    assert orders(three) == []


def test_delete_using_deletes_a_row_once_however_often_it_matches(three: Sql) -> None:
    three.run("CREATE TABLE gone (id INT)")
    three.run("INSERT INTO gone VALUES (1), (1), (3)")
    assert three.count("DELETE FROM orders USING gone g WHERE g.id = orders.id") == 2
    assert [row[0] for row in orders(three)] == [2]


def test_truncate_counts_its_rows(three: Sql) -> None:
    assert three.count("TRUNCATE TABLE orders") == 3
    assert orders(three) == []
    assert three.rows("TRUNCATE TABLE IF EXISTS nix") != []


# MERGE.

MERGE = (
    "MERGE INTO orders o USING news n ON o.id = n.id "
    "WHEN MATCHED AND n.what = 'gone' THEN DELETE "
    "WHEN MATCHED AND n.what = 'new' THEN UPDATE SET o.amount = n.amount, customer = DEFAULT "
    "WHEN NOT MATCHED AND n.what <> 'gone' THEN INSERT (id, amount) VALUES (n.id, n.amount)"
)


@pytest.fixture
def news(three: Sql) -> Sql:
    """Three orders, and a table of news about them."""
    three.run("CREATE TABLE news (id INT, what VARCHAR, amount NUMBER(10,2))")
    return three


def test_merge_does_what_the_first_fitting_clause_says(news: Sql) -> None:
    news.run(
        "INSERT INTO news VALUES (1,'gone',0), (2,'new',20), (3,'?',0), (4,'new',40), (5,'gone',0)"
    )
    assert news.rows(MERGE) == [(1, 1, 1)]
    assert orders(news) == [
        (2, None, Decimal("20.00")),
        (3, "cid", Decimal("3.00")),
        (4, None, Decimal("40.00")),
    ]


def test_only_rows_that_trigger_a_clause_make_a_merge_ambiguous(news: Sql) -> None:
    news.run("INSERT INTO news VALUES (2,'new',20), (2,'?',0), (2,NULL,0)")
    assert news.rows(MERGE) == [(0, 1, 0)]
    news.run("INSERT INTO news VALUES (2,'new',21)")
    assert news.refused(MERGE).code == "E_NONDETERMINISTIC"
    news.run("ALTER SESSION SET ERROR_ON_NONDETERMINISTIC_MERGE = FALSE")
    assert news.rows(MERGE) == [(0, 1, 0)]
    assert orders(news)[1] == (2, None, Decimal("21.00"))


def test_merge_may_give_a_deleted_rows_key_to_an_inserted_one(news: Sql) -> None:
    news.run("INSERT INTO news VALUES (1,'gone',0), (9,'new',90)")
    news.run(
        "MERGE INTO orders USING news ON orders.id = news.id WHEN MATCHED THEN DELETE "
        "WHEN NOT MATCHED THEN INSERT VALUES (1, 'again', news.amount)"
    )
    assert orders(news)[0] == (1, "again", Decimal("90.00"))


def test_merge_by_source_is_about_rows_that_the_source_lacks(news: Sql) -> None:
    text = (
        "MERGE INTO orders o USING (SELECT * FROM news WHERE id <> 1) n ON o.id = n.id "
        "WHEN MATCHED THEN UPDATE SET amount = n.amount "
        "WHEN NOT MATCHED BY SOURCE AND o.id = 1 THEN UPDATE SET customer = 'gone' "
        "WHEN NOT MATCHED BY SOURCE THEN DELETE"
    )
    kept = {key for (key,) in news.rows("SELECT id FROM news")} | {1}
    before = {row[0] for row in orders(news)}
    news.run(text)
    assert {row[0] for row in orders(news)} == before & kept
    assert orders(news)[0][:2] == (1, "gone")
    error = news.refused(
        "MERGE INTO orders USING news ON orders.id = news.id "
        "WHEN NOT MATCHED BY SOURCE THEN INSERT VALUES (1, 'x', 1)"
    )
    assert error.code == "E_SQL_SYNTAX"


def test_merge_all_by_name_takes_columns_by_their_names(news: Sql) -> None:
    news.run("CREATE TABLE other (amount NUMBER(10,2), id INT, customer VARCHAR(10))")
    news.run("INSERT INTO other VALUES (7, 1, 'one'), (8, 77, 'new')")
    text = (
        "MERGE INTO orders USING other ON orders.id = other.id "
        "WHEN MATCHED THEN UPDATE ALL BY NAME WHEN NOT MATCHED THEN INSERT ALL BY NAME"
    )
    assert news.rows(text) == [(1, 1)]
    assert orders(news)[0] == (1, "one", Decimal("7.00"))
    assert orders(news)[-1] == (77, "new", Decimal("8.00"))
    news.run("ALTER TABLE other DROP COLUMN customer")
    assert "customer" in str(news.refused(text)).lower()


def test_a_wrong_number_of_values_is_shown_at_its_own_row(news: Sql) -> None:
    rows = "INSERT INTO news (id, amount) VALUES (1, 2),"
    for text, column in (
        (f"{rows} (3)", len(rows) + 3),
        (f"{rows} (ABS(3))", len(rows) + 3),
        (
            "MERGE INTO news USING orders o ON FALSE WHEN NOT MATCHED THEN INSERT (id) VALUES (1, 2)",
            83,
        ),
    ):
        error = news.refused(text)
        assert error.code == "E_COLUMN_COUNT"
        assert error.place is not None
        assert error.place.column == column, text


# CREATE TABLE AS.


def test_a_table_made_of_a_query_has_its_columns_and_rows(three: Sql) -> None:
    assert three.count("CREATE TABLE c AS SELECT id, amount * 2 AS twice FROM orders") == 3
    assert three.rows("SELECT id, twice FROM c ORDER BY id")[0] == (1, Decimal(2))
    assert (
        three.count("CREATE TABLE d (key INT PRIMARY KEY, name) AS SELECT id, customer FROM orders")
        == 3
    )
    assert three.refused("INSERT INTO d VALUES (1, 'twice')").code == "E_DUPLICATE_KEY"


def test_a_table_may_be_replaced_by_a_query_of_itself(three: Sql) -> None:
    three.run("CREATE OR REPLACE TABLE orders AS SELECT id FROM orders WHERE id > 1")
    assert three.rows("SELECT * FROM orders ORDER BY 1") == [(2,), (3,)]


# Many rows of binds.


@pytest.mark.parametrize("rows", [3, 1000])
def test_executemany_is_one_statement_of_all_rows(sql: Sql, rows: int) -> None:
    sent = [(n, f"c{n}", Decimal(n) / 4 if n % 3 else None) for n in range(rows)]
    before = sql.store.log.view().sequence
    text = "INSERT INTO orders (id, customer, amount) VALUES (?, %s, ?)"
    assert sql.session.run_many(text, sent).rowcount == rows
    assert sql.store.log.view().sequence == before + 1
    assert sql.one("SELECT COUNT(*) FROM orders WHERE amount IS NULL") == (rows + 2) // 3


@pytest.mark.parametrize("rows", [3, 1000])
def test_a_row_of_many_that_does_not_fit_is_named_and_none_is_inserted(sql: Sql, rows: int) -> None:
    sent: list[dict[str, object]] = [{"id": n, "name": "ok"} for n in range(rows)]
    sent[rows - 1]["name"] = "much too long"
    with pytest.raises(DataError, match=f"row {rows - 1}, column customer"):
        sql.session.run_many("INSERT INTO orders (id, customer) VALUES (:id, %(name)s)", sent)
    assert orders(sql) == []


def test_executemany_updates_and_deletes_by_key(three: Sql) -> None:
    three.session.run_many("UPDATE orders SET amount = ? WHERE id = ?", [(10, 1), (20, 2), (9, 9)])
    result = three.session.run_many("DELETE FROM orders WHERE id = ?", [[3], [3]])
    assert result.rowcount == 1
    assert [row[2] for row in orders(three)] == [Decimal(10), Decimal(20)]
