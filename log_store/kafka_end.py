"""The END record of a commit: what Debezium writes, and beside it what no other topic says. Pure.

    key     := frame(TransactionMetadataKey)      id
    value   := frame(TransactionMetadataValue)    status END, id, event_count, data_collections, ts_ms
    header  := headwater.commit, one Avro record without a frame: HEADER_SCHEMA

With the header and the records of the tables, the catalog and the audit, an empty node rebuilds a
commit byte by byte; `chain` lets it see that it did.
"""

import json
from typing import Final, NamedTuple, cast, get_args

from headwater.log_store.cursor import Cursor
from headwater.log_store.encoding import Autos, EncodingNotKnown, canonical
from headwater.log_store.records import CommitRow, Idempotency, Move, Moved, Why
from headwater.schemas.avro import Json
from headwater.schemas.framing import frame
from headwater.schemas.varints import NULL, SOME, encode_long, encode_string

HEADER: Final = "headwater.commit"


def _field(name: str, type_: Json) -> Json:
    return {"name": name, "type": type_}


def _record(name: str, *fields: Json) -> Json:
    return {"type": "record", "name": name, "fields": list(fields)}


def _array(items: Json) -> Json:
    return {"type": "array", "items": items}


_AUTO = _record("Auto", _field("column", "long"), _field("next", "long"))
_VERSION = _record(
    "Version",
    _field("table", "long"),
    _field("version", "long"),
    _field("topic", "string"),
    _field("events", "long"),
    _field("records", "long"),
    _field("digest", "bytes"),
    _field("autos", _array(_AUTO)),
)
_MOVE = _record(
    "Move",
    _field("consumer", "long"),
    _field("why", "string"),
    _field("start", ["null", "long"]),
    _field("end", "long"),
    _field("target", ["null", "long"]),
    _field("target_version", ["null", "long"]),
    _field("tables", _array("long")),
    _field("reason", "string"),
    _field("note", "string"),
)
_IDEMPOTENCY = _record("Idempotency", _field("key", "string"), _field("digest", "bytes"))
HEADER_SCHEMA: Final[Json] = {
    "type": "record",
    "name": "Commit",
    "namespace": "io.headwater",
    "fields": [
        _field("sequence", "long"),
        _field("time_us", "long"),
        _field("epoch", "long"),
        _field("catalog", "long"),
        _field("audit", "long"),
        _field("actor", "string"),
        _field("result", "string"),
        _field("statements", _array("string")),
        _field("idempotency", ["null", _IDEMPOTENCY]),
        _field("versions", _array(_VERSION)),
        _field("moves", _array(_MOVE)),
        _field("chain", "bytes"),
    ],
}

_COMMON = "io.debezium.connector.common.TransactionMetadata"
_COLLECTION: Json = {
    "type": "record",
    "name": "collection",
    "namespace": "event",
    "fields": [_field("data_collection", "string"), _field("event_count", "long")],
    "connect.version": 1,
    "connect.name": "event.collection",
}


def _metadata(name: str, *fields: Json) -> dict[str, Json]:
    namespace, _, short = f"{_COMMON}{name}".rpartition(".")
    return {
        "type": "record",
        "name": short,
        "namespace": namespace,
        "fields": list(fields),
        "connect.version": 1,
        "connect.name": f"{_COMMON}{name}",
    }


KEY_SCHEMA: Final[Json] = _metadata("Key", _field("id", "string"))
VALUE_SCHEMA: Final[Json] = _metadata(
    "Value",
    _field("status", "string"),
    _field("id", "string"),
    {"name": "event_count", "type": ["null", "long"], "default": None},
    {"name": "data_collections", "type": ["null", _array(_COLLECTION)], "default": None},
    _field("ts_ms", "long"),
)

_STATUS: Final = encode_string("END")
_STOP: Final = NULL  # ends an array
_WHY: Final = frozenset(get_args(Why))


class TableEnd(NamedTuple):
    """One version that a commit makes: `events` changes in `records` records of its topic."""

    table: int
    version: int
    topic: str
    events: int
    records: int
    digest: bytes
    autos: Autos = ()


class End(NamedTuple):
    """A commit as its END record says it; `audit` rows and `row.ddl` catalog events go with it."""

    row: CommitRow
    tables: tuple[TableEnd, ...]
    audit: int
    chain: bytes


def end_key(key_id: int, commit_id: str) -> bytes:
    """The key of the END record; `key_id` is the registry's id of KEY_SCHEMA."""
    return frame(key_id, encode_string(commit_id))


def end_value(value_id: int, end: End, names: tuple[str, ...]) -> bytes:
    """The value of the END record; `names` are the tables' `schema.table`, in their order."""
    row, tables = end.row, end.tables
    parts = [
        _STATUS,
        encode_string(row.commit_id),
        SOME,
        encode_long(sum(table.events for table in tables)),
        SOME,
    ]
    if tables:
        parts.append(encode_long(len(tables)))
        for name, table in zip(names, tables, strict=True):
            parts += (encode_string(name), encode_long(table.events))
    parts += (_STOP, encode_long(row.time_us // 1000))
    return frame(value_id, b"".join(parts))


def _bytes(value: bytes) -> bytes:
    return encode_long(len(value)) + value


def _opt(value: int | None) -> bytes:
    return NULL if value is None else SOME + encode_long(value)


def end_header(end: End) -> bytes:
    """The header `headwater.commit`."""
    row, asked = end.row, end.row.idempotency
    parts = [
        encode_long(row.sequence),
        encode_long(row.time_us),
        encode_long(row.epoch),
        encode_long(row.ddl),
        encode_long(end.audit),
        encode_string(row.actor),
        encode_string(row.result),
    ]
    if row.statements:
        parts.append(encode_long(len(row.statements)))
        parts += map(encode_string, row.statements)
    parts.append(_STOP)
    if asked is None:
        parts.append(NULL)
    else:
        parts += (SOME, encode_string(asked.key), _bytes(asked.digest))
    if end.tables:
        parts.append(encode_long(len(end.tables)))
        for table in end.tables:
            _put_table(parts, table)
    parts.append(_STOP)
    if row.moves:
        parts.append(encode_long(len(row.moves)))
        for moved in row.moves:
            _put_move(parts, moved)
    parts += (_STOP, _bytes(end.chain))
    return b"".join(parts)


def _put_table(parts: list[bytes], table: TableEnd) -> None:
    parts += (
        encode_long(table.table),
        encode_long(table.version),
        encode_string(table.topic),
        encode_long(table.events),
        encode_long(table.records),
        _bytes(table.digest),
    )
    if table.autos:
        parts.append(encode_long(len(table.autos)))
        for column, following in table.autos:
            parts += (encode_long(column), encode_long(following))
    parts.append(_STOP)


def _put_move(parts: list[bytes], moved: Moved) -> None:
    move = moved.move
    parts += (
        encode_long(move.consumer),
        encode_string(move.why),
        _opt(move.start),
        encode_long(move.end),
        _opt(move.target),
        _opt(moved.target_version),
    )
    if move.tables:
        parts.append(encode_long(len(move.tables)))
        parts += map(encode_long, move.tables)
    note = canonical(dict(move.note)) if move.note else ""
    parts += (_STOP, encode_string(move.reason), encode_string(note))


def read_header(commit_id: str, data: bytes) -> End:
    """The commit in a header. Raises EncodingNotKnown for bytes that are none."""
    try:
        end = _read(commit_id, Cursor(data))
    except (IndexError, ValueError, KeyError, AttributeError) as error:
        raise EncodingNotKnown(f"header of commit {commit_id}: {error}") from error
    return end


def _read(commit_id: str, cursor: Cursor) -> End:
    long, text = cursor.long, cursor.text
    sequence, time_us, epoch, ddl, audit = long(), long(), long(), long(), long()
    actor, result = text(), text()
    statements: list[str] = []
    while count := cursor.count():
        statements += [text() for _ in range(count)]
    asked = Idempotency(text(), cursor.blob()) if cursor.some() else None
    tables: list[TableEnd] = []
    while count := cursor.count():
        tables += [_read_table(cursor) for _ in range(count)]
    moves: list[Moved] = []
    while count := cursor.count():
        moves += [_read_move(cursor) for _ in range(count)]
    chain = cursor.blob()
    if not cursor.done():
        raise ValueError("bytes are left over")
    row = CommitRow(
        sequence,
        commit_id,
        time_us,
        actor,
        {table.table: table.version for table in tables},
        tuple(moves),
        tuple(statements),
        asked,
        result,
        ddl,
        epoch,
    )
    return End(row, tuple(tables), audit, chain)


def _read_table(cursor: Cursor) -> TableEnd:
    table, version, topic = cursor.long(), cursor.long(), cursor.text()
    events, records, digest = cursor.long(), cursor.long(), cursor.blob()
    autos: list[tuple[int, int]] = []
    while count := cursor.count():
        autos += [(cursor.long(), cursor.long()) for _ in range(count)]
    return TableEnd(table, version, topic, events, records, digest, tuple(autos))


def _read_move(cursor: Cursor) -> Moved:
    consumer, why = cursor.long(), cursor.text()
    start, end, target, target_version = cursor.opt(), cursor.long(), cursor.opt(), cursor.opt()
    tables: list[int] = []
    while count := cursor.count():
        tables += [cursor.long() for _ in range(count)]
    reason, words = cursor.text(), cursor.text()
    note = cast(dict[str, str | int], json.loads(words)) if words else {}
    if why not in _WHY:
        raise ValueError(f"a move of kind {why!r}")
    move = Move(consumer, start, end, cast(Why, why), target, tuple(tables), reason, note)
    return Moved(move, target_version)


def commit_id_in(key: bytes) -> str:
    """The commit id in an END record's key. Raises EncodingNotKnown for anything else."""
    try:
        cursor = Cursor(key[5:])
        text = cursor.text()
        if key[:1] != b"\0" or not cursor.done():
            raise ValueError("not framed")
    except (IndexError, ValueError) as error:
        raise EncodingNotKnown(f"key of an END record: {error}") from error
    return text
