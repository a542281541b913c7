"""What the parsers of all statements share: a cursor with its trees, AT clauses, options, notices."""

from collections.abc import Mapping
from typing import Final

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from headwater.sql.errors import syntax, unsupported
from headwater.sql.parse_binds import Binds, Marked
from headwater.sql.parse_trees import UNITS, Trees
from headwater.sql.statements import At, OptionValue
from headwater.sql.tokens import Cursor, Piece, is_word, tokenize

_SIGNS: Final = frozenset(("+", "-"))

NO_WAREHOUSE: Final = "Headwater has no warehouses: statements run where you are"
NO_ROLES: Final = "Headwater has no roles: whoever can open the store may do everything"
NO_GRANTS: Final = "COPY GRANTS means nothing here: there are no grants to copy"
NO_TAGS: Final = "tags are not kept"


class Reader(Cursor):
    """A cursor over one statement that can also read expressions, queries and options."""

    __slots__ = ("_binds", "marked", "notices", "trees")

    def __init__(self, piece: Piece, binds: Binds) -> None:
        self._binds = binds
        self.marked: Marked = binds.mark(piece, tokenize(piece))
        super().__init__(piece, self.marked.tokens)
        self.trees = Trees(piece, self.marked)
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        """Tell once that something was read and means nothing here."""
        if text not in self.notices:
            self.notices.append(text)

    def rest(self) -> "list[Token]":
        """All tokens that are left, taken."""
        tokens = self.tokens[self.index :]
        self.index = len(self.tokens)
        return tokens

    def expression(self, *stops: str, what: str = "an expression") -> exp.Expr:
        """A value, up to a stop word or the end.

        Raises:
            ProgrammingError: none stands here.
        """
        if self.end:
            raise self.expected(what)
        first = self.token()
        tokens = self.until(*stops)
        if not tokens:
            self.index = self.index if first is None else self.tokens.index(first)
            raise self.expected(what)
        return self.trees.expression(tokens, what)

    def query(self, *stops: str) -> exp.Query:
        """A query, up to a stop word or the end.

        Raises:
            ProgrammingError: none stands here.
        """
        if self.word() not in ("SELECT", "WITH", "VALUES", "("):
            raise self.expected("a query")
        tree = self.trees.statement(self.until(*stops))
        if not isinstance(tree, exp.Query):
            raise self.fail("this is no query")
        return tree

    def at_clause(self) -> At | None:
        """AT | BEFORE (unit => value), taken; None if none stands here.

        Raises:
            ProgrammingError: the parentheses hold something else.
        """
        before = self.word() == "BEFORE"
        if self.word(1) != "(" or not (self.take("AT") or self.take("BEFORE")):
            return None
        self.need("(")
        unit = self.word()
        if unit not in UNITS:
            raise self.expected("VERSION, TIMESTAMP, OFFSET, STATEMENT or STREAM")
        self.index += 1
        self.need("=>")
        value = self.expression(")", what="a value")
        self.need(")")
        return At(unit=unit, value=value, before=before)

    def if_exists(self) -> bool:
        """Whether IF EXISTS stands here, taken."""
        return self.take("IF", "EXISTS")

    def if_not_exists(self, *, replaces: bool = False) -> bool:
        """Whether IF NOT EXISTS stands here, taken; not behind OR REPLACE.

        Raises:
            ProgrammingError: it stands behind OR REPLACE.
        """
        place = self.place()
        if not self.take("IF", "NOT", "EXISTS"):
            return False
        if replaces:
            raise syntax("OR REPLACE and IF NOT EXISTS contradict each other", place)
        return True

    def option(self) -> tuple[str, OptionValue]:
        """KEY = value, taken.

        Raises:
            ProgrammingError: something else stands here.
        """
        key = self.part("an option").upper()
        self.need("=")
        return key, self.option_value()

    def option_value(self) -> OptionValue:
        """A text, a number, a boolean, a word in upper case, or texts in parentheses.

        Raises:
            ProgrammingError: none of them stands here.
        """
        token = self.token()
        if token is None:
            raise self.expected("a value")
        if token.token_type in (TokenType.STRING, TokenType.RAW_STRING):
            return self.string()
        if token.token_type is TokenType.NUMBER or token.text in _SIGNS:
            return self._number()
        if token.text == "(":
            self.index += 1
            texts: list[str] = []
            while not self.take(")"):
                texts.append(self.string())
                self.take(",")
            return tuple(texts)
        if not is_word(token):
            raise self.expected("a value")
        self.index += 1
        word = token.text.upper()
        return word == "TRUE" if word in ("TRUE", "FALSE") else word

    def _number(self) -> int | float:
        sign = -1 if self.take("-") else 1
        if sign == 1:
            self.take("+")
        token = self.token()
        if token is None or token.token_type is not TokenType.NUMBER:
            raise self.expected("a number")
        self.index += 1
        try:
            return sign * int(token.text)
        except ValueError:
            pass
        try:
            return sign * float(token.text)
        except ValueError:
            raise self.fail(f"{token.text} is no number", token) from None

    def option_list(self) -> Mapping[str, OptionValue]:
        """(KEY = value ..), taken; commas between them or none.

        Raises:
            ProgrammingError: something else stands here.
        """
        self.need("(")
        found: dict[str, OptionValue] = {}
        while not self.take(")"):
            key, value = self.option()
            found[key] = value
            self.take(",")
        return found

    def comment(self) -> str | None:
        """COMMENT [=] 'text', taken; None if none stands here."""
        if not self.take("COMMENT"):
            return None
        self.take("=")
        return self.string("the comment, in single quotes")

    def brokers(self) -> str | None:
        """BROKERS = 'host:9092', taken; None if none stands here."""
        place = self.place()
        if not self.take("BROKERS"):
            return None
        self.places["BROKERS"] = place
        self.need("=")
        return self.string("brokers as in 'host:9092', in single quotes")

    def means_nothing(self) -> bool:
        """Take a clause that other systems need and that means nothing here; its notice is noted."""
        if self.take("COPY", "GRANTS"):
            self.notice(NO_GRANTS)
            return True
        if self.take("CLUSTER BY"):
            self.skip_parentheses()
            self.notice("CLUSTER BY means nothing here: rows are kept in row id order")
            return True
        if self.words(2) == ("WITH", "TAG") or (self.word() == "TAG" and self.word(1) in ("(", "")):
            self.take("WITH")
            self.need("TAG")
            self.skip_parentheses()
            self.notice(NO_TAGS)
            return True
        if self.word() == "WITH" and self.word(2) == "POLICY":
            raise unsupported(f"{self.word(1)} POLICY is not supported", self.place())
        if self.words(3) == ("ROW", "ACCESS", "POLICY"):
            raise unsupported("ROW ACCESS POLICY is not supported", self.place())
        return False

    def skip_parentheses(self) -> None:
        """Take ( .. ) with whatever is in it.

        Raises:
            ProgrammingError: none stands here, or it is not closed.
        """
        self.need("(")
        depth = 1
        while depth:
            token = self.token()
            if token is None:
                raise self.expected(")")
            depth += (token.text == "(" and is_sign(token)) - (token.text == ")" and is_sign(token))
            self.index += 1


def is_sign(token: Token) -> bool:
    """Whether a token is a sign, not a text or quoted name of the same look."""
    return token.token_type not in (TokenType.STRING, TokenType.RAW_STRING, TokenType.IDENTIFIER)
