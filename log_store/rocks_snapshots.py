"""Kept snapshots: a cache of whole tables as Arrow, beside the log.

A snapshot is a list of chunks. A chunk whose bytes stand in the snapshot before already is not
written again, the list refers to it; so a chunk goes only when no list refers to it any more.

    list    := count:u32 (digest:16 version:u64 chunk:u32)*count     where each chunk's bytes stand
    chunk   := an Arrow IPC stream of one record batch, compressed with lz4
    pending := empty, while the chunks are being written
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple, Protocol, cast

import pyarrow as pa
import pyarrow.ipc

from headwater.log_store import rocks_keys as keys
from headwater.log_store.errors import LogDamaged
from headwater.log_store.failpoints import failpoint
from headwater.log_store.rocks_store import Pair, Store

KEPT: Final = 16
_COUNT = struct.Struct(">I")
_PLACE = struct.Struct(">16sQI")


class Reader(Protocol):
    """Where snapshots are read from."""

    def get(self, family: str, key: bytes) -> bytes | None: ...
    def chunks(self, family: str, start: bytes, end: bytes) -> Iterator[list[Pair]]: ...


class Place(NamedTuple):
    """A chunk's digest, and the snapshot and number under which its bytes stand."""

    digest: bytes
    version: int
    chunk: int


def snapshots_of(source: Reader, table: int) -> list[int]:
    """Versions of which a whole snapshot is kept, rising."""
    start, end = keys.snap_list_key(table, 0), keys.snap_list_key(table + 1, 0)
    return [keys.snap_of(key)[1] for pairs in source.chunks("snap", start, end) for key, _ in pairs]


def read_snapshot(source: Reader, table: int, version: int) -> Iterator[pa.RecordBatch] | None:
    """The batches of a kept snapshot; None if there is none."""
    listed = _listed(source, table, version)
    return None if listed is None else _batches(source, table, listed)


def _batches(source: Reader, table: int, listed: list[Place]) -> Iterator[pa.RecordBatch]:
    for place in listed:
        value = source.get("snap", keys.snap_chunk_key(table, place.version, place.chunk))
        if value is None:
            raise LogDamaged(
                f"snapshot v{place.version} of table {table}", f"chunk {place.chunk} is missing"
            )
        with pyarrow.ipc.open_stream(value) as stream:
            yield from stream


def _listed(source: Reader, table: int, version: int) -> list[Place] | None:
    value = source.get("snap", keys.snap_list_key(table, version))
    if value is None:
        return None
    return [Place(*place) for place in _PLACE.iter_unpack(value[_COUNT.size :])]


def keep_snapshot(
    store: Store, table: int, version: int, batches: Iterable[pa.RecordBatch]
) -> None:
    """Write a snapshot, list it, and thin the older ones out; nothing if it is kept already.

    One at a time: the caller sees to that.
    """
    if _listed(store, table, version) is not None:
        return
    pending = keys.snap_pending_key(table, version)
    _write(store, pending, b"")
    older = [v for v in snapshots_of(store, table) if v < version]
    known = {p.digest: p for p in (_listed(store, table, older[-1]) or ())} if older else {}
    places: list[Place] = []
    for number, rows in enumerate(batches):
        value = _ipc(rows)
        digest = blake2b(value, digest_size=16).digest()
        place = known.get(digest)
        if place is None:
            place = Place(digest, version, number)
            _write(store, keys.snap_chunk_key(table, version, number), value)
        places.append(place)
    failpoint("snapshot.before_swap")
    batch = store.batch()
    listed = _COUNT.pack(len(places)) + b"".join(_PLACE.pack(*place) for place in places)
    batch.put("snap", keys.snap_list_key(table, version), listed)
    batch.delete("snap", pending)
    store.write(batch)
    failpoint("snapshot.after_swap")
    thin(store, table)


def drop_pending(store: Store) -> None:
    """Drop the chunks of snapshots that a crash kept from being listed."""
    start, end = keys.snap_pending_key(0, 0), b"\x03"
    batch = store.batch()
    for pairs in store.chunks("snap", start, end):
        for key, _ in pairs:
            table, version = keys.snap_of(key)
            first = keys.snap_chunk_key(table, version, 0)
            batch.delete_range("snap", first, keys.snap_chunk_key(table, version + 1, 0))
            batch.delete("snap", key)
    if len(batch):
        store.write(batch)


def _ipc(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    options = pyarrow.ipc.IpcWriteOptions(compression="lz4")
    with pyarrow.ipc.new_stream(sink, batch.schema, options=options) as writer:
        # The stubs leave out what it returns, which is nothing.
        cast(Callable[[pa.RecordBatch], None], writer.write_batch)(batch)
    return sink.getvalue().to_pybytes()


def _write(store: Store, key: bytes, value: bytes) -> None:
    batch = store.batch()
    batch.put("snap", key, value)
    store.write(batch)


def thin(store: Store, table: int) -> None:
    """Drop snapshots above `KEPT`, and chunks that no list refers to."""
    _drop(store, table, surplus(snapshots_of(store, table), KEPT))


def _drop(store: Store, table: int, dropped: set[int]) -> None:
    versions = snapshots_of(store, table)
    kept = [v for v in versions if v not in dropped]
    used = {(p.version, p.chunk) for v in kept for p in _listed(store, table, v) or ()}
    batch = store.batch()
    for version in dropped:
        for place in _listed(store, table, version) or ():
            if (place.version, place.chunk) not in used:
                batch.delete("snap", keys.snap_chunk_key(table, place.version, place.chunk))
        batch.delete("snap", keys.snap_list_key(table, version))
    if len(batch):
        store.write(batch)


def drop_below(store: Store, table: int, version: int) -> None:
    """Drop the snapshots of a table below a version, and chunks that no other refers to."""
    below = {one for one in snapshots_of(store, table) if one < version}
    _drop(store, table, below)


def surplus(versions: Sequence[int], kept: int) -> set[int]:
    """Which of the rising versions to drop so that `kept` stay, spread evenly; never the newest."""
    left = list(versions)
    dropped: set[int] = set()
    while len(left) > kept and len(left) > 2:
        gaps = [left[i + 1] - left[i - 1] for i in range(1, len(left) - 1)]
        dropped.add(left.pop(1 + gaps.index(min(gaps))))
    return dropped
