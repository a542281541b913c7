"""A session: statements one after the other, transactions, and what is remembered between them.

Without an open transaction each statement is a commit of its own, tried again by itself when another
writer was first. A failed statement undoes itself only and leaves an open transaction open. Threads
may share a session: its lock lets one statement run at a time.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple
from weakref import WeakSet

import pyarrow as pa

from headwater.log_store.sequencing import remembered
from headwater.producer.retry import Tries, retry
from headwater.producer.transaction import Transaction
from headwater.sql.binds import NONE, checked
from headwater.sql.context import Binds, Context, State, Store
from headwater.sql.errors import Error, InterfaceError, OperationalError, ProgrammingError
from headwater.sql.execute import run, writes
from headwater.sql.many import one_statement, run_many
from headwater.sql.parse import parse
from headwater.sql.repeats import Repeats
from headwater.sql.results import Result, status
from headwater.sql.running import OpenRows, Running
from headwater.sql.statements import Begin, Commit, Rollback, Statement
from headwater.sql.translate import translated

# So much of a statement's text is kept beside its commit.
_KEPT_TEXT: Final = 4096
_CONTROL: Final = frozenset({Begin, Commit, Rollback})
# Iterators over what is in memory.
_AT_HAND: Final = frozenset({type(iter(())), type(iter([]))})


Work = Callable[[Context], Result]


class _Task(NamedTuple):
    """One statement to be run: what it is, what was sent with it, and how it is told to stop."""

    statement: Statement
    binds: Binds
    work: Work
    running: Running


class SqlSession:
    """One session of a store. `autocommit` off begins a transaction with the next statement.

    `query_id` is the id of the last statement, which AT (STATEMENT => ..) takes.
    """

    def __init__(self, store: Store, *, autocommit: bool = True) -> None:
        self.store = store
        self.state = State()
        if not autocommit:
            self.autocommit = False
        self.query_id = ""
        self._lock = threading.RLock()
        self._tx: Transaction | None = None
        self._repeats: Repeats | None = None
        self._running: Running | None = None
        self._open: WeakSet[OpenRows] = WeakSet()
        self._closed = False

    @property
    def autocommit(self) -> bool:
        """Whether each statement commits by itself: the session's parameter of that name."""
        return self.state.parameters.get("AUTOCOMMIT") is not False

    @autocommit.setter
    def autocommit(self, on: bool) -> None:
        self.state.parameters["AUTOCOMMIT"] = on

    # Statements.

    def execute(
        self, text: str, binds: Binds = NONE, *, idempotency_key: str | None = None
    ) -> list[Result]:
        """What the statements of a text give, all of them run; see `run`."""
        return list(self.run(text, binds, idempotency_key=idempotency_key))

    def run(
        self, text: str, binds: Binds = NONE, *, idempotency_key: str | None = None
    ) -> Iterator[Result]:
        """The statements of a text, each run when its result is asked for; one alone at once.

        With an idempotency key they are one commit; the same text and binds sent again under it
        change nothing and give the first results.

        Raises:
            Error: a statement failed and undid itself. Those before it stand, or are open still.
        """
        statements = self._statements(text, binds)
        if idempotency_key is not None:
            return iter(self._keyed(statements, binds, idempotency_key))
        if len(statements) == 1:
            return iter((self._one(statements[0], binds),))
        return (self._one(statement, binds) for statement in statements)

    def _statements(self, text: str, binds: Binds) -> Sequence[Statement]:
        statements = self._parsed(text)
        checked(statements, binds)
        return statements

    def _parsed(self, text: str) -> Sequence[Statement]:
        if self._closed:
            raise InterfaceError("the session is closed: open another", code="E_SQL_CLOSED")
        return parse(text, longest=self.store.limits.text_bytes)

    def run_many(self, text: str, rows: Iterable[Binds]) -> Result:
        """One statement for each row of binds, all as one statement; counts add up.

        Raises:
            ProgrammingError: the text is not one statement that writes rows.
            Error: a row failed; none of them did anything.
        """
        sent = list(rows)
        statement = one_statement(self._parsed(text), sent)
        return self._do(statement, sent, lambda context: run_many(context, sent))

    def _one(self, statement: Statement, binds: Binds) -> Result:
        if type(statement) in _CONTROL:
            with self._lock:
                return self._control(statement)
        return self._do(statement, binds, run)

    def _do(self, statement: Statement, binds: Binds, work: Work) -> Result:
        with self._lock:
            if self._tx is None and not self.autocommit:
                self._tx = self._transaction()
            running = self._running = Running(self._seconds())
            running.start()
            try:
                task = _Task(statement, binds, work, running)
                if self._tx is not None:
                    return self._within(self._tx, task)
                return self._again(task)
            except Exception as error:
                if running.stopped:
                    raise running.error() from error
                raise _raised(error, statement)
            finally:
                running.pause()
                self._running = None

    def _again(self, task: "_Task") -> Result:
        """One statement in a commit of its own, tried anew when another writer was first."""
        tries = Tries()
        while True:
            try:
                return self._alone(task)
            except Exception as error:
                if not tries.again(error):
                    raise

    def _alone(self, task: "_Task") -> Result:
        """One statement in a commit of its own."""
        tx = self._transaction()
        try:
            tx.only_statement(task.statement.text[:_KEPT_TEXT])
            self.query_id = f"{tx.commit_id}:1"
            result = self._run(tx, task)
            if isinstance(result.batches, OpenRows) and result.batches.open:
                return result
            tx.commit()
        except BaseException:
            tx.rollback()
            raise
        return result

    def _within(self, tx: Transaction, task: "_Task") -> Result:
        """One statement of the open transaction."""

        def do() -> Result:
            with tx.statement(task.statement.text[:_KEPT_TEXT]) as query_id:
                self.query_id = query_id
                return self._run(tx, task)

        if self._repeats is None:
            return do()
        return self._repeats.run(task.statement, task.binds, do)

    def _run(self, tx: Transaction, task: "_Task") -> Result:
        if self.store.read_only and writes(task.statement):
            raise OperationalError(
                "the store was opened for reading: connect without read_only to write",
                code="E_READ_ONLY",
            )
        context = Context(
            self.store,
            self.state,
            tx,
            task.statement,
            task.binds,
            self.query_id,
            on_cancel=task.running.on_cancel,
            check=task.running.check,
            alone=self._tx is None,
        )
        result = task.work(context)
        result.query_id = self.query_id
        if task.statement.notices or context.notices:
            result.notices = [*task.statement.notices, *context.notices, *result.notices]
        self._keep_open(result, tx, task.running)
        return result

    def _keep_open(self, result: Result, tx: Transaction, running: Running) -> None:
        """Rows that all lie there already are taken; of others the rest stays to be read."""
        if type(result.batches) in _AT_HAND:
            return
        first = next(result.batches, None)
        second = None if first is None else next(result.batches, None)
        begun = [part for part in (first, second) if part is not None]
        if second is None:
            result.batches = iter(begun)
            return
        alone = self._tx is None
        rows = _chained(begun, result.batches)
        opened = OpenRows(rows, self._lock, running, tx.rollback if alone else _nothing)
        if not alone:
            self._open.add(opened)
        result.batches = opened

    # Transactions.

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._tx is not None

    def begin(self, *, idempotency_key: str | None = None) -> None:
        """Open a transaction; one that is open stays the one.

        With an idempotency key, the same statements sent again under it change nothing and give
        the first results.

        Raises:
            InterfaceError: a key for a transaction that is open already.
        """
        with self._lock:
            if self._tx is not None:
                if idempotency_key is not None:
                    raise InterfaceError(
                        "a transaction is open: an idempotency key is given with its BEGIN",
                        code="E_SQL_TRANSACTION",
                    )
                return
            self._tx = self._transaction()
            if idempotency_key is not None:
                try:
                    self._repeats = self._repeats_of(self._tx, idempotency_key)
                except BaseException:
                    self._end()
                    raise

    def commit(self) -> None:
        """Commit the open transaction; without one, do nothing. It is over however this ends.

        Raises:
            OperationalError: another writer was first (`retryable`), or the store failed.
        """
        with self._lock:
            tx, repeats = self._tx, self._repeats
            if tx is None:
                return
            try:
                self._settle()
                if repeats is None:
                    tx.commit()
                else:
                    tx.idempotency = repeats.idempotency
                    tx.commit(repeats.result)
            except Exception as error:  # noqa: BLE001 - PEP 249 has a class for each
                raise _raised(error, None)
            finally:
                self._end()

    def rollback(self) -> None:
        """Give the open transaction up; without one, do nothing."""
        with self._lock:
            if self._tx is not None:
                try:
                    self._settle()
                finally:
                    self._end()

    @contextmanager
    def transaction(self, *, idempotency_key: str | None = None) -> Generator[None]:
        """A transaction: commits at a clean exit, writes nothing on any exception."""
        self.begin(idempotency_key=idempotency_key)
        try:
            yield
        except BaseException:
            self.rollback()
            raise
        self.commit()

    def _control(self, statement: Statement) -> Result:
        match statement:
            case Begin():
                notice = "a transaction is open already: it stays the one" if self._tx else ""
                self.begin()
                result = status("BEGIN", "Statement executed successfully.")
                result.notices = [notice] if notice else []
                return result
            case Commit():
                self.commit()
                return status("COMMIT", "Statement executed successfully.")
            case _:
                self.rollback()
                return status("ROLLBACK", "Statement executed successfully.")

    def _transaction(self) -> Transaction:
        tx = Transaction(self.store.log, actor=self.store.actor, clock=self.store.now)
        if self.state.temporaries:
            self.state.temporaries.join(tx)
        return tx

    def _settle(self) -> None:
        for rows in list(self._open):
            rows.settle()

    def _end(self) -> None:
        tx, self._tx, self._repeats = self._tx, None, None
        self._open = WeakSet()
        if tx is not None:
            tx.rollback()

    # Requests.

    def _keyed(self, statements: Sequence[Statement], binds: Binds, key: str) -> list[Result]:
        for statement in statements:
            if type(statement) in _CONTROL:
                raise ProgrammingError(
                    "a text under an idempotency key is one transaction: leave BEGIN, COMMIT and "
                    "ROLLBACK out",
                    code="E_SQL_TRANSACTION",
                    place=statement.place,
                )

        def attempt() -> list[Result]:
            with self.transaction(idempotency_key=key):
                results = [self._one(statement, binds) for statement in statements]
            return results

        with self._lock:
            return retry(attempt)

    def _repeats_of(self, tx: Transaction, key: str) -> Repeats:
        if not key:
            raise InterfaceError("an idempotency key is not empty", code="E_SQL_KEY")
        first = tx.view.find_idempotent(key)
        if first is not None and not remembered(first, tx.view.catalog, self.store.now()):
            first = None
        return Repeats(key, first)

    # Ends.

    def cancel(self) -> None:
        """Stop the statement that runs now, from another thread; it undoes itself."""
        running = self._running
        if running is not None:
            running.cancel()

    def close(self) -> None:
        """Give an open transaction up and take no more statements. A second call does nothing."""
        with self._lock:
            self.rollback()
            self.state.temporaries.close()
            self._closed = True

    def _seconds(self) -> float:
        told = self.state.parameters.get("STATEMENT_TIMEOUT_IN_SECONDS")
        limit = self.store.limits.seconds
        if isinstance(told, int | float) and not isinstance(told, bool) and told > 0:
            return min(float(told), limit) if limit > 0 else float(told)
        return limit


def _raised(error: Exception, statement: Statement | None) -> Error:
    found = translated(error, statement)
    if found is not error:
        found.__cause__ = error
    return found if statement is None else found.at(statement.place)


def _chained(begun: list[pa.Table], rest: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield from begun
    yield from rest


def _nothing() -> None:
    """An open transaction ends by itself."""
