"""One writing process per directory: the second is told who holds it, a zombie fences itself."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from checker import Expected, check_store

import headwater
from headwater.log_store.errors import Fenced, LogError
from headwater.ops.api import Database

SECOND = """
import json, sys, headwater
from headwater.log_store.errors import LogError
try:
    with headwater.connect(sys.argv[1]) as db:
        with db.transaction() as tx:
            tx.insert("t", {"id": int(sys.argv[2])})
        print(json.dumps({"code": "", "commit": tx.id}))
except LogError as error:
    print(json.dumps({"code": error.code, "text": str(error)}))
"""

THIRD = """
import sys, headwater
from checker import Expected, check_store
with headwater.connect(sys.argv[1]) as db:
    check_store(db.session.log, Expected(acked=sys.argv[2:]))
    assert db.table("t").count() == len(sys.argv[2:])
"""
TESTS = Path(__file__).parents[1]

pytestmark = pytest.mark.crash


def second(path: Path, key: int) -> dict[str, str]:
    """What happens to another process that opens the directory and commits a row."""
    ran = subprocess.run(
        [sys.executable, "-c", SECOND, str(path), str(key)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return cast(dict[str, str], json.loads(ran.stdout))


def opened(path: Path) -> Database:
    db = headwater.connect(path)
    db.create_table("t", {"id": "INT"}, key="id", if_not_exists=True)
    return db


def commit(db: Database, key: int) -> str:
    with db.transaction() as tx:
        tx.insert("t", {"id": key})
    return tx.id


def test_a_second_process_is_refused_by_pid_and_the_first_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "shop"
    with opened(path) as db:
        acked = [commit(db, 1)]
        told = second(path, 2)
        assert told["code"] == "E_DIRECTORY_IN_USE"
        assert f"process {os.getpid()} " in told["text"]
        acked.append(commit(db, 3))
        check_store(db.session.log, Expected(acked=acked))
    assert second(path, 2)["code"] == ""


@pytest.mark.parametrize("names", [("OWNER",), ("LOCK",), ("OWNER", "LOCK")])
def test_when_lock_files_are_deleted_never_both_get_acknowledgements(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "shop"
    db = opened(path)
    acked = [commit(db, 1)]
    for name in names:
        for found in path.rglob(name):
            found.unlink()
    told = second(path, 2)
    if told["code"] == "":
        # Taken over: this process has become the zombie and must notice before it answers.
        acked.append(told["commit"])
        with pytest.raises(Fenced):
            commit(db, 3)
        with pytest.raises(LogError):
            commit(db, 4)
    else:
        try:
            acked.append(commit(db, 3))
        except Fenced as fenced:
            assert fenced.retryable is False
    db.close()
    # In a process of its own: one that was fenced keeps the driver's lock until it ends.
    ran = subprocess.run(
        [sys.executable, "-c", THIRD, str(path), *acked],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": f"{TESTS}:{os.environ.get('PYTHONPATH', '')}"},
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
