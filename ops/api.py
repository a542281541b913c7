"""`headwater.connect`: a store, its tables, streams and transactions, as Python holds them."""

import getpass
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from headwater.consumers import lifecycle
from headwater.consumers.positions import Said
from headwater.log_store.parameters import (
    PARAMETERS,
    value_of,
)
from headwater.ops.api_connection import Connection
from headwater.ops.api_definitions import (
    Columns,
    cloned_stream,
    cloned_table,
    dropped_stream,
    dropped_table,
    new_stream,
    new_table,
    swapped_tables,
)
from headwater.ops.api_streams import Stream, StreamArguments
from headwater.ops.api_tables import Table
from headwater.ops.api_transaction import Tx
from headwater.ops.api_views import ParameterInfo, ViewInfo, view_info
from headwater.ops.errors import BadArgument, NotVisible
from headwater.ops.expiry import Expired
from headwater.ops.nodes import Node
from headwater.ops.present import from_us
from headwater.ops.session import Session
from headwater.ops.settings import Settings
from headwater.ops.wiring import OpenOptions, nodes_of, open_source, open_store
from headwater.producer import ddl, parameters
from headwater.producer.names import find_stream, find_table
from headwater.producer.staged import topic_of

if TYPE_CHECKING:
    from headwater.ops.api_adopt import Adoption


def connect(
    target: str | Path | None = None,
    *,
    read_only: bool = False,
    create: bool = True,
    durability: str | None = None,
    actor: str | None = None,
    clock: Callable[[], int] | None = None,
) -> "Database":
    """The store in a directory, made if there is none; `memory:` is one that dies with it.

    Without a target: `HEADWATER_DIR`, else `headwater-data`. `durability` is `fsync` (default:
    an acknowledged commit survives a power cut) or `os` (it survives a killed process).
    `read_only` reads beside a process that has the store open. `actor` is written beside each
    commit. `clock` gives microseconds since 1970.

    Raises:
        DirectoryInUse: another process has it open; names its pid and host.
        LogDamaged: what is on disk is not what was acknowledged; names file and position.
    """
    options = OpenOptions(read_only=read_only, create=create, durability=durability, clock=clock)
    settings = Settings()
    store = open_store(settings.dir if target is None else target, options)
    who = actor if actor is not None else settings.actor or _login()
    return Database(Session(store, who))


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user, as in a bare container
        return ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Something kept for ever: a definition, a rewind, a refusal. `detail` is JSON."""

    sequence: int
    time: datetime
    actor: str
    what: str
    detail: str


class Database(Connection):
    """A connection to a store. Close it, or use it as a context manager."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._closed = False

    def __repr__(self) -> str:
        return f"Database({self._session.target!r})"

    @property
    def session(self) -> Session:
        """What the handles of this connection share."""
        return self._session

    # Tables.

    def create_schema(self, name: str, *, if_not_exists: bool = False) -> None:
        """A schema for tables and streams to live under."""
        self._session.define(lambda tx: ddl.create_namespace(tx, name, if_not_exists=if_not_exists))

    def drop_schema(self, name: str) -> None:
        """Drop an empty schema."""
        self._session.define(lambda tx: ddl.drop_namespace(tx, name))

    def create_table(
        self,
        name: str,
        columns: Columns,
        *,
        key: str | Sequence[str] = (),
        if_not_exists: bool = False,
        or_replace: bool = False,
    ) -> Table:
        """A table; `columns` are types by name, or `ColumnSpec`s for defaults and NOT NULL.

        Raises:
            NameTaken: a table has the name. Nothing was created.
            TypeNotKnown, SchemaInvalid: nothing was created.
        """
        made = self._session.define(
            new_table(name, columns, key, if_not_exists=if_not_exists, or_replace=or_replace)
        )
        return Table(self._session, made)

    def table(self, name: str) -> Table:
        """The table of that name.

        Raises:
            NotFound: there is none.
        """
        with self._session.view() as view:
            return Table(self._session, find_table(view.catalog, name).id)

    def tables(self) -> list[Table]:
        """Every live table, in order of creation."""
        with self._session.view() as view:
            return [Table(self._session, found.id) for found in view.catalog.tables()]

    def drop_table(self, name: str, *, if_exists: bool = False) -> None:
        """Drop a table: its streams are stale, it is no consumer any more; see `undrop_table`."""
        self._session.define(dropped_table(name, if_exists=if_exists))

    def undrop_table(self, name: str) -> Table:
        """Bring the table last dropped under a name back, with its streams and watermarks."""
        return Table(
            self._session, self._session.define(lambda tx: lifecycle.undrop_table(tx, name)).id
        )

    def rename_table(self, old: str, new: str) -> None:
        """Give a table another name; its topic, streams and consumers stay with it."""
        self._session.define(lambda tx: ddl.rename_table(tx, find_table(tx.catalog, old), new))

    def swap_tables(self, one: str, other: str) -> None:
        """Let two tables swap their names in one commit."""
        self._session.define(swapped_tables(one, other))

    def clone_table(self, name: str, source: str, *, at: Said | None = None) -> Table:
        """A table with another's rows, as of now or of a version or time.

        It starts at v0; the rows arrive as v1 under the row ids they have.
        """
        place = None if at is None else self._session.position(at)
        return Table(self._session, self._session.define(cloned_table(name, source, place)))

    # Topics of others.

    def adopt(
        self,
        name: str,
        topic: str,
        *,
        brokers: str | None = None,
        columns: Mapping[str, str] | None = None,
        key: str | Sequence[str] = (),
        schemas: Callable[[int], str] | None = None,
    ) -> "Adoption":
        """A table that a topic in Debezium's envelope feeds, from the topic's start on.

        The topic tells its columns and key, unless its messages are JSON without a schema: then
        `columns` (types by name) and `key` say them. `schemas` gives the text of an Avro schema by
        the registry's id. `brokers` are needed where the store itself is on no cluster. Nothing is
        read before the first `step`, `catch_up` or `run` of what this returns.

        Raises:
            BadArgument, SchemaInvalid: the columns or the key are not known. Nothing was made.
            SourceLost, StoreUnavailable: the topic cannot be read. Nothing was made.
        """
        from headwater.ops.api_adopt import new_adoption  # it loads what reads others' Avro

        parts = [key] if isinstance(key, str) else list(key)
        source = open_source(self._session.target, topic, brokers)
        try:
            return new_adoption(
                self._session, name, source, columns=columns, key=parts, schemas=schemas
            )
        except BaseException:
            source.close()
            raise

    def adoption(
        self,
        name: str,
        *,
        brokers: str | None = None,
        schemas: Callable[[int], str] | None = None,
    ) -> "Adoption":
        """Go on feeding a table that was adopted before; see `adopt`.

        Raises:
            BadArgument: the table is not adopted.
        """
        from headwater.ops.api_adopt import going_on

        with self._session.view() as view:
            table = find_table(view.catalog, name)
        if not table.adopted:
            raise BadArgument(f"table {name} is not adopted from a topic")
        source = open_source(self._session.target, topic_of(table), brokers)
        return going_on(self._session, table, source, schemas)

    # Streams.

    def create_stream(
        self,
        name: str,
        on: str | Table,
        *,
        at: Said | None = None,
        before: Said | None = None,
        if_not_exists: bool = False,
        or_replace: bool = False,
        **options: Unpack[StreamArguments],
    ) -> Stream:
        """A stream of a table's or view's changes from the head on, or from a place in its history.

        `at` and `before` take a version, a time, `{"statement": id}` or `{"stream": name}`.

        Raises:
            NameTaken: a stream has the name. StreamInvalid: the options contradict each other.
            OutsideHistory: the place is not kept. Nothing was created.
        """
        do = new_stream(
            self._session,
            name,
            on,
            options,
            at=at,
            before=before,
            if_not_exists=if_not_exists,
            or_replace=or_replace,
        )
        return Stream(self._session, self._session.define(do))

    def stream(self, name: str) -> Stream:
        """The stream of that name.

        Raises:
            NotFound: there is none.
        """
        with self._session.view() as view:
            return Stream(self._session, find_stream(view.catalog, name).id)

    def streams(self) -> list[Stream]:
        """Every live stream, in order of creation."""
        with self._session.view() as view:
            return [Stream(self._session, found.id) for found in view.catalog.streams()]

    def drop_stream(self, name: str, *, if_exists: bool = False) -> None:
        """Drop a stream and retire its consumers; the record of their moves stays."""
        self._session.define(dropped_stream(name, if_exists=if_exists))

    def clone_stream(self, name: str, source: str, *, or_replace: bool = False) -> Stream:
        """A stream of the same definition whose consumers stand where the source's do."""
        do = cloned_stream(name, source, or_replace=or_replace)
        return Stream(self._session, self._session.define(do))

    # Views and parameters.

    def views(self) -> list[ViewInfo]:
        """Every live view, in order of creation; they are made in SQL."""
        with self._session.view() as view:
            return [view_info(view.catalog, found) for found in view.catalog.views()]

    def parameters(self) -> list[ParameterInfo]:
        """Every parameter of the store: what it is, its default, what it is about."""
        with self._session.view() as view:
            return [
                ParameterInfo(one.name, value_of(view.catalog, one), one.default, one.about)
                for one in PARAMETERS.values()
            ]

    def set_parameter(self, name: str, value: str | int | bool) -> None:
        """Set a parameter for the whole store; see `parameters`.

        Raises:
            NotFound: there is no such parameter. ParameterInvalid: it cannot be that.
        """
        self._session.define(lambda tx: parameters.set_parameter(tx, name, value))

    def unset_parameter(self, name: str) -> None:
        """Let a parameter stand at its default again."""
        self._session.define(lambda tx: parameters.unset_parameter(tx, name))

    # The store.

    @contextmanager
    def transaction(self, *, idempotency_key: str | None = None) -> Generator[Tx]:
        """Several statements in one commit: at a clean exit all of it, on an exception nothing.

        With an idempotency key, the same operations sent again under it change nothing and give
        the first results; kept for 7 days.

        Raises:
            WriteConflict: another writer was first. Nothing was written; run the block again.
            IdempotencyMismatch: the key stands for other operations. Nothing was written.
        """
        with self._session.transaction(idempotency_key) as tx:
            yield tx

    def expire(self) -> list[Expired]:
        """Let all history go that neither tables nor streams nor consumers ask to keep any more.

        It also happens by itself, when a directory is opened and every hour. Returns what went:
        tables with the version from which full history was kept, and is now.

        Raises:
            LogDamaged: what is to go does not hold; tables before it are done.
        """
        return self._session.expire()

    def audit(self) -> list[AuditEntry]:
        """What is kept for ever, oldest first: definitions, rewinds, refusals."""
        with self._session.view() as view:
            return [
                AuditEntry(row.sequence, from_us(row.time_us), row.actor, row.what, row.detail)
                for row in view.audit()
            ]

    def wait(self, sequence: int, timeout: float) -> int:
        """Wait for a commit after a place in the sequence, at most so many seconds.

        Returns the newest place.
        """
        return self._session.log.wait(sequence, timeout)

    def wait_for(self, sequence: int, timeout: float = 30.0) -> int:
        """Wait until the commit at that place is visible here; returns the newest place.

        What a node reads after this is at least as new. A session sees its own commits anyway.

        Raises:
            NotVisible: it is not, within so many seconds.
        """
        newest = self._session.log.wait(sequence - 1, timeout)
        if newest < sequence:
            raise NotVisible(sequence, newest, timeout)
        return newest

    def nodes(self) -> list[Node]:
        """The nodes of a store on Kafka, the writer first; none of any other store."""
        return nodes_of(self._session.log)

    @property
    def sequence(self) -> int:
        """The newest commit's place in the commit sequence; 0 in an empty store."""
        with self._session.view() as view:
            return view.sequence

    def close(self) -> None:
        """Leave the store, an open SQL transaction given up. A second call does nothing."""
        if not self._closed:
            self._closed = True
            self._end_sql()
            self._session.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()
