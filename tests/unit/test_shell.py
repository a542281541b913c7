"""The shell: what it completes, when a text is complete, its commands, a whole conversation."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

import headwater
from headwater.ops.api import Database
from headwater.ops.output import Output
from headwater.ops.shell import Shell
from headwater.ops.shell_words import Names, complete, suggestions

NAMES = Names(
    tables={"orders": ["id", "name"], "Odd name": ["x"]},
    views={"recent": ["id", "at"]},
    streams={"orders_s": ["id", "name", "METADATA$ACTION"]},
    consumers=("mailer", "report"),
    schemas=("public", "sales"),
    commands=(".help", ".tables", ".timer"),
)


def words(before: str) -> list[str]:
    return [one.word for one in suggestions(before, NAMES)]


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("sel", ["select"]),
        ("SEL", ["SELECT"]),
        ("SELECT * FROM or", ["orders", "orders_s"]),
        ("select 1; select * from rec", ["recent"]),
        ('SELECT * FROM "O', ['"Odd name"']),
        ("SELECT * FROM orders_s CONSUMER ", ["mailer", "report"]),
        ("SELECT o. FROM orders o WHERE o.n", ["name"]),
        ("SELECT * FROM orders AS o JOIN recent r ON r.", ["id", "at"]),
        ("SELECT orders_s.META", []),
        ("UPDATE orders SET na", ["name"]),
        ("DROP STREAM o", ["orders_s", "on", "only", "or", "order", "orders"]),
        ("USE SCHEMA s", ["sales"]),
        (".t", [".tables", ".timer"]),
        ("SELECT 'or", []),
        ("CREATE ST", ["STREAM"]),
    ],
)
def test_completion_offers_what_fits_the_place(before: str, wanted: list[str]) -> None:
    found = words(before)
    assert found[: len(wanted)] == wanted or set(wanted) <= set(found), found


def test_columns_of_the_tables_in_the_statement_come_before_keywords() -> None:
    assert words("SELECT * FROM orders WHERE ")[:2] == ["id", "name"]


def test_only_what_is_typed_is_taken_the_place_of() -> None:
    (only,) = [one for one in suggestions("SELECT * FROM rece", NAMES) if one.kind == "view"]
    assert (only.word, only.length) == ("recent", 4)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("SELECT 1;", True),
        ("SELECT 1", False),
        ("SELECT ';", False),
        ("SELECT ';'", False),
        ("SELECT 1; -- done", True),
        ("SELECT 1 /* ;", False),
        ("SELECT 1 -- ;", False),
        (".help", True),
        ("", True),
        ("BEGIN; SELECT 1;", True),
    ],
)
def test_a_text_runs_when_it_ends_with_a_semicolon(text: str, whole: bool) -> None:
    assert complete(text) is whole


@pytest.fixture
def db() -> Iterator[Database]:
    with headwater.connect("memory:") as made:
        made.sql.execute(
            "CREATE TABLE t (id INT, name VARCHAR); CREATE STREAM s ON TABLE t; "
            "INSERT INTO t VALUES (1, 'a')"
        )
        yield made


class Talk:
    """A shell whose words are kept."""

    def __init__(self, db: Database) -> None:
        self.out, self.err = StringIO(), StringIO()
        output = Output(streams=(self.out, self.err))
        self.shell = Shell(db, output, "somewhere")

    def say(self, text: str) -> tuple[str, str]:
        """What is printed for a text: results, and the rest."""
        for one in (self.out, self.err):
            one.seek(0)
            one.truncate()
        assert self.shell.answer(text)
        return self.out.getvalue(), self.err.getvalue()


def test_statements_are_answered_and_errors_end_nothing(db: Database) -> None:
    talk = Talk(db)
    assert talk.say("SELECT id FROM t;") == ("id\n 1\n", "1 row\n")
    out, err = talk.say("SELECT nothing FROM t;")
    assert out == ""
    assert err.splitlines()[:2] == ["  SELECT nothing FROM t;", "         ^"]
    assert talk.say("INSERT INTO t VALUES (2, 'b');") == ("", "1 row inserted\n")


def test_each_command_answers(db: Database) -> None:
    talk = Talk(db)
    assert ".tables" in talk.say(".help")[0]
    assert "t" in talk.say(".tables")[0]
    assert "s" in talk.say(".streams")[0]
    talk.say(".consumers")
    assert "create or replace table" in talk.say(".schema")[0]
    assert talk.say(".schema s")[0].startswith("create or replace stream s")
    assert talk.say(".mode csv")[1] == "mode csv\n"
    assert talk.say("SELECT 1 AS a;")[0] == "a\n1\n"
    assert "no mode" in talk.say(".mode pictures")[1]
    talk.say(".mode table")
    assert talk.say(".vertical on")[1] == "vertical on\n"
    assert talk.say("SELECT 1 AS a;")[0] == "-[ row 1 ]-\na  1\n"
    talk.say(".vertical off")
    assert talk.say(".timer on")[1] == "timer on\n"
    assert talk.say("SELECT 1 AS a;")[1].splitlines()[-1].endswith(" s")
    assert talk.say(".rows 1")[1] == "at most 1 rows\n"
    assert "there is no command" in talk.say(".dance")[1]
    assert talk.shell.answer(".quit") is False


def test_a_file_of_statements_is_read(db: Database, tmp_path: Path) -> None:
    talk = Talk(db)
    file = tmp_path / "x.sql"
    file.write_text("INSERT INTO t VALUES (7, 'x'); SELECT COUNT(*) AS n FROM t")
    assert talk.say(f".read {file}")[0] == "n\n2\n"
    assert "cannot be read" in talk.say(".read nowhere.sql")[1]


def test_no_more_rows_are_shown_than_asked_for(db: Database) -> None:
    talk = Talk(db)
    db.sql.execute("INSERT INTO t VALUES (2, 'b'), (3, 'c')")
    talk.say(".rows 2")
    out, err = talk.say("SELECT id FROM t ORDER BY id;")
    assert (out, err) == ("id\n 1\n 2\n", "the first 2 rows\n")


def test_a_conversation_over_several_lines_ends_with_a_rollback(
    db: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    talk = Talk(db)
    with create_pipe_input() as typed:
        typed.send_text("begin;\rinsert into t\rvalues (5, 'e');\rselect max(id) as m\rfrom t;\r")
        typed.send_text("\x04")
        with create_app_session(input=typed, output=DummyOutput()):
            talk.shell.talk()
    assert talk.out.getvalue() == "m\n5\n"
    assert "the open transaction was rolled back" in talk.err.getvalue()
    (result,) = db.sql.execute("SELECT MAX(id) AS m FROM t")
    assert result.table().to_pylist() == [{"m": 1}]
    history = tmp_path / "headwater" / "shell_history"
    assert "insert into t" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0
