"""Cut and flipped bytes in the store's files: refused by place, or without consequence.

What must never happen is that a store opens, reads well, and lacks something acknowledged.
"""

import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from checker import Expected, check_store
from faults.worker import Work
from support_crash import Crashes, laws

import headwater
from headwater.log_store.errors import LogDamaged, LogError

CUTS = int(os.environ.get("HEADWATER_CUTS", "100"))
SEED = int(os.environ.get("HEADWATER_SEED", "20261123"))
PER_TEST = 10

pytestmark = pytest.mark.crash


@dataclass(frozen=True)
class Hurt:
    """One damage: a file, and a byte that is flipped or from which on all is gone."""

    file: str
    at: int
    flip: bool

    def apply(self, store: Path) -> None:
        with (store / self.file).open("r+b") as file:
            if not self.flip:
                file.truncate(self.at)
                return
            file.seek(self.at)
            byte = file.read(1)[0]
            file.seek(self.at)
            file.write(bytes([byte ^ 0x10]))


@pytest.fixture(scope="module")
def crashes(tmp_path_factory: pytest.TempPathFactory) -> Crashes:
    """A store with tables on disk, and a log of acknowledged commits that nobody closed."""
    found = Crashes(tmp_path_factory.mktemp("damage") / "shop", SEED)
    for life in range(2):
        found.live(Work(path=found.path, seed=SEED + life, operations=60))
    killed = found.live(Work(path=found.path, seed=SEED + 2), after_s=0.5)
    assert killed.acked and not killed.done
    return found


def hurt(store: Path, chance: random.Random, flip: bool) -> Hurt:
    """Some byte of some file, most often of a write-ahead log."""
    files = sorted(file for file in store.rglob("*") if file.is_file() and file.stat().st_size)
    data = [file for file in files if file.name != "OWNER" and not file.name.startswith("LOG")]
    logs = [file for file in data if file.suffix == ".log"]
    file = chance.choice(logs if logs and chance.random() < 0.6 else data)
    at = chance.randrange(file.stat().st_size)
    return Hurt(str(file.relative_to(store)), at, flip)


def outcome(store: Path, crashes: Crashes) -> str:
    """What an owner of the damaged store sees: `whole`, or the error it is told."""
    acked = [said.commit for life in crashes.lives for said in life.acked]
    try:
        with headwater.connect(store) as db:
            check_store(db.session.log, Expected(acked=acked, laws=laws(db)))
            crashes.check_sources(db)
    except LogError as error:
        if isinstance(error, LogDamaged):
            assert error.where and error.why
        return error.code
    return "whole"


@pytest.mark.parametrize("number", range((CUTS + PER_TEST - 1) // PER_TEST))
def test_damage_never_silently_loses_an_acknowledged_commit(
    number: int, crashes: Crashes, tmp_path: Path
) -> None:
    chance = random.Random(SEED * 1000 + number)
    for trial in range(number * PER_TEST, min(CUTS, (number + 1) * PER_TEST)):
        store = tmp_path / "shop"
        shutil.copytree(crashes.path, store)
        damage = hurt(store, chance, flip=trial % 4 == 3)
        damage.apply(store)
        try:
            told = outcome(store, crashes)
        except Exception as error:
            error.add_note(f"seed {SEED}, trial {trial}: {damage}")
            raise
        assert told in ("whole", "E_LOG_DAMAGED", "E_FORMAT_NOT_KNOWN"), (told, damage)
        shutil.rmtree(store)


def test_the_end_of_the_log_cut_off_is_refused_not_forgotten(
    crashes: Crashes, tmp_path: Path
) -> None:
    logs = sorted(crashes.path.rglob("*.log"), key=lambda file: file.stat().st_size)
    assert logs, "the store has no write-ahead log"
    store = tmp_path / "shop"
    shutil.copytree(crashes.path, store)
    name = str(logs[-1].relative_to(crashes.path))
    Hurt(name, logs[-1].stat().st_size // 2, flip=False).apply(store)
    with pytest.raises(LogDamaged), headwater.connect(store):
        pass
