"""The target of a statement as a relation of its query: with row ids, under its own alias."""

from collections.abc import Sequence

from sqlglot import exp

from headwater.producer.errors import NotFound
from headwater.sql.errors import unsupported
from headwater.sql.statements import ROW_ID_COLUMN, ROW_IDS
from headwater.sql.values import written

_PLAIN = frozenset({"this", "db", "catalog", "alias"})


def target_reference(table: exp.Expr) -> exp.Table:
    """The target as a table reference that has row ids.

    Raises:
        NotSupportedError: it has clauses that only a source can have.
    """
    if not isinstance(table, exp.Table) or any(
        value for name, value in table.args.items() if name not in _PLAIN
    ):
        raise unsupported("the target of a statement is a table and its alias, nothing else")
    target = table.copy()
    if target.args.get("alias") is None:
        name = target.this.copy()
        target.set("alias", exp.TableAlias(this=name))
    target.meta[ROW_IDS] = True
    return target


def row_id_of(target: exp.Table) -> exp.Column:
    """The hidden column of row ids of a target."""
    alias = target.args["alias"].this.copy()
    return exp.Column(this=exp.to_identifier(ROW_ID_COLUMN), table=alias)


def crossed(query: exp.Select, target: exp.Table, sources: Sequence[exp.Expr] | None) -> exp.Select:
    """The query FROM the target, and from each of the sources beside it."""
    if not sources:
        return query.from_(target)
    first, *others = [source.copy() for source in sources]
    made = query.from_(first)
    for other in others:
        made = made.join(other, join_type="cross")
    return made.join(target, join_type="cross")


def own_column(column: exp.Column, alias: str, table: str) -> str:
    """The name, as written, of a column of the target that a statement sets.

    Raises:
        NotFound: it is a column of something else.
    """
    if column.table and column.table.lower() not in (alias.lower(), table.lower()):
        raise NotFound(
            "column", column.sql(dialect="snowflake"), f"only columns of {table} are set"
        )
    return written(column.this)
