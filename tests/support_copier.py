"""A stream of known changes, copiers of it that are killed, and what their copy must be at the end."""

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from checker import Expected, check_store
from faults.copier import (
    COMMITTED,
    COPY,
    ENDING,
    IDLE,
    OPEN,
    CopierSaid,
    Copy,
    phase_file,
    run_copier,
)
from support_crash import Hears
from support_kafka_log import assert_topics_give
from support_proxy import END_TXN, Request

import headwater
from headwater.log_store.catalog import ConsumerObject
from headwater.log_store.kafka_admin import Admin
from headwater.log_store.kafka_node import KafkaNode
from headwater.log_store.kafka_reader import TopicReader

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["faults.copier"])
# Changes in each commit of the source.
_EACH: Final = 50
PHASES: Final = {
    OPEN: "in an open transaction",
    ENDING: "during the end of one",
    COMMITTED: "between commit and apply",
    IDLE: "elsewhere",
}
Row = tuple[int, int, str, bool]


def write_source(db: headwater.Database, count: int, seed: int) -> list[Row]:
    """So many changes of a new table `source`, an empty `copy`; returns what its stream must show."""
    db.create_table("source", {"id": "INT", "v": "INT"}, key="id")
    db.create_table("copy", COPY)
    db.create_stream("changes", on="source")
    chance, there, told, last = random.Random(seed), dict[int, int](), list[Row](), 0
    for _ in range(count // _EACH):
        with db.transaction() as tx:
            # A row is changed once in a commit: what it was before is what the commit found.
            free = sorted(there)
            for _ in range(_EACH):
                last += 1
                kind = chance.choice(("insert", "insert", "update", "delete", "move"))
                if kind == "insert" or not free:
                    tx.insert("source", {"id": last, "v": last})
                    told.append((last, last, "INSERT", False))
                    there[last] = last
                    continue
                row = free.pop(chance.randrange(len(free)))
                was = there.pop(row)
                if kind == "delete":
                    tx.delete("source", key=row)
                    told.append((row, was, "DELETE", False))
                    continue
                new = last if kind == "move" else row
                tx.update("source", key=row, set={"id": new, "v": last})
                told += [(row, was, "DELETE", True), (new, last, "INSERT", True)]
                there[new] = last
    return told


@dataclass
class Copier:
    """One life of a copier."""

    process: BaseProcess
    said: list[CopierSaid] = field(default_factory=list[CopierSaid])

    @property
    def pid(self) -> int:
        """Its process."""
        assert self.process.pid is not None
        return self.process.pid

    @property
    def done(self) -> bool:
        """Whether it found nothing left to copy."""
        return any(one.what == "done" for one in self.said)

    @property
    def refused(self) -> str:
        """The code that it was refused with for good."""
        return next((one.code for one in self.said if one.what == "refused"), "")


class Copiers:
    """Copiers of one store, one after the other; counts where those that were killed were."""

    def __init__(self, folder: Path, bootstrap: str, prefix: str, timeout_s: float = 30.0) -> None:
        self._folder, self.bootstrap, self.prefix = folder, bootstrap, prefix
        self._timeout_s = timeout_s
        self.fell: Counter[int] = Counter()
        self.lives = 0
        self._pipes: dict[int, Hears] = {}

    def target(self, node: str = "replica") -> str:
        """What a node connects to."""
        return f"kafka://{self.bootstrap}/{self.prefix}?dir={self._folder / node}"

    def start(self, failpoints: str = "", *, node: str = "replica", changes: int = 50) -> Copier:
        """Begin a life, and wait until it has the store."""
        ours, theirs = _CONTEXT.Pipe(duplex=False)
        phase = phase_file(self._folder / f"phase-{node}")
        copy = Copy(
            target=self.target(node),
            phase=phase,
            changes=changes,
            failpoints=failpoints,
            timeout_s=self._timeout_s,
            again=node != "zombie",
        )
        copier = Copier(_CONTEXT.Process(target=run_copier, args=(copy, theirs)))
        copier.process.start()
        theirs.close()
        self._pipes[copier.pid] = ours
        self.lives += 1
        self.hear(copier, 120, until="open")
        return copier

    def hear(self, copier: Copier, for_s: float, until: str = "") -> None:
        """Listen to it for so long, or until it says that, or ends."""
        pipe, end = self._pipes[copier.pid], time.monotonic() + for_s
        while (left := end - time.monotonic()) > 0 and pipe.poll(left):
            try:
                said = pipe.recv()
            except (EOFError, OSError):
                return
            assert isinstance(said, CopierSaid)
            copier.said.append(said)
            if said.what == until:
                return

    def kill(self, copier: Copier) -> None:
        """kill -9, if it lives; where it was is counted."""
        if copier.process.is_alive():
            os.kill(copier.pid, signal.SIGKILL)
        self.bury(copier)

    def bury(self, copier: Copier, node: str = "replica") -> None:
        """Wait for the end of one that is being killed, and count where it was."""
        self.hear(copier, 60, until="never")
        copier.process.join(60)
        assert not copier.done, "it was through before it was killed: give it more to copy"
        assert copier.process.exitcode == -signal.SIGKILL, copier.said[-1:]
        self.fell[(self._folder / f"phase-{node}").read_bytes()[0]] += 1

    def finish(self, copier: Copier) -> None:
        """Let it go on to its end."""
        self.hear(copier, 240, until="done")
        copier.process.join(60)
        assert copier.done and copier.process.exitcode == 0, copier.said[-1:]

    def summary(self) -> str:
        """How many lives there were, and where the kills fell."""
        told = ", ".join(f"{self.fell[phase]} {name}" for phase, name in PHASES.items())
        return f"{self.lives} copiers, killed: {told}"

    def check(self, expected: list[Row]) -> None:
        """The copy is the stream, once and in order; watermark, group and an empty node agree."""
        with headwater.connect(self.target()) as db:
            copied = db.table("copy").arrow()
            assert copied.num_rows == len(expected)
            found = list(zip(*(copied[name].to_pylist() for name in COPY), strict=True))
            assert found == expected, first_difference(found, expected)
            (row,) = db.stream("changes").consumers()
            source = db.table("source")
            assert row.watermark == source.head
            log = db.session.log
            assert isinstance(log, KafkaNode)
            check_store(log, Expected())
            assert log.mirrors.wait_empty(30)
            with log.view() as view:
                (consumer,) = view.catalog.all("consumer")
                assert isinstance(consumer, ConsumerObject)
                topic = view.catalog.table(source.id).topic
            stands = Admin(log.cluster).group_offset(consumer.group, topic)
            assert stands is not None and stands.metadata.startswith(f"v={source.head};")
            assert stands.offset == last_offset(log, topic) + 1
        assert_topics_give(self._folder / "replica", self.bootstrap, self.prefix)


def first_difference(found: list[Row], expected: list[Row]) -> str:
    """Where two lists part."""
    at = next(n for n, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b)
    return f"row {at} is {found[at]}, not {expected[at]}"


def last_offset(log: KafkaNode, topic: str) -> int:
    """The offset of the last committed record."""
    end = Admin(log.cluster).ends([topic])[topic]
    reader = TopicReader(log.cluster, f"{log.name}.test")
    found = -1
    try:
        reader.add([(topic, max(0, end - 200))])
        while reader.ends.get(topic, -1) < end:
            for message in reader.read(1000, 0.1):
                found = message.offset() or 0
    finally:
        reader.close()
    return found


class KillAtEnd:
    """A proxy's rule: the next END of a transaction costs its sender its life.

    With `passed` the broker still gets it.
    """

    def __init__(self) -> None:
        self._pid = 0
        self._passed = False

    def arm(self, pid: int, *, passed: bool) -> None:
        """Kill that process at its next END."""
        self._pid, self._passed = pid, passed

    def __call__(self, request: Request) -> bytes | None:
        if request.api != END_TXN or not self._pid:
            return None
        pid, self._pid = self._pid, 0
        os.kill(pid, signal.SIGKILL)
        return None if self._passed else b""


class SlowEnds:
    """A proxy's rule and delay: some ENDs reach the broker late, some of its answers come late.

    `long_s` holds up the few that `hold` asks for, above what a commit waits.
    """

    def __init__(self, seed: int, long_s: float) -> None:
        self._chance, self._long_s = random.Random(seed), long_s
        self._requests = self._answers = 0
        self.held = 0

    def hold(self, *, requests: int = 0, answers: int = 0) -> None:
        """Hold up so many of the next ones for long."""
        self._requests, self._answers = requests, answers

    def rule(self, request: Request) -> bytes | None:
        """How long the request is on its way."""
        if request.api == END_TXN:
            if self._requests:
                self._requests -= 1
                self.held += 1
                time.sleep(self._long_s)
            elif self._chance.random() < 0.05:
                time.sleep(self._chance.uniform(0.01, 0.3))
        return None

    def delay(self, request: Request) -> float:
        """How long its answer is."""
        if request.api != END_TXN:
            return 0
        if self._answers:
            self._answers -= 1
            self.held += 1
            return self._long_s
        return self._chance.uniform(0.01, 0.3) if self._chance.random() < 0.05 else 0
