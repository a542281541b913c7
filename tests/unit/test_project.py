"""Old rows seen in a newer generation, and newer rows in an older one."""

from headwater.schemas.arrow_plain import to_rows, to_table
from headwater.schemas.evolve import add_column, drop_column, new_schema, rename_column
from headwater.schemas.project import project, project_row
from headwater.schemas.tables import ColumnSpec
from headwater.schemas.types import Row, SqlType

FIRST = new_schema(
    [ColumnSpec("id", SqlType.parse("INT")), ColumnSpec("name", SqlType.parse("VARCHAR"))], ["id"]
)
PRICE = ColumnSpec("price", SqlType.parse("DECIMAL(10,2)"), default="1.50")
NOTE = ColumnSpec("note", SqlType.parse("VARCHAR"))
SECOND = add_column(add_column(rename_column(FIRST, "name", "title"), PRICE), NOTE)
THIRD = add_column(drop_column(SECOND, "title"), ColumnSpec("title", SqlType.parse("DATE")))
OLD: list[Row] = [(1, "a"), (2, None)]


def test_added_columns_are_filled_and_renamed_ones_follow_their_id() -> None:
    seen = project(to_table(FIRST, OLD), FIRST, SECOND)

    assert ["id", "title", "price", "note"] == seen.column_names
    assert [(1, "a", 150, None), (2, None, 150, None)] == to_rows(SECOND, seen)


def test_a_dropped_column_does_not_come_back_under_its_name() -> None:
    seen = project(to_table(FIRST, OLD), FIRST, THIRD)

    assert [(1, 150, None, None), (2, 150, None, None)] == to_rows(THIRD, seen)


def test_rows_are_projected_as_tables_are() -> None:
    for wanted in (FIRST, SECOND, THIRD):
        seen = project(to_table(FIRST, OLD), FIRST, wanted)
        assert to_rows(wanted, seen) == [project_row(row, FIRST, wanted) for row in OLD]


def test_newer_rows_are_seen_in_an_older_generation() -> None:
    row: Row = (1, "a", 275, "n")

    assert (1, "a") == project_row(row, SECOND, FIRST)
    assert [(1, "a")] == to_rows(FIRST, project(to_table(SECOND, [row]), SECOND, FIRST))


def test_the_same_generation_is_passed_through() -> None:
    data = to_table(FIRST, OLD)

    assert project(data, FIRST, FIRST) is data


def test_no_rows_stay_no_rows() -> None:
    assert 0 == project(to_table(FIRST, []), FIRST, THIRD).num_rows
