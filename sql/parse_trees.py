"""Queries, DML and expressions: sqlglot's stock trees, with places, binds and stream clauses.

`FROM s CONSUMER c LIMIT CHANGES n UP TO VERSION n` is cut from the tokens before sqlglot sees
them and stands in the table's `meta` afterwards. What sqlglot reads and does not mean is refused
here, so that no statement does something else than it says.
"""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from sqlglot import exp
from sqlglot.errors import ParseError
from sqlglot.tokenizer_core import Token, TokenType

from headwater.sql.errors import Place, ProgrammingError, syntax, unsupported
from headwater.sql.parse_binds import Marked
from headwater.sql.statements import READING, Reading
from headwater.sql.tokens import DIALECT, Cursor, Piece, is_word, place_in, shown

# sqlglot warns on standard error of what it falls back to; here that is refused.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

TREE = TypeVar("TREE", bound=exp.Expr)

_NOT_A_CONSUMER = frozenset(
    [
        "AND",
        "AS",
        "ASOF",
        "CROSS",
        "EXCEPT",
        "FETCH",
        "FOR",
        "FULL",
        "GROUP",
        "HAVING",
        "INNER",
        "INTERSECT",
        "JOIN",
        "LATERAL",
        "LEFT",
        "LIMIT",
        "MATCH_CONDITION",
        "MATCH_RECOGNIZE",
        "MINUS",
        "NATURAL",
        "OFFSET",
        "ON",
        "OR",
        "ORDER",
        "OUTER",
        "PIVOT",
        "QUALIFY",
        "RIGHT",
        "SAMPLE",
        "SELECT",
        "SET",
        "TABLESAMPLE",
        "UNION",
        "UNPIVOT",
        "UP",
        "USING",
        "WHEN",
        "WHERE",
        "WINDOW",
        "WITH",
    ]
)
_BEFORE_A_TABLE = frozenset(
    ("FROM", "JOIN", "INTO", "UPDATE", "USING", ",", ".", "AS", "BY", "SELECT")
)
_DEEPEST: Final = 40
UNITS: Final = ("VERSION", "TIMESTAMP", "OFFSET", "STATEMENT", "STREAM")
_TYPE_NAME = re.compile(r"<class '[\w.]+\.(\w+)'>")


@dataclass(frozen=True, slots=True)
class Clause:
    """A stream clause: the table it follows begins before `offset`."""

    offset: int
    index: int
    reading: Reading


class Trees:
    """Makes trees of one statement's tokens."""

    def __init__(self, piece: Piece, marked: Marked) -> None:
        self.piece, self.marked = piece, marked

    def statement(self, tokens: Sequence[Token]) -> exp.Expr:
        """The tree of a whole query or DML statement.

        Raises:
            ProgrammingError: it is none; with the place of what is wrong.
        """
        self._lint(tokens)
        plain, clauses = self._cut(tokens)

        def read() -> exp.Expr | None:
            trees = DIALECT.parser().parse(plain, self.piece.text)
            return trees[0] if len(trees) == 1 else None

        tree = self._read(read, plain)
        return self._finished(tree, plain, clauses)

    def part(self, kind: type[TREE], tokens: Sequence[Token], what: str) -> TREE:
        """The tree of an expression or a table inside a statement.

        Raises:
            ProgrammingError: it is none; with the place of what is wrong.
        """
        if not tokens:
            raise syntax(f"expected {what}", self.piece.place)
        self._lint(tokens)
        plain, clauses = self._cut(tokens)

        def read() -> exp.Expr | None:
            return DIALECT.parser().parse_into(kind, list(plain), self.piece.text)[0]

        tree = self._finished(self._read(read, plain), plain, clauses)
        if not isinstance(tree, kind):
            raise syntax(f"expected {what}", place_in(self.piece, tokens[0].start))
        return tree

    def expression(self, tokens: Sequence[Token], what: str = "an expression") -> exp.Expr:
        """The tree of a value.

        Raises:
            ProgrammingError: it is none; with the place of what is wrong.
        """
        if not tokens:
            raise syntax(f"expected {what}", self.piece.place)
        self._lint(tokens)

        def read() -> exp.Expr | None:
            return DIALECT.parser().parse_into(exp.Condition, list(tokens), self.piece.text)[0]

        return self._finished(self._read(read, tokens), tokens, [])

    def place(self, token: Token) -> Place:
        """Where a token stands in the script."""
        return place_in(self.piece, token.start)

    def _read(self, read: Callable[[], exp.Expr | None], tokens: Sequence[Token]) -> exp.Expr:
        try:
            tree = read()
        except ParseError as error:
            raise self._said(error, tokens) from None
        except RecursionError:
            raise self._deep(tokens) from None
        except (ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
            # sqlglot trips over some texts; whatever it says, the text is not SQL we know.
            place = self.place(tokens[0]) if tokens else self.piece.place
            raise syntax(f"this cannot be read as SQL ({error})", place) from error
        if tree is None or isinstance(tree, exp.Command):
            place = self.place(tokens[0]) if tokens else self.piece.place
            raise syntax("this is no statement that Headwater knows", place)
        return tree

    def _deep(self, tokens: Sequence[Token]) -> ProgrammingError:
        place = self.place(tokens[0]) if tokens else self.piece.place
        return syntax("the statement is nested too deeply: take it apart with WITH", place)

    def _finished(
        self, tree: exp.Expr, tokens: Sequence[Token], clauses: Sequence[Clause]
    ) -> exp.Expr:
        try:
            tree = self.marked.place(tree)
            missing = self.marked.missing([tree], tokens)
            if missing is not None:
                raise syntax(
                    "a bind cannot stand here: it stands for a value, and IDENTIFIER(?) for a name",
                    place_in(self.piece, missing),
                )
            self._attach(tree, clauses)
        except RecursionError:
            raise self._deep(tokens) from None
        return tree

    # -- what sqlglot would let pass -----------------------------------------------------------

    def _lint(self, tokens: Sequence[Token]) -> None:
        """Refuse parentheses that do not pair, empty places in lists, and a depth past bounds."""
        opened: list[Token] = []
        before: Token | None = None
        for token in tokens:
            kind = token.token_type
            if kind in (TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE):
                opened.append(token)
                if len(opened) > _DEEPEST:
                    raise self._deep([token])
            elif kind in _CLOSES:
                if not opened or opened[-1].token_type is not _CLOSES[kind]:
                    raise syntax(f"{token.text} closes nothing", self.place(token))
                opened.pop()
            self._check_moment(tokens, opened, token)
            if before is not None and before.token_type in (TokenType.COMMA, TokenType.L_PAREN):
                empty = kind is TokenType.COMMA or (
                    kind is TokenType.R_PAREN and before.token_type is TokenType.COMMA
                )
                if empty:
                    raise syntax(f"something is missing before {token.text}", self.place(token))
            before = token
        if opened:
            raise syntax(f"{opened[-1].text} is never closed", self.place(opened[-1]))

    def _check_moment(self, tokens: Sequence[Token], opened: Sequence[Token], token: Token) -> None:
        """Refuse AT (unit => ..) with a unit that there is none of."""
        if token.token_type is not TokenType.FARROW or not opened:
            return
        at = next(n for n, one in enumerate(tokens) if one is opened[-1])
        outside = tokens[at - 1].text.upper() if at else ""
        unit = tokens[at + 1]
        if (
            outside in ("AT", "BEFORE")
            and tokens[at + 2] is token
            and unit.text.upper() not in UNITS
        ):
            message = f"{outside} takes {', '.join(UNITS[:-1])} or {UNITS[-1]}, not {unit.text}"
            raise syntax(message, self.place(unit))

    def _said(self, error: ParseError, tokens: Sequence[Token]) -> ProgrammingError:
        """sqlglot's complaint in our words, at the token it stumbled over."""
        first = error.errors[0] if error.errors else {}
        said = str(first.get("description") or error)
        token = _stumbled(error, tokens)
        if token is None or (token is tokens[-1] and self._at_end(tokens)):
            place = place_in(self.piece, tokens[-1].end + 1 if tokens else 0)
            return syntax(_at_the_end(said, tokens), place)
        return syntax(_plainly(said, token), self.place(token))

    def _at_end(self, tokens: Sequence[Token]) -> bool:
        """Whether sqlglot wanted more: with one more token it would stumble over that one."""
        last = tokens[-1]
        more = Token(TokenType.R_PAREN, ")", last.line, last.col + 1, last.end + 1, last.end + 1)
        try:
            DIALECT.parser().parse([*tokens, more], self.piece.text)
        except ParseError as error:
            return _stumbled(error, [*tokens, more]) is more
        except (ValueError, TypeError, AttributeError, IndexError, KeyError, RecursionError):
            return False
        return False

    # -- stream clauses ------------------------------------------------------------------------

    def _cut(self, tokens: Sequence[Token]) -> tuple[list[Token], list[Clause]]:
        """The tokens without their stream clauses, and those."""
        cursor = Cursor(self.piece, tokens)
        plain: list[Token] = []
        clauses: list[Clause] = []
        while (token := cursor.token()) is not None:
            reading = self._clause(cursor, plain)
            if reading is None:
                plain.append(token)
                cursor.index += 1
            else:
                clauses.append(Clause(token.start, len(plain), reading))
        return plain, clauses

    def _clause(self, cursor: Cursor, before: Sequence[Token]) -> Reading | None:
        """The clause that begins at the cursor, taken; None if none does."""
        if cursor.word() == "CONSUMER" and _is_clause(cursor, before):
            cursor.index += 1
            return Reading(consumer=cursor.name("a consumer's name"))
        if cursor.take("LIMIT", "CHANGES"):
            token = cursor.token()
            limit = cursor.integer("how many changes, as a whole number")
            if limit < 1:
                raise cursor.fail("LIMIT CHANGES takes a whole number from 1", token)
            return Reading(limit_changes=limit)
        if cursor.take("UP", "TO", "VERSION"):
            return Reading(upto=_version(cursor))
        return None

    def _attach(self, tree: exp.Expr, clauses: Sequence[Clause]) -> None:
        """Write each clause into the `meta` of the table that it follows."""
        if not clauses:
            return
        tables = [
            (start, table)
            for table in tree.find_all(exp.Table)
            if (start := start_of(table)) is not None
        ]
        for clause in clauses:
            before = [(start, table) for start, table in tables if start < clause.offset]
            place = place_in(self.piece, clause.offset)
            if not before:
                raise syntax("this clause follows the name of a stream", place)
            start, table = max(before, key=lambda one: one[0])
            if _leaves(self.piece.text[start : clause.offset]):
                raise syntax("this clause follows the name of a stream, no query", place)
            known = table.meta.get(READING)
            table.meta[READING] = self._merged(
                known if isinstance(known, Reading) else Reading(), clause.reading, place
            )

    def _merged(self, known: Reading, more: Reading, place: Place) -> Reading:
        for field in ("consumer", "limit_changes", "upto"):
            if getattr(known, field) is not None and getattr(more, field) is not None:
                raise syntax("the same clause stands twice at one stream", place)
        return replace(
            known,
            consumer=known.consumer if more.consumer is None else more.consumer,
            limit_changes=known.limit_changes if more.limit_changes is None else more.limit_changes,
            upto=known.upto if more.upto is None else more.upto,
        )


_CLOSES: Final = {
    TokenType.R_PAREN: TokenType.L_PAREN,
    TokenType.R_BRACKET: TokenType.L_BRACKET,
    TokenType.R_BRACE: TokenType.L_BRACE,
}


def _is_clause(cursor: Cursor, before: Sequence[Token]) -> bool:
    """Whether the word CONSUMER begins a clause here, and is no name or alias."""
    if not before:
        return False
    last, following = before[-1], cursor.token(1)
    named = last.token_type in (TokenType.IDENTIFIER, TokenType.NUMBER, TokenType.R_PAREN)
    named = named or (is_word(last) and last.text.upper().split()[-1] not in _BEFORE_A_TABLE)
    if not named or following is None:
        return False
    if following.token_type is TokenType.IDENTIFIER:
        return True
    return is_word(following) and following.text.upper().split()[0] not in _NOT_A_CONSUMER


def _version(cursor: Cursor) -> int:
    """A version: 7, v7 or 'v7'."""
    token = cursor.token()
    if token is not None and re.fullmatch(r"[vV]?\d{1,18}", token.text):
        cursor.index += 1
        return int(token.text.lstrip("vV"))
    raise cursor.expected("a version, such as 41")


def _leaves(between: str) -> bool:
    """Whether a text closes a parenthesis that it did not open."""
    depth = 0
    for sign in re.sub(r"'(?:[^'\\]|\\.|'')*'|\"[^\"]*\"", "", between):
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            return True
    return False


def start_of(node: exp.Expr) -> int | None:
    """Where a node begins in its statement's text: at its first name; None if it has none."""
    starts: list[int] = []
    for one in node.walk():
        found: object = one.meta.get("start")
        if isinstance(found, int):
            starts.append(found)
    return min(starts, default=None)


def _stumbled(error: ParseError, tokens: Sequence[Token]) -> Token | None:
    """The token that sqlglot complains of; None if it is none of these."""
    first = error.errors[0] if error.errors else {}
    at = (first.get("line"), first.get("col"))
    return next((one for one in tokens if (one.line, one.col) == at), None)


_MISSING: Final = re.compile(r"Required keyword: '(\w+)' missing for <class '[\w.]+\.(\w+)'>")
_WANTED: Final = re.compile(r"(?:Expected|Expecting) (.+?)(?: but got .*)?$", re.DOTALL)
_NEEDED: Final = {
    ("whens", "Merge"): "MERGE needs at least one WHEN [NOT] MATCHED THEN ..",
    ("on", "Merge"): "MERGE needs ON and a condition",
    ("using", "Merge"): "MERGE needs USING and a source",
}


def _at_the_end(said: str, tokens: Sequence[Token]) -> str:
    """sqlglot's complaint that a statement ends too early."""
    if (missing := _MISSING.match(said)) is not None:
        needed = _NEEDED.get((missing[1], missing[2]))
        after = f" after {shown(tokens[-1])}" if tokens else ""
        return needed or f"something is missing{after}"
    if (wanted := _WANTED.match(said)) is not None:
        return f"expected {_meant(wanted[1])}, but the statement ends"
    return f"{_bare(said)}, but the statement ends"


def _plainly(said: str, token: Token) -> str:
    """sqlglot's complaint in words that name what stands there."""
    found = shown(token)
    if said.startswith("Invalid expression / Unexpected token"):
        return f"{found} is not understood here"
    if (missing := _MISSING.match(said)) is not None:
        return _NEEDED.get((missing[1], missing[2])) or f"something is missing at {found}"
    if (wanted := _WANTED.match(said)) is not None:
        return f"expected {_meant(wanted[1])}, found {found}"
    return f"{_bare(said)}, at {found}"


def _meant(wanted: str) -> str:
    """What sqlglot wanted, as one would say it."""
    plain = wanted.rstrip(".")
    return {"table name": "a table's name", "type": "a type"}.get(plain.lower(), plain)


def _bare(said: str) -> str:
    return _TYPE_NAME.sub(lambda name: name[1], said).splitlines()[0].rstrip(".")


def refuse_unless(tree: exp.Expr, known: Sequence[str], piece: Piece, what: str) -> None:
    """Refuse a clause of a statement that it does not have here.

    Raises:
        NotSupportedError: names the clause.
    """
    for key, value in tree.args.items():
        if value and key not in known:
            raise unsupported(f"{what} has no {key.strip('_').upper()} clause", piece.place)
