"""Kafka nodes as plain processes that can be killed, paused and brought back.

    with LocalKafka() as kafka:            # one node, ready within 2 s, 210 MiB
        kafka.bootstrap                    # "127.0.0.1:39123"
    with LocalKafka(nodes=3) as kafka:     # replication 3, 2 in sync
        kafka.kill(2)
        kafka.start_node(2)
        kafka.wait_ready()

All listen on the loopback only. They die with the thread that started them, so start them from
one that lives as long.
"""

import ctypes
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from examples.broker import jars

_JVM: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
_HEAP: Final = "512m"
_READY_S: Final = 60.0
_STOP_S: Final = 20.0
_DUMP_S: Final = 120.0
_LIBC: Final = ctypes.CDLL(None)
_PR_SET_PDEATHSIG: Final = 1


class BrokerFailed(Exception):
    """A node did not come up; the end of its log is in the message."""


class LocalKafka:
    """A cluster of one or three nodes on this machine, on new data unless `folder` is given.

    `overrides` are broker settings that win over server.properties. What is left in a folder
    that was given stays there; an own one goes with `stop`.
    """

    def __init__(
        self,
        nodes: int = 1,
        *,
        folder: Path | None = None,
        ports: tuple[int, ...] = (),
        overrides: Mapping[str, str] | None = None,
        _sharing: str = "",
    ) -> None:
        self._java, self._jars = jars.java(), jars.broker()
        self._sharing = _sharing
        self._overrides = dict(overrides or {})
        self._own = folder is None
        self.folder = (folder or Path(tempfile.mkdtemp(prefix="headwater-kafka-"))).resolve()
        free = free_ports(2 * nodes)
        self.ports = dict(enumerate((*ports, *free[len(ports) : nodes]), 1))
        self._controllers = dict(enumerate(free[nodes:], 1))
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._cluster_id = _kafka_id()

    @property
    def nodes(self) -> tuple[int, ...]:
        """The ids of all nodes, dead ones too."""
        return tuple(self.ports)

    @property
    def bootstrap(self) -> str:
        """`bootstrap.servers` for clients."""
        return ",".join(f"127.0.0.1:{port}" for port in self.ports.values())

    def log(self, node: int = 1) -> str:
        """What a node has said since it was last started."""
        file = self.folder / f"node{node}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def start(self) -> Self:
        """Start every node and wait until all of them answer.

        Raises:
            BrokerFailed: one did not; none is left running.
        """
        try:
            for node in self.nodes:
                self.start_node(node)
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def start_node(self, node: int = 1) -> None:
        """Start one node on the data it has; `wait_ready` tells when it answers."""
        config = self._configure(node)
        self._format(node, config)
        if not self._sharing:
            self._sharing = f"-XX:SharedArchiveFile={self._classes()}"
        with (self.folder / f"node{node}.log").open("wb") as log:
            self._processes[node] = subprocess.Popen(
                self._command("kafka.Kafka", str(config), heap=_HEAP),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_starter,  # noqa: PLW1509  # one call into libc, loaded before
            )

    def wait_ready(self, timeout_s: float = _READY_S) -> None:
        """Wait until every started node answers clients.

        Raises:
            BrokerFailed: one has ended, or time is out.
        """
        end = time.monotonic() + timeout_s
        for node, process in self._processes.items():
            while "Kafka Server started" not in self.log(node) or not _answers(self.ports[node]):
                if process.poll() is not None or time.monotonic() > end:
                    raise BrokerFailed(f"node {node} is not ready:\n{self.log(node)[-4000:]}")
                time.sleep(0.05)

    def kill(self, node: int = 1) -> None:
        """kill -9: what a crash leaves. `start_node` brings the node back on its data."""
        process = self._processes.pop(node)
        process.kill()
        process.wait()

    def pause(self, node: int = 1) -> None:
        """Stop the process where it stands (SIGSTOP); its connections stay open."""
        self._processes[node].send_signal(signal.SIGSTOP)

    def resume(self, node: int = 1) -> None:
        """Let a paused process go on."""
        self._processes[node].send_signal(signal.SIGCONT)

    def restart(self, node: int = 1) -> None:
        """Stop a node in an orderly way, start it again on its data, wait until it answers."""
        self.stop_node(node)
        self.start_node(node)
        self.wait_ready()

    def stop_node(self, node: int = 1, *, timeout_s: float = _STOP_S) -> None:
        """Stop a node in an orderly way; one that does not end in time is killed."""
        process = self._processes.pop(node, None)
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop(self) -> None:
        """End all nodes; a second call does nothing. An own folder is removed."""
        # Nobody needs what they would write on an orderly way down, unless the folder stays.
        for process in self._processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill() if self._own else process.terminate()
        for node in tuple(self._processes):
            self.stop_node(node)
        if self._own:
            shutil.rmtree(self.folder, ignore_errors=True)

    def rss_mib(self, node: int = 1) -> int:
        """Memory that a running node holds."""
        status = Path(f"/proc/{self._processes[node].pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) // 1024

    def _configure(self, node: int) -> Path:
        replicas = min(3, len(self.ports))
        values = {
            "id": node,
            "port": self.ports[node],
            "controller_port": self._controllers[node],
            "voters": ",".join(f"{n}@127.0.0.1:{p}" for n, p in self._controllers.items()),
            "data": self.folder / f"data{node}",
            "replicas": replicas,
            "in_sync": max(1, replicas - 1),
        }
        text = (jars.HERE / "server.properties").read_text().format_map(values)
        text += "".join(f"{name}={value}\n" for name, value in self._overrides.items())
        file = self.folder / f"node{node}.properties"
        file.write_text(text)
        return file

    def _command(self, main: str, *arguments: str, heap: str) -> list[str]:
        log4j = f"-Dlog4j2.configurationFile={jars.HERE / 'log4j2.properties'}"
        options = [f"-Xmx{heap}", *_JVM, log4j, f"-Dkafka.logs.dir={self.folder}"]
        if main == "kafka.Kafka":
            options.append(self._sharing)
        return [str(self._java), *options, "-cp", f"{self._jars}/*", main, *arguments]

    def _format(self, node: int, config: Path) -> None:
        """Lay formatted storage under a node that has none.

        Kafka's own tool makes it once per machine: it also fixes the feature levels, without
        which there are no new transactions and no new groups. Others get a copy with new ids.
        """
        data = self.folder / f"data{node}"
        if (data / "meta.properties").exists():
            return
        formatted = jars.fetched(f"{jars.BROKER}-formatted", lambda to: self._format_at(to, config))
        shutil.copytree(formatted, data)
        meta = data / "meta.properties"
        lines = meta.read_text().splitlines()
        new = {
            "node.id": str(node),
            "cluster.id": self._cluster_id,
            "directory.id": _kafka_id(),
        }
        names = [line.partition("=")[0].strip() for line in lines]
        fresh = [
            f"{name}={new[name]}" if name in new else line
            for name, line in zip(names, lines, strict=True)
        ]
        meta.write_text("\n".join(fresh) + "\n")

    def _classes(self) -> Path:
        """The loaded classes of a node as an archive: with it one starts on half the CPU.

        Made once per machine, by the first node, at its end.
        """

        def dump(folder: Path) -> None:
            file = folder / "kafka.jsa"
            first = LocalKafka(_sharing=f"-XX:ArchiveClassesAtExit={file}")
            try:
                first.start()
                first.stop_node(timeout_s=_DUMP_S)
            finally:
                first.stop()

        version = jars.version(self._java)
        return jars.fetched(f"{jars.BROKER}-classes-{version}", dump) / "kafka.jsa"

    def _format_at(self, to: Path, config: Path) -> None:
        own = to / "format.properties"
        # The last of two values wins.
        own.write_text(f"{config.read_text()}log.dirs={to}\n")
        arguments = ("format", "-t", self._cluster_id, "-c", str(own))
        command = self._command("kafka.tools.StorageTool", *arguments, heap="128m")
        ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_READY_S)
        own.unlink()
        if ran.returncode or not (to / "meta.properties").exists():
            raise BrokerFailed(f"formatting failed:\n{ran.stdout[-2000:]}\n{ran.stderr[-2000:]}")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()


def _kafka_id() -> str:
    """A new id as Kafka writes them; never one that looks like an option."""
    while (text := urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for held in sockets:
            held.bind(("127.0.0.1", 0))
        return [int(held.getsockname()[1]) for held in sockets]
    finally:
        for held in sockets:
            held.close()


def _answers(port: int) -> bool:
    """Whether a broker answers the first request that every client sends (ApiVersions)."""
    request = struct.pack(">ihhih", 10, 18, 0, 1, -1)
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(1)
            connection.sendall(request)
            head = b""
            while len(head) < 10 and (got := connection.recv(10 - len(head))):
                head += got
    except OSError:
        return False
    # Size, correlation id, error code.
    return len(head) == 10 and struct.unpack(">iih", head)[1:] == (1, 0)


def die_with_starter() -> None:
    """For `preexec_fn`: the kernel ends the process with the thread that starts it."""
    # A killed test run must not leave brokers behind.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
