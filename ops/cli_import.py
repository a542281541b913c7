"""`headwater import`: a file into a table, in one commit."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headwater.ops.cli_context import examples, run_of
from headwater.ops.exits import CommandError, Exit

if TYPE_CHECKING:
    import pyarrow as pa

    from headwater.ops.api import Database

_EXAMPLES = examples(
    "import sales.csv --into sales",
    "import sales.parquet --into sales --create --key sale_id",
    "--dir shop import day.ndjson --into events",
)


def add_to(app: typer.Typer) -> None:
    """Give the command to an application."""
    app.command("import", epilog=_EXAMPLES)(import_file)


def import_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A .csv, .parquet, .ndjson or .jsonl file.")],
    *,
    into: Annotated[str, typer.Option("--into", help="The table.")],
    create: Annotated[
        bool, typer.Option("--create", help="Create the table with the file's columns.")
    ] = False,
    key: Annotated[
        list[str] | None, typer.Option("--key", help="With --create: a column of the key.")
    ] = None,
) -> None:
    """Load a file into a table, all of it in one commit, or nothing."""
    run = run_of(context)
    if not file.is_file():
        raise CommandError("E_FILE_NOT_FOUND", f"{file} is no file", Exit.NOT_FOUND)
    with run.writing(create=create) as db:
        count = _load(db, file, into, create=create, key=key or (), progress=run.output.live)
        fields = {"table": db.table(into).name, "rows": count, "version": db.table(into).head}
    run.output.record(fields)


def _load(
    db: "Database", file: Path, into: str, *, create: bool, key: Sequence[str], progress: bool
) -> int:
    """Load in one commit, the new table with its rows."""
    from headwater.consumers.lifecycle import create_table
    from headwater.schemas.tables import ColumnSpec
    from headwater.schemas.types import SqlType

    if not create:
        return db.table(into).load(file, progress=progress)
    specs = [ColumnSpec(name, SqlType.parse(of)) for name, of in columns_of(file).items()]
    with db.transaction() as tx:
        with tx.inner.statement():
            create_table(tx.inner, into, specs, key)
        return tx.load(into, file, progress=progress)


def columns_of(file: Path) -> dict[str, str]:
    """The columns that a file's values call for, by name."""
    schema = _peek(file)
    return dict(zip(schema.names, map(_declared, schema.types), strict=True))


def _peek(file: Path) -> "pa.Schema":
    """The Arrow schema of a file, from its footer or its first megabyte.

    Raises:
        CommandError: it is of no kind that can be read.
    """
    import pyarrow as pa

    try:
        match file.suffix.lower():
            case ".parquet" | ".pq":
                import pyarrow.parquet as pq

                return pq.ParquetFile(file).schema_arrow
            case ".csv":
                from pyarrow import csv

                with csv.open_csv(file) as reader:
                    return reader.schema
            case ".ndjson" | ".jsonl" | ".json":
                from pyarrow import json

                return json.open_json(file).schema
            case _:
                why = "its name ends in none of .csv, .parquet, .ndjson, .jsonl"
    except (pa.ArrowInvalid, OSError) as error:
        why = " ".join(str(error).split())
    raise CommandError("E_SOURCE_UNREADABLE", f"{file}: {why}", Exit.STATEMENT_FAILED)


def _declared(of: "pa.DataType") -> str:
    """The SQL type for an Arrow type; what has none is kept as JSON or text."""
    from pyarrow import types

    if types.is_integer(of):
        return "INT"
    if types.is_floating(of):
        return "FLOAT"
    if types.is_boolean(of):
        return "BOOLEAN"
    if types.is_decimal(of):
        return f"DECIMAL({of.precision},{of.scale})"
    if types.is_date(of):
        return "DATE"
    if types.is_time(of):
        return "TIME"
    if types.is_timestamp(of):
        return "TIMESTAMP_NTZ" if of.tz is None else "TIMESTAMP_LTZ"
    if types.is_binary(of) or types.is_large_binary(of):
        return "BINARY"
    if types.is_nested(of):
        return "VARIANT"
    return "VARCHAR"
