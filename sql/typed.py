"""A translated expression: DuckDB's text and the type it has; constants keep their value."""

from dataclasses import dataclass, replace
from typing import Final

from headwater.schemas.types import SqlType
from headwater.sql.typing_duck import duck


class Unknown:
    """What stands for the value of an expression that is no constant."""


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, slots=True)
class Typed:
    """An expression in DuckDB's words.

    `type` None is NULL, which takes any type. `constant` is the Python value of a literal or bind.
    `raw` is the text of a base column as it is stored, where that is what the expression shows.
    `nullable` is false only where NULL cannot come out.
    """

    sql: str
    type: SqlType | None
    constant: object = UNKNOWN
    raw: str | None = None
    declared: SqlType | None = None
    nullable: bool = True

    @property
    def is_constant(self) -> bool:
        """Whether its value is known before the query runs."""
        return self.constant is not UNKNOWN

    def of(self, type_: SqlType) -> "Typed":
        """The same text under another type that has the same form inside."""
        return replace(self, type=type_, raw=None, declared=None)


NULL: Final = Typed("NULL", None, None)


def computed(sql: str, type_: SqlType) -> Typed:
    """An expression that is no bare column."""
    return Typed(sql, type_)


def null_of(type_: SqlType) -> str:
    """NULL of a type, as text."""
    return f"CAST(NULL AS {duck(type_)})"


def text(value: str) -> str:
    """A string as DuckDB's literal."""
    quoted = "'" + value.replace("'", "''") + "'"
    return quoted if "\0" not in quoted else quoted.replace("\0", "' || chr(0) || '").join("()")


def name(value: str) -> str:
    """An identifier as DuckDB's."""
    return '"' + value.replace('"', '""') + '"'
