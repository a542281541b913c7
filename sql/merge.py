"""MERGE INTO .. USING .. ON .. WHEN ..: one query that gives each row its clause and its values.

For a target row at most one source row may trigger a clause; those that trigger none do not count.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from sqlglot import exp

from headwater.log_store.catalog import TableObject
from headwater.schemas.types import SqlType
from headwater.sql.cells import Default, cell
from headwater.sql.columns import ROW_ID, checked, known, numbers, picked, shape_of
from headwater.sql.consumption import consumed
from headwater.sql.context import Context
from headwater.sql.errors import ProgrammingError, unsupported
from headwater.sql.insert import insert_rows
from headwater.sql.names import target_named
from headwater.sql.prepared import Prepared
from headwater.sql.results import OutColumn, Result, counts
from headwater.sql.select import run_query
from headwater.sql.settings import is_on
from headwater.sql.statements import Merge
from headwater.sql.targets import own_column, row_id_of, target_reference
from headwater.sql.update import Sets, changed_part, last_of_each, name_in, sets_of, several
from headwater.sql.values import positions_of, written

PARAMETER: Final = "ERROR_ON_NONDETERMINISTIC_MERGE"
_CLAUSE: Final = "__HW_CLAUSE"
_BATCH: Final = 65_536
_NUMBER: Final = OutColumn("clause", SqlType.parse("INT"))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a MERGE says of its target: the clauses, the columns they set, and the query."""

    whens: tuple["_When", ...]
    used: tuple[int, ...]
    query: exp.Query


@dataclass(frozen=True, slots=True)
class _When:
    """One WHEN: what it asks besides matching, and what it does: UPDATE, DELETE or INSERT."""

    verb: str
    matched: bool
    condition: exp.Expr | None
    sets: Sets


def run(context: Context, statement: Merge) -> Result:
    """Run a MERGE.

    Raises:
        ValueRefused, DuplicateKey, Error: nothing is staged.
    """
    of = target_named(context.tx.catalog, context.state, name_in(statement.tree.this))
    plan = _PREPARED.get(statement, of)
    windows = consumed(context, plan.query, [of])
    shape = [ROW_ID, _NUMBER, *shape_of(of, plan.used)]
    found = run_query(context, plan.query, windows, shape=shape)
    # All of it is needed before anything is done: rows that leave make room for keys that come.
    rows = pa.concat_tables([*checked(context, found.batches)] or [_none(shape)])
    fresh = ~known(rows, 0)
    matched, made = picked(rows, ~fresh), picked(rows, fresh)
    row_ids = np.sort(numbers(matched, 0))
    twice = row_ids[1:][row_ids[1:] == row_ids[:-1]]
    if len(twice):
        if is_on(context, PARAMETER):
            raise several(context, of, int(twice[0]), windows, "MERGE")
        matched, _ = last_of_each(matched)
    return _apply(_Doing(context, of, plan), matched, made)


def _plan(statement: Merge, of: TableObject) -> _Plan:
    tree = statement.tree
    target = target_reference(tree.this)
    whens = tuple(_read(of, node, target.alias) for node in tree.args["whens"].expressions)
    used = tuple(sorted({at for when in whens for at in when.sets.given}))
    return _Plan(whens, used, _query(tree, target, whens, used))


_PREPARED: Final = Prepared(_plan)


def _none(shape: Sequence[OutColumn]) -> pa.Table:
    fields = [(f"c{n}", column.type.arrow) for n, column in enumerate(shape)]
    return pa.schema(fields).empty_table()


# The clauses.


def _read(of: TableObject, node: exp.Expr, alias: str) -> _When:
    if not isinstance(node, exp.When):
        raise unsupported("MERGE has WHEN MATCHED and WHEN NOT MATCHED clauses")
    if node.args.get("source"):
        raise unsupported(
            "WHEN NOT MATCHED BY SOURCE is not there: DELETE or UPDATE those rows with a WHERE "
            "NOT EXISTS in the same transaction"
        )
    then, matched = node.args["then"], bool(node.args.get("matched"))
    condition = node.args.get("condition")
    match then:
        case exp.Update():
            verb, sets = "UPDATE", sets_of(of, _no_star(then.expressions), alias)
        case exp.Insert():
            verb, sets = "INSERT", _inserted(of, then, alias)
        case exp.Var() if str(then.this).upper() == "DELETE":
            verb, sets = "DELETE", Sets((), (), ())
        case _:
            raise unsupported(f"WHEN .. THEN {then.sql(dialect='snowflake')} is not there")
    if matched != (verb != "INSERT"):
        said = "WHEN MATCHED updates or deletes" if matched else "WHEN NOT MATCHED inserts"
        raise ProgrammingError(f"{said}, it cannot {verb}", code="E_SQL_SYNTAX")
    return _When(verb, matched, condition, sets)


def _no_star(nodes: Sequence[exp.Expr]) -> Sequence[exp.Expr]:
    if any(isinstance(node, exp.Star) for node in nodes):
        raise unsupported("ALL BY NAME is not there: list the columns")
    return nodes


def _inserted(of: TableObject, node: exp.Insert, alias: str) -> Sets:
    names = None if node.this is None else _no_star(_listed(node.this))
    columns = None
    if names is not None:
        columns = [
            own_column(name, alias, of.name) if isinstance(name, exp.Column) else written(name)
            for name in names
        ]
    positions = positions_of(of, columns)
    values = _listed(node.expression)
    if len(values) != len(positions):
        raise ProgrammingError(
            f"INSERT of the MERGE has {len(values)} values for {len(positions)} columns of table "
            f"{of.name}",
            code="E_COLUMN_COUNT",
        )
    pairs = zip(positions, values, strict=True)
    given = {at: value for at, value in pairs if not isinstance(cell(value), Default)}
    return Sets(tuple(given), tuple(given.values()), ())


def _listed(node: exp.Expr | None) -> list[exp.Expr]:
    if isinstance(node, exp.Tuple):
        return node.expressions
    if isinstance(node, exp.Paren):
        return [node.this]
    return [] if node is None else [node]


# The query.


def _query(
    tree: exp.Merge, target: exp.Table, whens: Sequence[_When], used: Sequence[int]
) -> exp.Query:
    """SELECT row id, clause, a value for each used column FROM source LEFT JOIN target."""
    row_id = row_id_of(target)
    tests = [_test(when, row_id) for when in whens]
    clause = exp.Case()
    for number, test in enumerate(tests):
        clause = clause.when(test.copy(), exp.Literal.number(number))
    columns: list[exp.Expr] = [exp.alias_(row_id.copy(), "__HW_ROW"), exp.alias_(clause, _CLAUSE)]
    for at in used:
        columns.append(exp.alias_(_value(whens, tests, at), f"__HW_SET_{at}"))
    kind = "left" if any(not when.matched for when in whens) else "inner"
    inner = exp.select(*columns).from_(tree.args["using"].copy())
    inner = inner.join(target, on=tree.args["on"].copy(), join_type=kind)
    outer = exp.select("*").from_(inner.subquery("__HW_MERGE"))
    query = outer.where(exp.column(_CLAUSE).is_(exp.null()).not_())
    if tree.args.get("with_") is not None:
        query.set("with_", tree.args["with_"].copy())
    return query


def _test(when: _When, row_id: exp.Column) -> exp.Expr:
    there: exp.Expr = row_id.copy().is_(exp.null())
    if when.matched:
        there = exp.Not(this=exp.paren(there))
    if when.condition is None:
        return there
    return exp.and_(there, exp.paren(when.condition.copy()))


def _value(whens: Sequence[_When], tests: Sequence[exp.Expr], at: int) -> exp.Expr:
    """What a column becomes, by the first clause that a row triggers."""
    made = exp.Case()
    for when, test in zip(whens, tests, strict=True):
        value: exp.Expr = exp.null()
        if at in when.sets.given:
            value = when.sets.values[when.sets.given.index(at)].copy()
        made = made.when(test.copy(), value)
    return made


# What is done.


@dataclass(frozen=True, slots=True)
class _Doing:
    context: Context
    of: TableObject
    plan: _Plan

    def part(self, rows: pa.Table, number: int) -> pa.Table:
        """The rows that triggered a clause: their ids, and what the clause gives."""
        given = [2 + self.plan.used.index(at) for at in self.plan.whens[number].sets.given]
        return picked(rows, numbers(rows, 1) == number).select([0, *given])

    def each(self, verb: str, rows: pa.Table) -> Iterator[tuple[_When, pa.Table]]:
        for number, when in enumerate(self.plan.whens):
            if when.verb == verb:
                part = self.part(rows, number)
                if part.num_rows:
                    yield when, part


def _apply(doing: _Doing, matched: pa.Table, made: pa.Table) -> Result:
    context, of = doing.context, doing.of
    gone = [numbers(part, 0) for _, part in doing.each("DELETE", matched)]
    deleted = context.tx.delete(of, np.concatenate(gone).tolist()) if gone else 0
    updated = _updated(doing, matched)
    inserted = _insert(doing, made)
    told: dict[str, int] = {}
    verbs = {when.verb for when in doing.plan.whens}
    for verb, name, count in (
        ("INSERT", "rows_inserted", inserted),
        ("UPDATE", "rows_updated", updated),
        ("DELETE", "rows_deleted", deleted),
    ):
        if verb in verbs:
            told[name] = count
    return counts("MERGE", **told)


def _updated(doing: _Doing, matched: pa.Table) -> int:
    """All updates as one step, so that rows may exchange their keys."""
    parts = [
        changed_part(doing.context, doing.of, when.sets, part)
        for when, part in doing.each("UPDATE", matched)
    ]
    return doing.context.tx.update_columns(doing.of, parts) if parts else 0


def _insert(doing: _Doing, made: pa.Table) -> int:
    """All inserts as one step per clause, in the order of the clauses."""
    done = 0
    for when, part in doing.each("INSERT", made):
        rows = part.select(list(range(1, part.num_columns)))
        # Without a column there is no row to cut either: all of them are DEFAULT.
        cut = (rows.slice(at, _BATCH) for at in range(0, rows.num_rows, _BATCH))
        batches: Iterator[pa.Table] = cut if when.sets.given else iter([part])
        done += insert_rows(doing.context, doing.of, when.sets.given, batches)
    return done
