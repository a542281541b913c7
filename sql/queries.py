"""Queries in DuckDB's words: SELECT, VALUES, set operations, WITH."""

from sqlglot import exp

from headwater.schemas.types import Kind, SqlType
from headwater.sql.binder import Binder, Out, Subquery
from headwater.sql.coercion import Mismatch, cast, common, ordered, unify
from headwater.sql.expressions import condition, fixed
from headwater.sql.from_clause import from_clause
from headwater.sql.grouping import check_loose, group_by
from headwater.sql.scopes import Scope, Shared
from headwater.sql.select_list import Item, items_of
from headwater.sql.trees import child, children, flag, inner, word
from headwater.sql.typed import Typed, null_of
from headwater.sql.typing_duck import VARCHAR
from headwater.sql.uses import refers_to_itself


def make_query(binder: Binder, node: exp.Expr, outer: Scope | None) -> Subquery:
    """A query of any form; its columns are called k0, k1, .. in DuckDB."""
    while isinstance(node, exp.Paren) or (
        isinstance(node, exp.Subquery) and not _own_clauses(node)
    ):
        node = inner(node)
    scope = Scope(outer)
    prefix = _with(binder, node, scope)
    match node:
        case exp.Select():
            made = _select(binder, node, scope, stored=False)
        case exp.SetOperation():
            made = _set_operation(binder, node, scope)
        case exp.Values():
            made = _values(binder, node, scope)
        case exp.Subquery():
            made = _wrapped(binder, node, scope)
        case _:
            binder.refuse(node, f"{type(node).__name__.upper()} as a query is not supported")
    return Subquery(prefix + made.sql, made.columns)


def make_outermost(binder: Binder, node: exp.Expr) -> Subquery:
    """The query whose rows the statement gives: bare columns come as they are stored."""
    while isinstance(node, exp.Subquery) and not _own_clauses(node):
        node = inner(node)
    if not isinstance(node, exp.Select):
        return make_query(binder, node, None)
    scope = Scope()
    prefix = _with(binder, node, scope)
    made = _select(binder, node, scope, stored=not node.args.get("distinct"))
    return Subquery(prefix + made.sql, made.columns)


def _own_clauses(node: exp.Expr) -> bool:
    return any(node.args.get(key) for key in ("order", "limit", "offset", "with_"))


# -- SELECT ------------------------------------------------------------------------------------

_REFUSED = {
    "connect": "CONNECT BY",
    "match": "MATCH_RECOGNIZE",
    "pivots": "PIVOT",
    "sample": "SAMPLE",
    "into": "SELECT INTO",
    "kind": "SELECT AS",
    "cluster": "CLUSTER BY",
    "distribute": "DISTRIBUTE BY",
    "sort": "SORT BY",
    "prewhere": "PREWHERE",
    "locks": "FOR UPDATE",
    "hint": "a hint",
}


def _select(binder: Binder, node: exp.Select, scope: Scope, *, stored: bool) -> Subquery:
    for key, shown in _REFUSED.items():
        if node.args.get(key):
            binder.refuse(node, f"{shown} is not supported")
    source = from_clause(binder, node, scope)
    scope.windows = {one.name.lower(): one for one in children(node, "windows")}
    _note_aliases(node, scope)
    text = source
    if (where := child(node, "where")) is not None:
        scope.may_aggregate = scope.may_window = False
        text += f" WHERE {condition(binder, inner(where), scope)}"
        scope.may_aggregate = scope.may_window = True
    scope.loose.clear()
    text += group_by(binder, node, scope)
    items = items_of(binder, node, scope)
    for key, keyword in (("having", "HAVING"), ("qualify", "QUALIFY")):
        if (clause := child(node, key)) is not None:
            scope.may_window = key == "qualify"
            text += f" {keyword} {condition(binder, inner(clause), scope)}"
            scope.may_window = True
    order = _order(binder, node, scope, items)
    check_loose(binder, node, scope)
    columns, texts = _shown(items, stored=stored)
    distinct = "DISTINCT " if node.args.get("distinct") else ""
    if isinstance(node.args.get("distinct"), exp.Distinct) and inner_on(node) is not None:
        binder.refuse(node, "DISTINCT ON is not supported: use QUALIFY ROW_NUMBER() OVER (..) = 1")
    made = f"SELECT {distinct}{', '.join(texts)}{text}{order}{_limit(binder, node, scope)}"
    return Subquery(made, columns)


def inner_on(node: exp.Expr) -> exp.Expr | None:
    """The columns of DISTINCT ON, None without them."""
    distinct = child(node, "distinct")
    return None if distinct is None else child(distinct, "on")


def _note_aliases(node: exp.Expr, scope: Scope) -> None:
    for one in children(node):
        if isinstance(one, exp.Alias):
            scope.aliases.setdefault(one.alias.lower(), inner(one))


def _shown(items: list[Item], *, stored: bool) -> tuple[list[Out], list[str]]:
    """What the items are for users, and their texts."""
    columns, shown = list[Out](), list[str]()
    for at, item in enumerate(items):
        value, key = item.value, f"k{at}"
        raw = value.raw if stored else None
        sql = raw or (null_of(VARCHAR) if value.type is None else value.sql)
        shown.append(f"{sql} AS {key}")
        columns.append(Out(item.name, key, value.type, value.declared, value.nullable, raw))
    return columns, shown


def _order(binder: Binder, node: exp.Expr, scope: Scope, items: list[Item]) -> str:
    order = child(node, "order")
    if order is None:
        return ""
    found: list[str] = []
    for one in children(order):
        subject = inner(one)
        if _is_all(subject, scope):
            for at, item in enumerate(items):
                found.append(_direction(ordered(Typed(f"k{at}", item.value.type)), one))
            continue
        value = _ordinal(binder, subject, items) or _by_alias(subject, items)
        if value is None:
            value = binder.expr(subject, scope)
            same = [at for at, item in enumerate(items) if item.value.sql == value.sql]
            if same and not value.is_constant:
                value = Typed(f"k{same[0]}", value.type)
        found.append(_direction(ordered(value), one))
    return f" ORDER BY {', '.join(found)}"


def _is_all(node: exp.Expr, scope: Scope) -> bool:
    if not isinstance(node, exp.Column) or node.name.upper() != "ALL" or node.args.get("table"):
        return False
    return not any(r.find("all", exact=False) for r in scope.relations)


def _direction(sql: str, one: exp.Expr) -> str:
    """NULL is the highest value, as in Snowflake, unless NULLS FIRST or LAST says otherwise."""
    down = flag(one, "desc")
    first: object = one.args.get("nulls_first")
    nulls = bool(first) if first is not None else down
    return f"{sql} {'DESC' if down else 'ASC'} NULLS {'FIRST' if nulls else 'LAST'}"


def _ordinal(binder: Binder, node: exp.Expr, items: list[Item]) -> Typed | None:
    if not (isinstance(node, exp.Literal) and not flag(node, "is_string")):
        return None
    said = word(node)
    if not said.isdigit() or not 1 <= int(said) <= len(items):
        binder.fail(
            node, f"ORDER BY {said}: the query has {len(items)} columns", "E_COLUMN_UNKNOWN"
        )
    return Typed(f"k{int(said) - 1}", items[int(said) - 1].value.type)


def _by_alias(node: exp.Expr, items: list[Item]) -> Typed | None:
    if not isinstance(node, exp.Column) or node.args.get("table"):
        return None
    name = node.name.lower()
    found = [at for at, item in enumerate(items) if item.aliased and item.name.lower() == name]
    return Typed(f"k{found[0]}", items[found[0]].value.type) if found else None


def _limit(binder: Binder, node: exp.Expr, scope: Scope) -> str:
    text, limit, offset = "", child(node, "limit"), child(node, "offset")
    if limit is not None:
        options = child(limit, "limit_options")
        if options is not None and (flag(options, "percent") or flag(options, "with_ties")):
            binder.refuse(limit, "FETCH with PERCENT or WITH TIES is not supported")
        count = child(limit, "count") or child(limit, "expression")
        if count is not None and not isinstance(count, exp.Null):
            text += f" LIMIT {_count(binder, count, 'LIMIT')}"
    if offset is not None:
        text += f" OFFSET {_count(binder, inner(offset, 'expression'), 'OFFSET')}"
    return text


def _count(binder: Binder, node: exp.Expr, clause: str) -> str:
    value = fixed(binder, node, Scope())
    if not value.is_constant or value.type is None or value.type.kind is not Kind.INT:
        binder.fail(node, f"{clause} takes a whole number")
    if isinstance(value.constant, int) and value.constant < 0:
        binder.fail(node, f"{clause} takes a number of at least 0", "E_VALUE")
    return value.sql


# -- WITH --------------------------------------------------------------------------------------


def _with(binder: Binder, node: exp.Expr, scope: Scope) -> str:
    """WITH queries, each seen by those after it; empty without any."""
    with_ = child(node, "with_")
    if with_ is None:
        return ""
    parts: list[str] = []
    recursive, loops = flag(with_, "recursive"), False
    for one in children(with_):
        alias = one.args.get("alias")
        assert isinstance(alias, exp.TableAlias)
        if alias.name.lower() in scope.shared:
            binder.fail(one, f"two WITH queries are called {alias.name}", "E_SQL_SYNTAX")
        name = binder.fresh("w")
        made = _shared(binder, one, scope, name) if recursive or refers_to_itself(one) else None
        loops = loops or made is not None
        if made is None:
            made = make_query(binder, inner(one), scope)
        scope.shared[alias.name.lower()] = Shared(name, _names(binder, one, alias, made))
        parts.append(f"{name} AS ({made.sql})")
    return f"WITH {'RECURSIVE ' if loops else ''}{', '.join(parts)} "


def _names(
    binder: Binder, node: exp.Expr, alias: exp.TableAlias, made: Subquery
) -> list[tuple[str, SqlType]]:
    names = [one.name for one in children(alias, "columns")]
    if names and len(names) != len(made.columns):
        binder.fail(node, f"{len(names)} names are given to {len(made.columns)} columns")
    shown = names or [out.name for out in made.columns]
    return [(name, out.type or VARCHAR) for name, out in zip(shown, made.columns, strict=True)]


def _shared(binder: Binder, one: exp.Expr, scope: Scope, name: str) -> Subquery | None:
    """A WITH query that refers to itself: anchor UNION ALL step; None if it does not."""
    union, alias = inner(one), one.args.get("alias")
    assert isinstance(alias, exp.TableAlias)
    own = alias.name.lower()
    if not isinstance(union, exp.Union) or not refers_to_itself(one):
        return None
    anchor = make_query(binder, inner(union), scope)
    scope.shared[own] = Shared(name, _names(binder, one, alias, anchor))
    step = make_query(binder, inner(union, "expression"), scope)
    del scope.shared[own]
    if len(step.columns) != len(anchor.columns):
        binder.fail(union, f"a UNION of {len(anchor.columns)} with {len(step.columns)} columns")
    targets = [Out(o.name, o.key, o.type or VARCHAR, nullable=True) for o in anchor.columns]
    casted = _casted(binder, union, step, [out.type or VARCHAR for out in targets])
    joiner = "UNION" if flag(union, "distinct") else "UNION ALL"
    return Subquery(f"{anchor.sql} {joiner} {casted}", targets)


# -- sets --------------------------------------------------------------------------------------


def _set_operation(binder: Binder, node: exp.Expr, scope: Scope) -> Subquery:
    # A UNION of hundreds is a tower to the left: take it apart in a loop.
    tower = [node]
    while isinstance(below := inner(tower[-1]), type(node)) and not (
        _own_clauses(below) or flag(below, "distinct") != flag(node, "distinct")
    ):
        tower.append(below)
    if flag(node, "by_name"):
        binder.refuse(node, "UNION BY NAME is not supported")
    sides = [make_query(binder, inner(tower[-1]), scope)]
    sides += [make_query(binder, inner(step, "expression"), scope) for step in reversed(tower)]
    counts = {len(side.columns) for side in sides}
    if len(counts) > 1:
        binder.fail(
            node, f"queries of {min(counts)} and of {max(counts)} columns do not go together"
        )
    columns = _common(binder, node, sides)
    words = {"Union": "UNION", "Intersect": "INTERSECT", "Except": "EXCEPT"}
    joiner = words[type(node).__name__] + ("" if flag(node, "distinct") else " ALL")
    types = [out.type or VARCHAR for out in columns]
    parts = [_casted(binder, node, side, types) for side in sides]
    if len(parts) > 1 and not isinstance(node, exp.Union):
        made = parts[0]
        for part in parts[1:]:
            made = f"(SELECT * FROM ({made} {joiner} {part}))"
    else:
        made = f" {joiner} ".join(parts)
    items = [Item(out.name, Typed(out.key, out.type), aliased=True) for out in columns]
    order = _order_of_set(binder, node, items)
    return Subquery(made + order + _limit(binder, node, scope), columns)


def _order_of_set(binder: Binder, node: exp.Expr, items: list[Item]) -> str:
    order = child(node, "order")
    if order is None:
        return ""
    found: list[str] = []
    for one in children(order):
        subject = inner(one)
        value = _ordinal(binder, subject, items) or _by_alias(subject, items)
        if value is None:
            binder.refuse(
                one, "ORDER BY of a UNION takes its columns by name or number: put it in a subquery"
            )
        found.append(_direction(str(int(value.sql[1:]) + 1), one))
    return f" ORDER BY {', '.join(found)}"


def _common(binder: Binder, node: exp.Expr, sides: list[Subquery]) -> list[Out]:
    columns: list[Out] = []
    for at, outs in enumerate(zip(*(side.columns for side in sides), strict=True)):
        try:
            type_ = common([out.type for out in outs])
        except Mismatch as error:
            binder.fail(node, f"column {at + 1}, {outs[0].name}: {error}")
        declared = outs[0].declared if len({out.declared for out in outs}) == 1 else None
        columns.append(Out(outs[0].name, f"k{at}", type_, declared, any(o.nullable for o in outs)))
    return columns


def _casted(binder: Binder, node: exp.Expr, side: Subquery, types: list[SqlType]) -> str:
    """A query's columns as those types, under the names k0, k1, ..; one operand of a set."""
    shown: list[str] = []
    for at, (out, type_) in enumerate(zip(side.columns, types, strict=True)):
        try:
            value = cast(Typed(out.key, out.type), type_, binder.how(node))
        except Mismatch as error:
            binder.fail(node, f"column {at + 1}, {out.name}: {error}")
        shown.append(f"{value.sql} AS k{at}")
    return f"(SELECT {', '.join(shown)} FROM ({side.sql}))"


def _wrapped(binder: Binder, node: exp.Expr, scope: Scope) -> Subquery:
    """A query in parentheses with ORDER BY or LIMIT behind them."""
    made = make_query(binder, inner(node), scope)
    items = [Item(out.name, Typed(out.key, out.type), aliased=True) for out in made.columns]
    keys = ", ".join(out.key for out in made.columns)
    order = _order_of_set(binder, node, items)
    return Subquery(
        f"SELECT {keys} FROM ({made.sql}){order}{_limit(binder, node, scope)}", made.columns
    )


def _values(binder: Binder, node: exp.Expr, scope: Scope) -> Subquery:
    rows = [
        [binder.expr(one, Scope(scope.outer)) for one in children(row)]
        if isinstance(row, exp.Tuple)
        else [binder.expr(row, Scope(scope.outer))]
        for row in children(node)
    ]
    widths = {len(row) for row in rows}
    if len(widths) != 1:
        binder.fail(node, f"rows of {min(widths)} and of {max(widths)} values", "E_SQL_SYNTAX")
    columns = list[list[Typed]]()
    outs = list[Out]()
    for at, values in enumerate(zip(*rows, strict=True)):
        try:
            made, type_ = unify(values, binder.how(node))
        except Mismatch as error:
            binder.fail(node, f"column {at + 1}: {error}")
        columns.append([Typed(null_of(VARCHAR), VARCHAR)] * len(values) if type_ is None else made)
        outs.append(Out(f"COLUMN{at + 1}", f"k{at}", type_))
    texts = ", ".join(f"({', '.join(v.sql for v in row)})" for row in zip(*columns, strict=True))
    keys = ", ".join(out.key for out in outs)
    return Subquery(f"SELECT {keys} FROM (VALUES {texts}) AS {binder.fresh('v')}({keys})", outs)
