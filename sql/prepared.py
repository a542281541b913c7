"""What is worked out once for a statement and the table it writes, and kept with the statement."""

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from headwater.log_store.catalog import TableObject
from headwater.schemas.tables import TableSchema
from headwater.sql.statements import Statement

_Of = TypeVar("_Of", bound=Statement)
_Made = TypeVar("_Made")


class Prepared(Generic[_Of, _Made]):
    """One entry per statement; made anew when the table it names is another or was altered."""

    def __init__(self, make: Callable[[_Of, TableObject], _Made]) -> None:
        self._make = make
        self._kept: WeakKeyDictionary[_Of, tuple[int, TableSchema, _Made]] = WeakKeyDictionary()

    def get(self, statement: _Of, of: TableObject) -> _Made:
        """What was made of the statement for that table."""
        known = self._kept.get(statement)
        if known is not None and known[0] == of.id and known[1] is of.schema:
            return known[2]
        made = self._make(statement, of)
        self._kept[statement] = (of.id, of.schema, made)
        return made
