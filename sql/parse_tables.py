"""CREATE of tables, views and schemas."""

from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp

from headwater.sql.errors import Place, syntax, unsupported
from headwater.sql.parse_columns import Columns, columns
from headwater.sql.parse_reader import Reader
from headwater.sql.statements import (
    At,
    CreateSchema,
    CreateTable,
    CreateView,
    OptionValue,
    Statement,
)

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


@dataclass(slots=True)
class _Clauses:
    """What stands behind a table's columns."""

    options: dict[str, OptionValue] = field(default_factory=dict[str, OptionValue])
    query: exp.Query | None = None
    like: str | None = None
    clone: str | None = None
    at: At | None = None
    topic: str | None = None
    source: str = ""  # the word that says where the rows come from, and where it stands
    place: Place | None = None


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
    if_not_exists = reader.if_not_exists(replaces=replaces)
    name = reader.name("a table's name")
    if_not_exists = if_not_exists or reader.if_not_exists(replaces=replaces)
    found = columns(reader, typed=False) if reader.word() == "(" else Columns()
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
        word, place = reader.word(), reader.place()
        if word in ("AS", "LIKE", "CLONE") or (word, reader.word(1)) == ("FROM", "TOPIC"):
            if found.source:
                raise syntax(f"{found.source} and {word} both say what the table holds", place)
            found.source, found.place = word, place
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
            brokers = reader.brokers()
            if brokers is not None:
                found.options["BROKERS"] = brokers
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


def _check_shape(reader: Reader, found: Columns, clauses: _Clauses) -> None:
    """Refuse a table whose columns come from nowhere, or from two places."""
    if found.columns and clauses.source in ("LIKE", "CLONE"):
        raise syntax(f"{clauses.source} brings the columns: write none", clauses.place)
    if not found.columns and not clauses.source:
        raise reader.fail("a table needs columns: (name type, ..), or AS a query")
    for column in found.columns:
        if not column.type and clauses.query is None:
            raise syntax(f"column {column.name} needs a type", column.place)
    names = {column.name.lower() for column in found.columns}
    for key in found.key:
        if key.lower() not in names and clauses.topic is None:
            raise syntax(
                f"PRIMARY KEY names {key}, which is no column of the table", found.key_place
            )


def create_view(reader: Reader, *, replaces: bool) -> Statement:
    """CREATE [OR REPLACE] [SECURE] VIEW; the cursor stands at the kind or VIEW."""
    while not reader.take("VIEW"):
        if reader.take("SECURE"):
            reader.notice("SECURE means nothing here: a view's definition is for all to see")
        elif not (reader.take("LOCAL") or reader.take("GLOBAL") or reader.take("RECURSIVE")):
            raise reader.expected("VIEW")
    if_not_exists = reader.if_not_exists(replaces=replaces)
    name = reader.name("a view's name")
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
