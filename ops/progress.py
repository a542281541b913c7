"""Progress bars: on stderr, on a terminal only."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

Report = Callable[[int, int | None], None]


@contextmanager
def load_progress(what: str, *, shown: bool) -> Generator[Report | None]:
    """A callback (rows done, rows in all or None) that draws a bar while the block runs."""
    if not shown or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"loading {what}", total=None)

        def report(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        yield report
