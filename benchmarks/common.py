"""What every figure shares: CPU seconds, medians, interleaved rounds, a row of the table.

A figure is measured in rounds, its floor in the same rounds, so that both see the same machine.
CPU seconds are those of the whole process, the store's own background threads included.
"""

import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the table. `value` and `target` are in `unit`; `floor` is what cannot be beaten.

    `at_least` tells which side of the target is good. `note` says what the numbers are of.
    """

    name: str
    unit: str
    value: float
    target: float
    at_least: bool = False
    floor: float | None = None
    note: str = ""

    @property
    def reached(self) -> bool:
        """Whether the target is met."""
        return self.value >= self.target if self.at_least else self.value <= self.target

    def row(self) -> list[str]:
        """The figure as the table's cells."""
        target = f"{'≥' if self.at_least else '≤'} {shown(self.target)}"
        floor = ratio = ""
        if self.floor is not None:
            floor = shown(self.floor)
            ratio = f"{self.value / self.floor:.2f}" if self.floor else ""
        verdict = "yes" if self.reached else "NO"
        return [self.name, shown(self.value), self.unit, target, verdict, floor, ratio, self.note]


HEADER = ["figure", "value", "unit", "target", "reached", "floor", "x floor", "note"]


def shown(number: float) -> str:
    """A number with three digits that count."""
    if number >= 1000:
        return f"{number:,.0f}"
    return f"{number:.3g}"


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of one call, all threads of this process."""
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


def wall_s(work: Callable[[], object]) -> float:
    """Seconds of one call by the clock."""
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def interleaved(rounds: int, works: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """The median of each measurement, taken turn by turn; each returns its own number."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken[name].append(work())
    return {name: statistics.median(numbers) for name, numbers in taken.items()}


@contextmanager
def scratch() -> Generator[Path]:
    """A directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="headwater-bench-") as folder:
        yield Path(folder)


def main(figures: Callable[[bool], list[Figure]]) -> None:
    """Run one module's figures; `--quick` for a smaller input, `--json` for the collector."""
    found = figures("--quick" in sys.argv)
    if "--json" in sys.argv:
        print(json.dumps([asdict(figure) for figure in found]))
    else:
        print(table([figure.row() for figure in found]))


def table(rows: list[list[str]]) -> str:
    """Rows under the header as a Markdown table."""
    lines = [HEADER, ["---"] * len(HEADER), *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
    padded = ([cell.ljust(w) for cell, w in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("| " + " | ".join(line) + " |" for line in padded)
