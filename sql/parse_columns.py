"""Columns and constraints of CREATE TABLE, and the columns that ALTER TABLE adds."""

from dataclasses import dataclass, field, replace
from typing import Final

from sqlglot import exp

from headwater.schemas.errors import TypeNotKnown
from headwater.schemas.types import SqlType
from headwater.sql.errors import Place, ProgrammingError, syntax, unsupported
from headwater.sql.parse_reader import Reader
from headwater.sql.statements import ColumnDef

_AFTER_DEFAULT: Final = (
    *(",", ")", "NOT", "NULL", "PRIMARY KEY", "UNIQUE", "COMMENT", "CONSTRAINT", "REFERENCES"),
    *("AUTOINCREMENT", "IDENTITY", "WITH", "TAG", "COLLATE", "CHECK", "MASKING", "FOREIGN KEY"),
)
_UNENFORCED = frozenset(
    [
        "ENFORCED",
        "NOT",
        "DEFERRABLE",
        "INITIALLY",
        "DEFERRED",
        "IMMEDIATE",
        "ENABLE",
        "DISABLE",
        "VALIDATE",
        "NOVALIDATE",
        "RELY",
        "NORELY",
    ]
)


@dataclass(slots=True)
class Columns:
    """A list of columns being read."""

    columns: list[ColumnDef] = field(default_factory=list[ColumnDef])
    key: tuple[str, ...] = ()
    key_place: Place | None = None


def columns(reader: Reader, *, typed: bool) -> Columns:
    """( column definitions and constraints ), taken."""
    found = Columns()
    reader.need("(")
    while True:
        if not _constraint(reader, found):
            column = column_def(reader, typed=typed)
            if column.key:
                _key(reader, found, (column.name,), column.place)
            found.columns.append(column)
        if not reader.take(","):
            break
    reader.need(")")
    return found


def _key(reader: Reader, found: Columns, key: tuple[str, ...], place: Place) -> None:
    if found.key:
        raise syntax("a table has one PRIMARY KEY: put its columns into one list", place)
    found.key, found.key_place = key, place


def _constraint(reader: Reader, found: Columns) -> bool:
    """Take a constraint of the whole table, if one stands here."""
    named = reader.word() == "CONSTRAINT"
    word = reader.word(2 if named else 0)
    following = reader.word(3 if named else 1)
    if word not in ("PRIMARY KEY", "UNIQUE", "FOREIGN KEY", "CHECK") or (
        following != "(" and word not in ("FOREIGN KEY",)
    ):
        return False
    if named:
        reader.index += 2
    place = reader.place()
    reader.index += 1
    if word == "PRIMARY KEY":
        _key(reader, found, reader.parenthesised("a column's name"), place)
    elif word == "CHECK":
        raise unsupported("CHECK is not supported: check the rows as you write them", place)
    elif word == "UNIQUE":
        reader.skip_parentheses()
        reader.notice("UNIQUE is not enforced: only the PRIMARY KEY is")
    else:
        reader.skip_parentheses()
        _references(reader)
    _skip_enforcement(reader)
    return True


def _references(reader: Reader) -> None:
    reader.need("REFERENCES")
    reader.name("a table's name")
    if reader.word() == "(":
        reader.skip_parentheses()
    while reader.take("ON") or reader.take("MATCH"):
        reader.index += 1
        for words in (("NO", "ACTION"), ("SET", "NULL"), ("SET", "DEFAULT")):
            if reader.take(*words):
                break
        else:
            reader.index += 1
    reader.notice("FOREIGN KEY is not enforced")


def _skip_enforcement(reader: Reader) -> None:
    while reader.word() in _UNENFORCED and not (
        reader.word() == "NOT" and reader.word(1) == "NULL"
    ):
        if reader.word() == "NOT" and reader.word(1) not in ("ENFORCED", "DEFERRABLE"):
            break
        reader.index += 1


def column_def(reader: Reader, *, typed: bool = True) -> ColumnDef:
    """One column of CREATE TABLE or ADD COLUMN.

    Raises:
        ProgrammingError: it is none, or its type is not known.
    """
    place = reader.place()
    column = ColumnDef(name=reader.part("a column's name"), type="", place=place)
    if typed or reader.word() not in (",", ")"):
        column = replace(column, type=type_name(reader))
    while not reader.end and reader.word() not in (",", ")"):
        more = _clause(reader, column)
        if more is None:
            return column
        column = more
    return column


def _clause(reader: Reader, column: ColumnDef) -> ColumnDef | None:
    """The column with the clause that stands here; None if none does."""
    place = reader.place()
    if reader.take("NOT", "NULL"):
        return replace(column, nullable=False)
    if reader.take("NULL"):
        return column
    if reader.take("DEFAULT"):
        return replace(column, default=_default(reader))
    if reader.word() in ("AUTOINCREMENT", "IDENTITY", "AUTO_INCREMENT"):
        reader.index += 1
        return replace(column, auto=_numbering(reader))
    if reader.word() == "COMMENT":
        return replace(column, comment=reader.comment() or "")
    if reader.word() == "CONSTRAINT":
        reader.index += 1
        reader.part("a constraint's name")
        if reader.word() not in ("PRIMARY KEY", "UNIQUE", "FOREIGN KEY", "REFERENCES", "NOT"):
            raise reader.expected("PRIMARY KEY, UNIQUE, NOT NULL or REFERENCES")
        return column
    if reader.take("PRIMARY KEY"):
        _skip_enforcement(reader)
        return replace(column, key=True)
    if reader.take("UNIQUE"):
        _skip_enforcement(reader)
        reader.notice("UNIQUE is not enforced: only the PRIMARY KEY is")
        return replace(column, unique=True)
    if reader.word() in ("REFERENCES", "FOREIGN KEY"):
        reader.take("FOREIGN KEY")
        _references(reader)
        return column
    if reader.take("COLLATE"):
        reader.string()
        reader.notice("collations are not kept: texts compare by code point")
        return column
    if reader.word() == "CHECK":
        raise unsupported("CHECK is not supported: check the rows as you write them", place)
    if reader.word() == "AS" and reader.word(1) == "(":
        raise unsupported("virtual columns are not supported: compute them in a view", place)
    return column if reader.means_nothing() else None


def _default(reader: Reader) -> exp.Expr:
    """The value after DEFAULT; NULL and NOT begin one only at its start."""
    start = reader.index
    if reader.word() in ("NULL", "NOT"):
        reader.index += 1
    if reader.word(-1) != "NULL":
        reader.until(*_AFTER_DEFAULT)
    return reader.trees.expression(reader.tokens[start : reader.index], "a value after DEFAULT")


def _numbering(reader: Reader) -> tuple[int, int]:
    """[(start, step)] | [START [WITH] [=] n] [INCREMENT [BY] [=] n] [ORDER | NOORDER]."""
    start, step = 1, 1
    if reader.take("("):
        start = reader.integer()
        reader.need(",")
        step = reader.integer()
        reader.need(")")
    while True:
        if reader.take("START"):
            reader.take("WITH")
            reader.take("=")
            start = reader.integer()
        elif reader.take("INCREMENT"):
            reader.take("BY")
            reader.take("=")
            step = reader.integer()
        elif not (reader.take("ORDER") or reader.take("NOORDER")):
            break
    if step == 0:
        raise reader.fail("AUTOINCREMENT needs a step other than 0")
    return start, step


def type_name(reader: Reader) -> str:
    """A type, as written.

    Raises:
        ProgrammingError: none stands here, or it is not known.
    """
    start, token = reader.index, reader.token()
    if token is None or reader.word() in ("", ",", ")", "("):
        raise reader.expected("a type, such as INT or VARCHAR")
    reader.index += 1
    if reader.word() == "(":
        reader.skip_parentheses()
    if reader.word() in ("WITH", "WITHOUT") and reader.word(1) in ("TIME", "LOCAL"):
        reader.index += 1
        reader.take("LOCAL")
        reader.need("TIME", "ZONE")
    text = reader.source(start)
    try:
        SqlType.parse(text)
    except TypeNotKnown as error:
        raise ProgrammingError(str(error), code=error.code, place=reader.place(token)) from error
    return text
