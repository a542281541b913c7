"""The commands on a store on Kafka: the same as on a directory, from any directory."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from support_kafka import Broker

import headwater
from headwater.ops.cli import run
from headwater.ops.errors import TargetNotKnown

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run one line in an empty directory; gives exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADWATER_KAFKA_TIMEOUT_S", "20")

    def line(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(words)
        out, err = capsys.readouterr()
        return code, out, err

    return line


def test_statements_and_listings_reach_the_prefix_and_make_no_store_here(
    kafka: Broker, prefix: str, command: Command, tmp_path: Path
) -> None:
    store = ("--dir", f"kafka://{kafka.bootstrap}/{prefix}")
    text = "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)"
    assert command(*store, "sql", "-c", text)[0] == 0
    code, out, err = command(*store, "table", "ls", "--format", "jsonl")
    assert (code, err) == (0, "")
    assert [(d["name"], d["rows"]) for d in map(json.loads, out.splitlines())] == [("t", 2)]
    assert command(*store, "doctor")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["headwater-replicas"]


def test_a_reading_command_sees_what_another_node_has_committed_since(
    kafka: Broker, prefix: str, command: Command, tmp_path: Path
) -> None:
    target = f"kafka://{kafka.bootstrap}/{prefix}"
    with headwater.connect(f"{target}?dir={tmp_path / 'writer'}") as db:
        table = db.create_table("t", {"id": "INT"}, key="id")
        for rows in (1, 2):
            table.insert([(rows,)])
            _, out, _ = command(
                "--dir", target, "sql", "-c", "SELECT count(*) FROM t", "--format", "csv"
            )
            assert out.splitlines()[1:] == [str(rows)]
        _, out, _ = command("--dir", target, "nodes", "--format", "jsonl")
        assert "writer" in [json.loads(line)["role"] for line in out.splitlines()]


def test_a_reading_command_works_in_the_directory_of_a_node_that_runs(
    kafka: Broker, prefix: str, command: Command
) -> None:
    target = f"kafka://{kafka.bootstrap}/{prefix}"
    with headwater.connect(target) as db:
        db.create_table("t", {"id": "INT"}, key="id").insert([(1,)])
        code, out, _ = command("--dir", target, "table", "at", "t", "--format", "csv")
    assert (code, out) == (0, "id\n1\n")


def test_a_prefix_that_is_not_there_is_named(kafka: Broker, prefix: str, command: Command) -> None:
    code, _, err = command("--dir", f"kafka://{kafka.bootstrap}/{prefix}", "table", "ls")
    assert code != 0
    assert err.startswith(f"error: no store is at prefix {prefix}")


def test_brokers_that_do_not_answer_are_unavailable_within_the_time_set(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWATER_KAFKA_TIMEOUT_S", "1")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        code, _, err = command("--dir", f"kafka://{address}/shop", "table", "ls")
    assert code != 0
    assert err == (
        f"error: no broker of {address} answers within 1 s: see that it runs, and that "
        "HEADWATER_KAFKA_OPTIONS suits it [E_STORE_UNAVAILABLE]\n"
    )


@pytest.mark.parametrize("target", [Path("kafka://host:9092/shop"), "http://host/shop"])
def test_an_address_that_is_no_store_makes_no_directory(
    target: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TargetNotKnown, match="cannot be opened"):
        headwater.connect(target)
    assert list(tmp_path.iterdir()) == []
