"""SQL types as users declare them, and the plain values that stand for them inside.

Inside, a row is a tuple of plain values, or Arrow columns:

    type                       plain value                         Arrow
    INT family                 int, 64 bits signed                 int64
    DECIMAL(p,s)               int, unscaled (12.30 -> 1230)       decimal128(p, s)
    FLOAT                      float                               float64
    BOOLEAN                    bool                                bool
    VARCHAR[(n)]               str, n counts characters            utf8
    BINARY[(n)]                bytes                               binary
    DATE                       int, days since 1970-01-01          date32
    TIME(p)                    int since midnight: ms (p <= 3), us time32[ms] or time64[us]
    TIMESTAMP_NTZ(p)           int since 1970: ms (p <= 3), us     timestamp[ms] or [us]
    TIMESTAMP_LTZ(p)           str, ISO 8601 in UTC, ending in Z   utf8
    TIMESTAMP_TZ(p)            str, ISO 8601 with its offset       utf8
    VARIANT, OBJECT, ARRAY     str, JSON text                      utf8
"""

import re
from dataclasses import dataclass
from enum import Enum

import pyarrow as pa

from headwater.schemas.errors import TypeNotKnown

Plain = int | float | bool | str | bytes | None
Row = tuple[Plain, ...]


class Kind(Enum):
    """What a value is; the declared name and parameters stand in `SqlType`."""

    INT = "INT"
    DECIMAL = "DECIMAL"
    FLOAT = "FLOAT"
    BOOLEAN = "BOOLEAN"
    VARCHAR = "VARCHAR"
    BINARY = "BINARY"
    DATE = "DATE"
    TIME = "TIME"
    TIMESTAMP_NTZ = "TIMESTAMP_NTZ"
    TIMESTAMP_LTZ = "TIMESTAMP_LTZ"
    TIMESTAMP_TZ = "TIMESTAMP_TZ"
    VARIANT = "VARIANT"
    OBJECT = "OBJECT"
    ARRAY = "ARRAY"

    # Each member is one object: its identity hashes as well as its name, and without a call.
    __hash__ = object.__hash__


JSON_KINDS = frozenset({Kind.VARIANT, Kind.OBJECT, Kind.ARRAY})
ZONED_KINDS = frozenset({Kind.TIMESTAMP_LTZ, Kind.TIMESTAMP_TZ})

_KIND_OF = {
    **dict.fromkeys(("INT", "INTEGER", "BIGINT", "SMALLINT", "TINYINT", "BYTEINT"), Kind.INT),
    **dict.fromkeys(("DECIMAL", "NUMERIC", "NUMBER", "DEC"), Kind.DECIMAL),
    **dict.fromkeys(
        ("FLOAT", "FLOAT4", "FLOAT8", "DOUBLE", "DOUBLE PRECISION", "REAL"), Kind.FLOAT
    ),
    **dict.fromkeys(("BOOLEAN", "BOOL"), Kind.BOOLEAN),
    **dict.fromkeys(
        ("VARCHAR", "STRING", "TEXT", "CHAR", "CHARACTER", "NVARCHAR", "CHAR VARYING"),
        Kind.VARCHAR,
    ),
    **dict.fromkeys(("BINARY", "VARBINARY"), Kind.BINARY),
    "DATE": Kind.DATE,
    "TIME": Kind.TIME,
    **dict.fromkeys(
        ("TIMESTAMP", "TIMESTAMP_NTZ", "TIMESTAMPNTZ", "DATETIME", "TIMESTAMP WITHOUT TIME ZONE"),
        Kind.TIMESTAMP_NTZ,
    ),
    **dict.fromkeys(
        ("TIMESTAMP_LTZ", "TIMESTAMPLTZ", "TIMESTAMP WITH LOCAL TIME ZONE"), Kind.TIMESTAMP_LTZ
    ),
    **dict.fromkeys(("TIMESTAMP_TZ", "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"), Kind.TIMESTAMP_TZ),
    "VARIANT": Kind.VARIANT,
    "OBJECT": Kind.OBJECT,
    "ARRAY": Kind.ARRAY,
}
_DECLARED = re.compile(r"\s*([A-Za-z_][\w ]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*")
_CLOCKS = frozenset({Kind.TIME, Kind.TIMESTAMP_NTZ, Kind.TIMESTAMP_LTZ, Kind.TIMESTAMP_TZ})


@dataclass(frozen=True, slots=True)
class SqlType:
    """One column's type: `kind` decides the values, `name` is what the user declared.

    `precision`: digits of a DECIMAL (1-38), or of a second's fraction (0-9, kept to 6);
    `scale`: digits after the point; `length`: characters of VARCHAR, bytes of BINARY.
    """

    kind: Kind
    name: str
    precision: int | None = None
    scale: int | None = None
    length: int | None = None

    @classmethod
    def parse(cls, text: str) -> "SqlType":
        """The type a declaration such as `DECIMAL(10,2)` or `varchar` names.

        Raises:
            TypeNotKnown: no such type, or its parameters are out of range.
        """
        found = _DECLARED.fullmatch(text)
        kind = _KIND_OF.get(" ".join(found[1].upper().split())) if found else None
        if found is None or kind is None:
            raise TypeNotKnown(text, "no such type")
        name = " ".join(found[1].upper().split())
        first = int(found[2]) if found[2] else None
        second = int(found[3]) if found[3] else None
        if second is not None and kind is not Kind.DECIMAL:
            raise TypeNotKnown(text, f"{name} takes one parameter at most")
        if kind is Kind.DECIMAL:
            precision, scale = (38, 9) if first is None else (first, second or 0)
            if not 1 <= precision <= 38 or scale > precision:
                raise TypeNotKnown(text, "precision is 1 to 38 and scale at most the precision")
            return cls(kind, name, precision=precision, scale=scale)
        if kind in _CLOCKS:
            if first is not None and first > 9:
                raise TypeNotKnown(text, "a second has at most 9 digits here")
            return cls(kind, name, precision=6 if first is None else first)
        if kind in (Kind.VARCHAR, Kind.BINARY):
            if first == 0:
                raise TypeNotKnown(text, "the length is at least 1")
            return cls(kind, name, length=first)
        if first is not None and kind is not Kind.FLOAT:
            raise TypeNotKnown(text, f"{name} takes no parameter")
        return cls(kind, name)

    def __str__(self) -> str:
        if self.kind is Kind.DECIMAL:
            return f"{self.name}({self.precision},{self.scale})"
        if self.length is not None:
            return f"{self.name}({self.length})"
        if self.precision is not None and self.precision != 6:
            return f"{self.name}({self.precision})"
        return self.name

    @property
    def in_millis(self) -> bool:
        """Whether a TIME or TIMESTAMP_NTZ counts milliseconds, not microseconds."""
        return self.precision is not None and self.precision <= 3

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type of the column inside; see the module's table."""
        match self.kind:
            case Kind.INT:
                return pa.int64()
            case Kind.DECIMAL:
                return pa.decimal128(self.precision or 38, self.scale or 0)
            case Kind.FLOAT:
                return pa.float64()
            case Kind.BOOLEAN:
                return pa.bool_()
            case Kind.BINARY:
                return pa.binary()
            case Kind.DATE:
                return pa.date32()
            case Kind.TIME:
                return pa.time32("ms") if self.in_millis else pa.time64("us")
            case Kind.TIMESTAMP_NTZ:
                return pa.timestamp("ms" if self.in_millis else "us")
            case _:
                return pa.string()
