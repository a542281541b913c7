"""What every handle of one connection shares: the store, the clock, who acts."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from headwater.consumers.lens import Lens, Lenses
from headwater.consumers.positions import Position, Said, parse
from headwater.log_store.catalog import Catalog, StreamObject, TableObject
from headwater.log_store.port import Log, View
from headwater.log_store.sequencing import remembered
from headwater.log_store.snapshots import SnapshotCache
from headwater.log_store.source import TopicSource
from headwater.ops.errors import BadArgument, ReadOnly, TargetNotKnown
from headwater.ops.expiry import Expired, expire
from headwater.ops.requests import Request
from headwater.ops.settings import Settings
from headwater.ops.wiring import Store, open_source
from headwater.producer.errors import NotFound
from headwater.producer.retry import Tries, retry
from headwater.producer.transaction import Transaction
from headwater.schemas.errors import ValueRefused

if TYPE_CHECKING:
    from headwater.ops.api_transaction import Tx
    from headwater.sql.context import Limits

_T = TypeVar("_T")


class Session:
    """One connection. Each call takes its own snapshot, so threads can share it."""

    def __init__(self, store: Store, actor: str) -> None:
        self._store, self.actor = store, actor
        # What looks through views for streams on them: the SQL room brings it.
        self.lenses: Lenses | None = None
        self._limits: Limits | None = None

    @property
    def log(self) -> Log:
        """The store's log."""
        return self._store.log

    @property
    def cache(self) -> SnapshotCache:
        """Snapshots shared by all sessions of the store."""
        return self._store.cache

    @property
    def target(self) -> str:
        """What was connected to."""
        return self._store.target

    @property
    def read_only(self) -> bool:
        """Whether the store was opened for reading."""
        return self._store.read_only

    @property
    def limits(self) -> "Limits":
        """What one SQL statement may use."""
        if self._limits is None:
            from headwater.sql.context import Limits

            settings = Settings()
            seconds, memory = settings.statement_seconds, settings.statement_mib << 20
            self._limits = Limits(seconds=seconds, memory_bytes=memory)
        return self._limits

    @property
    def locations(self) -> Sequence[Path] | None:
        """Where COPY may read and write: anywhere, as the program itself may."""
        return None

    def now(self) -> int:
        """The store's clock, microseconds since 1970 UTC."""
        return self._store.clock()

    def topic(self, name: str, brokers: str | None) -> TopicSource:
        """A foreign topic: of these brokers, else of the cluster that the store itself is on.

        Raises:
            OperationalError: the store is on none, and no brokers are named.
        """
        from headwater.sql.errors import OperationalError  # only statements ask for this

        try:
            return open_source(self.target, name, brokers)
        except TargetNotKnown as error:
            raise OperationalError(
                f"topic {name}: this store is on no cluster, say BROKERS = 'host:9092'",
                code=error.code,
            ) from error

    def lens(self, catalog: Catalog, stream: StreamObject) -> Lens | None:
        """What a stream on a view is read through; None for one on a table.

        Raises:
            StreamInvalid: the view's text does not fit its table any more.
        """
        if stream.view is None:
            return None
        if self.lenses is None:
            from headwater.sql.view_lens import lens_of  # it loads DuckDB

            self.lenses = lens_of
        return self.lenses(catalog, catalog.view(stream.view))

    def view(self) -> View:
        """The newest state, to be closed."""
        return self._store.log.view()

    def begin(self) -> Transaction:
        """A transaction on the newest state.

        Raises:
            ReadOnly: the store was opened for reading.
        """
        if self._store.read_only:
            raise ReadOnly(self._store.target)
        return Transaction(self._store.log, actor=self.actor)

    @contextmanager
    def transaction(self, idempotency_key: str | None = None) -> Generator["Tx"]:
        """One transaction: commits at a clean exit, writes nothing on any exception."""
        from headwater.ops.api_transaction import Tx

        inner = self.begin()
        request = None if idempotency_key is None else self._request(inner, idempotency_key)
        try:
            # A checker that goes by folders sees this class under two names.
            yield Tx(self, inner, request)  # pyright: ignore[reportArgumentType]
            if request is None:
                inner.commit()
            else:
                inner.idempotency = request.idempotency
                inner.commit(request.result)
        except BaseException:
            inner.rollback()
            raise

    def _request(self, inner: Transaction, key: str) -> Request:
        if not key:
            raise BadArgument("an idempotency key is not empty")
        first = inner.view.find_idempotent(key)
        if first is not None and not remembered(first, inner.view.catalog, self.now()):
            first = None
        return Request(key, first)

    def one(
        self,
        operation: str,
        table: int,
        do: Callable[[Transaction, TableObject], int],
        *,
        again: bool = True,
    ) -> int:
        """One statement on a live table in a commit of its own; returns how many rows.

        Again by itself when another writer came first, but for what can be read only once: that
        would be found empty the second time.
        """
        tries = Tries()
        while True:
            inner = self.begin()
            try:
                of = inner.catalog.table(table)
                if of.dropped_at is not None:
                    raise NotFound("table", of.name)
                inner.only_statement(operation)
                try:
                    done = do(inner, of)
                except ValueRefused as refused:
                    raise refused.in_table(of.name) from None
                inner.commit()
            except BaseException as error:
                inner.rollback()
                if not again or not tries.again(error):
                    raise
            else:
                return done

    def define(self, do: Callable[[Transaction], _T]) -> _T:
        """One definition in a commit of its own, again by itself after a conflict."""

        def attempt() -> _T:
            with self.transaction() as tx, tx.inner.statement():
                return do(tx.inner)

        return retry(attempt)

    def expire(self) -> list[Expired]:
        """Let all history go that nobody asks to keep any more; returns what went.

        Raises:
            ReadOnly: the store was opened for reading.
            LogDamaged: what is to go does not hold; tables before it are done.
        """
        if self._store.read_only:
            raise ReadOnly(self._store.target)
        return expire(self._store.log, self._store.clock)

    def position(
        self, said: Said | None, named: Mapping[str, str | int | datetime] | None = None
    ) -> Position:
        """A place in history, given by itself or as one named argument.

        Raises:
            BadArgument: none was given, or two.
        """
        if (said is None) == (not named):
            raise BadArgument("say one place: a version, a time, or e.g. statement=id")
        return parse(said if said is not None else dict(named or {}), self.now())

    def release(self) -> None:
        """Leave the store; it closes with its last session."""
        self._store.release()
