"""What a transaction wants besides rows: catalog events, watermark moves, audit, preconditions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from headwater.log_store import catalog as catalogs
from headwater.log_store.catalog import Catalog, CatalogEvent, CatalogObject, TableObject
from headwater.log_store.port import View
from headwater.log_store.records import Move
from headwater.producer.errors import NameTaken

Slot = tuple[str, int]


class Saved(NamedTuple):
    """The intents before a statement."""

    catalog: Catalog
    events: dict[Slot, CatalogEvent]
    moves: int
    audit: int
    unmoved: dict[int, int]
    objects: dict[Slot, int]


class Intents:
    """Catalog events and moves staged so far, and what must not have changed for them to hold.

    `catalog` is the view's with the staged events; objects that wait for the commit to be stamped
    (created, changed, dropped at 0) wait here too.
    """

    __slots__ = ("_view", "audit", "catalog", "events", "moves", "objects", "unmoved")

    def __init__(self, view: View) -> None:
        self._view = view
        self.catalog: Catalog = view.catalog
        self.events: dict[Slot, CatalogEvent] = {}
        self.moves: list[Move] = []
        self.audit: list[tuple[str, str]] = []
        self.unmoved: dict[int, int] = {}
        self.objects: dict[Slot, int] = {}

    def __bool__(self) -> bool:
        return bool(self.events or self.moves or self.audit)

    def stage(self, events: Sequence[CatalogEvent]) -> None:
        """Add catalog events; of several of one object the last one counts.

        A table that exists already must neither have moved nor have been altered by the commit.

        Raises:
            NameTaken: a live object has the name. Nothing is staged.
        """
        try:
            after = self.catalog.apply(0, 0, events)
        except catalogs.NameTaken as taken:
            raise NameTaken(taken.kind, taken.name) from taken
        self.catalog = replace(after, sequence=self.catalog.sequence)
        for event in events:
            value = event.value
            self.events[value.kind, value.id] = event
            self.depend_on(value.kind, value.id)
            if isinstance(value, TableObject) and self._before(value.kind, value.id):
                self.unmoved.setdefault(value.id, self._view.head(value.id).version)

    def depend_on(self, kind: str, object_id: int) -> None:
        """Refuse the commit if that object changes before; nothing to refuse for a new one."""
        slot = (kind, object_id)
        if slot not in self.objects:
            value = self._before(kind, object_id)
            if value is not None:
                self.objects[slot] = value.changed_at

    def _before(self, kind: str, object_id: int) -> CatalogObject | None:
        return self._view.catalog.get(kind, object_id)

    def save(self) -> Saved:
        """What to go back to if the statement that begins now fails."""
        return Saved(
            self.catalog,
            self.events.copy(),
            len(self.moves),
            len(self.audit),
            self.unmoved.copy(),
            self.objects.copy(),
        )

    def restore(self, saved: Saved) -> None:
        """Forget everything since."""
        self.catalog, self.events = saved.catalog, saved.events
        self.unmoved, self.objects = saved.unmoved, saved.objects
        del self.moves[saved.moves :]
        del self.audit[saved.audit :]
