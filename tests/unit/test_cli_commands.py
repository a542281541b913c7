"""The commands on a real store: what they print, what they change, how they end."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

import headwater
from headwater.log_store.catalog import ViewColumn
from headwater.ops.cli import run
from headwater.producer.ddl_views import ViewSpec, create_view
from headwater.schemas.types import SqlType

COLUMNS = {"sale_id": "INT", "amount": "DECIMAL(10,2)", "name": "VARCHAR"}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A table with three versions and a stream that two consumers read."""
    path = tmp_path / "shop"
    with headwater.connect(path, actor="tester") as db:
        sales = db.create_table("sales", COLUMNS, key="sale_id")
        sales.insert([(1, "999.99", "Laptop"), (2, "29.99", "Mouse")])
        db.create_table("log", {**COLUMNS, "action": "VARCHAR"})
        db.create_table("copy", COLUMNS)
        stream = db.create_stream("s", on="sales")
        stream.add_consumer("mailer")
        sales.update(key=1, set={"amount": "1299.99"})
        with stream.consume(into="copy") as window:
            window.insert()
        sales.delete(key=2)
    return path


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(shop: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run one line on the shop; gives exit code, stdout, stderr."""

    def line(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["--dir", str(shop), *words])
        out, err = capsys.readouterr()
        return code, out, err

    return line


def documents(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


def test_the_tables_are_listed_with_rows_and_versions(command: Command) -> None:
    code, out, err = command("table", "ls", "--format", "jsonl")
    assert (code, err) == (0, "")
    found = [(d["name"], d["rows"], d["version"], d["streams"]) for d in documents(out)]
    assert found == [("sales", 1, 3, 1), ("log", 0, 0, 0), ("copy", 2, 1, 0)]


def test_a_tables_columns_look_like_this(command: Command) -> None:
    code, out, err = command("table", "show", "sales")
    assert code == 0
    assert out == (
        "column   type           nullable  key    default  comment\n"
        "sale_id  INT            false     true\n"
        "amount   DECIMAL(10,2)  true      false\n"
        "name     VARCHAR        true      false\n"
    )
    assert err == "1 rows at v3; streams: s\n"


def test_the_schemas_of_a_tables_events_are_those_that_its_topic_carries(
    command: Command, shop: Path
) -> None:
    with headwater.connect(shop) as db:
        db.table("sales").add_column("note", "VARCHAR")
    code, out, err = command("table", "avro", "sales", "--format", "jsonl")
    assert (code, err) == (0, "topic: shop.public.sales\n")
    found = [(d["subject"], d["version"]) for d in documents(out)]
    topic = "shop.public.sales"
    assert sorted(found) == [(f"{topic}-key", 1), (f"{topic}-value", 1), (f"{topic}-value", 2)]
    newest = json.loads(str(documents(out)[-1]["schema"]))
    assert newest["name"] == "Envelope"
    assert "note" in [field["name"] for field in newest["fields"][0]["type"][1]["fields"]]


def test_a_table_is_shown_as_of_a_version_in_each_format(command: Command) -> None:
    shown = {
        f: command("table", "at", "sales", "--version", "1", "--format", f)[1]
        for f in ("table", "json", "jsonl", "csv")
    }
    assert (
        shown["table"] == "sale_id  amount  name\n      1  999.99  Laptop\n      2   29.99  Mouse\n"
    )
    assert shown["csv"] == "sale_id,amount,name\n1,999.99,Laptop\n2,29.99,Mouse\n"
    assert json.loads(shown["json"]) == documents(shown["jsonl"])
    assert documents(shown["jsonl"])[0] == {"sale_id": 1, "amount": "999.99", "name": "Laptop"}


def test_a_diff_shows_both_sides_of_a_row(command: Command) -> None:
    code, out, _ = command("table", "diff", "sales", "@1", "@3", "--format", "csv")
    assert code == 0
    assert out == (
        "change,row,sale_id,amount,name\n"
        "-,1,1,999.99,Laptop\n+,1,1,1299.99,Laptop\n-,2,2,29.99,Mouse\n"
    )


def test_history_lists_what_each_commit_changed_newest_first(command: Command) -> None:
    _, out, err = command("table", "history", "sales", "-n", "2", "--format", "jsonl")
    found = [(d["version"], d["inserts"], d["updates"], d["deletes"]) for d in documents(out)]
    assert found == [(3, 0, 0, 1), (2, 0, 1, 0)]
    assert "2 more versions" in err


def test_a_time_is_answered_in_utc_and_before_history_is_not_found(command: Command) -> None:
    code, out, err = command("table", "at", "sales", "--time", "now")
    assert (code, len(out.splitlines())) == (0, 2)
    assert "UTC" in err
    code, out, err = command("table", "at", "sales", "--time", "2001-01-01")
    assert (code, out) == (4, "")
    assert "your zone taken" in err
    assert "[E_OUTSIDE_HISTORY]" in err


def test_parameters_are_listed_set_and_unset(command: Command) -> None:
    assert command("parameter", "set", "default_stream_capture", "net")[0] == 0
    _, out, _ = command("parameter", "ls", "--format", "jsonl")
    found = {d["name"]: (d["value"], d["default"]) for d in documents(out)}
    assert found["DEFAULT_STREAM_CAPTURE"] == ("NET", "ALL")
    assert found["MAX_DATA_EXTENSION_TIME_IN_DAYS"] == ("14", "14")
    assert command("stream", "create", "net", "--on", "sales")[0] == 0
    _, out, _ = command("stream", "show", "net", "--format", "jsonl")
    assert documents(out)[0]["capture"] == "NET"
    assert command("parameter", "unset", "DEFAULT_STREAM_CAPTURE")[0] == 0
    code, out, err = command("parameter", "set", "DEFAULT_STREAM_CAPTURE", "some")
    assert (code, out) == (6, "")
    assert "cannot be 'some': it is one of ALL, NET, INSERT ONLY [E_PARAMETER]" in err
    assert command("parameter", "set", "WAREHOUSE_SIZE", "XL")[0] == 4


def test_views_are_listed_and_shown_with_their_text(command: Command, shop: Path) -> None:
    with headwater.connect(shop) as db:
        spec = ViewSpec(
            text="SELECT sale_id FROM sales WHERE amount > 100",
            columns=[ViewColumn("sale_id", SqlType.parse("INT"))],
            table=db.table("sales").id,
            comment="the large ones",
        )
        db.session.define(lambda tx: create_view(tx, "large", spec))
        (listed,) = db.views()
        db.create_stream("l", on="large")
    assert (listed.name, listed.schema, listed.columns) == ("large", "public", {"sale_id": "INT"})
    _, out, _ = command("view", "ls", "--format", "jsonl")
    assert documents(out) == [
        {"name": "large", "table": "sales", "columns": "sale_id", "comment": "the large ones"}
    ]
    code, out, err = command("view", "show", "LARGE")
    assert (code, out, err) == (0, "column   type\nsale_id  INT\n", f"{spec.text}\n")
    assert command("view", "show", "small")[0] == 4
    _, out, _ = command("stream", "show", "l", "--format", "jsonl")
    assert (documents(out)[0]["table"], documents(out)[0]["view"]) == ("sales", "large")


def test_the_streams_are_listed_with_their_state(command: Command) -> None:
    _, out, _ = command("stream", "ls", "--format", "jsonl")
    (found,) = documents(out)
    assert (found["name"], found["table"], found["capture"]) == ("s", "sales", "ALL")
    assert (found["base"], found["head"], found["consumers"], found["has_data"]) == (1, 3, 2, True)


def test_peek_shows_a_consumers_window_and_moves_nothing(command: Command) -> None:
    for _ in range(2):
        code, out, err = command("stream", "peek", "s", "-c", "copy", "--format", "csv")
        assert (code, err) == (0, "window (v2, v3]\n")
        assert out.splitlines() == [
            "sale_id,amount,name,METADATA$ACTION,METADATA$ISUPDATE,METADATA$ROW_ID,METADATA$VERSION",
            "2,29.99,Mouse,DELETE,false,2,3",
        ]
    code, out, err = command("stream", "peek", "s", "-n", "1", "--format", "csv")
    assert (code, len(out.splitlines())) == (0, 2)
    assert "there is more" in err


def test_tail_shows_the_newest_changes_whoever_consumed_them(command: Command) -> None:
    _, out, _ = command("stream", "tail", "s", "-n", "2", "--format", "jsonl")
    assert [(d["sale_id"], d["METADATA$VERSION"]) for d in documents(out)] == [(1, 2), (2, 3)]
    _, out, _ = command("stream", "tail", "s", "--from", "@2", "--format", "jsonl")
    assert [d["METADATA$VERSION"] for d in documents(out)] == [3]


def test_a_tail_that_waits_in_vain_times_out(command: Command) -> None:
    code, _, err = command("stream", "tail", "s", "--follow", "--timeout", "1s")
    assert code == 7
    assert "[E_TAIL_TIMEOUT]" in err


def test_lag_can_fail_a_build(command: Command) -> None:
    code, out, _ = command("stream", "lag", "s", "--format", "jsonl")
    found = {d["consumer"]: (d["watermark"], d["versions"], d["changes"]) for d in documents(out)}
    assert (code, found) == (0, {"mailer": (1, 2, 2), "copy": (2, 1, 1)})
    assert command("stream", "lag", "--fail-above", "1h")[0] == 0
    code, out, err = command("stream", "lag", "--fail-above", "0s")
    assert code == 5
    assert "mailer on s is" in err and "and 1 more are late [E_LAG_REFUSED]" in err
    assert out, "the listing comes all the same"


def test_the_moves_of_a_consumer_are_listed(command: Command) -> None:
    _, out, _ = command("stream", "history", "s", "-c", "copy", "--format", "jsonl")
    found = [(d["what"], d["from"], d["to"], d["by"]) for d in documents(out)]
    assert found == [("consume", 1, 2, "tester"), ("register", None, 1, "tester")]


def test_a_rewind_is_a_plan_until_it_is_executed(command: Command) -> None:
    words = ("stream", "rewind", "s", "-c", "copy", "--to-start", "--restore", "--reason", "bug")
    code, out, err = command(*words)
    assert code == 0
    assert "v2 -> v1" in out
    assert "--execute does it" in err
    assert places(command) == {"mailer": 1, "copy": 2}
    assert command(*words, "--execute", "--yes")[0] == 0
    assert places(command) == {"mailer": 1, "copy": 1}
    assert documents(command("table", "at", "copy", "--format", "jsonl")[1]) == []
    assert command("stream", "undo", "s", "-c", "copy", "--execute", "--yes")[0] == 0
    assert places(command) == {"mailer": 1, "copy": 2}
    assert len(documents(command("table", "at", "copy", "--format", "jsonl")[1])) == 2


def test_a_plan_that_warns_is_not_executed_unasked(command: Command) -> None:
    words = ("stream", "rewind", "s", "-c", "copy", "--to-start", "--execute")
    code, out, err = command(*words)
    assert (code, "warning" in out) == (5, True)
    assert "[E_CONFIRMATION_REFUSED]" in err
    assert places(command)["copy"] == 2
    assert command(*words, "--yes")[0] == 0
    assert places(command)["copy"] == 1


def test_a_stream_that_forbids_rewinds_says_so_with_the_plan(command: Command) -> None:
    assert (
        command("stream", "create", "f", "--on", "sales", "--at", "@1", "--rewind", "forbid")[0]
        == 0
    )
    assert command("stream", "add-consumer", "f", "c", "--at", "@3")[0] == 0
    code, out, err = command("stream", "rewind", "f", "--to-start")
    assert (code, "v3 -> v1" in out) == (5, True)
    assert "[E_REWIND_FORBIDDEN]" in err


def test_a_rewind_by_an_hour_asks_for_where_it_stood_then(command: Command) -> None:
    code, out, err = command("stream", "rewind", "s", "-c", "copy", "--by", "0s")
    assert code in (0, 5)
    assert "to where it stood at" in err
    assert command("stream", "rewind", "s", "-c", "copy", "--by", "an hour")[0] == 2
    assert out or err


def test_a_rewind_forward_is_refused_and_an_advance_is_the_way(command: Command) -> None:
    code, _, err = command("stream", "rewind", "s", "-c", "mailer", "--to-version", "3")
    assert code == 5
    assert "ADVANCE" in err
    assert (
        command("stream", "advance", "s", "-c", "mailer", "--to-end", "--execute", "--yes")[0] == 0
    )
    assert places(command)["mailer"] == 3


def test_a_plan_is_an_object_for_programs(command: Command) -> None:
    _, out, _ = command("stream", "rewind", "s", "-c", "copy", "--to-start", "--format", "json")
    plan = json.loads(out)
    assert plan["kind"] == "rewind"
    assert [(m["consumer"], m["from"], m["to"]) for m in plan["moves"]] == [("copy", 2, 1)]
    assert plan["warnings"]


def test_two_places_or_none_are_a_usage_error(command: Command) -> None:
    code, _, err = command("stream", "rewind", "s", "--to-start", "--by", "1h")
    assert (code, "--to-start and --by" in err) == (2, True)
    assert command("stream", "rewind", "s")[0] == 2


def places(command: Command) -> dict[object, object]:
    return {
        d["consumer"]: d["watermark"]
        for d in documents(command("stream", "lag", "s", "--format", "jsonl")[1])
    }


def test_consumers_come_and_go(command: Command) -> None:
    assert command("stream", "add-consumer", "s", "audit", "--at", "head")[0] == 0
    assert places(command)["audit"] == 3
    assert command("stream", "drop-consumer", "s", "audit")[0] == 5
    assert command("stream", "drop-consumer", "s", "audit", "--yes")[0] == 0
    assert "audit" not in places(command)


def test_a_file_is_imported_whole_or_not_at_all(command: Command, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("sale_id,amount,name\n7,1.50,Pen\n8,2,Ink\n")
    bad.write_text("sale_id,amount,name\n9,1.50,Pen\n10,much,Ink\n")
    code, out, _ = command("import", str(good), "--into", "sales", "--format", "jsonl")
    assert (code, documents(out)) == (0, [{"table": "sales", "rows": 2, "version": 4}])
    code, _, err = command("import", str(bad), "--into", "sales")
    assert code == 6
    assert "row 1, column amount: 'much'" in err and "[E_VALUE]" in err
    assert command("import", str(tmp_path / "none.csv"), "--into", "sales")[0] == 4
    _, out, _ = command("table", "at", "sales", "--format", "csv")
    assert [line.split(",")[0] for line in out.splitlines()] == ["sale_id", "1", "7", "8"]


def test_an_import_can_make_its_table_in_the_same_commit(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "new.ndjson"
    file.write_text('{"id": 1, "tags": ["a"], "at": 1.5}\n{"id": 2, "tags": [], "at": null}\n')
    assert command("import", str(file), "--into", "new", "--create", "--key", "id")[0] == 0
    _, out, _ = command("table", "show", "new", "--format", "jsonl")
    assert [(d["column"], d["type"]) for d in documents(out)] == [
        ("id", "INT"),
        ("tags", "VARIANT"),
        ("at", "FLOAT"),
    ]
    file.write_text('{"id": 1}\n{"id": 1}\n')
    assert command("import", str(file), "--into", "other", "--create", "--key", "id")[0] == 6
    assert command("table", "show", "other")[0] == 4


def test_a_table_is_created_dropped_and_brought_back(command: Command) -> None:
    words = ("table", "create", "t", "id:INT", "at:TIMESTAMP NOT NULL", "--key", "id")
    assert command(*words)[0] == 0
    assert command(*words)[0] == 6
    assert command(*words, "--if-not-exists")[0] == 0
    assert command("table", "create", "u", "id")[0] == 2
    code, _, err = command("table", "drop", "sales")
    assert (code, "makes s stale" in err) == (5, True)
    assert command("table", "drop", "sales", "--yes")[0] == 0
    assert command("table", "at", "sales")[0] == 4
    assert command("stream", "peek", "s")[0] == 5
    assert command("table", "undrop", "sales")[0] == 0
    assert command("table", "at", "sales")[0] == 0


def test_the_doctor_finds_a_whole_store_whole(command: Command) -> None:
    code, out, err = command("doctor", "--format", "jsonl")
    assert code == 0
    assert {d["result"] for d in documents(out)} == {"ok"}
    assert "is whole" in err


def test_no_store_is_made_by_looking_for_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--dir", str(tmp_path / "none"), "table", "ls"]) == 3
    assert "[E_STORE_MISSING]" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@contextmanager
def held(path: Path) -> Generator[int]:
    """Another process that has the store open; its pid."""
    asked = f"import headwater; db = headwater.connect({str(path)!r}); print('open'); input()"
    with subprocess.Popen(
        [sys.executable, "-uc", asked], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"
        yield owner.pid
        owner.communicate("\n")


def test_readers_work_beside_an_owner_and_writers_are_told_who_it_is(
    command: Command, shop: Path
) -> None:
    with held(shop) as pid:
        assert pid != os.getpid()
        assert command("table", "ls")[0] == 0
        assert command("stream", "lag")[0] == 0
        assert command("doctor")[0] == 0
        code, out, err = command("table", "create", "t", "id:INT")
    assert (code, out) == (3, "")
    assert f"is open in process {pid} on " in err and "[E_DIRECTORY_IN_USE]" in err


def test_debug_shows_where_an_error_arose(command: Command) -> None:
    _, _, err = command("table", "at", "nope", "--debug")
    assert "Traceback" in err
    assert err.endswith("error: table nope does not exist [E_NOT_FOUND]\n")
