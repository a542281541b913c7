"""What is encoded comes back; what is no such value is an error, never a surprise."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.log_store.catalog import (
    AvroSchema,
    Capture,
    CatalogObject,
    ConsumerKind,
    ConsumerObject,
    Namespace,
    RewindPolicy,
    Setting,
    Sharing,
    StreamObject,
    TableObject,
    ViewColumn,
    ViewObject,
)
from headwater.log_store.catalog_json import decode_object, encode_object
from headwater.log_store.encoding import (
    EncodingNotKnown,
    chain_commit,
    decode_audit,
    decode_block,
    decode_commit,
    decode_stored,
    decode_version,
    decode_watermark,
    encode_audit,
    encode_commit,
    encode_one,
    encode_run,
    encode_version,
    encode_watermark,
    stamp,
    stored_prefix,
    stored_version,
    unstamp,
)
from headwater.log_store.records import (
    INITIAL,
    AuditRow,
    CommitRow,
    Counts,
    Idempotency,
    Move,
    Moved,
    Stored,
    VersionRow,
    Watermark,
)
from headwater.schemas.tables import AutoIncrement, Column, TableSchema
from headwater.schemas.types import SqlType

NUMBER = st.integers(0, (1 << 63) - 1)
SMALL = st.integers(0, (1 << 32) - 1)
SIGNED = st.integers(-(1 << 63), (1 << 63) - 1)
TEXT = st.text(max_size=12)
AUTOS = st.lists(st.tuples(SMALL, SIGNED), max_size=3).map(tuple)

VERSIONS = st.builds(
    VersionRow,
    table=SMALL,
    version=NUMBER,
    sequence=NUMBER,
    time_us=SIGNED,
    counts=st.builds(Counts, NUMBER, NUMBER, NUMBER, NUMBER),
    event_seq=NUMBER,
    next_row_id=NUMBER,
    schema_id=SMALL,
    digest=st.binary(min_size=32, max_size=32),
    autos=AUTOS,
    chunks=SMALL,
)
MOVES = st.builds(
    Moved,
    st.builds(
        Move,
        consumer=SMALL,
        start=st.none() | st.integers(INITIAL, 1 << 62),
        end=st.integers(INITIAL, 1 << 62),
        why=st.sampled_from(("register", "consume", "advance", "rewind", "restore", "undo")),
        target=st.none() | SMALL,
        tables=st.lists(SMALL, max_size=3).map(tuple),
        reason=TEXT,
        note=st.dictionaries(TEXT, TEXT | st.integers(-5, 5), max_size=2),
    ),
    st.none() | NUMBER,
)
COMMITS = st.builds(
    CommitRow,
    sequence=NUMBER,
    commit_id=TEXT,
    time_us=SIGNED,
    actor=TEXT,
    versions=st.dictionaries(SMALL, NUMBER, max_size=3),
    moves=st.lists(MOVES, max_size=2).map(tuple),
    statements=st.lists(TEXT, max_size=2).map(tuple),
    idempotency=st.none() | st.builds(Idempotency, TEXT, st.binary(max_size=40)),
    result=TEXT,
    ddl=SMALL,
    epoch=SMALL,
)


@given(VERSIONS)
def test_a_version_row_comes_back(row: VersionRow) -> None:
    assert decode_version(row.table, row.version, encode_version(row)) == row


@given(COMMITS, st.data())
def test_a_commit_comes_back_with_its_autos_and_its_chain(
    row: CommitRow, data: st.DataObject
) -> None:
    autos = {table: data.draw(AUTOS) for table in row.versions}
    value = encode_commit(row, autos)
    chain = chain_commit(bytes(32), row.sequence, value, [b"covered"])
    assert decode_commit(row.sequence, value + chain) == (row, (chain, autos))


@given(SMALL, st.integers(INITIAL, 1 << 62), NUMBER, SIGNED, st.none() | NUMBER)
def test_a_watermark_comes_back(
    consumer: int, position: int, sequence: int, time_us: int, target: int | None
) -> None:
    mark = Watermark(consumer, position, sequence, time_us, target)
    assert decode_watermark(consumer, encode_watermark(mark)) == mark
    assert len(encode_watermark(mark)) < 100


@given(NUMBER, SIGNED, TEXT, TEXT, TEXT)
def test_an_audit_row_comes_back(
    sequence: int, time_us: int, actor: str, what: str, detail: str
) -> None:
    row = AuditRow(sequence, time_us, actor, what, detail)
    assert decode_audit(sequence, encode_audit(row)) == row


def test_a_catalog_event_keeps_its_time() -> None:
    assert unstamp(stamp(-5, '{"a":"é"}')) == (-5, '{"a":"é"}')


def test_a_current_row_comes_back_and_tells_its_version_alone() -> None:
    value = stored_prefix(300, 7) + b"image"
    assert decode_stored(value) == Stored(300, 7, b"image")
    assert stored_version(value) == 300


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=6))
def test_events_come_back_one_by_one_or_as_a_run(messages: list[bytes]) -> None:
    offsets = np.cumsum([5, *map(len, messages)])
    value = encode_run(9, offsets.astype(np.int64), b"other" + b"".join(messages))
    block = decode_block(3, value)
    places = np.frombuffer(block.offsets, "<i8")
    assert [block.data[a:b] for a, b in pairwise(places)] == messages
    one = decode_block(3, encode_one(9, messages[0]))
    assert (one.schema_id, one.data, bytes(one.offsets)) == (
        9,
        messages[0],
        np.array([0, len(messages[0])], "<i8").tobytes(),
    )


READERS: list[tuple[Callable[[bytes], object], bytes]] = [
    (lambda v: decode_version(1, 2, v), b"\x02" + bytes(200)),
    (lambda v: decode_commit(1, v), b"\x02" + bytes(200)),
    (lambda v: decode_watermark(1, v), b"\x02" + bytes(33)),
    (lambda v: decode_audit(1, v), b"\x02" + bytes(40)),
    (lambda v: decode_block(1, v), b"\x03" + bytes(40)),
    (unstamp, b"\x02" + bytes(40)),
    (decode_stored, b"\x00"),
]


@pytest.mark.parametrize(("read", "newer"), READERS)
def test_a_layout_of_another_release_is_an_error(
    read: Callable[[bytes], object], newer: bytes
) -> None:
    with pytest.raises(EncodingNotKnown):
        read(newer)


@pytest.mark.parametrize("read", [read for read, _ in READERS])
@given(raw=st.binary(max_size=120))
def test_any_bytes_are_read_or_refused(read: Callable[[bytes], object], raw: bytes) -> None:
    try:
        read(raw)
    except EncodingNotKnown:
        pass


SCHEMA = TableSchema(
    number=2,
    columns=(
        Column(1, "Id", SqlType.parse("INT"), "id", nullable=False, auto=AutoIncrement(5, 2)),
        Column(2, "amount", SqlType.parse("DECIMAL(10,2)"), "amount", default=1250, fill=0),
        Column(3, "raw", SqlType.parse("BINARY(4)"), "raw", default=b"\x00\xff"),
        Column(4, "score", SqlType.parse("FLOAT"), "score", default=float("-inf")),
        Column(5, "at", SqlType.parse("TIMESTAMP(3)"), "at", default_call="CURRENT_TIMESTAMP"),
        Column(6, "doc", SqlType.parse("VARIANT"), "doc", comment='"quoted" é'),
    ),
    key=(1,),
    next_column_id=7,
    used_names=("id", "amount", "raw", "score", "at", "doc"),
    schema_id=12,
    key_schema_id=11,
)
OBJECTS: list[CatalogObject] = [
    Namespace(id=2, name="sales", dropped_at=9, changed_at=9),
    TableObject(
        id=3,
        namespace=1,
        name="Orders",
        topic="shop.public.Orders",
        generations=(replace(SCHEMA, number=1), SCHEMA),
        retention_s=5,
        comment="x",
        seeds={7: 100, 8: -1},
    ),
    StreamObject(
        id=4,
        namespace=1,
        name="s",
        table=3,
        base=5,
        capture=Capture.INSERT_ONLY,
        sharing=Sharing.SHARED,
        policy=RewindPolicy.REQUIRE_REASON,
        initial_rows=True,
    ),
    ConsumerObject(id=5, stream=4, name="c", reader=ConsumerKind.TABLE, target=3, retired_at=0),
    AvroSchema(id=1, subject="shop.public.Orders-value", version=1, text='{"type":"record"}'),
    AvroSchema(id=9, subject="shop.public.Orders-key", version=1, text="{}", foreign=True),
    Setting(id=6, name="DEFAULT_STREAM_CAPTURE", value="NET"),
    Setting(id=6, name="DEFAULT_STREAM_CAPTURE", value=None),
    ViewObject(
        id=7,
        namespace=1,
        name="Large",
        text='SELECT "é" FROM orders\nWHERE amount > 5',
        columns=(ViewColumn("é", SqlType.parse("DECIMAL(10,2)"), "x"),),
        table=3,
        generation=2,
        comment="y",
    ),
]


@pytest.mark.parametrize("value", OBJECTS, ids=lambda v: type(v).__name__)
def test_a_catalog_object_comes_back_from_canonical_json(value: CatalogObject) -> None:
    text = encode_object(value)
    assert decode_object(text) == value
    assert encode_object(decode_object(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"kind":"task"}',
        '{"kind":"schema","id":1}',
        '{"kind":"schema","id":1,"name":"x","new":2}',
        '{"kind":"stream","capture":"SOME"}',
    ],
)
def test_json_that_is_no_catalog_object_is_refused(text: str) -> None:
    with pytest.raises(EncodingNotKnown):
        decode_object(text)
