"""Types between Snowflake's words and DuckDB's.

type            in DuckDB           why
INT             BIGINT              overflow raises
DECIMAL(p,s)    DECIMAL(p,s)
FLOAT           DOUBLE
TIMESTAMP_NTZ   TIMESTAMP
TIMESTAMP_LTZ   TIMESTAMPTZ
TIMESTAMP_TZ    VARCHAR             ISO text, as it is inside: DuckDB has no type that keeps an
                                    offset; every use but handing it on casts it
VARIANT, ..     JSON or VARCHAR     JSON text
"""

from typing import Final

from headwater.schemas.types import JSON_KINDS, Kind, SqlType

INT: Final = SqlType.parse("INT")
FLOAT: Final = SqlType.parse("FLOAT")
BOOLEAN: Final = SqlType.parse("BOOLEAN")
VARCHAR: Final = SqlType.parse("VARCHAR")
BINARY: Final = SqlType.parse("BINARY")
DATE: Final = SqlType.parse("DATE")
TIME: Final = SqlType.parse("TIME")
NTZ: Final = SqlType.parse("TIMESTAMP_NTZ")
LTZ: Final = SqlType.parse("TIMESTAMP_LTZ")
TZ: Final = SqlType.parse("TIMESTAMP_TZ")
VARIANT: Final = SqlType.parse("VARIANT")
OBJECT: Final = SqlType.parse("OBJECT")
ARRAY: Final = SqlType.parse("ARRAY")

NUMERIC_KINDS: Final = frozenset({Kind.INT, Kind.DECIMAL, Kind.FLOAT})
EXACT_KINDS: Final = frozenset({Kind.INT, Kind.DECIMAL})
STAMP_KINDS: Final = frozenset({Kind.TIMESTAMP_NTZ, Kind.TIMESTAMP_LTZ, Kind.TIMESTAMP_TZ})

_DUCK: Final = {
    Kind.INT: "BIGINT",
    Kind.FLOAT: "DOUBLE",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.VARCHAR: "VARCHAR",
    Kind.BINARY: "BLOB",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.TIMESTAMP_NTZ: "TIMESTAMP",
    Kind.TIMESTAMP_LTZ: "TIMESTAMPTZ",
    Kind.TIMESTAMP_TZ: "VARCHAR",
    Kind.VARIANT: "JSON",
    Kind.OBJECT: "JSON",
    Kind.ARRAY: "JSON",
}


def duck(type_: SqlType) -> str:
    """The DuckDB type that a value of a type has inside a query."""
    if type_.kind is Kind.DECIMAL:
        return f"DECIMAL({type_.precision},{type_.scale})"
    return _DUCK[type_.kind]


def number(precision: int, scale: int) -> SqlType:
    """NUMBER(p,s), its precision cut to 38."""
    return SqlType(Kind.DECIMAL, "NUMBER", precision=min(38, precision), scale=min(37, scale))


def digits(type_: SqlType) -> tuple[int, int]:
    """Digits before and after the point of an exact number's type."""
    if type_.kind is Kind.INT:
        return 19, 0
    scale = type_.scale or 0
    return (type_.precision or 38) - scale, scale


def is_json(type_: SqlType) -> bool:
    """Whether a type's values are JSON text inside."""
    return type_.kind in JSON_KINDS


def plain_name(type_: SqlType | None) -> str:
    """A type as an error names it."""
    return "NULL" if type_ is None else type_.kind.value


def derived(type_: SqlType) -> SqlType:
    """The type of an expression over a column: without its length, at full precision."""
    if type_.kind in (Kind.VARCHAR, Kind.BINARY) and type_.length is not None:
        return SqlType(type_.kind, type_.name)
    if type_.in_millis and type_.kind in STAMP_KINDS | {Kind.TIME}:
        return SqlType(type_.kind, type_.kind.value, precision=6)
    return type_
