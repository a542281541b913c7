"""A statement while it runs: how it is told to stop, and what keeps its rows readable afterwards."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, Self

import pyarrow as pa

from headwater.sql.errors import OperationalError

_CANCELLED: Final = "E_SQL_CANCELLED"
_TIMED_OUT: Final = "E_SQL_TIMEOUT"


class Running:
    """One statement's stop sign. `cancel` may come from any thread, everything else from its own.

    With `seconds` it stops by itself after that time.
    """

    __slots__ = ("_reason", "_seconds", "_stops", "_timer", "_until")

    def __init__(self, seconds: float = 0.0) -> None:
        self._reason = ""
        self._stops: list[Callable[[], None]] = []
        self._seconds = seconds
        self._until = time.monotonic() + seconds if seconds > 0 else 0.0
        self._timer: threading.Timer | None = None

    def start(self) -> None:
        """Let the time limit count, where there is one."""
        if self._until:
            left = max(0.0, self._until - time.monotonic())
            self._timer = threading.Timer(left, self.cancel, (_TIMED_OUT,))
            self._timer.daemon = True
            self._timer.start()

    def pause(self) -> None:
        """Nothing runs: nothing is to be stopped."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return bool(self._reason)

    def cancel(self, reason: str = _CANCELLED) -> None:
        """Stop the statement, now if its engine can, else at its next look at `check`."""
        self._reason = self._reason or reason
        for stop in list(self._stops):
            stop()

    def on_cancel(self, stop: Callable[[], None]) -> None:
        """Call this when the statement is to stop; at once if it was told already."""
        self._stops.append(stop)
        if self._reason:
            stop()

    def check(self) -> None:
        """Do nothing while the statement may run.

        Raises:
            OperationalError: it was cancelled, or its time is over; it undoes itself.
        """
        if self._reason:
            raise self.error()

    def error(self) -> OperationalError:
        """Why it stopped."""
        if self._reason == _TIMED_OUT:
            said = f"the statement took longer than its limit of {self._seconds:g} s and was undone"
            return OperationalError(said, code=_TIMED_OUT, fields={"seconds": self._seconds})
        return OperationalError("the statement was cancelled and undone", code=_CANCELLED)


class OpenRows:
    """The rows of a query that are still to come; `close` lets go of what they are read from.

    They can be taken once. `settle` takes them into memory, so that what they are read from may end.
    """

    def __init__(
        self,
        rows: Iterator[pa.Table],
        lock: threading.RLock,  # pyright: ignore[reportGeneralTypeIssues]
        running: Running,
        done: Callable[[], None],
    ) -> None:
        self._rows, self._lock, self._running = rows, lock, running
        self._done: Callable[[], None] | None = done
        self._settled: list[pa.Table] = []

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pa.Table:
        with self._lock:
            if self._settled:
                return self._settled.pop(0)
            if self._done is None:
                raise StopIteration
            self._running.start()
            try:
                self._running.check()
                return next(self._rows)
            except BaseException:
                self.close()
                raise
            finally:
                self._running.pause()

    def settle(self) -> None:
        """Take what is left into memory."""
        with self._lock:
            self._settled += list(self)

    @property
    def open(self) -> bool:
        """Whether rows are still to be read from the store."""
        return self._done is not None

    def close(self) -> None:
        """Read no more. A second call does nothing."""
        done, self._done = self._done, None
        if done is not None:
            done()

    def __del__(self) -> None:
        self.close()
