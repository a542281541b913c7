"""Tables that a foreign topic feeds: CREATE TABLE .. FROM TOPIC, ALTER TABLE .. REFRESH.

The table is shaped as its topic tells, or as it is declared. REFRESH reads what the topic holds now,
batch by batch, each a commit of its own with how far it was read; a program that keeps reading does
the same (`Database.adoption`).
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final

from headwater.log_store.catalog import TableObject
from headwater.log_store.errors import StoreUnavailable
from headwater.log_store.source import Fetched, TopicSource
from headwater.producer.adopting import AdoptionSpec, adopt_batch, adopt_table, places
from headwater.producer.adoption import Adopted
from headwater.producer.names import parse, unquoted
from headwater.producer.retry import retry
from headwater.producer.staged import topic_of
from headwater.producer.topic_shape import shape_of
from headwater.producer.transaction import Transaction
from headwater.schemas.foreign_reader import ForeignReader
from headwater.sql.context import Context
from headwater.sql.ddl_tables import apply_options, spec_of
from headwater.sql.errors import OperationalError, Place, ProgrammingError, unsupported
from headwater.sql.names import qualified
from headwater.sql.parse import place_of_name
from headwater.sql.results import Result, status
from headwater.sql.statements import AlterTable, CreateTable, OptionValue

# Messages in one commit, and how long to wait for one that does not come.
_MOST: Final = 10_000
_WAIT_S: Final = 5.0
BROKERS: Final = "BROKERS"


def create(context: Context, statement: CreateTable) -> Result:
    """CREATE TABLE .. FROM TOPIC; nothing is read yet but what tells the columns.

    Raises:
        SchemaInvalid: the topic does not tell its columns or key. Nothing is staged.
        SourceLost, StoreUnavailable: the topic cannot be read. Nothing is staged.
    """
    assert statement.topic is not None
    if statement.replace:
        raise unsupported("OR REPLACE .. FROM TOPIC is not there: drop the table first")
    options = dict(statement.options)
    with _opened(context, statement.topic, options.pop(BROKERS, None)) as source:
        starts = {partition: first for partition, (first, _) in source.bounds().items()}
        specs = [spec_of(context, column) for column in statement.columns]
        key = tuple(unquoted(part) for part in statement.key)
        if not specs:
            specs, found = shape_of(source, ForeignReader(), starts)
            key = key or found
        declared = bool(statement.columns)
        asked = AdoptionSpec(topic=source.topic, columns=specs, key=key, declared=declared)
    name = qualified(context.state, statement.name)
    table = adopt_table(context.tx, name, asked, starts)
    apply_options(context, table, options)
    shown = parse(name).plain
    context.notices.append(f"no row is read yet: ALTER TABLE {shown} REFRESH reads the topic")
    return status("CREATE TABLE", f"Table {shown} successfully created.")


def refresh(context: Context, table: TableObject, statement: AlterTable) -> Result:
    """ALTER TABLE .. REFRESH: read up to where the topic ends now.

    Raises:
        ProgrammingError: the table is not fed by a topic, or a transaction is open.
        SourceLost, StoreUnavailable: the topic cannot be read further. What was read stays.
    """
    place = place_of_name(statement.name, statement) or statement.place
    if not table.adopted:
        raise ProgrammingError(
            f"table {table.name} is fed by no topic: REFRESH is for tables made FROM TOPIC",
            code="E_NOT_ADOPTED",
            place=place,
        )
    if not context.alone:
        raise ProgrammingError(
            "REFRESH commits what it reads batch by batch: run it outside of a transaction",
            code="E_SQL_TRANSACTION",
            place=statement.place,
        )
    with _opened(context, topic_of(table), statement.options.get(BROKERS)) as source:
        rows, aside, whole = _read_up(context, table, source)
    if not whole:
        context.notices.append("the topic did not answer in time: run it again for the rest")
    said = f"{rows} rows changed, {aside} messages set aside."
    result = status("ALTER TABLE", said)
    result.rowcount = rows
    return result


def _read_up(context: Context, table: TableObject, source: TopicSource) -> tuple[int, int, bool]:
    """Rows changed, messages set aside, and whether all of it was read."""
    declared = {column.name: column.type for column in table.schema.columns}
    reader = ForeignReader(None, declared)
    ends = {partition: end for partition, (_, end) in source.bounds().items()}
    rows = aside = 0
    while True:
        context.check()
        at = _positions(context, table)
        if all(at.get(partition, 0) >= end for partition, end in ends.items()):
            return rows, aside, True
        fetched = source.fetch(at, _MOST, _WAIT_S)
        if not fetched.next:
            return rows, aside, False
        done = retry(partial(_commit, context, table, reader, fetched))
        rows, aside = rows + done.rows, aside + len(done.set_aside)


def _begin(context: Context) -> Transaction:
    return Transaction(context.store.log, actor=context.store.actor, clock=context.store.now)


def _positions(context: Context, table: TableObject) -> Mapping[int, int]:
    tx = _begin(context)
    try:
        return {partition: place.offset for partition, place in places(tx, table).items()}
    finally:
        tx.rollback()


def _commit(
    context: Context, table: TableObject, reader: ForeignReader, fetched: Fetched
) -> Adopted:
    tx = _begin(context)
    try:
        with tx.statement(context.statement.text):
            done = adopt_batch(tx, tx.catalog.table(table.id), reader, fetched)
        tx.commit()
    finally:
        tx.rollback()
    return done


@contextmanager
def _opened(context: Context, topic: str, brokers: OptionValue | None) -> Generator[TopicSource]:
    """The topic, of these brokers or of the store's own cluster."""
    if brokers is not None and context.store.locations is not None:
        place: Place = place_of_name(BROKERS, context.statement) or context.statement.place
        raise OperationalError(
            "a statement from outside names no brokers: it reads topics of the store's own cluster",
            code="E_SQL_BROKERS",
            place=place,
        )
    source = context.store.topic(topic, None if brokers is None else str(brokers))
    try:
        yield source
    except StoreUnavailable as error:
        # Not tried again by itself: each try waits half a minute for a cluster that is not there.
        raise OperationalError(str(error), code=error.code) from error
    finally:
        source.close()
