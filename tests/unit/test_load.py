"""Loading: every kind of source, defaults and casts, errors that name row and column."""

import gzip
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support_clock import Clock
from support_producer import Shown, committing, create, rows_of, seen_by, spec

from headwater.log_store.port import Log
from headwater.producer import bulk, sources
from headwater.producer.errors import DuplicateKey, NotFound, SourceUnreadable
from headwater.producer.load import load
from headwater.producer.transaction import Transaction
from headwater.producer.values import complete_rows
from headwater.schemas.errors import SchemaInvalid, ValueRefused
from headwater.schemas.tables import AutoIncrement, ColumnSpec
from headwater.schemas.types import SqlType

SALES = (
    spec("id", "INT", nullable=False),
    spec("name", "VARCHAR(10)", default="unnamed"),
    spec("price", "DECIMAL(8,2)"),
)
EXPECTED: list[Shown] = [(1, "a", Decimal("1.50")), (2, "b", None), (3, "c", Decimal("3.00"))]


def csv_file(path: Path) -> Path:
    path.write_text("ID,name,price\n1,a,1.5\n2,b,\n3,c,3\n")
    return path


def write_gzip(path: Path) -> Path:
    with gzip.open(path, "wt") as out:
        out.write("id,name,price\n1,a,1.499999999\n2,b,\\N\n3,c,3\n")
    return path


def write_ndjson(path: Path) -> Path:
    path.write_text(
        '{"id": 1, "name": "a", "price": 1.5}\n\n{"price": null, "id": 2, "name": "b"}\n'
        '{"ID": "3", "name": "c", "price": "3.001"}\n'
    )
    return path


def arrow_table() -> pa.Table:
    return pa.table({"id": [1, 2, 3], "NAME": ["a", "b", "c"], "price": [1.5, None, 3.0]})


def write_parquet(path: Path) -> Path:
    # The stubs leave the element types of some parameters open.
    write = cast(Callable[[pa.Table, Path], None], pq.write_table)
    write(arrow_table(), path)
    return path


def sources_of(folder: Path) -> dict[str, object]:
    table = arrow_table()
    return {
        "csv": str(csv_file(folder / "sales.csv")),
        "csv.gz": write_gzip(folder / "sales.csv.gz"),
        "ndjson": write_ndjson(folder / "sales.ndjson"),
        "parquet": write_parquet(folder / "sales.parquet"),
        "table": table,
        "batch": table.to_batches()[0],
        "reader": pa.RecordBatchReader.from_batches(table.schema, table.to_batches(1)),
        "pandas": pd.DataFrame({"id": [1, 2, 3], "name": list("abc"), "price": [1.5, np.nan, 3]}),
        "polars": pl.DataFrame({"id": [1, 2, 3], "name": list("abc"), "price": [1.5, None, 3]}),
    }


KINDS = ["csv", "csv.gz", "ndjson", "parquet", "table", "batch", "reader", "pandas", "polars"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_source_loads_the_same_rows(log: Log, tmp_path: Path, kind: str) -> None:
    sales = create(log, "sales", SALES)
    with committing(log) as tx:
        assert load(tx, sales, sources_of(tmp_path)[kind]) == 3
    assert rows_of(log, sales) == EXPECTED


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_in_many_parts_counts_its_rows_through(
    log: Log, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "PART_ROWS", 2)
    monkeypatch.setattr(sources, "_JSON_ROWS", 2)
    monkeypatch.setattr(bulk, "RUN_ROWS", 1)
    sales = create(log, "sales", SALES)
    seen: list[tuple[int, int | None]] = []
    with committing(log) as tx:
        load(tx, sales, sources_of(tmp_path)[kind], lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == 3
    told = kind in ("parquet", "table", "batch", "pandas", "polars")
    assert {total for _, total in seen} == {3 if told else None}
    assert rows_of(log, sales) == EXPECTED


def test_a_bad_value_is_named_by_row_and_column_and_nothing_is_staged(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "PART_ROWS", 2)
    monkeypatch.setattr(sources, "_JSON_ROWS", 2)
    sales = create(log, "sales", SALES)
    text = tmp_path / "bad.csv"
    text.write_text("id,price\n1,1\n2,2\n3,3\n4,much\n")
    lines = tmp_path / "bad.ndjson"
    lines.write_text('{"id": 1}\n{"id": 2}\n{"id": 3}\n{"id": 4, "price": "much"}\n')
    frame = pa.table({"id": [1, 2, 3, 4], "price": ["1", "2", "3", "much"]})
    tx = Transaction(log)
    for source in (text, lines, frame):
        with pytest.raises(ValueRefused, match="row 3, column price: 'much'"):
            load(tx, sales, source)
    assert tx.written_tables() == [] and seen_by(tx, sales) == []
    tx.rollback()


def test_null_too_long_and_duplicate_values_are_refused(log: Log) -> None:
    sales = create(log, "sales", SALES)
    tx = Transaction(log)
    with pytest.raises(ValueRefused, match="row 1, column id"):
        load(tx, sales, pa.table({"id": [1, None]}))
    with pytest.raises(ValueRefused, match="column id"):
        load(tx, sales, pa.table({"name": ["a"]}))
    with pytest.raises(ValueRefused, match="row 0, column name"):
        load(tx, sales, pa.table({"id": [1], "name": ["x" * 11]}))
    with pytest.raises(DuplicateKey, match="table sales, row 2: another row has id = 1"):
        load(tx, sales, pa.table({"id": [1, 2, 1]}))
    assert tx.written_tables() == []
    tx.rollback()


def test_what_is_no_source_is_refused_with_the_reason(log: Log, tmp_path: Path) -> None:
    sales = create(log, "sales", SALES)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 this is none")
    line = tmp_path / "broken.ndjson"
    line.write_text('{"id": 1}\n[2]\n')
    nested = tmp_path / "nested.ndjson"
    nested.write_text('{"id": 1}\n{"id": ' + "[" * 100_000 + "\n")
    ragged = tmp_path / "ragged.csv"
    ragged.write_text("id,name\n1,a\n2\n")
    binary = tmp_path / "latin.ndjson"
    binary.write_bytes(b'{"id": 1, "name": "\xe4"}\n')
    reasons: list[tuple[object, str]] = [
        (tmp_path / "nowhere.csv", "no such file"),
        (csv_file(tmp_path / "sales.txt"), "ends in none of"),
        (broken, "broken.parquet"),
        (line, "line 2 is no JSON object"),
        (nested, "line 2 is no JSON"),
        (ragged, "ragged.csv"),
        (binary, "latin.ndjson"),
        (17, "the int cannot be loaded"),
        (pd.DataFrame({"id": [1, "x", object()]}), "the DataFrame"),
    ]
    tx = Transaction(log)
    for source, reason in reasons:
        with pytest.raises(SourceUnreadable, match=reason):
            load(tx, sales, source)
    with pytest.raises(SchemaInvalid, match="nope"):
        load(tx, sales, pa.table({"id": [1], "nope": [1]}))
    unknown = tmp_path / "unknown.ndjson"
    unknown.write_text('{"id": 1}\n{"id": 2, "nope": 1}\n')
    with pytest.raises(NotFound, match="column nope does not exist: row 1"):
        load(tx, sales, unknown)
    assert tx.written_tables() == []
    tx.rollback()


def test_csv_tells_empty_texts_from_nulls_and_keeps_lines_in_quotes(
    log: Log, tmp_path: Path
) -> None:
    notes = create(log, "notes", [spec("a", "VARCHAR"), spec("b", "VARCHAR")], ())
    path = tmp_path / "notes.csv"
    path.write_text('a,b\n"",\n"two\nlines","say ""x"""\nNA,\\N\n007,1e3\n')
    with committing(log) as tx:
        load(tx, notes, path)
    expected = [("", None), ("two\nlines", 'say "x"'), ("NA", None), ("007", "1e3")]
    assert rows_of(log, notes) == expected
    with committing(log) as tx:
        tx.truncate(notes)
        load(tx, notes, path, nulls=("NA",))
    assert rows_of(log, notes)[2] == (None, "\\N")


def test_json_objects_keep_their_own_fields(log: Log, tmp_path: Path) -> None:
    docs = create(log, "docs", [spec("id", "INT"), spec("doc", "VARIANT")], ())
    path = tmp_path / "docs.jsonl"
    path.write_text('{"id": 1, "doc": {"a": 1}}\n{"id": 2, "doc": {"b": [1.10, null]}}\n')
    with committing(log) as tx:
        load(tx, docs, path)
    texts = [cast(str, doc).replace(" ", "") for _, doc in rows_of(log, docs)]
    assert texts[0] == '{"a":1}'
    assert texts[1] in ('{"b":[1.10,null]}', '{"b":[1.1,null]}')


def numbered(log: Log) -> list[ColumnSpec]:
    return [
        ColumnSpec("id", SqlType.parse("INT"), nullable=False, auto=AutoIncrement(10, 5)),
        ColumnSpec("at", SqlType.parse("TIMESTAMP"), default_call="CURRENT_TIMESTAMP"),
        ColumnSpec("day", SqlType.parse("DATE"), default_call="CURRENT_DATE"),
        ColumnSpec("zoned", SqlType.parse("TIMESTAMP_LTZ"), default_call="CURRENT_TIMESTAMP"),
        spec("text", "VARCHAR", default="-"),
    ]


def test_columns_left_out_get_numbers_the_clock_and_defaults(log: Log, tmp_path: Path) -> None:
    table = create(log, "t", numbered(log), ("id",))
    lines = tmp_path / "t.ndjson"
    lines.write_text('{"text": "json"}\n{"id": 99}\n')
    tx = Transaction(log, clock=Clock(1_800_000_000_000_000, 0))
    load(tx, table, pa.table({"text": ["a", "b"]}))
    load(tx, table, lines)
    tx.insert(table, complete_rows(tx, table, [{4: "one"}]))
    tx.commit()
    now = datetime.fromtimestamp(1_800_000_000, UTC)
    rows = rows_of(log, table)
    assert [row[0] for row in rows] == [10, 15, 20, 99, 30]
    assert [row[4] for row in rows] == ["a", "b", "json", "-", "one"]
    assert {row[1] for row in rows} == {now.replace(tzinfo=None)}
    assert {row[2] for row in rows} == {date(2027, 1, 15)}
    assert len({row[3] for row in rows}) == 1
    with committing(log) as tx:
        load(tx, table, pa.table({"text": ["next"]}))
    assert max(cast(int, row[0]) for row in rows_of(log, table) if row[0] != 99) >= 35


def test_numbers_are_not_given_twice_after_a_rollback(log: Log) -> None:
    table = create(log, "t", numbered(log), ("id",))
    tx = Transaction(log)
    first = complete_rows(tx, table, [{}])
    tx.rollback()
    with committing(log) as tx:
        second = complete_rows(tx, table, [{}])
    assert first[0][0] != second[0][0]


def test_rows_that_lack_a_needed_value_are_refused(log: Log) -> None:
    sales = create(log, "sales", SALES)
    tx = Transaction(log)
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: complete_rows(tx, sales, [{1: "a"}]), "^column id"),
        (lambda: complete_rows(tx, sales, [{0: 1}, {1: "a"}]), "row 1, column id"),
        (lambda: complete_rows(tx, sales, [{0: 1}, {0: "x"}]), "row 1, column id"),
    ]
    for call, message in calls:
        with pytest.raises(ValueRefused, match=message):
            call()
    assert complete_rows(tx, sales, [{0: "7"}]) == [(7, "unnamed", None)]
    tx.rollback()
