"""Stream references of a statement: in CTEs, subqueries and views, whether their rows matter or not."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from headwater.log_store.catalog import StreamObject, ViewObject
from headwater.sql.context import Context, State
from headwater.sql.errors import Place
from headwater.sql.names import found, temporary_named
from headwater.sql.relations import view_tree
from headwater.sql.statements import Reading, reading_of
from headwater.sql.trees import child, children, flag, path_of, place_of


@dataclass(frozen=True, slots=True)
class StreamUse:
    """One reference: the stream, how it is read, and where it stands (inside a view: the view)."""

    stream: StreamObject
    reading: Reading
    place: Place | None


def stream_uses(context: Context, tree: exp.Expr) -> list[StreamUse]:
    """Every stream reference of a statement's tree, in the order they stand."""
    return list(_uses(context, tree, context.state, None, frozenset()))


def _uses(
    context: Context, tree: exp.Expr, state: State, place: Place | None, views: frozenset[int]
) -> Iterator[StreamUse]:
    catalog = context.tx.catalog
    for table in tree.find_all(exp.Table, bfs=False):
        if not isinstance(table.this, exp.Identifier) or is_shared(table):
            continue
        path = path_of(table)
        if path.count(".") > 2:
            continue
        here = place or place_of(table, context.statement)
        if temporary_named(state, path) is not None:
            continue
        if found(catalog, state, "table", path) is not None:
            continue
        view = found(catalog, state, "view", path)
        if isinstance(view, ViewObject):
            if view.id not in views:
                namespace = catalog.get("schema", view.namespace)
                inside = State(schema=getattr(namespace, "name", "public"))
                yield from _uses(context, view_tree(view), inside, here, views | {view.id})
            continue
        stream = found(catalog, state, "stream", path)
        if isinstance(stream, StreamObject):
            yield StreamUse(stream, reading_of(table), here)


def is_shared(table: exp.Table) -> bool:
    """Whether a name in FROM means a WITH query around it."""
    if child(table, "db") is not None:
        return False
    name = table.name.lower()
    at: exp.Expr | None = table.parent
    inside: exp.CTE | None = None
    while at is not None:
        if isinstance(at, exp.CTE):
            inside = at
        with_ = None if isinstance(at, exp.With) else child(at, "with_")
        if with_ is not None and _names(with_, name, inside):
            return True
        if with_ is not None:
            inside = None
        at = at.parent
    return False


def _names(with_: exp.Expr, name: str, inside: exp.CTE | None) -> bool:
    """Whether a WITH makes that name visible to a reference in one of its own queries, or below."""
    for one in children(with_):
        if one is inside:
            return one.alias.lower() == name and (flag(with_, "recursive") or refers_to_itself(one))
        if one.alias.lower() == name:
            return True
    return False


def refers_to_itself(cte: exp.Expr) -> bool:
    """Whether a WITH query is an anchor UNION a step that reads the query itself."""
    union = cte.args.get("this")
    if not isinstance(union, exp.Union):
        return False
    own = cte.alias.lower()
    step = union.args.get("expression")
    return isinstance(step, exp.Expr) and any(
        table.name.lower() == own and child(table, "db") is None
        for table in step.find_all(exp.Table)
    )
