"""Names in statements: looked up in the session's schema first, then in `public`."""

from headwater.log_store.catalog import (
    Catalog,
    CatalogObject,
    Namespace,
    StreamObject,
    TableObject,
    ViewObject,
)
from headwater.producer.errors import NotFound, TableReadOnly
from headwater.producer.names import find, parse, quoted
from headwater.producer.staged import topic_of
from headwater.sql.context import State

_PUBLIC = "public"


def qualified(state: State, text: str) -> str:
    """A name with its schema, to declare an object under: the session's where it says none.

    Raises:
        NameInvalid: it is no name.
    """
    if state.schema == _PUBLIC or parse(text).schema:
        return text
    return f"{quoted(state.schema)}.{text}"


def found(catalog: Catalog, state: State, kind: str, text: str) -> CatalogObject | None:
    """The live object of that kind which a text names, None if there is none.

    Raises:
        NameInvalid: it is no name.
    """
    if state.schema != _PUBLIC:
        own = find(catalog, kind, qualified(state, text))
        if own is not None:
            return own
    return find(catalog, kind, text)


def table_named(catalog: Catalog, state: State, text: str) -> TableObject:
    """The live table that a text names.

    Raises:
        NotFound: there is none.
        NameInvalid: it is no name.
    """
    table = found(catalog, state, "table", text)
    if not isinstance(table, TableObject):
        raise NotFound("table", text)
    return table


def target_named(catalog: Catalog, state: State, text: str) -> TableObject:
    """The table that a statement writes: the session's own TEMPORARY one before any other.

    Raises:
        NotFound: there is none.
        NameInvalid: it is no name.
        TableReadOnly: a topic feeds it, and nobody else.
    """
    own = temporary_named(state, text)
    if own is not None:
        return own
    table = table_named(catalog, state, text)
    if table.adopted:
        raise TableReadOnly(table.name, topic_of(table))
    return table


def temporary_named(state: State, text: str) -> TableObject | None:
    """The session's TEMPORARY table that a text names, None if there is none."""
    return state.temporaries.find(qualified(state, text)) if state.temporaries else None


def stream_named(catalog: Catalog, state: State, text: str) -> StreamObject:
    """The live stream that a text names.

    Raises:
        NotFound: there is none.
        NameInvalid: it is no name.
    """
    stream = found(catalog, state, "stream", text)
    if not isinstance(stream, StreamObject):
        raise NotFound("stream", text)
    return stream


def relation_named(catalog: Catalog, state: State, text: str) -> TableObject | ViewObject:
    """The live table or view that a text names.

    Raises:
        NotFound: there is none.
        NameInvalid: it is no name.
    """
    for kind in ("table", "view"):
        relation = found(catalog, state, kind, text)
        if isinstance(relation, TableObject | ViewObject):
            return relation
    raise NotFound("table or view", text)


def schema_name(catalog: Catalog, namespace: int) -> str:
    """A schema's declared name."""
    schema = catalog.get("schema", namespace)
    assert isinstance(schema, Namespace), "objects stand in schemas"
    return schema.name


def full_name(catalog: Catalog, of: TableObject | ViewObject | StreamObject) -> str:
    """An object's schema and name as a statement can say them, in quotes where they need them."""
    return f"{quoted(schema_name(catalog, of.namespace))}.{quoted(of.name)}"


def short_name(catalog: Catalog, state: State, of: TableObject | ViewObject | StreamObject) -> str:
    """The same, without the schema that names are looked up in anyway."""
    schema = schema_name(catalog, of.namespace)
    if schema.lower() == state.schema.lower():
        return quoted(of.name)
    return full_name(catalog, of)
