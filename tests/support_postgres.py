"""A PostgreSQL of its own for tests: the fixture `postgres`.

Its programs are looked for on the PATH and where Debian keeps them. Without them the tests are
skipped with the reason; `HEADWATER_REQUIRE_READERS=1` (`make test-readers` sets it) makes that a
failure.
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Final, Never, cast

import pytest

PASSWORD: Final = "only-for-tests"
_PATIENCE_S: Final = 60


def give_up(reason: str) -> Never:
    """Skip, or fail where readers are required."""
    if os.environ.get("HEADWATER_REQUIRE_READERS"):
        pytest.fail(f"HEADWATER_REQUIRE_READERS is set: {reason}")
    pytest.skip(reason)


class Postgres:
    """A running server with a database `sink`, for the user `postgres`."""

    def __init__(self, psql: str, port: int) -> None:
        self._psql, self.port = psql, port

    @property
    def jdbc(self) -> str:
        """Its address for programs in Java."""
        return f"jdbc:postgresql://127.0.0.1:{self.port}/sink"

    def run(self, sql: str, database: str = "sink") -> str:
        """What a statement answers, as plain text without headings."""
        done = subprocess.run(
            [
                *(self._psql, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"),
                *("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"),
                *("-d", database, "-c", sql),
            ],
            env={**os.environ, "PGPASSWORD": PASSWORD},
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def rows(self, table: str, order: str) -> list[dict[str, object]]:
        """All rows of a table, as JSON says them; numbers with a point are Decimal."""
        text = self.run(
            f'SELECT coalesce(json_agg(t ORDER BY t."{order}"), \'[]\') FROM "{table}" AS t'
        )
        return cast("list[dict[str, object]]", json.loads(text, parse_float=Decimal))


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """A new server on the loopback, gone with the test."""
    programs = {name: _program(name) for name in ("initdb", "pg_ctl", "psql")}
    missing = sorted(name for name, found in programs.items() if found is None)
    if missing:
        give_up(f"no PostgreSQL on this machine: {', '.join(missing)} not found")
    with _server({name: str(found) for name, found in programs.items()}) as server:
        yield server


def _program(name: str) -> str | None:
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(debian[-1]) if debian else shutil.which(name)


@contextmanager
def _server(programs: dict[str, str]) -> Generator[Postgres]:
    # The server refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="headwater-postgres-"))
    try:
        if user is not None:
            shutil.chown(folder, user)
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c wal_level=logical -c fsync=off"
        options += f" -c unix_socket_directories={folder}"
        data, log = folder / "data", folder / "server.log"
        _run(
            user,
            *(programs["initdb"], "-D", str(data), "-U", "postgres", "-A", "scram-sha-256"),
            *("--pwfile", str(folder / "password"), "-E", "UTF8", "--locale=C", "--no-sync"),
        )
        control = [programs["pg_ctl"], "-D", str(data)]
        _run(user, *control, "-w", "-l", str(log), "-o", options, "start")
        try:
            server = Postgres(programs["psql"], port)
            server.run("CREATE DATABASE sink", "postgres")
            yield server
        finally:
            _run(user, *control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(user: str | None, *command: str) -> None:
    # The server that pg_ctl leaves behind keeps what it inherits, so its output is no pipe.
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(
            command,
            user=user,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            timeout=_PATIENCE_S,
            check=False,
        )
        said.seek(0)
        assert done.returncode == 0, said.read().decode(errors="replace")[-2000:]
