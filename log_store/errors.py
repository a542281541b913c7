"""What can go wrong in the log, and what state is left.

LogError
  WriteConflict       someone else committed first             nothing written, retry
  IdempotencyMismatch the key stands for another request       nothing written
  StoreUnavailable    the store cannot be reached or is closed nothing written, retry
  OutcomeUnknown      the store failed during the commit       reopen, then look for the commit id
  LogDamaged          bytes on disk fail their checksum        stop; restore, or see `doctor`
  DirectoryInUse      another process owns the directory       stop it first
  Fenced              the directory was taken over             this process must stop
  FormatNotKnown      a newer release wrote the directory      open it with that release
  HistoryNotExpired   this store cannot let history go         see the sentence
  GroupActive         a Kafka group that has members           stop them first
  OutsideHistory      a version or time that is not kept       ask for a later one
  SourceLost          an adopted topic lost what was not read  adopt it anew
"""

from collections.abc import Sequence
from typing import ClassVar


class LogError(Exception):
    """Base of this room's errors. `code` never changes; `retryable` asks for the same call."""

    code: ClassVar[str] = "E_LOG"
    retryable: ClassVar[bool] = False


class WriteConflict(LogError):
    """Something the transaction had read has moved since. Nothing was written.

    `what` is one of row, key, watermark, table, definition; `name` says which one.
    """

    code = "E_WRITE_CONFLICT"
    retryable = True

    def __init__(self, what: str, name: str, why: str) -> None:
        super().__init__(f"{what} {name} {why} after this transaction began: run it again")
        self.what, self.name, self.why = what, name, why


class IdempotencyMismatch(LogError):
    """The idempotency key was used for another request. Nothing was written."""

    code = "E_IDEMPOTENCY_MISMATCH"

    def __init__(self, key: str, sequence: int) -> None:
        super().__init__(
            f"idempotency key {key!r} was used for another request, committed at {sequence}: "
            "use a new key"
        )
        self.key, self.sequence = key, sequence


class StoreUnavailable(LogError):
    """The store cannot be reached, is closed, or stopped writing. Nothing was written."""

    code = "E_STORE_UNAVAILABLE"
    retryable = True


class OutcomeUnknown(LogError):
    """The store failed during the commit: it may or may not be there.

    This log object is spent. Open the store again and look for `commit_id`.
    """

    code = "E_OUTCOME_UNKNOWN"

    def __init__(self, commit_id: str, why: str) -> None:
        super().__init__(
            f"commit {commit_id} may or may not have been written ({why}): "
            "open the store again and look for it"
        )
        self.commit_id = commit_id


class LogDamaged(LogError):
    """Bytes on disk fail their checksum, or acknowledged ones are gone. Nothing was changed."""

    code = "E_LOG_DAMAGED"

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}; restore a copy, or run `headwater doctor`")
        self.where, self.why = where, why


class DirectoryInUse(LogError):
    """Another process has the directory open for writing. Nothing was changed."""

    code = "E_DIRECTORY_IN_USE"

    def __init__(self, path: str, *, pid: int | None, host: str | None) -> None:
        who = f"process {pid} on {host}" if pid is not None else "another process"
        super().__init__(f"{path} is open in {who}: stop it, or open the store read-only")
        self.path, self.pid, self.host = path, pid, host


class Fenced(LogError):
    """Another process took the directory over; this one wrote nothing after that."""

    code = "E_FENCED"

    def __init__(self, path: str, *, epoch: int, found: int | None) -> None:
        super().__init__(
            f"{path} was taken over by another process (epoch {found}, this one is {epoch}): "
            "close this store"
        )
        self.path, self.epoch, self.found = path, epoch, found


class FormatNotKnown(LogError):
    """The directory is no store, or a newer release wrote it. Nothing was changed."""

    code = "E_FORMAT_NOT_KNOWN"


class HistoryNotExpired(LogError):
    """A store that keeps all history whatever is asked. Nothing was changed."""

    code = "E_HISTORY_NOT_EXPIRED"


class GroupActive(LogError):
    """A Kafka group that is to be moved has members. Its offset is as it was."""

    code = "E_GROUP_ACTIVE"

    def __init__(self, group: str, members: Sequence[str]) -> None:
        who = ", ".join(members) or "members that the cluster does not name"
        super().__init__(f"group {group} is active ({who}): stop its members first")
        self.group, self.members = group, tuple(members)


class OutsideHistory(LogError):
    """A version, time or statement that the kept history does not hold."""

    code = "E_OUTSIDE_HISTORY"


class SourceLost(LogError):
    """A topic that is adopted is gone, or was cut off before what it held was read.

    Nothing is skipped silently: its table stays as it is.
    """

    code = "E_SOURCE_LOST"

    def __init__(self, topic: str, why: str) -> None:
        super().__init__(
            f"topic {topic} {why}: what is missing cannot be read any more; "
            "drop the table and adopt the topic anew"
        )
        self.topic, self.why = topic, why


def gone(table: int, version: int, horizon: int) -> OutsideHistory:
    """The error for events that were let go, maybe while they were read."""
    return OutsideHistory(
        f"version {version} of table {table} is no longer kept: its history starts at v{horizon}"
    )


def outlived(table: int, horizon: int) -> OutsideHistory:
    """The error for a view that is older than all that is kept of a table."""
    return OutsideHistory(
        f"this view is older than what is kept of table {table}, whose history starts at "
        f"v{horizon}: take another, or begin the transaction again"
    )
