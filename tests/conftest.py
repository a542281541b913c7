"""What every test finds here: a log per adapter, fixed examples for the property tests."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support_clock import Clock
from support_kafka import kafka, kafka_cluster, mark_broker_tests, prefix

from headwater.log_store.errors import StoreUnavailable
from headwater.log_store.memory import MemoryLog
from headwater.log_store.port import Log
from headwater.log_store.rocks import RocksLog, RocksOptions

__all__ = ["kafka", "kafka_cluster", "prefix"]

_SHARED = (HealthCheck.too_slow, HealthCheck.data_too_large)

# `fixed` finds the same examples on each run, so a red build is red for everybody.
settings.register_profile(
    "fixed", derandomize=True, deadline=None, print_blob=True, suppress_health_check=_SHARED
)
settings.register_profile(
    "random", max_examples=1000, deadline=None, print_blob=True, suppress_health_check=_SHARED
)
settings.load_profile(os.environ.get("HEADWATER_HYPOTHESIS", "fixed"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever needs a broker can be told by its mark."""
    mark_broker_tests(items)


@pytest.fixture(params=["memory", "rocks"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    """Every adapter in turn, with a clock that goes a second further at each look.

    What the embedded one keeps beside its log is compared with the log when the test is over.
    """
    clock = Clock()
    if request.param == "memory":
        opened: Log = MemoryLog("shop", clock=clock)
    else:
        opened = RocksLog(RocksOptions(path=tmp_path / "shop", name="shop", clock=clock))
    yield opened
    if isinstance(opened, RocksLog):
        # Some tests close it themselves.
        with suppress(StoreUnavailable):
            assert opened.verify_derived() == []
    opened.close()
