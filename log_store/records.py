"""The nouns of the log: frozen, comparable, no I/O.

Plain ints stand for what is counted by the million: a table, stream or consumer by its object
id (one id space over the whole catalog), a version by its number, a place in the commit sequence.
What every commit makes anew is a named tuple: a frozen dataclass takes four times as long to make.
Windows and ranges of versions are half-open on the left everywhere: `(after, upto]`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

# A watermark before the base: the consumer still has the initial rows to read.
INITIAL: Final = -1

OP_INSERT: Final = ord("c")
OP_UPDATE: Final = ord("u")
OP_DELETE: Final = ord("d")
OP_SNAPSHOT: Final = ord("r")

Why = Literal["register", "consume", "advance", "rewind", "restore", "undo", "outside"]


class Counts(NamedTuple):
    """Changes counted from the table's creation on; a key change counts once, as an update."""

    inserts: int = 0
    updates: int = 0
    deletes: int = 0
    bytes: int = 0

    @property
    def changes(self) -> int:
        """All captured changes."""
        return self.inserts + self.updates + self.deletes


class VersionRow(NamedTuple):
    """What the version index keeps of one version of one table.

    `counts`, `event_seq` (the last event's number) and `next_row_id` are as of this version;
    `autos` are the next AUTOINCREMENT values by column id; `digest` chains to the version before;
    `schema_id` is the registry's id of the schema its events were written with.
    """

    table: int
    version: int
    sequence: int
    time_us: int
    counts: Counts
    event_seq: int
    next_row_id: int
    schema_id: int
    digest: bytes
    autos: tuple[tuple[int, int], ...] = ()
    chunks: int = 1


@dataclass(frozen=True, slots=True)
class Move:
    """One move of one consumer's watermark, as asked for in a batch.

    `start` is where the mover saw the watermark (None: the consumer is registered by this move);
    the commit is refused if it stands elsewhere. Either end may be INITIAL.
    `note` carries what only a listing needs: the reason given, the plan, the move undone.
    """

    consumer: int
    start: int | None
    end: int
    why: Why
    target: int | None = None  # the table whose version marks the boundary, for TABLE consumers
    tables: tuple[int, ...] = ()  # tables written in the same commit
    reason: str = ""
    note: Mapping[str, str | int] = field(default_factory=dict[str, str | int])


@dataclass(frozen=True, slots=True)
class Moved:
    """A move as committed: `target_version` is the boundary it recorded for a TABLE consumer.

    A registration records the target's version before its commit, every other move the version
    after it. A plain rewind records none.
    """

    move: Move
    target_version: int | None


@dataclass(frozen=True, slots=True)
class Watermark:
    """Where a consumer stands: `position` is a version or INITIAL, moved last at `sequence`."""

    consumer: int
    position: int
    sequence: int
    time_us: int
    target_version: int | None


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A caller's key with the digest of the request it stands for."""

    key: str
    digest: bytes


class CommitRow(NamedTuple):
    """One commit as the log keeps it; `versions` are those it made, by table."""

    sequence: int
    commit_id: str
    time_us: int
    actor: str
    versions: Mapping[int, int]
    moves: tuple[Moved, ...] = ()
    statements: tuple[str, ...] = ()
    idempotency: Idempotency | None = None
    result: str = ""  # what the caller was told, as JSON, for a repeated idempotent request
    ddl: int = 0  # how many catalog events it carried
    epoch: int = 1


class Committed(NamedTuple):
    """What a commit made; `repeated` when its idempotency key had been used before."""

    sequence: int
    commit_id: str
    time_us: int
    versions: Mapping[int, int]
    repeated: bool = False
    result: str = ""


class Stored(NamedTuple):
    """A current row: the version that wrote it, its image and the schema that image is in."""

    version: int
    schema_id: int
    image: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """Events of one version, in order: message i is `data[offsets[i]:offsets[i + 1]]`.

    Messages are bare Avro envelopes (without the five framing bytes), in `schema_id`.
    A version may come in several blocks.
    """

    version: int
    schema_id: int
    offsets: "memoryview | bytes"  # little-endian int64, one more than there are messages
    data: "memoryview | bytes"


@dataclass(frozen=True, slots=True)
class ScanBlock:
    """Current rows in row id order, up to some thousands at a time."""

    row_ids: list[int]
    stored: list[Stored]


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Something worth keeping for ever: DDL, rewinds, refused policies. `detail` is JSON."""

    sequence: int
    time_us: int
    actor: str
    what: str
    detail: str
