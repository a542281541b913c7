"""CREATE, ALTER and DROP STREAM, CALL of the watermark procedures, parameters, variables."""

from collections.abc import Iterator

import pytest
from support_statements import Sql, sql_store


@pytest.fixture
def sql() -> Iterator[Sql]:
    with sql_store() as made:
        made.result(
            "CREATE TABLE t (id INT PRIMARY KEY, n INT); CREATE TABLE copy (id INT, n INT); "
            "INSERT INTO t VALUES (1, 1); INSERT INTO t VALUES (2, 2); INSERT INTO t VALUES (3, 3)"
        )
        yield made


def stream(sql: Sql, name: str = "s") -> dict[str, object]:
    return sql.dicts(f"DESCRIBE STREAM {name}")[0]


def items(sql: Sql, text: str) -> list[tuple[object, ...]]:
    return [(r["item"], r["name"], r["from"], r["to"], r["changes"]) for r in sql.dicts(text)]


# -- streams -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("", {"type": "ALL", "mode": "DEFAULT", "consumers": "INDEPENDENT", "base": 3}),
        ("CHANGES CAPTURE NET", {"type": "NET"}),
        ("CHANGES CAPTURE (INSERT ONLY)", {"type": "INSERT ONLY", "mode": "APPEND_ONLY"}),
        ("APPEND_ONLY = TRUE", {"type": "INSERT ONLY"}),
        ("AT (VERSION => 1)", {"base": 1}),
        ("BEFORE (VERSION => 'v2')", {"base": 1}),
        ("AT (OFFSET => 0)", {"base": 3}),
        ("CONSUMERS = SHARED REWIND = WARN", {"consumers": "SHARED", "rewind": "WARN"}),
        ("SHOW_INITIAL_ROWS = TRUE", {"watermark": -1, "has_data": True}),
        ("COMMENT = 'mine'", {"comment": "mine"}),
    ],
)
def test_a_stream_is_described_as_it_was_declared(
    sql: Sql, options: str, wanted: dict[str, object]
) -> None:
    sql.result(f"CREATE STREAM s ON TABLE t {options}")
    row = stream(sql)
    assert {key: row[key] for key in wanted} == wanted


def test_a_stream_begins_where_another_one_stands(sql: Sql) -> None:
    sql.result(
        "CREATE STREAM a ON TABLE t AT (VERSION => 1); CREATE STREAM b ON TABLE t AT (STREAM => 'a'); "
        "CREATE STREAM c CLONE b"
    )
    assert [stream(sql, name)["base"] for name in "abc"] == [1, 1, 1]


def test_a_stream_begins_at_a_time(sql: Sql) -> None:
    stamp = sql.value(
        "SELECT committed_on FROM information_schema.table_versions "
        "WHERE table_name = 't' AND version = 2"
    )
    sql.result("CREATE STREAM s ON TABLE t AT (TIMESTAMP => ?)", [stamp])
    assert stream(sql)["base"] == 2


def test_or_replace_retires_the_consumers_unless_it_goes_on_at_itself(sql: Sql) -> None:
    sql.result(
        "CREATE STREAM s ON TABLE t AT (VERSION => 0); ALTER STREAM s ADD CONSUMER c AT VERSION 2; "
        "CREATE OR REPLACE STREAM s ON TABLE t AT (STREAM => 's')"
    )
    assert (stream(sql)["consumer_count"], stream(sql)["watermark"]) == (1, 2)
    sql.result("CREATE OR REPLACE STREAM s ON TABLE t")
    assert (stream(sql)["consumer_count"], stream(sql)["watermark"]) == (0, 3)


def test_alter_stream_changes_every_option_in_place(sql: Sql) -> None:
    sql.result(
        "CREATE STREAM s ON TABLE t; ALTER STREAM s SET CHANGES CAPTURE (NET), REWIND = FORBID "
        "COMMENT = 'c' RETENTION_TIME = '2 days' CONSUMERS = SHARED"
    )
    row = stream(sql)
    assert (row["type"], row["rewind"], row["comment"], row["consumers"]) == (
        *("NET", "FORBID", "c", "SHARED"),
    )
    assert sql.value("SELECT retention_time FROM information_schema.streams") == 2
    sql.result("ALTER STREAM s UNSET COMMENT, RETENTION_TIME, REWIND; ALTER STREAM s RENAME TO z")
    assert (stream(sql, "z")["rewind"], stream(sql, "z")["comment"]) == ("ALLOW", None)


def test_consumers_come_and_go_by_name(sql: Sql) -> None:
    sql.result(
        "CREATE STREAM s ON TABLE t AT (VERSION => 0); ALTER STREAM s ADD CONSUMER a; "
        "ALTER STREAM s ADD CONSUMER b AS CLIENT AT HEAD; "
        "ALTER STREAM s ADD CONSUMER copy AS TABLE AT VERSION 1"
    )
    assert [(r["name"], r["kind"], r["watermark"]) for r in sql.dicts("SHOW CONSUMERS")] == [
        ("a", "CLIENT", 0),
        ("b", "CLIENT", 3),
        ("copy", "TABLE", 1),
    ]
    sql.result("ALTER STREAM s DROP CONSUMER b")
    assert sql.column("SHOW CONSUMERS", "name") == ["a", "copy"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("CREATE STREAM s ON TABLE t", "E_NAME_TAKEN"),
        ("CREATE STREAM x ON TABLE nowhere", "E_NOT_FOUND"),
        ("CREATE STREAM x ON VIEW t", "E_NOT_FOUND"),
        ("CREATE STREAM x ON TABLE t AT (VERSION => 9)", "E_OUTSIDE_HISTORY"),
        ("CREATE STREAM x ON TABLE t AT (VERSION => 'soon')", "E_POSITION"),
        ("CREATE STREAM x ON TABLE t AT (OFFSET => 60)", "E_POSITION"),
        ("CREATE STREAM x ON TABLE t RETENTION_TIME = 'long'", "E_PARAMETER"),
        ("ALTER STREAM nowhere SET COMMENT = 'x'", "E_NOT_FOUND"),
        ("ALTER STREAM s ADD CONSUMER c", "E_CONSUMER_TAKEN"),
        ("ALTER STREAM s ADD CONSUMER g AS GROUP", "E_CONSUMER_REFUSED"),
        ("ALTER STREAM s DROP CONSUMER nobody", "E_CONSUMER_UNKNOWN"),
        ("ALTER STREAM s SET CONSUMERS = SHARED", "E_WATERMARKS_DIFFER"),
        ("DROP STREAM nowhere", "E_NOT_FOUND"),
        ("CALL SYSTEM$STREAM_REWIND('nowhere')", "E_NOT_FOUND"),
        ("CALL SYSTEM$STREAM_REWIND('s')", "E_REWIND_REFUSED"),
        ("CALL SYSTEM$STREAM_REWIND('s', 3, CONSUMER => 'c')", "E_TARGET_ABOVE_WATERMARK"),
        ("CALL SYSTEM$STREAM_REWIND('s', 'whenever', CONSUMER => 'c')", "E_POSITION"),
        ("CALL SYSTEM$STREAM_REWIND('s', CONSUMER => 'nobody')", "E_CONSUMER_UNKNOWN"),
        ("CALL SYSTEM$STREAM_REWIND()", "E_SQL_SYNTAX"),
        ("CALL SYSTEM$STREAM_REWIND('s', 1, 2)", "E_SQL_SYNTAX"),
        ("CALL SYSTEM$STREAM_REWIND('s', 1, TO => 2)", "E_SQL_SYNTAX"),
        ("CALL SYSTEM$STREAM_REWIND('s', WHO => 'c')", "E_SQL_SYNTAX"),
        ("CALL SYSTEM$STREAM_REWIND('s', DRY_RUN => 3)", "E_SQL_SYNTAX"),
        ("CALL SYSTEM$STREAM_REWIND(7)", "E_SQL_SYNTAX"),
        ("CALL SYSTEM$STREAM_ADVANCE('s', 0, CONSUMER => 'd')", "E_TARGET_BELOW_WATERMARK"),
        ("CALL SYSTEM$STREAM_UNDO('s', CONSUMER => 'c')", "E_REWIND_REFUSED"),
        ("CALL SYSTEM$NOTHING('s')", "E_NOT_FOUND"),
    ],
)
def test_what_a_stream_cannot_do_is_refused_by_code(sql: Sql, text: str, code: str) -> None:
    sql.result(
        "CREATE STREAM s ON TABLE t AT (VERSION => 0); ALTER STREAM s ADD CONSUMER c; "
        "ALTER STREAM s ADD CONSUMER d AT VERSION 2"
    )
    before = sql.dicts("SHOW CONSUMERS"), sql.dicts("SHOW STREAMS")
    error = sql.error(text)
    assert error.code == code, str(error)
    assert error.place is not None
    for row, was in zip(sql.dicts("SHOW CONSUMERS"), before[0], strict=True):
        assert row["watermark"] == was["watermark"]
    assert len(sql.dicts("SHOW STREAMS")) == len(before[1])


# -- procedures --------------------------------------------------------------------------------


def consumed(sql: Sql) -> None:
    """Three versions copied one by one, so that there are boundaries."""
    sql.result("CREATE STREAM s ON TABLE t AT (VERSION => 0)")
    for upto in (1, 2, 3):
        sql.result(f"INSERT INTO copy SELECT id, n FROM s UP TO VERSION {upto}")


def test_a_dry_run_tells_what_would_be_read_again_and_changes_nothing(sql: Sql) -> None:
    consumed(sql)
    rows = sql.dicts("CALL SYSTEM$STREAM_REWIND('s', 'v1', DRY_RUN => TRUE)")
    assert items(sql, "CALL SYSTEM$STREAM_REWIND('s', 'v1', DRY_RUN => TRUE)")[0] == (
        *("consumer", "copy", "v3", "v1", 2),
    )
    assert [(r["item"], r["name"], r["rows"]) for r in rows if r["item"] == "table"] == [
        ("table", "copy", 2)
    ]
    assert any("would be written twice" in str(r["message"]) for r in rows)
    assert sql.value("SELECT SYSTEM$STREAM_OFFSET('s')") == "v3"


def test_a_rewind_reads_again_and_a_restore_does_so_without_duplicates(sql: Sql) -> None:
    consumed(sql)
    sql.result("CALL SYSTEM$STREAM_REWIND('s', 1, REASON => 'look again')")
    sql.result("INSERT INTO copy SELECT id, n FROM s")
    assert sql.value("SELECT COUNT(*) FROM copy") == 5
    sql.result("CALL SYSTEM$STREAM_REWIND('s', TO => 0, RESTORE => TRUE)")
    assert sql.value("SELECT COUNT(*) FROM copy") == 0
    sql.result("CALL SYSTEM$STREAM_UNDO('s')")
    assert sql.value("SELECT COUNT(*) FROM copy") == 5


def test_without_a_place_a_rewind_goes_to_the_base_and_an_advance_to_the_head(sql: Sql) -> None:
    sql.result("CREATE STREAM s ON TABLE t AT (VERSION => 1); ALTER STREAM s ADD CONSUMER c")
    assert items(sql, "CALL SYSTEM$STREAM_ADVANCE('s')")[0] == ("consumer", "c", "v1", "v3", 2)
    assert items(sql, "CALL SYSTEM$STREAM_REWIND('s')")[0] == ("consumer", "c", "v3", "v1", 2)
    (nothing, done) = sql.dicts("CALL SYSTEM$STREAM_REWIND('s')")
    assert (nothing["item"], nothing["message"]) == ("nothing", "c: stands at v1 already")
    assert done["message"] == "nothing was changed"


def test_nobody_registered_is_no_error(sql: Sql) -> None:
    sql.result("CREATE STREAM s ON TABLE t")
    assert "nobody is registered" in str(sql.dicts("CALL SYSTEM$STREAM_REWIND('s')")[0]["message"])
    sql.result("BEGIN; CREATE STREAM fresh ON TABLE t")
    assert sql.dicts("CALL SYSTEM$STREAM_REWIND('fresh')")[0]["item"] == "nothing"


def test_a_star_means_every_consumer(sql: Sql) -> None:
    sql.result(
        "CREATE STREAM s ON TABLE t AT (VERSION => 0); ALTER STREAM s ADD CONSUMER a AT HEAD; "
        "ALTER STREAM s ADD CONSUMER b AT HEAD; CALL SYSTEM$STREAM_REWIND('s', CONSUMER => '*')"
    )
    assert sql.column("SHOW CONSUMERS", "watermark") == [0, 0]


def test_arguments_can_be_binds_variables_and_times(sql: Sql) -> None:
    sql.result(
        "CREATE STREAM s ON TABLE t AT (VERSION => 0); ALTER STREAM s ADD CONSUMER c AT HEAD"
    )
    sql.result("SET s = 's'; CALL SYSTEM$STREAM_REWIND($s, ?)", [2])
    assert sql.value("SELECT SYSTEM$STREAM_OFFSET('s')") == "v2"
    stamp = sql.value(
        "SELECT committed_on FROM information_schema.table_versions "
        "WHERE table_name = 't' AND version = 1"
    )
    sql.result("CALL SYSTEM$STREAM_REWIND('s', :at)", {"at": stamp})
    assert sql.value("SELECT SYSTEM$STREAM_OFFSET('s')") == "v1"


def test_set_offset_is_a_rewind_or_an_advance(sql: Sql) -> None:
    sql.result("CREATE STREAM s ON TABLE t AT (VERSION => 0); ALTER STREAM s ADD CONSUMER c")
    for said, stands in (("= 'v2'", 2), ("TO HEAD", 3), ("AT (VERSION => 1)", 1), ("= BASE", 0)):
        sql.result(f"ALTER STREAM s SET OFFSET {said} CONSUMER c REASON 'moved'")
        assert sql.value("SELECT SYSTEM$STREAM_OFFSET('s')") == f"v{stands}"
    assert (
        sql.value(
            "SELECT COUNT(*) FROM information_schema.stream_offset_history WHERE reason = 'moved'"
        )
        == 4
    )


def test_a_streams_policy_holds_for_all_ways_of_rewinding_and_refusals_are_audited(
    sql: Sql,
) -> None:
    sql.result(
        "CREATE STREAM s ON TABLE t AT (VERSION => 0) REWIND = REQUIRE_REASON; "
        "ALTER STREAM s ADD CONSUMER c AT HEAD"
    )
    assert sql.error("CALL SYSTEM$STREAM_REWIND('s')").code == "E_REASON_REQUIRED"
    assert sql.error("ALTER STREAM s SET OFFSET = 0").code == "E_REASON_REQUIRED"
    sql.result("ALTER STREAM s SET REWIND = FORBID")
    assert sql.error("CALL SYSTEM$STREAM_REWIND('s', REASON => 'x')").code == "E_REWIND_FORBIDDEN"
    with sql.db.sql.store.log.view() as view:
        refused = [row.what for row in view.audit() if "refused" in row.what]
    assert refused == ["rewind refused"] * 3


def test_a_rewind_inside_a_transaction_is_rolled_back_with_it(sql: Sql) -> None:
    sql.result(
        "CREATE STREAM s ON TABLE t AT (VERSION => 0); ALTER STREAM s ADD CONSUMER c AT HEAD"
    )
    sql.result("BEGIN; CALL SYSTEM$STREAM_REWIND('s'); ROLLBACK")
    assert sql.value("SELECT SYSTEM$STREAM_OFFSET('s')") == "v3"
    sql.result("BEGIN; CALL SYSTEM$STREAM_REWIND('s'); COMMIT")
    assert sql.value("SELECT SYSTEM$STREAM_OFFSET('s')") == "v0"


# -- parameters and variables ------------------------------------------------------------------


def test_parameters_give_streams_what_they_do_not_say(sql: Sql) -> None:
    sql.result(
        "ALTER ACCOUNT SET DEFAULT_STREAM_CAPTURE = 'NET'; CREATE STREAM a ON TABLE t; "
        "ALTER SESSION SET DEFAULT_STREAM_CAPTURE = ALL, DEFAULT_STREAM_CONSUMERS = SHARED; "
        "CREATE STREAM b ON TABLE t"
    )
    assert (stream(sql, "a")["type"], stream(sql, "a")["consumers"]) == ("NET", "INDEPENDENT")
    assert (stream(sql, "b")["type"], stream(sql, "b")["consumers"]) == ("ALL", "SHARED")
    levels = {row["key"]: row["level"] for row in sql.dicts("SHOW PARAMETERS LIKE 'DEFAULT%'")}
    assert levels == {"DEFAULT_STREAM_CAPTURE": "SESSION", "DEFAULT_STREAM_CONSUMERS": "SESSION"}
    sql.result("ALTER SESSION UNSET DEFAULT_STREAM_CAPTURE, DEFAULT_STREAM_CONSUMERS")
    levels = {row["key"]: row["level"] for row in sql.dicts("SHOW PARAMETERS LIKE 'DEFAULT%'")}
    assert levels == {"DEFAULT_STREAM_CAPTURE": "ACCOUNT", "DEFAULT_STREAM_CONSUMERS": ""}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ALTER SESSION SET NOTHING = 1", "E_NOT_FOUND"),
        ("ALTER ACCOUNT SET TIMEZONE = 'UTC'", "E_NOT_FOUND"),
        ("ALTER SESSION SET IDEMPOTENCY_RETENTION_DAYS = 3", "E_NOT_FOUND"),
        ("ALTER SESSION SET DEFAULT_STREAM_CAPTURE = SOME", "E_PARAMETER"),
        ("ALTER SESSION SET TIMEZONE = 'Mars/Base'", "E_PARAMETER"),
        ("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = -1", "E_PARAMETER"),
        ("ALTER SESSION SET AUTOCOMMIT = 3", "E_PARAMETER"),
        ("ALTER SESSION SET TIMESTAMP_TYPE_MAPPING = 'TIMESTAMP_LTZ'", "E_PARAMETER"),
        ("ALTER SESSION UNSET NOTHING", "E_NOT_FOUND"),
    ],
)
def test_parameters_that_are_none_are_refused(sql: Sql, text: str, code: str) -> None:
    error = sql.error(text)
    assert error.code == code, str(error)


def test_autocommit_is_a_parameter_too(sql: Sql) -> None:
    sql.result("ALTER SESSION SET AUTOCOMMIT = FALSE; INSERT INTO t VALUES (9, 9)")
    assert (sql.session.autocommit, sql.session.in_transaction) == (False, True)
    sql.result("ROLLBACK; ALTER SESSION SET AUTOCOMMIT = TRUE; COMMIT; INSERT INTO t VALUES (8, 8)")
    assert not sql.session.in_transaction
    assert sql.rows("SELECT id FROM t WHERE id > 7") == [(8,)]


def test_the_time_zone_of_a_session_reads_its_times(sql: Sql) -> None:
    sql.result("ALTER SESSION SET TIMEZONE = 'Europe/Berlin'")
    assert str(sql.session.state.zone) == "Europe/Berlin"
    sql.result("ALTER SESSION UNSET TIMEZONE")
    assert str(sql.session.state.zone) == "UTC"


def test_variables_keep_values_and_queries_use_them(sql: Sql) -> None:
    sql.result("SET a = 2; SET (b, c) = ('x', -1.5); SET m = (SELECT MAX(id) FROM t)")
    assert [tuple(map(str, row)) for row in sql.rows("SELECT $a + 1, $b, $c, $m")] == [
        ("3", "x", "-1.5", "3")
    ]
    assert sql.rows("SELECT id FROM t WHERE id = $a") == [(2,)]
    assert sql.column("SHOW VARIABLES", "name") == ["A", "B", "C", "M"]
    sql.result("UNSET b; UNSET (a, c)")
    assert sql.column("SHOW VARIABLES", "name") == ["M"]
    error = sql.error("SELECT id\n  FROM t WHERE n = $a")
    assert error.code == "E_SQL_VARIABLE"


@pytest.mark.parametrize(
    "text",
    [
        "SET a = (SELECT id, n FROM t)",
        "SET a = (SELECT id FROM t)",
        "SET a = $nothing",
        "SET a = nothing",
        "SET (a, b) = (1, 2, 3)",
        "SET a = 'abc'::INT",
    ],
)
def test_a_variable_takes_one_value(sql: Sql, text: str) -> None:
    sql.error(text)
    assert sql.rows("SHOW VARIABLES") == []


def test_tasks_are_recognised_and_not_there_yet(sql: Sql) -> None:
    for text in (
        "CREATE TASK x SCHEDULE = '1 minute' AS BEGIN DELETE FROM t; SELECT 1; END",
        "ALTER TASK x RESUME",
        "EXECUTE TASK x",
        "DROP TASK x",
        "SHOW TASKS",
        "DESCRIBE TASK x",
    ):
        error = sql.error(text)
        assert error.code == "E_NOT_SUPPORTED"
        assert "tasks are not there yet" in str(error)
