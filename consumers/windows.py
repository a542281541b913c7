"""Which versions a consumer is shown next. Pure.

A window is (after, upto] in versions of the stream's table. From INITIAL it is one indivisible
step, the snapshot at the base; the next window starts at the base.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from headwater.consumers.errors import BoundsInvalid, shown_position
from headwater.log_store.catalog import Capture, StreamObject
from headwater.log_store.records import INITIAL, Counts


@dataclass(frozen=True, slots=True)
class Window:
    """The versions after `after` up to and including `upto`; false when there are none."""

    after: int
    upto: int

    def __bool__(self) -> bool:
        return self.after < self.upto

    def __str__(self) -> str:
        return f"({shown_position(self.after)}, {shown_position(self.upto)}]"

    @property
    def initial(self) -> bool:
        """Whether this is the step of initial rows: the snapshot at `upto`."""
        return self.after == INITIAL


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a consumption may go: whole commits, and at least one. None bounds nothing.

    `limit_changes` counts captured changes, before netting; `upto` is a version.

    Raises:
        BoundsInvalid: a limit below 1, or a version below 0.
    """

    limit_changes: int | None = None
    upto: int | None = None

    def __post_init__(self) -> None:
        if self.limit_changes is not None and self.limit_changes < 1:
            raise BoundsInvalid(f"LIMIT CHANGES {self.limit_changes}: a limit is at least 1")
        if self.upto is not None and self.upto < 0:
            raise BoundsInvalid(f"UP TO VERSION {self.upto}: versions start at 0")

    def __str__(self) -> str:
        said: list[str] = []
        if self.limit_changes is not None:
            said.append(f"LIMIT CHANGES {self.limit_changes}")
        if self.upto is not None:
            said.append(f"UP TO VERSION {self.upto}")
        return " ".join(said) or "without a bound"


UNBOUNDED = Bounds()


def start_of(stream: StreamObject) -> int:
    """Where a consumer begins that was never registered."""
    return INITIAL if stream.initial_rows else stream.base


def captured(counts: Counts, capture: Capture) -> int:
    """How many of the changes counted a capture takes, before netting."""
    return counts.inserts if capture is Capture.INSERT_ONLY else counts.changes


def fix(
    stream: StreamObject,
    start: int,
    head: int,
    bounds: Bounds,
    changes_at: Callable[[int], int],
) -> Window:
    """The window of a consumer that stands at `start`, in a snapshot whose head is `head`.

    `changes_at` gives the captured changes up to a version, counted from the table's creation;
    it is asked O(log n) times, and not at all without a limit.
    """
    if start == INITIAL:
        return Window(INITIAL, stream.base)
    if start >= head:
        return Window(start, start)
    end = head
    if bounds.upto is not None:
        end = min(end, max(bounds.upto, start + 1))
    if bounds.limit_changes is not None:
        end = _last_within(start, end, changes_at(start) + bounds.limit_changes, changes_at)
    return Window(start, end)


def _last_within(start: int, end: int, most: int, changes_at: Callable[[int], int]) -> int:
    """The last version of (start, end] that has at most so many changes, else the first one."""
    low, high = start + 1, end
    while low < high:
        middle = (low + high + 1) // 2
        if changes_at(middle) <= most:
            low = middle
        else:
            high = middle - 1
    return low


def lowest(stream: StreamObject, positions: Iterable[int]) -> int:
    """Where what somebody still has to consume begins: the base's start when nobody reads yet."""
    return min(positions, default=start_of(stream))


def shown_to_all(
    stream: StreamObject,
    positions: Iterable[int],
    head: int,
    bounds: Bounds,
    changes_at: Callable[[int], int],
) -> Window:
    """The window a plain SELECT from the stream shows; it moves nothing."""
    return fix(stream, lowest(stream, positions), head, bounds, changes_at)
