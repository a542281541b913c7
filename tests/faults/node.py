"""A node in a process of its own, told through a pipe what to do: it can be killed and stopped."""

import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Final

import headwater
from headwater.log_store.errors import LogError
from headwater.log_store.kafka_node import KafkaNode
from headwater.ops.api import Database
from headwater.ops.api_transaction import Tx

Told = str | int | list[int]


class Node:
    """What a node process can be told; each returns what is sent back."""

    def __init__(self, target: str) -> None:
        self.db: Database = headwater.connect(target)
        log = self.db.session.log
        assert isinstance(log, KafkaNode)
        self.log = log
        self.tx: Tx | None = None

    def role(self) -> str:
        return self.log.role.value

    def sequence(self) -> int:
        return self.db.sequence

    def insert(self, number: int) -> int:
        """Insert a row; returns where this node's view stands then."""
        self.db.table("t").insert({"id": number, "v": f"of {os.getpid()}"})
        return self.db.sequence

    def begin(self, number: int) -> str:
        """Insert a row in a transaction that stays open."""
        inner = self.db.session.begin()
        self.tx = Tx(self.db.session, inner)
        self.tx.insert("t", {"id": number, "v": "late"})
        return self.tx.id

    def commit(self) -> int:
        """Commit that transaction."""
        assert self.tx is not None
        return self.tx.inner.commit().sequence

    def many(self, first: int, count: int) -> list[int]:
        """Insert rows one by one, until one fails; returns those that were acknowledged."""
        return [first + at for at in range(count) if self.insert(first + at)]

    def close(self) -> str:
        self.db.close()
        return "closed"


_VERBS: Final = ("role", "sequence", "insert", "begin", "commit", "many", "close")


def serve(target: str, pipe: Connection) -> None:
    """The process's life: connect, then do what it is told until the pipe ends."""
    try:
        node = Node(target)
    except LogError as error:
        pipe.send(("error", error.code, str(error)))
        return
    pipe.send(("done", "open", ""))
    while True:
        try:
            verb, arguments = pipe.recv()
        except EOFError:
            return
        assert verb in _VERBS
        do: Callable[..., Told] = getattr(node, verb)
        try:
            pipe.send(("done", do(*arguments), ""))
        except LogError as error:
            pipe.send(("error", error.code, str(error)))
