"""A TCP proxy before one broker that reads the requests that pass: hold, answer or cut them.

    proxy = stack.enter_context(KafkaProxy())
    cluster = kafka_cluster(overrides=proxy.advertised)
    proxy.before(cluster.ports[1])
    proxy.rules.append(rule)            # about requests
    proxy.delays.append(delay)          # about answers: seconds each is kept back

All clients go through it, since the broker advertises its address. A rule is asked for every
request, in the order that one connection sends them; what it does holds up that connection alone.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, NamedTuple, Self

# Numbers of requests in Kafka's protocol.
OFFSET_FETCH: Final = 9
END_TXN: Final = 26

_SIZE: Final = struct.Struct(">i")
_HEAD: Final = struct.Struct(">hhi")
NOT_COORDINATOR: Final = 16


class Request(NamedTuple):
    """One request: which one it is, its number on its connection, and all of its bytes."""

    api: int
    version: int
    correlation: int
    frame: bytes


Rule = Callable[[Request], bytes | None]
"""Gives the answer to a request in the broker's stead, b"" to cut the connection, or None."""


Delay = Callable[[Request], float]
"""Says for how many seconds the answer to a request is kept back."""


class KafkaProxy:
    """Listens on the loopback until the block ends."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.rules: list[Rule] = []
        self.delays: list[Delay] = []
        self._upstream = 0
        self._open: list[socket.socket] = []

    @property
    def advertised(self) -> dict[str, str]:
        """What the broker must be told, so that its clients come here."""
        return {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}"}

    def before(self, port: int) -> None:
        """Stand before the broker at that port from here on."""
        self._upstream = port

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for connection in (self._listener, *self._open):
            _shut(connection)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    broker = socket.create_connection(("127.0.0.1", self._upstream))
                except OSError:
                    _shut(client)
                    continue
                for each in (client, broker):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open += [client, broker]
                asked: dict[int, Request] = {}
                for work in (self._up, self._down):
                    threading.Thread(target=work, args=(client, broker, asked), daemon=True).start()

    def _up(self, client: socket.socket, broker: socket.socket, asked: dict[int, Request]) -> None:
        """Pass requests on, but those that a rule takes."""
        with suppress(OSError):
            while (frame := _frame(client)) is not None:
                api, version, correlation = _HEAD.unpack_from(frame)
                request = Request(api, version, correlation, frame)
                given = next((a for rule in self.rules if (a := rule(request)) is not None), None)
                if given is None:
                    if self.delays:
                        asked[correlation] = request._replace(frame=b"")
                    broker.sendall(_SIZE.pack(len(frame)) + frame)
                elif not given:
                    break
                else:
                    client.sendall(_SIZE.pack(len(given)) + given)
        _shut(client)
        _shut(broker)

    def _down(
        self, client: socket.socket, broker: socket.socket, asked: dict[int, Request]
    ) -> None:
        """Pass answers on, each when it may go."""
        with suppress(OSError):
            while (frame := _frame(broker)) is not None:
                request = asked.pop(_SIZE.unpack_from(frame)[0], None)
                if request is not None:
                    time.sleep(max(delay(request) for delay in self.delays))
                client.sendall(_SIZE.pack(len(frame)) + frame)
        _shut(client)
        _shut(broker)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def _frame(connection: socket.socket) -> bytes | None:
    head = _exactly(connection, 4)
    return None if head is None else _exactly(connection, _SIZE.unpack(head)[0])


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        got = connection.recv(size - len(parts))
        if not got:
            return None
        parts += got
    return bytes(parts)


def refuse_offset_fetch(group: str, times: int) -> tuple[Rule, list[int]]:
    """A rule that answers so many questions for a group's offsets with NOT_COORDINATOR.

    The list gets the version of each request that was answered so.
    """
    asked: list[int] = []

    def rule(request: Request) -> bytes | None:
        if (
            request.api != OFFSET_FETCH
            or len(asked) >= times
            or group.encode() not in request.frame
        ):
            return None
        asked.append(request.version)
        head = _SIZE.pack(request.correlation)
        if request.version >= 8:
            # Tags; throttle time; one group: its name, no topics, the error; tags, tags.
            name = group.encode()
            told = _varint(len(name) + 1) + name + b"\1" + struct.pack(">h", NOT_COORDINATOR)
            return head + b"\0" + bytes(4) + b"\2" + told + b"\0\0"
        return head + b"\0" + bytes(4) + b"\1" + struct.pack(">h", NOT_COORDINATOR) + b"\0"

    return rule, asked


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
