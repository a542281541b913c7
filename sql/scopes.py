"""What a name can mean at one place of a query: relations, their columns, aliases, CTEs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from headwater.schemas.types import SqlType
from headwater.sql.typed import Typed
from headwater.sql.typing_duck import derived


@dataclass(slots=True, eq=False)
class BoundColumn:
    """A column that can be named.

    `sql` is what stands for it in DuckDB; `raw` the same as it is stored, where it is a table's
    own. Hidden ones come by name only. `use` notes that it is read.
    """

    name: str
    type: SqlType
    sql: str
    raw: str | None = None
    hidden: bool = False
    nullable: bool = True
    use: Callable[[], None] | None = None

    def read(self) -> Typed:
        """The column as an expression."""
        if self.use is not None:
            self.use()
        return Typed(
            self.sql, derived(self.type), raw=self.raw, declared=self.type, nullable=self.nullable
        )


@dataclass(slots=True, eq=False)
class Relation:
    """What stands in FROM: the parts of its name from the last to the first, and its columns.

    `merged` are columns that USING or NATURAL shows once, through the relation before.
    """

    names: tuple[str, ...]
    columns: list[BoundColumn]
    merged: set[str] = field(default_factory=set[str])

    def find(self, name: str, *, exact: bool) -> list[BoundColumn]:
        """The columns of that name; without case unless exact."""
        if exact:
            return [column for column in self.columns if column.name == name]
        low = name.lower()
        return [column for column in self.columns if column.name.lower() == low]

    def is_called(self, parts: Sequence[tuple[str, bool]]) -> bool:
        """Whether a qualifier, its parts from the last to the first, means this one."""
        if len(parts) > len(self.names):
            # A database before the schema is the store itself.
            parts = parts[: len(self.names)] if len(self.names) > 1 else parts
        if len(parts) > len(self.names):
            return False
        return all(
            own == part if exact else own.lower() == part.lower()
            for (part, exact), own in zip(parts, self.names, strict=False)
        )

    def shown(self) -> list[BoundColumn]:
        """The columns of `*`."""
        return [c for c in self.columns if not c.hidden and c.name.lower() not in self.merged]


@dataclass(slots=True, eq=False)
class Shared:
    """A WITH query: its name in DuckDB and the columns it gives."""

    sql: str
    columns: list[tuple[str, SqlType]]


@dataclass(slots=True, eq=False)
class Scope:
    """The names of one SELECT, and through `outer` those around it.

    `keys` are the texts it groups by, None where it does not group. `loose` are its columns read
    outside of aggregates since; those inside a key are taken off again.
    """

    outer: "Scope | None" = None
    relations: list[Relation] = field(default_factory=list[Relation])
    shared: dict[str, Shared] = field(default_factory=dict[str, Shared])
    aliases: dict[str, exp.Expr] = field(default_factory=dict[str, exp.Expr])
    coalesced: dict[str, Typed] = field(default_factory=dict[str, Typed])
    keys: set[str] | None = None
    loose: list[tuple[str, exp.Expr]] = field(default_factory=list[tuple[str, exp.Expr]])
    aggregating: int = 0
    resolving: list[str] = field(default_factory=list[str])
    windows: dict[str, exp.Expr] = field(default_factory=dict[str, exp.Expr])
    has_aggregates: bool = False
    may_aggregate: bool = True
    may_window: bool = True

    def shared_query(self, name: str) -> Shared | None:
        """The WITH query of a name, the innermost first."""
        found = self.shared.get(name.lower())
        if found is None and self.outer is not None:
            return self.outer.shared_query(name)
        return found
