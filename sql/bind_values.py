"""The values that a program sends beside its text."""

from collections.abc import Mapping

from sqlglot import exp

from headwater.sql.context import Context
from headwater.sql.errors import ProgrammingError
from headwater.sql.trees import place_of

# In the meta of an exp.Placeholder: which bind it stands for, an int from 0 or a name.
BIND_KEY = "headwater.bind"


def bind_value(context: Context, node: exp.Placeholder) -> object:
    """The value of a bind.

    Raises:
        ProgrammingError: none was given for it.
    """
    key: object = node.meta.get(BIND_KEY)
    binds, place = context.binds, place_of(node, context.statement)
    if isinstance(key, str):
        if isinstance(binds, Mapping) and key in binds:
            return binds[key]
        raise ProgrammingError(f"no value was given for {key}", code="E_BIND_MISSING", place=place)
    position = key if isinstance(key, int) else 0
    if isinstance(binds, Mapping):
        found: object = binds.get(str(position + 1), Mapping)
        if found is Mapping:
            raise ProgrammingError(
                "this bind has no name: give its values as a sequence",
                code="E_BIND_MISSING",
                place=place,
            )
        return found
    if position >= len(binds):
        raise ProgrammingError(
            f"{position + 1} values are wanted, {len(binds)} were given",
            code="E_BIND_MISSING",
            place=place,
        )
    return binds[position]
