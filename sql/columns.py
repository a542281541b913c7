"""Columns of a target in a query and in its result: what is asked for, what comes back."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.log_store.catalog import TableObject
from headwater.producer.keyhash import I64
from headwater.schemas import arrow
from headwater.schemas.arrow import Chunks
from headwater.schemas.arrow_plain import to_array
from headwater.schemas.tables import Column
from headwater.schemas.types import SqlType
from headwater.schemas.values import assigned, to_plain
from headwater.sql.context import Context
from headwater.sql.results import OutColumn

# Arrow reads a whole column of one of these as Python means it.
_ALIKE: Final = frozenset({int, float, str, bool, bytes, Decimal, date})
ROW_ID: Final = OutColumn("row id", SqlType.parse("INT"))


def shape_of(of: TableObject, positions: Iterable[int]) -> list[OutColumn]:
    """The columns of a target that a query has to give."""
    columns = [of.schema.columns[at] for at in positions]
    return [OutColumn(column.name, column.type, column.nullable) for column in columns]


def chunks(part: pa.Table, at: int) -> arrow.Chunks:
    """One column of a result."""
    # The stubs tell each type of column apart.
    return cast(arrow.Chunks, part.column(at))


def numbers(part: pa.Table, at: int) -> I64:
    """A column of row ids or clause numbers without NULL."""
    return arrow.whole(arrow.single_chunk(chunks(part, at)))


def flags(part: pa.Table, at: int) -> arrow.Flags:
    """A BOOLEAN column; NULL is false."""
    column = arrow.single_chunk(chunks(part, at))
    filled = arrow.kernel("coalesce", column, pa.scalar(False))
    return cast(arrow.Flags, filled.to_numpy(zero_copy_only=False))


def known(part: pa.Table, at: int) -> arrow.Flags:
    """Which rows have a value in that column."""
    return arrow.valid(arrow.single_chunk(chunks(part, at)))


def python_values(column: Chunks) -> list[object]:
    """A column as Python's values."""
    return arrow.values(arrow.single_chunk(column))


def picked(part: pa.Table, which: arrow.Flags) -> pa.Table:
    """The rows of those places."""
    return part.filter(pa.array(which, pa.bool_()))


def sorted_rows(part: pa.Table) -> pa.Table:
    """The rows in the order of their values, column by column."""
    names = [f"c{n}" for n in range(part.num_columns)]
    order = arrow.kernel(
        "sort_indices",
        part.rename_columns(names),
        options=pc.SortOptions([(name, "ascending") for name in names]),
    )
    return part.take(cast("pa.Int64Array", order))


def checked(context: Context, batches: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The batches of a query, as long as its statement may run."""
    for part in batches:
        context.check()
        yield part


def whole_rows(
    context: Context, of: TableObject, row_ids: I64, positions: Sequence[int]
) -> pa.Table:
    """These columns of rows as they are now, by row id, in the order asked."""
    found = context.tx.scan(of, cache=context.store.cache)
    places = np.searchsorted(found.row_ids, row_ids)
    return found.data.select(list(positions)).take(pa.array(places, pa.int64()))


def inner_column(column: Column, values: Sequence[object], first_row: int) -> Chunks:
    """A column's inner values from Python's; `first_row` is for errors."""
    kinds = set(map(type, values))
    kinds.discard(type(None))
    if len(kinds) == 1 and kinds <= _ALIKE:
        try:
            alike = arrow.guessed(values)
        except (pa.ArrowInvalid, OverflowError, UnicodeError):
            pass  # too large for Arrow: what is wrong is said below
        else:
            return assigned(column, arrow.chunked([alike], alike.type), first_row)
    plains = [to_plain(column, one, row=first_row + n) for n, one in enumerate(values)]
    return arrow.chunked([to_array(column.type, plains)], column.type.arrow)
