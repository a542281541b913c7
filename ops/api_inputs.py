"""From what a Python user hands over to plain rows: dicts, tuples, keys, conditions, setters."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol, cast

import pyarrow.compute as pc

from headwater.log_store.catalog import TableObject
from headwater.ops.errors import BadArgument
from headwater.schemas.tables import TableSchema
from headwater.schemas.types import Row
from headwater.schemas.values import assigners

RowDict = dict[str, object]


class HasId(Protocol):
    """A handle on a table or stream, by its object id."""

    @property
    def id(self) -> int: ...


# Most keys are of these: one value, neither a mapping nor a sequence of several.
_PLAIN_KEYS: Final = frozenset({int, str, bytes})

# What an UPDATE sets: a value, or a function of the row as it was.
Setter = object | Callable[[RowDict], object]
# Which rows: an Arrow expression, values to equal, or a function of the row.
Where = pc.Expression | Mapping[str, object] | Callable[[RowDict], bool]


def is_columnar(data: object) -> bool:
    """Whether it is Arrow, a DataFrame, or anything else that streams Arrow."""
    return hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")


def held(data: object) -> object:
    """What is given, such that it can be read more than once: of a bare iterator a list."""
    return list(cast("Iterable[object]", data)) if _flows(data) and not is_columnar(data) else data


def read_once(data: object) -> bool:
    """Whether it is a stream of Arrow that is gone when it has been read."""
    return _flows(data) and is_columnar(data)


def _flows(data: object) -> bool:
    return hasattr(type(data), "__next__")


def as_rows(data: object) -> list[Mapping[str, object] | Sequence[object]]:
    """The rows in one dict, or in an iterable of dicts or tuples."""
    if isinstance(data, Mapping):
        return [cast("Mapping[str, object]", data)]
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        raise BadArgument(
            f"rows cannot be made of {type(data).__name__}: "
            "give a dict, a list of dicts or tuples, Arrow or a DataFrame"
        )
    rows = list(cast("Iterable[object]", data))
    for row in rows:
        if isinstance(row, str | bytes) or not isinstance(row, Mapping | Sequence):
            raise BadArgument(f"a row is a dict or a tuple, not {type(row).__name__}")
    return cast("list[Mapping[str, object] | Sequence[object]]", rows)


def named_values(
    schema: TableSchema, table: str, row: Mapping[str, object] | Sequence[object]
) -> dict[int, object]:
    """A row's values by column position; names match without case.

    Raises:
        BadArgument: a name that is no column, or a tuple of another length.
    """
    if not isinstance(row, Mapping):
        if len(row) != len(schema.columns):
            raise BadArgument(
                f"table {table} has {len(schema.columns)} columns, the row has {len(row)}: "
                "give one value for each, or a dict"
            )
        return dict(enumerate(row))
    found: dict[int, object] = {}
    positions = schema.positions
    for name, value in row.items():
        position = positions.get(name)
        if position is None and (position := schema.position(name)) is None:
            raise BadArgument(
                f"table {table} has no column {name}: it has {', '.join(schema.names)}"
            )
        found[position] = value
    return found


def key_values(of: TableObject, key: object) -> Row:
    """The plain values of a key, in key order.

    Raises:
        BadArgument: the table has no key, or the key has another number of columns.
        ValueRefused: a value that its column cannot hold.
    """
    schema = of.schema
    if not schema.key:
        raise BadArgument(f"table {of.name} has no primary key: say which rows with where=")
    parts: list[object]
    if type(key) in _PLAIN_KEYS:
        parts = [key]
    elif isinstance(key, Mapping):
        given = named_values(schema, of.name, cast("Mapping[str, object]", key))
        parts = [given.get(position) for position in schema.key_positions]
    elif isinstance(key, Sequence) and not isinstance(key, str | bytes):
        parts = list(cast("Sequence[object]", key))
    else:
        parts = [key]
    if len(parts) != len(schema.key):
        names = ", ".join(column.name for column in schema.key_columns)
        raise BadArgument(f"the key of table {of.name} is ({names}): give {len(schema.key)} values")
    assign = assigners(schema)
    return tuple([assign[at](value) for at, value in zip(schema.key_positions, parts, strict=True)])
