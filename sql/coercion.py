"""Casts between Snowflake's types, written in DuckDB's words.

`cast` is what `::` and CAST do, `unify` what CASE, UNION, IN and comparisons do. A cast of a text
that does not parse raises with the value and its place; TRY_CAST gives NULL.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from headwater.schemas.types import JSON_KINDS, Kind, SqlType
from headwater.sql.typed import Typed, computed, text
from headwater.sql.typing_duck import (
    EXACT_KINDS,
    FLOAT,
    LTZ,
    NTZ,
    NUMERIC_KINDS,
    STAMP_KINDS,
    VARCHAR,
    VARIANT,
    derived,
    digits,
    duck,
    is_json,
    number,
    plain_name,
)

_ZONE: Final = r"\s*(?:[Zz]|UTC|[+-]\d{2}:?(?:\d{2})?)$"
_TIMED: Final = r"\d:\d.*?(?:[Zz]|UTC|[+-]\d{2}:?(?:\d{2})?)\s*$"
# Longer texts are not repeated for the sake of a better message.
_REPEATED: Final = 400


class Mismatch(Exception):
    """Two types that do not go together; `args[0]` says which."""


@dataclass(frozen=True, slots=True)
class Casting:
    """How to cast: `guarded` false gives NULL where a value does not fit (TRY_CAST).

    `zone` is the session's, `offset` where the cast stands in the statement's text.
    """

    guarded: bool = True
    zone: str = "UTC"
    offset: int = -1


def failure(code: str, offset: int, message: str) -> str:
    """DuckDB's text for an error of ours; `message` is an expression."""
    return f"error({text(f'HW|{code}|{offset}|')} || {message})"


def cast(value: Typed, target: SqlType, how: Casting) -> Typed:
    """An expression as another type.

    Raises:
        Mismatch: no value of the one type is one of the other.
    """
    if value.type is None:
        return Typed(f"CAST(NULL AS {duck(target)})", target, None)
    if _same(value.type, target):
        return Typed(value.sql, target, value.constant, value.raw, nullable=value.nullable)
    maker = _MAKERS.get(target.kind)
    made = None if maker is None else maker(value, target, how)
    if made is None:
        raise Mismatch(f"{plain_name(value.type)} cannot be cast to {plain_name(target)}")
    return computed(made, target)


def _same(one: SqlType, other: SqlType) -> bool:
    if one.kind is not other.kind:
        return False
    if one.kind is Kind.DECIMAL:
        return (one.precision, one.scale) == (other.precision, other.scale)
    if one.kind in (Kind.VARCHAR, Kind.BINARY):
        return other.length is None or (one.length is not None and one.length <= other.length)
    if one.kind in STAMP_KINDS | {Kind.TIME}:
        return (other.precision or 6) >= 6 or one.precision == other.precision
    return True


def _checked(sql: str, type_: str, what: str, how: Casting) -> str:
    """A text parsed as a type; says the value if it is none."""
    if not how.guarded:
        return f"TRY_CAST({sql} AS {type_})"
    if len(sql) > _REPEATED:
        return f"CAST({sql} AS {type_})"
    said = f"'''' || {sql} || ''' is no {what}'"
    return (
        f"COALESCE(TRY_CAST({sql} AS {type_}), CASE WHEN {sql} IS NOT NULL THEN "
        f"{failure('E_VALUE', how.offset, said)} END)"
    )


def _fitted(sql: str, type_: str, how: Casting) -> str:
    """A number as a narrower type; DuckDB says what is out of range."""
    return f"{'CAST' if how.guarded else 'TRY_CAST'}({sql} AS {type_})"


def _as_text(value: Typed) -> str:
    """What a VARIANT holds as text, texts without their quotes; a VARCHAR as it is."""
    assert value.type is not None
    return f"json_extract_string({value.sql}, '$')" if is_json(value.type) else value.sql


def _to_number(value: Typed, target: SqlType, how: Casting) -> str | None:
    match value.type.kind if value.type else None:
        case Kind.VARCHAR | Kind.VARIANT:
            if is_json(value.type or target):
                bare = f"CASE json_type({value.sql}) WHEN 'BOOLEAN' THEN CASE {_as_text(value)} "
                bare += f"WHEN 'true' THEN '1' ELSE '0' END ELSE {_as_text(value)} END"
            else:
                bare = value.sql
            return _checked(bare, duck(target), "number", how)
        case Kind.FLOAT:
            whole = f"round({value.sql})" if target.kind is Kind.INT else value.sql
            return _fitted(whole, duck(target), how)
        case Kind.BOOLEAN if target.kind is not Kind.FLOAT:
            return f"CAST(CAST({value.sql} AS BIGINT) AS {duck(target)})"
        case Kind.INT | Kind.DECIMAL:
            return _fitted(value.sql, duck(target), how)
        case _:
            return None


def _to_boolean(value: Typed, target: SqlType, how: Casting) -> str | None:
    kind = value.type.kind if value.type else None
    if kind in NUMERIC_KINDS:
        return f"({value.sql} <> 0)"
    if kind not in (Kind.VARCHAR, Kind.VARIANT):
        return None
    said = _as_text(value)
    wrong = "NULL"
    if how.guarded:
        wrong = failure("E_VALUE", how.offset, f"'''' || {said} || ''' is no BOOLEAN'")
    return (
        f"CASE WHEN lower(trim({said})) IN ('true', 't', 'yes', 'y', 'on', '1') THEN TRUE "
        f"WHEN lower(trim({said})) IN ('false', 'f', 'no', 'n', 'off', '0') THEN FALSE "
        f"WHEN {said} IS NULL THEN NULL ELSE {wrong} END"
    )


def shown(value: Typed, zone: str = "UTC") -> str:
    """A value as TO_VARCHAR writes it without a format."""
    assert value.type is not None
    sql = value.sql
    match value.type.kind:
        case Kind.VARCHAR:
            return sql
        case Kind.FLOAT:
            return f"regexp_replace(CAST({sql} AS VARCHAR), '\\.0$', '')"
        case Kind.DECIMAL if (value.type.precision, value.type.scale) == (38, 9):
            return f"regexp_replace(CAST({sql} AS VARCHAR), '\\.?0+$', '')"
        case Kind.TIMESTAMP_NTZ:
            return f"strftime({sql}, '%Y-%m-%d %H:%M:%S.%g')"
        case Kind.TIMESTAMP_LTZ:
            return shown(computed(as_zoned_text(sql, zone), _TZ))
        case Kind.TIMESTAMP_TZ:
            local = f"strftime({wall_of_text(sql)}, '%Y-%m-%d %H:%M:%S.%g')"
            return (
                f"({local} || ' ' || replace(regexp_extract({sql}, '[+-]\\d\\d:\\d\\d$'), ':', ''))"
            )
        case Kind.BINARY:
            return f"hex({sql})"
        case kind if kind in JSON_KINDS:
            return f"json_extract_string({sql}, '$')"
        case _:
            return f"CAST({sql} AS VARCHAR)"


_TZ: Final = SqlType.parse("TIMESTAMP_TZ")


def wall_of_text(sql: str) -> str:
    """The wall clock of a text with an offset, as a TIMESTAMP."""
    return f"CAST(regexp_replace({sql}, {text(_ZONE)}, '') AS TIMESTAMP)"


def wall_of(sql: str, zone: str) -> str:
    """The wall clock of an instant in a zone."""
    return f"timezone({text(zone)}, {sql})"


def as_zoned_text(sql: str, zone: str) -> str:
    """An instant as ISO text with the zone's offset at that time."""
    if zone == "UTC":
        return f"strftime({wall_of(sql, zone)}, '%Y-%m-%dT%H:%M:%S.%f+00:00')"
    wall = wall_of(sql, zone)
    minutes = f"((epoch_us({wall}) - epoch_us({sql})) // 60000000)"
    sign = f"CASE WHEN {minutes} < 0 THEN '-' ELSE '+' END"
    return (
        f"(strftime({wall}, '%Y-%m-%dT%H:%M:%S.%f') || {sign} || "
        f"printf('%02d:%02d', abs({minutes}) // 60, abs({minutes}) % 60))"
    )


def _to_varchar(value: Typed, target: SqlType, how: Casting) -> str | None:
    made = shown(value, how.zone)
    return made if target.length is None else f"left({made}, {target.length})"


def _to_binary(value: Typed, target: SqlType, how: Casting) -> str | None:
    if value.type is None or value.type.kind not in (Kind.VARCHAR, Kind.BINARY):
        return None
    if value.type.kind is Kind.BINARY:
        return value.sql
    bad = f"NOT regexp_full_match({value.sql}, '([0-9A-Fa-f]{{2}})*')"
    wrong = "NULL"
    if how.guarded:
        wrong = failure("E_VALUE", how.offset, f"'''' || {value.sql} || ''' is not hexadecimal'")
    return f"CASE WHEN {bad} THEN {wrong} ELSE unhex({value.sql}) END"


def _to_date(value: Typed, target: SqlType, how: Casting) -> str | None:
    match value.type.kind if value.type else None:
        case Kind.VARCHAR | Kind.VARIANT:
            return _checked(_as_text(value), "DATE", "DATE", how)
        case Kind.TIMESTAMP_NTZ:
            return f"CAST({value.sql} AS DATE)"
        case Kind.TIMESTAMP_LTZ:
            return f"CAST({wall_of(value.sql, how.zone)} AS DATE)"
        case Kind.TIMESTAMP_TZ:
            return f"CAST({wall_of_text(value.sql)} AS DATE)"
        case _:
            return None


def _to_time(value: Typed, target: SqlType, how: Casting) -> str | None:
    match value.type.kind if value.type else None:
        case Kind.VARCHAR | Kind.VARIANT:
            return _cut(_checked(_as_text(value), "TIME", "TIME", how), target)
        case Kind.TIMESTAMP_NTZ:
            return _cut(f"CAST({value.sql} AS TIME)", target)
        case Kind.TIMESTAMP_LTZ:
            return _cut(f"CAST({wall_of(value.sql, how.zone)} AS TIME)", target)
        case Kind.TIMESTAMP_TZ:
            return _cut(f"CAST({wall_of_text(value.sql)} AS TIME)", target)
        case Kind.TIME:
            return _cut(value.sql, target)
        case _:
            return None


def _cut(sql: str, target: SqlType) -> str:
    """Fractions of a second beyond the type's precision cut off."""
    places = 6 if target.precision is None else target.precision
    if places >= 6:
        return sql
    step = 10 ** (6 - places)
    match target.kind:
        case Kind.TIME:
            return f"CAST(make_timestamp(epoch_us({sql}) // {step} * {step}) AS TIME)"
        case Kind.TIMESTAMP_LTZ:
            return f"make_timestamptz(epoch_us({sql}) // {step} * {step})"
        case _:
            # Floored division: times before 1970 are cut towards the past.
            return f"make_timestamp(CAST(floor(epoch_us({sql}) / {step}) AS BIGINT) * {step})"


def _to_ntz(value: Typed, target: SqlType, how: Casting) -> str | None:
    match value.type.kind if value.type else None:
        case Kind.VARCHAR | Kind.VARIANT:
            made = _checked(_as_text(value), "TIMESTAMP", "TIMESTAMP", how)
        case Kind.DATE:
            made = f"CAST({value.sql} AS TIMESTAMP)"
        case Kind.TIMESTAMP_LTZ:
            made = wall_of(value.sql, how.zone)
        case Kind.TIMESTAMP_TZ:
            made = wall_of_text(value.sql)
        case Kind.TIMESTAMP_NTZ:
            made = value.sql
        case _:
            return None
    return _cut(made, target)


def _to_ltz(value: Typed, target: SqlType, how: Casting) -> str | None:
    match value.type.kind if value.type else None:
        case Kind.VARCHAR | Kind.VARIANT:
            said = _as_text(value)
            zoned = _checked(said, "TIMESTAMPTZ", "TIMESTAMP", how)
            made = zoned
            if how.zone != "UTC":
                plain = f"timezone({text(how.zone)}, TRY_CAST({said} AS TIMESTAMP))"
                made = f"CASE WHEN regexp_matches({said}, {text(_TIMED)}) THEN {zoned} ELSE {plain} END"
        case Kind.DATE:
            made = f"timezone({text(how.zone)}, CAST({value.sql} AS TIMESTAMP))"
        case Kind.TIMESTAMP_NTZ:
            made = f"timezone({text(how.zone)}, {value.sql})"
        case Kind.TIMESTAMP_TZ:
            made = f"CAST({value.sql} AS TIMESTAMPTZ)"
        case Kind.TIMESTAMP_LTZ:
            made = value.sql
        case _:
            return None
    return _cut(made, target)


def _to_tz(value: Typed, target: SqlType, how: Casting) -> str | None:
    kind = value.type.kind if value.type else None
    if kind is Kind.TIMESTAMP_TZ:
        return value.sql
    if kind in (Kind.VARCHAR, Kind.VARIANT):
        said = _as_text(value)
        local = f"strftime(CAST({said} AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%f')"
        sign = f"regexp_extract({said}, '([+-])(\\d\\d):?(\\d\\d)?\\s*$', 1)"
        hours = f"regexp_extract({said}, '[+-](\\d\\d):?(\\d\\d)?\\s*$', 1)"
        rest = f"regexp_extract({said}, '[+-]\\d\\d:?(\\d\\d)\\s*$', 1)"
        kept = f"({local} || {sign} || {hours} || ':' || CASE {rest} WHEN '' THEN '00' ELSE {rest} END)"
        ltz = _to_ltz(value, LTZ, how)
        own = f"regexp_matches({said}, '\\d:\\d.*[+-]\\d\\d:?(\\d\\d)?\\s*$')"
        return f"CASE WHEN {own} THEN {kept} ELSE {as_zoned_text(ltz or 'NULL', how.zone)} END"
    instant = value.sql if kind is Kind.TIMESTAMP_LTZ else _to_ltz(value, LTZ, how)
    return None if instant is None else as_zoned_text(instant, how.zone)


def _to_variant(value: Typed, target: SqlType, how: Casting) -> str | None:
    assert value.type is not None
    if is_json(value.type):
        return _of_shape(value, target, how)
    if target.kind is Kind.ARRAY:
        return f"json_array({as_json(value, how.zone)})"
    return None if target.kind is Kind.OBJECT else as_json(value, how.zone)


def _of_shape(value: Typed, target: SqlType, how: Casting) -> str:
    """A VARIANT as an OBJECT or ARRAY: it must hold one."""
    if target.kind is Kind.VARIANT:
        return value.sql
    wanted = target.kind.value
    other = "NULL"
    if target.kind is Kind.ARRAY:
        other = (
            f"CASE json_type({value.sql}) WHEN 'NULL' THEN NULL ELSE json_array({value.sql}) END"
        )
    elif how.guarded:
        said = f"CAST({value.sql} AS VARCHAR) || {text(f' is no {wanted}')}"
        other = failure("E_VALUE", how.offset, said)
    return (
        f"CASE WHEN {value.sql} IS NULL THEN NULL WHEN json_type({value.sql}) = '{wanted}' "
        f"THEN {value.sql} ELSE {other} END"
    )


def as_json(value: Typed, zone: str = "UTC") -> str:
    """A value as JSON: a text in quotes, times as texts, numbers as they are."""
    if value.type is None:
        return "CAST(NULL AS JSON)"
    match value.type.kind:
        case kind if kind in JSON_KINDS:
            return f"CAST({value.sql} AS JSON)"
        case Kind.DECIMAL:
            digits_ = f"CAST({value.sql} AS VARCHAR)"
            if value.type.scale:
                digits_ = f"regexp_replace({digits_}, '\\.?0+$', '')"
            return f"CAST({digits_} AS JSON)"
        case Kind.INT | Kind.FLOAT | Kind.BOOLEAN | Kind.VARCHAR | Kind.DATE | Kind.TIME:
            return f"to_json({value.sql})"
        case _:
            return f"to_json({shown(value, zone)})"


_Maker = Callable[[Typed, SqlType, Casting], str | None]
_MAKERS: Final[dict[Kind, _Maker]] = {
    Kind.INT: _to_number,
    Kind.DECIMAL: _to_number,
    Kind.FLOAT: _to_number,
    Kind.BOOLEAN: _to_boolean,
    Kind.VARCHAR: _to_varchar,
    Kind.BINARY: _to_binary,
    Kind.DATE: _to_date,
    Kind.TIME: _to_time,
    Kind.TIMESTAMP_NTZ: _to_ntz,
    Kind.TIMESTAMP_LTZ: _to_ltz,
    Kind.TIMESTAMP_TZ: _to_tz,
    Kind.VARIANT: _to_variant,
    Kind.OBJECT: _to_variant,
    Kind.ARRAY: _to_variant,
}


def common(types: Sequence[SqlType | None]) -> SqlType | None:
    """The type that values of all these can be shown as; None if all are NULL.

    Raises:
        Mismatch: there is none.
    """
    found: SqlType | None = None
    for type_ in types:
        if type_ is not None:
            found = derived(type_) if found is None else _wider(found, derived(type_))
    return found


def _wider(one: SqlType, other: SqlType) -> SqlType:
    if one == other:
        return one
    kinds = {one.kind, other.kind}
    if len(kinds) == 1 and one.kind is not Kind.DECIMAL:
        return one
    if kinds <= EXACT_KINDS:
        (lead1, scale1), (lead2, scale2) = digits(one), digits(other)
        scale = max(scale1, scale2)
        return number(max(lead1, lead2) + scale, scale)
    if kinds <= NUMERIC_KINDS:
        return FLOAT
    if kinds & JSON_KINDS:
        return VARIANT
    if Kind.VARCHAR in kinds:
        return one if one.kind is not Kind.VARCHAR else other
    if kinds <= STAMP_KINDS | {Kind.DATE}:
        return LTZ if kinds & {Kind.TIMESTAMP_LTZ, Kind.TIMESTAMP_TZ} else NTZ
    raise Mismatch(f"{plain_name(one)} and {plain_name(other)} do not go together")


def unify(values: Sequence[Typed], how: Casting) -> tuple[list[Typed], SqlType | None]:
    """The expressions in one type that takes all of them, and that type.

    Raises:
        Mismatch: there is none.
    """
    type_ = common([value.type for value in values])
    if type_ is None:
        return list(values), None
    return [cast(value, type_, how) for value in values], type_


def comparable(values: Sequence[Typed], how: Casting) -> list[str]:
    """The expressions in a form in which DuckDB compares them as Snowflake does.

    Raises:
        Mismatch: they cannot be compared.
    """
    kinds = {value.type.kind for value in values if value.type is not None}
    if kinds & JSON_KINDS and kinds - JSON_KINDS:
        # A VARIANT is compared as the other side's type.
        others = [v.type for v in values if v.type is not None and not is_json(v.type)]
        type_: SqlType | None = common(others) or VARCHAR
    else:
        type_ = common([value.type for value in values])
    if type_ is None:
        return [value.sql for value in values]
    if type_.kind is Kind.TIMESTAMP_TZ:
        type_ = LTZ
    if kinds <= EXACT_KINDS:
        return [value.sql for value in values]
    return [cast(value, type_, how).sql for value in values]


def ordered(value: Typed) -> str:
    """An expression in the form that sorts and groups as its values do."""
    if value.type is not None and value.type.kind is Kind.TIMESTAMP_TZ:
        return f"CAST({value.sql} AS TIMESTAMPTZ)"
    return value.sql
