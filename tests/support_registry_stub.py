"""A web server in place of a registry that answers as a test tells it, well or badly."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that came in."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass(slots=True)
class Answer:
    """What is sent back: a status, headers, and a body part by part."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    parts: Iterator[bytes] | None = None


@dataclass(slots=True)
class Stub:
    """The server's address, and every question it was asked."""

    url: str
    asked: list[Asked] = field(default_factory=list[Asked])


@contextmanager
def registry_that(answers: Callable[[Asked], Answer]) -> Generator[Stub]:
    """Runs inside the block; `answers` is called on threads of its own."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.command, self.path, dict(self.headers))
            stub.asked.append(asked)
            answer = answers(asked)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.parts is None:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            try:
                for part in answer.parts or (answer.body,):
                    self.wfile.write(part)
                    self.wfile.flush()
            except OSError:
                # Whoever asked has had enough.
                pass
            self.close_connection = answer.parts is not None

        do_GET = do_POST = do_PUT = handle_any  # the names that the server looks for

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stub = Stub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
