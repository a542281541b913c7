"""DESCRIBE: the columns of a table or view, the row of a stream."""

from typing import Final

from headwater.log_store.catalog import StreamObject, TableObject, ViewObject
from headwater.producer.errors import NotFound
from headwater.sql import show
from headwater.sql.context import Context
from headwater.sql.definitions import default_of, type_of
from headwater.sql.listing import Shape
from headwater.sql.names import found
from headwater.sql.results import Result
from headwater.sql.statements import Describe

_COLUMNS: Final = Shape(
    tuple(
        column
        for shape in (
            Shape.of(name="VARCHAR", type="VARCHAR", kind="VARCHAR"),
            Shape.of(**{"null?": "VARCHAR", "default": "VARCHAR", "primary key": "VARCHAR"}),
            Shape.of(**{"unique key": "VARCHAR", "autoincrement": "VARCHAR", "comment": "VARCHAR"}),
        )
        for column in shape.columns
    )
)
_YES: Final = {True: "Y", False: "N"}


def describe(context: Context, statement: Describe) -> Result:
    """DESCRIBE TABLE | VIEW | STREAM; without a kind, whichever has the name.

    Raises:
        NotFound: there is none of that kind.
    """
    of = _object(context, statement)
    match of:
        case TableObject():
            return _table(of)
        case ViewObject():
            return _view(of)
        case _:
            row = show.stream_row(context, of)
            return show.STREAMS.result("DESCRIBE STREAM", show.STREAMS.dicts([row]))


def _object(context: Context, statement: Describe) -> TableObject | ViewObject | StreamObject:
    catalog, state = context.tx.catalog, context.state
    wanted = statement.kind.lower()
    for kind in ("table", "view", "stream"):
        of = found(catalog, state, kind, statement.name)
        if isinstance(of, TableObject | ViewObject | StreamObject):
            # DESCRIBE TABLE shows views too, as Snowflake's does.
            if wanted in ("", kind) or (wanted, kind) == ("table", "view"):
                return of
            raise NotFound(wanted, statement.name, f"it is a {kind}")
    raise NotFound(wanted or "table, view or stream", statement.name)


def _table(table: TableObject) -> Result:
    key = table.schema.key
    rows = [
        {
            "name": column.name,
            "type": type_of(column.type),
            "kind": "COLUMN",
            "null?": _YES[column.nullable],
            "default": default_of(column),
            "primary key": _YES[column.id in key],
            "unique key": "N",
            "autoincrement": None
            if column.auto is None
            else f"START {column.auto.start} INCREMENT {column.auto.step}",
            "comment": column.comment or None,
        }
        for column in table.schema.columns
    ]
    return _COLUMNS.result("DESCRIBE TABLE", _COLUMNS.dicts(rows))


def _view(view: ViewObject) -> Result:
    rows = [
        {
            "name": column.name,
            "type": type_of(column.type),
            "kind": "COLUMN",
            "null?": "Y",
            "primary key": "N",
            "unique key": "N",
            "comment": column.comment or None,
        }
        for column in view.columns
    ]
    return _COLUMNS.result("DESCRIBE VIEW", _COLUMNS.dicts(rows))
