"""What an open store does by itself: it lets history go, at each opening and every hour, and looks at
the Kafka groups of its consumers every few seconds.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from headwater.consumers.errors import ConsumersError
from headwater.consumers.group_watch import GroupWatch, look_once
from headwater.consumers.retention import expirable, forgets
from headwater.log_store.errors import LogError
from headwater.log_store.port import Log
from headwater.producer.errors import ProducerError
from headwater.producer.transaction import Transaction

EVERY_S = 3600.0
LOOK_S = 2.0
# Who is on record for what followed from a group's offset.
WATCHER = "kafka"

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
        asked = forgets(view.catalog)
    if not asked:
        return []
    # What Kafka groups still need is in their own offsets, which may have gone back.
    look_once(log, lambda: Transaction(log, actor=WATCHER), clock)
    with log.view() as view:
        found = expirable(view, clock())
    gone = [Expired(table.name, was, log.expire(table.id, wanted)) for table, was, wanted in found]
    # Where another node writes, it is for that one to let history go.
    return [one for one in gone if one.now > one.was]


class GroupWatcher:
    """A thread that looks at consumers' Kafka groups every few seconds, until stopped.

    It takes no more than a twentieth of its time. Failures wait for the next look.
    """

    def __init__(self, log: Log, clock: Callable[[], int], every_s: float = LOOK_S) -> None:
        self._every_s = every_s
        self._watch = GroupWatch(log, lambda: Transaction(log, actor=WATCHER), clock)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="headwater-groups", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        pause = self._every_s
        while not self._stopped.wait(pause):
            began = time.monotonic()
            try:
                self._watch.look()
            except (LogError, ProducerError, ConsumersError, TimeoutError) as error:
                _log.warning("groups were not looked at: %s", error)
            pause = max(self._every_s, 20 * (time.monotonic() - began))

    def stop(self) -> None:
        """Finish the look that is being taken and end."""
        self._stopped.set()
        self._thread.join()


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
