"""Values of the embedded store as bytes. Pure. FORMAT.md explains them; all big-endian but `lengths`.

text      := length:u32 utf8
autos     := count:u16 (column:u32 next:i64)*

version   := 0x01 sequence:u64 time_us:i64 inserts:u64 updates:u64 deletes:u64 bytes:u64
             event_seq:u64 next_row_id:u64 schema_id:u32 chunks:u32 digest:32 autos
commit    := 0x01 time_us:i64 epoch:u32 ddl:u32 versions:u16 moves:u16 statements:u16 keyed:u8
             id:text actor:text result:text (table:u32 version:u64 autos)*versions
             statement:text*statements [key:text digest:text if keyed] move*moves chain:32
move      := consumer:u32 why:u8 has:u8 start:i64 end:i64 target:u32 target_version:u64
             tables:u16 table:u32*tables [reason:text note:text(JSON)]
has       := 1 start | 2 target | 4 target_version | 8 reason and note
watermark := 0x01 position:i64 sequence:u64 time_us:i64 bounded:u8 target_version:u64
audit     := 0x01 time_us:i64 actor:text what:text detail:text
event     := 0x01 time_us:i64 object:JSON                  a catalog event
stored    := version:u64 schema_id:u32 image                a current row
block     := 0x01 schema_id:u32 message                     one event
           | 0x02 schema_id:u32 count:u32 length:u32le*count message*count

chain(s)  := blake2b-256(chain(s - 1) sequence:u64 commit-without-chain
             digest of each version, by table   catalog events   audit rows)    chain(0) := zeros
"""

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple, cast, get_args

import numpy as np
import numpy.typing as npt

from headwater.log_store.records import (
    AuditRow,
    Block,
    CommitRow,
    Counts,
    Idempotency,
    Move,
    Moved,
    Stored,
    VersionRow,
    Watermark,
    Why,
)

MAX_BLOCK: Final = 20_000
NO_CHAIN: Final = bytes(32)
Autos = tuple[tuple[int, int], ...]

_VERSION = struct.Struct(">BQqQQQQQQII32s")
# `chunks` stands before the digest at the end of a version row.
_CHUNKS = struct.Struct(">I")
_CHUNKS_AT: Final = _VERSION.size - 32 - 4
_PLACE = struct.Struct(">Qq")
_COMMIT = struct.Struct(">BqIIHHHB")
_MOVE = struct.Struct(">IBBqqIQH")
_WATERMARK = struct.Struct(">BqQqBQ")
_STAMP = struct.Struct(">Bq")
_STORED = struct.Struct(">QI")
_STORED_DTYPE = np.dtype([("version", ">u8"), ("schema_id", ">u4")])
_PAIR = struct.Struct(">IQ")
_AUTO = struct.Struct(">Iq")
_U16, _U32, _U64 = struct.Struct(">H"), struct.Struct(">I"), struct.Struct(">Q")
_ONE, _RUN = struct.Struct(">BI"), struct.Struct(">BII")
_TWO_OFFSETS = struct.Struct("<qq")
_EMPTY: Final = b"\0\0\0\0"  # a text without letters
_NO_AUTOS: Final = b"\0\0"
_WHY: Final = cast(tuple[Why, ...], get_args(Why))
_WHY_AT: Final = {why: at for at, why in enumerate(_WHY)}


class EncodingNotKnown(ValueError):
    """Bytes that no known layout explains: damaged, or of a newer release."""


class CommitExtras(NamedTuple):
    """What a commit's value holds beside its row."""

    chain: bytes
    autos: dict[int, Autos]


def _text(value: str) -> bytes:
    raw = value.encode()
    return _U32.pack(len(raw)) + raw


@lru_cache(maxsize=256)
def _short_text(value: str) -> bytes:
    """A text that many commits share: who acts, what a statement is."""
    return _text(value)


_SHORT: Final = 64


def _read_text(value: bytes, at: int) -> tuple[str, int]:
    end = at + 4 + int(_U32.unpack_from(value, at)[0])
    if end > len(value):
        raise EncodingNotKnown(f"text at byte {at} runs over the end")
    return value[at + 4 : end].decode(), end


def _autos(autos: Autos) -> bytes:
    return _U16.pack(len(autos)) + b"".join(_AUTO.pack(*auto) for auto in autos)


def _read_autos(value: bytes, at: int) -> tuple[Autos, int]:
    count = int(_U16.unpack_from(value, at)[0])
    end = at + 2 + count * _AUTO.size
    if end > len(value):
        raise EncodingNotKnown(f"autos at byte {at} run over the end")
    return tuple((int(c), int(n)) for c, n in _AUTO.iter_unpack(value[at + 2 : end])), end


def encode_version(row: VersionRow) -> bytes:
    """A row of the version index; table and version stand in its key."""
    fixed = _VERSION.pack(
        1,
        row.sequence,
        row.time_us,
        *row.counts,
        row.event_seq,
        row.next_row_id,
        row.schema_id,
        row.chunks,
        row.digest,
    )
    return fixed + (_autos(row.autos) if row.autos else _NO_AUTOS)


def chunks_in(value: bytes) -> int:
    """How many chunks of events a row of the version index says; the rest is not looked at."""
    try:
        return int(_CHUNKS.unpack_from(value, _CHUNKS_AT)[0])
    except struct.error as error:
        raise EncodingNotKnown(f"version row: {error}") from error


def decode_version(table: int, version: int, value: bytes) -> VersionRow:
    """Raises EncodingNotKnown for bytes that are no version row."""
    try:
        tag, sequence, time_us, *numbers, digest = _VERSION.unpack_from(value)
        if tag != 1:
            raise EncodingNotKnown(f"version row of layout {tag}")
        autos, _ = _read_autos(value, _VERSION.size)
    except struct.error as error:
        raise EncodingNotKnown(f"version row: {error}") from error
    counts, (event_seq, next_row_id, schema_id, chunks) = Counts(*numbers[:4]), numbers[4:]
    return VersionRow(
        table,
        version,
        sequence,
        time_us,
        counts,
        event_seq,
        next_row_id,
        schema_id,
        digest,
        autos,
        chunks,
    )


def version_place(value: bytes) -> int:
    """The commit of a version row, without reading the rest."""
    return int(_PLACE.unpack_from(value, 1)[0])


def commit_time(value: bytes) -> int:
    """The time of a commit, without reading the rest."""
    return int(_STAMP.unpack_from(value)[1])


def commit_chain(value: bytes) -> bytes:
    """The chain's digest in a commit, without reading the rest."""
    return value[-32:]


def encode_commit(row: CommitRow, autos: Mapping[int, Autos]) -> bytes:
    """A commit's value up to its chain digest; the sequence stands in its key."""
    asked = row.idempotency
    parts = [
        _COMMIT.pack(
            1,
            row.time_us,
            row.epoch,
            row.ddl,
            len(row.versions),
            len(row.moves),
            len(row.statements),
            asked is not None,
        ),
        _text(row.commit_id),
        _short_text(row.actor),
        _text(row.result) if row.result else _EMPTY,
    ]
    for table, version in row.versions.items():
        numbers = autos.get(table)
        parts += (_PAIR.pack(table, version), _autos(numbers) if numbers else _NO_AUTOS)
    for text in row.statements:
        parts.append(_short_text(text) if len(text) < _SHORT else _text(text))
    if asked is not None:
        parts += (_text(asked.key), _U32.pack(len(asked.digest)), asked.digest)
    if row.moves:
        parts += map(_encode_move, row.moves)
    return b"".join(parts)


def chain_commit(before: bytes, sequence: int, value: bytes, covered: Iterable[bytes]) -> bytes:
    """The chain's next digest: over the commit, its version digests, catalog events and audit."""
    # One update: what is covered is short, and many of them cost more than putting it together.
    return blake2b(
        b"".join((before, _U64.pack(sequence), value, *covered)), digest_size=32
    ).digest()


def decode_commit(sequence: int, value: bytes) -> tuple[CommitRow, CommitExtras]:
    """Raises EncodingNotKnown for bytes that are no commit."""
    try:
        tag, time_us, epoch, ddl, versions, moves, statements, keyed = _COMMIT.unpack_from(value)
        if tag != 1:
            raise EncodingNotKnown(f"commit of layout {tag}")
        commit_id, at = _read_text(value, _COMMIT.size)
        actor, at = _read_text(value, at)
        result, at = _read_text(value, at)
        made: dict[int, int] = {}
        autos: dict[int, Autos] = {}
        for _ in range(versions):
            table, version = _PAIR.unpack_from(value, at)
            made[table] = version
            autos[table], at = _read_autos(value, at + _PAIR.size)
        texts: list[str] = []
        for _ in range(statements):
            text, at = _read_text(value, at)
            texts.append(text)
        asked, at = _read_idempotency(value, at) if keyed else (None, at)
        moved: list[Moved] = []
        for _ in range(moves):
            move, at = _read_move(value, at)
            moved.append(move)
    except (struct.error, ValueError, AttributeError) as error:
        raise EncodingNotKnown(f"commit: {error}") from error
    row = CommitRow(
        sequence,
        commit_id,
        time_us,
        actor,
        made,
        tuple(moved),
        tuple(texts),
        asked,
        result,
        ddl,
        epoch,
    )
    return row, CommitExtras(value[at:], autos)


def _read_idempotency(value: bytes, at: int) -> tuple[Idempotency, int]:
    key, at = _read_text(value, at)
    end = at + 4 + int(_U32.unpack_from(value, at)[0])
    return Idempotency(key, value[at + 4 : end]), end


def _encode_move(moved: Moved) -> bytes:
    move, worded = moved.move, bool(moved.move.reason or moved.move.note)
    has = (
        (move.start is not None)
        | (move.target is not None) << 1
        | (moved.target_version is not None) << 2
        | worded << 3
    )
    fixed = _MOVE.pack(
        move.consumer,
        _WHY_AT[move.why],
        has,
        move.start or 0,
        move.end,
        move.target or 0,
        moved.target_version or 0,
        len(move.tables),
    )
    words = _text(move.reason) + _text(canonical(dict(move.note))) if worded else b""
    return fixed + b"".join(map(_U32.pack, move.tables)) + words


def _read_move(value: bytes, at: int) -> tuple[Moved, int]:
    consumer, why, has, start, end, target, target_version, count = _MOVE.unpack_from(value, at)
    at += _MOVE.size
    tables = tuple(int(_U32.unpack_from(value, at + 4 * i)[0]) for i in range(count))
    at += 4 * count
    reason, note = "", dict[str, str | int]()
    if has & 8:
        reason, at = _read_text(value, at)
        text, at = _read_text(value, at)
        note = {str(k): v for k, v in json.loads(text).items()}
    if why >= len(_WHY):
        raise EncodingNotKnown(f"move of kind {why}")
    move = Move(
        consumer,
        start if has & 1 else None,
        end,
        _WHY[int(why)],
        target if has & 2 else None,
        tables,
        reason,
        note,
    )
    return Moved(move, target_version if has & 4 else None), at


def encode_watermark(mark: Watermark) -> bytes:
    """A watermark; the consumer stands in its key."""
    target = mark.target_version
    return _WATERMARK.pack(
        1, mark.position, mark.sequence, mark.time_us, target is not None, target or 0
    )


def decode_watermark(consumer: int, value: bytes) -> Watermark:
    """Raises EncodingNotKnown for bytes that are no watermark."""
    try:
        tag, position, sequence, time_us, bounded, target = _WATERMARK.unpack(value)
    except struct.error as error:
        raise EncodingNotKnown(f"watermark: {error}") from error
    if tag != 1:
        raise EncodingNotKnown(f"watermark of layout {tag}")
    return Watermark(consumer, position, sequence, time_us, target if bounded else None)


def encode_audit(row: AuditRow) -> bytes:
    """An audit row; its commit stands in its key."""
    return _STAMP.pack(1, row.time_us) + _text(row.actor) + _text(row.what) + _text(row.detail)


def decode_audit(sequence: int, value: bytes) -> AuditRow:
    """Raises EncodingNotKnown for bytes that are no audit row."""
    try:
        tag, time_us = _STAMP.unpack_from(value)
        if tag != 1:
            raise EncodingNotKnown(f"audit row of layout {tag}")
        actor, at = _read_text(value, _STAMP.size)
        what, at = _read_text(value, at)
        detail, at = _read_text(value, at)
    except (struct.error, UnicodeDecodeError) as error:
        raise EncodingNotKnown(f"audit row: {error}") from error
    return AuditRow(sequence, time_us, actor, what, detail)


def stamp(time_us: int, text: str) -> bytes:
    """A catalog event: its commit's time and the object as JSON."""
    return _STAMP.pack(1, time_us) + text.encode()


def unstamp(value: bytes) -> tuple[int, str]:
    """Time and JSON of a catalog event. Raises EncodingNotKnown for anything else."""
    try:
        tag, time_us = _STAMP.unpack_from(value)
        text = value[_STAMP.size :].decode()
    except (struct.error, UnicodeDecodeError) as error:
        raise EncodingNotKnown(f"catalog event: {error}") from error
    if tag != 1:
        raise EncodingNotKnown(f"catalog event of layout {tag}")
    return time_us, text


# stored := version:u64 schema_id:u32, before the image
stored_prefix = _STORED.pack


def decode_stored(value: bytes) -> Stored:
    """A current row. Raises EncodingNotKnown for bytes too short to be one."""
    try:
        version, schema_id = _STORED.unpack_from(value)
    except struct.error as error:
        raise EncodingNotKnown(f"current row: {error}") from error
    return Stored(version, schema_id, value[_STORED.size :])


def decode_stored_many(values: Sequence[bytes]) -> list[Stored]:
    """Current rows, several times faster than one by one. Raises EncodingNotKnown."""
    size = _STORED.size
    heads = b"".join([value[:size] for value in values])
    if len(heads) != size * len(values):
        raise EncodingNotKnown("a current row shorter than its version and schema")
    fixed = np.frombuffer(heads, _STORED_DTYPE)
    images = [value[size:] for value in values]
    return list(map(Stored, fixed["version"].tolist(), fixed["schema_id"].tolist(), images))


def stored_version(value: bytes) -> int:
    """The version of a current row, without its image."""
    return int(_STORED.unpack_from(value)[0])


def encode_one(schema_id: int, message: bytes) -> bytes:
    """A chunk of the log that holds one event."""
    return _ONE.pack(1, schema_id) + message


def encode_run(schema_id: int, offsets: npt.NDArray[np.int64], data: bytes | memoryview) -> bytes:
    """A chunk of the log: event i is `data[offsets[i]:offsets[i + 1]]`; at most MAX_BLOCK."""
    lengths = np.diff(offsets).astype("<u4").tobytes()
    events = memoryview(data)[int(offsets[0]) : int(offsets[-1])]
    return b"".join((_RUN.pack(2, schema_id, len(offsets) - 1), lengths, events))


def decode_block(version: int, value: bytes) -> Block:
    """A chunk of the log. Raises EncodingNotKnown for bytes that are none."""
    if value[:1] == b"\x01" and len(value) > _ONE.size:
        schema_id, size = int(_ONE.unpack_from(value)[1]), len(value) - _ONE.size
        return Block(version, schema_id, _TWO_OFFSETS.pack(0, size), value[_ONE.size :])
    if value[:1] != b"\x02" or len(value) < _RUN.size:
        raise EncodingNotKnown("chunk of the log of no known layout")
    _, schema_id, count = _RUN.unpack_from(value)
    start = _RUN.size + 4 * count
    if start > len(value):
        raise EncodingNotKnown("chunk of the log shorter than its lengths")
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum(np.frombuffer(value, "<u4", count, _RUN.size), out=offsets[1:])
    if start + int(offsets[-1]) != len(value):
        raise EncodingNotKnown("chunk of the log whose lengths do not add up")
    return Block(version, schema_id, offsets.tobytes(), memoryview(value)[start:])


def canonical(value: object) -> str:
    """JSON with sorted keys and no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
