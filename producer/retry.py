"""Running one unit of work again when the store says that this can help."""

from collections.abc import Callable
from typing import Final, Protocol, TypeVar, runtime_checkable

_T = TypeVar("_T")

ATTEMPTS: Final = 64


@runtime_checkable
class Coded(Protocol):
    """An error of any room."""

    @property
    def retryable(self) -> bool: ...


def may_retry(error: BaseException, tried: int, *, attempts: int = ATTEMPTS) -> bool:
    """Whether a unit that failed with this error, for the `tried`th time, may be tried anew."""
    return tried < attempts and isinstance(error, Coded) and error.retryable


def retry(
    unit: Callable[[], _T],
    *,
    attempts: int = ATTEMPTS,
    pause: Callable[[int], None] | None = None,
) -> _T:
    """What a unit gives, tried anew while its error is retryable, at most `attempts` times.

    The unit begins its own transaction each time. `pause` is called with the number of tries so
    far before each new one, to wait as long as the caller likes; without it, there is no wait.

    Raises:
        Exception: the last try's error, as it was; that try wrote nothing.
    """
    tried = 0
    while True:
        try:
            return unit()
        except Exception as error:
            tried += 1
            if not may_retry(error, tried, attempts=attempts):
                raise
        if pause is not None:
            pause(tried)
