"""Parameters: of the session, of the store, and those that other systems' scripts set.

A session's own value stands in front of the store's. What means nothing here is taken and kept for
SHOW PARAMETERS, with a notice; what would change results in a way we have not is refused.
"""

from dataclasses import dataclass
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from headwater.log_store.parameters import PARAMETERS, Parameter, checked, setting_of, value_of
from headwater.producer import parameters as stored
from headwater.producer.errors import ParameterInvalid
from headwater.sql.context import Context, State
from headwater.sql.errors import ProgrammingError
from headwater.sql.parse import place_of_name
from headwater.sql.results import Result, status
from headwater.sql.statements import AlterSession, OptionValue

_DONE: Final = "Statement executed successfully."
# Those of the store that a session can have to itself.
_OF_SESSIONS: Final = frozenset(
    (
        "DEFAULT_STREAM_CAPTURE",
        "DEFAULT_STREAM_CONSUMERS",
        "ERROR_ON_NONDETERMINISTIC_MERGE",
        "ERROR_ON_NONDETERMINISTIC_UPDATE",
    )
)


@dataclass(frozen=True, slots=True)
class Own:
    """A parameter that only sessions have: its default, what it does; `idle` ones do nothing."""

    default: OptionValue
    about: str
    idle: bool = False


SESSION: Final = {
    "AUTOCOMMIT": Own(True, "commit each statement by itself"),
    "STATEMENT_TIMEOUT_IN_SECONDS": Own(0, "seconds a statement may take; 0 is without end"),
    "TIMEZONE": Own("UTC", "zone of times without one, and of CURRENT_TIMESTAMP"),
    "QUERY_TAG": Own("", "a word of your own, kept with the session", idle=True),
    "LOCK_TIMEOUT": Own(0, "nothing waits for locks here", idle=True),
    "ABORT_DETACHED_QUERY": Own(False, "a statement ends with its session", idle=True),
    "USE_CACHED_RESULT": Own(False, "results are not kept", idle=True),
    "MULTI_STATEMENT_COUNT": Own(0, "a text may hold any number of statements", idle=True),
    "TIMESTAMP_TYPE_MAPPING": Own("TIMESTAMP_NTZ", "TIMESTAMP is TIMESTAMP_NTZ", idle=True),
    "WEEK_START": Own(1, "weeks begin on Monday", idle=True),
    "CLIENT_SESSION_KEEP_ALIVE": Own(True, "sessions do not expire", idle=True),
}
_ONLY: Final = {"TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ"}


def parameter_of(context: Context, parameter: Parameter) -> str:
    """What a parameter of the store is for this statement: the session's value, else the store's."""
    own = context.state.parameters.get(parameter.name)
    return value_of(context.tx.catalog, parameter) if own is None else str(own)


def flag_of(context: Context, parameter: Parameter) -> bool:
    """The same for one that is TRUE or FALSE."""
    return parameter_of(context, parameter) == "TRUE"


def session_value(state: State, name: str) -> OptionValue:
    """What a parameter that only sessions have is."""
    return state.parameters.get(name, SESSION[name].default)


def alter(context: Context, statement: AlterSession) -> Result:
    """ALTER SESSION | ACCOUNT SET | UNSET.

    Raises:
        ProgrammingError: no such parameter. ParameterInvalid: it cannot have that value.
    """
    kind = "ALTER ACCOUNT" if statement.store else "ALTER SESSION"
    for name, value in statement.settings.items():
        if statement.store:
            _known_to_store(statement, name)
            stored.set_parameter(context.tx, name, _plain(value))
        else:
            _set(context, statement, name, value)
    for name in statement.unset:
        if statement.store:
            _known_to_store(statement, name)
            stored.unset_parameter(context.tx, name)
        else:
            _known(statement, name)
            context.state.parameters.pop(name, None)
            if name == "TIMEZONE":
                context.state.zone = UTC
    return status(kind, _DONE)


def _plain(value: OptionValue) -> str | int | bool:
    return value if isinstance(value, str | int) else str(value)


def _known_to_store(statement: AlterSession, name: str) -> None:
    if name not in PARAMETERS:
        where = "; ALTER SESSION sets it" if name in SESSION else ""
        raise _unknown(statement, name, f"the store has {', '.join(PARAMETERS)}{where}")


def _known(statement: AlterSession, name: str) -> None:
    if name in _OF_SESSIONS or name in SESSION:
        return
    if name in PARAMETERS:
        raise _unknown(statement, name, "it is the store's: ALTER ACCOUNT sets it")
    raise _unknown(statement, name, f"a session has {', '.join((*sorted(_OF_SESSIONS), *SESSION))}")


def _unknown(statement: AlterSession, name: str, there: str) -> ProgrammingError:
    return ProgrammingError(
        f"a session has no parameter {name}: {there}"
        if not statement.store
        else f"the store has no parameter {name}: {there}",
        code="E_NOT_FOUND",
        place=place_of_name(name, statement) or statement.place,
    )


def _set(context: Context, statement: AlterSession, name: str, value: OptionValue) -> None:
    _known(statement, name)
    if name in PARAMETERS:
        try:
            text = checked(PARAMETERS[name], _plain(value))
        except ValueError as error:
            raise ParameterInvalid(name, str(value), str(error)) from error
        context.state.parameters[name] = text
        return
    own = SESSION[name]
    context.state.parameters[name] = _fitting(name, own, value)
    if name == "TIMEZONE":
        context.state.zone = zone_of(str(value))
    if own.idle:
        context.notices.append(f"{name} is kept and does nothing: {own.about}")


def _fitting(name: str, own: Own, value: OptionValue) -> OptionValue:
    """The value, of the kind that the parameter has."""
    if name == "TIMEZONE":
        zone_of(str(value))
        return str(value)
    if name in _ONLY and str(value).upper() != _ONLY[name]:
        raise ParameterInvalid(name, str(value), f"it is {_ONLY[name]}")
    if isinstance(own.default, bool):
        if not isinstance(value, bool):
            raise ParameterInvalid(name, str(value), "it is TRUE or FALSE")
        return value
    if isinstance(own.default, int):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**9:
            raise ParameterInvalid(name, str(value), "it is a whole number from 0")
        return value
    return str(value)


def zone_of(name: str) -> tzinfo:
    """The time zone of a name such as Europe/Berlin, or of an offset such as +02:00.

    Raises:
        ParameterInvalid: there is none.
    """
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    try:
        if name[:1] in ("+", "-"):
            hours, _, minutes = name[1:].partition(":")
            span = timedelta(hours=int(hours), minutes=int(minutes or 0))
            return timezone(-span if name[0] == "-" else span)
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        why = "name a zone such as Europe/Berlin, or an offset such as +02:00"
        raise ParameterInvalid("TIMEZONE", name[:60], why) from None


def rows(context: Context) -> list[tuple[str, str, str, str, str]]:
    """Every parameter: key, value, default, level, description."""
    state, catalog = context.state, context.tx.catalog
    found: list[tuple[str, str, str, str, str]] = []
    for name, parameter in PARAMETERS.items():
        value, level = value_of(catalog, parameter), ""
        if setting_of(catalog, parameter) is not None and value != parameter.default:
            level = "ACCOUNT"
        if name in state.parameters:
            value, level = str(state.parameters[name]), "SESSION"
        found.append((name, value, parameter.default, level, parameter.about))
    for name, own in SESSION.items():
        value = _shown(session_value(state, name))
        level = "SESSION" if name in state.parameters else ""
        found.append((name, value, _shown(own.default), level, own.about))
    return sorted(found)


def _shown(value: OptionValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
