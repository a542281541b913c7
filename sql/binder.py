"""Names and types of one query, resolved while it is written in DuckDB's words.

What each kind of node becomes stands in `HANDLERS`; a node that is not there is refused by name, so
nothing reaches DuckDB that was not meant to.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NoReturn, Protocol

from sqlglot import exp

from headwater.schemas.types import SqlType
from headwater.sql import coercion
from headwater.sql.coercion import Casting, Mismatch
from headwater.sql.context import Context
from headwater.sql.errors import Place, ProgrammingError, unsupported
from headwater.sql.scopes import BoundColumn, Scope
from headwater.sql.trees import child, place_of, start_of
from headwater.sql.typed import Typed
from headwater.sql.typing_duck import duck

# The value of a parameter of DuckDB's, worked out for each run.
Param = Callable[[Context], object]


class Source(Protocol):
    """Something outside of DuckDB that a query reads under a name of its own."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Out:
    """A column that a query gives: its name for users, its name in DuckDB, its type.

    `type` None is NULL all the way. `declared` is the type of the table's column that it shows;
    `raw` is that column's own name in DuckDB, where it comes as the table stores it.
    """

    name: str
    key: str
    type: SqlType | None
    declared: SqlType | None = None
    nullable: bool = True
    raw: str | None = None


@dataclass(slots=True, eq=False)
class Subquery:
    """A query in DuckDB's words and what comes out of it, under the names k0, k1, .."""

    sql: str
    columns: list[Out]


QueryMaker = Callable[["Binder", exp.Expr, Scope | None], Subquery]
Handler = Callable[["Binder", exp.Expr, Scope], Typed]
HANDLERS: Final[dict[type[exp.Expr], Handler]] = {}


def handles(*kinds: type[exp.Expr]) -> Callable[[Handler], Handler]:
    """Let a function translate these kinds of nodes."""

    def note(handler: Handler) -> Handler:
        for kind in kinds:
            HANDLERS[kind] = handler
        return handler

    return note


@dataclass(slots=True, eq=False)
class Binder:
    """One statement being bound. `placed` is false inside views, whose text is not at hand."""

    context: Context
    make_query: QueryMaker
    sources: dict[object, Source] = field(default_factory=dict[object, Source])
    params: list[Param] = field(default_factory=list[Param])
    views: list[int] = field(default_factory=list[int])
    schema: str = ""
    repeatable: bool = True
    _counter: int = 0

    @property
    def zone(self) -> str:
        """The session's time zone by its name."""
        return str(self.context.state.zone)

    def fresh(self, letter: str) -> str:
        """A name that nothing else in the query has."""
        self._counter += 1
        return f"{letter}{self._counter}"

    def place(self, node: exp.Expr) -> Place | None:
        """Where a node stands in the script."""
        return None if self.views else place_of(node, self.context.statement)

    def how(self, node: exp.Expr, *, guarded: bool = True) -> Casting:
        """How to cast at a node."""
        start = None if self.views else start_of(node)
        return Casting(guarded, self.zone, -1 if start is None else start)

    def fail(self, node: exp.Expr, message: str, code: str = "E_SQL_TYPE") -> NoReturn:
        """Refuse the statement at a node."""
        raise ProgrammingError(message, code=code, place=self.place(node))

    def refuse(self, node: exp.Expr, message: str) -> NoReturn:
        """Refuse what there is none of."""
        raise unsupported(message, self.place(node))

    def param(self, value: Param, type_: SqlType) -> str:
        """A value that is known when the query runs."""
        self.params.append(value)
        return f"CAST($p{len(self.params)} AS {duck(type_)})"

    def cast(self, value: Typed, type_: SqlType, node: exp.Expr) -> Typed:
        """An expression as another type; refuses at the node what is none."""
        try:
            return coercion.cast(value, type_, self.how(node))
        except Mismatch as error:
            self.fail(node, str(error))

    def expr(self, node: exp.Expr, scope: Scope) -> Typed:
        """An expression in DuckDB's words, with its type."""
        handler = HANDLERS.get(type(node))
        if handler is None:
            self.refuse(node, f"{name_of(node)} is not supported")
        mark = len(scope.loose)
        try:
            made = handler(self, node, scope)
        except Mismatch as error:
            self.fail(node, str(error))
        if scope.keys is not None and made.sql in scope.keys:
            del scope.loose[mark:]
        return made

    def column(self, node: exp.Column, scope: Scope) -> Typed:
        """A column by its name: of this SELECT, else an alias of it, else of those around."""
        identifier = node.this
        if not isinstance(identifier, exp.Identifier):
            self.refuse(node, f"{node.sql()} is not supported as a column")
        name, exact = identifier.name, bool(identifier.args.get("quoted"))
        qualifier = _qualifier(node)
        at: Scope | None = scope
        while at is not None:
            found = self._columns(at, qualifier, name, exact=exact)
            if len(found) > 1:
                self._ambiguous(node, name)
            if found:
                return self._read(at, found[0], node)
            if not qualifier and name.lower() in at.aliases:
                return self._alias(node, at, name.lower())
            at = at.outer
        self._unknown(node, scope, qualifier, name)

    def _columns(
        self, scope: Scope, qualifier: list[tuple[str, bool]], name: str, *, exact: bool
    ) -> list[BoundColumn | Typed]:
        if not qualifier and name.lower() in scope.coalesced:
            return [scope.coalesced[name.lower()]]
        found: list[BoundColumn | Typed] = []
        for relation in scope.relations:
            if qualifier and not relation.is_called(qualifier):
                continue
            if not qualifier and name.lower() in relation.merged:
                continue
            found += relation.find(name, exact=exact)
        return found

    def _read(self, scope: Scope, found: BoundColumn | Typed, node: exp.Expr) -> Typed:
        made = found.read() if isinstance(found, BoundColumn) else found
        if not scope.aggregating:
            scope.loose.append((made.sql, node))
        return made

    def _alias(self, node: exp.Expr, scope: Scope, name: str) -> Typed:
        if name in scope.resolving:
            self.fail(node, f"alias {node.name} is defined by itself", "E_COLUMN_UNKNOWN")
        scope.resolving.append(name)
        try:
            return self.expr(scope.aliases[name], scope)
        finally:
            scope.resolving.pop()

    def _ambiguous(self, node: exp.Expr, name: str) -> NoReturn:
        self.fail(
            node,
            f"column {name} is ambiguous: say which table's, as in t.{name}",
            "E_COLUMN_AMBIGUOUS",
        )

    def _unknown(
        self, node: exp.Expr, scope: Scope, qualifier: list[tuple[str, bool]], name: str
    ) -> NoReturn:
        shown = ".".join([*(part for part, _ in reversed(qualifier)), name])
        if qualifier and not _any_called(scope, qualifier):
            table = ".".join(part for part, _ in reversed(qualifier))
            self.fail(node, f"there is no table {table} in this query's FROM", "E_COLUMN_UNKNOWN")
        relations = [r for r in scope.relations if not qualifier or r.is_called(qualifier)]
        known = [column.name for relation in relations for column in relation.shown()]
        there = f"; there are {', '.join(known[:20])}" if known else ""
        self.fail(node, f"there is no column {shown}{there}", "E_COLUMN_UNKNOWN")


def _qualifier(node: exp.Column) -> list[tuple[str, bool]]:
    """The parts before a column's name, from the last to the first; whether each is exact."""
    found = [child(node, key) for key in ("table", "db", "catalog")]
    return [(part.name, bool(part.args.get("quoted"))) for part in found if part is not None]


def _any_called(scope: Scope | None, qualifier: list[tuple[str, bool]]) -> bool:
    while scope is not None:
        if any(relation.is_called(qualifier) for relation in scope.relations):
            return True
        scope = scope.outer
    return False


def name_of(node: exp.Expr) -> str:
    """What a node is called in an error: a function by its name, anything else by its sort."""
    if isinstance(node, exp.Anonymous):
        return f"function {str(node.this).upper()}"
    if isinstance(node, exp.Func):
        return f"function {type(node).sql_name()}"
    return type(node).__name__.upper()
