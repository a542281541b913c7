"""What of each table's history may go now, from what tables, streams and consumers ask for.

Registered consumers hold history back, at most for the store's extension; those that are stale
already, dormant clones and streams that nobody reads do not.
"""

from collections.abc import Iterator

from headwater.consumers.positions import horizon
from headwater.consumers.registration import position, registered
from headwater.log_store.catalog import Catalog, StreamObject, TableObject
from headwater.log_store.horizon import Kept, Retention, new_horizon
from headwater.log_store.parameters import EXTENSION_DAYS, RETENTION_DAYS, number_of
from headwater.log_store.port import View
from headwater.log_store.records import INITIAL

_DAY_S = 86_400


def retention_of(catalog: Catalog, table: TableObject) -> Retention:
    """What a table and its streams ask for; the store's parameters where the table says nothing."""
    days = number_of(catalog, RETENTION_DAYS)
    default = None if days is None else days * _DAY_S
    streams = [one.retention_s for one in _streams(catalog, table)]
    return Retention(
        default if table.retention_s is None else table.retention_s,
        tuple(asked for asked in streams if asked is not None),
        (number_of(catalog, EXTENSION_DAYS) or 0) * _DAY_S,
    )


def _streams(catalog: Catalog, table: TableObject) -> list[StreamObject]:
    return [one for one in catalog.streams() if one.table == table.id]


def _needed(view: View, stream: StreamObject) -> Iterator[int]:
    """The oldest version that each registered consumer of a stream still needs."""
    for consumer in registered(view.catalog, stream):
        at = position(view, consumer)
        yield stream.base if at == INITIAL else at


def wanted_horizon(view: View, table: TableObject, now_us: int) -> int:
    """The oldest version from which a table's history is to be kept; see `new_horizon`."""
    kept = Kept(
        horizon(view, table.id),
        view.head(table.id).version,
        lambda time_us: view.version_at(table.id, view.sequence_at(time_us)),
    )
    needed = [v for stream in _streams(view.catalog, table) for v in _needed(view, stream)]
    return new_horizon(kept, needed, retention_of(view.catalog, table), now_us)


def forgets(catalog: Catalog) -> bool:
    """Whether any live table does not keep its history for ever."""
    return any(retention_of(catalog, one).table_s is not None for one in catalog.tables())


def expirable(view: View, now_us: int) -> list[tuple[TableObject, int, int]]:
    """The live tables of which history may go: each with its horizon and the one it may have."""
    found: list[tuple[TableObject, int, int]] = []
    for table in view.catalog.tables():
        if retention_of(view.catalog, table).table_s is not None:
            now, wanted = horizon(view, table.id), wanted_horizon(view, table, now_us)
            if wanted > now:
                found.append((table, now, wanted))
    return found


def stale_after(view: View, stream: StreamObject) -> int | None:
    """When a stream's first consumer will be stale if nobody consumes, microseconds since 1970.

    None: never, since its table keeps all or nobody is behind.
    """
    retention = retention_of(view.catalog, view.catalog.table(stream.table))
    if retention.table_s is None:
        return None
    kept_s = max((retention.table_s, *retention.streams_s)) + retention.extension_s
    waiting = [view.version(stream.table, version + 1) for version in _needed(view, stream)]
    times = [row.time_us for row in waiting if row is not None]
    return min(times) + kept_s * 1_000_000 if times else None
