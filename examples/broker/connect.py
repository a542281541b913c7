"""Kafka Connect on this machine, from Maven Central's jars: one worker, with Debezium's JDBC sink.

    with LocalConnect(kafka.bootstrap, registry.url) as connect:   # ready within 10 s, 400 MiB
        connect.add("sink", {"connector.class": JDBC_SINK, ..})
        connect.check("sink")                                      # raises if a task has failed

It reads committed records only (its default shows aborted ones), values by Apicurio's converter.
It listens on the loopback only, and dies with the thread that started it.
"""

import json
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self, cast
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from examples.broker import jars
from examples.broker.nodes import BrokerFailed, die_with_starter, free_ports

JDBC_SINK: Final = "io.debezium.connector.jdbc.JdbcSinkConnector"
# The newest sink that is in Maven Central whole, and the last converter.
SINK_VERSION: Final = "3.6.0.Final"
CONVERTER_VERSION: Final = "2.6.13.Final"
_CONVERTER: Final = "io.apicurio.registry.utils.converter.AvroConverter"
_READY_S: Final = 120.0
_STOP_S: Final = 10.0
# What the worker brings itself: beside it a plugin's own would not load.
_WORKERS_OWN: Final = ("kafka-clients-", "connect-api-", "connect-json-", "log4j-", "slf4j-")


def worker() -> Path:
    """The folder with the worker's jars, fetched if they are not there yet.

    Raises:
        NoJava: Maven is missing, or could not fetch them.
    """
    return jars.fetched(f"connect-{jars.KAFKA}", lambda to: jars.dependencies("connect", to))


def plugins() -> Path:
    """The folder with the sink and the converter, one folder each.

    Raises:
        NoJava: Maven is missing, or could not fetch them.
    """
    return jars.fetched(f"connect-plugins-{SINK_VERSION}-{CONVERTER_VERSION}", _fetch)


def _fetch(folder: Path) -> None:
    name = f"debezium-connector-jdbc-{SINK_VERSION}-plugin.tar.gz"
    jars.artifact(f"io.debezium:debezium-connector-jdbc:{SINK_VERSION}:tar.gz:plugin", folder)
    with tarfile.open(folder / name) as archive:
        archive.extractall(folder, filter="data")
    (folder / name).unlink()
    converter = folder / "apicurio-avro-converter"
    converter.mkdir()
    jars.dependencies("converter", converter)
    for jar in converter.iterdir():
        if jar.name.startswith(_WORKERS_OWN):
            jar.unlink()


class LocalConnect:
    """A standalone worker; `registry` is the address of Apicurio's interface as Confluent's."""

    def __init__(self, bootstrap: str, registry: str) -> None:
        self._java, self._worker, self._plugins = jars.java(), worker(), plugins()
        self._folder = Path(tempfile.mkdtemp(prefix="headwater-connect-"))
        (self._port,) = free_ports(1)
        self._bootstrap, self._registry = bootstrap, registry
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            BrokerFailed: it did not; the end of its log is in the message.
        """
        config = self._folder / "worker.properties"
        config.write_text("".join(f"{n}={v}\n" for n, v in self._config().items()))
        command = [
            str(self._java),
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile={jars.HERE / 'log4j2.properties'}",
            "-cp",
            f"{self._worker}/*",
            "org.apache.kafka.connect.cli.ConnectStandalone",
            str(config),
        ]
        with (self._folder / "connect.log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_starter,  # noqa: PLW1509  # one call into libc, loaded before
            )
        end = time.monotonic() + _READY_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                said = self.log()
                self.stop()
                raise BrokerFailed(f"Kafka Connect is not ready:\n{said}")
            time.sleep(0.2)
        return self

    def _config(self) -> dict[str, str]:
        registry = self._registry.replace("/apis/ccompat/v7", "/apis/registry/v2")
        config = {
            "bootstrap.servers": self._bootstrap,
            "plugin.path": str(self._plugins),
            "plugin.discovery": "hybrid_warn",
            "listeners": f"http://127.0.0.1:{self._port}",
            "offset.storage.file.filename": str(self._folder / "connect.offsets"),
            "offset.flush.interval.ms": "500",
            "consumer.isolation.level": "read_committed",
            "consumer.auto.offset.reset": "earliest",
        }
        for part in ("key", "value"):
            config |= {
                f"{part}.converter": _CONVERTER,
                f"{part}.converter.apicurio.registry.url": registry,
                f"{part}.converter.apicurio.registry.as-confluent": "true",
                f"{part}.converter.apicurio.registry.use-id": "contentId",
            }
        return config

    def log(self) -> str:
        """The end of what the worker has said."""
        file = self._folder / "connect.log"
        return file.read_text(errors="replace")[-8000:] if file.exists() else ""

    def add(self, name: str, config: Mapping[str, str]) -> None:
        """Start a connector.

        Raises:
            BrokerFailed: the worker does not take it, with what it says.
        """
        told = json.dumps({"name": name, "config": dict(config)}).encode()
        request = Request(
            self._at("/connectors"), told, {"Content-Type": "application/json"}, method="POST"
        )
        try:
            urlopen(request, timeout=60).close()
        except HTTPError as error:
            said = error.read().decode(errors="replace")
            raise BrokerFailed(f"Kafka Connect does not take {name}: {said}") from error

    def check(self, name: str) -> None:
        """Nothing as long as a connector and its tasks have not failed.

        Raises:
            BrokerFailed: one has, with its trace.
        """
        with urlopen(self._at(f"/connectors/{name}/status"), timeout=30) as answer:
            status = cast("dict[str, dict[str, str] | list[dict[str, str]]]", json.load(answer))
        tasks = cast("list[dict[str, str]]", status["tasks"])
        for part in (cast("dict[str, str]", status["connector"]), *tasks):
            if part["state"] == "FAILED":
                raise BrokerFailed(f"{name} has failed:\n{part.get('trace', '')[-4000:]}")

    def _at(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}{path}"

    def _answers(self) -> bool:
        try:
            urlopen(self._at("/connectors"), timeout=2).close()
        except (URLError, OSError):
            return False
        return True

    def stop(self) -> None:
        """End it. A second call does nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(_STOP_S)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
