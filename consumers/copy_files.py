"""COPY INTO a directory: a window becomes a file that is durable before its commit.

Under the directory's lock, which the transaction holds until it ends:

    look at the watermark afresh    what this transaction saw may be old: then it is refused here
    remove this stream's files that start above it    tries that failed, windows that were rewound
    write, sync, give the file its name, sync the directory
    commit: the watermark moves, and the file counts

So a death anywhere leaves a file that is removed by the next COPY, or one that its commit names,
and the files below the watermark hold every consumed window once.
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pyarrow as pa

from headwater.consumers.boundaries import DIRECTORY
from headwater.consumers.consume import Consumption
from headwater.consumers.copy_names import StreamWindow, file_name, starts_above
from headwater.consumers.errors import CopyFailed, DirectoryBusy
from headwater.consumers.registration import Directory, directory_consumer, position
from headwater.consumers.row_files import FileOptions, write_rows
from headwater.consumers.windows import start_of
from headwater.log_store.catalog import Namespace
from headwater.log_store.errors import WriteConflict
from headwater.log_store.failpoints import failpoint
from headwater.log_store.sequencing import PUBLIC
from headwater.producer.staged import Outcome
from headwater.producer.transaction import Transaction

LOCK: Final = ".headwater-copy"
_PASSING: Final = ".part"


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """A file that COPY wrote; `path` is None where there were no rows, and so no file."""

    path: Path | None
    rows: int
    bytes: int


def copy_into(
    consumed: Sequence[Consumption], rows: pa.RecordBatchReader, options: FileOptions
) -> CopiedFile:
    """Write rows made of windows that one directory consumes; the last step of a statement.

    The file counts once the transaction commits, and is removed if it does not. Where every window
    is empty there is nothing to write, whatever the rows are.

    Raises:
        DirectoryBusy: another COPY writes into the directory. Nothing was written.
        WriteConflict: the watermark has moved since the transaction began. Nothing was written.
        CopyFailed: the directory or the disk; what was written is gone.
    """
    if not any(one.window for one in consumed):
        return CopiedFile(None, 0, 0)
    tx, (consumer, *_) = consumed[0].tx, consumed[0].consumers
    path = Path(consumer.directory or _directory_in(tx, consumer.id))
    held = tx.hold(("copy", str(path)), lambda: CopyDirectory(tx, path))
    return held.write(consumed, rows, options)


def _directory_in(tx: Transaction, consumer: int) -> str:
    """Where a SHARED stream's window goes: as this transaction's last move of it says."""
    notes = [move.note for move in tx.moves if move.consumer == consumer and move.note]
    return str(next(note[DIRECTORY] for note in reversed(notes) if DIRECTORY in note))


@dataclass(slots=True)
class _Written:
    """A file with the moves that make it count, each a consumer and where it came to."""

    path: Path
    moves: frozenset[tuple[int, int]]


@dataclass(eq=False)
class CopyDirectory:
    """A directory under its lock, with the files that one transaction has written there."""

    tx: Transaction
    path: Path
    _lock: int = -1
    _written: list[_Written] = field(default_factory=list[_Written])
    _cleared: set[int] = field(default_factory=set[int])

    def __post_init__(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise CopyFailed(str(self.path), str(error)) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._claim()
        except OSError as error:
            os.close(self._lock)
            raise DirectoryBusy(str(self.path)) from error
        except CopyFailed:
            os.close(self._lock)
            raise

    def _claim(self) -> None:
        """A directory belongs to one store: two would remove each other's files."""
        owner = os.pread(self._lock, 4096, 0).decode(errors="replace").strip()
        if owner and owner != self.tx.log.name:
            raise CopyFailed(str(self.path), f"store {owner} copies into it: take another one")
        if not owner:
            os.pwrite(self._lock, f"{self.tx.log.name}\n".encode(), 0)

    def write(
        self, consumed: Sequence[Consumption], rows: pa.RecordBatchReader, options: FileOptions
    ) -> CopiedFile:
        """One more file; see `copy_into`."""
        self._check_current(consumed)
        parts = [StreamWindow(self._shown(one), one.window) for one in consumed]
        try:
            self._clear(consumed, parts)
            failpoint("copy.cleared")
            passing = self.path / f".{file_name(parts, options.ending)}{_PASSING}"
            count, size = _write(passing, rows, options)
            if not count:
                passing.unlink()
                return CopiedFile(None, 0, 0)
            path = self._named(parts, options.ending)
            os.replace(passing, path)
            _sync(self.path)
        except (OSError, pa.ArrowException) as error:
            self._remove_passing()
            raise CopyFailed(str(self.path), str(error)) from error
        except BaseException:
            self._remove_passing()
            raise
        moves = frozenset((who.id, one.window.upto) for one in consumed for who in one.consumers)
        self._written.append(_Written(path, moves))
        failpoint("copy.named")
        return CopiedFile(path, count, size)

    def _check_current(self, consumed: Sequence[Consumption]) -> None:
        """Refuse if a watermark stands elsewhere by now: files above it may be committed ones."""
        with self.tx.log.view() as latest:
            for one in consumed:
                known = latest.catalog.get("stream", one.stream.id)
                if known is None:  # made by this very transaction
                    continue
                directory = Directory(str(self.path))
                reader = directory_consumer(latest.catalog, one.stream, directory)
                at = start_of(one.stream) if reader is None else position(latest, reader)
                if at != one.window.after:
                    name = f"of directory {self.path} in stream {one.stream.name}"
                    raise WriteConflict("watermark", name, "has moved")

    def _shown(self, one: Consumption) -> str:
        """A stream's name in file names, with its schema unless that is `public`."""
        namespace = self.tx.catalog.get("schema", one.stream.namespace)
        if one.stream.namespace == PUBLIC or not isinstance(namespace, Namespace):
            return one.stream.name
        return f"{namespace.name}.{one.stream.name}"

    def _clear(self, consumed: Sequence[Consumption], parts: Sequence[StreamWindow]) -> None:
        """Remove what no commit stands for; once for each stream in a transaction."""
        self._remove_passing()
        for one, part in zip(consumed, parts, strict=True):
            if one.stream.id in self._cleared:
                continue
            self._cleared.add(one.stream.id)
            own = {written.path.name for written in self._written}
            for name in os.listdir(self.path):
                if name not in own and starts_above(name, part.stream, one.window.after):
                    (self.path / name).unlink()
        _sync(self.path)

    def _remove_passing(self) -> None:
        for name in os.listdir(self.path):
            if name.startswith(".") and name.endswith(_PASSING):
                with suppress(OSError):
                    (self.path / name).unlink()

    def _named(self, parts: Sequence[StreamWindow], ending: str) -> Path:
        number = 1
        while (path := self.path / file_name(parts, ending, number)).exists():
            number += 1
        return path

    def save(self) -> Callable[[], None]:
        """Nothing to undo before the end: files of undone windows are removed then."""
        return lambda: None

    def end(self, outcome: Outcome) -> None:
        """Let go of the directory; files that do not count are removed, if that is known."""
        with suppress(OSError):
            if outcome != "unknown":
                moved = {(move.consumer, move.end) for move in self.tx.moves}
                _remove(
                    one.path
                    for one in self._written
                    if outcome == "nothing" or not one.moves <= moved
                )
        with suppress(OSError):
            os.close(self._lock)


def _write(passing: Path, rows: pa.RecordBatchReader, options: FileOptions) -> tuple[int, int]:
    """All rows, on the disk, under a name that nobody reads; returns rows and bytes."""
    with passing.open("wb") as file:
        count = write_rows(file, rows, options)
        failpoint("copy.written")
        file.flush()
        os.fsync(file.fileno())
        return count, os.fstat(file.fileno()).st_size


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    """Make names that were given or taken in a directory survive a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
