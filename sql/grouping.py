"""GROUP BY, and what may be selected beside it."""

from sqlglot import exp

from headwater.sql.aggregates import is_aggregate
from headwater.sql.binder import Binder
from headwater.sql.coercion import ordered
from headwater.sql.scopes import Scope
from headwater.sql.trees import child, children, flag, inner, word


def group_by(binder: Binder, node: exp.Expr, scope: Scope) -> str:
    """GROUP BY in DuckDB's words; empty without one. The scope knows its keys from then on."""
    group = child(node, "group")
    if group is None:
        return ""
    keys: set[str] = set()
    parts: list[str] = []
    if flag(group, "all"):
        for one in children(node):
            if not has_aggregate(one) and not isinstance(one, exp.Star):
                parts.append(
                    _key(
                        binder, inner(one) if isinstance(one, exp.Alias) else one, node, scope, keys
                    )
                )
            elif isinstance(one, exp.Star):
                binder.refuse(one, "GROUP BY ALL beside * is not supported: name the columns")
    for one in children(group):
        parts += _part(binder, one, node, scope, keys)
    for key in ("rollup", "cube", "grouping_sets"):
        for one in children(group, key):
            parts += _part(binder, one, node, scope, keys)
    scope.loose.clear()
    scope.keys = keys
    return f" GROUP BY {', '.join(parts)}" if parts else ""


def _part(
    binder: Binder, one: exp.Expr, select: exp.Expr, scope: Scope, keys: set[str]
) -> list[str]:
    match one:
        case exp.Rollup() | exp.Cube():
            made = [_set(binder, part, select, scope, keys) for part in children(one)]
            word_ = "ROLLUP" if isinstance(one, exp.Rollup) else "CUBE"
            return [f"{word_} ({', '.join(made)})"]
        case exp.GroupingSets():
            made = [_set(binder, part, select, scope, keys) for part in children(one)]
            return [f"GROUPING SETS ({', '.join(made)})"]
        case exp.Tuple():
            return [_key(binder, part, select, scope, keys) for part in children(one)]
        case _:
            return [_key(binder, one, select, scope, keys)]


def _set(binder: Binder, one: exp.Expr, select: exp.Expr, scope: Scope, keys: set[str]) -> str:
    if isinstance(one, exp.Tuple):
        return f"({', '.join(_key(binder, p, select, scope, keys) for p in children(one))})"
    if isinstance(one, (exp.Rollup, exp.Cube)):
        return _part(binder, one, select, scope, keys)[0]
    return _key(binder, one, select, scope, keys)


def _key(binder: Binder, one: exp.Expr, select: exp.Expr, scope: Scope, keys: set[str]) -> str:
    if isinstance(one, exp.Paren):
        return _key(binder, inner(one), select, scope, keys)
    if isinstance(one, exp.Literal) and not flag(one, "is_string"):
        items = children(select)
        said = word(one)
        if not said.isdigit() or not 1 <= int(said) <= len(items):
            binder.fail(
                one, f"GROUP BY {said}: the query has {len(items)} columns", "E_COLUMN_UNKNOWN"
            )
        one = items[int(said) - 1]
        if isinstance(one, exp.Star):
            binder.refuse(one, "GROUP BY by number beside * is not supported: name the column")
        one = inner(one) if isinstance(one, exp.Alias) else one
    scope.may_aggregate = scope.may_window = False
    value = binder.expr(one, scope)
    scope.may_aggregate = scope.may_window = True
    keys.add(value.sql)
    if value.raw is not None:
        keys.add(value.raw)
    return ordered(value) if ordered(value) == value.sql else value.sql


def has_aggregate(node: exp.Expr) -> bool:
    """Whether an expression aggregates at its own level, not in a window or a subquery."""
    pending = [node]
    while pending:
        at = pending.pop()
        if isinstance(at, (exp.Subquery, exp.Query)):
            continue
        if isinstance(at, exp.Window):
            # What stands inside of a window's function may aggregate.
            pending += [one for one in at.this.iter_expressions()]
            pending += [*children(at, "partition_by"), *children(at, "order")]
            continue
        if is_aggregate(at):
            return True
        pending += list(at.iter_expressions())
    return False


def check_loose(binder: Binder, node: exp.Expr, scope: Scope) -> None:
    """Refuse a column that is neither grouped by nor aggregated."""
    if scope.keys is None and not scope.has_aggregates:
        return
    if scope.loose:
        column = scope.loose[0][1]
        name = column.name or "this column"
        binder.fail(
            column,
            f"column {name} is neither in GROUP BY nor inside an aggregate: add it to GROUP BY, or"
            f" take ANY_VALUE({name})",
            "E_NOT_GROUPED",
        )
