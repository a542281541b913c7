"""COPY INTO a place from a query: one file, durable before the statement is done.

With streams in the query the place is a directory and their consumer; the file is named after the
windows, and counts once the transaction commits. Without, it is named as the place says, else `data`.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import pyarrow as pa

from headwater.consumers.copy_files import copy_into
from headwater.consumers.errors import CopyFailed
from headwater.consumers.registration import Directory
from headwater.consumers.row_files import FileFormat, FileOptions, write_rows
from headwater.schemas.types import JSON_KINDS, SqlType
from headwater.schemas.values import to_outer
from headwater.sql.columns import checked
from headwater.sql.consumption import consumed
from headwater.sql.context import Context
from headwater.sql.copy_formats import flag
from headwater.sql.copy_places import check_allowed, place_of_copy
from headwater.sql.errors import ProgrammingError, unsupported
from headwater.sql.results import OutColumn, Result
from headwater.sql.select import QueryResult, run_query
from headwater.sql.statements import CopyOut
from headwater.sql.uses import stream_uses

_COLUMNS: Final = (
    OutColumn("file", SqlType.parse("VARCHAR")),
    OutColumn("rows_unloaded", SqlType.parse("INT"), nullable=False),
    OutColumn("output_bytes", SqlType.parse("INT"), nullable=False),
)
_FORMATS: Final = {
    "CSV": FileFormat.CSV,
    "JSON": FileFormat.NDJSON,
    "NDJSON": FileFormat.NDJSON,
    "PARQUET": FileFormat.PARQUET,
}
_ENDINGS: Final = {".csv": "CSV", ".ndjson": "JSON", ".json": "JSON", ".parquet": "PARQUET"}
_SHAPE: Final = frozenset({"TYPE", "COMPRESSION", "FIELD_DELIMITER"})


def run(context: Context, statement: CopyOut) -> Result:
    """Write the rows of a query into a file, and consume the streams in it.

    Raises:
        CopyFailed, DirectoryBusy, Error: no file is left, and nothing is staged.
    """
    for name in statement.options:
        if name not in ("OVERWRITE", "HEADER"):
            raise unsupported(f"COPY INTO a place has no option {name}", statement.place)
    path = place_of_copy(context, statement.location)
    uses = stream_uses(context, statement.query)
    if any(use.reading.consumer is not None for use in uses):
        raise unsupported("the consumer of a COPY is its directory: leave CONSUMER out")
    if uses and _named(path):
        raise ProgrammingError(
            f"{path} names a file: with a stream, COPY names the file after the window and takes a "
            "directory",
            code="E_COPY_LOCATION",
        )
    windows = consumed(context, statement.query, [Directory(str(path))] if uses else [])
    found = run_query(context, statement.query, windows)
    options = _options(statement, path, found)
    rows = _reader(context, found)
    if not uses:
        return _told(*_alone(context, path, rows, options, flag(statement.options, "OVERWRITE")))
    made = copy_into(windows.steps, rows, options)
    return _told(made.path, made.rows, made.bytes)


def _named(path: Path) -> bool:
    """Whether a path is meant as a file: it ends as one, and is no directory."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix in _ENDINGS and not path.is_dir()


def _options(statement: CopyOut, path: Path, found: QueryResult) -> FileOptions:
    for name in statement.format:
        if name not in _SHAPE:
            raise unsupported(f"FILE_FORMAT {name} is not there for writing", statement.place)
    ending = Path(path.name.lower().removesuffix(".gz")).suffix
    said = str(statement.format.get("TYPE", _ENDINGS.get(ending, "PARQUET"))).upper()
    if said not in _FORMATS:
        raise unsupported(f"files of TYPE {said} are not there: there are CSV, JSON, PARQUET")
    compression = str(statement.format.get("COMPRESSION", "")).lower().replace("auto", "")
    if not compression and path.name.lower().endswith(".gz"):
        compression = "gzip"
    delimiter = str(statement.format.get("FIELD_DELIMITER", ",")).replace("\\t", "\t")
    try:
        return FileOptions(
            format=_FORMATS[said],
            compression=compression,
            header=flag(statement.options, "HEADER"),
            delimiter=delimiter,
            json_columns=frozenset(c.name for c in found.columns if c.type.kind in JSON_KINDS),
        )
    except ValueError as error:
        raise ProgrammingError(str(error), code="E_COPY_OPTION") from error


def _reader(context: Context, found: QueryResult) -> pa.RecordBatchReader:
    types = [column.type for column in found.columns]
    names = [column.name for column in found.columns]
    if len({name.lower() for name in names}) < len(names):
        raise ProgrammingError(
            "two columns of the query have one name: give one an alias", code="E_SQL_COLUMN_TWICE"
        )
    shape = to_outer(types, _empty(names, types)).schema
    return pa.RecordBatchReader.from_batches(shape, _batches(context, found, names, types))


def _empty(names: Iterable[str], types: Iterable[SqlType]) -> pa.Table:
    fields = [(name, type_.arrow) for name, type_ in zip(names, types, strict=True)]
    return pa.schema(fields).empty_table()


def _batches(
    context: Context, found: QueryResult, names: list[str], types: Sequence[SqlType]
) -> Iterator[pa.RecordBatch]:
    for part in checked(context, found.batches):
        yield from to_outer(types, part.rename_columns(names)).to_batches()


def _alone(
    context: Context, path: Path, rows: pa.RecordBatchReader, options: FileOptions, over: bool
) -> tuple[Path, int, int]:
    """A file of a query that consumes nothing: whole under its name, or not there at all."""
    target = path if _named(path) else path / f"data.{options.ending}"
    check_allowed(context, target)
    if target.exists() and not over:
        raise ProgrammingError(
            f"{target} exists: OVERWRITE = TRUE replaces it", code="E_COPY_LOCATION"
        )
    passing = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with passing.open("wb") as file:
            count = write_rows(file, rows, options)
            file.flush()
            os.fsync(file.fileno())
        size = passing.stat().st_size
        passing.replace(target)
    except (OSError, pa.ArrowException) as error:
        raise CopyFailed(str(target), str(error)) from error
    finally:
        with suppress(OSError):
            passing.unlink(missing_ok=True)
    return target, count, size


def _told(path: Path | None, rows: int, size: int) -> Result:
    fields = [(column.name, column.type.arrow) for column in _COLUMNS]
    shown = None if path is None else str(path)
    table = pa.Table.from_pylist(
        [{"file": shown, "rows_unloaded": rows, "output_bytes": size}], schema=pa.schema(fields)
    )
    return Result("COPY", _COLUMNS, iter((table,)), rowcount=rows)
