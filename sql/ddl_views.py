"""CREATE, ALTER, DROP of views. What a view gives is worked out when it is made.

A view that filters and projects one table, by expressions that give the same for the same row at any
time, can have streams; the catalog notes that table with it.
"""

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from headwater.log_store.catalog import TableObject, ViewColumn, ViewObject
from headwater.producer import ddl_views
from headwater.producer.ddl_views import ViewSpec
from headwater.producer.errors import NotFound
from headwater.producer.names import parse, unquoted
from headwater.sql.context import Context
from headwater.sql.ddl_tables import DONE, gone
from headwater.sql.errors import ProgrammingError
from headwater.sql.names import found, qualified
from headwater.sql.parse import place_of
from headwater.sql.results import Result, status
from headwater.sql.statements import AlterView, CreateView, Drop, Reading, reading_of
from headwater.sql.trees import path_of

_LONGEST: Final = 256 << 10
# What a SELECT that filters and projects one table may consist of.
_PARTS: Final = frozenset(("expressions", "from_", "where"))
# Whose value is another at another time, or another row's business.
_MOVING: Final = (
    exp.AggFunc,
    exp.Window,
    exp.Subquery,
    exp.Query,
    exp.CurrentTimestamp,
    exp.CurrentDate,
    exp.CurrentTime,
    exp.CurrentUser,
    exp.Rand,
    exp.Randn,
    exp.Uuid,
    exp.Parameter,
    exp.Placeholder,
)


def create_view(context: Context, statement: CreateView) -> Result:
    """CREATE VIEW: its query is checked now, and kept as it was written.

    Raises:
        ProgrammingError: the query is wrong, uses a bind or a variable, or names another number of
            columns than it gives. SchemaInvalid: two columns of one name.
    """
    name = qualified(context.state, statement.name)
    shown = parse(name).plain
    old = found(context.tx.catalog, context.state, "view", name)
    if statement.if_not_exists and old is not None:
        return status("CREATE VIEW", f"{shown} already exists, statement succeeded.")
    _check_text(statement)
    spec = ViewSpec(
        text=statement.definition,
        columns=_columns(context, statement, shown),
        table=_table(context, statement.query),
        comment=statement.comment,
    )
    ddl_views.create_view(context.tx, name, spec, or_replace=statement.replace)
    return status("CREATE VIEW", f"View {shown} successfully created.")


def _check_text(statement: CreateView) -> None:
    """Refuse what a kept text cannot hold."""
    for kind, what in ((exp.Placeholder, "a bind"), (exp.Parameter, "a $variable")):
        node = statement.query.find(kind)
        if node is not None:
            raise ProgrammingError(
                f"a view cannot hold {what}: write the value",
                code="E_VIEW",
                place=place_of(node, statement) or statement.place,
            )
    if len(statement.definition) > _LONGEST:
        raise ProgrammingError(
            f"the view's text is longer than {_LONGEST} characters",
            code="E_SQL_TOO_LONG",
            place=statement.place,
        )
    for table in statement.query.find_all(exp.Table):
        if reading_of(table) != Reading():
            raise ProgrammingError(
                "a view cannot hold CONSUMER, LIMIT CHANGES or UP TO VERSION: say it where the "
                "view is read",
                code="E_VIEW",
                place=place_of(table, statement) or statement.place,
            )


def _columns(context: Context, statement: CreateView, name: str) -> list[ViewColumn]:
    # DuckDB is loaded by the first statement that needs it.
    from headwater.sql.plans import bound
    from headwater.sql.select import out_column

    plan, _ = bound(context, statement.query)
    given = [out_column(out) for out in plan.columns]
    names = [column.name for column in given]
    if not statement.columns:
        _check_twice(statement, name, names)
    else:
        if len(statement.columns) != len(given):
            raise ProgrammingError(
                f"view {name} names {len(statement.columns)} columns, its query gives {len(given)}",
                code="E_VIEW",
                place=statement.place,
            )
        names = [unquoted(column) for column in statement.columns]
    _check_twice(statement, name, names)
    return [
        ViewColumn(name=shown, type=column.type) for shown, column in zip(names, given, strict=True)
    ]


def _check_twice(statement: CreateView, view: str, names: Sequence[str]) -> None:
    """Refuse two columns of one name, at the second."""
    seen: set[str] = set()
    for at, name in enumerate(names):
        if name.lower() in seen:
            selects = statement.query.selects
            place = place_of(selects[at], statement) if at < len(selects) else None
            raise ProgrammingError(
                f"view {view} has two columns {name}: give one an alias",
                code="E_SCHEMA_INVALID",
                place=place or statement.place,
            )
        seen.add(name.lower())


def _table(context: Context, query: exp.Query) -> int | None:
    """The one table that a query filters and projects; None for any other query."""
    if not isinstance(query, exp.Select) or any(
        value for key, value in query.args.items() if key not in _PARTS
    ):
        return None
    source = query.args.get("from_")
    table: object = source.this if isinstance(source, exp.From) else None
    if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier):
        return None
    if any(table.args.get(key) for key in ("when", "changes", "sample", "pivots", "joins")):
        return None
    where = query.args.get("where")
    parts = [*query.expressions, *([where] if isinstance(where, exp.Expr) else [])]
    if any(part.find(*_MOVING) is not None for part in parts):
        return None
    of = found(context.tx.catalog, context.state, "table", path_of(table))
    return of.id if isinstance(of, TableObject) else None


def alter_view(context: Context, statement: AlterView) -> Result:
    """ALTER VIEW RENAME TO | SET COMMENT.

    Raises:
        NotFound: there is no such view.
    """
    view = _view(context, statement.name)
    if statement.new_name is not None:
        ddl_views.rename_view(context.tx, view, statement.new_name)
    if statement.comment is not None:
        ddl_views.describe_view(context.tx, view, statement.comment)
    return status("ALTER VIEW", DONE)


def drop_view(context: Context, statement: Drop) -> Result:
    """DROP VIEW; streams on it are stale from then on."""
    if found(context.tx.catalog, context.state, "view", statement.name) is None:
        if found(context.tx.catalog, context.state, "table", statement.name) is not None:
            raise NotFound("view", statement.name, "it is a table: DROP TABLE")
        if statement.if_exists:
            return gone("DROP VIEW", statement)
    view = _view(context, statement.name)
    ddl_views.drop_view(context.tx, view)
    return status("DROP VIEW", f"{view.name} successfully dropped.")


def _view(context: Context, name: str) -> ViewObject:
    view = found(context.tx.catalog, context.state, "view", name)
    if not isinstance(view, ViewObject):
        raise NotFound("view", name)
    return view
