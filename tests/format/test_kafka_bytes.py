"""Golden bytes of what stands on the topics. Red means "a new format", not "change the test"."""

import io
import json
from typing import cast

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_log import schema

from headwater.log_store.catalog import CatalogEvent
from headwater.log_store.encoding import EncodingNotKnown
from headwater.log_store.kafka_end import (
    HEADER_SCHEMA,
    KEY_SCHEMA,
    VALUE_SCHEMA,
    End,
    TableEnd,
    commit_id_in,
    end_header,
    end_key,
    end_value,
    read_header,
)
from headwater.log_store.kafka_records import (
    END_KEY_ID,
    END_VALUE_ID,
    Intent,
    Mark,
    PrefixRecord,
    Writer,
    audit_records,
    catalog_records,
    group_metadata,
    intent_record,
    mark_key,
    mark_record,
    place_in,
    placed,
    prefix_record,
    read_audit,
    read_catalog,
    read_intent,
    read_mark,
    read_prefix,
    read_writer,
    sequence_in,
    writer_record,
)
from headwater.log_store.objects import Namespace
from headwater.log_store.records import (
    AuditRow,
    CommitRow,
    Idempotency,
    Move,
    Moved,
    Watermark,
)

Avro = dict[str, object]
HEADER = cast(Avro, fastavro.parse_schema(cast(Avro, HEADER_SCHEMA)))
KEY = cast(Avro, fastavro.parse_schema(cast(Avro, KEY_SCHEMA)))
VALUE = cast(Avro, fastavro.parse_schema(cast(Avro, VALUE_SCHEMA)))

MOVE = Move(9, None, -1, "register", 3, (3, 4), "why", {"plan": "p", "n": 1})
FULL = End(
    CommitRow(
        7,
        "c-7",
        1_760_000_000_000_007,
        "ann",
        {3: 12, 4: 1},
        (Moved(MOVE, 11), Moved(Move(10, 5, 6, "consume"), None)),
        ("01b2-7",),
        Idempotency("k", b"\x01\x02"),
        '{"rows":2}',
        2,
        5,
    ),
    (
        TableEnd(3, 12, "shop.public.orders", 2, 3, bytes(range(32)), ((1, 9), (2, 1))),
        TableEnd(4, 1, "shop.public.log", 1, 1, bytes(32)),
    ),
    1,
    b"\xff" * 32,
)
BARE = End(CommitRow(1, "c", 1, "", {}), (), 0, bytes(32))


def read_avro(schema: Avro, data: bytes) -> object:
    """By another implementation, to the last byte."""
    stream = io.BytesIO(data)
    found = fastavro.schemaless_reader(stream, schema, None)  # pyright: ignore[reportUnknownMemberType]
    assert stream.read() == b""
    return found


def test_the_header_of_a_commit() -> None:
    assert end_header(BARE).hex() == "02020200000000000000" + "00" + "40" + "00" * 32
    assert end_header(FULL).hex() == (
        "0e8e80f0ecbdada0060a040206616e6e147b22726f7773223a327d020c303162322d370002026b04"
        "01020406182473686f702e7075626c69632e6f7264657273040640000102030405060708090a0b0c"
        "0d0e0f101112131415161718191a1b1c1d1e1f04021204020008021e73686f702e7075626c69632e"
        "6c6f6702024000000000000000000000000000000000000000000000000000000000000000000000"
        "04121072656769737465720001020602160406080006776879247b226e223a312c22706c616e223a"
        "2270227d140e636f6e73756d65020a0c00000000000040ffffffffffffffffffffffffffffffffff"
        "ffffffffffffffffffffffffffffff"
    )


@pytest.mark.parametrize("end", [BARE, FULL], ids=["bare", "full"])
def test_a_header_comes_back_and_others_read_it_alike(end: End) -> None:
    header = end_header(end)
    assert read_header(end.row.commit_id, header) == end
    other = cast(Avro, read_avro(HEADER, header))
    assert other["sequence"] == end.row.sequence
    assert other["chain"] == end.chain
    versions = cast(list[Avro], other["versions"])
    assert [(v["table"], v["records"]) for v in versions] == [
        (table.table, table.records) for table in end.tables
    ]
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, HEADER, other)  # pyright: ignore[reportUnknownMemberType]
    assert stream.getvalue() == header


TEXT = st.text(max_size=20)
NUMBER = st.integers(0, 1 << 62)
MOVES = st.builds(
    Move,
    NUMBER,
    st.none() | NUMBER,
    st.integers(-1, 1 << 62),
    st.sampled_from(["register", "consume", "advance", "rewind", "restore", "undo", "outside"]),
    st.none() | NUMBER,
    st.lists(NUMBER, max_size=3).map(tuple),
    TEXT,
    st.dictionaries(TEXT, TEXT | NUMBER, max_size=2),
)
TABLES = st.builds(
    TableEnd,
    NUMBER,
    NUMBER,
    TEXT,
    NUMBER,
    NUMBER,
    st.binary(min_size=32, max_size=32),
    st.lists(st.tuples(NUMBER, NUMBER), max_size=2).map(tuple),
)


@given(
    st.lists(TABLES, max_size=3, unique_by=lambda table: table.table),
    st.lists(st.builds(Moved, MOVES, st.none() | NUMBER), max_size=3),
    st.lists(TEXT, max_size=2),
    st.none() | st.builds(Idempotency, TEXT, st.binary(max_size=40)),
)
def test_any_commit_comes_back_from_its_header(
    tables: list[TableEnd],
    moves: list[Moved],
    statements: list[str],
    asked: Idempotency | None,
) -> None:
    row = FULL.row._replace(
        versions={table.table: table.version for table in tables},
        moves=tuple(moves),
        statements=tuple(statements),
        idempotency=asked,
    )
    end = End(row, tuple(tables), 3, bytes(32))
    header = end_header(end)
    assert read_header(row.commit_id, header) == end
    read_avro(HEADER, header)


@given(st.binary(max_size=80))
def test_bytes_that_are_no_header_are_refused_and_nothing_else(data: bytes) -> None:
    try:
        end = read_header("c", data)
    except EncodingNotKnown:
        return
    assert end.row.commit_id == "c"


def test_the_end_record_is_what_debezium_writes() -> None:
    key = end_key(END_KEY_ID, "c-7")
    assert key.hex() == "007ffffffe" + "06632d37"
    assert read_avro(KEY, key[5:]) == {"id": "c-7"}
    assert commit_id_in(key) == "c-7"
    value = end_value(END_VALUE_ID, FULL, ("public.orders", "public.log"))
    assert value[:5].hex() == "007fffffff"
    assert read_avro(VALUE, value[5:]) == {
        "status": "END",
        "id": "c-7",
        "event_count": 3,
        "data_collections": [
            {"data_collection": "public.orders", "event_count": 2},
            {"data_collection": "public.log", "event_count": 1},
        ],
        "ts_ms": 1_760_000_000_000,
    }
    empty = cast(Avro, read_avro(VALUE, end_value(END_VALUE_ID, BARE, ())[5:]))
    assert (empty["event_count"], empty["data_collections"]) == (0, [])


def test_keys_that_are_no_commit_ids_are_refused() -> None:
    for key in (b"", b"\0\0\0\0\1", b"\1\0\0\0\1\x02c", end_key(1, "c") + b"x"):
        with pytest.raises(EncodingNotKnown):
            commit_id_in(key)


def test_records_of_the_catalog_the_audit_and_the_state() -> None:
    event = CatalogEvent(Namespace(id=5, name="s"))
    ((key, value),) = catalog_records(7, [event])
    assert key == b"7.0"
    assert value == b'{"changed_at":0,"dropped_at":null,"id":5,"kind":"schema","name":"s"}'
    assert read_catalog(value) == event
    row = AuditRow(7, 9, "ann", "rewind", '{"to": 1}')
    ((key, value),) = audit_records(7, [row])
    assert (key, value) == (b"7.0", b'{"actor":"ann","detail":"{\\"to\\": 1}","what":"rewind"}')
    assert read_audit(7, 9, value) == row
    mark = Mark(Watermark(3, -1, 7, 9, None), "shop.public.s.c", "shop.public.t", 4)
    assert mark_key(3) == b"watermark/3"
    assert mark_record(mark) == (
        b'{"group":"shop.public.s.c","offset":4,"position":-1,"sequence":7,'
        b'"target_version":null,"time_us":9,"topic":"shop.public.t"}'
    )
    assert read_mark(3, mark_record(mark)) == mark
    assert mark.position() == ("shop.public.t", 4, "v=INITIAL;seq=7")


def test_records_that_are_no_commits() -> None:
    prefix, intent, writer = PrefixRecord(), Intent("t", "", 3), Writer(2, "h", 1, 9)
    assert prefix_record(prefix) == (
        b'{"end_key_id":2147483646,"end_value_id":2147483647,"format":1,"registry":null}'
    )
    assert read_prefix(prefix_record(prefix)) == prefix
    assert intent_record(intent) == b'{"table":3,"topic":"t","topic_id":""}'
    assert read_intent(intent_record(intent)) == intent
    assert writer_record(writer) == b'{"epoch":2,"host":"h","pid":1,"since_us":9}'
    assert read_writer(writer_record(writer)) == writer
    with pytest.raises(EncodingNotKnown, match="format 2"):
        read_prefix(prefix_record(prefix._replace(format=2)))
    for bad in (b"", b"[]", b"{}", b"\xff", json.dumps({"epoch": 1}).encode()):
        for read in (read_prefix, read_intent, read_writer):
            with pytest.raises(EncodingNotKnown):
                read(bad)


def test_places_and_our_own_offsets_are_told_from_all_else() -> None:
    assert place_in(placed(12, 3)) == (12, 3)
    for other in (b"prefix", b"intent", b"1.", b".1", b"1.x", b""):
        assert place_in(other) is None
    assert sequence_in(group_metadata(41, 7)) == 7
    assert sequence_in(group_metadata(-1, 8)) == 8
    for foreign in ("", "v=1", "moved by hand", "v=1;seq=", "x;seq=4"):
        assert sequence_in(foreign) is None


def test_the_golden_table_has_a_key() -> None:
    assert schema().key
