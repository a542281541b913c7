"""Parameters as a statement finds them: the session's value, else the store's, else the built-in."""

from headwater.producer.parameters import read_parameter
from headwater.sql.context import Context
from headwater.sql.statements import OptionValue


def setting(context: Context, name: str) -> OptionValue:
    """What a parameter is for this statement.

    Raises:
        NotFound: there is no such parameter.
    """
    own = context.state.parameters.get(name)
    return read_parameter(context.tx, name) if own is None else own


def is_on(context: Context, name: str) -> bool:
    """Whether a parameter that is TRUE or FALSE is TRUE."""
    return str(setting(context, name)).upper() == "TRUE"
