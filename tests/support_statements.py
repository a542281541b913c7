"""SQL on a store in memory, with answers in Python's own values."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

import pytest

import headwater
from headwater.ops.api import Database
from headwater.schemas.types import SqlType
from headwater.schemas.values import to_outer
from headwater.sql.errors import Error
from headwater.sql.results import Result

Row = tuple[object, ...]


class Sql:
    """One session: each text's last answer as rows, dicts, a value, notices or an error."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.session = db.sql

    def result(self, text: str, binds: Sequence[object] | Mapping[str, object] = ()) -> Result:
        """The answer of the last statement."""
        return self.session.execute(text, binds)[-1]

    def dicts(
        self, text: str, binds: Sequence[object] | Mapping[str, object] = ()
    ) -> list[dict[str, object]]:
        """Its rows by column name."""
        result = self.result(text, binds)
        types: list[SqlType] = [column.type for column in result.columns]
        return to_outer(types, result.table()).to_pylist()

    def rows(self, text: str, binds: Sequence[object] | Mapping[str, object] = ()) -> list[Row]:
        """Its rows."""
        return [tuple(row.values()) for row in self.dicts(text, binds)]

    def value(self, text: str, binds: Sequence[object] | Mapping[str, object] = ()) -> object:
        """The first value of its first row."""
        return self.rows(text, binds)[0][0]

    def status(self, text: str) -> str:
        """The sentence that a statement without rows answers with."""
        return str(self.value(text))

    def column(self, text: str, name: str) -> list[object]:
        """One column of its rows."""
        return [row[name] for row in self.dicts(text)]

    def error(self, text: str, binds: Sequence[object] | Mapping[str, object] = ()) -> Error:
        """The error it ends in."""
        with pytest.raises(Error) as caught:
            self.session.execute(text, binds)
        return caught.value


@contextmanager
def sql_store() -> Generator[Sql]:
    """A new store in memory with one session."""
    with headwater.connect("memory:") as db:
        yield Sql(db)
