"""Rows in files: what each format makes of them, and that loading them again gives the same."""

import gzip
import io
import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from support_parquet import read_parquet

import headwater
from headwater.consumers.row_files import FileFormat, FileOptions, write_rows

ROWS = pa.table(
    {
        "i": pa.array([1, None], pa.int64()),
        "d": pa.array([Decimal("12345678901234567890.1234"), None], pa.decimal128(30, 4)),
        "f": pa.array([1.5, float("nan")], pa.float64()),
        "b": pa.array([True, None], pa.bool_()),
        "s": pa.array(['a "quoted", text\n', ""], pa.string()),
        "x": pa.array([b"\x00\xff", None], pa.binary()),
        "day": pa.array([date(2026, 11, 25), None], pa.date32()),
        "at": pa.array([datetime(2026, 11, 25, 3, 4, 5, 6), None], pa.timestamp("us")),
        "j": pa.array(['{"a": [1, "é"]}', None], pa.string()),
    }
)


def written(options: FileOptions, rows: pa.Table = ROWS) -> bytes:
    file = io.BytesIO()
    batches = rows.to_batches(max_chunksize=1)
    assert write_rows(file, pa.RecordBatchReader.from_batches(rows.schema, batches), options) == 2
    return file.getvalue()


@pytest.mark.parametrize("compression", ["", "snappy", "zstd", "gzip", "none"])
def test_parquet_gives_the_same_rows(compression: str) -> None:
    data = written(FileOptions(compression=compression))
    assert read_parquet(io.BytesIO(data)).drop(["f"]).equals(ROWS.drop(["f"]))


def test_csv_tells_an_empty_text_from_null() -> None:
    rows = ROWS.select(["i", "s"])
    assert written(FileOptions(format=FileFormat.CSV), rows) == (
        b'"i","s"\n1,"a ""quoted"", text\n"\n,""\n'
    )
    bare = FileOptions(format=FileFormat.CSV, header=False, delimiter="|")
    assert written(bare, rows) == b'1|"a ""quoted"", text\n"\n|""\n'


def test_ndjson_keeps_numbers_and_writes_json_as_it_is() -> None:
    data = written(FileOptions(format=FileFormat.NDJSON, json_columns=frozenset({"j"})))
    first, second = (json.loads(line, parse_float=Decimal) for line in data.splitlines())
    assert first == {
        "i": 1,
        "d": Decimal("12345678901234567890.1234"),
        "f": Decimal("1.5"),
        "b": True,
        "s": 'a "quoted", text\n',
        "x": "00ff",
        "day": "2026-11-25",
        "at": "2026-11-25T03:04:05.000006",
        "j": {"a": [1, "é"]},
    }
    assert second["f"] == "nan" and second["s"] == "" and second["j"] is None


def test_gzip_is_in_the_name_and_makes_the_same_bytes_each_time() -> None:
    options = FileOptions(format=FileFormat.CSV, compression="gzip")
    assert options.ending == "csv.gz"
    rows = ROWS.select(["i"])
    assert gzip.decompress(written(options, rows)) == b'"i"\n1\n\n'
    assert written(options, rows) == written(options, rows)


@pytest.mark.parametrize(
    ("format", "compression", "delimiter"),
    [(FileFormat.CSV, "zstd", ","), (FileFormat.PARQUET, "brotli", ","), (FileFormat.CSV, "", '"')],
)
def test_options_that_make_no_file_are_refused(
    format: FileFormat, compression: str, delimiter: str
) -> None:
    with pytest.raises(ValueError, match="compressed by one of|separates no fields"):
        FileOptions(format=format, compression=compression, delimiter=delimiter)


@pytest.fixture
def db() -> Iterator[headwater.Database]:
    with headwater.connect("memory:files") as opened:
        yield opened


@pytest.mark.parametrize("format", FileFormat)
def test_what_was_copied_out_loads_again_as_the_same_rows(
    db: headwater.Database, format: FileFormat, tmp_path: Path
) -> None:
    columns = {
        "i": "INT", "d": "DECIMAL(30,4)", "b": "BOOLEAN", "s": "VARCHAR", "day": "DATE",
        "at": "TIMESTAMP", "j": "VARIANT",
    }  # fmt: skip
    first, again = (db.create_table(name, columns) for name in ("first", "again"))
    first.insert(ROWS.select(list(columns)))
    path = tmp_path / f"rows.{format.value}"
    options = FileOptions(format=format, json_columns=frozenset({"j"}))
    with path.open("wb") as file:
        rows = first.arrow()
        write_rows(file, pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches()), options)
    again.load(path)
    for one, other in zip(again.rows(), first.rows(), strict=True):
        for column, value in other.items():
            same = one[column] == value
            # JSON that was written as JSON comes back without its blanks.
            assert same or (column == "j" and json.loads(str(one["j"])) == json.loads(str(value)))
