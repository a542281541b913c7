"""A real schema registry for tests: the fixtures `registry_server` and `registry_url`.

Where it comes from: `HEADWATER_TEST_REGISTRY`, the address of one that is there for tests; else
Apicurio's jars from Maven Central, where Java 21 and Maven are on the machine; else the tests are
skipped with the reason. `HEADWATER_REQUIRE_KAFKA=1` makes that a failure, as it does for brokers.
"""

import os
from collections.abc import Iterator
from typing import Never

import pytest

from examples.broker.jars import NoJava
from examples.broker.registry import LocalRegistry


@pytest.fixture(scope="session")
def registry_url() -> Iterator[str]:
    """The session's registry: shared, so every subject in it has a name of its own."""
    if there := os.environ.get("HEADWATER_TEST_REGISTRY"):
        yield there.rstrip("/")
        return
    with _local() as registry:
        yield registry.url


@pytest.fixture
def registry_server() -> Iterator[LocalRegistry]:
    """A registry that the test may stop; it runs from jars only."""
    with _local() as registry:
        yield registry


def _local() -> LocalRegistry:
    try:
        return LocalRegistry()
    except NoJava as error:
        _give_up(str(error))


def _give_up(reason: str) -> Never:
    if os.environ.get("HEADWATER_REQUIRE_KAFKA"):
        pytest.fail(f"HEADWATER_REQUIRE_KAFKA is set and there is no registry: {reason}")
    pytest.skip(f"no schema registry: {reason}")
