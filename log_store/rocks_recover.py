"""Opening a store: whose it is, whether it is all there, and what a crash left to settle.

    <store>/FORMAT   "headwater 1" LF; a newer number is refused
            OWNER    who has it open (lock.py)
            HEAD     how far it was acknowledged (head_marker.py)
            store/   RocksDB
            undo/    while it is being opened after a crash: hard links to its files as they were

RocksDB's recovery keeps what stands before the first damaged record of its write-ahead log, says
nothing, and deletes that log. So the files are kept by hard links until the head has been compared
with the marker; if acknowledged commits are missing, the files are put back as they were.
"""

import os
import shutil
from pathlib import Path
from typing import Final, NamedTuple

from headwater.log_store import rocks_keys as keys
from headwater.log_store.errors import FormatNotKnown, LogDamaged, LogError
from headwater.log_store.failpoints import failpoint
from headwater.log_store.head_marker import Marker, read_marker
from headwater.log_store.lock import NAME as OWNER
from headwater.log_store.lock import DirectoryLock
from headwater.log_store.rocks_expiry import drop_unfinished
from headwater.log_store.rocks_large import settle_leftovers
from headwater.log_store.rocks_snapshots import drop_pending
from headwater.log_store.rocks_state import last_commit
from headwater.log_store.rocks_store import Store, StoreSettings
from headwater.log_store.rocks_verify import verify_commits
from headwater.log_store.rocks_wal import endless_at, stopped_at

FORMAT: Final = 1
_FORMAT_FILE: Final = "FORMAT"
_TITLE: Final = "headwater "
STORE: Final = "store"
UNDO: Final = "undo"


class Opened(NamedTuple):
    """A store that is whole, and the epoch under which this process writes it."""

    store: Store
    lock: DirectoryLock
    epoch: int
    name: str


def open_store(directory: Path, settings: StoreSettings, name: str) -> Opened:
    """Open a directory for writing, made if absent; `name` is what a new store takes.

    Raises:
        FormatNotKnown: it holds something else, or a newer release's store. Nothing was changed.
        DirectoryInUse: somebody has it open. Nothing was changed.
        LogDamaged: acknowledged commits are gone or bytes are damaged. The log was not changed.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_format(directory, new_allowed=True)
    lock = DirectoryLock(directory)
    try:
        _write_format(directory)
        marker = read_marker(directory)
        epoch = max(lock.epoch, marker.epoch if marker else 0) + 1
        lock.take(epoch)
        failpoint("lock.after_epoch")
        store = _open_whole(directory, settings, marker)
        try:
            epoch, name = _settle(store, lock, epoch, name)
        except BaseException:
            store.close()
            raise
        return Opened(store, lock, epoch, name)
    except BaseException:
        lock.release()
        raise


def check_format(directory: Path, *, new_allowed: bool) -> None:
    """Refuse a directory that holds something else, or a store of a newer format.

    Raises:
        FormatNotKnown: it does. Nothing was changed.
    """
    try:
        text = (directory / _FORMAT_FILE).read_text("ascii")
    except FileNotFoundError:
        others = {entry.name for entry in directory.iterdir()} if directory.is_dir() else set[str]()
        if new_allowed and others <= {OWNER, f"{_FORMAT_FILE}.new"}:
            return
        raise FormatNotKnown(f"{directory} is no Headwater store: name another directory") from None
    except UnicodeDecodeError:
        text = ""
    number = text.removeprefix(_TITLE).strip()
    if not text.startswith(_TITLE) or not number.isdigit():
        raise FormatNotKnown(f"{directory / _FORMAT_FILE} names no format: restore that file")
    if int(number) > FORMAT:
        raise FormatNotKnown(
            f"{directory} was written by a newer release (format {number}, this one knows "
            f"{FORMAT}): open it with that release"
        )


def _write_format(directory: Path) -> None:
    path = directory / _FORMAT_FILE
    if path.exists():
        return
    new = directory / f"{_FORMAT_FILE}.new"
    with new.open("w", encoding="ascii") as file:
        file.write(f"{_TITLE}{FORMAT}\n")
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    _sync_directory(directory)
    _sync_directory(directory.parent)


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _open_whole(directory: Path, settings: StoreSettings, marker: Marker | None) -> Store:
    """The store, after making sure that every acknowledged commit is in it."""
    path, undo = directory / STORE, directory / UNDO
    held = marker is not None and marker.holds and marker.sequence > 0
    if not (path / "CURRENT").exists() and (held or _has_files(path)):
        raise LogDamaged(str(path / "CURRENT"), "the file is missing")
    check_wal(path)
    if held:
        _keep(path, undo)
    try:
        store = Store(path, settings)
    except LogError:
        _put_back(path, undo)
        raise
    try:
        if marker is not None and held:
            _compare(store, marker, undo if undo.exists() else path)
    except BaseException:
        store.close()
        _put_back(path, undo)
        raise
    shutil.rmtree(undo, ignore_errors=True)
    return store


def check_wal(path: Path) -> None:
    """Refuse a write-ahead log that RocksDB would read for ever. Raises LogDamaged."""
    spot = endless_at(path)
    if spot is not None:
        raise LogDamaged(f"{spot.file} at byte {spot.offset}", "there is no record of a log there")


def _has_files(path: Path) -> bool:
    return path.is_dir() and any(path.glob("MANIFEST-*"))


def _keep(path: Path, undo: Path) -> None:
    """Hold on to the files as a crash left them; nothing after a clean close."""
    if undo.exists() or not any(file.stat().st_size for file in path.glob("*.log")):
        return  # links that stand already are of the first attempt to open
    links = undo.with_name(f"{UNDO}.new")
    shutil.rmtree(links, ignore_errors=True)
    links.mkdir(mode=0o700)
    for file in path.iterdir():
        if file.is_file() and file.name != "LOCK" and not file.name.startswith("LOG"):
            (links / file.name).hardlink_to(file)
    links.rename(undo)


def _put_back(path: Path, undo: Path) -> None:
    if undo.exists():
        shutil.rmtree(path, ignore_errors=True)
        undo.rename(path)


def _compare(store: Store, marker: Marker, files: Path) -> None:
    """Refuse a log that ends below its marker, or holds another commit at that place."""
    head, _, _ = last_commit(store)
    if head < marker.sequence:
        spot = stopped_at(files, store.last_write())
        where = f"{spot.file} at byte {spot.offset}" if spot else "the write-ahead log"
        raise LogDamaged(
            where,
            f"the log ends at commit {head}, acknowledged were {marker.sequence}",
        )
    value = store.get("commits", keys.commit_key(marker.sequence))
    if value is not None and value[-32:] != marker.chain:
        raise LogDamaged(
            f"commit {marker.sequence}", "it is not the one that was acknowledged at that place"
        )


def _settle(store: Store, lock: DirectoryLock, epoch: int, name: str) -> tuple[int, str]:
    """Finish or drop what a crash cut off, verify the log's end, and take the epoch."""
    failpoint("recover.mid")
    found = store.get("meta", keys.META_FORMAT)
    if found is not None and keys.number_in(found) > FORMAT:
        raise FormatNotKnown(f"the store is of format {keys.number_in(found)}: use that release")
    settle_leftovers(store, redone="recover.redone")
    drop_pending(store)
    drop_unfinished(store)
    checked = store.get("meta", keys.META_CHECKED)
    head, _, _ = last_commit(store)
    verify_commits(store, 0 if checked is None else keys.number_in(checked), head)
    older = store.get("meta", keys.META_EPOCH)
    if older is not None and keys.number_in(older) >= epoch:
        epoch = keys.number_in(older) + 1
        lock.take(epoch)
    kept_name = store.get("meta", keys.META_NAME)
    batch = store.batch()
    batch.put("meta", keys.META_FORMAT, keys.number(FORMAT))
    batch.put("meta", keys.META_EPOCH, keys.number(epoch))
    batch.put("meta", keys.META_CHECKED, keys.number(head))
    if kept_name is None:
        batch.put("meta", keys.META_NAME, name.encode())
    store.write(batch)
    store.sync()
    return epoch, name if kept_name is None else kept_name.decode()
