"""Bytes that are no event are refused by both decoders, alike, whatever is wrong with them."""

import resource
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_rows import Change, constants, drawn_changes, rows_of, schemas

from headwater.schemas.asked import Asked
from headwater.schemas.envelope import EventConstants, EventWriter
from headwater.schemas.errors import EventUnreadable
from headwater.schemas.events import (
    Events,
    images_by_columns,
    read_by_columns,
    read_by_rows,
    read_events,
)
from headwater.schemas.evolve import new_schema
from headwater.schemas.images import ImageCodec, codec
from headwater.schemas.tables import ColumnSpec, TableSchema
from headwater.schemas.tails import learn
from headwater.schemas.types import SqlType
from headwater.schemas.varints import varint


def mutated(data: st.DataObject, good: bytes) -> bytes:
    """A message with something wrong in it, mostly."""
    at = data.draw(st.integers(0, len(good)))
    what = data.draw(st.sampled_from(["cut", "flip", "insert", "drop", "huge", "long", "append"]))
    match what:
        case "cut":
            return good[:at]
        case "flip":
            byte = data.draw(st.integers(0, 255))
            return good[:at] + bytes([byte]) + good[at + 1 :]
        case "insert":
            return good[:at] + data.draw(st.binary(min_size=1, max_size=4)) + good[at:]
        case "drop":
            return good[:at] + good[at + 1 :]
        case "huge":
            return good[:at] + varint((1 << data.draw(st.integers(20, 64))) - 2) + good[at + 1 :]
        case "long":
            return good[:at] + b"\xff" * data.draw(st.integers(8, 12)) + b"\x01" + good[at + 1 :]
        case _:
            return good + b"\x00"


def outcome(read: Callable[[], Events]) -> object:
    """What a decoder makes of bytes: refused, or every value to the bit."""
    try:
        events = read()
    except EventUnreadable:
        return "refused"
    encode = codec(events.schema).encode_columns
    return (
        events.ops.tolist(),
        events.row_ids.tolist(),
        events.versions.tolist(),
        events.event_seqs.tolist(),
        events.pair_seqs.tolist(),
        events.sequences.tolist(),
        events.times_us.tolist(),
        (events.before_at >= 0).tolist(),
        (events.after_at >= 0).tolist(),
        encode(events.before.take(events.before_at[events.before_at >= 0])).to_pylist(),
        encode(events.after.take(events.after_at[events.after_at >= 0])).to_pylist(),
    )


def places(messages: list[bytes]) -> "np.typing.NDArray[np.int64]":
    return np.cumsum([0, *map(len, messages)], dtype=np.int64)


@given(st.data(), schemas(), constants())
def test_a_broken_event_has_the_same_end_in_both_decoders(
    data: st.DataObject, schema: TableSchema, c: EventConstants
) -> None:
    drawn = data.draw(drawn_changes(schema).filter(bool))
    encode = codec(schema).encode
    changes = [
        Change(
            ord(d.op),
            d.row_id,
            None if d.before is None else encode(d.before),
            None if d.after is None else encode(d.after),
            d.pair,
        )
        for d in drawn
    ]
    messages = EventWriter(c).rows(changes)
    broken = data.draw(st.integers(0, len(messages) - 1))
    for _ in range(data.draw(st.integers(1, 3))):
        messages[broken] = mutated(data, messages[broken])
    block, at = b"".join(messages), places(messages)

    by_rows = outcome(lambda: read_by_rows(schema, block, at))
    assert by_rows == outcome(lambda: read_by_columns(schema, block, at))


@given(st.data(), schemas(), constants())
def test_a_broken_event_is_refused_or_read_alike_when_columns_are_passed_over(
    data: st.DataObject, schema: TableSchema, c: EventConstants
) -> None:
    image = codec(schema).encode(data.draw(rows_of(schema)))
    messages = EventWriter(c).rows([Change(ord("c"), n, None, image, 0) for n in range(1, 4)])
    broken = data.draw(st.integers(0, 2))
    messages[broken] = mutated(data, messages[broken])
    block, at = b"".join(messages), places(messages)
    ids = data.draw(st.sets(st.sampled_from([column.id for column in schema.columns])))
    asked = Asked(frozenset(ids), before=data.draw(st.booleans()))

    try:
        whole = read_by_columns(schema, block, at)
    except EventUnreadable:
        with suppress(EventUnreadable):
            assert len(read_by_columns(schema, block, at, asked)) == 3
        return
    found = read_by_columns(schema, block, at, asked)
    assert found.row_ids.tolist() == whole.row_ids.tolist()
    assert found.ops.tolist() == whole.ops.tolist()


@given(st.data(), schemas())
def test_a_broken_image_has_the_same_end_in_both_decoders(
    data: st.DataObject, schema: TableSchema
) -> None:
    made = codec(schema)
    images = [
        made.encode(row) for row in data.draw(st.lists(rows_of(schema), min_size=1, max_size=4))
    ]
    broken = data.draw(st.integers(0, len(images) - 1))
    images[broken] = mutated(data, images[broken])

    assert by_rows(made, images) == by_columns(made, images)


def by_rows(made: ImageCodec, images: list[bytes]) -> list[bytes] | str:
    try:
        return [made.encode(made.decode(image)) for image in images]
    except EventUnreadable:
        return "refused"


def by_columns(made: ImageCodec, images: list[bytes]) -> list[bytes | None] | str:
    try:
        table = made.decode_by_columns(pa.array(images, pa.binary()))
    except EventUnreadable:
        return "refused"
    return made.encode_columns(table).to_pylist()


@given(schemas(), st.binary(max_size=300))
def test_random_bytes_are_no_event(schema: TableSchema, noise: bytes) -> None:
    at = places([noise])
    with pytest.raises(EventUnreadable):
        read_by_rows(schema, noise, at)
    with pytest.raises(EventUnreadable):
        read_by_columns(schema, noise, at)
    with pytest.raises(EventUnreadable):
        images_by_columns(schema, noise, at)


TEXT = new_schema([ColumnSpec("t", SqlType.parse("VARCHAR"))])


@pytest.mark.parametrize("length", [1 << 20, 1 << 31, 1 << 40, (1 << 63) - 1, -1, -(1 << 63)])
@pytest.mark.parametrize("way", [by_rows, by_columns])
def test_a_length_that_lies_costs_no_memory(
    way: Callable[[ImageCodec, list[bytes]], object], length: int
) -> None:
    image = b"\x02" + varint((length << 1) ^ (length >> 63)) + b"abc"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert way(codec(TEXT), [image] * 100) == "refused"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_an_image_that_is_null_is_refused() -> None:
    with pytest.raises(EventUnreadable, match="no image"):
        codec(TEXT).decode_columns(pa.array([None], pa.binary()))


@pytest.mark.parametrize(
    "offsets",
    [[], [0, 5], [1, 0], [-1, 0], b"123", np.array([0, 3, 1]).tobytes()],
)
def test_offsets_that_do_not_fit_are_refused(offsets: "list[int] | bytes") -> None:
    with pytest.raises(EventUnreadable, match="offsets"):
        read_events(TEXT, b"abc", offsets)


def test_the_error_says_where_the_broken_message_starts() -> None:
    good = codec(TEXT).encode(("x",))
    with pytest.raises(EventUnreadable, match=f"byte {3 * len(good)}") as caught:
        codec(TEXT).decode_by_columns(pa.array([good, good, good, b"\x07"], pa.binary()))

    assert 3 * len(good) == caught.value.position


def test_a_length_past_its_own_message_is_refused_before_it_is_used() -> None:
    good = codec(TEXT).encode(("x" * 40,))
    lying = b"\x02" + varint(60) + b"abc"
    with pytest.raises(EventUnreadable, match="a length is past the end"):
        codec(TEXT).decode_by_columns(pa.array([good, lying, good, good], pa.binary()))


def plain_events(count: int) -> list[bytes]:
    """Events that differ in their numbers only, in values of every length."""
    made = EventConstants(
        product="0.1.0",
        name="shop",
        db="größe",
        schema="public",
        table="t",
        ts_us=1_700_000_000_000_000,
        written_us=1_700_000_000_000_001,
        version=1000,
        sequence=(1 << 63) - 1,
        event_count=count,
        epoch=1,
        commit_id="0190b5f2",
        first_event_seq=100_000,
        first_total_order=70,
        first_table_order=1,
    )
    image = codec(TEXT).encode((None,))
    return EventWriter(made).rows([Change(ord("c"), 200 + i, None, image, 9) for i in range(count)])


@pytest.mark.parametrize("bit", [0x80, 0x40, 0x02, 0x01])
def test_every_flipped_bit_of_a_tail_is_judged_as_a_strict_parse_judges_it(bit: int) -> None:
    events = plain_events(5)
    image = 1 + 1 + len(codec(TEXT).encode((None,)))
    for at in range(image, len(events[2])):
        broken = events[2][:at] + bytes([events[2][at] ^ bit]) + events[2][at + 1 :]
        block = [*events[:2], broken, *events[3:]]
        by_columns = outcome(partial(read_by_columns, TEXT, b"".join(block), places(block)))
        by_rows = outcome(partial(read_by_rows, TEXT, b"".join(block), places(block)))
        assert by_rows == by_columns
        try:
            learnt = learn(broken[image:])
        except EventUnreadable:
            assert by_columns == "refused"
            continue
        op = broken[image + learnt.op]
        assert (by_columns == "refused") == (op not in b"cr")
