"""COPY INTO a table from files: what is chosen, what fits, what is said of the rest."""

import gzip
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from support_sql import Sql, SqlStore

from headwater.log_store.port import Log
from headwater.sql.errors import DataError, NotSupportedError, OperationalError


@pytest.fixture
def sql(log: Log) -> Sql:
    """A session with an empty table of sales."""
    made = Sql(log)
    made.run("CREATE TABLE sales (id INT PRIMARY KEY, what VARCHAR(8), amount NUMBER(10,2))")
    return made


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder for files."""
    made = tmp_path / "files"
    made.mkdir()
    return made


def sales(sql: Sql) -> list[tuple[object, ...]]:
    return sql.rows("SELECT * FROM sales ORDER BY id")


def test_csv_goes_in_by_position_with_its_header_skipped(sql: Sql, files: Path) -> None:
    (files / "a.csv").write_text('nr,x,y\n1,"tea, x",2.345\n2,,\\N\n3,"",1\n')
    found = sql.rows(f"COPY INTO sales FROM '{files}/a.csv' FILE_FORMAT = (SKIP_HEADER = 1)")
    assert found == [("a.csv", "LOADED", 3, 3, 0, None, None, None)]


def test_values_of_csv_are_cast_to_their_columns(sql: Sql, files: Path) -> None:
    (files / "a.csv").write_text('1|"a|b"|2.345\n2||\n3|""|1\n')
    text = f"COPY INTO sales FROM '{files}' FILE_FORMAT = (TYPE = CSV FIELD_DELIMITER = '|')"
    assert sql.count(text) == 3
    assert sales(sql) == [
        (1, "a|b", Decimal("2.35")),
        (2, None, None),
        (3, "", Decimal("1.00")),
    ]


def test_files_and_pattern_choose_what_is_read(sql: Sql, files: Path) -> None:
    for name in ("x1.csv", "x2.csv", "y3.csv"):
        (files / name).write_text(f"{name[1]},{name},0\n")
    (files / ".hidden.csv").write_text("9,no,0\n")
    assert sql.count(f"COPY INTO sales FROM '{files}' FILES = ('y3.csv')") == 1
    assert sql.count(f"COPY INTO sales FROM '{files}' PATTERN = 'x.*'") == 2
    assert [row[1] for row in sales(sql)] == ["x1.csv", "x2.csv", "y3.csv"]


def test_names_match_columns_where_asked(sql: Sql, files: Path) -> None:
    (files / "a.csv").write_text("AMOUNT,extra,Id\n5,x,1\n")
    sql.run(
        f"COPY INTO sales FROM '{files}/a.csv' FILE_FORMAT = (TYPE = CSV PARSE_HEADER = TRUE) "
        "MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE"
    )
    assert sales(sql) == [(1, None, Decimal("5.00"))]


def test_parquet_and_json_go_in_by_name(sql: Sql, files: Path) -> None:
    data = pa.table({"amount": [1.5, 2.5], "id": [1, 2]})
    with parquet.ParquetWriter(files / "a.parquet", data.schema) as writer:
        writer.write_table(data)
    with gzip.open(files / "b.ndjson.gz", "wt") as file:
        file.write('{"id": 3, "what": "x"}\n\n{"id": 4, "amount": 1e1}\n')
    assert sql.count(f"COPY INTO sales FROM '{files}/a.parquet'") == 2
    assert sql.count(f"COPY INTO sales FROM '{files}/b.ndjson.gz'") == 2
    assert sales(sql)[1:] == [
        (2, None, Decimal("2.50")),
        (3, "x", None),
        (4, None, Decimal("10.00")),
    ]


def test_json_goes_whole_into_a_variant(sql: Sql, files: Path) -> None:
    sql.run("CREATE TABLE raw (v VARIANT)")
    (files / "a.json").write_text('[{"a": 1.50}, "text", null]')
    sql.run(
        f"COPY INTO raw FROM '{files}/a.json' FILE_FORMAT = (TYPE = JSON STRIP_OUTER_ARRAY = TRUE)"
    )
    assert sql.rows("SELECT v FROM raw") == [('{"a":1.5}',), ('"text"',), (None,)]


def test_the_first_row_that_does_not_fit_refuses_the_statement(sql: Sql, files: Path) -> None:
    (files / "a.csv").write_text("1,ok,1\n")
    (files / "b.csv").write_text("2,ok,1\n3,much too long,1\n")
    error = sql.refused(f"COPY INTO sales FROM '{files}'")
    assert isinstance(error, DataError)
    assert "b.csv, line 2" in str(error)
    assert sales(sql) == []


def test_continue_leaves_out_rows_and_says_which(sql: Sql, files: Path) -> None:
    (files / "a.csv").write_text("1,ok,1\n2,much too long,1\nx,ok,1\n4,ok\n5,ok,1\n")
    ((name, status, parsed, loaded, errors, why, line, column),) = sql.rows(
        f"COPY INTO sales FROM '{files}' ON_ERROR = CONTINUE"
    )
    assert (name, status, parsed, loaded, errors) == ("a.csv", "PARTIALLY_LOADED", 5, 2, 3)
    assert [row[0] for row in sales(sql)] == [1, 5]
    assert (why, line, column) == ("a line has 2 fields instead of 3", 4, None)


def test_skip_file_leaves_out_whole_files(sql: Sql, files: Path) -> None:
    (files / "a.csv").write_text("1,ok,1\n2,much too long,1\n")
    (files / "b.csv").write_text("3,ok,1\n")
    found = sql.rows(f"COPY INTO sales FROM '{files}' ON_ERROR = SKIP_FILE")
    assert [(row[0], row[1], row[3]) for row in found] == [
        ("a.csv", "LOAD_FAILED", 0),
        ("b.csv", "LOADED", 1),
    ]
    assert [row[0] for row in sales(sql)] == [3]


def test_a_key_that_is_there_refuses_the_statement_whatever_on_error_says(
    sql: Sql, files: Path
) -> None:
    sql.run("INSERT INTO sales VALUES (2, 'old', 0)")
    (files / "a.csv").write_text("1,ok,1\n2,ok,1\n")
    error = sql.refused(f"COPY INTO sales FROM '{files}' ON_ERROR = CONTINUE")
    assert error.code == "E_DUPLICATE_KEY"
    assert len(sales(sql)) == 1


def test_copy_stays_within_the_folders_that_are_allowed(log: Log, files: Path) -> None:
    inside, outside = files / "in", files / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "a.csv").write_text("1,x,1\n")
    (inside / "link.csv").symlink_to(outside / "a.csv")
    sql = Sql(log, SqlStore(log, locations=(inside,)))
    sql.run("CREATE TABLE sales (id INT, what VARCHAR, amount INT)")
    for place in (f"{outside}/a.csv", f"{inside}/../out/a.csv", f"{inside}", f"{inside}/link.csv"):
        error = sql.refused(f"COPY INTO sales FROM '{place}'")
        assert (type(error), error.code) == (OperationalError, "E_COPY_LOCATION")
    assert sql.refused(f"COPY INTO sales FROM '{inside}' FILES = ('../out/a.csv')")
    assert sql.one("SELECT COUNT(*) FROM sales") == 0


def test_stages_and_addresses_are_refused_by_name(sql: Sql) -> None:
    for place in ("'s3://bucket/x.csv'", "'@stage/x.csv'"):
        assert isinstance(sql.refused(f"COPY INTO sales FROM {place}"), NotSupportedError)


def test_a_file_that_is_none_of_its_kind_is_named(sql: Sql, files: Path) -> None:
    (files / "a.parquet").write_text("no")
    (files / "a.json").write_text('{"id": 1}\n{"id": \n')
    assert "a.parquet" in str(sql.refused(f"COPY INTO sales FROM '{files}/a.parquet'"))
    assert "line 2" in str(sql.refused(f"COPY INTO sales FROM '{files}/a.json'"))
    assert "no such file" in str(sql.refused(f"COPY INTO sales FROM '{files}/nix'"))


# COPY INTO a place.


def test_a_query_is_written_into_a_file_and_loads_again(sql: Sql, files: Path) -> None:
    sql.run("INSERT INTO sales VALUES (1, 'a,\"b', 1.5), (2, NULL, NULL), (3, '', 0)")
    for name in ("x.csv", "x.csv.gz", "x.parquet", "x.ndjson"):
        place = f"{files}/{name}"
        assert sql.count(f"COPY INTO '{place}' FROM (SELECT * FROM sales)") == 3
        sql.run("CREATE OR REPLACE TABLE again (id INT, what VARCHAR, amount NUMBER(10,2))")
        assert sql.count(f"COPY INTO again FROM '{place}'") == 3
        assert sql.rows("SELECT * FROM again ORDER BY id") == sales(sql)
    error = sql.refused(f"COPY INTO '{files}/x.csv' FROM sales")
    assert "OVERWRITE" in str(error)
    assert sql.count(f"COPY INTO '{files}/x.csv' FROM sales OVERWRITE = TRUE HEADER = TRUE") == 3


def test_a_directory_consumes_a_stream_into_files_named_after_windows(
    sql: Sql, files: Path
) -> None:
    sql.run("CREATE STREAM s ON TABLE sales")
    sql.run("INSERT INTO sales VALUES (1, 'a', 1)")
    sql.run("INSERT INTO sales VALUES (2, 'b', 2)")
    copy = f"COPY INTO '{files}' FROM (SELECT id, METADATA$ACTION AS what FROM s)"
    assert sql.count(copy) == 2
    assert sql.count(copy) == 0
    sql.run("BEGIN; DELETE FROM sales WHERE id = 1; COMMIT")
    sql.run("BEGIN")
    assert sql.count(copy) == 1
    sql.run("ROLLBACK")
    assert sql.count(copy) == 1
    names = sorted(path.name for path in files.glob("*.parquet"))
    assert names == ["s_v1-v2.parquet", "s_v3-v3.parquet"]


def test_copying_out_stays_within_the_folders_that_are_allowed(log: Log, tmp_path: Path) -> None:
    sql = Sql(log, SqlStore(log, locations=()))
    sql.run("CREATE TABLE t (id INT)")
    error = sql.refused(f"COPY INTO '{tmp_path}/x.csv' FROM t")
    assert error.code == "E_COPY_LOCATION"
    assert not (tmp_path / "x.csv").exists()
