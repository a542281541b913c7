"""COPY INTO a table from files: all files of one statement are one step, or none is.

ON_ERROR = ABORT_STATEMENT (the default) refuses the statement at the first row that does not fit,
CONTINUE leaves such rows out, SKIP_FILE leaves out the files that have any. A key that is there
already is an error of the statement in each case.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final, cast

import numpy as np
import pyarrow as pa

from headwater.log_store.catalog import TableObject
from headwater.producer.bulk import BulkInsert
from headwater.producer.errors import NotFound, SourceUnreadable
from headwater.producer.values import complete_inner
from headwater.schemas import arrow
from headwater.schemas.arrow import Chunks
from headwater.schemas.arrow_plain import to_array
from headwater.schemas.errors import ValueRefused
from headwater.schemas.tables import Column
from headwater.schemas.types import JSON_KINDS, Plain, SqlType
from headwater.schemas.values import assigned, to_plain
from headwater.sql.columns import inner_column, python_values
from headwater.sql.context import Context
from headwater.sql.copy_formats import FileFormat, file_format, flag
from headwater.sql.copy_places import files_of
from headwater.sql.copy_readers import Part, parts_of
from headwater.sql.errors import ProgrammingError, unsupported
from headwater.sql.names import target_named
from headwater.sql.results import OutColumn, Result
from headwater.sql.statements import CopyInto
from headwater.sql.values import naming, positions_of

_TEXT, _INT = SqlType.parse("VARCHAR"), SqlType.parse("INT")
COLUMNS: Final = (
    OutColumn("file", _TEXT, nullable=False),
    OutColumn("status", _TEXT, nullable=False),
    OutColumn("rows_parsed", _INT, nullable=False),
    OutColumn("rows_loaded", _INT, nullable=False),
    OutColumn("errors_seen", _INT, nullable=False),
    OutColumn("first_error", _TEXT),
    OutColumn("first_error_line", _INT),
    OutColumn("first_error_column_name", _TEXT),
)
_OPTIONS: Final = frozenset({"ON_ERROR", "FORCE", "MATCH_BY_COLUMN_NAME", "PURGE"})
_MATCHES: Final = ("CASE_INSENSITIVE", "CASE_SENSITIVE", "NONE")


@dataclass(slots=True, eq=False)
class _Report:
    """One file of a COPY: what was read, what went in, what was wrong first."""

    file: str
    parsed: int = 0
    loaded: int = 0
    errors: int = 0
    first: tuple[str, int | None, str | None] | None = None
    skipped: bool = False

    def note(self, why: str, line: int | None, column: str | None) -> None:
        self.errors += 1
        if self.first is None:
            self.first = (why, line, column)

    @property
    def status(self) -> str:
        if self.skipped:
            return "LOAD_FAILED"
        return "PARTIALLY_LOADED" if self.errors else "LOADED"


def run(context: Context, statement: CopyInto) -> Result:
    """Load files into a table.

    Raises:
        SourceUnreadable, ValueRefused, DuplicateKey, Error: nothing is staged.
    """
    for name in statement.options:
        if name not in _OPTIONS:
            raise unsupported(f"COPY INTO a table has no option {name}", statement.place)
    if flag(statement.options, "PURGE"):
        raise unsupported("PURGE is not there: remove the files when the load has committed")
    flag(statement.options, "FORCE")
    of = target_named(context.tx.catalog, context.state, statement.table)
    files = files_of(context, statement)
    loading = _Loading(context, of, statement, context.tx.bulk_insert(of))
    reports = [loading.load(shown, path) for shown, path in files]
    rows = loading.inserting.finish()
    result = Result("COPY", COLUMNS, iter([_table(reports)]), rowcount=rows)
    if not files:
        result.notices.append(f"no file of {statement.location} was chosen: nothing was loaded")
    return result


def _table(reports: Sequence[_Report]) -> pa.Table:
    first = [one.first or (None, None, None) for one in reports]
    columns: list[list[object]] = [
        [one.file for one in reports],
        [one.status for one in reports],
        [one.parsed for one in reports],
        [one.loaded for one in reports],
        [one.errors for one in reports],
        [one[0] for one in first],
        [one[1] for one in first],
        [one[2] for one in first],
    ]
    arrays = [arrow.array(v, c.type.arrow) for c, v in zip(COLUMNS, columns, strict=True)]
    return arrow.table(arrays, pa.schema([(c.name, c.type.arrow) for c in COLUMNS]))


@dataclass(slots=True, eq=False)
class _Loading:
    """One COPY under way."""

    context: Context
    of: TableObject
    statement: CopyInto
    inserting: BulkInsert
    on_error: str = field(init=False)
    match: str = field(init=False)

    def __post_init__(self) -> None:
        options = self.statement.options
        self.on_error = str(options.get("ON_ERROR", "ABORT_STATEMENT")).upper()
        if self.on_error not in ("ABORT_STATEMENT", "CONTINUE", "SKIP_FILE"):
            raise unsupported(
                f"ON_ERROR = {self.on_error} is not there: ABORT_STATEMENT, CONTINUE or SKIP_FILE"
            )
        self.match = str(options.get("MATCH_BY_COLUMN_NAME", "NONE")).upper()
        if self.match not in _MATCHES:
            raise ProgrammingError(
                f"MATCH_BY_COLUMN_NAME is one of {', '.join(_MATCHES)}", code="E_COPY_OPTION"
            )

    def load(self, shown: str, path: Path) -> _Report:
        """One file."""
        format_ = file_format(self.statement.format, shown)
        if self.on_error == "SKIP_FILE":
            looked = _Report(shown)
            try:
                for _ in self._converted(path, format_, looked):
                    pass
            except SourceUnreadable as unreadable:
                looked.note(unreadable.why, None, None)
            if looked.errors:
                looked.skipped, looked.loaded = True, 0
                return looked
        report = _Report(shown)
        for whole in self._converted(path, format_, report):
            self.inserting.add(whole)
        return report

    def _converted(self, path: Path, format_: FileFormat, report: _Report) -> Iterator[pa.Table]:
        """A file's rows as the table's, those that fit."""

        def skip(line: int, why: str) -> bool:
            report.parsed += 1
            report.note(why, line or None, None)
            return self.on_error != "ABORT_STATEMENT"

        for part in parts_of(path, report.file, format_, skip):
            self.context.check()
            given = self._columns(part, format_, report)
            whole = self._whole(given, part, report)
            report.parsed += part.rows
            report.loaded += whole.num_rows
            yield whole

    # Which column of the file is which of the table.

    def _columns(
        self, part: Part, format_: FileFormat, report: _Report
    ) -> "dict[int, Chunks | list[object]]":
        listed = positions_of(self.of, self.statement.columns or None)
        if format_.kind == "JSON":
            return self._of_json(part, listed)
        if part.named and (self.match != "NONE" or format_.kind == "PARQUET" or format_.header):
            return self._by_name(part.names, part.columns, listed)
        if len(part.columns) != len(listed) and format_.counted:
            raise SourceUnreadable(
                report.file,
                f"it has {len(part.columns)} columns, {len(listed)} of table {self.of.name} are to "
                "be filled",
            )
        return dict(zip(listed, part.columns, strict=False))

    def _by_name(
        self,
        names: Sequence[str],
        columns: "Sequence[Chunks | list[object]]",
        listed: Sequence[int],
    ) -> "dict[int, Chunks | list[object]]":
        found: dict[int, Chunks | list[object]] = {}
        for name, column in zip(names, columns, strict=True):
            at = self.of.schema.position(name)
            exact = self.match == "CASE_SENSITIVE"
            if at is not None and exact and self.of.schema.columns[at].name != name:
                at = None
            if at is not None and at in listed:
                found[at] = column
            elif self.match == "NONE":
                has = ", ".join(self.of.schema.names)
                raise NotFound("column", name, f"table {self.of.name} has {has}")
        return found

    def _of_json(self, part: Part, listed: Sequence[int]) -> "dict[int, Chunks | list[object]]":
        (rows,) = part.columns
        assert isinstance(rows, list)
        only = self.of.schema.columns[listed[0]] if len(listed) == 1 else None
        if only is not None and only.type.kind in JSON_KINDS and self.match == "NONE":
            return {listed[0]: rows}
        names: dict[str, None] = {}
        for row in rows:
            if not isinstance(row, dict):
                raise SourceUnreadable(
                    self.statement.location,
                    f"a row near line {part.first_line} is no JSON object, and the table has "
                    "several columns",
                )
            names.update(dict.fromkeys(cast("dict[str, object]", row)))
        columns = [[_member(row, name) for row in rows] for name in names]
        return self._by_name(list(names), columns, listed)

    # Values of the columns' types.

    def _whole(
        self, given: "dict[int, Chunks | list[object]]", part: Part, report: _Report
    ) -> pa.Table:
        start = report.parsed
        try:
            with naming(self.of):
                inner = {at: self._inner(at, values, start) for at, values in given.items()}
                return complete_inner(self.context.tx, self.of, inner, part.rows, first_row=start)
        except ValueRefused as refused:
            if self.on_error == "ABORT_STATEMENT":
                raise _in_file(refused, report.file, part, start) from None
        kept, inner = self._tolerant(given, part, report)
        return complete_inner(self.context.tx, self.of, inner, kept)

    def _inner(self, at: int, values: "Chunks | list[object]", start: int) -> Chunks:
        column = self.of.schema.columns[at]
        if not isinstance(values, list):
            return assigned(column, values, start)
        if column.type.kind in JSON_KINDS:
            values = [None if one is None else _as_json(one) for one in values]
        return inner_column(column, values, start)

    def _tolerant(
        self, given: "dict[int, Chunks | list[object]]", part: Part, report: _Report
    ) -> tuple[int, dict[int, Chunks]]:
        """The rows that fit, row by row; the others are noted."""
        good = np.ones(part.rows, np.bool_)
        plains: dict[int, list[Plain]] = {}
        for at, values in given.items():
            column = self.of.schema.columns[at]
            listed = values if isinstance(values, list) else python_values(values)
            plains[at] = self._plains(column, listed, part, report, good)
        kept = np.flatnonzero(good).tolist()
        inner: dict[int, Chunks] = {}
        for at, found in plains.items():
            type_ = self.of.schema.columns[at].type
            inner[at] = arrow.chunked([to_array(type_, [found[n] for n in kept])], type_.arrow)
        return len(kept), inner

    def _plains(
        self,
        column: Column,
        values: Sequence[object],
        part: Part,
        report: _Report,
        good: arrow.Flags,
    ) -> list[Plain]:
        made: list[Plain] = []
        for row, value in enumerate(values):
            if column.type.kind in JSON_KINDS and value is not None and not isinstance(value, str):
                value = _as_json(value)
            try:
                made.append(to_plain(column, value))
            except ValueRefused as refused:
                made.append(None)
                if good[row]:
                    line = part.first_line + row if part.first_line else None
                    report.note(f"{refused.value!r} {refused.why}", line, column.name)
                good[row] = False
        return made


def _member(row: object, name: str) -> object:
    return cast("dict[str, object]", row).get(name) if isinstance(row, dict) else None


def _as_json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=_number)


def _number(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _in_file(refused: ValueRefused, file: str, part: Part, start: int) -> ValueRefused:
    """The refusal, naming the file and the line or row in it."""
    row = 0 if refused.row is None else refused.row - start
    where = f"line {part.first_line + row}" if part.first_line else f"row {start + row}"
    return ValueRefused(
        refused.column, refused.value, f"{refused.why} (file {file}, {where})", table=refused.table
    )
