"""The topics of a prefix: made, met again, and taken away when nothing ever came of them.

A table's topic is made by logged intent: the catalog says which topic is about to be made, the
topic is made, and the commit that creates the table says that it is one. Whoever finds an intent
whose commit never came removes the topic, if it is as we make them and still empty.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from headwater.log_store.catalog import Catalog, TableObject
from headwater.log_store.errors import LogDamaged, LogError, WriteConflict
from headwater.log_store.kafka_admin import COMPACTED, KEPT, PASSING, Admin, TopicState
from headwater.log_store.kafka_records import Intent, Names

LONGEST: Final = 249


class PrefixMissing(LogError):
    """The cluster has no such store. Nothing was changed."""

    code = "E_PREFIX_MISSING"

    def __init__(self, prefix: str) -> None:
        super().__init__(
            f"no store is at prefix {prefix}: connect without create=False to make one"
        )
        self.prefix = prefix


class ReplicaMismatch(LogError):
    """The directory holds commits that the topics do not. Nothing was changed.

    `why` says where they part: a topic was made anew under its old name, or lost its end.
    """

    code = "E_REPLICA_MISMATCH"

    def __init__(self, topic: str, path: str, why: str) -> None:
        super().__init__(
            f"topic {topic} {why}: the replica in {path} holds commits that the cluster does not; "
            "restore the topic, or move that directory away to start from what the cluster has"
        )
        self.topic, self.path, self.why = topic, path, why


class PrefixTopics:
    """The topics of one prefix, for its writer."""

    def __init__(self, admin: Admin, names: Names) -> None:
        self._admin, self._names = admin, names
        self.ids: dict[str, str] = {}
        """The ids of topics that are known."""

    def open(self, *, create: bool) -> bool:
        """Meet the prefix's own topics, or make them; returns whether they were made.

        Raises:
            PrefixMissing: there is none and none may be made.
            LogDamaged: only some of them are there.
            BrokerError: the cluster cannot be reached, or refuses.
        """
        names = self._names
        wanted = {
            names.transaction: KEPT,
            names.catalog: KEPT,
            names.audit: KEPT,
            names.state: COMPACTED,
        }
        there = self._meet(wanted)
        if len(there) == len(wanted):
            return False
        missing = [name for name in wanted if name not in there]
        if there and self._admin.ends([names.transaction] if names.transaction in there else []):
            # A creation that was cut off leaves some of them, all empty.
            full = [name for name, end in self._admin.ends(there).items() if end]
            if full:
                raise LogDamaged(f"topic {missing[0]}", f"it is gone, and {full[0]} is not empty")
        if not create:
            raise PrefixMissing(names.prefix)
        self._admin.create({name: wanted[name] for name in missing})
        self._check(self._admin.await_topics(missing))
        return True

    def open_passing(self) -> None:
        """Meet the topics by which nodes talk, or make them.

        Raises:
            BrokerError: the cluster cannot be reached, or refuses.
        """
        wanted = self._names.passing
        missing = wanted - self._admin.topics(wanted).keys()
        if missing:
            self._admin.create(dict.fromkeys(sorted(missing), PASSING))
            self._check(self._admin.await_topics(missing))

    def _meet(self, names: Iterable[str]) -> dict[str, TopicState]:
        return self._check(self._admin.topics(names))

    def _check(self, found: dict[str, TopicState]) -> dict[str, TopicState]:
        for topic in found.values():
            if topic.partitions != 1:
                raise LogDamaged(
                    f"topic {topic.name}", f"it has {topic.partitions} partitions and must have one"
                )
            self.ids[topic.name] = topic.topic_id
        return found

    def meet(self, names: Iterable[str]) -> Mapping[str, TopicState]:
        """Which of these topics are there; their ids are noted."""
        return self._meet(names)

    def know(self, names: Iterable[str]) -> None:
        """Ask for the ids of topics that are not known yet: one made by a predecessor, empty so far."""
        unknown = [name for name in names if name not in self.ids]
        if unknown:
            self._check(self._admin.await_topics(unknown))
            for name in unknown:
                if name not in self.ids:
                    raise LogDamaged(f"topic {name}", "it is gone")

    def check_free(self, tables: Iterable[TableObject]) -> None:
        """Refuse tables whose topics are there already.

        Raises:
            WriteConflict: another attempt finds another name.
        """
        for taken in self._admin.topics(table.topic for table in tables):
            raise WriteConflict("topic", taken, "was taken")

    def make(self, tables: Iterable[TableObject]) -> None:
        """Make the topics of new tables, whose intent is logged.

        Raises:
            WriteConflict: somebody made a topic of that name meanwhile; those of ours are removed.
        """
        wanted = [table.topic for table in tables]
        taken = self._admin.create(dict.fromkeys(wanted, KEPT))
        if taken:
            for name in wanted:
                if name not in taken:
                    self._admin.delete(name)
            raise WriteConflict("topic", min(taken), "was taken")
        self._check(self._admin.await_topics(wanted))

    def drop(self, tables: Iterable[TableObject]) -> None:
        """Take back topics whose tables were not committed."""
        for table in tables:
            self.ids.pop(table.topic, None)
            self._admin.delete(table.topic)

    def settle(self, intents: Iterable[Intent], catalog: Catalog) -> list[str]:
        """Remove topics that were made and never became a table's; returns their names."""
        used = {table.topic for table in catalog.all("table") if isinstance(table, TableObject)}
        asked = {intent.topic for intent in intents} - used
        removed: list[str] = []
        for name, found in self._admin.topics(asked).items():
            if found.partitions != 1 or self._admin.ends([name])[name]:
                continue
            if self._admin.is_ours(name):
                again = self._admin.topics([name]).get(name)
                if again is not None and again.topic_id == found.topic_id:
                    self._admin.delete(name)
                    removed.append(name)
        return removed
