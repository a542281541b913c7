"""One statement for many rows of binds, as one statement: INSERT .. VALUES column by column."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import cast

from headwater.producer.bulk import FEW, RUN_ROWS
from headwater.producer.values import complete_inner, complete_rows
from headwater.schemas.arrow import Chunks
from headwater.sql.binds import bind_value, checked
from headwater.sql.cells import Bind, Default, Json
from headwater.sql.columns import inner_column
from headwater.sql.context import Binds, Context
from headwater.sql.errors import ProgrammingError
from headwater.sql.execute import run
from headwater.sql.names import target_named
from headwater.sql.results import Result, counts
from headwater.sql.statements import Delete, Insert, Merge, Statement, Update
from headwater.sql.values import Values, naming, positions_of, row_of, values_of, wrong_length


def one_statement(statements: Sequence[Statement], rows: Sequence[Binds]) -> Statement:
    """The only statement of a text, checked with each row of binds.

    Raises:
        ProgrammingError: there are several, it writes no rows, or a row does not fit it.
    """
    if len(statements) != 1 or not isinstance(statements[0], Insert | Update | Delete | Merge):
        raise ProgrammingError(
            "many rows of binds are for one INSERT, UPDATE, DELETE or MERGE", code="E_SQL_MANY"
        )
    if set(map(type, rows)) <= {tuple, list}:
        for length in set(map(len, rows)):
            checked(statements, next(row for row in rows if len(row) == length))
    else:
        for width in {_width(row) for row in rows}:
            checked(statements, next(row for row in rows if _width(row) == width))
    return statements[0]


def _width(row: Binds) -> object:
    """What makes binds alike: how many there are, or their names."""
    return frozenset(row) if isinstance(row, Mapping) else len(row)


def run_many(context: Context, rows: Sequence[Binds]) -> Result:
    """Run the context's statement for every row; what it counts is added up.

    Raises:
        ValueRefused, DuplicateKey, Error: of the first row that fails; nothing is staged.
    """
    statement = context.statement
    values = values_of(statement) if isinstance(statement, Insert) else None
    if values is not None and len(values.rows) == 1 and not values.overwrite:
        return _insert_many(context, values, rows)
    done = 0
    for row in rows:
        context.check()
        done += max(0, run(replace(context, binds=row)).rowcount)
    verb = type(statement).__name__.upper()
    ending = {"INSERT": "inserted", "UPDATE": "updated", "DELETE": "deleted"}.get(verb, "changed")
    return counts(verb, **{f"rows_{ending}": done})


def _insert_many(context: Context, values: Values, rows: Sequence[Binds]) -> Result:
    of = target_named(context.tx.catalog, context.state, values.table)
    positions = positions_of(of, values.columns)
    (cells,) = values.rows
    if len(cells) != len(positions):
        raise wrong_length(of, positions, len(cells))
    if len(rows) <= FEW:
        named = [row_of(replace(context, binds=row), of, positions, cells) for row in rows]
        with naming(of):
            whole = complete_rows(context.tx, of, named, first_row=0)
        return counts("INSERT", rows_inserted=context.tx.insert(of, whole))
    inserting = context.tx.bulk_insert(of)
    for start in range(0, len(rows), RUN_ROWS):
        context.check()
        part = rows[start : start + RUN_ROWS]
        sent = _Sent(part)
        given: dict[int, Chunks] = {}
        with naming(of):
            for at, cell in zip(positions, cells, strict=True):
                if isinstance(cell, Default):
                    continue
                found = cell.text if isinstance(cell, Json) else cell
                if isinstance(found, Bind):
                    column = sent.column(found)
                else:
                    column = [found(replace(context, binds=row)) for row in part]
                given[at] = inner_column(of.schema.columns[at], column, start)
            whole_part = complete_inner(context.tx, of, given, len(part), first_row=start)
        inserting.add(whole_part)
    return counts("INSERT", rows_inserted=inserting.finish())


class _Sent:
    """Some rows of binds, column by column."""

    def __init__(self, rows: Sequence[Binds]) -> None:
        self._rows = rows
        self._columns: list[Sequence[object]] | None = None
        if not isinstance(rows[0], Mapping):
            # `one_statement` looked at the rows: they are all of one sort and long enough.
            listed = cast("Sequence[Sequence[object]]", rows)
            # Column by column: unpacking all rows at once makes an iterator for each.
            self._columns = [list(map(itemgetter(at), listed)) for at in range(len(listed[0]))]

    def column(self, bind: Bind) -> Sequence[object]:
        """The values of one bind."""
        if self._columns is not None and isinstance(bind.key, int):
            return self._columns[bind.key]
        return [bind_value(row, bind.key) for row in self._rows]
