"""Tables as a Python user holds them: reads now or as of any version, writes that commit at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast

import pyarrow as pa

from headwater.consumers.positions import Said, horizon, version_of
from headwater.log_store.catalog import AvroSchema, Catalog, TableObject
from headwater.log_store.port import View
from headwater.log_store.records import Counts
from headwater.log_store.state import diff, snapshot
from headwater.ops.api_inputs import Setter, Where, held, key_values, read_once
from headwater.ops.api_statements import Which, delete, insert, update
from headwater.ops.api_streams import span_seconds
from headwater.ops.present import Reads, from_us, outer, row_dict, row_dicts
from headwater.ops.progress import load_progress
from headwater.producer import ddl
from headwater.producer.errors import NotFound
from headwater.producer.load import load
from headwater.producer.transaction import Transaction
from headwater.schemas.images import codec
from headwater.schemas.project import project_row
from headwater.schemas.tables import ColumnSpec, TableSchema
from headwater.schemas.types import SqlType

if TYPE_CHECKING:
    from headwater.ops.api_transaction import Data
    from headwater.ops.session import Session


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One version of a table: its commit's place and time, and what the commit changed."""

    version: int
    sequence: int
    time: datetime
    inserts: int
    updates: int
    deletes: int
    bytes: int


@dataclass(frozen=True, slots=True)
class RowDiff:
    """How one row differs between two versions; a side it is not in is None."""

    row_id: str
    before: dict[str, object] | None
    after: dict[str, object] | None


@dataclass(frozen=True, slots=True)
class EventSchema:
    """An Avro schema that events of a table's topic carry: `text` is its canonical JSON."""

    id: int
    subject: str
    version: int
    text: str


class TableAt(Reads):
    """A table as of one version, in today's schema. Reads only."""

    def __init__(self, session: "Session", table_id: int, version: int) -> None:
        self._session, self._id, self.version = session, table_id, version

    def arrow(self) -> pa.Table:
        """All rows, in row id order.

        Raises:
            OutsideHistory: the version's history is no longer kept.
        """
        with self._session.view() as view:
            found = snapshot(view, self._id, self.version, cache=self._session.cache)
            return outer(found.schema, found.data)

    def count(self) -> int:
        """How many rows it has; from the version index, without reading them."""
        with self._session.view() as view:
            row = view.version(self._id, self.version)
            if row is None:
                return len(snapshot(view, self._id, self.version, cache=self._session.cache))
            return row.counts.inserts - row.counts.deletes


class Table(Reads):
    """A table, bound to its id: a rename does not lose it.

    Every write is a commit of its own, tried again by itself when another writer came first.
    """

    def __init__(self, session: "Session", table_id: int) -> None:
        self._session, self._id = session, table_id

    def __repr__(self) -> str:
        return f"Table({self.name!r}, v{self.head})"

    @property
    def id(self) -> int:
        """The table's object id, kept for life."""
        return self._id

    @property
    def name(self) -> str:
        """The table's current name."""
        return self._object().name

    @property
    def schema(self) -> TableSchema:
        """The table's current columns and key."""
        return self._object().schema

    @property
    def head(self) -> int:
        """The newest version."""
        with self._session.view() as view:
            return view.head(self._id).version

    @property
    def topic(self) -> str:
        """Where its events go, on a store on Kafka: given at creation, kept for life."""
        return self._object().topic

    def event_schemas(self) -> list[EventSchema]:
        """The Avro schemas of its events' keys and values, oldest first: all that are in use."""
        with self._session.view() as view:
            table = self._live(view)
            used = {part for g in table.generations for part in (g.key_schema_id, g.schema_id)}
            found = [one for one in view.catalog.all("avro") if isinstance(one, AvroSchema)]
        return [
            EventSchema(one.id, one.subject, one.version, one.text)
            for one in sorted(found, key=lambda one: one.id)
            if one.id in used
        ]

    def _object(self) -> TableObject:
        with self._session.view() as view:
            return self._live(view)

    def _live(self, view: View) -> TableObject:
        found = view.catalog.table(self._id)
        if found.dropped_at is not None:
            raise NotFound("table", found.name, "it was dropped; undrop it to read it")
        return found

    # Reads.

    def arrow(self) -> pa.Table:
        """All current rows, in row id order."""
        with self._session.view() as view:
            self._live(view)
            found = snapshot(view, self._id, cache=self._session.cache)
            return outer(found.schema, found.data)

    def count(self) -> int:
        """How many rows there are; costs the same however many."""
        with self._session.view() as view:
            self._live(view)
            return view.row_count(self._id)

    def get(self, key: object) -> dict[str, object] | None:
        """The row with a primary key, None if there is none. A key of several columns is a tuple."""
        with self._session.view() as view:
            of = self._live(view)
            row_id = view.row_id(self._id, codec(of.schema).key_of(key_values(of, key)))
            stored = None if row_id is None else view.row(self._id, row_id)
            if stored is None:
                return None
            written = of.schema_of(stored.schema_id)
            row = codec(written).decode(stored.image)
            return row_dict(of.schema, project_row(row, written, of.schema))

    def at(self, position: Said | None = None, **named: str | int | datetime) -> TableAt:
        """The table as of a version, a time, or right after a statement's commit.

        `at(3)`, `at(version=3)`, `at(time="2 hours ago")`, `at(statement=id)`.

        Raises:
            OutsideHistory: there is no such version, or it is no longer kept.
        """
        return self._as_of(position, named, before=False)

    def before(self, position: Said | None = None, **named: str | int | datetime) -> TableAt:
        """The table right before a version, time or statement; see `at`."""
        return self._as_of(position, named, before=True)

    def _as_of(
        self, position: Said | None, named: Mapping[str, str | int | datetime], *, before: bool
    ) -> TableAt:
        wanted = self._session.position(position, named)
        with self._session.view() as view:
            version = version_of(view, self._live(view), wanted, before=before)
            return TableAt(self._session, self._id, version)

    def history(self) -> list[VersionInfo]:
        """Every kept version, oldest first, with what its commit changed.

        What the horizon's own commit changed is no longer known, and given as nothing.
        """
        with self._session.view() as view:
            self._live(view)
            found: list[VersionInfo] = []
            before: Counts | None = None
            for row in view.versions(self._id, -1, view.head(self._id).version):
                was = row.counts if before is None else before
                change = [now - then for now, then in zip(row.counts, was, strict=True)]
                found.append(VersionInfo(row.version, row.sequence, from_us(row.time_us), *change))
                before = row.counts
            return found

    def diff(self, start: Said, end: Said) -> list[RowDiff]:
        """The net changes that turn the table of `start` into that of `end`, by row id."""
        with self._session.view() as view:
            of = self._live(view)
            low = version_of(view, of, self._session.position(start))
            high = version_of(view, of, self._session.position(end))
            found = diff(view, self._id, low, high)
            old = row_dicts(outer(of.schema, found.before))
            new = row_dicts(outer(of.schema, found.after))
            row_ids: list[int] = found.row_ids.tolist()
            befores: list[int] = found.before_at.tolist()
            afters: list[int] = found.after_at.tolist()
            return [
                RowDiff(str(row_id), old[b] if b >= 0 else None, new[a] if a >= 0 else None)
                for row_id, b, a in zip(row_ids, befores, afters, strict=True)
            ]

    @property
    def horizon(self) -> int:
        """The oldest version from which full history is kept."""
        with self._session.view() as view:
            return horizon(view, self._live(view).id)

    def retain(self, span: str | int | None) -> None:
        """Keep so much history, as in "30 days" or seconds; None follows the store's parameter.

        Streams may ask for more, and consumers that are behind get it for a while; see
        `Database.expire`.
        """
        seconds = span_seconds(span) if isinstance(span, str) else span
        self._session.define(lambda tx: ddl.retain_table(tx, self._in(tx.catalog), seconds))

    # Writes.

    def insert(self, data: "Data") -> int:
        """Insert rows: one dict, a list of dicts or tuples, an Arrow table or a DataFrame.

        Returns how many. Columns left out take their default.

        Raises:
            ValueRefused: a value does not fit its column; names row and column.
            DuplicateKey: a row has that key. Nothing was written in either case.
        """
        rows, again = _readable(data)
        return self._session.one(
            "insert", self._id, lambda tx, of: insert(tx, of, rows), again=again
        )

    def update(
        self,
        data: "Data | None" = None,
        *,
        key: object = None,
        where: "Where | None" = None,
        set: "Mapping[str, Setter] | None" = None,
    ) -> int:
        """Change rows: those of one `key`, those of `where`, or each row of `data` by its key.

        Returns how many matched; a row that already has the new values counts.
        """
        rows, again = (None, True) if data is None else _readable(data)
        which = Which(key, where)
        return self._session.one(
            "update", self._id, lambda tx, of: update(tx, of, rows, which, set), again=again
        )

    def delete(
        self, *, key: object = None, keys: "Data | None" = None, where: "Where | None" = None
    ) -> int:
        """Delete the row of one `key`, of each of `keys`, or those of `where`; returns how many."""
        rows, again = (None, True) if keys is None else _readable(keys)
        which = Which(key, where)
        return self._session.one(
            "delete", self._id, lambda tx, of: delete(tx, of, rows, which), again=again
        )

    def truncate(self) -> int:
        """Delete every row: a delete change for each. Returns how many."""
        return self._session.one("truncate", self._id, Transaction.truncate)

    def load(self, source: object, *, progress: bool = False) -> int:
        """Insert a whole source in one commit: a CSV, Parquet or NDJSON path, Arrow, a DataFrame.

        `progress` draws a bar on a terminal. Returns how many rows.

        Raises:
            SourceUnreadable, ValueRefused, DuplicateKey: nothing was written.
        """

        def do(tx: Transaction, of: TableObject) -> int:
            with load_progress(of.name, shown=progress) as report:
                return load(tx, of, rows, report)

        rows, again = _readable(source)
        return self._session.one("load", self._id, do, again=again)

    # Definition.

    def add_column(self, name: str, type: str, **options: object) -> None:
        """Add a column; `default` also stands in old rows, `nullable=False` needs one."""
        spec = ColumnSpec(name, SqlType.parse(type), **options)  # type: ignore[arg-type]
        self._session.define(lambda tx: ddl.add_column(tx, self._in(tx.catalog), spec))

    def drop_column(self, name: str) -> None:
        """Drop a column; old events keep it, nobody sees it."""
        self._session.define(lambda tx: ddl.drop_column(tx, self._in(tx.catalog), name))

    def rename_column(self, old: str, new: str) -> None:
        """Give a column another name; it stays the same column."""
        self._session.define(lambda tx: ddl.rename_column(tx, self._in(tx.catalog), old, new))

    def widen_column(self, name: str, type: str) -> None:
        """Widen a column's type: within the INT family, or a greater length."""
        wider = SqlType.parse(type)
        self._session.define(lambda tx: ddl.widen_column(tx, self._in(tx.catalog), name, wider))

    def _in(self, catalog: Catalog) -> TableObject:
        found = catalog.table(self._id)
        if found.dropped_at is not None:
            raise NotFound("table", found.name, "it was dropped")
        return found


def _readable(data: object) -> tuple[object, bool]:
    """What is given, and whether it can be read a second time."""
    if type(data) is dict:
        return cast("object", data), True
    return held(data), not read_once(data)
