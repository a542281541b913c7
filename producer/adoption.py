"""Foreign changes into one of our commits: what an adopted topic says, done to its table.

Every change stays a change of its own, so that full history keeps each step; only the order between
different rows may differ inside a commit. A row is found by its key, whatever the source calls the
change: one that is there already is updated by c and r, one that is not is inserted by u, and a d of
a row that is not there does nothing. So a change that comes again ends in the same row.

A change that cannot be made a row is set aside with its reason and stops nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from headwater.log_store.catalog import TableObject
from headwater.producer.transaction import Transaction
from headwater.schemas.errors import SchemaError, SchemaInvalid, ValueRefused
from headwater.schemas.foreign import UNAVAILABLE, Fields, ForeignChange, named_key
from headwater.schemas.images import ImageCodec, codec
from headwater.schemas.tables import Column
from headwater.schemas.types import Plain, Row
from headwater.schemas.values import to_plain


class Arrived(NamedTuple):
    """A change by its place in the source: partition and offset."""

    partition: int
    offset: int
    change: ForeignChange


class SetAside(NamedTuple):
    """A message that could not be made a row, with the reason; see `Arrived` for its place."""

    partition: int
    offset: int
    why: str


@dataclass(slots=True)
class Adopted:
    """What a batch came to: rows changed, changes that had nothing to do, messages set aside."""

    rows: int = 0
    without_effect: int = 0
    set_aside: list[SetAside] = field(default_factory=list[SetAside])


class _Step(NamedTuple):
    """One change of one row: `after` is None where the row goes."""

    at: Arrived
    key: bytes
    after: Fields | None
    before: Fields | None
    refresh: bool  # a snapshot's row: no change where it says what is there


def adopt(tx: Transaction, table: TableObject, arrived: Sequence[Arrived]) -> Adopted:
    """Stage a batch of changes, in order for each key; see the module.

    The table has a primary key. What is staged is one statement per wave, in which no key
    occurs twice.
    """
    done = Adopted()
    images = codec(table.schema)
    for run in _runs(arrived):
        if isinstance(run, Arrived):
            done.rows += tx.truncate(table)
            continue
        steps = list(_steps(images, run, done))
        for wave in waves([step.key for step in steps]):
            _stage(tx, table, [steps[at] for at in wave], done)
    return done


def waves(keys: Sequence[bytes]) -> list[list[int]]:
    """Places in order, parted so that no key is twice in a wave and each key's places rise."""
    made: list[list[int]] = []
    seen: dict[bytes, int] = {}
    for at, key in enumerate(keys):
        wave = seen.get(key, 0)
        seen[key] = wave + 1
        if wave == len(made):
            made.append([])
        made[wave].append(at)
    return made


def _runs(arrived: Iterable[Arrived]) -> Iterator[list[Arrived] | Arrived]:
    """Changes of rows in runs, and each truncation by itself between them."""
    run: list[Arrived] = []
    for one in arrived:
        if one.change.op != "t":
            run.append(one)
            continue
        yield run
        yield one
        run = []
    yield run


def _steps(images: ImageCodec, run: Iterable[Arrived], done: Adopted) -> Iterator[_Step]:
    """What each change does to one row; a change of the key does something to two."""
    for one in run:
        change = one.change
        try:
            if change.op == "d":
                gone = _key(images, change.key, change.before)
                yield _Step(one, gone, None, change.before, False)
                continue
            new = _key(images, change.after, change.key)
            old = _key(images, change.before, change.after, change.key)
        except SchemaError as error:
            done.set_aside.append(SetAside(one.partition, one.offset, str(error)))
            continue
        if old != new:
            yield _Step(one, old, None, change.before, False)
        yield _Step(one, new, change.after, change.before, change.op == "r")


def _key(images: ImageCodec, *sources: Fields | None) -> bytes:
    """The key's bytes, from the first image that has all its columns.

    Raises:
        SchemaError: none has them, or a value that the key's column cannot hold.
    """
    columns = images.schema.key_columns
    values = named_key([column.name for column in columns], *sources)
    if values is None:
        names = ", ".join(column.name for column in columns)
        raise SchemaInvalid(f"the message has no values for the key: {names}")
    pairs = zip(columns, values, strict=True)
    return images.key_of(tuple(to_plain(column, value) for column, value in pairs))


def _stage(tx: Transaction, table: TableObject, steps: Sequence[_Step], done: Adopted) -> None:
    """Stage one wave as one statement."""
    found = tx.row_ids(table, [step.key for step in steps])
    there = [row_id for row_id in found if row_id is not None]
    rows = dict(zip(there, tx.rows(table, there), strict=True))
    inserts: list[tuple[int | None, Row]] = []
    updates: list[tuple[int, Row]] = []
    deletes: list[int] = []
    for step, row_id in zip(steps, found, strict=True):
        old = None if row_id is None else rows[row_id]
        if step.after is None:
            if row_id is not None:
                deletes.append(row_id)
            else:
                done.without_effect += 1
            continue
        try:
            new = _row(table.schema.columns, step, old)
        except ValueRefused as error:
            done.set_aside.append(SetAside(step.at.partition, step.at.offset, str(error)))
            continue
        if row_id is None:
            inserts.append((None, new))
        elif step.refresh and new == old:
            done.without_effect += 1
        else:
            updates.append((row_id, new))
    done.rows += tx.apply(table, inserts=inserts, updates=updates, deletes=deletes)


def _row(columns: Sequence[Column], step: _Step, old: Row | None) -> Row:
    """The whole row after a change: what it does not say stays as it was.

    Raises:
        ValueRefused: a value that its column cannot hold, or one that nothing says.
    """
    after = step.after or {}
    before: Mapping[str, object] = step.before or {}
    made: list[Plain] = []
    for at, column in enumerate(columns):
        value = after.get(column.name, UNAVAILABLE)
        if value is not UNAVAILABLE:
            made.append(to_plain(column, value))
        elif old is not None:
            made.append(old[at])
        elif before.get(column.name, UNAVAILABLE) is not UNAVAILABLE:
            made.append(to_plain(column, before[column.name]))
        elif column.name in after:
            raise ValueRefused(column.name, value, "was not sent, and there is no row that has it")
        else:
            made.append(to_plain(column, None) if column.default is None else column.default)
    return tuple(made)
