"""SELECT of the one row with a key, without a query engine.

The WHERE must be `column = value` for each column of the primary key and nothing else, the items bare
columns or `*`. Whatever else is written takes the general way, and says there what is wrong with it.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
from sqlglot import exp

from headwater.log_store.catalog import TableObject
from headwater.schemas import arrow
from headwater.schemas.arrow_plain import to_array
from headwater.schemas.tables import TableSchema
from headwater.sql import keyed, names
from headwater.sql.context import Context
from headwater.sql.results import OutColumn
from headwater.sql.statements import ROW_IDS, Reading, reading_of
from headwater.sql.trees import child, written

_KEPT: Final = 512
_PARTS: Final = frozenset(("expressions", "from_", "where"))
# Positions in a row, and the result's columns.
_Shape = tuple[tuple[int, OutColumn], ...]


@dataclass(slots=True, eq=False)
class _Plan:
    """What a text says: the row it is about, and its items as (name written or *, alias).

    `meant` is what the items mean for the schema they were last read with, both at once: sessions
    share a plan, and one of them may see the table altered before another does.
    """

    tree: exp.Expr
    found: keyed.Found | None
    items: tuple[tuple[str, str], ...]
    meant: tuple[TableSchema, _Shape | None] | None = None


_PLANS: Final["OrderedDict[int, _Plan]"] = OrderedDict()
_LOCK: Final = threading.Lock()


def select_by_key(
    context: Context, tree: exp.Expr
) -> tuple[tuple[OutColumn, ...], pa.Table] | None:
    """The columns and the row or none of a SELECT by a key; None if it takes a query."""
    plan = _plan(tree)
    if plan.found is None:
        return None
    of = names.temporary_named(context.state, plan.found.table) or names.found(
        context.tx.catalog, context.state, "table", plan.found.table
    )
    if not isinstance(of, TableObject) or of.dropped_at is not None:
        return None
    meant = plan.meant
    if meant is None or meant[0] is not of.schema:
        meant = plan.meant = of.schema, _shape(plan, of.schema)
    shape = meant[1]
    key = None if shape is None else keyed.key_of(context, plan.found, of)
    if shape is None or key is None:
        return None
    hit = None if key == () else context.tx.row_by_key(of, key)
    columns = tuple(column for _, column in shape)
    row = () if hit is None else hit[1]
    arrays = [to_array(column.type, [row[at]] if row else []) for at, column in shape]
    schema = pa.schema([(column.name, column.type.arrow) for column in columns])
    return columns, arrow.table(arrays, schema)


def _plan(tree: exp.Expr) -> _Plan:
    with _LOCK:
        known = _PLANS.get(id(tree))
        if known is not None and known.tree is tree:
            return known
    made = _read(tree)
    with _LOCK:
        _PLANS[id(tree)] = made
        while len(_PLANS) > _KEPT:
            _PLANS.popitem(last=False)
    return made


def _read(tree: exp.Expr) -> _Plan:
    """What a query says, if it is of this simple form."""
    general = _Plan(tree, None, ())
    if not isinstance(tree, exp.Select):
        return general
    if any(value for key, value in tree.args.items() if key not in _PARTS):
        return general
    source, where = child(tree, "from_"), child(tree, "where")
    table = None if source is None else child(source, "this")
    if not isinstance(table, exp.Table) or not isinstance(where, exp.Where):
        return general
    if table.meta.get(ROW_IDS) or reading_of(table) != Reading():
        return general
    items = _items(tree, table.alias_or_name)
    found = None if items is None else keyed.sought(table, where.this)
    return general if items is None or found is None else _Plan(tree, found, items)


def _items(tree: exp.Select, alias: str) -> tuple[tuple[str, str], ...] | None:
    """The bare columns a SELECT shows, with their aliases; None if it shows anything else."""
    items: list[tuple[str, str]] = []
    for one in tree.expressions:
        inner: exp.Expr = one.this if isinstance(one, exp.Alias) else one
        if isinstance(inner, exp.Star) and not any(inner.args.values()):
            items.append(("*", ""))
            continue
        if not isinstance(inner, exp.Column) or not isinstance(inner.this, exp.Identifier):
            return None
        if inner.args.get("db") is not None:
            return None
        if inner.table and inner.table.lower() != alias.lower():
            return None
        items.append((written(inner.this), one.alias if isinstance(one, exp.Alias) else ""))
    return tuple(items)


def _shape(plan: _Plan, schema: TableSchema) -> _Shape | None:
    """The positions and result columns that the items mean; None if one is no column."""
    found: list[tuple[int, OutColumn]] = []
    for name, alias in plan.items:
        if name == "*":
            found += [
                (at, OutColumn(c.name, c.type, c.nullable)) for at, c in enumerate(schema.columns)
            ]
            continue
        plain = name.strip('"')
        at = schema.position(plain)
        if at is None or (name[:1] == '"' and schema.columns[at].name != plain):
            return None
        column = schema.columns[at]
        found.append((at, OutColumn(alias or column.name, column.type, column.nullable)))
    return tuple(found)
