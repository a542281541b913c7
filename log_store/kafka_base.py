"""What a table's `<topic>.base` holds: its rows as of the horizon, in place of the events below. Pure.

    row     key := as in the table's topic    value := frame(r event of the row's version)
    gone    key := as in the table's topic    no value
    anchor  key := "anchor"                   value := table:u32 first:u64 next:u64 anchor

The topic is compacted: what stands last under a key counts. Everything that changes with a new
horizon is one transaction, the anchor its last record; `first` and `next` are the offsets that the
horizon's own version had in the table's topic, which begins at `next` from then on. An r event says
version and row id as every event does, is marked as a snapshot's, and carries the times of the
horizon's commit: those of its own version may be long gone.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from headwater.log_store.base import (
    Anchor,
    Base,
    BaseDigest,
    blocks_of,
    decode_anchor,
    encode_anchor,
    rows_in,
)
from headwater.log_store.catalog import Catalog, Namespace, TableObject
from headwater.log_store.encoding import EncodingNotKnown
from headwater.log_store.records import OP_SNAPSHOT
from headwater.schemas.envelope import EventConstants, EventWriter
from headwater.schemas.events import event_images
from headwater.schemas.framing import SIZE as FRAME
from headwater.schemas.framing import frame
from headwater.schemas.images import codec
from headwater.schemas.product import VERSION
from headwater.schemas.varints import encode_long

ANCHOR_KEY: Final = b"anchor"
SUFFIX: Final = ".base"
_PLACE = struct.Struct(">IQQ")


class PlacedAnchor(NamedTuple):
    """An anchor, and the offsets [first, next) of the horizon's version in the table's topic."""

    table: int
    first: int
    next: int
    anchor: Anchor

    @property
    def version(self) -> int:
        """The horizon."""
        return self.anchor.row.version


class BaseTopic(NamedTuple):
    """What a base topic says: an anchor (None: nothing yet), and each row's value by its key."""

    anchor: PlacedAnchor | None
    rows: Mapping[bytes, bytes]


def base_topic(topic: str) -> str:
    """The name of the base of a table's topic."""
    return f"{topic}{SUFFIX}"


def anchor_record(placed: PlacedAnchor) -> bytes:
    """The value under ANCHOR_KEY."""
    return _PLACE.pack(placed.table, placed.first, placed.next) + encode_anchor(placed.anchor)


def read_anchor_record(value: bytes) -> PlacedAnchor:
    """Raises EncodingNotKnown for anything else."""
    try:
        table, first, following = _PLACE.unpack_from(value)
    except struct.error as error:
        raise EncodingNotKnown(f"anchor record: {error}") from error
    return PlacedAnchor(table, first, following, decode_anchor(table, value[_PLACE.size :]))


class _Row(NamedTuple):
    """A row as the envelope's writer takes it."""

    op: int
    row_id: int
    before: bytes | None
    after: bytes
    pair: int = 0


class BaseEvents:
    """Writes the rows of a table's base as r events."""

    def __init__(self, catalog: Catalog, name: str, table: TableObject, anchor: Anchor) -> None:
        schema = catalog.get("schema", table.namespace)
        row = anchor.row
        self._table = table
        self._constants = EventConstants(
            product=VERSION,
            name=name,
            db=name,
            schema=schema.name if isinstance(schema, Namespace) else str(table.namespace),
            table=table.name,
            ts_us=row.time_us,
            written_us=row.time_us,
            version=row.version,
            sequence=row.sequence,
            event_count=1,
            epoch=1,
            commit_id="",
            first_event_seq=row.event_seq,
            first_total_order=1,
            first_table_order=1,
            snapshot=True,
        )

    def records(self, blocks: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Key and value of each row of a base, given as its blocks."""
        table, keyed = self._table, bool(self._table.schema.key)
        head = frame(table.schema.key_schema_id, b"")
        for rows in map(rows_in, blocks):
            for row_id, stored in zip(rows.row_ids, rows.stored, strict=True):
                writer = EventWriter(self._constants._replace(version=stored.version))
                (event,) = writer.rows([_Row(OP_SNAPSHOT, row_id, None, stored.image)])
                key = encode_long(row_id)
                if keyed:
                    made = codec(table.schema_of(stored.schema_id))
                    key = made.key(made.decode(stored.image))
                yield head + key, frame(stored.schema_id, event)


def changed(
    was: Mapping[bytes, bytes], wanted: Mapping[bytes, bytes]
) -> Iterator[tuple[bytes, bytes | None]]:
    """The records that make of what a base topic holds what it is to hold; those that go first."""
    for key in was:
        if key not in wanted:
            yield key, None
    for key, value in wanted.items():
        if was.get(key) != value:
            yield key, value


class BaseRows(NamedTuple):
    """The rows of a base with their keys (empty where the table has none)."""

    base: Base
    keys: list[bytes]


def rows_of(table: TableObject, values: Mapping[bytes, bytes]) -> BaseRows:
    """The base that r events stand for, in row id order.

    Raises:
        KeyError: an event is in a schema that the table never had.
        EventUnreadable: an event is none.
    """
    keyed = bool(table.schema.key)
    by_schema: dict[int, list[tuple[bytes, bytes]]] = {}
    for key, value in values.items():
        schema_id = int.from_bytes(value[1:FRAME], "big")
        by_schema.setdefault(schema_id, []).append((key, value))
    found: list[tuple[int, int, int, bytes, bytes]] = []
    for schema_id, pairs in by_schema.items():
        bodies = [value[FRAME:] for _, value in pairs]
        offsets = np.zeros(len(bodies) + 1, np.int64)
        np.cumsum([len(body) for body in bodies], out=offsets[1:])
        images = event_images(
            table.schema_of(schema_id), b"".join(bodies), offsets, with_keys=False
        )
        row_ids: list[int] = images.row_ids.tolist()
        versions: list[int] = images.versions.tolist()
        afters = images.after.to_pylist()
        for row_id, version, image, (key, _) in zip(row_ids, versions, afters, pairs, strict=True):
            bare = key[FRAME:] if keyed else b""
            found.append((row_id, version, schema_id, image or b"", bare))
    found.sort()
    data = pa.table(
        {
            "version": pa.array([row[1] for row in found], pa.int64()),
            "schema_id": pa.array([row[2] for row in found], pa.int64()),
            "image": pa.array([row[3] for row in found], pa.large_binary()),
        }
    )
    ids = np.array([row[0] for row in found], np.int64)
    return BaseRows(Base(ids, data), [row[4] for row in found])


def holds(anchor: Anchor, base: Base) -> bool:
    """Whether a base is the one that an anchor was made with."""
    digest = BaseDigest()
    for block in blocks_of(base):
        digest.add(block)
    return digest.digest() == anchor.digest and len(base) == anchor.rows
