"""Whole columns are cast as single values are: same results, same refusals, same row named."""

from datetime import date, datetime, time
from decimal import Decimal
from typing import cast

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_rows import TYPES, rows_of, same_row, schemas

from headwater.schemas import arrow
from headwater.schemas.arrow_plain import to_rows, to_table
from headwater.schemas.errors import ValueRefused
from headwater.schemas.evolve import new_schema
from headwater.schemas.tables import ColumnSpec, TableSchema
from headwater.schemas.types import Plain, Row, SqlType
from headwater.schemas.values import to_inner, to_plain

TARGETS = [
    *TYPES,
    *map(
        SqlType.parse,
        (
            "DECIMAL(3,1)",
            "VARCHAR(3)",
            "BINARY(2)",
            "TIME(1)",
            "TIMESTAMP(0)",
            "TIMESTAMP(4)",
            "TIMESTAMP_LTZ(0)",
            "TIMESTAMP_LTZ(3)",
            "TIMESTAMP_TZ(2)",
            "TIMESTAMP_TZ(3)",
            "OBJECT",
        ),
    ),
]
MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999))
TEXTS = st.sampled_from(
    [
        "12",
        " -1.5 ",
        "true",
        "2020-01-02",
        "2020-02-30",
        "2020-01-02T03:04:05.678901Z",
        "2020-01-02T03:04:05.678901+05:30",
        "2020-01-02T03:04:05.678901-00:00",
        "2020-01-02T03:04:05Z",
        "2020-01-02T03:04:05.678Z",
        "9999-12-31T23:59:59.000000-01:00",
        "0000-01-01T00:00:00.000000Z",
        "01:02:03",
        "0a0b",
        "",
        "éé",
        '{"a":1}',
    ]
)


def scaled(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    limit = Decimal(10**precision - 1).scaleb(-scale)
    return st.decimals(-limit, limit, places=scale, allow_nan=False)


SOURCES: dict[pa.DataType, st.SearchStrategy[object]] = {
    pa.int64(): st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-1500, 1500),
    pa.uint64(): st.integers(0, (1 << 64) - 1),
    pa.int8(): st.integers(-128, 127),
    pa.float64(): st.floats()
    | st.integers(-99999, 99999).map(lambda n: n / 1000)
    | st.integers(-99, 99).map(lambda n: n / 2),
    pa.float32(): st.floats(width=32),
    pa.bool_(): st.booleans(),
    pa.string(): TEXTS,
    pa.large_string(): TEXTS,
    pa.binary(): st.binary(max_size=3),
    pa.decimal128(5, 2): scaled(5, 2),
    pa.decimal128(20, 5): scaled(20, 5),
    pa.date32(): st.dates(date(1, 1, 1), date(9999, 12, 31)),
    pa.time64("us"): st.times(),
    pa.time32("ms"): st.times().map(lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000)),
    pa.timestamp("us"): MOMENTS,
    pa.timestamp("us", "UTC"): MOMENTS,
    pa.timestamp("us", "Asia/Kolkata"): st.datetimes(datetime(1950, 1, 1), datetime(2037, 1, 1)),
    pa.timestamp("us", "America/New_York"): st.datetimes(
        datetime(1901, 1, 1), datetime(2037, 1, 1)
    ),
    pa.timestamp("s"): MOMENTS.map(lambda t: t.replace(microsecond=0)),
    pa.dictionary(pa.int32(), pa.string()): TEXTS,
}


@st.composite
def columns(draw: st.DrawFn) -> arrow.Column:
    type_ = draw(st.sampled_from(list(SOURCES)))
    values = draw(st.lists(st.none() | SOURCES[type_], max_size=6))
    if pa.types.is_timestamp(type_) and arrow.zone_of(type_) is not None:
        naive = arrow.array(values, pa.timestamp("us"))
        return arrow.convert(naive, type_)
    if pa.types.is_dictionary(type_):
        return arrow.convert(arrow.array(values, pa.string()), type_)
    return arrow.array(values, type_)


def table_of(type_: SqlType) -> TableSchema:
    return new_schema([ColumnSpec("x", type_)])


def one_by_one(schema: TableSchema, column: arrow.Column) -> list[Row] | str:
    made: list[Row] = []
    for row, value in enumerate(arrow.values(column)):
        try:
            made.append((to_plain(schema.columns[0], value, row=row),))
        except ValueRefused as error:
            return str(error)
    return made


@given(st.sampled_from(TARGETS), columns())
def test_a_column_is_cast_as_its_values_are(type_: SqlType, column: arrow.Column) -> None:
    schema = table_of(type_)
    expected = one_by_one(schema, column)
    try:
        found = to_rows(schema, to_inner(schema, pa.table({"x": column})))
    except ValueRefused as error:
        assert expected == str(error)
        return

    assert len(expected) == len(found)
    assert all(map(same_row, cast("list[Row]", expected), found))


@given(st.data(), schemas())
def test_what_is_inside_stays_as_it_is_when_it_comes_again(
    data: st.DataObject, schema: TableSchema
) -> None:
    texts = {"VARIANT", "TIMESTAMP_LTZ", "TIMESTAMP_TZ"}
    if any(c.type.name in texts for c in schema.columns):
        return  # drawn as any text, which these columns never hold
    rows = data.draw(st.lists(rows_of(schema), max_size=5))
    inner = to_table(schema, rows)

    assert all(map(same_row, rows, to_rows(schema, to_inner(schema, inner))))


@pytest.mark.parametrize("kind", ["DECIMAL(10,2)", "DECIMAL(4,1)", "DECIMAL(10,0)", "INT"])
def test_floats_near_a_tie_round_as_their_text_says(kind: str) -> None:
    schema = table_of(SqlType.parse(kind))
    column = arrow.array([n / 1000 for n in range(-3005, 3005, 5)], pa.float64())

    assert one_by_one(schema, column) == to_rows(schema, to_inner(schema, pa.table({"x": column})))


NANOS: list[tuple[str, pa.DataType, int, Plain]] = [
    ("TIMESTAMP", pa.timestamp("ns"), -1, -1),
    ("TIMESTAMP(3)", pa.timestamp("ns"), 1_999_999, 1),
    ("TIMESTAMP_LTZ", pa.timestamp("ns", "UTC"), 1999, "1970-01-01T00:00:00.000001Z"),
    ("TIME", pa.time64("ns"), 1999, 1),
    ("DATE", pa.timestamp("ns"), -1, -1),
    ("DATE", pa.date64(), 86_400_000, 1),
]


@pytest.mark.parametrize(("kind", "type_", "number", "plain"), NANOS)
def test_nanoseconds_are_cut_off(kind: str, type_: pa.DataType, number: int, plain: Plain) -> None:
    column = arrow.view(arrow.array([number], pa.int64()), type_)
    schema = table_of(SqlType.parse(kind))

    assert [(plain,)] == to_rows(schema, to_inner(schema, pa.table({"x": column})))


@pytest.mark.parametrize("kind", ["TIMESTAMP", "TIMESTAMP_LTZ", "TIMESTAMP_TZ", "DATE", "VARCHAR"])
def test_a_time_that_python_has_not_is_refused(kind: str) -> None:
    column = arrow.view(arrow.array([(1 << 62)], pa.int64()), pa.timestamp("us"))
    with pytest.raises(ValueRefused, match="row 0, column x"):
        to_inner(table_of(SqlType.parse(kind)), pa.table({"x": column}))


def test_text_that_is_no_utf8_is_refused() -> None:
    broken = arrow.view(arrow.array([b"a", b"\xff"], pa.binary()), pa.string())
    with pytest.raises(ValueRefused, match="row 1, column x"):
        to_inner(table_of(SqlType.parse("VARCHAR")), pa.table({"x": broken}))


def test_a_clock_time_of_day_is_taken_from_a_timestamp() -> None:
    column = arrow.array([datetime(1969, 12, 31, 1, 2, 3), None], pa.timestamp("us"))
    schema = table_of(SqlType.parse("TIME"))

    midnight = datetime.combine(date(1970, 1, 1), time())
    micros = (datetime(1970, 1, 1, 1, 2, 3) - midnight).seconds * 1_000_000
    assert [(micros,), (None,)] == to_rows(schema, to_inner(schema, pa.table({"x": column})))
