"""One adopted topic's messages as changes, whichever of Debezium's forms they come in."""

from collections.abc import Callable, Mapping
from typing import Final, cast

from headwater.schemas import foreign_json
from headwater.schemas.delivery import delivered
from headwater.schemas.errors import EventUnreadable
from headwater.schemas.foreign import Fields, ForeignChange, ForeignColumn, ForeignShape
from headwater.schemas.foreign_avro import WrittenWith
from headwater.schemas.foreign_types import declared_convert
from headwater.schemas.framing import unframe
from headwater.schemas.types import SqlType

# The text of a schema by the registry's id.
Schemas = Callable[[int], str]
_OPS: Final = frozenset("cudrt")


class ForeignReader:
    """Reads keys and values; `declared` types columns of JSON that comes without a schema."""

    def __init__(
        self, schemas: Schemas | None = None, declared: Mapping[str, SqlType] | None = None
    ) -> None:
        self._schemas = schemas
        self._known: dict[int, WrittenWith] = {}
        self._declared = tuple(
            ForeignColumn(name, type_, True, declared_convert(type_))
            for name, type_ in (declared or {}).items()
        )
        self.met: dict[str, ForeignColumn] = {column.name: column for column in self._declared}
        """Every column of the rows read so far, by name, as it was last declared."""
        # The columns of a schema, worked out once for each that is met.
        self._columns: dict[object, tuple[ForeignColumn, ...]] = {}

    def shape(self, key: bytes | None, value: bytes) -> ForeignShape:
        """The columns that a message's rows have, and those of its key.

        Raises:
            EventUnreadable: it is no envelope, or JSON without a schema and without declared columns.
        """
        _, columns = self._envelope(value)
        if not columns:
            raise EventUnreadable("JSON without a schema does not tell its columns: declare them")
        names = () if key is None else tuple(self._key(key))
        return ForeignShape(columns, names)

    def change(self, key: bytes | None, value: bytes | None) -> ForeignChange | None:
        """What a message says; None for one without a change (a tombstone, a heartbeat).

        Raises:
            EventUnreadable: it cannot be read as an envelope.
        """
        if value is None:
            return None
        envelope, columns = self._envelope(value)
        by_name = {column.name: column for column in columns}
        if self.met.keys() != by_name.keys():
            self.met |= by_name
        op = envelope.get("op")
        if op == "m":
            return None
        if not isinstance(op, str) or op not in _OPS:
            raise EventUnreadable(f"op {op!r}: no change that Debezium's envelope knows")
        source = _struct(envelope.get("source")) or {}
        told = envelope.get("ts_ms")
        change = ForeignChange(
            op=op,
            key=None if key is None else _converted(self._key(key), by_name),
            before=_converted(_struct(envelope.get("before")), by_name),
            after=_converted(_struct(envelope.get("after")), by_name),
            # A snapshot's rows all stand at one place: they are never dropped.
            delivered=None if op == "r" else delivered(source),
            transaction=str((_struct(envelope.get("transaction")) or {}).get("id") or ""),
            time_ms=told if isinstance(told, int) else None,
        )
        if op in "cur" and change.after is None:
            raise EventUnreadable(f"op {op} without the row after it")
        return change

    def _envelope(self, value: bytes) -> tuple[Fields, tuple[ForeignColumn, ...]]:
        """A value's fields, and its rows' columns."""
        if value[:1] == b"\x00":
            schema_id, body = unframe(value)
            written = self._written_with(schema_id)
            columns = self._remembered(schema_id, written.row_columns)
            return written.read(body), columns
        schema, payload = foreign_json.parse(value, "value")
        if schema is None:
            return payload, self._declared
        return payload, foreign_json.row_columns(schema)

    def _key(self, key: bytes) -> Fields:
        if key[:1] == b"\x00":
            schema_id, body = unframe(key)
            return self._written_with(schema_id).read(body)
        return foreign_json.parse(key, "key")[1]

    def _written_with(self, schema_id: int) -> WrittenWith:
        if schema_id not in self._known:
            if self._schemas is None:
                raise EventUnreadable(f"schema {schema_id}: no registry is set to look it up in")
            self._known[schema_id] = WrittenWith(self._schemas(schema_id))
        return self._known[schema_id]

    def _remembered(
        self, which: object, work_out: Callable[[], tuple[ForeignColumn, ...]]
    ) -> tuple[ForeignColumn, ...]:
        if which not in self._columns:
            self._columns[which] = work_out()
        return self._columns[which]


def _struct(value: object) -> Fields | None:
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def _converted(row: Fields | None, columns: Mapping[str, ForeignColumn]) -> Fields | None:
    """A row's values as this product takes them; a column that is not declared is left out."""
    if row is None:
        return None
    made: dict[str, object] = {}
    for name, value in row.items():
        column = columns.get(name)
        if column is None:
            continue
        try:
            made[name] = column.convert(value)
        except EventUnreadable as error:
            raise EventUnreadable(f"column {name}: {error.why}") from None
    return made
