"""EXPLAIN: what a statement would scan, look at, consume and write; nothing is run.

A row for each thing, in the order in which they happen. Windows are those that the statement would
have now; `changes` counts captured changes, before netting and filtering.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sqlglot import exp

from headwater.consumers.backlog import changes_between
from headwater.consumers.consume import Reader, window_for
from headwater.consumers.errors import shown_position
from headwater.consumers.windows import Bounds, Window
from headwater.log_store.catalog import Sharing, StreamObject, TableObject, ViewObject
from headwater.sql import information, offers
from headwater.sql.consumption import readers_of
from headwater.sql.context import Context
from headwater.sql.errors import ProgrammingError
from headwater.sql.listing import Shape
from headwater.sql.names import found, short_name, table_named
from headwater.sql.relations import view_tree
from headwater.sql.results import Result
from headwater.sql.statements import (
    CopyInto,
    CopyOut,
    CreateTable,
    Delete,
    Explain,
    Insert,
    InsertAll,
    Merge,
    Query,
    Statement,
    Truncate,
    Update,
)
from headwater.sql.trees import path_of, place_of
from headwater.sql.uses import StreamUse, is_shared, stream_uses
from headwater.sql.variables import filled, folded

_SHAPE: Final = Shape.of(
    step="INT",
    operation="VARCHAR",
    object="VARCHAR",
    consumer="VARCHAR",
    from_="VARCHAR",
    to="VARCHAR",
    changes="INT",
    rows="INT",
    detail="VARCHAR",
)
_CONTENT: Final = Shape.of(content="VARCHAR")
# It offers its relations by name when it is imported.
OFFERED_BY: Final = information

Step = dict[str, object]


def explain(context: Context, statement: Explain) -> Result:
    """EXPLAIN of a query, DML, COPY or CREATE TABLE AS.

    Raises:
        ProgrammingError: any other statement; a name in it that there is none of.
        StreamStale, WatermarksDiffer, ..: what the statement itself would meet at its streams.
    """
    inner = filled(context, statement.statement)
    # Places in the inner statement are told by its own text.
    context.statement = inner
    steps: list[Step] = []
    for number, step in enumerate(_steps(context, inner), 1):
        steps.append({"step": number, **step})
    match statement.format:
        case "JSON":
            shown = [{name: row.get(name) for name in _SHAPE.names} for row in steps]
            return _CONTENT.result("EXPLAIN", [[json.dumps(shown, ensure_ascii=False)]])
        case "TEXT":
            return _CONTENT.result("EXPLAIN", [[line] for line in map(_line, steps)])
        case _:
            return _SHAPE.result("EXPLAIN", _SHAPE.dicts(steps))


def _line(step: Mapping[str, object]) -> str:
    parts = [f"{step['step']}. {step['operation']}", str(step.get("object") or "")]
    if step.get("consumer"):
        parts.append(f"for {step['consumer']}")
    if step.get("from"):
        parts.append(f"({step['from']}, {step['to']}]")
    for name in ("changes", "rows"):
        if step.get(name) is not None:
            parts.append(f"{step[name]} {name}")
    line = " ".join(part for part in parts if part)
    return f"{line}: {step['detail']}" if step.get("detail") else line


def _steps(context: Context, statement: Statement) -> Iterator[Step]:
    """What a statement does, step by step."""
    match statement:
        case Query():
            tree = folded(context, statement.tree)
            yield from _scans(context, tree)
            yield from _looks(context, tree)
        case Insert() | Update() | Delete() | Merge():
            writing: exp.Expr = folded(context, statement.tree)
            yield from _dml(context, statement, writing, [_target(context, writing)])
        case InsertAll():
            catalog, state = context.tx.catalog, context.state
            names = dict.fromkeys(one.table for one in statement.targets)
            targets = [table_named(catalog, state, name) for name in names]
            yield from _dml(context, statement, folded(context, statement.query), targets)
        case CreateTable() if statement.query is not None:
            yield from _made(context, statement, folded(context, statement.query))
        case CopyOut():
            tree = folded(context, statement.query)
            yield from _scans(context, tree)
            for use in _distinct(stream_uses(context, tree)):
                yield _at_first(use, f"directory {statement.location}")
            yield {"operation": "WRITE FILES", "object": statement.location}
        case CopyInto():
            yield {"operation": "READ FILES", "object": statement.location}
            yield _write(context, table_named(context.tx.catalog, context.state, statement.table))
        case Truncate():
            table = table_named(context.tx.catalog, context.state, statement.table)
            yield _write(context, table) | {"detail": "a delete for each row"}
        case _:
            raise ProgrammingError(
                "EXPLAIN explains queries, DML, COPY and CREATE TABLE AS",
                code="E_SQL_SYNTAX",
                place=statement.place,
            )


def _target(context: Context, tree: exp.Expr) -> TableObject:
    """The table that a DML statement writes."""
    into: exp.Expr = tree.this
    if isinstance(into, exp.Schema):
        into = into.this
    assert isinstance(into, exp.Table), "DML writes a table"
    return table_named(context.tx.catalog, context.state, path_of(into))


def _dml(
    context: Context, statement: Statement, tree: exp.Expr, targets: Sequence[TableObject]
) -> Iterator[Step]:
    # An INSERT does not read its target.
    written = isinstance(statement, (Insert, InsertAll))
    yield from _scans(context, tree, frozenset(one.id for one in targets if written))
    for use in _distinct(stream_uses(context, tree)):
        readers = readers_of(context, use.stream, use.reading, targets)
        yield _consumes(context, use, readers)
    for table in targets:
        yield _write(context, table)


def _made(context: Context, statement: CreateTable, tree: exp.Query) -> Iterator[Step]:
    yield from _scans(context, tree)
    for use in _distinct(stream_uses(context, tree)):
        yield _at_first(use, statement.name)
    yield {"operation": "CREATE TABLE", "object": statement.name}
    yield {"operation": "WRITE", "object": statement.name, "rows": 0}


# -- reading -----------------------------------------------------------------------------------


def _scans(
    context: Context,
    tree: exp.Expr,
    skip: frozenset[int] = frozenset(),
    views: frozenset[int] = frozenset(),
) -> Iterator[Step]:
    """Tables, views and other relations of a tree, each once."""
    seen: set[tuple[str, object]] = set()
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier) or is_shared(table):
            continue
        for key, step in _relation(context, table, views):
            if key not in seen and not (key[0] == "table" and key[1] in skip):
                seen.add(key)
                yield step
    for call in tree.find_all(exp.TableFromRows):
        yield {"operation": "CALL", "object": call.this.sql(dialect="snowflake")[:80]}


def _relation(
    context: Context, table: exp.Table, views: frozenset[int]
) -> Iterator[tuple[tuple[str, object], Step]]:
    catalog, state, path = context.tx.catalog, context.state, path_of(table)
    if table.db.lower() == "information_schema":
        if table.name.upper() in offers.INFORMATION:
            shown = f"INFORMATION_SCHEMA.{table.name.upper()}"
            yield ("information", shown), {"operation": "LIST", "object": shown}
        return
    one = found(catalog, state, "table", path)
    if isinstance(one, TableObject):
        yield ("table", one.id), _scan(context, one, table)
        return
    view = found(catalog, state, "view", path)
    if isinstance(view, ViewObject) and view.id not in views:
        name = short_name(catalog, state, view)
        yield ("view", view.id), {"operation": "VIEW", "object": name}
        for step in _scans(context, view_tree(view), views=views | {view.id}):
            yield (str(step["operation"]), step["object"]), step
        return
    if view is None and found(catalog, state, "stream", path) is None:
        raise ProgrammingError(
            f"there is no table, view or stream {path}",
            code="E_NOT_FOUND",
            place=place_of(table, context.statement) or context.statement.place,
        )


def _scan(context: Context, one: TableObject, table: exp.Table) -> Step:
    name = short_name(context.tx.catalog, context.state, one)
    if table.args.get("changes"):
        return {"operation": "CHANGES", "object": name, "detail": "of any range, for nobody"}
    step: Step = {"operation": "SCAN", "object": name, "rows": _row_count(context, one)}
    when = table.args.get("when")
    if isinstance(when, exp.HistoricalData):
        return step | {"rows": None, "detail": when.sql(dialect="snowflake")}
    if context.tx.view.catalog.get("table", one.id) is not None:
        step["to"] = shown_position(context.tx.view.head(one.id).version)
    return step


def _row_count(context: Context, table: TableObject) -> int | None:
    """How many rows a table has; None where this transaction's own changes would count too."""
    if context.tx.view.catalog.get("table", table.id) is None:
        return None
    if table.id in context.tx.written_tables():
        return None
    return context.tx.view.row_count(table.id)


# -- streams -----------------------------------------------------------------------------------


def _distinct(uses: Sequence[StreamUse]) -> list[StreamUse]:
    """Each stream once for each way it is read: a stream used twice is one window."""
    return list({(one.stream.id, one.reading): one for one in uses}.values())


def _looks(context: Context, tree: exp.Expr) -> Iterator[Step]:
    from headwater.sql.select import Looking

    looking = Looking(context)
    for use in _distinct(stream_uses(context, tree)):
        window = looking.window(use.stream, use.reading)
        yield {
            "operation": "LOOK",
            "object": short_name(context.tx.catalog, context.state, use.stream),
            "consumer": use.reading.consumer,
            **_span(context, use.stream, window),
            "detail": "a SELECT moves no watermark",
        }


def _consumes(context: Context, use: StreamUse, readers: Sequence[Reader]) -> Step:
    bounds = Bounds(use.reading.limit_changes, use.reading.upto)
    window = window_for(context.tx, use.stream, readers, bounds)
    return {
        "operation": "CONSUME",
        "object": short_name(context.tx.catalog, context.state, use.stream),
        "consumer": _named(use.stream, readers),
        **_span(context, use.stream, window),
        "detail": f"{use.stream.capture.value}; the watermark moves with the commit",
    }


def _at_first(use: StreamUse, consumer: str) -> Step:
    """A consumer that does not exist before the statement: it begins at the base."""
    shared = use.stream.sharing is Sharing.SHARED
    named = use.reading.consumer or ("SHARED" if shared else consumer)
    return {
        "operation": "CONSUME",
        "object": use.stream.name,
        "consumer": named,
        "detail": f"{use.stream.capture.value}; from its watermark, at a first use from the base",
    }


def _named(stream: StreamObject, readers: Sequence[Reader]) -> str:
    if stream.sharing is Sharing.SHARED:
        return "SHARED"
    names = (one.name if isinstance(one, TableObject) else str(one) for one in readers)
    return ", ".join(names)


def _span(context: Context, stream: StreamObject, window: Window) -> Step:
    """From, to and changes of a window."""
    step: Step = {"from": shown_position(window.after), "to": shown_position(window.upto)}
    known = context.tx.view.catalog
    if known.get("stream", stream.id) is None or known.get("table", stream.table) is None:
        return step | {"changes": 0}
    changes, _ = changes_between(context.tx.view, stream, window.after, window.upto)
    return step | {"changes": changes}


def _write(context: Context, table: TableObject) -> Step:
    step: Step = {
        "operation": "WRITE",
        "object": short_name(context.tx.catalog, context.state, table),
        "rows": _row_count(context, table),
    }
    readers = sum(one.table == table.id for one in context.tx.catalog.streams())
    if readers:
        step["detail"] = f"{readers} streams on it will see the changes"
    return step
