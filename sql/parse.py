"""From a text to its statements.

`parse` is pure and remembers its answers by text: statements are frozen, and the trees in them
are not to be changed. Every error is a `ProgrammingError` or `NotSupportedError` with the place
of the token that caused it.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Final

from sqlglot import exp

from headwater.sql import parse_alter, parse_queries, parse_session, parse_streams, parse_tables
from headwater.sql.errors import Place, ProgrammingError, syntax, unsupported
from headwater.sql.parse_binds import Binds
from headwater.sql.parse_reader import NO_ROLES, Reader
from headwater.sql.parse_trees import start_of
from headwater.sql.statements import Explain, Nothing, Statement
from headwater.sql.tokens import Piece, pieces, place_in, shown

LONGEST_TEXT: Final = 8 << 20
_LONGEST_KEPT: Final = 64 << 10
_TEXTS_KEPT: Final = 512


def parse(text: str, *, longest: int = LONGEST_TEXT) -> tuple[Statement, ...]:
    """The statements of a text, in order; none for a text of comments.

    Raises:
        ProgrammingError: the text is wrong, or longer than `longest` characters; with its place.
        NotSupportedError: it is understood, and Headwater has no such thing; with its place.
    """
    if len(text) > longest:
        raise ProgrammingError(
            f"the text has {len(text)} characters and may have {longest}: use binds, or COPY",
            code="E_SQL_TOO_LONG",
        )
    return _kept(text) if len(text) <= _LONGEST_KEPT else _parse(text)


def place_of(node: exp.Expr, statement: Statement) -> Place | None:
    """Where a node of a statement's tree begins in the script; None where it has no name in it."""
    offset = start_of(node)
    if offset is None:
        return None
    return place_in(Piece(statement.text, statement.place), offset)


def place_of_name(name: str, statement: Statement) -> Place | None:
    """Where a statement names an object or a column first; names match without case."""
    wanted = name.lower()
    for text, place in statement.places.items():
        if text.lower() == wanted:
            return place
    tree: object = getattr(statement, "tree", None) or getattr(statement, "query", None)
    if not isinstance(tree, exp.Expr):
        return None
    last = wanted.rpartition(".")[2].strip('"')
    for node in tree.find_all(exp.Identifier):
        if node.name.lower() == last:
            found = place_of(node.parent if isinstance(node.parent, exp.Table) else node, statement)
            if found is not None:
                return found
    return None


def _parse(text: str) -> tuple[Statement, ...]:
    binds = Binds()
    try:
        return tuple(_statement(piece, binds) for piece in pieces(text))
    except RecursionError:
        raise syntax("the text is nested too deeply", Place(1, 1, 0)) from None


_kept = lru_cache(maxsize=_TEXTS_KEPT)(_parse)


def _statement(piece: Piece, binds: Binds) -> Statement:
    reader = Reader(piece, binds)
    made = _read(reader)
    reader.finish()
    return _dressed(made, reader)


def _dressed(made: Statement, reader: Reader) -> Statement:
    """The statement with what is the same for all kinds."""
    text, binds = reader.piece.text, reader.marked.binds
    return replace(
        made,
        text=text,
        place=reader.piece.place,
        binds=binds,
        in_order=binds == tuple(range(len(binds))),
        varied="$" in text or "IDENTIFIER" in text.upper(),
        notices=tuple(reader.notices),
        places=reader.places,
    )


def _read(reader: Reader) -> Statement:
    word = reader.word()
    if word in parse_queries.QUERY_WORDS:
        return parse_queries.query(reader)
    found = _BY_FIRST_WORD.get(word)
    if found is not None:
        return found(reader)
    if word in _NOT_HERE:
        raise unsupported(f"{word} is not supported: {_NOT_HERE[word]}", reader.place())
    token = reader.tokens[0]
    raise syntax(f"no statement begins with {shown(token)}", reader.place(token))


def _create(reader: Reader) -> Statement:
    reader.need("CREATE")
    replaces = reader.take("OR", "REPLACE")
    if reader.word() == "OR":
        raise reader.expected("OR REPLACE")
    kind = reader.word()
    if kind in ("TABLE", "TEMPORARY", "TEMP", "VOLATILE", "TRANSIENT", "LOCAL", "GLOBAL"):
        # TRANSIENT SCHEMA and LOCAL VIEW begin so too.
        kind = "SCHEMA" if "SCHEMA" in reader.words(2) else "TABLE"
    if kind in ("VIEW", "SECURE", "RECURSIVE"):
        return parse_tables.create_view(reader, replaces=replaces)
    if kind == "TABLE":
        return parse_tables.create_table(reader, replaces=replaces)
    if kind == "SCHEMA":
        return parse_tables.create_schema(reader, replaces=replaces)
    if reader.take("STREAM"):
        return parse_streams.create_stream(reader, replaces=replaces)
    if reader.take("TASK"):
        return parse_streams.task(reader, "CREATE")
    if kind in parse_alter.NAMELESS:
        reader.rest()
        return Nothing(kind=f"CREATE {kind}", notice=parse_alter.NAMELESS[kind])
    raise parse_alter.not_here(reader, "CREATE")


def _alter(reader: Reader) -> Statement:
    reader.need("ALTER")
    kind = reader.word()
    if reader.take("TABLE"):
        return parse_alter.alter_table(reader)
    if reader.take("STREAM"):
        return parse_streams.alter_stream(reader)
    if reader.take("VIEW"):
        return parse_alter.alter_view(reader)
    if reader.take("TASK"):
        return parse_streams.task(reader, "ALTER")
    if reader.take("SESSION"):
        return parse_session.alter_session(reader, store=False)
    if reader.take("ACCOUNT"):
        return parse_session.alter_session(reader, store=True)
    if reader.take("DATABASE"):
        reader.if_exists()
        if reader.word() not in ("SET", "UNSET"):
            reader.name("a database's name")
        return parse_session.alter_session(reader, store=True)
    if kind in parse_alter.NAMELESS or kind == "USER":
        reader.rest()
        return Nothing(kind=f"ALTER {kind}", notice=parse_alter.NAMELESS.get(kind, NO_ROLES))
    if kind == "SCHEMA":
        raise unsupported("ALTER SCHEMA is not supported: rename its tables", reader.place())
    raise parse_alter.not_here(reader, "ALTER")


def _drop(reader: Reader) -> Statement:
    if reader.word(1) == "TASK":
        reader.index += 2
        return parse_streams.task(reader, "DROP")
    return parse_alter.drop(reader)


def _execute(reader: Reader) -> Statement:
    reader.need("EXECUTE")
    if reader.take("TASK"):
        return parse_streams.task(reader, "EXECUTE")
    if reader.word() == "IMMEDIATE":
        raise unsupported(
            "EXECUTE IMMEDIATE is not supported: send the text itself", reader.place()
        )
    raise reader.expected("TASK")


def _explain(reader: Reader) -> Statement:
    reader.need("EXPLAIN")
    shape = "TABULAR"
    if reader.take("USING"):
        shape = reader.word()
        if shape not in ("TABULAR", "JSON", "TEXT"):
            raise reader.expected("TABULAR, JSON or TEXT")
        reader.index += 1
    token = reader.token()
    if token is None:
        raise reader.expected("a statement")
    if reader.word() in ("CALL", "EXECUTE", "EXPLAIN"):
        raise reader.fail("EXPLAIN explains queries and DML; a CALL takes DRY_RUN => TRUE")
    # Cut the inner statement out, so that words that hide what follows them are met again.
    piece = Piece(reader.piece.text[token.start :], reader.place(token))
    first = min((key for key in reader.marked.binds if isinstance(key, int)), default=0)
    inner = Reader(piece, Binds(first))
    made = _read(inner)
    inner.finish()
    reader.rest()
    return Explain(statement=_dressed(made, inner), format=shape)


def _grant(reader: Reader) -> Statement:
    kind = reader.word()
    reader.rest()
    return Nothing(kind=kind, notice=NO_ROLES)


_BY_FIRST_WORD: Final[dict[str, Callable[[Reader], Statement]]] = {
    "ALTER": _alter,
    "BEGIN": parse_session.begin,
    "CALL": parse_session.call,
    "COMMENT": parse_alter.comment_on,
    "COMMIT": parse_session.commit,
    "COPY": parse_queries.copy,
    "CREATE": _create,
    "DELETE": parse_queries.delete,
    "DESC": parse_session.describe,
    "DESCRIBE": parse_session.describe,
    "DROP": _drop,
    "EXECUTE": _execute,
    "EXPLAIN": _explain,
    "GRANT": _grant,
    "INSERT": parse_queries.insert,
    "MERGE": parse_queries.merge,
    "REVOKE": _grant,
    "ROLLBACK": parse_session.rollback,
    "SET": parse_session.set_variable,
    "SHOW": parse_session.show,
    "START": parse_session.begin,
    "TRUNCATE": parse_queries.truncate,
    "UNDROP": parse_alter.undrop,
    "UNSET": parse_session.unset_variable,
    "UPDATE": parse_queries.update,
    "USE": parse_session.use,
}
_NOT_HERE: Final = {
    "DECLARE": "scripting blocks stand in tasks; use the client's language",
    "GET": "there are no stages: COPY INTO writes files",
    "LIST": "there are no stages",
    "LS": "there are no stages",
    "PUT": "there are no stages: COPY INTO reads files",
    "REMOVE": "there are no stages",
    "RM": "there are no stages",
    "LET": "scripting blocks stand in tasks; use SET",
    "RETURN": "scripting blocks stand in tasks",
    "SAVEPOINT": "a failed statement undoes itself",
    "VACUUM": "nothing needs it",
    "ANALYZE": "nothing needs it",
    "OPTIMIZE": "nothing needs it",
    "PREPARE": "binds do it: parsed texts are remembered",
    "ATTACH": "one store is one database",
    "PRAGMA": "ALTER SESSION SET sets parameters",
    "INSTALL": "there are no extensions",
    "LOAD": "COPY INTO reads files",
}
