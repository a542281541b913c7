"""A batch sent to another node arrives as it was; whatever else arrives is refused."""

import random
import struct
from dataclasses import fields, replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_log import schema

from headwater.log_store.catalog import CatalogEvent, TableObject
from headwater.log_store.changes import Columns, RowChange, Rows, TableChanges
from headwater.log_store.encoding import EncodingNotKnown
from headwater.log_store.errors import IdempotencyMismatch, StoreUnavailable, WriteConflict
from headwater.log_store.kafka_requests import (
    CHUNK,
    ROWS,
    Assembly,
    CommitRequest,
    Refused,
    RefusedByWriter,
    Repeated,
    Request,
    Reserved,
    ReserveRequest,
    answer_record,
    decode_batch,
    encode_batch,
    encode_request,
    read_answer,
    request_key,
)
from headwater.log_store.kafka_transaction import RecordTooLarge
from headwater.log_store.port import Batch
from headwater.log_store.records import OP_DELETE, OP_INSERT, OP_UPDATE, Idempotency, Move

images = st.none() | st.binary(max_size=20)
numbers = st.integers(-(1 << 62), 1 << 62)
ids = st.integers(0, 1 << 62)
changes = st.builds(
    RowChange,
    st.sampled_from([OP_INSERT, OP_UPDATE, OP_DELETE]),
    ids,
    images,
    images,
    st.binary(max_size=9),
    st.binary(max_size=9),
    ids,
    numbers,
)
moves = st.builds(
    Move,
    consumer=ids,
    start=st.none() | numbers,
    end=numbers,
    why=st.sampled_from(["register", "consume", "rewind"]),
    target=st.none() | ids,
    tables=st.tuples(ids),
    reason=st.text(max_size=9),
    note=st.dictionaries(st.text(max_size=5), st.text(max_size=5) | ids, max_size=3),
)


def of_rows(rows: list[RowChange]) -> TableChanges:
    return TableChanges(
        segments=[Rows(rows)], count=len(rows), generation=2, byte_size=99, autos={3: 17}
    )


def same(one: TableChanges, other: TableChanges) -> bool:
    """Whether two are equal, segment by segment."""
    return replace(one, segments=()) == replace(other, segments=()) and all(
        a == b if isinstance(a, Rows) else isinstance(b, Columns) and same_columns(a, b)
        for a, b in zip(one, other, strict=True)
    )


def same_columns(one: object, other: object) -> bool:
    assert isinstance(one, Columns) and isinstance(other, Columns)
    for name in ("ops", "row_ids", "seen", "pairs"):
        a, b = getattr(one, name), getattr(other, name)
        if (a is None) != (b is None) or (a is not None and a.tolist() != b.tolist()):
            return False
    for name in ("before", "after", "old_keys", "new_keys"):
        a, b = getattr(one, name), getattr(other, name)
        if (a is None) != (b is None) or (a is not None and a.to_pylist() != b.to_pylist()):
            return False
    return True


@given(
    st.dictionaries(ids, st.lists(changes, max_size=5), max_size=3),
    st.lists(moves, max_size=3),
    st.dictionaries(ids, ids, max_size=3),
    st.dictionaries(st.tuples(st.text(max_size=5), ids), ids, max_size=3),
    st.dictionaries(ids, ids, max_size=3),
    st.none() | st.builds(Idempotency, st.text(max_size=9), st.binary(max_size=32)),
)
def test_a_batch_arrives_as_it_was_sent(
    tables: dict[int, list[RowChange]],
    moved: list[Move],
    unmoved: dict[int, int],
    objects: dict[tuple[str, int], int],
    marks: dict[int, int],
    asked: Idempotency | None,
) -> None:
    sent = Batch(
        commit_id="c1",
        actor="ann",
        tables={table: of_rows(rows) for table, rows in tables.items()},
        moves=moved,
        catalog=[],
        unmoved=unmoved,
        objects=objects,
        marks=marks,
        audit=[("ddl", "{}")],
        statements=["insert"],
        idempotency=asked,
        result="[1]",
    )
    came = decode_batch(encode_batch(sent))
    assert came._replace(tables={}) == sent._replace(tables={})
    assert came.tables.keys() == sent.tables.keys()
    assert all(same(came.tables[table], sent.tables[table]) for table in sent.tables)


def test_all_that_a_batch_holds_is_sent() -> None:
    """Red here: the new part must be encoded, decoded and put into the test above, then named."""
    told = "commit_id actor tables moves catalog unmoved objects marks audit statements idempotency"
    assert Batch._fields == (*told.split(), "result")
    change = "op row_id before after old_key new_key seen pair"
    assert RowChange._fields == (*change.split(),)
    named = {
        TableChanges: "segments count generation byte_size keys_checked_at autos",
        Columns: "ops row_ids before after old_keys new_keys seen pairs",
        Move: "consumer start end why target tables reason note",
        Idempotency: "key digest",
    }
    for kind, parts in named.items():
        assert [field.name for field in fields(kind)] == parts.split(), kind


def columns(count: int) -> Columns:
    values: list[bytes | None] = [None if at % 3 == 0 else b"x" * (at % 7) for at in range(count)]
    return Columns(
        np.full(count, OP_INSERT, np.uint8),
        np.arange(count, dtype=np.int64),
        None,
        pa.array(values, pa.binary()),
        None,
        pa.array([b"k%d" % at for at in range(count)], pa.binary()),
        seen=np.zeros(count, np.int64),
    )


def test_columns_and_catalog_events_arrive_as_they_were_sent() -> None:
    run = columns(1000)
    table = TableObject(id=9, namespace=1, name="t", topic="p.public.t", generations=(schema(),))
    sent = Batch(
        commit_id="c2",
        tables={9: TableChanges(segments=[run], count=1000, generation=0)},
        catalog=[CatalogEvent(table)],
    )
    came = decode_batch(encode_batch(sent))
    assert came.catalog == sent.catalog
    (segment,) = came.tables[9]
    assert same_columns(segment, run)


BATCH = Batch(
    commit_id="c3",
    tables={4: of_rows([RowChange(OP_INSERT, 8, None, b"\x02", b"", b"\x06")])},
    moves=[Move(7, 1, 2, "consume")],
)


GOLDEN = (
    "010100 0000000000000100 0000000000003906 0463330002080204 c601010206220200 02c6011000020202 "
    "0002060000020e0e 636f6e73756d6502 0200040000047b7d 0000000000000000"
)


def test_the_bytes_of_a_request_do_not_change() -> None:
    (value,) = encode_request(CommitRequest(3, BATCH))
    assert value.hex(" ", 8) == GOLDEN
    (value,) = encode_request(ReserveRequest(ROWS, 4, 0, 1024))
    assert value.hex() == "0102000000000000000100000000000000050408008010"


def test_a_large_request_comes_in_chunks_and_is_put_together() -> None:
    run = columns(300_000)
    batch = Batch(
        commit_id="c4", tables={9: TableChanges(segments=[run], count=300_000, generation=0)}
    )
    values = list(encode_request(CommitRequest(1, batch)))
    assert len(values) > 3 and max(map(len, values)) <= CHUNK + 18
    assembly, key = Assembly(), request_key("n", "c4")
    came = [assembly.add(key, value) for value in values]
    assert came[:-1] == [None] * (len(values) - 1)
    done = came[-1]
    assert isinstance(done, Request) and isinstance(done.asked, CommitRequest)
    (segment,) = done.asked.batch.tables[9]
    assert same_columns(segment, run)


def test_chunks_that_do_not_fit_together_make_no_request() -> None:
    run = columns(300_000)
    batch = Batch(
        commit_id="c4", tables={9: TableChanges(segments=[run], count=300_000, generation=0)}
    )
    values, key = list(encode_request(CommitRequest(1, batch))), request_key("n", "c4")
    for told in (values[1:], values[:1] + values[2:], values[::-1]):
        assembly = Assembly()
        assert all(assembly.add(key, value) is None for value in told)
    # Sent again from the start it is whole.
    assembly = Assembly()
    told = [*values[:2], *values]
    assert [assembly.add(key, value) is None for value in told].count(False) == 1


def test_what_is_put_together_at_a_time_is_bounded() -> None:
    assembly = Assembly(most_bytes=1000)
    part = struct.pack(">BBIIQ", 1, 1, 0, 2, 900) + b"x" * 400
    for number in range(50):
        assert assembly.add(b"n/%d" % number, part) is None
    assert assembly.held <= 1000


@pytest.mark.parametrize(
    "head", [(2, 1, 0, 1, 3), (1, 9, 0, 1, 3), (1, 1, 0, 1, 1 << 40), (1, 1, 0, 1, 3)]
)
def test_a_request_of_another_layout_is_refused(head: tuple[int, int, int, int, int]) -> None:
    with pytest.raises(EncodingNotKnown):
        Assembly().add(b"n/c", struct.pack(">BBIIQ", *head) + b"abc")


def test_a_request_under_another_id_than_its_commits_is_refused() -> None:
    (value,) = encode_request(CommitRequest(3, BATCH))
    with pytest.raises(EncodingNotKnown, match="c3"):
        Assembly().add(request_key("n", "other"), value)


def test_damaged_bytes_are_refused_or_are_another_batch_but_nothing_worse() -> None:
    chance = random.Random(7)
    run = columns(40)
    good = encode_batch(
        BATCH._replace(tables={9: TableChanges(segments=[run], count=40, generation=0)})
    )
    for _ in range(3000):
        bad = bytearray(good[: chance.randrange(len(good))] if chance.random() < 0.3 else good)
        for _ in range(chance.randrange(1, 4)):
            if bad:
                bad[chance.randrange(len(bad))] = chance.randrange(256)
        try:
            decode_batch(bytes(bad))
        except EncodingNotKnown:
            continue


def test_an_answer_is_read_as_it_was_given() -> None:
    for answer in (Repeated(3, 17), Reserved(4, 100, 1024)):
        assert read_answer(answer_record(answer)) == answer


def test_a_refusal_keeps_its_code_and_its_words() -> None:
    for error in (
        WriteConflict("row", "7", "was changed"),
        IdempotencyMismatch("k", 9),
        StoreUnavailable("the cluster does not answer"),
    ):
        told = read_answer(answer_record(Refused(2, error)))
        assert isinstance(told, Refused)
        assert type(told.error) is type(error) and str(told.error) == str(error)
        assert told.error.retryable == error.retryable
    told = read_answer(answer_record(Refused(2, RecordTooLarge("t", 5, 4))))
    assert isinstance(told, Refused) and isinstance(told.error, RefusedByWriter)
    assert "E_RECORD_TOO_LARGE" in str(told.error)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b"{}",
        b'{"epoch":1,"kind":"what"}',
        b'{"epoch":"x","kind":"repeated","sequence":1}',
        b'{"epoch":1,"kind":"refused","code":"E_WRITE_CONFLICT","details":["row"]}',
        b'{"epoch":1,"kind":"refused","code":"E_LOG","details":7}',
    ],
)
def test_what_is_no_answer_is_refused(value: bytes) -> None:
    with pytest.raises(EncodingNotKnown):
        read_answer(value)
