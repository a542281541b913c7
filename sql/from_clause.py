"""FROM and its joins in DuckDB's words."""

from typing import Final

from sqlglot import exp

from headwater.sql.binder import Binder, Subquery
from headwater.sql.expressions import condition
from headwater.sql.flatten import is_flatten, table_function
from headwater.sql.relations import names_of, relation_of, renamed
from headwater.sql.scopes import BoundColumn, Relation, Scope
from headwater.sql.trees import child, children, flag, inner, word
from headwater.sql.typed import Typed
from headwater.sql.typing_duck import VARCHAR


def from_clause(binder: Binder, select: exp.Expr, scope: Scope) -> str:
    """FROM with all its joins; empty without one. Adds the relations to the scope."""
    first = child(select, "from_")
    if first is None:
        return ""
    text = _item(binder, inner(first), scope)
    for lateral in children(select, "laterals"):
        text += _lateral(binder, lateral, scope)
    for join in children(select, "joins"):
        text += _join(binder, join, scope)
    return f" FROM {text}"


def _item(binder: Binder, node: exp.Expr, scope: Scope) -> str:
    """One relation, with the joins that sqlglot hangs on it."""
    text = _bare(binder, node, scope)
    for lateral in children(node, "laterals"):
        text += _lateral(binder, lateral, scope)
    for join in children(node, "joins"):
        text += _join(binder, join, scope)
    return text


def _bare(binder: Binder, node: exp.Expr, scope: Scope) -> str:
    if isinstance(node, exp.Table) and isinstance(node.this, exp.DynamicIdentifier):
        node = _by_name(binder, node)
    if isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier):
        text, relation = table_function(binder, node, inner(node), scope)
    elif isinstance(node, exp.Table):
        text, relation = relation_of(binder, node, scope)
    elif isinstance(node, exp.TableFromRows):
        text, relation = table_function(binder, node, inner(node), scope)
    elif isinstance(node, exp.Lateral):
        text, relation = table_function(binder, node, inner(node), scope)
        text = f"LATERAL {text}"
    elif isinstance(node, exp.Subquery) and isinstance(node.this, (exp.Table, exp.Subquery)):
        if not node.args.get("alias"):
            return f"({_item(binder, inner(node), scope)})"
        binder.refuse(node, "an alias on joins in parentheses is not supported")
    elif isinstance(node, (exp.Subquery, exp.Values)):
        text, relation = _derived(binder, node, scope)
    elif isinstance(node, exp.Paren):
        return f"({_item(binder, inner(node), scope)})"
    else:
        binder.refuse(node, f"{type(node).__name__.upper()} in FROM is not supported")
    if node.args.get("pivots"):
        binder.refuse(node, "PIVOT and UNPIVOT are not supported")
    if node.args.get("sample"):
        binder.refuse(node, "SAMPLE is not supported")
    scope.relations.append(relation)
    return text


def _by_name(binder: Binder, node: exp.Table) -> exp.Table:
    """IDENTIFIER('name') as the table of that name."""
    from headwater.sql.constants import value_of

    binder.repeatable = False
    said = value_of(binder.context, inner(inner(node)))
    parts = [part.strip() for part in str(said).split(".")]
    made = exp.Table(this=exp.to_identifier(parts[-1]))
    for key, part in zip(("db", "catalog"), reversed(parts[:-1]), strict=False):
        made.set(key, exp.to_identifier(part))
    for key in ("alias", "when", "changes"):
        made.set(key, node.args.get(key))
    made.meta.update(node.meta)
    return made


def _derived(binder: Binder, node: exp.Expr, scope: Scope) -> tuple[str, Relation]:
    """A query or VALUES in FROM. It sees WITH queries, but not its neighbours' columns."""
    query = inner(node) if isinstance(node, exp.Subquery) else node
    made = binder.make_query(binder, query, _only_shared(scope))
    return relation_of_query(binder, node, made)


def relation_of_query(binder: Binder, node: exp.Expr, made: Subquery) -> tuple[str, Relation]:
    """What a query gives, as a relation."""
    alias = binder.fresh("r")
    columns = [
        BoundColumn(
            out.name,
            out.declared or out.type or VARCHAR,
            f"{alias}.{out.key}",
            nullable=out.nullable,
        )
        for out in made.columns
    ]
    return f"({made.sql}) AS {alias}", Relation(names_of(node), renamed(binder, node, columns))


def _only_shared(scope: Scope) -> Scope:
    """A scope that shows no columns but the WITH queries around."""
    bare = Scope()
    at: Scope | None = scope
    while at is not None:
        for name, one in at.shared.items():
            bare.shared.setdefault(name, one)
        at = at.outer
    return bare


def _lateral(binder: Binder, node: exp.Expr, scope: Scope) -> str:
    return f", {_bare(binder, node, scope)}"


_KINDS: Final = {"": "INNER", "INNER": "INNER", "CROSS": "CROSS", "OUTER": ""}
_SIDES: Final = {"": "", "LEFT": "LEFT", "RIGHT": "RIGHT", "FULL": "FULL"}


def _join(binder: Binder, join: exp.Expr, scope: Scope) -> str:
    method, side, kind = (word(join, key).upper() for key in ("method", "side", "kind"))
    if method not in ("", "NATURAL") or kind not in _KINDS or side not in _SIDES:
        binder.refuse(join, f"{' '.join(filter(None, (method, side, kind)))} JOIN is not supported")
    before = list(scope.relations)
    right = _item(binder, inner(join), scope)
    added = scope.relations[len(before) :]
    on, using = child(join, "on"), [one.name for one in children(join, "using")]
    if method == "NATURAL":
        using = _natural(before, added)
    outer = isinstance(inner(join), exp.Lateral) and flag(inner(join), "outer")
    if using:
        test = _using(binder, join, (before, added, side), using, scope)
        return f" {side or 'INNER'} JOIN {right} ON {test}"
    if on is not None:
        test = condition(binder, on, scope)
        scope.loose.clear()
        return f" {side or 'INNER'} JOIN {right} ON {test}"
    if is_flatten(inner(join)) and outer_flatten(inner(join)):
        return f" LEFT JOIN {right} ON TRUE"
    if side or outer:
        if isinstance(inner(join), (exp.Lateral, exp.TableFromRows)):
            return f" LEFT JOIN {right} ON TRUE"
        binder.fail(join, f"a {side} JOIN needs ON or USING", "E_SQL_SYNTAX")
    return f" CROSS JOIN {right}"


def outer_flatten(node: exp.Expr) -> bool:
    """Whether FLATTEN says OUTER => TRUE."""
    for one in children(inner(node)):
        if isinstance(one, exp.Kwarg) and word(one).upper() == "OUTER":
            return isinstance(one.expression, exp.Boolean) and bool(one.expression.this)
    return False


def _natural(before: list[Relation], added: list[Relation]) -> list[str]:
    left = {column.name.lower() for relation in before for column in relation.shown()}
    return [c.name for relation in added for c in relation.shown() if c.name.lower() in left]


def _using(
    binder: Binder,
    join: exp.Expr,
    sides: tuple[list[Relation], list[Relation], str],
    names: list[str],
    scope: Scope,
) -> str:
    """Equality of the named columns; `*` and bare names show each of them once."""
    from headwater.sql.expressions import compare

    before, added, side = sides
    tests: list[str] = []
    for name in names:
        left = _only(binder, join, before, name)
        right = _only(binder, join, added, name)
        one, other = left.read(), right.read()
        known = scope.coalesced.get(name.lower())
        tests.append(compare(binder, join, "=", [known or one, other]).sql)
        first = known or one
        if side == "RIGHT":
            scope.coalesced[name.lower()] = other
        elif side == "FULL":
            merged = f"COALESCE({first.sql}, {other.sql})"
            scope.coalesced[name.lower()] = Typed(merged, first.type)
        else:
            scope.coalesced[name.lower()] = first
        for relation in added:
            if right in relation.columns:
                relation.merged.add(name.lower())
    return f"({' AND '.join(tests)})"


def _only(binder: Binder, join: exp.Expr, relations: list[Relation], name: str) -> BoundColumn:
    found = [
        column
        for relation in relations
        if name.lower() not in relation.merged
        for column in relation.find(name, exact=False)
    ]
    if len(found) != 1:
        why = "is not" if not found else "is more than once"
        binder.fail(
            join, f"column {name} of USING {why} on one side of the JOIN", "E_COLUMN_UNKNOWN"
        )
    return found[0]
