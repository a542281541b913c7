"""The newest state as the writer meets it: what a batch is checked against and built on.

It reads the store as written last, so batches earlier in the same group count although they are
neither flushed nor published. Heads and watermarks are remembered once read; both carry the place
of the commit that made them, which lets a view of an older place see whether they are its own.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

from headwater.log_store import rocks_keys as layout
from headwater.log_store.catalog import AvroSchema, Catalog, CatalogEvent
from headwater.log_store.catalog_json import decode_object
from headwater.log_store.encoding import (
    NO_CHAIN,
    EncodingNotKnown,
    commit_chain,
    commit_time,
    decode_commit,
    decode_version,
    decode_watermark,
    stored_version,
    unstamp,
)
from headwater.log_store.errors import LogDamaged
from headwater.log_store.records import CommitRow, VersionRow, Watermark
from headwater.log_store.rocks_store import Pair, Store
from headwater.log_store.sequencing import EMPTY_CATALOG, FIRST_OBJECT_ID, Sequenced

_END: Final = (1 << 64) - 1


class LiveState:
    """Everything up to the last batch written. Used by one thread at a time: the committer."""

    def __init__(self, store: Store, name: str, epoch: int) -> None:
        self._store = store
        self.name, self.epoch = name, epoch
        self.heads: dict[int, VersionRow] = {}
        self.marks: dict[int, Watermark] = {}
        self.reload()

    def reload(self) -> None:
        """Forget what is remembered and read it from the store."""
        self.catalog: Catalog = load_catalog(self._store)
        self.sequence, self.time_us, self.chain = last_commit(self._store)
        self.heads.clear()
        self.marks.clear()

    def advance(self, sequenced: Sequenced, made: Sequence[VersionRow], chain: bytes) -> None:
        """Go on to a commit that was just written."""
        row = sequenced.row
        for version in sequenced.created:
            self.heads[version.table] = version
        for version in made:
            self.heads[version.table] = version
        for mark in sequenced.watermarks:
            self.marks[mark.consumer] = mark
        self.sequence, self.time_us, self.chain = row.sequence, row.time_us, chain
        self.catalog = sequenced.catalog

    def head(self, table: int) -> VersionRow:
        found = self.heads.get(table)
        if found is None:
            found = newest_version(self._store, table)
            if found is None:
                raise KeyError(table)
            self.heads[table] = found
        return found

    def stored_version(self, table: int, row_id: int) -> int | None:
        value = self._store.get("cur", layout.row_key(table, row_id))
        return None if value is None else stored_version(value)

    def stored_versions(self, table: int, row_ids: Sequence[int]) -> list[int | None]:
        asked = [layout.row_key(table, row_id) for row_id in row_ids]
        found = self._store.get_many("cur", asked)
        return [None if value is None else stored_version(value) for value in found]

    def row_id(self, table: int, key: bytes) -> int | None:
        value = self._store.get("pk", layout.table_prefix(table) + key)
        return None if value is None else layout.number_in(value)

    def row_ids(self, table: int, keys: Sequence[bytes]) -> list[int | None]:
        prefix = layout.table_prefix(table)
        found = self._store.get_many("pk", [prefix + key for key in keys])
        return [None if value is None else layout.number_in(value) for value in found]

    def watermark(self, consumer: int) -> Watermark | None:
        found = self.marks.get(consumer)
        if found is None:
            value = self._store.get("watermarks", layout.mark_key(consumer))
            if value is None:
                return None
            found = self.marks[consumer] = decode_watermark(consumer, value)
        return found

    def find_idempotent(self, key: str) -> CommitRow | None:
        place = self._store.get("commits", layout.idempotency_key(key))
        if place is None:
            return None
        sequence = layout.number_in(place)
        value = self._store.get("commits", layout.commit_key(sequence))
        # A commit that has expired takes its key with it only when the family is compacted.
        return None if value is None else decode_commit(sequence, value)[0]

    def largest_object_id(self) -> int:
        """The largest object id in the catalog: of dropped objects and Avro schemas too."""
        objects = self.catalog.objects.values()
        given = (one.id for one in objects if not (isinstance(one, AvroSchema) and one.foreign))
        return max(FIRST_OBJECT_ID - 1, *given)


class Source(Protocol):
    """Where the store's families are read from."""

    def get(self, family: str, key: bytes) -> bytes | None: ...
    def chunks(self, family: str, start: bytes, end: bytes) -> Iterator[list[Pair]]: ...
    def last(self, family: str, start: bytes, upto: bytes) -> Pair | None: ...


def newest_version(store: Store, table: int) -> VersionRow | None:
    """The last row of the version index of a table, None if it was never created."""
    found = store.last("versions", layout.version_key(table, 0), layout.version_key(table, _END))
    if found is None:
        return None
    return read_version(table, layout.number_of(found[0]), found[1])


def read_version(table: int, version: int, value: bytes) -> VersionRow:
    """A version row out of its bytes. Raises LogDamaged for bytes that are none."""
    try:
        return decode_version(table, version, value)
    except EncodingNotKnown as error:
        raise LogDamaged(f"version {version} of table {table}", str(error)) from error


def last_commit(store: Store) -> tuple[int, int, bytes]:
    """Sequence, time and chain digest of the last commit; zeros for an empty store."""
    found = store.last("commits", layout.commit_key(0), layout.commit_key(_END))
    if found is None:
        return 0, 0, NO_CHAIN
    return layout.commit_of(found[0]), commit_time(found[1]), commit_chain(found[1])


def load_catalog(store: Source, upto: int = _END) -> Catalog:
    """The catalog folded from its events up to a commit. Raises LogDamaged."""
    return EMPTY_CATALOG.replay(catalog_events(store, upto))


def catalog_events(store: Source, upto: int) -> Iterable[tuple[int, int, CatalogEvent]]:
    """Catalog events up to a commit, each with its commit and time. Raises LogDamaged."""
    end = layout.ordinal_key(upto, 0xFFFFFFFF)
    for chunk in store.chunks("catalog", layout.ordinal_key(0, 0), end):
        for key, value in chunk:
            sequence = layout.sequence_of(key)
            try:
                time_us, text = unstamp(value)
                yield sequence, time_us, CatalogEvent(decode_object(text))
            except EncodingNotKnown as error:
                raise LogDamaged(f"catalog event of commit {sequence}", str(error)) from error
