"""`make demo` on a few days of the file: the same code, the kill included."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from support_kafka import Broker

from examples.flights import raw

ROOT = Path(__file__).parents[2]

# The blizzard and the day before; the faulty release comes in between.
DAYS = (7, 8)
OPTIONS = ("--minutes", "60", "--faulty-from", "2013-02-08", "--board-at", "2013-02-08 18:00")


def tell(source: Path, *options: str) -> str:
    """What the demo prints about a file; it ended well."""
    command = [sys.executable, "-m", "examples.flights", "--source", str(source), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def part(story: str, number: int) -> str:
    """One numbered part of the story."""
    return story.split(f"\n{number}  ")[1].split("\n\n")[0]


def carriers(story: str) -> dict[str, tuple[int, int, int, int]]:
    """The totals by carrier, as printed: landed, late, late minutes, cancelled."""
    found: dict[str, tuple[int, int, int, int]] = {}
    for line in part(story, 3).splitlines():
        words = line.split()
        if len(words) == 5 and len(words[0]) == 2:
            landed, late, minutes, cancelled = (int(word.replace(",", "")) for word in words[1:])
            found[words[0]] = landed, late, minutes, cancelled
    return found


def checked(story: str) -> dict[str, tuple[str, str]]:
    """Every check: what the store says and what pandas says."""
    rows = re.findall(r"^  (\S.*?) {2,}(\S+) {2,}(\S+) {2,}ok$", part(story, 6), re.MULTILINE)
    return {what: (store, pandas) for what, store, pandas in rows}


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of a few days."""
    path = tmp_path_factory.mktemp("flights") / "days.csv"
    flights = raw.read_flights()
    chosen = (flights["month"] == 2) & flights["day"].isin(DAYS)
    flights.loc[chosen].to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def story(days: Path) -> str:
    """What is printed about them."""
    return tell(days, *OPTIONS)


def test_every_number_agrees_with_pandas_after_a_kill_and_a_rewind(story: str, days: Path) -> None:
    flights = pd.read_csv(days)
    cancelled = int(flights["dep_time"].isna().sum())

    assert len(checked(story)) == 11
    assert "DIFFERS" not in story
    assert checked(story)["inserts"] == (f"{len(flights):,}",) * 2
    assert checked(story)["deletes"] == (f"{cancelled:,}",) * 2


def test_the_kill_came_in_the_middle_and_the_rest_came_after(story: str) -> None:
    killed = re.search(r"killed after it had acknowledged v(\S+)", part(story, 2))
    ended = re.findall(r" v(\S+) +\S+ flights", part(story, 2))

    assert killed is not None
    assert 0 < int(killed[1].replace(",", "")) < int(ended[-1].replace(",", ""))


def test_the_plan_and_the_restore_are_told(story: str) -> None:
    told = part(story, 3)

    assert "restore of carrier_delays on stream flight_changes" in told
    assert "will be read again" in told
    assert re.search(r" restore +\S+ +release 1\.1 counted early", part(story, 5))


def test_another_input_gives_other_numbers_and_they_agree_too(
    days: Path, story: str, tmp_path: Path
) -> None:
    flights = pd.read_csv(days)
    delta = flights.index[(flights["carrier"] == "DL") & flights["arr_delay"].gt(0)]
    late, lost = int(delta[0]), int(delta[1])
    clock = int(flights["arr_time"].to_numpy()[late])
    assert clock % 100 < 53, "the minutes added stay within the hour"
    minutes = int(flights["arr_delay"].to_numpy()[lost])
    flights.loc[late, ["arr_delay", "arr_time"]] += 7
    gone = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]
    flights.loc[lost, gone] = None
    altered = tmp_path / "altered.csv"
    flights.to_csv(altered, index=False)

    # Killed earlier, too: where does not matter.
    other = tell(altered, *OPTIONS, "--kill-after", "0.2")

    before, after = carriers(story), carriers(other)
    landed, was_late, was_minutes, cancelled = before["DL"]
    assert after["DL"] == (landed - 1, was_late - 1, was_minutes + 7 - minutes, cancelled + 1)
    assert {**after, "DL": before["DL"]} == before
    assert len(checked(other)) == 11
    assert part(story, 4) != part(other, 4) or part(story, 1) != part(other, 1)


def test_on_kafka_the_story_holds_and_a_stock_consumer_counts_the_same(
    kafka: Broker, days: Path, tmp_path: Path
) -> None:
    told = tell(days, *OPTIONS, "--kafka", kafka.bootstrap, "--keep", str(tmp_path / "kept"))
    counted = re.findall(r"^  (\S.*?) {2,}(\S+) {2,}(\S+) {2,}ok$", part(told, 7), re.MULTILINE)

    assert len(checked(told)) == 11
    assert [name for name, _, _ in counted] == [
        "inserts",
        "updates",
        "deletes",
        "tombstones",
        "rows at the end",
        "late minutes",
    ]
    assert "DIFFERS" not in told
    assert counted[0][1:] == (f"{len(pd.read_csv(days)):,}",) * 2


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (None, "there is no file"),
        ("year,month\n2013,2\n", "is no file of flights"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path: Path, lines: str | None, why: str) -> None:
    source = tmp_path / "flights.csv"
    if lines is not None:
        source.write_text(lines)
    command = [sys.executable, "-m", "examples.flights", "--source", str(source)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ") and why in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_flight_that_is_there_twice_is_refused_by_its_line(days: Path, tmp_path: Path) -> None:
    flights = pd.read_csv(days)
    twice = tmp_path / "twice.csv"
    pd.concat([flights, flights.iloc[[3]]]).to_csv(twice, index=False)
    command = [sys.executable, "-m", "examples.flights", "--source", str(twice)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert f"at line {len(flights) + 2} again: remove one" in done.stderr
