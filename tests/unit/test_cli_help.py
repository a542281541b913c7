"""The command line itself: help that loads nothing heavy, usage errors, options anywhere."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer.core
import typer.main

from headwater.ops.cli import app, hoisted, run

# What only a command that uses it may load; Rich's help alone costs 150 ms.
HEAVY = {
    "pyarrow",
    "numpy",
    "pandas",
    "polars",
    "rocksdict",
    "fastavro",
    "pydantic_settings",
    "rich",
    "duckdb",
    "sqlglot",
    "prompt_toolkit",
}


def leaves(name: str, group: object) -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Every command of the tree with its full name."""
    if isinstance(group, typer.core.TyperGroup):
        for child, command in group.commands.items():
            yield from leaves(f"{name} {child}".strip(), command)
    else:
        assert isinstance(group, typer.core.TyperCommand)
        yield name, group


LEAVES = dict(leaves("", typer.main.get_command(app)))


@pytest.mark.parametrize("words", [["--help"], ["stream", "--help"], ["stream", "lag", "--help"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    asked = (
        "import sys\nfrom headwater.ops.cli import run\n"
        f"code = run({words!r})\nprint(*sys.modules, file=sys.stderr)\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert loaded & HEAVY == set()
    assert "Usage: headwater" in done.stdout


def test_every_command_of_the_plan_is_there() -> None:
    table = {"ls", "show", "avro", "create", "drop", "undrop", "history", "at", "diff", "retain"}
    stream = {"ls", "show", "create", "drop", "peek", "tail", "lag", "history"}
    stream |= {"rewind", "advance", "undo", "consumers", "add-consumer", "drop-consumer"}
    expected = {f"table {verb}" for verb in table} | {f"stream {verb}" for verb in stream}
    expected |= {"view ls", "view show", "parameter ls", "parameter set", "parameter unset"}
    assert set(LEAVES) == expected | {
        "demo",
        "import",
        "kafka check",
        "doctor",
        "expire",
        "nodes",
        "version",
        "sql",
        "shell",
    }


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_has_a_sentence_and_two_examples(name: str) -> None:
    command = LEAVES[name]
    assert command.help and command.help.split("\n")[0].endswith(".")
    assert (command.epilog or "").count(f"headwater {name}") >= 2


@pytest.mark.parametrize("words", [["nope"], ["table", "at"], ["--format", "xml", "version"]])
def test_a_wrong_line_is_a_usage_error(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    assert "Try 'headwater" in capsys.readouterr().err


def test_global_options_may_stand_anywhere() -> None:
    assert hoisted(["table", "ls", "--format", "json", "--dir=shop", "-q"]) == [
        "--format",
        "json",
        "--dir=shop",
        "-q",
        "table",
        "ls",
    ]
    assert hoisted(["table", "at", "--", "--quiet"]) == ["table", "at", "--", "--quiet"]


def test_version_says_which_release_this_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version", "--format", "jsonl"]) == 0
    assert '{"headwater": "0.1.0"' in capsys.readouterr().out
