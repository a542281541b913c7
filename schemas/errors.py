"""What can be wrong with a schema or a value. Nothing was written when one of these is raised.

SchemaError
  TypeNotKnown        a declaration names no type we have        declare another
  SchemaInvalid       a table schema contradicts itself          mend the declaration
  Incompatible        a schema change would break old events     choose another change
  ValueRefused        a value does not fit its column            send one that does
  EventUnreadable     bytes are no event of this schema          see the position in it
"""

from typing import ClassVar


class SchemaError(Exception):
    """Base of this room's errors. `code` never changes; `retryable` asks for the same call."""

    code: ClassVar[str] = "E_SCHEMA"
    retryable: ClassVar[bool] = False


class TypeNotKnown(SchemaError):
    """A type declaration that names no type, or one with parameters out of range."""

    code = "E_TYPE"

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"type {text.strip()!r} cannot be declared: {why}")
        self.text, self.why = text, why


class SchemaInvalid(SchemaError):
    """A table schema that contradicts itself; nothing was created or altered."""

    code = "E_SCHEMA_INVALID"


class Incompatible(SchemaError):
    """A change of a table's schema that old events or readers would not survive."""

    code = "E_SCHEMA_INCOMPATIBLE"


def _shown(value: object) -> str:
    try:
        shown = repr(value)
    except (ValueError, RecursionError):  # an int of thousands of digits, lists in lists
        return f"a value of type {type(value).__name__}"
    return shown if len(shown) <= 80 else shown[:77] + "..."


class ValueRefused(SchemaError):
    """A value that its column cannot hold; the statement wrote nothing.

    `row` counts from 0 within the rows given, None when there was one row only; `table` is empty
    where no statement is known.
    """

    code = "E_VALUE"

    def __init__(
        self, column: str, value: object, why: str, *, row: int | None = None, table: str = ""
    ) -> None:
        where = f"column {column}" if row is None else f"row {row}, column {column}"
        if table:
            where = f"table {table}, {where}"
        shown = _shown(value)
        super().__init__(f"{where}: {shown} {why}")
        self.column, self.value, self.why, self.row, self.table = column, value, why, row, table

    def in_table(self, table: str) -> "ValueRefused":
        """The same refusal, naming the table too."""
        return ValueRefused(self.column, self.value, self.why, row=self.row, table=table)


class EventUnreadable(SchemaError):
    """Bytes that are no event of the schema they claim; the position says where reading ended."""

    code = "E_EVENT_UNREADABLE"

    def __init__(self, why: str, *, position: int | None = None) -> None:
        at = "" if position is None else f" at byte {position}"
        super().__init__(f"event cannot be read{at}: {why}")
        self.why, self.position = why, position
