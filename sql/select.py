"""Running a query: sources registered, DuckDB asked, rows handed out in the inner Arrow types.

A result of some thousand rows is fetched whole and its reader is free at once; of a larger one the
rest is fetched as it is asked for, on a reader of its own, so that no other statement waits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa
from sqlglot import exp

from headwater.consumers.look import shown_window
from headwater.consumers.windows import Bounds, Window
from headwater.log_store.catalog import StreamObject
from headwater.schemas import arrow
from headwater.schemas.arrow_plain import to_plains
from headwater.schemas.values import from_plain
from headwater.sql.arrow_results import inner_rows
from headwater.sql.binder import Out
from headwater.sql.context import Context
from headwater.sql.duck_errors import translated
from headwater.sql.engine import engine_of
from headwater.sql.plans import Plan, plan_of
from headwater.sql.point import select_by_key
from headwater.sql.results import OutColumn
from headwater.sql.shapes import shaped
from headwater.sql.sources import AnySource, Kept, TableSource, Windows
from headwater.sql.statements import Reading
from headwater.sql.typing_duck import VARCHAR
from headwater.sql.uses import StreamUse, stream_uses

# So many bytes of a result are fetched before the first row is handed out.
_AT_ONCE: Final = 16 << 20


@dataclass(slots=True, eq=False)
class QueryResult:
    """A query's columns and its rows, which can be taken once."""

    columns: tuple[OutColumn, ...]
    batches: Iterator[pa.Table]

    def table(self) -> pa.Table:
        """All rows in one table."""
        schema = pa.schema([(column.name, column.type.arrow) for column in self.columns])
        parts = [part.rename_columns(schema.names) for part in self.batches]
        return pa.concat_tables([schema.empty_table(), *parts])


class Looking:
    """What SELECT shows of streams; nothing moves. Says which stale consumers it leaves out."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._shown: dict[tuple[int, Reading], Window] = {}

    def window(self, stream: StreamObject, reading: Reading) -> Window:
        """What a consumer, or at least one of them, has still to consume."""
        key = (stream.id, reading)
        if key not in self._shown:
            from headwater.consumers.backlog import stale_consumers

            view = self._context.tx.view
            bounds = Bounds(reading.limit_changes, reading.upto)
            self._shown[key] = shown_window(view, stream, reading.consumer, bounds)
            if reading.consumer is None:
                for name in stale_consumers(view, stream):
                    self._context.notices.append(
                        f"stream {stream.name}: consumer {name} is stale and left out"
                    )
        return self._shown[key]


def run_query(
    context: Context,
    tree: exp.Query | exp.Expr,
    windows: Windows,
    *,
    shape: Sequence[OutColumn] | None = None,
) -> QueryResult:
    """The rows of a query, as the context's transaction sees them.

    With `shape` they come as those columns, by the rules of assignment.

    Raises:
        ProgrammingError: a name or type is wrong, with its place. NotSupportedError: names what there
            is none of. DataError: a value that does not fit. OperationalError: cancelled, too large.
    """
    found = select_by_key(context, tree)
    if found is not None:
        return _shown(context, found[0], iter([found[1]]), shape)
    plan = plan_of(context, tree)
    columns = tuple(out_column(out) for out in plan.columns)
    return _shown(context, columns, _rows(context, plan, windows), shape)


def _shown(
    context: Context,
    columns: tuple[OutColumn, ...],
    rows: Iterator[pa.Table],
    shape: Sequence[OutColumn] | None,
) -> QueryResult:
    if shape is None:
        return QueryResult(columns, inner_rows(rows, columns))
    return QueryResult(tuple(shape), shaped(context, rows, columns, shape))


def _rows(context: Context, plan: Plan, windows: Windows) -> Iterator[pa.Table]:
    """The rows of a plan; of bare columns of one relation without asking DuckDB."""
    if plan.bare is None:
        return Run(context, plan).rows(windows)
    source, positions = plan.bare
    if isinstance(source, TableSource):
        return iter([source.rows(context).data.select(positions)])
    return source.parts(context, windows, positions)


def out_column(out: Out) -> OutColumn:
    """A plan's column as a result's."""
    return OutColumn(out.name, out.declared or out.type or VARCHAR, out.nullable)


class Run:
    """One query on one reader: what it lent to DuckDB, taken back when it is over."""

    def __init__(self, context: Context, plan: Plan) -> None:
        self.context, self.plan = context, plan
        self._engine = engine_of(context.store.log, context.store.limits)
        self.reader = self._engine.take()
        self._lent: list[str] = []
        self._over = False

    def _stop(self) -> None:
        # A reader that has been given back may run another's statement.
        if not self._over:
            self.reader.cursor.interrupt()

    def rows(self, windows: Windows) -> Iterator[pa.Table]:
        """The rows as DuckDB gives them; small results are fetched before this returns."""
        try:
            self.context.on_cancel(self._stop)
            for source in self.plan.sources:
                self._register(source, windows)
            self.context.check()
            given = {f"p{at + 1}": get(self.context) for at, get in enumerate(self.plan.params)}
            first, rest = _ahead(self.reader.ask(self.plan.sql, given))
        except BaseException as error:
            raise self._ended_by(error) from error
        if rest is None:
            self._end(sound=True)
            return iter(first)
        return self._streamed(first, rest)

    def _register(self, source: AnySource, windows: Windows) -> None:
        loaded = source.load(self.context, windows)
        if isinstance(loaded, Kept):
            self.reader.show(source.name, loaded.owner, loaded.make)
        else:
            self.reader.lend(source.name, loaded.data)
            self._lent.append(source.name)

    def _streamed(
        self, first: list[pa.Table], rest: Iterator[pa.RecordBatch]
    ) -> Iterator[pa.Table]:
        try:
            yield from first
            for batch in rest:
                self.context.check()
                yield pa.Table.from_batches([batch])
        except BaseException as error:
            raise self._ended_by(error) from error
        self._end(sound=True)

    def _ended_by(self, error: BaseException) -> BaseException:
        """The reader is given up; the error to raise."""
        self._end(sound=False)
        if isinstance(error, duckdb.Error):
            return translated(error, self.context.statement)
        return error

    def _end(self, *, sound: bool) -> None:
        self._over = True
        if sound:
            for name in self._lent:
                self.reader.take_back(name)
        self._engine.give_back(self.reader, sound=sound)


def _ahead(
    found: Iterator[pa.RecordBatch],
) -> tuple[list[pa.Table], Iterator[pa.RecordBatch] | None]:
    """The first rows, and the rest if there are more than are fetched at once."""
    first: list[pa.Table] = []
    size = 0
    for batch in found:
        first.append(pa.Table.from_batches([batch]))
        size += batch.nbytes
        if size > _AT_ONCE:
            return first, found
    return first, None


def evaluate(context: Context, node: exp.Expr) -> object:
    """The value of one expression without columns, as users see it."""
    result = run_query(context, exp.Select(expressions=[node.copy()]), Looking(context))
    type_ = result.columns[0].type
    column = arrow.columns_of(result.table())[0]
    return from_plain(type_, to_plains(type_, column)[0])


__all__ = ["Looking", "QueryResult", "StreamUse", "Windows", "evaluate", "run_query", "stream_uses"]
