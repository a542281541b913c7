"""Death at every named point, and a disk that fails there: promises hold on reopening.

Each declared point must be passed by the workload here; one that is not is a hole in the tests.
"""

import os
from pathlib import Path

import pytest
from faults.worker import Work
from support_crash import Crashes

from headwater.log_store import failpoints

HITS = int(os.environ.get("HEADWATER_FAILPOINT_HITS", "1"))
SEED = int(os.environ.get("HEADWATER_SEED", "20261123"))

# Points that are passed only while a directory is opened after a death in a large commit.
RECOVERY = {name for name in failpoints.NAMES if name.startswith("recover.")}

pytestmark = pytest.mark.crash


def prepared(path: Path, name: str, seed: int) -> Crashes:
    """A store with some history; for the points of recovery, one that needs it."""
    crashes = Crashes(path, seed)
    crashes.live(Work(path=path, seed=seed, operations=30))
    if name in RECOVERY:
        life = crashes.live(
            Work(
                path=path,
                seed=seed,
                operations=200,
                large=True,
                failpoints="large.published=kill@1",
            )
        )
        assert not life.done and not life.gave_up, (
            "nothing was cut off, so there is nothing to recover"
        )
    return crashes


@pytest.mark.parametrize("hit", range(1, HITS + 1))
@pytest.mark.parametrize("name", sorted(n for n in failpoints.NAMES if n[:6] != "kafka."))
def test_a_death_at_a_named_point_breaks_no_promise(name: str, hit: int, tmp_path: Path) -> None:
    crashes = prepared(tmp_path / "shop", name, SEED + hit)
    at = 1 if name in RECOVERY or name.startswith("lock.") else hit
    life = crashes.live(
        Work(
            path=crashes.path,
            seed=SEED,
            operations=200,
            large=name.startswith("large."),
            snapshots=name.startswith("snapshot."),
            copies=name.startswith(("copy.", "commit.")),
            expires=name.startswith("expire."),
            failpoints=f"{name}=kill@{at}",
        )
    )
    assert not life.done and not life.gave_up and life.exitcode == -9, f"{name} was never hit"
    crashes.check()
    if name.startswith(("copy.", "expire.")):
        # A life after that goes on where the dead one stopped, and tidies up behind it.
        copies = name.startswith("copy.")
        work = Work(
            path=crashes.path, seed=SEED + 1, operations=60, copies=copies, expires=not copies
        )
        again = crashes.live(work)
        assert again.done
        crashes.check()


@pytest.mark.parametrize("name", ["commit.after_append", "commit.after_sync"])
def test_a_disk_that_fails_in_a_commit_leaves_it_unknown_at_worst(
    name: str, tmp_path: Path
) -> None:
    crashes = prepared(tmp_path / "shop", name, SEED)
    life = crashes.live(
        Work(path=crashes.path, seed=SEED, operations=50, failpoints=f"{name}=error@5")
    )
    assert "E_OUTCOME_UNKNOWN" in life.unknown, life.unknown
    crashes.check()
