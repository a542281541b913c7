"""A transaction as a Python user holds it: several statements, one commit, or nothing."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import pyarrow as pa

from headwater.consumers.windows import Bounds
from headwater.log_store.catalog import TableObject
from headwater.ops.api_inputs import (
    HasId,
    RowDict,
    Setter,
    Where,
    held,
    key_values,
    read_once,
)
from headwater.ops.api_statements import Which, delete, insert, matching, update
from headwater.ops.api_windows import Window, open_window, told_window
from headwater.ops.present import Reads, outer, row_dict
from headwater.ops.progress import load_progress
from headwater.ops.requests import Request
from headwater.producer.errors import NotFound
from headwater.producer.load import load
from headwater.producer.names import find_table
from headwater.producer.transaction import Transaction
from headwater.schemas.errors import ValueRefused

if TYPE_CHECKING:
    from headwater.ops.api_tables import Table
    from headwater.ops.session import Session

# Rows: one dict, an iterable of dicts or tuples, Arrow, or a DataFrame.
Data = object


class Tx:
    """Statements over one snapshot of the store, plus their own effects.

    A statement that fails takes back what it did and leaves the transaction open.
    """

    def __init__(
        self,
        session: "Session",
        inner: Transaction,
        request: Request | None = None,
    ) -> None:
        self.session, self.inner, self.request = session, inner, request

    @property
    def id(self) -> str:
        """The commit's id, known before it commits."""
        return self.inner.commit_id

    def insert(self, table: "str | int | Table", data: Data) -> int:
        """Insert rows; see `Table.insert`. Returns how many."""
        data = self._kept(data)
        return self._run("insert", table, (data,), lambda of: insert(self.inner, of, data))

    def insert_own(self, table: int, rows: Callable[[], pa.RecordBatchReader]) -> int:
        """Insert what a window of this transaction shows; see `Window.insert`."""
        return self._run("insert own", table, (), lambda of: load(self.inner, of, rows(), None))

    def update(
        self,
        table: "str | int | Table",
        data: Data | None = None,
        *,
        key: object = None,
        where: Where | None = None,
        set: Mapping[str, Setter] | None = None,
    ) -> int:
        """Change rows; see `Table.update`. Returns how many matched."""
        data = self._kept(data)
        parts = (data, key, where, set)
        which = Which(key, where)
        return self._run(
            "update", table, parts, lambda of: update(self.inner, of, data, which, set)
        )

    def delete(
        self,
        table: "str | int | Table",
        *,
        key: object = None,
        keys: Data | None = None,
        where: Where | None = None,
    ) -> int:
        """Delete rows; see `Table.delete`. Returns how many."""
        keys = self._kept(keys)
        parts = (key, keys, where)
        which = Which(key, where)
        return self._run("delete", table, parts, lambda of: delete(self.inner, of, keys, which))

    def truncate(self, table: "str | int | Table") -> int:
        """Delete every row, each as a delete change. Returns how many."""
        return self._run("truncate", table, (), self.inner.truncate)

    def load(self, table: "str | int | Table", source: object, *, progress: bool = False) -> int:
        """Insert a whole source; see `Table.load`. Returns how many rows."""
        source = self._kept(source)

        def do(of: TableObject) -> int:
            with load_progress(of.name, shown=progress) as report:
                return load(self.inner, of, source, report)

        return self._run("load", table, (source,), do)

    def table(self, name: "str | int | Table") -> "TxTable":
        """A table as this transaction sees it, own writes included."""
        return TxTable(self.inner, self.resolve(name).id)

    def consume(
        self,
        stream: str | HasId,
        *,
        into: "str | int | Table | None" = None,
        consumer: str | None = None,
        limit_changes: int | None = None,
        upto: int | None = None,
    ) -> Window:
        """A consumer's window; its watermark moves to the window's end when this commits.

        The consumer is the table `into`, or the CLIENT consumer `consumer`, registered at the base
        by its first use. The end is fixed at the first use: the head as this transaction began, or
        the bound: whole commits up to about `limit_changes` changes, or up to a version.

        Raises:
            StreamStale: its history is gone; the message names the ways out.
        """
        bounds = Bounds(limit_changes, upto)
        opened: list[Window] = []

        def do() -> list[int]:
            target = None if into is None else self.resolve(into)
            # A checker that goes by folders sees this class under two names.
            window = open_window(self, stream, target, consumer, bounds)  # pyright: ignore[reportArgumentType]
            opened.append(window)
            return opened[0].told()

        if self.request is None:
            do()
        else:
            sent = (_as_sent(stream), _as_sent(into), consumer, bounds)
            told = self.request.run("consume", sent, do)
            if not opened:
                windows = cast("list[int]", told)
                return told_window(self, windows)  # pyright: ignore[reportArgumentType]
        return opened[0]

    def resolve(self, table: "str | int | Table") -> TableObject:
        """The live table a name, an id or a `Table` means here."""
        if isinstance(table, str):
            return find_table(self.inner.catalog, table)
        found = self.inner.catalog.table(table if isinstance(table, int) else table.id)
        if found.dropped_at is not None:
            raise NotFound("table", found.name)
        return found

    def _run(
        self,
        operation: str,
        table: "str | int | Table",
        parts: tuple[object, ...],
        do: Callable[[TableObject], int],
    ) -> int:
        if self.request is None:
            return self._do(operation, table, do)
        sent = (_as_sent(table), *parts)
        return cast(int, self.request.run(operation, sent, lambda: self._do(operation, table, do)))

    def _do(
        self, operation: str, table: "str | int | Table", do: Callable[[TableObject], int]
    ) -> int:
        of = self.resolve(table)
        try:
            with self.inner.statement(operation):
                return do(of)
        except ValueRefused as refused:
            raise refused.in_table(of.name) from None

    def _kept(self, data: object) -> object:
        """What is given; under an idempotency key all of it, since it is read to compare too."""
        if self.request is not None and read_once(data):
            return pa.table(cast("pa.RecordBatchReader", data))
        return held(data)


class TxTable(Reads):
    """A table as one transaction sees it, its own writes included."""

    def __init__(self, inner: Transaction, table_id: int) -> None:
        self._inner, self._id = inner, table_id

    def _of(self) -> TableObject:
        return self._inner.catalog.table(self._id)

    def arrow(self) -> pa.Table:
        """All rows, in row id order."""
        return outer(self._of().schema, self._inner.scan(self._of()).data)

    def count(self) -> int:
        """How many rows there are."""
        return len(self._inner.scan(self._of()).row_ids)

    def get(self, key: object) -> RowDict | None:
        """The row with a primary key, None if there is none."""
        found = self._inner.row_by_key(self._of(), key_values(self._of(), key))
        return None if found is None else row_dict(self._of().schema, found[1])

    def matching(self, where: Where) -> list[int]:
        """Ids of the rows that match: an Arrow expression, values to equal, or a function."""
        return matching(self._inner, self._of(), where)


def _as_sent(named: str | int | HasId | None) -> str | int | None:
    """A table or stream as a request names it: by name, or by id where it was handed over."""
    return named if named is None or isinstance(named, str | int) else named.id
