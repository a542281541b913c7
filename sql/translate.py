"""Errors of the rooms below, and of Python itself, as PEP 249's classes.

The code, whether to try again and the sentence stay as they are; the place is that of the name that
the error is about, where the statement writes it. `__cause__` is the error as it was raised.
"""

import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Final

from sqlglot import exp

from headwater.consumers.errors import ConsumersError, StreamStale
from headwater.log_store.catalog import NameTaken as NameTakenMeanwhile
from headwater.log_store.errors import (
    IdempotencyMismatch,
    LogDamaged,
    LogError,
    OutsideHistory,
)
from headwater.producer.errors import (
    DuplicateKey,
    ProducerError,
    RowExists,
    SourceUnreadable,
    TransactionClosed,
)
from headwater.schemas.errors import EventUnreadable, SchemaError, ValueRefused
from headwater.sql.context import Context
from headwater.sql.errors import (
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    Place,
    ProgrammingError,
)
from headwater.sql.parse import place_of
from headwater.sql.statements import Insert, Merge, Statement
from headwater.sql.tokens import Piece, place_in

_Kind = type[Error]

# The first class that fits, from the special to the general.
_CLASSES: Final[tuple[tuple[type[Exception], _Kind], ...]] = (
    (DuplicateKey, IntegrityError),
    (RowExists, IntegrityError),
    (SourceUnreadable, DataError),
    (TransactionClosed, InterfaceError),
    (ProducerError, ProgrammingError),
    (EventUnreadable, OperationalError),
    (ValueRefused, DataError),
    (SchemaError, ProgrammingError),
    (StreamStale, OperationalError),
    (ConsumersError, ProgrammingError),
    (IdempotencyMismatch, ProgrammingError),
    (OutsideHistory, ProgrammingError),
    (LogDamaged, OperationalError),
    (LogError, OperationalError),
    (NameTakenMeanwhile, ProgrammingError),
    (MemoryError, OperationalError),
    (OSError, OperationalError),
)
_CODES: Final[Mapping[type[Exception], str]] = {
    NameTakenMeanwhile: "E_NAME_TAKEN",
    MemoryError: "E_SQL_MEMORY",
    OSError: "E_IO",
}
# What an error calls the thing it is about, the nearest to the text first.
_NAMED: Final = ("column", "name", "text", "stream", "table")
_PIECE: Final = re.compile(
    r"""'(?:[^'\\]|\\.|'')*+' | "(?:[^"]|"")*+" | \$\$.*?\$\$ | --[^\n]* | //[^\n]* | /\*.*?\*/
      | [^\W\d][\w$]*""",
    re.VERBOSE | re.DOTALL,
)


def translated(error: Exception, statement: Statement | None) -> Error:
    """The error to raise from this one; an `Error` stays itself."""
    if isinstance(error, Error):
        place = None if statement is None else _of_insert(error, statement)
        return error if place is None else error.at(place)
    place = None if statement is None else _place(error, statement)
    if isinstance(error, ValueRefused) and error.value is None and "NOT NULL" in error.why:
        return _made(IntegrityError, error, place)
    for raised, kind in _CLASSES:
        if isinstance(error, raised):
            return _made(kind, error, place)
    said = " ".join(str(error).split()) or type(error).__name__
    return InternalError(
        f"a fault of Headwater ({type(error).__name__}: {said}): please report the statement",
        code="E_INTERNAL",
        place=place,
    )


def _of_insert(error: Error, statement: Statement) -> Place | None:
    """Where an INSERT, or that of a MERGE, has the values or column that an error is about."""
    if isinstance(statement, Merge) and error.code == "E_COLUMN_COUNT":
        clause = statement.tree.args["whens"].find(exp.Insert)
        return None if clause is None else place_of(clause.expression, statement)
    if not isinstance(statement, Insert) or error.place is not None:
        return None
    into: exp.Expr = statement.tree.this
    if error.code == "E_COLUMN_COUNT":
        return place_of(_row_of(statement.tree.expression, error), statement)
    if error.code == "E_SQL_COLUMN_TWICE" and isinstance(into, exp.Schema):
        seen: set[str] = set()
        for column in into.expressions:
            if column.name.lower() in seen:
                return place_of(column, statement)
            seen.add(column.name.lower())
    return None


def _row_of(source: exp.Expr, error: Error) -> exp.Expr:
    """Of the rows of VALUES the one that an error is about; else the query."""
    row = error.fields.get("row")
    rows: list[exp.Expr] = source.expressions if isinstance(source, exp.Values) else []
    return rows[row] if isinstance(row, int) and row < len(rows) else source


@contextmanager
def told_at(context: Context, place: Place | None) -> Generator[None]:
    """Errors of the rooms below come out translated, at this place where they name nothing else."""
    try:
        yield
    except Exception as error:
        found = translated(error, context.statement)
        if place is not None:
            found.at(place)
        if found is error:
            raise
        raise found from error


def _made(kind: Callable[..., Error], error: Exception, place: Place | None) -> Error:
    found: object = getattr(error, "code", None)
    fallback = next((code for of, code in _CODES.items() if isinstance(error, of)), "E_SQL")
    said = " ".join(str(error).split()) or "the memory is used up"
    return kind(
        said,
        code=found if isinstance(found, str) else fallback,
        place=place,
        retryable=getattr(error, "retryable", False) is True,
        fields=dict(vars(error)),
    )


def _place(error: Exception, statement: Statement) -> Place | None:
    """Where the statement writes the name that an error is about."""
    for named in _NAMED:
        name: object = getattr(error, named, None)
        if isinstance(name, str) and name:
            last = name.rpartition(".")[2]
            offset = written_at(statement.text, last)
            if offset is not None:
                return place_in(Piece(statement.text, statement.place), offset)
    return None


def written_at(text: str, name: str) -> int | None:
    """Where a name stands first in a statement, outside texts and comments."""
    wanted = name.strip('"').lower()
    for found in _PIECE.finditer(text):
        piece = found[0]
        if piece.strip('"').lower() == wanted and piece[0] != "'":
            return found.start()
    return None
