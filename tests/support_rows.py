"""Schemas, rows and events of every type, drawn at random, and fastavro's bytes for them."""

import io
import struct
from collections.abc import Callable, Sequence
from decimal import Context, Decimal
from typing import NamedTuple, cast

import fastavro
from hypothesis import strategies as st

from headwater.schemas.avro import Json, value_schema
from headwater.schemas.envelope import EventConstants
from headwater.schemas.evolve import new_schema
from headwater.schemas.tables import ColumnSpec, TableSchema
from headwater.schemas.types import JSON_KINDS, Kind, Plain, Row, SqlType
from headwater.schemas.wire import bounds_of

TOPIC = "shop.public.t"
TYPES = [
    SqlType.parse(text)
    for text in (
        "INT",
        "DECIMAL(10,2)",
        "DECIMAL(18,0)",
        "DECIMAL(19,4)",
        "DECIMAL(38,9)",
        "FLOAT",
        "BOOLEAN",
        "VARCHAR",
        "BINARY",
        "DATE",
        "TIME",
        "TIME(3)",
        "TIMESTAMP",
        "TIMESTAMP(3)",
        "TIMESTAMP_LTZ",
        "TIMESTAMP_TZ",
        "VARIANT",
    )
]
_EDGES = sorted({s * ((1 << b) + d) for b in range(64) for d in (-1, 0, 1) for s in (1, -1)})
_DOUBLES = (0.0, -0.0, 1.5, -1e308, 5e-324, float("inf"), float("-inf"), float("nan"))
_WIDE = Context(prec=40)


def numbers(low: int, high: int) -> st.SearchStrategy[int]:
    """Ints within bounds, often where a varint or a decimal grows by a byte."""
    inside = [n for n in _EDGES if low <= n <= high]
    return st.sampled_from([*inside, low, high]) | st.integers(low, high)


def plain_of(type_: SqlType) -> st.SearchStrategy[Plain]:
    """Any plain value of a type."""
    match type_.kind:
        case Kind.FLOAT:
            return st.sampled_from(_DOUBLES) | st.floats(allow_nan=False)
        case Kind.BOOLEAN:
            return st.booleans()
        case Kind.BINARY:
            return st.binary(max_size=80)
        case Kind.INT | Kind.DECIMAL | Kind.DATE | Kind.TIME | Kind.TIMESTAMP_NTZ:
            return numbers(*bounds_of(type_))
        case _:
            texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=70)
            return texts | st.sampled_from(
                ["", "\0", "x" * 63, "x" * 64, "é" * 40, "\U0001f600" * 2100]
            )


@st.composite
def schemas(draw: st.DrawFn) -> TableSchema:
    """A table of one to six columns of any types, keyed or not."""
    types = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=6))
    specs = [ColumnSpec(f"c{i}", type_) for i, type_ in enumerate(types)]
    names = [spec.name for spec in specs if spec.type.kind not in JSON_KINDS]
    key = draw(st.lists(st.sampled_from(names), unique=True, max_size=3)) if names else []
    return new_schema(specs, key)


def rows_of(schema: TableSchema) -> st.SearchStrategy[Row]:
    """A row; NULL wherever the column is not in the key."""
    columns = [
        plain_of(c.type) if c.id in schema.key else st.none() | plain_of(c.type)
        for c in schema.columns
    ]
    return st.tuples(*columns)


class Change(NamedTuple):
    """A row change as the event writer takes it."""

    op: int
    row_id: int
    before: bytes | None
    after: bytes | None
    pair: int


OPS = {"c": (False, True), "u": (True, True), "d": (True, False), "r": (False, True)}


class Drawn(NamedTuple):
    """One drawn change with its rows beside the images' place."""

    op: str
    row_id: int
    before: Row | None
    after: Row | None
    pair: int


@st.composite
def drawn_changes(draw: st.DrawFn, schema: TableSchema, ops: str = "cud") -> list[Drawn]:
    """Some changes of any ops, row ids and pairs."""
    rows = rows_of(schema)
    found: list[Drawn] = []
    for _ in range(draw(st.integers(0, 12))):
        op = draw(st.sampled_from(ops))
        old, new = OPS[op]
        found.append(
            Drawn(
                op,
                draw(numbers(1, (1 << 63) - 1)),
                draw(rows) if old else None,
                draw(rows) if new else None,
                draw(st.sampled_from([0, 0, 1, 3])),
            )
        )
    return found


@st.composite
def constants(draw: st.DrawFn, *, snapshot: bool = False) -> EventConstants:
    """The constants of a commit, its numbers near the places where their bytes grow."""
    count = numbers(1, 1 << 60)
    digits = st.integers(0, 17).map(lambda k: max(10**k - 4, 1))
    text = st.sampled_from(["shop", "público", "x" * 70])
    return EventConstants(
        product="0.1.0",
        name=draw(text),
        db=draw(text),
        schema="public",
        table=draw(text),
        ts_us=draw(numbers(1, 1 << 55)),
        written_us=draw(numbers(1, 1 << 55)),
        version=draw(count),
        sequence=draw(count),
        event_count=draw(count),
        epoch=draw(numbers(1, 1 << 20)),
        commit_id=draw(st.sampled_from(["0190b5f2-7c1d-7d3e-8f11-4b7a3c2d1e0f", "a", ""])),
        first_event_seq=draw(digits | count),
        first_total_order=draw(count),
        first_table_order=draw(count),
        snapshot=snapshot,
    )


def _natural(type_: SqlType, value: Plain) -> object:
    if type_.kind is Kind.DECIMAL and value is not None:
        return Decimal(cast(int, value)).scaleb(-(type_.scale or 0), _WIDE)
    return value


def _record(schema: TableSchema, row: Row | None) -> object:
    if row is None:
        return None
    pairs = zip(schema.columns, row, strict=True)
    return (f"{TOPIC}.Value", {c.avro_name: _natural(c.type, v) for c, v in pairs})


def _write(schema: object, record: object) -> bytes:
    out = io.BytesIO()
    # Its stubs say dict without saying of what.
    write = cast("Callable[[io.BytesIO, object, object], None]", fastavro.schemaless_writer)
    write(out, schema, record)
    return out.getvalue()


def reference_image(schema: TableSchema, row: Row) -> bytes:
    """fastavro's bytes of a row image."""
    before = cast("list[dict[str, Json]]", value_schema(TOPIC, schema)["fields"])[0]
    value = cast("list[dict[str, Json]]", before["type"])[1]
    parsed = fastavro.parse_schema({**value, "namespace": TOPIC})
    return _write(parsed, cast("tuple[str, object]", _record(schema, row))[1])


def reference_events(
    schema: TableSchema, c: EventConstants, changes: Sequence[Drawn]
) -> list[bytes]:
    """fastavro's bytes of a commit's events, from the meaning of each field."""
    parsed = fastavro.parse_schema(cast("dict[str, object]", value_schema(TOPIC, schema)))
    events: list[bytes] = []
    for i, change in enumerate(changes):
        seq = c.first_event_seq + i
        source = {
            "version": c.product,
            "connector": "headwater",
            "name": c.name,
            "ts_ms": c.ts_us // 1000,
            "snapshot": "true" if c.snapshot else "false",
            "db": c.db,
            "sequence": f'["{c.version}","{seq}"]',
            "ts_us": c.ts_us,
            "ts_ns": None,
            "schema": c.schema,
            "table": c.table,
            "txId": c.sequence,
            "lsn": seq,
            "xmin": None,
            "commit_version": c.version,
            "event_seq": seq,
            "event_count": c.event_count,
            "row_id": change.row_id,
            "pair_seq": seq + change.pair if change.pair else None,
            "epoch": c.epoch,
        }
        transaction = {
            "id": c.commit_id,
            "total_order": c.first_total_order + i,
            "data_collection_order": c.first_table_order + i,
        }
        event = {
            "before": _record(schema, change.before),
            "after": _record(schema, change.after),
            "source": source,
            "transaction": None if c.snapshot else transaction,
            "op": change.op,
            "ts_ms": c.written_us // 1000,
            "ts_us": c.written_us,
            "ts_ns": None,
        }
        events.append(_write(parsed, event))
    return events


def same_row(left: Row, right: Row) -> bool:
    """Whether two rows are equal to the bit: NaN is itself, -0.0 is not 0.0."""
    return len(left) == len(right) and all(map(_same, left, right))


def _same(left: Plain, right: Plain) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return struct.pack("<d", left) == struct.pack("<d", right)
    return type(left) is type(right) and left == right
