"""A transaction as a Python user holds it: several statements, one commit, or nothing."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.consumers.windows import Bounds
from headwater.log_store.catalog import TableObject
from headwater.ops.api_inputs import (
    HasId,
    RowDict,
    Setter,
    Where,
    as_rows,
    held,
    is_columnar,
    key_row,
    named_values,
    read_once,
)
from headwater.ops.api_windows import Window, open_window, told_window
from headwater.ops.errors import BadArgument
from headwater.ops.present import Reads, outer, row_dict, row_dicts
from headwater.ops.progress import load_progress
from headwater.ops.requests import Request
from headwater.producer.bulk_update import update_columns
from headwater.producer.errors import NotFound
from headwater.producer.load import load
from headwater.producer.names import find_table
from headwater.producer.transaction import Transaction
from headwater.producer.values import complete_rows
from headwater.schemas.arrow import kernel
from headwater.schemas.errors import ValueRefused
from headwater.schemas.tables import TableSchema
from headwater.schemas.types import Row
from headwater.schemas.values import from_plain, to_plain

if TYPE_CHECKING:
    from headwater.ops.api_tables import Table
    from headwater.ops.session import Session

Mask = npt.NDArray[np.bool_]

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
        *,
        autocommit: bool = False,
    ) -> None:
        self.session, self.inner, self.request = session, inner, request
        self._autocommit = autocommit

    @property
    def id(self) -> str:
        """The commit's id, known before it commits."""
        return self.inner.commit_id

    def insert(self, table: "str | int | Table", data: Data) -> int:
        """Insert rows; see `Table.insert`. Returns how many."""
        data = self._kept(data)
        return self._run("insert", table, (data,), lambda of: self._insert(of, data))

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
        return self._run("update", table, parts, lambda of: self._update(of, data, key, where, set))

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
        return self._run("delete", table, parts, lambda of: self._delete(of, key, keys, where))

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
            if self._autocommit:
                self.inner.only_statement(operation)
                return do(of)
            with self.inner.statement(operation):
                return do(of)
        except ValueRefused as refused:
            raise refused.in_table(of.name) from None

    def _kept(self, data: object) -> object:
        """What is given; under an idempotency key all of it, since it is read to compare too."""
        if self.request is not None and read_once(data):
            return pa.table(cast("pa.RecordBatchReader", data))
        return held(data)

    def _insert(self, of: TableObject, data: Data) -> int:
        if is_columnar(data):
            return load(self.inner, of, data, None)
        named = [named_values(of.schema, of.name, row) for row in as_rows(data)]
        return self.inner.insert(of, complete_rows(self.inner, of, named))

    def _update(
        self,
        of: TableObject,
        data: Data | None,
        key: object,
        where: Where | None,
        setters: Mapping[str, Setter] | None,
    ) -> int:
        if data is not None:
            if setters is not None or key is not None or where is not None:
                raise BadArgument("update takes rows by their key, or set with key or where")
            return self._update_each(of, data)
        if not setters:
            raise BadArgument("update needs set={column: value}, or rows with their key")
        positions = {_position(of, name): value for name, value in setters.items()}
        matched = self._matching(of, key, where)
        changed = [(row_id, _changed(of.schema, row, positions)) for row_id, row in matched]
        return self.inner.update(of, changed)

    def _update_each(self, of: TableObject, data: Data) -> int:
        if not of.schema.key:
            raise BadArgument(f"table {of.name} has no primary key to find rows by")
        if is_columnar(data):
            return update_columns(self.inner, of, pa.table(cast("pa.Table", data)))
        changed: list[tuple[int, Row]] = []
        for number, given in enumerate(as_rows(data)):
            named = named_values(of.schema, of.name, given)
            missing = [p for p in of.schema.key_positions if p not in named]
            if missing:
                name = of.schema.columns[missing[0]].name
                raise BadArgument(f"row {number} lacks key column {name} of table {of.name}")
            key = tuple(named[position] for position in of.schema.key_positions)
            found = self.inner.row_by_key(of, _key_values(of, key))
            if found is not None:
                changed.append((found[0], _changed(of.schema, found[1], named)))
        return self.inner.update(of, changed)

    def _delete(self, of: TableObject, key: object, keys: Data | None, where: Where | None) -> int:
        if keys is None:
            return self.inner.delete(of, [row_id for row_id, _ in self._matching(of, key, where)])
        if is_columnar(keys):
            table = pa.table(cast("pa.Table", keys))
            columns = [table.column(name).to_pylist() for name in table.column_names]
            names = table.column_names
            wanted: list[object] = [
                dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)
            ]
        else:
            wanted = list(cast("list[object]", keys))
        found = [self.inner.row_by_key(of, _key_values(of, key)) for key in wanted]
        # A key that is given twice names one row.
        return self.inner.delete(of, list({hit[0]: None for hit in found if hit is not None}))

    def _matching(self, of: TableObject, key: object, where: Where | None) -> list[tuple[int, Row]]:
        if (key is None) == (where is None):
            raise BadArgument("say which rows: key= for one, or where= for those that match")
        if key is not None:
            found = self.inner.row_by_key(of, _key_values(of, key))
            return [] if found is None else [found]
        row_ids = self.table(of.id).matching(cast(Where, where))
        rows = [self.inner.row(of, row_id) for row_id in row_ids]
        return [(row_id, row) for row_id, row in zip(row_ids, rows, strict=True) if row is not None]


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
        found = self._inner.row_by_key(self._of(), _key_values(self._of(), key))
        return None if found is None else row_dict(self._of().schema, found[1])

    def matching(self, where: Where) -> list[int]:
        """Ids of the rows that match: an Arrow expression, values to equal, or a function."""
        found = self._inner.scan(self._of())
        if callable(where):
            data = outer(self._of().schema, found.data)
            hit = [bool(where(row)) for row in row_dicts(data)]
            return cast("list[int]", found.row_ids[np.array(hit, dtype=np.bool_)].tolist())
        if isinstance(where, Mapping):
            of = self._of()
            named = where
            wanted = {_position(of, name): value for name, value in named.items()}
            hits = _equal(of.schema, found.data, wanted)
            return cast("list[int]", found.row_ids[hits].tolist())
        data = outer(self._of().schema, found.data).append_column(
            "METADATA$ROW_ID", pa.array(found.row_ids)
        )
        return cast("list[int]", data.filter(where).column("METADATA$ROW_ID").to_pylist())


def _equal(schema: TableSchema, data: pa.Table, wanted: Mapping[int, object]) -> Mask:
    """Which rows hold all of these values, compared as they are stored; None matches NULL."""
    hit = np.ones(data.num_rows, np.bool_)
    for position, value in wanted.items():
        column, plain = schema.columns[position], to_plain(schema.columns[position], value)
        values = data.column(position)
        if plain is None:
            hit &= values.is_null().to_numpy()
            continue
        text = column.type.arrow == pa.string()
        shown = plain if text else from_plain(column.type, plain)
        same = cast(
            "pa.ChunkedArray[pa.BooleanScalar]",
            kernel("equal", values, pa.scalar(shown, column.type.arrow)),
        )
        hit &= kernel("coalesce", same, pa.scalar(False)).to_numpy()
    return hit


def _as_sent(named: str | int | HasId | None) -> str | int | None:
    """A table or stream as a request names it: by name, or by id where it was handed over."""
    return named if named is None or isinstance(named, str | int) else named.id


def _position(of: TableObject, name: str) -> int:
    found = of.schema.position(name)
    if found is None:
        names = ", ".join(of.schema.names)
        raise BadArgument(f"table {of.name} has no column {name}: it has {names}")
    return found


def _key_values(of: TableObject, key: object) -> Row:
    whole = key_row(of, key)
    return tuple(whole[position] for position in of.schema.key_positions)


def _changed(schema: TableSchema, row: Row, setters: Mapping[int, Setter]) -> Row:
    """The row with some values set; functions see it as it was."""
    new = list(row)
    seen: RowDict | None = None
    for position, value in setters.items():
        if callable(value):
            seen = row_dict(schema, row) if seen is None else seen
            value = value(seen)
        new[position] = to_plain(schema.columns[position], value)
    return tuple(new)
