"""Tables and streams as one transaction sees them, its own writes and definitions included."""

from dataclasses import dataclass

import pyarrow as pa

from headwater.log_store.catalog import TableObject
from headwater.ops.api_inputs import RowDict, Where, key_values
from headwater.ops.api_statements import matching
from headwater.ops.present import Reads, outer, row_dict
from headwater.producer.transaction import Transaction
from headwater.schemas.tables import TableSchema


@dataclass(frozen=True, slots=True)
class TxStream:
    """A stream that a transaction made or changed: `Database.stream` finds it after the commit."""

    id: int
    name: str


class TxTable(Reads):
    """A table as one transaction sees it, its own writes included."""

    def __init__(self, inner: Transaction, table_id: int) -> None:
        self._inner, self._id = inner, table_id

    @property
    def id(self) -> int:
        """The table's object id, kept for life; the table is found by it after the commit."""
        return self._id

    @property
    def name(self) -> str:
        """The table's name here."""
        return self._of().name

    @property
    def schema(self) -> TableSchema:
        """The table's columns and key here."""
        return self._of().schema

    def _of(self) -> TableObject:
        return self._inner.catalog.table(self._id)

    def arrow(self) -> pa.Table:
        """All rows, in row id order."""
        return outer(self._of().schema, self._inner.scan(self._of()).data)

    def count(self) -> int:
        """How many rows there are."""
        return len(self._inner.scan(self._of()).row_ids)

    def get(self, key: object) -> RowDict | None:
        """The row with a primary key, None if there is none."""
        found = self._inner.row_by_key(self._of(), key_values(self._of(), key))
        return None if found is None else row_dict(self._of().schema, found[1])

    def matching(self, where: Where) -> list[int]:
        """Ids of the rows that match: an Arrow expression, values to equal, or a function."""
        return matching(self._inner, self._of(), where)
