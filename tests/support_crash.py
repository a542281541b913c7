"""Workers to be killed, and what is known about their store when they are gone.

A worker is forked from a server that has everything imported, so a life costs milliseconds. The
parent never opens a store while a worker lives, and forgets nothing that was acknowledged.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from checker import Expected, check_store
from checker_streams import copies, rows
from faults.worker import Said, Work, copied, crc, run, source_rows
from support_parquet import read_parquet

import headwater
from headwater.consumers.copy_names import StreamWindow, windows_in
from headwater.consumers.read import read
from headwater.consumers.registration import Directory, directory_consumer, position
from headwater.log_store.catalog import ConsumerObject
from headwater.log_store.errors import OutsideHistory
from headwater.log_store.port import View
from headwater.log_store.records import CommitRow
from headwater.ops.api import Database
from headwater.producer.names import find_stream

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["faults.worker", "checker"])


@dataclass
class Life:
    """What one worker said before it ended."""

    threads: int = 1
    opened: bool = False
    done: bool = False
    tried: list[str] = field(default_factory=list[str])
    acked: list[Said] = field(default_factory=list[Said])
    passed: set[str] = field(default_factory=set[str])
    unknown: str = ""
    gave_up: bool = False  # nothing was heard of it for too long
    exitcode: int | None = None


@dataclass
class Crashes:
    """One store through many lives. `prefix` is its history as last seen.

    `target` is what to connect to, where that is not the path.
    """

    path: Path
    seed: int
    target: str = ""
    lives: list[Life] = field(default_factory=list[Life])
    prefix: list[CommitRow] = field(default_factory=list[CommitRow])

    def live(self, work: Work, *, after_s: float | None = None) -> Life:
        """Start a worker, kill it so many seconds after it has opened; None waits for its end."""
        ours, theirs = _CONTEXT.Pipe(duplex=False)
        process = _CONTEXT.Process(target=run, args=(work, theirs))
        process.start()
        theirs.close()
        life = Life(threads=work.threads)
        assert process.pid is not None
        try:
            listen(ours, life, process.pid, after_s)
        finally:
            if not life.done:
                end(process.pid)
            process.join(60)
        life.exitcode = process.exitcode
        self.lives.append(life)
        return life

    def check(self, *, durability: str = "fsync") -> None:
        """Open the store as a successor would and check everything that was ever promised."""
        with headwater.connect(self.target or self.path, durability=durability) as db:
            acked = [said.commit for life in self.lives for said in life.acked]
            log = db.session.log
            ordered = [
                [said.commit for said in life.acked] for life in self.lives if life.threads == 1
            ]
            expected = Expected(acked=acked, ordered=ordered, prefix=self.prefix, laws=laws(db))
            check_store(log, expected)
            self.check_sources(db)
            with log.view() as view:
                self.prefix = list(view.commits(0, view.sequence))
            if copied(self.path).is_dir():
                check_copies(db, copied(self.path))
            known = {said.commit for life in self.lives for said in life.acked}
            tried = {commit for life in self.lives for commit in life.tried}
            named = {row.commit_id for row in self.prefix if row.ddl == 0}
            strangers = [c for c in named - known - tried if not self.was_a_rewind(db, c)]
            assert not strangers, f"seed {self.seed}: commits that nobody asked for: {strangers}"

    def was_a_rewind(self, db: Database, commit: str) -> bool:
        """Rewinds and restores commit without being announced."""
        with db.session.log.view() as view:
            row = view.find_commit(commit)
        return row is not None and any(
            moved.move.why in ("rewind", "restore") for moved in row.moves
        )

    def check_sources(self, db: Database) -> None:
        """The last acknowledged contents of the source, read again at their versions."""
        for life in self.lives[-1:]:
            for said in [said for said in life.acked if said.version >= 0][-3:]:
                try:
                    found = crc(source_rows(db, said.version))
                except OutsideHistory:
                    continue
                assert found == said.crc, f"seed {self.seed}: source at v{said.version} differs"


class Hears(Protocol):
    """The receiving end of a pipe, whatever the system calls it."""

    def poll(self, timeout: float) -> bool: ...
    def recv(self) -> object: ...


def end(pid: int) -> None:
    """kill -9, to one that may be dead already."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def listen(pipe: Hears, life: Life, pid: int, after_s: float | None) -> None:
    """Take what the worker says until it ends or its time has come."""
    deadline, killed = time.monotonic() + 120, False
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not pipe.poll(left):
            if killed:
                return
            end(pid)
            life.gave_up = not life.opened or after_s is None
            # What it still had to say is in the pipe.
            deadline, killed = time.monotonic() + 60, True
        try:
            said = pipe.recv()
        except (EOFError, OSError):
            return
        assert isinstance(said, Said)
        if said.what == "open" and after_s is not None:
            deadline = time.monotonic() + after_s
        note(life, said)
        if life.done:
            return


def note(life: Life, said: Said) -> None:
    """Keep one message."""
    match said.what:
        case "open":
            life.opened = True
        case "try":
            life.tried.append(said.commit)
        case "ack":
            life.acked.append(said)
        case "unknown":
            life.unknown = said.text
        case "passed":
            life.passed = set(filter(None, said.text.split(",")))
        case "done":
            life.done = True
        case _:
            raise AssertionError(said)


def laws(db: Database) -> list[Callable[[View], None]]:
    """What must hold between the worker's tables in every state."""
    names = {table.name: table.id for table in db.tables()}
    found: list[Callable[[View], None]] = []
    if {"left", "right"} <= names.keys():
        found.append(SameRows(names["left"], names["right"]))
    with db.session.log.view() as view:
        for value in view.catalog.all("consumer"):
            assert isinstance(value, ConsumerObject)
            if value.target == names.get("mirror"):
                found.append(copies(names["source"], names["mirror"], value.id))
            if value.target == names.get("journal"):
                found.append(Journal(names["journal"], value.id))
    return found


def check_copies(db: Database, directory: Path) -> None:
    """The files up to the directory's watermark are its stream: each window once, none missing."""
    names = {part: path for path in directory.iterdir() for part in windows_in(path.name)}
    with db.session.log.view() as view:
        stream = find_stream(view.catalog, "changes")
        consumer = directory_consumer(view.catalog, stream, Directory(str(directory)))
        mark = stream.base if consumer is None else position(view, consumer)
        counted = sorted((one.window for one in names), key=lambda window: window.upto)
        at = stream.base
        for window in (window for window in counted if window.upto <= mark):
            assert window.after == at, f"I13: files leave a gap or overlap at v{at}: {counted}"
            at = window.upto
            found = read_parquet(names[StreamWindow("changes", window)])
            wanted = pa.concat_tables(read(view, stream, window))
            assert found.to_pylist() == wanted.to_pylist(), f"I13: {window} differs in its file"
        assert at == mark, f"I13: the files end at v{at}, the watermark is v{mark}"


@dataclass(frozen=True)
class SameRows:
    """Two tables that are only ever written together."""

    left: int
    right: int

    def __call__(self, view: View) -> None:
        left = rows(view, self.left, view.head(self.left).version)
        right = rows(view, self.right, view.head(self.right).version)
        assert left == right, "I5: a commit is there by half"


@dataclass(frozen=True)
class Journal:
    """A target that keeps every row of the stream: as many as its windows hold, no more."""

    target: int
    consumer: int

    def __call__(self, view: View) -> None:
        consumer = view.catalog.consumer(self.consumer)
        stream = view.catalog.stream(consumer.stream)
        mark = view.watermark(self.consumer)
        base = view.version(stream.table, stream.base)
        upto = view.version(stream.table, mark.position if mark else stream.base)
        if base is None:
            return  # what the base counted was let go
        assert upto is not None
        was, now = base.counts, upto.counts
        wanted = now.changes - was.changes + now.updates - was.updates
        found = view.row_count(self.target)
        assert found == wanted, f"I13: the journal has {found} rows of {wanted}"
