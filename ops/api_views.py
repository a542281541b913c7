"""Listings of what the catalog holds besides tables and streams: views and parameters."""

from collections.abc import Mapping
from dataclasses import dataclass

from headwater.log_store.catalog import Catalog, Namespace, ViewObject


@dataclass(frozen=True, slots=True)
class ViewInfo:
    """A view: its SELECT as written, its columns' types by name.

    `table` is the table that streams on it follow, None if it can have none.
    """

    id: int
    name: str
    schema: str
    text: str
    columns: Mapping[str, str]
    table: str | None
    generation: int
    comment: str


@dataclass(frozen=True, slots=True)
class ParameterInfo:
    """A parameter of the store; an empty value means no limit."""

    name: str
    value: str
    default: str
    about: str


def view_info(catalog: Catalog, view: ViewObject) -> ViewInfo:
    """A view as it is listed."""
    namespace = catalog.get("schema", view.namespace)
    assert isinstance(namespace, Namespace)
    return ViewInfo(
        view.id,
        view.name,
        namespace.name,
        view.text,
        {column.name: str(column.type) for column in view.columns},
        None if view.table is None else catalog.table(view.table).name,
        view.generation,
        view.comment,
    )
