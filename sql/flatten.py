"""Table functions: FLATTEN over a VARIANT's elements, GENERATOR, and those that others offer."""

from typing import Final

from sqlglot import exp

from headwater.schemas.types import Kind
from headwater.sql.binder import Binder, name_of
from headwater.sql.constants import value_of
from headwater.sql.offers import TABLE_FUNCTIONS
from headwater.sql.relations import names_of, renamed, rows_relation
from headwater.sql.scopes import BoundColumn, Relation, Scope
from headwater.sql.trees import children, inner, word
from headwater.sql.typed import Typed, text
from headwater.sql.typing_duck import INT, VARCHAR, VARIANT, is_json, plain_name
from headwater.sql.variant_paths import path_text, steps_of_text


def is_flatten(node: exp.Expr) -> bool:
    """Whether a relation of FROM is a FLATTEN."""
    return isinstance(node, (exp.Lateral, exp.TableFromRows)) and isinstance(node.this, exp.Explode)


def table_function(
    binder: Binder, node: exp.Expr, call: exp.Expr, scope: Scope
) -> tuple[str, Relation]:
    """A function in FROM as DuckDB's text and the columns it gives."""
    if isinstance(call, exp.Explode):
        return _flatten(binder, node, call, scope)
    if isinstance(call, exp.Generator):
        return _generator(binder, node, call)
    if isinstance(call, exp.Subquery) and isinstance(node, exp.Lateral):
        from headwater.sql.from_clause import relation_of_query

        return relation_of_query(binder, node, binder.make_query(binder, inner(call), scope))
    while isinstance(call, exp.Dot):
        call = inner(call, "expression")
    name = call.name.upper() if isinstance(call, exp.Anonymous) else name_of(call)
    offered = TABLE_FUNCTIONS.get(name)
    if offered is None:
        if name == "RESULT_SCAN":
            binder.refuse(call, "RESULT_SCAN is not supported: results are not kept")
        binder.refuse(call, f"table function {name.removeprefix('function ')} is not supported")
    given, named = list[object](), dict[str, object]()
    for one in children(call):
        if isinstance(one, exp.Kwarg):
            named[word(one).upper()] = value_of(binder.context, inner(one, "expression"))
        else:
            given.append(value_of(binder.context, one))
    binder.repeatable = False
    made = offered(binder.context, given, named)
    return rows_relation(binder, node, made, names_of(node))


def _generator(binder: Binder, node: exp.Expr, call: exp.Expr) -> tuple[str, Relation]:
    rows = call.args.get("rowcount")
    if not isinstance(rows, exp.Expr) or call.args.get("timelimit"):
        binder.refuse(call, "GENERATOR is supported with ROWCOUNT => n")
    count = value_of(binder.context, rows)
    if not isinstance(count, int) or count < 0:
        binder.fail(call, "ROWCOUNT => is a whole number", "E_VALUE")
    if not isinstance(rows, exp.Literal):
        binder.repeatable = False
    return f"range({count}) AS {binder.fresh('r')}", Relation(names_of(node), [])


_COLUMNS: Final = (
    ("SEQ", INT),
    ("KEY", VARCHAR),
    ("PATH", VARCHAR),
    ("INDEX", INT),
    ("VALUE", VARIANT),
    ("THIS", VARIANT),
)


def _options(binder: Binder, call: exp.Expr) -> dict[str, exp.Expr]:
    """FLATTEN's arguments by name; the first one without is INPUT."""
    found = dict[str, exp.Expr]()
    for one in (inner(call), *children(call)):
        if isinstance(one, exp.Kwarg):
            found[word(one).upper()] = inner(one, "expression")
        else:
            found.setdefault("INPUT", one)
    unknown = set(found) - {"INPUT", "PATH", "OUTER", "RECURSIVE", "MODE"}
    if unknown or "INPUT" not in found:
        binder.fail(call, "FLATTEN takes INPUT, PATH, OUTER, RECURSIVE and MODE", "E_SQL_SYNTAX")
    return found


def _flatten(binder: Binder, node: exp.Expr, call: exp.Expr, scope: Scope) -> tuple[str, Relation]:
    options = _options(binder, call)
    value = binder.expr(options["INPUT"], scope)
    scope.loose.clear()
    if value.type is None:
        value = Typed("CAST(NULL AS JSON)", VARIANT)
    if value.type is None or not (is_json(value.type) or value.type.kind is Kind.VARIANT):
        binder.fail(call, f"FLATTEN takes a VARIANT, this is a {plain_name(value.type)}")
    said = options.get("PATH")
    base = "" if said is None else str(value_of(binder.context, said))
    source = value.sql
    if base:
        source = f"json_extract({source}, {text(path_text(steps_of_text(base)))})"
    alias = binder.fresh("r")
    query = _elements(source, base, _true(binder, options, "RECURSIVE"), _mode(binder, options))
    columns = [
        BoundColumn(name, type_, f"{alias}.f{at}") for at, (name, type_) in enumerate(_COLUMNS)
    ]
    if not isinstance(node, exp.Lateral):
        columns = renamed(binder, node, columns)
        query = f"LATERAL {query}"
    return f"{query} AS {alias}", Relation(names_of(node), columns)


def _true(binder: Binder, options: dict[str, exp.Expr], name: str) -> bool:
    said = options.get(name)
    return said is not None and bool(value_of(binder.context, said))


def _mode(binder: Binder, options: dict[str, exp.Expr]) -> str:
    said = options.get("MODE")
    mode = "BOTH" if said is None else str(value_of(binder.context, said)).upper()
    if mode not in ("BOTH", "OBJECT", "ARRAY"):
        binder.fail(options["MODE"], "MODE => is OBJECT, ARRAY or BOTH", "E_VALUE")
    return mode


def _elements(source: str, base: str, recursive: bool, mode: str) -> str:
    """The elements of a VARIANT, one row each."""
    function = "json_tree" if recursive else "json_each"
    within = f"(SELECT {source} AS v) AS o, {function}(o.v) AS e"
    # An element's parent decides whether it has a key or an index.
    parent = "json_extract(o.v, e.path)" if recursive else "o.v"
    kind = f"json_type({parent})"
    kinds = {"BOTH": "('ARRAY', 'OBJECT')", "OBJECT": "('OBJECT')", "ARRAY": "('ARRAY')"}[mode]
    path = f"({text(base)} || CASE WHEN starts_with(e.fullkey, '$.') AND {text(base)} = '' "
    path += "THEN substr(e.fullkey, 3) ELSE substr(e.fullkey, 2) END)"
    where = f"{kind} IN {kinds}" + (" AND e.fullkey <> '$'" if recursive else "")
    return (
        "(SELECT CAST(hash(o.v) % 2147483647 AS BIGINT) AS f0, "
        f"CASE WHEN {kind} = 'OBJECT' THEN e.key END AS f1, {path} AS f2, "
        f"CASE WHEN {kind} = 'ARRAY' THEN TRY_CAST(e.key AS BIGINT) END AS f3, "
        f"e.value AS f4, {parent} AS f5 FROM {within} WHERE {where})"
    )
