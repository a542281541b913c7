"""Random queries over random tables, against DuckDB on tables of its own.

Only what both dialects mean alike is made: INT and VARCHAR, comparisons, CASE, joins, grouping,
windows, sets, subqueries. Rows are compared as bags, NULL among them.
"""

from collections import Counter
from decimal import Decimal

import duckdb
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support_statements import sql_store

COLUMNS = ("a", "b", "s")
Rows = list[tuple[int | None, int | None, str | None]]

rows = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(-3, 3)),
        st.one_of(st.none(), st.integers(-100, 100)),
        st.one_of(st.none(), st.sampled_from(["", "x", "xy", "Z", "é"])),
    ),
    max_size=12,
)


@st.composite
def whole(draw: st.DrawFn, alias: str, deep: int = 2) -> str:
    """An expression of whole numbers over the columns of an alias."""
    if deep == 0 or draw(st.booleans()):
        return draw(st.sampled_from([f"{alias}.a", f"{alias}.b", "1", "-2", "7", "NULL::INT"]))
    inner = whole(alias, deep - 1)
    form = draw(st.integers(0, 6))
    if form == 0:
        return f"({draw(inner)} {draw(st.sampled_from(['+', '-', '*']))} {draw(inner)})"
    if form == 1:
        return f"CASE WHEN {draw(truth(alias, deep - 1))} THEN {draw(inner)} ELSE {draw(inner)} END"
    if form == 2:
        return f"COALESCE({draw(inner)}, {draw(inner)})"
    if form == 3:
        return f"ABS({draw(inner)})"
    if form == 4:
        return f"LENGTH({draw(words(alias, deep - 1))})"
    if form == 5:
        return f"NULLIF({draw(inner)}, {draw(inner)})"
    # The blank keeps -(-2) from beginning a comment.
    return f"(- {draw(inner)})"


@st.composite
def words(draw: st.DrawFn, alias: str, deep: int = 1) -> str:
    """An expression of texts."""
    if deep == 0 or draw(st.booleans()):
        return draw(st.sampled_from([f"{alias}.s", "'x'", "''"]))
    inner = words(alias, deep - 1)
    form = draw(st.integers(0, 3))
    if form == 0:
        return f"({draw(inner)} || {draw(inner)})"
    if form == 1:
        return f"UPPER({draw(inner)})"
    if form == 2:
        return f"REPLACE({draw(inner)}, 'x', 'yy')"
    return f"LEFT({draw(inner)}, 1)"


@st.composite
def truth(draw: st.DrawFn, alias: str, deep: int = 2) -> str:
    """A condition."""
    form = draw(st.integers(0, 8 if deep else 4))
    number = whole(alias, max(deep - 1, 0))
    if form == 0:
        sign = draw(st.sampled_from(["=", "<>", "<", "<=", ">", ">="]))
        return f"{draw(number)} {sign} {draw(number)}"
    if form == 1:
        return f"{alias}.s {draw(st.sampled_from(['=', '<', '>=']))} {draw(words(alias))}"
    if form == 2:
        return f"{draw(number)} IS {draw(st.sampled_from(['', 'NOT ']))}NULL"
    if form == 3:
        return f"{draw(number)} IN (1, {draw(number)}, 3)"
    if form == 4:
        return f"{alias}.s LIKE {draw(st.sampled_from(['%x%', '_', 'x%']))!r}"
    if form == 5:
        return f"({draw(truth(alias, deep - 1))} AND {draw(truth(alias, deep - 1))})"
    if form == 6:
        return f"({draw(truth(alias, deep - 1))} OR {draw(truth(alias, deep - 1))})"
    if form == 7:
        return f"NOT ({draw(truth(alias, deep - 1))})"
    return f"{draw(number)} BETWEEN {draw(number)} AND {draw(number)}"


@st.composite
def query(draw: st.DrawFn) -> str:
    """A whole query over tables t and u."""
    form = draw(st.integers(0, 8))
    x, y = draw(whole("t")), draw(whole("t"))
    where = f" WHERE {draw(truth('t'))}" if draw(st.booleans()) else ""
    if form == 0:
        return f"SELECT {x} AS q1, {draw(words('t'))} AS q2, {y} AS q3 FROM t{where}"
    if form == 1:
        kind = draw(st.sampled_from(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]))
        return f"SELECT {x} AS q1, {draw(whole('u'))} AS q2 FROM t {kind} u ON t.a = u.a{where}"
    if form == 2:
        key = draw(st.sampled_from(["t.a", "t.s", x]))
        return (
            f"SELECT {key} AS q1, COUNT(*) AS q2, COUNT({y}) AS q3, SUM({y}) AS q4, MIN(t.s) AS q5,"
            f" COUNT(DISTINCT {y}) AS q6 FROM t{where} GROUP BY 1 HAVING COUNT(*) > 1 OR MAX(t.b) > 0"
        )
    if form == 3:
        order = "PARTITION BY t.a ORDER BY t.b NULLS FIRST, t.s NULLS FIRST"
        return (
            f"SELECT {x} AS q1, RANK() OVER ({order}) AS q2, SUM(t.b) OVER (PARTITION BY t.s) AS q3,"
            f" MAX({y}) OVER (PARTITION BY t.a) AS q4 FROM t{where}"
        )
    if form == 4:
        word = draw(st.sampled_from(["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]))
        return f"SELECT {x} AS q1 FROM t{where} {word} SELECT {draw(whole('u'))} FROM u"
    if form == 5:
        return f"SELECT t.b AS q1 FROM t WHERE {x} IN (SELECT u.a FROM u WHERE {draw(truth('u'))})"
    if form == 6:
        inner = f"SELECT {x} AS p1, t.s AS p2 FROM t{where}"
        return f"WITH w AS ({inner}) SELECT w.p1 AS q1, COUNT(*) AS q2 FROM w GROUP BY w.p1"
    if form == 7:
        return f"SELECT DISTINCT {x} AS q1, t.s AS q2 FROM t{where}"
    return f"SELECT t.a AS q1, (SELECT COUNT(*) FROM u WHERE u.a = t.a AND u.b > {y}) AS q2 FROM t"


def plain(value: object) -> object:
    """Numbers of one value are one number, whatever type they come in."""
    return int(value) if isinstance(value, Decimal) and value == int(value) else value


def bag(found: list[tuple[object, ...]]) -> Counter[tuple[object, ...]]:
    """Rows without their order."""
    return Counter(tuple(plain(value) for value in row) for row in found)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(t=rows, u=rows, texts=st.lists(query(), min_size=4, max_size=12))
def test_queries_give_what_duckdb_gives_over_its_own_tables(
    t: Rows, u: Rows, texts: list[str]
) -> None:
    with duckdb.connect(":memory:") as other, sql_store() as sql:
        for name, given_rows in (("t", t), ("u", u)):
            sql.result(f"CREATE TABLE {name} (a INT, b INT, s VARCHAR)")
            other.execute(f"CREATE TABLE {name} (a BIGINT, b BIGINT, s VARCHAR)")
            if given_rows:
                columns = list(zip(*given_rows, strict=True))
                types = (pa.int64(), pa.int64(), pa.string())
                arrays = [pa.array(c, k) for c, k in zip(columns, types, strict=True)]
                sql.db.table(name).insert(pa.table(dict(zip(COLUMNS, arrays, strict=True))))
                other.executemany(f"INSERT INTO {name} VALUES (?, ?, ?)", given_rows)
        for text in texts:
            wanted = other.execute(text).fetchall()
            assert bag(sql.rows(text)) == bag(wanted), text
