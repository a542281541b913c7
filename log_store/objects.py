"""What the catalog holds: tables, views, streams, consumers and the rest, as frozen values. Pure.

Every object has an id from one id space, kept for life. What drops an object is a state of it
too: `dropped_at` (of a consumer `retired_at`) is the place in the commit sequence that did, 0
while it waits for its commit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

from headwater.schemas.tables import TableSchema
from headwater.schemas.types import SqlType


class Capture(Enum):
    """Which changes a stream shows."""

    ALL = "ALL"
    NET = "NET"
    INSERT_ONLY = "INSERT ONLY"


class Sharing(Enum):
    """Whether each consumer of a stream has a watermark of its own."""

    INDEPENDENT = "INDEPENDENT"
    SHARED = "SHARED"


class RewindPolicy(Enum):
    """What a stream lets a rewind do."""

    ALLOW = "ALLOW"
    WARN = "WARN"
    REQUIRE_REASON = "REQUIRE_REASON"
    FORBID = "FORBID"


class ConsumerKind(Enum):
    """What a consumer's effect is."""

    TABLE = "TABLE"
    CLIENT = "CLIENT"
    GROUP = "GROUP"
    SHARED = "SHARED"  # the one watermark of a SHARED stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A schema: a name that tables and streams live under."""

    kind: ClassVar[str] = "schema"
    id: int
    name: str
    dropped_at: int | None = None
    changed_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TableObject:
    """A table. `generations` are its schemas in order, the last one is current.

    `topic` is where its events go, fixed at creation. `seeds` are watermarks that a clone stores
    for streams whose consumer its original was: stream id -> (watermark). `adopted` says, as JSON,
    which foreign topic its rows come from; such a table is written by its topic alone.
    """

    kind: ClassVar[str] = "table"
    id: int
    namespace: int
    name: str
    topic: str
    generations: tuple[TableSchema, ...]
    created_at: int = 0
    created_us: int = 0
    dropped_at: int | None = None
    dropped_us: int | None = None
    changed_at: int = 0
    retention_s: int | None = None
    comment: str = ""
    seeds: Mapping[int, int] = field(default_factory=dict[int, int])
    adopted: str = ""

    @property
    def schema(self) -> TableSchema:
        """The current generation."""
        return self.generations[-1]

    def schema_of(self, schema_id: int) -> TableSchema:
        """The newest generation whose events carry this registry id."""
        for generation in reversed(self.generations):
            if generation.schema_id == schema_id:
                return generation
        raise KeyError(schema_id)


@dataclass(frozen=True, slots=True)
class ViewColumn:
    """A column of a view, as its SELECT gave it when the view was made."""

    name: str
    type: SqlType
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewObject:
    """A named SELECT, kept as it was written. It shares the names of tables.

    `table` is the table it is on if it is a filter and a projection of that one alone, and so can
    have streams; else None. OR REPLACE makes another view, of the next `generation`.
    """

    kind: ClassVar[str] = "view"
    id: int
    namespace: int
    name: str
    text: str
    columns: tuple[ViewColumn, ...]
    table: int | None = None
    generation: int = 1
    comment: str = ""
    created_at: int = 0
    created_us: int = 0
    dropped_at: int | None = None
    changed_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamObject:
    """A stream on a table id, or on a view of that table.

    `stale` says why it can never be read again, empty if it can.
    """

    kind: ClassVar[str] = "stream"
    id: int
    namespace: int
    name: str
    table: int
    base: int
    view: int | None = None
    capture: Capture = Capture.ALL
    sharing: Sharing = Sharing.INDEPENDENT
    initial_rows: bool = False
    policy: RewindPolicy = RewindPolicy.ALLOW
    retention_s: int | None = None
    comment: str = ""
    stale: str = ""
    created_at: int = 0
    created_us: int = 0
    dropped_at: int | None = None
    changed_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerObject:
    """A registered reader of a stream. A TABLE consumer is bound to `target`, a table id, or to
    `directory`, the path that COPY writes files into.

    `retired_at` is the place in the commit sequence at which it stopped being one. `group` is the
    Kafka consumer group that mirrors it, fixed at registration.
    """

    kind: ClassVar[str] = "consumer"
    id: int
    stream: int
    name: str
    reader: ConsumerKind
    target: int | None = None
    directory: str = ""
    created_at: int = 0
    created_us: int = 0
    retired_at: int | None = None
    changed_at: int = 0
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AvroSchema:
    """A registered schema: `text` is its canonical JSON, `version` counts within its subject.

    `foreign`: its id was given by a registry outside of the store, and is no object id here.
    """

    kind: ClassVar[str] = "avro"
    id: int  # the registry's own numbering, from 1
    subject: str
    version: int
    text: str
    changed_at: int = 0
    foreign: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A store-wide parameter; without a value it stands at its default."""

    kind: ClassVar[str] = "setting"
    id: int
    name: str
    value: str | None
    changed_at: int = 0


CatalogObject = (
    Namespace | TableObject | ViewObject | StreamObject | ConsumerObject | AvroSchema | Setting
)
