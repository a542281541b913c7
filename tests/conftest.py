"""What every test finds here: a log per adapter, fixed examples for the property tests."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from support_clock import Clock
from support_kafka import Broker, kafka, kafka_cluster, mark_broker_tests, prefix
from support_kafka_log import assert_rebuilt_from_topics, open_kafka
from support_nodes import nodes
from support_postgres import postgres
from support_registry import registry_server, registry_url

from headwater.log_store.errors import StoreUnavailable
from headwater.log_store.memory import MemoryLog
from headwater.log_store.port import Log
from headwater.log_store.rocks import RocksLog, RocksOptions

__all__ = [
    "kafka",
    "kafka_cluster",
    "nodes",
    "postgres",
    "prefix",
    "registry_server",
    "registry_url",
]

_SHARED = (HealthCheck.too_slow, HealthCheck.data_too_large)

# `fixed` finds the same examples on each run, so a red build is red for everybody.
settings.register_profile(
    "fixed", derandomize=True, deadline=None, print_blob=True, suppress_health_check=_SHARED
)
settings.register_profile(
    "random", max_examples=1000, deadline=None, print_blob=True, suppress_health_check=_SHARED
)
# Whether a test fails, not how small its reason can be made: for code that is broken on purpose.
settings.register_profile(
    "unshrunk",
    settings.get_profile("fixed"),
    phases=[phase for phase in Phase if phase not in (Phase.shrink, Phase.explain)],
)
settings.load_profile(os.environ.get("HEADWATER_HYPOTHESIS", "fixed"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever needs a broker can be told by its mark."""
    mark_broker_tests(items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests counted (`record_property`): a run that proves little must be seen to."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")


_ADAPTERS = ["memory", "rocks", pytest.param("kafka", marks=pytest.mark.broker)]


@pytest.fixture(params=_ADAPTERS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """What `connect` is given for an empty store of each kind."""
    if request.param == "memory":
        return "memory:shop"
    if request.param == "rocks":
        return tmp_path / "shop"
    broker: Broker = request.getfixturevalue("kafka")
    name: str = request.getfixturevalue("prefix")
    return f"kafka://{broker.bootstrap}/{name}?dir={tmp_path / 'shop'}"


@pytest.fixture(params=_ADAPTERS)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    """Every adapter in turn, with a clock that goes a second further at each look.

    What the embedded one keeps beside its log is compared with the log when the test is over. A
    Kafka store ends in a node that is built from the topics alone, and is compared with it.
    """
    clock = Clock()
    if request.param == "kafka":
        broker: Broker = request.getfixturevalue("kafka")
        name: str = request.getfixturevalue("prefix")
        replica = open_kafka(tmp_path / "shop", broker.bootstrap, name, clock=clock)
        yield replica
        assert_rebuilt_from_topics(replica)
        return
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
