"""Records as they stand on the topics, made from a sequenced commit. Pure.

<prefix>.<schema>.<table>   key frame(key record), value frame(envelope); after each d a
                            tombstone of its key; a key change carries `__debezium.newkey` on
                            its d and tombstone, `__debezium.oldkey` on its c
<topic>.base                compacted: rows as of the horizon, once history is let go (kafka_base)
<prefix>.transaction        one END a commit (kafka_end)
<prefix>.catalog            "sequence.ordinal" -> a catalog object as JSON, for each event;
                            "prefix" -> PrefixRecord, once; "intent" -> a topic about to be made
<prefix>.audit              "sequence.ordinal" -> {"actor","detail","what"}
<prefix>.state              compacted: "watermark/<consumer>", "writer"
<prefix>.requests, .nodes   what nodes say to each other, kept for minutes (kafka_requests)
"""

import json
import math
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple, cast

from headwater.log_store.catalog import CatalogEvent, TableObject
from headwater.log_store.catalog_json import decode_object, encode_object
from headwater.log_store.changes import Columns, RowChange, Rows, TableChanges
from headwater.log_store.encoding import EncodingNotKnown, canonical
from headwater.log_store.records import OP_DELETE, AuditRow, Watermark
from headwater.log_store.sequencing import Encoded
from headwater.schemas.framing import frame
from headwater.schemas.images import codec
from headwater.schemas.tables import TableSchema
from headwater.schemas.types import Plain
from headwater.schemas.varints import encode_long
from headwater.schemas.wire import Form, key_fields

FORMAT: Final = 1
NEW_KEY: Final = "__debezium.newkey"
OLD_KEY: Final = "__debezium.oldkey"
# The registry's ids of the END record's schemas, far above those that tables are given.
END_KEY_ID: Final = 0x7FFF_FFFE
END_VALUE_ID: Final = 0x7FFF_FFFF

Headers = list[tuple[str, str | bytes | None]]


class Names(NamedTuple):
    """The topics of a prefix that are no table's."""

    prefix: str

    @property
    def transaction(self) -> str:
        return f"{self.prefix}.transaction"

    @property
    def catalog(self) -> str:
        return f"{self.prefix}.catalog"

    @property
    def audit(self) -> str:
        return f"{self.prefix}.audit"

    @property
    def state(self) -> str:
        return f"{self.prefix}.state"

    @property
    def requests(self) -> str:
        return f"{self.prefix}.requests"

    @property
    def nodes(self) -> str:
        return f"{self.prefix}.nodes"

    @property
    def passing(self) -> frozenset[str]:
        """The topics whose records are kept for minutes only: what nodes say to each other."""
        return frozenset((self.requests, self.nodes))


@dataclass(slots=True)
class Run:
    """Records of one topic in order; a value of None is a tombstone. `headers` by place: few."""

    keys: list[bytes]
    values: list[bytes | None]
    headers: dict[int, Headers]


class EventRecords:
    """Turns the events of one table in one commit into records, run by run, in order."""

    __slots__ = ("_keyed", "_keys", "_new", "_old", "_place", "_schema", "_values", "count")

    def __init__(self, table: TableObject, changes: TableChanges) -> None:
        schema = self._schema = table.schema
        self._keyed = bool(schema.key)
        self._keys, self._values = frame(schema.key_schema_id, b""), frame(schema.schema_id, b"")
        self._new = _KeysAt(changes, new=True)
        self._old = _KeysAt(changes, new=False)
        self._place = 0
        self.count = 0

    def run(self, encoded: Encoded) -> Run:
        """The records of the next run of events."""
        segment, messages = encoded.segment, encoded.messages
        head = self._values
        match segment:
            case Rows(changes):
                assert messages is not None
                keys = self._row_keys(changes)
                values: list[bytes | None] = [head + message for message in messages]
                if any(change.pair or change.op == OP_DELETE for change in changes):
                    ops = [change.op for change in changes]
                    return self._spread(keys, values, ops, [change.pair for change in changes])
            case Columns():
                keys = self._column_keys(segment)
                offsets, data = encoded.run()
                ends = offsets.tolist()
                values = [head + data[a:b] for a, b in pairwise(ends)]
                pairs = segment.pairs
                if pairs is not None or bool((segment.ops == OP_DELETE).any()):
                    zeros = [0] * len(keys)
                    ops = segment.ops.tolist()
                    return self._spread(
                        keys, values, ops, zeros if pairs is None else pairs.tolist()
                    )
        self._place += len(keys)
        self.count += len(keys)
        return Run(keys, values, {})

    def _row_keys(self, changes: Sequence[RowChange]) -> list[bytes]:
        head = self._keys
        if not self._keyed:
            return [head + encode_long(change.row_id) for change in changes]
        return [
            head + (change.old_key if change.op == OP_DELETE else change.new_key or change.old_key)
            for change in changes
        ]

    def _column_keys(self, segment: Columns) -> list[bytes]:
        head = self._keys
        if not self._keyed:
            return [head + encode_long(row_id) for row_id in segment.row_ids.tolist()]
        nothing: list[bytes | None] = [None] * len(segment)
        new = nothing if segment.new_keys is None else segment.new_keys.to_pylist()
        if segment.old_keys is None:
            return [head + (key or b"") for key in new]
        old = segment.old_keys.to_pylist()
        return [head + (n or o or b"") for n, o in zip(new, old, strict=True)]

    def _spread(
        self,
        keys: list[bytes],
        values: list[bytes | None],
        ops: Sequence[int],
        pairs: Sequence[int],
    ) -> Run:
        """The same with a tombstone after each d, and headers where a key changes."""
        run = Run([], [], {})
        for at, (key, value, op, pair) in enumerate(zip(keys, values, ops, pairs, strict=True)):
            headers = self._headers(self._place + at, pair) if pair else None
            if headers is not None:
                run.headers[len(run.keys)] = headers
            run.keys.append(key)
            run.values.append(value)
            if op == OP_DELETE:
                if headers is not None:
                    run.headers[len(run.keys)] = headers
                run.keys.append(key)
                run.values.append(None)
        self._place += len(keys)
        self.count += len(run.keys)
        return run

    def _headers(self, place: int, pair: int) -> Headers:
        if pair > 0:
            return [(NEW_KEY, key_json(self._schema, self._new.at(place + pair)))]
        return [(OLD_KEY, key_json(self._schema, self._old.at(place + pair)))]


class _KeysAt:
    """The old or new key of any event of a table in a commit by its place; cheap while they rise."""

    __slots__ = ("_changes", "_keys", "_new", "_segments", "_start")

    def __init__(self, changes: TableChanges, *, new: bool) -> None:
        self._changes, self._new = changes, new
        self._restart()

    def _restart(self) -> None:
        self._segments = iter(self._changes)
        self._start = 0
        self._keys: list[bytes] = []

    def at(self, place: int) -> bytes:
        if place < self._start:
            self._restart()
        while place >= self._start + len(self._keys):
            self._start += len(self._keys)
            self._keys = self._keys_of(next(self._segments))
        return self._keys[place - self._start]

    def _keys_of(self, segment: Rows | Columns) -> list[bytes]:
        if isinstance(segment, Rows):
            changes = segment.changes
            return [change.new_key if self._new else change.old_key for change in changes]
        column = segment.new_keys if self._new else segment.old_keys
        if column is None:
            return [b""] * len(segment)
        return [key or b"" for key in column.to_pylist()]


def key_json(schema: TableSchema, key: bytes) -> bytes:
    """A key as Debezium writes it into a header: compact JSON, as Connect's converter makes it."""
    values = codec(schema).decode_key(key)
    fields = key_fields(schema)
    named = {
        field.name: _plain(field.form, value) for field, value in zip(fields, values, strict=True)
    }
    return json.dumps(named, separators=(",", ":"), ensure_ascii=False).encode()


def _plain(form: Form, value: Plain) -> str | int | float | bool | None:
    if form is Form.DECIMAL and type(value) is int:
        size = (value if value >= 0 else ~value).bit_length() // 8 + 1
        return b64encode(value.to_bytes(size, "big", signed=True)).decode()
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[repr(value)]
    return value


# The catalog and the audit


class PrefixRecord(NamedTuple):
    """What is fixed when a prefix is made. `registry`: a URL, None for the embedded one."""

    format: int = FORMAT
    registry: str | None = None
    end_key_id: int = END_KEY_ID
    end_value_id: int = END_VALUE_ID


class Intent(NamedTuple):
    """A topic about to be made (`topic_id` empty), or just made and not yet a table's."""

    topic: str
    topic_id: str
    table: int


PREFIX_KEY: Final = b"prefix"
INTENT_KEY: Final = b"intent"
WRITER_KEY: Final = b"writer"


def placed(sequence: int, ordinal: int) -> bytes:
    """The key of a catalog or audit record: its commit, and its place in it."""
    return b"%d.%d" % (sequence, ordinal)


def place_in(key: bytes) -> tuple[int, int] | None:
    """Commit and place in a record's key, None for a key of another kind."""
    sequence, dot, ordinal = key.partition(b".")
    if not (dot and sequence.isdigit() and ordinal.isdigit()):
        return None
    return int(sequence), int(ordinal)


def catalog_records(sequence: int, events: Sequence[CatalogEvent]) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each catalog event of a commit."""
    for ordinal, event in enumerate(events):
        yield placed(sequence, ordinal), encode_object(event.value).encode()


def read_catalog(value: bytes) -> CatalogEvent:
    """The event in a catalog record. Raises EncodingNotKnown for anything else."""
    return CatalogEvent(decode_object(value.decode(errors="replace")))


def audit_records(sequence: int, rows: Sequence[AuditRow]) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each audit row of a commit."""
    for ordinal, row in enumerate(rows):
        told = {"actor": row.actor, "detail": row.detail, "what": row.what}
        yield placed(sequence, ordinal), canonical(told).encode()


def read_audit(sequence: int, time_us: int, value: bytes) -> AuditRow:
    """The row in an audit record. Raises EncodingNotKnown for anything else."""
    told = read_json(value)
    try:
        actor, what, detail = told["actor"], told["what"], told["detail"]
    except KeyError as error:
        raise EncodingNotKnown(f"audit record of commit {sequence}: no {error}") from error
    return AuditRow(sequence, time_us, str(actor), str(what), str(detail))


def prefix_record(record: PrefixRecord) -> bytes:
    """The value under PREFIX_KEY."""
    return canonical(record._asdict()).encode()


def read_prefix(value: bytes) -> PrefixRecord:
    """Raises EncodingNotKnown for a record of a newer release, or anything else."""
    told = read_json(value)
    try:
        registry = told["registry"]
        record = PrefixRecord(
            int(cast(int, told["format"])),
            None if registry is None else str(registry),
            int(cast(int, told["end_key_id"])),
            int(cast(int, told["end_value_id"])),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise EncodingNotKnown(f"prefix record: {error}") from error
    if record.format > FORMAT:
        raise EncodingNotKnown(f"prefix of format {record.format}, this release knows {FORMAT}")
    return record


def intent_record(intent: Intent) -> bytes:
    """The value under INTENT_KEY."""
    return canonical(intent._asdict()).encode()


def read_intent(value: bytes) -> Intent:
    """Raises EncodingNotKnown for anything else."""
    told = read_json(value)
    try:
        return Intent(str(told["topic"]), str(told["topic_id"]), int(cast(int, told["table"])))
    except (KeyError, ValueError, TypeError) as error:
        raise EncodingNotKnown(f"intent record: {error}") from error


# The state


class Mark(NamedTuple):
    """A watermark as the state topic holds it, with the group's offset that mirrors it."""

    watermark: Watermark
    group: str
    topic: str
    offset: int

    def position(self) -> "Position":
        """What the group's committed offset is to be."""
        at = self.watermark
        return Position(self.topic, self.offset, group_metadata(at.position, at.sequence))


class Position(NamedTuple):
    """An offset in the one partition of a topic, with what stands beside it in a group."""

    topic: str
    offset: int
    metadata: str = ""


def mark_key(consumer: int) -> bytes:
    """The key of a consumer's watermark."""
    return b"watermark/%d" % consumer


def mark_record(mark: Mark) -> bytes:
    """The value of a consumer's watermark."""
    at = mark.watermark
    return canonical(
        {
            "group": mark.group,
            "offset": mark.offset,
            "position": at.position,
            "sequence": at.sequence,
            "target_version": at.target_version,
            "time_us": at.time_us,
            "topic": mark.topic,
        }
    ).encode()


def read_mark(consumer: int, value: bytes) -> Mark:
    """Raises EncodingNotKnown for anything else."""
    told = cast(dict[str, int], read_json(value))
    try:
        at = Watermark(
            consumer, told["position"], told["sequence"], told["time_us"], told["target_version"]
        )
        return Mark(at, str(told["group"]), str(told["topic"]), told["offset"])
    except KeyError as error:
        raise EncodingNotKnown(f"watermark of consumer {consumer}: no {error}") from error


class Writer(NamedTuple):
    """Who writes a prefix: the `epoch`-th writer it has had."""

    epoch: int
    host: str
    pid: int
    since_us: int


def writer_record(writer: Writer) -> bytes:
    """The value under WRITER_KEY."""
    return canonical(writer._asdict()).encode()


def read_writer(value: bytes) -> Writer:
    """Raises EncodingNotKnown for anything else."""
    told = cast(dict[str, int], read_json(value))
    try:
        return Writer(told["epoch"], str(told["host"]), told["pid"], told["since_us"])
    except KeyError as error:
        raise EncodingNotKnown(f"writer record: no {error}") from error


def read_json(value: bytes) -> dict[str, object]:
    """A JSON object. Raises EncodingNotKnown for anything else."""
    try:
        told: object = json.loads(value)
    except ValueError as error:
        raise EncodingNotKnown(f"record: {error}") from error
    if not isinstance(told, dict):
        raise EncodingNotKnown("record: no JSON object")
    return cast(dict[str, object], told)


# Offsets of consumer groups


def group_metadata(position: int, sequence: int) -> str:
    """What stands beside a group's offset, so that our own is told from a foreign one."""
    return f"v={'INITIAL' if position < 0 else position};seq={sequence}"


def sequence_in(metadata: str) -> int | None:
    """The commit in our own metadata; None for anybody else's."""
    first, _, rest = metadata.partition(";seq=")
    ours = first.startswith("v=") and rest.isdigit()
    return int(rest) if ours else None
