"""Bases read from their topics, and put into a replica in place of the events that went."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from headwater.log_store import rocks_keys as keys
from headwater.log_store.base import blocks_of, encode_anchor
from headwater.log_store.catalog import TableObject
from headwater.log_store.encoding import EncodingNotKnown, encode_version, stored_prefix
from headwater.log_store.errors import LogDamaged, StoreUnavailable
from headwater.log_store.kafka_admin import Admin
from headwater.log_store.kafka_base import (
    ANCHOR_KEY,
    SUFFIX,
    BaseTopic,
    PlacedAnchor,
    base_topic,
    holds,
    read_anchor_record,
    rows_of,
)
from headwater.log_store.kafka_client import Cluster
from headwater.log_store.kafka_places import Span, load_places, put_span
from headwater.log_store.kafka_reader import TopicReader
from headwater.log_store.rocks_large import Pieces
from headwater.log_store.rocks_store import Store
from headwater.schemas.errors import EventUnreadable

_PAUSE_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Bases:
    """What stands in for events that are gone: base topics by table, and where topics go on."""

    topics: Mapping[int, BaseTopic] = field(default_factory=dict[int, BaseTopic])
    offsets: Mapping[str, int] = field(default_factory=dict[str, int])

    def anchor(self, table: int) -> PlacedAnchor | None:
        """Where a table's history begins in its topic; None where that is its creation."""
        found = self.topics.get(table)
        return None if found is None else found.anchor

    def ends(self, table: int, version: int) -> bool:
        """Whether a version is the horizon."""
        anchor = self.anchor(table)
        return anchor is not None and version == anchor.version

    def covers(self, table: int, version: int) -> bool:
        """Whether a version's events may be gone: it is at or below the horizon."""
        anchor = self.anchor(table)
        return anchor is not None and version <= anchor.version


NO_BASES: Final = Bases()


def read_base(cluster: Cluster, admin: Admin, topic: str, timeout_s: float) -> BaseTopic:
    """All that a base topic holds.

    Raises:
        StoreUnavailable: it cannot be read to its end. LogDamaged: it holds something else.
    """
    end, start = admin.ends([topic], committed=True)[topic], admin.starts([topic])[topic]
    rows: dict[bytes, bytes] = {}
    anchor: PlacedAnchor | None = None
    reader = TopicReader(cluster, f"{topic}.reader")
    until = time.monotonic() + timeout_s
    try:
        reader.add([(topic, start)])
        while end > start and reader.ends.get(topic, -1) < end:
            for message in reader.read(10_000, _PAUSE_S):
                key, value = message.key() or b"", message.value()
                if key == ANCHOR_KEY and value is not None:
                    anchor = read_anchor_record(value)
                elif value is None:
                    rows.pop(key, None)
                else:
                    # What is written again stands behind: a key may have gone to another row.
                    rows.pop(key, None)
                    rows[key] = value
                until = time.monotonic() + timeout_s
            if time.monotonic() > until:
                raise StoreUnavailable(f"topic {topic} cannot be read to its end")
    except EncodingNotKnown as error:
        raise LogDamaged(f"topic {topic}", str(error)) from error
    finally:
        reader.close()
    return BaseTopic(anchor, rows)


def base_topics(admin: Admin, prefix: str) -> list[str]:
    """The base topics that there are."""
    return [name for name in admin.prefixed(f"{prefix}.") if name.endswith(SUFFIX)]


def read_bases(
    cluster: Cluster, admin: Admin, prefix: str, known: Iterable[TableObject], timeout_s: float
) -> Bases:
    """The bases of all tables but those that a replica knows already."""
    passed = {base_topic(table.topic) for table in known}
    topics: dict[int, BaseTopic] = {}
    offsets: dict[str, int] = {}
    for name in base_topics(admin, prefix):
        if name in passed:
            continue
        found = read_base(cluster, admin, name, timeout_s)
        if found.anchor is not None:
            topics[found.anchor.table] = found
            offsets[name.removesuffix(SUFFIX)] = found.anchor.next
    return Bases(topics, offsets)


def behind(admin: Admin, store: Store, prefix: str) -> str:
    """A topic that begins behind what the replica has applied of it; empty if there is none.

    Such a replica can never catch up: it is to be filled anew.
    """
    places = load_places(store)
    bases = base_topics(admin, prefix) if places else []
    asked = [name.removesuffix(SUFFIX) for name in bases]
    there = [name for name in admin.topics(asked) if name in places]
    for name, start in admin.starts(there).items():
        if places[name].offset < start:
            return name
    return ""


def install(store: Store, table: TableObject, found: BaseTopic) -> None:
    """Put a base, its anchor and the rows that follow from it into a replica.

    Not in one batch: whoever fills a replica begins anew after a crash.

    Raises:
        LogDamaged: the base is not what its anchor says.
    """
    placed = found.anchor
    assert placed is not None, "a base without an anchor stands for nothing"
    anchor, row = placed.anchor, placed.anchor.row
    where = f"topic {base_topic(table.topic)}"
    try:
        rows = rows_of(table, found.rows)
    except KeyError as error:
        raise LogDamaged(where, f"schema {error} is not its own") from error
    except EventUnreadable as error:
        raise LogDamaged(where, str(error)) from error
    if not holds(anchor, rows.base):
        raise LogDamaged(where, "its digest does not hold")
    pieces = Pieces(store)
    for number, block in enumerate(blocks_of(rows.base)):
        pieces.batch.put("snap", keys.base_key(table.id, row.version, number), block)
        pieces.turn()
    data = rows.base.data
    columns = [data.column(name).to_pylist() for name in ("version", "schema_id", "image")]
    prefix = keys.table_prefix(table.id)
    for row_id, version, schema_id, image, key in zip(
        rows.base.row_ids.tolist(), *columns, rows.keys, strict=True
    ):
        stored = stored_prefix(version, schema_id) + image
        pieces.batch.put("cur", keys.row_key(table.id, row_id), stored)
        if key:
            pieces.batch.put("pk", prefix + key, keys.number(row_id))
        pieces.turn()
    batch = pieces.batch
    batch.put("snap", keys.anchor_key(table.id), encode_anchor(anchor))
    batch.delete("versions", keys.version_key(table.id, 0))
    batch.put("versions", keys.version_key(table.id, row.version), encode_version(row))
    put_span(batch, table.id, row.version, Span(placed.first, placed.next))
    anchored = store.get("meta", keys.META_ANCHORED)
    last = max(row.sequence - 1, 0 if anchored is None else keys.number_in(anchored))
    batch.put("meta", keys.META_ANCHORED, keys.number(last))
    pieces.finish()
