"""A real Kafka for tests: the fixtures `kafka`, `kafka_cluster` and `prefix`.

Where the brokers come from, in this order:
1. `HEADWATER_TEST_KAFKA`: bootstrap servers of a cluster that is there for tests;
2. jars from Maven Central, where Java 17 or newer and Maven are on the machine;
3. Docker through testcontainers, where an engine answers (`KAFKA_IMAGE` names the image);
4. nowhere: the tests are skipped with the reason. `HEADWATER_REQUIRE_KAFKA=1` (.ci/run sets it)
   makes that a failure: a run without a broker cannot pass for one with a broker.
`HEADWATER_KAFKA_FROM=jars|docker|nowhere` asks for that source alone.

A test that takes one of these fixtures carries the mark `broker` by itself. A parametrised
fixture marks its parameter, `pytest.param("kafka", marks=pytest.mark.broker)`, and gets the
broker by `request.getfixturevalue("kafka")`.
"""

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Never, Protocol

import pytest

from examples.broker.jars import NoJava
from examples.broker.nodes import LocalKafka


@dataclass(frozen=True, slots=True)
class Broker:
    """A Kafka that many tests share: nobody stops it, every name in it is unique."""

    bootstrap: str
    source: str


class StartKafka(Protocol):
    """Starts a cluster of one or three nodes that ends with the test; see LocalKafka."""

    def __call__(
        self,
        nodes: int = 1,
        *,
        folder: Path | None = None,
        overrides: Mapping[str, str] | None = None,
    ) -> LocalKafka: ...


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    """The session's Kafka, one for each xdist worker."""
    with ExitStack() as held:
        yield _find(held)


@pytest.fixture
def prefix() -> str:
    """A store name that no other test uses: topics, groups and producers are named after it."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def kafka_cluster() -> Iterator[StartKafka]:
    """Starts clusters that the test may kill, pause and restart; they run from jars only."""
    if (source := os.environ.get("HEADWATER_KAFKA_FROM") or "jars") != "jars":
        _give_up(f"needs nodes that it can kill, and HEADWATER_KAFKA_FROM={source}")
    with ExitStack() as held:

        def start(
            nodes: int = 1,
            *,
            folder: Path | None = None,
            overrides: Mapping[str, str] | None = None,
        ) -> LocalKafka:
            try:
                cluster = LocalKafka(nodes, folder=folder, overrides=overrides)
            except NoJava as error:
                _give_up(str(error))
            return held.enter_context(cluster)

        yield start


def mark_broker_tests(items: list[pytest.Item]) -> None:
    """Put the mark `broker` on every test that takes a Kafka, `registry` for a schema registry."""
    for item in items:
        if isinstance(item, pytest.Function) and {"kafka", "kafka_cluster"} & set(
            item.fixturenames
        ):
            item.add_marker(pytest.mark.broker)
        if isinstance(item, pytest.Function) and {"registry_url", "registry_server"} & set(
            item.fixturenames
        ):
            item.add_marker(pytest.mark.registry)


def _find(held: ExitStack) -> Broker:
    asked = _asked()
    if asked not in ("", "jars", "docker", "nowhere"):
        return Broker(asked, "HEADWATER_TEST_KAFKA")
    reasons = list[str]()
    if asked in ("", "jars"):
        try:
            return Broker(held.enter_context(LocalKafka()).bootstrap, "jars")
        except NoJava as error:
            reasons.append(str(error))
    if asked in ("", "docker"):
        # Only here: a machine without Docker need not load its client.
        from support_kafka_container import KafkaContainer, NoDocker

        try:
            return Broker(held.enter_context(KafkaContainer()).bootstrap(), "docker")
        except NoDocker as error:
            reasons.append(str(error))
    _give_up("; ".join(reasons) or "HEADWATER_KAFKA_FROM=nowhere")


def _asked() -> str:
    """Bootstrap servers, or a source, or nothing."""
    return os.environ.get("HEADWATER_TEST_KAFKA") or os.environ.get("HEADWATER_KAFKA_FROM") or ""


def _give_up(reason: str) -> Never:
    if os.environ.get("HEADWATER_REQUIRE_KAFKA"):
        pytest.fail(f"HEADWATER_REQUIRE_KAFKA is set and there is no Kafka: {reason}")
    pytest.skip(f"no Kafka: {reason}")
