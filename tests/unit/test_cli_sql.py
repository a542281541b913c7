"""`headwater sql`: where statements come from, what is printed where, how it ends."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import headwater
from headwater.ops.cli import run

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop"
    with headwater.connect(path) as db:
        db.sql.execute(
            "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR); "
            "INSERT INTO t VALUES (1, 'a'), (2, NULL), (3, 'x|y' || CHR(9) || 'z')"
        )
    return path


@pytest.fixture
def command(shop: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run one line on the shop; gives exit code, stdout, stderr."""

    def line(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["--dir", str(shop), "sql", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return line


def test_rows_go_to_stdout_and_what_was_done_to_stderr(command: Command) -> None:
    code, out, err = command(
        "-c", "INSERT INTO t VALUES (4, 'd')", "-c", "SELECT COUNT(*) n FROM t"
    )
    assert (code, out) == (0, "n\n4\n")
    assert err == "1 row inserted\n1 row\n"


@pytest.mark.parametrize(
    ("format", "wanted"),
    [
        ("csv", "id,name\n1,a\n2,\n"),
        ("tsv", "id\tname\n1\ta\n2\t\n"),
        ("md", "| id | name |\n| --- | --- |\n| 1 | a |\n| 2 | NULL |\n"),
        ("jsonl", '{"id": 1, "name": "a"}\n{"id": 2, "name": null}\n'),
        ("table", "id  name\n 1  a\n 2  NULL\n"),
    ],
)
def test_every_format_shows_the_same_rows(command: Command, format: str, wanted: str) -> None:
    text = "SELECT * FROM t WHERE id < 3 ORDER BY id"
    assert command("-c", text, "--format", format)[:2] == (0, wanted)


def test_json_is_one_document_for_each_result(command: Command) -> None:
    code, out, _ = command("-c", "SELECT name FROM t WHERE id = 1", "--format", "json")
    assert (code, json.loads(out)) == (0, [{"name": "a"}])


def test_signs_that_separate_are_escaped(command: Command) -> None:
    text = "SELECT name FROM t WHERE id = 3"
    assert command("-c", text, "--format", "tsv")[1].splitlines()[1] == r"x|y\tz"
    assert command("-c", text, "--format", "md")[1].splitlines()[2] == r"| x\|y\tz |"


def test_statements_come_from_a_file_or_a_pipe(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "run.sql"
    file.write_text(
        "-- a comment; here\nUPDATE t SET name = 'b' WHERE id = 1;\nSELECT name FROM t LIMIT 1"
    )
    assert command("-f", str(file), "--format", "csv")[:2] == (0, "name\nb\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 1 AS one;"))
    assert command("-", "--format", "csv")[:2] == (0, "one\n1\n")


def test_params_are_binds_and_never_text(command: Command) -> None:
    text = "SELECT id FROM t WHERE id = :id OR name = :name ORDER BY id"
    code, out, _ = command("-c", text, "-p", "id=2", "-p", "name=a' OR 'x' = 'x", "--format", "csv")
    assert (code, out) == (0, "id\n2\n")


def test_an_error_points_at_its_place_and_ends_the_run(command: Command) -> None:
    code, out, err = command(
        "-c", "DELETE FROM t WHERE id = 1;\nSELECT nothing\n  FROM t; SELECT 2"
    )
    assert (code, out) == (6, "")
    assert err == (
        "1 row deleted\n"
        "  SELECT nothing\n"
        "         ^\n"
        "error: line 2, column 8: there is no column nothing; there are id, name [E_COLUMN_UNKNOWN]\n"
    )
    assert command("-c", "SELECT COUNT(*) AS n FROM t", "--format", "csv")[1] == "n\n2\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 2),
        (["SELECT 1"], 2),
        (["-c", "SELECT 1", "-"], 2),
        (["-c", "SELECT 1", "-p", "x"], 2),
        (["-f", "nowhere.sql"], 4),
        (["-c", "SELEC 1"], 6),
        (["-c", "SELECT * FROM nowhere"], 4),
        (["-c", "INSERT INTO t VALUES (1, 'again')"], 6),
        (["-c", "DELETE FROM t", "--read-only"], 5),
    ],
)
def test_how_it_ends_says_what_was_wrong(command: Command, words: list[str], code: int) -> None:
    assert command(*words)[0] == code


def test_reading_works_beside_a_writer_and_writing_says_who_it_is(
    command: Command, shop: Path
) -> None:
    import subprocess
    import sys

    program = (
        "import sys, headwater\n"
        f"with headwater.connect({str(shop)!r}):\n"
        "    print('open', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None and writer.stdin is not None
        assert writer.stdout.readline() == "open\n"
        assert command("-c", "SELECT COUNT(*) AS n FROM t", "--format", "csv")[:2] == (0, "n\n3\n")
        assert command("-c", "SHOW TABLES")[0] == 0
        code, _, err = command("-c", "DELETE FROM t")
        assert (code, str(writer.pid) in err) == (3, True)
        writer.stdin.close()


def test_a_store_is_made_by_what_creates_and_by_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "new")
    assert run(["--dir", path, "sql", "-c", "SELECT 1"]) == 3
    assert run(["--dir", path, "sql", "-c", "INSERT INTO t VALUES (1)"]) == 3
    assert (
        run(["--dir", path, "sql", "-c", "CREATE TABLE t (a INT); INSERT INTO t VALUES (1)"]) == 0
    )
    capsys.readouterr()
    assert run(["--dir", path, "sql", "-c", "SELECT a FROM t", "--format", "csv"]) == 0
    assert capsys.readouterr().out == "a\n1\n"
