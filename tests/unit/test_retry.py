"""When a unit of work is tried again, and when no more."""

import pytest

from headwater.log_store.errors import LogError, StoreUnavailable, WriteConflict
from headwater.producer.retry import Tries, retry

CONFLICT = WriteConflict("row", "1", "was changed")
UNREACHED = StoreUnavailable("no broker answers")


def test_a_conflict_is_tried_anew_however_long_it_takes() -> None:
    now = [0.0]
    tries = Tries(3, lambda: now[0])
    now[0] = 100.0
    assert [tries.again(CONFLICT) for _ in range(3)] == [True, True, False]


def test_a_store_that_is_not_reached_is_given_up_after_ten_seconds() -> None:
    now = [0.0]
    tries = Tries(64, lambda: now[0])
    assert tries.again(UNREACHED)
    now[0] = 9.9
    assert tries.again(UNREACHED)
    now[0] = 10.0
    assert not tries.again(UNREACHED)


@pytest.mark.parametrize("error", [LogError("damaged"), ValueError("no"), KeyboardInterrupt()])
def test_what_the_same_call_cannot_help_is_tried_once(error: BaseException) -> None:
    assert not Tries().again(error)


def test_the_last_error_is_raised_as_it_was() -> None:
    tried: list[int] = []

    def unit() -> None:
        tried.append(1)
        raise CONFLICT

    with pytest.raises(WriteConflict) as raised:
        retry(unit, attempts=4)
    assert raised.value is CONFLICT and len(tried) == 4
