"""How the story prints: rich on a terminal, plain columns in a pipe, progress on stderr."""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text


class Printer:
    """Results to stdout."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)

    def title(self, text: str) -> None:
        """The beginning of a part."""
        self._console.print()
        self._console.print(Text(text, style="bold cyan"))

    def line(self, text: str, *, style: str = "") -> None:
        """A sentence."""
        self._console.print(Text(f"  {text}", style=style), soft_wrap=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Rows under a header; numbers to the right, thousands separated."""
        found = [list(row) for row in rows]
        right = [
            bool(found) and all(_numeric(row[at]) for row in found) for at in range(len(columns))
        ]
        shown = [[_shown(value) for value in row] for row in found]
        if self._console.is_terminal:
            self._console.print(Padding(_bordered(columns, shown, right), (0, 0, 0, 2)))
            return
        widths = [max(map(len, column)) for column in zip(columns, *shown, strict=True)]
        for row in (columns, *shown):
            cells = zip(row, widths, right, strict=True)
            line = "  ".join(f"{c:>{w}}" if r else f"{c:<{w}}" for c, w, r in cells)
            self.line(line.rstrip())


def _bordered(
    columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]
) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    last = len(columns) - 1
    for at, (column, to_right) in enumerate(zip(columns, right, strict=True)):
        # Where it is narrow the last column, the one with sentences, takes more lines.
        table.add_column(column, justify="right" if to_right else "left", no_wrap=at < last)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _numeric(value: object) -> bool:
    if isinstance(value, str):
        return value.replace(",", "").isdigit()
    return isinstance(value, int | float)


def _shown(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


class Bar:
    """A progress bar on stderr, on a terminal only."""

    def __init__(self, what: str) -> None:
        columns = (
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("commits"),
            TimeElapsedColumn(),
        )
        console = Console(stderr=True)
        self._progress = Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        )
        self._task = self._progress.add_task(what, total=None)

    def show(self, done: int, total: int) -> None:
        """So many of so many."""
        self._progress.update(self._task, completed=done, total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._progress.stop()
