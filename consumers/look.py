"""What a SELECT from a stream shows: a window that is looked at and moves nothing."""

from headwater.consumers.backlog import lowest_position
from headwater.consumers.errors import PositionUnknown, below_horizon
from headwater.consumers.positions import AtStream, Mark, Position, horizon, version_of
from headwater.consumers.registration import check_readable, find_consumer, position
from headwater.consumers.windows import UNBOUNDED, Bounds, Window, captured, fix
from headwater.log_store.catalog import StreamObject
from headwater.log_store.port import View
from headwater.log_store.records import INITIAL
from headwater.producer.names import find_stream


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


def version_in(view: View, stream: StreamObject, position: Position) -> int:
    """The version of a stream's table that a position means, its base and other streams included.

    Raises:
        OutsideHistory: that place is not kept, or comes before the table was created.
        PositionUnknown: it is no version: `initial`, or a stream on another table.
    """
    match position:
        case Mark.BASE:
            return stream.base
        case AtStream(name):
            other = find_stream(view.catalog, name)
            if other.table != stream.table:
                raise PositionUnknown(f"stream {name}", "it is on another table")
            at = lowest_position(view, other)
            return other.base if at == INITIAL else at
        case _:
            return version_of(view, view.catalog.table(stream.table), position)
