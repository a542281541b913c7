"""From changes to records: keys, tombstones, the headers of key changes; columns as rows."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
from support_log import delete, insert, schema, update

from headwater.log_store.changes import Columns, RowChange, Rows, Segment, TableChanges
from headwater.log_store.kafka_records import NEW_KEY, OLD_KEY, EventRecords, Run, key_json
from headwater.log_store.objects import TableObject
from headwater.log_store.records import OP_DELETE, OP_INSERT
from headwater.log_store.sequencing import PUBLIC, Encoded
from headwater.schemas.evolve import new_schema
from headwater.schemas.framing import unframe
from headwater.schemas.images import codec
from headwater.schemas.tables import ColumnSpec
from headwater.schemas.types import SqlType

KEYED = TableObject(
    id=3, namespace=PUBLIC, name="t", topic="shop.public.t", generations=(schema(),)
)
KEYLESS = replace(KEYED, generations=(schema(key=()),))
IMAGES = codec(KEYED.schema)


def as_columns(changes: list[RowChange]) -> Columns:
    """The same changes, column by column."""

    def column(values: list[bytes | None]) -> pa.BinaryArray:
        return pa.array(values, pa.binary())

    return Columns(
        np.array([c.op for c in changes], np.uint8),
        np.array([c.row_id for c in changes], np.int64),
        column([c.before for c in changes]),
        column([c.after for c in changes]),
        column([c.old_key or None for c in changes]),
        column([c.new_key or None for c in changes]),
        pairs=np.array([c.pair for c in changes], np.int64),
    )


def encoded(segment: Segment) -> Encoded:
    """With the change's number as its event, in the shape its segment has."""
    messages = [b"event %d" % number for number in range(len(segment))]
    if isinstance(segment, Rows):
        return Encoded(segment, messages)
    offsets = np.cumsum([0, *map(len, messages)])
    return Encoded(segment, None, offsets, b"".join(messages))


def records(table: TableObject, *segments: Segment) -> list[Run]:
    changes = TableChanges(segments=segments, count=sum(map(len, segments)), generation=1)
    making = EventRecords(table, changes)
    return [making.run(encoded(segment)) for segment in segments]


def key(number: int) -> bytes:
    return b"\0\0\0\0\1" + IMAGES.key((number, ""))


CHANGES = [
    insert(KEYED, 1, (1, "a")),
    update(KEYED, 2, (2, "a"), (2, "b"), 1),
    delete(KEYED, 3, (3, "c"), 1),
    insert(KEYED, 4, (4, "d")),
]


def test_each_event_has_its_key_and_each_delete_a_tombstone() -> None:
    (run,) = records(KEYED, Rows(CHANGES))
    assert run.keys == [key(1), key(2), key(3), key(3), key(4)]
    assert run.values[3] is None
    assert [unframe(value)[1] for value in run.values if value] == [
        b"event 0",
        b"event 1",
        b"event 2",
        b"event 3",
    ]
    assert {unframe(value)[0] for value in run.values if value} == {2}
    assert run.headers == {}


def test_columns_make_the_records_that_rows_make() -> None:
    assert records(KEYED, as_columns(CHANGES)) == records(KEYED, Rows(CHANGES))
    few = CHANGES[:2]
    assert records(KEYED, as_columns(few)) == records(KEYED, Rows(few))
    keyless = [change._replace(old_key=b"", new_key=b"") for change in CHANGES]
    assert records(KEYLESS, as_columns(keyless)) == records(KEYLESS, Rows(keyless))


def test_a_table_without_a_key_is_keyed_by_row_id() -> None:
    (run,) = records(KEYLESS, Rows([insert(KEYLESS, 300, (1, "a"))]))
    assert run.keys == [b"\0\0\0\0\1" + b"\xd8\x04"]


def swap() -> list[RowChange]:
    """Rows 1 and 2 exchange their keys: both d first, then both c."""
    old = [IMAGES.encode((1, "a")), IMAGES.encode((2, "b"))]
    new = [IMAGES.encode((2, "a")), IMAGES.encode((1, "b"))]
    keys = [IMAGES.key((1, "")), IMAGES.key((2, ""))]
    return [
        RowChange(OP_DELETE, 1, old[0], None, keys[0], b"", 1, 2),
        RowChange(OP_DELETE, 2, old[1], None, keys[1], b"", 1, 2),
        RowChange(OP_INSERT, 1, None, new[0], b"", keys[1], 0, -2),
        RowChange(OP_INSERT, 2, None, new[1], b"", keys[0], 0, -2),
    ]


def test_a_key_change_names_the_other_key_on_its_delete_its_tombstone_and_its_insert() -> None:
    (run,) = records(KEYED, Rows(swap()))
    assert run.keys == [key(1), key(1), key(2), key(2), key(2), key(1)]
    assert run.headers == {
        0: [(NEW_KEY, b'{"id":2}')],
        1: [(NEW_KEY, b'{"id":2}')],
        2: [(NEW_KEY, b'{"id":1}')],
        3: [(NEW_KEY, b'{"id":1}')],
        4: [(OLD_KEY, b'{"id":1}')],
        5: [(OLD_KEY, b'{"id":2}')],
    }


def test_the_halves_of_a_key_change_find_each_other_across_segments() -> None:
    changes = swap()
    first, second = records(KEYED, Rows(changes[:2]), as_columns(changes[2:]))
    assert first.headers[2] == [(NEW_KEY, b'{"id":1}')]
    assert second.headers == {0: [(OLD_KEY, b'{"id":1}')], 1: [(OLD_KEY, b'{"id":2}')]}


def test_a_key_in_a_header_is_written_as_connect_writes_it() -> None:
    columns = {"n": "DECIMAL(10,2)", "b": "BINARY", "f": "FLOAT", "d": "DATE", "s": "VARCHAR"}
    shape = new_schema(
        [ColumnSpec(name, SqlType.parse(type_), nullable=False) for name, type_ in columns.items()],
        list(columns),
    )
    made = codec(shape).key((-12345, b"\xff", float("nan"), 20_000, "é"))
    assert key_json(shape, made).decode() == ('{"n":"z8c=","b":"/w==","f":"NaN","d":20000,"s":"é"}')
