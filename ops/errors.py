"""What can be wrong with a call of the API itself. Nothing was written.

ApiError
  TargetNotKnown    the target names no kind of store        give a directory, or `memory:`
  NotFound          no table, stream or row of that name     see what there is
  BadArgument       an argument that cannot mean anything    see the sentence
  NotVisible        a commit is not shown here in time       wait longer, or see `headwater nodes`
  ReadOnly          the store was opened for reading         connect without read_only
"""

from typing import ClassVar


class ApiError(Exception):
    """Base of this room's errors. `code` never changes; `retryable` asks for the same call."""

    code: ClassVar[str] = "E_API"
    retryable: ClassVar[bool] = False


class TargetNotKnown(ApiError):
    """The target of `connect` is none of the kinds of store there are."""

    code = "E_TARGET"


class BadArgument(ApiError):
    """An argument that the call cannot act on."""

    code = "E_ARGUMENT"


class NotVisible(ApiError):
    """A commit was waited for, and is not shown here yet. Reads go on as before."""

    code = "E_NOT_VISIBLE"
    retryable = True

    def __init__(self, sequence: int, newest: int, timeout: float) -> None:
        super().__init__(
            f"commit {sequence} is not visible here after {timeout:g} s, the newest is {newest}: "
            "wait longer, or see `headwater nodes`"
        )
        self.sequence, self.newest = sequence, newest


class ReadOnly(ApiError):
    """The store was opened for reading; nothing was written."""

    code = "E_READ_ONLY"

    def __init__(self, target: str) -> None:
        super().__init__(f"{target} was opened read-only: connect without read_only to write")
        self.target = target
