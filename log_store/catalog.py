"""The catalog: what exists, folded from catalog events. Pure.

Every object has an id from one id space, kept for life; names are looked up without regard to
case unless they were quoted. Dropped tables stay (for UNDROP and for old events), marked with
the place in the commit sequence that dropped them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Final

from headwater.log_store.objects import (
    AvroSchema,
    Capture,
    CatalogObject,
    ConsumerKind,
    ConsumerObject,
    Namespace,
    RewindPolicy,
    Setting,
    Sharing,
    StreamObject,
    TableObject,
    ViewColumn,
    ViewObject,
)

__all__ = [
    "AvroSchema",
    "Capture",
    "Catalog",
    "CatalogEvent",
    "CatalogObject",
    "ConsumerKind",
    "ConsumerObject",
    "NameTaken",
    "Namespace",
    "RewindPolicy",
    "Setting",
    "Sharing",
    "StreamObject",
    "TableObject",
    "ViewColumn",
    "ViewObject",
    "directory_slot",
    "table_slot",
]

# Views share the names of tables.
_NAME_SPACE: Final = {"view": "table"}


@dataclass(frozen=True, slots=True)
class CatalogEvent:
    """The new state of one object; what drops an object is a state too."""

    value: CatalogObject


class NameTaken(ValueError):
    """Two live objects under one name; the commit that asked for it came second."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} {name} exists")
        self.kind, self.name = kind, name


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that exists at one place of the commit sequence. Never changed in place."""

    sequence: int = 0
    objects: Mapping[tuple[str, int], CatalogObject] = field(
        default_factory=dict[tuple[str, int], CatalogObject]
    )
    names: Mapping[tuple[str, int, str], int] = field(
        default_factory=dict[tuple[str, int, str], int]
    )
    consumers_by_stream: Mapping[int, tuple[int, ...]] = field(
        default_factory=dict[int, tuple[int, ...]]
    )

    def apply(self, sequence: int, time_us: int, events: Iterable[CatalogEvent]) -> "Catalog":
        """The catalog after a commit's events; stamps them with its sequence and time.

        Raises:
            NameTaken: a live object of that kind has the name; nothing is changed.
        """
        applied = self.replay((sequence, time_us, event) for event in events)
        return replace(applied, sequence=sequence)

    def replay(self, events: Iterable[tuple[int, int, CatalogEvent]]) -> "Catalog":
        """The catalog after the events of many commits, each with its sequence and time.

        Raises:
            NameTaken: a live object of that kind has the name; nothing is changed.
        """
        objects, names = dict(self.objects), dict(self.names)
        consumers = dict(self.consumers_by_stream)
        sequence = self.sequence
        for sequence, commit in groupby(events, key=lambda placed: placed[0]):
            values = [_stamped(event.value, place, time_us) for place, time_us, event in commit]
            # All names are given up before any is taken: two tables may swap theirs.
            for value in values:
                _give_up(names, objects.get((value.kind, value.id)))
            for value in values:
                slot = (value.kind, value.id)
                old = objects.get(slot)
                _give_up(names, old)
                if (name := _name_of(value)) is not None:
                    if name in names:
                        wanted = getattr(value, "name", name[2])
                        raise NameTaken(_holder(objects, name[0], names[name]), wanted)
                    names[name] = value.id
                objects[slot] = value
                if isinstance(value, ConsumerObject) and old is None:
                    consumers[value.stream] = (*consumers.get(value.stream, ()), value.id)
        return Catalog(sequence, objects, names, consumers)

    def get(self, kind: str, object_id: int) -> CatalogObject | None:
        """The object of that kind and id, dropped ones too."""
        return self.objects.get((kind, object_id))

    def find(self, kind: str, namespace: int, name: str) -> CatalogObject | None:
        """The live object under a name; a name in double quotes matches to the letter."""
        exact = len(name) > 1 and name[0] == name[-1] == '"'
        plain = name[1:-1].replace('""', '"') if exact else name
        found = self.names.get((_NAME_SPACE.get(kind, kind), namespace, plain.lower()))
        value = None if found is None else self.objects.get((kind, found))
        return value if not exact or getattr(value, "name", None) == plain else None

    def relation(self, namespace: int, name: str) -> TableObject | ViewObject | None:
        """The live table or view under a name, see `find`."""
        for kind in ("table", "view"):
            value = self.find(kind, namespace, name)
            if isinstance(value, TableObject | ViewObject):
                return value
        return None

    def table(self, table_id: int) -> TableObject:
        """The table of that id, dropped or not."""
        value = self.objects["table", table_id]
        assert isinstance(value, TableObject)
        return value

    def view(self, view_id: int) -> ViewObject:
        """The view of that id, dropped or not."""
        value = self.objects["view", view_id]
        assert isinstance(value, ViewObject)
        return value

    def stream(self, stream_id: int) -> StreamObject:
        """The stream of that id, dropped or not."""
        value = self.objects["stream", stream_id]
        assert isinstance(value, StreamObject)
        return value

    def consumer(self, consumer_id: int) -> ConsumerObject:
        """The consumer of that id, retired or not."""
        value = self.objects["consumer", consumer_id]
        assert isinstance(value, ConsumerObject)
        return value

    def consumers(self, stream_id: int) -> list[ConsumerObject]:
        """A stream's registered consumers, in order of registration."""
        found = (self.consumer(i) for i in self.consumers_by_stream.get(stream_id, ()))
        return [consumer for consumer in found if consumer.retired_at is None]

    def all(self, kind: str) -> Iterator[CatalogObject]:
        """Every object of a kind, dropped ones too, in order of creation."""
        return (value for (of, _), value in self.objects.items() if of == kind)

    def tables(self) -> list[TableObject]:
        """Live tables in order of creation."""
        found = (v for v in self.all("table") if isinstance(v, TableObject))
        return [table for table in found if table.dropped_at is None]

    def views(self) -> list[ViewObject]:
        """Live views in order of creation."""
        found = (v for v in self.all("view") if isinstance(v, ViewObject))
        return [view for view in found if view.dropped_at is None]

    def streams(self) -> list[StreamObject]:
        """Live streams in order of creation."""
        found = (v for v in self.all("stream") if isinstance(v, StreamObject))
        return [stream for stream in found if stream.dropped_at is None]


def _give_up(names: dict[tuple[str, int, str], int], value: CatalogObject | None) -> None:
    """Free the name an object holds, unless another has taken it since."""
    name = None if value is None else _name_of(value)
    if name is not None and value is not None and names.get(name) == value.id:
        del names[name]


def _holder(objects: Mapping[tuple[str, int], CatalogObject], space: str, held_by: int) -> str:
    """The kind of the object that holds a name."""
    kinds = (kind for kind, within in _NAME_SPACE.items() if within == space)
    return next((kind for kind in kinds if (kind, held_by) in objects), space)


def _name_of(value: CatalogObject) -> tuple[str, int, str] | None:
    """The name an object holds while it lives; None for what has none."""
    match value:
        case TableObject() | ViewObject() | StreamObject():
            if value.dropped_at is None:
                space = _NAME_SPACE.get(value.kind, value.kind)
                return space, value.namespace, value.name.lower()
        case Namespace():
            if value.dropped_at is None:
                return value.kind, 0, value.name.lower()
        case ConsumerObject():
            if value.retired_at is None:
                return value.kind, value.stream, _consumer_name(value)
        case Setting():
            return value.kind, 0, value.name.lower()
        case AvroSchema():
            return None
    return None


def table_slot(target: int) -> str:
    """The name a table is found under among a stream's consumers: its own may change."""
    return f"\0{target}"


def directory_slot(path: str) -> str:
    """The name a directory is found under among a stream's consumers: its path to the letter."""
    return f"\1{path.encode().hex()}"


def _consumer_name(value: ConsumerObject) -> str:
    if value.directory:
        return directory_slot(value.directory)
    return value.name.lower() if value.target is None else table_slot(value.target)


def _stamped(value: CatalogObject, sequence: int, time_us: int) -> CatalogObject:
    """The object with the commit's place written into the marks that wait for it."""
    match value:
        case TableObject():
            return replace(
                value,
                changed_at=sequence,
                created_at=value.created_at or sequence,
                created_us=value.created_us or time_us,
                dropped_at=sequence if value.dropped_at == 0 else value.dropped_at,
                dropped_us=time_us if value.dropped_at == 0 else value.dropped_us,
            )
        case StreamObject() | ViewObject():
            return replace(
                value,
                changed_at=sequence,
                created_at=value.created_at or sequence,
                created_us=value.created_us or time_us,
                dropped_at=sequence if value.dropped_at == 0 else value.dropped_at,
            )
        case ConsumerObject():
            return replace(
                value,
                changed_at=sequence,
                created_at=value.created_at or sequence,
                created_us=value.created_us or time_us,
                retired_at=sequence if value.retired_at == 0 else value.retired_at,
            )
        case Namespace():
            return replace(
                value,
                changed_at=sequence,
                dropped_at=sequence if value.dropped_at == 0 else value.dropped_at,
            )
        case AvroSchema() | Setting():
            return replace(value, changed_at=sequence)
