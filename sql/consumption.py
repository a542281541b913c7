"""Streams in statements that write: what is consumed, for whom, before the query runs.

Every reference counts, used or pruned. The consumer is each target, or the one that CONSUMER names.
"""

from collections.abc import Sequence

from sqlglot import exp

from headwater.consumers.consume import Consumption, Reader, consume_for
from headwater.consumers.registration import Directory
from headwater.consumers.windows import Bounds, Window
from headwater.log_store.catalog import Capture, Sharing, StreamObject, TableObject
from headwater.sql.context import Context
from headwater.sql.statements import Reading
from headwater.sql.uses import stream_uses


class Consumed:
    """What each stream of a statement shows: the windows that this transaction consumes."""

    def __init__(self) -> None:
        self._windows: dict[tuple[int, str | None], Window] = {}
        # Streams whose capture may show a row of their table more than once.
        self.repeating: list[str] = []
        self.steps: list[Consumption] = []

    def add(self, stream: StreamObject, reading: Reading, window: Window) -> None:
        """A stream is read here in this way."""
        self._windows[stream.id, reading.consumer] = window
        if stream.capture is Capture.ALL and stream.name not in self.repeating:
            self.repeating.append(stream.name)

    def window(self, stream: StreamObject, reading: Reading) -> Window:
        """The window that a reference shows."""
        return self._windows[stream.id, reading.consumer]


# What the effect of a statement goes into.
Target = TableObject | Directory


def consumed(context: Context, tree: exp.Expr, targets: Sequence[Target]) -> Consumed:
    """Consume the window of every stream in a tree for the targets of its statement.

    Raises:
        WatermarksDiffer: the targets stand apart. BoundsDiffer: two bounds on one stream.
        StreamStale, SharedRefuses, ConsumerRefused: nothing is staged.
    """
    found = Consumed()
    done: dict[tuple[int, str | None, Bounds], Window] = {}
    for use in stream_uses(context, tree):
        bounds = Bounds(use.reading.limit_changes, use.reading.upto)
        slot = (use.stream.id, use.reading.consumer, bounds)
        if slot not in done:
            readers = readers_of(context, use.stream, use.reading, targets)
            step = consume_for(context.tx, use.stream, readers, bounds)
            found.steps.append(step)
            done[slot] = step.window
        found.add(use.stream, use.reading, done[slot])
    return found


def readers_of(
    context: Context, stream: StreamObject, reading: Reading, targets: Sequence[Target]
) -> list[Reader]:
    """Who consumes a stream by a reference in a statement with these targets."""
    if reading.consumer is not None:
        return [reading.consumer]
    if not targets and stream.sharing is Sharing.SHARED:
        return [None]
    return list(targets)
