"""What a statement runs in: the store, the session's state, the open transaction, the binds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Protocol

from headwater.log_store.port import Log
from headwater.log_store.snapshots import SnapshotCache
from headwater.log_store.source import TopicSource
from headwater.producer.temporary import TemporaryTables
from headwater.producer.transaction import Transaction
from headwater.sql.statements import OptionValue, Statement

Binds = Sequence[object] | Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one statement may use. `seconds` 0 is without end; bytes are DuckDB's memory."""

    seconds: float = 0.0
    memory_bytes: int = 2 << 30
    text_bytes: int = 8 << 20
    threads: int = 2


class Store(Protocol):
    """The open store as the SQL room needs it; ops supplies it."""

    @property
    def log(self) -> Log: ...

    @property
    def cache(self) -> SnapshotCache: ...

    @property
    def actor(self) -> str: ...

    @property
    def read_only(self) -> bool: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def locations(self) -> Sequence[Path] | None:
        """Folders that COPY may touch, None for any (a program's own connection), () for none."""
        ...

    def now(self) -> int:
        """Microseconds since 1970 UTC."""
        ...

    def topic(self, name: str, brokers: str | None) -> TopicSource:
        """A foreign topic: of these brokers, else of the cluster that the store itself is on."""
        ...


@dataclass(slots=True, eq=False)
class State:
    """What a session remembers between statements. Variables are by upper-case name."""

    schema: str = "public"
    variables: dict[str, object] = field(default_factory=dict[str, object])
    parameters: dict[str, OptionValue] = field(default_factory=dict[str, OptionValue])
    zone: tzinfo = UTC
    temporaries: TemporaryTables = field(default_factory=TemporaryTables)


@dataclass(slots=True, eq=False)
class Context:
    """One statement's surroundings. `tx` is the open transaction: read and write through it.

    `notices` are told beside the result. `on_cancel` registers what stops the statement when its
    session is told to cancel it; `check` raises if it was.
    """

    store: Store
    state: State
    tx: Transaction
    statement: Statement
    binds: Binds = ()
    query_id: str = ""
    notices: list[str] = field(default_factory=list[str])
    on_cancel: Callable[[Callable[[], None]], None] = lambda stop: None
    check: Callable[[], None] = lambda: None
    # Whether the statement is a commit by itself.
    alone: bool = False
