"""A full disk: commits are refused or unknown, reads go on, and space plus a reopen heals."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROUNDS = int(os.environ.get("HEADWATER_DISK_FULL", "4"))
SEED = int(os.environ.get("HEADWATER_SEED", "20261123"))
TESTS = Path(__file__).parents[1]

pytestmark = pytest.mark.crash


def mounted(directory: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command with a small tmpfs over the directory, in name spaces of its own."""
    script = 'mount -t tmpfs -o size=24m tmpfs "$1" && shift && exec "$@"'
    return subprocess.run(
        [
            "unshare",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            str(directory),
            *command,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": f"{TESTS}:{os.environ.get('PYTHONPATH', '')}"},
        check=False,
    )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory over which a small file system can be mounted."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here, so no small file system")
    tried = mounted(tmp_path, ["true"])
    if tried.returncode:
        pytest.skip(f"no small file system here: {tried.stderr.strip()}")
    return tmp_path


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_full_disk_loses_nothing_and_heals_with_space(number: int, directory: Path) -> None:
    script = str(TESTS / "faults" / "full_disk.py")
    ran = mounted(directory, [sys.executable, script, str(directory), str(SEED + number)])
    assert ran.returncode == 0, ran.stderr[-3000:]
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["code"] in ("E_OUTCOME_UNKNOWN", "E_STORE_UNAVAILABLE"), told
    assert told["again"] in ("E_OUTCOME_UNKNOWN", "E_STORE_UNAVAILABLE"), told
    assert told["read"] >= told["acked"], told
    # The commit that failed may be there; nothing else may be.
    assert told["acked"] <= told["kept"] <= told["acked"] + 1, told
