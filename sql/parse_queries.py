"""Queries, DML and COPY as statements."""

from collections.abc import Mapping
from typing import Final

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from headwater.sql.errors import unsupported
from headwater.sql.parse_reader import Reader
from headwater.sql.parse_trees import refuse_unless
from headwater.sql.statements import (
    CopyInto,
    CopyOut,
    Delete,
    Insert,
    InsertAll,
    InsertTarget,
    Merge,
    OptionValue,
    Query,
    Statement,
    Truncate,
    Update,
)

QUERY_WORDS: Final = frozenset(("SELECT", "WITH", "VALUES", "("))
_WORDS_OF_COPY: Final = frozenset(
    [
        "FILES",
        "PATTERN",
        "FILE_FORMAT",
        "ON_ERROR",
        "SIZE_LIMIT",
        "PURGE",
        "RETURN_FAILED_ONLY",
        "MATCH_BY_COLUMN_NAME",
        "FORCE",
        "OVERWRITE",
        "SINGLE",
        "HEADER",
        "MAX_FILE_SIZE",
        "INCLUDE_QUERY_ID",
        "DETAILED_OUTPUT",
        "VALIDATION_MODE",
        "ENFORCE_LENGTH",
        "TRUNCATECOLUMNS",
        "LOAD_UNCERTAIN_FILES",
        "PARTITION",
        "CONSUMER",
        "LIMIT",
        "UP",
    ]
)


def query(reader: Reader) -> Statement:
    """SELECT, WITH, VALUES or a set operation."""
    first = reader.tokens[0]
    tree = reader.trees.statement(reader.rest())
    if isinstance(tree, exp.Select) and not tree.expressions:
        reader.index = 1
        raise reader.expected("a column or *")
    for group in tree.find_all(exp.Group):
        if not any(group.args.values()):
            raise reader.fail("something is missing after GROUP BY", _word(reader, "GROUP BY"))
    if isinstance(tree, exp.Query):
        return Query(tree=tree)
    if isinstance(tree, (exp.Insert, exp.Update, exp.Delete, exp.Merge)):
        raise reader.fail("WITH stands in the query: INSERT INTO t WITH .. SELECT ..", first)
    raise reader.fail("this is no statement that Headwater knows", first)


def _word(reader: Reader, word: str) -> Token | None:
    """The last token that is this word."""
    found = [one for one in reader.tokens if one.text.upper() == word]
    return found[-1] if found else None


def insert(reader: Reader) -> Statement:
    """INSERT into one table or several."""
    overwrite = reader.word(1) == "OVERWRITE"
    kind = reader.word(2 if overwrite else 1)
    if kind == "INTO" or overwrite and kind == "TABLE":
        return _insert_one(reader)
    if kind in ("ALL", "FIRST"):
        return _insert_all(reader, first=kind == "FIRST", overwrite=overwrite)
    reader.index += 2 if overwrite else 1
    raise reader.expected("INTO")


def _insert_one(reader: Reader) -> Statement:
    tree = reader.trees.statement(reader.rest())
    if not isinstance(tree, exp.Insert):
        raise reader.fail("this is no INSERT that Headwater knows", reader.tokens[0])
    refuse_unless(tree, ("this", "expression", "overwrite"), reader.piece, "INSERT")
    source: object = tree.args.get("expression")
    if source is None:
        raise reader.expected("VALUES or a query")
    if isinstance(source, exp.Values) and source.args.get("alias") is not None:
        last = reader.tokens[-1]
        raise reader.fail("VALUES takes no alias in an INSERT", last)
    return Insert(tree=tree)


def _insert_all(reader: Reader, *, first: bool, overwrite: bool) -> Statement:
    tokens = reader.rest()
    if overwrite:  # sqlglot does not know it here
        tokens = [one for at, one in enumerate(tokens) if at != 1]
    tree = reader.trees.statement(tokens)
    if not isinstance(tree, exp.MultitableInserts):
        raise reader.fail("this is no INSERT that Headwater knows", reader.tokens[0])
    source: object = tree.args.get("source")
    if not isinstance(source, exp.Query):
        raise reader.expected("a query")
    targets = tuple(_target(reader, one) for one in tree.expressions)
    return InsertAll(targets=targets, query=source, first=first, overwrite=overwrite)


def _target(reader: Reader, part: exp.Expr) -> InsertTarget:
    when: object = part.args.get("expression")
    into = part.this if isinstance(part, exp.ConditionalInsert) else part
    if not isinstance(into, exp.Insert):
        raise reader.fail("this is no INTO that Headwater knows", reader.tokens[0])
    place: exp.Expr = into.this
    columns: tuple[str, ...] = ()
    if isinstance(place, exp.Schema):
        columns = tuple(name.sql(dialect="snowflake") for name in place.expressions)
        place = place.this
    values: object = into.args.get("expression")
    row: tuple[exp.Expr, ...] = ()
    if isinstance(values, exp.Values):
        given = values.expressions[0] if values.expressions else None
        row = tuple(given.expressions) if isinstance(given, exp.Tuple) else ()
        if not row:
            row = (given,) if given is not None else ()
    return InsertTarget(
        table=place.sql(dialect="snowflake"),
        columns=columns,
        values=row,
        when=when if isinstance(when, exp.Expr) else None,
        otherwise=bool(part.args.get("else_")),
    )


def update(reader: Reader) -> Statement:
    """UPDATE t SET .. [FROM ..] [WHERE ..]."""
    if _word(reader, "SET") is None:
        reader.index = 1
        reader.name("a table's name")
        if not reader.end and reader.word() not in ("FROM", "WHERE"):
            reader.take("AS")
            reader.part("an alias")
        raise reader.expected("SET column = value")
    tree = reader.trees.statement(reader.rest())
    if not isinstance(tree, exp.Update) or not tree.expressions:
        raise reader.fail("UPDATE needs SET column = value", reader.tokens[0])
    refuse_unless(tree, ("this", "expressions", "from_", "where"), reader.piece, "UPDATE")
    for one in tree.expressions:
        if not isinstance(one, exp.EQ):
            raise reader.fail("UPDATE .. SET takes column = value", reader.tokens[0])
    return Update(tree=tree)


def delete(reader: Reader) -> Statement:
    """DELETE FROM t [USING ..] [WHERE ..]."""
    if reader.word(1) != "FROM":
        reader.index = 1
        raise reader.expected("FROM")
    tree = reader.trees.statement(reader.rest())
    if not isinstance(tree, exp.Delete):
        raise reader.fail("this is no DELETE that Headwater knows", reader.tokens[0])
    refuse_unless(tree, ("this", "using", "where"), reader.piece, "DELETE")
    return Delete(tree=tree)


def merge(reader: Reader) -> Statement:
    """MERGE INTO t USING s ON .. WHEN ..."""
    if reader.word(1) != "INTO":
        reader.index = 1
        raise reader.expected("INTO")
    tree = reader.trees.statement(reader.rest())
    whens = tree.args.get("whens") if isinstance(tree, exp.Merge) else None
    if not isinstance(tree, exp.Merge) or not isinstance(whens, exp.Whens) or not whens.expressions:
        raise reader.fail("MERGE needs at least one WHEN [NOT] MATCHED THEN ..", reader.tokens[0])
    refuse_unless(tree, ("this", "using", "on", "whens"), reader.piece, "MERGE")
    return Merge(tree=tree)


def truncate(reader: Reader) -> Statement:
    """TRUNCATE [TABLE] [IF EXISTS] t."""
    reader.need("TRUNCATE")
    reader.take("TABLE")
    if_exists = reader.if_exists()
    return Truncate(table=reader.name("a table's name"), if_exists=if_exists)


# -- COPY --------------------------------------------------------------------------------------


def copy(reader: Reader) -> Statement:
    """COPY INTO a table from files, or INTO files from a query."""
    reader.need("COPY")
    reader.need("INTO")
    token = reader.token()
    if token is not None and token.token_type is TokenType.STRING:
        return _copy_out(reader)
    _refuse_stage(reader)
    table = reader.name("a table's name, or a path in single quotes")
    columns = reader.parenthesised("a column's name") if reader.word() == "(" else ()
    reader.need("FROM")
    _refuse_stage(reader)
    if reader.word() == "(":
        raise unsupported(
            "COPY INTO a table reads files as they are: load them, then INSERT .. SELECT",
            reader.place(),
        )
    location = reader.string("a path in single quotes")
    files, pattern, shape, options = _copy_options(reader)
    return CopyInto(
        table=table,
        columns=columns,
        location=location,
        files=files,
        pattern=pattern,
        format=shape,
        options=options,
    )


def _copy_out(reader: Reader) -> Statement:
    location = reader.string()
    reader.need("FROM")
    _refuse_stage(reader)
    if reader.take("("):
        query = reader.query(")")
        reader.need(")")
    else:
        query = _whole(reader)
    files, pattern, shape, options = _copy_options(reader)
    if files or pattern is not None:
        raise reader.fail("FILES and PATTERN choose files to read", reader.tokens[0])
    return CopyOut(location=location, query=query, format=shape, options=options)


def _whole(reader: Reader) -> exp.Query:
    """SELECT * of the table or stream that stands here, with its clauses."""
    start = reader.index
    while not reader.end:
        if reader.index > start and reader.word(1) == "=" and reader.word() in _WORDS_OF_COPY:
            break
        reader.index += 1
    tokens = reader.tokens[start : reader.index]
    if not tokens:
        raise reader.expected("a table, a stream or a query in parentheses")
    table = reader.trees.part(exp.Table, tokens, "a table's name")
    return exp.select("*").from_(table, copy=False)


def _refuse_stage(reader: Reader) -> None:
    if reader.word() in ("@", "@~", "@%"):
        raise unsupported("Headwater has no stages: write a path in single quotes", reader.place())


CopyClauses = tuple[
    tuple[str, ...], str | None, Mapping[str, OptionValue], Mapping[str, OptionValue]
]


def _copy_options(reader: Reader) -> CopyClauses:
    files: tuple[str, ...] = ()
    pattern: str | None = None
    shape: Mapping[str, OptionValue] = {}
    options: dict[str, OptionValue] = {}
    while not reader.end:
        reader.take(",")
        word = reader.word()
        if word == "FILES":
            reader.index += 1
            reader.need("=")
            files = _texts(reader)
        elif word == "PATTERN":
            reader.index += 1
            reader.need("=")
            pattern = reader.string()
        elif word in ("FILE_FORMAT", "FORMAT"):
            reader.index += 1
            reader.need("=")
            shape = (
                reader.option_list() if reader.word() == "(" else {"TYPE": reader.option_value()}
            )
        elif word in _WORDS_OF_COPY and reader.word(1) == "=":
            key, value = reader.option()
            options[key] = value
        else:
            reader.finish()
    return files, pattern, shape, options


def _texts(reader: Reader) -> tuple[str, ...]:
    reader.need("(")
    found = [reader.string()]
    while reader.take(","):
        found.append(reader.string())
    reader.need(")")
    return tuple(found)
