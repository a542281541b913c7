"""docker-compose.yml brought up under a name and on ports of its own, and taken down again."""

import json
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self, cast

ROOT: Final = Path(__file__).resolve().parents[2]
_UP_S: Final = 240
_PORTS: Final = ("KAFKA_PORT", "KAFKA2_PORT", "KAFKA3_PORT", "REGISTRY_PORT")


class NoCompose(Exception):
    """No daemon answers, or there is no compose; the sentence says which."""


class ComposeFailed(Exception):
    """A command of compose failed, or a service is not healthy in time; with what it said."""


class Compose:
    """The services of these files, healthy when the block begins and gone when it ends.

    `services`: these alone, else all.

    Raises:
        NoCompose: it cannot be tried here.
        ComposeFailed: it was tried; nothing is left.
    """

    def __init__(self, *files: str, services: Sequence[str] = ()) -> None:
        self._services = services
        self._command = ["-p", f"headwater-{uuid.uuid4().hex[:8]}"]
        for file in files:
            self._command += ["-f", str(ROOT / file)]
        self.ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        self._environment = {**os.environ, **{key: str(at) for key, at in self.ports.items()}}

    def __enter__(self) -> Self:
        self._command = [*_program(), *self._command]
        try:
            self.run("up", "--detach", *self._services, within_s=_UP_S)
            self._await_health()
        except BaseException:
            self.run("down", "--volumes", "--timeout", "5")
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.run("down", "--volumes", "--timeout", "5")

    def run(self, *words: str, given: str = "", within_s: float = 120) -> str:
        """What a command of compose prints.

        Raises:
            ComposeFailed: it ended with an error.
        """
        done = subprocess.run(
            [*self._command, *words],
            check=False,
            capture_output=True,
            text=True,
            input=given,
            env=self._environment,
            cwd=ROOT,
            timeout=within_s,
        )
        if done.returncode:
            raise ComposeFailed(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def health(self) -> dict[str, str]:
        """How each service is, by its name: starting, healthy, unhealthy, or that it has ended."""
        ids = self.run("ps", "--quiet").split()
        return dict(_health(one) for one in _inspected(ids))

    def container(self, service: str) -> str:
        """The id of a service's container."""
        return self.run("ps", "--quiet", service).strip()

    def _await_health(self) -> None:
        end = time.monotonic() + _UP_S
        while set((found := self.health()).values()) != {"healthy"}:
            if time.monotonic() > end or {"exited", "unhealthy", "dead"} & set(found.values()):
                raise ComposeFailed(f"not healthy: {found}\n{self.run('logs', '--tail', '30')}")
            time.sleep(0.5)


def _program() -> Sequence[str]:
    """Compose as a plugin of docker, or as a program of its own.

    Raises:
        NoCompose: there is none, or no daemon.
    """
    docker = shutil.which("docker")
    if docker is None or _fails(docker, "info"):
        raise NoCompose("no Docker daemon answers")
    if not _fails(docker, "compose", "version"):
        return [docker, "compose"]
    if found := shutil.which("docker-compose"):
        return [found]
    raise NoCompose("docker has no compose: install docker-compose")


def _fails(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode != 0


def _inspected(ids: Sequence[str]) -> list[dict[str, object]]:
    if not ids:
        return []
    done = subprocess.run(
        ["docker", "inspect", *ids], check=True, capture_output=True, text=True, timeout=60
    )
    return cast(list[dict[str, object]], json.loads(done.stdout))


def _health(container: dict[str, object]) -> tuple[str, str]:
    state = cast(dict[str, object], container["State"])
    labels = cast(dict[str, str], cast(dict[str, object], container["Config"])["Labels"])
    health = cast(dict[str, str], state.get("Health", {}))
    running = state["Status"] == "running"
    shown = health.get("Status", "healthy") if running else str(state["Status"])
    return labels["com.docker.compose.service"], shown


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [cast(tuple[str, int], one.getsockname())[1] for one in held]
    finally:
        for one in held:
            one.close()
