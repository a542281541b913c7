"""The head marker: how far the log was acknowledged, kept outside the log.

After each flush the place and chain digest of the head are written over it, themselves unsynced: it
may lag behind the log after a power cut, but whatever it names was on disk before it. A log that
ends below its marker has lost acknowledged commits. Readers in other processes take the head to
serve from it.

    marker := "HWHEAD1" LF sequence:u64 time_us:i64 epoch:u64 synced:u8 chain:32 boot:36 crc32:u32
              big-endian; `boot` is the machine's boot id, blanks where it has none
"""

import os
import struct
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

NAME: Final = "HEAD"
_MAGIC: Final = b"HWHEAD1\n"
_BODY = struct.Struct(">8sQqQB32s36s")
_CRC = struct.Struct(">I")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Marker(NamedTuple):
    """What the marker says. Without `synced` it holds only until the machine boots again."""

    sequence: int
    time_us: int
    epoch: int
    synced: bool
    chain: bytes
    boot: str

    @property
    def holds(self) -> bool:
        """Whether what it names must be on this disk."""
        return self.synced or self.boot == boot_id()


def boot_id() -> str:
    """What this boot of the machine is called; empty where that is not known."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


def read_marker(directory: Path) -> Marker | None:
    """The marker of a store; None where there is none, or a power cut tore it."""
    try:
        raw = (directory / NAME).read_bytes()
    except FileNotFoundError:
        return None
    if len(raw) < _BODY.size + _CRC.size:
        return None
    body = raw[: _BODY.size]
    magic, sequence, time_us, epoch, synced, chain, boot = _BODY.unpack(body)
    if magic != _MAGIC or _CRC.unpack_from(raw, _BODY.size)[0] != crc32(body):
        return None
    return Marker(sequence, time_us, epoch, bool(synced), chain, boot.decode("ascii").strip())


class HeadMarker:
    """Writes the marker of a store, until closed."""

    __slots__ = ("_boot", "_epoch", "_fd", "_synced")

    def __init__(self, directory: Path, epoch: int, *, synced: bool) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(directory / NAME, flags, 0o600)
        self._epoch, self._synced = epoch, synced
        self._boot = boot_id().ljust(36).encode("ascii")

    def write(self, sequence: int, time_us: int, chain: bytes) -> None:
        """Name the head; one system call, no flush."""
        body = _BODY.pack(_MAGIC, sequence, time_us, self._epoch, self._synced, chain, self._boot)
        os.pwrite(self._fd, body + _CRC.pack(crc32(body)), 0)

    def close(self) -> None:
        """Give the file back. A second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
