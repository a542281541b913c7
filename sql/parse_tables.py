"""CREATE and ALTER of tables, views and schemas; DROP, UNDROP, COMMENT ON."""

from dataclasses import dataclass, field, replace
from typing import Final

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from headwater.schemas.errors import TypeNotKnown
from headwater.schemas.types import SqlType
from headwater.sql.errors import Place, ProgrammingError, unsupported
from headwater.sql.parse_reader import NO_ROLES, NO_WAREHOUSE, Reader
from headwater.sql.statements import (
    AlterStream,
    AlterTable,
    AlterView,
    At,
    ColumnDef,
    CreateSchema,
    CreateTable,
    CreateView,
    Drop,
    Nothing,
    OptionValue,
    Statement,
    Undrop,
)

OBJECTS: Final = frozenset(("TABLE", "VIEW", "STREAM", "SCHEMA", "TASK"))
# What other systems have and Headwater has not, with what stands in for it.
NOT_HERE: Final = {
    "ALERT": "a task can call a Python function",
    "CONSTRAINT": "write it in CREATE TABLE",
    "DYNAMIC": "use a stream with a task",
    "EVENT": "use a table",
    "EXTERNAL": "load the files with COPY INTO",
    "FILE": "write FILE_FORMAT = (TYPE = ..) in the COPY",
    "FUNCTION": "use expressions, or Python",
    "HYBRID": "every table here has an enforced key",
    "ICEBERG": "use a table",
    "INDEX": "the primary key is the index",
    "MATERIALIZED": "use a stream into a table",
    "PIPE": "use COPY INTO",
    "PROCEDURE": "use Python, or a task",
    "SEQUENCE": "declare the column AUTOINCREMENT",
    "STAGE": "write a path in COPY INTO",
    "TRIGGER": "use a stream: it sees every change without slowing the writer",
}
NAMELESS: Final = {
    "WAREHOUSE": NO_WAREHOUSE,
    "ROLE": NO_ROLES,
    "RESOURCE": NO_WAREHOUSE,
    "TAG": "tags are not kept",
    "DATABASE": "a store is one database: its name in front of a table is dropped",
}
_NOT_KEPT: Final = {
    "CHANGE_TRACKING": "CHANGE_TRACKING means nothing here: every table tracks its changes",
    "ENABLE_SCHEMA_EVOLUTION": "ENABLE_SCHEMA_EVOLUTION means nothing here: ALTER the table",
    "DEFAULT_DDL_COLLATION": "collations are not kept: texts compare by code point",
    "STAGE_FILE_FORMAT": "STAGE_FILE_FORMAT means nothing here: write it in the COPY",
    "STAGE_COPY_OPTIONS": "STAGE_COPY_OPTIONS means nothing here: write them in the COPY",
}
_KEPT: Final = frozenset(
    (
        "DATA_RETENTION_TIME_IN_DAYS",
        "DATA_RETENTION_TIME",
        "MAX_DATA_EXTENSION_TIME_IN_DAYS",
        "MAX_DATA_EXTENSION_TIME",
        "COMMENT",
    )
)
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


# -- columns -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Columns:
    """A list of columns being read."""

    columns: list[ColumnDef] = field(default_factory=list[ColumnDef])
    key: tuple[str, ...] = ()
    key_place: Place | None = None


def _columns(reader: Reader, *, typed: bool) -> _Columns:
    """( column definitions and constraints ), taken."""
    found = _Columns()
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


def _key(reader: Reader, found: _Columns, key: tuple[str, ...], place: Place) -> None:
    if found.key:
        error = reader.fail("a table has one PRIMARY KEY, put its columns into one list")
        raise ProgrammingError(error.message, code=error.code, place=place)
    found.key, found.key_place = key, place


def _constraint(reader: Reader, found: _Columns) -> bool:
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


# -- CREATE ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Clauses:
    """What stands behind a table's columns."""

    options: dict[str, OptionValue] = field(default_factory=dict[str, OptionValue])
    query: exp.Query | None = None
    like: str | None = None
    clone: str | None = None
    at: At | None = None
    topic: str | None = None


def create_table(reader: Reader, *, replaces: bool) -> Statement:
    """CREATE [OR REPLACE] [kind] TABLE; the cursor stands at the kind or TABLE."""
    temporary = False
    while not reader.take("TABLE"):
        word = reader.word()
        reader.index += 1
        if word in ("TEMPORARY", "TEMP", "VOLATILE"):
            temporary = True
        elif word == "TRANSIENT":
            reader.notice("TRANSIENT means nothing here: every table keeps its history")
        elif word not in ("LOCAL", "GLOBAL"):
            reader.index -= 1
            raise reader.expected("TABLE")
    if_not_exists = reader.if_not_exists()
    name = reader.name("a table's name")
    if_not_exists = if_not_exists or reader.if_not_exists()
    if replaces and if_not_exists:
        raise reader.fail("OR REPLACE and IF NOT EXISTS contradict each other", reader.tokens[0])
    found = _columns(reader, typed=False) if reader.word() == "(" else _Columns()
    clauses = _table_clauses(reader)
    _check_shape(reader, found, clauses)
    return CreateTable(
        name=name,
        columns=tuple(found.columns),
        key=found.key,
        query=clauses.query,
        like=clauses.like,
        clone=clauses.clone,
        at=clauses.at,
        topic=clauses.topic,
        replace=replaces,
        if_not_exists=if_not_exists,
        temporary=temporary,
        options=clauses.options,
    )


def _table_clauses(reader: Reader) -> _Clauses:
    found = _Clauses()
    while not reader.end:
        word = reader.word()
        if word == "AS":
            reader.index += 1
            found.query = reader.query()
        elif word == "LIKE":
            reader.index += 1
            found.like = reader.name("a table's name")
        elif word == "CLONE":
            reader.index += 1
            found.clone = reader.name("a table's name")
            found.at = reader.at_clause()
        elif (word, reader.word(1)) == ("FROM", "TOPIC"):
            reader.index += 2
            found.topic = reader.string("a topic's name in single quotes")
        elif not (reader.means_nothing() or table_option(reader, found.options)):
            reader.finish()
    return found


def table_option(reader: Reader, options: dict[str, OptionValue]) -> bool:
    """Take one option of a table into `options`; False if none stands here."""
    word = reader.word()
    if word == "COMMENT":
        options["COMMENT"] = reader.comment() or ""
        return True
    if reader.word(1) != "=":
        return False
    if word in _NOT_KEPT:
        reader.index += 2
        if reader.word() == "(":
            reader.skip_parentheses()
        else:
            reader.option_value()
        reader.notice(_NOT_KEPT[word])
        return True
    if word not in _KEPT:
        raise reader.fail(f"a table has no option {word}")
    key, value = reader.option()
    options[key] = value
    return True


def _check_shape(reader: Reader, found: _Columns, clauses: _Clauses) -> None:
    """Refuse a table whose columns come from nowhere, or from two places."""
    first = reader.tokens[0]
    given = [
        what
        for what, there in (
            ("AS", clauses.query is not None),
            ("LIKE", clauses.like is not None),
            ("CLONE", clauses.clone is not None),
            ("FROM TOPIC", clauses.topic is not None),
        )
        if there
    ]
    if len(given) > 1:
        raise reader.fail(f"{given[0]} and {given[1]} both say what the table holds", first)
    if found.columns and given and given[0] in ("LIKE", "CLONE"):
        raise reader.fail(f"{given[0]} brings the columns: write none", first)
    if not found.columns and not given:
        raise reader.fail("a table needs columns: (name type, ..), or AS a query", first)
    for column in found.columns:
        if not column.type and clauses.query is None:
            error = reader.fail(f"column {column.name} needs a type")
            raise ProgrammingError(error.message, code=error.code, place=column.place)
    names = {column.name.lower() for column in found.columns}
    for key in found.key:
        if key.lower() not in names and clauses.topic is None:
            error = reader.fail(f"PRIMARY KEY names {key}, which is no column of the table")
            raise ProgrammingError(error.message, code=error.code, place=found.key_place)


def create_view(reader: Reader, *, replaces: bool) -> Statement:
    """CREATE [OR REPLACE] [SECURE] VIEW; the cursor stands at the kind or VIEW."""
    while not reader.take("VIEW"):
        if reader.take("SECURE"):
            reader.notice("SECURE means nothing here: a view's definition is for all to see")
        elif not (reader.take("LOCAL") or reader.take("GLOBAL") or reader.take("RECURSIVE")):
            raise reader.expected("VIEW")
    if_not_exists = reader.if_not_exists()
    name = reader.name("a view's name")
    if replaces and if_not_exists:
        raise reader.fail("OR REPLACE and IF NOT EXISTS contradict each other", reader.tokens[0])
    columns = reader.parenthesised("a column's name") if reader.word() == "(" else ()
    comment = ""
    while reader.word() != "AS":
        said = reader.comment()
        if said is not None:
            comment = said
        elif not (reader.means_nothing() or _change_tracking(reader)):
            raise reader.expected("AS and a query")
    reader.need("AS")
    start = reader.index
    query = reader.query()
    return CreateView(
        name=name,
        query=query,
        definition=reader.source(start),
        columns=columns,
        replace=replaces,
        if_not_exists=if_not_exists,
        comment=comment,
    )


def _change_tracking(reader: Reader) -> bool:
    if reader.word() != "CHANGE_TRACKING":
        return False
    reader.option()
    reader.notice(_NOT_KEPT["CHANGE_TRACKING"])
    return True


def create_schema(reader: Reader, *, replaces: bool) -> Statement:
    """CREATE SCHEMA [IF NOT EXISTS] s."""
    while not reader.take("SCHEMA"):
        if reader.take("TRANSIENT"):
            reader.notice("TRANSIENT means nothing here: every table keeps its history")
        else:
            raise reader.expected("SCHEMA")
    if replaces:
        raise unsupported(
            "CREATE OR REPLACE SCHEMA is not supported: drop it first", reader.place()
        )
    if_not_exists = reader.if_not_exists()
    name = reader.name("a schema's name")
    while not reader.end:
        if reader.comment() is None and not reader.means_nothing():
            if reader.word(1) != "=":
                reader.finish()
            key, _ = reader.option()
            reader.notice(f"{key} of a schema means nothing here: set it on its tables")
    return CreateSchema(name=name, if_not_exists=if_not_exists)


# -- ALTER, DROP, UNDROP, COMMENT --------------------------------------------------------------


def alter_table(reader: Reader) -> Statement:
    """ALTER TABLE [IF EXISTS] t, one action; the cursor stands after TABLE."""
    if_exists = reader.if_exists()
    made = AlterTable(name=reader.name("a table's name"), action="", if_exists=if_exists)
    for take in (_rename_or_swap, _add, _drop, _alter_column, _set):
        found = take(reader, made)
        if found is not None:
            return replace(found)
    if reader.word() in ("CLUSTER BY", "RECLUSTER", "SUSPEND", "RESUME") or reader.means_nothing():
        reader.index = len(reader.tokens)
        return Nothing(
            kind="ALTER TABLE", notice="clustering means nothing here: rows are in row id order"
        )
    raise reader.expected("ADD, DROP, RENAME, ALTER, SWAP, SET or UNSET")


def _rename_or_swap(reader: Reader, made: AlterTable) -> AlterTable | None:
    if reader.take("RENAME", "TO"):
        return replace(made, action="RENAME", names=(reader.name("the new name"),))
    if reader.take("RENAME", "COLUMN"):
        old = reader.part("a column's name")
        reader.need("TO")
        return replace(made, action="RENAME_COLUMN", names=(old, reader.part("the new name")))
    if reader.take("SWAP", "WITH"):
        return replace(made, action="SWAP", names=(reader.name("a table's name"),))
    return None


def _add(reader: Reader, made: AlterTable) -> AlterTable | None:
    place = reader.place()
    if not reader.take("ADD"):
        return None
    if reader.word() in ("CONSTRAINT", "PRIMARY KEY", "UNIQUE", "FOREIGN KEY", "CHECK"):
        raise unsupported("constraints are declared when the table is created", place)
    if reader.words(3) == ("ROW", "ACCESS", "POLICY"):
        raise unsupported("ROW ACCESS POLICY is not supported", place)
    reader.take("COLUMN")
    guarded = reader.if_not_exists()
    columns = [_added(reader)]
    while reader.take(","):
        reader.take("COLUMN")
        columns.append(_added(reader))
    return replace(made, action="ADD_COLUMN", columns=tuple(columns), guarded=guarded)


def _added(reader: Reader) -> ColumnDef:
    place = reader.place()
    column = column_def(reader)
    if column.key:
        raise unsupported("a PRIMARY KEY is declared when the table is created", place)
    return column


def _drop(reader: Reader, made: AlterTable) -> AlterTable | None:
    place = reader.place()
    if not reader.take("DROP"):
        return None
    if reader.word() in ("CONSTRAINT", "PRIMARY KEY", "UNIQUE", "FOREIGN KEY"):
        raise unsupported("constraints are declared when the table is created", place)
    if reader.take("CLUSTERING", "KEY"):
        reader.notice("clustering means nothing here: rows are in row id order")
        return replace(made, action="SET")
    reader.take("COLUMN")
    guarded = reader.if_exists()
    names = [reader.part("a column's name")]
    while reader.take(","):
        names.append(reader.part("a column's name"))
    return replace(made, action="DROP_COLUMN", names=tuple(names), guarded=guarded)


def _alter_column(reader: Reader, made: AlterTable) -> AlterTable | None:
    if not (reader.take("ALTER") or reader.take("MODIFY")):
        return None
    wrapped = reader.take("(")
    reader.take("COLUMN")
    column = reader.part("a column's name")
    place = reader.place()
    if reader.word() == "COMMENT":
        names = (column, reader.comment() or "")
        found = replace(made, action="COMMENT_COLUMN", names=names)
    elif reader.word() in ("SET", "DROP") and reader.word(1) in ("NOT", "DEFAULT", "MASKING"):
        what = f"{reader.word()} {reader.word(1)}"
        raise unsupported(f"ALTER COLUMN .. {what} is not supported", place)
    else:
        if reader.take("SET"):
            reader.need("DATA")
        if reader.take("DATA"):
            pass
        reader.take("TYPE")
        found = replace(made, action="SET_TYPE", names=(column, type_name(reader)))
    if wrapped:
        reader.need(")")
    if reader.word() == ",":
        raise unsupported("alter one column at a time", reader.place())
    return found


def _set(reader: Reader, made: AlterTable) -> AlterTable | None:
    if reader.take("UNSET"):
        names = [name.upper() for name in reader.names("an option")]
        return replace(made, action="UNSET", names=tuple(names))
    if not reader.take("SET"):
        return None
    if reader.take("TAG"):
        reader.rest()
        reader.notice("tags are not kept")
        return replace(made, action="SET")
    options: dict[str, OptionValue] = {}
    while not reader.end:
        if not (reader.means_nothing() or table_option(reader, options)):
            raise reader.expected("an option = value")
        reader.take(",")
    return replace(made, action="SET", options=options)


def alter_view(reader: Reader) -> Statement:
    """ALTER VIEW v ..; the cursor stands after VIEW."""
    reader.if_exists()
    name = reader.name("a view's name")
    if reader.take("RENAME", "TO"):
        return AlterView(name=name, new_name=reader.name("the new name"))
    if reader.take("SET"):
        if reader.word() == "COMMENT":
            return AlterView(name=name, comment=reader.comment())
        reader.rest()
        return Nothing(kind="ALTER VIEW", notice="of a view only its COMMENT is kept")
    if reader.take("UNSET", "COMMENT"):
        return AlterView(name=name, comment="")
    raise reader.expected("RENAME TO or SET COMMENT")


def drop(reader: Reader) -> Statement:
    """DROP kind [IF EXISTS] n."""
    reader.need("DROP")
    kind = reader.word()
    if kind in NAMELESS and reader.word(1):
        reader.rest()
        return Nothing(kind=f"DROP {kind}", notice=NAMELESS[kind])
    if kind not in OBJECTS:
        raise not_here(reader, "DROP")
    reader.index += 1
    if_exists = reader.if_exists()
    name = reader.name(f"a {kind.lower()}'s name")
    if not reader.take("CASCADE"):
        reader.take("RESTRICT")
    return Drop(kind=kind, name=name, if_exists=if_exists)


def undrop(reader: Reader) -> Statement:
    """UNDROP TABLE t."""
    reader.need("UNDROP")
    if not reader.take("TABLE"):
        if reader.word() in OBJECTS | {"DATABASE"}:
            raise unsupported("only tables can be undropped", reader.place())
        raise reader.expected("TABLE")
    return Undrop(kind="TABLE", name=reader.name("a table's name"))


def comment_on(reader: Reader) -> Statement:
    """COMMENT [IF EXISTS] ON kind n IS 'text'."""
    reader.need("COMMENT")
    if_exists = reader.if_exists()
    reader.need("ON")
    kind = reader.word()
    if kind not in ("TABLE", "COLUMN", "VIEW", "STREAM"):
        raise reader.expected("TABLE, COLUMN, VIEW or STREAM")
    reader.index += 1
    name = reader.name()
    reader.need("IS")
    text = reader.string("the comment, in single quotes")
    if kind == "COLUMN":
        table, _, column = name.rpartition(".")
        if not table:
            raise reader.fail("COMMENT ON COLUMN names table.column", reader.tokens[2])
        return AlterTable(
            name=table, action="COMMENT_COLUMN", names=(column, text), if_exists=if_exists
        )
    if kind == "VIEW":
        return AlterView(name=name, comment=text)
    if kind == "STREAM":
        return AlterStream(name=name, action="SET", options={"COMMENT": text}, if_exists=if_exists)
    return AlterTable(name=name, action="SET", options={"COMMENT": text}, if_exists=if_exists)


def not_here(reader: Reader, verb: str) -> Exception:
    """The error for a kind of object that there is not; it names what stands in for it."""
    kind = reader.word()
    if kind in NOT_HERE:
        return unsupported(f"{verb} {kind} is not supported: {NOT_HERE[kind]}", reader.place())
    token = reader.token()
    if token is not None and token.token_type is TokenType.STRING:
        return reader.expected("what to " + verb.lower())
    return reader.expected("TABLE, VIEW, STREAM, SCHEMA or TASK")
