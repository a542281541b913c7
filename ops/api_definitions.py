"""Definitions as Python asks for them: what `Database` does in a commit of its own, and `Tx` within one."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Unpack

from headwater.consumers import lifecycle, streams
from headwater.consumers.positions import Position, Said
from headwater.consumers.streams import StreamOptions, options_of
from headwater.log_store.catalog import Capture, Catalog, Sharing, StreamObject, TableObject
from headwater.log_store.parameters import (
    DEFAULT_STREAM_CAPTURE,
    DEFAULT_STREAM_CONSUMERS,
    value_of,
)
from headwater.ops.api_inputs import HasId
from headwater.ops.api_streams import StreamArguments, add_reader, stream_options
from headwater.ops.api_within import TxStream, TxTable
from headwater.ops.errors import BadArgument
from headwater.producer import ddl
from headwater.producer.errors import NotFound
from headwater.producer.names import find, find_relation, find_stream, find_table
from headwater.producer.transaction import Transaction
from headwater.schemas.tables import ColumnSpec
from headwater.schemas.types import SqlType

if TYPE_CHECKING:
    from headwater.ops.session import Session

Columns = Mapping[str, str | SqlType] | Sequence[ColumnSpec]
# Done in a transaction, gives the id of the object it is about.
Define = Callable[[Transaction], int]
NOTHING: Final = 0


def specs_of(columns: Columns) -> list[ColumnSpec]:
    """Columns as `ColumnSpec`s. Raises TypeNotKnown."""
    if not isinstance(columns, Mapping):
        return list(columns)
    return [
        ColumnSpec(name, SqlType.parse(type_) if isinstance(type_, str) else type_)
        for name, type_ in columns.items()
    ]


def table_of(catalog: Catalog, table: str | int | HasId) -> TableObject:
    """The live table a name, an id or a `Table` means in a catalog. Raises NotFound."""
    if isinstance(table, str):
        return find_table(catalog, table)
    found = catalog.table(table if isinstance(table, int) else table.id)
    if found.dropped_at is not None:
        raise NotFound("table", found.name, "it was dropped")
    return found


def as_sent(named: str | int | HasId | None) -> str | int | None:
    """A table or stream as a request names it: by name, or by id where it was handed over."""
    return named if named is None or isinstance(named, str | int) else named.id


def stream_of(catalog: Catalog, stream: str | int | HasId) -> StreamObject:
    """The live stream a name, an id or a `Stream` means in a catalog. Raises NotFound."""
    if isinstance(stream, str):
        return find_stream(catalog, stream)
    found = catalog.stream(stream if isinstance(stream, int) else stream.id)
    if found.dropped_at is not None:
        raise NotFound("stream", found.name, "it was dropped")
    return found


def new_table(
    name: str, columns: Columns, key: str | Sequence[str], *, if_not_exists: bool, or_replace: bool
) -> Define:
    """See `Database.create_table`."""
    specs = specs_of(columns)
    parts = [key] if isinstance(key, str) else list(key)
    return lambda tx: (
        lifecycle.create_table(
            tx, name, specs, parts, if_not_exists=if_not_exists, or_replace=or_replace
        ).id
    )


def dropped_table(name: str, *, if_exists: bool) -> Define:
    """See `Database.drop_table`."""

    def drop(tx: Transaction) -> int:
        if if_exists and find(tx.catalog, "table", name) is None:
            return NOTHING
        return lifecycle.drop_table(tx, find_table(tx.catalog, name)).id

    return drop


def swapped_tables(one: str, other: str) -> Define:
    """See `Database.swap_tables`."""

    def swap(tx: Transaction) -> int:
        first = find_table(tx.catalog, one)
        ddl.swap_tables(tx, first, find_table(tx.catalog, other))
        return first.id

    return swap


def cloned_table(name: str, source: str, place: Position | None) -> Define:
    """See `Database.clone_table`."""
    return lambda tx: lifecycle.clone_table(tx, name, find_table(tx.catalog, source), place).id


def new_stream(
    session: "Session",
    name: str,
    on: str | HasId,
    options: StreamArguments,
    *,
    at: Said | None = None,
    before: Said | None = None,
    if_not_exists: bool = False,
    or_replace: bool = False,
) -> Define:
    """See `Database.create_stream`."""
    if at is not None and before is not None:
        raise BadArgument("a stream starts at a place or before one, not both")
    said = at if before is None else before
    place = None if said is None else session.position(said)

    def create(tx: Transaction) -> int:
        of = find_relation(tx.catalog, on) if isinstance(on, str) else tx.catalog.table(on.id)
        standing = _unsaid(tx.catalog, place, before=before is not None)
        asked = stream_options(standing, options)
        return streams.create_stream(
            tx, name, of, asked, or_replace=or_replace, if_not_exists=if_not_exists
        ).id

    return create


def _unsaid(catalog: Catalog, place: Position | None, *, before: bool) -> StreamOptions:
    """The options of a new stream of which only the place was said."""
    return StreamOptions(
        capture=Capture(value_of(catalog, DEFAULT_STREAM_CAPTURE)),
        sharing=Sharing(value_of(catalog, DEFAULT_STREAM_CONSUMERS)),
        at=place,
        before=before,
    )


def dropped_stream(name: str, *, if_exists: bool) -> Define:
    """See `Database.drop_stream`."""

    def drop(tx: Transaction) -> int:
        if if_exists and find(tx.catalog, "stream", name) is None:
            return NOTHING
        found = find_stream(tx.catalog, name)
        streams.drop_stream(tx, found)
        return found.id

    return drop


def cloned_stream(name: str, source: str, *, or_replace: bool) -> Define:
    """See `Database.clone_stream`."""
    return lambda tx: (
        streams.clone_stream(tx, name, find_stream(tx.catalog, source), or_replace=or_replace).id
    )


def altered_stream(stream: str | HasId, options: StreamArguments) -> Define:
    """See `Stream.alter`."""

    def alter(tx: Transaction) -> int:
        standing = stream_of(tx.catalog, stream)
        wanted = stream_options(options_of(standing), options)
        return streams.alter_stream(tx, standing, wanted).id

    return alter


class Definitions(ABC):
    """The definitions that a transaction takes beside its rows: what `Tx` adds to its statements.

    Each sees what the transaction did before it, fails alone, and comes to be at the commit; the
    commit conflicts with whatever was committed meanwhile to a table that it defines anew. A table
    whose rows the transaction has changed is altered in the next one: AlterAfterWrite says so.
    """

    session: "Session"
    inner: Transaction

    @abstractmethod
    def _define(self, operation: str, parts: tuple[object, ...], do: Define) -> int:
        """Do it as one statement of the transaction, or tell what it gave the first time."""

    # Schemas and tables.

    def create_schema(self, name: str, *, if_not_exists: bool = False) -> None:
        """A schema; see `Database.create_schema`."""

        def create(tx: Transaction) -> int:
            return ddl.create_namespace(tx, name, if_not_exists=if_not_exists).id

        self._define("create schema", (name, if_not_exists), create)

    def drop_schema(self, name: str) -> None:
        """Drop an empty schema."""

        def drop(tx: Transaction) -> int:
            ddl.drop_namespace(tx, name)
            return NOTHING

        self._define("drop schema", (name,), drop)

    def create_table(
        self,
        name: str,
        columns: Columns,
        *,
        key: str | Sequence[str] = (),
        if_not_exists: bool = False,
        or_replace: bool = False,
    ) -> TxTable:
        """A table, which this transaction can write to at once; see `Database.create_table`."""
        do = new_table(name, columns, key, if_not_exists=if_not_exists, or_replace=or_replace)
        sent = (name, _said(columns), key, if_not_exists, or_replace)
        return TxTable(self.inner, self._define("create table", sent, do))

    def drop_table(self, name: str, *, if_exists: bool = False) -> None:
        """Drop a table; see `Database.drop_table`."""
        self._define("drop table", (name, if_exists), dropped_table(name, if_exists=if_exists))

    def undrop_table(self, name: str) -> TxTable:
        """Bring the table last dropped under a name back; see `Database.undrop_table`."""
        made = self._define("undrop table", (name,), lambda tx: lifecycle.undrop_table(tx, name).id)
        return TxTable(self.inner, made)

    def rename_table(self, old: str, new: str) -> None:
        """Give a table another name; see `Database.rename_table`."""

        def rename(tx: Transaction) -> int:
            return ddl.rename_table(tx, find_table(tx.catalog, old), new).id

        self._define("rename table", (old, new), rename)

    def swap_tables(self, one: str, other: str) -> None:
        """Let two tables swap their names; see `Database.swap_tables`."""
        self._define("swap tables", (one, other), swapped_tables(one, other))

    def clone_table(self, name: str, source: str, *, at: Said | None = None) -> TxTable:
        """A table with another's committed rows; see `Database.clone_table`."""
        place = None if at is None else self.session.position(at)
        made = self._define("clone table", (name, source, at), cloned_table(name, source, place))
        return TxTable(self.inner, made)

    def add_column(self, table: str | HasId, name: str, type: str, **options: object) -> None:
        """Add a column to a table; see `Table.add_column`."""
        spec = ColumnSpec(name, SqlType.parse(type), **options)  # type: ignore[arg-type]
        self._alter("add column", table, (spec,), lambda tx, of: ddl.add_column(tx, of, spec))

    def drop_column(self, table: str | HasId, name: str) -> None:
        """Drop a column of a table; see `Table.drop_column`."""
        self._alter("drop column", table, (name,), lambda tx, of: ddl.drop_column(tx, of, name))

    def rename_column(self, table: str | HasId, old: str, new: str) -> None:
        """Give a column another name; see `Table.rename_column`."""
        self._alter(
            "rename column", table, (old, new), lambda tx, of: ddl.rename_column(tx, of, old, new)
        )

    def widen_column(self, table: str | HasId, name: str, type: str) -> None:
        """Widen a column's type; see `Table.widen_column`."""
        wider = SqlType.parse(type)
        self._alter(
            "widen column",
            table,
            (name, type),
            lambda tx, of: ddl.widen_column(tx, of, name, wider),
        )

    def _alter(
        self,
        operation: str,
        table: str | HasId,
        parts: tuple[object, ...],
        do: Callable[[Transaction, TableObject], TableObject],
    ) -> None:
        sent = (as_sent(table), *parts)
        self._define(operation, sent, lambda tx: do(tx, table_of(tx.catalog, table)).id)

    # Streams and their consumers.

    def create_stream(
        self,
        name: str,
        on: str | HasId,
        *,
        at: Said | None = None,
        before: Said | None = None,
        if_not_exists: bool = False,
        or_replace: bool = False,
        **options: Unpack[StreamArguments],
    ) -> TxStream:
        """A stream, also on a table that this transaction makes; see `Database.create_stream`."""
        do = new_stream(
            self.session,
            name,
            on,
            options,
            at=at,
            before=before,
            if_not_exists=if_not_exists,
            or_replace=or_replace,
        )
        said = tuple(sorted(options.items()))
        sent = (name, as_sent(on), at, before, if_not_exists, or_replace, said)
        return TxStream(self._define("create stream", sent, do), name)

    def drop_stream(self, name: str, *, if_exists: bool = False) -> None:
        """Drop a stream and retire its consumers; see `Database.drop_stream`."""
        self._define("drop stream", (name, if_exists), dropped_stream(name, if_exists=if_exists))

    def clone_stream(self, name: str, source: str, *, or_replace: bool = False) -> TxStream:
        """A stream whose consumers stand where the source's do; see `Database.clone_stream`."""
        do = cloned_stream(name, source, or_replace=or_replace)
        return TxStream(self._define("clone stream", (name, source, or_replace), do), name)

    def alter_stream(self, stream: str | HasId, **options: Unpack[StreamArguments]) -> None:
        """Give a stream other options in place; see `StreamArguments`."""
        sent = (as_sent(stream), tuple(sorted(options.items())))
        self._define("alter stream", sent, altered_stream(stream, options))

    def add_consumer(
        self, stream: str | HasId, name: str | HasId, *, kind: str = "CLIENT", at: Said = "base"
    ) -> None:
        """Register a consumer before its first use; see `Stream.add_consumer`."""
        place = self.session.position(at)

        def add(tx: Transaction) -> int:
            return add_reader(tx, stream_of(tx.catalog, stream), name, kind, place)

        self._define("add consumer", (as_sent(stream), as_sent(name), kind, at), add)

    def drop_consumer(self, stream: str | HasId, name: str) -> None:
        """Retire a consumer; see `Stream.drop_consumer`."""

        def drop(tx: Transaction) -> int:
            return lifecycle.drop_consumer(tx, stream_of(tx.catalog, stream), name).id

        self._define("drop consumer", (as_sent(stream), name), drop)


def _said(columns: Columns) -> tuple[object, ...]:
    """Columns as a request compares them."""
    return tuple(columns.items()) if isinstance(columns, Mapping) else tuple(columns)
