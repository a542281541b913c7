"""INSERT ALL | FIRST INTO a INTO b .. SELECT: one query, several targets, one pass over its rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa
from sqlglot import exp

from headwater.log_store.catalog import TableObject
from headwater.producer.bulk import BulkInsert
from headwater.producer.values import complete_inner
from headwater.schemas.types import SqlType
from headwater.sql.cells import Default, cell
from headwater.sql.columns import checked, chunks, flags, picked, shape_of
from headwater.sql.consumption import consumed
from headwater.sql.context import Context
from headwater.sql.errors import ProgrammingError
from headwater.sql.names import target_named
from headwater.sql.plans import plan_of
from headwater.sql.results import OutColumn, Result, counts
from headwater.sql.select import run_query
from headwater.sql.statements import InsertAll, InsertTarget
from headwater.sql.values import naming, positions_of

_SOURCE: Final = "__HW_SOURCE"
_TEST: Final = OutColumn("condition", SqlType.parse("BOOLEAN"))


@dataclass(frozen=True, slots=True)
class _Into:
    """One INTO: the target, which of its columns get values, and which rows it takes."""

    of: TableObject
    positions: tuple[int, ...]
    values: tuple[exp.Expr, ...]
    when: exp.Expr | None = None


def run(context: Context, statement: InsertAll) -> Result:
    """Run a multi-table INSERT; every row goes into each target whose condition it meets.

    Raises:
        WatermarksDiffer: the query reads a stream, and the targets stand at different places of it.
        ValueRefused, DuplicateKey, Error: nothing is staged.
    """
    columns = [out.name for out in plan_of(context, statement.query).columns]
    intos = _with_conditions(statement, [_into(context, one, columns) for one in statement.targets])
    query, shape = _query(statement, intos)
    targets = {into.of.id: into.of for into in intos}
    windows = consumed(context, query, list(targets.values()))
    found = run_query(context, query, windows, shape=shape)
    batches = checked(context, found.batches)
    if statement.overwrite:
        batches = iter(list(batches))  # read before they are gone
        for of in targets.values():
            context.tx.truncate(of)
    inserting = {at: context.tx.bulk_insert(of) for at, of in targets.items()}
    done = [0] * len(intos)
    for part in batches:
        for number, rows in enumerate(_add(context, intos, inserting, part)):
            done[number] += rows
    for one in inserting.values():
        one.finish()
    return _counted(intos, done)


def _into(context: Context, target: InsertTarget, columns: Sequence[str]) -> _Into:
    of = target_named(context.tx.catalog, context.state, target.table)
    positions = positions_of(of, target.columns or None)
    values: Sequence[exp.Expr] = target.values
    if not values:
        values = [_of_source(name) for name in columns]
    if len(values) != len(positions):
        raise ProgrammingError(
            f"INTO {of.name} takes {len(positions)} columns, {len(values)} values are given",
            code="E_COLUMN_COUNT",
        )
    pairs = zip(positions, values, strict=True)
    given = {at: value for at, value in pairs if not isinstance(cell(value), Default)}
    return _Into(of, tuple(given), tuple(given.values()))


def _of_source(name: str) -> exp.Expr:
    return exp.column(exp.to_identifier(name, quoted=True), table=_SOURCE)


def _with_conditions(statement: InsertAll, intos: Sequence[_Into]) -> list[_Into]:
    """Each INTO with its whole condition: ELSE, and what FIRST leaves to the ones before."""
    made: list[_Into] = []
    whens: list[exp.Expr] = []
    # An INTO without a WHEN of its own belongs to the one before.
    current: exp.Expr | None = None
    for target, into in zip(statement.targets, intos, strict=True):
        if target.otherwise:
            current = _none_of(whens)
        elif target.when is not None:
            current = target.when
            if statement.first and whens:
                current = exp.and_(exp.paren(current.copy()), _none_of(whens))
            whens.append(target.when)
        made.append(replace(into, when=current))
    return made


def _none_of(conditions: Sequence[exp.Expr]) -> exp.Expr:
    """True where none of the conditions is true; one that is NULL is not."""
    tests = [
        exp.Coalesce(this=exp.paren(one.copy()), expressions=[exp.false()]) for one in conditions
    ]
    return exp.not_(exp.paren(exp.or_(*tests)))


def _query(statement: InsertAll, intos: Sequence[_Into]) -> tuple[exp.Query, list[OutColumn]]:
    """One query over the source: a condition and the values of each INTO, side by side."""
    columns: list[exp.Expr] = []
    shape: list[OutColumn] = []
    for number, into in enumerate(intos):
        test: exp.Expr = exp.true() if into.when is None else into.when.copy()
        columns.append(exp.alias_(test, f"__HW_WHEN_{number}"))
        shape.append(_TEST)
        for at, value in zip(into.positions, into.values, strict=True):
            guarded: exp.Expr = value.copy()
            if into.when is not None:
                # A value that does not fit is wrong only in a row that goes there.
                guarded = exp.Case().when(exp.paren(into.when.copy()), guarded)
            columns.append(exp.alias_(guarded, f"__HW_VALUE_{number}_{at}"))
        shape += shape_of(into.of, into.positions)
    source = statement.query.copy()
    return exp.select(*columns).from_(source.subquery(_SOURCE)), shape


def _add(
    context: Context, intos: Sequence[_Into], inserting: dict[int, BulkInsert], part: pa.Table
) -> list[int]:
    """Hand some rows of the query to their targets; how many went into each."""
    done: list[int] = []
    start = 0
    for into in intos:
        rows = picked(part, flags(part, start))
        if rows.num_rows:
            given = {at: chunks(rows, start + 1 + n) for n, at in enumerate(into.positions)}
            with naming(into.of):
                whole = complete_inner(context.tx, into.of, given, rows.num_rows)
            inserting[into.of.id].add(whole)
        done.append(rows.num_rows)
        start += 1 + len(into.positions)
    return done


def _counted(intos: Sequence[_Into], done: Sequence[int]) -> Result:
    told: dict[str, int] = {}
    for into, rows in zip(intos, done, strict=True):
        name = f"rows_inserted_into_{into.of.name}"
        told[name] = told.get(name, 0) + rows
    return counts("INSERT", **told)
