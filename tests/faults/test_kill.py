"""kill -9 at any time loses no acknowledged commit, applies none twice, tears none."""

import os
import random
from pathlib import Path

import pytest
from faults.worker import Work
from support_crash import Crashes

KILLS = int(os.environ.get("HEADWATER_KILLS", "60"))
SEED = int(os.environ.get("HEADWATER_SEED", "20261123"))
# One store lives this many lives, so that recovery meets what recovery left.
LIVES = 4

pytestmark = pytest.mark.crash


def work(path: Path, chance: random.Random) -> Work:
    """A worker with options of its own."""
    return Work(
        path=path,
        seed=chance.randrange(1 << 30),
        threads=chance.choice((1, 1, 4)),
        durability=chance.choice(("fsync", "fsync", "os")),
        large=chance.random() < 0.15,
    )


@pytest.mark.parametrize("store", range((KILLS + LIVES - 1) // LIVES))
def test_no_kill_loses_doubles_or_tears_a_commit(store: int, tmp_path: Path) -> None:
    seed = SEED + store
    chance = random.Random(seed)
    crashes = Crashes(tmp_path / "shop", seed)
    for number in range(min(LIVES, KILLS - store * LIVES)):
        life = crashes.live(work(crashes.path, chance), after_s=chance.uniform(0, 0.4))
        assert not life.unknown, f"seed {seed}, life {number}: {life.unknown}"
        crashes.check(durability=chance.choice(("fsync", "os")))


def test_a_worker_that_is_left_alone_ends_with_everything_acknowledged(tmp_path: Path) -> None:
    crashes = Crashes(tmp_path / "shop", SEED)
    life = crashes.live(Work(path=crashes.path, seed=SEED, operations=120))
    assert life.done and not life.unknown and len(life.acked) > 60
    crashes.check()
