"""The groups of a store on Kafka: where they stand, which version that is, and how they are moved."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from headwater.log_store.errors import GroupActive, StoreUnavailable
from headwater.log_store.groups import Group, Mirrored, OffsetPlace, Seen
from headwater.log_store.kafka_admin import TIMEOUT_S, Admin
from headwater.log_store.kafka_client import BrokerError, Cluster
from headwater.log_store.kafka_groups import GroupAskers
from headwater.log_store.kafka_mirrors import Mirrors
from headwater.log_store.kafka_outcome import group_in_use
from headwater.log_store.kafka_places import next_offset, span_of
from headwater.log_store.kafka_records import Position, group_metadata, sequence_in
from headwater.log_store.port import View
from headwater.log_store.rocks_anchor import read_anchor
from headwater.log_store.rocks_store import Store


class KafkaGroups:
    """See `groups.Groups`. Safe to use from threads; `view` gives the newest published state.

    `mirrors` gives what keeps groups where their watermarks are, while this node is the writer.
    """

    def __init__(
        self,
        cluster: Cluster,
        admin: Admin,
        store: Store,
        mirrors: Callable[[], Mirrors | None],
        view: Callable[[], View],
    ) -> None:
        self._admin, self._store, self._mirrors, self._view = admin, store, mirrors, view
        self._askers = GroupAskers(cluster)

    @property
    def leading(self) -> bool:
        """See `groups.Groups.leading`."""
        return self._mirrors() is not None

    def seen(self, groups: Iterable[Group]) -> dict[Group, Seen]:
        """See `groups.Groups.seen`."""
        found: dict[Group, Seen] = {}
        topics: dict[int, str] = {}
        with self._view() as view:
            for group in (asked := list(groups)):
                topics[group.table] = view.catalog.table(group.table).topic
        for group in asked:
            topic = topics[group.table]
            try:
                at = self._askers.offsets(group.name, [topic], TIMEOUT_S).get(topic)
            except BrokerError as error:
                raise _unavailable(error) from error
            if at is not None:
                found[group] = Seen(at.offset, sequence_in(at.metadata))
        return found

    def place(self, table: int, offset: int) -> OffsetPlace | None:
        """See `groups.Groups.place`; O(log n) in the versions that are kept."""
        anchor = read_anchor(self._store, table)
        low = 0 if anchor is None else anchor.row.version
        with self._view() as view:
            high = view.head(table).version
            topic = view.catalog.table(table).topic
        if offset < self._end(table, low):
            return OffsetPlace(low - 1)
        if offset > self._end(table, high) and offset > self._last(topic):
            return None
        while low < high:
            middle = (low + high + 1) // 2
            if self._end(table, middle) <= offset:
                low = middle
            else:
                high = middle - 1
        following = span_of(self._store, table, low + 1)
        if following is None or offset <= following.first:
            return OffsetPlace(low)
        return OffsetPlace(low, offset - following.first, following.next - following.first)

    def _end(self, table: int, version: int) -> int:
        """The offset behind a version's last record."""
        span = span_of(self._store, table, version)
        return 0 if span is None else span.next

    def _last(self, topic: str) -> int:
        try:
            return self._admin.ends([topic])[topic]
        except BrokerError as error:
            raise _unavailable(error) from error

    def offset(self, table: int, version: int) -> int:
        """See `groups.Groups.offset`."""
        return next_offset(self._store, table, version)

    def write(self, group: Group, offset: int, mark: Mirrored) -> None:
        """See `groups.Groups.write`."""
        try:
            self._admin.set_group_offset(group.name, self._position(group, offset, mark))
        except BrokerError as error:
            if group_in_use(error.fault):
                raise GroupActive(group.name, self.members(group.name)) from error
            raise _unavailable(error) from error

    def _position(self, group: Group, offset: int, mark: Mirrored) -> Position:
        with self._view() as view:
            topic = view.catalog.table(group.table).topic
        return Position(topic, offset, group_metadata(mark.position, mark.sequence))

    def mirror(self, groups: Mapping[Group, tuple[int, Mirrored]]) -> None:
        """See `groups.Groups.mirror`."""
        mirrors = self._mirrors()
        if mirrors is None:
            return
        mirrors.later(
            {
                group.name: self._position(group, offset, mark)
                for group, (offset, mark) in groups.items()
            }
        )

    def forget(self, group: Group) -> None:
        """See `groups.Groups.forget`."""
        try:
            self._admin.forget_group(group.name)
        except BrokerError as error:
            if not group_in_use(error.fault):
                raise _unavailable(error) from error

    def members(self, group: str) -> Sequence[str]:
        """See `groups.Groups.members`."""
        try:
            return self._admin.group_members(group)
        except BrokerError as error:
            raise _unavailable(error) from error

    def close(self) -> None:
        """Give the connections back."""
        self._askers.close()


def _unavailable(error: BrokerError) -> StoreUnavailable:
    return StoreUnavailable(f"the cluster does not say where groups stand: {error}")
