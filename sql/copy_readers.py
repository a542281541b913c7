"""Files of COPY, read part by part: columns of texts, of Arrow values or of Python values."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, Final, Literal, cast

import pyarrow as pa

from headwater.producer.errors import SourceUnreadable
from headwater.schemas import arrow
from headwater.schemas.arrow import Chunks
from headwater.sql.copy_formats import FileFormat

_ROWS: Final = 65_536
_JSON_ROWS: Final = 4096
_BLOCK: Final = 4 << 20
_WHOLE_FILE: Final = 256 << 20
_COMPRESSIONS: Final = {"GZIP": "gzip", "BZ2": "bz2", "NONE": None, "AUTO": "detect"}


@dataclass(slots=True, eq=False)
class Part:
    """Some rows of a file: their columns by name, in the file's order; `named` if it has names.

    `first_line` is the line of the first row, 0 where a file has no lines.
    """

    names: Sequence[str]
    columns: Sequence[Chunks | list[object]]
    rows: int
    named: bool
    first_line: int = 0


# Told of each line that is no row: its number, and why.
Skip = Callable[[int, str], bool]


def parts_of(path: Path, shown: str, format_: FileFormat, skip: Skip) -> Iterator[Part]:
    """The rows of a file, some at a time. `skip` decides about lines that are no rows.

    Raises:
        SourceUnreadable: it cannot be read as such a file; with the place where that is known.
    """
    read = {"CSV": _csv, "JSON": _json, "PARQUET": _parquet}[format_.kind]
    try:
        yield from read(path, shown, format_, skip)
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError, EOFError) as error:
        raise SourceUnreadable(shown, " ".join(str(error).split())) from error


def _csv(path: Path, shown: str, format_: FileFormat, skip: Skip) -> Iterator[Part]:
    from pyarrow import csv

    def refused(row: csv.InvalidRow) -> Literal["skip", "error"]:
        why = f"a line has {row.actual_columns} fields instead of {row.expected_columns}"
        return "skip" if skip(row.number or 0, why) else "error"

    def parse(handler: Callable[[csv.InvalidRow], Literal["skip", "error"]]) -> csv.ParseOptions:
        return csv.ParseOptions(
            delimiter=format_.delimiter,
            quote_char=format_.quote or False,
            newlines_in_values=True,
            invalid_row_handler=handler,
        )

    read = csv.ReadOptions(
        block_size=_BLOCK,
        skip_rows=format_.skip,
        autogenerate_column_names=not format_.header,
        use_threads=False,
    )
    with (
        _opened(path, format_) as file,
        csv.open_csv(file, read_options=read, parse_options=parse(lambda _: "skip")) as peek,
    ):
        names = peek.schema.names
    convert = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=list(format_.nulls),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    line = format_.skip + int(format_.header) + 1
    with (
        _opened(path, format_) as file,
        csv.open_csv(
            file, read_options=read, parse_options=parse(refused), convert_options=convert
        ) as reader,
    ):
        for batch in reader:
            table = pa.Table.from_batches([batch])
            columns = [_trimmed(one, format_) for one in cast("list[Chunks]", table.columns)]
            yield Part(names, columns, table.num_rows, format_.header, line)
            line += table.num_rows


def _trimmed(column: Chunks, format_: FileFormat) -> Chunks:
    if not format_.trim:
        return column
    chunks = [arrow.kernel("utf8_trim_whitespace", one) for one in arrow.chunks_of(column)]
    return arrow.chunked(chunks, arrow.STRING)


def _opened(path: Path, format_: FileFormat) -> IO[bytes]:
    # A stream of Arrow's is a file for all who read it; None is allowed and not in the stubs.
    compression = cast("Literal['detect']", _COMPRESSIONS.get(format_.compression, "detect"))
    return cast("IO[bytes]", pa.input_stream(str(path), compression=compression))


def _parquet(path: Path, shown: str, format_: FileFormat, skip: Skip) -> Iterator[Part]:
    from pyarrow import parquet

    del shown, format_, skip
    with parquet.ParquetFile(path) as file:
        # The stubs leave the element types of two parameters open.
        read = cast("Callable[[int], Iterator[pa.RecordBatch]]", file.iter_batches)
        for batch in read(_ROWS):
            table = pa.Table.from_batches([batch])
            columns = cast("list[Chunks]", table.columns)
            yield Part(table.column_names, columns, table.num_rows, named=True)


def _json(path: Path, shown: str, format_: FileFormat, skip: Skip) -> Iterator[Part]:
    rows: list[object] = []
    first = 1
    for number, row in _values(path, shown, format_, skip):
        if not rows:
            first = number
        rows.append(row)
        if len(rows) == _JSON_ROWS:
            yield Part(("",), [rows], len(rows), named=True, first_line=first)
            rows = []
    if rows:
        yield Part(("",), [rows], len(rows), named=True, first_line=first)


def _values(
    path: Path, shown: str, format_: FileFormat, skip: Skip
) -> Iterator[tuple[int, object]]:
    """The values of a JSON file, each with its line: one a line, or those of one array."""
    with _opened(path, format_) as file:
        if format_.strip_array:
            text = file.read(_WHOLE_FILE + 1)
            if len(text) > _WHOLE_FILE:
                raise SourceUnreadable(shown, "an array of more than 256 MB: write one row a line")
            yield from enumerate(_array(shown, text), 1)
            return
        for number, line in enumerate(_lines(file), 1):
            if not line.strip():
                continue
            try:
                yield number, cast(object, json.loads(line, parse_float=Decimal))
            except (ValueError, RecursionError) as error:
                if not skip(number, f"is no JSON: {error}"):
                    raise SourceUnreadable(shown, f"line {number} is no JSON: {error}") from error


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while block := file.read(_BLOCK):
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _array(shown: str, text: bytes) -> list[object]:
    try:
        found = cast(object, json.loads(text, parse_float=Decimal))
    except (ValueError, RecursionError) as error:
        raise SourceUnreadable(shown, f"it is no JSON: {error}") from error
    if not isinstance(found, list):
        raise SourceUnreadable(shown, "it is no JSON array, as STRIP_OUTER_ARRAY wants")
    return cast("list[object]", found)
