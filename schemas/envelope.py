"""Events: row changes in Debezium's relational envelope, numbered as a commit goes on.

    event       := before after source transaction op:STRING opt(ts_ms) opt(ts_us) 0x00
    before,
    after       := 0x00 | 0x02 image
    source      := version connector name ts_ms 0x00 snapshot db
                   opt(sequence) opt(ts_us) 0x00 schema table opt(txId) opt(lsn) 0x00
                   opt(commit_version) opt(event_seq) opt(event_count) opt(row_id) opt(pair_seq)
                   opt(epoch)
    transaction := 0x00 | 0x02 id total_order data_collection_order
    opt(x)      := 0x00 | 0x02 x

What is constant within a commit is encoded once, when the writer is made.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.schemas.columns_encode import long_pieces
from headwater.schemas.columns_events import (
    Template,
    concatenated,
    image_pieces,
    join_all,
    pair_piece,
    runs,
    sequence_head,
)
from headwater.schemas.varints import NULL, SHORT, SOME, encode_long, encode_string

_FEW: Final = 512  # below this many changes, row by row is faster than column by column
CONNECTOR: Final = "headwater"
OP_SIZE: Final = SHORT[1 << 1]
OPS: Final = {op: OP_SIZE + bytes((op,)) for op in b"cudr"}
_FIRST: Final = SHORT[1 << 1]
_LSN: Final = SOME  # txId ends, the branch of lsn
_VERSION: Final = NULL + SOME  # lsn ends, xmin, the branch of commit_version
_EPOCH: Final = NULL + SOME  # row_id ends, no pair_seq, the branch of epoch


class RowChangeLike(Protocol):
    """One row change: `op` is ord of c, u, d or r; `pair` the distance to its other half, or 0."""

    @property
    def op(self) -> int: ...
    @property
    def row_id(self) -> int: ...
    @property
    def before(self) -> bytes | None: ...
    @property
    def after(self) -> bytes | None: ...
    @property
    def pair(self) -> int: ...


class _Change(NamedTuple):
    op: int
    row_id: int
    before: bytes | None
    after: bytes | None
    pair: int


class EventConstants(NamedTuple):
    """What is the same in all events of one table in one commit, and where their numbers start.

    `snapshot` marks rows of an initial snapshot: source.snapshot `true`, no transaction.
    """

    product: str
    name: str
    db: str
    schema: str
    table: str
    ts_us: int
    written_us: int
    version: int
    sequence: int
    event_count: int
    epoch: int
    commit_id: str
    first_event_seq: int
    first_total_order: int
    first_table_order: int
    snapshot: bool = False


class Segments(NamedTuple):
    """The constant bytes of an event's end, in order; what varies stands between them."""

    head: bytes  # version .. the branch of sequence; then its length
    sequence: bytes  # '["<commit_version>","'; then the digits of event_seq
    named: bytes  # '"]' .. the branch of lsn; then event_seq
    versioned: bytes  # .. the branch of event_seq; then event_seq
    counted: bytes  # .. the branch of row_id; then row_id, then pair_seq
    in_commit: bytes  # epoch .. transaction.id; then both orders, then op
    written: bytes  # the rest


@lru_cache(maxsize=1024)
def _texts(product: str, name: str, db: str, state: str) -> tuple[bytes, bytes]:
    """What stands before and after the commit's time at the start of `source`."""
    before = encode_string(product) + encode_string(CONNECTOR) + encode_string(name)
    # snapshot's first branch is the string.
    return before, NULL + encode_string(state) + encode_string(db) + SOME


@lru_cache(maxsize=1024)
def _place(schema: str, table: str) -> bytes:
    return NULL + encode_string(schema) + encode_string(table) + SOME


@lru_cache(maxsize=64)
def _millis(time_ms: int) -> bytes:
    """A time in milliseconds, which commits close to each other share."""
    return encode_long(time_ms)


def segments_of(c: EventConstants) -> Segments:
    """The constant bytes of a commit's events."""
    before, after = _texts(c.product, c.name, c.db, "true" if c.snapshot else "false")
    time_us = encode_long(c.ts_us)
    written_us = time_us if c.written_us == c.ts_us else encode_long(c.written_us)
    return Segments(
        before + _millis(c.ts_us // 1000) + after,
        b'["%d","' % c.version,
        b'"]' + SOME + time_us + _place(c.schema, c.table) + encode_long(c.sequence) + SOME,
        NULL + SOME + encode_long(c.version) + SOME,
        SOME + encode_long(c.event_count) + SOME,
        SOME + encode_long(c.epoch) + (NULL if c.snapshot else SOME + encode_string(c.commit_id)),
        SOME + _millis(c.written_us // 1000) + SOME + written_us + NULL,
    )


@lru_cache(maxsize=1024)
def _frame(product: str, name: str, db: str, schema: str, table: str) -> tuple[bytes, ...]:
    """What is the same in all events of a table: before ts_ms, after it, and where it stands."""
    return *_texts(product, name, db, "false"), _place(schema, table)


def only_event(c: EventConstants, change: RowChangeLike) -> bytes:
    """The event of a commit that changes one row of this table, no half of a key change.

    The bytes that `EventWriter.rows` gives for it, in one go: most commits are of one row.
    """
    product, name, db, schema, table, ts_us, written_us, version, sequence, count = c[:10]
    epoch, commit_id, seq, total, order = c[10:15]
    head, after_ms, place = _frame(product, name, db, schema, table)
    before, after, text = change.before, change.after, b'["%d","%d"]' % (version, seq)
    time_us, number = encode_long(ts_us), encode_long(seq)
    return b"".join(
        (
            NULL if before is None else SOME + before,
            NULL if after is None else SOME + after,
            head,
            _millis(ts_us // 1000),
            after_ms,
            SHORT[len(text) << 1],
            text,
            SOME,
            time_us,
            place,
            encode_long(sequence),
            _LSN,
            number,
            _VERSION,
            encode_long(version),
            SOME,
            number,
            SOME,
            _FIRST if count == 1 else encode_long(count),
            SOME,
            encode_long(change.row_id),
            _EPOCH,
            encode_long(epoch),
            SOME,
            encode_string(commit_id),
            _FIRST if total == 1 else encode_long(total),
            _FIRST if order == 1 else encode_long(order),
            OPS[change.op],
            SOME,
            _millis(written_us // 1000),
            SOME,
            time_us if written_us == ts_us else encode_long(written_us),
            NULL,
        )
    )


class EventWriter:
    """Writes the events of one table in one commit, in order, numbering them as it goes."""

    def __init__(self, constants: EventConstants) -> None:
        self.constants: Final = constants
        self.segments: Final = segments_of(constants)
        self.written = 0
        """How many events it has written."""

    def rows(self, changes: Sequence[RowChangeLike]) -> list[bytes]:
        """The next events, one for each change."""
        c, s = self.constants, self.segments
        join, long, snapshot = b"".join, encode_long, c.snapshot
        seq = c.first_event_seq + self.written
        total = c.first_total_order + self.written
        order = c.first_table_order + self.written
        events: list[bytes] = []
        for change in changes:
            before, after, pair = change.before, change.after, change.pair
            number = long(seq)
            text = s.sequence + b"%d" % seq
            events.append(
                join(
                    (
                        NULL if before is None else SOME + before,
                        NULL if after is None else SOME + after,
                        s.head,
                        SHORT[len(text) + 2 << 1],
                        text,
                        s.named,
                        number,
                        s.versioned,
                        number,
                        s.counted,
                        long(change.row_id),
                        SOME + long(seq + pair) if pair else NULL,
                        s.in_commit,
                        b"" if snapshot else long(total) + long(order),
                        OPS[change.op],
                        s.written,
                    )
                )
            )
            seq, total, order = seq + 1, total + 1, order + 1
        self.written += len(events)
        return events

    def columns(
        self,
        ops: npt.NDArray[np.uint8],
        row_ids: npt.NDArray[np.int64],
        before: pa.BinaryArray | None,
        after: pa.BinaryArray | None,
        pairs: npt.NDArray[np.int64] | None,
    ) -> tuple[npt.NDArray[np.int64], bytes]:
        """The next events from columns: offsets, one more than events, and the bytes.

        `before` and `after` are null where a change has no such image; `pairs` are distances.
        """
        if len(ops) >= _FEW:
            return self.by_columns(ops, row_ids, before, after, pairs)
        nothing = [None] * len(ops)
        changes = map(
            _Change,
            ops.tolist(),
            row_ids.tolist(),
            nothing if before is None else before.to_pylist(),
            nothing if after is None else after.to_pylist(),
            [0] * len(ops) if pairs is None else pairs.tolist(),
        )
        events = self.rows(list(changes))
        offsets = np.zeros(len(events) + 1, np.int64)
        np.cumsum([len(event) for event in events], out=offsets[1:])
        return offsets, b"".join(events)

    def by_columns(
        self,
        ops: npt.NDArray[np.uint8],
        row_ids: npt.NDArray[np.int64],
        before: pa.BinaryArray | None,
        after: pa.BinaryArray | None,
        pairs: npt.NDArray[np.int64] | None,
    ) -> tuple[npt.NDArray[np.int64], bytes]:
        """`columns` through numpy however few changes there are."""
        parts: list[pa.BinaryArray] = []
        c, done = self.constants, self.written
        firsts = c.first_event_seq + done, c.first_total_order + done, c.first_table_order + done
        image_bytes = sum(0 if images is None else images.nbytes for images in (before, after))
        for start, end in runs(len(ops), firsts, image_bytes):
            count = end - start
            parts.append(
                self._run(
                    ops[start:end],
                    row_ids[start:end],
                    None if before is None else before.slice(start, count),
                    None if after is None else after.slice(start, count),
                    None if pairs is None else pairs[start:end],
                )
            )
        return concatenated(parts)

    def _run(
        self,
        ops: npt.NDArray[np.uint8],
        row_ids: npt.NDArray[np.int64],
        before: pa.BinaryArray | None,
        after: pa.BinaryArray | None,
        pairs: npt.NDArray[np.int64] | None,
    ) -> pa.BinaryArray:
        """The next events, whose numbers are all of one length."""
        c, s, done, count = self.constants, self.segments, self.written, len(ops)
        seq = c.first_event_seq + done
        numbered = Template(count)
        numbered.constant(s.head + sequence_head(s.sequence, seq))
        numbered.digits(seq)
        numbered.constant(s.named)
        numbered.long(seq)
        numbered.constant(s.versioned)
        numbered.long(seq)
        numbered.constant(s.counted)
        ordered = Template(count)
        ordered.constant(s.in_commit)
        if not c.snapshot:
            ordered.long(c.first_total_order + done)
            ordered.long(c.first_table_order + done)
        ordered.constant(OP_SIZE)
        ordered.column(ops.reshape(-1, 1))
        ordered.constant(s.written)
        self.written += count
        return join_all(
            [
                *image_pieces(before),
                *image_pieces(after),
                numbered.piece(),
                long_pieces(row_ids),
                pair_piece(seq, pairs),
                ordered.piece(),
            ]
        )
