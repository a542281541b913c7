"""What other modules offer to queries by name: INFORMATION_SCHEMA's relations, SYSTEM$ functions.

Whoever makes such rows or values notes it here when it is imported; queries look names up here and
nowhere else. Everything is worked out when the statement is bound, for the statement's own snapshot.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from headwater.schemas.types import SqlType
from headwater.sql.context import Context
from headwater.sql.results import OutColumn


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Rows made for one statement, in the inner Arrow types of their columns."""

    columns: tuple[OutColumn, ...]
    rows: pa.Table


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """One value made for one statement: a Python value, or None for NULL."""

    value: object
    type: SqlType


# By upper-case name. Arguments are constants, worked out before; named ones by upper-case name.
INFORMATION: Final[dict[str, Callable[[Context], Made]]] = {}
TABLE_FUNCTIONS: Final[
    dict[str, Callable[[Context, Sequence[object], Mapping[str, object]], Made]]
] = {}
SCALARS: Final[dict[str, Callable[[Context, Sequence[object]], Value]]] = {}
# A session's TEMPORARY tables: the rows of one, None if there is none of that name.
TEMPORARY: Final[list[Callable[[Context, str], Made | None]]] = []
