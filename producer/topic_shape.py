"""What a foreign topic tells of its rows: the columns and key of a table that is to adopt it."""

from collections.abc import Mapping
from typing import Final

from headwater.log_store.source import TopicSource
from headwater.schemas.errors import EventUnreadable, SchemaInvalid
from headwater.schemas.foreign_reader import ForeignReader
from headwater.schemas.tables import ColumnSpec

# So many messages of a new topic are looked at for one that tells its columns.
_LOOK_AT: Final = 1000
_WAIT_S: Final = 10.0


def shape_of(
    source: TopicSource, reader: ForeignReader, starts: Mapping[int, int]
) -> tuple[list[ColumnSpec], tuple[str, ...]]:
    """The columns and key that the first message which has them tells; `starts` are offsets.

    Raises:
        SchemaInvalid: none does; says why.
        SourceLost, StoreUnavailable: the topic cannot be read.
    """
    why, at, looked = "it is empty", dict(starts), 0
    ends = {partition: end for partition, (_, end) in source.bounds().items()}
    while looked < _LOOK_AT and any(at[p] < end for p, end in ends.items()):
        fetched = source.fetch(at, _LOOK_AT, _WAIT_S)
        for record in fetched.records:
            if record.value is None:
                continue
            try:
                shape = reader.shape(record.key, record.value)
            except EventUnreadable as error:
                why = str(error)
                continue
            return [ColumnSpec(column.name, column.type) for column in shape.columns], shape.key
        if not fetched.next:
            break
        looked += len(fetched.records)
        at |= fetched.next
    raise SchemaInvalid(
        f"topic {source.topic} does not tell its columns ({why}): declare them, and the key"
    )
