"""Binds: values that are sent beside a text and never become a part of it.

`?` and `%s` take the values of a sequence in order, `:2` one of them by its number; `:name` and
`%(name)s` take those of a mapping. Positions are counted over the whole script, see `parse_binds`.
"""

from collections.abc import Mapping, Sequence
from typing import Final, cast

from sqlglot import exp

from headwater.sql.context import Binds
from headwater.sql.errors import InterfaceError, ProgrammingError
from headwater.sql.parse_binds import Key, bind_of
from headwater.sql.statements import Statement

NONE: Final[Binds] = ()
# What most binds are: no mapping, at a look.
_LISTS: Final = frozenset({tuple, list})


def bind_value(binds: Binds, key: Key) -> object:
    """The value sent for a bind.

    Raises:
        ProgrammingError: none was sent.
    """
    if isinstance(key, int):
        # Most are told to be no mapping at a look.
        if type(binds) in _LISTS or not isinstance(binds, Mapping):
            listed = cast("Sequence[object]", binds)
            if key < len(listed):
                return listed[key]
    elif isinstance(binds, Mapping):
        if key in binds:
            return binds[key]
        for name, value in binds.items():
            if name.lower() == key.lower():
                return value
    raise missing(key, binds)


def placeholder_value(binds: Binds, node: exp.Placeholder) -> object:
    """The value sent for a placeholder of a tree; see `bind_value`."""
    return bind_value(binds, bind_of(node))


def missing(key: Key, binds: Binds) -> ProgrammingError:
    """The error that a bind has no value."""
    if isinstance(key, str):
        given = f"given are {', '.join(binds) or 'none'}" if isinstance(binds, Mapping) else ""
        hint = given or "give the values as a mapping by name"
        return ProgrammingError(f"there is no value for :{key}: {hint}", code="E_SQL_BINDS")
    if isinstance(binds, Mapping):
        said = "the text has binds without a name: give the values as a sequence"
        return ProgrammingError(said, code="E_SQL_BINDS")
    said = f"the text has a bind number {key + 1}, but {len(binds)} values were given"
    return ProgrammingError(said, code="E_SQL_BINDS")


def checked(statements: Sequence[Statement], binds: Binds) -> Binds:
    """These binds, if they are what the statements of a script need.

    Raises:
        InterfaceError: neither a sequence nor a mapping.
        ProgrammingError: a value too few or too many.
    """
    if type(binds) in _LISTS and len(statements) == 1:
        only = statements[0]
        if only.in_order and len(only.binds) == len(binds):
            return binds
    if isinstance(binds, str | bytes) or not hasattr(binds, "__getitem__"):
        raise InterfaceError(
            f"binds are a sequence or a mapping, not {type(binds).__name__}", code="E_SQL_BINDS"
        )
    keys = [key for statement in statements for key in statement.binds]
    for key in keys:
        bind_value(binds, key)
    if not isinstance(binds, Mapping):
        there = max((key + 1 for key in keys if isinstance(key, int)), default=0)
        if len(binds) > there:
            raise ProgrammingError(
                f"the text has {there} binds, but {len(binds)} values were given",
                code="E_SQL_BINDS",
            )
    return binds
