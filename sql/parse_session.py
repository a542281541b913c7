"""Transactions, variables, parameters, USE; SHOW, DESCRIBE, CALL."""

from typing import Final

from sqlglot import exp

from headwater.sql import parse_streams
from headwater.sql.errors import unsupported
from headwater.sql.parse_reader import NO_ROLES, NO_WAREHOUSE, Reader
from headwater.sql.statements import (
    AlterSession,
    Begin,
    Call,
    Commit,
    Describe,
    Nothing,
    OptionValue,
    Rollback,
    SetVariable,
    Show,
    Statement,
    UnsetVariable,
    Use,
)

_SHOWN: Final = frozenset(
    [
        "TABLES",
        "VIEWS",
        "STREAMS",
        "SCHEMAS",
        "DATABASES",
        "COLUMNS",
        "PARAMETERS",
        "VARIABLES",
        "TASKS",
        "TRANSACTIONS",
        "CONSUMERS",
        "OBJECTS",
    ]
)
_NOT_SHOWN: Final = frozenset(
    [
        "WAREHOUSES",
        "ROLES",
        "USERS",
        "GRANTS",
        "TAGS",
        "STAGES",
        "PIPES",
        "FUNCTIONS",
        "PROCEDURES",
        "SEQUENCES",
        "INTEGRATIONS",
        "REGIONS",
        "LOCKS",
    ]
)


def begin(reader: Reader) -> Statement:
    """BEGIN [WORK | TRANSACTION] [NAME n] | START TRANSACTION [NAME n]."""
    if reader.take("START"):
        reader.need("TRANSACTION")
    else:
        reader.need("BEGIN")
        if not reader.take("WORK"):
            reader.take("TRANSACTION")
    if reader.take("NAME"):
        return Begin(label=reader.part("the transaction's name"))
    if not reader.end and reader.word(-1) == "BEGIN":
        raise unsupported(
            "a BEGIN .. END block stands only in a task: write BEGIN; and COMMIT;", reader.place()
        )
    return Begin()


def commit(reader: Reader) -> Statement:
    """COMMIT [WORK]."""
    reader.need("COMMIT")
    reader.take("WORK")
    return Commit()


def rollback(reader: Reader) -> Statement:
    """ROLLBACK [WORK]."""
    reader.need("ROLLBACK")
    reader.take("WORK")
    if reader.word() == "TO":
        raise unsupported(
            "savepoints are not supported: a failed statement undoes itself", reader.place()
        )
    return Rollback()


def set_variable(reader: Reader) -> Statement:
    """SET v = expression | SET (a, b) = (x, y)."""
    reader.need("SET")
    if reader.word() != "(":
        name = reader.part("a variable's name")
        reader.need("=")
        return SetVariable(names=(name.upper(),), values=(_value(reader),))
    names = tuple(name.upper() for name in reader.parenthesised("a variable's name"))
    reader.need("=")
    token = reader.token()
    tree = reader.expression(what="values in parentheses")
    values = tuple(tree.expressions) if isinstance(tree, exp.Tuple) else (tree,)
    if isinstance(tree, exp.Paren):
        values = (tree.this,)
    if len(values) != len(names):
        raise reader.fail(f"{len(names)} variables take {len(names)} values", token)
    return SetVariable(names=names, values=values)


def _value(reader: Reader) -> exp.Expr:
    """A value, or a query in parentheses that gives one."""
    return reader.expression(what="a value")


def unset_variable(reader: Reader) -> Statement:
    """UNSET v [, w] | UNSET (v, w)."""
    reader.need("UNSET")
    if reader.word() == "(":
        names = reader.parenthesised("a variable's name")
    else:
        names = reader.names("a variable's name")
    return UnsetVariable(names=tuple(name.upper() for name in names))


def alter_session(reader: Reader, *, store: bool) -> Statement:
    """SET p = v .. | UNSET p ..; the cursor stands after SESSION, ACCOUNT or DATABASE d."""
    if reader.take("UNSET"):
        names = reader.names("a parameter")
        return AlterSession(unset=tuple(name.upper() for name in names), store=store)
    if not reader.take("SET"):
        raise reader.expected("SET or UNSET")
    settings: dict[str, OptionValue] = {}
    while True:
        key, value = reader.option()
        settings[key] = value
        reader.take(",")
        if reader.end:
            return AlterSession(settings=settings, store=store)


def use(reader: Reader) -> Statement:
    """USE [SCHEMA | DATABASE | ROLE | WAREHOUSE] n."""
    reader.need("USE")
    if reader.take("SECONDARY"):
        reader.rest()
        return Nothing(kind="USE ROLE", notice=NO_ROLES)
    kind = reader.word()
    if kind in ("ROLE", "WAREHOUSE") and reader.token(1) is not None:
        reader.index += 1
        reader.name()
        notice = NO_ROLES if kind == "ROLE" else NO_WAREHOUSE
        return Nothing(kind=f"USE {kind}", notice=notice)
    if kind in ("SCHEMA", "DATABASE") and reader.token(1) is not None:
        reader.index += 1
        return Use(kind=kind, name=reader.name(f"a {kind.lower()}'s name"))
    name = reader.name("a schema's name")
    return Use(kind="SCHEMA" if "." in name else "DATABASE", name=name)


def show(reader: Reader) -> Statement:
    """SHOW [TERSE] kind [HISTORY] [LIKE '..'] [IN [kind] name] [STARTS WITH '..'] [LIMIT n]."""
    reader.need("SHOW")
    terse = reader.take("TERSE")
    kind = _shown(reader)
    if kind == "TASKS":
        return parse_streams.task(reader, "SHOW")
    history = reader.take("HISTORY")
    like, starts_with, scope, limit = None, None, None, None
    while not reader.end:
        if reader.take("LIKE"):
            like = reader.string("a pattern in single quotes")
        elif reader.word() in ("IN", "FOR", "ON"):
            reader.index += 1
            scope = _scope(reader)
        elif reader.take("STARTS", "WITH"):
            starts_with = reader.string("a text in single quotes")
        elif reader.take("LIMIT"):
            token = reader.token()
            limit = reader.integer("how many, as a whole number")
            if limit < 1:
                raise reader.fail("LIMIT takes a whole number from 1", token)
            if reader.take("FROM"):
                reader.string()
                raise unsupported("SHOW .. LIMIT n FROM is not supported", reader.place())
        else:
            reader.finish()
    return Show(
        kind=kind,
        like=like,
        starts_with=starts_with,
        scope=scope,
        limit=limit,
        history=history,
        terse=terse,
    )


def _shown(reader: Reader) -> str:
    if reader.take("PRIMARY", "KEYS"):
        return "PRIMARY KEYS"
    kind = reader.word()
    if kind in _NOT_SHOWN:
        raise unsupported(f"SHOW {kind} is not supported: there are none", reader.place())
    if kind not in _SHOWN:
        raise reader.expected("what to show, such as TABLES, STREAMS or PARAMETERS")
    reader.index += 1
    return kind


def _scope(reader: Reader) -> str | None:
    """What IN names: a schema, table or stream; None for all."""
    kind = reader.word()
    if kind in ("ACCOUNT", "SESSION"):
        reader.index += 1
        return None
    if kind in ("SCHEMA", "DATABASE", "TABLE", "VIEW", "STREAM"):
        reader.index += 1
        following = reader.word()
        if kind == "DATABASE":
            if not reader.end and following not in ("LIKE", "STARTS", "LIMIT"):
                reader.name("a database's name")
            return None
        if kind == "SCHEMA" and (reader.end or following in ("LIKE", "STARTS", "LIMIT")):
            return None
    return reader.name("a schema, table or stream")


def describe(reader: Reader) -> Statement:
    """DESCRIBE | DESC [TABLE | VIEW | STREAM] n."""
    reader.index += 1
    kind = reader.word()
    if kind == "TASK" and reader.token(1) is not None:
        reader.index += 1
        return parse_streams.task(reader, "DESCRIBE")
    if kind in ("TABLE", "VIEW", "STREAM") and reader.token(1) is not None:
        reader.index += 1
    elif kind in ("SCHEMA", "DATABASE", "RESULT", "FUNCTION", "WAREHOUSE", "USER"):
        raise unsupported(f"DESCRIBE {kind} is not supported", reader.place())
    else:
        kind = ""
    name = reader.name(f"a {(kind or 'table').lower()}'s name")
    if reader.take("TYPE", "="):
        reader.option_value()
    return Describe(kind=kind, name=name)


def call(reader: Reader) -> Statement:
    """CALL procedure(positional .., NAME => value ..)."""
    reader.need("CALL")
    name = reader.name("a procedure's name")
    reader.need("(")
    arguments: list[exp.Expr] = []
    named: dict[str, exp.Expr] = {}
    while not reader.take(")"):
        token = reader.token()
        if reader.word(1) == "=>":
            key = reader.part("an argument's name").upper()
            reader.need("=>")
            if key in named:
                raise reader.fail(f"{key} is given twice", token)
            named[key] = reader.expression(",", ")", what="a value")
        elif named:
            raise reader.fail("arguments with a name come last", token)
        else:
            arguments.append(reader.expression(",", ")", what="a value"))
        if reader.word() != ")":
            reader.need(",")
    return Call(procedure=name, arguments=tuple(arguments), named=named)
