"""Functions by rules: what the arguments are, what DuckDB is told, what comes out.

A rule's arguments are letters: T text, I whole number, N number, F float, B boolean, D date, S
timestamp, J VARIANT, X binary, A anything. Small letters may be left out; `*` repeats the last one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from headwater.schemas.types import SqlType
from headwater.sql.arithmetic import as_number
from headwater.sql.binder import HANDLERS, Binder, Handler, handles
from headwater.sql.coercion import as_json, cast
from headwater.sql.scopes import Scope
from headwater.sql.trees import children
from headwater.sql.typed import Typed, computed
from headwater.sql.typing_duck import (
    BINARY,
    BOOLEAN,
    DATE,
    FLOAT,
    INT,
    NTZ,
    VARCHAR,
    VARIANT,
    is_json,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One function. `sql` has {0}, {1}, .. for the arguments, {all} for all of them, {rest} for
    those behind the first.

    `result` is a type, or the number of the argument whose type it has. `name` is for errors.
    """

    name: str
    takes: str
    sql: str
    result: SqlType | int
    defaults: tuple[str, ...] = ()


# Functions that sqlglot knows no node for, by upper-case name.
NAMED: Final[dict[str, Rule]] = {}
_OF: Final = {"I": INT, "F": FLOAT, "B": BOOLEAN, "D": DATE, "S": NTZ, "X": BINARY, "T": VARCHAR}


def argument(binder: Binder, node: exp.Expr, value: Typed, letter: str) -> Typed:
    """An argument in the type that a rule's letter stands for."""
    letter = letter.upper()
    if letter == "N":
        return as_number(binder, node, value)
    if letter == "J":
        if value.type is not None and not is_json(value.type):
            return computed(as_json(value, binder.zone), VARIANT)
        return Typed("CAST(NULL AS JSON)", VARIANT) if value.type is None else value
    if letter == "A":
        return Typed("CAST(NULL AS VARCHAR)", VARCHAR) if value.type is None else value
    if letter == "F":
        return cast(as_number(binder, node, value), FLOAT, binder.how(node))
    return binder.cast(value, _OF[letter], node)


def given(node: exp.Expr) -> list[exp.Expr]:
    """A call's arguments in the order that its node keeps them."""
    if isinstance(node, exp.Anonymous):
        return children(node)
    found: list[exp.Expr] = []
    for key in node.arg_types:
        part: object = node.args.get(key)
        if isinstance(part, exp.Expr):
            found.append(part)
        elif isinstance(part, list):
            found += children(node, key)
    return found


def apply(binder: Binder, node: exp.Expr, scope: Scope, rule: Rule) -> Typed:
    """A call of a function that has a rule."""
    return applied(binder, node, rule, [binder.expr(one, scope) for one in given(node)])


def applied(binder: Binder, node: exp.Expr, rule: Rule, values: Sequence[Typed]) -> Typed:
    """The same over arguments that are translated already."""
    letters = _letters(binder, node, rule, len(values))
    made = [
        argument(binder, node, value, letter) for value, letter in zip(values, letters, strict=True)
    ]
    texts = [one.sql for one in made]
    missing = len(rule.takes) - len(texts)
    if missing > 0 and rule.defaults:
        texts += rule.defaults[len(rule.defaults) - missing :]
    sql = rule.sql.format(*texts, all=", ".join(texts), rest=", ".join(texts[1:]))
    if isinstance(rule.result, SqlType):
        return computed(sql, rule.result)
    return computed(sql, made[rule.result].type or VARCHAR)


def _letters(binder: Binder, node: exp.Expr, rule: Rule, count: int) -> str:
    takes = rule.takes
    if takes.endswith("*"):
        least = len(takes) - 1
        if count < least:
            binder.fail(node, f"{rule.name} takes at least {least} arguments, {count} are given")
        return takes[:-1] + takes[-2] * (count - least)
    least = sum(letter.isupper() for letter in takes)
    if not least <= count <= len(takes):
        wanted = str(least) if least == len(takes) else f"{least} to {len(takes)}"
        plural = "s" if wanted != "1" else ""
        binder.fail(node, f"{rule.name} takes {wanted} argument{plural}, {count} are given")
    return takes[:count]


def rules(found: Mapping[type[exp.Expr] | str, Rule]) -> None:
    """Let these rules translate their nodes; a text is the name of one that sqlglot has none for."""
    for kind, rule in found.items():
        if isinstance(kind, str):
            NAMED[kind] = rule
        else:
            HANDLERS[kind] = _handler(rule)


def _handler(rule: Rule) -> Handler:
    def handler(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
        return apply(binder, node, scope, rule)

    return handler


@handles(exp.Anonymous)
def _anonymous(binder: Binder, node: exp.Expr, scope: Scope) -> Typed:
    from headwater.sql.special import call_named

    name = str(node.this).upper()
    rule = NAMED.get(name)
    if rule is not None:
        return apply(binder, node, scope, rule)
    return call_named(binder, node, scope, name)
