"""Run every figure, each module in a process of its own, and print one table.

python -m benchmarks [--quick] [name ..]
"""

import json
import platform
import subprocess
import sys
from pathlib import Path

from benchmarks.common import Figure, table

MODULES = (
    "bulk_insert",
    "commit",
    "update",
    "stream_read",
    "net",
    "window",
    "snapshot",
    "writer_cost",
    "has_data",
    "reopen",
    "memory",
    "sql_select",
    "sql_dml",
)

_PAGE = Path(__file__).parent.parent / "docs" / "PERFORMANCE.md"
_START, _END = "<!-- figures -->", "<!-- end of figures -->"


def main() -> int:
    """0 when every figure was taken, reached or not; 1 when a module failed."""
    asked = [word for word in sys.argv[1:] if not word.startswith("-")]
    options = ["--quick"] if "--quick" in sys.argv else []
    print(_machine(), flush=True)
    figures: list[Figure] = []
    failed: list[str] = []
    for name in asked or MODULES:
        print(f"{name} ..", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", f"benchmarks.bench_{name}", "--json", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            failed.append(name)
            print(done.stderr, file=sys.stderr)
            continue
        figures += [Figure(**row) for row in json.loads(done.stdout.splitlines()[-1])]
    taken = table([figure.row() for figure in figures])
    print(taken)
    if "--write" in sys.argv:
        _write(f"{_machine()}; {options[0] if options else 'full size'}.\n\n{taken}")
    missed = [figure.name for figure in figures if not figure.reached]
    print(f"\n{len(figures)} figures, {len(missed)} below target: {', '.join(missed) or 'none'}")
    if failed:
        print(f"could not be measured: {', '.join(failed)}")
    return 1 if failed else 0


def _write(text: str) -> None:
    """The text between the markers of docs/PERFORMANCE.md."""
    page = _PAGE.read_text()
    head, rest = page.split(_START, 1)
    tail = rest.split(_END, 1)[1]
    _PAGE.write_text(f"{head}{_START}\n{text}\n{_END}{tail}")


def _machine() -> str:
    """What the numbers were taken on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = f"{len(names)} x {names[0].split(':', 1)[1].strip()}" if names else cpu
    return f"{cpu}, {platform.system()}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
