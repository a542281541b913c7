"""Views as statements of a transaction: a view is a SELECT kept as it was written.

What the text means is decided by whoever runs it; here it is a value with a name. Views share the
names of tables, and each function stages catalog events that take effect with the commit.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from headwater.log_store.catalog import CatalogEvent, ViewColumn, ViewObject
from headwater.producer.errors import NameTaken, NotFound
from headwater.producer.names import namespace_of, parse
from headwater.producer.transaction import Transaction
from headwater.schemas.errors import SchemaInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSpec:
    """What CREATE VIEW says.

    `table` is the one table it filters and projects, None for a view of anything else.
    """

    text: str
    columns: Sequence[ViewColumn]
    table: int | None = None
    comment: str = ""


def create_view(
    tx: Transaction,
    name: str,
    spec: ViewSpec,
    *,
    or_replace: bool = False,
    if_not_exists: bool = False,
) -> ViewObject:
    """A new view, or with `if_not_exists` the one that has the name.

    `or_replace` drops the view that has the name: streams on it are stale from then on.

    Raises:
        NameTaken, NotFound: a table has the name, or a view that is not to be replaced; or its
            schema is not there. Nothing is staged.
        SchemaInvalid: no columns, or two of one name. Nothing is staged.
    """
    parsed = parse(name)
    namespace = namespace_of(tx.catalog, parsed)
    old = tx.catalog.relation(namespace, parsed.text)
    if isinstance(old, ViewObject) and if_not_exists and not or_replace:
        return old
    if old is not None and not (or_replace and isinstance(old, ViewObject)):
        raise NameTaken(old.kind, parsed.plain)
    _check_columns(parsed.plain, spec.columns)
    tx.depend_on("schema", namespace)
    if spec.table is not None:
        tx.depend_on("table", spec.table)
    if isinstance(old, ViewObject):
        drop_view(tx, old)
    view = ViewObject(
        id=tx.log.reserve_object_ids(1),
        namespace=namespace,
        name=parsed.plain,
        text=spec.text,
        columns=tuple(spec.columns),
        table=spec.table,
        generation=old.generation + 1 if isinstance(old, ViewObject) else 1,
        comment=spec.comment,
    )
    return _staged(tx, view, "create view")


def drop_view(tx: Transaction, view: ViewObject) -> ViewObject:
    """Drop a view; streams on it are stale from then on.

    Raises:
        NotFound: it is dropped already. Nothing is staged.
    """
    return _staged(tx, replace(_live(tx, view), dropped_at=0), "drop view")


def rename_view(tx: Transaction, view: ViewObject, new_name: str) -> ViewObject:
    """Give a view another name, in another schema if the name says one; its streams stay with it.

    Raises:
        NameTaken, NotFound: the name is taken, or its schema is not there. Nothing is staged.
    """
    current, parsed = _live(tx, view), parse(new_name)
    namespace = namespace_of(tx.catalog, parsed) if parsed.schema else current.namespace
    tx.depend_on("schema", namespace)
    return _staged(tx, replace(current, name=parsed.plain, namespace=namespace), "rename view")


def describe_view(tx: Transaction, view: ViewObject, comment: str) -> ViewObject:
    """Set a view's comment."""
    return _staged(tx, replace(_live(tx, view), comment=comment), "comment on view")


def _check_columns(view: str, columns: Sequence[ViewColumn]) -> None:
    if not columns:
        raise SchemaInvalid(f"view {view} needs at least one column")
    seen: set[str] = set()
    for column in columns:
        if column.name.lower() in seen:
            raise SchemaInvalid(f"view {view} has two columns {column.name}: give one an alias")
        seen.add(column.name.lower())


def _live(tx: Transaction, view: ViewObject) -> ViewObject:
    """The view as it stands in this transaction."""
    current = tx.catalog.view(view.id)
    if current.dropped_at is not None:
        raise NotFound("view", current.name, "it was dropped")
    return current


def _staged(tx: Transaction, view: ViewObject, what: str) -> ViewObject:
    tx.stage_catalog(CatalogEvent(view))
    detail = {
        "id": view.id,
        "name": view.name,
        "columns": [f"{one.name} {one.type}" for one in view.columns],
        "text": view.text,
    }
    tx.stage_audit(what, json.dumps(detail, ensure_ascii=False))
    return tx.catalog.view(view.id)
