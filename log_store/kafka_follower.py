"""A replica kept at the end of its topics, by a thread of its own.

Whatever stops it for a while (a broker that goes, a topic that is not known everywhere yet) makes it
begin again from where the replica stands; only topics that do not hold what they should end it.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Final

from headwater.log_store.errors import LogDamaged, LogError, StoreUnavailable
from headwater.log_store.kafka_feed import CommitRecords
from headwater.log_store.kafka_reader import TopicMissing
from headwater.log_store.kafka_records import Intent
from headwater.log_store.kafka_replica import Replica

_PAUSE_S: Final = 0.2
_WAIT_S: Final = 0.1
# A broker answers at once when there is something: waiting long costs nothing but an idle request.
_FETCH_MS: Final = 500
_log = logging.getLogger("headwater")


class Follower:
    """Follows until stopped. `applied` is called after each round, on the follower's thread."""

    def __init__(
        self,
        replica: Replica,
        reload: Callable[[], None],
        applied: Callable[[Sequence[CommitRecords]], None],
        broken: Callable[[LogError], None],
    ) -> None:
        self._replica, self._reload = replica, reload
        self._applied, self._broken = applied, broken
        self._stopped = threading.Event()
        self._work = threading.Lock()
        self.intents: list[Intent] = []
        """Topics that were about to be made, as far as was read."""
        self._thread = threading.Thread(target=self._run, name="headwater-follower", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with closing(self._replica.following(_FETCH_MS)) as following:
                    following.watch()
                    while not self._stopped.is_set():
                        with self._work:
                            commits = following.step(_WAIT_S)
                        if any(commit.catalog for commit in commits):
                            following.watch()
                        self.intents += following.intents
                        following.intents.clear()
                        if commits:
                            self._applied(commits)
            except LogDamaged as error:
                _log.error("the replica cannot follow: %s", error)
                self._broken(error)
                return
            except LogError as error:
                if isinstance(error, TopicMissing) and (topic := self._lacks()):
                    gone = f"records of topic {topic} went before this replica had them"
                    self._broken(StoreUnavailable(f"{gone}: connect again, it is filled anew"))
                    return
                _log.warning("the replica waits: %s", error)
                self._stopped.wait(_PAUSE_S)
                self._reload()

    def _lacks(self) -> str:
        try:
            return self._replica.lacks()
        except LogError:
            return ""

    @property
    def paused(self) -> threading.Lock:
        """Held while commits are applied: nothing is while somebody else holds it."""
        return self._work

    def stop(self) -> None:
        """Finish the round and end."""
        self._stopped.set()
        self._thread.join()
