"""Adopted tables: made from a foreign topic, fed by it alone, in whole batches.

Beside the table stand two more, written in the same commits: `<table>__source` holds, for each of
the topic's partitions, the offset to go on from and the furthest change delivered; and
`<table>__set_aside` the messages that could not be made rows, with the reason. So where a batch
stops and what it did can never part, and a node that is rebuilt goes on in the same place.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from headwater.log_store.catalog import CatalogEvent, TableObject
from headwater.log_store.source import Fetched, SourceRecord
from headwater.producer import ddl
from headwater.producer.adoption import Adopted, Arrived, SetAside, adopt
from headwater.producer.names import quoted
from headwater.producer.transaction import Transaction
from headwater.producer.values import complete_rows
from headwater.schemas.delivery import Delivered, comes_again, further
from headwater.schemas.errors import EventUnreadable, SchemaInvalid
from headwater.schemas.foreign_reader import ForeignReader
from headwater.schemas.tables import ColumnSpec
from headwater.schemas.types import SqlType

# Of a message set aside, so many bytes of key and value are kept.
_KEPT_BYTES: Final = 1 << 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionSpec:
    """What a new adopted table is: its topic, columns and key.

    `declared`: the columns are the user's, and JSON without a schema is read by them.
    """

    topic: str
    columns: Sequence[ColumnSpec]
    key: Sequence[str]
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """How far one partition was read: the offset to go on from, the furthest change delivered."""

    offset: int
    delivered: Delivered | None


def adopt_table(
    tx: Transaction, name: str, spec: AdoptionSpec, starts: Mapping[int, int]
) -> TableObject:
    """Stage an adopted table and the two beside it; `starts` are offsets by partition.

    Raises:
        SchemaInvalid: no key. Nothing is staged.
        NameTaken: an object has the name. Nothing is staged.
    """
    if not spec.key:
        raise SchemaInvalid(
            f"topic {spec.topic} has no key: say PRIMARY KEY, so that its changes find their rows"
        )
    made = ddl.create_table(tx, name, spec.columns, spec.key)
    source = ddl.create_table(tx, _beside(name, "source"), _SOURCE, ["partition"], or_replace=True)
    aside = ddl.create_table(tx, _beside(name, "set_aside"), _SET_ASIDE, or_replace=True)
    told = {
        "topic": spec.topic,
        "source": source.id,
        "set_aside": aside.id,
        "declared": spec.declared,
    }
    adopted = replace(made, adopted=json.dumps(told, sort_keys=True, separators=(",", ":")))
    tx.stage_catalog(CatalogEvent(adopted))
    tx.insert(source, [(partition, at, None, 0) for partition, at in sorted(starts.items())])
    return tx.catalog.table(made.id)


def _beside(name: str, what: str) -> str:
    head, dot, last = name.rpartition(".")
    plain = last[1:-1] if last.startswith('"') else last
    return head + dot + quoted(f"{plain}__{what}")


def _column(name: str, type_: str, *, nullable: bool = True) -> ColumnSpec:
    return ColumnSpec(name, SqlType.parse(type_), nullable=nullable)


_SOURCE: Final = (
    _column("partition", "INT", nullable=False),
    _column("next_offset", "INT", nullable=False),
    _column("delivered", "VARCHAR"),
    _column("messages", "INT", nullable=False),
)
_SET_ASIDE: Final = (
    _column("partition", "INT", nullable=False),
    _column("offset", "INT", nullable=False),
    _column("message_time", "TIMESTAMP_LTZ"),
    _column("why", "VARCHAR", nullable=False),
    _column("message_key", "BINARY"),
    _column("message", "BINARY"),
)


def places(tx: Transaction, table: TableObject) -> dict[int, Place]:
    """How far each partition of an adopted table's topic was read."""
    found = tx.scan(_own(tx, table, "source")).data.to_pylist()
    return {
        int(row["partition"]): Place(int(row["next_offset"]), _delivered(row["delivered"]))
        for row in found
    }


def _own(tx: Transaction, table: TableObject, which: str) -> TableObject:
    return tx.catalog.table(int(json.loads(table.adopted)[which]))


def _delivered(text: object) -> Delivered | None:
    if not isinstance(text, str):
        return None
    line, place = cast("tuple[str, list[int]]", json.loads(text))
    return Delivered(line, tuple(place))


def is_declared(table: TableObject) -> bool:
    """Whether the columns of an adopted table are the user's, not what its topic told."""
    return bool(json.loads(table.adopted)["declared"])


def adopt_batch(
    tx: Transaction, table: TableObject, reader: ForeignReader, fetched: Fetched
) -> Adopted:
    """Stage what one look at the topic brought, with how far it was read.

    Records that were read before, and changes that a connector sent again, do nothing. A column
    that the topic has and the table has not is added to it.
    """
    tx.adopting = table.id
    standing = places(tx, table)
    arrived: list[Arrived] = []
    aside: list[SetAside] = []
    counts: dict[int, int] = {}
    for record in fetched.records:
        place = standing.get(record.partition, Place(0, None))
        if record.offset < place.offset:
            continue
        counts[record.partition] = counts.get(record.partition, 0) + 1
        try:
            change = reader.change(record.key, record.value)
        except EventUnreadable as error:
            aside.append(SetAside(record.partition, record.offset, str(error)))
            change = None
        last = place.delivered
        if change is not None and not comes_again(last, change.delivered):
            arrived.append(Arrived(record.partition, record.offset, change))
            last = further(last, change.delivered)
        standing[record.partition] = Place(record.offset + 1, last)
    done = adopt(tx, _grown(tx, table, reader), arrived)
    done.set_aside[:0] = aside
    _keep(tx, table, done.set_aside, fetched.records)
    for partition, offset in fetched.next.items():
        place = standing.get(partition, Place(0, None))
        standing[partition] = Place(max(offset, place.offset), place.delivered)
    _advance(tx, table, {p: standing[p] for p in fetched.next}, counts)
    return done


def _grown(tx: Transaction, table: TableObject, reader: ForeignReader) -> TableObject:
    """The table with every column that was met in its topic."""
    current = tx.catalog.table(table.id)
    for column in reader.met.values():
        if current.schema.position(column.name) is None:
            current = ddl.add_column(tx, current, ColumnSpec(column.name, column.type))
    return current


def _keep(
    tx: Transaction,
    table: TableObject,
    aside: Sequence[SetAside],
    records: Sequence[SourceRecord],
) -> None:
    """Keep what was set aside, as it came."""
    if not aside:
        return
    by_place = {(record.partition, record.offset): record for record in records}
    rows: list[dict[int, object]] = []
    for one in aside:
        record = by_place[one.partition, one.offset]
        rows.append(
            {
                0: one.partition,
                1: one.offset,
                2: _EPOCH + timedelta(milliseconds=max(record.time_ms, 0)),
                3: one.why,
                4: None if record.key is None else record.key[:_KEPT_BYTES],
                5: None if record.value is None else record.value[:_KEPT_BYTES],
            }
        )
    kept = _own(tx, table, "set_aside")
    tx.insert(kept, complete_rows(tx, kept, rows))


def _advance(
    tx: Transaction, table: TableObject, reached: Mapping[int, Place], counts: Mapping[int, int]
) -> None:
    """Write how far each partition was read; a partition that is new begins here."""
    source = _own(tx, table, "source")
    for partition, place in sorted(reached.items()):
        found = tx.row_by_key(source, (partition,))
        before = 0 if found is None else cast(int, found[1][3])
        told = None if place.delivered is None else json.dumps(place.delivered)
        row = (partition, place.offset, told, before + counts.get(partition, 0))
        if found is None:
            tx.insert(source, [row])
        elif found[1] != row:
            tx.update(source, [(found[0], row)])
