"""Statements as data: what `parse` makes of a text. Frozen; nothing is looked up in a catalog yet.

A bind in a tree is an exp.Placeholder whose `parse_binds.bind_of` says which one; a $variable is
an exp.Parameter. A name that was written IDENTIFIER($v) or IDENTIFIER(?) reads `$V` or a bind's
mark here, and is filled in by `variables.filled` before the statement runs.

Queries and DML keep sqlglot's stock trees, which are shared between executions: copy before you
change one. Everything else is written out in our own words. Names are kept as they were written,
quotes included, and resolved by `producer.names`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp

from headwater.sql.errors import Place

# An option's value: a word (upper case), a text or a number as written, a boolean, or texts.
OptionValue = str | int | float | bool | tuple[str, ...]
START = Place(1, 1, 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Statement:
    """One statement: its text as written, and where it begins in the script."""

    text: str = ""
    place: Place = START
    binds: tuple[int | str, ...] = ()  # as they come: positions in the script from 0, names
    notices: tuple[str, ...] = ()  # what was read and means nothing here
    # Where the names outside of trees stand, by name as written.
    places: Mapping[str, Place] = field(default_factory=dict[str, Place])
    # Whether its binds are the first values sent, in order; whether names or values are variables.
    in_order: bool = False
    varied: bool = True


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a table reference reads a stream: `FROM s CONSUMER c LIMIT CHANGES n UP TO VERSION n`."""

    consumer: str | None = None
    limit_changes: int | None = None
    upto: int | None = None


READING: Final = "headwater.reading"
# On the target of a DML query: the relation begins with a hidden column of row ids.
ROW_IDS: Final = "headwater.row_ids"
ROW_ID_COLUMN: Final = "__HW_ROW_ID"


def reading_of(table: exp.Table) -> Reading:
    """The clauses that `parse` took off a table reference and keeps in its `meta`."""
    found: object = table.meta.get(READING)
    return found if isinstance(found, Reading) else Reading()


# -- queries and DML: stock trees --------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Query(Statement):
    """SELECT, WITH, VALUES, set operations."""

    tree: exp.Query


@dataclass(frozen=True, kw_only=True, eq=False)
class Insert(Statement):
    """INSERT [OVERWRITE] INTO one table, from VALUES or a query."""

    tree: exp.Insert


@dataclass(frozen=True, kw_only=True, eq=False)
class InsertTarget:
    """One INTO of a multi-table INSERT; `when` is None for an unconditional one."""

    table: str
    columns: tuple[str, ...] = ()
    values: tuple[exp.Expr, ...] = ()
    when: exp.Expr | None = None
    otherwise: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class InsertAll(Statement):
    """INSERT [OVERWRITE] ALL | FIRST INTO a INTO b SELECT ..; `first`: one target a row at most."""

    targets: tuple[InsertTarget, ...]
    query: exp.Query
    first: bool = False
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Update(Statement):
    """UPDATE t SET .. [FROM ..] [WHERE ..]."""

    tree: exp.Update


@dataclass(frozen=True, kw_only=True, eq=False)
class Delete(Statement):
    """DELETE FROM t [USING ..] [WHERE ..]."""

    tree: exp.Delete


@dataclass(frozen=True, kw_only=True, eq=False)
class Merge(Statement):
    """MERGE INTO t USING s ON .. WHEN ..."""

    tree: exp.Merge


@dataclass(frozen=True, kw_only=True, eq=False)
class Truncate(Statement):
    """TRUNCATE [TABLE] [IF EXISTS] t."""

    table: str
    if_exists: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class CopyInto(Statement):
    """COPY INTO t [(columns)] FROM 'path' [FILES = (..)] [PATTERN = '..'] [FILE_FORMAT = (..)] .."""

    table: str
    columns: tuple[str, ...] = ()
    location: str = ""
    files: tuple[str, ...] = ()
    pattern: str | None = None
    format: Mapping[str, OptionValue] = field(default_factory=dict[str, OptionValue])
    options: Mapping[str, OptionValue] = field(default_factory=dict[str, OptionValue])


@dataclass(frozen=True, kw_only=True, eq=False)
class CopyOut(Statement):
    """COPY INTO 'path' FROM (query) | t | stream [FILE_FORMAT = (..)] .."""

    location: str
    query: exp.Query
    format: Mapping[str, OptionValue] = field(default_factory=dict[str, OptionValue])
    options: Mapping[str, OptionValue] = field(default_factory=dict[str, OptionValue])


# -- places in history -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class At:
    """AT | BEFORE (VERSION | TIMESTAMP | OFFSET | STATEMENT | STREAM => value)."""

    unit: str
    value: exp.Expr
    before: bool = False


# -- tables, schemas, views --------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnDef:
    """A column of CREATE TABLE or ADD COLUMN; `type` as written, `default` an expression."""

    name: str
    type: str
    place: Place
    nullable: bool = True
    default: exp.Expr | None = None
    auto: tuple[int, int] | None = None  # start, step
    key: bool = False
    unique: bool = False
    comment: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class CreateTable(Statement):
    """CREATE [OR REPLACE] [TEMPORARY] TABLE [IF NOT EXISTS] t, with one source of its shape.

    Exactly one of `columns`, `query`, `like`, `clone` says what it holds (`columns` may name those of
    a query). `options` are those with a value.
    """

    name: str
    columns: tuple[ColumnDef, ...] = ()
    key: tuple[str, ...] = ()
    query: exp.Query | None = None
    like: str | None = None
    clone: str | None = None
    at: At | None = None
    topic: str | None = None
    replace: bool = False
    if_not_exists: bool = False
    temporary: bool = False
    options: Mapping[str, OptionValue] = field(default_factory=dict[str, OptionValue])


@dataclass(frozen=True, kw_only=True, eq=False)
class AlterTable(Statement):
    """ALTER TABLE [IF EXISTS] t, one action.

    `action`: ADD_COLUMN (columns), DROP_COLUMN (names), RENAME_COLUMN (names: old, new),
    SET_TYPE (names: column, type), RENAME (names: new), SWAP (names: other), SET (options),
    UNSET (names), COMMENT_COLUMN (names: column, text).
    """

    name: str
    action: str
    names: tuple[str, ...] = ()
    columns: tuple[ColumnDef, ...] = ()
    options: Mapping[str, OptionValue] = field(default_factory=dict[str, OptionValue])
    if_exists: bool = False
    guarded: bool = False  # IF [NOT] EXISTS stands at the column


@dataclass(frozen=True, kw_only=True, eq=False)
class Drop(Statement):
    """DROP TABLE | VIEW | STREAM | SCHEMA | TASK [IF EXISTS] n [CASCADE]."""

    kind: str
    name: str
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Undrop(Statement):
    """UNDROP TABLE t."""

    kind: str
    name: str


@dataclass(frozen=True, kw_only=True, eq=False)
class CreateSchema(Statement):
    """CREATE SCHEMA [IF NOT EXISTS] s."""

    name: str
    if_not_exists: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class CreateView(Statement):
    """CREATE [OR REPLACE] VIEW [IF NOT EXISTS] v [(columns)] AS query; `definition` as written."""

    name: str
    query: exp.Query
    definition: str
    columns: tuple[str, ...] = ()
    replace: bool = False
    if_not_exists: bool = False
    comment: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class AlterView(Statement):
    """ALTER VIEW v RENAME TO n | SET COMMENT = '..'."""

    name: str
    new_name: str | None = None
    comment: str | None = None


# -- streams and tasks -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class CreateStream(Statement):
    """CREATE STREAM with every option of SPEC 3; None where an option was not written."""

    name: str
    on: str = ""
    on_view: bool = False
    clone: str | None = None
    at: At | None = None
    capture: str | None = None  # ALL, NET, INSERT ONLY
    initial_rows: bool | None = None
    consumers: str | None = None  # INDEPENDENT, SHARED
    retention: str | None = None
    rewind: str | None = None
    comment: str | None = None
    replace: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class AlterStream(Statement):
    """ALTER STREAM s SET options | UNSET names | ADD CONSUMER | DROP CONSUMER | RENAME TO | SET OFFSET.

    `action`: SET, UNSET, ADD_CONSUMER, DROP_CONSUMER, RENAME, SET_OFFSET.
    """

    name: str
    action: str
    options: Mapping[str, OptionValue] = field(default_factory=dict[str, OptionValue])
    names: tuple[str, ...] = ()
    consumer: str | None = None
    consumer_kind: str = "CLIENT"
    at: At | str | None = None  # BASE, HEAD, HORIZON, or a version or time
    if_exists: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class TaskStatement(Statement):
    """CREATE, ALTER, DROP, EXECUTE, SHOW or DESCRIBE of a TASK: recognised, `verb` says which."""

    verb: str
    name: str = ""


# -- session -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Begin(Statement):
    """BEGIN [WORK | TRANSACTION] | START TRANSACTION [NAME n]."""

    label: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Commit(Statement):
    """COMMIT [WORK]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rollback(Statement):
    """ROLLBACK [WORK]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SetVariable(Statement):
    """SET v = expression, or SET (a, b) = (x, y)."""

    names: tuple[str, ...]
    values: tuple[exp.Expr, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class UnsetVariable(Statement):
    """UNSET v [, w]."""

    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class AlterSession(Statement):
    """ALTER SESSION SET p = v .. | UNSET p ..; `store` for ALTER ACCOUNT | DATABASE SET."""

    settings: Mapping[str, OptionValue] = field(default_factory=dict[str, OptionValue])
    unset: tuple[str, ...] = ()
    store: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Use(Statement):
    """USE SCHEMA s | USE DATABASE d | USE ROLE r | USE WAREHOUSE w."""

    kind: str
    name: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Nothing(Statement):
    """A statement that other systems need and that means nothing here; `notice` says so."""

    kind: str
    notice: str


# -- asking ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Call(Statement):
    """CALL procedure(positional .., NAME => value ..)."""

    procedure: str
    arguments: tuple[exp.Expr, ...] = ()
    named: Mapping[str, exp.Expr] = field(default_factory=dict[str, exp.Expr])


@dataclass(frozen=True, kw_only=True, eq=False)
class Show(Statement):
    """SHOW [TERSE] kind [HISTORY] [LIKE '..'] [IN name] [STARTS WITH '..'] [LIMIT n].

    `kind`: TABLES, VIEWS, STREAMS, SCHEMAS, DATABASES, COLUMNS, PARAMETERS, VARIABLES, TASKS,
    TRANSACTIONS, PRIMARY KEYS, CONSUMERS.
    """

    kind: str
    like: str | None = None
    starts_with: str | None = None
    scope: str | None = None
    limit: int | None = None
    history: bool = False
    terse: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Describe(Statement):
    """DESCRIBE | DESC TABLE | VIEW | STREAM n."""

    kind: str
    name: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Explain(Statement):
    """EXPLAIN [USING TABULAR | JSON | TEXT] statement."""

    statement: Statement
    format: str = "TABULAR"
