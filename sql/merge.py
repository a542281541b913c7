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
    """What a MERGE says of its target: the clauses, the columns they set, and the queries.

    One query is for what the source has, one for the target's rows that no source row matches.
    """

    whens: tuple["_When", ...]
    used: tuple[int, ...]
    queries: tuple[exp.Query, ...]


@dataclass(frozen=True, slots=True)
class _When:
    """One WHEN: what it asks besides matching, and what it does: UPDATE, DELETE or INSERT.

    `by_source`: it is about target rows that no source row matches.
    """

    verb: str
    matched: bool
    by_source: bool
    condition: exp.Expr | None
    sets: Sets


def run(context: Context, statement: Merge) -> Result:
    """Run a MERGE.

    Raises:
        ValueRefused, DuplicateKey, Error: nothing is staged.
    """
    of = target_named(context.tx.catalog, context.state, name_in(statement.tree.this))
    plan = _PREPARED.get(statement, of)
    # Each of the queries reads the whole source.
    windows = consumed(context, plan.queries[0], [of])
    shape = [ROW_ID, _NUMBER, *shape_of(of, plan.used)]
    # All of it is needed before anything is done: rows that leave make room for keys that come.
    parts = [_none(shape)]
    for query in plan.queries:
        found = run_query(context, query, windows, shape=shape)
        parts += checked(context, found.batches)
    rows = pa.concat_tables(parts)
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
    names = target.alias, str(tree.args["using"].alias_or_name)
    whens = tuple(_read(of, node, names) for node in tree.args["whens"].expressions)
    used = tuple(sorted({at for when in whens for at in when.sets.given}))
    queries: list[exp.Query] = []
    if any(not when.by_source for when in whens):
        queries.append(_query(tree, target, whens, used))
    if any(when.by_source for when in whens):
        queries.append(_left_over(tree, target, whens, used))
    return _Plan(whens, used, tuple(queries))


_PREPARED: Final = Prepared(_plan)


def _none(shape: Sequence[OutColumn]) -> pa.Table:
    fields = [(f"c{n}", column.type.arrow) for n, column in enumerate(shape)]
    return pa.schema(fields).empty_table()


# The clauses.


def _read(of: TableObject, node: exp.Expr, names: tuple[str, str]) -> _When:
    """One clause; `names` are what the target and the source are called in it."""
    alias, source = names
    if not isinstance(node, exp.When):
        raise unsupported("MERGE has WHEN MATCHED and WHEN NOT MATCHED clauses")
    by_source = bool(node.args.get("source"))
    then, matched = node.args["then"], bool(node.args.get("matched"))
    condition = node.args.get("condition")
    match then:
        case exp.Update():
            verb = "UPDATE"
            starred = _starred(then.expressions)
            sets = _by_name(of, source) if starred else sets_of(of, then.expressions, alias)
        case exp.Insert():
            verb = "INSERT"
            starred = _starred(_listed(then.this))
            sets = _by_name(of, source) if starred else _inserted(of, then, alias)
        case exp.Var() if str(then.this).upper() == "DELETE":
            verb, sets = "DELETE", Sets((), (), ())
        case _:
            raise unsupported(f"WHEN .. THEN {then.sql(dialect='snowflake')} is not there")
    if (matched or by_source) != (verb != "INSERT"):
        said = "WHEN MATCHED updates or deletes" if matched else "WHEN NOT MATCHED inserts"
        if by_source:
            said = "WHEN NOT MATCHED BY SOURCE updates or deletes"
        raise ProgrammingError(f"{said}, it cannot {verb}", code="E_SQL_SYNTAX")
    return _When(verb, matched, by_source, condition, sets)


def _starred(nodes: Sequence[exp.Expr]) -> bool:
    """Whether a clause says ALL BY NAME, which the parser turns into a star."""
    return any(isinstance(node, exp.Star) for node in nodes)


def _by_name(of: TableObject, source: str) -> Sets:
    """Every column of the target from the one of its name in the source."""
    named = [exp.column(exp.to_identifier(name), table=source) for name in of.schema.names]
    return Sets(tuple(range(len(named))), tuple(named), ())


def _inserted(of: TableObject, node: exp.Insert, alias: str) -> Sets:
    names = None if node.this is None else _listed(node.this)
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
    tests = [None if when.by_source else _test(when, row_id) for when in whens]
    kind = "inner"
    if any(not (when.matched or when.by_source) for when in whens):
        kind = "left"
    inner = exp.select(*_columns(whens, tests, used, row_id)).from_(tree.args["using"].copy())
    inner = inner.join(target.copy(), on=tree.args["on"].copy(), join_type=kind)
    return _whole(tree, inner)


def _left_over(
    tree: exp.Merge, target: exp.Table, whens: Sequence[_When], used: Sequence[int]
) -> exp.Query:
    """The same of the target's rows that no source row matches."""
    tests = [_condition(when) if when.by_source else None for when in whens]
    met = exp.select("1").from_(tree.args["using"].copy()).where(tree.args["on"].copy())
    inner = exp.select(*_columns(whens, tests, used, row_id_of(target))).from_(target.copy())
    return _whole(tree, inner.where(exp.Not(this=exp.Exists(this=met))))


def _columns(
    whens: Sequence[_When],
    tests: Sequence[exp.Expr | None],
    used: Sequence[int],
    row_id: exp.Column,
) -> list[exp.Expr]:
    """Row id, the number of the first clause that a row triggers, a value for each used column."""
    clause = exp.Case()
    for number, test in enumerate(tests):
        if test is not None:
            clause = clause.when(test.copy(), exp.Literal.number(number))
    columns: list[exp.Expr] = [exp.alias_(row_id.copy(), "__HW_ROW"), exp.alias_(clause, _CLAUSE)]
    for at in used:
        columns.append(exp.alias_(_value(whens, tests, at), f"__HW_SET_{at}"))
    return columns


def _whole(tree: exp.Merge, inner: exp.Select) -> exp.Query:
    """The rows that trigger a clause, with the statement's CTEs."""
    outer = exp.select("*").from_(inner.subquery("__HW_MERGE"))
    query = outer.where(exp.column(_CLAUSE).is_(exp.null()).not_())
    if tree.args.get("with_") is not None:
        query.set("with_", tree.args["with_"].copy())
    return query


def _condition(when: _When) -> exp.Expr:
    return exp.true() if when.condition is None else exp.paren(when.condition.copy())


def _test(when: _When, row_id: exp.Column) -> exp.Expr:
    there: exp.Expr = row_id.copy().is_(exp.null())
    if when.matched:
        there = exp.Not(this=exp.paren(there))
    if when.condition is None:
        return there
    return exp.and_(there, exp.paren(when.condition.copy()))


def _value(whens: Sequence[_When], tests: Sequence[exp.Expr | None], at: int) -> exp.Expr:
    """What a column becomes, by the first clause that a row triggers."""
    made = exp.Case()
    for when, test in zip(whens, tests, strict=True):
        if test is None:
            continue
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
