"""DuckDB's errors in our words: what, where, what to do; its own names never reach a user."""

import re
from collections.abc import Callable
from typing import Final

import duckdb

from headwater.sql.errors import (
    DatabaseError,
    DataError,
    InternalError,
    NotSupportedError,
    OperationalError,
    Place,
    ProgrammingError,
)
from headwater.sql.statements import Statement

_OURS: Final = re.compile(r"HW\|(\w+)\|(-?\d+)\|(.*)", re.DOTALL)
_TYPES: Final = {
    "INT8": "INT",
    "INT16": "INT",
    "INT32": "INT",
    "INT64": "INT",
    "BIGINT": "INT",
    "HUGEINT": "NUMBER(38,0)",
    "INT128": "NUMBER(38,0)",
    "DOUBLE": "FLOAT",
    "BLOB": "BINARY",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_LTZ",
    "TIMESTAMPTZ": "TIMESTAMP_LTZ",
    "BOOL": "BOOLEAN",
    "JSON": "VARIANT",
    "TIMESTAMP": "TIMESTAMP_NTZ",
    "DECIMAL": "NUMBER",
}


def place_at(statement: Statement, offset: int) -> Place | None:
    """The place of an offset in a statement's text, -1 for none."""
    if offset < 0:
        return None
    base, found = statement.place, Place.of(statement.text, offset)
    column = found.column + base.column - 1 if found.line == 1 else found.column
    return Place(base.line + found.line - 1, column, base.offset + found.offset)


def translated(error: duckdb.Error, statement: Statement) -> DatabaseError:
    """An error of DuckDB as the one to raise; the statement changed nothing."""
    said = str(error)
    if (ours := _OURS.search(said)) is not None:
        code, offset, message = ours[1], int(ours[2]), ours[3].split("\n\nLINE ")[0]
        return DataError(_short(message), code=code, place=place_at(statement, offset))
    if isinstance(error, duckdb.InterruptException):
        return OperationalError("the statement was cancelled", code="E_CANCELLED")
    if isinstance(error, duckdb.OutOfMemoryException):
        return OperationalError(
            "the statement needs more memory than one may use: select less, or raise the limit",
            code="E_MEMORY_LIMIT",
        )
    for pattern, make in _KNOWN:
        if (found := re.search(pattern, said, re.DOTALL)) is not None:
            return make(found)
    if isinstance(error, (duckdb.PermissionException, duckdb.CatalogException)):
        return NotSupportedError("the statement reaches out of the store", code="E_NOT_SUPPORTED")
    return InternalError(
        f"the query could not be run ({_first_line(said)}): please report it with its text",
        code="E_INTERNAL",
    )


def _first_line(said: str) -> str:
    return _short(said.splitlines()[0] if said else "no reason was given")


def _short(text: str) -> str:
    return text if len(text) <= 300 else text[:297] + "..."


def _type(name: str) -> str:
    bare = name.strip().upper()
    return _TYPES.get(bare, bare.replace("DECIMAL", "NUMBER"))


_Make = Callable[[re.Match[str]], DatabaseError]


def _conversion(found: re.Match[str]) -> DatabaseError:
    return DataError(f"{_short(found[1])!r} is no {_type(found[2])}", code="E_VALUE")


def _out_of_range(found: re.Match[str]) -> DatabaseError:
    return DataError(
        f"{_short(found[1])} is out of range of {_type(found[2])}", code="E_OUT_OF_RANGE"
    )


def _overflow(found: re.Match[str]) -> DatabaseError:
    return DataError(
        f"the result of {found[1]} is out of range of {_type(found[2])}: cast an operand to"
        " NUMBER(38,0) or FLOAT",
        code="E_OUT_OF_RANGE",
    )


_KNOWN: Final[tuple[tuple[str, _Make], ...]] = (
    (r"Overflow in (\w+)(?: of)? ([\w]+)", _overflow),
    (r"Could not convert string '(.*?)' to (\w+(?:\([\d,]+\))?)", _conversion),
    (
        r"value (\S+) can't be cast because .* out of range for the destination type ([\w() ,]+)",
        _out_of_range,
    ),
    (
        r"Could not cast value (\S+?)(?: from type \w+)? to (DECIMAL\(\d+,\s*\d+\)|\w+)",
        _out_of_range,
    ),
    (r"Casting value \"(.*?)\" to type (DECIMAL\(\d+,\s*\d+\)) failed", _out_of_range),
    (
        r"(?:timestamp|date|time) field value out of range: \"(.*?)\"",
        lambda found: DataError(f"{_short(found[1])!r} is no date or time", code="E_VALUE"),
    ),
    (
        r"invalid (?:timestamp|date|time) field format: \"(.*?)\"",
        lambda found: DataError(f"{_short(found[1])!r} is no date or time", code="E_VALUE"),
    ),
    (
        r"Malformed JSON.*?Input: \"?(.*?)\"?(?:\n|$)",
        lambda found: DataError(f"{_short(found[1])!r} is no JSON", code="E_VALUE"),
    ),
    (
        r"[Dd]ivision by zero",
        lambda found: DataError("division by zero", code="E_DIVISION_BY_ZERO"),
    ),
    (
        r"More than one row returned by a subquery",
        lambda found: DataError(
            "a query used as a value gave more than one row: add LIMIT 1 or an aggregate",
            code="E_SUBQUERY_ROWS",
        ),
    ),
    (
        r"(?:Date|Timestamp|Interval).*out of range",
        lambda found: DataError("a date or time is out of range", code="E_OUT_OF_RANGE"),
    ),
    (
        r"cannot take (?:square root|logarithm) of",
        lambda found: DataError(
            "a function is not defined for one of its arguments", code="E_VALUE"
        ),
    ),
    (
        r"regex|regular expression|no argument for rep|missing argument to|invalid escape|missing [)\]]",
        lambda found: DataError("a regular expression cannot be read", code="E_VALUE"),
    ),
    (
        r"[Rr]ecursi(?:on|ve)|[Mm]ax expression depth",
        lambda found: ProgrammingError(
            "the statement is nested too deeply: take it apart with WITH", code="E_SQL_SYNTAX"
        ),
    ),
)
