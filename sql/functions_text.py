"""Texts: Snowflake's functions over VARCHAR and BINARY."""

from typing import Final

from sqlglot import exp

from headwater.schemas.types import Kind
from headwater.sql.binder import Binder, handles
from headwater.sql.functions import Rule, rules
from headwater.sql.scopes import Scope
from headwater.sql.trees import child, children, flag, inner, word
from headwater.sql.typed import Typed, computed, text
from headwater.sql.typing_duck import ARRAY, BINARY, BOOLEAN, INT, VARCHAR

rules(
    {
        exp.Upper: Rule("UPPER", "T", "upper({0})", VARCHAR),
        exp.Lower: Rule("LOWER", "T", "lower({0})", VARCHAR),
        exp.Left: Rule("LEFT", "TI", "left({0}, greatest({1}, 0))", VARCHAR),
        exp.Right: Rule("RIGHT", "TI", "right({0}, greatest({1}, 0))", VARCHAR),
        exp.Reverse: Rule("REVERSE", "T", "reverse({0})", VARCHAR),
        exp.Repeat: Rule("REPEAT", "TI", "repeat({0}, {1})", VARCHAR),
        exp.Space: Rule("SPACE", "I", "repeat(' ', {0})", VARCHAR),
        exp.Replace: Rule("REPLACE", "TTT", "replace({0}, {1}, {2})", VARCHAR),
        exp.Translate: Rule("TRANSLATE", "TTT", "translate({0}, {1}, {2})", VARCHAR),
        exp.Contains: Rule("CONTAINS", "TT", "contains({0}, {1})", BOOLEAN),
        exp.StartsWith: Rule("STARTSWITH", "TT", "starts_with({0}, {1})", BOOLEAN),
        exp.EndsWith: Rule("ENDSWITH", "TT", "suffix({0}, {1})", BOOLEAN),
        exp.Ascii: Rule("ASCII", "T", "CAST(ascii({0}) AS BIGINT)", INT),
        exp.Unicode: Rule(
            "UNICODE", "T", "CASE {0} WHEN '' THEN 0 ELSE CAST(unicode({0}) AS BIGINT) END", INT
        ),
        exp.Chr: Rule("CHR", "I", "chr(CAST({0} AS INTEGER))", VARCHAR),
        exp.MD5: Rule("MD5", "T", "md5({0})", VARCHAR),
        exp.SHA: Rule("SHA1", "T", "sha1({0})", VARCHAR),
        exp.Levenshtein: Rule("EDITDISTANCE", "TT", "CAST(levenshtein({0}, {1}) AS BIGINT)", INT),
        exp.Hex: Rule("HEX_ENCODE", "T", "hex({0})", VARCHAR),
        exp.Base64Encode: Rule("BASE64_ENCODE", "T", "base64(encode({0}))", VARCHAR),
        exp.Base64DecodeString: Rule(
            "BASE64_DECODE_STRING", "T", "decode(from_base64({0}))", VARCHAR
        ),
        exp.Stuff: Rule(
            "INSERT",
            "TIIT",
            "(left({0}, {1} - 1) || {3} || substring({0}, {1} + {2}))",
            VARCHAR,
        ),
        exp.Split: Rule(
            "SPLIT",
            "TT",
            "to_json(CASE {1} WHEN '' THEN [{0}] ELSE string_split({0}, {1}) END)",
            ARRAY,
        ),
        "OCTET_LENGTH": Rule("OCTET_LENGTH", "T", "strlen({0})", INT),
        "BIT_LENGTH": Rule("BIT_LENGTH", "T", "strlen({0}) * 8", INT),
        "HEX_DECODE_STRING": Rule("HEX_DECODE_STRING", "T", "decode(unhex({0}))", VARCHAR),
        "HEX_DECODE_BINARY": Rule("HEX_DECODE_BINARY", "T", "unhex({0})", BINARY),
        "BASE64_DECODE_BINARY": Rule("BASE64_DECODE_BINARY", "T", "from_base64({0})", BINARY),
    }
)


def _text(binder: Binder, node: exp.Expr, scope: Scope) -> str:
    return binder.cast(binder.expr(node, scope), VARCHAR, node).sql


def _whole(binder: Binder, node: exp.Expr, scope: Scope) -> str:
    return binder.cast(binder.expr(node, scope), INT, node).sql


@handles(exp.Length)
def _length(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = binder.expr(inner(node), scope)
    if value.type is not None and value.type.kind is Kind.BINARY:
        return computed(f"CAST(octet_length({value.sql}) AS BIGINT)", INT)
    made = binder.cast(value, VARCHAR, node).sql
    return computed(f"CAST(length({made}) AS BIGINT)", INT)


@handles(exp.Trim)
def _trim(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    names = {"LEADING": "ltrim", "TRAILING": "rtrim"}
    function = names.get(word(node, "position").upper(), "trim")
    value, signs = _text(binder, inner(node), scope), child(node, "expression")
    # Without signs only blanks go, no tabs or line ends.
    which = "' '" if signs is None else _text(binder, signs, scope)
    return computed(f"{function}({value}, {which})", VARCHAR)


@handles(exp.Substring)
def _substring(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value, start = _text(binder, inner(node), scope), _whole(binder, inner(node, "start"), scope)
    first = f"CASE {start} WHEN 0 THEN 1 ELSE {start} END"
    length = child(node, "length")
    if length is None:
        return computed(f"substring({value}, {first})", VARCHAR)
    count = f"greatest({_whole(binder, length, scope)}, 0)"
    return computed(f"substring({value}, {first}, {count})", VARCHAR)


@handles(exp.Concat)
def _concat(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    parts = [_text(binder, one, scope) for one in children(node)]
    # Unlike DuckDB's concat, NULL makes all of it NULL.
    return computed(f"({' || '.join(parts)})" if len(parts) > 1 else parts[0], VARCHAR)


@handles(exp.ConcatWs)
def _concat_ws(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    separator, *parts = (_text(binder, one, scope) for one in children(node))
    joined = f" || {separator} || ".join(parts)
    return computed(f"CASE WHEN {separator} IS NOT NULL THEN ({joined}) END", VARCHAR)


@handles(exp.SplitPart)
def _split_part(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value, between = (_text(binder, inner(node, key), scope) for key in ("this", "delimiter"))
    at = _whole(binder, inner(node, "part_index"), scope)
    number = f"CASE {at} WHEN 0 THEN 1 ELSE {at} END"
    whole = f"CASE WHEN {number} IN (1, -1) THEN {value} ELSE '' END"
    return computed(
        f"CASE {between} WHEN '' THEN {whole} ELSE split_part({value}, {between}, {number}) END",
        VARCHAR,
    )


@handles(exp.Strtok)
def _strtok(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value, signs, at = (
        _text(binder, inner(node), scope),
        child(node, "delimiter"),
        child(node, "part_index"),
    )
    which = "' '" if signs is None else _text(binder, signs, scope)
    number = "1" if at is None else _whole(binder, at, scope)
    parts = f"string_split(translate({value}, {which}, repeat(left({which}, 1), length({which}))), "
    parts += f"left({which}, 1))"
    return computed(f"list_filter({parts}, lambda x: x <> '')[{number}]", VARCHAR)


@handles(exp.StrPosition)
def _position(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value, wanted = (_text(binder, inner(node, key), scope) for key in ("this", "substr"))
    start = child(node, "position")
    if start is None:
        return computed(f"CAST(strpos({value}, {wanted}) AS BIGINT)", INT)
    first = f"greatest({_whole(binder, start, scope)}, 1)"
    found = f"strpos(substring({value}, {first}), {wanted})"
    return computed(f"CASE {found} WHEN 0 THEN 0 ELSE {found} + {first} - 1 END", INT)


@handles(exp.Pad)
def _pad(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value, count = (
        _text(binder, inner(node), scope),
        _whole(binder, inner(node, "expression"), scope),
    )
    fill = child(node, "fill_pattern")
    with_ = "' '" if fill is None else _text(binder, fill, scope)
    function = "lpad" if flag(node, "is_left") else "rpad"
    size = f"CAST(greatest({count}, 0) AS INTEGER)"
    padded = f"{function}({value}, {size}, {with_})"
    return computed(f"CASE {with_} WHEN '' THEN left({value}, {size}) ELSE {padded} END", VARCHAR)


@handles(exp.Initcap)
def _initcap(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value = _text(binder, inner(node), scope)
    words = f"regexp_extract_all(lower({value}), '[^\\W_]+|[\\W_]+')"
    return computed(
        f"array_to_string(list_transform({words}, lambda w: upper(w[1]) || w[2:]), '')", VARCHAR
    )


@handles(exp.SHA2)
def _sha2(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    length = child(node, "length")
    if length is not None and word(length) not in ("256", "0"):
        binder.refuse(node, "SHA2 is supported with 256 bits")
    return computed(f"sha256({_text(binder, inner(node), scope)})", VARCHAR)


@handles(exp.Collate)
def _collate(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    binder.refuse(node, "COLLATE is not supported: compare UPPER(a) = UPPER(b) or use ILIKE")


@handles(exp.RawString, exp.National)
def _raw(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    return Typed(text(word(node)), VARCHAR, word(node))


# -- regular expressions -----------------------------------------------------------------------

_FLAGS: Final = frozenset("icmse")


def _options(binder: Binder, node: exp.Expr, key: str) -> str:
    """Snowflake's parameters as DuckDB's: c, i, m (as n), s."""
    said = child(node, key)
    if said is None:
        return "'c'"
    letters = word(said).lower()
    if not isinstance(said, exp.Literal) or set(letters) - _FLAGS:
        binder.refuse(said, "the parameters of a regular expression are letters of c, i, m, s, e")
    made = "i" if "i" in letters and letters.rfind("i") > letters.rfind("c") else "c"
    return text(made + ("m" if "m" in letters else "") + ("s" if "s" in letters else ""))


def _simple_only(binder: Binder, node: exp.Expr, **wanted: str) -> None:
    """Refuse a position or occurrence other than the usual one."""
    for key, usual in wanted.items():
        said = child(node, key)
        if said is not None and word(said) != usual:
            binder.refuse(node, f"a regular expression's {key} other than {usual} is not supported")


@handles(exp.RegexpLike)
def _regexp_like(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    value, pattern = (_text(binder, inner(node, key), scope) for key in ("this", "expression"))
    # The whole text must match.
    return computed(
        f"regexp_full_match({value}, {pattern}, {_options(binder, node, 'flag')})", BOOLEAN
    )


@handles(exp.RegexpReplace)
def _regexp_replace(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    _simple_only(binder, node, position="1", occurrence="0")
    value, pattern = (_text(binder, inner(node, key), scope) for key in ("this", "expression"))
    with_ = child(node, "replacement")
    new = "''" if with_ is None else _text(binder, with_, scope)
    options = _options(binder, node, "modifiers")
    return computed(f"regexp_replace({value}, {pattern}, {new}, {options[:-1]}g')", VARCHAR)


@handles(exp.RegexpExtract)
def _regexp_substr(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    _simple_only(binder, node, position="1")
    value, pattern = (_text(binder, inner(node, key), scope) for key in ("this", "expression"))
    said, options = child(node, "group"), _options(binder, node, "parameters")
    group = "0" if said is None or not isinstance(said, exp.Literal) else word(said)
    parameters = child(node, "parameters")
    if group == "0" and parameters is not None and "e" in word(parameters):
        group = "1"
    occurrence = child(node, "occurrence")
    at = "1" if occurrence is None else _whole(binder, occurrence, scope)
    found = f"regexp_extract_all({value}, {pattern}, {group}, {options})"
    return computed(f"{found}[{at}]", VARCHAR)


@handles(exp.RegexpCount)
def _regexp_count(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    _simple_only(binder, node, position="1")
    value, pattern = (_text(binder, inner(node, key), scope) for key in ("this", "expression"))
    options = _options(binder, node, "parameters")
    return computed(
        f"CAST(len(regexp_extract_all({value}, {pattern}, 0, {options})) AS BIGINT)", INT
    )


@handles(exp.Uuid)
def _uuid(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    if child(node, "this") is not None:
        binder.refuse(node, "UUID_STRING with arguments is not supported")
    return computed("CAST(uuid() AS VARCHAR)", VARCHAR)
