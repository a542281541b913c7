"""Nodes of one prefix: some in this process, some in processes of their own that can be killed."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, cast

import pytest
from faults.node import serve
from support_kafka import Broker

import headwater
from headwater.log_store.kafka_node import KafkaNode
from headwater.log_store.kafka_role import Role
from headwater.ops.api import Database

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["faults.node"])
_PATIENCE_S = 90.0


class NodeRefused(Exception):
    """The process answered with an error; `code` is that of the product's."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class NodeProcess:
    """A node in another process, until `kill` or the end of the test."""

    def __init__(self, target: str) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=serve, args=(target, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def opened(self) -> Self:
        """Wait until it has connected."""
        self.answer()
        return self

    def ask(self, verb: str, *arguments: int) -> None:
        """Tell it to do something; `answer` waits for it."""
        self._pipe.send((verb, arguments))

    def answer(self) -> object:
        """What it answers; NodeRefused for an error, EOFError if it is dead."""
        if not self._pipe.poll(_PATIENCE_S):
            raise TimeoutError("the node does not answer")
        kind, told, text = cast(tuple[str, object, str], self._pipe.recv())
        if kind == "error":
            raise NodeRefused(str(told), text)
        return told

    def do(self, verb: str, *arguments: int) -> object:
        """Tell it, and wait for its answer."""
        self.ask(verb, *arguments)
        return self.answer()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """kill -9, also while it is stopped."""
        with suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)
        self._process.join(30)


@dataclass
class Nodes:
    """The nodes of a test's prefix; all of them end with it."""

    bootstrap: str
    prefix: str
    folder: Path
    processes: list[NodeProcess] = field(default_factory=list[NodeProcess])
    here: list[Database] = field(default_factory=list[Database])

    def target(self, name: str, role: str = "auto") -> str:
        """What a node of that name connects to."""
        path = self.folder / name
        return f"kafka://{self.bootstrap}/{self.prefix}?dir={path}&role={role}"

    def process(self, name: str) -> NodeProcess:
        """A node in a process of its own, connected."""
        node = NodeProcess(self.target(name))
        self.processes.append(node)
        return node.opened()

    def connect(self, name: str, role: str = "auto") -> Database:
        """A node in this process."""
        db = headwater.connect(self.target(name, role))
        self.here.append(db)
        return db


def node_of(db: Database) -> KafkaNode:
    """The node of a connection."""
    log = db.session.log
    assert isinstance(log, KafkaNode)
    return log


def await_role(db: Database, role: Role) -> None:
    """Wait until a node is that."""
    assert node_of(db).wait_role(role, _PATIENCE_S), node_of(db).role


@pytest.fixture
def nodes(kafka: Broker, prefix: str, tmp_path: Path) -> Iterator[Nodes]:
    """Nodes of one prefix, ended with the test."""
    made = Nodes(kafka.bootstrap, prefix, tmp_path)
    yield made
    for process in made.processes:
        process.kill()
    for db in made.here:
        db.close()
