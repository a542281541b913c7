"""From the text a user writes to the object it names: `[[database.]schema.]name`.

Names match without regard to case and keep the case they were declared in; a part in double
quotes is exact, and may hold anything.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from headwater.log_store.catalog import (
    Catalog,
    CatalogObject,
    Namespace,
    StreamObject,
    TableObject,
    ViewObject,
)
from headwater.log_store.sequencing import PUBLIC
from headwater.producer.errors import NameInvalid, NotFound

_PART = re.compile(r'\s*(?:"((?:[^"]|"")+)"|([^\W\d][\w$]*))\s*')
_LONGEST = 255


class Name(NamedTuple):
    """A parsed name; parts keep their quotes, which lookups heed. `schema` is "" if not given."""

    schema: str
    text: str

    @property
    def plain(self) -> str:
        """The name to declare an object under: without quotes, in the case given."""
        return unquoted(self.text)


def unquoted(part: str) -> str:
    """A part of a name without its quotes."""
    if len(part) > 1 and part[0] == part[-1] == '"':
        return part[1:-1].replace('""', '"')
    return part


def quoted(name: str) -> str:
    """A declared name as it can be written in a statement, in quotes only where it needs them."""
    found = _PART.fullmatch(name)
    if found is not None and found[2] == name:
        return name
    return '"' + name.replace('"', '""') + '"'


@lru_cache(maxsize=4096)
def parse(text: str) -> Name:
    """The schema and name in a text; a database before them is the store itself and dropped.

    Raises:
        NameInvalid: it is no name.
    """
    parts: list[str] = []
    position = 0
    while True:
        found = _PART.match(text, position)
        if found is None:
            raise NameInvalid(text, "write letters, digits and _, or put it in double quotes")
        parts.append(found[0].strip())
        position = found.end()
        if position == len(text):
            break
        if text[position] != ".":
            raise NameInvalid(text, "put a name with such characters in double quotes")
        position += 1
    if len(parts) > 3:
        raise NameInvalid(text, "a name has at most database, schema and name")
    if len(unquoted(parts[-1])) > _LONGEST:
        raise NameInvalid(text[:40] + "...", f"it is longer than {_LONGEST} characters")
    return Name(parts[-2] if len(parts) > 1 else "", parts[-1])


def namespace_of(catalog: Catalog, name: Name) -> int:
    """The id of the schema a name is in, `public` if it says none.

    Raises:
        NotFound: there is no such schema.
    """
    if not name.schema:
        return PUBLIC
    found = catalog.find("schema", 0, name.schema)
    if not isinstance(found, Namespace):
        raise NotFound("schema", name.schema)
    return found.id


def find(catalog: Catalog, kind: str, text: str) -> CatalogObject | None:
    """The live object of that kind which a text names, None if there is none.

    Raises:
        NameInvalid: it is no name.
    """
    name = parse(text)
    if name.schema:
        schema = catalog.find("schema", 0, name.schema)
        return None if schema is None else catalog.find(kind, schema.id, name.text)
    return catalog.find(kind, PUBLIC, name.text)


def find_table(catalog: Catalog, text: str) -> TableObject:
    """The live table that a text names.

    Raises:
        NotFound: there is none.
        NameInvalid: it is no name.
    """
    found = find(catalog, "table", text)
    if not isinstance(found, TableObject):
        raise NotFound("table", text)
    return found


def find_view(catalog: Catalog, text: str) -> ViewObject:
    """The live view that a text names.

    Raises:
        NotFound: there is none.
        NameInvalid: it is no name.
    """
    found = find(catalog, "view", text)
    if not isinstance(found, ViewObject):
        raise NotFound("view", text)
    return found


def find_relation(catalog: Catalog, text: str) -> TableObject | ViewObject:
    """The live table or view that a text names.

    Raises:
        NotFound: there is none.
        NameInvalid: it is no name.
    """
    found = find(catalog, "table", text) or find(catalog, "view", text)
    if not isinstance(found, TableObject | ViewObject):
        raise NotFound("table or view", text)
    return found


def find_stream(catalog: Catalog, text: str) -> StreamObject:
    """The live stream that a text names.

    Raises:
        NotFound: there is none.
        NameInvalid: it is no name.
    """
    found = find(catalog, "stream", text)
    if not isinstance(found, StreamObject):
        raise NotFound("stream", text)
    return found
