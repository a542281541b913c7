"""From texts to statements: what each one says, and where."""

import pytest
from sqlglot import exp

from headwater.sql.errors import NotSupportedError, ProgrammingError
from headwater.sql.parse import parse, place_of
from headwater.sql.parse_binds import bind_of
from headwater.sql.statements import (
    AlterStream,
    At,
    Begin,
    Call,
    Commit,
    CopyInto,
    CopyOut,
    CreateStream,
    CreateTable,
    CreateView,
    Delete,
    Explain,
    Insert,
    InsertAll,
    Merge,
    Nothing,
    Query,
    Reading,
    Rollback,
    SetVariable,
    Show,
    Statement,
    TaskStatement,
    Update,
    reading_of,
)


def one(text: str) -> Statement:
    (statement,) = parse(text)
    return statement


def tree_of(text: str) -> exp.Expr:
    statement = one(text)
    assert isinstance(statement, (Query, Insert, Update, Delete, Merge))
    return statement.tree


def reading(text: str, table: str = "s") -> Reading:
    found = [t for t in tree_of(text).find_all(exp.Table) if t.name == table]
    return reading_of(found[0])


def test_a_text_is_cut_at_semicolons_outside_texts_names_and_comments() -> None:
    script = """
      -- first; comment
      SELECT ';', ";", $$ ; $$ /* ; */ FROM t; // the end;
      ;;
      COMMIT
    """
    found = parse(script)
    assert [type(s) for s in found] == [Query, Commit]
    assert found[0].text == """SELECT ';', ";", $$ ; $$ /* ; */ FROM t"""
    assert (found[0].place.line, found[0].place.column) == (3, 7)
    assert (found[1].place.line, found[1].place.column) == (5, 7)


def test_a_text_of_comments_has_no_statements() -> None:
    assert parse(" /* nothing */ -- at all\n") == ()


def test_the_body_of_a_task_ends_at_its_end_and_not_at_a_semicolon() -> None:
    found = parse(
        "CREATE TASK t WHEN x AS BEGIN INSERT INTO a SELECT 1; DELETE FROM b; END; SELECT 2"
    )
    assert [type(s) for s in found] == [TaskStatement, Query]


def test_answers_are_remembered_by_text() -> None:
    assert parse("SELECT 1 AS remembered") is parse("SELECT 1 AS remembered")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("SELECT 1", Query),
        ("WITH a AS (SELECT 1) SELECT * FROM a", Query),
        ("(SELECT 1) UNION ALL SELECT 2", Query),
        ("INSERT INTO t VALUES (1)", Insert),
        ("INSERT OVERWRITE INTO t SELECT 1", Insert),
        ("INSERT ALL INTO t INTO u (a) VALUES (b) SELECT b FROM s", InsertAll),
        ("UPDATE t SET a = 1 FROM s WHERE t.id = s.id", Update),
        ("DELETE FROM t USING s WHERE t.id = s.id", Delete),
        ("MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE", Merge),
        ("BEGIN", Begin),
        ("BEGIN WORK", Begin),
        ("START TRANSACTION NAME n", Begin),
        ("COMMIT WORK", Commit),
        ("ROLLBACK", Rollback),
        ("CREATE TASK x AS SELECT 1", TaskStatement),
        ("EXECUTE TASK x", TaskStatement),
        ("SHOW TASKS", TaskStatement),
        ("USE WAREHOUSE w", Nothing),
        ("USE ROLE r", Nothing),
        ("GRANT SELECT ON TABLE t TO ROLE r", Nothing),
        ("CREATE OR REPLACE WAREHOUSE w WITH WAREHOUSE_SIZE = 'XSMALL'", Nothing),
        ("SET v = 1 + 1", SetVariable),
    ],
)
def test_a_text_is_the_statement_it_says(text: str, kind: type[Statement]) -> None:
    assert type(one(text)) is kind


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("SELECT * FROM s", Reading()),
        ("SELECT * FROM s CONSUMER c", Reading(consumer="c")),
        ('SELECT * FROM s CONSUMER "C d" x', Reading(consumer='"C d"')),
        ("SELECT * FROM s AS x CONSUMER c WHERE a = 1", Reading(consumer="c")),
        ("SELECT * FROM s LIMIT CHANGES 10", Reading(limit_changes=10)),
        ("SELECT * FROM s UP TO VERSION v12 CONSUMER c", Reading(consumer="c", upto=12)),
        ("SELECT * FROM s AT (VERSION => 3) CONSUMER c LIMIT 5", Reading(consumer="c")),
        ("SELECT * FROM t JOIN s CONSUMER c ON t.a = s.a", Reading(consumer="c")),
        ("SELECT * FROM (SELECT * FROM s CONSUMER c) q", Reading(consumer="c")),
        (
            "INSERT INTO t SELECT * FROM s CONSUMER c LIMIT CHANGES 1",
            Reading(consumer="c", limit_changes=1),
        ),
        ("UPDATE t SET a = 1 FROM s CONSUMER c WHERE t.id = s.id", Reading(consumer="c")),
        ("DELETE FROM t USING s CONSUMER c WHERE t.id = s.id", Reading(consumer="c")),
        ("MERGE INTO t USING s CONSUMER c ON 1=1 WHEN MATCHED THEN DELETE", Reading(consumer="c")),
    ],
)
def test_a_streams_clauses_stand_in_its_tables_meta(text: str, wanted: Reading) -> None:
    assert reading(text) == wanted


def test_each_clause_belongs_to_the_stream_before_it() -> None:
    text = "SELECT * FROM a CONSUMER x JOIN b CONSUMER y ON a.i = b.i JOIN c ON c.i = b.i"
    assert [reading(text, name).consumer for name in "abc"] == ["x", "y", None]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT consumer c FROM s",
        "SELECT a AS consumer FROM s",
        "SELECT s.consumer c FROM s",
        "SELECT a, consumer c FROM s",
        "SELECT * FROM s consumer",
        "SELECT * FROM s AS consumer WHERE consumer.a = 1",
        "SELECT * FROM s consumer JOIN t ON consumer.a = t.a",
        "SELECT * FROM consumer s",
        "SELECT * FROM s ORDER BY consumer DESC",
        "SELECT * FROM s, consumer c",
    ],
)
def test_consumer_can_be_a_name_too(text: str) -> None:
    assert {reading_of(t) for t in tree_of(text).find_all(exp.Table)} == {Reading()}


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("SELECT * FROM t WHERE a = ? AND b = ?", [0, 1]),
        ("SELECT * FROM t WHERE a = %s AND b % s = 1 LIMIT %s", [0, 1]),
        ("SELECT :a, v:path, v:b.c::int, :a::int, ARRAY_CONSTRUCT(:b)", ["a", "a", "b"]),
        ("SELECT %(a)s, %(b)s", ["a", "b"]),
        ("INSERT INTO t VALUES (?, :1)", [0, 0]),
        ("SELECT OBJECT_CONSTRUCT('a', ?), 'not ?', \"?\" FROM t -- ?", [0]),
        ("SELECT a % ?, (a) % 2, b[?] FROM t", [0, 1]),
    ],
)
def test_binds_are_nodes_that_know_which_they_are(text: str, keys: list[int | str]) -> None:
    (statement,) = parse(text)
    assert list(statement.binds) == keys
    found = sorted(
        (node.meta["start"], bind_of(node)) for node in tree_of(text).find_all(exp.Placeholder)
    )
    assert [key for _, key in found] == keys


def test_binds_are_counted_over_the_whole_script() -> None:
    assert [s.binds for s in parse("SELECT ?; SELECT ?, ?; EXPLAIN SELECT ?")] == [
        (0,),
        (1, 2),
        (3,),
    ]


def test_an_explained_statement_keeps_its_binds_and_place() -> None:
    explain = parse("SELECT ?;\nEXPLAIN SELECT a FROM t WHERE b = ?")[1]
    assert isinstance(explain, Explain)
    assert explain.statement.binds == (1,)
    assert (explain.statement.place.line, explain.statement.place.column) == (2, 9)


def test_names_in_trees_know_their_place() -> None:
    script = "SELECT 1;\n  SELECT a\n    FROM unknown_table x"
    query = parse(script)[1]
    assert isinstance(query, Query)
    table = query.tree.find(exp.Table)
    assert table is not None
    place = place_of(table, query)
    assert place is not None
    assert (place.line, place.column) == (3, 10)
    assert script[place.offset :].startswith("unknown_table")


def test_create_table_keeps_what_was_declared() -> None:
    made = one(
        """CREATE OR REPLACE TRANSIENT TABLE a.t (
             id INT NOT NULL, name VARCHAR(10) DEFAULT 'x' COMMENT 'who',
             at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP(),
             n INT AUTOINCREMENT START 5 INCREMENT 2, PRIMARY KEY (id, name)
           ) CLUSTER BY (id) DATA_RETENTION_TIME_IN_DAYS = 3 COMMENT = 'c' COPY GRANTS"""
    )
    assert isinstance(made, CreateTable)
    assert (made.name, made.key, made.replace) == ("a.t", ("id", "name"), True)
    assert [(c.name, c.type, c.nullable, c.auto) for c in made.columns] == [
        ("id", "INT", False, None),
        ("name", "VARCHAR(10)", True, None),
        ("at", "TIMESTAMP WITH TIME ZONE", True, None),
        ("n", "INT", True, (5, 2)),
    ]
    assert made.columns[1].comment == "who"
    assert made.options == {"DATA_RETENTION_TIME_IN_DAYS": 3, "COMMENT": "c"}
    assert [text.split()[0] for text in made.notices] == ["TRANSIENT", "CLUSTER", "COPY"]


def test_create_table_says_where_its_rows_come_from() -> None:
    query, like, clone = parse(
        "CREATE TABLE a AS SELECT 1; CREATE TABLE a LIKE b; "
        "CREATE TABLE a CLONE b BEFORE (STATEMENT => 'x')"
    )
    assert isinstance(query, CreateTable) and query.query is not None
    assert isinstance(like, CreateTable) and like.like == "b"
    assert isinstance(clone, CreateTable) and clone.clone == "b"
    assert isinstance(clone.at, At) and (clone.at.unit, clone.at.before) == ("STATEMENT", True)


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        ("CHANGES CAPTURE (INSERT ONLY)", "capture", "INSERT ONLY"),
        ("CHANGES CAPTURE NET", "capture", "NET"),
        ("APPEND_ONLY = TRUE", "capture", "INSERT ONLY"),
        ("APPEND_ONLY = FALSE", "capture", None),
        ("SHOW_INITIAL_ROWS = TRUE", "initial_rows", True),
        ("CONSUMERS = SHARED", "consumers", "SHARED"),
        ("RETENTION_TIME = '30 DAYS'", "retention", "30 DAYS"),
        ("REWIND = REQUIRE_REASON", "rewind", "REQUIRE_REASON"),
        ("COMMENT = 'it''s'", "comment", "it's"),
    ],
)
def test_create_stream_keeps_each_option(options: str, field: str, value: object) -> None:
    made = one(f"CREATE STREAM IF NOT EXISTS s ON TABLE t AT (VERSION => 3) {options}")
    assert isinstance(made, CreateStream)
    assert (made.name, made.on, made.if_not_exists, made.on_view) == ("s", "t", True, False)
    assert made.at is not None and made.at.unit == "VERSION"
    assert getattr(made, field) == value


def test_alter_stream_has_each_action() -> None:
    found = parse(
        """ALTER STREAM s SET CONSUMERS = SHARED, COMMENT = 'x';
           ALTER STREAM s UNSET COMMENT;
           ALTER STREAM s ADD CONSUMER c AS CLIENT AT VERSION 3;
           ALTER STREAM s ADD CONSUMER c AT BASE;
           ALTER STREAM s DROP CONSUMER c;
           ALTER STREAM s RENAME TO z;
           ALTER STREAM s SET OFFSET = 'v3' CONSUMER c REASON 'why'"""
    )
    assert all(isinstance(s, AlterStream) for s in found)
    assert [s.action for s in found if isinstance(s, AlterStream)] == [
        *("SET", "UNSET", "ADD_CONSUMER", "ADD_CONSUMER", "DROP_CONSUMER", "RENAME", "SET_OFFSET")
    ]


def test_call_takes_positions_and_names() -> None:
    made = one("CALL system$stream_rewind('s;', 'v100', dry_run => TRUE, REASON => 'x')")
    assert isinstance(made, Call)
    assert made.procedure == "system$stream_rewind"
    assert [a.name for a in made.arguments] == ["s;", "v100"]
    assert list(made.named) == ["DRY_RUN", "REASON"]


def test_a_name_can_come_from_a_variable() -> None:
    made = one("DROP TABLE IF EXISTS IDENTIFIER($t)")
    assert getattr(made, "name", None) == "$T"


def test_copy_reads_files_and_writes_them() -> None:
    into, out, query = parse(
        """COPY INTO t (a, b) FROM 'in/' FILES = ('x.csv') PATTERN = '.*'
             FILE_FORMAT = (TYPE = CSV SKIP_HEADER = 1, NULL_IF = ('', 'NULL')) ON_ERROR = CONTINUE;
           COPY INTO 'out/' FROM s CONSUMER c FILE_FORMAT = (TYPE = PARQUET);
           COPY INTO 'out/' FROM (SELECT a FROM t) OVERWRITE = TRUE"""
    )
    assert isinstance(into, CopyInto) and isinstance(out, CopyOut) and isinstance(query, CopyOut)
    assert into.format == {"TYPE": "CSV", "SKIP_HEADER": 1, "NULL_IF": ("", "NULL")}
    assert (into.files, into.pattern, into.columns) == (("x.csv",), ".*", ("a", "b"))
    table = out.query.find(exp.Table)
    assert table is not None and reading_of(table).consumer == "c"
    assert query.options == {"OVERWRITE": True}


def test_a_views_definition_is_kept_as_written() -> None:
    made = one("CREATE VIEW v (x) AS SELECT  a\n FROM t -- why\n WHERE b > 1")
    assert isinstance(made, CreateView)
    assert made.definition == "SELECT  a\n FROM t -- why\n WHERE b > 1"
    assert made.columns == ("x",)


def test_show_takes_its_filters() -> None:
    made = one("SHOW TERSE STREAMS LIKE '%a' IN SCHEMA b STARTS WITH 'c' LIMIT 3")
    assert isinstance(made, Show)
    assert (made.kind, made.like, made.scope, made.starts_with, made.limit, made.terse) == (
        *("STREAMS", "%a", "b", "c", 3, True),
    )


def test_nesting_past_all_measure_is_an_error() -> None:
    for depth in (60, 5_000, 100_000):
        with pytest.raises(ProgrammingError, match="nested too deeply"):
            parse("SELECT " + "(" * depth + "1" + ")" * depth)
    with pytest.raises(ProgrammingError, match="nested too deeply"):
        parse("SELECT " + "CASE WHEN 1 THEN " * 3000 + "1" + " END" * 3000)
    with pytest.raises(ProgrammingError, match="nested too deeply"):
        parse("SELECT " + "NOT " * 3000 + "TRUE")


def test_a_text_past_the_limit_is_refused() -> None:
    with pytest.raises(ProgrammingError, match="may have 100") as caught:
        parse("SELECT 1 " + " " * 100, longest=100)
    assert caught.value.code == "E_SQL_TOO_LONG"


@pytest.mark.parametrize("kind", ["PROCEDURE", "FUNCTION", "TRIGGER", "INDEX", "SEQUENCE"])
def test_what_is_not_there_is_named(kind: str) -> None:
    with pytest.raises(NotSupportedError, match=f"CREATE {kind} is not supported: ") as caught:
        parse(f"\n CREATE OR REPLACE {kind} x")
    assert caught.value.place is not None
    assert caught.value.place.line == 2
