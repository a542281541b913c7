"""Hand-made events of a small table, for tests of what streams make of them."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headwater.schemas.events import Events
from headwater.schemas.tables import Column, TableSchema
from headwater.schemas.types import SqlType

SCHEMA = TableSchema(
    number=1,
    columns=(
        Column(1, "id", SqlType.parse("INT"), "id", nullable=False),
        Column(2, "name", SqlType.parse("VARCHAR"), "name"),
        Column(3, "score", SqlType.parse("FLOAT"), "score"),
    ),
    key=(1,),
    next_column_id=4,
    used_names=("id", "name", "score"),
)
Image = tuple[int, str | None, float | None]
EMPTY: pa.Table = pa.schema([(c.name, c.type.arrow) for c in SCHEMA.columns]).empty_table()


@dataclass(frozen=True)
class Event:
    """One event: op is c, u, d or r; `pair` is the event_seq of the other half."""

    op: str
    row: int
    before: Image | None = None
    after: Image | None = None
    version: int = 1
    pair: int = 0


def images(rows: list[Image]) -> pa.Table:
    """Rows as columns in the inner types."""
    columns = [[row[at] for row in rows] for at in range(3)]
    arrays = [
        pa.array(values, type=column.type.arrow)
        for values, column in zip(columns, SCHEMA.columns, strict=True)
    ]
    return pa.Table.from_arrays(arrays, names=SCHEMA.names)


def events(*made: Event, first_seq: int = 1) -> Events:
    """The events in order, numbered from `first_seq`; commit times are the version in seconds."""
    before = [event.before for event in made if event.before is not None]
    after = [event.after for event in made if event.after is not None]
    versions = np.array([event.version for event in made], dtype=np.int64)
    return Events(
        schema=SCHEMA,
        ops=np.array([ord(event.op) for event in made], dtype=np.uint8),
        row_ids=np.array([event.row for event in made], dtype=np.int64),
        versions=versions,
        event_seqs=np.arange(first_seq, first_seq + len(made), dtype=np.int64),
        pair_seqs=np.array([event.pair for event in made], dtype=np.int64),
        sequences=versions + 100,
        times_us=versions * 1_000_000,
        before=images(before),
        before_at=_places([event.before for event in made]),
        after=images(after),
        after_at=_places([event.after for event in made]),
    )


def _places(of: list[Image | None]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    there = np.array([image is not None for image in of], dtype=np.bool_)
    return np.where(there, np.cumsum(there) - 1, -1).astype(np.int64)


StreamRow = tuple[str, bool, int, Image]


def plain(rows: pa.Table) -> list[StreamRow]:
    """A stream's rows as (action, isupdate, row id, image)."""
    return [
        (
            row["METADATA$ACTION"],
            row["METADATA$ISUPDATE"],
            int(row["METADATA$ROW_ID"]),
            (row["id"], row["name"], row["score"]),
        )
        for row in rows.to_pylist()
    ]
