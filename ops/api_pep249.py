"""PEP 249's names for values and sorts of columns."""

from datetime import UTC, date, datetime, time
from typing import Final

from headwater.schemas.types import Kind, SqlType


class TypeObject:
    """A sort of columns: equal to the `type_code` of each of them."""

    def __init__(self, name: str, *kinds: Kind) -> None:
        self.name, self.kinds = name, frozenset(kinds)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, SqlType):
            return other.kind in self.kinds
        return self is other

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return self.name


STRING: Final = TypeObject("STRING", Kind.VARCHAR, Kind.VARIANT, Kind.OBJECT, Kind.ARRAY)
BINARY: Final = TypeObject("BINARY", Kind.BINARY)
NUMBER: Final = TypeObject("NUMBER", Kind.INT, Kind.DECIMAL, Kind.FLOAT)
DATETIME: Final = TypeObject(
    "DATETIME",
    Kind.DATE,
    Kind.TIME,
    Kind.TIMESTAMP_NTZ,
    Kind.TIMESTAMP_LTZ,
    Kind.TIMESTAMP_TZ,
)
ROWID: Final = TypeObject("ROWID")

Binary: Final = bytes
Date: Final = date
Time: Final = time
Timestamp: Final = datetime


def DateFromTicks(ticks: float) -> date:
    """The date, in UTC, of seconds since 1970."""
    return datetime.fromtimestamp(ticks, UTC).date()


def TimeFromTicks(ticks: float) -> time:
    """The time of day, in UTC, of seconds since 1970."""
    return datetime.fromtimestamp(ticks, UTC).time()


def TimestampFromTicks(ticks: float) -> datetime:
    """The moment, in UTC, of seconds since 1970."""
    return datetime.fromtimestamp(ticks, UTC)
