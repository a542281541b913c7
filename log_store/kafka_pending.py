"""The newest state as a Kafka writer meets it: the replica, and commits of a transaction not ended.

A replica is written only after its commits stand in Kafka, so what a group's earlier batches did to
rows and keys is laid over it here. Heads, watermarks and the catalog are remembered by `LiveState`
anyway. An aborted transaction is forgotten as a whole.
"""

from collections.abc import Sequence

from headwater.log_store.changes import Rows, TableChanges
from headwater.log_store.encoding import decode_commit
from headwater.log_store.port import Batch
from headwater.log_store.records import OP_DELETE, OP_UPDATE, CommitRow, VersionRow
from headwater.log_store.rocks_keys import commit_id_key, commit_key, number_in
from headwater.log_store.rocks_state import LiveState
from headwater.log_store.rocks_store import Store
from headwater.log_store.sequencing import Sequenced


class PendingState(LiveState):
    """Everything up to the last batch produced. Used by one thread at a time: the committer."""

    def __init__(self, store: Store, name: str, epoch: int) -> None:
        self._rows: dict[tuple[int, int], int | None] = {}
        self._keys: dict[tuple[int, bytes], int | None] = {}
        self._asked: dict[str, CommitRow] = {}
        super().__init__(store, name, epoch)

    def reload(self) -> None:
        """Forget what is remembered and what is pending, and read the replica."""
        self.settled()
        super().reload()

    def settled(self) -> None:
        """What was pending stands in the replica now."""
        self._rows.clear()
        self._keys.clear()
        self._asked.clear()

    def pend(
        self, batch: Batch, sequenced: Sequenced, made: Sequence[VersionRow], chain: bytes
    ) -> bool:
        """Go on to a batch that was just produced.

        False if it changed more than is laid over the replica: the next batch must wait until it
        stands there.
        """
        self.advance(sequenced, made, chain)
        asked = sequenced.row.idempotency
        if asked is not None:
            self._asked[asked.key] = sequenced.row
        whole = [self._pend(row, batch.tables[row.table]) for row in made]
        return all(whole)

    def _pend(self, made: VersionRow, changes: TableChanges) -> bool:
        table, rows, keys = made.table, self._rows, self._keys
        for segment in changes:
            if not isinstance(segment, Rows):
                return False
            for change in segment.changes:
                if change.op == OP_DELETE:
                    rows[table, change.row_id] = None
                    if change.old_key:
                        keys[table, change.old_key] = None
                else:
                    rows[table, change.row_id] = made.version
                    if change.new_key and change.op != OP_UPDATE:
                        keys[table, change.new_key] = change.row_id
        return True

    def stored_version(self, table: int, row_id: int) -> int | None:
        place = (table, row_id)
        if place in self._rows:
            return self._rows[place]
        return super().stored_version(table, row_id)

    def stored_versions(self, table: int, row_ids: Sequence[int]) -> list[int | None]:
        found = super().stored_versions(table, row_ids)
        if self._rows:
            pairs = zip(row_ids, found, strict=True)
            return [self._rows.get((table, row_id), was) for row_id, was in pairs]
        return found

    def row_id(self, table: int, key: bytes) -> int | None:
        place = (table, key)
        if place in self._keys:
            return self._keys[place]
        return super().row_id(table, key)

    def row_ids(self, table: int, keys: Sequence[bytes]) -> list[int | None]:
        found = super().row_ids(table, keys)
        if self._keys:
            pairs = zip(keys, found, strict=True)
            return [self._keys.get((table, key), was) for key, was in pairs]
        return found

    def find_idempotent(self, key: str) -> CommitRow | None:
        return self._asked.get(key) or super().find_idempotent(key)

    def find_commit(self, commit_id: str) -> CommitRow | None:
        """The commit of that id as the replica holds it."""
        place = self._store.get("commits", commit_id_key(commit_id))
        if place is None:
            return None
        sequence = number_in(place)
        value = self._store.get("commits", commit_key(sequence))
        return None if value is None else decode_commit(sequence, value)[0]
