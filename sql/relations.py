"""What a name in FROM means: a table now or then, its changes, a stream, a view, made-up rows."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlglot import exp

from headwater.consumers.captures import METADATA, MORE_METADATA
from headwater.consumers.positions import AtTime, horizon, parse, version_of
from headwater.log_store.catalog import Capture, StreamObject, TableObject, ViewColumn, ViewObject
from headwater.producer.names import parse as parse_name
from headwater.schemas.tables import Column
from headwater.schemas.types import Kind, SqlType
from headwater.sql.binder import Binder
from headwater.sql.constants import value_of
from headwater.sql.context import Context, State
from headwater.sql.errors import ProgrammingError
from headwater.sql.names import found, temporary_named
from headwater.sql.offers import INFORMATION, TEMPORARY, Made
from headwater.sql.scopes import BoundColumn, Relation, Scope
from headwater.sql.sources import (
    AnySource,
    ChangesSource,
    RowsSource,
    StreamSource,
    TableSource,
)
from headwater.sql.statements import ROW_ID_COLUMN, ROW_IDS, Reading, reading_of
from headwater.sql.translate import told_at
from headwater.sql.trees import child, inner, path_of, word
from headwater.sql.typing_duck import BOOLEAN, INT, LTZ, VARCHAR

_METADATA_TYPES: Final = {
    "METADATA$ACTION": VARCHAR,
    "METADATA$ISUPDATE": BOOLEAN,
    "METADATA$ROW_ID": VARCHAR,
    "METADATA$VERSION": INT,
    "METADATA$COMMIT_TIMESTAMP": LTZ,
    "METADATA$TRANSACTION_ID": VARCHAR,
}
_VIEWS_DEEP: Final = 32


def relation_of(binder: Binder, table: exp.Table, scope: Scope) -> tuple[str, Relation]:
    """A named relation of FROM: DuckDB's text for it, and the columns it gives."""
    path = path_of(table)
    shared = None if child(table, "db") is not None else scope.shared_query(table.name)
    if shared is not None:
        return _shared(binder, table, scope)
    context = binder.context
    catalog, state = context.tx.catalog, _state(binder)
    parts = parse_name(path)
    if parts.schema.lower().strip('"') == "information_schema":
        return _information(binder, table)
    temporary = next((made for of in TEMPORARY if (made := of(context, path)) is not None), None)
    if temporary is not None:
        return _rows(binder, table, temporary)
    if (own := temporary_named(state, path)) is not None:
        return _table(binder, table, own)
    for kind in ("table", "view", "stream"):
        match found(catalog, state, kind, path):
            case TableObject() as one if one.dropped_at is None:
                return _table(binder, table, one)
            case ViewObject() as view if view.dropped_at is None:
                return _view(binder, table, view)
            case StreamObject() as stream if stream.dropped_at is None:
                return _stream(binder, table, stream)
            case _:
                pass
    raise ProgrammingError(
        f"there is no table, view or stream {path}",
        code="E_NOT_FOUND",
        place=binder.place(table),
        fields={"name": path},
    )


def _state(binder: Binder) -> State:
    """Where names are looked up first: inside a view, its own schema."""
    return State(schema=binder.schema) if binder.schema else binder.context.state


def names_of(table: exp.Expr) -> tuple[str, ...]:
    """How a query may call a relation: its alias, or its name with schema and database."""
    alias = table.args.get("alias")
    if isinstance(alias, exp.TableAlias) and alias.name:
        return (alias.name,)
    if isinstance(table, exp.Table):
        parts = [child(table, key) for key in ("this", "db", "catalog")]
        names = [part.name for part in parts if part is not None]
        return (names[0], names[1] if len(names) > 1 else "public", *names[2:])
    return ()


def renamed(binder: Binder, node: exp.Expr, columns: list[BoundColumn]) -> list[BoundColumn]:
    """Columns under the names that an alias such as `t(a, b)` gives them."""
    alias = node.args.get("alias")
    names = alias.args.get("columns") if isinstance(alias, exp.TableAlias) else None
    if not names:
        return columns
    shown = [column for column in columns if not column.hidden]
    if len(names) > len(shown):
        binder.fail(node, f"{len(names)} names are given to {len(shown)} columns")
    for column, name in zip(shown, names, strict=False):
        column.name = name.name
    return columns


def _clauses(binder: Binder, table: exp.Table, kind: str, allowed: tuple[str, ...]) -> None:
    """Refuse the clauses of a table reference that this kind of relation has not."""
    words = {"when": "AT or BEFORE", "changes": "CHANGES", "sample": "SAMPLE", "pivots": "PIVOT"}
    for key, shown in words.items():
        if table.args.get(key) and key not in allowed:
            binder.refuse(table, f"{shown} on {kind} {table.name} is not supported")
    if reading_of(table) != Reading() and "reading" not in allowed:
        binder.fail(
            table,
            f"{table.name} is a {kind}: CONSUMER, LIMIT CHANGES and UP TO VERSION"
            " follow the name of a stream",
            "E_NOT_A_STREAM",
        )


# -- tables ------------------------------------------------------------------------------------


def _source(binder: Binder, key: object, make: Callable[[str], AnySource]) -> AnySource:
    """The source under a key; the same one for every reference to the same rows."""
    known = binder.sources.get(key)
    if known is None:
        known = binder.sources[key] = make(binder.fresh("s"))
    assert isinstance(known, (TableSource, StreamSource, ChangesSource, RowsSource))
    known.times += 1
    return known


def base_column(
    source: AnySource, alias: str, at: int, name: str, type_: SqlType, *, nullable: bool = True
) -> BoundColumn:
    """A source's column, converted where DuckDB's form is not the inner one."""
    raw = f"{alias}.c{at}"
    sql = raw
    if type_.kind is Kind.TIMESTAMP_LTZ:
        sql = f"CAST({raw} AS TIMESTAMPTZ)"
    elif type_.kind is Kind.TIMESTAMP_NTZ and type_.in_millis:
        sql = f"CAST({raw} AS TIMESTAMP)"
    return BoundColumn(name, type_, sql, raw, nullable=nullable, use=lambda: source.used.add(at))


def _table(binder: Binder, table: exp.Table, one: TableObject) -> tuple[str, Relation]:
    _clauses(binder, table, "table", ("when", "changes"))
    if table.args.get("changes"):
        return _changes(binder, table, one)
    row_ids = bool(table.meta.get(ROW_IDS))
    version = _version(binder, table, one)
    key = ("table", one.id, row_ids, None if version is None else id(table))
    # Every query calls a table's rows alike, so that they are registered once.
    kind = "t" if one.id > 0 else "own"  # a TEMPORARY table's id is below 0
    called = f"{kind}{abs(one.id)}{'r' if row_ids else ''}"
    source = _source(
        binder,
        key,
        lambda name: TableSource(called if version is None else name, one.id, version, row_ids),
    )
    alias = binder.fresh("r")
    columns = [
        base_column(source, alias, at, c.name, c.type, nullable=c.nullable)
        for at, c in enumerate(one.schema.columns)
    ]
    columns = renamed(binder, table, columns)
    if row_ids:
        columns.insert(0, BoundColumn(ROW_ID_COLUMN, INT, f"{alias}.rid", hidden=True))
    return f"{source.name} AS {alias}", Relation(names_of(table), columns)


def _version(binder: Binder, table: exp.Table, one: TableObject) -> Callable[[Context], int] | None:
    when = child(table, "when")
    if when is None:
        return None
    binder.repeatable = False
    at = place_in_history(binder, when, one)
    return lambda context: at


def place_in_history(binder: Binder, when: exp.Expr, table: TableObject) -> int:
    """The version that AT or BEFORE names; END is the version itself."""
    with told_at(binder.context, binder.place(when)):
        return _place_in_history(binder, when, table)


def _place_in_history(binder: Binder, when: exp.Expr, table: TableObject) -> int:
    context = binder.context
    unit, before = word(when, "kind").upper(), word(when).upper() == "BEFORE"
    value = value_of(context, inner(when, "expression"))
    said: object = value
    if unit == "TIMESTAMP":
        said = _instant(value)
    elif unit == "OFFSET" and isinstance(value, (int, Decimal, float)):
        return version_of(
            context.tx.view,
            table,
            AtTime(context.tx.now_us + int(value * 1_000_000)),
            before=before,
        )
    elif unit == "STREAM":
        return _stream_position(binder, when, str(value), table)
    elif unit == "STATEMENT":
        said = {"statement": str(value)}
    elif unit != "VERSION":
        binder.fail(when, f"{unit} => is no place in history", "E_POSITION")
    if not isinstance(said, (int, str, datetime, dict)) or isinstance(said, bool):
        binder.fail(when, f"{unit} => {value} is no place in history", "E_POSITION")
    position = parse(said, context.tx.now_us, zone=context.state.zone)  # pyright: ignore[reportUnknownArgumentType]
    return version_of(context.tx.view, table, position, before=before)


def _instant(value: object) -> object:
    """A date or a text as `positions.parse` reads times."""
    if isinstance(value, datetime) or not hasattr(value, "isoformat"):
        return value
    return str(value)


def _stream_position(binder: Binder, when: exp.Expr, name: str, table: TableObject) -> int:
    from headwater.consumers.backlog import lowest_position

    catalog = binder.context.tx.catalog
    stream = found(catalog, _state(binder), "stream", name)
    if not isinstance(stream, StreamObject):
        binder.fail(when, f"there is no stream {name}", "E_NOT_FOUND")
    if stream.table != table.id:
        binder.fail(when, f"stream {name} is on another table", "E_POSITION")
    at = lowest_position(binder.context.tx.view, stream)
    return max(at, stream.base if at < 0 else at)


_INFORMATION: Final = {
    "DEFAULT": Capture.NET,
    "NET": Capture.NET,
    "ALL": Capture.ALL,
    "APPEND_ONLY": Capture.INSERT_ONLY,
}


def _changes(binder: Binder, table: exp.Table, one: TableObject) -> tuple[str, Relation]:
    said = inner(table, "changes")
    capture = _INFORMATION.get(word(said, "information").upper())
    if capture is None:
        binder.fail(said, "INFORMATION => is DEFAULT, NET, ALL or APPEND_ONLY", "E_SQL_SYNTAX")
    start = child(said, "at_before") or child(table, "when")
    if start is None:
        binder.fail(table, "CHANGES needs AT (..) or BEFORE (..) behind it", "E_SQL_SYNTAX")
    binder.repeatable = False
    view = binder.context.tx.view
    first = place_in_history(binder, start, one)
    stop = child(said, "end")
    last = view.head(one.id).version if stop is None else place_in_history(binder, stop, one)
    if first < horizon(view, one.id):
        binder.fail(start, "that place is below the horizon", "E_OUTSIDE_HISTORY")
    source = _source(
        binder,
        ("changes", id(table)),
        lambda name: ChangesSource(
            name, one.id, capture, first, last, _names_of(one.schema.columns)
        ),
    )
    assert isinstance(source, ChangesSource)
    return _changing(binder, table, one.schema.columns, source)


def _changing(
    binder: Binder,
    table: exp.Table,
    shown: Sequence[Column | ViewColumn],
    source: StreamSource | ChangesSource,
) -> tuple[str, Relation]:
    """The columns of a table's changes: its own, then METADATA$."""
    alias = binder.fresh("r")
    columns = [base_column(source, alias, at, c.name, c.type) for at, c in enumerate(shown)]
    columns += [
        base_column(source, alias, len(columns) + at, name, _METADATA_TYPES[name], nullable=False)
        for at, name in enumerate(METADATA)
    ]
    columns = renamed(binder, table, columns)
    for name in MORE_METADATA:
        more = base_column(source, alias, len(columns), name, _METADATA_TYPES[name], nullable=False)
        columns.append(_by_name(more))
    return f"{source.name} AS {alias}", Relation(names_of(table), columns)


def _names_of(shown: Sequence[Column | ViewColumn]) -> tuple[str, ...]:
    """A window's columns by position."""
    return (*(column.name for column in shown), *METADATA, *MORE_METADATA)


def _by_name(column: BoundColumn) -> BoundColumn:
    """A column that `*` does not show."""
    column.hidden = True
    if column.type.kind is Kind.TIMESTAMP_LTZ:
        # The commit's time comes as a timestamp, not as text.
        column.sql, column.raw = column.raw or column.sql, None
    return column


def _stream(binder: Binder, table: exp.Table, stream: StreamObject) -> tuple[str, Relation]:
    _clauses(binder, table, "stream", ("reading",))
    reading = reading_of(table)
    catalog = binder.context.tx.catalog
    shown: Sequence[Column | ViewColumn] = catalog.table(stream.table).schema.columns
    if stream.view is not None:
        shown = catalog.view(stream.view).columns
    source = _source(
        binder,
        (
            "stream",
            stream.id,
            reading.consumer and reading.consumer.lower(),
            reading.limit_changes,
            reading.upto,
        ),
        lambda name: StreamSource(name, stream.id, reading, _names_of(shown)),
    )
    assert isinstance(source, StreamSource)
    return _changing(binder, table, shown, source)


# -- what is made of other queries -------------------------------------------------------------


def _shared(binder: Binder, table: exp.Table, scope: Scope) -> tuple[str, Relation]:
    shared = scope.shared_query(table.name)
    assert shared is not None
    _clauses(binder, table, "WITH query", ())
    alias = binder.fresh("r")
    columns = [
        BoundColumn(name, type_, f"{alias}.k{at}")
        for at, (name, type_) in enumerate(shared.columns)
    ]
    names = names_of(table)
    return f"{shared.sql} AS {alias}", Relation(names[:1], renamed(binder, table, columns))


def _view(binder: Binder, table: exp.Table, view: ViewObject) -> tuple[str, Relation]:
    _clauses(binder, table, "view", ())
    if view.id in binder.views:
        binder.fail(table, f"view {view.name} is defined by itself", "E_VIEW_CYCLE")
    if len(binder.views) >= _VIEWS_DEEP:
        binder.fail(table, "views of views go too deep here", "E_VIEW_CYCLE")
    place, schema = binder.place(table), binder.schema
    catalog = binder.context.tx.catalog
    namespace = catalog.get("schema", view.namespace)
    binder.views.append(view.id)
    binder.schema = getattr(namespace, "name", "public")
    try:
        made = binder.make_query(binder, view_tree(view), None)
    except ProgrammingError as error:
        raise ProgrammingError(
            f"view {view.name} cannot be read: {error.message}", code=error.code, place=place
        ) from error
    finally:
        binder.views.pop()
        binder.schema = schema
    if len(made.columns) != len(view.columns):
        binder.fail(
            table,
            f"view {view.name} had {len(view.columns)} columns when it was made, its query now"
            f" gives {len(made.columns)}: make it anew",
            "E_VIEW_CHANGED",
        )
    alias = binder.fresh("r")
    columns = [
        BoundColumn(declared.name, out.type or VARCHAR, f"{alias}.{out.key}", nullable=out.nullable)
        for declared, out in zip(view.columns, made.columns, strict=True)
    ]
    return f"({made.sql}) AS {alias}", Relation(names_of(table), renamed(binder, table, columns))


def view_tree(view: ViewObject) -> exp.Expr:
    """A view's query as a tree."""
    from headwater.sql.parse import parse
    from headwater.sql.statements import CreateView, Query

    statement = parse(view.text)[0]
    if isinstance(statement, CreateView):
        return statement.query
    assert isinstance(statement, Query), "a view is kept as a query"
    return statement.tree


def _information(binder: Binder, table: exp.Table) -> tuple[str, Relation]:
    _clauses(binder, table, "relation", ())
    make = INFORMATION.get(table.name.upper())
    if make is None:
        known = ", ".join(sorted(INFORMATION))
        binder.fail(
            table,
            f"there is no INFORMATION_SCHEMA.{table.name.upper()}; there are {known}",
            "E_NOT_FOUND",
        )
    binder.repeatable = False
    return _rows(binder, table, make(binder.context))


def _rows(binder: Binder, table: exp.Table, made: Made) -> tuple[str, Relation]:
    binder.repeatable = False
    names = names_of(table)
    return rows_relation(binder, table, made, names)


def rows_relation(
    binder: Binder, node: exp.Expr, made: Made, names: tuple[str, ...]
) -> tuple[str, Relation]:
    """Rows made for this statement as a relation."""
    source = _source(binder, ("rows", id(node)), lambda name: RowsSource(name, made.rows))
    alias = binder.fresh("r")
    columns = [
        base_column(source, alias, at, c.name, c.type, nullable=c.nullable)
        for at, c in enumerate(made.columns)
    ]
    return f"{source.name} AS {alias}", Relation(names, renamed(binder, node, columns))
