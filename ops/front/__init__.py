"""Headwater: tables that remember. The front door; every name here loads on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from headwater.ops.api import Database as Database
    from headwater.ops.api import connect as connect
    from headwater.ops.api_pep249 import BINARY as BINARY
    from headwater.ops.api_pep249 import DATETIME as DATETIME
    from headwater.ops.api_pep249 import NUMBER as NUMBER
    from headwater.ops.api_pep249 import ROWID as ROWID
    from headwater.ops.api_pep249 import STRING as STRING
    from headwater.ops.api_pep249 import Binary as Binary
    from headwater.ops.api_pep249 import Date as Date
    from headwater.ops.api_pep249 import DateFromTicks as DateFromTicks
    from headwater.ops.api_pep249 import Time as Time
    from headwater.ops.api_pep249 import TimeFromTicks as TimeFromTicks
    from headwater.ops.api_pep249 import Timestamp as Timestamp
    from headwater.ops.api_pep249 import TimestampFromTicks as TimestampFromTicks
    from headwater.sql.errors import DatabaseError as DatabaseError
    from headwater.sql.errors import DataError as DataError
    from headwater.sql.errors import Error as Error
    from headwater.sql.errors import IntegrityError as IntegrityError
    from headwater.sql.errors import InterfaceError as InterfaceError
    from headwater.sql.errors import InternalError as InternalError
    from headwater.sql.errors import NotSupportedError as NotSupportedError
    from headwater.sql.errors import OperationalError as OperationalError
    from headwater.sql.errors import ProgrammingError as ProgrammingError
    from headwater.sql.errors import Warning as Warning

# PEP 249: binds may also be %s, :name and %(name)s; threads may share the module and connections.
apilevel: Final = "2.0"
threadsafety: Final = 2
paramstyle: Final = "qmark"

_API: Final = ("connect", "Database")
_ERRORS: Final = (
    "Warning",
    "Error",
    "InterfaceError",
    "DatabaseError",
    "DataError",
    "IntegrityError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
)
_TYPES: Final = (
    "BINARY",
    "Binary",
    "DATETIME",
    "Date",
    "DateFromTicks",
    "NUMBER",
    "ROWID",
    "STRING",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
)
_DOORS: Final = {
    **dict.fromkeys(_API, "headwater.ops.api"),
    **dict.fromkeys(_ERRORS, "headwater.sql.errors"),
    **dict.fromkeys(_TYPES, "headwater.ops.api_pep249"),
}
__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "Binary",
    "DataError",
    "Database",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "threadsafety",
]


def __getattr__(name: str) -> object:
    if name in _DOORS:
        return getattr(import_module(_DOORS[name]), name)
    raise AttributeError(f"module 'headwater' has no attribute {name!r}")
