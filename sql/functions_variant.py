"""VARIANT, OBJECT and ARRAY: JSON text inside, taken apart and put together by DuckDB."""

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from headwater.schemas.types import Kind
from headwater.sql.binder import Binder, handles
from headwater.sql.coercion import as_json, cast, failure
from headwater.sql.functions import Rule, argument, rules
from headwater.sql.scopes import Scope
from headwater.sql.trees import children, flag, inner, word
from headwater.sql.typed import Typed, computed, text
from headwater.sql.typing_duck import (
    ARRAY,
    BOOLEAN,
    FLOAT,
    INT,
    OBJECT,
    VARCHAR,
    VARIANT,
    is_json,
    plain_name,
)
from headwater.sql.variant_paths import path_text, steps_of_text

_LIST: Final = "CAST(CAST({0} AS JSON) AS JSON[])"
_LIST1: Final = "CAST(CAST({1} AS JSON) AS JSON[])"
_MAP: Final = "CAST(CAST({0} AS JSON) AS MAP(VARCHAR, JSON))"

rules(
    {
        exp.JSONKeys: Rule("OBJECT_KEYS", "J", "to_json(list_sort(json_keys({0})))", ARRAY),
        exp.ArraySize: Rule(
            "ARRAY_SIZE", "J",
            "CASE json_type({0}) WHEN 'ARRAY' THEN CAST(json_array_length({0}) AS BIGINT) END", INT,
        ),
        exp.ArrayContains: Rule(
            "ARRAY_CONTAINS", "JJ", f"list_contains({_LIST}, CAST({{1}} AS JSON))", BOOLEAN
        ),
        exp.ArrayAppend: Rule(
            "ARRAY_APPEND", "JJ", f"to_json(list_append({_LIST}, CAST({{1}} AS JSON)))", ARRAY
        ),
        exp.ArrayPrepend: Rule(
            "ARRAY_PREPEND", "JJ", f"to_json(list_prepend(CAST({{1}} AS JSON), {_LIST}))", ARRAY
        ),
        exp.ArrayConcat: Rule(
            "ARRAY_CAT", "JJ",
            f"CASE WHEN {{0}} IS NOT NULL AND {{1}} IS NOT NULL THEN"
            f" to_json(list_concat({_LIST}, {_LIST1})) END", ARRAY,
        ),
        exp.ArrayCompact: Rule(
            "ARRAY_COMPACT", "J", f"to_json(list_filter({_LIST}, lambda x: x IS NOT NULL))", ARRAY
        ),
        exp.ArrayPosition: Rule(
            "ARRAY_POSITION", "JJ", f"CAST(list_position({_LIST}, CAST({{1}} AS JSON)) - 1 AS BIGINT)",
            INT,
        ),
        exp.ArraySort: Rule("ARRAY_SORT", "Jbb", f"to_json(list_sort({_LIST}))", ARRAY),
        exp.ArrayReverse: Rule("ARRAY_REVERSE", "J", f"to_json(list_reverse({_LIST}))", ARRAY),
        exp.ArrayOverlaps: Rule(
            "ARRAYS_OVERLAP", "JJ", f"list_has_any({_LIST}, {_LIST1})", BOOLEAN
        ),
        exp.ArrayRemove: Rule(
            "ARRAY_REMOVE", "JJ",
            f"to_json(list_filter({_LIST}, lambda x: x IS DISTINCT FROM CAST({{1}} AS JSON)))", ARRAY,
        ),
        exp.GenerateSeries: Rule("ARRAY_GENERATE_RANGE", "IIi", "to_json(range({all}))", ARRAY),
        exp.JSONFormat: Rule("TO_JSON", "J", "CAST({0} AS VARCHAR)", VARCHAR),
        exp.IsNullValue: Rule("IS_NULL_VALUE", "J", "(json_type({0}) = 'NULL')", BOOLEAN),
        exp.StripNullValue: Rule(
            "STRIP_NULL_VALUE", "J", "CASE json_type({0}) WHEN 'NULL' THEN NULL ELSE {0} END", VARIANT
        ),
        exp.CheckJson: Rule(
            "CHECK_JSON", "T",
            "CASE WHEN {0} IS NULL OR json_valid({0}) THEN NULL ELSE 'no JSON' END", VARCHAR,
        ),
        exp.ToVariant: Rule("TO_VARIANT", "J", "{0}", VARIANT),
        exp.Typeof: Rule(
            "TYPEOF", "J",
            "CASE json_type({0}) WHEN 'UBIGINT' THEN 'INTEGER' WHEN 'BIGINT' THEN 'INTEGER'"
            " WHEN 'HUGEINT' THEN 'INTEGER' WHEN 'DOUBLE' THEN 'DECIMAL' WHEN 'NULL' THEN"
            " 'NULL_VALUE' ELSE json_type({0}) END", VARCHAR,
        ),
        exp.ObjectInsert: Rule(
            "OBJECT_INSERT", "JTJb",
            f"to_json(map_concat({_MAP}, MAP([{{1}}], [CAST({{2}} AS JSON)])))", OBJECT,
        ),
        "OBJECT_DELETE": Rule(
            "OBJECT_DELETE", "JT*",
            f"to_json(map_from_entries(list_filter(map_entries({_MAP}), lambda e: NOT"
            " list_contains([{rest}], e.key))))", OBJECT,
        ),
    }
)  # fmt: skip
for _name, _kinds in (
    ("IS_OBJECT", "'OBJECT'"), ("IS_VARCHAR", "'VARCHAR'"), ("IS_CHAR", "'VARCHAR'"),
    ("IS_INTEGER", "'UBIGINT', 'BIGINT', 'HUGEINT'"), ("IS_BOOLEAN", "'BOOLEAN'"),
    ("IS_DECIMAL", "'UBIGINT', 'BIGINT', 'HUGEINT', 'DOUBLE'"),
    ("IS_DOUBLE", "'UBIGINT', 'BIGINT', 'HUGEINT', 'DOUBLE'"),
    ("IS_REAL", "'UBIGINT', 'BIGINT', 'HUGEINT', 'DOUBLE'"),
):  # fmt: skip
    rules({_name: Rule(_name, "J", f"(json_type({{0}}) IN ({_kinds}))", BOOLEAN)})
rules({exp.IsArray: Rule("IS_ARRAY", "J", "(json_type({0}) = 'ARRAY')", BOOLEAN)})
for _name, _kinds, _type in (
    ("AS_VARCHAR", "'VARCHAR'", VARCHAR), ("AS_CHAR", "'VARCHAR'", VARCHAR),
    ("AS_INTEGER", "'UBIGINT', 'BIGINT'", INT), ("AS_BOOLEAN", "'BOOLEAN'", VARCHAR),
    ("AS_DOUBLE", "'UBIGINT', 'BIGINT', 'HUGEINT', 'DOUBLE'", FLOAT),
    ("AS_OBJECT", "'OBJECT'", OBJECT), ("AS_ARRAY", "'ARRAY'", ARRAY),
):  # fmt: skip
    _value = "{0}" if is_json(_type) else "json_extract_string({0}, '$')"
    _made = {
        INT: f"TRY_CAST({_value} AS BIGINT)", FLOAT: f"TRY_CAST({_value} AS DOUBLE)",
    }.get(_type, _value)  # fmt: skip
    _result = BOOLEAN if _name == "AS_BOOLEAN" else _type
    if _name == "AS_BOOLEAN":
        _made = f"TRY_CAST({_value} AS BOOLEAN)"
    rules(
        {
            _name: Rule(
                _name, "J", f"CASE WHEN json_type({{0}}) IN ({_kinds}) THEN {_made} END", _result
            )
        }
    )


# -- into --------------------------------------------------------------------------------------


def _variant(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = binder.expr(node, scope)
    if value.type is not None and not is_json(value.type):
        binder.fail(
            node,
            f"a path leads into a VARIANT, this is a {plain_name(value.type)}: use PARSE_JSON",
        )
    return Typed("CAST(NULL AS JSON)", VARIANT) if value.type is None else value


@handles(exp.JSONExtract)
def _path(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    # a:b:c and a:b[i] are towers: one path is one call.
    steps: list[str | int] = []
    while isinstance(node, exp.JSONExtract):
        found = _steps(binder, inner(node, "expression"))
        if found is None:
            break
        steps[:0] = found
        node = inner(node)
    if not steps:
        value = _variant(binder, inner(node), scope)
        path = binder.cast(binder.expr(inner(node, "expression"), scope), VARCHAR, node)
        if not isinstance(path.constant, str):
            binder.refuse(node, "GET_PATH takes its path as a text, not from a column")
        steps = _text_steps(binder, node, path.constant)
    else:
        value = _variant(binder, node, scope)
    return computed(f"json_extract({value.sql}, {text(path_text(steps))})", VARIANT)


def _text_steps(binder: Binder, node: exp.Expr, path: str) -> list[str | int]:
    try:
        return steps_of_text(path)
    except ValueError as error:
        binder.fail(node, str(error), "E_VARIANT_PATH")


def _steps(binder: Binder, path: exp.Expr) -> list[str | int] | None:
    """The keys and indexes of a path that was written out; None if it was not."""
    if isinstance(path, exp.Literal):
        return _text_steps(binder, path, word(path))
    if not isinstance(path, exp.JSONPath):
        return None
    steps: list[str | int] = []
    for one in children(path):
        match one:
            case exp.JSONPathRoot():
                continue
            case exp.JSONPathKey():
                said: object = one.args.get("this")
                if not isinstance(said, str):
                    binder.refuse(path, "a path with * is not supported: use FLATTEN")
                steps.append(said)
            case exp.JSONPathSubscript():
                at: object = one.args.get("this")
                if not isinstance(at, (int, str)):
                    binder.refuse(path, "a path with a computed index is not supported: use GET")
                steps.append(at)
            case _:
                binder.refuse(path, "a path has keys and indexes")
    return steps


@handles(exp.Bracket, exp.GetExtract)
def _get(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    keys = children(node) if isinstance(node, exp.Bracket) else [inner(node, "expression")]
    value = _variant(binder, inner(node), scope)
    if len(keys) != 1:
        binder.refuse(node, "one key or index stands in brackets")
    key = binder.expr(keys[0], scope)
    if isinstance(key.constant, (int, str)) and not isinstance(key.constant, bool):
        return computed(f"json_extract({value.sql}, {text(path_text([key.constant]))})", VARIANT)
    if key.type is not None and key.type.kind is Kind.VARCHAR:
        quoted = f"('$.\"' || replace(replace({key.sql}, '\\', '\\\\'), '\"', '\\\"') || '\"')"
        return computed(f"json_extract({value.sql}, {quoted})", VARIANT)
    at = binder.cast(key, INT, node).sql
    return computed(f"json_extract({value.sql}, {at})", VARIANT)


@handles(exp.JSONExtractScalar)
def _path_text(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    steps = _steps(binder, inner(node, "expression")) or []
    value = binder.expr(inner(node), scope)
    return computed(f"json_extract_string({value.sql}, {text(path_text(steps))})", VARCHAR)


@handles(exp.ParseJSON)
def _parse(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = binder.expr(inner(node), scope)
    if value.type is not None and is_json(value.type):
        return value
    said = binder.cast(value, VARCHAR, node).sql
    wrong = "NULL"
    if not flag(node, "safe"):
        wrong = failure("E_VALUE", binder.how(node).offset, f"'''' || {said} || ''' is no JSON'")
    made = f"CASE WHEN {said} IS NULL OR trim({said}) = '' THEN NULL WHEN json_valid({said}) "
    return computed(f"{made}THEN json({said}) ELSE {wrong} END", VARIANT)


# -- out of parts ------------------------------------------------------------------------------


def object_of(pairs: Sequence[tuple[str, Typed]], zone: str, *, keep_null: bool = False) -> Typed:
    """An OBJECT of keys and values; those that are NULL are left out, keys come in order."""
    if not pairs:
        return computed("CAST('{}' AS JSON)", OBJECT)
    pairs = sorted(pairs, key=lambda pair: pair[0])
    keys = ", ".join(key for key, _ in pairs)
    values = [as_json(value, zone) for _, value in pairs]
    if keep_null or not any(value.nullable for _, value in pairs):
        inside = ", ".join(f"{key}, {v}" for (key, _), v in zip(pairs, values, strict=True))
        return computed(f"json_object({inside})", OBJECT)
    made = f"MAP([{keys}], [{', '.join(values)}])"
    entries = f"list_filter(map_entries({made}), lambda e: e.value IS NOT NULL)"
    return computed(f"to_json(map_from_entries({entries}))", OBJECT)


@handles(exp.Struct, exp.JSONObject)
def _object(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    pairs: list[tuple[str, Typed]] = []
    for one in children(node):
        if isinstance(one, exp.Star) or (
            isinstance(one, exp.Column) and isinstance(one.this, exp.Star)
        ):
            return _star(binder, one, scope)
        if not isinstance(one, (exp.PropertyEQ, exp.JSONKeyValue)):
            binder.fail(node, "OBJECT_CONSTRUCT takes keys and values in turn")
        key_node = inner(one)
        key = (
            text(key_node.name)
            if isinstance(key_node, exp.Identifier)
            else binder.cast(binder.expr(key_node, scope), VARCHAR, key_node).sql
        )
        pairs.append((key, binder.expr(inner(one, "expression"), scope)))
    return object_of(pairs, binder.zone, keep_null=isinstance(node, exp.JSONObject))


@handles(exp.StarMap)
def _star_map(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return _star(binder, inner(node), scope)


def _star(binder: Binder, star: exp.Expr, scope: Scope) -> Typed:
    """An OBJECT of all columns, by their names."""
    from headwater.sql.select_list import items_of

    items = items_of(binder, exp.Select(expressions=[star.copy()]), scope)
    return object_of([(text(item.name), item.value) for item in items], binder.zone)


@handles(exp.Array, exp.ArrayConstructCompact)
def _array(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    values = [binder.expr(one, scope) for one in children(node)]
    if isinstance(node, exp.ArrayConstructCompact):
        listed = ", ".join(as_json(value, binder.zone) for value in values)
        made = f"to_json(list_filter([{listed}], lambda x: x IS NOT NULL))"
        return computed(made if values else "CAST('[]' AS JSON)", ARRAY)
    return computed(
        f"json_array({', '.join(as_json(value, binder.zone) for value in values)})", ARRAY
    )


def _as_list(binder: Binder, node: exp.Expr, scope: Scope) -> str:
    value = argument(binder, node, binder.expr(node, scope), "J")
    return _LIST.format(value.sql)


@handles(exp.ArrayDistinct)
def _distinct(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    found = _as_list(binder, inner(node), scope)
    # list_distinct forgets the order; the first of each stays where it is.
    made = f"list_filter({found}, lambda x, i: list_position({found}, x) = i)"
    return computed(f"to_json({made})", ARRAY)


@handles(exp.ArraySlice)
def _slice(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    found = _as_list(binder, inner(node), scope)
    start = binder.cast(binder.expr(inner(node, "start"), scope), INT, node).sql
    end = binder.cast(binder.expr(inner(node, "end"), scope), INT, node).sql
    size = f"len({found})"
    first = f"CASE WHEN {start} < 0 THEN greatest({size} + {start}, 0) ELSE {start} END + 1"
    last = f"CASE WHEN {end} < 0 THEN {size} + {end} ELSE {end} END"
    return computed(f"to_json(list_slice({found}, {first}, {last}))", ARRAY)


@handles(exp.ArrayToString)
def _to_string(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    found = _as_list(binder, inner(node), scope)
    between = binder.cast(binder.expr(inner(node, "expression"), scope), VARCHAR, node).sql
    parts = f"list_transform({found}, lambda x: coalesce(json_extract_string(x, '$'), ''))"
    return computed(f"array_to_string({parts}, {between})", VARCHAR)


@handles(exp.ArrayIntersect)
def _intersect(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    one, other = (_as_list(binder, part, scope) for part in children(node))
    return computed(f"to_json(list_filter({one}, lambda x: list_contains({other}, x)))", ARRAY)


@handles(exp.ArrayExcept)
def _except(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    one, other = (_as_list(binder, inner(node, key), scope) for key in ("this", "expression"))
    return computed(f"to_json(list_filter({one}, lambda x: NOT list_contains({other}, x)))", ARRAY)


@handles(exp.ToArray)
def _to_array(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = binder.expr(inner(node), scope)
    return cast(value, ARRAY, binder.how(node))


@handles(exp.Lambda, exp.Transform, exp.ArrayFilter, exp.Reduce)
def _lambda(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    binder.refuse(
        node,
        "functions of functions (FILTER, TRANSFORM, REDUCE) are not supported: use LATERAL FLATTEN",
    )
