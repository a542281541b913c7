"""Texts that nobody would write: each ends as statements, or as an error that says where.

Token soup, statements with pieces lost, doubled or exchanged, and plain noise. They are parsed, and
run on a store whose state may change only as statements do; a fault of Headwater's own fails.
"""

import re
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_bad_statements import SETUP, cases

import headwater
from headwater.ops.api import Database
from headwater.sql.errors import Error, InternalError
from headwater.sql.parse import parse

GOOD = """
SELECT a, COUNT(*) AS n FROM t JOIN u USING (a) WHERE b LIKE 'x%' GROUP BY a HAVING n > 1 ORDER BY 1 LIMIT 3
SELECT * FROM s CONSUMER c LIMIT CHANGES 2 UP TO VERSION v9
WITH x AS (SELECT a FROM t UNION ALL SELECT a FROM u) SELECT MAX(a) OVER (PARTITION BY a) FROM x
SELECT * FROM t AT (VERSION => 1) QUALIFY ROW_NUMBER() OVER (ORDER BY a) = 1
SELECT * FROM t CHANGES (INFORMATION => DEFAULT) AT (VERSION => 0) END (VERSION => 2)
SELECT CASE WHEN a > 1 THEN 'x' ELSE b END, a::VARCHAR, $v, ?, :name, PARSE_JSON('{"a": 1}'):a FROM t
INSERT INTO t (a, b) VALUES (1, 'x'), (2, DEFAULT)
INSERT INTO u SELECT a, b FROM s WHERE METADATA$ACTION = 'INSERT'
INSERT ALL WHEN a > 1 THEN INTO t ELSE INTO u (a) VALUES (a) SELECT a, b FROM s
UPDATE t SET a = a + 1, b = u.b FROM u WHERE t.a = u.a
DELETE FROM t USING u WHERE t.a = u.a
MERGE INTO t USING u ON t.a = u.a WHEN MATCHED AND u.b = 'x' THEN DELETE WHEN NOT MATCHED THEN INSERT (a) VALUES (u.a)
CREATE OR REPLACE TABLE x (id INT PRIMARY KEY, n NUMBER(10,2) DEFAULT 1.5 NOT NULL, k INT AUTOINCREMENT) COMMENT = 'c'
CREATE TABLE y AS SELECT a FROM t
CREATE TABLE z CLONE t AT (VERSION => 1)
CREATE STREAM q ON TABLE t AT (VERSION => 1) CHANGES CAPTURE (NET) CONSUMERS = SHARED RETENTION_TIME = '3 days'
CREATE VIEW w (a) AS SELECT a FROM t WHERE a > 1
ALTER TABLE t ADD COLUMN IF NOT EXISTS z INT DEFAULT 3
ALTER STREAM s SET OFFSET = 'v2' CONSUMER c REASON 'x'
ALTER STREAM s ADD CONSUMER e AS CLIENT AT HEAD
CALL SYSTEM$STREAM_REWIND('s', 'v1', CONSUMER => 'c', DRY_RUN => TRUE)
SHOW TERSE TABLES LIKE 'a%' IN SCHEMA public STARTS WITH 'x' LIMIT 3
EXPLAIN USING JSON INSERT INTO u SELECT a, b FROM s
SET (a, b) = (1, 'x')
ALTER SESSION SET TIMEZONE = 'UTC', QUERY_TAG = 'x'
COMMENT ON COLUMN t.a IS 'x'
SELECT SYSTEM$STREAM_HAS_DATA('s'), GET_DDL('TABLE', 't'), CURRENT_TIMESTAMP()
CREATE TASK k SCHEDULE = '1 minute' WHEN SYSTEM$STREAM_HAS_DATA('s') AS BEGIN DELETE FROM t; END
""".strip().splitlines()

PIECE = re.compile(r"\s+|\w+|'[^']*'|.")


@cache
def words() -> list[str]:
    """Every piece of the good statements, and what SQL has besides."""
    found = {piece for text in GOOD for piece in PIECE.findall(text) if piece.strip()}
    signs = [
        "'",
        '"',
        "$$",
        "--",
        "//",
        "/*",
        "*/",
        ";",
        "::",
        "=>",
        "%",
        ":",
        "?",
        "@",
        "\\",
        "\0",
    ]
    return (
        sorted(found) + signs + ["%s", "%(x)s", "99999999999999999999", "1e400", "é", "\U0001f600"]
    )


def mutated(text: str, cuts: list[tuple[int, int, str]]) -> str:
    """A text with pieces lost, doubled, exchanged or put in."""
    pieces = PIECE.findall(text)
    for kind, at, word in cuts:
        if not pieces:
            break
        place = at % len(pieces)
        if kind == 0:
            del pieces[place]
        elif kind == 1:
            pieces.insert(place, pieces[place])
        elif kind == 2:
            other = (at * 7 + 3) % len(pieces)
            pieces[place], pieces[other] = pieces[other], pieces[place]
        elif kind == 3:
            pieces[place] = word
        else:
            pieces.insert(place, f" {word} ")
    return "".join(pieces)


CUTS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 200), st.sampled_from(words())),
    min_size=1,
    max_size=6,
)
MUTATED = st.builds(mutated, st.sampled_from(GOOD + [case.text for case in cases()]), CUTS)
SOUP = st.lists(st.sampled_from(words()), max_size=30).map(" ".join)
NOISE = st.text(max_size=60)
TEXTS = st.one_of(MUTATED, SOUP, NOISE)


def checked(text: str, error: Error) -> None:
    """An error that helps: a code, a sentence of one line, a place inside the text."""
    assert error.code.startswith("E_")
    assert error.message
    assert "\n" not in error.message
    if error.place is not None:
        assert 0 <= error.place.offset <= len(text)
        assert error.place.line <= text.count("\n") + 1
        assert error.place.column >= 1


@given(TEXTS)
def test_any_text_parses_or_is_refused_with_a_place(text: str) -> None:
    try:
        statements = parse(text)
    except Error as error:
        assert not isinstance(error, InternalError)
        checked(text, error)
        assert error.place is not None
    else:
        for statement in statements:
            assert text[statement.place.offset :].startswith(statement.text)


@given(st.sampled_from(GOOD), st.integers(0, 200))
def test_a_statement_that_is_cut_short_is_refused_or_one_itself(text: str, length: int) -> None:
    try:
        parse(text[:length])
    except Error as error:
        checked(text, error)


@pytest.fixture(scope="module")
def db() -> Iterator[Database]:
    with headwater.connect("memory:") as made:
        made.sql.execute(SETUP)
        yield made


@given(text=MUTATED)
def test_any_text_runs_or_is_refused(db: Database, text: str) -> None:
    session = db.sql
    session.rollback()
    session.begin()
    try:
        for result in session.run(text):
            result.table()
    except InternalError as error:
        raise AssertionError(f"{text!r}: {error}") from error
    except Error as error:
        checked(text, error)
    finally:
        session.rollback()
