"""What every command shares: where the store is, how to print, when to ask."""

import os
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from headwater.ops.exits import CommandError, Exit
from headwater.ops.output import Output

if TYPE_CHECKING:
    from headwater.ops.api import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the command line: its options and its output.

    `named` is None where no store was named; the settings know it then. `asks` is whether a
    person is there to answer.
    """

    output: Output
    named: str | None = None
    debug: bool = False
    asks: bool = False

    @property
    def now(self) -> datetime:
        """The time here, in the zone of whoever typed the command."""
        return datetime.now(UTC).astimezone()

    @contextmanager
    def reading(self) -> "Generator[Database]":
        """The store for reading, also while another process has it open.

        Raises:
            CommandError: there is no store in the directory.
        """
        from headwater.ops.api import connect

        self._must_exist()
        with connect(self.named, read_only=True, create=False) as db:
            yield db

    @contextmanager
    def writing(self, *, create: bool = False) -> "Generator[Database]":
        """The store for writing; `create` makes one where there is none.

        Raises:
            CommandError: there is no store in the directory.
            DirectoryInUse: another process has it open; names its pid and host.
        """
        from headwater.ops.api import connect

        if not create:
            self._must_exist()
        with connect(self.named, create=create) as db:
            yield db

    @property
    def store(self) -> str:
        """The store: --dir, else HEADWATER_DIR, else the default of the settings."""
        if self.named is not None:
            return self.named
        from headwater.ops.settings import Settings

        return Settings().dir

    def _must_exist(self) -> None:
        if "://" in self.store:
            return  # whoever opens it knows
        path = Path(self.store).expanduser()
        if not path.is_dir() or not any(path.iterdir()):
            raise CommandError(
                "E_STORE_MISSING",
                f"{path} holds no store: name one with --dir or HEADWATER_DIR, or make one with "
                "`headwater table create` or `headwater import`",
                Exit.CANNOT_OPEN,
            )

    def confirm(self, question: str, *, expected: str, yes: bool) -> None:
        """Let a person agree by typing `expected`; `yes` has agreed already.

        Raises:
            CommandError: nobody is there to ask, or the answer is another. Nothing was changed.
        """
        if yes:
            return
        if not self.asks:
            raise CommandError(
                "E_CONFIRMATION_REFUSED", f"{question}: say --yes to do it unasked", Exit.REFUSED
            )
        self.output.say(f"{question}; type {expected} to go on:")
        if sys.stdin.readline().strip() != expected:
            raise CommandError("E_CONFIRMATION_REFUSED", "nothing was changed", Exit.REFUSED)


def run_of(context: typer.Context) -> Run:
    """The run that a command belongs to."""
    return cast(Run, context.obj)  # set by the root command, before any other


def person_there(*, no_input: bool) -> bool:
    """Whether somebody can answer a question."""
    return not no_input and sys.stdin is not None and sys.stdin.isatty()


def colour_wanted(*, no_color: bool) -> bool:
    """Whether colours may be used: not with --no-color, NO_COLOR or on a dumb terminal."""
    return not (no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb")


def examples(*lines: str) -> str:
    """The examples at the end of a command's help, each on its line."""
    return "\b\nExamples:\n" + "\n".join(f"  headwater {line}" for line in lines)


def position_shown(position: int, inside: str = "") -> int | str:
    """A watermark as it is printed: a version, or INITIAL before the initial rows.

    `inside` is how far a Kafka group is inside the next version, as ` + 3/20`.
    """
    if inside:
        return f"{position}{inside}"
    return "INITIAL" if position < 0 else position


def only_one(given: Sequence[str], of: str) -> None:
    """Refuse two options that mean the same thing in two ways.

    Raises:
        CommandError: there are two or more.
    """
    if len(given) > 1:
        raise CommandError("E_USAGE", f"{' and '.join(given)}: give one {of}", Exit.USAGE)
