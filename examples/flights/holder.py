"""The process that holds the directory: the feed and the three consumers, until it is killed.

It goes on where the store stands, and says so on stdout, one JSON document a line:

    {"said": "ready", "version": 0}                          before the first refresh
    {"said": "committed", "version": 8}                      after each refresh, once it is durable
    {"said": "month", "version": .., ..}                     figures, at the end of each month
    {"said": "done", "version": 17333}
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import headwater
from examples.flights import board, consumers, figures, raw, timeline
from examples.flights.consumers import Rollout
from examples.flights.timeline import Timeline

# How many of the refreshes that the store holds are sent again by a feed that starts anew: it
# cannot know which of its last ones were committed.
SENT_AGAIN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to replay, and where."""

    directory: Path
    outbox: Path
    source: Path | None
    minutes: int
    faulty_from_us: int


def main() -> None:
    """Run the job given as JSON in the first argument."""
    given = json.loads(sys.argv[1])
    source = given["source"]
    job = Job(
        directory=Path(given["directory"]),
        outbox=Path(given["outbox"]),
        source=None if source is None else Path(source),
        minutes=given["minutes"],
        faulty_from_us=given["faulty_from_us"],
    )
    run(job)


def run(job: Job) -> None:
    """Replay from where the store stands to the end of the file."""
    flights = raw.read_flights(job.source)
    story = timeline.build(flights, raw.time_zones(), minutes=job.minutes)
    clock = board.BoardClock(int(story.times_us[0]) - timeline.MINUTE_US)
    consumers.mend_outbox(job.outbox)
    with headwater.connect(job.directory, clock=clock) as db:
        board.create(db)
        made = board.commits_made(db)
        _say("ready", version=made)
        for commit in range(max(made - SENT_AGAIN, 0), made):
            board.refresh(db, story, commit)
        _say("again", sent=min(made, SENT_AGAIN), version=board.commits_made(db))
        if made:
            _read(db, job, story, made - 1, clock)
        for commit in range(made, len(story)):
            clock.now_us = int(story.times_us[commit])
            board.refresh(db, story, commit)
            _say("committed", version=board.commits_made(db))
            _read(db, job, story, commit, clock)
        _say("done", version=board.commits_made(db))


def _read(
    db: headwater.Database, job: Job, story: Timeline, commit: int, clock: board.BoardClock
) -> None:
    """Let every consumer read whose time has come."""
    clock.now_us = max(clock.now_us, int(story.times_us[commit]))
    release = Rollout(job.faulty_from_us).at(clock.now_us)
    if consumers.due(story.times_us, commit, "notices"):
        consumers.send_notices(db, job.outbox)
    if consumers.due(story.times_us, commit, "delays"):
        consumers.count_delays(db, release)
    if consumers.due(story.times_us, commit, "log"):
        consumers.keep_log(db)
    if timeline.month_ends(story.times_us, commit):
        _say("month", **asdict(figures.progress(db)))


def _say(said: str, **what: object) -> None:
    os.write(1, (json.dumps({"said": said, **what}) + "\n").encode())


if __name__ == "__main__":
    main()
