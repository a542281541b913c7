"""A table that a foreign topic feeds, as a Python user starts it and keeps it going."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Self

from headwater.log_store.catalog import TableObject
from headwater.log_store.source import Fetched, TopicSource
from headwater.ops.errors import BadArgument
from headwater.producer.adopting import AdoptionSpec, adopt_batch, adopt_table, places
from headwater.producer.adoption import Adopted
from headwater.producer.retry import retry
from headwater.producer.topic_shape import shape_of
from headwater.schemas.errors import SchemaInvalid
from headwater.schemas.foreign_reader import ForeignReader, Schemas
from headwater.schemas.tables import ColumnSpec
from headwater.schemas.types import SqlType

if TYPE_CHECKING:
    from headwater.ops.session import Session

MOST: Final = 10_000


class Adoption:
    """Feeds one adopted table from its topic. For one thread; close it, or use it in a `with`.

    Any number may stand by in several processes: a batch that two read at once is committed once.
    """

    def __init__(
        self, session: "Session", table: TableObject, source: TopicSource, reader: ForeignReader
    ) -> None:
        self._session, self._table = session, table
        self._source, self._reader = source, reader

    def step(self, *, most: int = MOST, timeout: float = 1.0) -> Adopted:
        """Read once, at most so many messages, waiting so many seconds; commit what came.

        Raises:
            SourceLost: the topic is gone, or lost what was not read. Nothing was written.
            StoreUnavailable: its cluster cannot be reached. Nothing was written.
        """
        fetched = self._source.fetch(self._positions(), most, timeout)
        if not fetched.next:
            return Adopted()
        return retry(lambda: self._commit(fetched))

    def catch_up(self, *, timeout: float = 5.0) -> int:
        """Read up to where the topic ends now; returns how many rows were changed.

        `timeout` is how long it waits, in seconds, for a message that does not come.
        """
        ends = {p: end for p, (_, end) in self._source.bounds().items()}
        rows, until = 0, time.monotonic() + timeout
        while any(self._positions().get(p, 0) < end for p, end in ends.items()):
            done = self.step(timeout=timeout)
            rows += done.rows
            if done.rows or done.without_effect or done.set_aside:
                until = time.monotonic() + timeout
            elif time.monotonic() > until:
                break
        return rows

    def run(self, until: Callable[[], bool]) -> None:
        """Go on reading until `until` says so; it is asked about once a second."""
        while not until():
            self.step()

    def behind(self) -> dict[int, int]:
        """How many offsets each partition is ahead of what was read."""
        at = self._positions()
        return {p: end - at.get(p, first) for p, (first, end) in self._source.bounds().items()}

    def close(self) -> None:
        """Stop reading. A second call does nothing."""
        self._source.close()

    def _positions(self) -> dict[int, int]:
        tx = self._session.begin()
        try:
            standing = {p: place.offset for p, place in places(tx, self._table).items()}
        finally:
            tx.rollback()
        return standing

    def _commit(self, fetched: Fetched) -> Adopted:
        tx = self._session.begin()
        try:
            with tx.statement(f"adopt {self._source.topic}"):
                done = adopt_batch(tx, self._table, self._reader, fetched)
            tx.commit()
        finally:
            tx.rollback()
        return done

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def new_adoption(
    session: "Session",
    name: str,
    source: TopicSource,
    *,
    columns: Mapping[str, str] | None = None,
    key: Sequence[str] = (),
    schemas: Schemas | None = None,
) -> Adoption:
    """Make the table, shaped as its topic says or as `columns` do, from the topic's start on.

    Raises:
        BadArgument: the topic does not tell its columns. Nothing was made.
        NameTaken, SchemaInvalid: nothing was made.
        SourceLost, StoreUnavailable: the topic cannot be read. Nothing was made.
    """
    starts = {partition: first for partition, (first, _) in source.bounds().items()}
    declared = {name: SqlType.parse(type_) for name, type_ in (columns or {}).items()}
    reader = ForeignReader(schemas, declared)
    if declared:
        specs = [ColumnSpec(column, type_) for column, type_ in declared.items()]
    else:
        try:
            specs, found = shape_of(source, reader, starts)
        except SchemaInvalid as error:
            raise BadArgument(str(error)) from error
        key = key or found
    asked = AdoptionSpec(topic=source.topic, columns=specs, key=key, declared=bool(declared))
    made = session.define(lambda tx: adopt_table(tx, name, asked, starts))
    return Adoption(session, made, source, reader)


def going_on(
    session: "Session", table: TableObject, source: TopicSource, schemas: Schemas | None
) -> Adoption:
    """Go on feeding a table that was adopted before."""
    declared = {column.name: column.type for column in table.schema.columns}
    return Adoption(session, table, source, ForeignReader(schemas, declared))
