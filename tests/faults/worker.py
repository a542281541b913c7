"""A process that works in a store until somebody kills it, and says what was acknowledged.

It commits, consumes, rewinds and restores at random from a seed, one thread or several. Every
commit is announced before (`try`) and confirmed after (`ack`) through a pipe, so that the parent
knows what must be there, and what may be. Its workload keeps laws that hold in every state:

    left and right always get the same rows in one commit        (all or nothing)
    mirror is source as of its consumer's watermark               (effect and watermark in one)
    journal has every change of source up to its watermark once   (none lost, none doubled)
    the acknowledged crc of source at a version is what is read   (nothing else is there)
"""

import random
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import pyarrow as pa

import headwater
from headwater.consumers.consume import consume
from headwater.consumers.copy_files import copy_into
from headwater.consumers.copy_names import windows_in
from headwater.consumers.errors import PlanOutdated, RewindRefused
from headwater.consumers.registration import Directory
from headwater.consumers.row_files import FileOptions
from headwater.consumers.windows import Bounds
from headwater.log_store import failpoints
from headwater.log_store.errors import LogError, OutsideHistory, WriteConflict
from headwater.ops.api import Database
from headwater.ops.api_transaction import Tx
from headwater.producer.names import find_stream


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one worker does. `operations` 0 goes on until killed."""

    path: Path | str
    seed: int
    operations: int = 0
    threads: int = 1
    durability: str = "fsync"
    failpoints: str = ""
    large: bool = False
    snapshots: bool = False
    copies: bool = False
    expires: bool = False


@dataclass(frozen=True)
class Said:
    """What a worker says: a commit is tried, acknowledged or refused, or something is over.

    `crc` is that of the source's rows at `version` where a single thread knows them.
    """

    what: Literal["open", "try", "ack", "refused", "unknown", "done", "passed"]
    commit: str = ""
    version: int = -1
    crc: int = 0
    text: str = ""


def run(work: Work, pipe: Connection) -> None:
    """The worker's life; ends with `done` unless somebody ends it before."""
    failpoints.arm(work.failpoints)
    passed = failpoints.watch()
    try:
        with headwater.connect(work.path, durability=work.durability) as db:
            prepare(db)
            pipe.send(Said("open"))
            Workers(db, work, pipe).run()
    except LogError as error:
        pipe.send(Said("unknown", text=f"{error.code}: {error}"))
    pipe.send(Said("passed", text=",".join(sorted(passed))))
    pipe.send(Said("done"))
    pipe.close()


COLUMNS: Mapping[str, str] = {"id": "INT", "v": "INT", "note": "VARCHAR"}


def prepare(db: Database) -> None:
    """The tables and streams, made where they are missing (a kill may have come between)."""
    for name, key in (("source", "id"), ("mirror", "id"), ("left", "id"), ("right", "id")):
        db.create_table(name, COLUMNS, key=key, if_not_exists=True)
    journal = {"at": "INT", "action": "VARCHAR", "id": "INT", "v": "INT"}
    db.create_table("journal", journal, if_not_exists=True)
    db.create_table("bulk", COLUMNS, if_not_exists=True)
    db.create_table("long", {"id": "INT"}, if_not_exists=True)
    db.create_stream("changes", on="source", if_not_exists=True)


def put_all(tx: Tx, rows: pa.Table) -> None:
    tx.insert("long", rows)


def copied(path: Path | str) -> Path:
    """Where a store's stream is copied to."""
    where = Path(path)
    return where.parent / f"{where.name}-out"


def file_starts(directory: Path, upto: int) -> list[int]:
    """Where the files that count start: those of windows up to a watermark, rising."""
    windows = [part.window for path in directory.iterdir() for part in windows_in(path.name)]
    return sorted(window.after for window in windows if window.upto <= upto)


def crc(rows: Mapping[int, int]) -> int:
    """A table's rows as one number."""
    return zlib.crc32(repr(sorted(rows.items())).encode())


def source_rows(db: Database, version: int | None = None) -> dict[int, int]:
    """The source's values by key, now or at a version."""
    table = db.table("source")
    read = table if version is None else table.at(version=version)
    return {int(str(row["id"])): int(str(row["v"])) for row in read.rows()}


class Workers:
    """The threads of one worker: each does one thing after the other, at random."""

    def __init__(self, db: Database, work: Work, pipe: Connection) -> None:
        self.db, self.work, self.pipe = db, work, pipe
        self.said = threading.Lock()
        self.serial = db.session.log.view().sequence * 1000

    def run(self) -> None:
        if self.work.threads == 1:
            self.loop(0)
            return
        threads = [
            threading.Thread(target=self.loop, args=(number,))
            for number in range(self.work.threads)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def loop(self, number: int) -> None:
        chance = random.Random(f"{self.work.seed}/{number}")
        kinds: list[Callable[[random.Random], None]] = [
            *[self.write] * 8,
            *[self.both_sides] * 3,
            *[self.mirror] * 3,
            *[self.journal] * 3,
            self.restore,
            self.snapshot,
        ]
        if self.work.large:
            kinds += [self.load] * 2
        if self.work.snapshots:
            kinds += [self.browse] * 4
        if self.work.expires:
            kinds += [self.expire] * 3
        if self.work.copies:
            kinds += [self.copy] * 4 + [self.rewind_copy]
        done = 0
        while self.work.operations == 0 or done < self.work.operations:
            done += 1
            try:
                chance.choice(kinds)(chance)
            except (WriteConflict, PlanOutdated, RewindRefused, OutsideHistory):
                continue  # another thread was first
            except Exception as error:
                code = getattr(error, "code", type(error).__name__)
                self.say(Said("unknown", text=f"{code}: {error}"))
                if not isinstance(error, LogError):
                    raise
                return

    def commit(self, do: Callable[[Tx], None]) -> None:
        """One transaction, announced before its commit and confirmed after."""
        with self.db.transaction() as tx:
            do(tx)
            self.say(Said("try", tx.id))
            name = tx.id
        self.say(self.acknowledged(name))

    def acknowledged(self, commit: str) -> Said:
        """The confirmation, with the source's rows where nobody else can have changed them."""
        if self.work.threads > 1:
            return Said("ack", commit)
        return Said("ack", commit, self.db.table("source").head, crc(source_rows(self.db)))

    def say(self, what: Said) -> None:
        with self.said:
            self.pipe.send(what)

    def number(self) -> int:
        with self.said:
            self.serial += 1
            return self.serial

    def write(self, chance: random.Random) -> None:
        """A few changes of the source: inserts, updates, deletes, a key change."""

        def do(tx: Tx) -> None:
            there = sorted(int(str(row["id"])) for row in tx.table("source").rows())
            for _ in range(chance.randint(1, 3)):
                kind = chance.choice(("insert", "insert", "update", "delete", "move"))
                if kind == "insert" or len(there) < 5:
                    new = self.number()
                    there.append(new)
                    tx.insert("source", {"id": new, "v": new, "note": "n" * chance.randint(0, 99)})
                    continue
                row = chance.choice(there)
                if kind == "update":
                    tx.update("source", key=row, set={"v": self.number()})
                elif kind == "delete" or len(there) > 40:
                    there.remove(row)
                    tx.delete("source", key=row)
                else:
                    there.remove(row)
                    there.append(self.number())
                    tx.update("source", key=row, set={"id": there[-1]})

        self.commit(do)

    def both_sides(self, chance: random.Random) -> None:
        """The same row into two tables: one is never there without the other."""
        row = {"id": self.number(), "v": chance.randint(0, 9), "note": ""}

        def do(tx: Tx) -> None:
            tx.insert("left", row)
            tx.insert("right", row)

        self.commit(do)

    def mirror(self, chance: random.Random) -> None:
        """Consume into the mirror: afterwards it is the source at the watermark."""
        limit = chance.choice((None, 1, 5))

        def do(tx: Tx) -> None:
            window = tx.consume("changes", into="mirror", limit_changes=limit)
            for row in window.rows():
                if row["METADATA$ACTION"] == "DELETE":
                    tx.delete("mirror", key=row["id"])
                else:
                    tx.insert("mirror", {name: row[name] for name in COLUMNS})

        self.commit(do)

    def journal(self, chance: random.Random) -> None:
        """Consume into the journal: every row of the stream, once."""
        upto = chance.choice((None, 3))

        def do(tx: Tx) -> None:
            window = tx.consume("changes", into="journal", limit_changes=upto)
            rows = [
                {
                    "at": window.end,
                    "action": row["METADATA$ACTION"],
                    "id": row["id"],
                    "v": row["v"],
                }
                for row in window.rows()
            ]
            if rows:
                tx.insert("journal", rows)

        self.commit(do)

    def restore(self, chance: random.Random) -> None:
        """Rewind one of the targets, with its table, to somewhere behind its watermark."""
        stream = self.db.stream("changes")
        name = chance.choice(("mirror", "journal"))
        marks = {row.consumer: row.watermark for row in stream.consumers()}
        if marks.get(name, 0) < 1:
            return
        to = chance.randrange(max(0, marks[name] - 20), marks[name])
        stream.rewind(consumer=name, to=to, restore=True, reason="exercise").execute()

    def snapshot(self, chance: random.Random) -> None:
        """Read some past of the source: what is cached or kept must not disturb."""
        source_rows(self.db, chance.randint(0, self.db.table("source").head))

    def browse(self, chance: random.Random) -> None:
        """Read the past of a table that is long enough for its snapshots to be kept."""
        table = self.db.table("long")
        if table.head < 4:
            numbers = pa.array(range(table.head * 30_000, (table.head + 1) * 30_000), pa.int64())
            self.commit(lambda tx: put_all(tx, pa.table({"id": numbers})))
        else:
            version = chance.randint(1, 3)
            assert table.at(version=version).arrow().num_rows == version * 30_000

    def copy(self, chance: random.Random) -> None:
        """Consume into a directory: its files up to the watermark are the stream."""
        limit = chance.choice((None, 1, 5))

        def do(tx: Tx) -> None:
            stream = find_stream(tx.inner.catalog, "changes")
            used = consume(tx.inner, stream, Directory(str(copied(self.work.path))), Bounds(limit))
            rows = used.table()
            batches = pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches())
            copy_into([used], batches, FileOptions())

        self.commit(do)

    def rewind_copy(self, chance: random.Random) -> None:
        """Let the directory's last windows be copied again."""
        stream, name = self.db.stream("changes"), str(copied(self.work.path))
        marks = {row.consumer: row.watermark for row in stream.consumers()}
        if marks.get(name, 0) > 0:
            to = chance.choice([0, *file_starts(copied(self.work.path), marks[name])])
            stream.rewind(name, to=to).execute()

    def expire(self, chance: random.Random) -> None:
        """Let history go that no consumer needs."""
        name = chance.choice(("source", "left", "mirror"))
        table = self.db.table(name)
        upto = table.head
        if name == "source":
            consumers = self.db.stream("changes").consumers()
            upto = min((row.watermark for row in consumers), default=0)
        self.db.session.log.expire(table.id, max(0, upto - chance.randint(0, 3)))

    def load(self, chance: random.Random) -> None:
        """One commit that is too large to be written in one piece."""
        count = chance.randint(900, 1200)
        first = self.number() * 1_000_000
        ids = pa.array(range(first, first + count), pa.int64())
        rows = pa.table({"id": ids, "v": ids, "note": pa.array(["x" * 20_000] * count)})

        def do(tx: Tx) -> None:
            tx.truncate("bulk")
            tx.insert("bulk", rows)

        self.commit(do)
