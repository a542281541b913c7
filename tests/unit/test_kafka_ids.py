"""Ids that one writer gave are worth nothing once another one writes."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_log import schema

from headwater.log_store.catalog import Catalog, CatalogEvent, TableObject
from headwater.log_store.changes import Columns, RowChange, Rows, Segment, TableChanges
from headwater.log_store.errors import WriteConflict
from headwater.log_store.kafka_ids import GivenIds, check_ids, uses_new_ids
from headwater.log_store.port import Batch
from headwater.log_store.records import OP_DELETE, OP_INSERT, OP_UPDATE, VersionRow
from headwater.log_store.sequencing import EMPTY_CATALOG, first_version

T = TableObject(id=9, namespace=1, name="t", topic="p.public.t", generations=(schema(),))


class Here:
    """A store with the table, whose next row id is 50."""

    catalog: Catalog = EMPTY_CATALOG.apply(1, 1, [CatalogEvent(T)])

    def head(self, table: int) -> VersionRow:
        return first_version(T, 1, 1)._replace(table=table, next_row_id=50)


HERE = Here()


def change(op: int, row_id: int, pair: int = 0) -> RowChange:
    return RowChange(op, row_id, None, b"\x02", pair=pair)


def batch(*segments: Segment, table: int = 9, **more: object) -> Batch:
    count = sum(map(len, segments))
    changes = TableChanges(segments=list(segments), count=count, generation=0)
    made = Batch(commit_id="c", tables={table: changes})
    return made._replace(**more)  # type: ignore[arg-type]


def refused(of: Batch, given: GivenIds) -> bool:
    try:
        check_ids(of, HERE, given, "shop")
    except WriteConflict as error:
        assert error.retryable and "replaced" in str(error)
        return True
    return False


@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(1, 40)), max_size=8),
    st.lists(st.integers(1, 600), max_size=12),
)
def test_what_was_given_is_held_and_nothing_else(
    grants: list[tuple[int, int]], asked: list[int]
) -> None:
    given, there = GivenIds(1), set[int]()
    for first, many in grants:
        if there.isdisjoint(range(first, first + many)):
            given.add(9, first, many)
            there.update(range(first, first + many))
    assert given.holds(9, asked) == (set(asked) <= there)


def test_what_was_given_at_once_is_used_bit_by_bit() -> None:
    given = GivenIds(1)
    assert given.take(9, 1) is None
    given.add(9, 100, 10)
    assert [given.take(9, 4), given.take(9, 4), given.take(9, 4)] == [100, 104, None]
    assert given.take(8, 1) is None
    given.add(9, 200, 10)
    assert given.take(9, 4) == 200


def test_a_row_with_an_id_that_another_writer_gave_is_refused() -> None:
    given = GivenIds(2)
    given.add(9, 100, 10)
    rows = Rows([change(OP_INSERT, 100), change(OP_INSERT, 109), change(OP_UPDATE, 3)])
    assert not refused(batch(rows), given)
    assert refused(batch(Rows([change(OP_INSERT, 110)])), given)
    ops = np.array([OP_INSERT, OP_DELETE], np.uint8)
    after = pa.array([b"\x02", None], pa.binary())
    for row_id, wrong in ((105, False), (99, True)):
        row_ids = np.array([row_id, 4], np.int64)
        run = Columns(ops, row_ids, None, after, None, None)
        assert refused(batch(run), given) == wrong


def test_rows_that_keep_their_ids_need_none() -> None:
    given = GivenIds(2)
    # The c of a key change, a restore of a table that must not have moved, a table of this batch.
    moved = Rows([change(OP_DELETE, 7, 1), change(OP_INSERT, 7, -1)])
    assert not refused(batch(moved), given) and not uses_new_ids(batch(moved), HERE)
    back = Rows([change(OP_INSERT, 7)])
    assert not refused(batch(back, unmoved={9: 3}), given)
    assert not refused(batch(back, table=12), given)
    assert refused(batch(back), given)
    new = Rows([change(OP_INSERT, 50)])
    assert refused(batch(new, unmoved={9: 3}), given)


@pytest.mark.parametrize("number", [30, 9])
def test_an_object_needs_an_id_that_was_given(number: int) -> None:
    made = TableObject(
        id=number, namespace=1, name="u", topic="p.public.u", generations=(schema(),)
    )
    of, given = Batch(commit_id="c", catalog=[CatalogEvent(made)]), GivenIds(2)
    # Only one that is new: 9 is there already.
    assert refused(of, given) == (number == 30)
    assert uses_new_ids(of, HERE) == (number == 30)
    given.add(0, 30, 1)
    assert not refused(of, given)
