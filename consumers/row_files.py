"""Rows into a file: Parquet, CSV or NDJSON, a batch at a time.

CSV: every text is quoted and NULL is an empty field without quotes, so that loading it again gives
the same rows. NDJSON: numbers as numbers, times as ISO 8601 text, bytes as hex.
"""

import json
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import IO, Final, Literal, cast

import pyarrow as pa


class FileFormat(Enum):
    """What a file holds rows as; the value is the ending of its name."""

    PARQUET = "parquet"
    CSV = "csv"
    NDJSON = "ndjson"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """How rows are written. `header` and `delimiter` are for CSV.

    `compression`: of Parquet `snappy`, `zstd`, `gzip` or `none`; of the others `none` or `gzip`,
    which adds `.gz` to the name. `json_columns` hold JSON as text, which NDJSON writes as it is.
    """

    format: FileFormat = FileFormat.PARQUET
    compression: str = ""
    header: bool = True
    delimiter: str = ","
    json_columns: frozenset[str] = field(default_factory=frozenset[str])

    def __post_init__(self) -> None:
        known = COMPRESSIONS[self.format]
        if self.compression and self.compression not in known:
            raise ValueError(f"{self.format.value} is compressed by one of {', '.join(known)}")
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n' or not self.delimiter.isascii():
            raise ValueError(f"{self.delimiter!r} separates no fields: give one ASCII character")

    @property
    def ending(self) -> str:
        """The ending of a file's name, without its first point."""
        text = self.format is not FileFormat.PARQUET
        return self.format.value + (".gz" if text and self.compression == "gzip" else "")


COMPRESSIONS: Final[Mapping[FileFormat, tuple[str, ...]]] = {
    FileFormat.PARQUET: ("snappy", "zstd", "gzip", "none"),
    FileFormat.CSV: ("none", "gzip"),
    FileFormat.NDJSON: ("none", "gzip"),
}

Write = Callable[[pa.RecordBatch], None]


def write_rows(file: IO[bytes], rows: pa.RecordBatchReader, options: FileOptions) -> int:
    """Write all rows into an open file; returns how many.

    Raises:
        pa.ArrowInvalid, pa.ArrowNotImplementedError: a column's type has no place in the format.
        OSError: the disk; part of the rows are in the file.
    """
    writers = {
        FileFormat.PARQUET: _parquet,
        FileFormat.CSV: _csv,
        FileFormat.NDJSON: _ndjson,
    }
    count = 0
    with writers[options.format](file, rows.schema, options) as write:
        for batch in rows:
            write(batch)
            count += batch.num_rows
    return count


@contextmanager
def _parquet(file: IO[bytes], schema: pa.Schema, options: FileOptions) -> Generator[Write]:
    from pyarrow import parquet

    # Checked when the options were made.
    compression = cast("Literal['snappy', 'zstd', 'gzip', 'none']", options.compression or "snappy")
    with parquet.ParquetWriter(file, schema, compression=compression) as writer:
        yield writer.write_batch


@contextmanager
def _csv(file: IO[bytes], schema: pa.Schema, options: FileOptions) -> Generator[Write]:
    from pyarrow import csv

    how = csv.WriteOptions(
        include_header=options.header, delimiter=options.delimiter, quoting_style="needed"
    )
    with _packed(file, options) as packed, csv.CSVWriter(packed, schema, write_options=how) as out:
        # The stubs leave its other parameters open.
        yield cast(Write, out.write_batch)


@contextmanager
def _ndjson(file: IO[bytes], schema: pa.Schema, options: FileOptions) -> Generator[Write]:
    del schema
    with _packed(file, options) as packed:
        yield lambda batch: _write_lines(packed, batch, options)


@contextmanager
def _packed(file: IO[bytes], options: FileOptions) -> Generator[IO[bytes]]:
    if options.compression != "gzip":
        yield file
        return
    import gzip

    # Without a time in it the same rows make the same bytes.
    with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:
        yield cast("IO[bytes]", packed)


def _write_lines(file: IO[bytes], batch: pa.RecordBatch, options: FileOptions) -> None:
    names = [json.dumps(name, ensure_ascii=False) for name in batch.schema.names]
    columns = [
        # The stubs leave the element type of a column open.
        _texts(
            cast("list[object]", batch.column(at).to_pylist()), plain=name in options.json_columns
        )
        for at, name in enumerate(batch.schema.names)
    ]
    lines = (
        "{" + ",".join(f"{name}:{text}" for name, text in zip(names, row, strict=True)) + "}\n"
        for row in zip(*columns, strict=True)
    )
    file.write("".join(lines).encode())


def _texts(values: Sequence[object], *, plain: bool) -> list[str]:
    """A column's values as JSON; `plain` ones are JSON already."""
    if plain:
        return ["null" if value is None else str(value) for value in values]
    return [
        format(value, "f")  # a number of any size, which json's own would round
        if isinstance(value, Decimal)
        else json.dumps(_jsonable(value), ensure_ascii=False)
        for value in values
    ]


def _jsonable(value: object) -> object:
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return value.hex()
        case Decimal():
            return str(value)
        case list():
            return [_jsonable(one) for one in cast("list[object]", value)]
        case dict():
            return {k: _jsonable(v) for k, v in cast("dict[str, object]", value).items()}
        case _:
            return value
