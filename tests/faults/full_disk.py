"""Run on a small file system of its own: fill it, fail, make room, reopen, check.

    python full_disk.py DIRECTORY SEED      prints one JSON line

Test material for test_disk_full.py, which mounts the file system around it.
"""

import errno
import json
import os
import random
import sys
from pathlib import Path

from checker import Expected, check_store

import headwater
from headwater.log_store.errors import LogError
from headwater.ops.api import Database


def fill(ballast: Path, leave: int) -> None:
    """Take all space but `leave` bytes."""
    free = os.statvfs(ballast.parent)
    size = max(0, free.f_bavail * free.f_frsize - leave)
    try:
        with ballast.open("wb") as file:
            for _ in range(0, size, 1 << 16):
                file.write(bytes(1 << 16))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def commit(db: Database, number: int, size: int) -> str:
    """One commit of one row; its id once it is acknowledged."""
    with db.transaction() as tx:
        tx.insert("t", {"id": number, "v": os.urandom(size // 2).hex()})
    return tx.id


def until_full(db: Database, acked: list[str], chance: random.Random) -> str:
    """Commit until the store says no; the code of its error."""
    for _ in range(5000):
        try:
            acked.append(commit(db, len(acked), chance.choice((100, 4_000, 60_000))))
        except LogError as error:
            return error.code
    raise AssertionError("the disk never filled")


def main(directory: Path, seed: int) -> None:
    chance = random.Random(seed)
    ballast, path = directory / "ballast", directory / "shop"
    acked: list[str] = []
    with headwater.connect(path) as db:
        db.create_table("t", {"id": "INT", "v": "VARCHAR"}, key="id")
        for _ in range(20):
            acked.append(commit(db, len(acked), 1000))
        fill(ballast, chance.randrange(1 << 20))
        code = until_full(db, acked, chance)
        readable = db.table("t").count()
        again = ""
        try:
            commit(db, -1, 100)
        except LogError as error:
            again = error.code
    ballast.unlink(missing_ok=True)
    with headwater.connect(path) as db:
        check_store(db.session.log, Expected(acked=acked))
        count = db.table("t").count()
        commit(db, 1_000_000, 100)
        check_store(db.session.log)
    told = {"code": code, "again": again, "acked": len(acked), "read": readable, "kept": count}
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
