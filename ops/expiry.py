"""Letting history go in an open store: when asked, and by itself at each opening and every hour."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from headwater.consumers.retention import expirable, forgets
from headwater.log_store.errors import LogError
from headwater.log_store.port import Log

EVERY_S = 3600.0

_log = logging.getLogger("headwater")


@dataclass(frozen=True, slots=True)
class Expired:
    """History of a table that went: full history was kept from version `was`, now from `now`."""

    table: str
    was: int
    now: int


def expire(log: Log, clock: Callable[[], int]) -> list[Expired]:
    """Let all history go that nobody asks to keep any more; returns what went.

    The clock is asked only if there is a table that does not keep all.

    Raises:
        LogDamaged: what is to go does not hold; tables before it are done.
        HistoryNotExpired: the store keeps all history whatever is asked.
    """
    with log.view() as view:
        found = expirable(view, clock()) if forgets(view.catalog) else []
    return [Expired(table.name, was, log.expire(table.id, wanted)) for table, was, wanted in found]


class Housekeeper:
    """A thread that lets history go now and then, until stopped. Failures wait for the next time."""

    def __init__(self, log: Log, clock: Callable[[], int], every_s: float = EVERY_S) -> None:
        self._log, self._clock, self._every_s = log, clock, every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="headwater-expiry", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                for one in expire(self._log, self._clock):
                    _log.info("history of table %s is kept from v%d", one.table, one.now)
            except LogError as error:
                _log.warning("history was not let go: %s", error)
            if self._stopped.wait(self._every_s):
                return

    def stop(self) -> None:
        """Finish what is being done and end."""
        self._stopped.set()
        self._thread.join()
