"""Assignment casts at the edge: what goes in, what is refused, what comes out."""

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from headwater.schemas import arrow
from headwater.schemas.arrow_plain import to_rows
from headwater.schemas.errors import EventUnreadable, SchemaInvalid, ValueRefused
from headwater.schemas.evolve import new_schema
from headwater.schemas.tables import AutoIncrement, Column, ColumnSpec
from headwater.schemas.types import Plain, SqlType
from headwater.schemas.values import from_plain, to_inner, to_outer, to_plain

EAST = timezone(timedelta(hours=5, minutes=30))


def column(kind: str, *, nullable: bool = True) -> Column:
    return Column(1, "x", SqlType.parse(kind), "x", nullable=nullable)


TAKEN: list[tuple[str, object, Plain]] = [
    ("INT", 7, 7),
    ("INT", "  -12.5 ", -13),
    ("INT", 2.5, 3),
    ("INT", Decimal("-2.5"), -3),
    ("INT", "1e3", 1000),
    ("INT", np.int32(7), 7),
    ("INT", -(2**63), -(2**63)),
    ("DECIMAL(10,2)", "1.005", 101),
    ("DECIMAL(10,2)", 1.005, 101),  # by its shortest text
    ("DECIMAL(10,2)", -2.675, -268),
    ("DECIMAL(10,2)", 12, 1200),
    ("DECIMAL(10,2)", "1e-400000000", 0),
    ("DECIMAL(38,0)", 10**38 - 1, 10**38 - 1),
    ("FLOAT", 1, 1.0),
    ("FLOAT", "1.5", 1.5),
    ("FLOAT", Decimal("0.1"), 0.1),
    ("FLOAT", "-inf", -math.inf),
    ("FLOAT", Decimal("Infinity"), math.inf),
    ("BOOLEAN", True, True),
    ("BOOLEAN", 0, False),
    ("BOOLEAN", 0.5, True),
    ("BOOLEAN", " Off ", False),
    ("BOOLEAN", "T", True),
    ("VARCHAR", 12, "12"),
    ("VARCHAR", 1.0, "1"),
    ("VARCHAR", True, "true"),
    ("VARCHAR", Decimal("1E+2"), "100"),
    ("VARCHAR", date(2020, 1, 2), "2020-01-02"),
    ("VARCHAR", datetime(2020, 1, 2, 3), "2020-01-02 03:00:00"),
    ("VARCHAR(2)", "éé", "éé"),
    ("BINARY", bytearray(b"ab"), b"ab"),
    ("BINARY", "0aFF", b"\n\xff"),
    ("DATE", date(1970, 1, 2), 1),
    ("DATE", datetime(1969, 12, 31, 23, 59), -1),
    ("DATE", "2020-1-2", 18263),
    ("DATE", "01/02/2020", 18263),
    ("DATE", "2-Jan-2020", 18263),
    ("DATE", "2020-01-02T23:59:59Z", 18263),
    ("TIME", time(1, 2, 3, 4), 3723000004),
    ("TIME(3)", "01:02:03.4567", 3723456),
    ("TIME(1)", "01:02:03.4567", 3723400),
    ("TIMESTAMP", "1969-12-31 23:59:59.999999999", -1),
    ("TIMESTAMP", datetime(1970, 1, 1, 1, tzinfo=EAST), 3_600_000_000),
    ("TIMESTAMP", pd.Timestamp("1970-01-01 00:00:00.000001999"), 1),
    ("TIMESTAMP(3)", datetime(1970, 1, 1, microsecond=1999), 1),
    ("TIMESTAMP(0)", "1969-12-31 23:59:59.5", -1000),
    ("TIMESTAMP_LTZ", datetime(1970, 1, 1, 5, 30, tzinfo=EAST), "1970-01-01T00:00:00.000000Z"),
    ("TIMESTAMP_LTZ(3)", "1970-01-01 00:00:00.1239", "1970-01-01T00:00:00.123Z"),
    ("TIMESTAMP_TZ", datetime(1970, 1, 1, tzinfo=EAST), "1970-01-01T00:00:00.000000+05:30"),
    ("TIMESTAMP_TZ(0)", "1970-01-01 00:00 -0800", "1970-01-01T00:00:00-08:00"),
    ("TIMESTAMP_TZ", date(1970, 1, 1), "1970-01-01T00:00:00.000000+00:00"),
    ("VARIANT", {"b": [1, None, "é"], "a": Decimal("1.5")}, '{"a":1.5,"b":[1,null,"é"]}'),
    ("VARIANT", '{"b": 1}', '{"b": 1}'),
    ("VARIANT", True, "true"),
    ("ARRAY", (1, 2), "[1,2]"),
    ("OBJECT", {"at": date(2020, 1, 2)}, '{"at":"2020-01-02"}'),
    ("INT", None, None),
    ("INT", pd.NA, None),
    ("TIMESTAMP", pd.NaT, None),
]


@pytest.mark.parametrize(("kind", "value", "plain"), TAKEN)
def test_a_value_is_cast_as_an_assignment(kind: str, value: object, plain: Plain) -> None:
    made = to_plain(column(kind), value)

    assert plain == made
    assert type(plain) is type(made)


REFUSED: list[tuple[str, object, str]] = [
    ("INT", True, "is a boolean"),
    ("INT", "12a", "is no INT"),
    ("INT", "1_000", "is no INT"),
    ("INT", "", "is no INT"),
    ("INT", 2**63, "out of range of INT"),
    ("INT", math.nan, "is no INT"),
    ("INT", "9" * 1001, "is no INT"),
    ("INT", "1e999999999", "out of range"),
    ("INT", b"1", "is no INT"),
    ("DECIMAL(4,2)", "99.995", "out of range of DECIMAL"),
    ("DECIMAL(4,2)", 10**5000, "out of range of DECIMAL"),
    ("FLOAT", 10**400, "out of range of FLOAT"),
    ("FLOAT", "1e400", "out of range of FLOAT"),
    ("FLOAT", "one", "is no FLOAT"),
    ("BOOLEAN", "maybe", "is no BOOLEAN"),
    ("BOOLEAN", math.nan, "is no BOOLEAN"),
    ("VARCHAR(2)", "abc", "is longer than 2 characters"),
    ("VARCHAR", "\ud800", "half a surrogate pair"),
    ("VARCHAR", b"ab", "is no VARCHAR"),
    ("VARCHAR", {"a": 1}, "is no VARCHAR"),
    ("BINARY(2)", b"abc", "is longer than 2 bytes"),
    ("BINARY", "xyz", "hexadecimal"),
    ("DATE", 20200101, "is no DATE"),
    ("DATE", "20200101", "is no DATE"),
    ("DATE", "2020-02-30", "is no DATE"),
    ("TIME", "24:00", "is no TIME"),
    ("TIMESTAMP", "2020-01-01 25:00", "is no TIMESTAMP"),
    ("TIMESTAMP", 1.5, "is no TIMESTAMP"),
    ("TIMESTAMP_LTZ", datetime(1, 1, 1, tzinfo=EAST), "out of range"),
    ("TIMESTAMP_TZ", datetime(1, 1, 1, tzinfo=EAST), "out of range"),
    ("TIMESTAMP_TZ", "2020-01-01 00:00+25:00", "is no TIMESTAMP_TZ"),
    ("VARIANT", "hello", "text for it is JSON"),
    ("VARIANT", "NaN", "text for it is JSON"),
    ("VARIANT", "[" * 100_000, "text for it is JSON"),
    ("VARIANT", {"a": math.nan}, "is no VARIANT"),
    ("VARIANT", {"a": object()}, "is no VARIANT"),
    ("VARIANT", {"a": 10**5000}, "a value of type dict is no VARIANT"),
    ("VARIANT", {"a": "\ud800"}, "half a surrogate pair"),
    ("OBJECT", "[1]", "is not an object"),
    ("ARRAY", {"a": 1}, "is not an array"),
]


@pytest.mark.parametrize(
    ("kind", "value", "why"), REFUSED, ids=[f"{kind}-{i}" for i, (kind, _, _) in enumerate(REFUSED)]
)
def test_a_value_that_does_not_fit_is_refused(kind: str, value: object, why: str) -> None:
    with pytest.raises(ValueRefused, match=why) as caught:
        to_plain(column(kind), value, row=3)

    assert ("x", 3) == (caught.value.column, caught.value.row)
    assert str(caught.value).startswith("row 3, column x: ")
    assert len(str(caught.value)) < 200


def test_null_in_a_not_null_column_is_refused() -> None:
    with pytest.raises(ValueRefused, match="column x: None is not allowed"):
        to_plain(column("INT", nullable=False), None)


SEEN: list[tuple[str, Plain, object]] = [
    ("INT", 7, 7),
    ("DECIMAL(10,2)", -101, Decimal("-1.01")),
    ("DECIMAL(38,0)", 10**38 - 1, Decimal(10**38 - 1)),
    ("DATE", -1, date(1969, 12, 31)),
    ("TIME", 3723000004, time(1, 2, 3, 4)),
    ("TIME(3)", 3723456, time(1, 2, 3, 456000)),
    ("TIMESTAMP", -1, datetime(1969, 12, 31, 23, 59, 59, 999999)),
    ("TIMESTAMP(3)", 1, datetime(1970, 1, 1, microsecond=1000)),
    ("TIMESTAMP_LTZ", "1970-01-01T00:00:00.000001Z", datetime(1970, 1, 1, 0, 0, 0, 1, UTC)),
    ("TIMESTAMP_TZ", "1970-01-01T00:00:00+05:30", datetime(1970, 1, 1, tzinfo=EAST)),
    ("VARIANT", '{"a":[1]}', {"a": [1]}),
    ("VARCHAR", "x", "x"),
    ("INT", None, None),
]


@pytest.mark.parametrize(("kind", "plain", "value"), SEEN)
def test_a_plain_value_is_shown_as_what_it_means(kind: str, plain: Plain, value: object) -> None:
    made = from_plain(SqlType.parse(kind), plain)

    assert value == made
    assert str(value) == str(made)


@pytest.mark.parametrize("kind", ["TIMESTAMP_LTZ", "TIMESTAMP_TZ", "VARIANT"])
def test_text_that_is_not_what_its_column_writes_is_an_unreadable_event(kind: str) -> None:
    with pytest.raises(EventUnreadable):
        from_plain(SqlType.parse(kind), "nonsense")


TABLE = new_schema(
    [
        ColumnSpec("id", SqlType.parse("INT")),
        ColumnSpec("price", SqlType.parse("DECIMAL(10,2)"), default="1.5"),
        ColumnSpec("at", SqlType.parse("TIMESTAMP_LTZ"), default_call="CURRENT_TIMESTAMP"),
        ColumnSpec("n", SqlType.parse("INT"), nullable=False, auto=AutoIncrement()),
    ],
    ["id"],
)


def test_missing_columns_take_their_default_or_wait_for_the_caller() -> None:
    made = to_inner(TABLE, pa.table({"ID": ["1", "2"]}))

    assert ["id", "price", "at", "n"] == made.column_names
    assert [(1, 150, None, None), (2, 150, None, None)] == to_rows(TABLE, made)


def test_columns_that_the_table_has_not_are_named() -> None:
    with pytest.raises(SchemaInvalid, match="no column idd; there are id, price"):
        to_inner(TABLE, pa.table({"idd": [1]}))


def test_a_column_given_twice_is_refused() -> None:
    with pytest.raises(SchemaInvalid, match="column ID is given twice"):
        to_inner(TABLE, pa.table({"id": [1], "ID": [1]}))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"id": [1, None]}, "row 11, column id: None is not allowed"),
        ({"price": [1, 2]}, "row 10, column id: None is not allowed"),
        ({"id": [1, 2], "price": [1.0, 1e9]}, "row 11, column price: 1000000000.0 is out of range"),
        ({"id": ["1", "x"]}, "row 11, column id: 'x' is no INT"),
    ],
)
def test_errors_of_a_table_name_row_and_column(data: dict[str, list[object]], why: str) -> None:
    with pytest.raises(ValueRefused, match=why):
        to_inner(TABLE, pa.table(data), first_row=10)


def test_rows_are_counted_over_chunks() -> None:
    parts = [pa.record_batch({"id": ["1"]}), pa.record_batch({"id": ["2", "x"]})]
    with pytest.raises(ValueRefused, match="row 2, column id"):
        to_inner(TABLE, pa.Table.from_batches(parts))


def test_users_see_a_local_timestamp_as_one_in_utc() -> None:
    inner = to_inner(TABLE, pa.table({"id": [1], "at": ["1970-01-01T05:30:00+05:30"]}))
    outer = to_outer(TABLE, inner)

    assert pa.timestamp("us", "UTC") == arrow.columns_of(outer)[2].type
    assert datetime(1970, 1, 1, tzinfo=UTC) == outer.column("at")[0].as_py()
    assert outer.equals(to_outer([c.type for c in TABLE.columns], inner))
