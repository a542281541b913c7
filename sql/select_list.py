"""What a SELECT gives: its items with their names, `*` spelled out."""

import re
from dataclasses import dataclass, replace

from sqlglot import exp

from headwater.sql.binder import Binder
from headwater.sql.scopes import Relation, Scope
from headwater.sql.trees import child, children, inner, word
from headwater.sql.typed import Typed


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One column to be: the name users see, the expression. `aliased` if it was named with AS."""

    name: str
    value: Typed
    aliased: bool = False


def items_of(binder: Binder, node: exp.Expr, scope: Scope) -> list[Item]:
    """The items of a SELECT."""
    items: list[Item] = []
    for one in children(node):
        items += _items(binder, one, scope)
    if not items:
        binder.fail(node, "the query selects nothing", "E_SQL_SYNTAX")
    return items


def _items(binder: Binder, one: exp.Expr, scope: Scope) -> list[Item]:
    if isinstance(one, exp.Star):
        return _star(binder, one, scope, scope.relations, qualified=False)
    if isinstance(one, exp.Column) and isinstance(one.this, exp.Star):
        parts = [child(one, key) for key in ("table", "db", "catalog")]
        qualifier = [(p.name, bool(p.args.get("quoted"))) for p in parts if p is not None]
        found = [r for r in scope.relations if r.is_called(qualifier)]
        if not found:
            shown = ".".join(name for name, _ in reversed(qualifier))
            binder.fail(one, f"there is no table {shown} in this query's FROM", "E_COLUMN_UNKNOWN")
        return _star(binder, inner(one), scope, found, qualified=True)
    if isinstance(one, exp.Alias):
        return [Item(one.alias, binder.expr(inner(one), scope), aliased=True)]
    value = binder.expr(one, scope)
    return [Item(_name(binder, one, scope), value)]


def _name(binder: Binder, node: exp.Expr, scope: Scope) -> str:
    """A bare column's declared name, else the expression as it was written."""
    while isinstance(node, exp.Paren):
        node = inner(node)
    if isinstance(node, exp.Column) and isinstance(node.this, exp.Identifier):
        exact = bool(node.this.args.get("quoted"))
        for relation in scope.relations:
            for column in relation.find(node.name, exact=exact):
                return column.name
        return node.name
    called = "" if isinstance(node, exp.Cast) else _as_called(binder, node)
    return re.sub(r"\s+", " ", called or node.sql("snowflake"))


def _as_called(binder: Binder, node: exp.Expr) -> str:
    """A call as it was written, whatever sqlglot made of it; empty for no call."""
    start, end = node.meta.get("start"), node.meta.get("end")
    text = binder.context.statement.text
    if binder.views or not isinstance(start, int) or not isinstance(end, int):
        return ""
    name, depth = text[start : end + 1].upper(), 0
    for at in range(end + 1, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if depth == 0:
            return name + text[end + 1 : at + 1] if text[at] == ")" else ""
    return ""


def _star(
    binder: Binder, star: exp.Expr, scope: Scope, relations: list[Relation], *, qualified: bool
) -> list[Item]:
    if not relations:
        binder.fail(star, "* stands for the columns of FROM, and there is no FROM", "E_SQL_SYNTAX")
    found: list[Item] = []
    for relation in relations:
        for column in relation.columns:
            if column.hidden or (not qualified and column.name.lower() in relation.merged):
                continue
            value = column.read()
            if not qualified and column.name.lower() in scope.coalesced:
                value = scope.coalesced[column.name.lower()]
            if not scope.aggregating:
                scope.loose.append((value.sql, exp.column(column.name)))
            found.append(Item(column.name, value))
    return _altered(binder, star, scope, found)


def _altered(binder: Binder, star: exp.Expr, scope: Scope, items: list[Item]) -> list[Item]:
    """`*` with ILIKE, EXCLUDE, REPLACE and RENAME."""
    if (pattern := child(star, "ilike")) is not None:
        wanted = re.compile(_pattern(word(pattern)), re.IGNORECASE | re.DOTALL)
        items = [item for item in items if wanted.fullmatch(item.name)]
    names = {item.name.lower() for item in items}
    without = {_checked(binder, one, names) for one in children(star, "except_")}
    items = [item for item in items if item.name.lower() not in without]
    for one in children(star, "replace"):
        name = _checked(binder, exp.column(one.alias), names)
        value = binder.expr(inner(one), scope)
        items = [replace(i, value=value) if i.name.lower() == name else i for i in items]
    for one in children(star, "rename"):
        name = _checked(binder, inner(one), names)
        items = [replace(i, name=one.alias) if i.name.lower() == name else i for i in items]
    if not items:
        binder.fail(star, "no column is left of *", "E_SQL_SYNTAX")
    return items


def _checked(binder: Binder, node: exp.Expr, names: set[str]) -> str:
    if node.name.lower() not in names:
        binder.fail(node, f"there is no column {node.name} in *", "E_COLUMN_UNKNOWN")
    return node.name.lower()


def _pattern(like: str) -> str:
    return "".join({"%": ".*", "_": "."}.get(sign, re.escape(sign)) for sign in like)
