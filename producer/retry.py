"""Running one unit of work again when the store says that this can help."""

import time
from collections.abc import Callable
from typing import Final, Protocol, TypeVar, runtime_checkable

_T = TypeVar("_T")

ATTEMPTS: Final = 64
PATIENCE_S: Final = 10.0
# Their call has waited for the cluster already: 64 of them would seem to hang.
_WAITED: Final = frozenset({"E_STORE_UNAVAILABLE", "E_BROKER"})


@runtime_checkable
class Coded(Protocol):
    """An error of any room."""

    @property
    def code(self) -> str: ...
    @property
    def retryable(self) -> bool: ...


class Tries:
    """How often one unit was tried, and since when."""

    def __init__(
        self, attempts: int = ATTEMPTS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._attempts, self._clock, self._began = attempts, clock, clock()
        self.failed = 0

    def again(self, error: BaseException) -> bool:
        """Whether the unit, which has failed with this error, may be tried anew.

        At most `attempts` times in all, and after 10 s no more where the store was not reached.
        """
        self.failed += 1
        if self.failed >= self._attempts or not isinstance(error, Coded) or not error.retryable:
            return False
        return error.code not in _WAITED or self._clock() - self._began < PATIENCE_S


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
    tries = Tries(attempts)
    while True:
        try:
            return unit()
        except Exception as error:
            if not tries.again(error):
                raise
        if pause is not None:
            pause(tries.failed)
