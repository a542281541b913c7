"""An acknowledgement comes after the disk has it: seen in the calls, not hoped for.

kill -9 cannot find a missing flush, since the system keeps what a dead process wrote. So the order
of the calls is looked at: those to the driver, and, where strace is there, those to the system.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import rocksdict
from checker import check_store
from support_log import insert, make_table, write

from headwater.log_store.rocks import RocksLog, RocksOptions

pytestmark = pytest.mark.crash


class Driver:
    """Passes everything on to the real one and notes the calls that matter here."""

    def __init__(self, real: object, calls: list[str]) -> None:
        self.real, self.calls = real, calls

    def __getattr__(self, name: str) -> object:
        found = getattr(self.real, name)
        if name not in ("write", "flush_wal"):
            return found

        def noted(*arguments: object) -> object:
            self.calls.append(name if name == "write" else f"{name}({arguments[0]})")
            return found(*arguments)

        return noted


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Calls to the driver that write or flush, as they come."""
    noted: list[str] = []
    opener = cast(Callable[..., object], rocksdict.Rdict)

    def opened(*parts: object, **named: object) -> Driver:
        return Driver(opener(*parts, **named), noted)

    # A function in the driver's place: what else it offers is passed on.
    monkeypatch.setattr(rocksdict, "Rdict", opened)
    return noted


def test_every_commit_flushes_after_its_write_and_before_its_answer(
    calls: list[str], tmp_path: Path
) -> None:
    log = RocksLog(RocksOptions(path=tmp_path / "shop"))
    table = make_table(log)
    for number in range(1, 6):
        calls.clear()
        write(log, table, insert(table, number, (number, "x")))
        assert calls == ["write", "flush_wal(True)"]
    check_store(log)
    log.close()


def test_a_group_of_writers_shares_a_flush_that_comes_after_all_their_writes(
    calls: list[str], tmp_path: Path
) -> None:
    log = RocksLog(RocksOptions(path=tmp_path / "shop"))
    table = make_table(log)
    calls.clear()
    acked: list[int] = []

    def one(number: int) -> None:
        write(log, table, insert(table, number, (number, "x")))
        acked.append(len(calls))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(1, 33)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls.count("write") == 32 and calls[-1] == "flush_wal(True)"
    assert calls.count("flush_wal(True)") <= 32
    check_store(log)
    log.close()


SCRIPT = """
import os, sys, headwater
acks = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
with headwater.connect(sys.argv[1]) as db:
    table = db.create_table("t", {"id": "INT"}, key="id")
    os.write(acks, b"ready")
    for number in range(20):
        table.insert({"id": number})
        os.write(acks, b"ack")
"""
CALL = re.compile(r"(write|pwrite64|fdatasync|fsync)\(\d+<([^>]*)>")


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace here")
def test_the_system_is_asked_to_flush_before_each_acknowledgement(tmp_path: Path) -> None:
    trace, acks = tmp_path / "trace", tmp_path / "acks"
    command = ["strace", "-f", "-y", "-o", str(trace), "-e", "trace=write,pwrite64,fdatasync,fsync"]
    ran = subprocess.run(
        [*command, sys.executable, "-c", SCRIPT, str(tmp_path / "shop"), str(acks)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "Operation not permitted" in ran.stderr or "ptrace" in ran.stderr:
        pytest.skip(f"strace may not trace here: {ran.stderr.strip()[:200]}")
    assert ran.returncode == 0, ran.stderr
    seen, counted, unflushed, flushed = False, 0, False, False
    for call, path in CALL.findall(trace.read_text()):
        if path == str(acks):
            if seen:
                assert flushed and not unflushed, f"ack {counted} came before its flush"
                counted += 1
            seen, flushed = True, False
        elif path.endswith(".log") and "sync" in call:
            unflushed, flushed = False, True
        elif path.endswith(".log"):
            unflushed = True
    assert counted == 20, os.listdir(tmp_path)
