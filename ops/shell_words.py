"""What could come next in a statement being typed: names that fit the place, then keywords. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from headwater.producer.names import quoted

_KEYWORDS: Final = [
    "ADD",
    "ALL",
    "ALTER",
    "AND",
    "APPEND_ONLY",
    "AS",
    "ASC",
    "AT",
    "BASE",
    "BEFORE",
    "BEGIN",
    "BETWEEN",
    "BY",
    "CALL",
    "CAPTURE",
    "CASE",
    "CAST",
    "CHANGES",
    "CLONE",
    "COLUMN",
    "COMMENT",
    "COMMIT",
    "CONSUMER",
    "CONSUMERS",
    "COPY",
    "COUNT",
    "CREATE",
    "CROSS",
    "CURRENT_DATE",
    "CURRENT_TIMESTAMP",
    "DATE",
    "DEFAULT",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "HEAD",
    "HORIZON",
    "IF",
    "ILIKE",
    "IN",
    "INDEPENDENT",
    "INNER",
    "INSERT",
    "INT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "LEFT",
    "LIKE",
    "LIMIT",
    "MATCHED",
    "MERGE",
    "NET",
    "NOT",
    "NULL",
    "NUMBER",
    "OFFSET",
    "ON",
    "ONLY",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "OVERWRITE",
    "PARTITION",
    "PRIMARY",
    "QUALIFY",
    "REASON",
    "RENAME",
    "REPLACE",
    "RESTORE",
    "RETENTION_TIME",
    "REWIND",
    "RIGHT",
    "ROLLBACK",
    "SCHEMA",
    "SELECT",
    "SESSION",
    "SET",
    "SHARED",
    "SHOW",
    "SHOW_INITIAL_ROWS",
    "STATEMENT",
    "STREAM",
    "STREAMS",
    "SWAP",
    "TABLE",
    "TABLES",
    "TEMPORARY",
    "THEN",
    "TIMESTAMP",
    "TO",
    "TRANSACTION",
    "TRUE",
    "TRUNCATE",
    "UNDROP",
    "UNION",
    "UNSET",
    "UP",
    "UPDATE",
    "USE",
    "USING",
    "VALUES",
    "VARCHAR",
    "VARIANT",
    "VERSION",
    "VIEW",
    "VIEWS",
    "WHEN",
    "WHERE",
    "WITH",
    "WORK",
]
_FUNCTIONS: Final = (
    *("SYSTEM$STREAM_HAS_DATA", "SYSTEM$STREAM_OFFSET", "SYSTEM$STREAM_BACKLOG"),
    *("SYSTEM$STREAM_REWIND", "SYSTEM$STREAM_ADVANCE", "SYSTEM$STREAM_UNDO", "GET_DDL"),
    *("CURRENT_STREAM_OFFSET", "METADATA$ACTION", "METADATA$ISUPDATE", "METADATA$ROW_ID"),
)
_BEGINNINGS: Final = (
    *(
        "ALTER",
        "BEGIN",
        "CALL",
        "COMMIT",
        "COPY",
        "CREATE",
        "DELETE",
        "DESCRIBE",
        "DROP",
        "EXPLAIN",
    ),
    *(
        "INSERT",
        "MERGE",
        "ROLLBACK",
        "SELECT",
        "SET",
        "SHOW",
        "TRUNCATE",
        "UNDROP",
        "UPDATE",
        "USE",
    ),
    "WITH",
)
_AFTER: Final[Mapping[str, Sequence[str]]] = {
    "CREATE": ("TABLE", "STREAM", "VIEW", "SCHEMA", "OR REPLACE", "TEMPORARY TABLE"),
    "DROP": ("TABLE", "STREAM", "VIEW", "SCHEMA", "COLUMN", "CONSUMER"),
    "ALTER": ("TABLE", "STREAM", "VIEW", "SESSION", "ACCOUNT"),
    "SHOW": (
        "TABLES",
        "STREAMS",
        "CONSUMERS",
        "VIEWS",
        "SCHEMAS",
        "COLUMNS",
        "PARAMETERS",
        "VARIABLES",
    ),
}
_BEFORE_RELATION: Final[Mapping[str, Sequence[str]]] = {
    "FROM": ("TABLE", "INFORMATION_SCHEMA"),
    "TABLE": ("IF",),
    "VIEW": ("IF",),
}
_RELATION_AFTER: Final = frozenset(("FROM", "JOIN", "INTO", "UPDATE", "USING", "TABLE", "VIEW"))
_WORD: Final = re.compile(r"[\w$]*$")
_OWNER: Final = re.compile(r'([\w$]+|"[^"]+")\.[\w$]*$')
_ALIAS: Final = re.compile(
    r'\b(?:FROM|JOIN|INTO|UPDATE|USING)\s+([\w$."]+)(?:\s+(?:AS\s+)?([\w$]+))?', re.IGNORECASE
)
_LAST: Final = re.compile(r"([\w$]+)\W*$")
_TEXTS: Final = re.compile(r"'[^']*'|--[^\n]*|/\*.*?\*/", re.DOTALL)


class Suggestion(NamedTuple):
    """A word that could stand here, what it is, and how much of the text it takes the place of."""

    word: str
    kind: str
    length: int


@dataclass(frozen=True, slots=True)
class Names:
    """What exists: relations and streams with their columns, consumers, schemas."""

    tables: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    views: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    streams: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    consumers: Sequence[str] = ()
    schemas: Sequence[str] = ()
    commands: Sequence[str] = ()

    def columns_of(self, name: str) -> Sequence[str]:
        """The columns of whatever has that name, in any case."""
        wanted = name.rpartition(".")[2].strip('"').lower()
        for relations in (self.tables, self.views, self.streams):
            for known, columns in relations.items():
                if known.lower() == wanted:
                    return columns
        return ()


def suggestions(before: str, names: Names) -> Iterator[Suggestion]:
    """What could come next behind a text, the likeliest first."""
    statement = _TEXTS.sub("''", before).rpartition(";")[2]
    found = _WORD.search(statement)
    word = found[0] if found is not None else ""
    lead = statement[: len(statement) - len(word)]
    if before.lstrip().startswith("."):
        yield from _fitting(before.lstrip(), [(one, "command") for one in names.commands])
        return
    if statement.count("'") % 2:
        return
    owner = _OWNER.search(statement)
    if owner is not None:
        yield from _fitting(word, [(c, "column") for c in _owned(statement, owner[1], names)])
        return
    seen: set[str] = set()
    for one in _fitting(word, _candidates(lead, statement, names)):
        if one.word not in seen:
            seen.add(one.word)
            yield one


def _candidates(lead: str, statement: str, names: Names) -> Iterator[tuple[str, str]]:
    last = _LAST.search(lead)
    previous = last[1].upper() if last is not None else ""
    if not lead.strip():
        yield from ((word, "keyword") for word in _BEGINNINGS)
        return
    if previous == "CONSUMER":
        yield from ((name, "consumer") for name in names.consumers)
        return
    if previous == "STREAM":
        yield from ((quoted(name), "stream") for name in names.streams)
    if previous in ("SCHEMA", "USE"):
        yield from ((quoted(name), "schema") for name in names.schemas)
    if previous in _RELATION_AFTER:
        yield from ((quoted(name), "table") for name in names.tables)
        yield from ((quoted(name), "view") for name in names.views)
        if previous not in ("TABLE", "VIEW", "INTO", "UPDATE"):
            yield from ((quoted(name), "stream") for name in names.streams)
        yield from ((word, "keyword") for word in _BEFORE_RELATION.get(previous, ()))
        return
    yield from ((word, "keyword") for word in _AFTER.get(previous, ()))
    for relation, _ in _mentioned(statement):
        yield from ((quoted(column), "column") for column in names.columns_of(relation))
    yield from ((word, "keyword") for word in _KEYWORDS)
    yield from ((name, "function") for name in _FUNCTIONS)
    for relations, kind in (
        (names.tables, "table"),
        (names.views, "view"),
        (names.streams, "stream"),
    ):
        yield from ((quoted(name), kind) for name in relations)


def _mentioned(statement: str) -> list[tuple[str, str]]:
    """The relations that a statement names so far, each with its alias."""
    return [(found[1], found[2] or "") for found in _ALIAS.finditer(statement)]


def _owned(statement: str, owner: str, names: Names) -> Iterable[str]:
    """What can stand behind `owner.`: the columns of a relation or alias, the names in a schema."""
    for relation, alias in _mentioned(statement):
        if alias.lower() == owner.lower():
            return [quoted(column) for column in names.columns_of(relation)]
    columns = names.columns_of(owner)
    if columns:
        return [quoted(column) for column in columns]
    if owner.lower() in {name.lower() for name in names.schemas}:
        return [quoted(name) for name in (*names.tables, *names.views, *names.streams)]
    return ()


def _fitting(word: str, candidates: Iterable[tuple[str, str]]) -> Iterator[Suggestion]:
    """Those that begin with a word; keywords in the case that the word is typed in."""
    lower = word.islower()
    for candidate, kind in candidates:
        if not candidate.lower().lstrip('"').startswith(word.lower()):
            continue
        shown = candidate.lower() if lower and kind in ("keyword", "function") else candidate
        yield Suggestion(shown, kind, len(word))


def complete(text: str) -> bool:
    """Whether a text can be run: a command, or statements up to a `;` outside texts and comments."""
    plain = text.strip()
    if not plain or plain.startswith("."):
        return True
    bare = _TEXTS.sub(" ", plain).rstrip()
    return bare.endswith(";") and bare.count("'") % 2 == 0 and "/*" not in bare
