"""What nodes ask the writer of a prefix, and what they are told, as bytes. Pure.

On `<prefix>.requests`, cut into chunks so that no record is too large:
    key     := node "/" request                        a commit's request is its commit id
    value   := 0x01 kind:u8 chunk:u32 chunks:u32 size:u64 part          big-endian
    kind    := 1 commit | 2 reserve                    `size` is that of the parts together
    commit  := epoch batch                             the epoch that gave the batch its new ids
    reserve := what table column many                  what: 1 objects, 2 rows, 3 numbers

Numbers are zigzag varints, texts and blobs have their length before them, lists their count.
    batch   := commit_id actor tables moves catalog unmoved objects marks audit statements idempotency
               result
    table   := id count generation byte_size keys_checked_at autos segments
    segment := 0 rows | 1 columns
    rows    := count (op row_id before after old_key new_key seen pair)*
    columns := count ops row_ids before after old_keys new_keys seen pairs
               ops is u8, row_ids, seen and pairs are i64 little-endian, the last two may be left out;
               an image or key column is left out, or lengths as i32 little-endian (-1: null), data

On `<prefix>.nodes`:
    key     := "answer/" node "/" request
    value   := {"epoch", "kind": "refused", "code", "details"}      nothing was written
             | {"epoch", "kind": "repeated", "sequence"}            an idempotency key was used again
             | {"epoch", "kind": "reserved", "first", "many"}
A commit that was written needs no answer: its END record is one.

Whatever comes from outside is bounded: by size, by how much is put together at a time, and by
what the bytes themselves can hold.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar, cast, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.log_store.catalog import CatalogEvent
from headwater.log_store.catalog_json import decode_object, encode_object
from headwater.log_store.changes import Columns, RowChange, Rows, Segment, TableChanges
from headwater.log_store.cursor import Cursor
from headwater.log_store.encoding import EncodingNotKnown, canonical
from headwater.log_store.errors import (
    IdempotencyMismatch,
    LogError,
    StoreUnavailable,
    WriteConflict,
)
from headwater.log_store.kafka_records import read_json
from headwater.log_store.port import Batch
from headwater.log_store.records import (
    OP_DELETE,
    OP_INSERT,
    OP_SNAPSHOT,
    OP_UPDATE,
    Idempotency,
    Move,
    Why,
)
from headwater.schemas.varints import NULL, SOME, encode_bytes, encode_long, encode_string

MOST_BYTES: Final = 256 << 20
MOST_ID: Final = 200
CHUNK: Final = 512 << 10
COMMIT: Final = 1
RESERVE: Final = 2
OBJECTS: Final = 1
ROWS: Final = 2
NUMBERS: Final = 3
ANSWER: Final = b"answer/"

T = TypeVar("T")
_HEAD = struct.Struct(">BBIIQ")
_OPS: Final = frozenset((OP_INSERT, OP_UPDATE, OP_DELETE, OP_SNAPSHOT))
_WHY: Final = frozenset(get_args(Why))
_BAD: Final = (
    IndexError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    pa.ArrowException,
)


class RequestTooLarge(LogError):
    """A commit is larger than what one node sends another. Nothing was written."""

    code = "E_REQUEST_TOO_LARGE"

    def __init__(self, size: int) -> None:
        super().__init__(
            f"a commit of {size} bytes cannot be sent to the writer, which takes {MOST_BYTES}: "
            "make it smaller, or run it on the node that `headwater nodes` shows as the writer"
        )
        self.size = size


# Batches


def encode_batch(batch: Batch) -> bytes:
    """A batch as another node decodes it."""
    parts = [encode_string(batch.commit_id), encode_string(batch.actor)]
    parts.append(encode_long(len(batch.tables)))
    for table, changes in batch.tables.items():
        _put_table(parts, table, changes)
    parts.append(encode_long(len(batch.moves)))
    for move in batch.moves:
        _put_move(parts, move)
    parts.append(encode_long(len(batch.catalog)))
    parts += [encode_string(encode_object(event.value)) for event in batch.catalog]
    parts.append(encode_long(len(batch.unmoved)))
    for table, version in batch.unmoved.items():
        parts += (encode_long(table), encode_long(version))
    parts.append(encode_long(len(batch.objects)))
    for (kind, number), place in batch.objects.items():
        parts += (encode_string(kind), encode_long(number), encode_long(place))
    parts.append(encode_long(len(batch.marks)))
    for consumer, place in batch.marks.items():
        parts += (encode_long(consumer), encode_long(place))
    parts.append(encode_long(len(batch.audit)))
    for what, detail in batch.audit:
        parts += (encode_string(what), encode_string(detail))
    parts.append(encode_long(len(batch.statements)))
    parts += map(encode_string, batch.statements)
    asked = batch.idempotency
    if asked is None:
        parts.append(NULL)
    else:
        parts += (SOME, encode_string(asked.key), encode_bytes(asked.digest))
    parts.append(encode_string(batch.result))
    return b"".join(parts)


def _put_table(parts: list[bytes], table: int, changes: TableChanges) -> None:
    parts += map(
        encode_long,
        (table, changes.count, changes.generation, changes.byte_size, changes.keys_checked_at),
    )
    parts.append(encode_long(len(changes.autos)))
    for column, following in changes.autos.items():
        parts += (encode_long(column), encode_long(following))
    segments = [_segment(segment) for segment in changes]
    parts.append(encode_long(len(segments)))
    parts += segments


def _segment(segment: Segment) -> bytes:
    match segment:
        case Rows(changes):
            parts = [encode_long(0), encode_long(len(changes))]
            for change in changes:
                parts += (encode_long(change.op), encode_long(change.row_id))
                parts += (_image(change.before), _image(change.after))
                parts += (encode_bytes(change.old_key), encode_bytes(change.new_key))
                parts += (encode_long(change.seen), encode_long(change.pair))
        case Columns():
            parts = [encode_long(1), encode_long(len(segment))]
            parts += (segment.ops.astype(np.uint8).tobytes(), _i64(segment.row_ids))
            parts += map(_column, (segment.before, segment.after))
            parts += map(_column, (segment.old_keys, segment.new_keys))
            parts += (_optional(segment.seen), _optional(segment.pairs))
    return b"".join(parts)


def _image(image: bytes | None) -> bytes:
    return NULL if image is None else SOME + encode_bytes(image)


def _i64(numbers: npt.NDArray[np.int64]) -> bytes:
    return numbers.astype("<i8").tobytes()


def _optional(numbers: npt.NDArray[np.int64] | None) -> bytes:
    return NULL if numbers is None else SOME + _i64(numbers)


def _column(column: pa.BinaryArray | None) -> bytes:
    if column is None:
        return NULL
    values = column.to_pylist()
    lengths = np.fromiter((-1 if v is None else len(v) for v in values), "<i4", len(values))
    return SOME + lengths.tobytes() + encode_bytes(b"".join(filter(None, values)))


def _put_move(parts: list[bytes], move: Move) -> None:
    parts += (encode_long(move.consumer), encode_string(move.why))
    for number in (move.start, move.target):
        parts.append(NULL if number is None else SOME + encode_long(number))
    parts += (encode_long(move.end), encode_long(len(move.tables)))
    parts += map(encode_long, move.tables)
    parts += (encode_string(move.reason), encode_string(canonical(dict(move.note))))


def decode_batch(data: bytes) -> Batch:
    """Raises EncodingNotKnown for bytes that are no batch."""
    return _whole(data, _batch)


def _whole(data: bytes, read: Callable[[Cursor], T]) -> T:
    cursor = Cursor(data)
    try:
        found = read(cursor)
        if not cursor.done():
            raise ValueError("bytes are left over")
    except EncodingNotKnown:
        raise
    except _BAD as error:
        raise EncodingNotKnown(f"request: {error}") from error
    return found


def _batch(cursor: Cursor) -> Batch:
    long, text = cursor.long, cursor.text
    commit_id, actor = text(), text()
    if not 0 < len(commit_id) <= MOST_ID:
        raise ValueError("no commit id")
    tables = dict(_table(cursor) for _ in range(_count(cursor)))
    moves = [_move(cursor) for _ in range(_count(cursor))]
    catalog = [CatalogEvent(decode_object(text())) for _ in range(_count(cursor))]
    unmoved = {long(): long() for _ in range(_count(cursor))}
    objects: dict[tuple[str, int], int] = {}
    for _ in range(_count(cursor)):
        kind, number = text(), long()
        objects[kind, number] = long()
    marks = {long(): long() for _ in range(_count(cursor))}
    audit = [(text(), text()) for _ in range(_count(cursor))]
    statements = [text() for _ in range(_count(cursor))]
    asked = Idempotency(text(), cursor.blob()) if cursor.some() else None
    return Batch(
        commit_id=commit_id,
        actor=actor,
        tables=tables,
        moves=moves,
        catalog=catalog,
        unmoved=unmoved,
        objects=objects,
        marks=marks,
        audit=audit,
        statements=statements,
        idempotency=asked,
        result=text(),
    )


def _count(cursor: Cursor, least: int = 1) -> int:
    """How many items follow; each takes at least so many bytes."""
    count = cursor.long()
    if not 0 <= count <= cursor.left // least:
        raise ValueError(f"{count} items in {cursor.left} bytes")
    return count


def _table(cursor: Cursor) -> tuple[int, TableChanges]:
    long = cursor.long
    table, count, generation, byte_size, checked_at = long(), long(), long(), long(), long()
    autos = {long(): long() for _ in range(_count(cursor))}
    segments = [_read_segment(cursor) for _ in range(_count(cursor))]
    if sum(map(len, segments)) != count or byte_size < 0:
        raise ValueError(f"table {table} counts other changes than it has")
    return table, TableChanges(
        segments=segments,
        count=count,
        generation=generation,
        byte_size=byte_size,
        keys_checked_at=checked_at,
        autos=autos,
    )


def _read_segment(cursor: Cursor) -> Segment:
    kind = cursor.long()
    if kind == 0:
        return Rows([_row(cursor) for _ in range(_count(cursor, 8))])
    if kind != 1:
        raise ValueError(f"a segment of kind {kind}")
    count = _count(cursor, 9)
    ops = np.frombuffer(cursor.take(count), np.uint8)
    if not set(np.unique(ops).tolist()) <= _OPS:
        raise ValueError("no such operation")
    row_ids = _numbers(cursor, count)
    before, after, old_keys, new_keys = (_read_column(cursor, count) for _ in range(4))
    seen = _numbers(cursor, count) if cursor.some() else None
    pairs = _numbers(cursor, count) if cursor.some() else None
    return Columns(ops, row_ids, before, after, old_keys, new_keys, seen, pairs)


def _row(cursor: Cursor) -> RowChange:
    long, blob = cursor.long, cursor.blob
    op, row_id = long(), long()
    if op not in _OPS or row_id < 0:
        raise ValueError(f"operation {op} on row {row_id}")
    before = blob() if cursor.some() else None
    after = blob() if cursor.some() else None
    return RowChange(op, row_id, before, after, blob(), blob(), long(), long())


def _numbers(cursor: Cursor, count: int) -> npt.NDArray[np.int64]:
    return np.frombuffer(cursor.take(count * 8), "<i8").astype(np.int64)


def _read_column(cursor: Cursor, count: int) -> pa.BinaryArray | None:
    if not cursor.some():
        return None
    lengths = np.frombuffer(cursor.take(count * 4), "<i4").astype(np.int64)
    data = cursor.blob()
    there = lengths >= 0
    ends = np.cumsum(np.where(there, lengths, 0))
    if (lengths < -1).any() or (int(ends[-1]) if count else 0) != len(data):
        raise ValueError("a column of another length than its values")
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    nulls = None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little").tobytes())
    buffers = [nulls, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data)]
    # What `from_buffers` makes of these is a binary array; it does not say so.
    return cast(pa.BinaryArray, pa.Array.from_buffers(pa.binary(), count, buffers))


def _move(cursor: Cursor) -> Move:
    long, text = cursor.long, cursor.text
    consumer, why, start, target, end = long(), text(), cursor.opt(), cursor.opt(), long()
    tables = tuple(long() for _ in range(_count(cursor)))
    reason, note = text(), cast("dict[str, str | int]", read_json(cursor.blob()))
    if why not in _WHY:
        raise ValueError(f"a move of kind {why!r}")
    return Move(consumer, start, end, cast(Why, why), target, tables, reason, note)


# Requests


class CommitRequest(NamedTuple):
    """Commit this; new rows and objects in it have ids that the writer of `epoch` gave."""

    epoch: int
    batch: Batch


class ReserveRequest(NamedTuple):
    """Give `many` ids: of objects, or of a table's rows, or values of one of its columns."""

    what: int
    table: int
    column: int
    many: int


Asked = CommitRequest | ReserveRequest


def request_key(node: str, request: str) -> bytes:
    """The key of a request's records."""
    return f"{node}/{request}".encode()


def encode_request(asked: Asked) -> Iterator[bytes]:
    """The values of a request's records.

    Raises:
        RequestTooLarge: before the first one.
    """
    match asked:
        case CommitRequest(epoch, batch):
            kind, body = COMMIT, encode_long(epoch) + encode_batch(batch)
        case ReserveRequest():
            kind, body = RESERVE, b"".join(map(encode_long, asked))
    if len(body) > MOST_BYTES:
        raise RequestTooLarge(len(body))
    chunks = max(1, -(-len(body) // CHUNK))
    for chunk in range(chunks):
        head = _HEAD.pack(1, kind, chunk, chunks, len(body))
        yield head + body[chunk * CHUNK : (chunk + 1) * CHUNK]


class Request(NamedTuple):
    """A request as it came."""

    node: str
    id: str
    asked: Asked


@dataclass(slots=True)
class _Parts:
    kind: int
    chunks: int
    size: int
    parts: list[bytes]
    held: int = 0


class Assembly:
    """Puts chunks together, `most_bytes` of them at a time: then what came first is dropped."""

    def __init__(self, most_bytes: int = 2 * MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._open: dict[bytes, _Parts] = {}
        self.held = 0
        """Bytes that wait for the rest of their request."""

    def add(self, key: bytes, value: bytes) -> Request | None:
        """The request that this record completes; None if more is to come.

        Raises:
            EncodingNotKnown: the record is no request's. It is forgotten.
        """
        if len(value) < _HEAD.size or len(key) > 2 * MOST_ID:
            raise EncodingNotKnown(f"request of {len(value)} bytes")
        version, kind, chunk, chunks, size = _HEAD.unpack_from(value)
        part = value[_HEAD.size :]
        if version != 1 or kind not in (COMMIT, RESERVE) or size > MOST_BYTES:
            raise EncodingNotKnown(f"request of layout {version}, kind {kind}, {size} bytes")
        if chunk == 0:
            self._drop(key)
            self._open[key] = _Parts(kind, chunks, size, [])
        held = self._open.get(key)
        if held is None or (held.kind, held.chunks, held.size) != (kind, chunks, size):
            # Its beginning was sent to a writer before this one: whoever sent it does so again.
            return None
        if chunk != len(held.parts) or chunk >= chunks or held.held + len(part) > size:
            self._drop(key)
            return None
        held.parts.append(part)
        held.held += len(part)
        self.held += len(part)
        if len(held.parts) < chunks:
            self._bound()
            return None
        self._drop(key)
        if held.held != size:
            raise EncodingNotKnown(f"request of {held.held} bytes that says {size}")
        return _request(key, kind, b"".join(held.parts))

    def _drop(self, key: bytes) -> None:
        held = self._open.pop(key, None)
        if held is not None:
            self.held -= held.held

    def _bound(self) -> None:
        while self.held > self._most_bytes:
            self._drop(next(iter(self._open)))


def _request(key: bytes, kind: int, body: bytes) -> Request:
    try:
        node, _, request = key.decode().partition("/")
    except UnicodeDecodeError as error:
        raise EncodingNotKnown(f"key of a request: {error}") from error
    if not (0 < len(node) <= MOST_ID and 0 < len(request) <= MOST_ID):
        raise EncodingNotKnown("key of a request without node or request")
    asked: Asked = _whole(body, _read_commit if kind == COMMIT else _read_reserve)
    if isinstance(asked, CommitRequest) and asked.batch.commit_id != request:
        raise EncodingNotKnown(f"request {request} is of commit {asked.batch.commit_id}")
    return Request(node, request, asked)


def _read_commit(cursor: Cursor) -> Asked:
    return CommitRequest(cursor.long(), _batch(cursor))


def _read_reserve(cursor: Cursor) -> Asked:
    what, table, column, count = (cursor.long() for _ in range(4))
    if what not in (OBJECTS, ROWS, NUMBERS) or not 0 < count <= 1 << 40:
        raise ValueError(f"{count} ids of kind {what}")
    return ReserveRequest(what, table, column, count)


# Answers


class Refused(NamedTuple):
    """Nothing was written."""

    epoch: int
    error: LogError


class Repeated(NamedTuple):
    """An idempotency key was used again: its first result is that of commit `sequence`."""

    epoch: int
    sequence: int


class Reserved(NamedTuple):
    """Ids [first, first + many), given by the writer of `epoch`."""

    epoch: int
    first: int
    many: int


Answer = Refused | Repeated | Reserved


class RefusedByWriter(LogError):
    """The writer refused a commit for a reason that only it can tell. Nothing was written."""

    code = "E_REFUSED_BY_WRITER"


def answer_key(node: str, request: str) -> bytes:
    """The key of an answer."""
    return ANSWER + request_key(node, request)


def answer_record(answer: Answer) -> bytes:
    """The value of an answer."""
    match answer:
        case Refused(epoch, error):
            told: dict[str, object] = {
                "kind": "refused",
                "code": error.code,
                "details": _details(error),
            }
        case Repeated(epoch, sequence):
            told = {"kind": "repeated", "sequence": sequence}
        case Reserved(epoch, first, many):
            told = {"kind": "reserved", "first": first, "many": many}
    return canonical({"epoch": epoch, **told}).encode()


def _details(error: LogError) -> list[object]:
    match error:
        case WriteConflict(what=what, name=name, why=why):
            return [what, name, why]
        case IdempotencyMismatch(key=key, sequence=sequence):
            return [key, sequence]
        case _:
            return [str(error)]


def read_answer(value: bytes) -> Answer:
    """Raises EncodingNotKnown for anything else."""
    told = read_json(value)
    try:
        epoch, kind = _int(told["epoch"]), told["kind"]
        if kind == "refused":
            return Refused(epoch, _error(str(told["code"]), cast("list[object]", told["details"])))
        if kind == "repeated":
            return Repeated(epoch, _int(told["sequence"]))
        if kind == "reserved":
            return Reserved(epoch, _int(told["first"]), _int(told["many"]))
    except _BAD as error:
        raise EncodingNotKnown(f"answer: {error}") from error
    raise EncodingNotKnown(f"answer of kind {kind!r}")


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no number")
    return value


def _error(code: str, details: list[object]) -> LogError:
    if code == WriteConflict.code:
        what, name, why = map(str, details)
        return WriteConflict(what, name, why)
    if code == IdempotencyMismatch.code:
        key, sequence = details
        return IdempotencyMismatch(str(key), _int(sequence))
    (text,) = details
    if code == StoreUnavailable.code:
        return StoreUnavailable(str(text))
    return RefusedByWriter(f"{text} ({code})")
