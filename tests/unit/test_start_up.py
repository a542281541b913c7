"""What a command loads before it does anything: start-up is mostly imports, so these are counted."""

import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final

import pytest

# What every command line loads, and what an open store and a parser need besides.
ALWAYS: Final = frozenset({"headwater", "typer", "annotated_doc", "shellingham"})
STORE: Final = frozenset(
    {
        "annotated_types",
        "dotenv",
        "mypy_extensions",
        "numpy",
        "pyarrow",
        "pydantic",
        "pydantic_core",
        "pydantic_settings",
        "rocksdict",
        "sqlglot",
        "typing_extensions",
        "typing_inspection",
    }
)
# Rooms and modules that only a query needs: the planner, the engine and what stands on them.
PLANNING: Final = frozenset(
    {
        "headwater.sql.binder",
        "headwater.sql.engine",
        "headwater.sql.plans",
        "headwater.sql.relations",
        "headwater.sql.select",
        "headwater.sql.merge",
        "headwater.sql.copy_in",
        "headwater.sql.explain",
    }
)
_ASKED: Final = """
import sys
from headwater.ops.cli import main
sys.argv = ["headwater", *sys.argv[1:]]
try:
    main()
finally:
    sys.stderr.write("\\n" + " ".join(sys.modules))
"""


def loaded(*words: str) -> set[str]:
    """The modules that a command line loads, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _ASKED, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def packages(modules: set[str]) -> set[str]:
    """The installed packages among them."""
    tops = {name.partition(".")[0] for name in modules}
    return {name for name in tops & packages_distributions().keys() if not name.startswith("_")}


def test_help_loads_the_command_line_alone() -> None:
    modules = loaded("--help")
    assert packages(modules) <= ALWAYS
    rooms = {name for name in modules if name.startswith("headwater.")}
    allowed = ("headwater.ops", "headwater.consumers.spans")
    stray = {name for name in rooms if not name.startswith(allowed)} - {"headwater.consumers"}
    assert stray == set()
    assert "headwater.ops.api" not in rooms


@pytest.mark.parametrize(
    "text", ["SHOW TABLES", "INSERT INTO t (a) VALUES (2)", "UPDATE t SET b = 1 WHERE a = 1"]
)
def test_a_statement_without_a_query_loads_no_engine(tmp_path: Path, text: str) -> None:
    store = ("--dir", str(tmp_path / "store"))
    loaded(*store, "sql", "-c", "CREATE TABLE t (a INT PRIMARY KEY, b INT)")
    modules = loaded(*store, "sql", "-c", text)
    assert packages(modules) <= ALWAYS | STORE
    assert modules & PLANNING == set()


def test_a_query_loads_the_engine_and_no_data_frames(tmp_path: Path) -> None:
    store = ("--dir", str(tmp_path / "store"))
    loaded(*store, "sql", "-c", "CREATE TABLE t (a INT)")
    modules = loaded(*store, "sql", "-c", "SELECT COUNT(*) FROM t")
    assert "duckdb" in modules
    assert packages(modules) & {"pandas", "polars"} == set()
