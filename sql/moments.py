"""AT and BEFORE: from what is written to a place in history."""

from datetime import date, datetime, time
from decimal import Decimal
from typing import NamedTuple

from sqlglot import exp

from headwater.consumers.errors import PositionUnknown
from headwater.consumers.positions import (
    AtStatement,
    AtStream,
    AtTime,
    AtVersion,
    Mark,
    Position,
    Said,
    parse,
)
from headwater.sql.constants import value_of
from headwater.sql.context import Context
from headwater.sql.errors import ProgrammingError
from headwater.sql.names import full_name, stream_named
from headwater.sql.parse import place_of
from headwater.sql.statements import At


class Moment(NamedTuple):
    """A place in history; with `before`, the one just before it."""

    position: Position
    before: bool


def moment_of(context: Context, at: At) -> Moment:
    """The place that AT | BEFORE (unit => value) names.

    Raises:
        ProgrammingError: the value does not fit the unit.
    """
    return Moment(_position(context, at.unit, at.value), at.before)


def history_of(context: Context, node: exp.HistoricalData) -> Moment:
    """The same for the `when` of a table in a query's tree."""
    kind = str(node.args["kind"]).upper()
    return Moment(_position(context, kind, node.expression), node.name.upper() == "BEFORE")


def said_of(context: Context, value: object, place_node: exp.Expr | None = None) -> Position:
    """A place that a value names by itself: 100, 'v100', a time, 'base', '2 hours ago'.

    Raises:
        ProgrammingError: it names none.
    """
    said: Said
    match value:
        case bool():
            said = str(value)
        case int() | str() | datetime():
            said = value
        case Decimal() | float() if value == int(value):
            said = int(value)
        case date():
            said = datetime.combine(value, time())
        case _:
            said = str(value)
    try:
        return parse(said, context.tx.now_us, zone=context.state.zone)
    except PositionUnknown as error:
        place = None if place_node is None else place_of(place_node, context.statement)
        raise ProgrammingError(str(error), code=error.code, place=place) from error


def _position(context: Context, unit: str, node: exp.Expr) -> Position:
    value = value_of(context, node)
    if unit == "":
        return said_of(context, value, node)
    found = _in_unit(context, unit, value)
    if found is None:
        raise ProgrammingError(
            f"{unit} => {_shown(value)} names no place: {_WANTED[unit]}",
            code="E_POSITION",
            place=place_of(node, context.statement),
        )
    return found


_WANTED = {
    "VERSION": "write a version, such as 41 or 'v41'",
    "TIMESTAMP": "write a time, such as '2026-11-23 09:00'::TIMESTAMP",
    "OFFSET": "write seconds back from now, such as -60*5",
    "STATEMENT": "write the id of a statement",
    "STREAM": "write the name of a stream in quotes",
}


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _in_unit(context: Context, unit: str, value: object) -> Position | None:
    """The place that a value names in a unit; None if it fits the unit not."""
    number = None if isinstance(value, bool) else value
    match unit, number:
        case ("VERSION", int() | str()):
            found = _parsed(context, number)
            return found if isinstance(found, AtVersion | Mark) else None
        case ("VERSION", Decimal()) if number == int(number):
            return AtVersion(int(number)) if number >= 0 else None
        case ("TIMESTAMP", str() | datetime()):
            found = _parsed(context, number)
            return found if isinstance(found, AtTime) else None
        case ("TIMESTAMP", date()):
            return _parsed(context, datetime.combine(number, time()))
        case ("OFFSET", int() | Decimal() | float()):
            return AtTime(context.tx.now_us + int(number * 1_000_000)) if number <= 0 else None
        case ("STATEMENT", str()):
            return AtStatement(number)
        case ("STREAM", str()):
            catalog = context.tx.catalog
            stream = stream_named(catalog, context.state, number)
            return AtStream(full_name(catalog, stream))
        case _:
            return None


def _parsed(context: Context, said: Said) -> Position | None:
    try:
        return parse(said, context.tx.now_us, zone=context.state.zone)
    except PositionUnknown:
        return None
