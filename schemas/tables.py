"""Table schemas: columns by id, keys, generations. Frozen, comparable, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from headwater.schemas.types import Plain, SqlType


@dataclass(frozen=True, slots=True)
class AutoIncrement:
    """A column that numbers its rows: start, start + step, .. ; gaps are possible."""

    start: int = 1
    step: int = 1


@dataclass(frozen=True, slots=True)
class Column:
    """A column by its id, which a rename keeps and no other column of the table ever gets.

    `avro_name` is its field on the log. `default` fills an INSERT that leaves the column out;
    `fill` stands in images older than the column. `default_call` is CURRENT_TIMESTAMP or
    CURRENT_DATE where the default is the commit's clock.
    """

    id: int
    name: str
    type: SqlType
    avro_name: str
    nullable: bool = True
    default: Plain = None
    default_call: str | None = None
    fill: Plain = None
    auto: AutoIncrement | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class TableSchema:
    """The columns of one table, one generation; ALTER makes the next one.

    `key` holds column ids in key order, empty for a table without a key. `schema_id` and
    `key_schema_id` are the registry's ids of its value and key. `used_names` are all Avro field
    names ever given, so that none is given twice.
    """

    number: int
    columns: tuple[Column, ...]
    key: tuple[int, ...]
    next_column_id: int
    used_names: tuple[str, ...]
    schema_id: int = 0
    key_schema_id: int = 0
    # Where the key's columns stand in a row, in key order.
    key_positions: tuple[int, ...] = field(init=False, repr=False, compare=False)
    # The same for all columns by name, as declared and in lower case; see `position`.
    positions: dict[str, int] = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Worked out once: every row that is looked up by name asks for them.
        at = {column.id: position for position, column in enumerate(self.columns)}
        object.__setattr__(self, "key_positions", tuple(at[i] for i in self.key))
        positions: dict[str, int] = {}
        for position, column in enumerate(self.columns):
            positions.setdefault(column.name.lower(), position)
        for position, column in enumerate(self.columns):
            positions.setdefault(column.name, position)
        object.__setattr__(self, "positions", positions)
        # Caches look schemas up at every commit: hashing all columns would cost more than the rest.
        hashed = hash((self.number, self.schema_id, self.next_column_id, self.key))
        object.__setattr__(self, "_hash", hashed)

    def __hash__(self) -> int:
        return self._hash

    @property
    def names(self) -> list[str]:
        """Column names in order."""
        return [column.name for column in self.columns]

    @property
    def key_columns(self) -> list[Column]:
        """The key's columns in key order; empty for a table without a key."""
        by_id = {column.id: column for column in self.columns}
        return [by_id[i] for i in self.key]

    def position(self, name: str) -> int | None:
        """Where a column stands; names match without case, None if there is none."""
        return self.positions.get(name.lower())


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """A column as a user asks for it, before it has an id."""

    name: str
    type: SqlType
    nullable: bool = True
    default: object = None
    default_call: str | None = None
    auto: AutoIncrement | None = None
    comment: str = ""


TableSpec = Sequence[ColumnSpec]
