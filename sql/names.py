"""Names in statements: looked up in the session's schema first, then in `public`."""

from headwater.log_store.catalog import Catalog, CatalogObject, StreamObject, TableObject
from headwater.producer.errors import NotFound
from headwater.producer.names import find, parse, quoted
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
