"""What every test of a whole store ends in: all that follows from the log, rebuilt and compared."""

from headwater.log_store.rocks import RocksLog
from headwater.ops.api import Database


def assert_rebuilt(db: Database) -> None:
    """Rows, keys, versions and watermarks are those that the log alone gives.

    The memory store keeps nothing beside its log that could differ.
    """
    log = db.session.log
    if isinstance(log, RocksLog):
        assert log.verify_derived() == []
