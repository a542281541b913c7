"""Generated Python, numpy and fastavro write the same bytes and read back the same values."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_rows import (
    Change,
    Drawn,
    constants,
    drawn_changes,
    reference_events,
    reference_image,
    rows_of,
    same_row,
    schemas,
)

from headwater.schemas import arrow
from headwater.schemas.arrow_plain import to_rows, to_table
from headwater.schemas.asked import Asked
from headwater.schemas.envelope import EventConstants, EventWriter, only_event
from headwater.schemas.events import (
    Events,
    event_images,
    images_by_columns,
    read_by_columns,
    read_by_rows,
    read_events,
)
from headwater.schemas.evolve import new_schema
from headwater.schemas.images import codec
from headwater.schemas.tables import ColumnSpec, TableSchema
from headwater.schemas.types import Row, SqlType


def binary(values: list[bytes | None]) -> pa.BinaryArray:
    return pa.array(values, pa.binary())


def changes_of(schema: TableSchema, drawn: list[Drawn]) -> list[Change]:
    encode = codec(schema).encode
    return [
        Change(
            ord(d.op),
            d.row_id,
            None if d.before is None else encode(d.before),
            None if d.after is None else encode(d.after),
            d.pair,
        )
        for d in drawn
    ]


def columns_of(changes: list[Change], writer: EventWriter) -> list[bytes]:
    offsets, data = writer.by_columns(
        np.array([c.op for c in changes], np.uint8),
        np.array([c.row_id for c in changes], np.int64),
        binary([c.before for c in changes]),
        binary([c.after for c in changes]),
        np.array([c.pair for c in changes], np.int64),
    )
    places = offsets.tolist()
    return [data[i:j] for i, j in pairwise(places)]


def joined(events: list[bytes]) -> tuple[bytes, arrow.Whole]:
    offsets = np.cumsum([0, *map(len, events)], dtype=np.int64)
    return b"".join(events), offsets


@st.composite
def tables(draw: st.DrawFn) -> tuple[TableSchema, list[Row]]:
    schema = draw(schemas())
    return schema, draw(st.lists(rows_of(schema), max_size=20))


@given(tables())
def test_images_of_all_three_codecs_are_equal(drawn: tuple[TableSchema, list[Row]]) -> None:
    schema, rows = drawn
    expected = [reference_image(schema, row) for row in rows]

    assert expected == [codec(schema).encode(row) for row in rows]
    assert expected == codec(schema).encode_by_columns(to_table(schema, rows)).to_pylist()
    assert expected == codec(schema).encode_columns(to_table(schema, rows)).to_pylist()


@given(tables())
def test_images_read_back_as_the_rows_they_were_made_of(
    drawn: tuple[TableSchema, list[Row]],
) -> None:
    schema, rows = drawn
    images = codec(schema).encode_columns(to_table(schema, rows))
    one_by_one = [codec(schema).decode(codec(schema).encode(row)) for row in rows]
    together = to_rows(schema, codec(schema).decode_by_columns(images))

    assert all(map(same_row, rows, one_by_one))
    assert len(rows) == len(together)
    assert all(map(same_row, rows, together))


@given(tables())
def test_keys_of_columns_are_the_keys_of_rows(drawn: tuple[TableSchema, list[Row]]) -> None:
    schema, rows = drawn
    found = codec(schema).keys_columns(to_table(schema, rows))
    expected = [codec(schema).key(row) for row in rows]

    assert expected == ([b""] * len(rows) if found is None else found.to_pylist())
    for row, key in zip(rows, expected, strict=True):
        values = tuple(row[i] for i in schema.key_positions)
        assert key == codec(schema).key_of(values)


@given(st.data(), schemas(), constants())
def test_events_of_all_three_codecs_are_equal(
    data: st.DataObject, schema: TableSchema, c: EventConstants
) -> None:
    drawn = data.draw(drawn_changes(schema))
    changes = changes_of(schema, drawn)
    expected = reference_events(schema, c, drawn)

    assert expected == EventWriter(c).rows(changes)
    assert expected == columns_of(changes, EventWriter(c))


@given(st.data(), schemas(), constants())
def test_the_only_event_of_a_commit_is_the_one_that_a_writer_gives(
    data: st.DataObject, schema: TableSchema, c: EventConstants
) -> None:
    drawn = [one._replace(pair=0) for one in data.draw(drawn_changes(schema))]

    for change in changes_of(schema, drawn):
        assert [only_event(c, change)] == EventWriter(c).rows([change])


@given(st.data(), schemas(), constants(snapshot=True))
def test_snapshot_events_carry_no_transaction(
    data: st.DataObject, schema: TableSchema, c: EventConstants
) -> None:
    drawn = data.draw(drawn_changes(schema, ops="r"))
    changes = changes_of(schema, drawn)
    expected = reference_events(schema, c, drawn)

    assert expected == EventWriter(c).rows(changes)
    assert expected == columns_of(changes, EventWriter(c))


@given(st.data(), schemas(), constants())
def test_a_few_changes_given_as_columns_are_written_the_same(
    data: st.DataObject, schema: TableSchema, c: EventConstants
) -> None:
    changes = changes_of(schema, data.draw(drawn_changes(schema, ops="c")))
    ops = np.array([change.op for change in changes], np.uint8)
    ids = np.array([change.row_id for change in changes], np.int64)
    after = binary([change.after for change in changes])
    offsets, block = EventWriter(c).columns(ops, ids, None, after, None)
    expected = EventWriter(c).rows([change._replace(pair=0) for change in changes])

    assert expected == [block[i:j] for i, j in pairwise(offsets.tolist())]


@given(st.data(), schemas(), constants(), st.integers(0, 12))
def test_a_writer_numbers_on_whichever_way_it_is_called(
    data: st.DataObject, schema: TableSchema, c: EventConstants, cut: int
) -> None:
    drawn = data.draw(drawn_changes(schema))
    changes = changes_of(schema, drawn)
    writer = EventWriter(c)

    assert EventWriter(c).rows(changes) == (
        writer.rows(changes[:cut]) + columns_of(changes[cut:], writer)
    )
    assert len(changes) == writer.written


def assert_reads(
    schema: TableSchema, c: EventConstants, drawn: list[Drawn], events: Events
) -> None:
    count = len(drawn)
    seqs = [c.first_event_seq + i for i in range(count)]
    assert [ord(d.op) for d in drawn] == events.ops.tolist()
    assert [d.row_id for d in drawn] == events.row_ids.tolist()
    assert [c.version] * count == events.versions.tolist()
    assert [c.sequence] * count == events.sequences.tolist()
    assert [c.ts_us] * count == events.times_us.tolist()
    assert seqs == events.event_seqs.tolist()
    pairs = [s + d.pair if d.pair else 0 for s, d in zip(seqs, drawn, strict=True)]
    assert pairs == events.pair_seqs.tolist()
    places: tuple[list[int], list[int]] = events.before_at.tolist(), events.after_at.tolist()
    images: tuple[list[Row | None], ...] = [d.before for d in drawn], [d.after for d in drawn]
    sides = events.before, events.after
    for side, at, wanted in zip(sides, places, images, strict=True):
        rows = to_rows(schema, side)
        used = [place for place in at if place >= 0]
        assert used == sorted(set(used)), "images stand in the order of their events, each once"
        for place, row in zip(at, wanted, strict=True):
            assert (place == -1) == (row is None)
            assert row is None or same_row(row, rows[place])


@given(st.data(), schemas(), constants())
def test_events_read_back_both_ways(
    data: st.DataObject, schema: TableSchema, c: EventConstants
) -> None:
    drawn = data.draw(drawn_changes(schema))
    block, places = joined(EventWriter(c).rows(changes_of(schema, drawn)))

    assert_reads(schema, c, drawn, read_by_rows(schema, block, places))
    assert_reads(schema, c, drawn, read_by_columns(schema, block, places))
    bare = read_by_columns(schema, block, places, Asked(before=False, after=False))
    assert [-1] * len(drawn) == bare.before_at.tolist() == bare.after_at.tolist()
    assert [d.row_id for d in drawn] == bare.row_ids.tolist()


@given(st.data(), schemas(), constants())
def test_what_is_asked_for_reads_the_same_without_the_rest(
    data: st.DataObject, schema: TableSchema, c: EventConstants
) -> None:
    block, places = joined(
        EventWriter(c).rows(changes_of(schema, data.draw(drawn_changes(schema))))
    )
    ids = data.draw(st.sets(st.sampled_from([column.id for column in schema.columns]), min_size=1))
    asked = Asked(frozenset(ids), data.draw(st.booleans()), data.draw(st.booleans()))
    names = [column.name for column in schema.columns if column.id in ids]
    whole = read_by_columns(schema, block, places)

    for read in (read_by_columns, read_by_rows):
        found = read(schema, block, places, asked)
        assert whole.row_ids.tolist() == found.row_ids.tolist()
        there = (whole.before_at >= 0) & asked.before, (whole.after_at >= 0) & asked.after
        assert there[0].tolist() == (found.before_at >= 0).tolist()
        assert there[1].tolist() == (found.after_at >= 0).tolist()
        for side, at, part, found_at in (
            (whole.before, whole.before_at, found.before, found.before_at),
            (whole.after, whole.after_at, found.after, found.after_at),
        ):
            assert part.column_names == names
            used = found_at >= 0
            assert text_of(part.take(found_at[used])) == (
                text_of(side.select(names).take(at[used]))
            )


def text_of(images: pa.Table) -> str:
    """All values, in a form in which NaN is like itself."""
    return repr(images.to_pylist())


@given(st.data(), schemas(), st.lists(constants(), min_size=1, max_size=6))
def test_a_block_may_hold_events_of_many_commits(
    data: st.DataObject, schema: TableSchema, commits: list[EventConstants]
) -> None:
    events: list[bytes] = []
    expected: list[tuple[int, int, int]] = []
    for c in commits:
        drawn = data.draw(drawn_changes(schema))
        events += EventWriter(c).rows(changes_of(schema, drawn))
        numbered = enumerate(drawn, c.first_event_seq)
        expected += [(c.version, seq, change.row_id) for seq, change in numbered]
    found = read_by_columns(schema, *joined(events))
    columns = found.versions, found.event_seqs, found.row_ids

    assert expected == list(zip(*(column.tolist() for column in columns), strict=True))


@given(st.data(), schemas(), constants())
def test_images_and_keys_of_events_come_out_as_they_went_in(
    data: st.DataObject, schema: TableSchema, c: EventConstants
) -> None:
    changes = changes_of(schema, data.draw(drawn_changes(schema)))
    block, places = joined(EventWriter(c).rows(changes))
    read = data.draw(st.sampled_from([event_images, images_by_columns]))
    found = read(schema, block, places)
    key = codec(schema).key
    decode = codec(schema).decode

    assert [change.before for change in changes] == found.before.to_pylist()
    assert [change.after for change in changes] == found.after.to_pylist()
    if schema.key:
        assert found.old_keys is not None and found.new_keys is not None
        old = [None if x.before is None else key(decode(x.before)) for x in changes]
        new = [None if x.after is None else key(decode(x.after)) for x in changes]
        assert old == found.old_keys.to_pylist()
        assert new == found.new_keys.to_pylist()


MARKS = sorted({*(10**k - 3 for k in range(1, 19)), *(2 ** (7 * k - 1) - 3 for k in range(1, 10))})


@pytest.mark.parametrize("first", MARKS)
def test_numbers_that_grow_by_a_byte_within_a_commit_are_written_right(first: int) -> None:
    schema = new_schema([ColumnSpec("a", SqlType.parse("INT"))])
    drawn = [Drawn("c", first + i, None, (i,), i % 2) for i in range(7)]
    for firsts in ((first, 1, 1), (1, first, 1), (1, 1, first)):
        c = EventConstants(
            product="0.1.0",
            name="shop",
            db="shop",
            schema="public",
            table="t",
            ts_us=1,
            written_us=1,
            version=first,
            sequence=first,
            event_count=7,
            epoch=1,
            commit_id="a",
            first_event_seq=firsts[0],
            first_total_order=firsts[1],
            first_table_order=firsts[2],
        )
        expected = reference_events(schema, c, drawn)

        assert expected == EventWriter(c).rows(changes_of(schema, drawn))
        assert expected == columns_of(changes_of(schema, drawn), EventWriter(c))
        assert_reads(schema, c, drawn, read_by_columns(schema, *joined(expected)))


def test_many_events_read_the_same_way_as_few() -> None:
    specs = [ColumnSpec("id", SqlType.parse("INT")), ColumnSpec("note", SqlType.parse("VARCHAR"))]
    schema = new_schema(specs, ["id"])
    rows: list[Row] = [(i, None if i % 3 else f"note {i}") for i in range(40_000)]
    c = EventConstants(
        product="0.1.0",
        name="shop",
        db="shop",
        schema="public",
        table="t",
        ts_us=1,
        written_us=1,
        version=9,
        sequence=9,
        event_count=len(rows),
        epoch=1,
        commit_id="a",
        first_event_seq=60,
        first_total_order=1,
        first_table_order=1,
    )
    images = codec(schema).encode_columns(to_table(schema, rows))
    ops, ids = np.full(len(rows), ord("c"), np.uint8), np.arange(1, len(rows) + 1)
    offsets, data = EventWriter(c).columns(ops, ids, None, images, None)
    found = read_events(schema, data, offsets.tobytes())

    assert to_table(schema, rows).equals(found.after)
    assert list(range(60, 60 + len(rows))) == found.event_seqs.tolist()
    assert list(range(len(rows))) == found.after_at.tolist()
