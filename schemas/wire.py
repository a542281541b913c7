"""How each column lies on the wire: its Avro form, whether it may be null, its bounds.

A record is its fields one after another, an optional field behind its union branch:

    record   := field*
    field    := value | 0x00 | 0x02 value          key columns are bare, all others optional
    LONG     := zigzag varint, at most 10 bytes    INT, DATE, TIME, TIMESTAMP_NTZ
    DOUBLE   := 8 bytes, little-endian
    BOOLEAN  := 0x00 | 0x01
    STRING   := length:LONG, that many bytes of UTF-8
    BYTES    := length:LONG, that many bytes
    DECIMAL  := length:LONG, big-endian two's complement, 1 to 16 bytes

Whatever is written lies within `low` and `high`, and whatever is read is checked against them, so
that no reader meets a date or a decimal that its own types cannot hold.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from headwater.schemas.tables import Column, TableSchema
from headwater.schemas.types import Kind, SqlType

INT64_LOW: Final = -(1 << 63)
INT64_HIGH: Final = (1 << 63) - 1
DAY_LOW: Final = -719162  # 0001-01-01
DAY_HIGH: Final = 2932896  # 9999-12-31
_DAY_MS = 86_400_000


class Form(Enum):
    """The Avro primitive behind a column."""

    LONG = auto()
    DOUBLE = auto()
    BOOLEAN = auto()
    STRING = auto()
    BYTES = auto()
    DECIMAL = auto()


@dataclass(frozen=True, slots=True)
class WireField:
    """One field of a record: `low` and `high` bound the plain ints of LONG and DECIMAL."""

    name: str
    form: Form
    optional: bool
    type: SqlType
    low: int = INT64_LOW
    high: int = INT64_HIGH


_FORMS = {
    Kind.INT: Form.LONG,
    Kind.DATE: Form.LONG,
    Kind.TIME: Form.LONG,
    Kind.TIMESTAMP_NTZ: Form.LONG,
    Kind.DECIMAL: Form.DECIMAL,
    Kind.FLOAT: Form.DOUBLE,
    Kind.BOOLEAN: Form.BOOLEAN,
    Kind.BINARY: Form.BYTES,
}


def form_of(type_: SqlType) -> Form:
    """The wire form of a type; text of every sort is a STRING."""
    return _FORMS.get(type_.kind, Form.STRING)


def bounds_of(type_: SqlType) -> tuple[int, int]:
    """The least and greatest plain int of an INT, DECIMAL, DATE, TIME or TIMESTAMP_NTZ."""
    unit = 1 if type_.in_millis else 1000
    match type_.kind:
        case Kind.DECIMAL:
            limit = 10 ** (type_.precision or 38) - 1
            return -limit, limit
        case Kind.DATE:
            return DAY_LOW, DAY_HIGH
        case Kind.TIME:
            return 0, _DAY_MS * unit - 1
        case Kind.TIMESTAMP_NTZ:
            return DAY_LOW * _DAY_MS * unit, (DAY_HIGH + 1) * _DAY_MS * unit - 1
        case _:
            return INT64_LOW, INT64_HIGH


def _field(column: Column, optional: bool) -> WireField:
    low, high = bounds_of(column.type)
    return WireField(column.name, form_of(column.type), optional, column.type, low, high)


def value_fields(schema: TableSchema) -> tuple[WireField, ...]:
    """The fields of a row image, in column order."""
    return tuple(_field(column, column.id not in schema.key) for column in schema.columns)


def key_fields(schema: TableSchema) -> tuple[WireField, ...]:
    """The fields of a key record, in key order; none for a table without a key."""
    return tuple(_field(column, optional=False) for column in schema.key_columns)
