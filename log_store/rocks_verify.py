"""Whether the log is what was written: both hash chains, recomputed from the bytes on disk."""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from headwater.log_store import rocks_keys as keys
from headwater.log_store.catalog import TableObject
from headwater.log_store.chain import GENESIS, ChainDigest
from headwater.log_store.encoding import (
    NO_CHAIN,
    EncodingNotKnown,
    chain_commit,
    commit_chain,
    decode_block,
    decode_commit,
    version_place,
)
from headwater.log_store.errors import LogDamaged
from headwater.log_store.records import CommitRow, VersionRow
from headwater.log_store.rocks_anchor import read_anchor, verify_base
from headwater.log_store.rocks_state import Source, catalog_events, read_version

Progress = Callable[[int, int], None]
_EVERY: Final = 1024


def verify_commits(source: Source, after: int, upto: int, progress: Progress | None = None) -> None:
    """Recompute the digests of the commits (after, upto] and of the versions they made.

    `progress` is told commits done and to do, first for the commits, then for their events.

    Raises:
        LogDamaged: at the first commit or version whose digest does not hold.
    """
    first = after
    after = max(after, min(_anchored(source), upto))
    chain = NO_CHAIN
    if after:
        anchor = source.get("commits", keys.commit_key(after))
        if anchor is None:
            raise LogDamaged(f"commit {after}", "it is missing")
        chain = commit_chain(anchor)
    events, audit = _Grouped(source, "catalog", after), _Grouped(source, "audit", after)
    touched: dict[int, tuple[int, int]] = {}
    for place, value in _commits(source, after, upto):
        row = _decoded(place, value)
        covered = [_version(source, t, v, row).digest for t, v in row.versions.items()]
        covered += events.of(place)
        covered += audit.of(place)
        chain = chain_commit(chain, place, value[:-32], covered)
        if chain != commit_chain(value):
            raise LogDamaged(f"commit {place}", "its digest does not hold")
        for table, version in row.versions.items():
            touched[table] = (touched.get(table, (version, 0))[0], version)
        if progress is not None and place % _EVERY == 0:
            progress(place - after, 2 * (upto - after))
    if after > first:
        # What commits before made and is kept hangs on its table's own chain, from its anchor.
        touched |= _kept(source, upto)
    for done, (table, (first, last)) in enumerate(touched.items(), 1):
        begun = read_anchor(source, table)
        # The version at the horizon is what the chain goes on from: its own events are gone.
        below = first - 1 if begun is None else max(first - 1, begun.row.version)
        if below < last:
            verify_versions(source, table, below, last)
        if progress is not None:
            progress((upto - after) * (len(touched) + done) // len(touched), 2 * (upto - after))


def _anchored(source: Source) -> int:
    """The last commit that may have made a version which is gone: its digest cannot be made."""
    value = source.get("meta", keys.META_ANCHORED)
    return 0 if value is None else keys.number_in(value)


def _kept(source: Source, upto: int) -> dict[int, tuple[int, int]]:
    """The first and last kept version of each table that has events, up to a commit."""
    found: dict[int, tuple[int, int]] = {}
    tables = {
        event.value.id
        for _, _, event in catalog_events(source, upto)
        if isinstance(event.value, TableObject)
    }
    for table in sorted(tables):
        verify_base(source, table)
        start, end = keys.version_key(table, 0), keys.version_key(table, (1 << 64) - 1)
        first = next((pairs[0] for pairs in source.chunks("versions", start, end)), None)
        last = source.last("versions", start, end)
        if first is None or last is None:
            raise LogDamaged(f"the version index of table {table}", "it is missing")
        low, high = keys.number_of(first[0]), keys.number_of(last[0])
        while high > low and _place(source, table, high) > upto:
            high -= 1
        if high > low:
            found[table] = (low + 1, high)
    return found


def _place(source: Source, table: int, version: int) -> int:
    value = source.get("versions", keys.version_key(table, version))
    if value is None:
        raise LogDamaged(f"version {version} of table {table}", "it is missing")
    return version_place(value)


def _commits(source: Source, after: int, upto: int) -> Iterator[tuple[int, bytes]]:
    expected = after + 1
    start, end = keys.commit_key(after + 1), keys.commit_key(upto + 1)
    for pairs in source.chunks("commits", start, end):
        for key, value in pairs:
            place = keys.commit_of(key)
            if place != expected:
                break
            yield place, value
            expected += 1
    if expected <= upto:
        raise LogDamaged(f"commit {expected}", "it is missing")


def _decoded(place: int, value: bytes) -> CommitRow:
    try:
        return decode_commit(place, value)[0]
    except EncodingNotKnown as error:
        raise LogDamaged(f"commit {place}", str(error)) from error


def _version(source: Source, table: int, version: int, row: CommitRow) -> VersionRow:
    value = source.get("versions", keys.version_key(table, version))
    if value is None:
        raise LogDamaged(f"version {version} of table {table}", "it is missing")
    found = read_version(table, version, value)
    if found.sequence != row.sequence or found.time_us != row.time_us:
        raise LogDamaged(f"version {version} of table {table}", f"commit {row.sequence} made it")
    return found


class _Grouped:
    """Values of a family by commit, read once in order."""

    def __init__(self, source: Source, family: str, after: int) -> None:
        start, end = keys.ordinal_key(after + 1, 0), keys.ordinal_key((1 << 64) - 1, 0)
        self._pairs = (p for pairs in source.chunks(family, start, end) for p in pairs)
        self._next = next(self._pairs, None)

    def of(self, sequence: int) -> list[bytes]:
        found: list[bytes] = []
        while self._next is not None and keys.sequence_of(self._next[0]) <= sequence:
            found.append(self._next[1])
            self._next = next(self._pairs, None)
        return found


def verify_versions(source: Source, table: int, after: int, upto: int) -> None:
    """Recompute the digests of the versions (after, upto] of a table from its events.

    Raises:
        LogDamaged: at the first version whose digest does not hold.
    """
    before, seen = _digest_of(source, table, after), after
    digest: ChainDigest | None = None
    start, end = keys.chunk_key(table, after + 1, 0), keys.chunk_key(table, upto + 1, 0)
    for pairs in source.chunks("log", start, end):
        for key, value in pairs:
            version, chunk = keys.chunk_of(key)
            if version != seen:
                if digest is not None:
                    before = _holds(source, table, seen, digest)
                if version != seen + 1 or chunk:
                    break
                seen, digest = version, ChainDigest(before, table, version)
            if digest is not None:
                _add(digest, table, version, value)
    if digest is not None:
        _holds(source, table, seen, digest)
    if seen != upto:
        raise LogDamaged(f"version {seen + 1} of table {table}", "its events are missing")


def _add(digest: ChainDigest, table: int, version: int, value: bytes) -> None:
    try:
        block = decode_block(version, value)
    except EncodingNotKnown as error:
        raise LogDamaged(f"version {version} of table {table}", str(error)) from error
    digest.add_run(np.frombuffer(block.offsets, np.dtype("<i8")), block.data)


def _holds(source: Source, table: int, version: int, digest: ChainDigest) -> bytes:
    expected = _digest_of(source, table, version)
    if digest.digest() != expected:
        raise LogDamaged(f"version {version} of table {table}", "its digest does not hold")
    return expected


def _digest_of(source: Source, table: int, version: int) -> bytes:
    if version <= 0:
        return GENESIS
    value = source.get("versions", keys.version_key(table, version))
    if value is None:
        raise LogDamaged(f"version {version} of table {table}", "it is missing")
    return read_version(table, version, value).digest
