"""Running SQL for a person or a script: one statement after the other, printed as it comes.

Statements run on a thread of their own, so that Ctrl-C reaches the session as a cancellation and a
line on the terminal can say for how long one has been running.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, TypeVar

from headwater.ops.output import Format, Output
from headwater.ops.present import row_values

if TYPE_CHECKING:
    import pyarrow as pa

    from headwater.sql.context import Binds
    from headwater.sql.errors import Place
    from headwater.sql.results import Result
    from headwater.sql.session import SqlSession

_T = TypeVar("_T")
_TICK_S: Final = 0.2
_QUIET_S: Final = 1.0
# A listing of a person's asking is no place for more; COPY INTO writes files.
SHOWN: Final = 10_000
# Results that are rows asked for; of others only what was done is said.
_ROWS: Final = ("SELECT", "SHOW", "DESCRIBE", "EXPLAIN", "CALL")

Row = tuple[object, ...]


class Runner:
    """Runs texts in one session. `vertical` None decides by the terminal's width."""

    def __init__(self, session: "SqlSession", output: Output, *, at_most: int = SHOWN) -> None:
        self.session, self.output, self.at_most = session, output, at_most
        self.vertical: bool | None = False
        self.timed = False
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sql")

    def run(self, text: str, binds: "Binds" = ()) -> None:
        """Run a text and print each statement's result.

        Raises:
            Error: a statement failed; those before it stand.
            KeyboardInterrupt: one was cancelled; it undid itself.
        """
        results = self.session.run(text, binds)
        while True:
            began = time.monotonic()
            result = self._awaited(lambda: next(results, None))
            if result is None:
                return
            self._show(result)
            if self.timed:
                self.output.say(f"{time.monotonic() - began:.3f} s")

    def close(self) -> None:
        """Let the thread go."""
        self._pool.shutdown()

    # -- waiting -------------------------------------------------------------------------------

    def _awaited(self, do: Callable[[], _T]) -> _T:
        """What a call on the session's thread gives; Ctrl-C cancels it and is raised again."""
        future = self._pool.submit(do)
        began = time.monotonic()
        shown = interrupted = False
        while not future.done():
            try:
                wait([future], timeout=_TICK_S)
            except KeyboardInterrupt:
                interrupted = True
                self.session.cancel()
            shown = self._tell(time.monotonic() - began, interrupted=interrupted) or shown
        if shown:
            sys.stderr.write("\r\x1b[K")
        if interrupted and not _succeeded(future):
            raise KeyboardInterrupt
        return future.result()

    def _tell(self, seconds: float, *, interrupted: bool) -> bool:
        """A line that stays while a statement runs, on a terminal only."""
        if seconds < _QUIET_S or not self.output.live:
            return False
        what = "cancelling" if interrupted else "running, Ctrl-C cancels"
        sys.stderr.write(f"\r{what} {seconds:5.1f} s\x1b[K")
        sys.stderr.flush()
        return True

    # -- printing ------------------------------------------------------------------------------

    def _show(self, result: "Result") -> None:
        for notice in result.notices:
            self.output.say(f"note: {notice}")
        if not result.kind.startswith(_ROWS):
            self._say_done(result)
            return
        columns = [column.name for column in result.columns]
        rows = self._rows(result)
        try:
            if self.output.format is not Format.TABLE:
                self.output.listing(columns, rows)
                return
            self._table(columns, rows)
        finally:
            self._awaited(result.close)

    def _table(self, columns: Sequence[str], rows: Iterator[Row]) -> None:
        held = list(islice(rows, self.at_most))
        vertical = self.vertical
        if vertical is None:
            vertical = not self.output.fits(columns, held)
        if vertical:
            self.output.records(columns, held)
        else:
            self.output.listing(columns, held)
        more = next(rows, None) is not None
        noun = "row" if len(held) == 1 else "rows"
        self.output.say(f"the first {len(held)} {noun}" if more else f"{len(held)} {noun}")

    def _rows(self, result: "Result") -> Iterator[Row]:
        """A result's rows, fetched part by part on the session's thread."""
        shown = row_values([column.type for column in result.columns])

        def parts() -> Iterator[Iterator[Row]]:
            while True:
                part: pa.Table | None = self._awaited(lambda: next(result.batches, None))
                if part is None:
                    return
                yield shown(part)

        return chain.from_iterable(parts())

    def _say_done(self, result: "Result") -> None:
        for row in self._rows(result):
            for column, value in zip(result.columns, row, strict=True):
                counted = column.name.removeprefix("number of ")
                if counted == column.name:
                    self.output.say(str(value))
                elif value or "joined" not in counted:  # of joins only what is worth a look
                    # "number of rows inserted" is said as "3 rows inserted".
                    said = counted.replace("rows", "row", 1) if value == 1 else counted
                    self.output.say(f"{value} {said}")


def _succeeded(future: "Future[_T]") -> bool:
    return future.exception() is None


def pointed(text: str, place: "Place") -> str:
    """The line of a text that a place is in, with a sign below it."""
    lines = text.split("\n")
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    start = max(0, place.column - 61)
    cut = line[start : start + 100].replace("\t", " ")
    return f"  {cut}\n  {' ' * (place.column - 1 - start)}^"
