"""INSERT .. VALUES of literals, binds, variables and DEFAULT, without a query engine.

What a text says is worked out once and kept with its statement; an execution only fills it in.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple, cast
from weakref import WeakKeyDictionary

from sqlglot import exp

from headwater.log_store.catalog import TableObject
from headwater.producer.errors import NotFound
from headwater.producer.values import complete_row, complete_rows
from headwater.schemas.errors import ValueRefused
from headwater.schemas.tables import TableSchema
from headwater.schemas.types import JSON_KINDS
from headwater.schemas.values import Assign, assigners
from headwater.sql.cells import Bind, Cell, Default, Json, cell
from headwater.sql.context import Context
from headwater.sql.errors import ProgrammingError
from headwater.sql.names import target_named
from headwater.sql.results import Result, counts
from headwater.sql.statements import Insert


class _Met(NamedTuple):
    """What a text says of the schema that was met last.

    `sent` makes its only row where that is one bind for each column: how each is assigned, and where
    it stands among the values sent.
    """

    schema: TableSchema
    positions: list[int]
    sent: tuple[tuple[Assign, int], ...] | None


@dataclass(frozen=True, slots=True)
class Values:
    """INSERT [OVERWRITE] INTO table [(columns)] VALUES rows of cells."""

    table: str
    columns: tuple[str, ...] | None
    rows: tuple[tuple[Cell, ...], ...]
    overwrite: bool
    _met: list[_Met] = field(default_factory=list[_Met], compare=False)

    @property
    def only(self) -> tuple[Cell, ...] | None:
        """The cells of the only row; None of several."""
        return self.rows[0] if len(self.rows) == 1 else None

    def met(self, of: TableObject) -> _Met:
        """What it says of a table; see `positions_of` for what is wrong with it."""
        schema = of.schema
        if self._met and self._met[0].schema is schema:
            return self._met[0]
        positions = positions_of(of, self.columns)
        found = _Met(schema, positions, _sent(self, schema, positions))
        self._met[:] = [found]
        return found


def _sent(
    values: Values, schema: TableSchema, positions: Sequence[int]
) -> tuple[tuple[Assign, int], ...] | None:
    cells = values.only
    if cells is None or values.overwrite or not len(cells) == len(positions) == len(schema.columns):
        return None
    keys = {at: one.key for at, one in zip(positions, cells, strict=True) if isinstance(one, Bind)}
    wanted = [keys.get(at) for at in range(len(schema.columns))]
    places = [key for key in wanted if isinstance(key, int)]
    if len(places) < len(wanted):
        return None
    return tuple(zip(assigners(schema), places, strict=True))


# Of each statement what it says, None where it needs a query.
_KNOWN: Final[WeakKeyDictionary[Insert, Values | None]] = WeakKeyDictionary()
_UNREAD: Final = ""
_LISTS: Final = frozenset({tuple, list})


def values_of(statement: Insert) -> Values | None:
    """What an INSERT of plain values says, None if it takes a query."""
    found = _KNOWN.get(statement, _UNREAD)
    if isinstance(found, str):
        found = _KNOWN[statement] = _read(statement.tree)
    return found


def _read(tree: exp.Insert) -> Values | None:
    source = tree.expression
    if not isinstance(source, exp.Values) or tree.args.get("with_"):
        return None
    if tree.this.find(exp.DynamicIdentifier) is not None:
        return None  # the table is known when it runs
    if source.args.get("alias") is not None or source.args.get("joins"):
        return None
    rows: list[tuple[Cell, ...]] = []
    for given in source.expressions:
        nodes = given.expressions if isinstance(given, exp.Tuple) else [given]
        cells = [cell(node) for node in nodes]
        known = [one for one in cells if one is not None]
        if len(known) < len(cells):
            return None
        rows.append(tuple(known))
    table, columns = target_of(tree)
    return Values(table, columns, tuple(rows), bool(tree.args.get("overwrite")))


def target_of(tree: exp.Insert) -> tuple[str, tuple[str, ...] | None]:
    """The target's name as written, and the columns that are listed after it."""
    target = tree.this
    if isinstance(target, exp.Schema):
        return name_of(target.this), tuple(written(node) for node in target.expressions)
    return name_of(target), None


def name_of(table: exp.Expr) -> str:
    """A table reference's name as it is written."""
    parts = table.parts if isinstance(table, exp.Table) else [table]
    return ".".join(written(part) for part in parts)


def written(node: exp.Expr) -> str:
    """An identifier as it is written, with its quotes."""
    name = node if isinstance(node, exp.Identifier) else node.find(exp.Identifier)
    if name is None:
        return node.name
    text = str(name.this)
    return '"' + text.replace('"', '""') + '"' if name.quoted else text


def positions_of(of: TableObject, columns: Sequence[str] | None) -> list[int]:
    """Where the listed columns stand; all of them when none are listed.

    Raises:
        NotFound: a column that the table lacks.
        ProgrammingError: one listed twice.
    """
    if columns is None:
        return list(range(len(of.schema.columns)))
    found: list[int] = []
    for name in columns:
        at = position(of, name)
        if at in found:
            raise ProgrammingError(
                f"column {name} of table {of.name} is listed twice", code="E_SQL_COLUMN_TWICE"
            )
        found.append(at)
    return found


def position(of: TableObject, name: str) -> int:
    """Where a column stands, by its name as written.

    Raises:
        NotFound: the table lacks it.
    """
    exact = name[:1] == '"'
    plain = name[1:-1].replace('""', '"') if exact else name
    at = of.schema.position(plain)
    if at is None or (exact and of.schema.columns[at].name != plain):
        raise NotFound("column", plain, f"table {of.name} has {', '.join(of.schema.names)}")
    return at


def insert_values(context: Context, values: Values) -> Result:
    """Insert the rows of a plain INSERT .. VALUES.

    Raises:
        ValueRefused, DuplicateKey, ProgrammingError: nothing is staged.
    """
    tx = context.tx
    of = target_named(tx.catalog, context.state, values.table)
    _, positions, sent = values.met(of)
    binds = context.binds
    if sent is not None and type(binds) in _LISTS:
        # What is a list is no mapping, and it was counted.
        listed = cast("Sequence[object]", binds)
        try:
            whole = tuple([assign(listed[at]) for assign, at in sent])
            return counts("INSERT", rows_inserted=tx.insert(of, (whole,)))
        except ValueRefused as refused:
            raise refused.in_table(of.name) from None
    if values.only is not None and not values.overwrite and len(values.only) == len(positions):
        row = row_of(context, of, positions, values.only)
        try:
            return counts("INSERT", rows_inserted=tx.insert(of, (complete_row(tx, of, row),)))
        except ValueRefused as refused:
            raise refused.in_table(of.name) from None
    rows: list[dict[int, object]] = []
    for number, cells in enumerate(values.rows):
        if len(cells) != len(positions):
            raise wrong_length(of, positions, len(cells), number if len(values.rows) > 1 else None)
        rows.append(row_of(context, of, positions, cells))
    with naming(of):
        completed = complete_rows(tx, of, rows)
    if values.overwrite:
        tx.truncate(of)
    return counts("INSERT", rows_inserted=tx.insert(of, completed))


def row_of(
    context: Context, of: TableObject, positions: Sequence[int], cells: Sequence[Cell]
) -> dict[int, object]:
    """The values of one row by column position; DEFAULT ones are left out."""
    row: dict[int, object] = {}
    for at, one in zip(positions, cells, strict=True):
        if type(one) is Bind:
            row[at] = one(context)
        elif isinstance(one, Default):
            continue
        elif isinstance(one, Json):
            row[at] = _parsed(of, at, one.text(context))
        else:
            row[at] = one(context)
    return row


def _parsed(of: TableObject, at: int, text: object) -> object:
    column = of.schema.columns[at]
    if text is not None and column.type.kind not in JSON_KINDS:
        why = f"is JSON, the column is {column.type}: cast it"
        raise ValueRefused(column.name, text, why, table=of.name)
    return text


def wrong_length(
    of: TableObject, positions: Sequence[int], given: int, row: int | None = None
) -> ProgrammingError:
    """The error that a row has another number of values than there are columns."""
    where = "the row" if row is None else f"row {row} of the values"
    names = ", ".join(of.schema.columns[at].name for at in positions)
    return ProgrammingError(
        f"{where} has {given} values for {len(positions)} columns of table {of.name} ({names})",
        code="E_COLUMN_COUNT",
        fields={"row": row or 0},
    )


@contextmanager
def naming(of: TableObject) -> Generator[None]:
    """Let the refusal of a value name the table too."""
    try:
        yield
    except ValueRefused as refused:
        raise refused.in_table(of.name) from None
