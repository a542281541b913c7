"""What a SELECT from a stream shows: a window that is looked at and moves nothing."""

from headwater.consumers.backlog import lowest_position
from headwater.consumers.errors import below_horizon
from headwater.consumers.positions import horizon
from headwater.consumers.registration import check_readable, find_consumer, position
from headwater.consumers.windows import UNBOUNDED, Bounds, Window, captured, fix
from headwater.log_store.catalog import StreamObject
from headwater.log_store.port import View


def shown_window(
    view: View, stream: StreamObject, consumer: str | None = None, bounds: Bounds = UNBOUNDED
) -> Window:
    """What a consumer still has to consume; without one, what at least one of them has.

    Without one, stale consumers are left out (`backlog.stale_consumers` names them); with none
    registered it is what a first one would be shown.

    Raises:
        StreamStale: the stream's table is gone, or the consumer stands below the horizon.
        ConsumerUnknown: the stream has none of that name.
    """
    check_readable(view.catalog, stream)
    if consumer is None:
        start = lowest_position(view, stream)
    else:
        start = position(view, find_consumer(view.catalog, stream, consumer))
    kept = horizon(view, stream.table)
    if (start if start >= 0 else stream.base) < kept:
        raise below_horizon(stream.name, consumer or "none has read it yet: its base", start, kept)

    def changes_at(version: int) -> int:
        row = view.version(stream.table, version)
        assert row is not None, "versions above the horizon are kept"
        return captured(row.counts, stream.capture)

    return fix(stream, start, view.head(stream.table).version, bounds, changes_at)
