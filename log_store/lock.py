"""The directory's own lock: one writing process, which notices when it no longer is that one.

RocksDB's LOCK file can be deleted by hand, after which a second process opens the same files.
So the owner holds `flock` on a file of ours, and looks before and after each write whether the
path still leads to that very file and the epoch in it is still its own. A taker writes its epoch
before it reads anything else; what the old owner flushed before that, the taker sees, and what it
flushed after that, the old owner never acknowledges.

    owner := "headwater-owner 1" LF epoch LF pid LF host LF      ASCII, numbers in 20 digits
"""

import fcntl
import os
import socket
from pathlib import Path
from typing import Final, NamedTuple

from headwater.log_store.errors import DirectoryInUse, Fenced, FormatNotKnown

NAME: Final = "OWNER"
_TITLE: Final = b"headwater-owner 1\n"
_EPOCH_AT: Final = len(_TITLE)
_DIGITS: Final = 20


class Owner(NamedTuple):
    """Who has, or last had, a directory open for writing."""

    epoch: int
    pid: int
    host: str


def read_owner(directory: Path) -> Owner | None:
    """Who last opened the directory; None where nobody did, or while somebody is about to."""
    try:
        lines = (directory / NAME).read_bytes().split(b"\n")
    except FileNotFoundError:
        return None
    return _parsed(directory, lines)


def _parsed(directory: Path, lines: list[bytes]) -> Owner | None:
    if lines == [b""]:
        return None
    if len(lines) < 4 or lines[0] + b"\n" != _TITLE:
        raise FormatNotKnown(f"{directory / NAME} is no owner file of this release: look at it")
    return Owner(int(lines[1]), int(lines[2]), lines[3].decode(errors="replace"))


class DirectoryLock:
    """Exclusive ownership of a directory until `release`, or until somebody takes it over.

    Raises:
        DirectoryInUse: another process, or this one, has it open. Nothing was changed.
        FormatNotKnown: the owner file is not of this format. Nothing was changed.
    """

    __slots__ = ("_directory", "_fd", "_inode", "_path", "_written", "epoch")

    def __init__(self, directory: Path) -> None:
        self._directory, self._path = directory, str(directory / NAME)
        self._fd = self._acquire()
        status = os.fstat(self._fd)
        self._inode = (status.st_ino, status.st_dev)
        self.epoch = 0
        self._written = b""
        try:
            owner = _parsed(directory, os.pread(self._fd, 4096, 0).split(b"\n"))
        except (FormatNotKnown, ValueError):
            self.release()
            raise
        self.epoch = owner.epoch if owner is not None else 0

    def _acquire(self) -> int:
        while True:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                status = os.stat(self._path)
                if (status.st_ino, status.st_dev) == _identity(fd):
                    return fd
            except FileNotFoundError:
                pass  # deleted between open and stat: what we hold is nobody's lock
            except BlockingIOError as error:
                os.close(fd)
                owner = read_owner(self._directory)
                raise DirectoryInUse(
                    str(self._directory),
                    pid=owner.pid if owner else None,
                    host=owner.host if owner else None,
                ) from error
            except OSError:
                os.close(fd)
                raise
            os.close(fd)

    def take(self, epoch: int) -> None:
        """Write a new epoch, durably; from here on older owners fence themselves."""
        host = socket.gethostname().encode("ascii", "replace")[:200]
        text = b"%s%020d\n%020d\n%s\n" % (_TITLE, epoch, os.getpid(), host)
        os.pwrite(self._fd, text, 0)
        os.ftruncate(self._fd, len(text))
        os.fsync(self._fd)
        self.epoch = epoch
        self._written = b"%020d" % epoch

    def check(self) -> None:
        """Make sure that the directory is still ours. Costs two system calls.

        Raises:
            Fenced: the file was deleted, replaced, or carries another epoch.
        """
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            raise self._fenced(None) from None
        if (
            status.st_ino != self._inode[0]
            or status.st_dev != self._inode[1]
            or os.pread(self._fd, _DIGITS, _EPOCH_AT) != self._written
        ):
            owner = read_owner(self._directory)
            raise self._fenced(owner.epoch if owner else None)

    def _fenced(self, found: int | None) -> Fenced:
        return Fenced(str(self._directory), epoch=self.epoch, found=found)

    def release(self) -> None:
        """Let go of the directory. A second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_ino, status.st_dev
