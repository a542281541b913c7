"""Dates and times: parts, steps, differences, formats. The clock is the statement's own time."""

import re
from typing import Final

from sqlglot import exp

from headwater.schemas.types import Kind, SqlType
from headwater.sql.arithmetic import plus
from headwater.sql.binder import Binder, handles
from headwater.sql.coercion import cast, failure
from headwater.sql.context import Context
from headwater.sql.expressions import literal_as
from headwater.sql.functions import Rule, rules
from headwater.sql.scopes import Scope
from headwater.sql.time_formats import as_written, strftime_parts, strptime_format
from headwater.sql.trees import child, flag, inner, word
from headwater.sql.typed import NULL, Typed, computed, text
from headwater.sql.typing_duck import (
    DATE,
    FLOAT,
    INT,
    LTZ,
    NTZ,
    STAMP_KINDS,
    TIME,
    TZ,
    VARCHAR,
    plain_name,
)

# -- the clock ---------------------------------------------------------------------------------


def _now(context: Context) -> object:
    return context.tx.now_us


def now(binder: Binder) -> Typed:
    """The statement's time, the same for all its rows."""
    return computed(f"make_timestamptz({binder.param(_now, INT)})", LTZ)


@handles(exp.CurrentTimestamp, exp.CurrentTimestampLTZ)
def _current_timestamp(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    made = now(binder)
    if flag(node, "sysdate"):
        return cast(made, NTZ, binder.how(node))
    return made


@handles(exp.Localtimestamp)
def _local(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return now(binder)


@handles(exp.CurrentDate)
def _current_date(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return cast(now(binder), DATE, binder.how(node))


@handles(exp.CurrentTime, exp.Localtime)
def _current_time(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return cast(now(binder), TIME, binder.how(node))


# -- parts -------------------------------------------------------------------------------------


def wall(binder: Binder, node: exp.Expr, value: Typed) -> Typed:
    """A date or time as DuckDB takes it apart: DATE, TIME or the wall clock as TIMESTAMP."""
    if value.type is None:
        return Typed("CAST(NULL AS TIMESTAMP)", NTZ)
    kind = value.type.kind
    if kind in (Kind.DATE, Kind.TIME, Kind.TIMESTAMP_NTZ):
        return value
    if isinstance(value.constant, str):
        return literal_as(binder, node, value, NTZ)
    if kind in (Kind.VARCHAR, Kind.VARIANT, *STAMP_KINDS):
        return cast(value, NTZ, binder.how(node))
    binder.fail(node, f"a date or time is wanted here, this is a {plain_name(value.type)}")


_PARTS: Final = {
    "YEAR": "year", "YEARS": "year", "YYYY": "year", "YY": "year", "Y": "year", "YR": "year",
    "MONTH": "month", "MONTHS": "month", "MM": "month", "MON": "month", "MONS": "month",
    "DAY": "day", "DAYS": "day", "D": "day", "DD": "day", "DAYOFMONTH": "day",
    "QUARTER": "quarter", "QUARTERS": "quarter", "Q": "quarter", "QTR": "quarter",
    "HOUR": "hour", "HOURS": "hour", "H": "hour", "HH": "hour", "HR": "hour", "HRS": "hour",
    "MINUTE": "minute", "MINUTES": "minute", "M": "minute", "MI": "minute", "MIN": "minute",
    "MINS": "minute",
    "SECOND": "second", "SECONDS": "second", "S": "second", "SEC": "second", "SECS": "second",
    "DAYOFWEEK": "dayofweek", "WEEKDAY": "dayofweek", "DOW": "dayofweek", "DW": "dayofweek",
    "DAYOFWEEKISO": "isodow", "WEEKDAY_ISO": "isodow", "DOW_ISO": "isodow", "DAYOFWEEK_ISO": "isodow",
    "DAYOFYEAR": "doy", "YEARDAY": "doy", "DOY": "doy", "DY": "doy",
    "WEEK": "week", "WEEKS": "week", "W": "week", "WK": "week", "WEEKOFYEAR": "week", "WOY": "week",
    "WEEKISO": "week", "WEEK_ISO": "week", "WEEKOFYEARISO": "week", "WEEKOFYEAR_ISO": "week",
    "YEAROFWEEK": "isoyear", "YEAROFWEEKISO": "isoyear",
}  # fmt: skip
_CLOCK: Final = frozenset({"hour", "minute", "second"})
_EPOCHS: Final = {
    "EPOCH_SECOND": 1_000_000, "EPOCH": 1_000_000, "EPOCH_SECONDS": 1_000_000,
    "EPOCH_MILLISECOND": 1000, "EPOCH_MILLISECONDS": 1000,
    "EPOCH_MICROSECOND": 1, "EPOCH_MICROSECONDS": 1,
}  # fmt: skip


def part(binder: Binder, node: exp.Expr, value: Typed, unit: str) -> Typed:
    """A part of a date or time as a whole number."""
    unit = unit.upper()
    if unit in _EPOCHS:
        return computed(f"(epoch_us({_instant(binder, node, value)}) // {_EPOCHS[unit]})", INT)
    if unit in ("NANOSECOND", "NANOSECONDS", "NS", "EPOCH_NANOSECOND"):
        moment = wall(binder, node, value)
        if unit.startswith("EPOCH"):
            return computed(f"(epoch_us({_instant(binder, node, value)}) * 1000)", INT)
        micros = f"extract('microsecond' FROM {moment.sql})"
        return computed(f"(CAST({micros} % 1000000 AS BIGINT) * 1000)", INT)
    if unit in ("TIMEZONE_HOUR", "TZH", "TIMEZONE_MINUTE", "TZM"):
        zoned = cast(value, TZ, binder.how(node))
        at = 1 if unit in ("TIMEZONE_HOUR", "TZH") else 2
        return computed(
            f"CAST(regexp_extract({zoned.sql}, '([+-]\\d\\d):(\\d\\d)$', {at}) AS BIGINT)", INT
        )
    name = _PARTS.get(unit)
    if name is None:
        binder.fail(node, f"{unit} is no part of a date or time", "E_DATE_PART")
    moment = wall(binder, node, value)
    if moment.type is not None:
        if moment.type.kind is Kind.TIME and name not in _CLOCK:
            binder.fail(node, f"a TIME has no {unit}", "E_DATE_PART")
        if moment.type.kind is Kind.DATE and name in _CLOCK:
            moment = cast(moment, NTZ, binder.how(node))
    return computed(f"CAST(extract('{name}' FROM {moment.sql}) AS BIGINT)", INT)


def _instant(binder: Binder, node: exp.Expr, value: Typed) -> str:
    if value.type is not None and value.type.kind in (Kind.TIMESTAMP_LTZ, Kind.TIMESTAMP_TZ):
        return cast(value, LTZ, binder.how(node)).sql
    moment = wall(binder, node, value)
    if moment.type is not None and moment.type.kind is Kind.DATE:
        return f"CAST({moment.sql} AS TIMESTAMP)"
    return moment.sql


@handles(exp.Extract)
def _extract(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = binder.expr(inner(node, "expression"), scope)
    return part(binder, node, value, word(node) or word(inner(node)))


def _part_of(kind: type[exp.Expr], unit: str) -> None:
    def handler(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
        return part(binder, node, binder.expr(inner(node), scope), unit)

    handles(kind)(handler)


for _kind, _unit in (
    (exp.Year, "YEAR"), (exp.Month, "MONTH"), (exp.Day, "DAY"), (exp.DayOfMonth, "DAY"),
    (exp.DayOfWeek, "DAYOFWEEK"), (exp.DayOfWeekIso, "DAYOFWEEKISO"), (exp.DayOfYear, "DAYOFYEAR"),
    (exp.Week, "WEEK"), (exp.WeekOfYear, "WEEK"), (exp.Quarter, "QUARTER"), (exp.Hour, "HOUR"),
    (exp.Minute, "MINUTE"), (exp.Second, "SECOND"), (exp.YearOfWeek, "YEAROFWEEK"),
    (exp.YearOfWeekIso, "YEAROFWEEKISO"),
):  # fmt: skip
    _part_of(_kind, _unit)


# -- steps and differences ---------------------------------------------------------------------

_STEPS: Final = {
    "year": "YEAR", "quarter": "QUARTER", "month": "MONTH", "week": "WEEK", "day": "DAY",
    "hour": "HOUR", "minute": "MINUTE", "second": "SECOND",
}  # fmt: skip
_FINE: Final = {
    "MS": "MILLISECOND", "MSEC": "MILLISECOND", "MILLISECOND": "MILLISECOND",
    "MILLISECONDS": "MILLISECOND", "US": "MICROSECOND", "USEC": "MICROSECOND",
    "MICROSECOND": "MICROSECOND", "MICROSECONDS": "MICROSECOND", "NS": "NANOSECOND",
    "NANOSECOND": "NANOSECOND", "NANOSECONDS": "NANOSECOND", "NSEC": "NANOSECOND",
}  # fmt: skip


def unit_of(binder: Binder, node: exp.Expr, key: str = "unit") -> str:
    """The unit that a call names, by its full word."""
    said = word(node, key).upper()
    found = _FINE.get(said) or _STEPS.get(_PARTS.get(said, ""))
    if found is None:
        binder.fail(node, f"{said or 'this'} is no unit of time", "E_DATE_PART")
    return found


@handles(exp.DateAdd, exp.TimestampAdd, exp.TsOrDsAdd)
def _date_add(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value, count = binder.expr(inner(node), scope), binder.expr(inner(node, "expression"), scope)
    if isinstance(value.constant, str):
        value = literal_as(binder, node, value, NTZ)
    steps = binder.cast(count, INT, node).sql
    return plus(binder, node, value, unit_of(binder, node), steps)


@handles(exp.AddMonths)
def _add_months(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = wall(binder, node, binder.expr(inner(node), scope))
    months = binder.cast(binder.expr(inner(node, "expression"), scope), INT, node).sql
    moved = plus(binder, node, value, "MONTH", months)
    if value.type is None or moved.type is None or value.type.kind is Kind.TIME:
        binder.fail(node, "ADD_MONTHS takes a date or timestamp")
    # The last day of a month goes to the last day of the other one.
    day = f"CAST({value.sql} AS DATE)"
    last = f"last_day(CAST({moved.sql} AS DATE))"
    if value.type.kind is Kind.DATE:
        made = f"CASE WHEN {day} = last_day({day}) THEN {last} ELSE {moved.sql} END"
        return computed(made, DATE)
    clock = f"({value.sql} - CAST({day} AS TIMESTAMP))"
    made = f"CASE WHEN {day} = last_day({day}) THEN {last} + {clock} ELSE {moved.sql} END"
    return computed(made, moved.type)


@handles(exp.DateDiff, exp.TimestampDiff)
def _date_diff(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    unit = unit_of(binder, node)
    later = wall(binder, node, binder.expr(inner(node), scope))
    earlier = wall(binder, node, binder.expr(inner(node, "expression"), scope))
    kinds = {side.type.kind for side in (earlier, later) if side.type is not None}
    if Kind.TIME in kinds and len(kinds) > 1:
        binder.fail(node, "a TIME is compared with a TIME only")
    first, last = earlier.sql, later.sql
    if kinds != {Kind.TIME}:
        first, last = (f"CAST({side} AS TIMESTAMP)" for side in (first, last))
    if unit == "WEEK":
        weeks = [f"CAST(date_trunc('week', {side}) AS DATE)" for side in (first, last)]
        return computed(f"(({weeks[1]} - {weeks[0]}) // 7)", INT)
    if unit == "NANOSECOND":
        return computed(f"(date_diff('microsecond', {first}, {last}) * 1000)", INT)
    return computed(f"date_diff('{unit.lower()}', {first}, {last})", INT)


@handles(exp.MonthsBetween)
def _months_between(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    later, earlier = (
        f"CAST({wall(binder, node, binder.expr(inner(node, key), scope)).sql} AS TIMESTAMP)"
        for key in ("this", "expression")
    )
    whole = f"date_diff('month', {earlier}, {later})"
    days = f"(day({later}) - day({earlier}))"
    ends = [f"CAST({side} AS DATE) = last_day(CAST({side} AS DATE))" for side in (later, earlier)]
    same = f"{days} = 0 OR ({' AND '.join(ends)})"
    made = f"({whole} + CASE WHEN {same} THEN 0 ELSE {days} / 31.0 END)"
    return computed(f"CAST({made} AS DOUBLE)", FLOAT)


@handles(exp.TimestampTrunc, exp.DateTrunc)
def _date_trunc(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value, unit = binder.expr(inner(node), scope), unit_of(binder, node)
    moment = wall(binder, node, value)
    assert moment.type is not None
    name = "microseconds" if unit == "NANOSECOND" else unit.lower()
    if moment.type.kind is Kind.TIME:
        day = (
            f"CAST(TIMESTAMP '1970-01-01 00:00:00' + ({moment.sql} - TIME '00:00:00') AS TIMESTAMP)"
        )
        return computed(f"CAST(date_trunc('{name}', {day}) AS TIME)", TIME)
    made = f"date_trunc('{name}', {moment.sql})"
    if moment.type.kind is Kind.DATE:
        return computed(f"CAST({made} AS DATE)", DATE)
    found = computed(made, NTZ)
    zoned = value.type is not None and value.type.kind in (Kind.TIMESTAMP_LTZ, Kind.TIMESTAMP_TZ)
    return cast(found, LTZ, binder.how(node)) if zoned else found


@handles(exp.TimeSlice)
def _time_slice(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    if child(node, "kind") is not None and word(node, "kind").upper() != "START":
        binder.refuse(node, "TIME_SLICE with END is not supported")
    value, unit = wall(binder, node, binder.expr(inner(node), scope)), unit_of(binder, node)
    count = inner(node, "expression")
    if not isinstance(count, exp.Literal) or not word(count).isdigit():
        binder.fail(node, "TIME_SLICE takes a number of units, such as 15")
    span = f"INTERVAL '{word(count)} {unit}'"
    start = "TIMESTAMP '1970-01-05'" if unit == "WEEK" else "TIMESTAMP '1970-01-01'"
    made = f"time_bucket({span}, CAST({value.sql} AS TIMESTAMP), {start})"
    if value.type is not None and value.type.kind is Kind.DATE:
        return computed(f"CAST({made} AS DATE)", DATE)
    return computed(made, NTZ)


@handles(exp.LastDay)
def _last_day(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = wall(binder, node, binder.expr(inner(node), scope)).sql
    unit = unit_of(binder, node) if child(node, "unit") is not None else "MONTH"
    if unit == "MONTH":
        return computed(f"last_day(CAST({value} AS DATE))", DATE)
    if unit not in ("YEAR", "QUARTER", "WEEK"):
        binder.fail(node, f"LAST_DAY takes MONTH, YEAR, QUARTER or WEEK, not {unit}", "E_DATE_PART")
    spans = {"YEAR": "to_years(1)", "QUARTER": "to_months(3)", "WEEK": "to_days(7)"}
    start = f"date_trunc('{unit.lower()}', CAST({value} AS TIMESTAMP))"
    return computed(f"CAST({start} + {spans[unit]} - to_days(1) AS DATE)", DATE)


_WEEKDAYS: Final = {"mo": 1, "tu": 2, "we": 3, "th": 4, "fr": 5, "sa": 6, "su": 7}


@handles(exp.NextDay, exp.PreviousDay)
def _neighbour(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = f"CAST({wall(binder, node, binder.expr(inner(node), scope)).sql} AS DATE)"
    wanted = _WEEKDAYS.get(word(node, "expression").lower()[:2])
    if wanted is None:
        binder.fail(node, "a day of the week is wanted, such as 'mo'", "E_DATE_PART")
    if isinstance(node, exp.NextDay):
        days = f"(({wanted} - isodow({value}) + 6) % 7 + 1)"
        return computed(f"({value} + CAST({days} AS INTEGER))", DATE)
    days = f"((isodow({value}) - {wanted} + 6) % 7 + 1)"
    return computed(f"({value} - CAST({days} AS INTEGER))", DATE)


rules(
    {
        exp.Monthname: Rule("MONTHNAME", "S", "left(monthname({0}), 3)", VARCHAR),
        exp.Dayname: Rule("DAYNAME", "S", "left(dayname({0}), 3)", VARCHAR),
        # Months and days beyond their range carry over.
        exp.DateFromParts: Rule(
            "DATE_FROM_PARTS", "III",
            "CAST(make_timestamp(CAST({0} AS BIGINT), 1, 1, 0, 0, 0.0)"
            " + to_months(CAST({1} - 1 AS INTEGER)) + to_days(CAST({2} - 1 AS INTEGER)) AS DATE)",
            DATE,
        ),
        exp.TimeFromParts: Rule(
            "TIME_FROM_PARTS", "IIIi",
            "CAST(make_timestamp((({0} * 60 + {1}) * 60 + {2}) * 1000000 + {3} // 1000) AS TIME)",
            TIME, ("0",),
        ),
    }
)  # fmt: skip


@handles(exp.TimestampFromParts)
def _timestamp_from_parts(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    keys = ("year", "month", "day", "hour", "min", "sec")
    if child(node, "year") is None:
        binder.refuse(node, "TIMESTAMP_FROM_PARTS is supported with year, month, day and so on")
    whole = [binder.cast(binder.expr(inner(node, k), scope), INT, node).sql for k in keys]
    nano = child(node, "nano")
    nanos = "0" if nano is None else binder.cast(binder.expr(nano, scope), INT, node).sql
    start = f"make_timestamp({whole[0]}, 1, 1, 0, 0, 0.0)"
    days = f"to_months(CAST({whole[1]} - 1 AS INTEGER)) + to_days(CAST({whole[2]} - 1 AS INTEGER))"
    clock = f"(({whole[3]} * 60 + {whole[4]}) * 60 + {whole[5]}) * 1000000 + {nanos} // 1000"
    return computed(f"({start} + {days} + to_microseconds({clock}))", NTZ)


@handles(exp.ConvertTimezone)
def _convert(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = binder.expr(inner(node, "timestamp"), scope)
    target = binder.cast(binder.expr(inner(node, "target_tz"), scope), VARCHAR, node)
    source = child(node, "source_tz")
    if source is not None:
        zone = binder.cast(binder.expr(source, scope), VARCHAR, node).sql
        moment = wall(binder, node, value)
        instant = f"timezone({zone}, CAST({moment.sql} AS TIMESTAMP))"
        return computed(f"timezone({target.sql}, {instant})", NTZ)
    instant = cast(value, LTZ, binder.how(node)).sql
    if not isinstance(target.constant, str):
        binder.refuse(node, "CONVERT_TIMEZONE takes the name of a zone, not a column")
    from headwater.sql.coercion import as_zoned_text

    return computed(as_zoned_text(instant, target.constant), TZ)


# -- to and from text --------------------------------------------------------------------------


def formatted(binder: Binder, node: exp.Expr, value: Typed, format_: str) -> Typed:
    """A date or time written by a format such as `YYYY-MM-DD HH24:MI`."""
    assert value.type is not None
    zone = "'Z'"
    if value.type.kind in (Kind.TIMESTAMP_LTZ, Kind.TIMESTAMP_TZ):
        zoned = cast(value, TZ, binder.how(node)).sql
        zone = f"regexp_extract({zoned}, '[+-]\\d\\d:\\d\\d$')"
    moment = wall(binder, node, value).sql
    if value.type.kind is Kind.TIME:
        moment = f"(TIMESTAMP '1970-01-01 00:00:00' + ({moment} - TIME '00:00:00'))"
    pieces = strftime_parts(format_)
    made = [
        {"tz": zone, "tzh": f"left({zone}, 3)", "tzm": f"right({zone}, 2)",
         "tzc": f"replace({zone}, ':', '')"}[piece]
        if kind == "zone"
        else f"strftime(CAST({moment} AS TIMESTAMP), {text(piece)})"
        if kind == "time"
        else text(piece)
        for kind, piece in pieces
    ]  # fmt: skip
    return computed(f"({' || '.join(made or [text('')])})", VARCHAR)


def parsed(
    binder: Binder, node: exp.Expr, value: Typed, format_: str, type_: SqlType, *, safe: bool
) -> Typed:
    """A text read by a format as a date or time."""
    said = binder.cast(value, VARCHAR, node).sql
    pattern = text(strptime_format(format_))
    found = f"try_strptime({said}, {pattern})"
    if not safe:
        message = f"'''' || {said} || {text(f''' is not of the form {as_written(format_)}''')}"
        wrong = failure("E_VALUE", binder.how(node).offset, message)
        found = f"COALESCE({found}, CASE WHEN {said} IS NOT NULL THEN {wrong} END)"
    return cast(computed(f"CAST({found} AS TIMESTAMP)", NTZ), type_, binder.how(node))


_EPOCH_TEXT: Final = r"-?\d{8,}"


def to_moment(
    binder: Binder,
    node: exp.Expr,
    values: tuple[Typed, exp.Expr | None],
    type_: SqlType,
    *,
    safe: bool,
) -> Typed:
    """TO_TIMESTAMP and its like: from text, a number of seconds, or another time."""
    value, format_ = values
    if value.type is None:
        return NULL.of(type_)
    if value.type.kind is Kind.VARCHAR:
        if format_ is not None and word(format_).upper() != "AUTO":
            return parsed(binder, node, value, word(format_), type_, safe=safe)
        if isinstance(value.constant, str) and not re.fullmatch(_EPOCH_TEXT, value.constant):
            if not safe and type_.kind in (Kind.DATE, Kind.TIME, Kind.TIMESTAMP_NTZ):
                literal_as(binder, node, value, type_)
            return cast(value, type_, binder.how(node, guarded=not safe))
        whole = f"TRY_CAST({value.sql} AS BIGINT)"
        digits = f"regexp_full_match({value.sql}, '{_EPOCH_TEXT}')"
        epoch = cast(computed(_epoch_of_any(whole), NTZ), type_, binder.how(node)).sql
        plain = cast(value, type_, binder.how(node, guarded=not safe)).sql
        return computed(f"CASE WHEN {digits} THEN {epoch} ELSE {plain} END", type_)
    if value.type.kind in (Kind.INT, Kind.DECIMAL, Kind.FLOAT):
        scale = 0 if format_ is None else int(word(format_) or 0)
        step = 10 ** (6 - scale) if scale <= 6 else 0
        micros = f"CAST(floor({value.sql} * {step}) AS BIGINT)"
        if scale > 6:
            micros = f"CAST({value.sql} // {10 ** (scale - 6)} AS BIGINT)"
        made = f"make_timestamptz({micros})"
        if type_.kind in (Kind.DATE, Kind.TIMESTAMP_NTZ, Kind.TIME):
            return cast(computed(f"make_timestamp({micros})", NTZ), type_, binder.how(node))
        return cast(computed(made, LTZ), type_, binder.how(node))
    return cast(value, type_, binder.how(node, guarded=not safe))


def _epoch_of_any(whole: str) -> str:
    """A number in a text: seconds, milli-, micro- or nanoseconds, by its size."""
    return (
        f"make_timestamp(CASE WHEN abs({whole}) < 31536000000 THEN {whole} * 1000000 "
        f"WHEN abs({whole}) < 31536000000000 THEN {whole} * 1000 "
        f"WHEN abs({whole}) < 31536000000000000 THEN {whole} ELSE {whole} // 1000 END)"
    )


@handles(exp.TsOrDsToDate)
def _to_date(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = binder.expr(inner(node), scope)
    safe = flag(node, "safe")
    return to_moment(binder, node, (value, child(node, "format")), DATE, safe=safe)


@handles(exp.TsOrDsToTime)
def _to_time(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = binder.expr(inner(node), scope)
    safe = flag(node, "safe")
    return to_moment(binder, node, (value, child(node, "format")), TIME, safe=safe)


@handles(exp.StrToTime, exp.UnixToTime)
def _to_timestamp(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = binder.expr(inner(node), scope)
    target = child(node, "target_type")
    kinds = {"TIMESTAMPLTZ": LTZ, "TIMESTAMPTZ": TZ}
    said = "" if target is None else str(getattr(target.this, "value", "")).upper()
    extra = child(node, "format") or child(node, "scale")
    return to_moment(binder, node, (value, extra), kinds.get(said, NTZ), safe=flag(node, "safe"))
