"""UPDATE and DELETE of the one row with a key, without a query engine.

The WHERE must be `column = value` for each column of the primary key and nothing else; SET takes
values, own columns, and `+ - *` of exact numbers. Whatever else is written takes the general way,
and so does a value that only a cast would make comparable.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Context as Digits
from decimal import Decimal
from typing import Final
from weakref import WeakKeyDictionary

from sqlglot import exp

from headwater.log_store.catalog import TableObject
from headwater.schemas.errors import ValueRefused
from headwater.schemas.tables import Column, TableSchema
from headwater.schemas.types import Kind, Plain, Row
from headwater.schemas.values import Assign, assigners, from_plain, to_plain
from headwater.schemas.wire import INT64_HIGH, INT64_LOW
from headwater.sql.cells import Default, Json, cell
from headwater.sql.context import Context
from headwater.sql.names import target_named
from headwater.sql.prepared import Prepared
from headwater.sql.results import Result, counts
from headwater.sql.statements import Delete, Update
from headwater.sql.values import name_of, written

_Value = Callable[[Context], object]
# What a column is set to, from the row as it was.
_Set = Callable[[Context, TableSchema, Row], object]
_WIDE: Final = Digits(prec=96)
_EXACT: Final = (Kind.INT, Kind.DECIMAL)


@dataclass(frozen=True, slots=True)
class Found:
    """The row a text is about: its table, and the values of columns by name."""

    table: str
    alias: str
    equal: tuple[tuple[str, _Value], ...]


@dataclass(frozen=True, slots=True)
class _Change:
    """The same with what is set; None in `sets` is DEFAULT."""

    found: Found
    sets: tuple[tuple[str, exp.Expr], ...]


_KNOWN: Final[WeakKeyDictionary[Update | Delete, _Change | None]] = WeakKeyDictionary()
_UNREAD: Final = ""


class _General(Exception):
    """This one takes a query."""


def update_by_key(context: Context, statement: Update) -> Result | None:
    """The result of an UPDATE of one row by its key; None if it takes a query.

    Raises:
        ValueRefused, DuplicateKey: nothing is staged.
    """
    change = _known(statement)
    if change is None:
        return None
    of = target_named(context.tx.catalog, context.state, change.found.table)
    plan = _PREPARED.get(statement, of)
    key = None if plan.sets is None else _key(context, plan)
    if plan.sets is None or key is None:
        return None
    hit = None if key == () else context.tx.row_by_key(of, key)
    if hit is None:
        return counts("UPDATE", rows_updated=0, multi_joined_rows_updated=0)
    row_id, row = hit
    new = list(row)
    try:
        for at, assign, value in plan.sets:
            new[at] = assign(value(context, of.schema, row))
    except ValueRefused as refused:
        raise refused.in_table(of.name) from None
    except _General:
        return None
    context.tx.update(of, ((row_id, tuple(new)),))
    return counts("UPDATE", rows_updated=1, multi_joined_rows_updated=0)


def delete_by_key(context: Context, statement: Delete) -> Result | None:
    """The result of a DELETE of one row by its key; None if it takes a query."""
    change = _known(statement)
    if change is None:
        return None
    of = target_named(context.tx.catalog, context.state, change.found.table)
    key = _key(context, _PREPARED.get(statement, of))
    if key is None:
        return None
    hit = None if key == () else context.tx.row_by_key(of, key)
    if hit is not None:
        context.tx.delete(of, [hit[0]])
    return counts("DELETE", rows_deleted=int(hit is not None))


# What the text says.


def _known(statement: Update | Delete) -> _Change | None:
    known = _KNOWN.get(statement, _UNREAD)
    if isinstance(known, str):
        try:
            known = _read(statement.tree)
        except _General:
            known = None
        _KNOWN[statement] = known
    return known


def _read(tree: exp.Update | exp.Delete) -> _Change:
    target = tree.this
    allowed = {"this", "where", "expressions"}
    if any(value for name, value in tree.args.items() if name not in allowed):
        raise _General
    if not isinstance(target, exp.Table) or not isinstance(tree.args.get("where"), exp.Where):
        raise _General
    if any(value for name, value in target.args.items() if name not in _NAME):
        raise _General
    alias = target.alias_or_name
    equal = tuple(_equalities(tree.args["where"].this, alias))
    sets: list[tuple[str, exp.Expr]] = []
    for node in tree.expressions if isinstance(tree, exp.Update) else ():
        if not isinstance(node, exp.EQ) or not isinstance(node.this, exp.Column):
            raise _General
        sets.append((_own(node.this, alias), node.expression))
    return _Change(Found(name_of(target), alias, equal), tuple(sets))


def sought(target: exp.Expr, where: exp.Expr) -> Found | None:
    """The row that a WHERE of equalities is about; None if there is more to it."""
    if not isinstance(target, exp.Table):
        return None
    if any(value for name, value in target.args.items() if name not in _NAME):
        return None
    try:
        equal = tuple(_equalities(where, target.alias_or_name))
    except _General:
        return None
    return Found(name_of(target), target.alias_or_name, equal)


_NAME: Final = frozenset({"this", "db", "catalog", "alias"})


def _equalities(node: exp.Expr, alias: str) -> Iterator[tuple[str, _Value]]:
    match node:
        case exp.Paren():
            yield from _equalities(node.this, alias)
        case exp.And():
            yield from _equalities(node.this, alias)
            yield from _equalities(node.expression, alias)
        case exp.EQ():
            one, other = node.this, node.expression
            column, value = (one, other) if isinstance(one, exp.Column) else (other, one)
            found = cell(value)
            if not isinstance(column, exp.Column) or found is None:
                raise _General
            if isinstance(found, Default | Json):
                raise _General
            yield _own(column, alias), found
        case _:
            raise _General


def _own(column: exp.Column, alias: str) -> str:
    """The name of a column of the target, as written."""
    if column.args.get("db") is not None:
        raise _General
    if column.table and column.table.lower() != alias.lower():
        raise _General
    return written(column.this)


# What it means for the table as it is.


@dataclass(frozen=True, slots=True)
class _Plan:
    """The key's columns in key order with their values; what is set; None where a query must."""

    key: tuple[tuple[Column, _Value], ...] | None
    sets: tuple[tuple[int, Assign, _Set], ...] | None


def _plan(statement: Update | Delete, of: TableObject) -> _Plan:
    change = _known(statement)
    assert change is not None
    sets: tuple[tuple[int, Assign, _Set], ...] | None = None
    try:
        key = _keyed(change.found, of.schema)
        sets = tuple(_sets(change, of))
    except _General:
        key = None
    return _Plan(key, sets)


_PREPARED: Final = Prepared(_plan)


def _keyed(found: Found, schema: TableSchema) -> tuple[tuple[Column, _Value], ...]:
    given = {_at(schema, name): value for name, value in found.equal}
    if len(found.equal) != len(schema.key) or given.keys() != set(schema.key_positions):
        raise _General
    return tuple((schema.columns[at], given[at]) for at in schema.key_positions)


def _sets(change: _Change, of: TableObject) -> Iterator[tuple[int, Assign, _Set]]:
    seen: set[int] = set()
    assign = assigners(of.schema)
    for name, node in change.sets:
        at = _at(of.schema, name)
        if at in seen:
            raise _General
        seen.add(at)
        yield at, assign[at], _set(node, of.schema, change.found.alias)


def _at(schema: TableSchema, name: str) -> int:
    """Where a column stands; what is wrong with a name is said on the general way."""
    plain = name.strip('"')
    at = schema.position(plain)
    if at is None or (name[:1] == '"' and schema.columns[at].name != plain):
        raise _General
    return at


def _set(node: exp.Expr, schema: TableSchema, alias: str) -> _Set:
    found = cell(node)
    if found is None:
        return _number(node, schema, alias)
    if isinstance(found, Default | Json):
        raise _General
    value = found
    return lambda context, _schema, _row: value(context)


def _number(node: exp.Expr, schema: TableSchema, alias: str) -> _Set:
    """An own column, or `+ - *` of exact numbers."""
    match node:
        case exp.Paren():
            return _number(node.this, schema, alias)
        case exp.Column():
            at = _at(schema, _own(node, alias))
            if schema.columns[at].type.kind not in _EXACT:
                raise _General
            return lambda _, of, row: from_plain(of.columns[at].type, row[at])
        case exp.Literal(is_string=False):
            return _set(node, schema, alias)
        case exp.Placeholder():
            return _exact_only(_set(node, schema, alias))
        case exp.Add() | exp.Sub() | exp.Mul():
            one = _number(node.this, schema, alias)
            other = _number(node.expression, schema, alias)
            return _both(type(node), one, other)
        case _:
            raise _General


def _exact_only(value: _Set) -> _Set:
    def number(context: Context, schema: TableSchema, row: Row) -> object:
        found = value(context, schema, row)
        if found is not None and type(found) not in (int, Decimal):
            raise _General
        return found

    return number


def _both(kind: type[exp.Expr], one: _Set, other: _Set) -> _Set:
    def number(context: Context, schema: TableSchema, row: Row) -> object:
        left, right = one(context, schema, row), other(context, schema, row)
        if not isinstance(left, int | Decimal) or not isinstance(right, int | Decimal):
            return None
        a, b = Decimal(left), Decimal(right)
        if kind is exp.Add:
            return _WIDE.add(a, b)
        return _WIDE.subtract(a, b) if kind is exp.Sub else _WIDE.multiply(a, b)

    return number


def key_of(context: Context, found: Found, of: TableObject) -> Sequence[Plain] | None:
    """The values of a key that a text says; () if no row can have them, None if it takes a query."""
    try:
        key = _keyed(found, of.schema)
    except _General:
        return None
    return _key(context, _Plan(key, None))


def _key(context: Context, plan: _Plan) -> Sequence[Plain] | None:
    """The key's values in key order; () if no row can have them, None if it takes a query."""
    if plan.key is None or not plan.key:
        return None
    try:
        plains = [_plain(column, value(context)) for column, value in plan.key]
    except _General:
        return None
    return () if None in plains else plains


def _plain(column: Column, value: object) -> Plain:
    """The stored value that equals this one; None if there is none."""
    if value is None:
        return None
    kind, type_ = column.type.kind, type(value)
    if kind is Kind.INT and isinstance(value, int) and type_ is int:
        return value if INT64_LOW <= value <= INT64_HIGH else None
    if kind is Kind.DECIMAL and isinstance(value, int | Decimal) and type_ is not bool:
        number = Decimal(value)
        if not number.is_finite() or abs(number.adjusted()) > 60:
            raise _General
        unscaled = number.scaleb(column.type.scale or 0, _WIDE)
        whole = int(unscaled)
        fits = whole == unscaled and abs(whole) < 10 ** (column.type.precision or 38)
        return whole if fits else None
    if kind is Kind.VARCHAR and isinstance(value, str):
        length = column.type.length
        return value if length is None or len(value) <= length else None
    if kind is Kind.BINARY and isinstance(value, bytes):
        return value
    if kind is Kind.BOOLEAN and isinstance(value, bool):
        return value
    if kind is Kind.DATE and isinstance(value, date) and not isinstance(value, datetime):
        return to_plain(column, value)
    raise _General
