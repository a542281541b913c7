"""A script cut into statements, and a statement into tokens that know where they stand.

Strings, quoted names, comments and `$$ .. $$` are told apart first, so that a `;` inside one ends
nothing. Offsets of tokens count from the statement's first character; a `Place` counts in the
whole script.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from headwater.sql.errors import Place, ProgrammingError, syntax

DIALECT: Final = Dialect.get_or_raise("snowflake")

_BLANK = re.compile(r"(?:\s+|--[^\n]*|//[^\n]*|/\*.*?\*/)*+", re.DOTALL)
_PIECE = re.compile(
    r"""
    (?P<whole> '(?:[^'\\]|\\.|'')*+' | "(?:[^"]|"")*+" | \$\$.*?\$\$
      | --[^\n]* | //[^\n]* | /\*.*?\*/ )
    | (?P<end> ; )
    | (?P<open> ['"] | \$\$ | /\* )
    """,
    re.VERBOSE | re.DOTALL,
)
_UNENDED = {
    "'": "this text has no closing '",
    '"': 'this name has no closing "',
    "$$": "this text has no closing $$",
    "/*": "this comment has no closing */",
}
_WORD = re.compile(r"[A-Za-z_][\w$]*")
_TASK = re.compile(r"(?:CREATE\s+(?:OR\s+REPLACE\s+)?|ALTER\s+)TASK\b", re.IGNORECASE)
_BLOCK = re.compile(r"\bAS\s+BEGIN\b", re.IGNORECASE)
_END = re.compile(r"END\b", re.IGNORECASE)
# Where a statement begins with one of these, sqlglot would take the rest for one opaque text.
_OPAQUE = frozenset(
    (
        "CALL",
        "EXECUTE",
        "EXPLAIN",
        "FETCH",
        "OPTIMIZE",
        "PREPARE",
        "REMOVE",
        "RENAME",
        "RM",
        "VACUUM",
    )
)
# No word: what starts with a letter all the same.
_VALUES = frozenset(
    (TokenType.STRING, TokenType.RAW_STRING, TokenType.HEX_STRING, TokenType.BYTE_STRING)
)


@dataclass(frozen=True, slots=True)
class Piece:
    """One statement of a script: its text without the `;`, and where it begins."""

    text: str
    place: Place


def pieces(script: str) -> Iterator[Piece]:
    """The statements of a script, comments around them and empty ones left out.

    Raises:
        ProgrammingError: a text, a name or a comment is not closed; with its place.
    """
    line, column, counted = 1, 1, 0
    for start, end in _joined(script, _cuts(script)):
        first = _blank_end(script, start, end)
        if first >= end:
            continue
        before = script[counted:first]
        if "\n" in before:
            line += before.count("\n")
            column = len(before) - before.rfind("\n")
        else:
            column += len(before)
        counted = first
        yield Piece(script[first:end].rstrip(), Place(line, column, first))


def _cuts(script: str) -> Iterator[tuple[int, int]]:
    start = 0
    for found in _PIECE.finditer(script):
        if found["end"]:
            yield start, found.start()
            start = found.end()
        elif found["open"]:
            raise syntax(_UNENDED[found["open"]], Place.of(script, found.start()))
    yield start, len(script)


def _joined(script: str, cuts: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The cuts, less those inside the BEGIN .. END of a task's body."""
    for start, end in cuts:
        first = _blank_end(script, start, end)
        if _TASK.match(script, first) and _BLOCK.search(script, first, end):
            for more, last in cuts:
                end = last
                if _END.match(script, _blank_end(script, more, last)):
                    break
        yield start, end


def _blank_end(script: str, start: int, end: int) -> int:
    found = _BLANK.match(script, start, end)
    return start if found is None else found.end()


def tokenize(piece: Piece) -> list[Token]:
    """The tokens of one statement.

    Raises:
        ProgrammingError: a character that SQL has no use for.
    """
    text = piece.text
    first = _WORD.match(text)
    lead: list[Token] = []
    if first is not None and first[0].upper() in _OPAQUE:
        lead = [Token(TokenType.VAR, first[0], 1, first.end(), 0, first.end() - 1)]
        text = " " * first.end() + text[first.end() :]
    try:
        return lead + DIALECT.tokenize(text)
    except TokenError as error:
        raise syntax(f"the text cannot be read: {error}".splitlines()[0], piece.place) from error


def is_word(token: Token) -> bool:
    """Whether a token is a word or a keyword, not a value, a sign or a quoted name."""
    text = token.text
    return (
        bool(text)
        and (text[0].isalpha() or text[0] == "_")
        and token.token_type not in _VALUES
        and token.token_type is not TokenType.IDENTIFIER
    )


def shown(token: Token) -> str:
    """A token as an error message shows it."""
    if token.text.startswith(BIND):
        return token.text.removeprefix(BIND) if token.text.startswith(f"{BIND}$") else "a bind"
    text = token.text if len(token.text) <= 40 else token.text[:37] + "..."
    if token.token_type in _VALUES:
        return f"the text '{text}'"
    return f'"{text}"' if token.token_type is TokenType.IDENTIFIER else text


class Cursor:
    """A place between the tokens of one statement, moved on by what it takes."""

    __slots__ = ("index", "piece", "places", "tokens")

    def __init__(self, piece: Piece, tokens: Sequence[Token] | None = None) -> None:
        self.piece = piece
        self.tokens: list[Token] = tokenize(piece) if tokens is None else list(tokens)
        self.index = 0
        self.places: dict[str, Place] = {}  # of the names taken so far, by name as written

    @property
    def end(self) -> bool:
        """Whether nothing is left."""
        return self.index >= len(self.tokens)

    def token(self, ahead: int = 0) -> Token | None:
        """A token without taking it; None past the end."""
        at = self.index + ahead
        return self.tokens[at] if 0 <= at < len(self.tokens) else None

    def word(self, ahead: int = 0) -> str:
        """A word in upper case, a sign as it is, or "" for a text, a quoted name, the end."""
        token = self.token(ahead)
        if token is None or token.token_type in _VALUES or token.token_type is TokenType.IDENTIFIER:
            return ""
        return token.text.upper()

    def words(self, count: int) -> tuple[str, ...]:
        """The next words, see `word`; a keyword of two words counts as two."""
        found: list[str] = []
        for ahead in range(count):
            found.extend(self.word(ahead).split() or [""])
        return tuple(found[:count])

    def take(self, *words: str) -> bool:
        """Take these words if they stand here, all or none."""
        if any(self.word(ahead) != word for ahead, word in enumerate(words)):
            return False
        self.index += len(words)
        return True

    def need(self, *words: str) -> None:
        """Take these words.

        Raises:
            ProgrammingError: something else stands here.
        """
        if not self.take(*words):
            raise self.expected(" ".join(words))

    def place(self, token: Token | None = None) -> Place:
        """Where a token stands in the script; without one, where the cursor is."""
        if token is None:
            token = self.token()
        offset = len(self.piece.text) if token is None else token.start
        return place_in(self.piece, offset)

    def expected(self, what: str) -> ProgrammingError:
        """The error that something else stands here."""
        token = self.token()
        if token is None:
            return syntax(f"expected {what}, but the statement ends", self.place())
        return syntax(f"expected {what}, found {shown(token)}", self.place(token))

    def fail(self, message: str, token: Token | None = None) -> ProgrammingError:
        """An error at a token, or here."""
        return syntax(message, self.place(token))

    def finish(self) -> None:
        """Refuse what is left.

        Raises:
            ProgrammingError: something is.
        """
        token = self.token()
        if token is not None:
            raise syntax(f"{shown(token)} is not understood here", self.place(token))

    def source(self, start: int, stop: int | None = None) -> str:
        """The text of the tokens from one index up to another, as written."""
        stop = self.index if stop is None else stop
        if start >= stop:
            return ""
        return self.piece.text[self.tokens[start].start : self.tokens[stop - 1].end + 1]

    # -- names and values ----------------------------------------------------------------------

    def part(self, what: str = "a name") -> str:
        """One part of a name, as written: with its quotes where it has them.

        Raises:
            ProgrammingError: no name stands here.
        """
        token = self.token()
        if token is None:
            raise self.expected(what)
        if token.token_type is TokenType.IDENTIFIER:
            name = '"' + token.text.replace('"', '""') + '"'
        elif is_word(token) and " " not in token.text:
            name = token.text
        else:
            raise self.expected(what)
        self.places.setdefault(name, self.place(token))
        self.index += 1
        return name

    def name(self, what: str = "a name") -> str:
        """A name of one to three parts, as written; IDENTIFIER('a.b') is a.b.

        `IDENTIFIER($v)` gives `$V`, IDENTIFIER(?) and (:b) a bind's mark; both are filled in
        before the statement runs, see `variables`.

        Raises:
            ProgrammingError: no name stands here.
        """
        if self.word() == "IDENTIFIER" and self.word(1) == "(":
            return self._dynamic(what)
        place, parts = self.place(), [self.part(what)]
        while self.take("."):
            parts.append(self.part("the rest of the name"))
        name = ".".join(parts)
        self.places.setdefault(name, place)
        return name

    def _dynamic(self, what: str) -> str:
        self.need("IDENTIFIER", "(")
        token = self.token()
        if token is not None and token.token_type is TokenType.STRING:
            self.index += 1
            name = token.text
        elif token is not None and token.text.startswith(BIND):
            self.index += 1
            variable = token.text.startswith(f"{BIND}$")
            name = token.text.removeprefix(BIND).upper() if variable else token.text
            self.places.setdefault(name, self.place(token))
        else:
            raise self.expected(f"{what} in quotes or a $variable")
        self.need(")")
        return name

    def names(self, what: str = "a name") -> tuple[str, ...]:
        """Names with commas between them."""
        found = [self.name(what)]
        while self.take(","):
            found.append(self.name(what))
        return tuple(found)

    def parenthesised(self, what: str = "a name") -> tuple[str, ...]:
        """Names of one part in parentheses.

        Raises:
            ProgrammingError: it is no such list.
        """
        self.need("(")
        found = [self.part(what)]
        while self.take(","):
            found.append(self.part(what))
        self.need(")")
        return tuple(found)

    def string(self, what: str = "a text in single quotes") -> str:
        """A text.

        Raises:
            ProgrammingError: none stands here.
        """
        token = self.token()
        if token is None or token.token_type not in (TokenType.STRING, TokenType.RAW_STRING):
            raise self.expected(what)
        self.index += 1
        return token.text

    def integer(self, what: str = "a whole number") -> int:
        """A whole number, with its sign.

        Raises:
            ProgrammingError: none stands here.
        """
        sign = -1 if self.take("-") else 1
        token = self.token()
        if (
            token is None
            or token.token_type is not TokenType.NUMBER
            or not (token.text.isascii() and token.text.isdigit())
            or len(token.text) > 38
        ):
            raise self.expected(what)
        self.index += 1
        return sign * int(token.text)

    def until(self, *stops: str) -> list[Token]:
        """Tokens up to a stop word outside parentheses and CASE .. END, or to the end."""
        start, depth = self.index, 0
        while (token := self.token()) is not None:
            kind = token.token_type
            if depth == 0 and self.word() in stops:
                break
            depth += (kind in (TokenType.L_PAREN, TokenType.CASE, TokenType.L_BRACKET)) - (
                kind in (TokenType.R_PAREN, TokenType.END, TokenType.R_BRACKET)
            )
            if depth < 0:
                break
            self.index += 1
        return self.tokens[start : self.index]


# What stands in the tokens where a bind was written; its number or name follows.
BIND: Final = "__hw_bind_"


def place_in(piece: Piece, offset: int) -> Place:
    """The place in the script of an offset in a statement."""
    inner = Place.of(piece.text, offset)
    base = piece.place
    column = inner.column + base.column - 1 if inner.line == 1 else inner.column
    return Place(base.line + inner.line - 1, column, base.offset + inner.offset)
