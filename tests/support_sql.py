"""Sessions over any log, for tests of the SQL room: statements in, rows out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support_clock import Clock

from headwater.log_store.port import Log
from headwater.log_store.snapshots import SnapshotCache
from headwater.log_store.source import TopicSource
from headwater.ops.present import row_values
from headwater.sql.context import Binds, Limits
from headwater.sql.errors import Error
from headwater.sql.results import Result
from headwater.sql.session import SqlSession

Row = tuple[object, ...]


@dataclass
class SqlStore:
    """What a session needs, around a log that a test has opened."""

    log: Log
    cache: SnapshotCache = field(default_factory=SnapshotCache)
    actor: str = "tester"
    read_only: bool = False
    limits: Limits = field(default_factory=Limits)
    locations: Sequence[Path] | None = None
    clock: Clock = field(default_factory=Clock)

    topics: dict[str, TopicSource] = field(default_factory=dict[str, TopicSource])

    def now(self) -> int:
        """The test's own clock."""
        return self.clock()

    def topic(self, name: str, brokers: str | None) -> TopicSource:
        """A foreign topic that the test has made."""
        return self.topics[name]


class Sql:
    """One session, as short as tests want it."""

    def __init__(self, log: Log, store: SqlStore | None = None) -> None:
        self.store = SqlStore(log) if store is None else store
        self.session = SqlSession(self.store)

    def run(self, text: str, binds: Binds = ()) -> Result:
        """The result of the last statement of a text."""
        return self.session.execute(text, binds)[-1]

    def rows(self, text: str, binds: Binds = ()) -> list[Row]:
        """Its rows."""
        return rows_of(self.run(text, binds))

    def one(self, text: str, binds: Binds = ()) -> object:
        """Its only value."""
        ((value,),) = self.rows(text, binds)
        return value

    def count(self, text: str, binds: Binds = ()) -> int:
        """How many rows a statement wrote."""
        return self.run(text, binds).rowcount

    def refused(self, text: str, binds: Binds = ()) -> Error:
        """The error that a text ends in."""
        with pytest.raises(Error) as caught:
            self.session.execute(text, binds)
        return caught.value

    def beside(self) -> "Sql":
        """Another session of the same store."""
        return Sql(self.store.log, self.store)


def rows_of(result: Result) -> list[Row]:
    """The rows of a result as Python's values."""
    shown = row_values([column.type for column in result.columns])
    return [row for part in result.batches for row in shown(part)]
