"""Break the product in known ways, one at a time, and expect the tests to notice each.

`python tests/sabotage.py [name ..]` works on a copy of the tree. It ends with 1 if a sabotage
survived its tests: that is a hole in the tests, to be closed there.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
COPIED = (
    "schemas",
    "log_store",
    "producer",
    "consumers",
    "sql",
    "ops",
    "examples",
    "tests",
    "typings",
)
FILES = ("pyproject.toml", "README.md", "LICENSE")
# Enough to notice; the whole counts are the suite's own business.
FEW = {
    "HEADWATER_KILLS": "8",
    "HEADWATER_CUTS": "16",
    "HEADWATER_MACHINES": "8",
    "HEADWATER_WALKS": "8",
    "HEADWATER_HYPOTHESIS": "unshrunk",
}
TEST_FAILED, ALL_PASSED = 1, 0
# What is broken here is noticed without a broker; with one it would take ten times as long.
_PYTEST = (
    *(sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"),
    *("-m", "not broker"),
)


@dataclass(frozen=True)
class Sabotage:
    """One way to break the code: `old` stands once in `file`; `tests` are to notice `new`."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


SABOTAGES = (
    Sabotage(
        "ack before append",
        "log_store/rocks_commit.py",
        "            self._store.write(ready.rocks)\n",
        "            threading.Timer(0.5, self._store.write, (ready.rocks,)).start()\n",
        ("tests/contract/test_log.py",),
    ),
    Sabotage(
        "skip fsync",
        "log_store/rocks_commit.py",
        "        if parts.fsync:\n",
        "        if not parts.fsync:\n",
        ("tests/faults/test_durability.py",),
    ),
    Sabotage(
        "watermark before target",
        "producer/staged.py",
        "        try:\n            if not (tables or intents",
        "        if intents.moves and tables:\n"
        "            early = self._final_moves()\n"
        "            events = tuple(intents.events.values())\n"
        "            intents.moves.clear()\n"
        "            intents.events.clear()\n"
        "            self.log.commit(Batch(commit_id=self.commit_id + 'w', moves=early, catalog=events))\n"
        "        try:\n            if not (tables or intents",
        ("tests/contract/test_streams.py", "tests/property/test_machine.py"),
    ),
    Sabotage(
        "no audit row",
        "consumers/execute.py",
        "    tx.stage_audit(plan.kind, _detail(plan))\n",
        "",
        ("tests/contract/test_rewind.py", "tests/property/test_machine.py"),
    ),
    Sabotage(
        "reuse version",
        "log_store/sequencing.py",
        "        version = before.version + 1\n",
        "        version = max(1, before.version)\n",
        ("tests/contract/test_streams.py", "tests/property/test_machine.py"),
    ),
    Sabotage(
        "ignore epoch",
        "log_store/lock.py",
        "        try:\n            status = os.stat(self._path)\n        except FileNotFoundError:\n            raise self._fenced",
        "        if self._fd >= 0:\n            return\n"
        "        try:\n            status = os.stat(self._path)\n        except FileNotFoundError:\n            raise self._fenced",
        ("tests/faults/test_two_processes.py",),
    ),
    Sabotage(
        "believe what the write-ahead log gives back",
        "log_store/rocks_recover.py",
        "        if marker is not None and held:\n",
        "        if marker is not None and held and False:\n",
        ("tests/faults/test_damage.py",),
    ),
    Sabotage(
        "retention off by one",
        "log_store/horizon.py",
        "    return max(kept.horizon, at_least, min(by_time, waited_for))\n",
        "    return max(kept.horizon, at_least, min(by_time, waited_for) + 1)\n",
        ("tests/unit/test_horizon.py",),
    ),
    Sabotage(
        "base of the version before",
        "log_store/rocks_expiry.py",
        "        base = moved_on(base, _changes(self._store, table, after, row.version))\n",
        "        base = moved_on(base, _changes(self._store, table, after, row.version - 1))\n",
        ("tests/contract/test_expiry.py",),
    ),
    Sabotage(
        "window off by one",
        "consumers/windows.py",
        "    if start == INITIAL:\n        return Window(INITIAL, stream.base)\n",
        "    if start == INITIAL:\n        return Window(INITIAL, stream.base)\n    start += 1\n",
        ("tests/contract/test_streams.py", "tests/unit/test_windows.py"),
    ),
    Sabotage(
        "dedup off",
        "log_store/sequencing.py",
        "        repeated = repeat(batch, latest, now_us)\n",
        "        repeated = None\n",
        ("tests/contract/test_log.py",),
    ),
    Sabotage(
        "stale not raised",
        "consumers/registration.py",
        "    if why := why_stale(catalog, stream):\n",
        "    if (why := why_stale(catalog, stream)) and not why:\n",
        ("tests/contract/test_streams.py", "tests/contract/test_streams_consumers.py"),
    ),
    Sabotage(
        "undo to wrong place",
        "consumers/rewind.py",
        "        moves = [_forward(view, stream, consumer, moved.move.start)]\n",
        "        moves = [_forward(view, stream, consumer, moved.move.end)]\n",
        ("tests/contract/test_rewind.py", "tests/property/test_machine.py"),
    ),
    Sabotage(
        "lag off by one",
        "consumers/backlog.py",
        "    return Lag(head - after, ",
        "    return Lag(head - after + 1, ",
        ("tests/contract/test_streams_consumers.py", "tests/property/test_machine.py"),
    ),
)


def copy_tree(into: Path) -> None:
    """The code and its tests, with the links that show them as installed."""
    leave = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in COPIED:
        shutil.copytree(ROOT / name, into / name, symlinks=True, ignore=leave)
    for name in FILES:
        shutil.copy(ROOT / name, into / name)


def green(tree: Path, tests: Iterable[str], *, tell: bool = False) -> bool:
    """Whether these tests pass in the tree as it stands; `tell` says which one does not.

    Raises:
        SystemExit: pytest could not run at all.
    """
    done = subprocess.run(
        [*_PYTEST, *tests],
        cwd=tree,
        env={**os.environ, **FEW, "PYTHONPATH": str(tree / "typings")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (TEST_FAILED, ALL_PASSED):
        sys.exit(f"pytest could not run\n{done.stdout}{done.stderr}")
    if tell and done.returncode != ALL_PASSED:
        print(*done.stdout.splitlines()[-4:], sep="\n", file=sys.stderr)
    return done.returncode == ALL_PASSED


def noticed(sabotage: Sabotage, tree: Path) -> bool:
    """Apply one sabotage to the tree, run its tests there, take it back.

    Raises:
        SystemExit: the place to break is not in the file, or pytest could not run at all.
    """
    file = tree / sabotage.file
    whole = file.read_text()
    if whole.count(sabotage.old) != 1:
        sys.exit(f"sabotage {sabotage.name!r}: {sabotage.file} has no such place, or several")
    broken = whole.replace(sabotage.old, sabotage.new)
    compile(broken, sabotage.file, "exec")
    file.write_text(broken)
    try:
        return not green(tree, sabotage.tests)
    finally:
        file.write_text(whole)


def main(names: list[str]) -> int:
    """Run the sabotages named, or all; returns the exit code."""
    unknown = set(names) - {one.name for one in SABOTAGES}
    if unknown:
        sys.exit(f"no sabotage is called {', '.join(sorted(unknown))}")
    chosen = [one for one in SABOTAGES if not names or one.name in names]
    survived: list[str] = []
    with TemporaryDirectory(prefix="headwater-sabotage-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        if not green(tree, sorted({test for one in chosen for test in one.tests}), tell=True):
            sys.exit("the tests fail without any sabotage: mend that first")
        for one in chosen:
            began = time.monotonic()
            caught = noticed(one, tree)
            survived += [] if caught else [one.name]
            word = "caught  " if caught else "SURVIVED"
            print(f"{word}  {one.name}  ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"{len(chosen) - len(survived)} of {len(chosen)} sabotages caught")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
