"""Conversions with formats, functions that sqlglot has no node for, and what a session knows."""

from collections.abc import Callable
from typing import Final

from sqlglot import exp

from headwater.schemas.types import Kind, SqlType
from headwater.sql.aggregates import SIMPLE, simple
from headwater.sql.binder import Binder, handles
from headwater.sql.coercion import cast
from headwater.sql.constants import value_of
from headwater.sql.context import Context
from headwater.sql.expressions import constant, outside
from headwater.sql.functions_time import formatted, to_moment
from headwater.sql.number_formats import number_text
from headwater.sql.offers import SCALARS
from headwater.sql.scopes import Scope
from headwater.sql.trees import child, children, flag, inner, word
from headwater.sql.typed import Typed, computed
from headwater.sql.typing_duck import (
    BINARY,
    BOOLEAN,
    DATE,
    FLOAT,
    INT,
    LTZ,
    NTZ,
    OBJECT,
    STAMP_KINDS,
    TIME,
    TZ,
    VARCHAR,
    number,
)

# -- conversions -------------------------------------------------------------------------------


@handles(exp.ToChar)
def _to_char(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value, format_ = binder.expr(inner(node), scope), child(node, "format")
    if format_ is None or value.type is None:
        return binder.cast(value, VARCHAR, node)
    if not isinstance(format_, exp.Literal):
        binder.refuse(format_, "a format is a text, not a column")
    if value.type.kind in STAMP_KINDS | {Kind.DATE, Kind.TIME}:
        return formatted(binder, node, value, word(format_))
    if value.type.kind in (Kind.INT, Kind.DECIMAL, Kind.FLOAT):
        made = number_text(value, word(format_))
        if made is None:
            binder.refuse(format_, f"format {word(format_)!r} of a number is not supported")
        return computed(made, VARCHAR)
    if value.type.kind is Kind.BINARY and word(format_).upper() in (
        "HEX",
        "UTF-8",
        "UTF8",
        "BASE64",
    ):
        made = {"HEX": "hex({})", "BASE64": "base64({})"}.get(word(format_).upper(), "decode({})")
        return computed(made.format(value.sql), VARCHAR)
    binder.refuse(node, "TO_VARCHAR with a format takes a date, time or number")


@handles(exp.TimeToStr)
def _time_to_str(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return formatted(binder, node, binder.expr(inner(node), scope), word(node, "format"))


@handles(exp.ToNumber)
def _to_number(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    if child(node, "format") is not None:
        binder.refuse(node, "TO_NUMBER with a format is not supported: use REPLACE before it")
    sizes = [child(node, key) for key in ("precision", "scale")]
    precision, scale = (
        int(word(one)) if isinstance(one, exp.Literal) and word(one).isdigit() else usual
        for one, usual in zip(sizes, (38, 0), strict=True)
    )
    value = binder.expr(inner(node), scope)
    how = binder.how(node, guarded=not flag(node, "safe"))
    return cast(value, number(precision, scale), how)


def _converts(kind: type[exp.Expr], type_: SqlType) -> None:
    def handler(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
        how = binder.how(node, guarded=not flag(node, "safe"))
        return cast(binder.expr(inner(node), scope), type_, how)

    handles(kind)(handler)


_converts(exp.ToDouble, FLOAT)
_converts(exp.ToBoolean, BOOLEAN)


@handles(exp.ToBinary)
def _to_binary(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value, said = binder.expr(inner(node), scope), word(node, "format").upper() or "HEX"
    if said == "HEX":
        return cast(value, BINARY, binder.how(node, guarded=not flag(node, "safe")))
    given = binder.cast(value, VARCHAR, node).sql
    if said in ("UTF-8", "UTF8"):
        return computed(f"encode({given})", BINARY)
    if said == "BASE64":
        return computed(f"from_base64({given})", BINARY)
    binder.refuse(node, f"TO_BINARY with {said} is not supported: HEX, UTF-8 or BASE64")


_MOMENTS: Final = {
    "TO_TIMESTAMP": NTZ, "TO_TIMESTAMP_NTZ": NTZ, "TO_TIMESTAMP_LTZ": LTZ, "TO_TIMESTAMP_TZ": TZ,
    "TO_DATE": DATE, "DATE": DATE, "TO_TIME": TIME, "TIME": TIME,
}  # fmt: skip


# -- what the session knows --------------------------------------------------------------------


def _known(get: Callable[[Context], str]) -> Callable[[Binder, exp.Expr, Scope], Typed]:
    def handler(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
        binder.repeatable = False
        return constant(get(binder.context))

    return handler


handles(exp.CurrentUser)(_known(lambda context: context.store.actor))
handles(exp.CurrentSchema)(_known(lambda context: context.state.schema))
handles(exp.CurrentDatabase)(_known(lambda context: context.store.log.name))


@handles(
    exp.CurrentRole, exp.CurrentWarehouse, exp.CurrentAccount, exp.CurrentSession, exp.CurrentRegion
)
def _nothing(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    # There are no roles or warehouses: scripts that only show them go on.
    return Typed("CAST(NULL AS VARCHAR)", VARCHAR)


@handles(exp.CurrentVersion)
def _version(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return constant("headwater")


@handles(exp.CurrentTransaction)
def _transaction(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    binder.repeatable = False
    return constant(binder.context.tx.commit_id)


# -- by name -----------------------------------------------------------------------------------


def call_named(binder: Binder, node: exp.Expr, scope: Scope, name: str) -> Typed:
    """A function that is known by its name alone."""
    given = children(node)
    if name in SIMPLE:
        return simple(binder, node, scope)
    if name.removeprefix("TRY_") in _MOMENTS and 1 <= len(given) <= 2:
        value = binder.expr(given[0], scope)
        extra = given[1] if len(given) > 1 else None
        type_ = _MOMENTS[name.removeprefix("TRY_")]
        return to_moment(binder, node, (value, extra), type_, safe=name.startswith("TRY_"))
    if name in SCALARS or name.startswith("SYSTEM$"):
        return _system(binder, node, name, given)
    special = _SPECIAL.get(name)
    if special is not None:
        return special(binder, node, scope)
    binder.refuse(node, f"function {name} is not supported")


def _system(binder: Binder, node: exp.Expr, name: str, given: list[exp.Expr]) -> Typed:
    """A function over the store: worked out now, for the statement's snapshot."""
    binder.repeatable = False
    if name == "SYSTEM$TYPEOF" and len(given) == 1:
        binder.refuse(node, "SYSTEM$TYPEOF is not supported: use TYPEOF on a VARIANT")
    make = SCALARS.get(name)
    if make is None:
        known = ", ".join(sorted(SCALARS))
        binder.refuse(node, f"function {name} is not supported; there are {known}")
    values = [value_of(binder.context, one) for one in given]
    found = make(binder.context, values)
    made = outside(binder, node, found.value)
    return cast(made, found.type, binder.how(node))


def _hash(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    given = children(node)
    if len(given) == 1 and isinstance(given[0], exp.Star):
        from headwater.sql.select_list import items_of

        items = items_of(binder, exp.Select(expressions=[given[0].copy()]), scope)
        parts = [item.value.sql for item in items]
    else:
        parts = [binder.expr(one, scope).sql for one in given]
    # A number of 63 bits; not the one that Snowflake gives.
    return computed(f"CAST(hash({', '.join(parts)}) >> 1 AS BIGINT)", INT)


def _last_query(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    binder.refuse(
        node, "LAST_QUERY_ID is not supported: the result of each statement carries its id"
    )


def _to_object(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return cast(binder.expr(children(node)[0], scope), OBJECT, binder.how(node))


def _regexp_instr(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    binder.refuse(node, "REGEXP_INSTR is not supported: use REGEXP_SUBSTR and POSITION")


_SPECIAL: Final[dict[str, Callable[[Binder, exp.Expr, Scope], Typed]]] = {
    "HASH": _hash,
    "LAST_QUERY_ID": _last_query,
    "TO_OBJECT": _to_object,
    "REGEXP_INSTR": _regexp_instr,
}
