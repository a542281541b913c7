"""Kafka in a container: apache/kafka, or a local image that keeps its contract (`KAFKA_IMAGE`).

The advertised listener must name the mapped port, which is known only once the container runs:
so it first waits for a script, which `start` puts there.
"""

import io
import os
import tarfile
import time
from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from docker.errors import DockerException  # type: ignore[import-untyped]
from testcontainers.core.container import DockerContainer

IMAGE: Final = "apache/kafka:4.3.1"
_SCRIPT: Final = "/tmp/headwater-start.sh"
_PORT: Final = 9092
_INNER: Final = 9095
_READY_S: Final = 60.0
_ENVIRONMENT: Final = {
    "CLUSTER_ID": "5L6g3nShT-eMCtK--X86sw",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_NODE_ID": "1",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9094",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_LISTENERS": f"OUT://0.0.0.0:{_PORT},IN://0.0.0.0:{_INNER},CONTROLLER://localhost:9094",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "OUT:PLAINTEXT,IN:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "KAFKA_INTER_BROKER_LISTENER_NAME": "IN",
    "KAFKA_LOG_DIRS": "/tmp/kafka-logs",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "4",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
    "KAFKA_TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS": "1000",
    # Retention goes by the records' own times, and tests use old ones.
    "KAFKA_LOG_RETENTION_MS": "-1",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_HEAP_OPTS": "-Xms256m -Xmx512m",
}


class NoDocker(Exception):
    """No engine answers, or the image cannot be had; the sentence says which."""


class KafkaContainer:
    """One broker in a container of its own, ready when `start` returns; on the loopback only."""

    def __init__(self, image: str = "") -> None:
        self.image = image or os.environ.get("KAFKA_IMAGE") or IMAGE
        self._container: DockerContainer | None = None

    def start(self) -> Self:
        """Start it and wait until clients get an answer through the advertised listener.

        Raises:
            NoDocker: no engine, or no such image; nothing runs.
            TimeoutError: it ended or never answered; its log is in the message; it is removed.
        """
        try:
            self._container = container = DockerContainer(self.image)
            for name, value in _ENVIRONMENT.items():
                container.with_env(name, value)
            # A free port, on the loopback only: with_exposed_ports would open it to the world.
            container.ports[f"{_PORT}/tcp"] = ("127.0.0.1",)  # type: ignore[assignment]
            waiting = f"while [ ! -f {_SCRIPT} ]; do sleep 0.05; done; exec sh {_SCRIPT}"
            container.with_command(["sh", "-c", waiting]).start()
        except DockerException as error:
            self.stop()
            raise NoDocker(f"Docker cannot run {self.image}: {error}") from error
        try:
            # Asked once: a container that has ended no longer tells its port.
            bootstrap = self.bootstrap()
            self._go(container, bootstrap)
            self._wait(container, bootstrap)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Remove the container, whatever it does; a second call does nothing."""
        if self._container is not None:
            self._container.stop()
            self._container = None

    def bootstrap(self) -> str:
        """`bootstrap.servers` for clients on this machine."""
        assert self._container is not None, "start it first"
        container = self._container
        return f"{container.get_container_host_ip()}:{container.get_exposed_port(_PORT)}"

    def pause(self) -> None:
        """Freeze the broker where it stands; its connections stay open."""
        assert self._container is not None, "start it first"
        self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        """Let a frozen broker go on."""
        assert self._container is not None, "start it first"
        self._container.get_wrapped_container().unpause()

    def _go(self, container: DockerContainer, bootstrap: str) -> None:
        """Lay down the script that the container waits for."""
        inner = f"$(hostname -i | cut -d' ' -f1):{_INNER}"
        script = (
            f"export KAFKA_ADVERTISED_LISTENERS=OUT://{bootstrap},IN://{inner}\n"
            "exec /etc/kafka/docker/run\n"
        ).encode()
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            entry = tarfile.TarInfo(os.path.basename(_SCRIPT))
            entry.size, entry.mode = len(script), 0o755
            tar.addfile(entry, io.BytesIO(script))
        wrapped = container.get_wrapped_container()
        wrapped.put_archive(  # pyright: ignore[reportUnknownMemberType]
            os.path.dirname(_SCRIPT), packed.getvalue()
        )

    def _wait(self, container: DockerContainer, bootstrap: str) -> None:
        end = time.monotonic() + _READY_S
        admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        while True:
            try:
                if admin.list_topics(timeout=1).brokers:
                    return
            except KafkaException:
                container.reload()
            if container.status == "exited" or time.monotonic() > end:
                out, err = container.get_logs()
                raise TimeoutError(f"no broker at {bootstrap}:\n{(out + err).decode()[-4000:]}")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()
