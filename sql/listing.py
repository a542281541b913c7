"""Rows of listings as results: SHOW, DESCRIBE, INFORMATION_SCHEMA, CALL."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import pyarrow as pa

from headwater.schemas.types import SqlType
from headwater.sql.results import OutColumn, Result

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns of a listing."""

    columns: tuple[OutColumn, ...]

    @classmethod
    def of(cls, **types: str) -> "Shape":
        """Columns by name and declared type; `from_` is shown as `from`."""
        return cls(
            tuple(
                OutColumn(name.removesuffix("_"), SqlType.parse(type_))
                for name, type_ in types.items()
            )
        )

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return [column.name for column in self.columns]

    def table(self, rows: Iterable[Sequence[object]]) -> pa.Table:
        """Rows of plain values as a table of the columns' inner types."""
        held = list(rows)
        fields = [(column.name, column.type.arrow) for column in self.columns]
        schema = pa.schema(fields)
        arrays = [
            pa.array([row[at] for row in held], type_)  # pyright: ignore[reportUnknownMemberType]
            for at, (_, type_) in enumerate(fields)
        ]
        return pa.Table.from_arrays(arrays, schema=schema)

    def result(self, kind: str, rows: Iterable[Sequence[object]]) -> Result:
        """Rows as the answer of a statement."""
        table = self.table(rows)
        return Result(kind, self.columns, iter([table]), rowcount=table.num_rows)

    def dicts(self, rows: Iterable[Mapping[str, object]]) -> list[list[object]]:
        """Rows given by name, in the order of the columns; what is left out is NULL."""
        return [[row.get(name) for name in self.names] for row in rows]


def stamp(time_us: int | None) -> str | None:
    """A time as TIMESTAMP_LTZ holds it inside: ISO 8601 in UTC; None for a time before 1970."""
    if time_us is None or time_us <= 0:
        return None
    moment = _EPOCH + timedelta(microseconds=time_us)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
