"""What rows can be loaded from: Arrow, frames and files, each as a stream of Arrow tables."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Protocol, cast, runtime_checkable

import pyarrow as pa

from headwater.producer.errors import SourceUnreadable

if TYPE_CHECKING:
    import pandas as pd

PART_ROWS: Final = 65_536
# A file whose text says so in a column means NULL there, unless it is quoted.
NULLS: Final = ("", "\\N")
_JSON_ROWS: Final = 16_384
_CSV_BLOCK: Final = 8 << 20


@runtime_checkable
class _ArrowStream(Protocol):
    """Anything that hands its columns over as Arrow does: tables, readers, polars frames."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


@runtime_checkable
class _ArrowArray(Protocol):
    """A record batch, of any library."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> object: ...


@dataclass(frozen=True, slots=True)
class JsonRows:
    """Rows of an NDJSON file, as parsed; numbers with a point are Decimals."""

    rows: list[dict[str, object]]


@dataclass(frozen=True, slots=True)
class Source:
    """A stream of rows: its name for errors, how many there are if that is known, the parts."""

    name: str
    total: int | None
    parts: Iterator[pa.Table | JsonRows]


def open_source(source: object, nulls: Sequence[str] = NULLS) -> Source:
    """A source to load, by what it is, or by a file's ending.

    Raises:
        SourceUnreadable: it is nothing that rows can be read from. Its parts raise that too.
    """
    if isinstance(source, str | os.PathLike):
        return _file(Path(cast("str | os.PathLike[str]", source)), nulls)
    if isinstance(source, pa.Table):
        return Source("the table", source.num_rows, _of_table(source))
    if isinstance(source, pa.RecordBatch):
        return open_source(pa.Table.from_batches([source]))
    if type(source).__module__.split(".")[0] == "pandas":
        return _frame(cast("pd.DataFrame", source))
    name = f"the {type(source).__name__}"
    try:
        if isinstance(source, _ArrowStream):
            total = _length(source)
            return Source(name, total, _of_reader(name, pa.RecordBatchReader.from_stream(source)))
        if isinstance(source, _ArrowArray):
            return open_source(pa.record_batch(source))
    except pa.ArrowInvalid as error:
        raise SourceUnreadable(name, _one_line(error)) from error
    raise SourceUnreadable(
        name, "give Arrow, a DataFrame, or a path that ends in .csv, .parquet or .ndjson"
    )


def _length(source: object) -> int | None:
    # A reader has no length; frames do.
    length = getattr(source, "__len__", None)
    return None if length is None else int(length())


def _frame(frame: "pd.DataFrame") -> Source:
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, AttributeError) as error:
        raise SourceUnreadable("the DataFrame", _one_line(error)) from error
    return Source("the DataFrame", table.num_rows, _of_table(table))


def _of_table(table: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, table.num_rows, PART_ROWS):
        yield table.slice(start, PART_ROWS)


def _of_reader(name: str, reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """A reader's batches, small ones put together and large ones cut."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    try:
        for batch in reader:
            waiting.append(batch)
            rows += batch.num_rows
            if rows >= PART_ROWS:
                yield from _of_table(pa.Table.from_batches(waiting))
                waiting, rows = [], 0
    except pa.ArrowInvalid as error:
        raise SourceUnreadable(name, _one_line(error)) from error
    if rows:
        yield from _of_table(pa.Table.from_batches(waiting))


def _file(path: Path, nulls: Sequence[str]) -> Source:
    endings = [ending.lower() for ending in path.suffixes if ending.lower() not in (".gz", ".bz2")]
    ending = endings[-1] if endings else ""
    if not path.is_file():
        raise SourceUnreadable(str(path), "there is no such file")
    try:
        match ending:
            case ".csv" | ".tsv":
                return Source(str(path), None, _csv(path, "\t" if ending == ".tsv" else ",", nulls))
            case ".parquet" | ".pq":
                return _parquet(path)
            case ".ndjson" | ".jsonl" | ".json":
                return Source(str(path), None, _ndjson(path))
            case _:
                why = "its name ends in none of .csv, .tsv, .parquet, .ndjson, .jsonl"
                raise SourceUnreadable(str(path), why)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceUnreadable(str(path), _one_line(error)) from error


def _csv(path: Path, delimiter: str, nulls: Sequence[str]) -> Iterator[pa.Table]:
    """Every column as text: the table's types decide what it means, not the first block's look."""
    from pyarrow import csv

    parse = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    read = csv.ReadOptions(block_size=_CSV_BLOCK)
    try:
        with csv.open_csv(path, read_options=read, parse_options=parse) as peek:
            names = peek.schema.names
        convert = csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=list(nulls),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        with csv.open_csv(
            path, read_options=read, parse_options=parse, convert_options=convert
        ) as reader:
            yield from _of_reader(str(path), reader)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceUnreadable(str(path), _one_line(error)) from error


def _parquet(path: Path) -> Source:
    from pyarrow import parquet

    file = parquet.ParquetFile(path)

    def parts() -> Iterator[pa.Table]:
        try:
            with file:
                # The stubs leave the element types of two parameters open.
                read = cast("Callable[[int], Iterator[pa.RecordBatch]]", file.iter_batches)
                for batch in read(PART_ROWS):
                    yield pa.Table.from_batches([batch])
        except (pa.ArrowInvalid, OSError) as error:
            raise SourceUnreadable(str(path), _one_line(error)) from error

    return Source(str(path), file.metadata.num_rows, parts())


def _ndjson(path: Path) -> Iterator[JsonRows]:
    """Parsed line by line: Arrow's reader would add the fields of one row's objects to others."""
    rows: list[dict[str, object]] = []
    try:
        with _text(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    rows.append(_object(path, number, line))
                if len(rows) == _JSON_ROWS:
                    yield JsonRows(rows)
                    rows = []
    except (OSError, UnicodeDecodeError) as error:
        raise SourceUnreadable(str(path), _one_line(error)) from error
    if rows:
        yield JsonRows(rows)


def _text(path: Path) -> IO[str]:
    if path.suffix.lower() == ".gz":
        import gzip

        return gzip.open(path, "rt", encoding="utf-8")
    if path.suffix.lower() == ".bz2":
        import bz2

        return bz2.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def _object(path: Path, number: int, line: str) -> dict[str, object]:
    try:
        found: object = json.loads(line, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise SourceUnreadable(str(path), f"line {number} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise SourceUnreadable(str(path), f"line {number} is no JSON object")
    return cast("dict[str, object]", found)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
