"""A transaction as a Python user holds it: several statements, one commit, or nothing."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import pyarrow as pa

from headwater.consumers.windows import Bounds
from headwater.log_store.catalog import TableObject
from headwater.ops.api_definitions import Define, Definitions, as_sent, table_of
from headwater.ops.api_inputs import HasId, Setter, Where, held, read_once
from headwater.ops.api_statements import Which, delete, insert, update
from headwater.ops.api_windows import Window, open_window, told_window
from headwater.ops.api_within import TxTable
from headwater.ops.progress import load_progress
from headwater.ops.requests import Request
from headwater.producer.load import load
from headwater.producer.transaction import Transaction
from headwater.schemas.errors import ValueRefused

if TYPE_CHECKING:
    from headwater.ops.session import Session

# Rows: one dict, an iterable of dicts or tuples, Arrow, or a DataFrame.
Data = object


class Tx(Definitions):
    """Statements and definitions over one snapshot of the store, plus their own effects.

    One that fails takes back what it did and leaves the transaction open.
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

    def insert(self, table: str | int | HasId, data: Data) -> int:
        """Insert rows; see `Table.insert`. Returns how many."""
        data = self._kept(data)
        return self._run("insert", table, (data,), lambda of: insert(self.inner, of, data))

    def insert_own(self, table: int, rows: Callable[[], pa.RecordBatchReader]) -> int:
        """Insert what a window of this transaction shows; see `Window.insert`."""
        return self._run("insert own", table, (), lambda of: load(self.inner, of, rows(), None))

    def update(
        self,
        table: str | int | HasId,
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
        table: str | int | HasId,
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

    def truncate(self, table: str | int | HasId) -> int:
        """Delete every row, each as a delete change. Returns how many."""
        return self._run("truncate", table, (), self.inner.truncate)

    def load(self, table: str | int | HasId, source: object, *, progress: bool = False) -> int:
        """Insert a whole source; see `Table.load`. Returns how many rows."""
        source = self._kept(source)

        def do(of: TableObject) -> int:
            with load_progress(of.name, shown=progress) as report:
                return load(self.inner, of, source, report)

        return self._run("load", table, (source,), do)

    def table(self, name: str | int | HasId) -> "TxTable":
        """A table as this transaction sees it, own writes included."""
        return TxTable(self.inner, self.resolve(name).id)

    def consume(
        self,
        stream: str | HasId,
        *,
        into: str | int | HasId | None = None,
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
            sent = (as_sent(stream), as_sent(into), consumer, bounds)
            told = self.request.run("consume", sent, do)
            if not opened:
                windows = cast("list[int]", told)
                return told_window(self, windows)  # pyright: ignore[reportArgumentType]
        return opened[0]

    def resolve(self, table: str | int | HasId) -> TableObject:
        """The live table a name, an id or a `Table` means here."""
        return table_of(self.inner.catalog, table)

    def _run(
        self,
        operation: str,
        table: str | int | HasId,
        parts: tuple[object, ...],
        do: Callable[[TableObject], int],
    ) -> int:
        if self.request is None:
            return self._do(operation, table, do)
        sent = (as_sent(table), *parts)
        return cast(int, self.request.run(operation, sent, lambda: self._do(operation, table, do)))

    def _do(
        self, operation: str, table: str | int | HasId, do: Callable[[TableObject], int]
    ) -> int:
        of = self.resolve(table)
        try:
            with self.inner.statement(operation):
                return do(of)
        except ValueRefused as refused:
            raise refused.in_table(of.name) from None

    def _define(self, operation: str, parts: tuple[object, ...], do: Define) -> int:
        def done() -> int:
            with self.inner.statement(operation):
                return do(self.inner)

        if self.request is None:
            return done()
        return cast(int, self.request.run(operation, parts, done))

    def _kept(self, data: object) -> object:
        """What is given; under an idempotency key all of it, since it is read to compare too."""
        if self.request is not None and read_once(data):
            return pa.table(cast("pa.RecordBatchReader", data))
        return held(data)
