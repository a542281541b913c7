"""sqlglot's trees through few typed doors: children, words, places.

sqlglot keeps a node's parts in a dict of anything; what stands there is checked here, once.
"""

from sqlglot import exp

from headwater.sql.errors import Place
from headwater.sql.statements import Statement


def child(node: exp.Expr, key: str) -> exp.Expr | None:
    """The node under a key, None if there is none."""
    found: object = node.args.get(key)
    return found if isinstance(found, exp.Expr) else None


def inner(node: exp.Expr, key: str = "this") -> exp.Expr:
    """The node under a key, which must be there."""
    found = child(node, key)
    assert found is not None, f"{type(node).__name__} has no {key}"
    return found


def children(node: exp.Expr, key: str = "expressions") -> list[exp.Expr]:
    """The nodes of a list under a key; empty if there is none."""
    found: object = node.args.get(key)
    if isinstance(found, exp.Expr):
        return [found]
    if not isinstance(found, list):
        return []
    return [one for one in found if isinstance(one, exp.Expr)]  # pyright: ignore[reportUnknownVariableType]


def word(node: exp.Expr, key: str = "this") -> str:
    """The text under a key: a string as it is, a node's name; empty if there is none."""
    found: object = node.args.get(key)
    if isinstance(found, str):
        return found
    return found.name if isinstance(found, exp.Expr) else ""


def flag(node: exp.Expr, key: str) -> bool:
    """Whether something true stands under a key."""
    return bool(node.args.get(key))


def has(node: exp.Expr, key: str) -> bool:
    """Whether anything stands under a key, FALSE too."""
    return node.args.get(key) is not None


def written(identifier: exp.Expr) -> str:
    """An identifier as it was written: in double quotes if it had them."""
    name = identifier.name
    if isinstance(identifier, exp.Identifier) and flag(identifier, "quoted"):
        return '"' + name.replace('"', '""') + '"'
    return name


def path_of(table: exp.Table) -> str:
    """A table reference's dotted name as it was written."""
    parts = [child(table, key) for key in ("catalog", "db", "this")]
    return ".".join(written(part) for part in parts if part is not None)


def start_of(node: exp.Expr) -> int | None:
    """The offset of the first name or literal of a node in its statement's text."""
    own: object = node.meta.get("start")
    if isinstance(own, int):
        return own
    starts: list[int] = []
    for one in node.walk():
        found: object = one.meta.get("start")
        if isinstance(found, int):
            starts.append(found)
    return min(starts, default=None)


def place_of(node: exp.Expr, statement: Statement) -> Place | None:
    """Where a node stands in the script, None if nothing in it has a place."""
    start = start_of(node)
    if start is None or start > len(statement.text):
        return None
    base, found = statement.place, Place.of(statement.text, start)
    column = found.column + base.column - 1 if found.line == 1 else found.column
    return Place(base.line + found.line - 1, column, base.offset + found.offset)
