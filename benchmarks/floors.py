"""What cannot be beaten: the same bytes through RocksDB or a file, with nothing of ours around."""

import os
import statistics
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

import numpy as np

from headwater.log_store.port import View
from headwater.log_store.rocks_store import Store, StoreSettings
from headwater.schemas.images import codec

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Puts:
    """Keys and values, as the store has them, by column family."""

    log: list[tuple[bytes, bytes]]
    cur: list[tuple[bytes, bytes]]
    pk: list[tuple[bytes, bytes]]


def real_bytes(view: View, table: int) -> Puts:
    """Every event, current row and key of a table, each under a key as long as a store needs."""
    return Puts(list(_events(view, table)), list(_rows(view, table)), list(_keys(view, table)))


def _events(view: View, table: int) -> Iterator[tuple[bytes, bytes]]:
    head = view.head(table).version
    ordinal = 0
    for block in view.blocks(table, 0, head):
        bounds = np.frombuffer(block.offsets, dtype="<i8").tolist()
        for start, end in pairwise(bounds):
            yield _key(table, block.version, ordinal), bytes(block.data[start:end])
            ordinal += 1


def _rows(view: View, table: int) -> Iterator[tuple[bytes, bytes]]:
    for block in view.scan(table):
        for row_id, stored in zip(block.row_ids, block.stored, strict=True):
            head = stored.version.to_bytes(8, "big") + stored.schema_id.to_bytes(4, "big")
            yield _key(table, row_id), head + stored.image


def _keys(view: View, table: int) -> Iterator[tuple[bytes, bytes]]:
    of = view.catalog.table(table)
    for block in view.scan(table):
        for row_id, stored in zip(block.row_ids, block.stored, strict=True):
            images = codec(of.schema_of(stored.schema_id))
            key = images.key(images.decode(stored.image))
            yield table.to_bytes(4, "big") + key, row_id.to_bytes(8, "big")


def _key(table: int, *numbers: int) -> bytes:
    return table.to_bytes(4, "big") + b"".join(number.to_bytes(8, "big") for number in numbers)


def put_all(folder: Path, puts: Puts) -> float:
    """CPU seconds of one raw put for each entry, in batches of 1000 rows, synced and closed.

    The database has the options of a store's own, so that only what stands above it differs.
    """
    folder.mkdir()
    start = time.process_time()
    store = Store(folder, StoreSettings())
    columns = {"log": puts.log, "cur": puts.cur, "pk": puts.pk}
    for first in range(0, len(puts.log), _BATCH):
        batch = store.batch()
        put = batch.put_in
        for family, entries in columns.items():
            handle = batch.handles[family]
            for key, value in entries[first : first + _BATCH]:
                put(key, value, handle)
        store.write(batch)
    store.sync()
    store.close()
    return time.process_time() - start


def handed_s(folder: Path, size: int, threads: int, each: int) -> float:
    """Seconds a commit of that many threads that have nothing to do but hand `size` bytes over.

    One more thread appends what has come, flushes once and wakes them: group commit without a
    store, so what it takes is Python passing its one running thread around, and the disk.
    """
    waiting: deque[threading.Lock] = deque()
    bell = threading.Semaphore(0)

    def commit() -> None:
        done = threading.Lock()
        done.acquire()
        for _ in range(each):
            waiting.append(done)
            bell.release()
            done.acquire()

    def serve() -> None:
        left = threads * each
        with (folder / "handed").open("ab", buffering=0) as file:
            while left:
                bell.acquire()
                group = [waiting.popleft() for _ in range(len(waiting))]
                if group:
                    file.write(bytes(size * len(group)))
                    os.fdatasync(file.fileno())
                left -= len(group)
                for done in group:
                    done.release()

    all_of_them = [threading.Thread(target=work) for work in (serve, *[commit] * threads)]
    start = time.perf_counter()
    for thread in all_of_them:
        thread.start()
    for thread in all_of_them:
        thread.join()
    return (time.perf_counter() - start) / (threads * each)


def bare_update_s(folder: Path, commits: int) -> float:
    """CPU seconds of what one update asks of RocksDB, the system and the hash, and nothing else.

    Two looks, one write of five entries as long as a store's, the snapshots that a view needs, the
    directory's owner looked at, the head marker written, three digests.
    """
    folder.mkdir()
    owner, value = folder / "owner", os.urandom(180)
    owner.write_bytes(value)
    with Store(folder / "store", StoreSettings()) as store, owner.open("r+b", buffering=0) as file:
        handles, held = store.handles, store.moment()
        start = time.process_time()
        for place in range(commits):
            key = place.to_bytes(12, "big")
            store.get("pk", key)
            store.get("cur", key)
            batch = store.batch()
            for family, size in (("log", 180), ("cur", 50), ("versions", 110), ("commits", 120)):
                batch.put_in(key, value[:size], handles[family])
            batch.put_in(key + key, key, handles["commits"])
            for _ in range(3):
                blake2b(value, digest_size=32).digest()
            store.write(batch)
            os.stat(owner)
            os.pread(file.fileno(), 20, 0)
            os.pwrite(file.fileno(), value[:110], 0)
            held.drop()
            held = store.moment()
        seconds = (time.process_time() - start) / commits
        held.drop()
    return seconds


@dataclass(frozen=True, slots=True)
class Flush:
    """One append and fdatasync: seconds by the clock and of CPU, medians."""

    wall_s: float
    cpu_s: float


def flush(folder: Path, size: int, times: int) -> Flush:
    """Append `size` bytes to a file and make them durable, over and over."""
    walls: list[float] = []
    data = os.urandom(size)
    with (folder / "floor").open("ab", buffering=0) as file:
        cpu = time.process_time()
        for _ in range(times):
            start = time.perf_counter()
            file.write(data)
            os.fdatasync(file.fileno())
            walls.append(time.perf_counter() - start)
        cpu = time.process_time() - cpu
    return Flush(statistics.median(walls), cpu / times)
