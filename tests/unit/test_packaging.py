"""The packages hold every module, work beside a user's own files, and load nothing early."""

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from headwater.schemas.product import VERSION

ROOT = Path(__file__).parents[2]
ROOMS = ("schemas", "log_store", "producer", "consumers", "sql", "ops")
# What a checkout has at its top; a room or file that is new must be thought about here.
SHIPPED = (*ROOMS, "LICENSE", "README.md", "pyproject.toml")


def table(data: Mapping[str, object], *path: str) -> Mapping[str, object]:
    """The table of a TOML document that stands at `path`."""
    for name in path:
        data = cast(Mapping[str, object], data[name])  # TOML: a table where we ask for one
    return data


@pytest.fixture(scope="module")
def project() -> Mapping[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is packed, so that building leaves nothing in the working tree."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
            )
        else:
            shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def dist(checkout: Path) -> Path:
    """The sdist, and the wheel built from that sdist."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist", ".", folder=checkout)
    return checkout / "dist"


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed and nothing else of ours."""
    target = tmp_path_factory.mktemp("installed")
    wheel = next(dist.glob("*.whl"))
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index")
    run(sys.executable, "-m", "pip", "install", *quiet, "--target", str(target), str(wheel))
    return target


def run(*command: str, folder: Path | None = None, path: Path | None = None) -> str:
    """What the command prints; a failure fails the test with its output.

    The child sees no tests folder and no editable install of ours unless `path` is left out.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def modules() -> set[str]:
    """Every Python file of the rooms as an installed package names it."""
    found = {f"headwater/{room}/{p.name}" for room in ROOMS for p in (ROOT / room).glob("*.py")}
    return found | {f"headwater/{p.name}" for p in (ROOT / "ops/front").glob("*.py")}


def test_every_folder_with_python_is_in_the_package_list(project: Mapping[str, object]) -> None:
    setuptools = table(project, "tool", "setuptools")
    mapped = set(table(setuptools, "package-dir").values())
    assert set(cast(list[str], setuptools["packages"])) == set(table(setuptools, "package-dir"))
    folders = {
        str(path.parent.relative_to(ROOT)) for room in ROOMS for path in (ROOT / room).rglob("*.py")
    }
    assert folders == mapped


def test_typings_shows_each_package_where_it_will_be_installed() -> None:
    for room in ROOMS:
        assert (ROOT / "typings/headwater" / room).resolve() == ROOT / room
    for name in ("__init__.py", "py.typed"):
        assert (ROOT / "typings/headwater" / name).resolve() == ROOT / "ops/front" / name


def test_the_version_in_events_is_the_version_of_the_package(project: Mapping[str, object]) -> None:
    assert table(project, "project")["version"] == VERSION


def test_every_lock_line_has_a_hash_and_none_names_an_index() -> None:
    for name in ("build.txt", "runtime.txt", "dev.txt"):
        text = (ROOT / "requirements" / name).read_text().replace("\\\n", "")
        lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
        assert lines
        assert [line for line in lines if "==" not in line or "--hash=sha256:" not in line] == []
        assert "://" not in text


def test_the_wheel_holds_every_module_and_the_type_marker(dist: Path) -> None:
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert modules() - names == set()
    assert "headwater/py.typed" in names
    assert {n for n in names if not n.startswith(("headwater/", f"headwater-{VERSION}"))} == set()


def test_the_sdist_holds_every_module_and_the_licence(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    expected = {
        str(path.relative_to(ROOT)) for room in ROOMS for path in (ROOT / room).rglob("*.py")
    }
    assert (expected | {"LICENSE", "README.md", "ops/front/py.typed"}) - names == set()


def test_a_user_whose_folder_has_our_names_gets_his_files_and_our_package(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "schemas.py").write_text("MINE = 1\n")
    (tmp_path / "producer.py").write_text("MINE = 2\n")
    script = tmp_path / "main.py"
    script.write_text(
        "import producer, schemas\n"
        "import headwater, headwater.schemas.types, headwater.producer\n"
        "print(schemas.MINE, producer.MINE, headwater.__file__, headwater.schemas.types.Kind.INT)\n"
    )
    # -S would hide the third parties; our editable finder gives way to PYTHONPATH.
    printed = run(sys.executable, str(script), folder=tmp_path, path=installed)
    assert printed.split() == ["1", "2", str(installed / "headwater/__init__.py"), "Kind.INT"]


def test_python_started_above_a_clone_finds_the_installed_package(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "headwater" / "schemas").mkdir(parents=True)
    asked = "import headwater; print(headwater.__file__)"
    printed = run(sys.executable, "-c", asked, folder=tmp_path, path=installed)
    assert printed.strip() == str(installed / "headwater/__init__.py")


def test_importing_headwater_loads_no_room_and_no_third_party() -> None:
    asked = "import sys; old = set(sys.modules); import headwater; print(*set(sys.modules) - old)"
    loaded = {name.partition(".")[0] for name in run(sys.executable, "-c", asked).split()}
    assert loaded - set(sys.stdlib_module_names) == {"headwater"}
    rooms = "import sys, headwater; print([n for n in sys.modules if n.startswith('headwater.')])"
    assert run(sys.executable, "-c", rooms).strip() == "[]"


def test_a_name_that_headwater_does_not_have_is_an_attribute_error() -> None:
    asked = "import headwater\ntry: headwater.nothing\nexcept AttributeError as e: print(e)"
    assert "no attribute 'nothing'" in run(sys.executable, "-c", asked)
