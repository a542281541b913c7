"""What commands print: results to stdout in six formats, everything else to stderr.

`table` has borders on a terminal and none in a pipe; `json` is one document, `jsonl` a document
a line, `csv` and `tsv` have a header line, `md` is a Markdown table. Values in JSON: decimals and
timestamps are strings, so that no digit is lost; BINARY is hexadecimal everywhere. In `tsv` a tab, a
line's end and a backslash within a value are written \\t, \\n and \\\\.
"""

import csv
import json
import math
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import TextIO, cast


class Format(str, Enum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    MD = "md"


Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


def as_json(value: object) -> Json:
    """A value as JSON writes it; nothing is lost, so what JSON lacks becomes a string."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            items = cast(Mapping[object, object], value).items()
            return {str(name): as_json(item) for name, item in items}
        case list() | tuple():
            return [as_json(item) for item in cast(Sequence[object], value)]
        case _:
            return as_text(value)


def as_text(value: object) -> str:
    """A value as one line of text; NULL is empty."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return _instant(value)
        case date() | time():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case bytes():
            return value.hex()
        case Mapping() | list() | tuple():
            return json.dumps(as_json(cast(object, value)), ensure_ascii=False)
        case _:
            return str(value)


def _instant(value: datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat(sep=" ")
    text = value.isoformat(sep=" ")
    return text.removesuffix("+00:00") + "Z" if value.utcoffset() == UTC.utcoffset(None) else text


def visible(text: str) -> str:
    """The text with control characters spelled out, so that data cannot steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Output:
    """Where one command writes. `quiet` drops what is said, never a result or an error."""

    def __init__(
        self,
        format: Format = Format.TABLE,
        *,
        colour: bool = True,
        quiet: bool = False,
        streams: tuple[TextIO, TextIO] | None = None,
    ) -> None:
        self.format = format
        self._colour, self._quiet = colour, quiet
        self._out, self._err = streams or (sys.stdout, sys.stderr)

    @property
    def machine(self) -> bool:
        """Whether the reader is a program: prose does not belong on stdout then."""
        return self.format is not Format.TABLE

    @property
    def live(self) -> bool:
        """Whether stderr is a terminal, where a progress bar may move."""
        return self._err.isatty() and not self._quiet

    def listing(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, null: str = "NULL"
    ) -> None:
        """Rows under column names; streamed in `jsonl` and `csv`, gathered in the others.

        `null` stands for None in `table`.
        """
        match self.format:
            case Format.TABLE:
                self._table(columns, rows, null)
            case Format.JSON:
                self._json(columns, rows)
            case Format.JSONL:
                self._jsonl(columns, rows)
            case Format.CSV:
                self._csv(columns, rows)
            case Format.TSV:
                self._lines(columns, rows, "\t", _in_tsv)
            case Format.MD:
                self._markdown(columns, rows)
        self._out.flush()

    def fits(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> bool:
        """Whether a bordered table of these rows is no wider than the terminal."""
        cells = [[visible(as_text(value)) for value in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        return sum(widths) + 3 * len(widths) + 1 <= shutil.get_terminal_size().columns

    def records(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, null: str = "NULL"
    ) -> None:
        """Rows one below the other, a line a column: for those too wide for a table."""
        width = max(map(len, columns), default=0)
        for number, row in enumerate(rows, 1):
            self._out.write(f"-[ row {number} ]{'-' * max(1, width - 2)}\n")
            for name, value in zip(columns, row, strict=True):
                text = null if value is None else visible(as_text(value))
                self._out.write(f"{name:<{width}}  {text}\n")
        self._out.flush()

    def feed(self, columns: Sequence[str]) -> Callable[[Iterable[Sequence[object]]], None]:
        """A function that prints rows as they come; `json` comes as `jsonl`, there is no end."""
        if self.format in (Format.CSV, Format.TSV, Format.MD):
            self.listing(columns, ())
        elif self.format is Format.TABLE:
            self._out.write("  ".join(columns) + "\n")

        def rows(found: Iterable[Sequence[object]]) -> None:
            match self.format:
                case Format.TABLE:
                    for row in found:
                        cells = ("NULL" if v is None else visible(as_text(v)) for v in row)
                        self._out.write("  ".join(cells) + "\n")
                case Format.CSV:
                    self._csv_rows(found)
                case Format.TSV:
                    self._separated(found, "\t", _in_tsv)
                case Format.MD:
                    self._separated(found, " | ", _in_markdown, edge="|")
                case _:
                    self._jsonl(columns, found)
            self._out.flush()

        return rows

    def record(self, fields: Mapping[str, object]) -> None:
        """One thing with named fields: an object in JSON, a line a field in `table`."""
        match self.format:
            case Format.TABLE:
                width = max(map(len, fields), default=0)
                for name, value in fields.items():
                    self._out.write(f"{name:<{width}}  {visible(as_text(value))}\n")
            case Format.CSV | Format.TSV | Format.MD:
                self.listing(list(fields), [list(fields.values())])
            case Format.JSON | Format.JSONL:
                indent = 2 if self.format is Format.JSON else None
                self._out.write(json.dumps(as_json(fields), ensure_ascii=False, indent=indent))
                self._out.write("\n")
        self._out.flush()

    def text(self, text: str) -> None:
        """Prose that is the result itself, such as a plan in format `table`."""
        self._out.write(text + "\n")
        self._out.flush()

    def say(self, text: str) -> None:
        """A word about what was done, on stderr."""
        if not self._quiet:
            self._err.write(text + "\n")
            self._err.flush()

    def fail(self, text: str) -> None:
        """An error, on stderr, quiet or not."""
        self._err.write(text + "\n")
        self._err.flush()

    def _json(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        documents = [_document(columns, row) for row in rows]
        self._out.write(json.dumps(documents, ensure_ascii=False, indent=2) + "\n")

    def _jsonl(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        for row in rows:
            self._out.write(json.dumps(_document(columns, row), ensure_ascii=False) + "\n")

    def _csv(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        self._csv_rows([columns])
        self._csv_rows(rows)

    def _csv_rows(self, rows: Iterable[Sequence[object]]) -> None:
        writer = csv.writer(self._out, lineterminator="\n")
        writer.writerows([as_text(value) for value in row] for row in rows)

    def _lines(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        between: str,
        write: Callable[[object], str],
    ) -> None:
        self._separated([columns], between, write)
        self._separated(rows, between, write)

    def _separated(
        self,
        rows: Iterable[Sequence[object]],
        between: str,
        write: Callable[[object], str],
        *,
        edge: str = "",
    ) -> None:
        pad = " " if edge else ""
        for row in rows:
            cells = between.join(write(value) for value in row)
            self._out.write(f"{edge}{pad}{cells}{pad}{edge}\n")

    def _markdown(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        self._separated([columns], " | ", _in_markdown, edge="|")
        self._separated([["---"] * len(columns)], " | ", str, edge="|")
        self._separated(rows, " | ", _in_markdown, edge="|")

    def _table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], null: str) -> None:
        gathered = list(rows)
        cells = [[null if v is None else visible(as_text(v)) for v in row] for row in gathered]
        right = list(_numeric(len(columns), gathered))
        if self._out.isatty():
            self._bordered(columns, cells, right)
            return
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        for line in (columns, *cells):
            padded = (
                cell.rjust(width) if to_right else cell.ljust(width)
                for cell, width, to_right in zip(line, widths, right, strict=True)
            )
            self._out.write("  ".join(padded).rstrip() + "\n")

    def _bordered(
        self, columns: Sequence[str], cells: Iterable[Sequence[str]], right: Sequence[bool]
    ) -> None:
        # Rich takes 60 ms to load: only a terminal pays for it.
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(header_style="bold")
        for name, to_right in zip(columns, right, strict=True):
            table.add_column(Text(name), justify="right" if to_right else "left")
        for line in cells:
            table.add_row(*(Text(c, style="dim" if c == "NULL" else "") for c in line))
        Console(file=self._out, no_color=None if self._colour else True).print(table)


def _in_tsv(value: object) -> str:
    text = as_text(value).replace("\\", "\\\\").replace("\t", "\\t")
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _in_markdown(value: object) -> str:
    text = "NULL" if value is None else as_text(value)
    return visible(text.replace("\r", "").replace("\n", " ")).replace("|", "\\|")


def _document(columns: Sequence[str], row: Sequence[object]) -> dict[str, Json]:
    return {name: as_json(value) for name, value in zip(columns, row, strict=True)}


def _numeric(count: int, rows: Sequence[Sequence[object]]) -> Iterator[bool]:
    """Which columns hold numbers, and so stand to the right."""
    for at in range(count):
        values = [row[at] for row in rows if row[at] is not None]
        numbers = (isinstance(v, int | float | Decimal) and not isinstance(v, bool) for v in values)
        yield bool(values) and all(numbers)
