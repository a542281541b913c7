"""Binds in a text: `?`, `%s`, `:name`, `%(name)s`. Each becomes one marked token, then a node.

$variables are marked in the same way, so that they too know where they stand.

A `%` or `:` after an operand is the remainder or the path of a VARIANT, everywhere else it begins
a bind. Positions are counted over the whole script.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from headwater.sql.errors import syntax
from headwater.sql.tokens import BIND, Piece, is_word, place_in

# In the meta of an exp.Placeholder: which bind it stands for, an int from 0 or a name.
BIND_KEY: Final = "headwater.bind"

Key = int | str

# After these words comes an operand, so they are none themselves.
_BEFORE_OPERAND = frozenset(
    [
        "ALL",
        "AND",
        "ANY",
        "AS",
        "ASC",
        "BETWEEN",
        "BY",
        "CASE",
        "CONSTRAINT",
        "CROSS",
        "DEFAULT",
        "DESC",
        "DISTINCT",
        "ELSE",
        "ESCAPE",
        "EXCEPT",
        "FETCH",
        "FIRST",
        "FROM",
        "HAVING",
        "ILIKE",
        "IN",
        "INTERSECT",
        "INTERVAL",
        "INTO",
        "IS",
        "JOIN",
        "LIKE",
        "LIMIT",
        "MINUS",
        "NEXT",
        "NOT",
        "OFFSET",
        "ON",
        "OR",
        "OVER",
        "QUALIFY",
        "REGEXP",
        "RETURN",
        "RLIKE",
        "SELECT",
        "SET",
        "SOME",
        "THEN",
        "TOP",
        "TO",
        "UNION",
        "USING",
        "VALUES",
        "WHEN",
        "WHERE",
        "WITH",
    ]
)
_CLOSING = frozenset((")", "]", "}"))


class Binds:
    """The binds of a script, counted as they come, from `first` on."""

    def __init__(self, first: int = 0) -> None:
        self._next = first

    def mark(self, piece: Piece, tokens: Sequence[Token]) -> "Marked":
        """The tokens of one statement with each bind as one token, and which bind it is."""
        out: list[Token] = []
        keys: dict[int, Key] = {}
        index = 0
        while index < len(tokens):
            found = _variable(tokens, index) or self._at(tokens, index, out[-1] if out else None)
            if found is None:
                out.append(tokens[index])
                index += 1
                continue
            key, length = found
            if isinstance(key, str) and not key.isascii():
                raise syntax(
                    f"the bind {key} is named with other letters than a to z",
                    place_in(piece, tokens[index].start),
                )
            first, last = tokens[index], tokens[index + length - 1]
            out.append(
                Token(
                    TokenType.VAR,
                    f"{BIND}{key}",
                    last.line,
                    last.col,
                    first.start,
                    last.end,
                    last.comments,
                )
            )
            keys[first.start] = key
            index += length
        return Marked(out, keys)

    def _at(self, tokens: Sequence[Token], at: int, before: Token | None) -> tuple[Key, int] | None:
        """Which bind begins at a token, and how many tokens it takes."""
        text = tokens[at].text
        if tokens[at].token_type is TokenType.PLACEHOLDER:
            self._next += 1
            return self._next - 1, 1
        if text not in ("%", ":") or _is_operand(before):
            return None
        following = [token.text for token in tokens[at + 1 : at + 5]]
        if text == ":" and following and _adjacent(tokens, at, 2):
            name = tokens[at + 1]
            if is_word(name):
                return name.text, 2
            return (int(name.text) - 1, 2) if _is_number(name) else None
        if text == "%" and following[:1] == ["s"] and _adjacent(tokens, at, 2):
            self._next += 1
            return self._next - 1, 2
        if (
            text == "%"
            and [following[:1], following[2:4]] == [["("], [")", "s"]]
            and _adjacent(tokens, at, 5)
        ):
            return tokens[at + 2].text, 5
        return None


def _variable(tokens: Sequence[Token], at: int) -> tuple[Key, int] | None:
    """Which $variable begins at a token; `$1` is none."""
    if tokens[at].token_type is not TokenType.PARAMETER or tokens[at].text != "$":
        return None
    if not _adjacent(tokens, at, 2) or not is_word(tokens[at + 1]):
        return None
    return f"${tokens[at + 1].text}", 2


class Marked:
    """A statement's tokens with marked binds; `keys` are the binds by their token's start."""

    __slots__ = ("keys", "tokens")

    def __init__(self, tokens: list[Token], keys: Mapping[int, Key]) -> None:
        self.tokens, self.keys = tokens, keys

    @property
    def binds(self) -> tuple[Key, ...]:
        """The binds in order, without the variables."""
        return tuple(k for k in self.keys.values() if isinstance(k, int) or k[0] != "$")

    def place(self, tree: exp.Expr) -> exp.Expr:
        """The tree with an exp.Placeholder for each marked column of it; `meta` has the key."""
        if not self.keys:
            return tree
        for column in list(tree.find_all(exp.Column)):
            name = column.this
            key = self.keys.get(_start(name))
            if key is None or column.args.get("table") is not None:
                continue
            bind = _placeholder(name, key)
            if column is tree:
                return bind
            column.replace(bind)
        for dynamic in list(tree.find_all(exp.DynamicIdentifier)):
            name = dynamic.this
            if isinstance(name, exp.Identifier) and _start(name) in self.keys:
                name.replace(_placeholder(name, self.keys[_start(name)]))
        return tree

    def missing(self, placed: Sequence[exp.Expr], inside: Sequence[Token]) -> int | None:
        """The start of a bind among these tokens that no placeholder of the trees stands for."""
        found = {
            _start(node)
            for tree in placed
            for node in tree.find_all(exp.Placeholder, exp.Parameter)
            if node.meta
        }
        wanted = (token.start for token in inside if token.start in self.keys)
        return next((start for start in wanted if start not in found), None)


def _placeholder(name: exp.Expr, key: Key) -> exp.Expr:
    bind: exp.Expr = exp.Placeholder()
    if isinstance(key, str) and key.startswith("$"):
        bind = exp.Parameter(this=exp.Var(this=key[1:]))
    else:
        bind.meta[BIND_KEY] = key
    bind.meta["start"], bind.meta["end"] = name.meta["start"], name.meta["end"]
    return bind


def bind_of(node: exp.Placeholder) -> Key:
    """Which bind a placeholder stands for: its position in the script from 0, or its name."""
    found: object = node.meta.get(BIND_KEY)
    assert isinstance(found, (int, str)), "parse marks every placeholder"
    return found


def _start(node: exp.Expr) -> int:
    found: object = node.meta.get("start")
    return found if isinstance(found, int) else -1


def _is_number(token: Token) -> bool:
    return token.token_type is TokenType.NUMBER and token.text.isdigit() and token.text != "0"


def _adjacent(tokens: Sequence[Token], at: int, count: int) -> bool:
    run = tokens[at : at + count]
    return len(run) == count and all(one.end + 1 == other.start for one, other in pairwise(run))


def _is_operand(token: Token | None) -> bool:
    """Whether what ends with this token has a value."""
    if token is None:
        return False
    if token.token_type in (
        TokenType.STRING,
        TokenType.RAW_STRING,
        TokenType.NUMBER,
        TokenType.IDENTIFIER,
    ):
        return True
    if token.text in _CLOSING:
        return True
    return is_word(token) and not _BEFORE_OPERAND.intersection(token.text.upper().split())
