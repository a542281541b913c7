"""The parameters of a store: what there are, what they may be, what they are. Pure.

A parameter is a `Setting` of the catalog, kept as text; one that was never set, or unset, stands
at its default. Sessions may keep values of their own in front of these.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from headwater.log_store.catalog import Capture, Catalog, Setting, Sharing


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: `words` it may be (none: a whole number of at least `least`).

    `default` is as it is shown; an empty one means that there is no limit.
    """

    name: str
    default: str
    about: str
    words: tuple[str, ...] = ()
    least: int = 0


_BOOLEAN: Final = ("TRUE", "FALSE")

DEFAULT_STREAM_CAPTURE: Final = Parameter(
    "DEFAULT_STREAM_CAPTURE",
    "ALL",
    "what a stream captures that does not say it",
    tuple(one.value for one in Capture),
)
DEFAULT_STREAM_CONSUMERS: Final = Parameter(
    "DEFAULT_STREAM_CONSUMERS",
    "INDEPENDENT",
    "whether each consumer of a stream has a watermark of its own, where it does not say it",
    tuple(one.value for one in Sharing),
)
NONDETERMINISTIC_MERGE: Final = Parameter(
    "ERROR_ON_NONDETERMINISTIC_MERGE",
    "TRUE",
    "refuse a MERGE in which several source rows trigger a clause for one row",
    _BOOLEAN,
)
NONDETERMINISTIC_UPDATE: Final = Parameter(
    "ERROR_ON_NONDETERMINISTIC_UPDATE",
    "TRUE",
    "refuse an UPDATE .. FROM in which several source rows match one row",
    _BOOLEAN,
)
IDEMPOTENCY_DAYS: Final = Parameter(
    "IDEMPOTENCY_RETENTION_DAYS",
    "7",
    "days for which the key of an idempotent request is remembered",
    least=1,
)
RETENTION_DAYS: Final = Parameter(
    "DATA_RETENTION_TIME_IN_DAYS",
    "",
    "days of history that tables keep which do not say it; empty keeps all",
)
EXTENSION_DAYS: Final = Parameter(
    "MAX_DATA_EXTENSION_TIME_IN_DAYS",
    "14",
    "days by which history is kept longer for registered consumers that are behind",
)

PARAMETERS: Final = {
    one.name: one
    for one in (
        DEFAULT_STREAM_CAPTURE,
        DEFAULT_STREAM_CONSUMERS,
        NONDETERMINISTIC_MERGE,
        NONDETERMINISTIC_UPDATE,
        IDEMPOTENCY_DAYS,
        RETENTION_DAYS,
        EXTENSION_DAYS,
    )
}


def setting_of(catalog: Catalog, parameter: Parameter) -> Setting | None:
    """The setting that stands for a parameter; None if it was never set."""
    found = catalog.find("setting", 0, parameter.name)
    return found if isinstance(found, Setting) else None


def value_of(catalog: Catalog, parameter: Parameter) -> str:
    """What a parameter is, its default where it is not set."""
    found = setting_of(catalog, parameter)
    return parameter.default if found is None or found.value is None else found.value


def flag_of(catalog: Catalog, parameter: Parameter) -> bool:
    """What a parameter is that is TRUE or FALSE."""
    return value_of(catalog, parameter) == "TRUE"


def number_of(catalog: Catalog, parameter: Parameter) -> int | None:
    """What a parameter is that is a number; None for no limit."""
    text = value_of(catalog, parameter)
    return int(text) if text else None


def checked(parameter: Parameter, value: str | int | bool) -> str:
    """A value as it is kept. Raises ValueError with what the parameter may be."""
    text = str(value).strip().upper()
    if parameter.words:
        plain = text.replace("_", " ")
        if plain not in parameter.words:
            raise ValueError(f"it is one of {', '.join(parameter.words)}")
        return plain
    if not text and not parameter.default:
        return text
    if not (text.isascii() and text.isdigit()) or len(text) > 6 or int(text) < parameter.least:
        raise ValueError(f"it is a whole number from {parameter.least} to 999999")
    return str(int(text))


def listed(catalog: Catalog) -> Iterator[tuple[Parameter, str]]:
    """Every parameter with what it is."""
    for parameter in PARAMETERS.values():
        yield parameter, value_of(catalog, parameter)
