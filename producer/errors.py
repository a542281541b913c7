"""What a transaction refuses. The statement wrote nothing; the transaction stays open.

ProducerError
  DuplicateKey        another row has that key                   send another key, or update it
  RowNotFound         the row is not in the table                look again
  RowTwice            one statement changes a row twice          say which change is meant
  RowExists           a row is put back that is there            delete it first
  RowTooLarge         a change that the store cannot take        make the row smaller
  NotFound            no table, schema or column of that name    see the listing
  NameTaken           a live object has the name                 choose another, or OR REPLACE
  NameInvalid         the text is no name                        quote it, or choose another
  AlterAfterWrite     DDL on a table this transaction changed    commit first
  TableReadOnly       a foreign topic writes this table alone    write to its source
  NotEmpty            a schema with objects in it                drop them first
  ParameterInvalid    a parameter cannot have that value         send one that it can
  SourceUnreadable    a file or frame cannot be loaded           mend it
  TransactionClosed   committed or rolled back already           begin another
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar


class ProducerError(Exception):
    """Base of this room's errors. `code` never changes; `retryable` asks for the same call."""

    code: ClassVar[str] = "E_PRODUCER"
    retryable: ClassVar[bool] = False


class DuplicateKey(ProducerError):
    """A key that another row of the table has; the statement wrote nothing.

    `row` counts from 0 within the rows given, None when there was one row only.
    """

    code = "E_DUPLICATE_KEY"

    def __init__(
        self, table: str, columns: Sequence[str], values: Sequence[object], row: int | None = None
    ) -> None:
        where = f"table {table}" if row is None else f"table {table}, row {row}"
        shown = ", ".join(_shown(value) for value in values)
        super().__init__(f"{where}: another row has {', '.join(columns)} = {shown}")
        self.table, self.columns, self.values, self.row = table, columns, values, row


def _shown(value: object) -> str:
    shown = repr(value) if isinstance(value, str | bytes) else str(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


class RowNotFound(ProducerError):
    """A row id that the table does not hold, as this transaction sees it."""

    code = "E_ROW_NOT_FOUND"

    def __init__(self, table: str, row_id: int) -> None:
        super().__init__(f"table {table} has no row {row_id}: it was deleted, or never there")
        self.table, self.row_id = table, row_id


class RowTwice(ProducerError):
    """One statement that changes the same row twice; it wrote nothing."""

    code = "E_ROW_TWICE"

    def __init__(self, table: str, row_id: int) -> None:
        super().__init__(
            f"row {row_id} of table {table} is changed twice by one statement: "
            "say which change is meant"
        )
        self.table, self.row_id = table, row_id


class RowExists(ProducerError):
    """A row is put back under the id of a row that is there; the statement wrote nothing."""

    code = "E_ROW_EXISTS"

    def __init__(self, table: str, row_id: int) -> None:
        super().__init__(f"table {table} has a row {row_id} already: it cannot be put back")
        self.table, self.row_id = table, row_id


class RowTooLarge(ProducerError):
    """A change of a row with more bytes than the store takes in one; the statement wrote nothing.

    `row` is the key by column, or the row id where the table has none. An update counts the row
    before and after it.
    """

    code = "E_ROW_TOO_LARGE"

    def __init__(self, table: str, row: Mapping[str, object] | int, size: int, most: int) -> None:
        which = f"row {row}" if isinstance(row, int) else _named(row)
        super().__init__(
            f"table {table}: the change of {which} has {size} bytes, the store's topics take "
            f"{most}: make the row smaller, or raise message.max.bytes of the cluster"
        )
        self.table, self.row, self.size, self.most = table, row, size, most


def _named(row: Mapping[str, object]) -> str:
    return "the row with " + ", ".join(f"{name} = {_shown(value)}" for name, value in row.items())


class NotFound(ProducerError):
    """No live object of that kind has the name. Nothing was changed."""

    code = "E_NOT_FOUND"

    def __init__(self, kind: str, name: str, hint: str = "") -> None:
        super().__init__(f"{kind} {name} does not exist" + (f": {hint}" if hint else ""))
        self.kind, self.name = kind, name


class NameTaken(ProducerError):
    """A live object of that kind has the name. Nothing was changed."""

    code = "E_NAME_TAKEN"

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} {name} exists: choose another name, or replace it")
        self.kind, self.name = kind, name


class NameInvalid(ProducerError):
    """A text that names nothing. Nothing was changed."""

    code = "E_NAME_INVALID"

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"{text!r} is no name: {why}")
        self.text, self.why = text, why


class AlterAfterWrite(ProducerError):
    """DDL on a table whose rows this transaction has changed. The statement did nothing."""

    code = "E_ALTER_AFTER_WRITE"

    def __init__(self, table: str) -> None:
        super().__init__(
            f"table {table} has changes of this transaction: commit them before altering it"
        )
        self.table = table


class TableReadOnly(ProducerError):
    """DML on a table that a foreign topic writes. The statement did nothing."""

    code = "E_TABLE_READ_ONLY"

    def __init__(self, table: str, topic: str) -> None:
        super().__init__(
            f"table {table} is adopted from topic {topic}, which alone writes it: "
            "change the rows at their source, or copy them into a table of your own"
        )
        self.table, self.topic = table, topic


class NotEmpty(ProducerError):
    """A schema that still holds tables or streams. Nothing was changed."""

    code = "E_NOT_EMPTY"

    def __init__(self, name: str, holds: Sequence[str]) -> None:
        super().__init__(f"schema {name} holds {', '.join(holds)}: drop them first")
        self.name, self.holds = name, holds


class ParameterInvalid(ProducerError):
    """A value that a parameter cannot have. Nothing was changed."""

    code = "E_PARAMETER"

    def __init__(self, name: str, value: str, why: str) -> None:
        super().__init__(f"parameter {name} cannot be {value!r}: {why}")
        self.name, self.value, self.why = name, value, why


class SourceUnreadable(ProducerError):
    """A file, frame or stream of rows that cannot be read as rows. Nothing was written."""

    code = "E_SOURCE_UNREADABLE"

    def __init__(self, source: str, why: str) -> None:
        super().__init__(f"{source} cannot be loaded: {why}")
        self.source, self.why = source, why


class TransactionClosed(ProducerError):
    """The transaction was committed or rolled back, or its commit failed: begin another."""

    code = "E_TRANSACTION_CLOSED"

    def __init__(self) -> None:
        super().__init__("this transaction has ended: begin another one")
