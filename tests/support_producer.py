"""Tables and transactions for tests of the producer room."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from headwater.log_store.catalog import TableObject
from headwater.log_store.port import Log
from headwater.log_store.reader import read_window
from headwater.producer import ddl
from headwater.producer.transaction import Transaction
from headwater.schemas.tables import ColumnSpec
from headwater.schemas.types import Row, SqlType

# A row as Arrow gives it to Python.
Shown = tuple[object, ...]


def spec(name: str, type_: str, *, nullable: bool = True, default: object = None) -> ColumnSpec:
    """A column as a user asks for it."""
    return ColumnSpec(name, SqlType.parse(type_), nullable=nullable, default=default)


ORDERS = (spec("id", "INT", nullable=False), spec("name", "VARCHAR"))


def create(
    log: Log,
    name: str = "orders",
    specs: Sequence[ColumnSpec] = ORDERS,
    key: Sequence[str] = ("id",),
) -> TableObject:
    """A committed, empty table: id INT, name VARCHAR, keyed by id."""
    with committing(log) as tx:
        made = ddl.create_table(tx, name, specs, key)
    return current(log, made)


def current(log: Log, table: TableObject) -> TableObject:
    """The table as it stands now."""
    with log.view() as view:
        return view.catalog.table(table.id)


@contextmanager
def committing(log: Log) -> Generator[Transaction]:
    """A transaction that commits at the end of the block."""
    tx = Transaction(log)
    try:
        yield tx
        tx.commit()
    finally:
        tx.rollback()


def insert(log: Log, table: TableObject, *rows: Row) -> None:
    """Rows in a commit of their own."""
    with committing(log) as tx:
        tx.insert(table, rows)


def rows_of(log: Log, table: TableObject) -> list[Shown]:
    """The rows as committed, by row id."""
    with committing(log) as tx:
        return seen_by(tx, current(log, table))


def seen_by(tx: Transaction, table: TableObject) -> list[Shown]:
    """The rows a transaction sees, by row id."""
    data = tx.scan(table).data
    return list(zip(*(column.to_pylist() for column in data.columns), strict=True))


def ids_of(tx: Transaction, table: TableObject) -> list[int]:
    """The row ids a transaction sees."""
    found: list[int] = tx.scan(table).row_ids.tolist()
    return found


def events_of(log: Log, table: TableObject, version: int) -> list[tuple[str, int, int]]:
    """One version's events: op, row id, distance to the other half of a key change."""
    found: list[tuple[str, int, int]] = []
    with log.view() as view:
        for events in read_window(view, table.id, version - 1, version):
            pairs = (events.pair_seqs - events.event_seqs) * (events.pair_seqs != 0)
            ops = [chr(op) for op in events.ops.tolist()]
            found += zip(ops, events.row_ids.tolist(), pairs.tolist(), strict=True)
    return found
