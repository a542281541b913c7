"""The offsets of consumers' groups: in the transaction where that is possible, else soon after.

A group with a member of somebody else's refuses an offset and would abort everybody's transaction;
and each group costs its transaction nearly a millisecond. Those that were left out are written by a
thread of their own, the newest position of each, as soon as the group lets it.
"""

import threading
from collections.abc import Iterable, Mapping
from typing import Final

from headwater.log_store.kafka_admin import Admin
from headwater.log_store.kafka_client import BrokerError
from headwater.log_store.kafka_outcome import group_in_use
from headwater.log_store.kafka_records import Position

# So many groups move within one transaction; the others follow it.
MOST: Final = 16
_AGAIN_S: Final = 1.0


class Mirrors:
    """Keeps groups where their consumers' watermarks are, until closed."""

    def __init__(self, admin: Admin, most: int = MOST) -> None:
        self._admin, self._most = admin, most
        self._due: dict[str, Position] = {}
        self._why: dict[str, str] = {}
        self._lock = threading.Lock()
        self._caught_up = threading.Condition(self._lock)
        self._writing = threading.Lock()
        self._bell = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False

    def choose(
        self, wanted: Mapping[str, Position], blocked: Iterable[str]
    ) -> tuple[list[str], list[str]]:
        """Which groups move within the transaction, and which after it."""
        with self._lock:
            held = {*blocked, *self._why}
        within = [group for group in wanted if group not in held][: self._most]
        later = [group for group in wanted if group not in within]
        with self._lock:
            superseded = [group for group in within if self._due.pop(group, None) is not None]
        if superseded:
            # One of them may be on its way: it must not land behind the transaction.
            with self._writing:
                pass
        return within, later

    def later(self, positions: Mapping[str, Position]) -> None:
        """Move these groups once they let it."""
        if not positions:
            return
        with self._lock:
            self._due.update(positions)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(
                    target=self._serve, name="headwater-kafka-offsets", daemon=True
                )
                self._thread.start()
        self._bell.set()

    def waiting(self) -> dict[str, str]:
        """The groups whose offset is still behind, each with the reason."""
        with self._lock:
            return {group: self._why.get(group, "about to be written") for group in self._due}

    def wait_empty(self, timeout_s: float) -> bool:
        """Wait until no group is behind; False if one still is."""
        with self._caught_up:
            return self._caught_up.wait_for(lambda: not self._due, timeout_s)

    def _serve(self) -> None:
        while not self._closed:
            self._bell.wait(_AGAIN_S if self._due else None)
            self._bell.clear()
            for group in list(self._due):
                if self._closed:
                    return
                self._write(group)

    def _write(self, group: str) -> None:
        with self._writing:
            with self._lock:
                position = self._due.get(group)
            if position is None:
                return
            why = ""
            try:
                self._admin.set_group_offset(group, position)
            except BrokerError as error:
                why = "a member of another program is in the group"
                if not group_in_use(error.fault):
                    why = str(error)
            with self._lock:
                if why:
                    self._why[group] = why
                    return
                self._why.pop(group, None)
                if self._due.get(group) == position:
                    del self._due[group]
                    self._caught_up.notify_all()

    def close(self) -> None:
        """Stop; what is still due is found out by whoever opens the prefix next."""
        self._closed = True
        self._bell.set()
        if self._thread is not None:
            self._thread.join(5)
