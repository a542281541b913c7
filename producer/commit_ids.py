"""Commit ids: random, so that nobody needs to ask anybody for one."""

import os
from typing import Final

_ID_BYTES: Final = 12
_drawn: list[str] = []
os.register_at_fork(after_in_child=_drawn.clear)


def new_commit_id() -> str:
    """An id that no other commit has: 96 random bits. Drawn many at a time.

    To ask the system lets another thread in each time, for which this one would then wait.
    """
    try:
        return _drawn.pop()
    except IndexError:
        raw = os.urandom(_ID_BYTES * 64).hex()
        size = 2 * _ID_BYTES
        _drawn.extend(raw[at : at + size] for at in range(size, len(raw), size))
        return raw[:size]
