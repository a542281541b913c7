"""The holder as its parent sees it: started, listened to, killed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self, cast

from examples.flights.holder import Job

Said = dict[str, object]


class HolderFailed(Exception):
    """The holder ended by itself before its work was done; its last words are in the message."""


class Holder:
    """A running holder. Leaving the `with` block ends it."""

    def __init__(self, job: Job) -> None:
        root = Path(__file__).resolve().parents[2]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "examples.flights.holder", job.text()],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def said(self) -> Iterator[Said]:
        """What it says, as it says it, to its end; half a line that a kill cut off is no word.

        Raises:
            HolderFailed: it ended with an error, other than by `kill`.
        """
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n"):
                yield cast(Said, json.loads(line))
        if self._process.wait() > 0:
            assert self._process.stderr is not None
            raise HolderFailed(f"the holder: {self._process.stderr.read().strip()}")

    def kill(self) -> None:
        """kill -9: it gets no chance to finish anything."""
        self._process.kill()

    def end(self) -> None:
        """Be sure that it is gone; a second call does nothing."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
