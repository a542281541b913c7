"""The README's commands, run as a newcomer runs them: in an empty directory, in order."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", README, re.DOTALL)
SQL = re.findall(r"```sql\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL)
CONSOLE = [
    line[2:].split("  #")[0].strip()
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ headwater --dir shop")
]


def run(
    command: list[str], where: Path, given: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, cwd=where, capture_output=True, text=True, timeout=120, input=given
    )


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """An empty directory in which every Python block has run; each printed what it shows."""
    marks = "\nprint('-- next block')\n"
    script = marks.join(code for code, _ in PYTHON)
    done = run([sys.executable, "-c", script], tmp_path)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split("-- next block\n")
    assert printed == [shown for _, shown in PYTHON]
    return tmp_path


def test_every_block_prints_what_the_readme_shows(shop: Path) -> None:
    assert len(PYTHON) >= 4 and (shop / "shop").is_dir()


def test_the_tour_in_sql_prints_what_the_readme_shows(tmp_path: Path) -> None:
    headwater = str(Path(sys.executable).with_name("headwater"))
    assert len(SQL) >= 3
    for text, shown in SQL:
        done = run([headwater, "--dir", "tour", "sql", "-"], tmp_path, text)
        assert done.returncode == 0, done.stderr
        assert done.stdout == shown


def test_every_command_for_the_same_store_works(shop: Path) -> None:
    (shop / "more.csv").write_text("order_id,amount,status\n10,1.50,new\n")
    headwater = str(Path(sys.executable).with_name("headwater"))
    assert len(CONSOLE) >= 6
    for line in CONSOLE:
        done = run([headwater, *shlex.split(line)[1:]], shop)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        assert done.stdout or "import" in line
