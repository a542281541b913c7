"""A schema registry on this machine, from Maven Central's jars: Apicurio, as Confluent's interface.

    with LocalRegistry() as registry:       # ready within 10 s, 350 MiB; forgets all at its end
        registry.url                        # "http://127.0.0.1:40123/apis/ccompat/v7"

It listens on the loopback only, and dies with the thread that started it. It needs Java 21.
"""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.error import URLError
from urllib.request import urlopen

from examples.broker import jars
from examples.broker.nodes import BrokerFailed, die_with_starter, free_ports

_PATH: Final = "/apis/ccompat/v7"
_READY_S: Final = 90.0
_STOP_S: Final = 10.0


class LocalRegistry:
    """A registry in memory; `stop` and `start` make an empty one at the same address."""

    def __init__(self) -> None:
        self._java, self._jars = jars.java(21), jars.registry()
        self._folder = Path(tempfile.mkdtemp(prefix="headwater-registry-"))
        self.port, self._management = free_ports(2)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where Confluent's interface answers."""
        return f"http://127.0.0.1:{self.port}{_PATH}"

    def start(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            BrokerFailed: it did not; the end of its log is in the message.
        """
        log = self._folder / "registry.log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [
                    self._java,
                    "-Xmx384m",
                    "-XX:+UseSerialGC",
                    "-XX:TieredStopAtLevel=1",
                    "-Dquarkus.http.host=127.0.0.1",
                    f"-Dquarkus.http.port={self.port}",
                    "-Dquarkus.management.host=127.0.0.1",
                    f"-Dquarkus.management.port={self._management}",
                    "-jar",
                    str(self._jars / "quarkus-run.jar"),
                ],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=die_with_starter,  # noqa: PLW1509  # one call into libc, loaded before
            )
        end = time.monotonic() + _READY_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                said = log.read_text(errors="replace")[-4000:]
                self.stop()
                raise BrokerFailed(f"the registry is not ready:\n{said}")
            time.sleep(0.1)
        return self

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.url}/subjects", timeout=2) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def stop(self) -> None:
        """End it; what it held is gone. A second call does nothing."""
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
