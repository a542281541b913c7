"""What SQL refuses: PEP 249's classes, each error with a stable code and a place in the text.

Error
  InterfaceError            the connection or cursor is used wrongly     mend the program
  DatabaseError
    ProgrammingError        the text or a name in it is wrong            mend the statement
    NotSupportedError       a statement or function there is none of     say it in another way
    DataError               a value does not fit                         mend the value
    IntegrityError          a key, a NOT NULL                            send another row
    OperationalError        conflict, lock, disk, limit, cancelled       `retryable` says it
    InternalError           a fault of Headwater itself                  report it

A failed statement undid itself; the transaction it ran in stays open. `__cause__` is the error of
the room that refused, where there is one.
"""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Self


class Place(NamedTuple):
    """Where in a text: line and column from 1, `offset` in characters from 0."""

    line: int
    column: int
    offset: int

    @classmethod
    def of(cls, text: str, offset: int) -> "Place":
        """The place of an offset in a text; one past its end is its end."""
        before = text[: max(0, min(offset, len(text)))]
        return cls(before.count("\n") + 1, len(before) - before.rfind("\n"), len(before))

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


class Warning(Exception):
    """A notice raised as an exception; Headwater never raises it."""


class Error(Exception):
    """Base of all errors of SQL. `str()` is one sentence, with the place where one is known.

    `code` never changes for a cause; `retryable` asks for the same call again; `fields` holds the
    values that the sentence names.
    """

    kind: ClassVar[str] = "error"

    def __init__(
        self,
        message: str,
        *,
        code: str = "E_SQL",
        place: Place | None = None,
        retryable: bool = False,
        fields: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message if place is None else f"{place}: {message}")
        self.message, self.code, self.place = message, code, place
        self.retryable = retryable
        self.fields: Mapping[str, object] = fields or {}

    def at(self, place: Place) -> Self:
        """The same error with its place, where it has none yet."""
        if self.place is None:
            self.place = place
            self.args = (f"{place}: {self.message}",)
        return self


class InterfaceError(Error):
    """The connection or cursor is used in a way that means nothing, such as after its end."""


class DatabaseError(Error):
    """Base of what a statement can meet."""


class ProgrammingError(DatabaseError):
    """The text, or a name in it, is wrong."""


class NotSupportedError(DatabaseError):
    """A statement, function or option that Headwater has not; named."""


class DataError(DatabaseError):
    """A value that does not fit where it should go."""


class IntegrityError(DatabaseError):
    """A row that a key or NOT NULL forbids."""


class OperationalError(DatabaseError):
    """Not the statement's fault: a conflict, a limit, the disk, a cancellation."""


class InternalError(DatabaseError):
    """A fault of Headwater itself."""


def syntax(message: str, place: Place | None) -> ProgrammingError:
    """A text that is no statement."""
    return ProgrammingError(message, code="E_SQL_SYNTAX", place=place)


def unsupported(message: str, place: Place | None = None) -> NotSupportedError:
    """Something that is recognised and not there; the message names it and the way out."""
    return NotSupportedError(message, code="E_NOT_SUPPORTED", place=place)
