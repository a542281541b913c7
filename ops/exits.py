"""How a command ends: exit codes, and the sentence that an error is on stderr. Pure.

code  meaning                          raised by
0     done
1     unexpected: a fault of ours      anything without a code
2     usage                            the command line itself
3     the store cannot be opened       absent, held by a writer, damaged, of a newer release
4     not found                        a table, stream, consumer, version or file
5     refused by a safety rule         a stale stream, a policy, a plan that is no longer current
6     the statement failed             a value, a key, a conflict, a schema
7     timed out waiting
130   interrupted
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """The exit codes; they never change their meaning."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    CANNOT_OPEN = 3
    NOT_FOUND = 4
    REFUSED = 5
    STATEMENT_FAILED = 6
    TIMED_OUT = 7
    INTERRUPTED = 130


class CommandError(Exception):
    """What a command itself finds wrong: one sentence, a stable code, an exit code."""

    def __init__(self, code: str, sentence: str, exit_code: Exit) -> None:
        super().__init__(sentence)
        self.code, self.exit_code = code, exit_code


# Errors that say something else than "the statement failed".
_BY_CODE: Final[Mapping[str, Exit]] = {
    "E_STORE_UNAVAILABLE": Exit.CANNOT_OPEN,
    "E_STORE_MISSING": Exit.CANNOT_OPEN,
    "E_DIRECTORY_IN_USE": Exit.CANNOT_OPEN,
    "E_LOG_DAMAGED": Exit.CANNOT_OPEN,
    "E_FORMAT_NOT_KNOWN": Exit.CANNOT_OPEN,
    "E_FENCED": Exit.CANNOT_OPEN,
    "E_TARGET": Exit.CANNOT_OPEN,
    "E_OUTSIDE_HISTORY": Exit.NOT_FOUND,
    "E_CONSUMER_UNKNOWN": Exit.NOT_FOUND,
    "E_ARGUMENT": Exit.USAGE,
    "E_POSITION": Exit.USAGE,
    "E_PLAN_OUTDATED": Exit.REFUSED,
    "E_REASON_REQUIRED": Exit.REFUSED,
    "E_TARGET_ABOVE_WATERMARK": Exit.REFUSED,
    "E_TARGET_BELOW_WATERMARK": Exit.REFUSED,
}
_BY_ENDING: Final[Mapping[str, Exit]] = {
    "_NOT_FOUND": Exit.NOT_FOUND,
    "_STALE": Exit.REFUSED,
    "_REFUSED": Exit.REFUSED,
    "_POLICY": Exit.REFUSED,
    "_FORBIDDEN": Exit.REFUSED,
    "_READ_ONLY": Exit.REFUSED,
    "_TIMEOUT": Exit.TIMED_OUT,
}


def code_of(error: BaseException) -> str | None:
    """The stable code an error carries, None for one that has none."""
    code = getattr(error, "code", None)
    return code if isinstance(code, str) else None


def exit_for(error: BaseException) -> Exit:
    """With which code a command ends that met this error."""
    if isinstance(error, CommandError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if isinstance(error, TimeoutError):
        return Exit.TIMED_OUT
    code = code_of(error)
    if code is None:
        return Exit.UNEXPECTED
    if code in _BY_CODE:
        return _BY_CODE[code]
    for ending, found in _BY_ENDING.items():
        if code.endswith(ending):
            return found
    return Exit.STATEMENT_FAILED


def sentence(error: BaseException) -> str:
    """The one line that a user reads; a fault of ours names its class and the way to more."""
    code = code_of(error)
    text = " ".join(str(error).split())
    if code is not None:
        return f"error: {text} [{code}]"
    return f"error: {type(error).__name__}: {text or 'no details'}; see --debug [E_UNEXPECTED]"
