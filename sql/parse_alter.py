"""ALTER, DROP, UNDROP and COMMENT ON of tables, views and schemas."""

from dataclasses import replace
from typing import Final

from sqlglot.tokenizer_core import TokenType

from headwater.sql.errors import NotSupportedError, ProgrammingError, unsupported
from headwater.sql.parse_columns import column_def, type_name
from headwater.sql.parse_reader import NO_ROLES, NO_WAREHOUSE, Reader
from headwater.sql.parse_tables import table_option
from headwater.sql.statements import (
    AlterStream,
    AlterTable,
    AlterView,
    ColumnDef,
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


def alter_table(reader: Reader) -> Statement:
    """ALTER TABLE [IF EXISTS] t, one action; the cursor stands after TABLE."""
    if_exists = reader.if_exists()
    made = AlterTable(name=reader.name("a table's name"), action="", if_exists=if_exists)
    for take in (_rename_or_swap, _add, _drop, _alter_column, _set, _refresh):
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


def _refresh(reader: Reader, made: AlterTable) -> AlterTable | None:
    """REFRESH [BROKERS = 'host:9092'] of a table that a topic feeds."""
    if not reader.take("REFRESH"):
        return None
    brokers = reader.brokers()
    return replace(made, action="REFRESH", options={} if brokers is None else {"BROKERS": brokers})


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
        what = f"{reader.word()} {reader.word(1)}".replace(" NOT", " NOT NULL")
        raise unsupported(f"ALTER COLUMN .. {what} is not supported: make a new table", place)
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
    cascade = reader.take("CASCADE")
    if not cascade:
        reader.take("RESTRICT")
    return Drop(kind=kind, name=name, if_exists=if_exists, cascade=cascade)


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


def not_here(reader: Reader, verb: str) -> ProgrammingError | NotSupportedError:
    """The error for a kind of object that there is not; it names what stands in for it."""
    kind = reader.word()
    if kind in NOT_HERE:
        return unsupported(f"{verb} {kind} is not supported: {NOT_HERE[kind]}", reader.place())
    token = reader.token()
    if token is not None and token.token_type is TokenType.STRING:
        return reader.expected("what to " + verb.lower())
    return reader.expected("TABLE, VIEW, STREAM, SCHEMA or TASK")
