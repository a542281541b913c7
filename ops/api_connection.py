"""The SQL side of a connection, as PEP 249 has it: cursors, transactions, autocommit."""

import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from headwater.ops.api_cursor import Cursor
from headwater.ops.session import Session

if TYPE_CHECKING:
    from headwater.sql.context import Binds
    from headwater.sql.session import SqlSession


class Connection:
    """Statements as text. Each is a commit of its own unless a transaction is open.

    Threads may share a connection: one statement runs at a time.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sql: SqlSession | None = None
        self._sql_lock = threading.Lock()

    @property
    def sql(self) -> "SqlSession":
        """The session that this connection's statements run in; made at its first use."""
        made = self._sql
        if made is not None:
            return made
        with self._sql_lock:
            if self._sql is None:
                # Parsers and engines are loaded for those who use SQL only.
                from headwater.sql.session import SqlSession

                self._sql = SqlSession(self._session)
            return self._sql

    def cursor(self) -> Cursor:
        """A cursor: one statement's result at a time. All of a connection share its transaction."""
        return Cursor(self.sql)

    def execute(
        self, sql: str, params: "Binds | None" = None, *, idempotency_key: str | None = None
    ) -> Cursor:
        """Run a text on a new cursor; see `Cursor.execute`."""
        return self.cursor().execute(sql, params, idempotency_key=idempotency_key)

    def executemany(self, sql: str, rows: "Iterable[Binds]") -> Cursor:
        """Run one statement for each row of values on a new cursor; see `Cursor.executemany`."""
        return self.cursor().executemany(sql, rows)

    @property
    def autocommit(self) -> bool:
        """Whether each statement commits by itself; off, the next one opens a transaction."""
        return self.sql.autocommit

    @autocommit.setter
    def autocommit(self, on: bool) -> None:
        self.sql.autocommit = on

    def begin(self, *, idempotency_key: str | None = None) -> None:
        """Open a transaction, as BEGIN does.

        With an idempotency key, the same statements sent again under it change nothing and give
        the first results.
        """
        self.sql.begin(idempotency_key=idempotency_key)

    def commit(self) -> None:
        """Commit the transaction of SQL statements; without one, do nothing.

        Raises:
            OperationalError: another writer was first (`retryable`), or the store failed.
        """
        self.sql.commit()

    def rollback(self) -> None:
        """Give the transaction of SQL statements up; without one, do nothing."""
        self.sql.rollback()

    @contextmanager
    def sql_transaction(self, *, idempotency_key: str | None = None) -> Generator[Cursor]:
        """A transaction of SQL statements on one cursor: all of them, or nothing at all."""
        with self.sql.transaction(idempotency_key=idempotency_key), self.cursor() as cursor:
            yield cursor

    def cancel(self) -> None:
        """Stop the statement that runs now, from another thread; it undoes itself."""
        if self._sql is not None:
            self._sql.cancel()

    def _end_sql(self) -> None:
        if self._sql is not None:
            self._sql.close()
