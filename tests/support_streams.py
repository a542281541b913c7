"""A small store for tests of streams: one call is one commit, unless a transaction is given."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import pyarrow as pa

from headwater.consumers import consume as consuming
from headwater.consumers import lifecycle, streams
from headwater.consumers.backlog import has_data
from headwater.consumers.read import PLAIN, ReadOptions, read
from headwater.consumers.registration import find_consumer, position
from headwater.consumers.streams import StreamOptions
from headwater.consumers.windows import UNBOUNDED, Bounds, Window
from headwater.log_store.catalog import StreamObject, TableObject
from headwater.log_store.port import Log
from headwater.log_store.records import Committed
from headwater.log_store.state import snapshot
from headwater.producer.names import find_stream, find_table
from headwater.producer.transaction import Transaction
from headwater.schemas.tables import ColumnSpec
from headwater.schemas.types import Row, SqlType

_T = TypeVar("_T")
PLAIN_STREAM = StreamOptions()
# (action, isupdate, row id, values)
StreamRow = tuple[str, bool, int, Row]


def shown(rows: pa.Table) -> list[StreamRow]:
    """A stream's rows as tuples, METADATA$VERSION and what follows it left out."""
    names = [name for name in rows.schema.names if not name.startswith("METADATA$")]
    return [
        (
            row["METADATA$ACTION"],
            row["METADATA$ISUPDATE"],
            int(row["METADATA$ROW_ID"]),
            tuple(row[name] for name in names),
        )
        for row in rows.to_pylist()
    ]


class Shop:
    """Tables of id INT and name VARCHAR in a log, and streams on them."""

    def __init__(self, log: Log) -> None:
        self.log = log

    @contextmanager
    def transaction(self) -> Generator[Transaction]:
        """Commits at a clean exit, rolls back on any exception."""
        tx = Transaction(self.log, actor="tester")
        try:
            yield tx
            tx.commit()
        except BaseException:
            tx.rollback()
            raise

    def do(self, what: Callable[[Transaction], _T]) -> _T:
        """One statement in a commit of its own."""
        with self.transaction() as tx, tx.statement():
            return what(tx)

    # Tables.

    def create(self, name: str, *, key: Sequence[str] = ("id",), replaces: bool = False) -> None:
        specs = [
            ColumnSpec("id", SqlType.parse("INT"), nullable=False),
            ColumnSpec("name", SqlType.parse("VARCHAR")),
        ]
        self.do(lambda tx: lifecycle.create_table(tx, name, specs, key, or_replace=replaces))

    def table(self, name: str, tx: Transaction | None = None) -> TableObject:
        if tx is not None:
            return find_table(tx.catalog, name)
        with self.log.view() as view:
            return find_table(view.catalog, name)

    def insert(self, name: str, *rows: Row, tx: Transaction | None = None) -> None:
        if tx is None:
            self.do(lambda own: own.insert(self.table(name, own), rows))
        else:
            tx.insert(self.table(name, tx), rows)

    def update(self, name: str, changes: Mapping[int, Row], tx: Transaction | None = None) -> None:
        """Rows by their id column, each with its new values."""

        def run(own: Transaction) -> None:
            table = self.table(name, own)
            own.update(table, [(self.row_id(own, table, k), row) for k, row in changes.items()])

        self.do(run) if tx is None else run(tx)

    def delete(self, name: str, *keys: int, tx: Transaction | None = None) -> None:
        def run(own: Transaction) -> None:
            table = self.table(name, own)
            own.delete(table, [self.row_id(own, table, key) for key in keys])

        self.do(run) if tx is None else run(tx)

    def row_id(self, tx: Transaction, table: TableObject, key: int) -> int:
        found = tx.row_by_key(table, (key,))
        assert found is not None
        return found[0]

    def rows(self, name: str) -> list[Row]:
        """The table's rows in row id order."""
        with self.log.view() as view:
            held = snapshot(view, find_table(view.catalog, name).id)
        return [tuple(row.values()) for row in held.data.to_pylist()]

    def row_ids(self, name: str) -> list[int]:
        with self.log.view() as view:
            return [int(one) for one in snapshot(view, find_table(view.catalog, name).id).row_ids]

    def head(self, name: str) -> int:
        with self.log.view() as view:
            return view.head(find_table(view.catalog, name).id).version

    # Streams.

    def stream(
        self,
        name: str,
        on: str,
        options: StreamOptions = PLAIN_STREAM,
        *,
        replaces: bool = False,
    ) -> StreamObject:
        return self.do(
            lambda tx: streams.create_stream(
                tx, name, self.table(on, tx), options, or_replace=replaces
            )
        )

    def alter(self, name: str, options: StreamOptions) -> StreamObject:
        return self.do(lambda tx: streams.alter_stream(tx, find_stream(tx.catalog, name), options))

    def find(self, name: str) -> StreamObject:
        with self.log.view() as view:
            return find_stream(view.catalog, name)

    def consume(
        self, tx: Transaction, name: str, into: str, bounds: Bounds = UNBOUNDED
    ) -> consuming.Consumption:
        """Fix a window for a table, within a transaction."""
        return consuming.consume(tx, find_stream(tx.catalog, name), self.table(into, tx), bounds)

    def feed(self, name: str, into: str, bounds: Bounds = UNBOUNDED) -> Window:
        """Consume a window into a table: every INSERT row of it becomes a row, keys aside."""
        with self.transaction() as tx, tx.statement():
            used = self.consume(tx, name, into, bounds)
            rows = [row for action, _, _, row in shown(used.table()) if action == "INSERT"]
            tx.insert(self.table(into, tx), rows)
            return used.window

    def read(
        self, name: str, after: int, upto: int, options: ReadOptions = PLAIN
    ) -> list[StreamRow]:
        """A window's rows, whoever consumes them."""
        with self.log.view() as view:
            parts = list(read(view, find_stream(view.catalog, name), Window(after, upto), options))
        return [row for part in parts for row in shown(part)]

    def position(self, name: str, consumer: str) -> int:
        """Where a consumer stands."""
        with self.log.view() as view:
            stream = find_stream(view.catalog, name)
            return position(view, find_consumer(view.catalog, stream, consumer))

    def has_data(self, name: str, consumer: str | None = None) -> bool:
        with self.log.view() as view:
            stream = find_stream(view.catalog, name)
            found = None if consumer is None else find_consumer(view.catalog, stream, consumer)
            return has_data(view, stream, found)

    def last(self) -> Committed:
        """The newest commit."""
        with self.log.view() as view:
            row = view.commit(view.sequence)
        assert row is not None
        return Committed(row.sequence, row.commit_id, row.time_us, row.versions)
