"""The registry of a prefix: chosen when the prefix is made, kept in its catalog, asked by every node."""

import threading
import time
from collections.abc import Callable
from typing import Final, cast

from headwater.log_store.encoding import EncodingNotKnown
from headwater.log_store.errors import LogDamaged, StoreUnavailable
from headwater.log_store.kafka_client import Cluster
from headwater.log_store.kafka_end import KEY_SCHEMA, VALUE_SCHEMA
from headwater.log_store.kafka_places import META_PREFIX
from headwater.log_store.kafka_reader import TopicReader
from headwater.log_store.kafka_records import PREFIX_KEY, Names, PrefixRecord, read_prefix
from headwater.log_store.registry import (
    EmbeddedRegistry,
    Registry,
    RegistryAccess,
    RegistryFixed,
)
from headwater.log_store.rocks_store import Store
from headwater.schemas.avro import Json, canonical
from headwater.schemas.registry import Entry, subject_of

_WAIT_S: Final = 0.1


def new_prefix(names: Names, access: RegistryAccess) -> PrefixRecord:
    """What is fixed for a prefix about to be made; its END record's schemas are registered.

    Raises:
        RegistryUnavailable, RegistryRefused: they could not be.
        Incompatible: the registry has others under these subjects.
    """
    if access.url is None:
        return PrefixRecord()
    topic = names.transaction
    with_url = _http(access.url, access)
    try:
        ids = [
            with_url.register(
                (), subject_of(topic, key=key), canonical(cast("dict[str, Json]", schema))
            ).id
            for key, schema in ((True, KEY_SCHEMA), (False, VALUE_SCHEMA))
        ]
    finally:
        with_url.close()
    return PrefixRecord(registry=access.url, end_key_id=ids[0], end_value_id=ids[1])


def prefix_of(store: Store, names: Names) -> PrefixRecord | None:
    """What a replica knows to be fixed for its prefix, None as long as it has not read it.

    Raises:
        LogDamaged: the record cannot be read.
    """
    value = store.get("meta", META_PREFIX)
    return None if value is None else _read(value, names)


def find_prefix(cluster: Cluster, names: Names, timeout_s: float) -> PrefixRecord | None:
    """What the catalog's topic says is fixed for a prefix, None if no writer has said it yet.

    Raises:
        StoreUnavailable: the topic cannot be read in time.
        LogDamaged: the record cannot be read.
    """
    reader = TopicReader(cluster, f"{names.prefix}.replica")
    until = time.monotonic() + timeout_s
    try:
        reader.add([(names.catalog, 0)])
        while names.catalog not in reader.ends:
            for message in reader.read(1000, _WAIT_S):
                if message.key() == PREFIX_KEY:
                    return _read(message.value() or b"", names)
            if time.monotonic() > until:
                raise StoreUnavailable(f"topic {names.catalog} cannot be read: try again")
        return None
    finally:
        reader.close()


def _read(value: bytes, names: Names) -> PrefixRecord:
    try:
        return read_prefix(value)
    except EncodingNotKnown as error:
        raise LogDamaged(f"topic {names.catalog}", str(error)) from error


def check_registry(names: Names, prefix: PrefixRecord | None, asked: str | None) -> None:
    """Refuse a registry that is not the prefix's own; None asks for none in particular.

    Raises:
        RegistryFixed: it is another. Nothing was changed.
    """
    if prefix is not None and asked is not None and asked != prefix.registry:
        raise RegistryFixed(names.prefix, prefix.registry, asked)


class PrefixRegistry:
    """The registry that one node asks, found at its first question. `reserve` gives object ids.

    `find` reads the prefix's record from its topic: a replica that has seen no commit has not met it.
    """

    def __init__(
        self,
        store: Store,
        names: Names,
        access: RegistryAccess,
        reserve: Callable[[int], int],
        find: Callable[[], PrefixRecord | None],
    ) -> None:
        self._store, self._names, self._access, self._find = store, names, access, find
        self._embedded: Final = EmbeddedRegistry(reserve)
        self._lock = threading.Lock()
        self._found: Registry | None = None

    def get(self) -> Registry:
        """The registry, whose address the catalog says.

        Raises:
            StoreUnavailable: no writer has made the prefix yet, or its catalog cannot be read.
            RegistryFixed: it is another than the one named.
        """
        with self._lock:
            if self._found is None:
                prefix = prefix_of(self._store, self._names) or self._find()
                if prefix is None:
                    raise StoreUnavailable(f"{self._names.prefix} has had no writer yet: try again")
                check_registry(self._names, prefix, self._access.url)
                url = prefix.registry
                anchor = Entry(
                    subject_of(self._names.transaction, key=False),
                    1,
                    prefix.end_value_id,
                    canonical(cast("dict[str, Json]", VALUE_SCHEMA)),
                    new=False,
                )
                self._found = self._embedded if url is None else _http(url, self._access, anchor)
            return self._found

    def check(self, asked: str | None) -> None:
        """Refuse any other registry than the prefix's own; see `check_registry`."""
        check_registry(self._names, prefix_of(self._store, self._names), asked)

    def close(self) -> None:
        """Give connections back. A second call does nothing."""
        with self._lock:
            if self._found is not None:
                self._found.close()


def _http(url: str, access: RegistryAccess, anchor: Entry | None = None) -> Registry:
    # Only here: few stores have a registry beside them, and no other need load an HTTP client.
    from headwater.log_store.registry_http import HttpRegistry

    # Who was not told the address by its own settings sends no credentials there.
    own = access if access.url == url else RegistryAccess(ca=access.ca)
    return HttpRegistry(url, own, anchor)
