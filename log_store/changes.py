"""What a transaction did to one table, ready to be sequenced: ops, images, keys.

Two shapes of one thing. `Rows` holds a few changes as Python lists; `Columns` holds many as Arrow
and numpy. Both keep statement order. Images are Avro records of the table's current generation,
or, for a before image, bytes as they are stored in that same generation (already re-encoded where
the row was older). Keys are Avro key records; empty bytes for a table without a key.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa


class RowChange(NamedTuple):
    """One event to be: `op` is ord of c, u, d or r.

    `seen` is the version the row was read at, 0 for a row this transaction made or has already
    changed. `pair` is the distance to the other half of a key change: positive on its d,
    negative on its c, else 0.
    """

    op: int
    row_id: int
    before: bytes | None
    after: bytes | None
    old_key: bytes = b""
    new_key: bytes = b""
    seen: int = 0
    pair: int = 0


@dataclass(frozen=True, slots=True)
class Rows:
    """A run of changes, row by row."""

    changes: list[RowChange]

    def __len__(self) -> int:
        return len(self.changes)


@dataclass(frozen=True, slots=True)
class Columns:
    """A run of changes of any size that fits memory, column by column.

    `before` and `after` are null where there is no image; `old_keys` and `new_keys` are null in a
    table without a key and where that side does not exist.
    """

    ops: npt.NDArray[np.uint8]
    row_ids: npt.NDArray[np.int64]
    before: pa.BinaryArray | None
    after: pa.BinaryArray | None
    old_keys: pa.BinaryArray | None
    new_keys: pa.BinaryArray | None
    seen: npt.NDArray[np.int64] | None = None
    pairs: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.ops)


Segment = Rows | Columns


@dataclass(slots=True, kw_only=True)
class TableChanges:
    """All of one transaction's changes of one table. Never changed once made.

    `segments` can be iterated several times and may read from disk. `count` events in all, with
    `byte_size` bytes of images. `generation` is the schema generation the images are in; the
    commit is refused if the table has another by then. `autos` are the next AUTOINCREMENT values
    by column id. `keys_checked_at` is the table version at which the keys were found free: while
    the head is still there, the log need not look again.
    """

    segments: Iterable[Segment]
    count: int
    generation: int
    byte_size: int = 0
    keys_checked_at: int = -1
    autos: Mapping[int, int] = field(default_factory=dict[int, int])

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments)
