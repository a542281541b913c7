"""Changes that other systems wrote: Debezium's envelopes as they come from a topic. Pure.

A topic that is adopted keeps the shape its connector gave it: keys and values as Avro or JSON, with
or without a schema, column types as Kafka Connect names them. What comes out of this room is one
`ForeignChange` per message, its columns by name, each in a Python value that a column's assignment
cast takes (see `values.to_plain`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from headwater.schemas.delivery import Delivered
from headwater.schemas.types import SqlType


class Unavailable:
    """The value of a column that the source did not send, because it had not changed (TOAST)."""

    def __repr__(self) -> str:
        return "UNAVAILABLE"


UNAVAILABLE: Final = Unavailable()
# What Debezium writes for such a column, unless it was told otherwise.
PLACEHOLDER: Final = "__debezium_unavailable_value"

Fields = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ForeignColumn:
    """A column as the topic declares it: its type here, and what turns its values into ours."""

    name: str
    type: SqlType
    optional: bool
    convert: Callable[[object], object] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ForeignShape:
    """The columns of a topic's rows, and the names of those in its key (none: rows without one)."""

    columns: tuple[ForeignColumn, ...]
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForeignChange:
    """One row change: `op` is c, u, d, r (a snapshot's row), or t (every row goes).

    `before` may be None on u and d, where the source keeps no old images. A value in `after` may be
    UNAVAILABLE. `delivered` is where it stands in the order of delivery, None where the source
    says nothing that rises; `transaction` is the source's, "" where it is not told.
    """

    op: str
    key: Fields | None
    before: Fields | None
    after: Fields | None
    delivered: Delivered | None = None
    transaction: str = ""
    time_ms: int | None = None


def named_key(names: Sequence[str], *images: Fields | None) -> list[object] | None:
    """The key's values in order, from the first image that has them all; None if none has."""
    for image in images:
        if image is not None and all(name in image for name in names):
            return [image[name] for name in names]
    return None
